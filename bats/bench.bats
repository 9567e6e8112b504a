#!/usr/bin/env bats
# The table of `make bench` that is kept, and what is said of a later one.

setup() { bats_require_minimum_version 1.5.0; }

# table ROW...: WHAT OURS RATIO AIM NOISE
table() {
    for row in "$@"; do
        # shellcheck disable=SC2086
        set -- $row
        printf '%s\t%s\t-\t%s\t%s\t-\t%s\n' "$1" "$2 ms" "$3" "$4" "${5-}"
    done >"$BATS_TEST_TMPDIR/results"
}
compare() { python3 "$BATS_TEST_DIRNAME/../tests/bench/last.py" "$BATS_TEST_TMPDIR/results" "$BATS_TEST_TMPDIR/last.json" "$@"; }

@test "what became slower by more than the noise of both runs is reported, and only that; the table is kept by choice" {
    table 'status 20 - - 0.05' 'deploy 100 - - 0.4' 'intake 5 4.0 >=3 0.02' 'gone 1 - -'
    run -0 compare
    [ -z "$output" ]
    [ ! -e "$BATS_TEST_TMPDIR/last.json" ]
    compare keep
    table 'status 21 - - 0.02' 'deploy 160 - - 0.3' 'intake 5 3.8 >=3 0.02' 'new 7 - -'
    run -0 compare
    [ -z "$output" ] # all of it within the noise
    table 'status 30 - - 0.05' 'deploy 200 - - 0.3' 'intake 5 3.0 >=3 0.02'
    run -0 compare
    [ "${#lines[@]}" -eq 3 ]
    [[ "$output" == *"status: 30 ms, was 20"* ]]
    [[ "$output" == *"deploy: 200 ms, was 100"* ]]
    [[ "$output" == *"intake: 3 x, was 4"* ]]
    compare keep # which forgets no row that this run did not measure
    run -0 compare
    [ -z "$output" ]
    grep -q '"gone"' "$BATS_TEST_TMPDIR/last.json"
}
