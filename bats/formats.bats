#!/usr/bin/env bats
# Our age and minisign against the programs of those names, both ways: whatever one writes, the other must read.

# shellcheck disable=SC2154 # $stderr comes from run --separate-stderr

setup_file() {
    ROOT=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
    BUILD=${BUILD:-build}
    [ -x "$ROOT/$BUILD/crypto-tool" ] || make -s -C "$ROOT" BUILD="$BUILD" "$BUILD/crypto-tool" >&2
    TOOL=$ROOT/$BUILD/crypto-tool
    export ROOT TOOL
    cd "$BATS_FILE_TMPDIR" || return
    age-keygen -o theirs.key 2>/dev/null
    "$TOOL" keygen >ours.key
    echo 'correct horse battery staple' >passphrase
    for size in $SIZES; do
        head -c "$size" /dev/urandom >"plain.$size"
    done
}

# Around every boundary of 64 KiB chunks.
SIZES='0 1 65535 65536 65537 131071 131072 131073 1000000'

setup() {
    bats_require_minimum_version 1.5.0
    set -o pipefail # in "A | cmp - FILE" A must succeed too
    cd "$BATS_FILE_TMPDIR" || return
}

tty() {
    python3 "$ROOT/tests/crypto/answer-tty" "$@"
}

# Of a public key. The comment above it has the key's number, which minisign writes without leading zeros.
key_line() { tail -n 1; }

@test "age-keygen and we name the same recipient for either's identity" {
    for key in theirs.key ours.key; do
        [ "$("$TOOL" recipient "$key")" = "$(age-keygen -y "$key")" ]
        grep -q "^# public key: $(age-keygen -y "$key")\$" "$key"
    done
}

@test "we read what age encrypts, at every size" {
    for size in $SIZES; do
        age -r "$(age-keygen -y ours.key)" -o "theirs.$size.age" "plain.$size"
        "$TOOL" decrypt ours.key <"theirs.$size.age" | cmp - "plain.$size"
    done
}

@test "age reads what we encrypt, at every size" {
    for size in $SIZES; do
        "$TOOL" encrypt "$(age-keygen -y theirs.key)" <"plain.$size" >"ours.$size.age"
        age -d -i theirs.key "ours.$size.age" | cmp - "plain.$size"
        [ "$(wc -c <"ours.$size.age")" -eq "$(age -r "$(age-keygen -y theirs.key)" "plain.$size" | wc -c)" ]
    done
}

@test "several recipients: each key opens the file, in both programs" {
    ours=$("$TOOL" recipient ours.key)
    theirs=$("$TOOL" recipient theirs.key)
    "$TOOL" encrypt "$ours" "$theirs" <plain.65537 >both.age
    age -r "$theirs" -r "$ours" -o both-theirs.age plain.65537
    for file in both.age both-theirs.age; do
        for key in ours.key theirs.key; do
            "$TOOL" decrypt "$key" <"$file" | cmp - plain.65537
            age -d -i "$key" "$file" | cmp - plain.65537
        done
    done
}

@test "another key is told that the file is not for it" {
    "$TOOL" encrypt "$("$TOOL" recipient ours.key)" <plain.1 >not-theirs.age
    run --separate-stderr "$TOOL" decrypt theirs.key <not-theirs.age
    [ "$status" -eq 3 ]
    [ -z "$output" ]
    [[ "$stderr" == *"not encrypted to age1"* ]]
}

@test "age opens our passphrase file, and we open age's" {
    "$TOOL" encrypt-passphrase passphrase 12 <plain.65537 >ours-p.age
    tty "$(cat passphrase)" age -d ours-p.age | cmp - plain.65537

    tty "$(cat passphrase)" age -p -o theirs-p.age plain.65537
    "$TOOL" decrypt-passphrase passphrase <theirs-p.age | cmp - plain.65537
    echo wrong >wrong
    run --separate-stderr "$TOOL" decrypt-passphrase wrong <theirs-p.age
    [ "$status" -eq 4 ]
    [[ "$stderr" == *"wrong passphrase"* ]]
}

@test "an identity file of age -p opens: what a host's identity may be" {
    tty "$(cat passphrase)" age -p -o identity.age theirs.key
    "$TOOL" decrypt-passphrase passphrase <identity.age | cmp - theirs.key
}

@test "armor of age -a comes off, at every size" {
    for size in $SIZES; do
        age -a -r "$("$TOOL" recipient ours.key)" -o armored.age "plain.$size"
        "$TOOL" unarmor <armored.age | "$TOOL" decrypt ours.key | cmp - "plain.$size"
        "$TOOL" decrypt ours.key <armored.age | cmp - "plain.$size"
    done
}

@test "age takes off the armor that we put on, and it is the same text as age's own" {
    for size in $SIZES; do
        "$TOOL" encrypt "$(age-keygen -y theirs.key)" <"plain.$size" | "$TOOL" armor >ours-armored.age
        age -d -i theirs.key ours-armored.age | cmp - "plain.$size"
        age -a -r "$(age-keygen -y theirs.key)" -o theirs-armored.age "plain.$size"
        "$TOOL" unarmor <theirs-armored.age | "$TOOL" armor | cmp - theirs-armored.age
    done
}

