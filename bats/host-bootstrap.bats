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

# As cloud-init and tiny-cloud run user-data that begins with "#!": a program, by root, with next to no environment and nobody there.
first_boot() { in_box sh -c 'mkdir -p /var/lib/cloud && cp /root/user-data /var/lib/cloud/ && cd / && exec env -i /var/lib/cloud/user-data </dev/null'; }

@test "user-data makes a host of a fresh image, twice, with the deployer trusted and no secret in it; it is one after a reboot, too" {
    "$CTL" keygen -q -o deployer --no-password
    "$CTL" bootstrap --trust deployer.pub --package "/root/chillbox.tar#sha256=$(sha256sum chillbox.tar | cut -d ' ' -f 1)" >user-data
    shellcheck -s sh user-data
    [ "$(head -n 1 user-data)" = '#!/bin/sh' ]
    chmod 0755 user-data
    box push "$HOST" user-data /root/
    run -0 first_boot
    run -0 first_boot
    [[ "$output" == *"already installed"*"unchanged: deployer"*"chillboxctl init"* ]]
    with_passphrase "$PASSPHRASE" init -q --work-factor 10
    in_box rc-service -q chillboxd start
    unlock
    box reboot "$HOST"
    ctl ping --wait 20s
    [ "$(json ping .sealed)" = true ]
    [[ "$(host_curl "$(box url "$HOST")/healthcheck/")" == *ok* ]]
    unlock
    [ "$(json trust list '.keys[0].name')" = deployer ]
}

@test "a package that was changed on its way is not installed: a tar and http:// need its digest, which user-data brings [attack-D8]" {
    digest=$(sha256sum chillbox.tar | cut -d ' ' -f 1)
    for package in /root/chillbox.tar https://get.example/chillbox.tar?x=1 http://get.example/chillbox.apk http://127.0.0.1/chillbox.apk; do
        run -2 "$CTL" bootstrap --package "$package"
        [[ "$output" == *"#sha256=HEX"* ]]
    done
    run -2 "$CTL" bootstrap --package "/root/chillbox.tar#sha256=${digest:1}"
    "$CTL" bootstrap --package https://get.example/chillbox.apk >/dev/null # apk checks its signature
    "$CTL" bootstrap --package "/root/chillbox.tar#sha256=$digest" >changed
    chmod 0755 changed
    box_up FRESH
    mkdir -p other/usr/bin && touch other/usr/bin/chillboxctl
    tar -C other -c -f other.tar usr
    box push "$FRESH" other.tar /root/chillbox.tar
    box push "$FRESH" changed /root/user-data
    run -1 box run "$FRESH" -- sh -c 'cd / && exec env -i /root/user-data </dev/null'
    [[ "$output" == *"chillbox.tar is not the file with sha256 $digest: nothing was installed"* ]]
    run ! box run "$FRESH" -- test -e /usr/bin/chillboxctl
    box down "$FRESH"
}

@test "[fault-1113] a tar brings NGINX and Python of the distribution where they are missing, as a package of chillbox would" {
    "$CTL" bootstrap --package "/root/chillbox.tar#sha256=$(sha256sum chillbox.tar | cut -d ' ' -f 1)" | sed -n '/^install_all()/,/^}/p' >lines
    mkdir bare
    for program in apk tar; do printf '#!/bin/sh\necho "%s $*"\n' "$program" >"bare/$program"; done
    chmod 0755 bare/*
    run -0 env -i PATH="$PWD/bare" /bin/sh -c '. ./lines; install_all "a b.tar" extra'
    [ "$output" = 'apk add --no-progress extra nginx python3
tar -x -f a b.tar -C /' ]
    touch bare/nginx bare/python3
    chmod 0755 bare/*
    run -0 env -i PATH="$PWD/bare" /bin/sh -c '. ./lines; install_all x.tar'
    [ "$output" = 'tar -x -f x.tar -C /' ]
}

@test "a repository is written down once, and only one that nobody on the way can keep old" {
    run -2 "$CTL" bootstrap --repository http://packages.example/v1
    [[ "$output" == *"https://"* ]]
    run -2 "$CTL" bootstrap --repository 'https://packages.example/v1 x'
    "$CTL" bootstrap --repository "https://packages.example/v1" >with-repository
    grep -qx "install_packages 'chillbox' 'python3'" with-repository
    mkdir -p etc/apk
    sed -n '/^apk_repository()/,/^}/p; /^apk_repository /p' with-repository | sed "s,/etc/apk,$PWD/etc/apk,g" >lines
    sh lines
    sh lines
    [ "$(cat etc/apk/repositories)" = https://packages.example/v1 ]
}

@test "what would be more than a word stays one, and a key that is none is refused" {
    run -0 "$CTL" bootstrap --package "x'; touch $LAPTOP/gone; '"
    printf '%s\n' "$output" | sed 's/^install_packages /: /; s/^enable_services$//' | sh
    [ ! -e gone ]
    run -1 "$CTL" bootstrap --trust chillbox.tar
    openssl genrsa -out own.rsa 2048 2>/dev/null
    openssl rsa -in own.rsa -pubout -out own.rsa.pub 2>/dev/null
    run -0 "$CTL" bootstrap --apk-key own.rsa.pub
    [[ "$output" == *"apk_key 'own.rsa.pub' '-----BEGIN PUBLIC KEY-----"* ]]
    [[ "$output" == *"warning: no repository of a fresh image has chillbox: give --repository URL"* ]]
    cp own.rsa private.rsa.pub
    run -1 "$CTL" bootstrap --apk-key private.rsa.pub
}
