#!/usr/bin/env bats
# A host that keeps itself in order: doctor, holds, pruning, logs that are rotated, a store that is made again.

# shellcheck disable=SC2154,SC2016 # box_up sets HOST; "sh -c" expands in the box

load helpers/box
load helpers/host

setup_file() {
    host_possible || return 0
    host_up
    host_set_up
    secrets "what nobody else may read"
    deploy "$(next_version)"
    deploy "$(next_version)"
}

teardown_file() { host_down; }
setup() { host_or_skip; }

checks() { ctl doctor --json | jq -r ".checks[] | select(.what == \"$1\") | .health"; }
restart_sealed() { in_box rc-service -q chillboxd restart; }

@test "doctor: a host that is well, a line for each thing that it needs, exit 0" {
    run -0 ctl doctor
    for what in config deployers senders identity signatures chillboxd lock sites audit users directories hooks tmpfs openrc nginx disk python; do
        grep -qE "^ok +$what " <<<"$output" || { printf 'no ok line for %s in:\n%s\n' "$what" "$output"; false; }
    done
    [ "$(grep -cE '^fail' <<<"$output" || :)" = 0 ]
    [ "$(ctl doctor --json | jq -r '.schema, .ok' | paste -sd ' ')" = "chillbox.doctor.v1 true" ]
}

@test "doctor: what is wrong is named with what to do, exit 1, also in --json" {
    in_box chmod 0755 /var/lib/chillbox/artifacts
    in_box rc-update -q del nginx default
    run -1 ctl doctor
    [[ "$output" == *"fail  directories   /var/lib/chillbox/artifacts has another owner or mode"* ]]
    [[ "$output" == *"-> chillboxctl init corrects them"* ]]
    [[ "$output" == *"fail  openrc        nginx is in no runlevel: it does not start at boot"* ]]
    [[ "$output" == *"-> rc-update add nginx default"* ]]
    [[ "$output" == *"2 checks fail"* ]]
    run -1 --separate-stderr ctl doctor --json
    [ "$(jq -r '.ok' <<<"$output")" = false ]
    [ "$(jq -r '.checks[] | select(.health == "fail") | .what' <<<"$output" | paste -sd ' ')" = "directories openrc" ]
    in_box rc-update -q add nginx default
    in_box chmod 0700 /var/lib/chillbox/artifacts
    run -0 ctl doctor
}

@test "doctor: NGINX is not asked again while all that it reads is unchanged, and is as soon as anything of it changed [attack-W20]" {
    unchanged() { [[ "$(ctl doctor)" == *"ok    nginx "*"; unchanged since it was tested at 20"* ]]; }
    fails_with() {
        run -1 ctl doctor
        [[ "$output" == *"fail  nginx "*"$1"* ]]
    }
    local file
    file=$(http_files)/new.conf
    wait_for 15 unchanged
    [ "$(in_box stat -c '%a %U' /run/chillbox/nginx-look)" = "600 root" ]
    in_box chown nobody /run/chillbox/nginx-look
    run -0 ctl doctor
    [[ "$output" != *"unchanged since"* ]]
    wait_for 15 unchanged
    in_box sh -c 'cp -a /etc/nginx/nginx.conf /root/ && echo "garbage on;" >>/etc/nginx/nginx.conf'
    fails_with 'unknown directive "garbage"'
    in_box cp -a /root/nginx.conf /etc/nginx/
    wait_for 15 unchanged
    in_box sh -c 'echo "server { listen 8089; rubbish on; }" >"$1"' sh "$file"
    fails_with 'unknown directive "rubbish"'
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=x -days 2 \
        -keyout "$BATS_TEST_TMPDIR/x.key" -out "$BATS_TEST_TMPDIR/x.pem" 2>/dev/null
    box push "$HOST" "$BATS_TEST_TMPDIR/x.key" "$BATS_TEST_TMPDIR/x.pem" /root/
    in_box sh -c 'echo "server { listen 8089 ssl; ssl_certificate /root/x.pem; ssl_certificate_key /root/x.key; }" >"$1"' sh "$file"
    wait_for 15 unchanged
    in_box sh -c 'echo garbage >/root/x.pem'
    fails_with /root/x.pem
    in_box rm "$file"
    run -0 ctl doctor
}

