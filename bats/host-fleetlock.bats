#!/usr/bin/env bats
# hooks/reboot/fleetlock: hosts of a fleet reboot one after the other, by the lock of a server that is real (coreos/airlock, on etcd).

# shellcheck disable=SC2154,SC2016,SC2030,SC2031 # box_up sets HOST; "sh -c" expands in the box

load helpers/box
load helpers/host
load helpers/laptop
load helpers/hosts

SERVER=http://10.77.0.1:3333
BAD=http://10.77.0.1:3334

page_of_the_manual() { sed -n '/^cat >.etc.chillbox.fleetlock/,/^rc-update/p' "$ROOT/agent/man/chillbox-hooks.7.scd"; }

setup_file() {
    host_possible || return 0
    ROOT=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
    "$ROOT/tests/host/airlock" build || return 0
    ETCD=$("$ROOT/tests/host/debs" "$(. /etc/os-release && echo "$VERSION_CODENAME")" etcd-server etcd-client) || return 0
    export AIRLOCK=$BATS_FILE_TMPDIR/airlock MODE=$BATS_FILE_TMPDIR/mode
    hosts_up 2
    PATH=$ETCD/usr/bin:$PATH box net "$WEB1" -- "$ROOT/tests/host/airlock" run 10.77.0.1 "$AIRLOCK"
    echo pass >"$MODE"
    box net "$WEB1" -- sh -c '"$@" >/dev/null 2>&1 </dev/null 3>&- & echo $!' sh "$ROOT/tests/hooks/bad-http" 10.77.0.1 3334 10.77.0.1:3333 "$MODE" "$MODE.log" >"$MODE.pid"
    (cd "$LAPTOP" && laptop chillboxctl new hello --kind static >/dev/null)
    for number in 1 2; do
        on "$number" in_box sh -c "$(page_of_the_manual)"
        on "$number" in_box sh -c 'printf "id %s\nwait 0\n" "$1" >>/etc/chillbox/fleetlock' sh "web$number"
        on "$number" in_box sed -i 's/^drain .*/drain 1s/' /etc/chillbox/fleetlock
        on "$number" in_box sh -c 'printf "#!/bin/sh\n[ ! -e /root/stays ] || exit 1\nexec openrc-shutdown --reboot now\n" >/usr/local/sbin/reboot; chmod 0755 /usr/local/sbin/reboot'
    done
    (cd "$LAPTOP/hello" && laptop chillboxctl deploy -y -H web1 && laptop chillboxctl deploy -y -H web2)
}
teardown_file() {
    [ ! -e "${AIRLOCK-}/pids" ] || kill $(cat "$AIRLOCK/pids")
    [ ! -e "${MODE-}.pid" ] || kill "$(cat "$MODE.pid")"
    hosts_down
}
setup() {
    host_or_skip
    [ -n "${AIRLOCK-}" ] || skip 'needs airlock (Go) and etcd (Debian)'
    HOST=$WEB1
}
teardown() { printf '%s\n' "${output-}"; }

