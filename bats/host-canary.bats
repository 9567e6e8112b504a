#!/usr/bin/env bats
# Secrets stay secret: the passphrase, the identity, file keys and a secret's content are looked for as bytes on the disk, in memory file
# systems, in argv and environ of every process, in core dumps, and after a lock in the memory of every process of chillboxd.

# shellcheck disable=SC2154,SC2016 # box_up sets HOST; "sh -c" expands in the box

load helpers/box
load helpers/host

setup_file() {
    host_possible || return 0
    TOOL=$(cd "$BATS_TEST_DIRNAME/.." && pwd)/${BUILD:-build}/crypto-tool
    [ -x "$TOOL" ] || make -s -C "$BATS_TEST_DIRNAME/.." "${BUILD:-build}/crypto-tool" >&2
    export TOOL
    host_up
    in_box sh -c 'echo "rc_ulimit=\"-c unlimited\"" >>/etc/conf.d/chillboxd' # so that only what chillboxd does itself keeps cores away
    PASSPHRASE="passphrase $(openssl rand -hex 12)"
    host_set_up
    secrets "secret-$(openssl rand -hex 12 | tee "$LAPTOP/content")"
    deploy 1.0.0
    box push "$HOST" "$ROOT/tests/host/search" /usr/local/bin/
    canaries >"$LAPTOP/canaries"
}

teardown_file() { host_down; }
setup() { host_or_skip; }

canary() { printf '%s %s\n' "$1" "$(od -An -v -t x1 | tr -d ' \n')"; }

# The 32 bytes of an identity (bech32), as the vault holds them.
scalar() {
    python3 -c 'import sys
bits = "".join(format("QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L".index(c), "05b") for c in sys.stdin.read().strip().split("1", 1)[1][:-6])
print(bytes(int(bits[i:i + 8], 2) for i in range(0, 256, 8)).hex())'
}

# All of them, as they are and as they could be written down.
canaries() {
    printf '%s\n' "$PASSPHRASE" >"$LAPTOP/passphrase"
    box pull "$HOST" /var/lib/chillbox/identity.age "$LAPTOP/identity.age"
    "$TOOL" decrypt-passphrase "$LAPTOP/passphrase" <"$LAPTOP/identity.age" >"$LAPTOP/identity"
    printf '%s' "$PASSPHRASE" | canary passphrase
    printf 'secret-%s' "$(cat "$LAPTOP/content")" | canary secret
    grep -o 'AGE-SECRET-KEY-1[0-9A-Z]*' "$LAPTOP/identity" | tr -d '\n' | canary identity
    printf 'identity-scalar %s\n' "$(grep AGE-SECRET "$LAPTOP/identity" | scalar)"
    for file in "$LAPTOP"/out/*.age; do
        key=$("$TOOL" file-key "$LAPTOP/identity" <"$file")
        printf 'file-key-%s %s\n' "$(basename "$file" | tr -d ' ')" "$key"
        printf '%s' "$key" | canary "file-key-in-hex-$(basename "$file" | tr -d ' ')"
    done
}

search() { "$ROOT/tests/host/search" "$@" <"$LAPTOP/canaries"; }
search_in_box() { box run "$HOST" -- /usr/local/bin/search "$@" <"$LAPTOP/canaries"; }
# Where the box's disk is seen from here: all that it ever wrote.
disk() { printf '%s/%s/disk\n' "${BOX_STATE:-/var/lib/chillbox-box}" "$HOST"; }
daemons() { in_box pgrep -f '^(chillboxd|/usr/s?bin/chillboxd)'; }
nothing() { [ -z "$1" ] || { printf 'found:\n%s\n' "$1"; return 1; }; }

@test "the search finds what is there: the content where it is staged, the identity in the unlocked vault" {
    [ "$(wc -l <"$LAPTOP/canaries")" -ge 8 ]
    [[ "$(search_in_box files /run/chillbox/secrets)" == *" secret" ]]
    vault=$(in_box pgrep -u chillbox-vault)
    [[ "$(search_in_box memory "$vault")" == *" identity-scalar"* ]]
}

@test "unlocked: none of them on the disk, in the database, logs or configuration [attack-O2]" {
    found=$(search files "$(disk)")
    nothing "$found"
}

@test "the disk alone tells a release's code, a service's log and the database [attack-O1]" {
    grep -rqs 'hello from' "$(disk)" --include=app.py
    [ -n "$(find "$(disk)" -path '*/chillbox/hello/api.log' -size +0)" ]
    find "$(disk)" -name 'state.db*' -exec grep -qs hello {} +
}

@test "unlocked: none in the memory file systems, but where secrets are staged" {
    found=$(search_in_box files /run /tmp | grep -v '^/run/chillbox/secrets/hello/api/[a-z.]* secret$') || :
    nothing "$found"
}

@test "unlocked: none in argv or environ of any process" {
    found=$(search_in_box processes)
    nothing "$found"
}

@test "a vault and an edge that die by a signal leave no core dump, though the host allows them" {
    if [[ "$(cat /proc/sys/kernel/core_pattern)" != [/\|]* ]]; then # this kernel writes them where the process is
        in_box sh -c 'mkdir /tmp/dumps && cd /tmp/dumps && ulimit -c unlimited && { sh -c "kill -SEGV \$\$" || :; } && ls core* && rm -r /tmp/dumps'
    fi
    for user in chillbox-vault chillbox; do in_box pkill -SEGV -u "$user"; done
    wait_for 10 in_box pgrep -u chillbox
    dumps=$(in_box find / -xdev -path /srv -prune -o -type f -name 'core*' -newer /run/chillbox/control.sock -print)
    nothing "$dumps"
    found=$(search files "$(disk)")
    nothing "$found"
    with_passphrase "$(cat "$LAPTOP/passphrase")" unlock
}

@test "after lock: none in the memory of any process of chillboxd" {
    ctl lock
    none_of chillbox-vault
    pids=$(daemons)
    [ "$(wc -w <<<"$pids")" -ge 2 ]
    # shellcheck disable=SC2086 # a list
    found=$(search_in_box memory $pids)
    nothing "$found"
    [ "$(get /)" = "hello from 1.0.0" ]
}

@test "after a restart of the daemon: none in its memory, on the disk or in a log" {
    in_box rc-service chillboxd restart
    ctl ping --wait 20s
    pids=$(daemons)
    # shellcheck disable=SC2086 # a list
    found=$(search_in_box memory $pids)
    nothing "$found"
    found=$(search files "$(disk)")
    nothing "$found"
}
