#!/usr/bin/env bats
# What chillbox writes for NGINX, served by the real one in the host in a box, with stand-ins for the edge and a site's service.

# shellcheck disable=SC2154,SC2016 # box_up sets the name; "sh -c" expands in the box

load helpers/box

setup_file() {
    needs_root
    ROOT=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
    [ -x "$ROOT/${BUILD:-build}/test-nginx" ] || make -s -C "$ROOT" "${BUILD:-build}/test-nginx" >&2
    box_up NGINX_HOST
    box push "$NGINX_HOST" "$ROOT/${BUILD:-build}/test-nginx" "$ROOT/tests/nginx/echo" /usr/local/bin/
    in_box sh -c 'mkdir -p /run/chillbox/live/blog /run/chillbox/sealed /run/chillbox/slots &&
        mkdir -p /srv/chillbox/blog/releases/1/docs /srv/chillbox/blog/releases/1/immutable/assets/abc &&
        cd /srv/chillbox/blog && ln -s releases/1 current && echo docs >current/docs/index.html &&
        mkdir -p immutable/assets && ln -s ../../releases/1/immutable/assets/abc immutable/assets/abc &&
        echo asset >current/immutable/assets/abc/a.css && echo hashed >current/docs/app.3f2a9c1d.css'
    serve /run/chillbox/slots/web.a.sock a
    in_box ln -s ../../slots/web.a.sock /run/chillbox/live/blog/web.sock
    in_box test-nginx '[.host]'
    in_box test-nginx '[.site]'
}

teardown_file() { [ -z "${NGINX_HOST-}" ] || box down "$NGINX_HOST"; }

setup() { bats_require_minimum_version 1.5.0; }

in_box() { box run "$NGINX_HOST" -- "$@"; }

# serve SOCKET NAME: returns when it listens.
serve() {
    in_box sh -c 'setsid /usr/local/bin/echo "$1" "$2" </dev/null >/dev/null 2>&1 3>&- 4>&- & i=0
        until [ -S "$1" ]; do i=$((i + 1)); [ $i -lt 100 ] || exit 1; sleep 0.05; done' sh "$1" "$2"
}

# get HOST PATH [CURL_OPTION...]
get() { in_box curl -s -m 10 -H "Host: $1" "${@:3}" "http://127.0.0.1$2"; }
code() { get "$@" -o /dev/null -w '%{http_code}'; }
headers() { get "$@" -o /dev/null -D - | tr -d '\r'; }

@test "the packaged default site stays, and the host-level server answers to its own names beside it" {
    in_box test -e /etc/nginx/sites-enabled/default
    [ "$(get localhost /healthcheck/)" = ok ]
    [ "$(code localhost /)" = 404 ]
    [[ "$(get unknown.test /)" == *"Welcome to nginx"* ]]
}

@test "the generation is for this machine only, and changes with a reload" {
    before=$(get generation.chillbox.invalid /generation)
    [ "${#before}" -eq 16 ]
    in_box test-nginx '[.host]'
    [ "$(get generation.chillbox.invalid /generation)" != "$before" ]
}

@test "a site's service gets the request as it was, with who asked and how, over one connection each" {
    answer=$(get blog.test '/a%20b/?q=1' -H 'X-Forwarded-For: 6.6.6.6' -H 'Proxy: evil')
    [ "$(jq -r .name <<<"$answer")" = a ]
    [ "$(jq -r .line <<<"$answer")" = 'GET /a%20b/?q=1 HTTP/1.1' ]
    [ "$(jq -c '[.headers[] | select(.[0] == "X-Forwarded-For")]' <<<"$answer")" = '[["X-Forwarded-For","127.0.0.1"]]' ]
    jq -e '.headers | index([["Host","blog.test"]]) and index([["X-Forwarded-Proto","http"]]) and index([["Connection","close"]])' <<<"$answer"
    run ! jq -e '.headers[] | select(.[0] == "Proxy")' <<<"$answer"
}

@test "other names go to the canonical one with path and query, and files come with the right headers" {
    [[ "$(headers www.blog.test '/x?y=1')" == *"Location: http://blog.test/x?y=1"* ]]
    [ "$(get blog.test /docs/)" = docs ]
    [ "$(get blog.test /immutable/assets/abc/a.css)" = asset ]
    [[ "$(headers blog.test /immutable/assets/abc/a.css)" == *"Cache-Control: public, max-age=31536000, immutable"* ]]
    [[ "$(headers blog.test /docs/app.3f2a9c1d.css)" == *"Cache-Control: public, max-age=31536000, immutable"* ]]
    [[ "$(headers blog.test /docs/index.html)" != *"Cache-Control"* ]]
    [[ "$(headers blog.test /docs/index.html)" == *"X-Content-Type-Options: nosniff"* ]]
    [ "$(code blog.test /docs/.git/config)" = 404 ]
    [ "$(code blog.test /docs/missing)" = 404 ]
}

