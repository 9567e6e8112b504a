# What this machine needs for a box, by its package manager's names: box deps [vm], one line for `apt-get install` or `apk add`.
# shellcheck shell=sh

verb_deps() {
    case "${1-}" in '' | vm) ;; *) die "deps: box deps [vm]" ;; esac
    if command -v apt-get >/dev/null; then
        list="debootstrap util-linux openssh-client iproute2"
        case $BOX_ARCH in aarch64) qemu='qemu-system-arm' ;; *) qemu='qemu-system-x86' ;; esac
        [ "$BOX_ARCH" = "$MACHINE" ] || qemu="$qemu qemu-user-static binfmt-support"
        [ "${1-}" != vm ] || list="$list $qemu e2fsprogs cpio"
    elif command -v apk >/dev/null; then
        list="util-linux-misc flock openssh-client"
        [ "${1-}" != vm ] || list="$list qemu-system-$BOX_ARCH e2fsprogs cpio"
    else
        die "deps: neither apt-get nor apk here; needed are debootstrap, unshare, nsenter, flock, ssh and ip"
    fi
    printf '%s\n' "$list"
}
