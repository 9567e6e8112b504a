#!/usr/bin/env bats
# A host with an internal CA, step-ca: a root of its own, lives of 100 seconds, neither renewal information nor profiles. `make test-tls-more`; with
# RENEWALS=125 it goes on for an hour.

# bats file_tags=slow
# shellcheck disable=SC2154 # box_up sets HOST

load helpers/box
load helpers/host
load helpers/ca

setup_file() {
    host_possible || return 0
    host_up
    CA_NAME=_ ca_up # its DNS leads to the box
    VALIDITY=100s sh "$ROOT/tests/tls/step-ca" up "$LAPTOP/step" --box "$HOST"
    box push "$HOST" "$LAPTOP/step/ca.pem" /etc/chillbox/step.pem
    in_box chmod 0644 /etc/chillbox/step.pem
    in_box sed -i 's|^acme = .*|acme = "https://127.0.0.1:14444/acme/acme/directory"|; s|^ca_file = .*|ca_file = "/etc/chillbox/step.pem"|' /etc/chillbox/chillboxd.toml
    host_set_up
    cp "$LAPTOP/step/ca.pem" "$CA/root.pem"
    mkdir -p "$LAPTOP/hello/page"
    printf 'page' >"$LAPTOP/hello/page/index.html"
    printf '{ "name": "Page", "server_name": "hello.example", "version": "1.0.0", "watch": "0s", "services": [{ "name": "page", "lang": "static" }] }' >"$LAPTOP/hello/hello.site.json"
    send "$(pack)"
}

teardown_file() {
    [ -z "${LAPTOP-}" ] || sh "$ROOT/tests/tls/step-ca" down "$LAPTOP/step"
    ca_down
    host_down
}

setup() { host_or_skip; }

# A connection that is in its handshake when NGINX is reloaded gets HTTP/2's GOAWAY before its first request, and asks again on another one; curl
# leaves that to its caller, as error 16. Twice in a row is a gap.
serves() {
    https hello.example / -o /dev/null 2>/dev/null && return 0
    [ $? = 16 ] && echo "# GOAWAY after $SECONDS s" >&3 && https hello.example / -o /dev/null 2>/dev/null
}
issued() { ctl tls --json | jq -r '.certificates[] | select(.id == "hello") | .sha256'; }

@test "an internal CA: the site is on https, and its certificate is renewed at half of its life, again and again, while visitors see it valid (tls 25)" {
    wait_for 60 serves
    for _ in $(seq "${RENEWALS-2}"); do
        before=$(served_sha hello.example)
        begun=$SECONDS
        while [ "$(served_sha hello.example)" = "$before" ]; do
            serves # with curl's check of the time
            [ $((SECONDS - begun)) -lt 95 ]
            sleep 1
        done
    done
    same() { [ "$(served_sha hello.example)" = "$(issued)" ]; }
    wait_for 30 same # the row follows what NGINX serves
}
