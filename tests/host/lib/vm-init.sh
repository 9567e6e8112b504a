#!/bin/busybox sh
# shellcheck shell=dash disable=SC2094
# The initramfs of the vm form: sees the disk, dresses it once (lib/dress.sh), mounts what a kernel gives and hands over.
export PATH=/bin:/sbin:/usr/sbin:/usr/bin
/bin/busybox mkdir -p /sbin
/bin/busybox --install -s /bin

fail() {
    echo "box: vm init: $*" >/dev/console
    poweroff -f
}

mount -t devtmpfs devtmpfs /dev
mount -t proc -o nosuid,nodev,noexec proc /proc
mount -t sysfs -o nosuid,nodev,noexec sysfs /sys
echo "box: starting" >/dev/console
if grep -q box.probe /proc/cmdline; then
    echo "box: probe ok" >/dev/console
    poweroff -f
fi
# Which needs which differs by kernel: a few rounds and all are in.
for _ in 1 2 3; do
    for module in /modules/*.ko; do insmod "$module" 2>/dev/null; done
done
tries=0
until [ -b /dev/vda ]; do
    tries=$((tries + 1))
    [ "$tries" -lt 200 ] || fail "no disk"
    sleep 0.05
done
mount -t ext4 /dev/vda /mnt || fail "the disk cannot be mounted"
mkdir /dev/pts /dev/shm
mount -t devpts -o ptmxmode=0666,mode=0620,gid=5,nosuid,noexec devpts /dev/pts
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs /dev/shm
for link in fd:fd stdin:fd/0 stdout:fd/1 stderr:fd/2; do ln -s "/proc/self/${link#*:}" "/dev/${link%%:*}"; done
for tree in dev proc sys; do mount --move "/$tree" "/mnt/$tree"; done
mount -t tmpfs -o mode=755,nosuid,nodev tmpfs /mnt/run
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs /mnt/tmp
mkdir -m 1777 /mnt/run/lock
hostname "$(cat /box/name)"
if [ ! -e /mnt/etc/.box-dressed ]; then
    chroot /mnt /bin/sh -s "$(cat /box/name)" vm "$(cat /box/key.pub)" </box/dress.sh || fail "the host could not be dressed"
fi
init=/sbin/init
[ ! -x /mnt/sbin/openrc-init ] || init=/sbin/openrc-init
exec switch_root /mnt "$init" </mnt/dev/console >/mnt/dev/console 2>&1
