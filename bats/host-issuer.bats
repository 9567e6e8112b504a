#!/usr/bin/env bats
# One host of a fleet orders the certificate of a site, and the others take it by the fleet's engine: three hosts, a real etcd of three members and a real CA.

# shellcheck disable=SC2154 # box_up sets HOST

load helpers/box
load helpers/host
load helpers/laptop
load helpers/hosts
load helpers/engine
load helpers/ca

setup_file() {
    host_possible || return 0
    hosts_up 3
    engine_up
    export CA=$BATS_FILE_TMPDIR/ca
    mkdir -p "$CA"
    WIRE=10.77.0.1 PEBBLE_WFE_NONCEREJECT=0 sh "$ROOT/tests/tls/pebble" up "$CA" --box "$WEB1"
    ca root >"$CA/root.pem"
    # A visitor, and the CA, come to any of the three.
    ca dns add-a '{"host":"hello.example","addresses":["10.77.0.1","10.77.0.2","10.77.0.3"]}'
    for host in 1 2 3; do
        web=WEB$host
        box push "${!web}" "$CA/ca.pem" /etc/chillbox/ca.pem
        on "$host" in_box sh -c 'chmod 0644 /etc/chillbox/ca.pem && echo "nameserver 10.77.0.1" >/etc/resolv.conf && sed -i "/^\[tls\]/,/^\[backup\]/ {
            s|^acme = .*|acme = \"https://10.77.0.1:14443/dir\"|; s|^# ca_file = .*|ca_file = \"/etc/chillbox/ca.pem\"|
            s|^# profile = .*|profile = \"tlsserver\"|; s|^# issuer = .*|issuer = \"fleet\"| }" /etc/chillbox/chillboxd.toml'
    done
    laptop chillboxctl fleet add web1 --name shop --address 10.77.0.1
    laptop chillboxctl fleet add web2 --address 10.77.0.2
    laptop chillboxctl fleet add web3 --address 10.77.0.3
    engine_join 1 2 3
    mkdir -p "$LAPTOP/hello/page"
    printf 'page\n' >"$LAPTOP/hello/page/index.html"
    jq -n '{name: "Hello", server_name: "hello.example", domain_list: ["hello.example"], version: "1.0.0", watch: "0s",
        services: [{name: "page", lang: "static"}]}' >"$LAPTOP/hello/hello.site.json"
    printf 'host = ["web1", "web2", "web3"]\n' >"$LAPTOP/hello/chillbox.toml"
}
teardown_file() {
    ca_down
    hosts_down
}
setup() {
    host_or_skip
    etcd_or_skip
    HOST=$WEB1
    cd "$LAPTOP/hello" || return
}
teardown() {
    printf "%s\n" "${output-}"
    [ -n "${BATS_TEST_COMPLETED-}" ] || {
        for host in 1 2 3; do on "$host" ctl tls hello || :; done
        values | grep -a '^/chillbox' || :
        for host in 1 2 3; do on "$host" in_box sh -c "grep -v nginx: /var/log/chillbox/chillboxd.log | tail -n 12" || :; done
    }
}

of() { on "$1" tls_of hello "$2"; }
same() { # HOST...: these serve the same, and nothing else than their rows say
    for same_host; do
        on "$same_host" valid hello && [ "$(on "$same_host" served_sha hello.example)" = "$(on "$1" sha_of hello)" ] || return 1
    done
}
issuer() { for n in 1 2 3; do [ -n "$(of "$n" .issued_by)" ] || echo "$n"; done; }
bundle() { values certs/hello/ | sed -n 2p; }
bundle_key() { values certs/hello/ | head -n 1; }
claims() { values claims/hello/certs/ | grep -a '^{' || :; }
claimed() { claims | grep -q "\"host\":\"web$1\""; }
refusals() { on "$1" in_box grep -c "certificate 'hello': not taken from the fleet's engine: " /var/log/chillbox/chillboxd.log || :; }
canary() { on 1 in_box sed -n 2p /var/lib/chillbox/certs/hello.pem; }

@test "three hosts have one certificate by one order, and each says who ordered it" {
    run -0 laptop chillboxctl deploy -y
    wait_for 90 same 1 2 3
    [ "$(orders)" = 1 ]
    for host in 1 2 3; do
        [ "$(on "$host" https hello.example /)" = page ]
        [ "$(on "$host" in_box stat -c '%U %a' /var/lib/chillbox/certs/hello.pem)" = 'root 600' ]
    done
    by=$(issuer)
    [[ "$by" =~ ^[123]$ ]]
    other=$((by % 3 + 1))
    [[ "$(on "$by" ctl tls hello)" == *'issued      by this host for the fleet'* ]]
    [[ "$(on "$other" ctl tls hello)" == *"issued      by web$by for the fleet"* ]]
    bundle >"$LAPTOP/first"
}

@test "[attack-G59] the engine's data have no key of it, neither as its members keep it" {
    run ! grep -aqF "$(canary)" <<<"$(values)"
    for host in 1 2 3; do run ! grep -raqF -e "$(canary)" -e 'PRIVATE KEY' "$(member_dir "$host")/data"; done
    # As many keys as there were after the first one, of which none is for ever.
    [ "$(values certs/ | grep -c '^/chillbox')" -eq 1 ]
    [ "$(claims)" = '' ]
    etcdctl get --prefix /chillbox/shop/certs/ -w fields | grep '^"Lease" : [1-9]'
}

