#!/usr/bin/env bats
# What chillbox writes for NGINX, served by the real one in the host in a box, with stand-ins for the edge and a site's service.

# shellcheck disable=SC2154,SC2016 # box_up sets the name; "sh -c" expands in the box

load helpers/box

setup_file() {
    needs_root
    ROOT=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
    [ -x "$ROOT/${BUILD:-build}/test-nginx" ] || make -s -C "$ROOT" "${BUILD:-build}/test-nginx" >&2
    box_up HOST
    box push "$HOST" "$ROOT/${BUILD:-build}/test-nginx" "$ROOT/tests/nginx/echo" /usr/local/bin/
    in_box sh -c 'mkdir -p /run/chillbox/live/blog /run/chillbox/sealed /run/chillbox/slots &&
        mkdir -p /srv/chillbox/blog/releases/1/docs /srv/chillbox/blog/releases/1/immutable/assets/abc &&
        cd /srv/chillbox/blog && ln -s releases/1 current && echo docs >current/docs/index.html &&
        mkdir -p immutable/assets && ln -s ../../releases/1/immutable/assets/abc immutable/assets/abc &&
        echo asset >current/immutable/assets/abc/a.css && echo hashed >current/docs/app.3f2a9c1d.css &&
        mkdir -p current/docs/sub current/docs/tags/.net current/docs/.git current/docs/.well-known &&
        for f in app-3f2a9c1d.css main.55e7cbb9ba48.js menu-20260101.png prices.20241126.json contact-15551234567.svg menu-20260101a.png \
            cafe-deadbeef.jpg facade01-cafe2024.jpg photo-550e8400-e29b-41d4-a716-4466554a0b1c.png user-0f8fad5bd9cb469fa16570867728950e.png x-b2b.css \
            sensor-a4cf12b5d3e9.json author-507f1f77bcf86cd799439011.json author.507f1f77bcf86cd799439011.js invoice-2024a1b2c3.svg \
            a.mjs a.wasm a.webmanifest a.avif a.webp a.woff2 a.jxl a.map a.json a.xml a.md a.txt a.css a.js a.svg a.html a.unknown \
            a.pkpass a.mobileconfig a.usdz a.kmz a.weba a.mkv a.avi a.3gp a.m4b a.aif a.cur a.opml a.ttl \
            a.asc a.srt a.m3u a.mobi a.torrent a.xpi a.eps a.rar a.crt a.jnlp a.odg a.ndjson a.swf a.xspf \
            tags/.net/index.html sub/index.html .env .htaccess .git/config .well-known/security.txt; do echo "$f" >"current/docs/$f"; done'
    serve /run/chillbox/slots/web.a.sock a
    in_box ln -s ../../slots/web.a.sock /run/chillbox/live/blog/web.sock
    in_box test-nginx '[.host]'
    in_box test-nginx '[.site]'
}

teardown_file() { [ -z "${HOST-}" ] || box down "$HOST"; }

setup() { bats_require_minimum_version 1.5.0; }

in_box() { box run "$HOST" -- "$@"; }

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
    in_box sh -c 'test -e /etc/nginx/sites-enabled/default || test -e /etc/nginx/http.d/default.conf'
    [ "$(get localhost /healthcheck/)" = ok ]
    [ "$(code localhost /)" = 404 ]
    [[ "$(get unknown.test /)" == *"Welcome to nginx"* || "$(code unknown.test /)" = 404 ]] # Debian's, Alpine's
}