fleetlock() { in_box /usr/lib/chillbox/hooks/reboot/fleetlock "$@"; }
ready() { in_box curl -s -o /dev/null -w '%{http_code}' -H 'Host: localhost' http://127.0.0.1/hello/ready; }
# What the server itself says of a host that is none of these.
lock_is_free() {
    for path in pre-reboot steady-state; do
        box net "$WEB1" -- curl -sf -o /dev/null -H 'fleet-lock-protocol: true' -d '{"client_params":{"id":"else","group":"web"}}' "$SERVER/v1/$path" || return
    done
}
settings() { in_box sed -i "$1" /etc/chillbox/fleetlock; }
in_time() { # SECONDS CMD...
    for _ in $(seq "$(($1 * 2))"); do
        ! "${@:2}" || return 0
        sleep 0.5
    done
    return 1
}

@test "one host reboots, the other waits; the lock is back when the first one is unlocked and its site is ready, and not before" {
    on 2 in_box sh -c 'setsid /usr/lib/chillbox/hooks/reboot/fleetlock reboot >/root/fleetlock.log 2>&1 </dev/null &'
    in_time 20 eval 'on 2 in_box grep -qsx drained /var/lib/chillbox/fleetlock'
    run ! lock_is_free
    # After the boot it is locked: neither ready nor given back. The other one is refused, and stays as it is.
    in_time 60 eval '[[ "$(on 2 ctl ping 2>/dev/null)" == *", locked" ]]'
    [ "$(on 2 ready)" = 503 ]
    run -5 fleetlock reboot
    [ "$output" = 'fleetlock: no lock: all 1 semaphore slots currently locked' ]
    [ "$(ready)" = 200 ]
    run -1 in_box test -e /var/lib/chillbox/fleetlock
    # Unlocked, but its site is not as it was: the lock is still not given back.
    on 2 ctl maintenance on hello
    on 2 unlock
    in_time 20 eval '[ "$(on 2 json status .drained)" != true ]'
    sleep 6
    run ! lock_is_free
    on 2 ctl maintenance off hello
    in_time 20 lock_is_free
    [ "$(on 2 ready)" = 200 ]
    run -1 on 2 in_box test -e /var/lib/chillbox/fleetlock
}

@test "a reboot that does not take place is taken back: it cannot be drained, it does not reboot, somebody ends it while it waits [fault-926]" {
    in_box rc-service -q chillboxd stop
    run -1 fleetlock reboot
    [[ "$output" == *'fleetlock: the host is not drained, and not rebooted' ]]
    lock_is_free
    in_box rc-service -q chillboxd start
    unlock
    in_box touch /root/stays
    run -1 fleetlock reboot
    [ "$output" = 'fleetlock: the host does not reboot' ]
    lock_is_free
    [ "$(ready)" = 200 ]
    run -1 in_box test -e /var/lib/chillbox/fleetlock
    # A drain of somebody else is not this one's to end.
    ctl drain
    run -1 fleetlock reboot
    lock_is_free
    [ "$(ready)" = 503 ]
    ctl undrain
    # It waits for its turn, and gives up when it is ended.
    box net "$WEB1" -- curl -sf -o /dev/null -H 'fleet-lock-protocol: true' -d '{"client_params":{"id":"else","group":"web"}}' "$SERVER/v1/pre-reboot"
    settings 's/^wait .*/wait 60/'
    in_box sh -c 'setsid /usr/lib/chillbox/hooks/reboot/fleetlock reboot >/root/fleetlock.log 2>&1 </dev/null & echo $! >/root/pid; sleep 1; kill "$(cat /root/pid)"'
    in_time 20 eval '! in_box test -e /var/lib/chillbox/fleetlock'
    settings 's/^wait .*/wait 0/'
    box net "$WEB1" -- curl -sf -o /dev/null -H 'fleet-lock-protocol: true' -d '{"client_params":{"id":"else","group":"web"}}' "$SERVER/v1/steady-state"
    in_box rm /root/stays
}

@test "an answer that gets lost holds no lock, and a server that is away none that its host forgets [fault-927]" {
    settings "s,^url .*,url $BAD,"
    echo lost >"$MODE"
    run -5 fleetlock reboot
    [[ "$output" == *'no lock: curl: (52)'* ]]
    lock_is_free
    [ "$(ready)" = 200 ]
    # Granted, and then nobody answers: it is given back when somebody does.
    settings 's,^url .*,url http://10.77.0.1:9,'
    run -5 fleetlock reboot
    [[ "$output" == *'no lock: curl: (7)'*'the lock is not given back: curl: (7)'* ]]
    run -0 in_box cat /var/lib/chillbox/fleetlock
    [ "$output" = 'site hello' ]
    settings "s,^url .*,url $SERVER,"
    in_box rc-service -q chillbox-fleetlock restart
    in_time 20 eval '! in_box test -e /var/lib/chillbox/fleetlock'
    for bad in 's,^url .*,url ftp://10.77.0.1,' '/^url/d' 's/^wait .*/wait ever/' 's/^id .*/id a"b/' 's/^group .*/group a b/'; do
        in_box cp /etc/chillbox/fleetlock /root/kept
        settings "$bad"
        run -3 fleetlock reboot
        [[ "$output" == 'fleetlock: /etc/chillbox/fleetlock: '* ]]
        in_box cp /root/kept /etc/chillbox/fleetlock
    done
    run -2 fleetlock
    run -2 fleetlock release
}

@test "a server of the lock can keep a host from rebooting, and no more: nothing of it is followed, kept or shown as it is [attack-G70]" {
    in_box sh -c 'command -v busybox' || box push "$HOST" "$(command -v busybox)" /usr/local/bin/busybox
    settings "s,^url .*,url $BAD,"
    for mode in redirect endless escapes; do
        echo "$mode" >"$MODE"
        : >"$MODE.log"
        begun=$SECONDS
        run -5 in_box busybox ash /usr/lib/chillbox/hooks/reboot/fleetlock reboot
        [ $((SECONDS - begun)) -lt 25 ]
        [[ "$output" != *$'\e'* && "${#output}" -lt 900 ]]
        [ "$(sort -u "$MODE.log" | paste -sd ' ')" = '/v1/pre-reboot /v1/steady-state' ]
        [ "$(ready)" = 200 ]
        lock_is_free
        in_box rm -f /var/lib/chillbox/fleetlock
    done
    [[ "${lines[*]}" == *'no lock: {"kind":"x","value":"?[31mred fleetlock: done"} {"error":"\u001b[31mred"} 409'* ]]
    # Who grants whatever is asked has hosts reboot that wanted to, each after it was drained.
    echo yes >"$MODE"
    in_box touch /root/stays
    run -1 fleetlock reboot
    [ "$output" = 'fleetlock: the host does not reboot' ]
    run -0 ctl audit
    [[ "$output" == *undrain_host*drain_host* ]]
    in_box rm /root/stays
}
