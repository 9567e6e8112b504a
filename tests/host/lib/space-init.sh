#!/bin/sh
# Pid 1 of a box until it becomes the host's init: space-init.sh STATE_DIR NAME
# Already in its own mount, pid, uts, ipc, net and cgroup namespaces; makes the host's file systems and goes in.
set -eu
umask 022

main() {
    dir=$1 name=$2 mnt=$1/mnt
    lower=$(cat -- "$dir/lower")
    disk
    devices
    mount -t proc -o nosuid,nodev,noexec proc "$mnt/proc"
    # The kernel's own settings belong to this machine; only those of the network namespace are the box's.
    mount --bind "$mnt/proc/sys" "$mnt/proc/sys"
    mount -o remount,bind,ro "$mnt/proc/sys"
    mount --bind "$mnt/proc/sys/net" "$mnt/proc/sys/net"
    mount -o remount,bind,rw "$mnt/proc/sys/net"
    mount -t sysfs -o ro,nosuid,nodev,noexec sysfs "$mnt/sys"
    control_groups
    mount -t tmpfs -o mode=755,nosuid,nodev tmpfs "$mnt/run"
    mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$mnt/tmp"
    mkdir -m 1777 "$mnt/run/lock"
    hostname "$name"
    if [ ! -e "$mnt/etc/.box-dressed" ]; then
        chroot "$mnt" /bin/sh -s "$name" space "$(cat -- "$dir/key.pub")" <"${0%/*}/dress.sh"
    fi
    # /proc/self is still this machine's view here: the pid that the machine knows this process by.
    read -r self _ </proc/self/stat
    started=$(awk '{ sub(/.*\) /, ""); print $20 }' "/proc/$self/stat")
    printf '%s %s\n' "$self" "$started" >"$dir/init.new"
    mv -- "$dir/init.new" "$dir/init"
    cd "$mnt"
    pivot_root . .
    umount -l .
    init=/sbin/init
    [ ! -x /sbin/openrc-init ] || init=/sbin/openrc-init
    exec chroot . /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin TERM=linux "$init"
}

# The disk: what is written stays over reboots and power cuts. Where the state directory cannot be an upper layer (it is
# on an overlay itself, as in a container) the root is copied.
disk() {
    mkdir -p -- "$dir/disk"
    [ ! -e "$dir/image" ] || mount -o loop "$dir/image" "$dir/disk"
    if [ ! -d "$dir/disk/whole" ]; then
        mkdir -p -- "$dir/disk/upper" "$dir/disk/work"
        if mount -t overlay -o "lowerdir=$lower,upperdir=$dir/disk/upper,workdir=$dir/disk/work" overlay "$mnt" 2>/dev/null; then
            return 0
        fi
        cp -a -- "$lower" "$dir/disk/part"
        mv -- "$dir/disk/part" "$dir/disk/whole"
    fi
    mount --bind "$dir/disk/whole" "$mnt"
}

devices() {
    mount -t tmpfs -o mode=755,nosuid tmpfs "$mnt/dev"
    while read -r device major minor; do
        mknod -m 666 "$mnt/dev/$device" c "$major" "$minor" 2>/dev/null ||
            { : >"$mnt/dev/$device" && mount --bind "/dev/$device" "$mnt/dev/$device"; }
    done <<END
null 1 3
zero 1 5
full 1 7
random 1 8
urandom 1 9
tty 5 0
END
    mkdir "$mnt/dev/pts" "$mnt/dev/shm"
    mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5,nosuid,noexec devpts "$mnt/dev/pts"
    mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$mnt/dev/shm"
    ln -s pts/ptmx "$mnt/dev/ptmx"
    ln -s /proc/self/fd "$mnt/dev/fd"
    ln -s /proc/self/fd/0 "$mnt/dev/stdin"
    ln -s /proc/self/fd/1 "$mnt/dev/stdout"
    ln -s /proc/self/fd/2 "$mnt/dev/stderr"
}

# The host's tree starts at the cgroup that this process was put into. Init moves to a leaf, so that the host may turn on
# controllers for its services (a cgroup with processes may not).
control_groups() {
    group=$(sed -n 's/^0:://p' /proc/self/cgroup)
    if [ -n "$group" ] && mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 "$mnt/sys/fs/cgroup" 2>/dev/null; then
        echo 0 2>/dev/null >"$mnt/sys/fs/cgroup/init/cgroup.procs" || :
    fi
}

main "$@"
