#!/usr/bin/env bats
# The engines against a second CA, step-ca: an internal one with a root of its own, certificates of a day, no ARI and no profiles. `make test-tls-more`.

# bats file_tags=slow

load helpers/box
load helpers/tls

internal() { ask "$1" ".directory = \"https://127.0.0.1:14444/acme/acme/directory\" | .ca_file = \"$STEP/ca.pem\" | ${2:-.}"; }

setup_file() {
    bats_require_minimum_version 1.5.0
    export BATS_NO_PARALLELIZE_WITHIN_FILE=true
    export ENGINE=${BUILD:-build}/acmez
    case $ENGINE in /*) ;; *) ENGINE=$BATS_TEST_DIRNAME/../$ENGINE ;; esac
    [ "$(id -u)" -eq 0 ] && [ -x "$ENGINE" ] || return 0
    tls_up
    csr blog.example www.blog.example
    export STEP=$BATS_FILE_TMPDIR/step
    net sh "$ROOT/tests/tls/step-ca" up "$STEP"
    chmod 0711 "$STEP"
    chmod 0644 "$STEP/ca.pem"
    internal account
}

teardown_file() {
    [ -z "${STEP-}" ] || sh "$ROOT/tests/tls/step-ca" down "$STEP"
    tls_down
}

setup() {
    needs_root
    [ -n "${STEP-}" ] || skip 'step-ca was not built, because there is no Go'
}

@test "an internal CA: its own root, its own account, a certificate of a day, what it does not know left out" {
    said '.ok and .created'
    internal order '.profile = "tlsserver"'
    said '.ok and .profile == null and .replaced == false and .ari == null and (.warnings[0] | contains("no profile tlsserver"))'
    jq -r .chain "$OUT" >"$BATS_FILE_TMPDIR/chain.pem"
    openssl verify -CAfile "$STEP/ca.pem" -untrusted "$BATS_FILE_TMPDIR/chain.pem" "$BATS_FILE_TMPDIR/chain.pem"
    openssl x509 -checkend 82800 -noout -in "$BATS_FILE_TMPDIR/chain.pem"
    run -1 openssl x509 -checkend 90000 -noout -in "$BATS_FILE_TMPDIR/chain.pem"
}

@test "an internal CA: a renewal sends no replaces, and there is no renewal information" {
    leaf=$(jq -Rs . <"$BATS_FILE_TMPDIR/chain.pem")
    internal renewal-info ".certificate = $leaf"
    said '. == {"ok": true, "ari": null}'
    internal order ".replaces = $leaf"
    said '.ok and .replaced == false and .ari == null'
    internal revoke ".certificate = $leaf | .reason = 4"
    said .ok
}

@test "an internal CA without ca_file is not trusted, and the message says what to do" {
    ask account '.directory = "https://127.0.0.1:14444/acme/acme/directory" | .ca_file = null'
    said '.ok == false and .problem.type == "network" and (.problem.detail | contains("ca_file"))'
}

@test "an internal CA: the failure of a challenge, an order that is continued" {
    csr nowhere.example
    pebble dns add-a '{"host":"nowhere.example","addresses":["10.9.9.9"]}' >/dev/null
    internal order '.deadline = 30'
    said '.ok == false and (.problem.type | endswith(":connection") or . == "deadline")'
    csr blog.example www.blog.example
    internal order
    url=$(jq -r .order_url "$OUT")
    internal order ".order_url = \"$url\""
    said ".ok and .order_url == \"$url\""
}

@test "an internal CA through lego" {
    command -v lego >/dev/null || skip 'needs lego'
    cp "$ROOT"/hooks/acme/lego/* "$BATS_FILE_TMPDIR"
    internal account '.contact = ["mailto:op@blog.example"]'
    internal order
    said .ok
}
