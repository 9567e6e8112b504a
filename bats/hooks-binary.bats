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
