#!/usr/bin/env bats
# What NGINX is told about certificates, by NGINX itself in each generation that hosts have: 1.22 (Debian 12), 1.26 (Debian 13) and the newest, which
# keeps connections to services. They are Debian's packages, unpacked and run without being installed; ports 8080 and 8443 of a network of their own.

# shellcheck disable=SC2154

SUITES='bookworm trixie sid'

setup_file() {
    ROOT=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
    [ "$(id -u)" -eq 0 ] && command -v apt-get unshare >/dev/null || return 0
    [ -x "$ROOT/${BUILD:-build}/test-nginx" ] || make -s -C "$ROOT" "${BUILD:-build}/test-nginx" >&2
    export ROOT TOP=$BATS_FILE_TMPDIR BATS_NO_PARALLELIZE_WITHIN_FILE=true
    make_certificates
    for suite in $SUITES; do
        tree=$("$ROOT/tests/host/debs" "$suite" nginx 2>"$TOP/$suite.log") || continue
        make_host "$TOP/$suite" "$tree"
    done
}

teardown_file() {
    for suite in $SUITES; do
        [ ! -s "$TOP/$suite/nginx.pid" ] || kill "$(cat "$TOP/$suite/nginx.pid")" || :
        [ ! -s "$TOP/$suite/net.pid" ] || kill "$(cat "$TOP/$suite/net.pid")" || :
    done
    # shellcheck disable=SC2046 # a word for each
    [ ! -s "${TOP-}/services" ] || kill $(cat "$TOP/services") 2>/dev/null || :
}

setup() {
    bats_require_minimum_version 1.5.0
    [ -n "${TOP-}" ] || skip "needs root and apt, to run Debian's packages of NGINX in networks of their own"
}

# One CA, and for each site a file of key and chain.
make_certificates() {
    mkdir -p "$TOP/pem"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=test-ca -keyout "$TOP/ca.key" -out "$TOP/ca.pem" 2>/dev/null
    certify blog blog.example,www.blog.example
    certify blog.wildcard '*.shop.example'
    certify old old.example
    certify own own.example
    certify _host box.example.org
}

certify() { # ID NAMES
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=${2%%,*}" -keyout "$TOP/$1.key" -out "$TOP/$1.csr" 2>/dev/null
    printf 'subjectAltName=DNS:%s\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:false\n' "${2//,/,DNS:}" >"$TOP/$1.ext"
    openssl x509 -req -in "$TOP/$1.csr" -CA "$TOP/ca.pem" -CAkey "$TOP/ca.key" -CAcreateserial -days 1 -extfile "$TOP/$1.ext" -out "$TOP/$1.crt" 2>/dev/null
    cat "$TOP/$1.key" "$TOP/$1.crt" >"$TOP/pem/$1.pem"
}

