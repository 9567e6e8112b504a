#!/usr/bin/env bats
# A certificate that a site brings itself, in its secret set, on a whole host: refused when it is wrong, served when it is right, away while the host is
# locked, and exchanged under visitors.

# shellcheck disable=SC2154,SC2016 # box_up sets HOST; "sh -c" expands in the box

load helpers/box
load helpers/host

setup_file() {
    host_possible || return 0
    host_up
    host_set_up
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=test-ca -addext keyUsage=critical,keyCertSign -keyout "$LAPTOP/ca.key" -out "$LAPTOP/ca.pem" 2>/dev/null
}

teardown_file() { host_down; }
setup() { host_or_skip; }

own_site() { # VERSION: two names, and its own certificate
    make_site "$1"
    edit_site '.tls = {"mode": "provided"} | .domain_list = ["hello.example", "www.hello.example"]'
    pack
}

certificate() { # NAME...: a new key and certificate in $LAPTOP/pem
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=hello.example -keyout "$LAPTOP/key" -out "$LAPTOP/csr" 2>/dev/null
    printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:false\nauthorityKeyIdentifier=keyid\n' "$(printf ',DNS:%s' "$@" | cut -c 2-)" >"$LAPTOP/ext"
    openssl x509 -req -in "$LAPTOP/csr" -CA "$LAPTOP/ca.pem" -CAkey "$LAPTOP/ca.key" -CAcreateserial -days 1 -extfile "$LAPTOP/ext" -out "$LAPTOP/crt" 2>/dev/null
    cat "$LAPTOP/key" "$LAPTOP/crt" >"$LAPTOP/pem"
}

bring() { # FILE: it in a secret set, sent
    mkdir -p "$LAPTOP/secrets/tls" "$LAPTOP/secrets/api"
    printf 'WHISPER = "x"\n' >"$LAPTOP/secrets/api/api.cfg"
    cp "$1" "$LAPTOP/secrets/tls/hello.pem"
    send "$(pack_secrets "$LAPTOP/secrets")"
}

https() { host_curl --cacert "$LAPTOP/ca.pem" --connect-to ::127.0.0.1: "${@:2}" "https://$1"; }
serves() { https hello.example/ -o /dev/null 2>/dev/null; }
handshake() { box net "$HOST" -- openssl s_client -connect 127.0.0.1:443 -servername "$1" </dev/null 2>&1; }
served() { handshake hello.example | openssl x509 -noout -serial; }
now_served() { [ "$(served)" = "$1" ]; }

@test "a certificate of another key, or without a name of the site, refuses the deploy with exit 8 [fault-332]" {
    certificate hello.example
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 2>/dev/null | cat - "$LAPTOP/crt" >"$LAPTOP/wrong"
    bring "$LAPTOP/wrong"
    artifact=$(own_site 1.0.0)
    run -8 --separate-stderr send "$artifact"
    [[ "$stderr$output" == *"tls/hello.pem"* ]]
    bring "$LAPTOP/pem"
    run -8 --separate-stderr send "$artifact"
    [[ "$stderr$output" == *"not for 'www.hello.example'"* ]]
    certificate hello.example www.hello.example
    bring "$LAPTOP/pem"
    send "$artifact"
}

@test "with the right one the site is on https, http goes there, and other names are refused" {
    wait_for 30 serves
    [ "$(served)" = "$(openssl x509 -noout -serial -in "$LAPTOP/crt")" ]
    [ "$(get /x -o /dev/null -w '%{http_code} %{redirect_url}')" = '308 https://hello.example/x' ]
    [[ "$(https hello.example/ -o /dev/null -D - | tr -d '\r')" == *'max-age=86400'* ]]
    [[ "$(handshake other.example)" == *'unrecognized name'* ]]
    run ! in_box sh -c 'grep -rl "BEGIN.*PRIVATE KEY" /var/lib/chillbox /srv/chillbox /etc/nginx /etc/chillbox'
}

@test "after a boot the locked host refuses https, shows nothing in clear, and NGINX runs; the unlock brings it back [fault-331]" {
    box reboot "$HOST"
    run ! serves
    [[ "$(handshake hello.example)" == *'unrecognized name'* ]]
    [[ "$(code /)" == 50[23] ]]
    unlock
    wait_for 30 serves
}

@test "a new certificate is exchanged under visitors, and no request fails; a wrong one changes nothing" {
    box push "$HOST" "$ROOT/tests/nginx/visitors" "$LAPTOP/ca.pem" /usr/local/bin/
    in_box /usr/local/bin/visitors 443 hello.example /usr/local/bin/ca.pem 4000 >"$LAPTOP/visitors" 2>&1 3>&- &
    visitors=$!
    certificate hello.example www.hello.example
    bring "$LAPTOP/pem"
    wait_for 30 now_served "$(openssl x509 -noout -serial -in "$LAPTOP/crt")"
    before=$(served)
    certificate hello.example
    run -8 --separate-stderr bring "$LAPTOP/pem"
    [ "$(served)" = "$before" ]
    wait "$visitors" || { cat "$LAPTOP/visitors" >&2; false; }
    [[ "$(cat "$LAPTOP/visitors")" == *' 0 failed'* ]]
}
