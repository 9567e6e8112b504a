#!/usr/bin/env bats
# A host is set up: init, trust, webhook, and what chillboxd --check and its start say about the result.

# shellcheck disable=SC2154,SC2016 # box_up sets HOST, run --separate-stderr sets stderr; "sh -c" expands in the box

load helpers/box
load helpers/host

setup_file() { ! host_possible || host_up; }
teardown_file() { host_down; }
setup() { host_or_skip; }

# All that a set-up may change, with owners, modes, times and contents.
footprint() {
    in_box sh -c 'find /etc/chillbox /var/lib/chillbox /srv /var/log/chillbox -exec stat -c "%n %U:%G %a %y %i" {} + | sort
        cat /etc/passwd /etc/group; find /etc/chillbox /var/lib/chillbox -type f -exec cksum {} + | sort'
}

start_fails_naming() { # TEXT: OpenRC does not start it, chillboxd itself ends with 78
    run in_box rc-service chillboxd start
    [ "$status" -ne 0 ]
    [[ "$output" == *"$1"* ]]
    run -78 in_box timeout 10 chillboxd
    [[ "$output" == *"$1"* ]]
}

@test "init without a terminal and without a descriptor fails at once, and says what to do" {
    run -2 timeout 20 setsid -w "$ROOT/tests/host/box" run "$HOST" -- chillboxctl init -q </dev/null
    [[ "$output" == *"needs a terminal, and there is none: use --passphrase-fd N"* ]]
    run ! in_box test -e /var/lib/chillbox/identity.age
}

@test "[fault-77] init asks twice without echo; two that differ make no identity" {
    run -1 "$TERMINAL" expect:'new passphrase of this host: ' echo:off type:'one thing' expect:'passphrase again: ' echo:off type:'another' \
        -- "$ROOT/tests/host/box" run "$HOST" -- chillboxctl init -q
    [[ "$output" == *"not the same"* ]]
    [[ "$output" != *"one thing"* && "$output" != *another* ]]
    run ! in_box test -e /var/lib/chillbox/identity.age
    run ! in_box test -e /var/lib/chillbox/recipient.txt
}

@test "[fault-78] Ctrl-C at the prompt gives the terminal its echo back and makes no identity" {
    run -130 "$TERMINAL" expect:'new passphrase of this host: ' echo:off ctrl-c -- "$ROOT/tests/host/box" ssh "$HOST" -t chillboxctl init -q
    run ! in_box test -e /var/lib/chillbox/identity.age
}

@test "init makes identity, users, groups and directories, for nobody else to read" {
    run -0 "$TERMINAL" expect:'new passphrase of this host: ' echo:off type:"$PASSPHRASE" expect:'passphrase again: ' type:"$PASSPHRASE" \
        -- "$ROOT/tests/host/box" run "$HOST" -- chillboxctl init --work-factor 12
    [[ "$output" == *"made        identity"* ]]
    RECIPIENT=$(in_box cat /var/lib/chillbox/recipient.txt)
    [[ "$RECIPIENT" =~ ^age1[02-9ac-hj-np-z]{58}$ ]]
    [[ "$output" == *"public key  $RECIPIENT"* ]]
    [ "$(in_box stat -c '%U:%G %a' /var/lib/chillbox/identity.age)" = "root:root 600" ]
    [ "$(in_box stat -c '%U:%G %a' /etc/chillbox/webhooks)" = "root:root 700" ]
    [ "$(in_box stat -c '%U:%G %a' /etc/chillbox/chillboxd.toml)" = "root:chillbox 640" ]
    for user in chillbox chillbox-vault chillbox-acme chillbox-notify; do
        [[ "$(in_box getent passwd "$user")" == */sbin/nologin ]]
    done
    in_box getent group chillbox-admin
}

@test "the identity is an age file that age itself opens with the passphrase" {
    box pull "$HOST" /var/lib/chillbox/identity.age "$BATS_TEST_TMPDIR/identity.age"
    [ "$(sed -n 2p "$BATS_TEST_TMPDIR/identity.age" | cut -d ' ' -f 1-2,4)" = "-> scrypt 12" ]
    run -0 "$TERMINAL" expect:'passphrase' type:"$PASSPHRASE" -- age -d -o "$BATS_TEST_TMPDIR/identity" "$BATS_TEST_TMPDIR/identity.age"
    [ "$(age-keygen -y "$BATS_TEST_TMPDIR/identity")" = "$(in_box cat /var/lib/chillbox/recipient.txt)" ]
}

