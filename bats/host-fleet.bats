#!/usr/bin/env bats
# fleet: a signed roster of hosts that serve the same sites, kept by each of them: what runs once runs on the first one, and whoever is not the signer
# changes nothing.

# shellcheck disable=SC2154,SC2030,SC2031 # box_up sets HOST, run sets $stderr

load helpers/box
load helpers/host
load helpers/laptop
load helpers/hosts

setup_file() {
    host_possible || return 0
    hosts_up 2
    hello_site '.crontab = ["* * * * * api/note ticked"] | .run_on = {crontab: "first", release_command: "first"} | .services[0].release_command = "./note migrated"'
    printf 'host = ["web2", "web1"]\n' >"$LAPTOP/hello/chillbox.toml"
    mv "$LAPTOP/bin/ssh" "$LAPTOP/bin/plain-ssh"
    cat >"$LAPTOP/bin/ssh" <<SH
#!/bin/sh
# With a file kill, the laptop dies after the first host has taken a roster.
case "\$*" in *"'fleet' 'take'"*)
    if [ -f "$LAPTOP/kill" ]; then
        rm "$LAPTOP/kill"
        plain-ssh "\$@"
        kill -9 "\$PPID"
        exit 255
    fi ;;
esac
exec plain-ssh "\$@"
SH
    chmod 0755 "$LAPTOP/bin/ssh"
}
teardown_file() { hosts_down; }
setup() {
    host_or_skip
    HOST=$WEB1
    FLEET=$LAPTOP_HOME/config/chillbox/fleet.json
    cd "$LAPTOP/hello" || return
}
teardown() {
    printf "%s\n" "${output-}" "${stderr-}"
    back
}

fleet() { laptop chillboxctl fleet "$@"; }
seat() { on "$1" json status "[.host.fleet | .fleet, (.epoch | tostring), .host, (.first | tostring)] | join(\" \")"; }
noted() { on "$1" in_box sh -c 'wc -l <"/var/lib/hello/api/$1" 2>/dev/null || echo 0' sh "$2"; }
elsewhere() { on "$1" json cron list hello '.entries[0].elsewhere'; }
has_noted() { [ "$(noted "$1" "$2")" -gt 0 ]; }
# take N FILE: what anybody who may ask there can try
take() { on "$1" ctl fleet take "$(base64 -w 0 "$2")"; }
# keeps N: what host N has of a roster stays as it is
of_host() { on "$1" in_box sh -c 'sha256sum </var/lib/chillbox/fleet.json 2>/dev/null || echo none'; }

@test "[attack-G29] a roster that no key for all sites signed is kept by no host: a stranger's, a deployer's of one site, one that was changed" {
    laptop chillboxctl keygen -q -o "$LAPTOP/stranger" --no-password
    box push "$WEB2" "$LAPTOP/stranger.pub" /root/stranger.pub
    on 2 ctl trust add /root/stranger.pub --name stranger
    run -11 fleet add web2,web1 --name shop -k "$LAPTOP/stranger.key" --file "$LAPTOP/stranger.json"
    [[ "$output" == *'web1'*'no trusted key'* ]]
    [ "$(of_host 1)" = none ]
    # Who signs for one site signs no roster, and neither does who signs releases alone.
    box push "$WEB1" "$LAPTOP/stranger.pub" /root/stranger.pub
    for limit in '--sites hello' --only-releases; do
        # shellcheck disable=SC2086 # two words
        on 1 ctl trust add /root/stranger.pub --name stranger $limit
        run -4 take 1 "$LAPTOP/stranger.json"
        [[ "$output" == *"may not sign for all sites, and so signs no roster"* ]]
        on 1 ctl trust remove stranger
    done
    jq -c '.roster |= sub("web1.example"; "evil.example")' "$LAPTOP/stranger.json" >"$LAPTOP/changed.json"
    on 1 ctl trust add /root/stranger.pub --name stranger
    run -4 take 1 "$LAPTOP/changed.json"
    on 1 ctl trust remove stranger
    # What a key signed as an artifact is no roster.
    sent=$(jq -r .signature "$LAPTOP/stranger.json")
    jq -c --arg signature "${sent/fleet=shop/site=shop version=1.0.0}" '.signature = $signature' "$LAPTOP/stranger.json" >"$LAPTOP/changed.json"
    on 2 in_box rm /var/lib/chillbox/fleet.json
    run -4 take 2 "$LAPTOP/changed.json"
    on 2 ctl trust remove stranger
    [ "$(of_host 1) $(of_host 2)" = 'none none' ]
}

