#!/usr/bin/env bats
# The ACME engine as it is on a host: its user, its files, and NGINX in front of the answers that it gives. bats/acme-engine.bats has the contract.

load helpers/box
load helpers/host

setup_file() {
    host_possible || return 0
    host_up
    [ -x "${BUILD:-build}/acmez" ] || return 0
    host_set_up
    mkdir -p "$LAPTOP/hello/page"
    printf 'page' >"$LAPTOP/hello/page/index.html"
    printf '{ "name": "Page", "server_name": "hello.example", "version": "1.0.0", "watch": "0s", "services": [{ "name": "page", "lang": "static" }] }' >"$LAPTOP/hello/hello.site.json"
    send "$(pack)"
    sh "$ROOT/tests/tls/pebble" up "$LAPTOP/ca" --box "$HOST"
    box push "$HOST" "$LAPTOP/ca/ca.pem" /etc/chillbox/
}

teardown_file() {
    [ -z "${HOST-}" ] || sh "$ROOT/tests/tls/pebble" down "$LAPTOP/ca"
    host_down
}

setup() {
    host_or_skip
    [ -x "${BUILD:-build}/acmez" ] || skip 'no Go, no engine'
}

as_acme() { box run "$HOST" -u chillbox-acme -- "$@"; }

engine() { # VERB JQ
    jq -n "{directory: \"https://127.0.0.1:14443/dir\", ca_file: \"/etc/chillbox/ca.pem\", account: \"/var/lib/chillbox/acme/account\", deadline: 60, action: \"ensure\"} | $2" |
        as_acme /usr/lib/chillbox/hooks/acme/acmez/engine "$1"
}

@test "the package's engine gets a certificate by the answers that NGINX serves, with nothing but its own folders" {
    [ "$(in_box stat -c '%U %a' /var/lib/chillbox/acme/account /var/lib/chillbox/acme/.well-known /var/lib/chillbox/acme/.well-known/acme-challenge | xargs)" = \
        'chillbox-acme 700 root 755 chillbox-acme 755' ]
    engine account . | jq -e '.ok and .created'
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj / -addext subjectAltName=DNS:hello.example -keyout "$LAPTOP/key.pem" -out "$LAPTOP/csr.pem" 2>/dev/null
    engine order ".csr = $(jq -Rs . <"$LAPTOP/csr.pem") | .names = [\"hello.example\"] | .challenge = \"http-01\" | .webroot = \"/var/lib/chillbox/acme\"" >"$LAPTOP/answer"
    cat "$LAPTOP/answer" >&2
    jq -e .ok "$LAPTOP/answer"
    [ -z "$(in_box ls -A /var/lib/chillbox/acme/.well-known/acme-challenge)" ]
    [ "$(in_box stat -c '%a' /var/lib/chillbox/acme/account/127.0.0.1-bad950c3.key)" = 400 ]
}

@test "the engine's user reads no key and no state of the host, and writes nothing but its answers and its account" {
    in_box sh -c 'mkdir -p -m 0700 /var/lib/chillbox/certs && umask 077 && echo key >/var/lib/chillbox/certs/test.pem'
    for file in certs/test.pem state.db identity.age; do
        run -1 as_acme cat "/var/lib/chillbox/$file"
        [[ "$output" == *'Permission denied'* ]]
    done
    run -1 as_acme cat /etc/shadow
    for folder in /var/lib/chillbox /var/lib/chillbox/acme /var/lib/chillbox/acme/.well-known /etc/chillbox /srv/chillbox /run/chillbox /etc/nginx; do
        run ! as_acme sh -c 'echo >"$1/mine"' sh "$folder"
    done
    run ! as_acme chillboxctl status
    in_box rm /var/lib/chillbox/certs/test.pem
}

@test "a link that the engine's user makes among its answers is not served" {
    as_acme ln -s /etc/hostname /var/lib/chillbox/acme/.well-known/acme-challenge/link
    as_acme sh -c 'echo text >/var/lib/chillbox/acme/.well-known/acme-challenge/file'
    [ "$(host_curl -s -H "Host: hello.example" "$URL/.well-known/acme-challenge/file")" = text ]
    [ "$(host_curl -s -o /dev/null -w '%{http_code}' -H "Host: hello.example" "$URL/.well-known/acme-challenge/link")" != 200 ]
    as_acme sh -c 'rm /var/lib/chillbox/acme/.well-known/acme-challenge/*'
}
