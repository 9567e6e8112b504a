#!/usr/bin/env bats
# The crontab of a site: entries run as its user in the live release, each run with its record. The clock of the box is the machine's own, so what
# happens when it is set is in tests/cron/schedule_test.cpp.

# shellcheck disable=SC2154,SC2016 # box_up sets HOST; the commands are expanded in the box

load helpers/box
load helpers/host
load helpers/one_host

# farm VERSION ENTRY...: a page and a worker, and a crontab
farm() {
    rm -rf "$LAPTOP/hello"
    mkdir -p "$LAPTOP/hello/page" "$LAPTOP/hello/hand"
    printf 'the farm\n' >"$LAPTOP/hello/page/index.html"
    printf '#!/bin/sh\nexec sleep 100000\n' >"$LAPTOP/hello/hand/work"
    printf '#!/bin/sh\necho "$0 of $VERSION in $PWD"\n' >"$LAPTOP/hello/hand/feed"
    chmod 0755 "$LAPTOP/hello/hand/work" "$LAPTOP/hello/hand/feed"
    printf '%s\n' "${@:2}" | jq -R . | jq -s --arg version "$1" '{
        name: "Farm", server_name: "hello.example", version: $version, watch: "0s", env: [{name: "ANIMAL", value: "goat"}], crontab: .,
        services: [{name: "page", lang: "static"}],
        workers: [{name: "hand", lang: "binary-worker", "run-cmd": "work", environment: [{name: "TOOL", value: "fork of $ANIMAL"}]}]}' \
        >"$LAPTOP/hello/farm.site.json"
    [ -z "${SECRET-}" ] || jq '.workers[0].secrets_config = "hand.cfg"' "$LAPTOP/hello/farm.site.json" >"$LAPTOP/site.new"
    [ -z "${SECRET-}" ] || mv "$LAPTOP/site.new" "$LAPTOP/hello/farm.site.json"
    send "$(pack)"
}

last() { json cron history farm -n 1 ".runs[0].$1"; }
has_ended() { [ "$(last ended_ms)" != 0 ]; }
nobody_sleeps() { ! in_box pgrep -u farm -f "sleep $1"; }

@test "an entry runs as the site's user, in the live release and its environment, without rights, and the shell is the site's own" {
    farm 1.0.0 '0 3 * * * id -un; pwd; echo "$ANIMAL, $$TOOL" >&2; sh hand/feed | tr a-z A-Z; echo $VERSION $$CHILLBOX_SERVICE $$SHELL' \
        '0 4 * * * grep -E "NoNewPrivs|^Uid|CapEff" /proc/self/status | tr "\t" " "; ls /proc/self/fd | tr "\n" " "; cat /proc/self/cgroup'
    release=$(in_box readlink /srv/chillbox/farm/current)
    run ctl cron run farm 1
    [ "$status" -eq 0 ]
    grep -qx 'farm' <<<"$output"
    grep -qx "/srv/chillbox/farm/$release" <<<"$output"
    grep -qx 'goat, fork of goat' <<<"$output"
    grep -qx "HAND/FEED OF 1.0.0 IN /SRV/CHILLBOX/FARM/${release^^}" <<<"$output"
    grep -qx '1.0.0 hand /bin/sh' <<<"$output"
    run ctl cron run farm 2
    [ "$status" -eq 0 ]
    uid=$(in_box id -u farm)
    grep -qx "Uid: $uid $uid $uid $uid" <<<"$output"
    grep -qx 'CapEff: 0*' <<<"$output"
    grep -qx 'NoNewPrivs: 1' <<<"$output"
    grep -q '^0 1 2 3 ' <<<"$output" # 3: the directory that ls reads
    grep -q '/chillbox.task\.' <<<"$output"
}

