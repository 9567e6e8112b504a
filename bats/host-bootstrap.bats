#!/usr/bin/env bats
# The first boot: user-data of `chillboxctl bootstrap` makes a host of a fresh box, and init is all that remains.

load helpers/box
load helpers/host

setup_file() {
    host_possible || return 0
    ROOT=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
    export ROOT LAPTOP=$BATS_FILE_TMPDIR CTL=$ROOT/${BUILD:-build}/chillboxctl PASSPHRASE='correct horse'
    box_up HOST
    (cd "$ROOT" && sh apk/install "$LAPTOP/tree" "${BUILD:-build}")
    (cd "$LAPTOP/tree" && tar -c -f "$LAPTOP/chillbox.tar" --owner=0 --group=0 -- *)
    box push "$HOST" "$LAPTOP/chillbox.tar" /root/
}
teardown_file() { host_down; }
setup() { host_or_skip; cd "$LAPTOP" || return; }

@test "user-data makes a host of a fresh image, twice, with the deployer trusted and no secret in it" {
    "$CTL" keygen -q -o deployer --no-password
    "$CTL" bootstrap --trust deployer.pub --package /root/chillbox.tar >user-data
    shellcheck -s sh user-data
    box push "$HOST" user-data /root/
    run -0 in_box sh /root/user-data
    run -0 in_box sh /root/user-data
    [[ "$output" == *"installed already"*"already so: deployer"*"chillboxctl init"* ]]
    with_passphrase "$PASSPHRASE" init -q --work-factor 10
    in_box rc-service -q chillboxd start
    unlock
    [ "$(json trust list '.keys[0].name')" = deployer ]
}

@test "what would be more than a word stays one, and a key that is none is refused" {
    run -0 "$CTL" bootstrap --package "x'; touch $LAPTOP/gone; '"
    printf '%s\n' "$output" | sed '/^install_package$/,$d' | sh
    [ ! -e gone ]
    run -1 "$CTL" bootstrap --trust chillbox.tar
}