@test "init a second time asks nothing, says what is unchanged" {
    before=$(footprint)
    run -0 ctl init </dev/null
    [[ "$output" == *"unchanged   identity"* && "$output" != *made* ]]
    [ "$(footprint)" = "$before" ]
    [ "$(json init '.schema + " " + (.made | length | tostring)')" = "chillbox.init.v1 0" ]
}

@test "init mends what is missing or has the wrong owner or mode, and nothing else" {
    identity=$(in_box cksum /var/lib/chillbox/identity.age)
    in_box sh -c 'chmod 0755 /etc/chillbox/webhooks; rm /var/lib/chillbox/recipient.txt; rmdir /var/lib/chillbox/inbox'
    run -0 with_passphrase "$PASSPHRASE" init
    [ "$(grep -c ^made <<<"$output")" -eq 3 ]
    [ "$(in_box cksum /var/lib/chillbox/identity.age)" = "$identity" ]
    [ "$(in_box stat -c %a /etc/chillbox/webhooks)" = 700 ]
    [ "$(in_box stat -c %U /var/lib/chillbox/inbox)" = chillbox ]
}

@test "trust add, list, remove, each twice" {
    (cd "$BATS_TEST_TMPDIR" && "$CTL" keygen -q -o alice --no-password && "$CTL" keygen -q -o bob --no-password)
    box push "$HOST" "$BATS_TEST_TMPDIR/alice.pub" "$BATS_TEST_TMPDIR/bob.pub" /root/
    run -0 ctl trust add /root/alice.pub
    [[ "$output" == "trusted: alice  "*"sites: all" ]]
    before=$(footprint)
    run -0 ctl trust add /root/alice.pub
    [[ "$output" == "unchanged: alice "* ]]
    [ "$(footprint)" = "$before" ]
    run -0 ctl trust add "$(tail -n 1 "$BATS_TEST_TMPDIR/bob.pub")" --name bob --sites blog
    [ "$(json trust list '.schema + " " + ([.keys[] | .name + ":" + (.sites | join(","))] | join(" "))')" = "chillbox.trust.v1 alice: bob:blog" ]
    run -7 ctl trust add /root/bob.pub --name alice
    [[ "$output" == *"'alice' is trusted with another key"* ]]
    run -0 ctl trust remove bob
    run -3 ctl trust remove bob
    [[ "$output" == *"no trusted key 'bob': there is alice"* ]]
    run -1 ctl trust add RWnonsense --name x
    [ "$(json trust list '[.keys[].name] | join(" ")')" = alice ]
}

@test "webhook add prints a new key once, rotate keeps the old one until --finish, remove" {
    run -0 --separate-stderr ctl webhook add ci --sites blog --types site.deploy
    first=$output
    [[ "$first" =~ ^whsec_[A-Za-z0-9+/]{43}=$ ]]
    before=$(footprint)
    run -0 --separate-stderr ctl webhook add ci --sites blog --types site.deploy
    [ -z "$output" ]
    [[ "$stderr" == *"unchanged"*"not shown again"* ]]
    [ "$(footprint)" = "$before" ]
    run -0 --separate-stderr ctl webhook rotate ci
    second=$output
    [[ "$second" =~ ^whsec_ && "$second" != "$first" ]]
    [ "$(in_box grep -c ^whsec_ /etc/chillbox/webhooks/ci.key)" -eq 2 ]
    [ "$(in_box grep -m 1 ^whsec_ /etc/chillbox/webhooks/ci.key)" = "$second" ]
    ctl webhook rotate ci --finish
    [ "$(in_box grep ^whsec_ /etc/chillbox/webhooks/ci.key)" = "$second" ]
    run -0 ctl webhook rotate ci --finish
    [[ "$output" == "unchanged"* ]]
    [ "$(in_box stat -c '%U %a' /etc/chillbox/webhooks/ci.key)" = "root 600" ]
    run -0 ctl webhook list
    [[ "$output" == *ci*standard*1*blog*site.deploy* && "$output" != *whsec_* ]]
    ctl webhook remove ci
    run -3 ctl webhook remove ci
    [ "$(json webhook list '.senders | length')" = 0 ]
}

@test "who is not root can set nothing up" {
    for verb in init "trust add /root/alice.pub" "webhook add x"; do
        # shellcheck disable=SC2086 # words
        run -4 box run "$HOST" -u daemon -- chillboxctl $verb
        [[ "$output" == *"must be run as root"* ]]
    done
}

@test "chillboxd --check is content with what init made, and the configuration is documented in place" {
    run -0 in_box chillboxd --check
    [[ "$output" == *"/etc/chillbox/chillboxd.toml is fine"* ]]
    in_box grep -q '^# *artifact_max = ' /etc/chillbox/chillboxd.toml
}