@test "two hosts become a fleet: both keep the roster, and fleet status shows each" {
    run -0 fleet add web1,web2 --name shop
    [[ "$output" == *'fleet shop, epoch 1'*'web1 (first)'*'web2'* ]]
    [ "$(seat 1)" = 'shop 1 web1 true' ]
    [ "$(seat 2)" = 'shop 1 web2 false' ]
    run -0 fleet status --json
    [ "$(jq -r '[.schema, .fleet, .epoch, (.hosts[] | .host + "=" + .state + "=" + (.epoch | tostring))] | join(" ")' <<<"$output")" = \
        'chillbox.fleet.v1 shop 1 web1=unlocked=1 web2=unlocked=1' ]
    run -0 fleet push
    run -0 fleet show
    [[ "$output" == *"$(wire_address 2)"* ]]
    [ "$(on 2 in_box stat -c '%U %a' /var/lib/chillbox/fleet.json)" = 'root 600' ]
    on 2 ctl audit | grep -q 'fleet_take'
}

@test "[attack-G30] an older roster, and another of the same epoch, are refused, after a restart of chillboxd too" {
    cp "$FLEET" "$LAPTOP/epoch1.json"
    run -0 fleet rotate
    [ "$(seat 2)" = 'shop 2 web2 false' ]
    was=$(of_host 2)
    run -4 take 2 "$LAPTOP/epoch1.json"
    [[ "$output" == *"epoch 1 is not newer than epoch 2"* ]]
    on 2 in_box rc-service -q chillboxd restart
    on 2 unlock
    run -4 take 2 "$LAPTOP/epoch1.json"
    # One of the same epoch, by the same key.
    cp "$LAPTOP/epoch1.json" "$LAPTOP/other.json"
    run fleet rotate --file "$LAPTOP/other.json"
    [ "$status" -eq 7 ]
    [[ "$output" == *"somebody else changed the fleet"* ]]
    [ "$(of_host 2)" = "$was" ]
    run -0 take 2 "$FLEET"
    [[ "$output" == *unchanged* ]]
}

@test "[attack-G31] a roster of another fleet, and one of hosts that this one is none of, are refused" {
    was=$(of_host 2)
    # A person who may sign everything has made another fleet of web1 alone, and sends it to both.
    on 1 in_box mv /var/lib/chillbox/fleet.json /root/kept
    run -0 fleet add web1 --name other --file "$LAPTOP/another.json"
    run -7 take 2 "$LAPTOP/another.json"
    [[ "$output" == *"this host is of fleet 'shop'"* ]]
    [ "$(of_host 2)" = "$was" ]
    on 2 in_box mv /var/lib/chillbox/fleet.json /root/kept
    run -4 take 2 "$LAPTOP/another.json"
    [[ "$output" == *"this host is none of its hosts"* ]]
    [ "$(of_host 2)" = none ]
    for host in 1 2; do on "$host" in_box mv /root/kept /var/lib/chillbox/fleet.json; done
}

@test "release_command runs on the first host alone, which a rollout takes first, whatever the order in chillbox.toml" {
    run -0 laptop chillboxctl rollout run -y
    [ "$(noted 1 migrated) $(noted 2 migrated)" = '1 0' ]
    run -0 laptop chillboxctl rollout status --json
    [ "$(jq -r '[.hosts[].host] | join(" ")' <<<"$output")" = 'web1 web2' ]
    job=$(on 2 json jobs hello '.jobs[0].id')
    on 2 ctl job "$job" | grep -q "release_command of 'api' runs on web1 alone, the first of fleet shop"
}

@test "a rollout to hosts of which none runs the release_command changes nothing" {
    was=$(on 2 json facts hello .site.version)
    edit_site '.version = "1.0.1"'
    run -7 laptop chillboxctl rollout run -H web2 -y
    [[ "$output" == *"release_command of hello is for one host"*"none of these"* ]]
    [ "$(on 2 json facts hello .site.version)" = "$was" ]
}

