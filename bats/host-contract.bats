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
    [[ "$(command_line)" == *" --threads 3 --preload --timeout 77 " ]]
    run contract "$(next_version)" '.services[0]["run-cmd"] = "gunicorn --workers 1 --name own-$SLUGNAME hello_api.app:create_app()"'
    echo "$output"
    [ "$status" -eq 0 ]
    [ "$(code /)" = 200 ]
    wait_for 20 in_box sh -c '[ "$(ls -d /run/openrc/options/chillbox.hello.api.* | wc -l)" = 1 ]'
    [[ "$(command_line)" == *" --name own-hello "* ]]
}

# Everything that the disk has of it, state.db and its WAL included.
on_disk() { grep -rlaF "$1" "${BOX_STATE:-/var/lib/chillbox-box}/$HOST/disk" || :; }

@test "[fault-284] a secret that its service, a traceback, a release_command, a worker or the crontab prints is kept nowhere and sent to nobody [attack-O3]" {
    canary=canary-$(openssl rand -hex 8)
    printf 'OTHER = 1\nWHISPER = "%s"\n' "$canary" >"$LAPTOP/secrets/api/api.cfg"
    printf '{"key": "%s-json", "list": ["first\\n%s-line"]}' "$canary" "$canary" >"$LAPTOP/secrets/api/key.json"
    run -0 send "$(pack_secrets "$LAPTOP/secrets")"
    make_site "$(next_version)" 'import sys; print("start", open(os.environ["SECRETS_CONFIG"]).read(), file=sys.stderr, flush=True)'
    edit_site '.services[0].release_command = ["sh", "-c", "cat $SECRETS_CONFIG; cat $SECRETS_CONFIG >&2"]
      | .crontab = ["* * * * * cat $SECRETS_CONFIG; false"]
      | .workers = [{"name": "leak", "of": "api", "run-cmd": ["sh", "-c", "sed s/WHISPER/worker/ $SECRETS_CONFIG; cat $CHILLBOX_SERVICE_DIR/../../../../../../run/chillbox/secrets/hello/api/key.json; printf %s no-line-break; sleep 1000"]}]'
    run send "$(pack)"
    printf '%s\n' "$output" >"$LAPTOP/screen"
    [ "$status" -eq 0 ] || { cat "$LAPTOP/screen"; false; }
    ctl cron run hello 1 >>"$LAPTOP/screen" 2>&1 || :
    ctl cron history hello >>"$LAPTOP/screen" 2>&1 || :
    grep -q 'WHISPER = "\[secret\]"' "$LAPTOP/screen" # of the release_command, and of the crontab
    logged() { in_box cat /var/log/chillbox/hello/leak.log | grep -q 'worker = "\[secret\]"' && in_box cat /var/log/chillbox/hello/leak.log | grep -q no-line-break; }
    wait_for 10 logged
    in_box cat /var/log/chillbox/hello/leak.log
    in_box grep -q 'start OTHER = 1' /var/log/chillbox/hello/api.log
    in_box grep -q '\[secret\]' /var/log/chillbox/hello/cron.log
    # A typo: Python prints the line, gunicorn cannot start.
    printf 'OTHER = 1\nWHISPER = "%s-typo\n' "$canary" >"$LAPTOP/secrets/api/api.cfg"
    run ! send "$(pack_secrets "$LAPTOP/secrets")"
    printf '%s\n' "$output" >>"$LAPTOP/screen"
    [[ "$output" == *"unterminated string literal"* ]]
    [[ "$output" == *'WHISPER = "[secret]'* ]]
    { ctl releases hello --json; ctl jobs --json; ctl logs hello || :; ctl status; } >>"$LAPTOP/screen" 2>&1
    run ! grep -F "$canary" "$LAPTOP/screen"
    [ -n "$(on_disk no-line-break)" ]
    [ "$(on_disk "$canary")" = '' ]
    printf 'OTHER = 1\nWHISPER = "nobody knows"\n' >"$LAPTOP/secrets/api/api.cfg"
    rm "$LAPTOP/secrets/api/key.json"
    run -0 send "$(pack_secrets "$LAPTOP/secrets")"
}