# A root with the NGINX of a suite, and a network with nothing but itself.
make_host() { # DIR TREE [NETWORK PORT PEER]
    mkdir -p "$1/etc/nginx/http.d" "$1/var/lib/chillbox/certs" "$1/var/log/nginx" "$1/var/cache/nginx" "$1/run/chillbox/sealed" "$1/srv/chillbox/blog" \
        "$1/run/chillbox/slots" "$1/tmp"
    cp "$TOP"/pem/*.pem "$1/var/lib/chillbox/certs/"
    printf 'user root;\nworker_processes 1;\npid %s/nginx.pid;\nerror_log %s/error.log warn;\nevents { worker_connections 256; }\nhttp {\n' "$1" "$1" >"$1/nginx.conf"
    for kind in client_body proxy fastcgi uwsgi scgi; do printf '  %s_temp_path %s/tmp/%s;\n' "$kind" "$1" "$kind" >>"$1/nginx.conf"; done
    printf '  access_log off;\n  ssl_protocols TLSv1 TLSv1.1 TLSv1.2 TLSv1.3;\n  include %s/etc/nginx/http.d/*.conf;\n}\n' "$1" >>"$1/nginx.conf"
    printf '#!/bin/sh\nexec "%s/tests/host/debs" --run "%s" /usr/sbin/nginx -p "%s" -c "%s/nginx.conf" -e stderr "$@"\n' "$ROOT" "$2" "$1" "$1" >"$1/nginx"
    chmod +x "$1/nginx"
    if [ -n "${3-}" ]; then
        CHILLBOX_REAL_PORT=$4 CHILLBOX_REAL_PEER=$5 write "$1" '[.sites]'
        return
    fi
    unshare -n sh -c 'ip link set lo up && exec sleep 3600' 3>&- 4>&- &
    echo $! >"$1/net.pid"
    for site in blog old own; do
        mkdir -p "$1/run/chillbox/live/$site"
        serve "$1" "$site.a" "OLD $site"
        ln -s "../../slots/$site.a.sock" "$1/run/chillbox/live/$site/web.sock"
    done
    write "$1" '[.sites]'
}

serve() { # DIR NAME TEXT
    "$ROOT/tests/nginx/service" "$1/run/chillbox/slots/$2.sock" "$3" </dev/null >/dev/null 2>&1 3>&- 4>&- &
    echo "$!" >>"$TOP/services"
    for _ in $(seq 100); do [ -S "$1/run/chillbox/slots/$2.sock" ] && chmod 0666 "$1/run/chillbox/slots/$2.sock" && return; sleep 0.05; done
    return 1
}

# write DIR STEP: what tests/nginx/real_test.cpp makes of it; CHILLBOX_REAL_... say how.
write() { CHILLBOX_REAL_ROOT=$1 CHILLBOX_REAL_NGINX=$1/nginx "$ROOT/${BUILD:-build}/test-nginx" "$2" >&2; }

inside() { nsenter -t "$(cat "$D/net.pid")" -n -- "$@"; }

# For each NGINX that could be had, with D as its directory.
each() {
    local done=0
    for suite in $SUITES; do
        D=$TOP/$suite
        [ -x "$D/nginx" ] || continue
        VERSION=$("$D/nginx" -v 2>&1 | sed 's,.*/,,')
        "$@" || { echo "with NGINX $VERSION" >&2; return 1; }
        done=$((done + 1))
    done
    [ "$done" -gt 0 ] || skip "no NGINX could be fetched"
}

# One answer and nothing else.
silent_test() {
    local said
    said=$(inside "$D/nginx" -t 2>&1) || { echo "$said" >&2; return 1; }
    [ -z "$(printf '%s\n' "$said" | grep -vE 'syntax is ok|test is successful')" ] || { echo "$said" >&2; return 1; }
}

start() {
    [ -s "$D/nginx.pid" ] || inside "$D/nginx"
    for _ in $(seq 50); do inside curl -s -o /dev/null http://127.0.0.1:8080/ && return; sleep 0.1; done
    cat "$D/error.log" >&2
    return 1
}

reload() {
    inside "$D/nginx" -s reload
    sleep 0.5
}

# get URL [CURL_OPTION...]: every name leads to this machine.
get() { inside curl -s -m 10 --cacert "$TOP/ca.pem" --connect-to ::127.0.0.1: "${@:2}" "$1"; }
code() { get "$@" -o /dev/null -w '%{http_code} %{redirect_url}'; }
headers() { get "$@" -o /dev/null -D - | tr -d '\r'; }
handshake() { inside openssl s_client -connect 127.0.0.1:8443 -servername "$@" </dev/null 2>&1; }

is() { [ "$1" = "$2" ] || { printf 'found %s, wanted %s\n' "$1" "$2" >&2; return 1; }; }
with() { [[ "$1" == *"$2"* ]] || { printf 'found %s, wanted %s in it\n' "$1" "$2" >&2; return 1; }; }

plain() {
    # The original's two servers meet on port 80 until there is a certificate, as they always did.
    said=$(inside "$D/nginx" -t 2>&1 | grep -vE 'syntax is ok|test is successful|conflicting server name ".old.example" on [^ ]*:8080')
    is "$said" '' && start &&
        is "$(get http://blog.example:8080/)" 'OLD blog' &&
        is "$(get http://old.example:8080/)" 'OLD old' &&
        is "$(code http://www.blog.example:8080/a?b)" '308 http://blog.example:8080/a?b' &&
        ! inside curl -s -m 2 -o /dev/null https://127.0.0.1:8443/ -k
}

