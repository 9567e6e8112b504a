#!/usr/bin/env bats
# `top` of several hosts by real ssh, in a terminal (tmux): a block for each, and one that is lost does not take the others along.

# shellcheck disable=SC2154 # box_up sets HOST

load helpers/box
load helpers/host
load helpers/laptop
load helpers/hosts
load helpers/tmux

setup_file() {
    host_possible || return 0
    hosts_up 2
    mkdir -p "$LAPTOP/hello/pages"
    echo hello >"$LAPTOP/hello/pages/index.html"
    jq -n '{name: "Hello", server_name: "hello.example", version: "1.0.0", watch: "0s", services: [{name: "pages", lang: "static"}]}' >"$LAPTOP/hello/hello.site.json"
    (cd "$LAPTOP/hello" && laptop chillboxctl deploy -q -H web1,web2 -y)
}

teardown_file() { hosts_down; }
setup() { tmux_or_skip; }
teardown() { back; tmux_down; }

# The laptop's environment, as a script that the terminal runs.
top_of() { laptop_env sh -c 'export -p' >"$BATS_TEST_TMPDIR/env" && keys ". ./env; $ROOT/tests/host/box net $WEB1 -- chillboxctl top -H $1; echo ended \$?" Enter; }

@test "[fault-850] top of two hosts by ssh: a block for each; of one that is away the reason, while the other goes on, and it comes back" {
    terminal 110 40
    top_of web1,web2
    shows '^web1 .*unlocked  load' 60
    shows '^web2 .*unlocked  load' 60
    [ "$(screen | grep -cE '^hello +1\.0\.0 +pages')" = 2 ]
    away 2
    # Its connection is cut: sshd's process of it goes.
    on 2 in_box pkill -f '^chillboxctl top'
    shows '^! lost: ' 60
    [ "$(screen | grep -cE '^hello +1\.0\.0 +pages')" = 2 ]
    [ "$(screen | grep -c '^! lost')" = 1 ]
    [ "$(screen | sed -n '/^! lost/,$!p' | grep -c '^web2 ')" = 1 ] # below its own line
    back
    returned() { ! seen '^! lost'; }
    wait_for 60 returned
    keys q
    shows 'ended 0'
}

@test "top of several hosts once, without a terminal" {
    run -0 laptop chillboxctl top --once -H web1,web2
    [ "$(grep -cE '^hello +1\.0\.0' <<<"$output")" = 2 ]
    [[ "$output" != *$'\e'* ]]
}
