#!/usr/bin/env bats
# The host in a box itself (tests/host/): what every other whole-host story stands on.

load helpers/box

setup_file() {
    [ "$(id -u)" -eq 0 ] || return 0
    box root >/dev/null
    box_up HOST
}

teardown_file() {
    [ -z "${HOST-}" ] || box down "$HOST"
}

setup() {
    needs_root
    bats_require_minimum_version 1.5.0
}

teardown() {
    [ -z "${OTHER-}" ] || box down "$OTHER"
    [ -z "${BOX_STATE-}" ] || rm -rf -- "$BATS_TEST_TMPDIR/state"
}

@test "in a chroot it says what it needs, and leaves nothing" {
    cd "$BATS_TEST_DIRNAME/.."
    mkdir "$BATS_TEST_TMPDIR/root"
    run -1 unshare --mount --propagation private -- sh -c '
        cd "$1" && for name in bin sbin lib lib64; do [ ! -e "/$name" ] || { mkdir "$name" && mount --rbind "/$name" "$name"; }; done
        for name in usr etc proc dev sys tmp var "${2#/}"; do mkdir -p "$name" && mount --rbind "/$name" "$name"; done
        exec chroot . "$2/tests/host/box" up chrooted' sh "$BATS_TEST_TMPDIR/root" "$PWD"
    [[ "$output" == *"'/' is not a mount point here"*"mount --bind"* ]]
    [[ "$(box list)" != *chrooted* ]]
}

# traces NAME: how one box is seen from this machine, to look for after it ended.
traces() {
    id=$(cat "$STATE/$1/id")
    hold=$(cut -d ' ' -f 1 "$STATE/$1/hold")
    init=$(cut -d ' ' -f 1 "$STATE/$1/init")
    net_ns=$(readlink "/proc/$hold/ns/net")
    pid_ns=$(readlink "/proc/$init/ns/pid")
    mnt_ns=$(readlink "/proc/$init/ns/mnt")
}

# no_trace NAME: the first thing that is left, if any. Namespaces may take a moment to be torn down.
no_trace() {
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        left=$(find_trace "$1")
        [ -n "$left" ] || return 0
        sleep 0.1
    done
    printf 'left behind: %s\n' "$left"
    return 1
}

find_trace() {
    [ ! -e "$STATE/$1" ] || echo "state directory"
    find /proc/[0-9]*/ns -lname "$net_ns" -o -lname "$pid_ns" -o -lname "$mnt_ns" 2>/dev/null
    grep -lF "/$1/" /proc/[0-9]*/mountinfo 2>/dev/null
    find /sys/fs/cgroup -maxdepth 3 -name "chillbox-box-$id" 2>/dev/null
}

# serve HOST TEXT: a page of its own on port 8080, wherever this distribution's NGINX looks for servers.
serve() {
    box run "$1" -- sh -c 'mkdir -p /srv/web && echo "$1" >/srv/web/who
        for dir in /etc/nginx/http.d /etc/nginx/conf.d; do
            [ ! -d "$dir" ] || { echo "server { listen 8080; root /srv/web; }" >"$dir/who.conf"; break; }
        done' sh "$2"
    box run "$1" -- rc-service nginx reload
}

who() { box net "$1" -- curl -sf --retry 5 --retry-connrefused "$(box url "$1"):8080/who"; }

STATE=${BOX_STATE:-/var/lib/chillbox-box}

