#!/usr/bin/env bats
# hooks/reboot/fleetlock: hosts of a fleet reboot one after the other, by the lock of a server that is real (coreos/airlock, on etcd).

# shellcheck disable=SC2154,SC2016,SC2030,SC2031 # box_up sets HOST; "sh -c" expands in the box

load helpers/box
load helpers/host
load helpers/laptop
load helpers/hosts

SERVER=http://10.77.0.1:3333
BAD=http://10.77.0.1:3334

page_of_the_manual() { # both examples of it
    sed -n -e '/^cat >.etc.chillbox.fleetlock/,/^rc-update/p' -e '/^cat >.etc.periodic.weekly/,/^chmod/p' "$ROOT/agent/man/chillbox-hooks.7.scd"
}

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
        on "$number" in_box mkdir -p /etc/periodic/weekly /etc/periodic/hourly
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
    for path in pre-reboot steady-state; do other_host "$path" || return; done
}
other_host() { # pre-reboot|steady-state
    box net "$WEB1" -- curl -sf -o /dev/null -H 'fleet-lock-protocol: true' -d '{"client_params":{"id":"else","group":"web"}}' "$SERVER/v1/$1"
}
in_background() { in_box sh -c 'setsid "$@" >/root/fleetlock.log 2>&1 </dev/null & echo $! >/root/pid' sh "$@"; }
settings() { in_box sed -i "$1" /etc/chillbox/fleetlock; }
in_time() { # SECONDS CMD...
    for _ in $(seq "$(($1 * 2))"); do
        ! "${@:2}" || return 0
        sleep 0.5
    done
    return 1
}

@test "one host reboots, the other waits; it has its turn when the first one is unlocked and its site is ready, and not before" {
    on 2 in_background /etc/periodic/hourly/reboot
    in_time 20 eval 'on 2 in_box grep -qsx drained /var/lib/chillbox/fleetlock'
    run ! lock_is_free
    # After the boot it is locked: neither ready nor given back. The other one is refused, and stays as it is.
    in_time 60 eval '[[ "$(on 2 ctl ping 2>/dev/null)" == *", locked" ]]'
    [ "$(on 2 ready)" = 503 ]
    run -5 in_box /etc/periodic/hourly/reboot
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
    # An hour later the other one asks again.
    in_background /etc/periodic/hourly/reboot
    in_time 60 eval '[[ "$(ctl ping 2>/dev/null)" == *", locked" ]]'
    run ! lock_is_free
    unlock
    in_time 20 lock_is_free
    in_time 20 eval '[ "$(ready)" = 200 ]'
}

