#!/usr/bin/env bats
# hooks/move/data, with the tools of this machine and with those of busybox: what a first host sends that is not to be trusted.

setup() {
    bats_require_minimum_version 1.5.0
    [ "$(id -u)" = 0 ] || skip 'only root makes files of other users'
    cd "$BATS_TEST_TMPDIR" || return
    export CHILLBOX_ROOT=$PWD/second
    DATA=$PWD/second/var/lib/hello
    mkdir -p "$DATA" first busybox
    chown 1234:1234 "$DATA" first
    busybox --install -s busybox
}

with_each() { # FUNCTION
    "$1" "$PATH"
    "$1" "$PWD/busybox"
}
receive() { tar -C first -cf - . | PATH=$1 sh "$BATS_TEST_DIRNAME/../hooks/move/data" receive hello; } # PATH

@test "data of the site come as they are, also with its own setgid folders and programs" {
    mkdir first/shared
    printf 'ours\n' >first/program
    printf 'ours\n' >first/.hidden
    chown -R 1234:1234 first
    chmod 0751 first
    chmod 2770 first/shared
    chmod 6750 first/program
    whole() {
        printf 'left over\n' >"$DATA/old"
        receive "$1"
        [ "$(cd "$DATA" && stat -c '%n %a %u:%g' * | paste -sd ' ')" = 'program 6750 1234:1234 shared 2770 1234:1234' ]
        [ "$(cd "$DATA" && echo .[!.]*)" = .hidden ]
        [ "$(stat -c '%a %u' "$DATA")" = '751 1234' ]
    }
    with_each whole
}

@test "[fault-1092] a socket stays behind, and the digest of both hosts is the same; what else there is comes" {
    python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("first/admin.sock")'
    mkfifo -m 0620 first/orders
    ln -s gone first/link
    printf 'ours\n' >first/-odd
    chown -hR 1234:1234 first
    digest() { CHILLBOX_ROOT=$2 PATH=$1 sh "$BATS_TEST_DIRNAME/../hooks/move/data" digest hello; } # PATH ROOT
    mkdir -p one/var/lib
    ln -s "$PWD/first" one/var/lib/hello
    same() {
        receive "$1"
        [ ! -e "$DATA/admin.sock" ]
        [ -p "$DATA/orders" ]
        [ "$(digest "$1" "$PWD/one")" = "$(digest "$PATH" "$PWD/second")" ]
        chmod 0600 "$DATA/orders"
        [ "$(digest "$1" "$PWD/one")" != "$(digest "$PATH" "$PWD/second")" ]
    }
    with_each same
}

@test "[attack-W60] one more name for a file of this host, by a hard link that leads out of the folder, is removed, and the move stops" {
    printf 'another site, and root\n' >"$PWD/second/victim"
    chown 4321:4321 second/victim
    closed() {
        for target in "$PWD/second/victim" ../../../../../victim; do
            python3 -c 'import sys, tarfile
with tarfile.open("evil.tar", "w") as tar:
    for name, target in ("./plain", None), ("./db.sqlite", sys.argv[1]):
        entry = tarfile.TarInfo(name)
        entry.uid = entry.gid = 1234
        if target: entry.type, entry.linkname = tarfile.LNKTYPE, target
        tar.addfile(entry)' "$target"
            run sh -c 'PATH=$1 sh "$2" receive hello <evil.tar' sh "$1" "$BATS_TEST_DIRNAME/../hooks/move/data"
            [ "$status" -eq 1 ] # GNU tar itself makes no such link, and fails
            [ "$(stat -c %h second/victim)" = 1 ]
            [ -z "$(ls -A "$DATA")" ]
        done
    }
    with_each closed
    [[ "$output" == *"db.sqlite is a device, or somebody else's than the site's and "* ]]
}

@test "[fault-1062] several names of a file of the site come as one file" {
    printf 'ours\n' >first/one
    ln first/one first/two
    chown 1234:1234 first/one
    linked() {
        receive "$1"
        [ "$(stat -c %h "$DATA/two")" = 2 ]
    }
    with_each linked
}

@test "a device, and a program that would run as root, as another user or in another's group, is removed, and the move stops [fault-611]" {
    bad() {
        for kind in device root user group; do
            rm -rf first/* && mkdir first/deep
            printf 'theirs\n' >first/deep/door
            case $kind in
                device) rm first/deep/door && mknod first/deep/door c 1 3 ;;
                root) chown 0:0 first/deep/door && chmod 4755 first/deep/door ;;
                user) chown 1235:1234 first/deep/door && chmod 4755 first/deep/door ;;
                group) chown 1234:42 first/deep/door && chmod 2755 first/deep/door ;;
            esac
            run -1 receive "$1"
            [[ "$output" == *"deep/door is a device, or somebody else's than the site's and "* ]]
            [ -z "$(ls -A "$DATA")" ]
        done
    }
    with_each bad
}

@test "the owner counts that the second host gave the data, not the one that the first says; what breaks off is removed, or stays closed to all but root" {
    bad() {
        rm -rf first/*
        printf 'theirs\n' >first/door
        chown 1235:1234 first first/door
        chmod 4755 first/door
        run -1 receive "$1"
        [[ "$output" == *"door is a device, or somebody else's than the site's and "* ]]
        head -c 100000 /dev/urandom >first/much
        tar -C first -cf broken ./door ./much
        head -c 50000 broken >cut
        PATH=$1 run ! sh "$BATS_TEST_DIRNAME/../hooks/move/data" receive hello <cut
        [ -z "$(ls -A "$DATA")" ]
        { cat cut; sleep 2; } | PATH=$1 timeout 1 sh "$BATS_TEST_DIRNAME/../hooks/move/data" receive hello || true
        [ "$(cd "$DATA" && stat -c '%n %a %u' .* * 2>/dev/null | grep -v '^\.* ')" = '.chillbox-move 700 0' ]
        [ -e "$DATA/.chillbox-move/data/door" ]
        [ "$(stat -c %u "$DATA")" = 1234 ]
    }
    with_each bad
}
