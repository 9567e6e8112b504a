# For tests of chillboxctl: load helpers/cli, and call cli_setup in setup.

# shellcheck disable=SC2034 # for the tests

cli_setup() {
    bats_require_minimum_version 1.5.0
    ROOT=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
    CTL=$ROOT/${BUILD:-build}/chillboxctl
    [ -x "$CTL" ] || make -s -C "$ROOT" "${BUILD:-build}/chillboxctl" >&2
    FAKE=$ROOT/tests/cli
    PATH=$(dirname "$CTL"):$PATH
    export CHILLBOX_SOCKET="$BATS_TEST_TMPDIR/control.sock"
    export TERM=xterm # whatever the tests themselves run in
    unset CI CHILLBOX_HOST NO_COLOR CLICOLOR CLICOLOR_FORCE SOURCE_DATE_EPOCH http_proxy https_proxy HTTPS_PROXY all_proxy ALL_PROXY no_proxy NO_PROXY
    cd "$BATS_TEST_TMPDIR" || return
}

# Ends what start_daemon and start_host started.
cli_teardown() {
    [ -z "${FAKE_PIDS-}" ] || kill $FAKE_PIDS 2>/dev/null || :
}

# start_daemon ANSWERS: a chillboxd that answers what the JSON text says; its requests in daemon.log.
start_daemon() {
    printf '%s' "$1" >answers.json
    [ -z "${DAEMON_PID-}" ] || return 0
    "$FAKE/fake-daemon" "$CHILLBOX_SOCKET" answers.json daemon.log 3>&- &
    DAEMON_PID=$!
    FAKE_PIDS="${FAKE_PIDS-} $DAEMON_PID"
    for _ in $(seq 100); do
        [ ! -S "$CHILLBOX_SOCKET" ] || return 0
        sleep 0.05
    done
    return 1
}

# start_host [ACCIDENT]: the HTTP side of a host at $URL, with host/key as its sender's key.
start_host() {
    mkdir -p host
    printf '%s' "${1-}" >host/accident
    printf 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n' >host/key
    "$FAKE/fake-host" host "${@:2}" 3>&- &
    FAKE_PIDS="${FAKE_PIDS-} $!"
    for _ in $(seq 100); do
        [ ! -e host/port ] || break
        sleep 0.05
    done
    URL=http://127.0.0.1:$(cat host/port)
}

# A deployer, a host's identity, and the folder of a site: deploy.key, deploy.pub, identity, RECIPIENT, blog/.
make_site() {
    chillboxctl keygen -q -o deploy --no-password >/dev/null
    age-keygen -o identity 2>/dev/null
    RECIPIENT=$(age-keygen -y identity)
    mkdir -p blog/backend/src
    cat >blog/blog.site.json <<'JSON'
{"name": "Blog", "server_name": "blog.example", "version": "1.0.0",
 "services": [{"name": "api", "lang": "python", "handler": "backend"}]}
JSON
    echo 'print("hello")' >blog/backend/src/app.py
    printf '#!/bin/sh\n' >blog/backend/run
    chmod 0755 blog/backend/run
}

pack_site() {
    chillboxctl pack blog -r "$RECIPIENT" -k deploy.key -o out -q "$@" >/dev/null
    ARTIFACT=out/blog-1.0.0.tar.zst.age
}