@test "without a certificate each generation of NGINX serves http, and nothing listens on the port for https" { each plain; }

secured() {
    write "$D" '[.certificates]' && silent_test && reload &&
        is "$(get https://blog.example:8443/)" 'OLD blog' &&
        is "$(get https://a.shop.example:8443/)" 'OLD blog' &&
        is "$(get https://old.example:8443/)" 'OLD old' &&
        is "$(get https://own.example:8443/)" 'OLD own' &&
        is "$(get https://box.example.org:8443/healthcheck/)" ok &&
        is "$(code http://box.example.org:8080/healthcheck/)" '200 '
}

@test "with certificates each takes the text without a warning and serves https, and the host itself too (tls 33)" { each secured; }

redirects() {
    is "$(code http://blog.example:8080/a?b)" '308 https://blog.example:8443/a?b' &&
        is "$(code http://www.blog.example:8080/a?b)" '308 https://blog.example:8443/a?b' &&
        is "$(code https://www.blog.example:8443/a?b)" '308 https://blog.example:8443/a?b' &&
        is "$(code http://own.example:8080/x)" '308 https://own.example:8443/x' &&
        is "$(code http://old.example:8080/x)" '307 https://old.example:8443/x' &&
        is "$(code http://a.shop.example:8080/x)" '308 https://a.shop.example:8443/x' &&
        is "$(code http://a.b.shop.example:8080/)" '200 ' &&
        is "$(code http://shop.example:8080/)" '200 ' && # an alias that the certificate does not have
        is "$(code http://blog.example:8080/ -X POST)" '308 https://blog.example:8443/'
}

@test "names with a certificate go to https in one step, others stay on http" { each redirects; }

claims() {
    is "$(code http://blog.example:8080/ -H 'X-Forwarded-Proto: https')" '308 https://blog.example:8443/' &&
        CHILLBOX_REAL_TRUST=yes write "$D" '[.certificates]' && silent_test && reload &&
        is "$(code http://blog.example:8080/ -H 'X-Forwarded-Proto: https')" '200 ' &&
        is "$(code http://blog.example:8080/ -H 'X-Forwarded-Proto: http')" '308 https://blog.example:8443/' &&
        with "$(headers http://blog.example:8080/ -H 'X-Forwarded-Proto: https')" 'Strict-Transport-Security: max-age=86400' &&
        write "$D" '[.certificates]' && reload &&
        is "$(code http://blog.example:8080/ -H 'X-Forwarded-Proto: https')" '308 https://blog.example:8443/'
}

@test "only a trusted proxy is believed that a visitor came by https (tls 30) [attack-N4]" { each claims; }

challenges() {
    mkdir -p "$D/var/lib/chillbox/acme/.well-known/acme-challenge" && chmod -R a+rX "$D/var/lib/chillbox/acme" &&
        echo token >"$D/var/lib/chillbox/acme/.well-known/acme-challenge/abc" && ln -sf /etc/passwd "$D/var/lib/chillbox/acme/.well-known/acme-challenge/link" &&
        ln -sfn /etc "$D/var/lib/chillbox/acme/.well-known/acme-challenge/dir" &&
        chown -h nobody "$D/var/lib/chillbox/acme/.well-known/acme-challenge/"* || return 1 # as whoever writes there
    for name in blog.example www.blog.example shop.example old.example own.example box.example.org any.example; do
        is "$(get "http://$name:8080/.well-known/acme-challenge/abc")" token || return 1
        is "$(code "http://$name:8080/.well-known/acme-challenge/none")" '404 ' || return 1
        with '403 404 ' "$(code "http://$name:8080/.well-known/acme-challenge/link")" || return 1
        with '403 404 ' "$(code "http://$name:8080/.well-known/acme-challenge/dir/passwd")" || return 1
    done
    : >"$D/srv/chillbox/blog/maintenance"
    is "$(get http://blog.example:8080/.well-known/acme-challenge/abc)" token && is "$(code https://blog.example:8443/)" '503 ' || return 1
    rm "$D/srv/chillbox/blog/maintenance"
}

