#!/usr/bin/env bats
# What a person has to do, counted by doing it: `make test-ux` prints the table. Commands and flags as they are typed, files that have to be written
# or edited by hand, typings of a passphrase, seconds of the machine; BEFORE: the commands of the same task when all was done by hand, as they were
# counted once.

# shellcheck disable=SC2154,SC2034 # box_up sets HOST, run sets output

load helpers/box
load helpers/host
load helpers/laptop
load helpers/hosts

setup_file() {
    host_possible || return 0
    bare_box_up
    export TABLE=${UX_TABLE:-$LAPTOP/table}
    printf '%-34s %8s %5s %5s %7s %7s %6s\n' TASK COMMANDS FLAGS FILES TYPINGS SECONDS BEFORE >"$TABLE"
    export WEB2 SECOND=10.77.0.2
    box_up WEB2
    laptop_up
    know_host_key
    URL=$(box url "$HOST")
    export URL
}

teardown_file() {
    host_down
    [ -z "${WEB2-}" ] || box down "$WEB2"
}
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
    # Nor is the address: the boxes have no certificate.
    [ "${words[1]} ${words[2]}" != 'ci add' ] || words+=(--url "$URL")
    at_terminal "${steps[@]}" -- sh -c 'cd "$1" && shift && exec "$@"' sh "${PROJECT:-$LAPTOP}" "${words[@]}"
    ms=$((ms + ($(date +%s%N) - begun) / 1000000))
}

row() { # TASK WANTED-COMMANDS BEFORE
    printf '%-34s %8s %5s %5s %7s %5s.%s %6s\n' "$1" "$commands" "$flags" "$files" "$typings" $((ms / 1000)) $((ms % 1000 / 100)) "$3" >>"$TABLE"
    [ "$commands" -le "$2" ]
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
    in_box sed -i 's/^# acme = .*/acme = "off"/' /etc/chillbox/chillboxd.toml && ctl upgrade
    person expect:passphrase echo:off type:'a key phrase' -- chillboxctl deploy
    get / >"$LAPTOP/first-page"
    [ "$(code /)" = 200 ]
    row 'nothing to a live site' 2 19
}

@test "a changed line is live: 1 command, no passphrase" {
    folder hello
    printf 'changed\n' >"$(find "$PROJECT" -name index.html | head -n 1)"
    person -- chillboxctl deploy
    [ "$(get /)" = changed ]
    row 'change a line, deploy' 1 2
    [ "$typings" = 0 ]
}

@test "roll back: 1 command" {
    folder hello
    person -- chillboxctl -H web1 rollback hello
    [ "$(get /)" = "$(cat "$LAPTOP/first-page")" ]
    row 'roll back' 1 1
}

@test "who deployed what: 1 command; what runs: 1" {
    folder hello
    person -- chillboxctl -H web1 releases hello
    row 'who deployed what' 1 2
    commands=0 flags=0 ms=0
    person -- chillboxctl -H web1 logs hello
    row 'logs' 1 -
}

@test "a second site: 2 commands" {
    export PROJECT=$LAPTOP/project
    person -- chillboxctl new second --kind static
    PROJECT=$LAPTOP/project/second
    person -- chillboxctl deploy
    row 'second site' 2 3
}

@test "change one secret: 1 command" {
    folder hello
    person expect:'not shown: ' type:'hush hush' -- chillboxctl secrets set web/web.env:API_KEY
    in_box grep -q 'hush hush' /run/chillbox/secrets/hello/web/web.env
    row 'change one secret' 1 2
    [ "$typings" = 0 ] # of a passphrase
}

@test "after a reboot: 1 command" {
    box reboot "$HOST"
    person expect:'passphrase of the host' echo:off type:"$PASSPHRASE" -- chillboxctl unlock --all
    [ "$(json ping .sealed)" = false ]
    row 'unlock after a reboot' 1 1
}

