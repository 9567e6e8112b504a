#!/usr/bin/env bats
# What a person has to do, counted by doing it: `make test-ux` prints the table. Commands and flags as they are typed, files that have to be written
# or edited by hand, typings of a passphrase, seconds of the machine. A row whose command does not exist yet is printed as missing.

# shellcheck disable=SC2154,SC2034 # box_up sets HOST, run sets output

load helpers/box
load helpers/host
load helpers/laptop

setup_file() {
    host_possible || return 0
    bare_box_up
    export TABLE=${UX_TABLE:-$LAPTOP/table}
    printf '%-34s %8s %5s %5s %7s %7s\n' TASK COMMANDS FLAGS FILES TYPINGS SECONDS >"$TABLE"
    laptop_up
    know_host_key
    URL=$(box url "$HOST")
    export URL
}

teardown_file() { host_down; }
setup() {
    host_or_skip
    commands=0 flags=0 files=0 typings=0 ms=0
}

# person STEP... -- chillboxctl WORD...: as at_terminal, and counts.
person() {
    steps=() words=()
    while [ "$1" != -- ]; do steps+=("$1"); shift; done
    words=("${@:2}")
    for step in "${steps[@]}"; do [[ "$step" != echo:off ]] || typings=$((typings + 1)); done
    for word in "${words[@]}"; do [[ "$word" != -* ]] || flags=$((flags + 1)); done
    commands=$((commands + 1))
    begun=$(date +%s%N)
    # A released laptop has the package next to the program: here it is named, and not counted.
    [ "${words[1]}" != setup ] || words+=(--package "$PACKAGE")
    at_terminal "${steps[@]}" -- sh -c 'cd "$1" && shift && exec "$@"' sh "${PROJECT:-$LAPTOP}" "${words[@]}"
    ms=$((ms + ($(date +%s%N) - begun) / 1000000))
}

row() { # TASK WANTED-COMMANDS
    printf '%-34s %8s %5s %5s %7s %5s.%s\n' "$1" "$commands" "$flags" "$files" "$typings" $((ms / 1000)) $((ms % 1000 / 100)) >>"$TABLE"
    [ "$commands" -le "$2" ]
}

# not_counted TASK VERB...: the row of a task that no test above does.
not_counted() {
    if "$CTL" help "${@:2}" >/dev/null 2>&1; then
        printf '%-34s %8s   (%s is there, and not counted yet)\n' "$1" - "${*:2}" >>"$TABLE"
    else
        printf '%-34s %8s   (there is no command %s)\n' "$1" missing "${*:2}" >>"$TABLE"
    fi
}

folder() { # SITE: a project with a site of plain files
    mkdir -p "$LAPTOP/project"
    [ -e "$LAPTOP/project/$1" ] || (cd "$LAPTOP/project" && "$CTL" new "$1" --kind static -q >/dev/null)
    export PROJECT=$LAPTOP/project/$1
}

@test "nothing to a live site: 2 commands" {
    folder hello
    person expect:'Continue?' type: expect:passphrase echo:off type:'a key phrase' expect:'again: ' echo:off type:'a key phrase' \
        expect:'new passphrase for web1' echo:off type:"$PASSPHRASE" expect:'again: ' echo:off type:"$PASSPHRASE" \
        -- chillboxctl setup root@web1.example
    in_box sed -i 's/^# acme = .*/acme = "off"/' /etc/chillbox/chillbox.toml && ctl upgrade
    person expect:passphrase echo:off type:'a key phrase' -- chillboxctl deploy
    get / >"$LAPTOP/first-page"
    [ "$(code /)" = 200 ]
    row 'nothing to a live site' 2
}

@test "a changed line is live: 1 command, no passphrase" {
    folder hello
    printf 'changed\n' >"$(find "$PROJECT" -name index.html | head -n 1)"
    person -- chillboxctl deploy
    [ "$(get /)" = changed ]
    row 'change a line, deploy' 1
    [ "$typings" = 0 ]
}

@test "roll back: 1 command" {
    folder hello
    person -- chillboxctl -H web1 rollback hello
    [ "$(get /)" = "$(cat "$LAPTOP/first-page")" ]
    row 'roll back' 1
}

@test "who deployed what: 1 command; what runs: 1" {
    folder hello
    person -- chillboxctl -H web1 releases hello
    row 'who deployed what' 1
    commands=0 flags=0 ms=0
    person -- chillboxctl -H web1 logs hello
    row 'logs' 1
}

@test "a second site: 2 commands" {
    export PROJECT=$LAPTOP/project
    person -- chillboxctl new second --kind static
    PROJECT=$LAPTOP/project/second
    person -- chillboxctl deploy
    row 'second site' 2
}

@test "change one secret: 1 command" {
    folder hello
    person expect:'not shown: ' type:'hush hush' -- chillboxctl secrets set web/web.env:API_KEY
    in_box grep -q 'hush hush' /run/chillbox/secrets/hello/web/web.env
    row 'change one secret' 1
    [ "$typings" = 0 ] # of a passphrase
}

@test "after a reboot: 1 command" {
    box reboot "$HOST"
    person expect:'passphrase of the host' echo:off type:"$PASSPHRASE" -- chillboxctl unlock --all
    [ "$(json ping .sealed)" = false ]
    row 'unlock after a reboot' 1
}

@test "what is not there yet is printed as missing, what no test does as not counted" {
    not_counted 'a colleague' people add
    not_counted 'lost laptop' people remove
    not_counted 'a machine that deploys (CI)' ci add
    not_counted 'forgotten passphrase' recover
    not_counted 'move a site to another host' move
    cat "$TABLE"
    [ "$(grep -c ' missing   (there is no command \|(.* is there, and not counted yet)' "$TABLE")" = 5 ]
}