@test "what the service says itself about frames and caches goes before the defaults, and its errors are its own" {
    [[ "$(headers blog.test /)" == *"X-Frame-Options: SAMEORIGIN"* ]]
    answer=$(headers blog.test /app.3f2a9c1d.css -H 'X-Want-X-Frame-Options: DENY' -H 'X-Want-Cache-Control: no-cache')
    [ "$(grep -c '^X-Frame-Options' <<<"$answer")" -eq 1 ]
    [ "$(grep -c '^Cache-Control' <<<"$answer")" -eq 1 ]
    [[ "$answer" == *"X-Frame-Options: DENY"* && "$answer" == *"Cache-Control: no-cache"* ]]
    for status in 404 500 502 503; do
        answer=$(get blog.test / -H "X-Want-Status: $status" -w '%{http_code}')
        [[ "$answer" == '{"name": "a"'*"$status" ]]
    done
}

@test "a service that cannot be reached: 502, and 503 with the sealed page while the flag is there" {
    in_box mv /run/chillbox/live/blog/web.sock /run/chillbox/live/blog/away
    [ "$(code blog.test /)" = 502 ]
    [[ "$(get blog.test /)" == *"Not available"* ]]
    in_box touch /run/chillbox/sealed/blog
    [ "$(code blog.test /)" = 503 ]
    [[ "$(get blog.test /)" == *"Locked"* ]]
    [[ "$(headers blog.test /)" == *"Retry-After: 300"* ]]
    [ "$(get blog.test /docs/)" = docs ]
    in_box mv /run/chillbox/live/blog/away /run/chillbox/live/blog/web.sock
    [ "$(code blog.test /)" = 200 ]
    in_box rm /run/chillbox/sealed/blog
}

@test "maintenance: everybody gets the page, except the challenge of a certificate" {
    in_box sh -c 'touch /srv/chillbox/blog/maintenance && echo token >/var/lib/chillbox/acme/.well-known/acme-challenge/t'
    [ "$(code blog.test /)" = 503 ]
    [ "$(code blog.test /docs/)" = 503 ]
    [[ "$(get blog.test /)" == *"Back soon"* ]]
    [[ "$(headers blog.test /)" == *"Retry-After: 120"* ]]
    [ "$(get blog.test /.well-known/acme-challenge/t)" = token ]
    [ "$(get www.blog.test /.well-known/acme-challenge/t)" = token ]
    in_box rm /srv/chillbox/blog/maintenance
    [ "$(code blog.test /)" = 200 ]
}

@test "the rename of the live link moves the next request, without a reload" {
    serve /run/chillbox/slots/web.b.sock b
    in_box sh -c 'cd /run/chillbox/live/blog && ln -s ../../slots/web.b.sock new && mv -T new web.sock'
    [ "$(get blog.test / | jq -r .name)" = b ]
    in_box sh -c 'cd /run/chillbox/live/blog && ln -s ../../slots/web.a.sock new && mv -T new web.sock'
    [ "$(get blog.test / | jq -r .name)" = a ]
}

@test "[fault-113] [fault-114] a wrong text and a silent failure of a reload are told, and the old configuration serves" {
    in_box test-nginx '[.wrong]'
    in_box test-nginx '[.taken]'
    in_box test-nginx '[.template]'
    [ "$(code blog.test /)" = 200 ]
}

