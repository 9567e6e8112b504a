#!/bin/sh
# The kernel of the vm form and a tiny initramfs: vm-kernel.sh DEST ARCHITECTURE makes DEST/vmlinuz and DEST/initrd.
# The distribution's own cloud kernel, from the machine's own package sources; what is needed to see the disk goes along.
# shellcheck disable=SC2016 # apt fills in
set -eu

modules="virtio virtio_ring virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci virtio_blk failover net_failover virtio_net
    rng-core virtio-rng crc16 crc32c_generic crc32c-cryptoapi libcrc32c mbcache jbd2 ext4"

# Everything unpacked under $work/x: a kernel, its modules and a static busybox.
unpack_debian() {
    case $arch in aarch64) debian=arm64 ;; *) debian=amd64 ;; esac
    [ "$debian" = "$(dpkg --print-architecture)" ] || other_index
    package=$(apt apt-cache depends "linux-image-cloud-$debian" | awk '/Depends: linux-image-/ { print $2; exit }')
    (cd "$work" && apt apt-get -q download "$package" busybox-static)
    for deb in "$work"/*.deb; do dpkg-deb -x "$deb" "$work/x"; done
}

apt() { # COMMAND WORD...
    command=$1
    shift
    # shellcheck disable=SC2086 # words
    "$command" -o APT::Sandbox::User=root ${other-} "$@"
}

# Lists of another architecture, apart from the machine's.
other_index() {
    mkdir -p "$work/lists/partial"
    apt-get indextargets --format 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $(SITE) $(RELEASE) main' \
        'Created-By: Packages' 'Origin: Debian' | sort -u >"$work/sources.list"
    other="-o APT::Architecture=$debian -o APT::Architectures::=$debian -o Dir::State::lists=$work/lists -o Dir::State::status=/dev/null
        -o Dir::Etc::SourceList=$work/sources.list -o Dir::Etc::SourceParts=- -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache="
    apt apt-get -q update
}

unpack_alpine() {
    (cd "$work" && apk fetch -q linux-virt busybox-static)
    mkdir "$work/x"
    for file in "$work"/*.apk; do tar -xzf "$file" -C "$work/x" 2>/dev/null; done
}

main() {
    arch=$2
    work=$(mktemp -d)
    trap 'rm -rf -- "$work"' EXIT
    if command -v apt-get >/dev/null; then unpack_debian; else unpack_alpine; fi
    tree=$work/tree
    mkdir -p "$tree/bin" "$tree/modules" "$tree/dev" "$tree/proc" "$tree/sys" "$tree/mnt"
    cp "$(find "$work/x" -name 'busybox*' -type f -perm -0100 | head -n 1)" "$tree/bin/busybox"
    cp "${0%/*}/vm-init.sh" "$tree/init"
    chmod 0755 "$tree/init"
    # What is built into the kernel is not there as a file.
    for module in $modules; do
        file=$(find "$work/x" -name "$module.ko*" -o -name "$(printf '%s' "$module" | tr - _).ko*" | head -n 1)
        [ -n "$file" ] || continue
        out=$tree/modules/$module.ko
        case "$file" in
            *.xz) xz -dc "$file" >"$out" ;;
            *.zst) zstd -qdc "$file" >"$out" ;;
            *.gz) gzip -dc "$file" >"$out" ;;
            *) cp "$file" "$out" ;;
        esac
    done
    (cd "$tree" && find . | cpio -o -H newc) >"$1/initrd"
    cp "$(find "$work/x" -name 'vmlinuz*' -type f | head -n 1)" "$1/vmlinuz"
}

main "$@"
