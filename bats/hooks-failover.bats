#!/usr/bin/env bats
# hooks/failover: a name leads to other hosts of a fleet, against name servers that are real: BIND, and PowerDNS by its API and by dynamic updates.

# shellcheck disable=SC2016 # zones have $TTL

bats_require_minimum_version 1.5.0

setup_file() {
    export BATS_NO_PARALLELIZE_WITHIN_FILE=true
    ROOT=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
    dir=$BATS_FILE_TMPDIR
    export ROOT HOOK=$ROOT/hooks/failover/rfc2136 CHILLBOX_DNS_CREDENTIALS=$dir/dns PORT=$((20000 + $$ % 20000))
    command -v nsupdate >/dev/null || return 0
    secret=$(head -c 32 /dev/urandom | base64)
    printf 'key "fleet" {\n\talgorithm hmac-sha256;\n\tsecret "%s";\n};\n' "$secret" >"$dir/key"
    printf 'server 127.0.0.1\nport %s\nkey %s\nzone example\n' "$PORT" "$dir/key" >"$CHILLBOX_DNS_CREDENTIALS"
    printf '$TTL 60\n@ SOA ns hostmaster 1 60 60 60 60\n@ NS ns\nns A 127.0.0.1\nforeign A 192.0.2.99\nmail TXT "v=spf1 -all"\n_chillbox.other TXT "heritage=chillbox,owner=others,epoch=1"\n_chillbox.mixed TXT "heritage=chillbox,owner=shop,epoch=1,addresses=192.0.2.1"\nmixed A 192.0.2.1\nmixed A 192.0.2.77\n_chillbox.evil TXT "heritage=chillbox,owner=shop,epoch=1,addresses=1.2.3.4 send"\n' >"$dir/zone"
    cat >"$dir/named.conf" <<END
include "$dir/key";
options { directory "$dir"; listen-on port $PORT { 127.0.0.1; }; listen-on-v6 { none; }; pid-file "$dir/pid"; session-keyfile "$dir/session"; recursion no; dnssec-validation no; };
controls { };
zone "example" { type primary; file "$dir/zone"; update-policy {
  grant fleet name hello.example. A AAAA; grant fleet name _chillbox.hello.example. TXT;
  grant fleet name mail.example. A AAAA; grant fleet name _chillbox.mail.example. TXT;
  grant fleet name mixed.example. A AAAA; grant fleet name _chillbox.mixed.example. TXT; }; };
END
    set -- named
    command -v named >/dev/null || set -- sh "$ROOT/tests/host/debs" --run "$(sh "$ROOT/tests/host/debs" "$(. /etc/os-release && echo "$VERSION_CODENAME")" bind9)" /usr/sbin/named
    "$@" -g -c "$dir/named.conf" >"$dir/log" 2>&1 3>&- &
    for ((tries = 100; tries > 0; tries--)); do [ "$(look A ns)" = 127.0.0.1 ] && return; sleep 0.1; done
    cat "$dir/log" >&2
    return 1
}
teardown_file() {
    for pid in "$BATS_FILE_TMPDIR/pid" "$BATS_FILE_TMPDIR"/pdns/*.pid; do [ ! -s "$pid" ] || kill "$(cat "$pid")" || :; done
}

# PowerDNS with an empty zone, at $PORT + 1 and with its API at $PORT + 2; and before it one that misbehaves, at $PORT + 3, by the word in $MODE.
powerdns_up() {
    export PDNS_PORT=$((PORT + 1)) MODE=$BATS_FILE_TMPDIR/pdns/mode API=http://127.0.0.1:$((PORT + 2)) BAD=http://127.0.0.1:$((PORT + 3))
    HOOK=$ROOT/hooks/failover/powerdns CHILLBOX_DNS_CREDENTIALS=$BATS_FILE_TMPDIR/pdns/dns
    [ ! -d "$BATS_FILE_TMPDIR/pdns" ] || return 0
    debs=$(sh "$ROOT/tests/host/debs" "$(. /etc/os-release && echo "$VERSION_CODENAME")" pdns-server pdns-backend-sqlite3) || skip "needs Debian's pdns-server"
    mkdir "$BATS_FILE_TMPDIR/pdns"
    python3 -c 'import sqlite3, sys; sqlite3.connect(sys.argv[1]).executescript(open(sys.argv[2]).read())' "$BATS_FILE_TMPDIR/pdns/db" \
        "$debs/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql"
    cat >"$BATS_FILE_TMPDIR/pdns/pdns.conf" <<END
launch=gsqlite3
gsqlite3-database=$BATS_FILE_TMPDIR/pdns/db
local-address=127.0.0.1
local-port=$PDNS_PORT
api=yes
api-key=of-a-test
webserver-address=127.0.0.1
webserver-port=$((PORT + 2))
dnsupdate=yes
allow-dnsupdate-from=127.0.0.1
module-dir=$(dirname "$(find "$debs" -name libgsqlite3backend.so)")
socket-dir=$BATS_FILE_TMPDIR/pdns
cache-ttl=0
query-cache-ttl=0
negquery-cache-ttl=0
zone-cache-refresh-interval=0
security-poll-suffix=
END
    sh "$ROOT/tests/host/debs" --run "$debs" /usr/sbin/pdns_server --config-dir="$BATS_FILE_TMPDIR/pdns" >"$BATS_FILE_TMPDIR/pdns/log" 2>&1 3>&- &
    echo $! >"$BATS_FILE_TMPDIR/pdns/server.pid"
    echo pass >"$MODE"
    "$ROOT/tests/hooks/bad-http" 127.0.0.1 $((PORT + 3)) "127.0.0.1:$((PORT + 2))" "$MODE" "$MODE.log" >/dev/null 2>&1 3>&- &
    echo $! >"$BATS_FILE_TMPDIR/pdns/bad.pid"
    for ((tries = 100; tries > 0; tries--)); do
        curl -sf -o /dev/null -H X-API-Key:of-a-test "$API/api/v1/servers/localhost/zones" -d '{"name":"example.","kind":"Native","nameservers":["ns.example."]}' && break
        sleep 0.1
    done
    printf 'url %s\napi_key of-a-test\nzone example\n' "$API" >"$CHILLBOX_DNS_CREDENTIALS"
    zone_has foreign.example. A 192.0.2.99
    zone_has _chillbox.other.example. TXT '"heritage=chillbox,owner=others,epoch=1"'
    zone_has mixed.example. A 192.0.2.1 192.0.2.77
    zone_has _chillbox.mixed.example. TXT '"heritage=chillbox,owner=shop,epoch=1,addresses=192.0.2.1"'
    zone_has _chillbox.evil.example. TXT '"heritage=chillbox,owner=shop,epoch=1,addresses=1.2.3.4 x"'
    zone_has mail.example. TXT '"v=spf1 -all"'
}
zone_has() { # NAME TYPE VALUE...
    jq -n --arg name "$1" --arg type "$2" '{rrsets: [{name: $name, type: $type, ttl: 60, changetype: "REPLACE", records: [$ARGS.positional[] | {content: ., disabled: false}]}]}' \
        --args "${@:3}" | curl -sf -X PATCH -H X-API-Key:of-a-test "$API/api/v1/servers/localhost/zones/example." -d @-
}
setup() {
    command -v nsupdate >/dev/null || skip 'needs nsupdate'
    cd "$BATS_TEST_TMPDIR" || return
}
teardown() { printf '%s\n' "${output-}"; }

look() { dig +short +time=1 +tries=1 -p "${PDNS_PORT:-$PORT}" @127.0.0.1 "$2.example" "$1" 2>/dev/null | tr -d '"' | sort | xargs; }
point() { "$HOOK" point "$@"; }

@test "a name leads to the hosts that are said, under dash and ash, and the record beside it says whose they are" {
    epoch=10
    for shell in dash 'busybox ash'; do
        $shell "$HOOK" point hello.example. shop "$epoch" 192.0.2.1 192.0.2.2
        [ "$(look A hello)" = '192.0.2.1 192.0.2.2' ]
        [ "$(look TXT _chillbox.hello)" = "heritage=chillbox,owner=shop,epoch=$epoch,addresses=192.0.2.1+192.0.2.2" ]
        $shell "$HOOK" point hello.example. shop "$((epoch + 1))" 192.0.2.2 2001:db8::2
        [ "$(look A hello) $(look AAAA hello)" = '192.0.2.2 2001:db8::2' ]
        $shell "$HOOK" point hello.example. shop "$((epoch + 1))" 192.0.2.2 2001:db8::2
        epoch=$((epoch + 2))
    done
}

@test "an older epoch is refused, and so is who read the record before somebody else changed it [fault-892]" {
    point hello.example. shop 41 192.0.2.1
    run -4 point hello.example. shop 40 192.0.2.2
    [[ "$output" == *'is of epoch 41, and this is epoch 40: somebody else changed the fleet'* ]]
    [ "$(look A hello)" = 192.0.2.1 ]
    # Between the look and the update another laptop is faster.
    mkdir bin
    printf '#!/bin/sh\n%s "$@"\n[ -e once ] || case " $* " in *" _chillbox.hello.example. "*) : >once; PATH=%s; %s point hello.example. shop 42 192.0.2.3 ;; esac\n' \
        "$(command -v dig)" "'$PATH'" "$HOOK" >bin/dig
    chmod 0755 bin/dig
    PATH=$PWD/bin:$PATH run -5 point hello.example. shop 42 192.0.2.4
    [[ "$output" == *'was changed by somebody else just now'* ]]
    [ "$(look A hello)" = 192.0.2.3 ]
}

@test "records of others are never touched: addresses, another fleet's names, other addresses and texts of the same name [fault-893]" {
    run -4 point foreign.example. shop 5 192.0.2.1
    [[ "$output" == *"foreign.example. has addresses that are not this fleet's"* ]]
    [ "$(look A foreign)" = 192.0.2.99 ]
    run -4 point other.example. shop 5 192.0.2.1
    [[ "$output" == *"_chillbox.other.example. is not of fleet 'shop'"* ]]
    point mixed.example. shop 5 192.0.2.2
    [ "$(look A mixed)" = '192.0.2.2 192.0.2.77' ]
    point mail.example. shop 5 192.0.2.5
    [ "$(look A mail) $(look TXT mail)" = '192.0.2.5 v=spf1 -all' ]
}

@test "the key reaches the names of its policy and no others, and what is in the zone cannot become a command [fault-894]" {
    run -1 point www.example. shop 5 192.0.2.1
    [[ "$output" == *'127.0.0.1 refuses it: the key may not change www.example. A, AAAA and _chillbox.www.example. TXT'* ]]
    [ -z "$(look A www)" ]
    run -4 point evil.example. shop 5 192.0.2.1
    [[ "$output" == *'_chillbox.evil.example. has addresses that are none'* ]]
    printf 'server 127.0.0.1\nport %s\nkey hmac-sha256:fleet:%s\n' "$PORT" "$(printf wrong | base64)" >wrong
    CHILLBOX_DNS_CREDENTIALS=wrong run -1 point hello.example. shop 99 192.0.2.9
    [ "$(look A hello)" != 192.0.2.9 ]
}

@test "what it cannot do is said before anything is sent [fault-895]" {
    run -2 point hello.example. shop 5
    for name in hello.example .x. x..y. 'x y.' $'x.\nsend\n.' -x. '$x.'; do run -2 point "$name" shop 5 192.0.2.1; done
    for fleet in '' 'a b' 'a"' 'a,b'; do run -2 point hello.example. "$fleet" 5 192.0.2.1; done
    for epoch in '' x -1 99999999999999999999; do run -2 point hello.example. shop "$epoch" 192.0.2.1; done
    for address in '' localhost '1.2.3.4 ' $'1.2.3.4\nsend' '1.2.3.4+5'; do run -2 point hello.example. shop 5 "$address"; done
    run -2 point hello.example. shop 5 $(seq -f '192.0.2.%g' 1 60)
    [[ "$output" == *'too many addresses'* ]]
    CHILLBOX_DNS_CREDENTIALS=/nonexistent run -3 point hello.example. shop 5 192.0.2.1
    printf 'port 53\n' >none
    CHILLBOX_DNS_CREDENTIALS=none run -3 point hello.example. shop 5 192.0.2.1
    [[ "$output" == *'has no server'* ]]
    printf 'server 127.0.0.1\nport 9\n' >away
    CHILLBOX_DNS_CREDENTIALS=away run -1 point hello.example. shop 5 192.0.2.1
    [[ "$output" == *'127.0.0.1 does not answer'* ]]
}

@test "fleet dns points names to hosts of the roster, with its epoch, and says what is wrong before anything is asked" {
    export HOME=$PWD XDG_CONFIG_HOME=$PWD/config
    CTL=$ROOT/${BUILD:-build}/chillboxctl
    case ${BUILD-} in /*) CTL=$BUILD/chillboxctl ;; esac
    [ -x "$CTL" ] || skip 'chillboxctl is not built'
    fleet_file() { # EPOCH
        roster=$(printf '{"fleet":"shop","epoch":%s,"hosts":[{"name":"web1","address":"10.0.0.1","recipient":"age1a","roles":[]},{"name":"web2","address":"web2.example","recipient":"age1b","roles":[]}],"balanced":[]}' "$1")
        mkdir -p -m 0700 config/chillbox
        jq -n --arg roster "$roster" '{roster: $roster, signature: "x"}' >config/chillbox/fleet.json
        chmod 0600 config/chillbox/fleet.json
    }
    run -3 "$CTL" fleet dns hello.example --to web1
    fleet_file 50
    run -3 "$CTL" fleet dns hello.example --to web1
    [[ "$output" == *'no name server is known: write the lines server ADDRESS, key FILE, zone NAME to '*'/config/chillbox/dns, with mode 0600'* ]]
    cp "$CHILLBOX_DNS_CREDENTIALS" config/chillbox/dns
    chmod 0644 config/chillbox/dns
    run -4 "$CTL" fleet dns hello.example --to web1
    chmod 0600 config/chillbox/dns
    run -3 "$CTL" fleet dns hello.example --to web9
    run -2 "$CTL" fleet dns hello.example --to web2
    [[ "$output" == *"'web2.example' is no IP address: --to web2=ADDRESS"* ]]
    run -2 "$CTL" fleet dns hello.example --to web1=10.0.0.0/8
    run -2 "$CTL" fleet dns 'hello.example;' --to web1
    run -0 "$CTL" fleet dns hello.example,mail.example --to web1=192.0.2.1,web2=192.0.2.2
    [ "$output" = $'hello.example leads to 192.0.2.1, 192.0.2.2\nmail.example leads to 192.0.2.1, 192.0.2.2' ]
    [ "$(look A hello) $(look A mail)" = '192.0.2.1 192.0.2.2 192.0.2.1 192.0.2.2' ]
    run -0 "$CTL" fleet dns hello.example --to web2=192.0.2.2
    [ "$(look A hello)" = 192.0.2.2 ]
    run -0 "$CTL" fleet dns hello.example --to web1=2001:DB8:0:0::1
    [ "$(look AAAA hello)" = 2001:db8::1 ]
    run -0 "$CTL" fleet dns hello.example --to web2=192.0.2.2
    [ "$(look A hello)$(look AAAA hello)" = 192.0.2.2 ]
    fleet_file 49
    run -7 "$CTL" fleet dns hello.example --to web1=192.0.2.1
    [[ "$output" == *'is of epoch 50, and this is epoch 49'* ]]
    fleet_file 51
    run -1 "$CTL" fleet dns www.example --to web1=192.0.2.1
    [ "$(look A hello)" = 192.0.2.2 ]
}

@test "PowerDNS by its API: one request changes all of a name or nothing, and records of others are never touched [fault-928]" {
    powerdns_up
    epoch=10
    for shell in dash 'busybox ash'; do
        $shell "$HOOK" point hello.example. shop "$epoch" 192.0.2.1 192.0.2.2
        [ "$(look A hello)" = '192.0.2.1 192.0.2.2' ]
        [ "$(look TXT _chillbox.hello)" = "heritage=chillbox,owner=shop,epoch=$epoch,addresses=192.0.2.1+192.0.2.2" ]
        $shell "$HOOK" point hello.example. shop "$((epoch + 1))" 192.0.2.2 2001:db8::2
        [ "$(look A hello) $(look AAAA hello)" = '192.0.2.2 2001:db8::2' ]
        $shell "$HOOK" point hello.example. shop "$((epoch + 1))" 192.0.2.2
        [ "$(look A hello)$(look AAAA hello)" = 192.0.2.2 ]
        epoch=$((epoch + 2))
    done
    run -4 point hello.example. shop 12 192.0.2.1
    [[ "$output" == *'is of epoch 13, and this is epoch 12'* ]]
    run -4 point foreign.example. shop 5 192.0.2.1
    [[ "$output" == *"foreign.example. has addresses that are not this fleet's"* ]]
    run -4 point other.example. shop 5 192.0.2.1
    run -4 point evil.example. shop 5 192.0.2.1
    point mixed.example. shop 5 192.0.2.2
    [ "$(look A mixed)" = '192.0.2.2 192.0.2.77' ]
    point mail.example. shop 5 192.0.2.5
    [ "$(look A mail) $(look TXT mail)" = '192.0.2.5 v=spf1 -all' ]
    # What the server refuses in part it refuses whole.
    run -1 point hello.example. shop 20 192.0.2.7 192.0.2.700
    [[ "$output" == *"$API: "* ]]
    [ "$(look A hello) $(look TXT _chillbox.hello)" = '192.0.2.2 heritage=chillbox,owner=shop,epoch=13,addresses=192.0.2.2' ]
}

@test "PowerDNS by its API: a change of somebody else is seen before and after the request, and what cannot be is said [fault-929]" {
    powerdns_up
    point raced.example. shop 41 192.0.2.1
    # Another laptop is faster: between the look and the request, and right after it.
    mkdir bin
    printf '#!/bin/sh\n[ -e once ] || case "$*" in *"%s"*) : >once; PATH=%s; %s point raced.example. shop 42 192.0.2.3 ;; esac\n%s "$@"\n' \
        'rrset_name=raced.example.&rrset_type=A' "'$PATH'" "$HOOK" "$(command -v curl)" >bin/curl
    printf '#!/bin/sh\n%s "$@"\n[ -e once ] || case "$*" in *PATCH*) : >once; PATH=%s; %s point raced.example. shop 44 192.0.2.4 ;; esac\n' \
        "$(command -v curl)" "'$PATH'" "$HOOK" >bin/after
    chmod 0755 bin/*
    PATH=$PWD/bin:$PATH run -5 point raced.example. shop 42 192.0.2.9
    [[ "$output" == *'was changed by somebody else just now'* ]]
    [ "$(look A raced)" = 192.0.2.3 ]
    rm once && mv bin/after bin/curl
    PATH=$PWD/bin:$PATH run -5 point raced.example. shop 43 192.0.2.9
    [ "$(look A raced)" = 192.0.2.4 ]
    for bad in '/^url/d' 's,^url .*,url ftp://x,' '/^api_key/d' 's/^api_key .*/api_key a"b/' '/^zone/d' 's,^zone .*,zone a/b,' '$a ttl x'; do
        sed "$bad" "$CHILLBOX_DNS_CREDENTIALS" >bad
        CHILLBOX_DNS_CREDENTIALS=bad run -3 point raced.example. shop 50 192.0.2.9
    done
    for bad in 's/^api_key .*/api_key wrong/' 's/^zone .*/zone nosuch/' 's,^url .*,url http://127.0.0.1:9,'; do
        sed "$bad" "$CHILLBOX_DNS_CREDENTIALS" >bad
        CHILLBOX_DNS_CREDENTIALS=bad run -1 point raced.example. shop 50 192.0.2.9
        [[ "$output" == powerdns:* ]]
    done
    [ "$(look A raced)" = 192.0.2.4 ]
}

