#!/usr/bin/env bats
# The init scripts and the slots under a real OpenRC, in the host in a box. test-openrc stands in for chillboxd: it has the launcher.

# shellcheck disable=SC2154,SC2016 # box_up sets it; sh -c expands in the box

load helpers/box

setup_file() {
    needs_root
    ROOT=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
    [ -x "$ROOT/${BUILD:-build}/test-openrc" ] || make -s -C "$ROOT" "${BUILD:-build}/test-openrc" >&2
    box_up HOST
    box push "$HOST" "$ROOT/${BUILD:-build}/test-openrc" /usr/local/bin/test-openrc
    # The other hosts have dash; here the init scripts run as on Alpine, under busybox ash.
    if ! box run "$HOST" -- test -e /bin/busybox; then
        box push "$HOST" "$(command -v busybox)" /usr/bin/
        box run "$HOST" -- sh -c 'ln -s busybox /bin/sh.new && mv /bin/sh.new /bin/sh'
    fi
    box run "$HOST" -- sh -c 'cat >/usr/sbin/chillboxd && chmod 0755 /usr/sbin/chillboxd' <<'END'
#!/bin/sh
if [ -e /etc/chillbox/half ]; then
  [ "${1-}" != --version ] || echo tried >>/run/chillbox/tries
  exit 127
fi
case ${1-} in
  --slot) exec /usr/local/bin/test-openrc "$@" ;;
  --version) ;;
  --check) [ ! -e /etc/chillbox/broken ] || { echo "chillboxd.toml:1: broken" >&2; exit 78; } ;;
  *)
    [ ! -e /etc/chillbox/crash ] || { sleep 0.5; exit 1; }
    trap 'echo reloaded' HUP
    trap 'rm -f /run/chillbox/up; exit 0' TERM
    echo "${CHILLBOX_SUPERVISED-}" >/run/chillbox/supervised
    echo $$ >/run/chillbox/up
    while :; do sleep 0.1; done ;;
esac
END
    box run "$HOST" -- sh -c 'cat >/usr/bin/chillboxctl && chmod 0755 /usr/bin/chillboxctl' <<'END'
#!/bin/sh
i=0
while [ ! -e /run/chillbox/up ]; do i=$((i + 1)); [ $i -lt $(($3 * 20)) ] || exit 124; sleep 0.05; done
END
    box push "$HOST" "$ROOT/openrc/chillboxd" "$ROOT/openrc/chillbox-service" /etc/init.d/
    box push "$HOST" "$ROOT/openrc/conf.d/chillboxd" "$ROOT/openrc/conf.d/chillbox" /etc/conf.d/
    box push "$HOST" "$ROOT/hooks/host/user-add" /usr/lib/chillbox/hooks/host/
    box run "$HOST" -- sh -c 'mkdir -p /etc/chillbox && : >/etc/chillbox/chillboxd.toml && /usr/lib/chillbox/hooks/host/user-add blog /var/lib/blog'
}

teardown_file() { [ -z "${HOST-}" ] || box down "$HOST"; }

setup() { bats_require_minimum_version 1.5.0; }

in_box() { box run "$HOST" -- "$@"; }

@test "slots: start, stop, crash and leftovers, each as a test of its own in the box" {
    in_box /usr/local/bin/test-openrc '[.box]' -r compact >&3
}

@test "chillboxd starts, is ready when the start returns, and its log is its own" {
    in_box rc-service chillboxd start
    in_box test -e /run/chillbox/up
    [ "$(in_box cat /run/chillbox/supervised)" = yes ] # else it would not wait when it keeps ending
    in_box rc-service chillboxd status
    [ "$(in_box stat -c %a /run/chillbox)" = 755 ]
}

@test "chillboxd: reload sends HUP and nothing else; a broken configuration is not reloaded" {
    in_box rc-service chillboxd restart
    before=$(in_box cat /run/chillbox/up)
    in_box rc-service chillboxd reload
    in_box sh -c 'i=0; until grep -q reloaded /var/log/chillbox/chillboxd.log; do i=$((i+1)); [ $i -lt 50 ] || exit 1; sleep 0.1; done'
    [ "$(in_box cat /run/chillbox/up)" = "$before" ]
    in_box sh -c ': >/var/log/chillbox/chillboxd.log; touch /etc/chillbox/broken'
    run in_box rc-service chillboxd reload
    in_box rm /etc/chillbox/broken
    [ "$status" -ne 0 ]
    [[ "$output" == *"chillboxd.toml:1: broken"* ]]
    run in_box grep reloaded /var/log/chillbox/chillboxd.log
    [ "$status" -ne 0 ]
}

