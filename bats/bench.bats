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

@test "a time is from the spawn of a command to its end; one that fails gives no time, unless any end is right" {
    timed=$BATS_TEST_DIRNAME/../tests/bench/timed.py
    run -0 python3 -B "$timed" run 3 sleep 0.05
    read -ra times <<<"$output"
    [ "${#times[@]}" -eq 3 ]
    for time in "${times[@]}"; do awk "BEGIN {exit !($time >= 50)}"; done
    run -1 python3 -B "$timed" run 3 sh -c 'echo why >&2; exit 3'
    [[ "$output" == *": 3: why"* ]]
    run -0 python3 -B "$timed" run --any 2 false
    read -ra times <<<"$output"
    [ "${#times[@]}" -eq 2 ]
}

@test "the table has a row for what was skipped and for what ended early, which is a failure; medians are of five" {
    mkdir "$BATS_TEST_TMPDIR/tests" && cp -r "$BATS_TEST_DIRNAME/../tests/bench" "$BATS_TEST_TMPDIR/tests/"
    cd "$BATS_TEST_TMPDIR/tests/bench"
    printf '. "$here/lib.sh"\n[ "$ROUNDS" -eq 5 ]\nfigure quick ms 10 5 1 9\nfigure slow ms 10 11\n' | sed '1i here=$(dirname "$0")' >good
    printf '. "$(dirname "$0")/lib.sh"\nskipped "the rest" "no program here"\n' >some
    echo 'exit 1' >bad
    run -0 env -u ROUNDS LAST="$BATS_TEST_TMPDIR/last.json" sh ./run good some
    [[ "$output" == *"quick"*"5 ms"*"<= 10 ms met"* && "$output" == *"slow"*"<= 10 ms missed"* && "$output" == *"the rest"*"skipped: no program here"* ]]
    [[ "$output" == *"1 met, 1 missed, 1 skipped, 0 failed"* ]]
    run -1 env -u ROUNDS PARTS='good bad' LAST="$BATS_TEST_TMPDIR/last.json" sh ./run growth
    [[ "$output" == *"bad: it ended early"*"failed"* && "$output" == *"1 met, 1 missed, 1 skipped, 1 failed"* ]]
}
