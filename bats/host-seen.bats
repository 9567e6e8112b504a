#!/usr/bin/env bats
# What is to be seen of a host from afar without an account: the access log as JSON for who forwards it, the metrics for addresses that may, the report by a link.

# shellcheck disable=SC2154,SC2016 # box_up sets HOST; "sh -c" expands in the box

load helpers/box
load helpers/host
load helpers/live_site

# configure KEY VALUE: in chillboxd.toml, for as long as the test.
configure() {
    in_box sh -c 'cp /etc/chillbox/chillboxd.toml /root/as-it-was; sed -i "s/^\(# \)\?$1 = .*/$1 = $2/" /etc/chillbox/chillboxd.toml; grep -q "^$1 = " /etc/chillbox/chillboxd.toml' sh "$@"
    in_box rc-service -q chillboxd restart
    unlock
}
teardown() {
    [ -z "$(in_box sh -c 'ls /root/as-it-was 2>/dev/null')" ] && return
    in_box sh -c 'mv /root/as-it-was /etc/chillbox/chillboxd.toml'
    in_box rc-service -q chillboxd restart
    unlock
}
status() { host_curl -o "$BATS_TEST_TMPDIR/body" -w '%{http_code}' "$@"; }
access() { in_box tail -n "${1:-1}" /var/log/nginx/hello/access.log; }
# afar ARG...: as from another machine: neither its address nor the one that it asks is the other's.
afar() {
    in_box sh -c 'ip address replace 192.0.2.8/32 dev lo && ip address replace 192.0.2.9/32 dev lo'
    status --interface 192.0.2.8 --connect-to ::192.0.2.9: "$@"
    in_box sh -c 'ip address del 192.0.2.8/32 dev lo && ip address del 192.0.2.9/32 dev lo'
}
has_line() { access 20 | grep -q "$1"; }

@test "the access log is an object a line, whatever a visitor sends, and logs read it beside the lines of before [fault-861]" {
    get '/?before' >/dev/null
    configure access_log '"json"'
    ctl restart hello >/dev/null
    get '/?a"b\c' -A "$(printf 'agent "quoted" \\ tab\t\033[31m')" -e '"},{"status":"200' >/dev/null
    wait_for 5 has_line quoted
    access >"$BATS_TEST_TMPDIR/line"
    [ "$(jq -r .http_user_agent "$BATS_TEST_TMPDIR/line")" = "$(printf 'agent "quoted" \\ tab\t\033[31m')" ]
    [ "$(jq -r .http_referer "$BATS_TEST_TMPDIR/line")" = '"},{"status":"200' ]
    [ "$(jq -r .request "$BATS_TEST_TMPDIR/line")" = 'GET /?a"b\c HTTP/1.1' ]
    [ "$(jq -r '[(.status | test("^[0-9]{3}$")), .host, (.body_bytes_sent | type), (.request_time | type)] | join(" ")' "$BATS_TEST_TMPDIR/line")" = 'true hello.example number number' ]
    run -0 ctl logs hello --stream access -s 10m -g before
    [[ "$output" == *'GET /?before HTTP/1.1" 200'* ]]
    run -0 ctl logs hello --stream access -s 10m -g quoted
    [ "${#lines[@]}" -eq 1 ]
    run -0 ctl logs hello --stream access -u 9m
    [ "$output" = "nothing that was written then" ]
    now=$(date +%s)
    at=$(json logs hello --stream access -s 1m -g quoted '.lines[0].time_ms')
    [[ $((at / 1000 - now)) -ge -60 && $((at / 1000 - now)) -le 60 ]]
    # A file that was rotated is read with the one that goes on.
    in_box sh -c 'cd /var/log/nginx/hello && mv access.log access.log.1 && nginx -s reopen'
    get '/?after' >/dev/null
    wait_for 5 has_line after
    run -0 ctl logs hello --stream access -s 10m -g '(before|quoted|after)'
    [ "${#lines[@]}" -eq 3 ]
}

