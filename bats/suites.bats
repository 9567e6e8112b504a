#!/usr/bin/env bats
# What tests/run-all makes of files that fail.

setup() {
    bats_require_minimum_version 1.5.0
    cd "$BATS_TEST_TMPDIR" && mkdir bats && ln -s "$BATS_TEST_DIRNAME/../tests" tests
}

file() { # NAME COMMAND: a file with one test
    printf '@test "%s" {\n  %s\n}\n' "$1" "$2" >"bats/$1.bats"
}

# As from a shell: the bats that runs this file has its own words in the environment.
suite() { env -i PATH=/usr/local/bin:/usr/bin:/bin AT_ONCE="${AT_ONCE-}" BUILD="$PWD/build" sh tests/run-all shell; }

@test "a file that fails next to others has a second run, alone, which counts, and is named" {
    file good true
    file late "if [ ! -e $PWD/seen ]; then touch $PWD/seen && false; fi"
    run -0 suite
    [[ "$output" == *"== again, alone: bats/late.bats"* ]]
    [[ "${lines[-1]}" == "2 passed, 0 failed" ]]
    grep -q '^not ok 1 late' build/logs/late.bats.log.first
}

@test "a defect fails the second time, too, and many files that fail have none" {
    file good true
    file bad false
    run -1 suite
    [[ "$output" == *"== again, alone: bats/bad.bats"* && "${lines[-1]}" == "1 passed, 1 failed" ]]
    for n in 1 2 3; do file "bad$n" false; done
    run -1 suite
    [[ "$output" != *again* && "${lines[-1]}" == "1 passed, 4 failed" ]]
}

@test "files begin with the one that took longest the last time, a new one before it, and what each took is listed" {
    file quick "echo quick >>$PWD/started"
    file slow "echo slow >>$PWD/started; sleep 2"
    printf '%0600d\n' 0 | sed 's/^/# /' >>bats/quick.bats # the larger one
    AT_ONCE=1 run -0 suite
    [ "$(sed -n 2p build/story-times | awk '{print $3, $4}')" = "1 bats/slow.bats" ]
    [ "$(wc -l <build/story-times)" -eq 3 ]
    file new "echo new >>$PWD/started"
    : >started
    AT_ONCE=1 run -0 suite
    [ "$(paste -s -d ' ' started)" = "new slow quick" ]
}

@test "what a fresh machine runs is each target of make help, and the list of words for them names no other" {
    root=$BATS_TEST_DIRNAME/..
    sed -n "/^settings='/,/^'/p" "$root/tests/targets" | sed -n 's/^\([a-z-]*\)|.*/\1/p' | sort >listed
    env -u MAKEFLAGS make -s -C "$root" help | awk '{print $1}' | sort >help
    [ "$(wc -l <listed)" -ge 20 ]
    [ -z "$(comm -23 listed help)" ]
}

@test "[fault-1120] a virtual environment that was cut off while it was made is made again, a whole one is left as it is" {
    mkdir -p build/pip/bin
    printf '#!/bin/sh\nexit 1\n' >build/pip/bin/pip && chmod +x build/pip/bin/pip
    run -0 --separate-stderr env BUILD="$PWD/build" sh tests/host/pip
    "$output/pip" --version
    touch build/pip/seen
    run -0 --separate-stderr env BUILD="$PWD/build" sh tests/host/pip
    [ -e build/pip/seen ]
}

program() { # NAME COMMAND: a program of one test case
    printf '#!/bin/sh\n[ "$1" != --list-tests ] || { echo "1 test cases"; exit 0; }\n%s\n' "$2" >"$1" && chmod +x "$1"
}

@test "a program of unit tests that fails next to others has a second run, alone; a defect fails there, too" {
    program good true
    program late "if [ ! -e $PWD/seen ]; then touch $PWD/seen; echo 'Failed 1 test case'; exit 1; fi"
    run -0 sh tests/run-unit ./good ./late
    [[ "$output" == *"== again, alone: late"* && "${lines[-1]}" == "2 passed, 0 failed" ]]
    program bad "echo 'Failed 1 test case'; exit 1"
    run -1 sh tests/run-unit ./good ./bad
    [[ "$output" == *"== again, alone: bad"* && "${lines[-1]}" == "1 passed, 1 failed" ]]
    for n in 1 2 3; do program "bad$n" false; done
    run -1 sh tests/run-unit ./good ./bad ./bad1 ./bad2 ./bad3
    [[ "$output" != *again* && "${lines[-1]}" == "1 passed, 4 failed" ]]
}

@test "the judge of a fleet under faults finds each invariant that is broken in a history, and none in a good one [fault-900]" {
    run -0 python3 -B "$BATS_TEST_DIRNAME/../tests/fleet/judge_test.py"
    [ "$(grep -c '^    def test_' "$BATS_TEST_DIRNAME/../tests/fleet/judge_test.py")" -ge 30 ]
    [[ "$output" == *"
OK" ]]
}

@test "make fleet-test runs each story with an engine, and no file that there is not" {
    cd "$BATS_TEST_DIRNAME/.."
    grep -l '^load helpers/engine' bats/*.bats | sed 's,^bats/,,; s,\.bats$,,' | sort >"$BATS_TEST_TMPDIR/there"
    sed -n "s/^engine='\(.*\)'/\1/p" tests/fleet/stories | tr ' ' '\n' | sort >"$BATS_TEST_TMPDIR/listed"
    [ -s "$BATS_TEST_TMPDIR/listed" ]
    diff "$BATS_TEST_TMPDIR/there" "$BATS_TEST_TMPDIR/listed"
    for story in $(sed -n 's/^fleet="\(.*\) \$engine"/\1/p' tests/fleet/stories); do [ -e "bats/$story.bats" ]; done
}

@test "each statement of the store has its plan looked at: a new one that reads all of what is kept, or sorts it, is refused by its line" {
    cd "$BATS_TEST_DIRNAME/.."
    run -0 python3 -B tests/store/plans.py
    cp -r agent/store "$BATS_TEST_TMPDIR/store"
    cat >>"$BATS_TEST_TMPDIR/store/totals.cpp" <<'END'
#define SOME "number, "
Result<int64_t> all_of(Db& db) { return db.number("SELECT count(*) FROM jobs WHERE actor = ?1"); }
Result<void> sorted(Db& db) { return db.run("SELECT " SOME "verb FROM audit"
                                            " ORDER BY verb"); } // in two parts
Result<void> searched(Db& db) { return db.run("SELECT verb FROM audit WHERE number = ?1"); }
END
    run -1 python3 -B tests/store/plans.py "$BATS_TEST_TMPDIR/store"
    [ "${#lines[@]}" -eq 4 ]
    [[ "${lines[0]}" == *"totals.cpp:"*": SCAN jobs: SELECT count(*) FROM jobs WHERE actor = ?1" ]]
    [[ "${lines[1]}" == *": SCAN audit: SELECT number, verb FROM audit ORDER BY verb" ]]
    [[ "${lines[2]}" == *": USE TEMP B-TREE FOR ORDER BY: SELECT number, verb FROM audit ORDER BY verb" ]]
    grep -v 'jobs_at ON' agent/store/migrations.cpp >"$BATS_TEST_TMPDIR/store/migrations.cpp" # nor may an index go
    cp agent/store/totals.cpp "$BATS_TEST_TMPDIR/store/"
    run -1 python3 -B tests/store/plans.py "$BATS_TEST_TMPDIR/store"
    [[ "$output" == *"jobs.cpp:"*"FROM jobs WHERE created_ms"* ]]
}