@test "[fault-18] [fault-22] [fault-30] only what the edge may see reaches it" {
    [ "$(code localhost /v1/hooks -d x)" = 503 ]
    [[ "$(get localhost /v1/hooks -d x)" == *'"unreachable"'* ]]
    serve /run/chillbox/hook.sock edge
    hash=$(printf 'a%.0s' {1..64})
    for method in GET PUT HEAD DELETE; do
        [ "$(code localhost /v1/hooks -X "$method" -m 2)" = 405 ] || false
    done
    [ "$(code localhost /v1/hooks -d x -H 'Content-Encoding: gzip')" = 415 ]
    [ "$(in_box sh -c "head -c 65536 /dev/zero | curl -s -H 'Host: localhost' --data-binary @- http://127.0.0.1/v1/hooks" | jq .body)" = 65536 ]
    [ "$(in_box sh -c "head -c 65537 /dev/zero | curl -s -o /dev/null -w '%{http_code}' -H 'Host: localhost' --data-binary @- http://127.0.0.1/v1/hooks")" = 413 ]
    [ "$(code localhost "/v1/artifacts/$hash" -X PUT -d x)" = 200 ]
    [ "$(code localhost "/v1/artifacts/$hash.minisig" -X PUT -d x)" = 200 ]
    [ "$(code localhost "/v1/artifacts/$hash")" = 405 ]
    [ "$(code localhost /v1/artifacts/short -X PUT -d x)" = 404 ]
    [ "$(code localhost /v1/jobs/j1)" = 200 ]
    [ "$(code localhost /v1/jobs/j1/events)" = 200 ]
    [ "$(code localhost /v1/jobs/j1/../../etc --path-as-is)" = 404 ]
    [ "$(code localhost /v1/health)" = 200 ]
    [ "$(code localhost /v1/anything)" = 404 ]
}

@test "[fault-25] [fault-28] a body reaches the edge counted, a chunked one not at all, an encoded line break stays text" {
    chunked=$(in_box sh -c "printf abc | curl -s -o /dev/null -w '%{http_code}' -H 'Host: localhost' -H 'Transfer-Encoding: chunked' --data-binary @- http://127.0.0.1/v1/hooks")
    [ "$chunked" = 411 ]
    answer=$(in_box sh -c "printf abc | curl -s -H 'Host: localhost' --data-binary @- http://127.0.0.1/v1/hooks")
    [ "$(jq -r .line <<<"$answer")" = 'POST /v1/hooks HTTP/1.0' ]
    jq -e '.headers | index([["Content-Length","3"]]) and index([["Connection","close"]])' <<<"$answer"
    [ "$(get localhost '/v1/jobs/j1?capability=a%0d%0aX:y' | jq -r .line)" = 'GET /v1/jobs/j1?capability=a%0d%0aX:y HTTP/1.0' ]
}

@test "[fault-33] [fault-35] the edge hears NGINX's own word on who asks, and its 500 comes through as it is" {
    answer=$(get localhost /v1/jobs/j1 -H 'X-Forwarded-For: 6.6.6.6' -H 'Remote-Addr: 6.6.6.6')
    [ "$(jq -c '[.headers[] | select(.[0] == "X-Forwarded-For")]' <<<"$answer")" = '[["X-Forwarded-For","127.0.0.1"]]' ]
    [[ "$(get localhost /v1/jobs/j1 -H 'X-Want-Status: 500' -w '%{http_code}')" == '{"name": "edge"'*500 ]]
}

@test "[fault-21] [fault-23] a slow body is dropped after three seconds, large headers are refused" {
    begun=$SECONDS
    in_box bash -c 'exec 3<>/dev/tcp/127.0.0.1/80; printf "POST /v1/hooks HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nab" >&3; cat <&3' || :
    [ $((SECONDS - begun)) -le 6 ]
    [ $((SECONDS - begun)) -ge 2 ]
    [ "$(code localhost /v1/health -H "X: $(printf 'a%.0s' {1..40000})")" = 400 ]
}

@test "[fault-21] a slow head is dropped after five seconds, though the default server is another's, byte by byte too" {
    in_box test -e /etc/nginx/sites-enabled/default
    in_box python3 - <<'END'
import socket, time
for drip in (False, True):
    s = socket.create_connection(("127.0.0.1", 80))
    s.send(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ")
    s.settimeout(0.5)
    begun = time.monotonic()
    while time.monotonic() - begun < 20:
        try:
            s.recv(1000)
            break
        except TimeoutError:
            if drip:
                s.send(b"x")
        except OSError:
            break
    took = time.monotonic() - begun
    assert 4 <= took <= 9, f"drip {drip}: {took} s"
END
}

@test "[fault-21] who sets a time for heads in nginx.conf keeps it" {
    in_box sed -i 's/^http {/http {\n client_header_timeout 20s;/' /etc/nginx/nginx.conf
    in_box sed -i '/^client_header_timeout/d' /etc/nginx/conf.d/chillbox.conf # else NGINX would not start
    in_box nginx -t
    in_box test-nginx '[.host]'
    run ! in_box grep -q '^client_header_timeout' /etc/nginx/conf.d/chillbox.conf
    in_box sed -i '/client_header_timeout 20s/d' /etc/nginx/nginx.conf
    in_box test-nginx '[.host]'
    in_box grep -q '^client_header_timeout 5s;' /etc/nginx/conf.d/chillbox.conf
}

@test "capabilities are in no log of NGINX" {
    code localhost '/v1/jobs/j1?capability=SECRET1' >/dev/null
    code localhost '/v1/none?capability=SECRET2' >/dev/null
    in_box mv /run/chillbox/hook.sock /run/chillbox/away
    code localhost '/v1/jobs/j1?capability=SECRET3' >/dev/null
    in_box mv /run/chillbox/away /run/chillbox/hook.sock
    run ! in_box grep -r SECRET /var/log/nginx
}

@test "NGINX starts again after kill -9, and at boot before chillboxd has made anything" {
    in_box sh -c 'kill -9 $(cat /run/nginx.pid); sleep 0.2; for p in /proc/[0-9]*; do grep -q "^nginx: worker" $p/cmdline 2>/dev/null && kill -9 ${p#/proc/}; done
        rm -rf /run/chillbox; rc-service nginx zap; rc-service nginx start'
    [ "$(get blog.test /docs/)" = docs ]
    [ "$(code blog.test /)" = 502 ]
    [ "$(get localhost /healthcheck/)" = ok ]
}