@test "PowerDNS by its API: a query that fails, and a record that is disabled, leave a name as it is [fault-934]" {
    powerdns_up
    point asked.example. shop 41 192.0.2.1 2001:db8::1
    zone_has asked.example. A 192.0.2.1 192.0.2.77
    mkdir bin
    # By its end: of the addresses one kind or the other, or the record when it is read for the second time.
    printf '#!/bin/sh\ncase "$*" in *"$FAILS") echo >>asked; [ "$(wc -l <asked)" -lt "$FAILS_AT" ] || exit 7 ;; esac\nexec %s "$@"\n' "$(command -v curl)" >bin/curl
    chmod 0755 bin/curl
    for fails in '1 rrset_name=asked.example.&rrset_type=A' '1 rrset_name=asked.example.&rrset_type=AAAA' '2 rrset_name=_chillbox.asked.example.&rrset_type=TXT'; do
        for shell in dash 'busybox ash'; do
            rm -f asked
            PATH=$PWD/bin:$PATH FAILS_AT=${fails%% *} FAILS=${fails#* } run -1 $shell "$HOOK" point asked.example. shop 42 192.0.2.9
            [ -s asked ]
            [ "$(look A asked) $(look AAAA asked)" = '192.0.2.1 192.0.2.77 2001:db8::1' ]
            [[ "$(look TXT _chillbox.asked)" == *epoch=41* ]]
        done
    done
    # Without a record there is nothing to compare with either.
    rm asked
    PATH=$PWD/bin:$PATH FAILS_AT=2 FAILS='rrset_name=_chillbox.fresh.example.&rrset_type=TXT' run -1 point fresh.example. shop 42 192.0.2.9
    [ -z "$(look A fresh)$(look TXT _chillbox.fresh)" ]
    jq -n '{rrsets: [{name: "asked.example.", type: "A", ttl: 60, changetype: "REPLACE",
        records: [{content: "192.0.2.1", disabled: false}, {content: "192.0.2.77", disabled: true}]}]}' |
        curl -sf -X PATCH -H X-API-Key:of-a-test "$API/api/v1/servers/localhost/zones/example." -d @-
    run -4 point asked.example. shop 42 192.0.2.9
    [[ "$output" == *'asked.example. has a disabled A record, which a change would delete: delete it, or enable it' ]]
    run -0 curl -sf -H X-API-Key:of-a-test "$API/api/v1/servers/localhost/zones/example."
    [ "$(jq -c '.rrsets[] | select(.name == "asked.example." and .type == "A") | [.records[] | "\(.content) \(.disabled)"] | sort' <<<"$output")" = '["192.0.2.1 false","192.0.2.77 true"]' ]
}

