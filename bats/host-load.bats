#!/usr/bin/env bats
# No request is lost: keep-alive load through NGINX across deploys and rollbacks (issue: 0 failed of at least 100,000).

# shellcheck disable=SC2154 # helpers set them

load helpers/box
load helpers/host

setup_file() {
    host_up
    host_set_up
    secrets load
    make_site 1.0.0
    edit_site '.watch = "0s" | .services[0].workers = 2'
    send "$(pack)"
}

teardown_file() { host_down; }

@test "0 failed requests of at least 100,000 under keep-alive load across 10 deploys and 10 rollbacks" {
    box net "$HOST" -- wrk -t 1 -c 8 -d 600s --latency -H 'Host: hello.example' "http://127.0.0.1/up" >"$LAPTOP/wrk" 2>&1 </dev/null &
    load=$!
    sleep 1
    for n in 1 2 3 4 5 6 7 8 9 10; do
        make_site "1.1.$n"
        edit_site '.watch = "0s" | .services[0].workers = 2'
        send "$(pack)"
        ctl rollback hello
    done
    # Until there were enough of them, however slow the machine is.
    log=/var/log/nginx/hello/access.log
    for n in $(seq 1 300); do
        [ "$(in_box sh -c "wc -l <$log")" -lt 105000 ] || break
        sleep 1
    done
    kill -INT "$load"
    wait "$load" || :
    cat "$LAPTOP/wrk"
    in_box sh -c "cat $log*" >"$LAPTOP/access.log"
    all=$(wc -l <"$LAPTOP/access.log")
    bad=$(awk '{split($0, part, "\" "); if (substr(part[2], 1, 3) != "200") n++} END {print n + 0}' "$LAPTOP/access.log")
    echo "# $all requests, $bad not answered with 200, longest $(sed -n 's/.*Latency *[^ ]* *[^ ]* *\([^ ]*\).*/\1/p' "$LAPTOP/wrk" | head -n 1)" >&3
    [ "$all" -ge 100000 ]
    [ "$bad" -eq 0 ]
    # wrk prints these lines only when there were such errors; it drops what was open when it was stopped without counting it.
    ! grep -E 'Socket errors|Non-2xx' "$LAPTOP/wrk"
    grep -q 'requests in' "$LAPTOP/wrk"
}
