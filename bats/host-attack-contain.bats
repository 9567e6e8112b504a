#!/usr/bin/env bats
# A hostile site's code runs while the site is deployed and by its crontab. It tries to stay when its time is over, to keep a hand in the tree that is
# sealed, and to take the host with it. 'evil' has a service with a hole and one of a kind whose build and preflight run what the site brings.

# shellcheck disable=SC2154,SC2016 # box_up sets HOST; the commands are expanded in the box

load helpers/box
load helpers/host
load helpers/attack

setup_file() {
    host_possible || return 0
    attack_up
    in_box sh -c 'umask 022; mkdir -p /etc/chillbox/hooks.d/handlers/x-kit && cd /etc/chillbox/hooks.d/handlers/x-kit
        echo "{\"listens\": \"no\", \"build\": true}" >kind.json
        printf "#!/bin/sh\nexec sh ./preflight.sh\n" >preflight
        printf "#!/bin/sh\nexec sh ./build.sh\n" >build
        chmod 0755 preflight build
        sed -i "s/^\[limits\]/[limits]\ntasks_default = 40/" /etc/chillbox/chillboxd.toml && grep -q ^tasks_default /etc/chillbox/chillboxd.toml'
    ctl upgrade
    attack_site good
    attack_deploy good
    attack_site evil '.services[0].resources.tasks_max = 32 | .services += [{name: "kit", lang: "x-kit", resources: {tasks_max: 32}}]'
    harmless
    attack_deploy evil
}

teardown_file() { host_down; }
setup() {
    host_or_skip
    harmless
}

harmless() {
    printf ':\n' | attack_file evil kit/preflight.sh
    printf ':\n' | attack_file evil kit/build.sh
    attack_edit evil 'del(.services[0].release_command) | del(.crontab)'
}

# Two sessions away from who started it; it holds the file that it is given, and adds to it.
stay() { printf 'setsid sh -c "setsid sh -c \\"while :; do echo evil; sleep %s; done\\" &" </dev/null >>"%s" 2>/dev/null & sleep 1\n' "$1" "$2"; }
plan() { cat "$1.minisig" "$1" | in_box chillboxctl plan -; }
last_job() { ctl job "$(json jobs 'first(.jobs[] | select(.site == "evil")).id')"; }
nobody_sleeps() { ! in_box pgrep -f "sleep $1"; }

@test "a preflight leaves no process behind [attack-C4]" {
    stay 7001 /dev/null | attack_file evil kit/preflight.sh
    artifact=$(attack_pack evil)
    plan "$artifact"
    nobody_sleeps 7001
    attack_send evil "$artifact"
    nobody_sleeps 7001
}

@test "a build leaves no process behind that writes into the tree after it was sealed [attack-C4]" {
    { printf 'cd "$CHILLBOX_BUILD_DIR"; echo honest >file\n'; stay 0.7002 '$CHILLBOX_BUILD_DIR/file'; printf 'grep -q evil file\n'; } | attack_file evil kit/build.sh
    attack_deploy evil
    nobody_sleeps 0.7002
    before=$(in_box sha256sum /srv/chillbox/evil/current/.chillbox/kit/file)
    sleep 2
    [ "$(in_box sha256sum /srv/chillbox/evil/current/.chillbox/kit/file)" = "$before" ]
}