@test "the API of a name server cannot have its key sent elsewhere or shown, and what it says is neither followed, run nor shown as it is [attack-G71]" {
    powerdns_up
    sed "s,^url .*,url $BAD," "$CHILLBOX_DNS_CREDENTIALS" >bad
    export CHILLBOX_DNS_CREDENTIALS=$PWD/bad
    printf 'location\n' >.curlrc # of the laptop's user
    export HOME=$PWD
    for mode in redirect endless escapes yes; do
        echo "$mode" >"$MODE"
        : >"$MODE.log"
        begun=$SECONDS
        run -1 point hello.example. shop 90 192.0.2.9
        [ $((SECONDS - begun)) -lt 40 ]
        [[ "$output" != *$'\e'* && "${#output}" -lt 900 ]]
        [ "$(wc -l <"$MODE.log")" -eq 1 ]
        [[ "$(look TXT _chillbox.hello)" != *epoch=90* ]]
    done
    echo pass >"$MODE"
    # No argument of any program has the key.
    mkdir bin
    printf '#!/bin/sh\nprintf "%%s\\n" "$*" >>args\nexec %s "$@"\n' "$(command -v curl)" >bin/curl
    chmod 0755 bin/curl
    PATH=$PWD/bin:$PATH run -0 point hello.example. shop 91 192.0.2.9
    grep -q PATCH args
    run -1 grep of-a-test args
}

