# The vm form: the same root as a disk under qemu, for what needs a kernel of its own (a true power cut, resource limits, a full
# disk). qemu runs in the box's network namespace and forwards 127.0.0.1 there to the host, so that every verb works the same.
# shellcheck shell=sh disable=SC2154

vm_ports="22 80 443 8080"

vm_up() {
    for tool in "qemu-system-$BOX_ARCH" mke2fs cpio; do
        PATH=$PATH:/sbin:/usr/sbin command -v "$tool" >/dev/null ||
            die "BOX=vm: $tool is missing (install: $("$BOX_HOME/box" deps vm))"
    done
    vm_cached "$(vm_kernel_name)" vm_make_kernel
    kernel=$cached
    if [ -n "${BOX_ROOTFS-}" ]; then
        vm_make_disk "$dir"
    else
        vm_cached "disk-$(printf '%s %s' "$lower" "${BOX_DISK:-2G}" | sha256sum | cut -c 1-16)" vm_make_disk
        # Only what is used of it is copied.
        dd if="$cached/disk" of="$dir/disk" bs=1M conv=sparse 2>/dev/null
    fi
    mkdir -p -- "$dir/seed/box"
    cp -- "$BOX_HOME/lib/dress.sh" "$dir/key.pub" "$dir/seed/box/"
    printf '%s\n' "$name" >"$dir/seed/box/name"
    # The kernel unpacks one archive after the other.
    { cat -- "$kernel/initrd"; (cd "$dir/seed" && find . | cpio -o -H newc 2>/dev/null); } >"$dir/initrd"
    cp -- "$kernel/vmlinuz" "$dir/vmlinuz"
    printf '%s\n' "$BOX_ARCH" >"$dir/arch"
    vm_accel
    space_up
}

# vm_cached NAME MAKE: set cached to the directory NAME in the cache; made once, published by rename.
vm_cached() {
    cached=$BOX_CACHE/$1
    [ ! -d "$cached" ] || return 0
    (
        lock_cache
        [ ! -d "$cached" ] || exit 0
        say "making $1 for the vm form, once"
        remove_tree "$cached.part"
        mkdir -- "$cached.part"
        printf '%s\n' "${lower-}" >"$cached.part/lower"
        "$2" "$cached.part" >"$cached.log" 2>&1 || { tail -n 20 -- "$cached.log" >&2; die "BOX=vm: could not make $1"; }
        mv -- "$cached.part" "$cached"
    ) 9>"$BOX_CACHE/.lock" || exit 1
}

vm_kernel_name() { printf 'kernel-%s\n' "$({ cat -- "$BOX_HOME/lib/vm-kernel.sh" "$BOX_HOME/lib/vm-init.sh"; printf '%s\n' "$BOX_ARCH"; } | sha256sum | cut -c 1-16)"; }

vm_make_kernel() {
    sh "$BOX_HOME/lib/vm-kernel.sh" "$1" "$BOX_ARCH"
}

vm_make_disk() {
    PATH=$PATH:/sbin:/usr/sbin mke2fs -q -t ext4 -F -d "$lower" "$1/disk" "${BOX_DISK:-2G}"
}

# /dev/kvm can be there and fail: it counts only when a kernel has come up with it. Asked once in this machine's uptime.
vm_accel() {
    if [ "$BOX_ARCH" != "$MACHINE" ]; then
        printf 'tcg\n' >"$dir/accel"
        return 0
    fi
    read -r boot_id </proc/sys/kernel/random/boot_id
    if ! grep -qsF "$boot_id" "$BOX_CACHE/accel"; then
        accel=tcg
        if [ -w /dev/kvm ] && timeout 5 "qemu-system-$BOX_ARCH" -M "$(vm_board "$BOX_ARCH")" -accel kvm -cpu max -m 256 -nodefaults -no-user-config -display none -no-reboot \
            -serial "file:$dir/probe.log" -kernel "$dir/vmlinuz" -initrd "$dir/initrd" \
            -append "console=$(vm_console "$BOX_ARCH") quiet panic=-1 box.probe" >/dev/null 2>&1 && grep -q 'box: probe ok' "$dir/probe.log"; then
            accel=kvm
        fi
        printf '%s %s\n' "$accel" "$boot_id" >"$BOX_CACHE/accel"
    fi
    cp -- "$BOX_CACHE/accel" "$dir/accel"
}

vm_start() {
    gone "$dir/init" || die "box '$name' is already running"
    gone "$dir/hold" && space_up
    hold=$(pid_of "$dir/hold") || die "box '$name': the holder of its network namespace died"
    rm -f -- "$dir/init" "$dir/serial.log"
    background "$BOX_HOME/box" _machine "$name" nsenter "--net=/proc/$hold/ns/net"
    until_true 10 test -s "$dir/init" || die "box '$name' did not start: see $dir/console.log"
}

