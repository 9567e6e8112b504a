#!/usr/bin/env bats
# The standard tools alone drive a host: keys, identity, secrets and a deploy by tar, zstd, age, minisign, openssl and curl (docs/examples/plain).

# shellcheck disable=SC2154 # box_up sets HOST

load helpers/box
load helpers/host

setup_file() {
    host_possible || return 0
    host_up
    export DESK=$LAPTOP/desk TOOLS=$LAPTOP/tools SCRIPT=$ROOT/docs/examples/plain/deploy.sh
    mkdir "$DESK" "$TOOLS"
    for tool in tar zstd age minisign openssl curl cat cut date grep mktemp od rm sed sha256sum sleep tr wc; do
        ln -s "$(command -v "$tool")" "$TOOLS/$tool"
    done
    URL=$(box url "$HOST")
    export URL
}

teardown_file() { host_down; }
setup() { host_or_skip; }

# by_hand SHELL ARG...: on a laptop that has these tools and nothing else.
by_hand() { (cd "$DESK" && box net "$HOST" -- env -i PATH="$TOOLS" HOME="$DESK" "$@"); }

@test "a host whose identity age made, and whose deployer minisign made" {
    with_passphrase "$PASSPHRASE" init -q --work-factor 10
    age-keygen -o "$DESK/identity" 2>/dev/null
    age-keygen -y "$DESK/identity" >"$DESK/recipient.txt"
    run -0 "$TERMINAL" expect:'passphrase' type:"$PASSPHRASE" expect:'passphrase' type:"$PASSPHRASE" -- age -p -o "$DESK/identity.age" "$DESK/identity"
    box push "$HOST" "$DESK/identity.age" "$DESK/recipient.txt" /var/lib/chillbox/
    (cd "$DESK" && minisign -G -W -s deployer.key -p deployer.pub >/dev/null)
    ctl trust add "$(tail -n 1 "$DESK/deployer.pub")" --name plain
    ctl webhook add plain --sites hello,leaflet --types site.deploy,secrets.update 2>/dev/null >"$DESK/hook.key"
    in_box rc-service chillboxd start
    run -0 unlock
    [ "$output" = unlocked ]
}

@test "a secret set, sent by the script under dash" {
    mkdir -p "$DESK/hello.secrets/api"
    printf 'WHISPER = "plain"\n' >"$DESK/hello.secrets/api/api.cfg"
    run -0 by_hand "$(command -v dash)" "$SCRIPT" "$URL" hello secrets
    [[ "$output" == *'"step":"replace-secrets"'* ]]
    in_box test -s /run/chillbox/secrets/hello/api/api.cfg
}

@test "a release, sent by the script under busybox ash, goes live" {
    make_site 1.0.0
    rm -rf "$DESK/hello"
    mv "$LAPTOP/hello" "$DESK/hello"
    run -0 by_hand "$(command -v busybox)" ash "$SCRIPT" "$URL" hello 1.0.0
    [[ "$output" == *'"kind":"done"'*'"step":"switch"'* ]]
    [ "$(get /)" = "hello from 1.0.0" ]
    [ "$(get /whisper)" = "a secret of 5 characters" ]
    [ "$(json releases hello '.releases[0] | .signer + " " + .state')" = "plain good" ]
}

@test "the script deploys nothing when a program that packs fails" {
    before=$(json jobs '.jobs | length')
    for tool in tar zstd age; do
        mv "$TOOLS/$tool" "$TOOLS/real-$tool"
        printf '#!/bin/sh\n%s "$@"\nexit 2\n' "$TOOLS/real-$tool" >"$TOOLS/$tool"
        chmod +x "$TOOLS/$tool"
        run -2 by_hand "$(command -v dash)" "$SCRIPT" "$URL" hello 1.0.1
        mv "$TOOLS/real-$tool" "$TOOLS/$tool"
    done
    [ "$(json jobs '.jobs | length')" = "$before" ]
}

@test "another site, sent by the script, with files that NGINX serves alone" {
    mkdir -p "$DESK/leaflet/pages"
    printf 'a leaf\n' >"$DESK/leaflet/pages/index.html"
    printf '%s' '{"name": "Leaflet", "server_name": "leaflet.example", "version": "1.0.0", "watch": "1s",
        "services": [{"name": "pages", "lang": "static", "handler": "pages"}]}' >"$DESK/leaflet/leaflet.site.json"
    run -0 by_hand "$(command -v dash)" "$SCRIPT" "$URL" leaflet 1.0.0
    [ "$(host_curl -H 'Host: leaflet.example' "$URL/")" = "a leaf" ]
    [ "$(get /)" = "hello from 1.0.0" ]
}

@test "what the host refuses ends the script with an error: another version than signed, a stranger's webhook key" {
    run by_hand "$(command -v dash)" "$SCRIPT" "$URL" hello 2.0.0
    [ "$status" -ne 0 ]
    [[ "$output" == *"says version 1.0.0, the signature says 2.0.0"* || "$output" == *"is not newer than installed"* ]]
    [ "$(get /)" = "hello from 1.0.0" ]
    printf 'whsec_%s\n' "$(openssl rand -base64 32)" >"$DESK/hook.key"
    run -22 by_hand "$(command -v dash)" "$SCRIPT" "$URL" leaflet 1.0.0
    [[ "$output" == *401* ]]
}
