#!/usr/bin/env bats
# Workers: `count` processes of python-worker and binary-worker, each a supervised service of its own.

# shellcheck disable=SC2154,SC2016 # box_up sets HOST; "sh -c" expands in the box

load helpers/box
load helpers/host

setup_file() {
    host_possible || return 0
    host_up
    host_set_up
    printf 'humanize\n' >"$LAPTOP/requirements.txt"
    wheels "$LAPTOP/requirements.txt" "$LAPTOP/worker-wheels"
}

teardown_file() { host_down; }
setup() { host_or_skip; }

# mill VERSION [MILLS]: two Python workers and MILLS (3) of another kind, and a page so that there is something to see
mill() {
    rm -rf "$LAPTOP/hello"
    mkdir -p "$LAPTOP/hello/page" "$LAPTOP/hello/mail/mailer" "$LAPTOP/hello/mill"
    printf 'the mill\n' >"$LAPTOP/hello/page/index.html"
    cp -r "$LAPTOP/worker-wheels" "$LAPTOP/hello/mail/dep"
    cp "$LAPTOP/requirements.txt" "$LAPTOP/hello/mail/"
    : >"$LAPTOP/hello/mail/mailer/__init__.py"
    cat >"$LAPTOP/hello/mail/mailer/__main__.py" <<'END'
import os, sys, time
import humanize
me = os.environ["CHILLBOX_WORKER"]
with open(os.path.join(os.environ["CHILLBOX_DATA_DIR"], "mail." + me), "w") as out:
    print(os.environ["VERSION"], os.environ["QUEUE"], sys.argv[1], humanize.ordinal(int(me)), os.getpid(), os.getcwd(), file=out)
while True:
    time.sleep(1)
END
    cat >"$LAPTOP/hello/mill/grind" <<'END'
#!/bin/sh
printf '%s %s %s\n' "$VERSION" "$1" "$$" >"$CHILLBOX_DATA_DIR/mill.$CHILLBOX_WORKER"
[ ! -e "$CHILLBOX_DATA_DIR/ends.$CHILLBOX_WORKER" ] || exit 1
exec sleep 100000
END
    chmod 0755 "$LAPTOP/hello/mill/grind"
    [ -z "${BROKEN-}" ] || printf '#!/bin/sh\n[ "$CHILLBOX_WORKER" != 2 ] || exit 1\nexec sleep 100000\n' >"$LAPTOP/hello/mill/grind"
    cat >"$LAPTOP/hello/mill.site.json" <<END
{ "name": "Mill", "server_name": "hello.example", "version": "$1", "watch": "3s",
  "env": [{ "name": "QUEUE", "value": "letters" }],
  "services": [{ "name": "page", "lang": "static" }],
  "workers": [
    { "name": "mail", "lang": "python-worker", "run-cmd": "python -m mailer --all", "count": 2, "niceness": 7 },
    { "name": "mill", "lang": "binary-worker", "run-cmd": ["grind", "two words"], "count": ${2-3} } ] }
END
    send "$(pack)"
}

supervised() { in_box sh -c 'cd /run/openrc/options && for s in chillbox.mill.*; do echo "$s $(cat "$s/child_pid")"; done' | sort; }
pid_of() { supervised | awk -v name="chillbox.mill.$1" '$1 == name { print $2 }'; }
said() { in_box cat "/var/lib/mill/$1"; }

@test "each copy is a supervised service of its own with its number, in the live release, as the site's user, as nice as asked" {
    run -0 mill 1.0.0
    [ "$(get /)" = 'the mill' ]
    [ "$(supervised | cut -d ' ' -f 1 | xargs)" = "chillbox.mill.mail.a1 chillbox.mill.mail.a2 chillbox.mill.mill.a1 chillbox.mill.mill.a2 chillbox.mill.mill.a3" ]
    [ "$(said mail/mail.1)" = "1.0.0 letters --all 1st $(pid_of mail.a1) /srv/chillbox/mill/releases/1.0.0-1/mail" ]
    [ "$(said mail/mail.2)" = "1.0.0 letters --all 2nd $(pid_of mail.a2) /srv/chillbox/mill/releases/1.0.0-1/mail" ]
    for n in 1 2 3; do [ "$(said "mill/mill.$n")" = "1.0.0 two words $(pid_of "mill.a$n")" ]; done
    [ "$(user_of "$(pid_of mail.a1)") $(nice_of "$(pid_of mail.a1)")" = 'mill 7' ]
    [ "$(user_of "$(pid_of mill.a3)") $(nice_of "$(pid_of mill.a3)")" = "mill $(nice_of 1)" ]
}

@test "one that is killed is started again under its number; the others notice nothing" {
    others=$(supervised | grep -v 'mail.a2 ')
    old=$(pid_of mail.a2)
    in_box kill -9 "$old"
    back() { new=$(pid_of mail.a2); [ -n "$new" ] && [ "$new" != "$old" ] && [[ "$(said mail/mail.2)" == *" 2nd $new "* ]]; }
    wait_for 15 back
    [ "$(supervised | grep -v 'mail.a2 ')" = "$others" ]
}

@test "one that ends again and again is started with growing pauses and never given up; its siblings go on, and the host says so [attack-C7]" {
    others=$(supervised | grep -v 'mill.a2 ')
    in_box sh -c ': >/var/lib/mill/mill/ends.2; kill "$(cat /run/openrc/options/chillbox.mill.mill.a2/child_pid)"'
    pauses() { [[ "$(ctl status)" == *"keeps crashing"* ]]; }
    wait_for 20 pauses
    sleep 10 # it would have been given up by now
    [ "$(supervised | grep -v 'mill.a2 ')" = "$others" ]
    for pid in $(cut -d ' ' -f 2 <<<"$others"); do in_box kill -0 "$pid"; done
    in_box rm /var/lib/mill/mill/ends.2
    in_box chillboxctl status
    back() { in_box pgrep -u mill -f 'mill.*2' >/dev/null || [ "$(pids_of mill | wc -l)" -ge 3 ]; }
    wait_for 60 back
}

runs() { [ "$(pids_of mill | wc -l)" -eq "$1" ]; } # PROCESSES

@test "a new release replaces all of them, and those that it has no more are gone" {
    run -0 mill 1.1.0 1
    [ "$(supervised | cut -d ' ' -f 1 | xargs)" = "chillbox.mill.mail.b1 chillbox.mill.mail.b2 chillbox.mill.mill.b1" ]
    [[ "$(said mail/mail.1)" == "1.1.0 letters --all 1st $(pid_of mail.b1) "* ]]
    wait_for 10 runs 3
}

@test "a release of which one copy ends is rolled back, and the workers before it run on" {
    BROKEN=yes run -10 mill 1.2.0
    [[ "$output" == *"worker 'mill' crashed"* ]]
    [ "$(supervised | cut -d ' ' -f 1 | xargs)" = "chillbox.mill.mail.b1 chillbox.mill.mail.b2 chillbox.mill.mill.b1" ]
    [[ "$(said mill/mill.1)" == "1.1.0 "* ]]
}

@test "after a reboot they are back, and with the site they go" {
    box reboot "$HOST"
    wait_for 30 runs 3
    ctl remove mill --yes
    runs 0
}