@test "chillboxd: with a broken configuration it is not even started, and a restart keeps the running one" {
    in_box rc-service chillboxd restart
    before=$(in_box cat /run/chillbox/up)
    in_box touch /etc/chillbox/broken
    run in_box rc-service chillboxd restart
    in_box rm /etc/chillbox/broken
    [ "$status" -ne 0 ]
    [ "$(in_box cat /run/chillbox/up)" = "$before" ]
    in_box rc-service chillboxd status
}

@test "chillboxd: a daemon that keeps crashing says so at its start, is never given up, and answers once the cause is gone [attack-C7]" {
    in_box rc-service chillboxd stop
    in_box sh -c 'touch /etc/chillbox/crash; echo ready_timeout=2 >>/etc/conf.d/chillboxd'
    run in_box rc-service chillboxd start
    [ "$status" -eq 0 ]
    [[ "$output" == *"keeps crashing"* ]]
    sleep 10 # more often than it used to be allowed to
    in_box sh -c 'rm /etc/chillbox/crash; sed -i "\$d" /etc/conf.d/chillboxd'
    in_box chillboxctl ping --wait 30
    in_box rc-service chillboxd status
}

@test "chillboxd: one that ended is started again at once; one that cannot run at all is tried once a second, and answers once it can" {
    in_box rc-service chillboxd restart
    in_box sh -c 'touch /etc/chillbox/half; rm -f /run/chillbox/tries; kill -9 $(cat /run/openrc/options/chillboxd/child_pid); sleep 4.5'
    tries=$(in_box sh -c 'wc -l </run/chillbox/tries')
    [ "$tries" -ge 2 ]
    [ "$tries" -le 6 ]
    in_box sh -c 'rm /etc/chillbox/half /run/chillbox/up; chillboxctl ping --wait 10'
    # Less than the second that OpenRC could wait at least.
    in_box sh -c 'rm /run/chillbox/up; kill -9 $(cat /run/openrc/options/chillboxd/child_pid); sleep 0.8; test -e /run/chillbox/up'
}

@test "a restart, a kill -9 and a stop of chillboxd leave the slots of sites untouched" {
    in_box rc-service chillboxd restart
    in_box /usr/local/bin/test-openrc '[.leave]'
    slot=$(in_box cat /run/openrc/options/chillbox.blog.web.a/child_pid)
    in_box rc-service chillboxd restart
    in_box sh -c 'kill -9 $(cat /run/openrc/options/chillboxd/child_pid)'
    in_box chillboxctl ping --wait 5
    in_box rc-service chillboxd stop
    in_box kill -0 "$slot"
    [ "$(in_box cat /run/openrc/options/chillbox.blog.web.a/child_pid)" = "$slot" ]
    in_box rc-service chillbox.blog.web.a stop
    run in_box kill -0 "$slot"
    [ "$status" -ne 0 ]
}

@test "a slot started by hand without its spec says so and ends" {
    in_box ln -sf chillbox-service /etc/init.d/chillbox.blog.hand.a
    in_box sh -c 'mkdir -p /var/log/chillbox; echo "error_log=/var/log/chillbox/hand.log respawn_max=1" >/etc/conf.d/chillbox.blog.hand.a'
    in_box rc-service chillbox.blog.hand.a start
    in_box sh -c 'i=0; until grep -q "no such file" /var/log/chillbox/hand.log; do i=$((i+1)); [ $i -lt 50 ] || exit 1; sleep 0.1; done'
    in_box sh -c 'rc-service chillbox.blog.hand.a stop; rm /etc/init.d/chillbox.blog.hand.a /etc/conf.d/chillbox.blog.hand.a'
}

@test "all of this ran under busybox ash" {
    [[ "$(in_box readlink -f /bin/sh)" == */busybox ]]
    in_box sh -c 'readlink "/proc/$$/exe"; :' | grep -q busybox
}
