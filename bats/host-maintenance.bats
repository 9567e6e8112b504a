#!/usr/bin/env bats
# chillboxctl maintenance: a flag that NGINX looks at, without a reload.

# shellcheck disable=SC2154,SC2016 # box_up sets HOST; "sh -c" expands in the box

load helpers/box
load helpers/host
load helpers/one_host

# page VERSION [TEMPLATE_LINE]: the site of one page; with a line, by a template of its own that has it
page() {
    rm -rf "$LAPTOP/hello"
    mkdir -p "$LAPTOP/hello/page" "$LAPTOP/hello/nginx/root" "$LAPTOP/hello/nginx/templates"
    printf 'the page %s\n' "$1" | tee "$LAPTOP/hello/page/index.html" >"$LAPTOP/hello/nginx/root/index.html"
    [ -z "${2-}" ] || printf 'server {\n  %s\n  server_name hello.example;\n  root /srv/hello/root;\n}\n' "$2" >"$LAPTOP/hello/nginx/templates/hello.nginx.conf.template"
    [ -n "${2-}" ] || rm -r "$LAPTOP/hello/nginx"
    jq -n --arg version "$1" '{name: "Page", server_name: "hello.example", version: $version, watch: "2s", services: [{name: "page", lang: "static"}]}' \
        >"$LAPTOP/hello/hello.site.json"
    send "$(pack)"
}

generation() { in_box curl -s -H 'Host: generation.chillbox.invalid' http://127.0.0.1/generation; }

@test "everybody gets 503, the message as text and Retry-After, at once and without a reload" {
    run -0 page 1.0.0
    before=$(generation)
    run -0 ctl maintenance on hello --message 'Back at <b>five</b> & "sharp"'
    [ "$(code /)" = 503 ]
    get / -D "$LAPTOP/head" >"$LAPTOP/body"
    grep -qF '<p>Back at &lt;b&gt;five&lt;/b&gt; &amp; &quot;sharp&quot;</p>' "$LAPTOP/body"
    tr -d '\r' <"$LAPTOP/head" >"$LAPTOP/head.txt"
    for header in 'Retry-After: 120' 'Cache-Control: no-store' 'Content-Type: text/html; charset=utf-8'; do grep -qix "$header" "$LAPTOP/head.txt"; done
    [ "$(get /any/path -d 'a=b' -o /dev/null -w '%{http_code}')" = 503 ]
    get /any/path -d 'a=b' | grep -q 'Back at'
    [ "$(code / -I)" = 503 ]
    [ "$(code /.chillbox/maintenance)" = 404 ]
    [ "$(host_curl "$URL/healthcheck/")" = ok ]
    run -0 ctl maintenance on hello
    [ "$output" = 'hello: unchanged: visitors get the maintenance page' ]
    get / | grep -q 'Back at' # its words stay [fault-1122]
    run -0 ctl maintenance off hello
    run -0 ctl maintenance on hello
    [ "$output" = 'hello: visitors get the maintenance page' ]
    get / | grep -q 'Back soon'
    [ "$(generation)" = "$before" ]
    [ "$(json status '.sites[0] | "\(.maintenance) \(.state)"')" = 'true live' ]
    ctl status | grep -q 'chillboxctl maintenance off hello'
    ctl audit | grep -q 'maintenance_on  *hello'
    run -3 ctl maintenance on nosuch
}

@test "[fault-1065] a site with a fallback page: its scripts and data are in maintenance, too" {
    run -0 ctl maintenance off hello
    rm -rf "$LAPTOP/hello"
    mkdir -p "$LAPTOP/hello/page"
    tee "$LAPTOP/hello/page/index.html" "$LAPTOP/hello/page/data.json" >"$LAPTOP/hello/page/app.js" <<<'the page'
    jq -n --arg version "$(next_version)" '{name: "Page", server_name: "hello.example", version: $version, watch: "2s",
        services: [{name: "page", lang: "static", fallback: "index.html"}]}' >"$LAPTOP/hello/hello.site.json"
    run -0 send "$(pack)"
    for flag in off on off; do
        run -0 ctl maintenance "$flag" hello
        for path in / /app.js /data.json /any/page; do [ "$(code "$path")" = "$([ "$flag" = on ] && echo 503 || echo 200)" ]; done
        [ "$(code /none.js)" = "$([ "$flag" = on ] && echo 503 || echo 404)" ]
    done
    run -0 ctl maintenance on hello
}

@test "[fault-518] where NGINX remembers files, for all servers, it ends at once too" {
    nginx_says() { in_box sh -c 'nginx -t 2>/dev/null && nginx -s reload' && sleep 1; }
    in_box sh -c 'echo "open_file_cache max=1000; open_file_cache_valid 300s; open_file_cache_errors on;" >"$(dirname "$(ls /etc/nginx/*/chillbox.conf)")/cache.conf"'
    nginx_says
    run -0 ctl maintenance off hello
    for flag in on off on off; do
        run -0 ctl maintenance "$flag" hello
        [ "$(code /)" = "$([ "$flag" = on ] && echo 503 || echo 200)" ]
    done
    in_box sh -c 'rm /etc/nginx/*/cache.conf'
    nginx_says
    run -0 ctl maintenance on hello
}

@test "it holds over a deploy, whose watch is not misled by it, and a reboot, until it is turned off" {
    (for _ in $(seq 60); do printf "%s\n" "$(code /)"; sleep 0.1; done >"$LAPTOP/codes") 3>&- &
    run -0 page 1.1.0
    wait
    [ "$(sort -u "$LAPTOP/codes")" = 503 ]
    box reboot "$HOST"
    wait_for 20 ctl ping
    [ "$(code /)" = 503 ]
    unlock
    run -0 ctl maintenance off hello
    [ "$(get /)" = 'the page 1.1.0' ]
    [ "$(json status '.sites[0].maintenance')" = false ]
    run -0 ctl maintenance off hello
    [ "$output" = 'hello: unchanged: visitors are let in' ]
}

@test "a site with a template of its own has it by the include of its certificate, and is told so without" {
    run -0 page 1.2.0 'include /etc/nginx/conf.d/$SLUGNAME.ssl_cert.include;'
    [ "$(get /)" = 'the page 1.2.0' ]
    run -0 ctl maintenance on hello -m 'soon'
    [ "$(code /)" = 503 ]
    get / | grep -q '<p>soon</p>'
    [ "$(get / -d 'a=b' -o /dev/null -w '%{http_code}')" = 503 ]
    run -0 ctl maintenance off hello
    [ "$(get /)" = 'the page 1.2.0' ]
    run -0 page 1.3.0 'listen 80;'
    run -7 ctl maintenance on hello
    [[ "$output" == *'hello.ssl_cert.include'* ]]
    [ "$(get /)" = 'the page 1.3.0' ]
    ctl remove hello --yes
    run ! in_box ls /srv/chillbox/hello
}
