#!/usr/bin/env bats
# The passphrase of a host: changed, and given anew by the recovery words.

load helpers/cli

setup() {
    cli_setup
    export CHILLBOX_ROOT=$PWD/root
    STATE=$CHILLBOX_ROOT/var/lib/chillbox
    fd 'correct horse' init -q --work-factor 10
    RECIPIENT=$(cat "$STATE/recipient.txt")
}

# fd LINES ARG...: chillboxctl with these lines at descriptor 3
fd() { printf '%b\n' "$1" >lines && chillboxctl "${@:2}" --passphrase-fd 3 3<lines </dev/null; }
works() { fd "$1\nx$1" passphrase >/dev/null && fd "x$1\n$1" passphrase >/dev/null; }
words() { sed -n 's/^  *[0-9]*  //p' | paste -sd' '; }

@test "passphrase changes the host's, and the host key stays the same [fault-461]" {
    run -0 fd 'correct horse\nbattery staple' passphrase
    [[ "$output" == *"changed: the passphrase of this host"* ]]
    [ "$(stat -c %a "$STATE/identity.age")" = 600 ]
    grep -aq ' 10$' <(sed -n 2p "$STATE/identity.age") # the work factor is kept
    run -4 fd 'correct horse\nother' passphrase
    [[ "$output" == *"wrong passphrase"* ]]
    run -0 works 'battery staple'
    [ "$RECIPIENT" = "$(cat "$STATE/recipient.txt")" ]
    copy=$(sha256sum <"$STATE/identity.age")
    run -1 "$FAKE/at-terminal" expect:'passphrase of this host' type:'battery staple' expect:'new passphrase' type:one expect:again type:two -- chillboxctl passphrase
    [[ "$output" == *"are not the same"* ]]
    run -4 "$FAKE/at-terminal" expect:'of this host' type:a expect:again expect:'of this host' type:b expect:again expect:'of this host' type:c -- chillboxctl passphrase
    run -2 setsid --wait "$CTL" passphrase </dev/null
    [ "$copy" = "$(sha256sum <"$STATE/identity.age")" ]
    [ "$(find "$STATE" -name 'identity*' | wc -l)" = 1 ] # no copy of the old one
}

@test "[attack-Q7] the recovery words open the host key, until others are made or they are removed [fault-460]" {
    run -3 fd 'x\ny' recover
    [[ "$output" == *"has no recovery words"*"chillboxctl init"* ]]
    run -4 fd wrong recover words
    [ ! -e "$STATE/identity.recovery.age" ]
    first=$(fd 'correct horse' recover words 2>said | words)
    [ "$(wc -w <<<"$first")" = 24 ]
    grep -q 'anyone with this paper and the disk can read' said
    [ "$(stat -c %a "$STATE/identity.recovery.age")" = 600 ]
    run -1 grep -ra "${first:0:9}" root
    run -0 fd "$first\nnew one" recover
    [[ "$output" == *"recovered: the host key is the same"* ]]
    works 'new one'
    run -4 fd 'correct horse\nx' passphrase
    [ "$RECIPIENT" = "$(cat "$STATE/recipient.txt")" ]
    second=$(fd 'new one' recover words 2>/dev/null | words)
    run -4 fd "$first\nx" recover
    [[ "$output" == *"are not the words that were made last"* ]]
    run -1 fd "${second/????/zzzz}\nx" recover
    [[ "$output" == *"word 1 is not a recovery word"* && "$output" != *"${second:5:9}"* ]]
    works 'new one'
    # of another host
    cp "$STATE/recipient.txt" kept && age-keygen 2>/dev/null | age-keygen -y >"$STATE/recipient.txt"
    run -7 fd "$second\nx" recover
    cp kept "$STATE/recipient.txt"
    run -0 chillboxctl recover words --remove
    run -0 chillboxctl recover words --remove
    [[ "$output" == "unchanged: "* ]]
    run -3 fd "$second\nx" recover
}

@test "recover words asks for one of them, and makes nothing when it is wrong" {
    run -1 "$FAKE/at-terminal" expect:'passphrase of this host' type:'correct horse' expect:'Write down' expect:Word expect:'?' type:zzzz -- chillboxctl recover words
    [[ "$output" == *"nothing was changed"* ]]
    [ ! -e "$STATE/identity.recovery.age" ]
    run -2 chillboxctl recover words --json
}