@test "it is renewed by one order, whoever is asked for it" {
    by=$(issuer)
    first=$(on 1 sha_of hello)
    another() { same 1 2 3 && [ "$(on 1 sha_of hello)" != "$first" ]; }
    run -0 on "$((by % 3 + 1))" ctl tls renew hello
    wait_for 60 another
    [ "$(orders)" = 2 ]
    [ "$(issuer)" = $((by % 3 + 1)) ]
    [ "$(values certs/ | grep -c '^/chillbox')" -eq 1 ]
}

@test "[attack-G56] [attack-G57] [attack-G58] who owns the engine has no host take what no host signed, what is for another site, or an older one" {
    served=$(on 1 sha_of hello)
    key=$(bundle_key)
    good=$(bundle)
    changed=$(jq -c '.report |= (fromjson | .not_before_ms += 100000000 | .sha256 = "0" | tojson)' <<<"$good")
    for forged in "$changed" "$(cat "$LAPTOP/first")" '{"report":"{\"host\":\"web1\"}","signature":""}' x; do
        etcdctl put "$key" -- "$forged" >/dev/null
        sleep 2
        same 1 2 3
        [ "$(on 1 sha_of hello)" = "$served" ]
    done
    [ "$(refusals 2)" -ge 1 ]
    [ "$(orders)" = 2 ]
    on 2 in_box chillboxctl audit --json | grep -q 'fleet engine'
    # The host that ordered it brings it back.
    etcdctl del "$key" >/dev/null
    it_is_back() { [ "$(jq -r '.report | fromjson | .sha256' <<<"$(bundle)")" = "$served" ]; }
    for host in 1 2 3; do on "$host" in_box rc-service -q chillboxd restart && on "$host" unlock; done
    wait_for 60 it_is_back
}

@test "who claimed it is killed before it gave it to the others: another one orders it [fault-902]" {
    was=$(on 1 sha_of hello)
    ca fault hang /order-plz
    run -0 on 2 ctl tls renew hello --no-wait
    wait_for 30 claimed 2
    on 2 in_box sh -c 'kill -KILL $(cat /run/supervise-chillboxd.pid) $(pgrep -x chillboxd)'
    ca fault
    run -0 on 3 ctl tls renew hello --no-wait
    waits() { [ "$(of 3 .problem)" = 'web2 orders it for the fleet' ]; }
    wait_for 30 waits
    [ "$(on 3 sha_of hello)" = "$was" ]
    # After ten minutes; here by hand, as etcd does it.
    lease=$(etcdctl get --prefix /chillbox/shop/claims/hello/certs/ -w fields | awk '/^"Key"/ {claim = $3 !~ /\/[0-9]+"$/} /^"Lease"/ && claim {print $3; exit}')
    etcdctl lease timetolive "$(printf %x "$lease")" | grep -E 'granted with TTL\(63[0-9]s\)'
    etcdctl lease revoke "$(printf %x "$lease")"
    another() { same 1 3 && [ "$(on 1 sha_of hello)" != "$was" ]; }
    wait_for 120 another
    [ "$(of 1 .issued_by)" = web3 ]
    on 2 in_box rc-service -q chillboxd zap
    on 2 in_box rc-service -q chillboxd start
    on 2 unlock
    wait_for 60 same 1 2 3
}

@test "an engine that was wiped changes nothing, and gets it again; away, it keeps nobody from serving [fault-907]" {
    served=$(on 1 sha_of hello)
    count=$(orders)
    etcdctl del --prefix /chillbox/shop/ >/dev/null
    it_is_back() { [ "$(jq -r '.report | fromjson | .sha256' <<<"$(bundle)")" = "$served" ]; }
    wait_for 90 it_is_back # a minute after it was brought there last
    same 1 2 3
    for k in 1 2 3; do member ended "$k" KILL; done
    run ! on 2 ctl tls renew hello
    [[ "$output" == *'; if that does not change, this host orders its own at '* ]]
    run on 2 ctl doctor
    [[ "$output" == *'the renewal fails: '*'if that does not change, this host orders its own at '* ]]
    same 1 2 3
    [ "$(on 2 https hello.example /)" = page ]
    [ "$(orders)" = "$count" ]
    for k in 1 2 3; do member start "$k"; done
    for k in 1 2 3; do member wait "$k"; done
    another() { same 1 2 3 && [ "$(on 1 sha_of hello)" != "$served" ]; }
    wait_for 120 another
    [ "$(orders)" = $((count + 1)) ]
}

@test "[attack-G60] a claim of a host that is not in the roster keeps no host from its order" {
    first=$(on 1 sha_of hello)
    count=$(orders)
    by=$(issuer)
    key=$(bundle_key)
    etcdctl put "/chillbox/shop/claims/hello/certs/${key##*/}" -- '{"host":"web9","id":"x","problem":""}' >/dev/null
    run -0 on "$by" ctl tls renew hello
    another() { same 1 2 3 && [ "$(on 1 sha_of hello)" != "$first" ]; }
    wait_for 60 another
    [ "$(orders)" = $((count + 1)) ]
    [ "$(claims)" = '' ]
}