@test "a colleague: 1 command of theirs, 1 of an admin" {
    folder hello
    export USER=kim
    persons_laptop kim
    person expect:passphrase echo:off type:'her phrase' expect:'again: ' echo:off type:'her phrase' -- chillboxctl join web1.example >"$LAPTOP/joined" || :
    line=$(tr -d '\n>' <"$LAPTOP/joined" | grep -o "chillboxctl people add kim --key 'ssh-ed25519 [A-Za-z0-9+/=]*' --key RW[A-Za-z0-9+/=]* --sites SITE -H web1")
    first_laptop
    eval "person -- ${line/SITE/hello}"
    row 'a colleague (theirs and an admin'"'"'s)' 2 5
    persons_laptop kim
    printf 'by kim\n' >"$(find "$PROJECT" -name index.html | head -n 1)"
    person expect:passphrase echo:off type:'her phrase' -- chillboxctl deploy
    [ "$(get /)" = 'by kim' ]
}

@test "a lost laptop: 1 command" {
    first_laptop
    person -- chillboxctl people remove kim -H web1
    row 'lost laptop' 1 2
    persons_laptop kim
    run ! laptop chillboxctl status
}

@test "a colleague who signs with her key of ssh: 1 command of hers, 1 of an admin, no passphrase" {
    folder hello
    export USER=lea
    persons_laptop lea
    person -- chillboxctl join web1.example --ssh-key >"$LAPTOP/joined" || :
    line=$(tr -d '\n>' <"$LAPTOP/joined" | grep -o "chillboxctl people add lea --key 'ssh-ed25519 [A-Za-z0-9+/=]*' --sites SITE -H web1")
    first_laptop
    eval "person -- ${line/SITE/hello}"
    row 'a colleague with her key of ssh' 2 5
    [ "$typings" = 0 ]
    persons_laptop lea
    printf 'by lea\n' >"$(find "$PROJECT" -name index.html | head -n 1)"
    person -- chillboxctl deploy
    [ "$(get /)" = 'by lea' ]
    first_laptop
}

@test "a machine that deploys: 1 command" {
    folder hello
    person -- chillboxctl ci add hello -H web1 >"$LAPTOP/ci"
    grep -q cbci1_ "$LAPTOP/ci"
    row 'a machine that deploys (CI)' 1 5
    [ "$typings" = 0 ]
}

# The second box as web2.example, by a wire from the first, in whose network the laptop is.
wire_web2() {
    wire "$HOST" "$WEB2"
    ssh_name "$WEB2" "$SECOND" web2.example
    box net "$HOST" -- ssh-keyscan -t ed25519 "$SECOND" 2>/dev/null | sed "s/^$SECOND/web2.example/" >>"$LAPTOP/known_hosts"
}

@test "a second host: 2 commands and a line" {
    wire_web2
    folder second
    person expect:'Continue?' type: expect:'new passphrase for web2' echo:off type:"$PASSPHRASE" expect:'again: ' echo:off type:"$PASSPHRASE" \
        -- chillboxctl setup root@web2.example
    printf 'host = ["web1", "web2"]\n' >"$PROJECT/chillbox.toml"
    files=1
    printf 'on both\n' >"$(find "$PROJECT" -name index.html | head -n 1)"
    person -- chillboxctl deploy
    [ "$(box run "$WEB2" -- chillboxctl facts second --json | jq -r .site.version)" = "$(json facts second .site.version)" ]
    row 'second host' 2 '~14'
}

@test "a site to another host, with its data and secrets: 2 commands" {
    folder hello
    in_box sh -c 'mkdir -p /var/lib/hello/data && echo kept >/var/lib/hello/data/notes'
    person -- chillboxctl setup root@web2.example # the first of both; here it finds that all is so
    person expect:'[y/N]' type:y -- chillboxctl move --from web1 --to web2
    [ "$(box run "$WEB2" -- cat /var/lib/hello/data/notes)" = kept ]
    [ "$(code /)" = 503 ]
    row 'move a site to another host' 2 '~18'
}

@test "a forgotten passphrase: 1 command" {
    paper=$(with_passphrase "$PASSPHRASE" recover words 2>/dev/null | sed -n 's/^ *[0-9][0-9]*  \([a-z ]*\)$/\1/p' | tr '\n' ' ')
    person expect:'the 24 words, not shown' echo:off type:"$paper" expect:'new passphrase' echo:off type:'another horse' expect:'again: ' echo:off type:'another horse' \
        -- chillboxctl -H web1 recover
    ctl lock
    unlock 'another horse'
    row 'forgotten passphrase' 1 -
}

@test "the table is printed" {
    cat "$TABLE"
    [ "$(grep -c '^a colleague\|^lost laptop\|^forgotten passphrase' "$TABLE")" = 4 ]
}
