#!/usr/bin/env bats
# TLS ends at a balancer of a fleet: it gets a certificate for the names of a site that is deployed elsewhere, and lets it go with the site.

# shellcheck disable=SC2154 # box_up sets HOST

load helpers/box
load helpers/host
load helpers/laptop
load helpers/hosts
load helpers/ca

setup_file() {
    host_possible || return 0
    hosts_up 2
    HOST=$WEB2
    # The names still lead to the host, whose peer the balancer is.
    ca_up ADDRESS=10.77.0.1
    in_box rc-service -q chillboxd restart
    unlock
    HOST=$WEB1
    in_box sed -i 's|^# peers = .*|peers = ["10.77.0.2"]|' /etc/chillbox/chillboxd.toml
    in_box chillboxctl upgrade -q
    mkdir -p "$LAPTOP/hello/page"
    printf 'page\n' >"$LAPTOP/hello/page/index.html"
    jq -n '{name: "Hello", server_name: "hello.example", domain_list: ["hello.example", "www.hello.example"], version: "1.0.0", watch: "0s",
        services: [{name: "page", lang: "static"}]}' >"$LAPTOP/hello/hello.site.json"
    printf 'host = ["web1"]\n' >"$LAPTOP/hello/chillbox.toml"
}
teardown_file() {
    ca_down
    hosts_down
}
setup() {
    host_or_skip
    HOST=$WEB1
    cd "$LAPTOP/hello" || return
}
teardown() { printf "%s\n" "${output-}"; }

fleet() { laptop chillboxctl fleet "$@"; }
serves() { on 2 https hello.example / -o /dev/null 2>/dev/null; }

@test "the balancer gets a certificate before the names lead to it, by the host whose peer it is, sends visitors to https, and hosts are told the scheme" {
    run -0 fleet add web1 --name shop --address 10.77.0.1
    run -0 laptop chillboxctl deploy -y
    run -0 fleet add web2 --roles balancer
    run -0 fleet balance hello --names hello.example,www.hello.example
    wait_for 60 serves
    wait_for 60 on 2 valid hello
    [ "$(on 2 sha_of hello)" = "$(on 2 served_sha hello.example)" ]
    [ "$(orders)" = 1 ]
    [ "$(on 2 https hello.example /)" = page ]
    [ "$(on 2 host_curl -o /dev/null -w '%{http_code} %{redirect_url}' -H 'Host: hello.example' http://127.0.0.1/a?b)" = '308 https://hello.example/a?b' ]
    on 2 https hello.example / -D - -o /dev/null | grep -qi '^strict-transport-security: max-age=86400'
    # The host sends visitors of the other name on, by the scheme that the balancer reports.
    [ "$(on 2 https www.hello.example /a -o /dev/null -w '%{http_code} %{redirect_url}')" = '308 https://hello.example/a' ]
    [ "$(on 2 tls_of hello '.site + " " + .mode')" = 'hello auto' ]
    on 2 ctl tls renew hello >/dev/null
    another() { [ "$(orders)" = 2 ] && on 2 valid hello && [ "$(on 2 sha_of hello)" = "$(on 2 served_sha hello.example)" ]; }
    wait_for 60 another
}

@test "its certificate outlives a reboot of the balancer, and goes with the site" {
    box reboot "$WEB2"
    [ "$(on 2 https hello.example /)" = page ]
    run -0 fleet balance hello
    gone() { [ -z "$(on 2 tls_of hello .id)" ] && ! serves; }
    wait_for 30 gone
    run -0 on 2 in_box sh -c 'ls /var/lib/chillbox/certs'
    [ -z "$output" ]
}
