#!/usr/bin/env bats
# No request is lost: keep-alive load through NGINX across deploys and rollbacks (issue: 0 failed of at least 100,000).

# shellcheck disable=SC2154 # helpers set them

load helpers/box
load helpers/host

setup_file() {
    host_possible || return 0
    host_up
    host_set_up
    secrets load
    make_site 1.0.0
    edit_site '.watch = "0s" | .services[0].workers = 2'
    send "$(pack)"
}

teardown_file() { host_down; }
setup() { host_or_skip; }

# Keep-alive requests in stretches of 10 s, until a file says stop: wrk counts what failed only when it ends by itself.
visit() {
    until [ -e "$LAPTOP/stop" ]; do
        box net "$HOST" -- wrk -t 1 -c 8 -d 10s -H 'Host: hello.example' "http://127.0.0.1/up"
    done >"$LAPTOP/wrk" 2>&1 </dev/null 3>&-
}

requests() { awk '/requests in/ {n += $1} END {print n + 0}' "$LAPTOP/wrk"; }
has_made() { [ "$(requests)" -ge "$1" ]; }

@test "0 failed requests of at least 100,000 under keep-alive load across 10 deploys and 10 rollbacks" {
    visit &
    sleep 1
    for n in 1 2 3 4 5 6 7 8 9 10; do
        make_site "1.1.$n"
        edit_site '.watch = "0s" | .services[0].workers = 2'
        send "$(pack)"
        ctl rollback hello
    done
    wait_for 400 has_made 100000 # however slow the machine is
    touch "$LAPTOP/stop"
    wait
    in_box sh -c 'cat /var/log/nginx/hello/access.log*' | awk '{split($0, part, "\" "); n[substr(part[2], 1, 3)]++} END {for (s in n) print s, n[s]}' >"$LAPTOP/answers"
    echo "# $(requests) requests; NGINX answered: $(tr '\n' ';' <"$LAPTOP/answers")" >&3
    # 499 is a visitor who left: what is open when a stretch ends.
    run ! grep -v '^200 \|^499 ' "$LAPTOP/answers"
    run ! grep -E 'Socket errors|Non-2xx' "$LAPTOP/wrk"
}
