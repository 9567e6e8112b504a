#!/usr/bin/env bats
# chillboxctl run: a command in a site's live release. It has the site's user, environment, secrets and limits; its exit code comes through, and it
# outlives the daemon and whoever began it.

# shellcheck disable=SC2154,SC2016 # box_up sets HOST; the commands are expanded in the box

load helpers/box
load helpers/host
load helpers/one_host

# hand VERSION: a page and a worker with a secret, of which only the environment matters
hand() {
    rm -rf "$LAPTOP/hello"
    mkdir -p "$LAPTOP/hello/page" "$LAPTOP/hello/hand"
    printf 'page\n' >"$LAPTOP/hello/page/index.html"
    printf '#!/bin/sh\nexec sleep 100000\n' >"$LAPTOP/hello/hand/work"
    chmod 0755 "$LAPTOP/hello/hand/work"
    jq -n --arg version "$1" '{ name: "Hello", server_name: "hello.example", version: $version, watch: "0s", env: [{name: "ANIMAL", value: "goat"}],
        services: [{name: "page", lang: "static"}], workers: [{name: "hand", lang: "binary-worker", "run-cmd": "work", secrets_env: "hand.env"}]}' \
        >"$LAPTOP/hello/hello.site.json"
    send "$(pack)"
}

setup_site() {
    mkdir -p "$LAPTOP/secrets/hand"
    printf 'WHISPER=the-secret-of-hello\n' >"$LAPTOP/secrets/hand/hand.env"
    send "$(pack_secrets "$LAPTOP/secrets")"
    hand 1.0.0
}

newest() { json runs list hello -n 1 ".runs[0].$1"; }
ended() { [ "$(newest ended_ms)" != 0 ]; }
runs_as_site() { in_box pgrep -u hello -f "$1" >/dev/null; }
gone() { ! runs_as_site "$1"; }

@test "a command has the site's user, folder, environment and secrets; nothing of it is left, and its code comes through" {
    setup_site
    run -0 ctl run hello -- sh -c 'id -un; pwd; echo "$ANIMAL $WHISPER $CHILLBOX_SERVICE $CHILLBOX_RUN"; grep -E "NoNewPrivs|CapEff" /proc/self/status | tr "\t" " "'
    [ "${lines[0]}" = hello ]
    [ "${lines[1]}" = "/srv/chillbox/hello/$(in_box readlink /srv/chillbox/hello/current)/hand" ]
    [ "${lines[2]}" = "goat the-secret-of-hello hand $(newest id)" ]
    [[ "$output" == *'CapEff: 0000000000000000'*'NoNewPrivs: 1'* || "$output" == *'NoNewPrivs: 1'*'CapEff: 0000000000000000'* ]]
    for code in 0 1 42 255; do
        run -$code ctl run hello/hand -- sh -c "exit $code"
    done
    run -137 ctl run hello -- sh -c 'kill -9 $$'
    run -0 ctl run hello -- sh -c 'sleep 4242 >/dev/null 2>&1 & setsid sleep 4242 >/dev/null 2>&1 &'
    wait_for 5 gone 'sleep 4242'
    [ "$(newest outcome)" = null ]
    [ "$(newest state)" = done ]
}

@test "words are the command's: spaces, quotes, options of ours; nothing is expanded twice" {
    run -0 ctl run hello -- printf '<%s>' 'a  b' '$HOME' "it's" --json -H '' '*' '$(id)'
    [ "$output" = "<a  b><\$HOME><it's><--json><-H><><*><\$(id)>" ]
}

@test "what did not start is 125, and says why: no site, no service, no command; 126 and 127 are the shell's" {
    run -125 --separate-stderr ctl run nobody -- true
    [[ "$stderr" == *"'nobody'"* ]]
    run -125 --separate-stderr ctl run hello/nobody -- true
    [[ "$stderr" == *"no service 'nobody' in hello (there is: page, hand)"* ]]
    run -2 ctl run hello
    run -2 ctl run hello true
    run -127 ctl run hello -- no-such-program
    run -126 ctl run hello -- /etc/passwd
    run -126 ctl run hello -- /etc
    ctl stop hello >/dev/null
    run -125 --separate-stderr ctl run hello -- true
    [[ "$stderr" == *"is stopped"* ]]
    ctl start hello >/dev/null
}

