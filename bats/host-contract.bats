#!/usr/bin/env bats
# The contract of a service with those who run it: which programs its commands find, what its variables and secrets are, and what runs next to it.

# shellcheck disable=SC2154,SC2016 # box_up sets HOST; "sh -c" expands in the box

load helpers/box
load helpers/host

setup_file() {
    host_possible || return 0
    host_up
    host_set_up
    secrets 'nobody knows'
}

teardown_file() { host_down; }
setup() { host_or_skip; }

data() { in_box cat "/var/lib/hello/api/$1"; }

# contract VERSION FILTER: the example with a program of its own folder, changed by the filter
contract() {
    make_site "$1"
    cat >"$LAPTOP/hello/api/show" <<'END'
#!/bin/sh
printf '%s\n' "$@" >"$CHILLBOX_DATA_DIR/$1"
printf '%s\n' "$PATH" "$(command -v gunicorn)" "$(command -v python3)" "$(python3 -c 'import flask, sys; print(sys.prefix)')" >>"$CHILLBOX_DATA_DIR/$1"
END
    chmod 0755 "$LAPTOP/hello/api/show"
    edit_site "$2"
    send "$(pack)"
}

@test "[fault-280] release_command, crontab and a worker of the service find the programs of its environment and folder by the same rule" {
    RELEASE=/srv/chillbox/hello/releases
    run contract 1.1.0 '.services[0].release_command = "show migrate $CHILLBOX_DATA_DIR \"two words\""
      | .crontab = ["* * * * * show cron $VIRTUAL_ENV_BIN"]
      | .workers = [{"name": "jobs", "of": "api", "run-cmd": "python3 -c \"import flask, os, time; open(os.environ[\\\"CHILLBOX_DATA_DIR\\\"] + \\\"/jobs$CHILLBOX_WORKER\\\", \\\"w\\\").write(os.getcwd()); time.sleep(1000)\"", "count": 2}]'
    echo "$output"
    [ "$status" -eq 0 ]
    id=$(in_box readlink /srv/chillbox/hello/current) && id=${id#releases/}
    venv=$RELEASE/$id/.chillbox/api/venv
    [ "$(data migrate)" = "migrate
/var/lib/hello/api
two words
$venv/bin:$RELEASE/$id/api:/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin
$venv/bin/gunicorn
$venv/bin/python3
$venv" ]
    ctl cron run hello 1
    wait_for 10 in_box test -s /var/lib/hello/api/cron
    [ "$(data cron | tail -n 5)" = "$(printf '%s\n' "$venv/bin"; data migrate | tail -n 4)" ]
    wait_for 10 in_box test -s /var/lib/hello/api/jobs2
    [ "$(data jobs1) $(data jobs2)" = "$RELEASE/$id/api $RELEASE/$id/api" ]
    # One folder, one environment.
    run ! in_box ls "$RELEASE/$id/jobs" "$RELEASE/$id/.chillbox/jobs" /var/lib/hello/jobs
}

@test "[fault-280] a release_command that is nowhere is named with the places, and the old release stays" {
    run contract "$(next_version)" '.services[0].release_command = "flusk db upgrade"'
    [ "$status" -ne 0 ]
    [[ "$output" == *"service 'api': release_command 'flusk': no program 'flusk' in /srv/chillbox/hello/releases/"*"/.chillbox/api/venv/bin, "* ]]
    [[ "$output" == *"1.1.0 stays live"* ]]
}

@test "args, threads and preload reach gunicorn, and run-cmd takes its place with the socket in its hand" {
    command_line() { in_box sh -c 'tr "\0" " " <"/proc/$(cat /run/openrc/options/chillbox.hello.api.*/child_pid | head -n 1)/cmdline"'; }
    run contract "$(next_version)" '.services[0] += {"threads": 3, "preload": true, "args": ["--timeout", "77"]}'
    echo "$output"
    [ "$status" -eq 0 ]
    wait_for 20 in_box sh -c '[ "$(ls -d /run/openrc/options/chillbox.hello.api.* | wc -l)" = 1 ]'
    [[ "$(command_line)" == *" --threads 3 --preload "*" --timeout 77 " ]]
    run contract "$(next_version)" '.services[0]["run-cmd"] = "gunicorn --workers 1 --name own-$SLUGNAME hello_api.app:create_app()"'
    echo "$output"
    [ "$status" -eq 0 ]
    [ "$(code /)" = 200 ]
    wait_for 20 in_box sh -c '[ "$(ls -d /run/openrc/options/chillbox.hello.api.* | wc -l)" = 1 ]'
    [[ "$(command_line)" == *" --name own-hello "* ]]
}