@test "a challenge is answered by http for every name, in maintenance too, and no link below its folder is followed [attack-N5]" { each challenges; }

others() {
    with "$(handshake other.example)" 'unrecognized name' && with "$(handshake blog.example.evil.example)" 'unrecognized name' || return 1
    with "$(inside openssl s_client -connect 127.0.0.1:8443 -noservername </dev/null 2>&1)" 'alert' || return 1
    for name in blog.example a.shop.example old.example own.example; do
        with "$(handshake "$name" -CAfile "$TOP/ca.pem" -verify_hostname "$name")" 'Verify return code: 0 (ok)' || return 1
        for old in -tls1 -tls1_1; do
            with "$(handshake "$name" "$old" -cipher DEFAULT@SECLEVEL=0)" 'Cipher is (NONE)' || return 1
        done
        with "$(handshake "$name" -tls1_2 -cipher ECDHE-ECDSA-AES128-SHA:AES128-SHA)" alert || return 1
        with "$(handshake "$name" -tls1_2)" 'Cipher is ECDHE-ECDSA' || return 1
    done
}

@test "other names are refused, and so is everything below TLS 1.2 and every suite without forward secrecy, whatever a template or nginx.conf says [attack-N5]" { each others; }

http2() {
    is "$(get https://blog.example:8443/ --http2 -o /dev/null -w '%{http_version}')" 2 &&
        is "$(get https://own.example:8443/ --http2 -o /dev/null -w '%{http_version}')" 2 &&
        is "$(get https://blog.example:8443/ --http1.1)" 'OLD blog'
}

@test "HTTP/2 is spoken to those who offer it" { each http2; }

hsts() {
    with "$(headers https://blog.example:8443/)" 'max-age=86400' &&
        with "$(headers https://own.example:8443/)" 'max-age=86400' &&
        ! headers http://blog.example:8080/ | grep -i strict-transport &&
        ! headers https://a.shop.example:8443/ | grep -i strict-transport &&
        write "$D" '[.off]' && silent_test && reload &&
        with "$(headers https://blog.example:8443/)" 'max-age=0' &&
        is "$(get http://blog.example:8080/)" 'OLD blog' &&
        write "$D" '[.certificates]' && reload
}

@test "the promise of https is made by https only, and taken back when TLS is switched off" { each hsts; }

away() {
    mv "$D/run/chillbox/tls/own.conf" "$D/own.conf" && silent_test && reload &&
        is "$(code http://own.example:8080/)" '502 ' && with "$(handshake own.example)" 'unrecognized name' &&
        is "$(get http://own.example:8080/.well-known/acme-challenge/abc)" token &&
        is "$(get https://blog.example:8443/)" 'OLD blog' && rm -r "$D/run/chillbox/tls" && silent_test &&
        write "$D" '[.certificates]' && reload && is "$(get https://own.example:8443/)" 'OLD own'
}

@test "a key in memory that is away refuses its name alone, and NGINX starts without it [fault-331]" { each away; }

switches() {
    for site in blog own; do
        serve "$D" "$site.b" "NEW $site"
        is "$(get "https://$site.example:8443/")" "OLD $site" || return 1
        ln -sfn "../../slots/$site.b.sock" "$D/run/chillbox/live/$site/web.new" && mv -T "$D/run/chillbox/live/$site/web.new" "$D/run/chillbox/live/$site/web.sock"
        for _ in 1 2 3; do is "$(get "https://$site.example:8443/")" "NEW $site" || return 1; done
    done
}

@test "after a switch the next request goes to the new release, in a template without Connection too (tls 34) [fault-328]" { each switches; }