vm_board() { case $1 in aarch64) printf 'virt\n' ;; *) printf 'q35\n' ;; esac; }
vm_console() { case $1 in aarch64) printf 'ttyAMA0\n' ;; *) printf 'ttyS0\n' ;; esac; }
# What an emulated one can do more than this costs much time.
vm_cpu() { case $1 in aarch64-tcg) printf 'cortex-a72\n' ;; *) printf 'max\n' ;; esac; }

# Becomes qemu, in a cgroup of the box.
vm_machine() {
    exec unshare --mount --propagation private -- "$BOX_HOME/box" _power "$name"
}

vm_power() {
    space_cgroup
    read -r memory <"$dir/memory"
    read -r accel _ <"$dir/accel"
    read -r arch <"$dir/arch"
    forward=''
    for port in $vm_ports; do forward="$forward,hostfwd=tcp:127.0.0.1:$port-:$port"; done
    note_pid "$dir/init" $$
    exec "qemu-system-$arch" -M "$(vm_board "$arch")" -accel "$accel" -cpu "$(vm_cpu "$arch-$accel")" -smp "${BOX_CPUS:-1}" -m "${memory:-512M}" \
        -nodefaults -no-user-config -display none -serial "file:$dir/serial.log" \
        -kernel "$dir/vmlinuz" -initrd "$dir/initrd" -append "console=$(vm_console "$arch") quiet panic=-1 no_timer_check" \
        -drive "file=$dir/disk,format=raw,if=virtio,cache=writeback" -device virtio-rng-pci \
        -netdev "user,id=net$forward" -device virtio-net-pci,netdev=net,romfile=
}

# The host has written so since it started last (it may have restarted on its own).
vm_ready() {
    awk '/box: starting/ { up = 0 } /box: default runlevel/ { up = 1 } END { exit !up }' "$dir/serial.log" 2>/dev/null
}

vm_wait() {
    until_true "$BOX_WAIT" vm_ready_or_gone || :
    vm_ready && return 0
    tail -n 20 -- "$dir/serial.log" "$dir/console.log" >&2
    die "box '$name': the default runlevel was not reached in $BOX_WAIT s"
}

vm_ready_or_gone() { vm_ready || gone "$dir/init"; }

vm_stop() {
    gone "$dir/init" && return 0
    # The connection may go before the answer comes.
    timeout "${BOX_STOP:-60}" "$BOX_HOME/box" run "$name" -- \
        sh -c 'if command -v openrc-shutdown; then openrc-shutdown -p now; else poweroff; fi' </dev/null >>"$dir/console.log" 2>&1 || :
    until_true "${BOX_STOP:-60}" gone "$dir/init" || say "box '$name' did not stop in ${BOX_STOP:-60} s, cutting it"
    vm_cut
}

vm_cut() { space_off; }

vm_down() { space_down; }

vm_hold() { space_hold; }

vm_net() { space_net "$@"; }

vm_url() { space_url; }

vm_ssh() { space_ssh "$@"; }

# The same clean environment as in the other form, through ssh: every word quoted for the shell over there.
vm_run() {
    gone "$dir/init" && die "box '$name' is not running (box start $name)"
    line=''
    for word in env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin TERM="${TERM:-dumb}" \
        LANG=C.UTF-8 SHELL=/bin/sh USER="$user" LOGNAME="$user" HOME=/root sh -c "$run_inside" sh "$@"; do
        line="$line '$(printf '%s.' "$word" | sed "s/'/'\\\\''/g")"
        line="${line%.}'"
    done
    terminal=-T
    if [ "$tty" = yes ] && [ -t 0 ]; then terminal=-t; fi
    space_net ssh "$terminal" -i "$dir/key" -o IdentitiesOnly=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
        -o LogLevel=ERROR root@127.0.0.1 "$line"
}

# Disks of roots that are gone, kernels of an older recipe: a box has copies of its own.
vm_gc() {
    current=$(vm_kernel_name)
    for cached in "$BOX_CACHE"/disk-*/ "$BOX_CACHE"/kernel-*/; do
        cached=${cached%/}
        [ -r "$cached/lower" ] || continue
        case "${cached##*/}" in
            "$current") continue ;;
            disk-*) [ ! -d "$(cat -- "$cached/lower")" ] || continue ;;
        esac
        say "removing ${cached##*/}: nothing uses it any more"
        remove_tree "$cached"
        rm -f -- "$cached.log"
    done
}
