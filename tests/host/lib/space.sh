# The namespace form: a host is a process tree in namespaces of its own over an overlay.
#
#   hold     owns the network namespace from up to down, so that the laptop's connections and the address survive
#            a reboot; watches the owner
#   machine  the power supply: runs the host, and again when the host reboots itself
#   init     OpenRC's init as pid 1 of the pid namespace; when it is killed the kernel kills everything in it
#
# Every mount is made in the host's own mount namespace, so none can be left behind.
# shellcheck shell=sh disable=SC2154

# What a box asks of this machine. A container has root and often none of it.
space_possible() {
    [ -r /proc/self/mountinfo ] || die "/proc is not mounted here: a box needs it"
    awk '$5 == "/" {found = 1} END {exit !found}' /proc/self/mountinfo ||
        die "'/' is not a mount point here, as in a plain chroot: first 'mount --bind DIR DIR', then pivot_root or chroot into DIR"
    said=$(unshare --mount --net --pid --fork --uts --ipc --cgroup --propagation private -- true 2>&1) ||
        die "this machine does not let root make namespaces ($said): in a container that takes all rights, such as docker's --privileged"
}

space_up() {
    space_possible
    if [ "$form" = space ] && [ -n "${BOX_DISK-}" ]; then
        truncate -s "$BOX_DISK" "$dir/image"
        PATH=$PATH:/sbin:/usr/sbin mke2fs -q -t ext4 -F "$dir/image"
    fi
    background "$BOX_HOME/box" _hold "$name" unshare --net
    until_true 5 test -s "$dir/hold" || die "box '$name': no network namespace (unshare --net)"
}

# background COMMAND VERB NAME PREFIX...: in a session of its own, holding none of the caller's descriptors open
# (a test runner waits until they are closed).
background() {
    bg_command=$1 bg_verb=$2 bg_name=$3
    shift 3
    setsid "$@" "$bg_command" "$bg_verb" "$bg_name" </dev/null >>"$dir/console.log" 2>&1 \
        3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&- &
}

# The holder of the network namespace. With an owner it ends the box when the owner is gone.
space_hold() {
    ip link set lo up 2>/dev/null || ifconfig lo up
    note_pid "$dir/hold" $$
    # A box whose directory went away under it was interrupted half way up.
    while [ ! -s "$dir/owner" ]; do
        sleep 10
        [ -e "$dir/id" ] || exit 0
    done
    while ! gone "$dir/owner"; do sleep 1; done
    # Not from in here: down kills this process and its group.
    background "$BOX_HOME/box" down "$name"
    while :; do sleep 60; done
}

space_start() {
    gone "$dir/init" || die "box '$name' is already running"
    gone "$dir/hold" && space_up
    hold=$(pid_of "$dir/hold") || die "box '$name': the holder of its network namespace died"
    rm -f -- "$dir/init"
    background "$BOX_HOME/box" _machine "$name" nsenter "--net=/proc/$hold/ns/net"
    until_true 10 test -s "$dir/init" || { tail -n 20 -- "$dir/console.log" >&2; die "box '$name' did not start"; }
}

# Runs the host; reboot(2) in a pid namespace ends its init with SIGHUP for "restart" and SIGINT for "off".
space_machine() {
    note_pid "$dir/machine" $$
    while :; do
        code=0
        unshare --mount --propagation private -- "$BOX_HOME/box" _power "$name" || code=$?
        rm -f -- "$dir/init"
        [ "$code" -eq 129 ] || exit 0
    done
}

# In a mount namespace of its own already: the cgroup, then the other namespaces.
space_power() {
    [ -d "$dir/mnt" ] || mkdir -- "$dir/mnt"
    space_cgroup
    exec unshare --pid --fork --kill-child=KILL --uts --ipc --cgroup -- sh "$BOX_HOME/lib/space-init.sh" "$dir" "$name"
}

# host/ is the host's own tree, laptop/ has what `box net` runs.
space_cgroup() {
    [ -d "$dir/cgroup" ] || mkdir -- "$dir/cgroup"
    mount -t cgroup2 none "$dir/cgroup" 2>/dev/null || return 0
    group=$dir/cgroup/chillbox-box-$id
    mkdir -p -- "$group/host/init" "$group/laptop"
    space_memory "$group"
    echo 0 >"$group/host/cgroup.procs"
}

# The limit of --mem, where this machine has the memory controller in its v2 tree.
space_memory() {
    read -r memory <"$dir/memory"
    [ -n "$memory" ] || return 0
    echo "$memory" 2>/dev/null >"$1/memory.max" ||
        say "box '$name': --mem $memory is not enforced, this machine has no cgroup v2 memory controller (BOX=vm has)"
}

# A command of the host, in all its namespaces, its cgroup and a clean environment.
space_run() {
    init=$(pid_of "$dir/init") || die "box '$name' is not running (box start $name)"
    # From out here: a cgroup outside of the host's cgroup namespace cannot be left from within it.
    echo 0 2>/dev/null >"/proc/$init/root/sys/fs/cgroup/init/cgroup.procs" || :
    [ "$user" = root ] || set -- sh -c "$run_inside" sh "$@"
    exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin TERM="${TERM:-dumb}" \
        LANG=C.UTF-8 SHELL=/bin/sh USER="$user" LOGNAME="$user" HOME=/root \
        nsenter --target "$init" --mount --uts --ipc --net --pid --cgroup --root --wdns=/root -- "$@"
}

