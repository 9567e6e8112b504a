#!/usr/bin/env bats
# rollout run --by hosts with hosts that are off, locked, paused or dead in the middle of it, and with an engine that is wiped.

# shellcheck disable=SC2154,SC2030,SC2031 # box_up sets HOST, run sets $stderr

load helpers/box
load helpers/host
load helpers/laptop
load helpers/hosts
load helpers/engine
load helpers/walk

setup_file() {
    host_possible || return 0
    walk_up
    rules
    new
    (cd "$LAPTOP/hello" && rollout run -y)
}
teardown_file() { hosts_down; }
setup() {
    walk_ready
}
teardown() {
    printf "%s\n" "${output-}" "${stderr-}"
    for host in 1 2 3; do slow "$host" 0; done
}

service() { on "$1" in_box rc-service -q chillboxd "$2"; }

@test "a host is locked when its turn comes: it is skipped, counts as one that is out, and goes on when it is unlocked [case-22]" {
    rules 'bake = "4s"'
    new
    rollout run -y >said 2>&1 &
    wait_for 60 in_state 1 live
    on 2 ctl lock
    wait_for 20 in_state 2 skipped-sealed
    wait_for 20 in_state 1 'done'
    [ "$(live 3)" != "$NEW" ] # as many are out as may be
    in_state 3 staged
    on 2 unlock
    wait $!
    cat said
    all_live "$NEW"
}

@test "a host is off when its turn comes: the others wait, and it takes the order when it is back [case-4]" {
    rules 'bake = "3s"'
    new
    rollout run -y >said 2>&1 &
    wait_for 60 in_state 1 live
    service 3 stop
    wait_for 60 in_state 2 'done'
    in_state 3 staged
    service 3 start
    on 3 unlock
    wait $!
    cat said
    all_live "$NEW"
}

@test "a host was off when the order came, and takes it when it is back" {
    rules 'bake = "3s"'
    new
    rollout run -y >said 2>&1 &
    wait_for 60 grep -q '^web2 .*staged\|staged.*web3\|-> web3' said
    wait_for 60 grep -q ordered said
    service 3 stop # it may have read the order by now, or not
    wait_for 60 in_state 2 'done'
    service 3 start
    on 3 unlock
    wait $!
    all_live "$NEW"
}

# The new release starts, next to the old one.
starts() { [ "$(on "$1" in_box pgrep -u hello -f serve | wc -l)" -ge 2 ]; }

@test "a host stands still in the middle of its switch: the barrier holds, after the deadline and its lease those that are done go back, and it wakes outside [case-6]" {
    was=$(live 1)
    rules 'on_failure = "rollback"' 'deadline = "20s"'
    new
    slow 2 5
    rollout run -y --detach
    wait_for 60 slot_of 2
    wait_for 30 starts 2
    all_of 2 STOP
    # It is out by the rollout's doing until its lease is over: nobody else goes out before, and then web1 goes back.
    wait_for 100 in_state 1 rolled_back
    [ "$(live 1) $(live 3)" = "$was $was" ]
    run -0 on 1 ctl rollout reports hello
    [[ "$output" == *'the deadline passed without web2'*'web2'*'begun'*'the deadline passed before its turn'* ]]
    no_slot
    all_of 2 CONT
    wait_for 30 in_state 2 outside
    run -0 on 1 ctl rollout reports hello
    [[ "$output" == *'its slot was taken away'* ]]
    [ "$(live 2)" = "$NEW" ] # it ended what it had begun
    run -0 rollout status
    new
    run -0 rollout run -y
    all_live "$NEW"
}

@test "[attack-G47] [case-15] the engine is wiped, or filled with what was: no host changes what is live, and the next rollout works" {
    etcdctl get --prefix /chillbox/shop/ -w json >before
    was=$(live 1) jobs=$(jobs_of 2)
    etcdctl del --prefix /chillbox/shop/ >/dev/null
    sleep 3 # whatever would be done would have begun
    all_live "$was"
    [ "$(jobs_of 2)" = "$jobs" ]
    # The first order of all, and the last reports.
    jq -r '.kvs[] | select(.key | @base64d | startswith("/chillbox/shop/reports/")) | .key + " " + .value' before | while read -r key value; do
        etcdctl put "$(base64 -d <<<"$key")" "$(base64 -d <<<"$value")" >/dev/null
    done
    sleep 1
    all_live "$was"
    new
    run -0 rollout run -y
    all_live "$NEW"
}

@test "nothing that is secret is in the engine" {
    values >all
    [ -s all ]
    run ! grep -q "$PASSPHRASE\|AGE-SECRET-KEY\|PRIVATE KEY" all
    run ! grep -qF "$(sed -n 2p "$LAPTOP/me/deployer.key")" all
}