@test "[attack-F15] metrics: an address that may needs no token, says it in no header, and a token counts only where nobody on the way reads it" {
    token=$(ctl metrics token add reader 2>/dev/null)
    [ "$(status "$URL/metrics")" = 404 ]
    configure allow '["192.0.2.7"]'
    [ "$(status "$URL/metrics")" = 404 ]
    [ "$(status "$URL/metrics" -H 'X-Forwarded-For: 192.0.2.7' -H 'X-Real-IP: 192.0.2.7' -H 'Forwarded: for=192.0.2.7')" = 404 ]
    in_box ip address add 192.0.2.7/32 dev lo
    [ "$(status "$URL/metrics" --interface 192.0.2.7)" = 200 ]
    grep -q '^chillbox_sealed ' "$BATS_TEST_TMPDIR/body"
    # From elsewhere, by plain HTTP, a good token opens nothing.
    [ "$(afar "$URL/healthcheck/")" = 200 ]
    [ "$(afar "$URL/metrics" -H "Authorization: Bearer $token")" = 404 ]
    [ "$(afar "$URL/metrics" -H "Authorization: Bearer $token" -H 'X-Forwarded-Proto: https')" = 404 ]
    [ "$(status "$URL/metrics" -H "Authorization: Bearer $token")" = 200 ]
    [ "$(status "$URL/metrics?cap=$token")" = 404 ]
    ctl metrics token remove reader
    in_box ip address del 192.0.2.7/32 dev lo
}

path_of() { printf '%s\n' "$1" | sed 's|https://[^/]*||'; }

