#!/usr/bin/env bats
# hooks/failover: a name leads to other hosts of a fleet, against a name server that is real (BIND).

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
teardown_file() { [ ! -s "$BATS_FILE_TMPDIR/pid" ] || kill "$(cat "$BATS_FILE_TMPDIR/pid")"; }
setup() {
    command -v nsupdate >/dev/null || skip 'needs nsupdate'
    cd "$BATS_TEST_TMPDIR" || return
}
teardown() { printf '%s\n' "${output-}"; }

look() { dig +short +time=1 +tries=1 -p "$PORT" @127.0.0.1 "$2.example" "$1" 2>/dev/null | tr -d '"' | sort | xargs; }
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
    fleet_file 49
    run -7 "$CTL" fleet dns hello.example --to web1=192.0.2.1
    [[ "$output" == *'is of epoch 50, and this is epoch 49'* ]]
    fleet_file 51
    run -1 "$CTL" fleet dns www.example --to web1=192.0.2.1
    [ "$(look A hello)" = 192.0.2.2 ]
}
