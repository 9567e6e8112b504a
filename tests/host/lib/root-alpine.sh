#!/bin/sh
# Makes an Alpine root with what a chillbox host has: root-alpine.sh DEST VERSION
# Run as root on Alpine, in a mount namespace of its own; from the machine's own repositories, with its own keys.
set -eu

# Beside the host's services: getent, setpriv and GNU's odds and ends that the box itself asks the host for.
packages="alpine-base openrc busybox-openrc nginx nginx-openrc openssh-server openssh-keygen python3 py3-pip
    curl age minisign zstd openssl jq ca-certificates shadow procps-ng iproute2 redis redis-openrc setpriv musl-utils
    libsodium sqlite-libs spdlog fmt libssl3 libcrypto3 cpp-httplib libstdc++ zlib zstd-libs"
# Not in every release: they are taken where they are.
optional="openrc-init nginx-openrc busybox-openrc redis-openrc procps-ng cpp-httplib redis"

main() {
    dest=$1
    wanted=''
    for package in $packages openrc-init; do
        case " $optional " in *" $package "*) [ -n "$(apk search -x "$package")" ] || continue ;; esac
        wanted="$wanted $package"
    done
    mkdir -p "$dest/etc/apk"
    cp /etc/apk/repositories "$dest/etc/apk/repositories"
    cp -R /etc/apk/keys "$dest/etc/apk/keys"
    # shellcheck disable=SC2086
    apk --root "$dest" --initdb --no-cache --keys-dir /etc/apk/keys --repositories-file /etc/apk/repositories add $wanted
    rm -f "$dest"/etc/ssh/ssh_host_*
    rm -rf "$dest"/var/cache/apk/* "$dest"/usr/share/man "$dest"/usr/share/doc
}

main "$@"
