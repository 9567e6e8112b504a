#!/usr/bin/env bats
# What the network does to a deploy: TLS, proxies, answers that come before the upload has ended, connections that break off.
# tests/cli/http_client_test.cpp has the rest.

# shellcheck disable=SC2154 # $stderr comes from run --separate-stderr

load helpers/cli

setup() {
    cli_setup
    make_site
}

teardown() { cli_teardown; }

# An artifact of 8 MB, which no socket's buffers hold.
pack_big() {
    head -c 8000000 /dev/urandom >blog/backend/src/noise
    pack_site
}

certificate() { # SUBJECT-ALT-NAME
    openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=chillbox -addext "subjectAltName=$1" 2>/dev/null
    cat key.pem cert.pem >both.pem
}

start_proxy() {
    "$FAKE/fake-proxy" . 3>&- &
    FAKE_PIDS="${FAKE_PIDS-} $!"
    for _ in $(seq 100); do [ ! -e proxy-port ] || break; sleep 0.05; done
    PROXY=127.0.0.1:$(cat proxy-port)
}

deploy() { chillboxctl deploy "$ARTIFACT" --to "$URL" --webhook-key host/key "$@"; }

@test "[fault-200] the answer to an upload that is refused before it was read is shown, with and without TLS" {
    pack_big
    start_host refused
    run -1 --separate-stderr deploy
    [[ "$stderr" == *"upload: more than the 5 bytes that are allowed"* ]]
    [ "$(grep -c '^PUT .*[0-9a-f]?cap' host/log)" -eq 1 ]
    rm -r host
    certificate IP:127.0.0.1
    start_host refused --tls both.pem
    URL=https://${URL#http://}
    run -1 --separate-stderr deploy --cacert cert.pem
    [[ "$stderr" == *"upload: more than the 5 bytes that are allowed"* ]]
    [ ! -e host/artifact ]
}

@test "a large upload arrives whole over TLS" {
    pack_big
    certificate IP:127.0.0.1
    start_host '' --tls both.pem
    URL=https://${URL#http://}
    run -0 deploy --wait --cacert cert.pem
    cmp "$ARTIFACT" host/artifact
}

@test "[fault-203] a certificate that is not to be trusted is named as the reason: unknown, of another name, expired" {
    pack_site
    certificate IP:127.0.0.1
    start_host '' --tls both.pem
    URL=https://${URL#http://}
    run -5 --separate-stderr deploy
    [[ "$stderr" == *"certificate is not trusted: self-signed certificate"*"--cacert"* ]]
    run -0 env SSL_CERT_FILE="$PWD/cert.pem" "$CTL" deploy "$ARTIFACT" --to "$URL" --webhook-key host/key
    run -3 deploy --cacert nowhere.pem
    rm -r host
    for name in DNS:127.0.0.1 IP:127.0.0.2 DNS:other.example; do
        certificate "$name"
        rm -rf host
        start_host '' --tls both.pem
        URL=https://${URL#http://}
        run -5 --separate-stderr deploy --cacert cert.pem
        [[ "$stderr" == *"certificate is not trusted: "*"mismatch"* ]]
        [ ! -e host/log ]
    done
    certificate IP:127.0.0.1
    openssl x509 -in cert.pem -signkey key.pem -days -1 -out old.pem 2>/dev/null
    cat key.pem old.pem >both.pem
    rm -r host
    start_host '' --tls both.pem
    URL=https://${URL#http://}
    run -5 --separate-stderr deploy --cacert old.pem
    [[ "$stderr" == *"certificate has expired"* ]]
}

@test "http_proxy, https_proxy and no_proxy are followed, and a proxy's password never reaches the host" {
    pack_site
    start_host
    start_proxy
    export no_proxy=
    http_proxy=http://jo:s3cret@$PROXY run -0 deploy --wait
    grep -q '^PUT http://127.0.0.1:.*/v1/artifacts/' proxy-log
    rm proxy-log
    http_proxy=http://jo:s3cret@$PROXY no_proxy=127.0.0.0/8 run -0 deploy --wait
    HTTP_PROXY=http://jo:s3cret@$PROXY run -0 deploy --wait
    [ ! -e proxy-log ]
    rm -r host
    certificate DNS:there.example
    start_host '' --tls both.pem
    URL=https://there.example:$(cat host/port)
    https_proxy=jo:s3cret@$PROXY run -0 deploy --wait --cacert cert.pem
    [ "$(sort -u proxy-log)" = "CONNECT there.example:$(cat host/port) HTTP/1.1" ]
    run ! grep -r s3cret host/log host/headers
    https_proxy=jo:wrong@$PROXY run -5 --separate-stderr deploy --cacert cert.pem
    [[ "$stderr" == *"(through the proxy http://$PROXY): the proxy answered 'HTTP/1.1 403 Forbidden'"* && "$stderr" != *wrong* ]]
    https_proxy=127.0.0.1:1 run -5 --separate-stderr deploy --cacert cert.pem
    [[ "$stderr" == *"(through the proxy http://127.0.0.1:1): connect to port 1 of 127.0.0.1: connection refused"* ]]
    https_proxy=socks5://$PROXY run -1 --separate-stderr deploy --cacert cert.pem
    [[ "$stderr" == *"only http:// proxies can be used"* ]]
}

@test "[fault-204] --to with a path, and what may be a host that cannot be, are refused before anything is sent" {
    pack_site
    start_host
    for path in /v1/hooks /box /box/; do
        run -2 --separate-stderr chillboxctl deploy "$ARTIFACT" --to "$URL$path" --webhook-key host/key
        [[ "$stderr" == *"must have no path, and '$path' is one: write https://HOST[:PORT]"* ]]
    done
    run -0 chillboxctl deploy "$ARTIFACT" --to "$URL/" --webhook-key host/key
}
