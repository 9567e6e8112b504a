#!/usr/bin/env bats
# Immutable files: under a path with a hash, cached for ever, and there for as long as a release that names them is kept.

# shellcheck disable=SC2154,SC2016 # box_up sets HOST; "sh -c" expands in the box

load helpers/box
load helpers/host
load helpers/one_host

# shop VERSION CSS: a page that names the folder of its assets, and these
shop() {
    rm -rf "$LAPTOP/hello"
    mkdir -p "$LAPTOP/hello/page" "$LAPTOP/hello/assets/css"
    printf '%s\n' "$2" >"$LAPTOP/hello/assets/css/site.css"
    cat >"$LAPTOP/hello/page/page" <<'END'
#!/usr/bin/python3
import http.server, os
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(os.environ["CHILLBOX_IMMUTABLE_ASSETS"].encode())
http.server.ThreadingHTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Page).serve_forever()
END
    chmod 0755 "$LAPTOP/hello/page/page"
    printf '%s' '{"name": "Shop", "server_name": "hello.example", "version": "'"$1"'", "watch": "'"${WATCH-0s}"'", "keep_releases": 2,
        "services": [{"name": "page", "lang": "binary"'"${HEALTH-}"'}, {"name": "assets", "lang": "immutable"}]}' >"$LAPTOP/hello/shop.site.json"
    if [ -n "${MADE-}" ]; then # by the author, who knows the path
        mkdir -p "$LAPTOP/hello/immutable/assets"
        mv "$LAPTOP/hello/assets" "$LAPTOP/hello/immutable/assets/$MADE"
    fi
    send "$(pack)"
}

links() { in_box sh -c 'cd /srv/chillbox/shop/immutable && find . -type l | LC_ALL=C sort'; }

@test "the page gets the path of its assets, and they are cached for a year and for ever" {
    run -0 shop 1.0.0 'a { color: red }'
    path=$(get /)
    [[ "$path" =~ ^/immutable/assets/[0-9a-f]{32}/$ ]]
    [ "$(get "${path}css/site.css")" = 'a { color: red }' ]
    headers=$(get "${path}css/site.css" -D - -o /dev/null)
    [ "$(grep -ci '^cache-control:' <<<"$headers")" -eq 1 ]
    grep -qi '^cache-control: public, max-age=31536000, immutable' <<<"$headers"
    grep -qi '^content-type: text/css' <<<"$headers"
    grep -qi '^x-content-type-options: nosniff' <<<"$headers"
    [ "$(code "${path}css/other.css")" = 404 ]
    [ "$(code "$path")" = 404 ]
    # Out of it leads to the page, not to the files beside it.
    [ "$(get "/immutable/%2e%2e/releases/1.0.0-1/page/page" --path-as-is)" = "$path" ]
    printf '%s' "$path" >"$LAPTOP/first"
}

@test "what does not change keeps its path; what does gets a new one beside the old, which pages from before still find" {
    first=$(cat "$LAPTOP/first")
    : >"$LAPTOP/codes"
    (while [ ! -e "$LAPTOP/enough" ]; do code "${first}css/site.css"; echo; done >>"$LAPTOP/codes") 3>&- &
    load=$!
    run -0 shop 1.1.0 'a { color: red }'
    [ "$(get /)" = "$first" ]
    run -0 shop 1.2.0 'a { color: blue }'
    second=$(get /)
    [ "$second" != "$first" ]
    [ "$(get "${second}css/site.css")" = 'a { color: blue }' ]
    [ "$(get "${first}css/site.css")" = 'a { color: red }' ]
    touch "$LAPTOP/enough"
    wait "$load"
    # 1.0.0, whose files they were at first, is not kept any more.
    run ! in_box test -e /srv/chillbox/shop/releases/1.0.0-1
    [ "$(sort -u "$LAPTOP/codes")" = 200 ] || { sort "$LAPTOP/codes" | uniq -c; false; }
    printf '%s' "$second" >"$LAPTOP/second"
}

@test "with the last release that has them they go; a rollback finds its own" {
    run -0 shop 1.3.0 'a { color: blue }'
    [ "$(code "$(cat "$LAPTOP/first")css/site.css")" = 404 ]
    [ "$(links | wc -l)" -eq 1 ]
    run -0 shop 1.4.0 'a { color: green }'
    [ "$(links | wc -l)" -eq 2 ]
    run -0 ctl rollback shop
    [ "$(get /)" = "$(cat "$LAPTOP/second")" ]
    [ "$(get "$(get /)css/site.css")" = 'a { color: blue }' ]
}

@test "a release that does not hold leaves none of its files behind" {
    before=$(links)
    HEALTH=', "app": "not-there"' run -8 shop 1.5.0 'a { color: black }'
    [ "$(links)" = "$before" ]
    [ -z "$(in_box find -L /srv/chillbox/shop/immutable -type l)" ] # none that points nowhere
    [ "$(get "$(get /)css/site.css")" = 'a { color: blue }' ]
}

@test "a folder immutable/NAME/HASH of the artifact is served under the author's own hash" {
    MADE=v5.abc_1 run -0 shop 1.6.0 'a { color: white }'
    [ "$(get /)" = /immutable/assets/v5.abc_1/ ]
    [ "$(get /immutable/assets/v5.abc_1/css/site.css)" = 'a { color: white }' ]
    box reboot "$HOST"
    wait_for 30 get / -f -o /dev/null
    [ "$(get /immutable/assets/v5.abc_1/css/site.css)" = 'a { color: white }' ]
}
