#!/usr/bin/env bats
# Where the key of a certificate is, and what a host does without it: in memory only, provided by a secret set, and a port 443 that is not ours.

# shellcheck disable=SC2154,SC2016 # box_up sets HOST; "sh -c" expands in the box

load helpers/box
load helpers/host
load helpers/ca

setup_file() {
    host_possible || return 0
    host_up
    ca_up
    host_set_up
    make_site 1.0.0
    secrets quiet
}

teardown_file() { ca_down; host_down; }
setup() { host_or_skip; }

state() { tls_of hello .state; }
is() { [ "$(state)" = "$1" ]; }
serves_https() { https hello.example / -o /dev/null 2>/dev/null; }
deploy_with() { # VERSION TLS
    make_site "$1"
    edit_site '.tls = '"$2"
    send "$(pack)"
}

@test "port 443 is somebody else's: the site stays on http with a reason, and what was issued is used later (tls 17)" {
    in_box sh -c 'python3 -c "import socket, time; s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind((\"0.0.0.0\", 443)); s.listen(); time.sleep(600)" >/dev/null 2>&1 & echo $! >/run/taken.pid'
    deploy "$(next_version)"
    wait_for 90 is attention
    [[ "$(tls_of hello .problem)" == *'the new certificate is not in use'*'it is kept'* ]]
    [ "$(code /)" = 200 ]
    in_box sh -c 'kill $(cat /run/taken.pid)'
    run -0 ctl tls renew hello
    serves_https
    [ "$(orders)" = 1 ]
}

@test "a key in memory is found nowhere on the disk, and a host that is locked has a new one after a boot (tls 29)" {
    deploy_with "$(next_version)" '{"key": "memory"}'
    run -0 ctl tls renew hello
    serves_https
    in_box sh -c '! test -e /var/lib/chillbox/certs/hello.pem'
    [ "$(in_box stat -c '%a %U' /run/chillbox/tls/hello.pem)" = '600 root' ]
    line=$(in_box sed -n 2p /run/chillbox/tls/hello.pem)
    [ ${#line} -eq 64 ]
    run -1 in_box grep -r -l -F -e "${line:40}" /var /etc /root /srv
    before=$(served_sha hello.example)
    box reboot "$HOST"
    box wait "$HOST"
    wait_for 60 serves_https # nobody unlocked it
    [ "$(json ping .sealed)" = true ]
    [ "$(served_sha hello.example)" != "$before" ]
    unlock
}

@test "a key in memory, a boot and no CA: 443 refuses until the unlock brings the key (tls 29)" {
    before=$(served_sha hello.example)
    ca stop
    box reboot "$HOST"
    box wait "$HOST"
    wait_for 60 in_box chillboxctl ping >/dev/null
    in_box nginx -t -q
    run ! serves_https
    [ "$(code /)" -ge 500 ] # never in clear what was secure
    unlock
    wait_for 60 serves_https
    [ "$(served_sha hello.example)" = "$before" ]
    ca start
}

@test "a certificate of a secret set is served, and no CA is asked (tls 23)" {
    before=$(orders)
    mkdir -p "$LAPTOP/secrets/tls" "$LAPTOP/secrets/api"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 90 -subj '/CN=provided' -addext 'subjectAltName=DNS:hello.example' \
        -keyout "$LAPTOP/p.key" -out "$LAPTOP/p.crt" 2>/dev/null
    cat "$LAPTOP/p.key" "$LAPTOP/p.crt" >"$LAPTOP/secrets/tls/hello.pem"
    printf 'WHISPER = "quiet"\n' >"$LAPTOP/secrets/api/api.cfg"
    send "$(pack_secrets "$LAPTOP/secrets")"
    deploy_with "$(next_version)" '{"mode": "provided"}'
    provided() { [ "$(served_sha hello.example)" = "$(openssl x509 -in "$LAPTOP/p.crt" -outform DER | sha256sum | cut -d ' ' -f 1)" ]; }
    wait_for 60 provided
    [ "$(tls_of hello '.mode + " " + .state')" = 'provided valid' ]
    [ "$(orders)" = "$before" ]
}

@test "tls off: https goes on until browsers have forgotten, without a redirect" {
    deploy_with "$(next_version)" '{"mode": "off"}'
    off() { [ "$(state)" = off ]; }
    wait_for 30 off
    [ "$(code /)" = 200 ]
    host_curl -k --resolve hello.example:443:127.0.0.1 -D "$BATS_TEST_TMPDIR/head" -o /dev/null https://hello.example/
    grep -qi '^strict-transport-security: max-age=0' "$BATS_TEST_TMPDIR/head"
}
