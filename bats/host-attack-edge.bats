#!/usr/bin/env bats
# Strangers, senders and members of chillbox-admin who try to fill the host's disk, to keep others out, or to have it sealed.

# shellcheck disable=SC2154,SC2016 # box_up sets HOST; "sh -c" expands in the box

load helpers/box
load helpers/host

setup_file() {
    host_possible || return 0
    host_up
    host_set_up
    add_user mallory 4001 /home/mallory chillbox-admin
    box push "$HOST" "$ROOT/tests/host/attack-put" "$ROOT/tests/host/attack-control" /usr/local/bin/
    secrets hush >&2
    deploy 1.0.0 >&2
}

teardown_file() { host_down; }
setup() { host_or_skip; }

DIGEST=$(printf 'a%.0s' $(seq 64))
FORGED=$(printf '0%.0s' $(seq 16)).$(printf 'f%.0s' $(seq 32))

as_mallory() { box run "$HOST" -u mallory -- "$@"; }
refused() { json status ".host.refused_$1"; }
monitor() { json ping .pid; }
is_up() { [ "$(host_curl -o /dev/null -w '%{http_code}' "$URL/v1/health")" = 200 ]; }
within() { # SECONDS COMMAND...: until it succeeds
    for _ in $(seq $(($1 * 5))); do
        ! "${@:2}" || return 0
        sleep 0.2
    done
    return 1
}
ticks() { in_box awk '{print $14 + $15}' "/proc/$1/stat"; } # of the processor, hundredths of a second
log_lines() { in_box sh -c 'wc -l </var/log/chillbox/chillboxd.log'; }

@test "who has no capability stores not a byte, chunked or not, and is counted [attack-B2]" {
    before=$(refused uploads)
    for target in "/v1/artifacts/$DIGEST" "/v1/artifacts/$DIGEST?cap=$FORGED" "/v1/artifacts/$DIGEST.minisig?cap=$FORGED"; do
        run -0 in_box attack-put 8 "$target" 50000000
        echo "$output"
        [[ "$output" == *'stored 0 '* ]]
        [[ "$output" != *'answer 2'* ]]
    done
    run -0 in_box attack-put 8 "/v1/artifacts/$DIGEST" 50000000 chunked
    [[ "$output" == *'stored 0 '* ]]
    [[ "$output" == *'answer 411'* ]]
    counted() { [ "$(refused uploads)" -ge $((before + 16)) ]; } # .minisig of 50 MB is NGINX's own refusal
    within 10 counted
    [ "$(in_box grep -c 'refused .* uploads' /var/log/chillbox/chillboxd.log)" -le 8 ]
    [[ "$(ctl status)" == *'refused '*' upload'* ]]
}

@test "an upload that stopped is continued by its sender alone: a stranger and another sender add no byte to it [attack-B2]" {
    make_site "$(next_version)"
    head -c 3000000 /dev/urandom >"$LAPTOP/hello/api/noise.bin"
    artifact=$(pack)
    sum=$(sha256sum <"$artifact" | cut -d ' ' -f 1)
    job() { jq -cn --arg site "$1" --arg version "$2" --arg sha "$sum" --argjson size "$(stat -c %s "$artifact")" '{site: $site, version: $version, sha256: $sha, size: $size}'; }
    received() { host_curl "$1" | jq .upload.received; }
    put() { host_curl -o /dev/null -w '%{http_code}' -H 'expect:' "$@"; }
    announce site.deploy "$(job hello "$(jq -r .version "$LAPTOP/hello/hello.site.json")")" >/dev/null
    mine=$(link artifact) signature=$(link signature) shown=$(link status) events=$(link events)
    host_curl -f -T "$artifact.minisig" -H 'expect:' "$signature"
    run ! host_curl -m 3 --limit-rate 300000 -T "$artifact" -H 'expect:' "$mine"
    stopped() { [ "$(host_curl "$shown" | jq .upload.running)" = false ]; }
    within 40 stopped
    have=$(received "$shown")
    [ "$have" -gt 100000 ]
    # A stranger, with everything but the capability.
    for target in "${mine%%[?]*}" "${mine%%[?]*}?cap=$FORGED"; do
        [[ "$(put -C "$have" -T "$artifact" "$target")" != 2* ]]
    done
    # A sender of another site, who announces the same bytes.
    mkdir -p "$LAPTOP/eve"
    ctl webhook add eve --sites other --types site.deploy 2>/dev/null >"$LAPTOP/eve/hook.key"
    (LAPTOP=$LAPTOP/eve && announce site.deploy "$(job other 1.0.0)" >/dev/null)
    theirs=$(LAPTOP=$LAPTOP/eve link artifact)
    [ "$(received "$(LAPTOP=$LAPTOP/eve link status)")" = 0 ]
    [ "$(put -C "$have" -T "$artifact" "$theirs")" = 409 ]
    [ "$(received "$shown")" = "$have" ]
    [ "$(put -C "$have" -T "$artifact" "$mine")" = 201 ]
    host_curl -N "$events" >/dev/null
    [[ "$(get /)" == "hello from "* ]]
    ctl webhook remove eve
}