# REQUESTS and RENEWALS for more: `make test-tls-load`.
renewals() {
    write "$D" '[.certificates]' && reload
    inside "$ROOT/tests/nginx/visitors" 8443 blog.example "$TOP/ca.pem" "${REQUESTS:-2400}" >"$D/visitors" 2>"$D/visitors.errors" 3>&- 4>&- &
    local visitors=$! number=0
    while [ "$number" -lt "${RENEWALS:-3}" ]; do
        sleep 0.3
        certify blog blog.example,www.blog.example && cp "$TOP/pem/blog.pem" "$D/var/lib/chillbox/certs/blog.pem.new" &&
            mv "$D/var/lib/chillbox/certs/blog.pem.new" "$D/var/lib/chillbox/certs/blog.pem" && reload || return 1
        number=$((number + 1))
    done
    wait "$visitors" || { cat "$D/visitors" "$D/visitors.errors" >&2; return 1; }
    echo "# NGINX $VERSION: $(cat "$D/visitors")" >&3
    with "$(cat "$D/visitors")" ' 0 failed' && [ "$(sed 's/.* \([0-9]*\) certificates/\1/' "$D/visitors")" -gt 1 ]
}

@test "certificates are renewed under visitors who keep their connections, and no request fails" { each renewals; }

http3() {
    curl=$("$ROOT/tests/host/debs" trixie curl nghttp2-client 2>/dev/null) || skip "no curl with HTTP/3 could be fetched"
    h3() { inside "$ROOT/tests/host/debs" --run "$curl" /usr/bin/curl -s -m 10 --cacert "$TOP/ca.pem" --connect-to ::127.0.0.1: --http3-only "$@"; }
    CHILLBOX_REAL_HTTP3=yes write "$D" '[.certificates]' && silent_test && reload || return 1
    if "$D/nginx" -V 2>&1 | grep -q http_v3; then
        with "$(h3 https://blog.example:8443/)" ' blog' && is "$(h3 https://own.example:8443/ -o /dev/null -w '%{http_version}')" 3 &&
            with "$(headers https://blog.example:8443/)" 'h3=":8443"' && ! h3 https://other.example:8443/ || return 1
    else
        ! headers https://blog.example:8443/ | grep -i alt-svc || return 1
    fi
    with "$(inside "$ROOT/tests/host/debs" --run "$curl" /usr/bin/h2load -n 2000 -c 8 -m 10 --connect-to 127.0.0.1:8443 https://blog.example:8443/)" '2000 succeeded, 0 failed' &&
        write "$D" '[.certificates]' && reload && ! headers https://blog.example:8443/ | grep -i alt-svc
}

@test "HTTP/3 is spoken when the host wants it, where NGINX has it; 2000 requests by HTTP/2 fail nowhere" { each http3; }

proxied() {
    CHILLBOX_REAL_PROXY=yes write "$D" '[.sites]' && CHILLBOX_REAL_PROXY=yes write "$D" '[.certificates]' && silent_test && reload || return 1
    inside ip addr add 10.9.9.9/32 dev lo
    far() { inside curl -s -m 10 --cacert "$TOP/ca.pem" --connect-to ::10.9.9.9: "$@"; }
    with "$(far https://blog.example:8443/ --haproxy-protocol)" ' blog' &&
        is "$(far http://blog.example:8080/ --haproxy-protocol -o /dev/null -w '%{http_code}' -H 'X-Forwarded-Proto: https')" 308 &&
        ! far https://blog.example:8443/ && # whoever does not speak it
        with "$(get https://blog.example:8443/)" ' blog' && # but this machine may
        with "$(get https://own.example:8443/)" ' own' &&
        is "$(inside curl -s http://127.0.0.1:8080/generation -H 'Host: generation.chillbox.invalid' -o /dev/null -w '%{http_code}')" 200 &&
        write "$D" '[.sites]' && write "$D" '[.certificates]' && reload && with "$(far https://blog.example:8443/)" ' blog'
}

@test "with the PROXY protocol every port speaks it, except to this machine, and a visitor's word on https is not the proxy's [attack-N4]" { each proxied; }

