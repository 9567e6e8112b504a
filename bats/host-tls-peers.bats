#!/usr/bin/env bats
# Two hosts that serve the same name, with a wire between them: the name leads to the first, and the second orders a certificate for it.

# shellcheck disable=SC2154 # box_up sets HOST

load helpers/box
load helpers/host
load helpers/ca
load helpers/hosts

FIRST=10.77.0.1 SECOND=10.77.0.2

setup_file() {
    host_possible || return 0
    export FRONT BACK
    page_host 'acme = "off"' "$SECOND"
    FRONT=$HOST
    begin_back
    BACK=$HOST
    wire "$FRONT" "$BACK"
    in_box chillboxctl upgrade -q
    deploy_page
    export OUTSIDE=$CA
}

# A host with the page, whose chillboxd.toml has this TOML and this peer.
page_host() {
    host_up
    host_set_up
    in_box sed -i "s|^acme = .*|$1|; s|^# peers = .*|peers = [\"$2\"]|" /etc/chillbox/chillboxd.toml
    in_box chillboxctl upgrade -q
    deploy_page
}

deploy_page() {
    mkdir -p "$LAPTOP/hello/page"
    printf 'page' >"$LAPTOP/hello/page/index.html"
    printf '{ "name": "Page", "server_name": "hello.example", "version": "1.0.0", "watch": "0s", "services": [{ "name": "page", "lang": "static" }] }' >"$LAPTOP/hello/hello.site.json"
    send "$(OUT="$LAPTOP/out-$HOST" pack)"
}

begin_back() {
    host_up
    rm -f "$LAPTOP"/deployer.* # a laptop of its own
    CA_TOML="peers = [\"$FIRST\"]" ca_up ADDRESS="$FIRST"
    host_set_up
}

teardown_file() {
    ca_down
    [ -z "${FRONT-}" ] || box down "$FRONT"
    [ -z "${BACK-}" ] || box down "$BACK"
}

setup() { host_or_skip; }

@test "the CA asks the first host, which asks its peer: the second one gets its certificate within a minute" {
    HOST=$BACK
    serves() { https hello.example / -o /dev/null 2>/dev/null; }
    wait_for 60 serves
    wait_for 60 valid hello
    [ "$(sha_of hello)" = "$(served_sha hello.example)" ]
    [ "$(orders)" = 1 ]
}

@test "[attack-G13] a stranger's question goes round no circle of peers, and nothing but challenges is asked of them" {
    ask() { box net "$1" -- curl -sS -m 10 -o /dev/null -w '%{http_code}' -H 'Host: hello.example' "${@:3}" "http://127.0.0.1$2"; }
    for host in "$FRONT" "$BACK"; do
        [ "$(ask "$host" /.well-known/acme-challenge/nothing)" = 404 ]
        [ "$(ask "$host" /.well-known/acme-challenge/nothing -H 'X-Chillbox-Peer: 1')" = 404 ]
        [ "$(ask "$host" /.well-known/acme-challenge/../../nothing --path-as-is)" != 200 ]
    done
    box run "$BACK" -- sh -c 'echo only-there >/var/lib/chillbox/acme/.well-known/acme-challenge/token'
    [ "$(box net "$FRONT" -- curl -sS -m 10 -H 'Host: hello.example' http://127.0.0.1/.well-known/acme-challenge/token)" = only-there ]
}

@test "the peer is away: what this host has is served as ever, and a challenge is answered within ten seconds" {
    box net "$FRONT" -- ip link set wire down
    begun=$SECONDS
    status=$(box net "$FRONT" -- curl -sS -m 20 -o /dev/null -w '%{http_code}' -H 'Host: hello.example' http://127.0.0.1/.well-known/acme-challenge/nothing)
    [[ "$status" == 404 || "$status" == 50[234] ]]
    [ $((SECONDS - begun)) -lt 10 ]
    [ "$(box net "$FRONT" -- curl -sS -m 10 -H 'Host: hello.example' http://127.0.0.1/)" = page ]
}
