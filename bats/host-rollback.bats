#!/usr/bin/env bats
# Back to a release that was good: asked for, warm and cold, and by itself when the new one turns bad.

# shellcheck disable=SC2154,SC2016 # box_up sets HOST; "sh -c" expands in the box

load helpers/box
load helpers/host

setup_file() {
    host_possible || return 0
    host_up
    host_set_up
    secrets "what nobody else may read"
    deploy "$(next_version)"
    deploy "$(next_version)"
}

teardown_file() { host_down; }
setup() { host_or_skip; }

live() { json releases hello '.releases[] | select(.live) | .version'; }
job_of() { json jobs hello ".jobs[0].$1"; }
step_of() { [ "$(json job "$1" .job.step)" = "$2" ]; }
# Master and workers of the service, those of both slots while both run. An error when there are none.
service_pids() { pids_of hello; }
nginx_pids() { in_box pgrep nginx; }

# deploy_until_watch VERSION [PYTHON]: live, and watched for a minute; prints the job.
deploy_until_watch() {
    make_site "$@"
    edit_site '.watch = "60s"'
    box net "$HOST" -- "$CTL" deploy "$(pack)" --to "$URL" --webhook-key "$LAPTOP/hook.key" --json -q >"$BATS_TEST_TMPDIR/job"
    job=$(jq -r .job "$BATS_TEST_TMPDIR/job")
    wait_for 60 step_of "$job" watch
}

@test "an unknown version: exit 3, and the releases that are there" {
    live=$(live)
    run -3 ctl rollback hello 9.9.9
    [[ "$output" == *"no good release '9.9.9' of 'hello': there are 1.1.0 (1.1.0-1)"* ]]
    run -3 ctl rollback nosuch
    [[ "$output" == *"no site 'nosuch' on this host"* ]]
    run -2 ctl rollback '../etc'
    [ "$(live)" = "$live" ]
}

@test "without a version: to the last good one, and back again with its version" {
    run -0 ctl rollback hello
    [[ "$output" == *"hello: 1.1.0 is live (release 1.1.0-1, slot "* ]]
    [ "$(get /)" = "hello from 1.1.0" ]
    run -0 ctl rollback hello 1.2.0
    [ "$(get /)" = "hello from 1.2.0" ]
    [ "$(json jobs hello '.jobs[0] | [.kind, .version, .previous, .state, .actor] | join(" ")')" = "rollback 1.2.0 1.1.0-1 done uid:0 root" ]
}

@test "to what is live already: says so, and nothing is touched" {
    before=$(service_pids)
    run -0 ctl rollback hello 1.2.0
    [[ "$output" == *"already live: 1.2.0 (release 1.2.0-2)"* ]]
    [ "$(service_pids)" = "$before" ]
}

@test "a webhook may ask for it too" {
    announce site.rollback '{"site": "hello"}'
    ctl job "$(jq -r .job "$LAPTOP/answer")" -f
    [ "$(get /)" = "hello from 1.1.0" ]
    ctl rollback hello 1.2.0
}