@test "[fault-1064] of immutable files, too, none is served whose name begins with a dot" {
    in_box sh -c 'cd /srv/chillbox/blog/current/immutable/assets/abc && mkdir -p .git && echo secret | tee .htpasswd .git/config >/dev/null'
    [ "$(code blog.test /immutable/assets/abc/a.css)" = 200 ]
    for path in .htpasswd .git/config; do [ "$(code blog.test "/immutable/assets/abc/$path")" = 404 ]; done
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

@test "[fault-243] only a file's name with a hash in it is cached for ever: no date, number, word or UUID, no service's answer, no redirect, no 404" {
    for name in app.3f2a9c1d.css app-3f2a9c1d.css main.55e7cbb9ba48.js; do
        [[ "$(headers blog.test "/docs/$name")" == *immutable* ]] || { echo "$name"; false; }
        [[ "$(headers blog.test "/$name")" != *immutable* ]] || { echo "of the service: $name"; false; }
    done
    etag=$(headers blog.test /docs/app.3f2a9c1d.css | sed -n 's/^ETag: //p')
    answer=$(headers blog.test /docs/app.3f2a9c1d.css -H "If-None-Match: $etag")
    [[ "$answer" == *" 304 "* && "$answer" == *immutable* ]]
    for name in menu-20260101.png prices.20241126.json contact-15551234567.svg menu-20260101a.png cafe-deadbeef.jpg facade01-cafe2024.jpg \
        photo-550e8400-e29b-41d4-a716-4466554a0b1c.png user-0f8fad5bd9cb469fa16570867728950e.png x-b2b.css sensor-a4cf12b5d3e9.json author-507f1f77bcf86cd799439011.json \
        author.507f1f77bcf86cd799439011.js invoice-2024a1b2c3.svg; do
        answer=$(headers blog.test "/docs/$name")
        [[ "$answer" == *" 200 "* && "$answer" != *immutable* ]] || { echo "$name"; false; }
    done
    in_box mkdir /srv/chillbox/blog/current/docs/folder.3f2a9c1d.css
    for path in /docs/missing.3f2a9c1d.css /docs/folder.3f2a9c1d.css /immutable/assets/abc /immutable/assets/abc/none.css; do
        [[ "$(headers blog.test "$path")" != *immutable,* && "$(headers blog.test "$path")" != *max-age* ]] || { echo "$path"; false; }
    done
}

@test "[fault-242] a file has the type that browsers want, text is UTF-8, and none of it is guessed [fault-1244]" {
    while read -r end type; do
        [ "$(get blog.test "/docs/a.$end" -o /dev/null -w '%{content_type}')" = "$type" ] || { echo "$end: $(get blog.test "/docs/a.$end" -o /dev/null -w '%{content_type}')"; false; }
        [[ "$(headers blog.test "/docs/a.$end")" == *nosniff* ]]
    done <<'END'
mjs text/javascript; charset=utf-8
js text/javascript; charset=utf-8
css text/css; charset=utf-8
html text/html; charset=utf-8
txt text/plain; charset=utf-8
md text/markdown; charset=utf-8
json application/json
map application/json
xml application/xml
svg image/svg+xml
wasm application/wasm
webmanifest application/manifest+json
avif image/avif
webp image/webp
jxl image/jxl
woff2 font/woff2
pkpass application/vnd.apple.pkpass
mobileconfig application/x-apple-aspen-config
usdz model/vnd.usdz+zip
kmz application/vnd.google-earth.kmz
weba audio/webm
mkv video/x-matroska
avi video/x-msvideo
3gp video/3gpp
m4b audio/mp4
aif audio/aiff
cur image/x-icon
opml text/x-opml
ttl text/turtle
asc text/plain; charset=utf-8
srt text/plain; charset=utf-8
m3u audio/mpegurl
mobi application/x-mobipocket-ebook
torrent application/x-bittorrent
xpi application/x-xpinstall
eps application/postscript
rar application/vnd.rar
crt application/x-x509-ca-cert
jnlp application/x-java-jnlp-file
odg application/vnd.oasis.opendocument.graphics
ndjson application/x-ndjson
swf application/x-shockwave-flash
xspf application/xspf+xml
unknown application/octet-stream
END
}

@test "[fault-241] the path of a service's request is the service's, and of files only what is private is away" {
    for path in /tag/.net /tag/repo/.github/workflows/ci.yml /.env /.git/config /a/.htaccess /tag/%2Enet /.well-known/openid-configuration; do
        [ "$(get blog.test "$path" | jq -r .line)" = "GET $path HTTP/1.1" ] || { echo "$path"; false; }
    done
    [ "$(get blog.test /docs/tags/.net/)" = tags/.net/index.html ]
    [[ "$(headers blog.test /docs/tags/.net)" == *" 301 "*"Location: /docs/tags/.net/"* ]]
    [ "$(get blog.test /docs/.well-known/security.txt)" = .well-known/security.txt ]
    for path in /docs/.env /docs/.htaccess /docs/.git/config /docs/.git/ /docs/%2Eenv /docs/sub/..%2f.env; do
        [ "$(code blog.test "$path" --path-as-is)" = 404 ] || { echo "$path"; false; }
    done
}

@test "[fault-240] headers of 16 KB pass in both directions, and a folder's redirect has no host in it" {
    for size in 1000 4000 8000 16000 24000; do
        [ "$(code blog.test / -H "X-Want-Bytes: $size")" = 200 ] || { echo "an answer's $size"; false; }
        [ "$(code blog.test / -H "Cookie: s=$(printf 'x%.0s' $(seq "$size"))")" = 200 ] || { echo "a request's $size"; false; }
    done
    [ "$(code blog.test / -H "X-Want-Bytes: 60000")" = 502 ]
    in_box grep -q 'upstream sent too big header' /var/log/nginx/blog/error.log
    [[ "$(headers blog.test '/docs/sub?q=1')" == *"Location: /docs/sub/?q=1"* ]]
}

@test "[fault-244] what a stranger says about himself is replaced; what a trusted proxy says is kept [attack-N4][fault-1248]" {
    forged=(-H 'X-Forwarded-For: 203.0.113.9' -H 'X-Forwarded-Proto: https' -H 'X-Real-IP: 203.0.113.9' -H 'Forwarded: for=203.0.113.9;proto=https'
        -H 'X-Forwarded-Host: evil.test' -H 'X-Forwarded-Port: 443' -H 'X-Forwarded-Ssl: on' -H 'X-Forwarded-Scheme: https' -H 'X-Forwarded-Protocol: ssl'
        -H 'X-Forwarded-Prefix: /evil' -H 'X-Client-IP: 203.0.113.9' -H 'True-Client-IP: 203.0.113.9' -H 'Front-End-Https: on' -H 'X-Url-Scheme: https'
        -H 'X-Scheme: https' -H 'X-Script-Name: /evil' -H 'X-Original-URL: /evil' -H 'X-Rewrite-URL: /evil' -H 'Remote-User: root' -H 'X-Forwarded-User: root'
        -H 'CF-Connecting-IP: 203.0.113.9' -H 'Fastly-Client-IP: 203.0.113.9' -H 'Fly-Client-IP: 203.0.113.9' -H 'X-Arr-Ssl: x' -H 'Https: on'
        -H 'CloudFront-Forwarded-Proto: https' -H 'X-Sendfile-Type: X-Accel-Redirect' -H 'X-Accel-Mapping: /=/')
    said() { get blog.test / "${forged[@]}" "$@" | jq -c '[.headers[] | select(.[0] | test("forwarded|real-ip|client-ip|connecting|https|scheme|script|url|user$|ssl|proto|sendfile|mapping"; "i")) | join("=")] | sort'; }
    stranger='["X-Forwarded-For=127.0.0.1","X-Forwarded-Host=blog.test","X-Forwarded-Port=80","X-Forwarded-Proto=http","X-Real-IP=127.0.0.1"]'
    [ "$(said)" = "$stranger" ]
    in_box test-nginx '[.trusting]'
    [ "$(said)" = '["X-Forwarded-For=203.0.113.9","X-Forwarded-Host=blog.test","X-Forwarded-Port=443","X-Forwarded-Proto=https","X-Real-IP=203.0.113.9"]' ]
    # what a visitor wrote before the proxy added his address
    [ "$(said -H 'X-Forwarded-For: 127.0.0.1, 6.6.6.6, 10.1.2.3' | jq -r '.[] | select(startswith("X-Real"))')" = X-Real-IP=6.6.6.6 ]
    [ "$(forged=(); said -H 'X-Forwarded-Proto: wss' | jq -r '.[] | select(test("Proto|Port"))' | tr '\n' ' ')" = 'X-Forwarded-Port=443 X-Forwarded-Proto=https ' ]
    [ "$(forged=(); said -H 'X-Forwarded-Proto: javascript' | jq -r '.[] | select(test("Proto|Port"))' | tr '\n' ' ')" = 'X-Forwarded-Port=80 X-Forwarded-Proto=http ' ]
    [[ "$(headers www.blog.test '/x?y=1' -H 'X-Forwarded-Proto: https')" == *"Location: https://blog.test/x?y=1"* ]]
    in_box grep -q '^203.0.113.9 ' /var/log/nginx/blog/access.log
    # the limits of the edge count visitors, not the proxy
    flood=$(get localhost '/v1/health?[1-200]' -o /dev/null -w '%{http_code}\n' -H 'X-Forwarded-For: 198.51.100.7, 6.6.6.6, 10.0.0.1')
    grep -q 429 <<<"$flood"
    [ "$(code localhost /v1/health -H 'X-Forwarded-For: 6.6.6.7')" != 429 ]
    in_box test-nginx '[.host]'
    [ "$(said)" = "$stranger" ]
}

@test "[fault-244] with a certificate here a proxy that was asked by https is answered, and everybody else is sent to https" {
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=blog.test -keyout "$BATS_TEST_TMPDIR/privkey.pem" -out "$BATS_TEST_TMPDIR/fullchain.pem" 2>/dev/null
    box push "$HOST" "$BATS_TEST_TMPDIR/privkey.pem" "$BATS_TEST_TMPDIR/fullchain.pem" /var/lib/chillbox/certs/blog/
    in_box test-nginx '[.certificate]'
    in_box test-nginx '[.trusting]'
    [[ "$(headers blog.test '/x?y=1')" == *" 308 "*"Location: https://blog.test/x?y=1"* ]]
    [ "$(code blog.test / -H 'X-Forwarded-Proto: https')" = 200 ]
    [ "$(code blog.test /.well-known/acme-challenge/none)" = 404 ]
    [ "$(in_box curl -sk --resolve blog.test:443:127.0.0.1 https://blog.test/ | jq -c '.headers | index([["X-Forwarded-Proto","https"]])')" != null ]
    [[ "$(in_box curl -sk --resolve www.blog.test:443:127.0.0.1 -o /dev/null -D - https://www.blog.test/x)" == *"https://blog.test/x"* ]]
    in_box test-nginx '[.host]'
    [[ "$(headers blog.test / -H 'X-Forwarded-Proto: https')" == *" 308 "* ]]
    in_box test-nginx '[.site]'
    [ "$(get blog.test /.chillbox/site)" = blog ]
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
    [[ "$(get blog.test /)" == *"being restarted"* ]]
    [[ "$(headers blog.test /)" == *"Retry-After: 300"* ]]
    [ "$(get blog.test /docs/)" = docs ]
    in_box mv /run/chillbox/live/blog/away /run/chillbox/live/blog/web.sock
    [ "$(code blog.test /)" = 200 ]
    in_box rm /run/chillbox/sealed/blog
}

@test "maintenance: everybody gets the page, except the challenge of a certificate" {
    in_box sh -c 'mkdir -p /var/lib/chillbox/acme/.well-known/acme-challenge && touch /srv/chillbox/blog/maintenance && echo token >/var/lib/chillbox/acme/.well-known/acme-challenge/t'
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
    box net "$HOST" -- bash -c 'exec 3<>/dev/tcp/127.0.0.1/80; printf "POST /v1/hooks HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nab" >&3; cat <&3' || :
    [ $((SECONDS - begun)) -le 6 ]
    [ $((SECONDS - begun)) -ge 2 ]
    [ "$(code localhost /v1/health -H "X: $(printf 'a%.0s' {1..40000})")" = 400 ]
}

@test "[fault-21] a slow head is dropped after five seconds, though the default server is another's, byte by byte too" {
    in_box sh -c 'test -e /etc/nginx/sites-enabled/default || test -e /etc/nginx/http.d/default.conf'
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
    in_box sed -i '/^client_header_timeout/d' "$(http_files)/chillbox.conf" # else NGINX would not start
    in_box nginx -t
    in_box test-nginx '[.host]'
    run ! in_box grep -q '^client_header_timeout' "$(http_files)/chillbox.conf"
    in_box sed -i '/client_header_timeout 20s/d' /etc/nginx/nginx.conf
    in_box test-nginx '[.host]'
    in_box grep -q '^client_header_timeout 5s;' "$(http_files)/chillbox.conf"
}

@test "[fault-1214] a head that is too large is refused, and no variable of chillbox's is missing in NGINX's log" {
    [ "$(in_box sh -c 'curl -s -o /dev/null -w "%{http_code}" -H "Host: blog.test" -H "X-Big: $(head -c 40000 /dev/zero | tr "\0" a)" http://127.0.0.1/')" = 400 ]
    run ! in_box grep -rn uninitialized /var/log/nginx
}

@test "[fault-1208] an answer in pieces: the visitor has each as it comes with X-Accel-Buffering: no, or in chunks and without gzip; else at its end" {
    pieces() { # HOW [CURL_OPTION...]: what the visitor has while the service pauses
        get blog.test / -N -m 1 -H "X-Want-Pieces: $1" "${@:2}" | tr -d '\0' || :
    }
    [ "$(pieces chunked)" = first ]
    [ -z "$(pieces close)" ]
    [ "$(pieces 'close no')" = first ]
    [ -z "$(pieces chunked --compressed)" ]
    [ "$(pieces 'chunked no' --compressed)" = first ]
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
    in_box sh -c 'kill -9 $1; sleep 0.2; for p in /proc/[0-9]*; do grep -q "^nginx: worker" $p/cmdline 2>/dev/null && kill -9 ${p#/proc/}; done
        rm -rf /run/chillbox; rc-service nginx zap; rc-service nginx start' sh "$(nginx_pid)"
    [ "$(get blog.test /docs/)" = docs ]
    [ "$(code blog.test /)" = 502 ]
    [ "$(get localhost /healthcheck/)" = ok ]
}