@test "PowerDNS by dynamic updates has the conditions that its API lacks: rfc2136, and fleet dns takes the program that the settings name" {
    powerdns_up
    printf 'server 127.0.0.1\nport %s\nzone example\n' "$PDNS_PORT" >updates
    for epoch in 41 42; do CHILLBOX_DNS_CREDENTIALS=updates "$ROOT/hooks/failover/rfc2136" point both.example. shop "$epoch" "192.0.2.$epoch"; done
    [ "$(look A both)" = 192.0.2.42 ]
    mkdir bin
    printf '#!/bin/sh\n%s "$@"\n[ -e once ] || case " $* " in *" _chillbox.both.example. "*) : >once; PATH=%s; %s point both.example. shop 43 192.0.2.3 ;; esac\n' \
        "$(command -v dig)" "'$PATH'" "$ROOT/hooks/failover/rfc2136" >bin/dig
    chmod 0755 bin/dig
    CHILLBOX_DNS_CREDENTIALS=updates PATH=$PWD/bin:$PATH run -5 "$ROOT/hooks/failover/rfc2136" point both.example. shop 43 192.0.2.4
    [ "$(look A both)" = 192.0.2.3 ]
    export HOME=$PWD XDG_CONFIG_HOME=$PWD/config
    CTL=$ROOT/${BUILD:-build}/chillboxctl
    case ${BUILD-} in /*) CTL=$BUILD/chillboxctl ;; esac
    [ -x "$CTL" ] || skip 'chillboxctl is not built'
    mkdir -p -m 0700 config/chillbox
    jq -n '{roster: ({fleet: "shop", epoch: 70, hosts: [{name: "web1", address: "192.0.2.1", recipient: "age1a", roles: []}], balanced: []} | tojson), signature: "x"}' >config/chillbox/fleet.json
    { echo 'hook powerdns' && cat "$CHILLBOX_DNS_CREDENTIALS"; } >config/chillbox/dns
    chmod 0600 config/chillbox/*
    run -0 "$CTL" fleet dns both.example --to web1
    [ "$(look A both)" = 192.0.2.1 ]
    # As the program reads its own: whatever the blanks are, and the first line counts.
    { printf '  hook\t powerdns \r\nhook bind\n' && cat "$CHILLBOX_DNS_CREDENTIALS"; } >config/chillbox/dns
    run -0 "$CTL" fleet dns both.example --to web1=192.0.2.2
    [ "$(look A both)" = 192.0.2.2 ]
    { echo 'hook bind' && cat "$CHILLBOX_DNS_CREDENTIALS"; } >config/chillbox/dns
    run -3 "$CTL" fleet dns both.example --to web1
    [[ "$output" == *'/config/chillbox/dns: hook bind: must be rfc2136 or powerdns' ]]
}