@test "a crontab that is for the first host runs there, and nowhere else" {
    [ "$(elsewhere 1)" = '' ]
    [ "$(elsewhere 2)" = 'runs on web1 alone, the first of fleet shop' ]
    wait_for 70 has_noted 1 ticked
    [ "$(noted 2 ticked)" = 0 ]
    [ "$(on 2 json cron history hello '.runs | length')" = 0 ]
    on 2 ctl cron list hello | grep -q 'runs on web1 alone'
}

@test "run_on names one host; a name that the fleet does not have is refused by the preflight [fault-880]" {
    edit_site '.version = "1.0.2" | .run_on = {crontab: "web2"}'
    run -0 laptop chillboxctl rollout run -y
    [ "$(elsewhere 1)" = 'runs on web2 alone, of fleet shop' ]
    [ "$(elsewhere 2)" = '' ]
    edit_site '.version = "1.0.3" | .run_on = {crontab: "web9"}'
    run -8 laptop chillboxctl rollout run -y
    [[ "$output" == *"run_on.crontab: fleet shop has no host 'web9': all, first, once, web1, web2"* ]]
    edit_site '.version = "1.0.4" | .run_on = {crontab: "first"}'
    run -0 laptop chillboxctl rollout run -y
}

@test "another host becomes the first one only when the one that was knows it, or is said to be off [fault-881]" {
    run -0 fleet add web2 --first
    [ "$(seat 1)" = 'shop 3 web1 false' ]
    [ "$(seat 2)" = 'shop 3 web2 true' ]
    [ "$(elsewhere 1)" = 'runs on web2 alone, the first of fleet shop' ]
    away 2
    run -5 fleet add web1 --first
    [[ "$output" == *"web2: "*"until it takes the new roster it is the first host"*"--fenced. Nothing was changed"* ]]
    [ "$(seat 1)" = 'shop 3 web1 false' ]
    run -11 fleet add web1 --first --fenced
    [ "$(seat 1)" = 'shop 4 web1 true' ]
    run -11 fleet status
    [[ "$output" == *'web1 (first)'*'web2'* ]]
    back
    run -11 fleet status
    [[ "$output" == *"its roster is older than the one here: chillboxctl fleet push"* ]]
    run -0 fleet push
    [ "$(seat 2)" = 'shop 4 web2 false' ]
    run -0 fleet status
}

@test "the laptop is killed when the one that was the first has taken the roster: the next command goes on from there [fault-882]" {
    touch "$LAPTOP/kill"
    run fleet add web2 --first
    [ "$status" -eq 137 ]
    [ "$(seat 1)" = 'shop 5 web1 false' ] # nobody is the first one now
    [ "$(seat 2)" = 'shop 4 web2 false' ]
    run -0 fleet rotate
    [ "$(seat 2)" = 'shop 6 web2 true' ]
    run -0 fleet add web1 --first
}

@test "a host that is removed knows it, and runs nothing of what runs once; it is put in again" {
    run -0 fleet remove web2
    [ "$(seat 2)" = 'shop 8  false' ]
    [ "$(elsewhere 2)" = 'runs on web1 alone, the first of fleet shop' ]
    run -3 fleet remove web2
    run -0 fleet add web2 --roles web
    [ "$(seat 2)" = 'shop 9 web2 false' ]
    [ "$(jq -r .roster "$FLEET" | jq -r '.hosts[1].roles | join(",")')" = web ]
}

@test "[attack-G32] what a key signed that is trusted no more does not count: what runs once runs nowhere until it is signed again" {
    on 1 ctl trust remove laptop --keep-live
    [[ "$(seat 1)" == 'shop '*' web1 false' ]]
    [[ "$(elsewhere 1)" == "runs nowhere: the roster of fleet shop: no trusted key "* ]]
    run -11 fleet status
    [[ "$output" == *'web1 (first)'*'no trusted key'* ]]
    box push "$WEB1" "$LAPTOP/me/deployer.pub" /root/deployer.pub
    on 1 ctl trust add /root/deployer.pub --name laptop
    [ "$(elsewhere 1)" = '' ]
    run -0 fleet status
}

@test "no host answers: exit 5, and a row for each" {
    away 2
    sed -i '1i Host web1.example\n    ProxyCommand false' "$LAPTOP/ssh_config"
    run -5 fleet status
    [[ "$output" == *'web1 (first)'*'web2'* ]]
    run -5 fleet rotate
}