neighbours() {
    make_host "$D/peer" "$(sed -n 's/.*--run "\([^"]*\)".*/\1/p' "$D/nginx")" "$(cat "$D/net.pid")" 8088 127.0.0.1:8080
    CHILLBOX_REAL_PEER=127.0.0.1:8088 write "$D" '[.sites]'
    reload
    inside "$D/peer/nginx"
    mkdir -p "$D/peer/var/lib/chillbox/acme/.well-known/acme-challenge"
    echo theirs >"$D/peer/var/lib/chillbox/acme/.well-known/acme-challenge/there"
    is "$(get http://blog.example:8080/.well-known/acme-challenge/there)" theirs &&
        is "$(get http://own.example:8080/.well-known/acme-challenge/there)" theirs &&
        is "$(get http://blog.example:8088/.well-known/acme-challenge/abc)" token &&
        is "$(code http://blog.example:8080/.well-known/acme-challenge/nowhere)" '404 '
    local found=$?
    kill "$(cat "$D/peer/nginx.pid")"
    is "$(code http://blog.example:8080/.well-known/acme-challenge/there)" '404 ' || is "$(code http://blog.example:8080/.well-known/acme-challenge/there)" '502 ' || return 1
    write "$D" '[.sites]'
    reload
    return "$found"
}

@test "a challenge of another host with the same name is answered, and none that nobody has is passed on for ever (tls 31)" { each neighbours; }

@test "testssl.sh gives A with the promise of a new certificate and A+ with that of a year (GRADE=1)" {
    [ -n "${GRADE-}" ] || skip "takes minutes: make test-tls-grade"
    D=$TOP/trixie
    tree=$("$ROOT/tests/host/debs" trixie testssl.sh openssl bind9-host 2>/dev/null) && [ -x "$D/nginx" ] || skip "no testssl.sh of Debian 13 could be fetched"
    start
    mkdir -p "$TOP/bin"
    for name in openssl; do printf '#!/bin/sh\nexec "%s/tests/host/debs" --run "%s" /usr/bin/%s "$@"\n' "$ROOT" "$tree" "$name" >"$TOP/bin/$name"; done
    printf '#!/bin/sh\nexit 0\n' >"$TOP/bin/host"
    chmod +x "$TOP"/bin/*
    grade() {
        inside env PATH="$TOP/bin:$PATH" TESTSSL_INSTALL_DIR="$tree/etc/testssl" bash "$tree/usr/bin/testssl" --quiet --color 0 --warnings off --openssl "$TOP/bin/openssl" \
            --add-ca "$TOP/ca.pem" --ip 127.0.0.1 blog.example:8443 </dev/null >"$TOP/grade.txt" 2>&1 || :
        sed -n 's/.*Overall Grade *\(.*\)/\1/p' "$TOP/grade.txt"
    }
    write "$D" '[.certificates]'
    reload
    is "$(grade)" A || { tail -n 40 "$TOP/grade.txt" >&2; return 1; }
    CHILLBOX_REAL_YEAR=yes write "$D" '[.certificates]'
    reload
    is "$(grade)" A+
    # The CA of this test has no list of what it revoked.
    ! grep -v 'neither CRL nor OCSP' "$TOP/grade.txt" | grep -E 'NOT ok|VULNERABLE|offered \(deprecated\)'
}

@test "without keepalive 0 the newest NGINX stays with the old release, so the test above can fail [fault-328]" {
    D=$TOP/sid
    [ -e "$D/var/lib/chillbox/nginx/upstream.conf" ] || skip "no NGINX of 1.29.7 or later could be fetched"
    rm "$D/var/lib/chillbox/nginx/upstream.conf"
    reload
    is "$(get https://own.example:8443/)" 'NEW own'
    serve "$D" own.c 'NEWER own'
    ln -sfn ../../slots/own.c.sock "$D/run/chillbox/live/own/web.sock"
    is "$(get https://own.example:8443/)" 'NEW own'
    write "$D" '[.certificates]'
    reload
    is "$(get https://own.example:8443/)" 'NEWER own'
}

gone() {
    write "$D" '[.none]' && reload &&
        is "$(code http://own.example:8080/)" '200 ' && is "$(code http://blog.example:8080/)" '200 ' &&
        ! inside curl -s -m 2 -o /dev/null https://127.0.0.1:8443/ -k
}

@test "without certificates again everything is on http" { each gone; }