# bats test_tags=fault-45
@test "[fault-45] both programs refuse our file cut at a chunk boundary" {
    "$TOOL" encrypt "$("$TOOL" recipient ours.key)" <plain.131073 >whole.age
    # Without the last chunk (1 byte and its tag), and within it.
    for cut in 17 1; do
        head -c "-$cut" whole.age >cut.age
        run ! "$TOOL" decrypt ours.key <cut.age
        run ! age -d -i ours.key -o /dev/null cut.age
    done
}

@test "minisign verifies what we sign, with our key in its hands" {
    "$TOOL" minisign-keygen - >ours.sk
    "$TOOL" minisign-public ours.sk - >ours.pub
    for size in 0 1 65537; do
        "$TOOL" sign ours.sk - 'site=blog version=1.0.0 serial=7' <"plain.$size" >"plain.$size.minisig"
        run minisign -V -H -Q -p ours.pub -m "plain.$size"
        [ "$status" -eq 0 ]
        [ "$output" = 'site=blog version=1.0.0 serial=7' ]
    done
    # The secret key too is one of minisign's.
    minisign -S -s ours.sk -m plain.1 -x again.minisig
    "$TOOL" verify ours.pub again.minisig <plain.1
    minisign -R -f -s ours.sk -p recreated.pub
    [ "$(key_line <ours.pub)" = "$(key_line <recreated.pub)" ]
}

@test "we verify what minisign signs, with its key in our hands" {
    minisign -G -W -f -s theirs.sk -p theirs.pub >/dev/null
    for size in 0 1 65537; do
        minisign -S -s theirs.sk -m "plain.$size" -x theirs.minisig -t "size $size"
        [ "$("$TOOL" verify theirs.pub theirs.minisig <"plain.$size")" = "size $size" ]
    done
    [ "$("$TOOL" minisign-public theirs.sk - | key_line)" = "$(key_line <theirs.pub)" ]
    "$TOOL" sign theirs.sk - hello <plain.1 >ours.minisig
    [ "$(minisign -V -Q -p theirs.pub -x ours.minisig -m plain.1)" = hello ]
}

@test "minisign opens a key that we encrypted, and takes its passphrase off" {
    "$TOOL" minisign-keygen passphrase 32768 16777216 >ours-locked.sk
    "$TOOL" minisign-public ours-locked.sk passphrase >ours-locked.pub
    minisign -S -s ours-locked.sk -m plain.1 -x ours-locked.minisig <passphrase
    "$TOOL" verify ours-locked.pub ours-locked.minisig <plain.1
    run ! minisign -S -s ours-locked.sk -m plain.1 -x wrong.minisig </dev/null
    # This leaves the checksum in the key, unlike -G -W.
    minisign -C -W -s ours-locked.sk <passphrase
    [ "$("$TOOL" minisign-public ours-locked.sk - | key_line)" = "$(key_line <ours-locked.pub)" ]
}

# Takes the 1 GiB and the seconds that minisign's own limits want.
@test "we open a key that minisign encrypted" {
    cat passphrase passphrase | minisign -G -f -s theirs-locked.sk -p theirs-locked.pub
    [ "$("$TOOL" minisign-public theirs-locked.sk passphrase | key_line)" = "$(key_line <theirs-locked.pub)" ]
    run --separate-stderr "$TOOL" minisign-public theirs-locked.sk -
    [ "$status" -eq 4 ]
    [[ "$stderr" == *"needs its passphrase"* ]]
}

# bats test_tags=fault-36
@test "[fault-36] a legacy signature, another file and another key are refused as minisign -H does" {
    minisign -G -W -f -s a.sk -p a.pub >/dev/null
    minisign -G -W -f -s b.sk -p b.pub >/dev/null
    minisign -S -l -s a.sk -m plain.1 -x legacy.minisig
    run ! minisign -V -H -q -p a.pub -x legacy.minisig -m plain.1
    run --separate-stderr "$TOOL" verify a.pub legacy.minisig <plain.1
    [ "$status" -eq 1 ]
    [[ "$stderr" == *"legacy format"* ]]

    minisign -S -s a.sk -m plain.1 -x a.minisig
    run "$TOOL" verify b.pub a.minisig <plain.1
    [ "$status" -eq 4 ]
    run "$TOOL" verify a.pub a.minisig <plain.65537
    [ "$status" -eq 4 ]
}

@test "openssl computes our webhook signature" {
    key=$(printf '%032d' 7)
    body='{"type":"host.ping"}'
    want=$(printf '%s' "msg_1.1700000000.$body" | openssl dgst -sha256 -hmac "$key" -binary | base64)
    got=$(printf '%s' "$body" | "$TOOL" webhook-sign "whsec_$(printf '%s' "$key" | base64 -w 0)" msg_1 1700000000)
    [ "$got" = "v1,$want" ]
}
