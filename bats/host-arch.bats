#!/usr/bin/env bats
# bats file_tags=vm
# The whole story on a machine of an architecture of its choice, with a kernel of its own, emulated where it must be: `make test-arch`. Prints what each step
# took. Patient, because an emulated processor is twenty times slower.

# shellcheck disable=SC2154 # box_up sets HOST

load helpers/box
load helpers/host

setup_file() {
    host_possible || return 0
    export BOX=vm
    timed 'the host is up, with chillbox in it' host_up
    timed 'init, keys, start, unlock' host_set_up
}

teardown_file() { host_down; }
setup() { host_or_skip; }

timed() { # LABEL COMMAND...
    timed_from=$(date +%s%N)
    "${@:2}"
    printf '# %s: %s: %s ms\n' "${BOX_ARCH:-$(uname -m)}" "$1" "$((($(date +%s%N) - timed_from) / 1000000))" >&3
}

flask_and_pages() { # VERSION
    make_site "$1"
    mkdir "$LAPTOP/hello/pages"
    printf 'a page of %s\n' "$1" >"$LAPTOP/hello/pages/index.html"
    edit_site '.services += [{name: "pages", lang: "static", handler: "pages"}] | .services[0].health.deadline = "300s"'
}

serves() { # VERSION
    [ "$(get /)" = "hello from $1" ]
    [ "$(get /pages/)" = "a page of $1" ]
    [ "$(json status '.sites[0].version')" = "$1" ]
}

@test "the host is of that architecture, and unlocked" {
    [ "$(in_box uname -m)" = "${BOX_ARCH:-$(uname -m)}" ]
    [ "$(json status .host.sealed)" = false ]
    run -0 ctl doctor
}

@test "the first release: Flask with a secret, and files" {
    secrets 'what nobody else may read'
    flask_and_pages 1.0.0
    timed 'first deploy, with an environment of Python' send "$(pack)" --timeout 30m
    serves 1.0.0
}

@test "the second release, and back to the first" {
    flask_and_pages 1.1.0
    timed 'second deploy' send "$(pack)" --timeout 30m
    serves 1.1.0
    timed rollback ctl rollback hello
    serves 1.0.0
}

@test "a release that is broken is refused, and no visitor gets it" {
    flask_and_pages 1.2.0
    printf '\nimport a_module_that_is_not_there\n' >>"$LAPTOP/hello/api/hello_api/app.py"
    edit_site '.services[0].health.deadline = "60s"'
    run -9 send "$(pack)" --timeout 30m
    [[ "$output" == *a_module_that_is_not_there* ]]
    serves 1.0.0
}

@test "a reboot: locked, the files are served, and unlock brings Flask back" {
    timed reboot box reboot "$HOST"
    ctl ping --wait 300s
    [ "$(get /pages/)" = 'a page of 1.0.0' ]
    [ "$(code /)" = 503 ]
    timed unlock unlock
    is_back() { [ "$(get /)" = 'hello from 1.0.0' ]; }
    wait_for 300 is_back
    ctl audit verify
}