@test "a build that hands a descriptor to the site's running service does not get its tree sealed [attack-C4]" {
    in_service evil sh -c 'setsid python3 -I -c "
import os, socket
s = socket.socket(socket.AF_UNIX)
s.bind(\"/tmp/hand\")
os.chmod(\"/tmp/hand\", 0o777)
s.listen()
c, _ = s.accept()
_, fds, _, _ = socket.recv_fds(c, 1, 1)
while True:
    os.write(fds[0], b\"evil\")
    __import__(\"time\").sleep(0.5)
" </dev/null >/dev/null 2>&1 & while [ ! -S /tmp/hand ]; do sleep 0.1; done'
    attack_file evil kit/build.sh <<'END'
cd "$CHILLBOX_BUILD_DIR" && echo honest >file
python3 -I -c '
import os, socket
s = socket.socket(socket.AF_UNIX)
s.connect("/tmp/hand")
socket.send_fds(s, [b"x"], [os.open("file", os.O_WRONLY | os.O_APPEND)])
' || echo "the socket cannot be reached"
END
    live=$(in_box readlink /srv/chillbox/evil/current)
    run attack_deploy evil
    if [ "$status" -eq 0 ]; then # a build that cannot even reach the service
        [[ "$(in_box cat /srv/chillbox/evil/current/.chillbox/kit/file)" == honest ]]
    else
        [[ "$output" == *'file: a process still has it open for writing'* ]]
        [ "$(in_box readlink /srv/chillbox/evil/current)" = "$live" ]
    fi
    in_box pkill -u evil -f /tmp/hand || : # with the old copy of the service
}

@test "a release_command leaves no process behind [attack-C4]" {
    stay 7003 /dev/null | attack_file evil web/left.sh
    attack_edit evil '.services[0].release_command = ["/bin/sh", "left.sh"]'
    attack_deploy evil
    nobody_sleeps 7003
}

@test "a run of the crontab leaves no process behind, also when who watches it is killed [attack-C4]" {
    stay 7004 /dev/null | attack_file evil web/left.sh
    attack_edit evil '.crontab = ["0 3 1 1 * sh web/left.sh", "0 4 1 1 * sh web/left.sh; sleep 7004"]'
    attack_deploy evil
    ctl cron run evil 1
    nobody_sleeps 7004
    ctl cron run evil 2 --no-wait
    wait_for 10 in_box pgrep -f 'sleep 7004'
    in_box pkill -9 -f '^chillboxd: task'
    wait_for 10 nobody_sleeps 7004
}

@test "nothing of a build is left when the agent is killed in the middle of it [attack-C4]" {
    { stay 7005 /dev/null; printf 'sleep 7005\n'; } | attack_file evil kit/build.sh
    artifact=$(attack_pack evil)
    attack_send evil "$artifact" >/dev/null 2>&1 3>&- &
    wait_for 20 in_box pgrep -f 'sleep 7005'
    sleep 1
    pids=$(in_box pgrep -f 'sleep 7005' | tr '\n' ' ')
    # shellcheck disable=SC2086 # several words
    in_box sh -c 'kill -9 "$(cat /run/openrc/options/chillboxd/child_pid)"; for i in 1 2 3 4 5 6 7 8 9 10; do
        left=; for pid in "$@"; do [ ! -d "/proc/$pid" ] || left="$left $pid"; done
        [ -n "$left" ] || exit 0; sleep 0.1; done; echo "left: $left"; exit 1' sh $pids
    wait_for 20 ctl ping
    harmless
    artifact=$(attack_pack evil)
    attack_send evil "$artifact" >/dev/null 3>&- & # in its place
    waits() { [ "$(json jobs 'first(.jobs[] | select(.site == "evil")).state')" = waiting-unlock ]; }
    wait_for 20 waits
    unlock
    wait $!
    nobody_sleeps 7005
}

# Forks until it is refused, tells how far it came, and goes on holding what it has.
bomb() {
    cat <<'END'
import os, sys, time
made = 0
try:
    while made < 2000:
        if os.fork() == 0:
            time.sleep(4)
            os._exit(0)
        made += 1
except OSError:
    pass
print("made", made, flush=True)
time.sleep(int(sys.argv[1]))
END
}

@test "a fork bomb in a build is bounded, and the others answer [attack-D13]" {
    bomb | attack_file evil kit/bomb.py
    printf 'python3 -I bomb.py 3\n' | attack_file evil kit/build.sh
    artifact=$(attack_pack evil)
    attack_send evil "$artifact" >"$BATS_TEST_TMPDIR/said" 2>&1 3>&- &
    bombs() { [ "$(in_box pgrep -f 'bomb.py 3' | wc -l)" -gt 20 ]; }
    wait_for 20 bombs
    [[ "$(visit good / -m 5)" == 'hello from good'* ]]
    ctl ping
    wait $!
    made=$(last_job | sed -n 's/.*made //p')
    [ "$made" -gt 10 ]
    [ "$made" -le 208 ]
    [ "$(in_box pgrep -f 'bomb.py 3' | wc -l)" = 0 ]
}

@test "a fork bomb in a service is bounded, and the others answer [attack-D13]" {
    bomb | attack_file evil web/bomb.py
    attack_deploy evil
    in_service evil sh -c 'exec setsid python3 -I "$PWD/bomb.py" 3 >/var/lib/evil/made' 3>&- &
    bombs() { [ "$(in_box pgrep -f 'bomb.py 3' | wc -l)" -gt 20 ]; }
    wait_for 20 bombs
    [[ "$(visit good / -m 5)" == 'hello from good'* ]]
    ctl ping
    wait || :
    made=$(in_box sed -n 's/made //p' /var/lib/evil/made)
    [ "$made" -gt 10 ]
    [ "$made" -le 208 ]
}

@test "a limit that this host cannot keep is told, by plan and by the job [attack-D13]" {
    in_box sh -c '! grep -qw memory /sys/fs/cgroup/cgroup.controllers' || skip 'this machine has the controllers'
    attack_edit evil '.services[0].resources.memory_max = "200M"'
    artifact=$(attack_pack evil)
    run plan "$artifact"
    [ "$status" -eq 0 ]
    [[ "$output" == *"warning  service 'web': resources.memory_max has no effect"* ]]
    attack_send evil "$artifact"
    last_job | grep -q "warning: service 'web': resources.memory_max has no effect"
    attack_edit evil 'del(.services[0].resources.memory_max)'
}