@test "a webhook's body, and what is sent to any other address of the host's server, reaches no disk [attack-B2]" {
    run -0 in_box attack-put 8 /v1/hooks 65000 post
    [[ "$output" == *'stored 0 '* ]]
    for target in / /healthcheck/ /v1/health /v1/jobs/0123456789abcdef /hello/version.txt /.well-known/acme-challenge/x; do
        for how in post chunked-post; do
            run -0 in_box attack-put 4 "$target" 3000000 "$how"
            [[ "$output" == *'stored 0 '* ]]
        done
    done
}

@test "a capability has an end, too: no more than was announced, 8 at once of an address and of a sender; others still pass [attack-B2]" {
    announce site.deploy '{"site": "hello", "version": "7.0.0", "sha256": "'"$DIGEST"'", "size": 1000000}' >/dev/null
    cap=$(jq -r .links.artifact "$LAPTOP/answer")
    # NGINX may not have noticed yet that those of the test before are gone, and holds what they sent.
    too_large() { [[ "$(in_box attack-put 1 "$cap" 1000001)" == *'answer 413'*'stored 0 '* ]]; }
    within 10 too_large
    run -0 in_box attack-put 12 "$cap" 1000000 slow 127.0.0.21
    [ "$(grep -c 'answer 429' <<<"$output")" -eq 4 ]
    run -0 in_box attack-put 12 "$cap" 1000000 slow each
    echo "$output"
    [ "$(grep -c 'answer 503' <<<"$output")" -eq 4 ]
    [ "$(sed -n 's/.*inbox \([0-9]*\).*/\1/p' <<<"$output")" -le 8000000 ]
    is_up
}

@test "a whole upload still passes, and costs the edge no memory" {
    make_site "$(next_version)"
    head -c 20000000 /dev/urandom >"$LAPTOP/hello/api/noise.bin"
    run -0 send "$(pack)"
    edge=$(in_box pgrep -u chillbox)
    [ "$(in_box sed -n 's/^VmHWM:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$edge/status")" -le 16000 ]
}

# limit PID WHAT SOFT HARD, as prlimit does
limit() { in_box python3 -c 'import resource, sys; resource.prlimit(int(sys.argv[1]), getattr(resource, "RLIMIT_" + sys.argv[2]), (int(sys.argv[3]), int(sys.argv[4])))' "$@"; }

@test "an edge that cannot be started is tried again by a timer: no processor, no flood in the log, no seal [attack-C11]" {
    pid=$(monitor)
    free=$(in_box sh -c 'n=0; while [ -e "/proc/$1/fd/$n" ]; do n=$((n + 1)); done; echo $n' sh "$pid")
    limit "$pid" NOFILE "$free" 4096 # no other descriptor is to be had
    lines=$(log_lines)
    used=$(ticks "$pid")
    in_box pkill -9 -u chillbox
    sleep 5
    used=$(($(ticks "$pid") - used))
    lines=$(($(log_lines) - lines))
    limit "$pid" NOFILE 1024 4096
    printf '# %s ticks, %s lines in 5 s\n' "$used" "$lines" >&3
    [ "$used" -le 50 ]
    [ "$lines" -ge 3 ]
    [ "$lines" -le 8 ]
    within 20 is_up
    [ "$(json ping '"\(.pid) \(.sealed)"')" = "$pid false" ]
}

