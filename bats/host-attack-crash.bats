#!/usr/bin/env bats
# Whoever can crash a service, or the daemon, takes it away for as long as the cause is there, and no longer.

# shellcheck disable=SC2154,SC2016 # box_up sets HOST; "sh -c" expands in the box

load helpers/box
load helpers/host
load helpers/attack

setup_file() {
    host_possible || return 0
    attack_up
    attack_site shop
    attack_deploy shop
}

teardown_file() { host_down; }
setup() { host_or_skip; }

child() { in_box cat "/run/openrc/options/$1/child_pid"; }
started_again() { new=$(child "$1" 2>/dev/null) && [ -n "$new" ] && [ "$new" != "$2" ]; }

# kill_often SERVICE TIMES: each as soon as it is there, also while it waits for its turn
kill_often() {
    for _ in $(seq "$2"); do
        old=$(child "$1")
        in_box kill -9 "$old"
        wait_for 10 started_again "$1" "$old"
    done
}

@test "a service that was crashed ten times within a minute says when it comes back, and comes back by itself [attack-C7]" {
    slot=chillbox.shop.web.$(json status '.sites[0].services[0].slot')
    kill_often "$slot" 10
    [[ "$(ctl status)" == *"shop"*"service 'web' keeps crashing, its next start is in "*" s: see \`chillboxctl logs shop/web\`"* ]]
    run in_box chillboxctl doctor
    [[ "$output" == *"fail  site "*"keeps crashing"* ]]
    [ "$(in_box cut -d ' ' -f 1 "/run/chillbox/slots/$slot.starts")" -ge 9 ]
    # A person does not wait: a restart begins anew.
    ctl restart shop
    [[ "$(visit shop /)" == "hello from shop "* ]]
    [[ "$(ctl status)" != *"keeps crashing"* ]]
    slot=chillbox.shop.web.$(json status '.sites[0].services[0].slot')
    kill_often "$slot" 6
    back() { [[ "$(visit shop / -m 2)" == "hello from shop "* ]]; }
    wait_for 40 back
}

@test "a chillboxd that was killed twelve times within a minute is there again by itself [attack-C7]" {
    kill_often chillboxd 12
    in_box rc-service chillboxd status
    in_box chillboxctl ping --wait 130s
    [[ "$(visit shop /)" == "hello from shop "* ]]
    in_box rc-service -q chillboxd restart # by hand, nobody waits
    in_box chillboxctl ping --wait 10s
}

@test "a chillboxd that ends before it reads anything waits before each start as well [attack-C7]" {
    in_box cp /etc/conf.d/chillboxd /root/kept
    in_box sh -c 'echo CHILLBOXD_OPTS=--anything >>/etc/conf.d/chillboxd'
    in_box rc-service -q chillboxd restart # which waits 15 s for an answer
    ended=$(in_box cut -d ' ' -f 1 /run/chillbox/chillboxd.starts)
    in_box cp /root/kept /etc/conf.d/chillboxd
    [[ "$ended" -ge 3 && "$ended" -le 6 ]]
    in_box rc-service -q chillboxd restart
    in_box chillboxctl ping --wait 10s
}
