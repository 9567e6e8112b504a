#!/usr/bin/env bats
# `make demo` does what it prints, and `KEEP=1 make demo` keeps the host: each command that it offers is run as printed.

load helpers/box
load helpers/host

setup_file() {
    export BATS_NO_PARALLELIZE_WITHIN_FILE=true
    ROOT=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
    export ROOT DEMO=$BATS_FILE_TMPDIR/demo
}

teardown_file() {
    for command in $(sed -n 's|^  tests/host/box down ||p' "$DEMO"); do box down "$command"; done
    rm -rf -- "$(sed -n "s|^The laptop's files are in \\(/[^ ]*\\)\\. To remove.*|\\1|p" "$DEMO")"
}

setup() { host_or_skip; }

# The demo's last lines begin with "  " where they are commands.
offered() { sed -n "s|^  \\(tests/host/box $1 .*\\)|\\1|p" "$DEMO"; }
run_offered() { cd "$ROOT" && eval "$(offered "$1")"; }

@test "the demo runs to its end" {
    cd "$ROOT" && KEEP=1 BUILD=$(realpath "${BUILD:-build}") sh tests/host/demo >"$DEMO" 2>&1 </dev/null || { tail -n 50 "$DEMO"; false; }
    grep -q '^The demo has done what it promised' "$DEMO"
    grep -q '^The host keeps running' "$DEMO"
}

@test "the demo of a fleet runs to its end, in less than two minutes" {
    begun=$SECONDS
    cd "$ROOT" && BUILD=$(realpath "${BUILD:-build}") sh tests/host/demo-fleet >"$BATS_TEST_TMPDIR/fleet" 2>&1 </dev/null || { tail -n 50 "$BATS_TEST_TMPDIR/fleet"; false; }
    grep -q '^The demo has done what it promised' "$BATS_TEST_TMPDIR/fleet"
    [ "$((SECONDS - begun))" -lt 120 ]
}

@test "the host that it keeps answers each command that it offers" {
    run -0 run_offered run
    [[ $output == *hello* ]]
    run -0 run_offered net
    [[ $output == *' from hello 0.1.0'* ]]
    run -0 run_offered 'ssh' </dev/null
}

@test "the command that ends it ends it" {
    run -0 run_offered down
    cd "$ROOT"
    run -0 tests/host/box list
    [[ $output != *"$(offered down | sed 's/.* //')"* ]]
}