@test "[fault-285] secrets_env: variables of a secret file are in the environment of a service, its worker, release_command and crontab, and nowhere else [attack-X4]" {
    secret="env-$(openssl rand -hex 8)"
    mkdir -p "$LAPTOP/secrets/api"
    printf '\xef\xbb\xbf# of the database\r\nexport DB_URL="postgres://app:%s@db/app"\r\nDB_KEY='\''first\nsecond %s'\'' # two lines\r\n' "$secret" "$secret" >"$LAPTOP/secrets/api/api.env"
    run -0 send "$(pack_secrets "$LAPTOP/secrets")"
    make_site "$(next_version)" 'open(os.environ["CHILLBOX_DATA_DIR"] + "/served", "w").write(str(len(os.environ["DB_URL"])) + os.environ["DB_KEY"][:6])'
    edit_site '.services[0].secrets_env = "api.env" | .services[0].release_command = "sh -c \"echo $${#DB_URL} >$CHILLBOX_DATA_DIR/migrated; echo $$DB_URL\""
      | .crontab = ["* * * * * echo $${#DB_URL} >$CHILLBOX_DATA_DIR/cronned"]
      | .workers = [{"name": "jobs", "of": "api", "run-cmd": "sh -c \"echo $${#DB_URL} >$CHILLBOX_DATA_DIR/worked; sleep 1000\""}]'
    run send "$(pack)"
    echo "$output"
    [ "$status" -eq 0 ]
    [[ "$output" != *"$secret"* ]]
    length=$((${#secret} + 22))
    [ "$(data migrated)" = "$length" ]
    wait_for 10 in_box test -s /var/lib/hello/api/served
    [ "$(data served)" = "${length}first" ]
    wait_for 10 in_box test -s /var/lib/hello/api/worked
    [ "$(data worked)" = "$length" ]
    ctl cron run hello 1
    [ "$(data cronned)" = "$length" ]
    # Not in argv, nor in what the launcher reads, nor on the disk; in the environment only for the site's user and root.
    in_box sh -c 'cat /proc/[0-9]*/cmdline /run/chillbox/slots/*.json /run/openrc/options/*/* 2>/dev/null | tr "\0" "\n"' >"$LAPTOP/seen"
    grep -q api.env "$LAPTOP/seen"
    run ! grep -F "$secret" "$LAPTOP/seen"
    [ "$(on_disk "$secret")" = '' ]
    pid=$(in_box sh -c 'cat /run/openrc/options/chillbox.hello.api.*/child_pid | tail -n 1')
    in_box grep -aqF "$secret" "/proc/$pid/environ"
    add_user stranger
    for user in "$(web_user)" stranger chillbox; do
        run ! box run "$HOST" -u "$user" -- cat "/proc/$pid/environ"
        [[ "$output" == *[Pp]ermission* ]]
    done
}

@test "[fault-285] a mistake in a secrets_env is refused with its file and line and without its value; the set before it stays" {
    printf 'A=1\nhunter-%s\n' "$(openssl rand -hex 4 | tee "$LAPTOP/wrong")" >"$LAPTOP/secrets/api/api.env"
    run ! send "$(pack_secrets "$LAPTOP/secrets")"
    [[ "$output" == *"secret 'api/api.env': line 2: is not NAME=VALUE"* ]]
    [[ "$output" != *"$(cat "$LAPTOP/wrong")"* ]]
    printf 'LD_PRELOAD=/tmp/x\n' >"$LAPTOP/secrets/api/api.env"
    run ! send "$(pack_secrets "$LAPTOP/secrets")"
    [[ "$output" == *"secret 'api/api.env': line 1: 'LD_PRELOAD' is denied"* ]]
    in_box grep -q DB_URL /run/chillbox/secrets/hello/api/api.env
    [ "$(code /)" = 200 ]
}