@test "a host that has the configuration under its old name reads it, and doctor says how to rename it" {
    in_box sh -c 'cd /etc/chillbox && mv chillboxd.toml chillbox.toml && echo "log_levl = 1" >>chillbox.toml'
    run -78 in_box chillboxd --check
    [[ "$output" == *"/etc/chillbox/chillbox.toml:"*log_levl* ]]
    in_box sed -i '/log_levl/d' /etc/chillbox/chillbox.toml
    run -0 in_box chillboxd --check
    [[ "$output" == *"/etc/chillbox/chillbox.toml is fine"* ]]
    in_box rc-service chillboxd checkconfig
    run ctl doctor
    [[ "$output" == *"/etc/chillbox/chillbox.toml: this name is old"*"mv /etc/chillbox/chillbox.toml /etc/chillbox/chillboxd.toml"* ]]
    in_box sh -c 'cd /etc/chillbox && cp chillbox.toml chillboxd.toml'
    run ctl doctor
    [[ "$output" == *"/etc/chillbox/chillbox.toml is not read"*"rm /etc/chillbox/chillbox.toml"* ]]
    in_box sh -c 'cd /etc/chillbox && chgrp chillbox chillboxd.toml && rm chillbox.toml'
}

@test "chillboxd --check names file and line of every mistake and ends with 78, and a start ends in the same way" {
    in_box sh -c 'cp /etc/chillbox/chillboxd.toml /root/good.toml
        printf "[limits]\nartifact_maks = \"1GiB\"\njobs_max = 0\n" >/etc/chillbox/chillboxd.toml'
    run -78 in_box chillboxd --check
    [[ "$output" == *"chillboxd.toml:2:"*artifact_maks*artifact_max* ]]
    [[ "$output" == *"chillboxd.toml:3:"*jobs_max* ]]
    start_fails_naming 'chillboxd.toml:2:'
    in_box sh -c 'printf "[limits\n" >/etc/chillbox/chillboxd.toml'
    run -78 in_box chillboxd --check
    [[ "$output" == *"chillboxd.toml:1"* ]]
    in_box mv /root/good.toml /etc/chillbox/chillboxd.toml
    in_box chillboxd --check
}

@test "[fault-9] a webhook key that is empty, short or no base64 stops the start and names its file" {
    for key in '' whsec_ 'whsec_c2hvcnQ=' 'whsec_!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!' 'MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'; do
        printf '%s\n' "$key" | in_box sh -c 'cat >/etc/chillbox/webhooks/weak.key'
        run -78 in_box chillboxd --check
        [[ "$output" == *"/etc/chillbox/webhooks/weak.key"* ]]
    done
    start_fails_naming /etc/chillbox/webhooks/weak.key
    in_box rm /etc/chillbox/webhooks/weak.key
    in_box chillboxd --check
}

@test "a trusted key that is damaged stops the start and names its file" {
    in_box sh -c 'echo nonsense >/etc/chillbox/trusted/mallory.pub'
    run -78 in_box chillboxd --check
    [[ "$output" == *mallory.pub* ]]
    start_fails_naming mallory.pub
    in_box rm /etc/chillbox/trusted/mallory.pub
}

@test "then it starts, sealed, and takes over what is added later without a restart" {
    in_box rc-service chillboxd start
    pid=$(json ping .pid)
    [ "$(json ping .sealed)" = true ]
    key=$(ctl webhook add late --sites blog 2>/dev/null)
    printf '%s\n' "$key" >"$LAPTOP/hook.key"
    URL=$(box url "$HOST")
    announce host.ping '{}'
    [ "$(jq -r '.job | length' "$LAPTOP/answer")" -eq 16 ]
    ctl webhook remove late
    announce host.ping '{}'
    [ "$(jq -r .error.code "$LAPTOP/answer")" = denied ]
    [ "$(json ping .pid)" = "$pid" ]
}

@test "a broken key file costs its own sender: reload names it, and the others stay" {
    ctl webhook add steady --sites blog 2>/dev/null >"$LAPTOP/hook.key"
    URL=$(box url "$HOST")
    in_box sh -c 'echo whsec_ >/etc/chillbox/webhooks/weak.key'
    run -1 ctl reload
    [[ "$output" == *weak.key* ]]
    run in_box rc-service chillboxd restart
    [ "$status" -ne 0 ]
    in_box rm /etc/chillbox/webhooks/weak.key
    announce host.ping '{}'
    [ "$(jq -r '.job | length' "$LAPTOP/answer")" -eq 16 ]
}