# As another user: their groups and their home.
# shellcheck disable=SC2016
run_inside='
if [ "$USER" != root ]; then
    entry=$(getent passwd "$USER") || { echo "box: no user $USER in the box" >&2; exit 125; }
    HOME=$(echo "$entry" | cut -d : -f 6)
    # Without it: busybox, whose su starts no session and stays the same process.
    if setpriv --help 2>&1 | grep -q init-groups; then
        set -- setpriv --reuid="$USER" --regid="$(echo "$entry" | cut -d : -f 4)" --init-groups -- "$@"
    else
        set -- su -s /bin/sh -c "exec \"\$@\"" -- "$USER" sh "$@"
    fi
fi
cd "$HOME" 2>/dev/null || cd /
exec "$@"'

# A command of this machine (its own files) in the host's network. It ends with the box.
space_net() {
    hold=$(pid_of "$dir/hold") || die "box '$name' is not up"
    for tree in /sys/fs/cgroup/unified /sys/fs/cgroup; do
        if [ -w "$tree/chillbox-box-$id/laptop/cgroup.procs" ]; then
            echo 0 2>/dev/null >"$tree/chillbox-box-$id/laptop/cgroup.procs" || :
            break
        fi
    done
    exec nsenter "--net=/proc/$hold/ns/net" -- "$@"
}

space_wait() {
    until_true "$BOX_WAIT" space_ready || {
        tail -n 20 -- "$dir/console.log" >&2
        die "box '$name': the default runlevel was not reached in $BOX_WAIT s"
    }
}

space_ready() {
    ready_init=$(pid_of "$dir/init") && [ -e "/proc/$ready_init/root/run/box-ready" ]
}

# Orderly, but bounded: OpenRC stops every service, what is left gets TERM, then the power goes. What OpenRC's init does
# for a poweroff from within, without its three seconds of sleep.
space_stop() {
    init=$(pid_of "$dir/init") || return 0
    timeout "${BOX_STOP:-20}" "$BOX_HOME/box" run "$name" -- openrc shutdown </dev/null >>"$dir/console.log" 2>&1 ||
        say "box '$name' did not stop in ${BOX_STOP:-20} s, cutting it"
    "$BOX_HOME/box" run "$name" -- kill -TERM -1 </dev/null >>"$dir/console.log" 2>&1 || :
    until_true 1 space_empty || :
    space_off
}

# Only init is left.
space_empty() {
    set -- "/proc/$init/root/proc"/[0-9]*
    [ $# -eq 1 ]
}

# A power cut. A disk of its own stops at this moment, as the power of a real one would.
space_cut() {
    [ ! -e "$dir/image" ] || unshare --mount --propagation private -- "$BOX_HOME/box" _freeze "$name"
    space_off
}

# In a mount namespace of its own: the file system once more, and no write reaches its disk from now on.
space_freeze() {
    device=$(losetup --noheadings --output NAME --associated "$dir/image")
    [ -n "$device" ] || return 0
    mount "$device" "$dir/mnt"
    python3 "$BOX_HOME/lib/shutdown.py" "$dir/mnt"
}

# The machine first, so that nothing starts again, then everything in the host at once.
space_off() {
    kill_group "$dir/machine"
    # With the machine its child is killed too: it may be gone between the question and the kill, which is no failure.
    init=$(pid_of "$dir/init") && kill -KILL "$init" 2>/dev/null || :
    if [ -s "$dir/init" ]; then
        until_true 10 gone "$dir/init" || die "box '$name': its processes cannot be killed"
    fi
    rm -f -- "$dir/init" "$dir/machine"
    [ ! -e "$dir/image" ] || until_true 20 space_disk_is_free || die "box '$name': its disk is still in use"
}

space_disk_is_free() { [ -z "$(losetup --associated "$dir/image")" ]; }

kill_group() {
    group=$(pid_of "$1") || return 0
    kill -KILL "-$group" 2>/dev/null || :
    until_true 5 gone "$1" || :
}

space_down() {
    space_off
    in_cgroups space_cgroup_remove "chillbox-box-$id"
    kill_group "$dir/hold"
}

# in_cgroups FUNCTION ARG: with the cgroup tree at $tree, in a mount namespace of its own (the machine may have none mounted).
in_cgroups() {
    grep -q cgroup2 /proc/filesystems || return 0
    BOX_STATE=$BOX_STATE unshare --mount --propagation private -- "$BOX_HOME/box" _cgroups "$@" || :
}

space_cgroups() {
    tree=$(mktemp -d)
    trap 'umount "$tree" 2>/dev/null; rmdir -- "$tree"' EXIT
    mount -t cgroup2 none "$tree" 2>/dev/null || return 0
    "$@"
}

space_cgroup_remove() {
    [ -d "$tree/$1" ] || return 0
    echo 1 2>/dev/null >"$tree/$1/cgroup.kill" || :
    until_true 5 space_cgroup_rmdir "$1" || say "cgroup $1 could not be removed"
}

space_cgroup_rmdir() {
    find "$tree/$1" -depth -type d -exec rmdir -- {} + 2>/dev/null
    [ ! -d "$tree/$1" ]
}

# Cgroups of boxes that are no more.
space_gc() { in_cgroups space_cgroup_gc -; }

space_cgroup_gc() {
    for group in "$tree"/chillbox-box-*/; do
        [ -d "$group" ] || continue
        ! grep -q 'populated 1' "$group/cgroup.events" || continue
        group=${group%/}
        space_cgroup_remove "${group##*/}"
    done
}

space_ssh() {
    space_net ssh -i "$dir/key" -o IdentitiesOnly=yes -o StrictHostKeyChecking=no \
        -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR root@127.0.0.1 "$@"
}

space_url() { printf 'http://127.0.0.1\n'; }