@test "[attack-F16] [fault-853] a link shows the report until its time is over or links are revoked; a guess, another host's or an old one is a path that is none" {
    run -7 ctl report --link 1h
    [[ "$output" == *"host.server_name"* ]]
    configure server_name '"host.example"'
    run -0 --separate-stderr ctl report --link 1h
    [[ "$output" =~ ^https://host\.example/v1/report/[0-9]{10}\.[0-9a-f]{32}$ ]]
    [[ "$stderr" == *"warning: this host has no valid certificate for its own name"* ]]
    path=$(path_of "$output")
    until=${path##*/} mac=${path##*.}
    until=${until%%.*}
    [ "$(status "$URL$path" -D "$BATS_TEST_TMPDIR/head")" = 200 ]
    grep -q 'hello' "$BATS_TEST_TMPDIR/body"
    grep -qi "^content-type: text/html" "$BATS_TEST_TMPDIR/head"
    grep -qi "^content-security-policy: default-src 'none'; style-src 'unsafe-inline'; sandbox" "$BATS_TEST_TMPDIR/head"
    grep -qi '^cache-control: no-store' "$BATS_TEST_TMPDIR/head"
    grep -qi '^referrer-policy: no-referrer' "$BATS_TEST_TMPDIR/head"
    run ! grep -qi '<script' "$BATS_TEST_TMPDIR/body"
    [ "$(status "$URL$path" -X POST)" = 405 ]
    # No log has it, and nobody but root reads the secret.
    in_box sh -c '! grep -rqF "$1" /var/log' sh "$mac"
    [ "$(in_box stat -c '%a %u' /var/lib/chillbox/report_links)" = '600 0' ]
    # Guessed, longer, of another time, of another secret.
    for other in "$until.00000000000000000000000000000000" "$((until + 86400)).$mac" "$until.${mac}00" "$until.${mac%?}" ".$mac" "0$until.$mac"; do
        [ "$(status "$URL/v1/report/$other")" = 404 ]
    done
    # By a site's name, and over a network that others read.
    [ "$(get "$path" -o "$BATS_TEST_TMPDIR/body" -w '%{http_code}')" != 000 ]
    run ! grep -q 'chillbox.hours\|<svg' "$BATS_TEST_TMPDIR/body"
    [ "$(afar "$URL$path")" = 404 ]
    # A link of a second is over.
    short=$(path_of "$(ctl report --link 1s 2>/dev/null)")
    gone() { [ "$(status "$URL$short")" = 404 ]; }
    wait_for 10 gone
    [ "$(status "$URL$path")" = 200 ]
    ctl report --revoke
    [ "$(status "$URL$path")" = 404 ]
    again=$(path_of "$(ctl report --link 1h 2>/dev/null)")
    [ "$(status "$URL$again")" = 200 ]
    [ "$(status "$URL$path")" = 404 ]
    run -2 ctl report --link 1h --revoke
}

# The one word of the page; nothing of it depends on what is sent with the question.
word() { get /.chillbox/status "$@" | sed -n 's|.*<title>\(.*\)</title>.*|\1|p'; }
says() { [ "$(word)" = "$1" ]; }
child() { in_box sh -c 'cat /run/openrc/options/chillbox.hello.api.*/child_pid'; }

@test "[attack-G33] [fault-852] a site that wants it has a public page that follows its state, and is there while it, or chillboxd, is not" {
    [ "$(code /.chillbox/status)" = 404 ]
    in_box sh -c '! ls /run/chillbox/status/* 2>/dev/null'
    make_site "$(next_version)"
    edit_site '.status_page = true | .name = "<script>alert(1)</script>"'
    send "$(pack)"
    wait_for 20 says Up
    get /.chillbox/status -D "$BATS_TEST_TMPDIR/head" -o "$BATS_TEST_TMPDIR/page"
    grep -qi "^content-security-policy: default-src 'none'; style-src 'unsafe-inline'; sandbox" "$BATS_TEST_TMPDIR/head"
    grep -qi '^cache-control: no-store' "$BATS_TEST_TMPDIR/head"
    grep -qi '^content-type: text/html; charset=utf-8' "$BATS_TEST_TMPDIR/head"
    grep -qE 'This site works, since <time datetime="20[0-9T:-]*Z">' "$BATS_TEST_TMPDIR/page"
    run ! grep -qE 'script|hello|1\.[0-9]+\.0' "$BATS_TEST_TMPDIR/page"
    # What a visitor sends changes nothing of it, and reaches no other file.
    for more in '?<script>' '?state=Down'; do get "/.chillbox/status$more" | cmp - "$BATS_TEST_TMPDIR/page"; done
    get /.chillbox/status -H 'X-Forwarded-For: <b>' -H 'Range: bytes=0-3' -H 'If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT' | cmp - "$BATS_TEST_TMPDIR/page"
    [ "$(code /.chillbox/status -X POST -d Down)" = 405 ]
    for path in /.chillbox/status/ /.chillbox/status/../hello.html /.chillbox/hello.html; do [ "$(code "$path" --path-as-is)" = 404 ]; done
    # Its own user writes nothing there.
    run ! box run "$HOST" -u hello -- sh -c 'echo Up >/run/chillbox/status/hello.html'
    run ! box run "$HOST" -u hello -- sh -c 'ln -s /etc/passwd /run/chillbox/status/other.html'
    # A crash that is repaired at once is none; one after the other are, and nobody need look for it to end.
    since=$(get /.chillbox/status | grep -o '<time.*</time>')
    in_box kill -9 "$(child)"
    sleep 3 # a look is due after one
    wait_for 20 says Up
    [ "$(get /.chillbox/status | grep -o '<time.*</time>')" = "$since" ]
    down() { in_box kill -9 "$(child)" || :; sleep 0.5; says Down; }
    wait_for 60 down
    wait_for 150 says Up
    ctl stop hello
    wait_for 10 says Down
    ctl start hello
    wait_for 10 says Up
    ctl maintenance on hello --message '<img src=x onerror=alert(1)>'
    wait_for 10 says Maintenance
    [ "$(code /)" = 503 ]
    run ! grep -q onerror <<<"$(get /.chillbox/status)"
    ctl maintenance off hello
    wait_for 10 says Up
    in_box rc-service -q chillboxd stop
    says Up
    in_box sed -i 's|<title>Up<|<title>Old<|' /run/chillbox/status/hello.html
    in_box rc-service -q chillboxd start
    wait_for 20 says Up
    box reboot "$HOST"
    box wait "$HOST"
    wait_for 30 says Down
    run ! grep -qiE 'lock|passphrase' <<<"$(get /.chillbox/status)"
    unlock
    wait_for 30 says Up
    deploy "$(next_version)"
    [ "$(code /.chillbox/status)" = 404 ]
    in_box sh -c '! ls /run/chillbox/status/* 2>/dev/null'
}