@test "a reboot that does not take place is taken back: it cannot be drained, it does not reboot, somebody ends it while it waits [fault-926]" {
    in_box rc-service -q chillboxd stop
    run -1 fleetlock reboot
    [[ "$output" == *'fleetlock: the host is not drained, and not rebooted'$'\n''fleetlock: the host may still be drained: chillboxctl undrain' ]]
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
    other_host pre-reboot
    settings 's/^wait .*/wait 60/'
    in_background /usr/lib/chillbox/hooks/reboot/fleetlock reboot
    in_time 20 in_box test -e /var/lib/chillbox/fleetlock
    in_box sh -c 'kill "$(cat /root/pid)"'
    in_time 20 eval '! in_box test -e /var/lib/chillbox/fleetlock'
    settings 's/^wait .*/wait 0/'
    other_host steady-state
    # The same while load balancers notice: it is not left drained.
    settings 's/^drain .*/drain 1h/'
    in_background /usr/lib/chillbox/hooks/reboot/fleetlock reboot
    in_time 20 eval '[ "$(ready)" = 503 ]'
    run ! lock_is_free
    in_box sh -c 'kill "$(cat /root/pid)"'
    in_time 20 eval '! in_box test -e /var/lib/chillbox/fleetlock'
    [ "$(ready)" = 200 ]
    lock_is_free
    settings 's/^drain .*/drain 1s/'
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

@test "fleetlock runs once on a host: who comes second changes nothing, and a service that is stopped leaves the lock held [fault-930]" {
    other_host pre-reboot
    in_box touch /root/stays
    settings 's/^wait .*/wait 60/'
    in_background /usr/lib/chillbox/hooks/reboot/fleetlock reboot
    in_time 20 in_box test -e /var/lib/chillbox/fleetlock
    for verb in reboot steady; do
        run -4 fleetlock "$verb"
        [ "$output" = 'fleetlock: another fleetlock runs on this host: it reboots the host, or waits until the host is unlocked and ready' ]
        in_box test -e /var/lib/chillbox/fleetlock
    done
    other_host steady-state
    in_time 30 in_box grep -q 'does not reboot' /root/fleetlock.log
    lock_is_free
    settings 's/^wait .*/wait 0/'
    # The service waits for its server: a reboot does not give its lock away, nor does its own end.
    settings 's,^url .*,url http://10.77.0.1:9,'
    run -5 fleetlock reboot
    in_box rm -f /var/log/chillbox/fleetlock.log
    in_box rc-service -q chillbox-fleetlock restart
    in_time 20 in_box grep -q 'not given back yet: curl: (7)' /var/log/chillbox/fleetlock.log
    run -4 fleetlock reboot
    in_box rc-service -q chillbox-fleetlock stop
    run -5 fleetlock reboot
    run -0 in_box cat /var/lib/chillbox/fleetlock
    [ "$output" = 'site hello' ]
    # What it waits for is logged once.
    in_box rm -f /var/log/chillbox/fleetlock.log
    in_box rc-service -q chillbox-fleetlock start
    sleep 12
    [ "$(in_box grep -c . /var/log/chillbox/fleetlock.log)" -eq 1 ]
    settings "s,^url .*,url $SERVER,"
    in_box rc-service -q chillbox-fleetlock restart
    in_time 20 eval '! in_box test -e /var/lib/chillbox/fleetlock'
    in_box rc-service -q chillbox-fleetlock restart
    in_box rm /root/stays
}

@test "nobody but root can hold what keeps a second fleetlock out [attack-G72]" {
    in_box rm -f /run/chillbox-fleetlock.lock
    in_box sh -c ': >/var/lib/chillbox/fleetlock'
    in_box rc-service -q chillbox-fleetlock restart # with the umask of a boot
    in_time 20 eval '! in_box test -e /var/lib/chillbox/fleetlock'
    [ "$(in_box stat -c '%U %a' /run/chillbox-fleetlock.lock)" = 'root 600' ]
    run ! in_box setpriv --reuid 65534 --regid 65534 --clear-groups flock -n /run/chillbox-fleetlock.lock true
    [[ "$output" == *'ermission denied'* ]]
    in_box flock -n /run/chillbox-fleetlock.lock true
}

@test "a host that goes down while it drains is undrained after the boot, and gives the lock back then, also when that fails at first [fault-931] [fault-932]" {
    settings 's/^drain .*/drain 1h/'
    in_background /usr/lib/chillbox/hooks/reboot/fleetlock reboot
    in_time 20 eval '[ "$(ready)" = 503 ]'
    in_box sh -c 'setsid openrc-shutdown --reboot now >/dev/null 2>&1 </dev/null &'
    in_time 60 eval '[[ "$(ctl ping 2>/dev/null)" == *", locked" ]]'
    run ! lock_is_free
    in_box grep -qx drained /var/lib/chillbox/fleetlock
    unlock
    in_time 20 lock_is_free
    in_time 20 eval '[ "$(ready)" = 200 ]'
    settings 's/^drain .*/drain 1s/'
    ctl drain
    in_box sh -c 'echo drained >/var/lib/chillbox/fleetlock; mkdir /root/bin
        printf "#!/bin/sh\n[ \$1 != undrain ] || [ -e /root/once ] || { : >/root/once; echo away >&2; exit 5; }\nexec /usr/bin/chillboxctl \"\$@\"\n" >/root/bin/chillboxctl
        chmod 0755 /root/bin/chillboxctl'
    run -0 in_box sh -c 'PATH=/root/bin:$PATH exec /usr/lib/chillbox/hooks/reboot/fleetlock steady'
    [ "$output" = 'fleetlock: not undrained yet: away' ]
    [ "$(ready)" = 200 ]
    run -1 in_box test -e /var/lib/chillbox/fleetlock
}

@test "sites are asked at the port of chillboxd.toml, by no proxy and no .curlrc; when NGINX is away nothing is begun [fault-933]" {
    in_box cp /etc/chillbox/chillboxd.toml /root/toml
    in_box sed -i 's/^# http_port = .*/http_port = 8_080 # of a test/' /etc/chillbox/chillboxd.toml
    in_box rc-service -q chillboxd upgrade
    in_time 20 eval '[ "$(in_box curl -s -o /dev/null -w "%{http_code}" -H "Host: localhost" http://127.0.0.1:8080/hello/ready)" = 200 ]'
    in_box sh -c 'echo "proxy = http://127.0.0.1:9" >/root/.curlrc'
    in_box touch /root/stays
    settings 's/^drain .*/drain 1h/'
    in_background env HOME=/root http_proxy=http://127.0.0.1:9 https_proxy=http://127.0.0.1:9 /usr/lib/chillbox/hooks/reboot/fleetlock reboot
    in_time 20 in_box grep -qsx drained /var/lib/chillbox/fleetlock
    in_box grep -qx 'site hello' /var/lib/chillbox/fleetlock
    in_box sh -c 'kill "$(cat /root/pid)"'
    in_time 20 eval '! in_box test -e /var/lib/chillbox/fleetlock'
    in_box rm /root/.curlrc
    lock_is_free
    settings 's/^drain .*/drain 1s/'
    in_box cp /root/toml /etc/chillbox/chillboxd.toml
    in_box rc-service -q chillboxd upgrade
    in_time 20 eval '[ "$(ready)" = 200 ]'
    in_box rc-service -q nginx stop
    run -3 fleetlock reboot
    [[ "$output" == 'fleetlock: NGINX does not answer on port 80 of this host'* ]]
    run -1 in_box test -e /var/lib/chillbox/fleetlock
    lock_is_free
    in_box rc-service -q nginx start
    # A proxy that the settings name is asked.
    in_box sh -c 'echo "proxy http://127.0.0.1:9" >>/etc/chillbox/fleetlock'
    run -5 fleetlock reboot
    [[ "$output" == *'curl: (7)'*'127.0.0.1'* ]]
    settings '/^proxy/d'
    in_box rm -f /var/lib/chillbox/fleetlock /root/stays
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
    # A log on the disk has an end, even if the server says something else each time.
    run -0 in_box sh -c '. "${0%/*}/../lib/fleetlock"; say() { printf "%s\n" "$1"; }; for one in $(seq 500); do note "$one"; done' /usr/lib/chillbox/hooks/reboot/fleetlock
    [ "${#lines[@]}" -eq 100 ]
}