@test "doctor: without a running daemon it still looks at the rest" {
    in_box rc-service -q chillboxd stop
    run -1 ctl doctor
    [[ "$output" == *"fail  chillboxd "*"-> rc-service chillboxd start"* ]]
    [[ "$output" == *"ok    identity"* ]]
    in_box rc-service -q chillboxd start
    run -0 ctl doctor
    [[ "$output" == *"warn  lock          the host is locked"*"-> chillboxctl unlock"* ]]
    run -4 with_passphrase wrong unlock
    [[ "$(ctl doctor)" == *"warn  unlock        1 wrong passphrases"* ]]
    wait_for 10 unlock
}

@test "[fault-98] doctor: the clock of the laptop beside the host's, and a clock that was set back" {
    now=$(date +%s)
    run -0 ctl doctor --clock "$now"
    run -1 ctl doctor --clock "$((now + 86400))"
    [[ "$output" =~ fail\ \ clock\ +this\ host\ is\ 8(6399|6400|640[0-9])\ s\ behind:\ webhooks\ are\ refused ]]
    run -0 ctl doctor --clock "$((now - 60))"
    [[ "$output" == *"warn  clock         this host is 6"*" s ahead"* ]]
}

@test "[fault-121] doctor and status: a link that was moved by hand is shown" {
    in_box ln -sfn releases/1.1.0-1 /srv/chillbox/hello/current
    run -1 ctl doctor
    [[ "$output" == *"fail  site          hello: degraded: \`current\` points to 'releases/1.1.0-1', the live release is 1.2.0-2"* ]]
    [ "$(json status '.sites[0].state')" = degraded ]
    ctl restart hello
    run -0 ctl doctor
}

# Of the slot that has the traffic.
live_slot() { in_box readlink /run/chillbox/live/hello/api.sock | sed 's/.*api\.\([ab]\)\.sock/\1/'; }
master() { in_box cat "/run/openrc/options/chillbox.hello.api.$(live_slot)/child_pid"; }

@test "[fault-106] a deploy and a restart are a new process on a new socket, never a HUP of the old one" {
    before=$(master)
    slot=$(live_slot)
    version=$(next_version)
    deploy "$version"
    after=$(master)
    [ "$(live_slot)" != "$slot" ]
    [ "$after" != "$before" ]
    run ! in_box kill -0 "$before"
    in_box sh -c 'tr "\0" "\n" <"/proc/$1/cmdline" | grep -qF "/releases/$2-"' sh "$after" "$version" # not through `current`, which moves
    run ! in_box sh -c 'tr "\0" "\n" <"/proc/$1/cmdline" | grep -F /current/' sh "$after"
    [ "$(get /)" = "hello from $version" ]
    ctl restart hello
    [ "$(master)" != "$after" ]
    [ "$(live_slot)" = "$slot" ]
    run ! in_box grep -rq 'Handling signal: hup' /var/log/chillbox/hello
}