@test "a clean host reaches its default runlevel in seconds" {
    begin=$(date +%s%N)
    box_up OTHER
    took=$((($(date +%s%N) - begin) / 1000000))
    echo "# box up: $took ms" >&3
    [ "$took" -lt 15000 ]
    run -0 box run "$OTHER" -- rc-status -r
    [ "$output" = default ]
    run -0 box run "$OTHER" -- rc-status --servicelist
    [[ "$output" =~ nginx\ +\[\ +started ]]
    [[ "$output" =~ sshd?\ +\[\ +started ]]
    [[ "$output" =~ crond?\ +\[\ +started ]]
    run ! grep -F crashed <<<"$output"
}

@test "exit code, arguments and standard input pass through a run" {
    run -7 box run "$HOST" -- sh -c 'exit 7'
    run -0 box run "$HOST" -- printf '<%s>' 'a b' '' '$HOME;x'
    [ "$output" = '<a b><><$HOME;x>' ]
    run -0 box run "$HOST" -- cat <<<'from outside'
    [ "$output" = 'from outside' ]
    run -127 box run "$HOST" -- no-such-command
}

@test "a run starts in a clean environment, and as another user with their groups and home" {
    export LEAK=1
    run -0 box run "$HOST" -- env
    [[ "$output" != *LEAK* ]]
    box run "$HOST" -- sh -c 'addgroup extra; adduser -D visitor 2>/dev/null || adduser --disabled-password --gecos "" visitor;
        adduser visitor extra' >/dev/null 2>&1
    run -0 box run "$HOST" -u visitor -- sh -c 'id -un; echo $HOME; pwd; id -Gn'
    [ "${lines[0]}" = visitor ]
    [ "${lines[1]}" = /home/visitor ]
    [ "${lines[2]}" = /home/visitor ]
    [[ "${lines[3]}" == *extra* ]]
    run -125 box run "$HOST" -u nobody-here -- true
}

@test "a command of this machine reaches the host on 127.0.0.1 and only there" {
    serve "$HOST" 'only in the box'
    [ "$(who "$HOST")" = 'only in the box' ]
    run ! curl -sf -m 2 http://127.0.0.1:8080/who
    # Its own files, not the host's.
    echo laptop >"$BATS_TEST_TMPDIR/file"
    run -0 box net "$HOST" -- cat "$BATS_TEST_TMPDIR/file"
    [ "$output" = laptop ]
}

@test "ssh logs in as root with the key of the box and no questions" {
    run -0 box ssh "$HOST" 'hostname; id -un'
    [ "${lines[0]}" = "$HOST" ]
    [ "${lines[1]}" = root ]
    run -3 box ssh "$HOST" exit 3
}

@test "push copies as root into directories, to new names and through absolute links of the host; pull brings back" {
    mkdir -p "$BATS_TEST_TMPDIR/tree/deep"
    echo one >"$BATS_TEST_TMPDIR/tree/deep/file"
    printf '#!/bin/sh\necho ran\n' >"$BATS_TEST_TMPDIR/program"
    chmod 0755 "$BATS_TEST_TMPDIR/program"
    chown 12345 "$BATS_TEST_TMPDIR/program"
    box push "$HOST" "$BATS_TEST_TMPDIR/tree" "$BATS_TEST_TMPDIR/program" /opt/new/
    box push "$HOST" "$BATS_TEST_TMPDIR/program" /usr/local/bin/renamed
    run -0 box run "$HOST" -- sh -c 'cat /opt/new/tree/deep/file; renamed; stat -c "%u %a" /usr/local/bin/renamed'
    [ "$output" = $'one\nran\n0 755' ]
    # /var/run is an absolute link to /run: the host's /run, not this machine's.
    box push "$HOST" "$BATS_TEST_TMPDIR/program" /var/run/through-link
    box run "$HOST" -- test -f /run/through-link
    [ ! -e /run/through-link ]
    # Again over what is there: merged, not nested.
    box push "$HOST" "$BATS_TEST_TMPDIR/tree" /opt/new
    box run "$HOST" -- test ! -e /opt/new/tree/tree
    box pull "$HOST" /opt/new/tree "$BATS_TEST_TMPDIR/back"
    [ "$(cat "$BATS_TEST_TMPDIR/back/deep/file")" = one ]
    run ! box pull "$HOST" /no/such/file "$BATS_TEST_TMPDIR/nothing"
}

@test "supervise-daemon restarts a service that was killed" {
    cat >"$BATS_TEST_TMPDIR/sleeper" <<'END'
#!/sbin/openrc-run
supervisor=supervise-daemon
command=/bin/sleep
command_args=1000
pidfile=/run/sleeper.pid
respawn_delay=1
END
    chmod 0755 "$BATS_TEST_TMPDIR/sleeper"
    box push "$HOST" "$BATS_TEST_TMPDIR/sleeper" /etc/init.d/sleeper
    box run "$HOST" -- rc-service sleeper start
    for _ in $(seq 50); do
        first=$(box run "$HOST" -- cat /run/openrc/options/sleeper/child_pid) && break
        sleep 0.1
    done
    box run "$HOST" -- kill -9 "$first"
    for _ in $(seq 50); do
        second=$(box run "$HOST" -- cat /run/openrc/options/sleeper/child_pid) && [ "$second" != "$first" ] && break
        sleep 0.1
    done
    [ -n "$second" ]
    [ "$second" != "$first" ]
    # In a cgroup of its own, as on a real host: what a service leaves behind can be found.
    run -0 box run "$HOST" -- sh -c "grep ^0:: /proc/$second/cgroup"
    [[ "$output" == *sleeper* ]]
    box run "$HOST" -- rc-service sleeper stop
    run ! box run "$HOST" -- pgrep -x sleep
}

@test "a reboot keeps the disk, empties /run and /tmp, and ends every process" {
    box run "$HOST" -- sh -c 'echo kept >/etc/kept; : >/run/gone; : >/tmp/gone; nohup sleep 4321 >/dev/null 2>&1 &'
    begin=$(date +%s%N)
    box reboot "$HOST"
    echo "# box reboot: $((($(date +%s%N) - begin) / 1000000)) ms" >&3
    run -0 box run "$HOST" -- sh -c 'cat /etc/kept; ls /run/gone /tmp/gone 2>/dev/null; pgrep -x sleep; rc-status -r'
    [ "$output" = $'kept\ndefault' ]
    box net "$HOST" -- curl -s -o /dev/null "$(box url "$HOST")"
}

@test "a host that reboots itself comes back" {
    init=$(cat "$STATE/$HOST/init")
    box run "$HOST" -- sh -c "command -v openrc-shutdown >/dev/null && exec openrc-shutdown -r now; exec reboot" || :
    for _ in $(seq 200); do
        [ "$(cat "$STATE/$HOST/init" 2>/dev/null || echo "$init")" = "$init" ] || break
        sleep 0.1
    done
    [ "$(cat "$STATE/$HOST/init")" != "$init" ]
    box wait "$HOST"
    box run "$HOST" -- true
}

@test "a power cut asks nobody, and the disk is as it was" {
    box run "$HOST" -- sh -c 'echo before >/var/kept'
    box run "$HOST" -- sh -c "nohup sh -c 'trap \"echo asked >/var/asked\" TERM; while :; do sleep 0.1; done' >/dev/null 2>&1 &"
    box cut "$HOST"
    run -1 box run "$HOST" -- true
    [[ "$output" == *"is not running"* ]]
    box start "$HOST"
    run -0 box run "$HOST" -- sh -c 'cat /var/kept; ls /var/asked 2>/dev/null; rc-status -r'
    [ "$output" = $'before\ndefault' ]
}

@test "two hosts side by side share nothing" {
    box_up OTHER
    box run "$HOST" -- sh -c 'echo one >/etc/mine'
    box run "$OTHER" -- test ! -e /etc/mine
    serve "$HOST" one
    serve "$OTHER" two
    [ "$(who "$HOST")" = one ]
    [ "$(who "$OTHER")" = two ]
    box run "$HOST" -- sleep 7654 3>&- &
    run ! box run "$OTHER" -- pgrep -f 'sleep 7654'
    box down "$OTHER"
    box run "$HOST" -- pkill -x sleep
    run -0 box list
    [[ "$output" == *"$HOST "* ]]
    [[ "$output" != *"$OTHER "* ]]
}

@test "nothing is left after down, and down again is content" {
    box_up OTHER
    traces "$OTHER"
    # What hangs on: a process that ignores TERM, a mount in a namespace of its own, a laptop's command in the network.
    box run "$OTHER" -- sh -c "nohup sh -c 'trap : TERM HUP; while :; do sleep 1; done' >/dev/null 2>&1 &"
    box run "$OTHER" -- sh -c 'nohup unshare -mn sh -c "mount -t tmpfs none /mnt; sleep 1000" >/dev/null 2>&1 &'
    box net "$OTHER" -- sleep 1000 >/dev/null 2>&1 3>&- &
    [ -n "$(find_trace "$OTHER")" ]
    box down "$OTHER"
    no_trace "$OTHER"
    box down "$OTHER"
}

@test "a box ends when its owner is killed" {
    sleep 1000 3>&- &
    owner=$!
    OTHER=t$$-owned
    box up "$OTHER" --owner "$owner"
    traces "$OTHER"
    kill -9 "$owner"
    for _ in $(seq 50); do
        [ -d "$STATE/$OTHER" ] || break
        sleep 0.1
    done
    no_trace "$OTHER"
}

@test "gc ends what a dead owner left when the watcher died too" {
    sleep 1000 3>&- &
    owner=$!
    OTHER=t$$-orphan
    box up "$OTHER" --owner "$owner"
    traces "$OTHER"
    kill -9 "$hold" "$owner"
    wait "$owner" || :
    box gc
    no_trace "$OTHER"
    box run "$HOST" -- true
}

@test "an interrupted up leaves nothing" {
    OTHER=t$$-cut-off
    for delay in 0.05 0.2 0.35; do
        "$BATS_TEST_DIRNAME/../tests/host/box" up "$OTHER" 3>&- &
        up=$!
        sleep "$delay"
        kill -TERM "$up" 2>/dev/null || :
        wait "$up" || :
        if [ -d "$STATE/$OTHER" ]; then
            # It was quicker than the signal: then it is a whole box.
            box run "$OTHER" -- true
            box down "$OTHER"
        fi
        run ! grep -lF "/$OTHER/" /proc/[0-9]*/mountinfo
        run ! pgrep -f "box _[a-z]* $OTHER"
    done
}

@test "a bad name, a second box of the same name and a missing box are refused" {
    for bad in '' -x A a/b .. "$(printf '%032d' 0)"; do
        run -1 box up "$bad"
        [[ "$output" == *"no name for a box"* ]]
    done
    run -1 box up "$HOST"
    [[ "$output" == *"already exists"* ]]
    box run "$HOST" -- true
    run -1 box run no-such-box -- true
    [[ "$output" == *"no box 'no-such-box'"* ]]
    run -2 box no-such-verb
}

@test "the kernel's settings of this machine cannot be changed from the host, those of its network can" {
    run ! box run "$HOST" -- sh -c 'echo x >/proc/sys/kernel/hostname'
    run ! box run "$HOST" -- sh -c 'echo 0 >/sys/kernel/mm/ksm/run'
    box run "$HOST" -- sh -c 'echo 1024 >/proc/sys/net/ipv4/ip_unprivileged_port_start'
}

# bats test_tags=vm
@test "vm: a reboot keeps the disk and empties /run and /tmp, a power cut loses what was not synced" {
    command -v qemu-system-x86_64 >/dev/null || skip "qemu is not installed: $("$BATS_TEST_DIRNAME/../tests/host/box" deps vm)"
    begin=$(date +%s%N)
    BOX=vm box_up OTHER --mem 512M
    echo "# box up (vm): $((($(date +%s%N) - begin) / 1000000)) ms" >&3
    run -7 box run "$OTHER" -- sh -c 'printf "%s|" "$@"; cat; exit 7' sh 'a b' "it's" '$x' <<<stdin
    [ "$output" = "a b|it's|\$x|stdin" ]
    box net "$OTHER" -- curl -s -o /dev/null "$(box url "$OTHER")"
    run -0 box run "$OTHER" -- sh -c 'cat /sys/fs/cgroup/cgroup.subtree_control; rc-status -r'
    [[ "${lines[0]}" == *memory* ]]
    [ "${lines[1]}" = default ]

    box run "$OTHER" -- sh -c 'echo kept >/etc/kept; : >/run/gone; : >/tmp/gone'
    box reboot "$OTHER"
    run -0 box run "$OTHER" -- sh -c 'cat /etc/kept; ls /run/gone /tmp/gone 2>/dev/null; rc-status -r'
    [ "$output" = $'kept\ndefault' ]

    box run "$OTHER" -- sh -c 'echo lost >/etc/lost'
    box cut "$OTHER"
    run -1 box run "$OTHER" -- true
    box start "$OTHER"
    run -0 box run "$OTHER" -- sh -c 'cat /etc/kept; cat /etc/lost 2>/dev/null || :'
    [ "$output" = kept ]

    hold=$(cut -d ' ' -f 1 "$STATE/$OTHER/hold")
    init=$(cut -d ' ' -f 1 "$STATE/$OTHER/init")
    box down "$OTHER"
    for pid in "$hold" "$init"; do
        [ ! -e "/proc/$pid" ] || [ "$(cut -d ' ' -f 3 "/proc/$pid/stat")" = Z ]
    done
    [ ! -e "$STATE/$OTHER" ]
}

@test "a power cut copes with a host that ends by itself in the same moment" {
    printf '1 1\n' >"$BATS_TEST_TMPDIR/init"
    run -0 sh -euc '. "$1/common.sh"; . "$1/space.sh"
        dir=$2 name=x
        pid_of() { if [ -e "$dir/asked" ]; then return 1; fi; : >"$dir/asked"; echo 999999999; } # there when asked for, gone when killed
        kill_group() { :; }
        space_cut
        echo done' sh "$BATS_TEST_DIRNAME/../tests/host/lib" "$BATS_TEST_TMPDIR"
    [ "$output" = done ]
}