@test "while the old slot is warm nothing is started: the links are renamed, and the old processes have the traffic" {
    before=$(service_pids)
    nginx=$(nginx_pids)
    version=$(next_version)
    deploy_until_watch "$version"
    [ "$(get /)" = "hello from $version" ]
    run -0 ctl rollback hello
    [[ "$output" == *"its slot is still warm"* ]]
    [ "$(get /)" = "hello from 1.2.0" ]
    [ "$(service_pids)" = "$before" ]
    [ "$(nginx_pids)" = "$nginx" ]
    # The deploy itself had ended well: it was live, and its watch was cut short.
    [ "$(json job "$job" .job.state)" = "done" ]
    [ "$(json releases hello ".releases[] | select(.version == \"$version\") | .state")" = unproven ]
    # And forward again, with a start this time.
    run -0 ctl rollback hello "$version"
    [ "$(get /)" = "hello from $version" ]
    [ "$(service_pids)" != "$before" ]
}

@test "[fault-83] a restart of the daemon touches no service, and a rollback works after it, also sealed" {
    before=$(service_pids)
    in_box rc-service chillboxd restart
    [ "$(service_pids)" = "$before" ]
    [ "$(json ping .sealed)" = true ]
    live=$(live)
    run -0 ctl rollback hello 1.2.0
    [ "$(get /)" = "hello from 1.2.0" ]
    run -0 ctl rollback hello "$live"
    unlock
}

@test "[fault-120] a daemon that is killed in the watch goes on behind the switch, and the rollback is still warm" {
    live=$(live)
    version=$(next_version)
    before=$(service_pids)
    deploy_until_watch "$version"
    in_box sh -c 'kill -9 "$(cat /run/openrc/options/chillboxd/child_pid)"'
    ctl ping --wait 20s
    wait_for 30 step_of "$job" watch
    [ "$(get /)" = "hello from $version" ]
    run -0 ctl rollback hello "$live" # named, because its own watch did not end
    [ "$(get /)" = "hello from $live" ]
    [ "$(service_pids)" = "$before" ]
    [[ "$(ctl job "$job")" == *"the daemon was restarted after the switch: continues"* ]]
    unlock
}

SOUR='
import time
good = create_app
def create_app():
    app, started = good(), time.monotonic()
    @app.before_request
    def sour():
        if time.monotonic() - started > 3:
            app.logger.error("the milk turned sour")
            return "sour\n", 500
    return app'

@test "[fault-104] a release that turns bad in its watch is rolled back by itself: exit 10, and the old processes never stopped" {
    live=$(live)
    before=$(service_pids)
    make_site "$(next_version)" "$SOUR"
    edit_site '.watch = "30s"'
    run -10 send "$(pack)"
    [[ "$output" == *"3 bad health checks in a row: GET /up answered 500; $live is live again"* ]]
    [[ "$output" == *"| "*"the milk turned sour"* ]]
    [ "$(get /)" = "hello from $live" ]
    [ "$(service_pids)" = "$before" ]
    [ "$(json releases hello '.releases[0].state')" = failed ]
    [ "$(job_of code)" = rolled_back ]
    [ "$(json audit '.entries[0].outcome')" = rolled_back ]
}

@test "[fault-104] a release that dies in its watch is rolled back by itself: exit 10" {
    live=$(live)
    before=$(service_pids)
    make_site "$(next_version)" '
import os, signal, threading
good = create_app
def create_app():
    threading.Timer(2, lambda: os.kill(os.getppid(), signal.SIGKILL)).start()
    return good()'
    edit_site '.watch = "30s"'
    run -10 send "$(pack)"
    [[ "$output" == *"service 'api' crashed; $live is live again"* ]]
    [ "$(get /)" = "hello from $live" ]
    [ "$(service_pids)" = "$before" ]
}

@test "what was rolled back by itself is no target, and the good ones still are" {
    run -3 ctl rollback hello "$(json releases hello '[.releases[] | select(.state == "failed")][0].version')"
    [[ "$output" == *"there are "*1.2.0* ]]
    run ctl rollback hello 1.2.0
    printf '%s\n' "$output"
    [ "$status" = 0 ]
}

@test "a control group that was killed and is still there does not end what is started" {
    live=$(live)
    other=$(json releases hello '[.releases[] | select((.state == "good" or .state == "unproven") and (.live | not))][0].version')
    in_box sh -c 'ours=$(ls -d /sys/fs/cgroup/unified/*chillboxd /sys/fs/cgroup/*chillboxd 2>/dev/null | head -n 1)
        for slot in a b; do mkdir "${ours%chillboxd}chillbox.hello.api.$slot" 2>/dev/null && echo 1 >"${ours%chillboxd}chillbox.hello.api.$slot/cgroup.kill"; done
        ls -d "${ours%chillboxd}"chillbox.hello.api.?' >"$BATS_TEST_TMPDIR/groups"
    [ "$(wc -l <"$BATS_TEST_TMPDIR/groups")" = 2 ]
    run ctl rollback hello "$other"
    printf '%s\n' "$output"
    [ "$status" = 0 ]
    [ "$(get /)" = "hello from $other" ]
    ctl rollback hello "$live"
}

@test "[fault-117] a release that was changed on the disk is no target: the live one stays" {
    live=$(live)
    other=$(json releases hello '[.releases[] | select((.state == "good" or .state == "unproven") and (.live | not))][0].id')
    in_box sh -c 'echo "# by hand" >>"/srv/chillbox/hello/releases/$1/api/hello_api/app.py"' sh "$other"
    run -1 ctl rollback hello "$other"
    [[ "$output" == *"release $other was changed on disk since it was built"* ]]
    [ "$(get /)" = "hello from $live" ]
}

@test "a first release that turns bad leaves no half of a site behind" {
    make_site 1.0.0 "$SOUR"
    sed -i 's/hello/fresh/' "$LAPTOP/hello/hello.site.json"
    mv "$LAPTOP/hello/hello.site.json" "$LAPTOP/hello/fresh.site.json"
    mv "$LAPTOP/hello/api/hello_api" "$LAPTOP/hello/api/fresh_api"
    jq '.watch = "30s" | .services[0].secrets_config = null | del(.services[0].secrets_config)' "$LAPTOP/hello/fresh.site.json" >"$LAPTOP/site.new"
    mv "$LAPTOP/site.new" "$LAPTOP/hello/fresh.site.json"
    sed -i '/SECRETS_CONFIG/d' "$LAPTOP/hello/api/fresh_api/app.py"
    run -9 send "$(pack)"
    [ "$(json status '.sites[] | select(.site == "fresh") | .state')" = none ]
    [ "$(host_curl -o /dev/null -w '%{http_code}' -H 'Host: fresh.example' "$URL/")" != 502 ]
    [ -z "$(pids_of fresh)" ]
    run ! in_box ls /srv/chillbox/fresh/current
}
