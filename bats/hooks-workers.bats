#!/usr/bin/env bats
# The handlers of workers: where run-cmd's program is found, and what is refused. And the one of immutable files.

# shellcheck disable=SC2154,SC2030,SC2031 # $stderr comes from run --separate-stderr, $HOOKS from hook_setup

load helpers/hooks

setup_file() {
    cd "$BATS_TEST_DIRNAME/.." || return
    WHEELS=$(cd "$(sh tests/hooks/get-wheels arq)" && pwd)
    export WHEELS
}

setup() {
    bats_require_minimum_version 1.5.0
    hook_setup
    binary=$HOOKS/handlers/binary-worker python=$HOOKS/handlers/python-worker immutable=$HOOKS/handlers/immutable
    export CHILLBOX_RUN_CMD=''
}

run_cmd() { CHILLBOX_RUN_CMD=$(printf '%s\n' "$@"); }

refused() { # HOOK STATUS TEXT: under both shells
    for shell in with_dash with_ash; do
        run --separate-stderr "$shell" "$1"
        [ "$status" -eq "$2" ]
        [[ "$stderr" == *"$3"* ]]
        [ -z "$output" ]
    done
}

@test "binary-worker: its program is in its folder or on the host" {
    printf '#!/bin/sh\n' >mill
    chmod 0755 mill
    run_cmd mill --grind 'two words' '*'
    twice "$binary/build"
    run_cmd sleep 5
    twice "$binary/build"
    run_cmd /bin/sh -c 'echo $HOME; "quoted"'
    twice "$binary/build"
    run_cmd mill
    twice "$HOOKS/handlers/binary/build" # of a service that has a run-cmd in place of its `app`
}

@test "binary-worker: missing, not executable, or for another libc: refused before it runs" {
    run_cmd mill
    refused "$binary/build" 3 "build: web: no program 'mill' (run-cmd)"
    refused "$HOOKS/handlers/binary/build" 3 "build: web: no program 'mill' (run-cmd)"
    run_cmd bin/mill
    refused "$binary/build" 3 "no file 'bin/mill'"
    mkdir bin && printf '\177ELF....\0/lib/ld-of-nobody.so.1\0' >bin/mill
    refused "$binary/build" 3 "'bin/mill' is not executable"
    chmod 0755 bin/mill
    refused "$binary/build" 3 "no /lib/ld-of-nobody.so.1"
    run_cmd /no/such/mill
    refused "$binary/build" 3 "no program '/no/such/mill'"
}

@test "python-worker: arq of the original's example is found in the worker's own environment, which has no gunicorn" {
    cp "$WHEELS"/*.whl dep/
    printf 'arq\n' >requirements.txt
    printf 'class WorkerSettings:\n    functions = [len]\n' >main.py
    run_cmd arq main.WorkerSettings
    twice "$python/build"
    "$CHILLBOX_BUILD_DIR/venv/bin/arq" --version
    # The worker's own module is on its path.
    env -i "$CHILLBOX_BUILD_DIR/venv/bin/python3" -c 'import main; main.WorkerSettings'
    [ ! -e "$CHILLBOX_BUILD_DIR/venv/bin/gunicorn" ]
}

@test "python-worker: without requirements it is an environment with nothing in it; missing wheels are named" {
    printf 'print("works")\n' >main.py
    run_cmd python main.py
    twice "$python/build"
    [ "$(env -i "$CHILLBOX_BUILD_DIR/venv/bin/python" main.py)" = works ]
    printf 'arq\n' >requirements.txt
    refused "$python/build" 3 "missing: arq: no wheel of it"
}

@test "immutable: the same files have the same path in each release, other names or contents another one" {
    hash() { for shell in with_dash with_ash; do "$shell" "$immutable/build" && ls "$CHILLBOX_BUILD_DIR/immutable"; done | sort -u; }
    rmdir dep
    mkdir css
    printf 'body {}\n' >css/site.css
    printf 'x' >'a name with spaces'
    first=$(hash)
    [[ "$first" =~ ^[0-9a-f]{32}$ ]]
    [ "$(cat "$CHILLBOX_BUILD_DIR/immutable/$first/css/site.css")" = 'body {}' ]
    touch -d 2001-01-01 css/site.css
    [ "$(hash)" = "$first" ]
    printf '/* */' >>css/site.css
    second=$(hash)
    [ "$second" != "$first" ]
    mv css/site.css css/new.css
    [ "$(hash)" != "$second" ]
    [ "$(hash | wc -l)" -eq 1 ]
}

@test "[fault-1063] immutable: a link that leads to another file has another path" {
    ln -s app-1.css "$CHILLBOX_SERVICE_DIR/app.css"
    hash() { "$immutable/build" && ls "$CHILLBOX_BUILD_DIR/immutable"; }
    echo 1 >"$CHILLBOX_SERVICE_DIR/app-1.css"
    echo 2 >"$CHILLBOX_SERVICE_DIR/app-2.css"
    first=$(hash)
    ln -sfn app-2.css "$CHILLBOX_SERVICE_DIR/app.css"
    [ "$(hash)" != "$first" ]
    ln -sfn app-1.css "$CHILLBOX_SERVICE_DIR/app.css"
    [ "$(hash)" = "$first" ]
}

@test "immutable: what the artifact has under immutable/NAME/HASH is not made twice; a folder without files is refused" {
    printf 'x' >file
    mkdir -p "$CHILLBOX_RELEASE_DIR/immutable/web/abc"
    twice "$immutable/build"
    [ -z "$(ls "$CHILLBOX_BUILD_DIR/immutable")" ]
    rm -r "$CHILLBOX_RELEASE_DIR/immutable" file
    rmdir dep
    refused "$immutable/build" 3 "build: web: no files"
}