@test "[fault-116] an old worker of NGINX that waits for its visitor is told by doctor with what ends it, and then it ends" {
    in_box sh -c 'printf "server { listen 8088; location / { root /srv/slow; limit_rate 1k; } }\n" >"$1/slow.conf"
        mkdir -p /srv/slow && head -c 1000000 /dev/zero >/srv/slow/file && nginx -s reload' sh "$(http_files)"
    old() { in_box pgrep -f 'nginx: worker process is shutting down' >/dev/null; }
    none_old() { ! old; }
    workers() { in_box pgrep -f 'nginx: worker process$'; }
    renewed() { ! workers | grep -qxF "$before" && none_old; } # each of the workers before has left
    visit_slowly() { box net "$HOST" -- curl -s -m "$1" -o /dev/null http://127.0.0.1:8088/file 3>&- & }
    wait_for 10 host_curl -o /dev/null -r 0-1 http://127.0.0.1:8088/file
    visit_slowly 8
    sleep 0.5
    in_box nginx -s reload
    wait_for 5 old
    [[ "$(ctl doctor)" == *"warn  workers       1 old workers of NGINX wait"*"worker_shutdown_timeout 10m;"* ]]
    wait_for 20 none_old # the visitor has left
    in_box sed -i '1i worker_shutdown_timeout 1s;' /etc/nginx/nginx.conf
    before=$(workers)
    in_box nginx -s reload
    wait_for 10 renewed
    visit_slowly 60
    sleep 0.5
    in_box nginx -s reload
    wait_for 5 old
    run ! grep -q '^warn  workers' <<<"$(ctl doctor)"
    wait_for 20 none_old # the visitor has not
    in_box sh -c 'rm "$1/slow.conf"; sed -i 1d /etc/nginx/nginx.conf; nginx -s reload' sh "$(http_files)"
}

@test "a hold refuses deploys with who, when and why, exit 7; status shows it; it outlives a reboot" {
    run -2 ctl hold hello
    run -0 ctl hold -m 'the database moves' hello
    make_site "$(next_version)"
    artifact=$(pack)
    run -7 send "$artifact"
    [[ "$output" == *"'hello' is held by uid:0 root since 20"*": the database moves; \`chillboxctl release-hold hello\` ends the hold"* ]]
    [[ "$(ctl status)" == *"hello: held by uid:0 root since "*": the database moves"* ]]
    [[ "$(ctl audit -n 3)" == *"hold"*"the database moves"* ]]
    run -0 ctl restart hello
    box reboot "$HOST"
    ctl ping --wait 20s
    unlock
    run -7 send "$artifact"
    run -0 ctl release-hold hello
    run -0 send "$artifact"
    run -0 ctl release-hold hello
    [[ "$output" == *"unchanged"* ]]
}

@test "--no-watch: live at once, and the history says that nobody watched" {
    make_site "$(next_version)"
    edit_site '.watch = "10m"'
    run -0 send "$(pack)" --no-watch
    [[ "$(ctl job "$(json jobs hello '.jobs[0].id')")" == *"not watched, as requested"* ]]
}

@test "the verdict of the watch has its numbers" {
    deploy "$(next_version)"
    run -0 ctl job "$(json jobs hello '.jobs[0].id')"
    [[ "$output" =~ watched\ 1\.[0-9]\ s:\ [0-9]+\ health\ checks?,\ 0\ bad\;\ (no\ visitor|0\ of\ [0-9]+\ answers?\ 5xx)(\ \([0-9]+\ of\ [0-9]+\ before\))?\;\ no\ crash ]]
}

@test "prune: first what would go, then it goes" {
    in_box sh -c 'mkdir -p /srv/chillbox/hello/cache/old && printf 0123456789 >/srv/chillbox/hello/cache/old/file'
    run -0 ctl prune hello --dry-run
    [[ "$output" == *"/srv/chillbox/hello/cache/old"*"would remove 1, "* ]]
    in_box test -d /srv/chillbox/hello/cache/old
    run -0 ctl prune
    [[ "$output" == *"removed 1, "* ]]
    run ! in_box test -d /srv/chillbox/hello/cache/old
    run -3 ctl prune nosuch
}

log_of() { in_box sh -c 'cat "$@" 2>/dev/null || :' sh "$@"; }

@test "[fault-99] logs are rotated by size: the services' by who writes them, NGINX's by name; nobody wakes up for it when nothing is written" {
    in_box sed -i 's/^# log_size = .*/log_size = 64000/' /etc/chillbox/chillboxd.toml
    restart_sealed
    unlock
    in_box sh -c 'yes 0123456789 | head -n 10000 >>/var/log/chillbox/hello/api.log'
    in_box sh -c 'yes 0123456789 | head -n 10000 >>/var/log/nginx/hello/access.log'
    wait_for 20 in_box test -e /var/log/nginx/hello/access.log.1
    get / >/dev/null
    wait_for 5 in_box grep -q 'GET /' /var/log/nginx/hello/access.log # NGINX has opened it again
    ctl restart hello                                                 # it says so in its log
    wait_for 5 in_box test -e /var/log/chillbox/hello/api.log.1
    [ "$(in_box stat -c %s /var/log/chillbox/hello/api.log.1)" -ge 110000 ]
    in_box sh -c '[ -s /var/log/chillbox/hello/api.log ] && ! grep -q 0123456789 /var/log/chillbox/hello/api.log'
    sleep 11
    pid=$(json ping .pid)
    sleep 2 # what the ping needed is given back
    ticks=$(in_box sh -c 'cat /proc/"$1"/task/*/status | awk "/^voluntary/ {n += \$2} END {print n}"' sh "$pid")
    sleep 3
    [ "$(in_box sh -c 'cat /proc/"$1"/task/*/status | awk "/^voluntary/ {n += \$2} END {print n}"' sh "$pid")" = "$ticks" ]
}

@test "[fault-99] a full log disk: the site answers, and a deploy goes on" {
    in_box mount -t tmpfs -o size=64k full /var/log/chillbox/hello
    in_box sh -c 'cat /dev/zero >/var/log/chillbox/hello/api.log 2>/dev/null || :'
    version=$(next_version)
    run -0 deploy "$version"
    [ "$(get /)" = "hello from $version" ]
    in_box umount -l /var/log/chillbox/hello
    ctl restart hello
}

# The answers of the site while something happens to the host.
visit_while() {
    (while [ ! -e "$BATS_TEST_TMPDIR/enough" ]; do code / || :; printf '\n'; done >"$BATS_TEST_TMPDIR/codes") &
    "$@"
    touch "$BATS_TEST_TMPDIR/enough"
    wait
    [ "$(sort -u "$BATS_TEST_TMPDIR/codes")" = 200 ]
}

damage() {
    in_box rc-service -q chillboxd stop
    in_box sh -c 'dd if=/dev/zero of=/var/lib/chillbox/state.db bs=4096 seek=1 count=3 conv=notrunc 2>/dev/null'
    in_box rc-service -q chillboxd start
    ctl ping --wait 20s
}

@test "[fault-94] a damaged store is moved aside and made again from the releases, loudly; the site answers all the time" {
    live=$(json status '.sites[0].release')
    previous=$(json status '.sites[0].previous_good')
    visit_while damage
    [[ "$(ctl status)" == *"moved to /var/lib/chillbox/state.db.damaged-"*"site 'hello' was restored as /srv/chillbox/hello/state.json says"* ]]
    [ "$(json status '.sites[0] | [.release, .state] | join(" ")')" = "$live live" ]
    [[ "$(ctl doctor)" == *"warn  store "*"the store was damaged and rebuilt"* ]]
    [[ "$(ctl audit)" == *"chillboxd"*"restore"* ]]
    unlock
    run -0 ctl rollback hello
    [ "$(json status '.sites[0].release')" = "$previous" ]
    deploy "$(next_version)"
    in_box sh -c 'rm -f /var/lib/chillbox/state.db.damaged-*'
}

@test "[fault-94] a write-ahead log that is gone: the store is older than the disk, which is believed" {
    in_box sh -c 'rc-service -q chillboxd stop; cp /var/lib/chillbox/state.db /root/old.db; rc-service -q chillboxd start'
    ctl ping --wait 20s
    unlock
    version=$(next_version)
    deploy "$version"
    in_box rc-service -q chillboxd stop
    in_box sh -c 'cp /root/old.db /var/lib/chillbox/state.db; rm -f /var/lib/chillbox/state.db-wal /var/lib/chillbox/state.db-shm; rc-service -q chillboxd start'
    ctl ping --wait 20s
    [ "$(json status '.sites[0] | [.version, .state] | join(" ")')" = "$version live" ]
    [ "$(get /)" = "hello from $version" ]
}