@test "the history has each run with its start, end, code and last lines; the log has all of them" {
    farm "$(next_version)" '0 3 * * * seq 30 | sed "s/^/row /"; exit 3'
    run ctl cron run farm 1
    [ "$status" -eq 1 ]
    grep -q 'ended with code 3' <<<"$output"
    [ "$(last state) $(last code) $(last actor)" = 'failed 3 uid:0 root' ]
    [ "$(last text | head -n 1) $(last text | tail -n 1)" = 'row 11 row 30' ]
    [ "$(last 'ended_ms >= .runs[0].started_ms')" = true ]
    [ "$(ctl logs farm/cron -n 100 | grep -c 'row ')" = 30 ]
    run ctl cron history farm
    grep -q 'failed (3).*uid:0 root.*row 30' <<<"$output"
    run ctl cron list farm
    grep -qE '^1 .* 03:00:00, .*failed \(3\)' <<<"$output"
    [ "$(json cron list farm '.schema + " " + (.entries | length | tostring)')" = 'chillbox.cron_list.v1 1' ]
    in_box test -z "$(in_box ls -A /run/chillbox/tasks)"
}

@test "an entry never runs beside itself, and what it leaves behind is ended with it" {
    farm "$(next_version)" '0 3 * * * setsid sleep 3601 & sleep 1' '0 4 * * * setsid sleep 3601 & sleep 1' '0 5 * * * true'
    ctl cron run farm 1 --no-wait
    for number in 1 2; do # the same command is the same entry
        run ctl cron run farm "$number"
        [ "$status" -eq 7 ]
        grep -q 'has not ended' <<<"$output"
    done
    ctl cron run farm 3
    wait_for 10 has_ended
    wait_for 10 nobody_sleeps 3601
    in_box sh -c '! ls -d /sys/fs/cgroup/chillbox.task.*'
    run ctl cron run farm 4
    [ "$status" -eq 3 ]
    grep -q 'its entries are 1 to 3' <<<"$output"
    run ctl cron list nosuch
    [ "$status" -eq 3 ]
}

@test "a run outlives an upgrade and a restart of the daemon, also by kill -9, and its end is recorded" {
    farm "$(next_version)" '0 3 * * * until [ -e /tmp/go ]; do sleep 0.1; done; echo still here; exit 5'
    ctl cron run farm 1 --no-wait
    ctl upgrade
    [ "$(last state)" = running ]
    in_box rc-service -q chillboxd restart
    [ "$(last state)" = running ]
    in_box sh -c 'kill -9 "$(cat /run/openrc/options/chillboxd/child_pid)"'
    wait_for 20 ctl ping
    [ "$(last state)" = running ]
    in_box touch /tmp/go
    wait_for 20 has_ended
    [ "$(last state) $(last code) $(last text)" = 'failed 5 still here' ]
    unlock
}

@test "[fault-1271] who awaits the end of a run does so through an upgrade and a restart of chillboxd" {
    farm "$(next_version)" '0 3 * * * until [ -e /tmp/went ]; do sleep 0.1; done; echo here at last; exit 4'
    ctl cron run farm 1 >"$LAPTOP/awaited" 2>&1 3>&- &
    awaits=$!
    wait_for 20 runs_now
    ctl upgrade
    in_box rc-service -q chillboxd restart
    unlock
    kill -0 "$awaits"
    in_box touch /tmp/went
    wait "$awaits" && false || [ "$?" -eq 1 ]
    [ "$(cat "$LAPTOP/awaited")" = $'here at last\nchillboxctl: run '"$(last id)"' ended with code 4' ]
}
runs_now() { [ "$(last state)" = running ]; }

@test "a run whose process is killed is recorded as lost, and nothing of it is left" {
    farm "$(next_version)" '0 3 * * * setsid sleep 3602 & sleep 3602'
    ctl cron run farm 1 --no-wait
    in_box rc-service -q chillboxd stop
    in_box pkill -9 -f '^chillboxd: task'
    in_box rc-service -q chillboxd start
    wait_for 10 has_ended
    [ "$(last state)" = lost ]
    nobody_sleeps 3602
    unlock
}

@test "a reboot ends what runs, and the history says so" {
    farm "$(next_version)" '0 3 * * * sleep 3603'
    ctl cron run farm 1 --no-wait
    box cut "$HOST"
    box start "$HOST"
    wait_for 20 ctl ping
    [ "$(last state)" = lost ]
    unlock
}

