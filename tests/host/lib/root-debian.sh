#!/bin/sh
# Makes a Debian root with OpenRC and what a chillbox host has: root-debian.sh DEST SUITE [ARCHITECTURE]
# Run as root in a mount namespace of its own. The mirror is the one of the machine's own apt sources.
# shellcheck disable=SC2016
set -eu

# No init system but OpenRC; redis is installed and not enabled (a site of the tests declares it as a need).
packages="openrc nginx openssh-server cron python3 python3-venv curl age minisign zstd openssl jq ca-certificates
    adduser passwd procps iproute2 redis-server libstdc++6 zlib1g"
# Run-time libraries of the agent: their package names carry a version that differs by suite.
libraries='libsodium[0-9]+ libsqlite3-0 libspdlog[0-9.]+(t64)? libfmt[0-9]+(t64)? libssl3(t64)? libcpp-httplib[0-9.]+(t64)?'

# The address of the first Debian archive that the machine itself uses for this suite.
mirror_of() {
    apt-get indextargets --format '$(SITE) $(RELEASE)' 'Created-By: Packages' 2>/dev/null |
        while read -r site release; do
            if [ "$release" = "$1" ]; then printf '%s\n' "$site"; break; fi
        done
}

in_root() {
    chroot "$dest" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 \
        DEBIAN_FRONTEND=noninteractive "$@"
}

sources() {
    # Only Debian's own archives: a third party's packages have no place in the box.
    apt-get indextargets --format '$(SITE) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' 'Origin: Debian' |
        sort -u | while read -r site release component; do
            case "$release" in
                "$suite" | "$suite"-updates | "$suite"-security)
                    if [ "$component" = main ]; then printf 'deb %s %s main\n' "$site" "$release"; fi ;;
            esac
        done
}

main() {
    dest=$1 suite=$2
    case "${3-$(uname -m)}" in aarch64) arch=arm64 ;; *) arch=amd64 ;; esac
    mirror=$(mirror_of "$suite")
    debootstrap --arch="$arch" --variant=minbase --include=openrc "$suite" "$dest" "${mirror:-http://deb.debian.org/debian}"

    sources >"$dest/etc/apt/sources.list.box"
    [ ! -s "$dest/etc/apt/sources.list.box" ] || mv "$dest/etc/apt/sources.list.box" "$dest/etc/apt/sources.list"
    apt-config dump | grep -i '^Acquire::https*::Proxy' >"$dest/etc/apt/apt.conf.d/90box" || :
    for file in /etc/resolv.conf /etc/hosts; do [ ! -e "$file" ] || cat "$file" >"$dest$file"; done
    printf 'path-exclude=/usr/share/%s/*\n' doc man info locale lintian bug >"$dest/etc/dpkg/dpkg.cfg.d/box"
    printf 'force-unsafe-io\n' >>"$dest/etc/dpkg/dpkg.cfg.d/box"
    printf '#!/bin/sh\nexit 101\n' >"$dest/usr/sbin/policy-rc.d"
    chmod 0755 "$dest/usr/sbin/policy-rc.d"

    mount -t proc proc "$dest/proc"
    in_root apt-get -q update
    wanted=$packages
    for pattern in $libraries; do
        found=$(in_root apt-cache pkgnames | grep -Ex "$pattern" | sort -V | tail -n 1)
        [ -n "$found" ] || { printf 'no package matches %s in %s\n' "$pattern" "$suite" >&2; exit 1; }
        wanted="$wanted $found"
    done
    # shellcheck disable=SC2086
    in_root apt-get -q -y --no-install-recommends install $wanted
    umount "$dest/proc"

    rm -f "$dest/usr/sbin/policy-rc.d" "$dest"/etc/ssh/ssh_host_*
    rm -rf "$dest"/var/lib/apt/lists/* "$dest"/var/cache/apt/* "$dest"/var/cache/debconf/*-old \
        "$dest"/usr/share/doc/* "$dest"/usr/share/man/* "$dest"/usr/share/locale/* "$dest"/usr/share/info/* "$dest"/var/log/*.log
    : >"$dest/etc/resolv.conf"
}

main "$@"
