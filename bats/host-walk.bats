#!/usr/bin/env bats
# rollout run --by hosts: three hosts with a real etcd of three members bring a release to themselves, whatever becomes of the laptop. host-walk-faults.bats
# is about hosts that are away, locked or late.

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
    edit_site '.services[0].health.deadline = "3s"'
}
teardown_file() { hosts_down; }
setup() {
    walk_ready
    STATE=$LAPTOP_HOME/state/chillbox/rollouts/hello.json
}
teardown() {
    printf "%s\n" "${output-}" "${stderr-}"
    for host in 1 2 3; do says "$host" 200; done
}

taken() { [ "$(jq -r .taken "$STATE" 2>/dev/null)" = true ]; }
bring() { on "$1" ctl rollout take "$(base64 -w 0 "$2")"; }

@test "the laptop is killed as soon as one host has the order, and all hosts get the release" {
    rules 'bake = "1s"'
    new
    laptop sh -c 'echo $$ >pid; exec chillboxctl rollout run -y' >said 2>&1 &
    wait_for 90 taken
    kill -9 "$(cat pid)"
    wait $! || :
    cat said
    wait_for 60 all_live "$NEW"
    wait_for 20 over 1
    run -0 rollout status --json
    [ "$(jq -r '[.schema, .phase, (.hosts[] | .host + "=" + .state)] | join(" ")' <<<"$output")" = 'chillbox.rollout.v1 ended web1=done web2=done web3=done' ]
    run -7 rollout resume
    run -7 rollout stop
    [ "$(on 2 json jobs hello '.jobs[0].actor')" = rollout:me ]
    audited 3 'order 1, version'
}

@test "the laptop follows to the end, or ends at once with --detach; fleet status and the hosts show the same" {
    new
    run -0 rollout run -y
    [[ "$output" == *'ordered'*'order 2'*'web1'*'done'*"hello $NEW: ended"* ]]
    all_live "$NEW"
    new
    run -0 rollout run -y --detach
    wait_for 60 all_live "$NEW"
    wait_for 20 over 2
    run -0 laptop chillboxctl fleet status --json
    [ "$(jq -r '.rollouts[0] | [.site, .version, .signer, (.hosts[].state)] | join(" ")' <<<"$output")" = "hello $NEW laptop done done done" ]
    run -0 laptop chillboxctl fleet status
    [[ "$output" == *"hello $NEW, order 3 by laptop: ended"*web3* ]]
    run -0 on 3 ctl rollout reports
    [[ "$output" == *hello*3*"$NEW"*web1*'done'* ]]
    [[ "$(on 1 json status '.sites[0].drained')" == false ]]
}

@test "the canary fails: exit 9, and no other host is touched [case-1]" {
    was=$(live 1) jobs=$(jobs_of 2)
    says 1 500
    new
    run -9 rollout run -y
    [[ "$output" == *'all hosts have what they had'* ]]
    all_live "$was"
    [ "$(jobs_of 2)" = "$jobs" ]
    values stops/hello/ | grep -q '"by":"web1"'
    says 1 200 # what is live reads the same
    run -9 laptop chillboxctl fleet status
}

@test "the third one fails: with on_failure = rollback each is back at its own last release: exit 10; without it exit 11 [case-2]" {
    was=$(live 1)
    says 3 500
    rules 'on_failure = "rollback"' 'batch = 2'
    new
    run -10 rollout run -y
    all_live "$was"
    [[ "$output" == *'web1'*'rolled_back'*'web3'*'failed'* ]]
    rules
    new
    run -11 rollout run -y
    [[ "$output" == *"2 of 3 hosts have $NEW"* ]]
    [ "$(live 1) $(live 2) $(live 3)" = "$NEW $NEW $was" ]
}

@test "the rollback of one host fails as well: exit 11, it is named, and the others are back [case-3]" {
    was=$(live 1) was2=$(live 2) was3=$(live 3)
    says 3 500
    rules 'on_failure = "rollback"' 'bake = "2s"'
    new
    rollout run -y >said 2>&1 &
    wait_for 60 in_state 1 'done'
    on 1 ctl withdraw hello "$was" -m 'a leak'
    status=0
    wait $! || status=$?
    cat said
    [ "$status" -eq 11 ]
    [ "$(live 1) $(live 2) $(live 3)" = "$NEW $was2 $was3" ]
    grep -q 'web1: rollback: ' said
    in_state 1 stuck
}

