#!/usr/bin/env bats
# Uploads over a bad line (tests/host/bad-line), which the laptop has as its proxy: slow, cut off, over a restart; by chillboxctl and by curl.

# shellcheck disable=SC2154 # box_up sets HOST

load helpers/box
load helpers/host

setup_file() {
    host_possible || return 0
    host_up
    host_set_up
    in_box sh -c 'sed -i "/^upload_wait/d; s/^\[limits\]/[limits]\nupload_wait = \"6s\"/" /etc/chillbox/chillboxd.toml && grep -q ^upload_wait /etc/chillbox/chillboxd.toml'
    in_box rc-service -q chillboxd restart
    unlock
    secrets hush >&2
}

teardown_file() {
    end_line
    host_down
}
setup() { host_or_skip; }
teardown() { end_line; }

end_line() {
    [ -z "${LINE_PID-}" ] || kill "$LINE_PID" 2>/dev/null || :
    LINE_PID=
}

# line RATE [CUT...]
line() {
    end_line
    rm -f "$LAPTOP/line-port"
    box net "$HOST" -- python3 "$ROOT/tests/host/bad-line" "$LAPTOP" "$@" 3>&- &
    LINE_PID=$!
    for _ in $(seq 100); do [ ! -e "$LAPTOP/line-port" ] || break; sleep 0.05; done
    PROXY=http://127.0.0.1:$(cat "$LAPTOP/line-port")
}

big_site() { # VERSION BYTES
    make_site "$1"
    head -c "$2" /dev/urandom >"$LAPTOP/hello/api/noise.bin"
    ARTIFACT=$(pack)
}

over_line() { box net "$HOST" -- env http_proxy="$PROXY" "$@"; }
send_over() { over_line "$CTL" deploy "$ARTIFACT" --to "$URL" --webhook-key "$LAPTOP/hook.key" --wait "$@"; }

@test "[fault-201] an upload that takes longer than --timeout and upload_wait goes live: both count waiting, not sending" {
    line 80000
    big_site 1.0.0 2000000
    SECONDS=0
    run -0 send_over --timeout 20s
    [ "$SECONDS" -ge 23 ]
    [ "$(get /)" = "hello from 1.0.0" ]
}

@test "[fault-205] an upload that is cut off twice goes on by itself where it stopped" {
    line 2000000 1500000 1500000
    big_site 1.1.0 4000000
    run -0 --separate-stderr send_over
    [ "$(grep -c 'upload     continues at 1.. MB of\|upload     continues at [23].*MB of' <<<"$stderr")" -eq 2 ]
    [[ "$(get /)" = "hello from 1.1.0" ]]
    [ -z "$(in_box ls /var/lib/chillbox/inbox)" ]
}

@test "[fault-205] the command that was ended in the middle, run again, goes on where it stopped" {
    line 300000
    big_site 1.2.0 3000000
    run ! timeout -s INT 5 env http_proxy="$PROXY" "$ROOT/tests/host/box" net "$HOST" -- "$CTL" deploy "$ARTIFACT" --to "$URL" --webhook-key "$LAPTOP/hook.key"
    line 5000000
    run -0 --separate-stderr send_over
    [[ "$stderr" == *"upload     continues at "* ]]
    [[ "$(get /)" = "hello from 1.2.0" ]]
}

@test "[fault-207] a restart of the daemon in the middle: the upload begins again by itself" {
    line 500000
    big_site 1.3.0 3000000
    (sleep 3; in_box rc-service -q chillboxd restart; unlock) >/dev/null 2>&1 3>&- &
    run -0 --separate-stderr send_over --timeout 2m
    wait "$!"
    [[ "$stderr" == *"upload     broke off: "* ]]
    [[ "$(get /)" = "hello from 1.3.0" ]]
    [ -z "$(in_box ls /var/lib/chillbox/inbox)" ]
}

