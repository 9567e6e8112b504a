#!/usr/bin/env bats
# The chill handler with the real Chill: a database and frozen pages in the release, and `chill serve` on a socket over a copy of it.

# shellcheck disable=SC2154,SC2030,SC2031 # $stderr comes from run --separate-stderr, $HOOKS from hook_setup

load helpers/hooks

setup_file() {
    cd "$BATS_TEST_DIRNAME/.." || return
    WHEELS=$(cd "$(sh tests/hooks/get-wheels 'chill[cli]')" && pwd)
    export WHEELS
    export LAYERS=$BATS_FILE_TMPDIR/layers # the same inputs make the same layer, which takes seconds to install
    mkdir "$LAYERS"
}

setup() {
    bats_require_minimum_version 1.5.0
    hook_setup
    chill=$HOOKS/handlers/chill
    export CHILLBOX_CACHE_DIR=$LAYERS
    cp "$WHEELS"/*.whl dep/
    mkdir templates
    printf 'THEME_TEMPLATE_FOLDER = "templates"\nCHILL_DATABASE_URI = "db"\nPORT = 1\nHOST = "192.0.2.1"\n' >site.cfg
    printf '<p>{{ text }}</p>\n' >templates/page.html
    page chill-data.yaml / llamas
    page chill-more.yaml /about/ 'the other page'
}

page() { # FILE ROUTE TEXT
    printf -- '--- !ChillNode\nname: page%s\nroute: %s\ntemplate: page.html\nvalue:\n  text: %s\n' "${2//\//_}" "$2" "$3" >"$1"
}

routes() { python3 -c 'import sqlite3, sys; print(*sorted(r[0] for r in sqlite3.connect(sys.argv[1]).execute("select path from Route")))' "$1"; }

@test "freeze: every page of all chill-*.yaml is a file in the build, and the service's folder stays as it came" {
    before=$(find . | sort)
    freeze=true twice "$chill/build"
    [ "$(cat "$CHILLBOX_BUILD_DIR/frozen/index.html")" = '<p>llamas</p>' ]
    [ "$(cat "$CHILLBOX_BUILD_DIR/frozen/about/index.html")" = '<p>the other page</p>' ]
    [ "$(find . | sort)" = "$before" ]
}

@test "each build begins with a fresh database: what was taken out of the data is gone" {
    freeze=true with_dash "$chill/build"
    [ "$(routes "$CHILLBOX_BUILD_DIR/database")" = '/ /about/' ]
    rm chill-more.yaml
    freeze=true with_ash "$chill/build"
    [ "$(routes "$CHILLBOX_BUILD_DIR/database")" = / ]
    [ ! -e "$CHILLBOX_BUILD_DIR/frozen/about" ]
}

@test "serve: on the socket that it is handed whatever site.cfg says, over a copy of the database, with the workers that the site file asks for" {
    twice "$chill/build"
    [ ! -e "$CHILLBOX_BUILD_DIR/frozen" ]
    sum=$(sha256sum <"$CHILLBOX_BUILD_DIR/database")
    export CHILLBOX_SLOT=b CHILLBOX_WORKERS=2
    mapfile -t argv < <(with_dash "$chill/command")
    [ "$(with_ash "$chill/command")" = "$(with_dash "$chill/command")" ]
    [ "${argv[0]}" = "$CHILLBOX_BUILD_DIR/venv/bin/python3" ]
    printf 'left by an earlier one' >"$CHILLBOX_DATA_DIR/chill.b"
    touch "$CHILLBOX_DATA_DIR/chill.b-wal"
    handed "$BATS_TEST_TMPDIR/sock" "${argv[@]}" >"$BATS_TEST_TMPDIR/log" 2>&1 3>&- &
    server=$!
    for _ in $(seq 100); do answer=$(curl -s -m 5 --unix-socket "$BATS_TEST_TMPDIR/sock" http://x/about/) && break || sleep 0.1; done
    # The first may answer before the second is there.
    for _ in $(seq 100); do workers=$(pgrep -c -P "$server" || :) && [ "$workers" -ge 2 ] && break || sleep 0.1; done
    kill "$server"
    wait "$server" || :
    [ "$answer" = '<p>the other page</p>' ] || { cat "$BATS_TEST_TMPDIR/log"; false; }
    [ "$workers" -eq 2 ]
    [ "$(sha256sum <"$CHILLBOX_BUILD_DIR/database")" = "$sum" ]
    [ "$(routes "$CHILLBOX_DATA_DIR/chill.b")" = '/ /about/' ]
    [ ! -e "$HOME/.gunicorn" ]
    [ -S "$BATS_TEST_TMPDIR/sock" ] # what was handed over is not its to remove
}

@test "[fault-1240] serve: what NGINX lets through and waits for, gunicorn takes: long addresses, large cookies, slow pages" {
    with_dash "$chill/build"
    export CHILLBOX_SLOT=a
    mapfile -t argv < <(with_dash "$chill/command")
    handed "$BATS_TEST_TMPDIR/sock" "${argv[@]}" >"$BATS_TEST_TMPDIR/log" 2>&1 3>&- &
    server=$!
    asks() { curl -s -m 5 -o /dev/null -w '%{http_code}' --unix-socket "$BATS_TEST_TMPDIR/sock" "$@"; }
    for _ in $(seq 100); do asks http://x/ && break || sleep 0.1; done
    of() { printf "%${1}s" '' | tr ' ' x; }
    [ "$(asks "http://x/about/?q=$(of 8000)")" = 200 ]
    [ "$(asks -H "Cookie: session=$(of 30000)" http://x/about/)" = 200 ]
    kill "$server"
    wait "$server" || :
    times() { env "$@" "${argv[0]}" -c 'import gunicorn.config as g; exec(open("'"$CHILLBOX_BUILD_DIR"'/site.cfg").read()); c = g.Config(); print(c.timeout, c.graceful_timeout)'; }
    [ "$(times)" = '120 120' ]
    [ "$(times CHILLBOX_REQUEST_TIMEOUT=300)" = '300 300' ]
    [ "$(times CHILLBOX_REQUEST_TIMEOUT=300 CHILLBOX_STOP_TIMEOUT=45)" = '300 45' ]
}

@test "data that Chill refuses fails the build with Chill's own words, and without its wheels the build names what is missing" {
    printf 'name: [\n' >chill-more.yaml
    run --separate-stderr with_dash "$chill/build"
    [ "$status" -eq 1 ]
    [[ "$stderr" == *ParserError* || "$stderr" == *chill-more.yaml* ]]
    rm dep/chill-*
    export CHILLBOX_CACHE_DIR=$top/cache
    for shell in with_dash with_ash; do
        run --separate-stderr "$shell" "$chill/build"
        [ "$status" -eq 3 ]
        [[ "$stderr" == *"missing: chill[cli]: no wheel of it"* ]]
    done
}

@test "command without a build says so" {
    run --separate-stderr with_dash "$chill/command"
    [ "$status" -eq 1 ]
    [[ "$stderr" == "command: web: no chill"* ]]
}