@test "rollout stop lets no further host begin, and resume continues it" {
    was=$(live 3)
    rules 'bake = "3s"'
    new
    rollout run -y >said 2>&1 &
    wait_for 60 in_state 1 live
    run -0 rollout stop
    status=0
    wait $! || status=$?
    cat said
    [ "$status" -eq 11 ]
    grep -q 'stopped by uid:0 root: chillboxctl rollout resume continues it' said
    [ "$(live 1) $(live 3)" = "$NEW $was" ]
    rules
    run -0 rollout resume
    all_live "$NEW"
}

@test "two laptops: the newer order takes the place of the older one, whose laptop hears whose it is; all hosts end with it [case-23]" {
    rules 'bake = "8s"'
    new
    first=$NEW
    rollout run -y >said 2>&1 &
    wait_for 60 in_state 1 live
    cp -r "$LAPTOP_HOME" "$LAPTOP/other"
    rm -rf "$LAPTOP/other/state"
    another_laptop other
    rules
    new
    run -0 rollout run -y
    first_laptop
    status=0
    wait $! || status=$?
    cat said
    [ "$status" -eq 7 ]
    grep -q "of version $NEW, signed by laptop, took the place of this one" said
    all_live "$NEW"
    [ "$first" != "$NEW" ]
    run -0 rollout status
}

@test "[attack-G42] [case-16] [case-17] the owner of the engine edits, forges and brings back orders: each host refuses them, records it, and keeps what is live" {
    was=$(live 1)
    value_of orders/hello >ordered
    [ -s ordered ]
    new
    run -0 rollout run -y --detach
    wait_for 60 all_live "$NEW"
    wait_for 20 over 1
    value_of orders/hello >now
    jobs=$(jobs_of 3)
    etcdctl put /chillbox/shop/orders/hello "$(cat ordered)"
    for host in 1 2 3; do wait_for 15 audited "$host" 'is not newer than'; done
    etcdctl put /chillbox/shop/orders/hello "$(sed 's/"serial\\":[0-9]*/"serial\\":99/; 1s/^[0-9]*/00000000000000000099/' now)"
    for host in 1 2 3; do wait_for 15 audited "$host" 'does not match this file'; done
    all_live "$NEW"
    [ "$(jobs_of 3)" = "$jobs" ]
    # The next rollout works, because what is there does not count and is older by its number.
    etcdctl put /chillbox/shop/orders/hello "$(cat now)"
    new
    run -0 rollout run -y
    [ "$was" != "$NEW" ]
}

@test "[attack-G43] [case-19] a forged failure rolls nothing back: no host signed it" {
    rules 'on_failure = "rollback"' 'bake = "4s"'
    new
    rollout run -y >said 2>&1 &
    wait_for 60 in_state 2 live
    serial=$(value_of orders/hello | head -n 1)
    report=$(value_of "reports/hello/$serial/web1")
    # web1's own word, as web3's; and with another state.
    etcdctl put "/chillbox/shop/reports/hello/$serial/web3" "$report"
    etcdctl put "/chillbox/shop/reports/hello/$serial/web3" "$(sed 's/\\"state\\":\\"done\\"/\\"state\\":\\"failed\\"/; s/web1/web3/' <<<"$report")"
    wait $!
    all_live "$NEW"
    audited 1 "report of 'web3'"
}

@test "[attack-G45] [attack-G44] a member of chillbox-admin, and a deployer of another site, order nothing" {
    was=$(live 1)
    laptop chillboxctl keygen -q -o "$LAPTOP/stranger" --no-password
    jq -r .signed_order "$STATE" >order
    run -0 bring 2 order
    [[ "$output" == *unchanged* ]]
    jq -c '.order |= sub("\"serial\":[0-9]+"; "\"serial\":77")' order >forged
    on 2 add_user clerk 4003 - chillbox-admin
    run -4 on 2 in_box su -s /bin/sh -c "chillboxctl rollout take $(base64 -w 0 forged)" clerk
    [[ "$output" == *'does not match this file'* ]]
    # A key that may sign for blog alone, which web1 trusts: the laptop is refused by all, the host by itself.
    for host in 1 2 3; do
        trusting=WEB$host
        box push "${!trusting}" "$LAPTOP/stranger.pub" /root/stranger.pub
        on "$host" ctl trust add /root/stranger.pub --name stranger --sites blog
    done
    new
    run -4 rollout run -y -k "$LAPTOP/stranger.key"
    [[ "$output" == *'may deploy blog'*'not hello'* ]]
    all_live "$was"
}
