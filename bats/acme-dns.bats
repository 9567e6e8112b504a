#!/usr/bin/env bats
# DNS challenges: what the engine asks of a program of hooks/dns, and rfc2136 against a name server that is real.

load helpers/box
load helpers/hooks
load helpers/tls

setup_file() {
    bats_require_minimum_version 1.5.0
    export BATS_NO_PARALLELIZE_WITHIN_FILE=true
    export ENGINE=${BUILD:-build}/acmez
    case $ENGINE in /*) ;; *) ENGINE=$BATS_TEST_DIRNAME/../$ENGINE ;; esac
    [ "$(id -u)" -eq 0 ] && [ -x "$ENGINE" ] || return 0
    tls_up
    csr blog.example '*.blog.example'
    ask account
    # A program for challtestsrv's records that notes how it was called and does what the file "does" says.
    export PROGRAM=$BATS_FILE_TMPDIR/program CALLS=$ACCOUNT/calls DOES=$BATS_FILE_TMPDIR/does
    cat >"$PROGRAM" <<END
#!/bin/sh
set -eu
echo "\$*" >>"$CALLS"
grep -q . "\${CHILLBOX_DNS_CREDENTIALS-/dev/null}" || :
case \$1 in present) verb=set-txt ;; *) verb=clear-txt ;; esac
case \$(cat "$DOES") in
  "hang \$1") sleep 60 ;;
  "leave \$1") sleep 60 & ;;
  "fail \$1") echo "the provider says no" >&2; exit 1 ;;
esac
curl -sS --fail -d "{\"host\":\"\$2\",\"value\":\"\$3\"}" http://127.0.0.1:8055/\$verb
END
    chmod 0755 "$PROGRAM"
}

teardown_file() { tls_down; }

setup() {
    needs_root
    [ -x "$ENGINE" ] || skip 'the engine was not built, because there is no Go'
    : >"$DOES"
    rm -f "$CALLS"
    pebble fault
    pebble dns clear-txt '{"host":"_acme-challenge.blog.example."}' >/dev/null
}

teardown() { kill "$(cat "$BATS_FILE_TMPDIR/named/pid" 2>/dev/null)" 2>/dev/null || :; } # of a test that failed

wild() { ask order ".challenge = \"dns-01\" | .dns = \"$PROGRAM\" | ${1:-.}"; }

# Every value that was presented was cleaned up, once.
balanced() {
    grep '^present ' "$CALLS" | cut -d ' ' -f 2- | sort >"$BATS_TEST_TMPDIR/made"
    grep '^cleanup ' "$CALLS" | cut -d ' ' -f 2- | sort | diff "$BATS_TEST_TMPDIR/made" -
    [ "$(sort "$BATS_TEST_TMPDIR/made" | uniq -d | wc -l)" -eq 0 ]
    [ ! -e "$ACCOUNT/presented.json" ]
}

@test "a name and its wildcard in one order: two values at one name, each made and taken back (tls 24)" {
    wild
    said '.ok and .warnings == []'
    [ "$(grep -c '^present _acme-challenge.blog.example. [A-Za-z0-9_-]*$' "$CALLS")" -eq 2 ]
    balanced
    jq -r .chain "$OUT" | openssl x509 -noout -ext subjectAltName | grep -F 'DNS:*.blog.example' | grep -q 'DNS:blog.example'
}

@test "a wildcard by HTTP is refused with the reason" {
    ask order
    said '.ok == false and .problem.type == "local" and .problem.identifier == "*.blog.example" and (.problem.detail | contains("does not offer http-01"))'
}

@test "a program that fails: its words are the message, and what it began is cleaned up [fault-292]" {
    echo 'fail present' >"$DOES"
    wild
    said '.ok == false and .problem.type == "dns" and .problem.identifier == "blog.example" and (.problem.detail | contains("the provider says no"))'
    [ "$(grep -c present "$CALLS")" -eq 1 ]
    balanced
    echo 'fail cleanup' >"$DOES"
    wild
    said '.ok and (.warnings | length) == 2 and (.warnings[0] | contains("the provider says no"))'
    balanced
}

@test "a program that hangs, or leaves a process that holds its output, costs no more than the deadline (tls 24) [fault-292] [attack-G7]" {
    for does in 'hang present' 'hang cleanup' 'leave present' 'leave cleanup'; do
        echo "$does" >"$DOES"
        rm -f "$CALLS"
        echo "does $does" >&2
        begun=$SECONDS
        wild '.deadline = 12'
        [ $((SECONDS - begun)) -le 13 ]
        case $does in
            'hang present') said '.ok == false and (.problem.type == "dns" or .problem.type == "deadline") and (.problem.detail | contains("did not end"))' ;;
            *) said '.ok' ;;
        esac
        balanced
    done
}

@test "a program that is not there, and the failure of a challenge, leave nothing" {
    wild '.dns = "/nonexistent"'
    said '.ok == false and .problem.type == "dns"'
    [ ! -e "$ACCOUNT/presented.json" ]
    pebble stop
    PEBBLE_DNS=127.0.0.1:1 pebble start # the CA finds no record
    ask account
    wild '.deadline = 40'
    said '.ok == false'
    balanced
    pebble stop
    pebble start
    ask account
}

@test "an engine that is asked to end cleans up; what a killed one left is cleaned up by the next order [fault-292]" {
    for signal in TERM KILL; do
        echo 'hang present' >"$DOES"
        rm -f "$CALLS"
        input ".challenge = \"dns-01\" | .dns = \"$PROGRAM\"" >"$BATS_TEST_TMPDIR/input"
        # As the daemon does: all of its group.
        as_engine setsid sh -c 'echo $$ >"$2" && exec "$1" order' sh "$ENGINE" "$ACCOUNT/pid" <"$BATS_TEST_TMPDIR/input" >"$OUT" 3>&- &
        for ((tries = 200; tries > 0; tries--)); do [ -s "$CALLS" ] && break; sleep 0.05; done
        kill -$signal -- "-$(cat "$ACCOUNT/pid")"
        wait $! || :
        : >"$DOES"
        if [ $signal = TERM ]; then
            said '.ok == false'
        else
            [ ! -s "$OUT" ]
            [ -e "$ACCOUNT/presented.json" ]
            wild
            said .ok
        fi
        balanced
    done
    printf 'cut' >"$ACCOUNT/presented.json"
    wild
    said .ok
}

named_up() { # a zone that takes updates signed with a key
    dir=$BATS_FILE_TMPDIR/named
    mkdir -p "$dir"
    printf 'key "chillbox" {\n\talgorithm hmac-sha256;\n\tsecret "%s";\n};\n' "$(head -c 32 /dev/urandom | base64)" >"$dir/key"
    chmod 0644 "$dir/key"
    printf '$TTL 60\n@ SOA ns hostmaster 1 60 60 60 60\n@ NS ns\nns A 127.0.0.1\n' >"$dir/zone"
    cat >"$dir/named.conf" <<END
include "$dir/key";
options { directory "$dir"; listen-on port 5353 { 127.0.0.1; }; listen-on-v6 { none; }; pid-file "$dir/pid"; session-keyfile "$dir/session"; recursion no; dnssec-validation no; };
controls { };
zone "blog.example" { type primary; file "$dir/zone"; update-policy { grant chillbox name _acme-challenge.blog.example. TXT; }; };
END
    # Unpacked only: installed it would be started.
    set -- named
    command -v named >/dev/null || set -- sh "$ROOT/tests/host/debs" --run "$(sh "$ROOT/tests/host/debs" "$(. /etc/os-release && echo "$VERSION_CODENAME")" bind9)" /usr/sbin/named
    net "$@" -g -c "$dir/named.conf" >"$dir/log" 2>&1 3>&- &
    for ((tries = 100; tries > 0; tries--)); do net dig +short +time=1 +tries=1 @127.0.0.1 -p 5353 ns.blog.example | grep -qx 127.0.0.1 && return; sleep 0.1; done
    cat "$dir/log" >&2
    return 1
}

txt() { net dig +short TXT @127.0.0.1 -p 5353 _acme-challenge.blog.example | tr -d '"' | sort | xargs; }

@test "rfc2136: values are added and removed one by one, under dash and ash, with a key file and with a key in the file" {
    command -v nsupdate >/dev/null || skip 'needs nsupdate'
    named_up
    HOOK=$ROOT/hooks/dns/rfc2136
    export CHILLBOX_DNS_CREDENTIALS=$BATS_FILE_TMPDIR/credentials
    secret=$(sed -n 's/.*secret "\(.*\)";/\1/p' "$BATS_FILE_TMPDIR/named/key")
    for key in "$BATS_FILE_TMPDIR/named/key" "hmac-sha256:chillbox:$secret"; do
        printf 'server 127.0.0.1\n  port\t5353\nkey %s \nzone blog.example\n' "$key" >"$CHILLBOX_DNS_CREDENTIALS"
        for shell in dash 'busybox ash'; do
            for value in one two two; do net $shell "$HOOK" present _acme-challenge.blog.example. $value; done
            [ "$(txt)" = 'one two' ]
            for _ in 1 2; do net $shell "$HOOK" cleanup _acme-challenge.blog.example. one; done
            [ "$(txt)" = two ]
            net $shell "$HOOK" cleanup _acme-challenge.blog.example. two
            [ -z "$(txt)" ]
        done
    done
    # Other names are not ours to change, nor anybody's who lacks the key.
    run -1 net "$HOOK" present www.blog.example. one
    [[ "$output" == *REFUSED* ]]
    printf 'server 127.0.0.1\nport 5353\nzone blog.example\nkey hmac-sha256:chillbox:%s\n' "$(printf wrong | base64)" >"$BATS_FILE_TMPDIR/wrong"
    CHILLBOX_DNS_CREDENTIALS=$BATS_FILE_TMPDIR/wrong run -1 net "$HOOK" present _acme-challenge.blog.example. one
    [ -z "$(txt)" ]
    # The whole order, with the CA that asks this server.
    pebble stop
    PEBBLE_DNS=127.0.0.1:5353 pebble start
    ask account
    chmod 0644 "$CHILLBOX_DNS_CREDENTIALS"
    cp "$HOOK" "$BATS_FILE_TMPDIR/rfc2136"
    ask order ".challenge = \"dns-01\" | .dns = \"$BATS_FILE_TMPDIR/rfc2136\""
    said '.ok and .warnings == []'
    [ -z "$(txt)" ]
    kill "$(cat "$BATS_FILE_TMPDIR/named/pid")"
    run -1 net "$HOOK" present _acme-challenge.blog.example. one
    [[ "$output" == 'rfc2136: 127.0.0.1: '* ]]
}

@test "rfc2136: what it cannot do is said before anything is sent [fault-296]" {
    HOOK=$BATS_TEST_DIRNAME/../hooks/dns/rfc2136
    export CHILLBOX_DNS_CREDENTIALS=$BATS_TEST_TMPDIR/credentials
    printf 'server 127.0.0.1\nport 5353\n' >"$CHILLBOX_DNS_CREDENTIALS"
    run -2 "$HOOK" present
    run -2 "$HOOK" nosuch x.example. v
    for name in 'x.example' '.x.' 'x..y.' $'x.example.\nserver 10.0.0.1\n' 'x y.'; do
        run -2 "$HOOK" present "$name" v
        [[ "$output" == *'is not a name'* ]]
    done
    for value in '' 'a b' 'a"b' $'a\nsend'; do
        run -2 "$HOOK" present x.example. "$value"
    done
    printf 'port x\nserver a\n' >"$CHILLBOX_DNS_CREDENTIALS"
    run -3 "$HOOK" present x.example. v
    [[ "$output" == *'port is not a number'* ]]
    printf 'port 53\n' >"$CHILLBOX_DNS_CREDENTIALS"
    run -3 "$HOOK" present x.example. v
    [[ "$output" == *'has no server'* ]]
    CHILLBOX_DNS_CREDENTIALS=/nonexistent run -3 "$HOOK" present x.example. v
    [[ "$output" == *'cannot read the credentials'* ]]
    mkdir "$BATS_TEST_TMPDIR/bin"
    for tool in sh printf sed head tail sleep; do ln -s "$(command -v $tool)" "$BATS_TEST_TMPDIR/bin/"; done
    PATH=$BATS_TEST_TMPDIR/bin run -3 sh "$HOOK" present x.example. v
    [[ "$output" == *'needs nsupdate'* ]]
}
