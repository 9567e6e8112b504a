#!/bin/sh
# Makes a root file system the host of a box, in it, before its first start: dress.sh NAME FORM PUBLIC_KEY
# Works on any root with OpenRC (also one given by BOX_ROOTFS). Safe to run twice.
set -eu

main() {
    name=$1 form=$2 key=$3
    printf '%s\n' "$name" >/etc/hostname
    printf '127.0.0.1 localhost %s\n::1 localhost\n' "$name" >/etc/hosts
    : >/etc/fstab
    settings
    services
    ssh_access
    runlevels
    consoles
    : >/etc/.box-dressed
    sync /etc/.box-dressed 2>/dev/null || sync
}

settings() {
    sed -i '/^# box:/,$d' /etc/rc.conf
    {
        printf '# box: what follows is the box\n'
        [ "$form" = vm ] || printf 'rc_sys="lxc"\n'
        printf 'rc_cgroup_mode="unified"\nrc_interactive="NO"\nrc_logger="NO"\nrc_parallel="NO"\n'
    } >>/etc/rc.conf
}

# What a distribution's own boot services would do for a machine; the names that others need.
services() {
    cat >/etc/init.d/box-net <<'END'
#!/sbin/openrc-run
description="Loopback, and the names that services of a real host need."
depend() { provide net; keyword -shutdown; }
start() { ip link set lo up; }
END
    # The virtual network of qemu has always these addresses.
    [ "$form" != vm ] || cat >>/etc/init.d/box-net <<'END'
start_post() { ip address add 10.0.2.15/24 dev eth0; ip link set eth0 up; }
END
    cat >/etc/init.d/box-ready <<'END'
#!/sbin/openrc-run
description="Tells the box that the default runlevel is reached."
depend() { after *; keyword -shutdown; }
start() { : >/run/box-ready; [ ! -c /dev/console ] || echo "box: default runlevel" >/dev/console; }
stop() { rm -f /run/box-ready; }
END
    chmod 0755 /etc/init.d/box-net /etc/init.d/box-ready
}

ssh_access() {
    mkdir -p /root/.ssh /etc/ssh
    printf '%s\n' "$key" >/root/.ssh/authorized_keys
    chmod 0700 /root/.ssh
    chmod 0600 /root/.ssh/authorized_keys
    # One kind of host key: making the others costs seconds. A given root may have no sshd.
    [ -e /etc/ssh/ssh_host_ed25519_key ] || ! command -v ssh-keygen >/dev/null || ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key
    [ ! -e /etc/init.d/sshd ] || printf 'sshd_disable_keygen="yes"\n' >/etc/conf.d/sshd
}

# Debian's own scripts for the clock and sysctl need others that only its sysvinit has; OpenRC would say so at every call.
# A machine's own boot services (clock, modules, disks, consoles) have no work here.
runlevels() {
    [ ! -e /etc/debian_version ] || rm -f /etc/init.d/hwclock.sh /etc/init.d/procps
    for level in sysinit boot default nonetwork shutdown off recovery; do
        mkdir -p "/etc/runlevels/$level"
        find "/etc/runlevels/$level" -type l -exec rm -f -- {} +
    done
    # The cgroup tree is mounted already in the namespace form.
    [ "$form" != vm ] || add sysinit cgroups
    add boot box-net
    for service in nginx ssh sshd cron crond box-ready; do add default "$service"; done
}

# Where busybox is init (Alpine without openrc-init) its table starts OpenRC; no logins on consoles that do not exist.
consoles() {
    [ ! -e /etc/inittab ] || sed -i '/getty/d' /etc/inittab
}

add() { [ ! -e "/etc/init.d/$2" ] || ln -sf "/etc/init.d/$2" "/etc/runlevels/$1/$2"; }

main "$@"