@test "bytes come through unchanged both ways, more of them than any buffer holds, and the end of the input too" {
    head -c 3000000 /dev/urandom >"$BATS_TEST_TMPDIR/in"
    box run "$HOST" -i -- chillboxctl run hello -- sh -c 'cat; echo done >&2' <"$BATS_TEST_TMPDIR/in" >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err"
    cmp "$BATS_TEST_TMPDIR/in" "$BATS_TEST_TMPDIR/out"
    [ "$(cat "$BATS_TEST_TMPDIR/err")" = done ]
    run -0 ctl run hello -- sh -c 'head -c 3 /dev/zero | wc -c' # it need not read what it is given
}

@test "--timeout ends it with 124, TERM ends it and HUP leaves it; runs stop ends what is detached" {
    run -124 ctl run hello --timeout 1s -- sleep 4243
    wait_for 5 gone 'sleep 4243'
    run -0 in_box sh -c 'chillboxctl run hello -- sleep 4244 & pid=$!; until pgrep -u hello -f "sleep 4244" >/dev/null; do sleep 0.1; done; kill -TERM $pid; wait $pid; echo $?'
    [ "${lines[-1]}" = 143 ]
    wait_for 5 gone 'sleep 4244'
    in_box sh -c 'chillboxctl run hello -- sleep 4245 & pid=$!; until pgrep -u hello -f "sleep 4245" >/dev/null; do sleep 0.1; done; kill -HUP $pid; wait $pid || :'
    runs_as_site 'sleep 4245'
    [ "$(newest state)" = running ]
    run -0 ctl runs stop "$(newest id)"
    wait_for 5 gone 'sleep 4245'
    in_box sh -c 'chillboxctl run hello -- sh -c "trap \"echo asked; exit 4\" TERM; while :; do sleep 0.1; done" >/root/attached; echo $? >>/root/attached' &
    wait_for 20 runs_as_site 'while :'
    ctl runs stop "$(newest id)"
    wait $! # the attached client sees the last words and the code
    [ "$(in_box cat /root/attached)" = "asked
143" ]
}

@test "a signal to its client ends a command that does not read its input, and one whose output nobody takes" {
    for command in 'sleep 4247' 'sh -c "yes; sleep 4247"'; do
        in_box sh -c "yes | chillboxctl run hello -- $command | sleep 30 & sleep 3; kill -TERM \$(pgrep -x chillboxctl); wait" &
        wait_for 20 runs_as_site "sleep 4247|yes"
        wait_for 20 gone "sleep 4247|yes"
    done
    wait
}

@test "a member of chillbox-admin runs commands and is attached to them; the trail says who ran what" {
    add_user kim 4711 - chillbox-admin
    run -0 box run "$HOST" -u kim -- chillboxctl run hello -- echo by kim
    [ "${lines[-1]}" = "by kim" ]
    run -0 ctl audit -n 1 --json
    [ "$(jq -r '.entries[0] | [.verb, .site, .actor, .text] | join(" ")' <<<"$output")" = 'run hello uid:4711 kim echo by kim' ]
}

@test "a detached run continues and shows its last lines; a client that attaches sees the rest; a new daemon knows its end" {
    run -0 ctl run hello --detach -- sh -c 'echo first; until [ -e /var/lib/hello/go ]; do sleep 0.1; done; echo last; exit 3'
    id=$(newest id)
    [[ "$output" == "run $id has begun: chillboxctl runs attach $id" ]]
    old=$(in_box cat /run/openrc/options/chillboxd/child_pid)
    in_box kill -9 "$old"
    is_another() { now=$(in_box cat /run/openrc/options/chillboxd/child_pid) && [ "$now" != "$old" ] && ctl ping >/dev/null 2>&1; }
    wait_for 30 is_another
    unlock
    (sleep 1; in_box touch /var/lib/hello/go) &
    run -3 ctl runs attach "$id"
    [[ "$output" == *last* ]]
    wait_for 10 ended
    run -0 ctl runs show "$id"
    [[ "$output" == *'failed (3)'*'| first'*'| last'* ]]
    run -7 ctl runs attach "$id"
    run -3 ctl runs show 999999
    in_box rm /var/lib/hello/go
}

@test "a deploy during a run: it keeps its release until it ends" {
    release=$(in_box readlink /srv/chillbox/hello/current)
    ctl run hello --detach -- sh -c 'until [ -e /var/lib/hello/go ]; do sleep 0.1; done; ls ../page'
    for version in 2.0.0 2.1.0 2.2.0 2.3.0 2.4.0; do hand "$version"; done
    in_box test -e "/srv/chillbox/hello/$release/page/index.html"
    in_box touch /var/lib/hello/go
    wait_for 10 ended
    [ "$(newest code)" = 0 ]
    hand 2.5.0
    wait_for 10 in_box test ! -e "/srv/chillbox/hello/$release"
    in_box rm /var/lib/hello/go
}

@test "a secret that it prints is in no log and no history; --json has its code and last lines" {
    run -5 ctl run hello --json -- sh -c 'echo "it is $WHISPER"; exit 5'
    jq -e '.schema == "chillbox.run.v1" and .run.code == 5 and .run.text == "it is [secret]"' <<<"$output"
    ctl run hello -- echo the-secret-of-hello >/dev/null
    run -1 in_box grep -r -l the-secret-of-hello /var/log /var/lib/chillbox
    [ "$(newest line)" = 'echo [secret]' ]
}

@test "at a terminal it has one of its own, of that size; Ctrl-C is its own, and ours is as it was" {
    out=$("$ROOT/tests/host/box" run "$HOST" -- python3 - <<'END'
import os, pty, select, struct, fcntl, termios, time
pid, fd = pty.fork()
if pid == 0:
    os.execvp('chillboxctl', ['chillboxctl', 'run', 'hello', '--', 'sh', '-c', 'trap "echo caught; exit 9" INT; stty size; tty >/dev/null && echo terminal $TERM; while :; do sleep 0.1; done'])
fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack('HHHH', 33, 99, 0, 0))
said, asked = b'', False
while True:
    try:
        piece = os.read(fd, 4096)
    except OSError:
        break
    if not piece:
        break
    said += piece
    if b'terminal' in said and not asked:
        asked = True
        os.write(fd, b'\x03')
print(said.decode().replace('\r', ''), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
END
)
    [[ "$out" == *'terminal'*'caught'*' 9'* ]]
}

@test "[attack-R9] a site's user, another one and the edge reach no run: its socket, its output and its memory of the command are root's" {
    ctl run hello --detach -- sleep 4246
    id=$(newest id)
    [ "$(in_box stat -c '%a %U' "/run/chillbox/tasks/$id.sock")" = '660 root' ]
    for user in hello chillbox nobody; do
        run ! box run "$HOST" -u "$user" -- sh -c "cat /run/chillbox/tasks/$id.json || ls /run/chillbox/tasks"
        run ! box run "$HOST" -u "$user" -- chillboxctl runs attach "$id"
        run ! box run "$HOST" -u "$user" -- cat "/var/log/chillbox/hello/run.$id.log"
    done
    ctl runs stop "$id"
}

@test "the output of one run is read by its name [fault-1125]" {
    ctl run hello -- echo only-of-this-run
    [ "$(ctl logs -T "hello/run.$(newest id)")" = only-of-this-run ]
}

@test "the output of a run that has not ended stays, however many come after it [fault-1253]" {
    ctl run hello --detach -- sh -c 'echo early; until [ -e /var/lib/hello/go ]; do sleep 0.1; done'
    id=$(newest id)
    early() { [ "$(ctl logs -T "hello/run.$id")" = early ]; }
    wait_for 10 early
    in_box sh -c 'for n in $(seq 900001 900040); do echo later >"/var/log/chillbox/hello/run.$n.log"; done'
    ctl run hello -- true
    [ "$(in_box sh -c 'ls /var/log/chillbox/hello/run.9000*.log' | wc -l)" -lt 30 ]
    early
    in_box sh -c 'rm /var/log/chillbox/hello/run.9000*.log; touch /var/lib/hello/go'
    wait_for 10 ended
    in_box rm /var/lib/hello/go
}

@test "all of a long output comes through, and what is kept of it is bounded" {
    in_box sh -c "sed -i 's/^# log_size = .*/log_size = \"1M\"/' /etc/chillbox/chillboxd.toml && chillboxctl upgrade -q"
    [ "$(ctl run hello -- sh -c 'yes 0123456789 | head -c 20000000' | wc -c)" -eq 20000000 ]
    size=$(in_box sh -c 'cat /var/log/chillbox/hello/run.'"$(newest id)"'.log* | wc -c')
    [ "$size" -le 2500000 ] # two files, each over its size by one read
}
