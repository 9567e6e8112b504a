#!/usr/bin/env bats
# The binary handler: the program must be there, executable, and for this libc.

# shellcheck disable=SC2154 # $stderr comes from run --separate-stderr, $HOOKS from hook_setup

load helpers/hooks

setup() {
    bats_require_minimum_version 1.5.0
    hook_setup
    binary=$HOOKS/handlers/binary
}

# refused TEXT: under both shells, with this reason.
refused() {
    for shell in with_dash with_ash; do
        run --separate-stderr "$shell" "$binary/build"
        [ "$status" -eq 3 ]
        [[ "$stderr" == "build: web: "*"$1"* ]]
    done
}

@test "a program named like the service, or the one that app names, is run by its absolute path" {
    cp "$(readlink -f /bin/ls)" web
    twice "$binary/build"
    [ "$(with_dash "$binary/command")" = "$CHILLBOX_SERVICE_DIR/web" ]
    mkdir bin && mv web bin/server
    export CHILLBOX_APP=bin/server
    twice "$binary/build"
    [ "$(with_ash "$binary/command")" = "$CHILLBOX_SERVICE_DIR/bin/server" ]
}

@test "missing, not executable, or for another libc: refused, and it says which" {
    refused "no file 'web'"
    printf '#!/bin/sh\n' >web
    refused "is not executable"
    printf '\177ELF....\0/lib/ld-of-nobody.so.1\0' >web
    chmod 0755 web
    refused "no /lib/ld-of-nobody.so.1"
    printf '#!/bin/sh\n' >web
    twice "$binary/build"
}

@test "what a kernel would refuse with 'no such file or directory' or 'exec format error' is named before anything is changed [fault-267]" {
    install -m 0755 /dev/null web
    refused "'web' is empty"
    printf '#!/bin/sh\r\nexec sleep 1\r\n' >web
    refused "'web' begins with a line that ends with a carriage return (CRLF): save it with line feeds alone"
    printf '#!/usr/bin/env python3\r\n' >web
    refused "carriage return"
    printf '#!/usr/bin/nodejs-99 --x\n' >web
    refused "'web' begins with '#!/usr/bin/nodejs-99 --x': this host has no /usr/bin/nodejs-99"
    printf '#!/usr/bin/env -S A=1 nodejs-99 --x\n' >web
    refused "this host has no nodejs-99"
    printf '#!python3\n' >web
    refused "must be a whole path"
    printf 'exec sleep 1\n' >web
    refused "'web' is no program: a script begins with a line such as #!/bin/sh"
    printf '\xef\xbb\xbf#!/bin/sh\n' >web
    refused "byte order mark"
    printf 'version https://git-lfs.github.com/spec/v1\noid sha256:0\n' >web
    refused "Git LFS"
    printf 'MZ\x90' >web
    refused "for Windows"
    printf '\xcf\xfa\xed\xfe....' >web
    refused "for macOS"
    for machine in '\xb7\x00' '\xf3\x00' '\x00\x16'; do
        [ "$(uname -m)" != aarch64 ] || [ "$machine" != '\xb7\x00' ] || continue
        cp "$(readlink -f /bin/true)" web
        printf "$machine" | dd of=web bs=1 seek=18 conv=notrunc status=none
        refused "and this host is $(uname -m)"
    done
    for line in '#!/bin/sh' '#! /bin/sh -e' '#!/usr/bin/env sh' '#!/usr/bin/env -S sh -e'; do
        printf '%s\n' "$line" >web
        with_dash "$binary/build"
        with_ash "$binary/build"
    done
    # Of whatever the service runs: here its release_command, which is a file of its own.
    printf '#!/bin/sh\r\n' >migrate && chmod 0755 migrate
    CHILLBOX_RELEASE_COMMAND=migrate refused "'migrate' begins with"
    CHILLBOX_RELEASE_COMMAND=./absent refused "no file './absent'"
    CHILLBOX_RELEASE_COMMAND=sleep twice "$binary/build" # one of the host
    export CHILLBOX_RELEASE_COMMAND=migrate
    for kind in python python-worker chill; do
        run -0 with_dash "$HOOKS/handlers/$kind/preflight"
        [[ "$output" == *"'migrate' begins with a line that ends with a carriage return"* ]]
    done
}