@test "[fault-205] curl goes on, too: -C with what the status says" {
    big_site 1.4.0 3000000
    announce site.deploy "$(jq -cn --arg sha "$(sha256sum <"$ARTIFACT" | cut -d ' ' -f 1)" --argjson size "$(stat -c %s "$ARTIFACT")" \
        '{site: "hello", version: "1.4.0", sha256: $sha, size: $size}')" >/dev/null
    link() { jq -r ".links.$1" "$LAPTOP/answer"; }
    host_curl -f -T "$ARTIFACT.minisig" -H 'expect:' "$URL$(link signature)"
    line 2000000 1000000
    run ! over_line curl -sS -T "$ARTIFACT" -H 'expect:' "$URL$(link artifact)"
    for _ in $(seq 100); do
        [ "$(host_curl "$URL$(link status)" | jq .upload.running)" = true ] || break
        sleep 0.2
    done
    received=$(host_curl "$URL$(link status)" | jq .upload.received)
    [ "$received" -gt 500000 ]
    code=$(host_curl -o "$LAPTOP/said" -w "%{http_code}" -C $((received - 1)) -T "$ARTIFACT" -H "expect:" "$URL$(link artifact)")
    [ "$code" = 409 ] || { echo "code $code"; cat "$LAPTOP/said"; false; }
    [ "$(host_curl -o /dev/null -w '%{http_code}' -C "$received" -T "$ARTIFACT" -H 'expect:' "$URL$(link artifact)")" = 201 ]
    host_curl -N "$URL$(link events)" >/dev/null
    [[ "$(get /)" = "hello from 1.4.0" ]]
}

@test "[fault-205] so does the script of docs/examples/plain" {
    line 2000000 1000000
    mkdir -p "$LAPTOP/desk/leaflet/pages"
    cd "$LAPTOP/desk"
    printf 'a leaf\n' >leaflet/pages/index.html
    head -c 3000000 /dev/urandom >leaflet/pages/noise.bin
    printf '%s' '{"name": "Leaflet", "server_name": "leaflet.example", "version": "1.0.0", "watch": "1s",
        "services": [{"name": "pages", "lang": "static", "handler": "pages"}]}' >leaflet/leaflet.site.json
    cp "$LAPTOP/deployer.key" "$LAPTOP/hook.key" .
    echo "$RECIPIENT" >recipient.txt
    run -0 over_line sh "$ROOT/docs/examples/plain/deploy.sh" "$URL" leaflet 1.0.0
    [[ "$output" == *"curl: "* ]] # it did break off
    [ "$(host_curl -H 'Host: leaflet.example' "$URL/")" = "a leaf" ]
}

@test "[fault-1204] a laptop deploys while its address asks more often than NGINX allows" {
    big_site 1.6.0 1000
    asks=$BATS_TEST_TMPDIR/asks
    asked() { host_curl -o /dev/null -w '%{http_code}\n' "$URL/v1/health?$1" "${@:2}"; }
    asked '[1-300]' >"$asks" # all that is free at once
    grep -q 429 "$asks"
    (while [ ! -e "$asks.end" ]; do asked '[1-25]' --rate 20/s; done) >/dev/null 3>&- & # and most of what becomes free
    run send "$ARTIFACT"
    touch "$asks.end"
    wait "$!"
    [ "$status" -eq 0 ] || { echo "$output"; false; }
    [ "$(get /)" = "hello from 1.6.0" ]
}

@test "[fault-207] a part that nobody goes on with is gone after upload_wait, and its job has ended" {
    line 300000
    big_site 1.5.0 3000000
    run ! timeout -s INT 4 env http_proxy="$PROXY" "$ROOT/tests/host/box" net "$HOST" -- "$CTL" deploy "$ARTIFACT" --to "$URL" --webhook-key "$LAPTOP/hook.key"
    [ -n "$(in_box ls /var/lib/chillbox/inbox)" ]
    for _ in $(seq 60); do
        [ -n "$(in_box ls /var/lib/chillbox/inbox)" ] || break
        sleep 0.5
    done
    [ -z "$(in_box ls /var/lib/chillbox/inbox)" ]
    [ "$(json jobs '.jobs[0] | .state + " " + .code')" = "failed timed_out" ]
}