@test "[fault-71] an entry that is due runs by itself; meanwhile the daemon sleeps, and the user's own crontab is left alone" {
    in_box sh -c 'echo "0 1 * * * true" | crontab -u farm -'
    farm "$(next_version)" '* * * * * echo tick' '0 0 1 1 * true'
    # Of all threads of all its processes, but the one that answers here.
    switches() { in_box sh -c 'for p in $(pgrep -x chillboxd); do cat /proc/$p/task/*/status; done | awk "/ctxt_switches/ { n += \$2 } END { print n }"'; }
    ctl ping
    sleep 1
    first=$(switches)
    sleep 3
    quiet=$(($(switches) - first))
    [ "$quiet" -le 2 ] || [ "$(json cron history farm -n 5 '[.runs[] | select(.actor == "")] | length')" -gt 0 ]
    ticked() { [ "$(json cron history farm -n 5 '[.runs[] | select(.actor == "" and .text == "tick" and .state == "done")] | length')" -gt 0 ]; }
    wait_for 70 ticked
    [ "$(in_box crontab -u farm -l)" = '0 1 * * * true' ]
    in_box sh -c '! grep -rq tick /var/spool/cron /etc/cron* /etc/crontabs 2>/dev/null'
}

@test "[fault-71] a line that cron would read otherwise, and a value that a shell would, are refused on the laptop" {
    mkdir -p "$LAPTOP/bad"
    for entry in '@reboot true' '* * * * * date +%F' '* * * * * root true' '* * * * * A=b true' '* * * * true' '* * * * * echo $EVIL'; do
        jq -n --arg entry "$entry" '{name: "Bad", server_name: "bad.example", env: [{name: "EVIL", value: "a; id"}], crontab: [$entry]}' >"$LAPTOP/bad/bad.site.json"
        run "$CTL" validate "$LAPTOP/bad/bad.site.json"
        [ "$status" -eq 1 ]
        grep -qF '$.crontab[0]' <<<"$output"
    done
}

@test "the new release's entries take over at the switch, the old ones' at a rollback; a stopped site has none" {
    farm "$(next_version)" '0 3 * * * echo old' '0 4 * * * echo both'
    old=$(in_box readlink /srv/chillbox/farm/current)
    farm "$(next_version)" '0 4 * * * echo both'
    [ "$(json cron list farm '[.entries[].line] | join(";")')" = '0 4 * * * echo both' ]
    ctl rollback farm
    [ "$(in_box readlink /srv/chillbox/farm/current)" = "$old" ]
    [ "$(ctl cron run farm 1)" = old ]
    ctl stop farm
    [ "$(json cron list farm '.entries | length')" = 0 ]
    run ctl cron run farm 1
    [ "$status" -eq 3 ]
    ctl start farm
    [ "$(ctl cron run farm 2)" = both ]
}

@test "while a secret is missing no entry runs: it is skipped, or refused to who asks" {
    mkdir -p "$LAPTOP/secrets/hand"
    printf 'x = 1\n' >"$LAPTOP/secrets/hand/hand.cfg"
    send "$("$CTL" secrets pack -q "$LAPTOP/secrets" -s farm -r "$RECIPIENT" -k "$LAPTOP/deployer.key" -o "$LAPTOP/out")"
    SECRET=1 farm "$(next_version)" '* * * * * cat $$SECRETS_CONFIG'
    [ "$(ctl cron run farm 1)" = 'x = 1' ]
    box reboot "$HOST"
    wait_for 20 ctl ping
    run ctl cron run farm 1
    [ "$status" -eq 6 ]
    grep -q 'hand/hand.cfg' <<<"$output"
    skipped() { [ "$(last state)" = skipped ]; }
    wait_for 70 skipped
    last text | grep -q 'chillboxctl unlock'
    unlock
    [ "$(ctl cron run farm 1)" = 'x = 1' ]
}

@test "a removed site's run is ended" {
    farm "$(next_version)" '0 3 * * * sleep 3604'
    ctl cron run farm 1 --no-wait
    ctl remove farm --yes --purge
    nobody_sleeps 3604
    in_box sh -c '! ls /run/chillbox/tasks/*'
    run ctl cron history farm
    [ "$status" -eq 3 ]
}