@test "a thread that is not to be had is an error of one request: the host stays unsealed [attack-C13]" {
    pid=$(monitor)
    size=$(in_box sed -n 's/^VmSize:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$pid/status")
    limit "$pid" AS "$((size * 1024 + 300000))" -1
    run -0 in_box attack-control idle 30 3
    limit "$pid" AS -1 -1
    echo "$output"
    [[ "$output" == *'no thread left'* ]]
    answers() { ctl status >/dev/null 2>&1; }
    within 20 answers
    [ "$(json ping '"\(.pid) \(.sealed)"')" = "$pid false" ]
}

@test "a vault that is slow is waited for: the job ends well, and the host stays unsealed [attack-C14]" {
    make_site "$(next_version)"
    artifact=$(pack)
    vault=$(in_box pgrep -u chillbox-vault)
    in_box kill -STOP "$vault"
    send "$artifact" >"$LAPTOP/slow.log" 2>&1 &
    sender=$!
    waits() { [ "$(json jobs hello -n 1 '.jobs[0] | "\(.state) \(.step)"')" = 'running unseal' ]; }
    within 20 waits
    sleep 13
    waits
    ctl status >/dev/null # and nobody else waits for it
    in_box kill -CONT "$vault"
    wait "$sender"
    [ "$(in_box pgrep -u chillbox-vault)" = "$vault" ]
    [ "$(json ping .sealed)" = false ]
}

@test "40 idle connections of a member keep root out for no moment [attack-C8]" {
    as_mallory attack-control idle 40 6 >"$LAPTOP/idle.log" 2>&1 &
    holder=$!
    sleep 1
    for _ in $(seq 5); do
        begun=$(date +%s%N)
        run -0 ctl status
        [ $((($(date +%s%N) - begun) / 1000000)) -le 3000 ]
    done
    wait "$holder"
    [ "$(grep -c 'the most for one user' "$LAPTOP/idle.log")" -ge 32 ]
}

@test "followers that went away hold no place, whatever they had sent, and others hold up no upgrade [attack-C8]" {
    announce site.deploy '{"site": "hello", "version": "7.1.0", "sha256": "'"${DIGEST//a/b}"'", "size": 1000}' >/dev/null
    job=$(jq -r .job "$LAPTOP/answer")
    as_mallory attack-control follow 8 1 "$job" # each with a byte that nobody reads, and gone after a second
    follows() { as_mallory attack-control follow 8 0 "$job" | grep -c 'following' | grep -qx 8; }
    within 10 follows
    as_mallory attack-control follow 8 30 "$job" >"$LAPTOP/follow.log" 2>&1 &
    holder=$!
    sleep 1
    pid=$(monitor)
    begun=$(date +%s)
    run -0 ctl upgrade
    within 20 is_up
    ctl ping --wait 20s >/dev/null
    [ $(($(date +%s) - begun)) -le 20 ]
    [ "$(json ping '"\(.pid) \(.sealed)"')" = "$pid false" ]
    kill "$holder" 2>/dev/null || :
    wait "$holder" || :
}

@test "a member's wrong passphrases make himself wait, not root [attack-D7]" {
    guess() { printf 'wrong\n' | box run "$HOST" -u mallory -- sh -c 'exec 3<&0 </dev/null; exec chillboxctl unlock --passphrase-fd 3'; }
    run -0 ctl lock
    run -4 guess
    sleep 1.2
    run -4 guess
    run -7 guess
    [[ "$output" == *'wait '* ]]
    run -0 unlock
    [ "$(json ping .sealed)" = false ]
}

@test "a member who sends an artifact for a plan drop by drop has one place for that, and root plans meanwhile [attack-D10]" {
    make_site "$(next_version)"
    artifact=$(pack)
    box push "$HOST" "$artifact" "$artifact.minisig" /root/
    as_mallory attack-control plan 3 8 >"$LAPTOP/plan.log" 2>&1 &
    holder=$!
    sleep 1
    run -0 ctl plan "/root/$(basename "$artifact")"
    wait "$holder"
    [ "$(grep -c 'you are sending an artifact' "$LAPTOP/plan.log")" -eq 2 ]
}
