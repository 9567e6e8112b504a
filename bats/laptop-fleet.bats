#!/usr/bin/env bats
# fleet and rollout as the laptop keeps them: the file of the roster, which two people may change at the same time, and that of a rollout. ssh runs the
# command here with the daemon of that name.

# shellcheck disable=SC2154 # $stderr comes from run --separate-stderr

load helpers/cli

setup() {
    cli_setup
    mkdir bin run
    chmod 0700 run
    cat >bin/ssh <<'SH'
#!/bin/sh
# With a file meanwhile, somebody else does what is in it before any host gets a roster: hosts are asked side by side.
while [ "$1" != -- ]; do shift; done
case $3 in
  *"'fleet' 'take'"*) (flock 9; [ ! -e "$WORK/meanwhile" ] || { mv "$WORK/meanwhile" "$WORK/done"; . "$WORK/done"; }) 9>"$WORK/lock" ;;
esac
CHILLBOX_SOCKET=$WORK/${2#*@}.sock; export CHILLBOX_SOCKET
sh -c "$3"
SH
    chmod +x bin/ssh
    export PATH="$PWD/bin:$PATH" WORK=$PWD HOME=$PWD/home XDG_CONFIG_HOME=$PWD/config XDG_STATE_HOME=$PWD/state XDG_RUNTIME_DIR=$PWD/run
    mkdir -p home config/chillbox/hosts state
    chmod -R go= home config state
    KEY_ID=$(chillboxctl keygen -o me --no-password | sed -n 's/^public key  *me.pub  *//p')
    export KEY_ID
    FLEET=config/chillbox/fleet.json
    for name in web1 web2; do
        printf 'ssh = "root@%s"\n' "$name" >"config/chillbox/hosts/$name.toml"
        chmod 0600 "config/chillbox/hosts/$name.toml"
        seat "$name"
        "$FAKE/fake-daemon" "$WORK/$name.sock" "$name.json" "$name.log" 3>&- &
        FAKE_PIDS="${FAKE_PIDS-} $!"
    done
    for name in web1 web2; do for _ in $(seq 100); do [ -S "$name.sock" ] || sleep 0.05; done; done
}
teardown() {
    printf "%s\n" "${output-}"
    cli_teardown
}

# seat HOST [EPOCH DIGEST [ERROR]]: what the host has, and how it answers when it gets a roster
seat() {
    jq -n --arg host "$1" --argjson epoch "${2:-0}" --arg digest "${3-}" --arg error "${4-}" '
        (if $epoch == 0 then null else {fleet: "shop", epoch: $epoch, host: $host, digest: $digest} end) as $seat |
        {facts: {result: {version: "0.1.0", recipient: "age1\($host)", fleet: $seat, deployers: [{name: "me", id: env.KEY_ID}]}},
         status: {result: {host: {version: "0.1.0", sealed: false, fleet: $seat}, sites: []}},
         fleet_take: (if $error == "" then {result: {seat: {fleet: "shop", epoch: ($epoch + 1), host: $host}, changed: true}}
                      else {error: {code: "denied", message: $error}} end)}' >"$1.json.new"
    mv "$1.json.new" "$1.json"
}
fleet() { chillboxctl fleet "$@"; }
change() { fleet "$@" -k me.key; }
digest() { jq -j .roster "$1" | sha256sum | cut -d ' ' -f 1; }
epoch() { jq -r .roster "$1" | jq .epoch; }

@test "a roster that no host would take is not signed, and the file stays as it was [fault-974]" {
    change add web1 --name shop
    was=$(cat "$FLEET")
    seat web1 1 "$(digest "$FLEET")"
    run -2 change add root@c.example
    [[ "$output" == *"'root@c.example' is no name of \`hosts\`"* ]]
    run -1 change add web2 --address WEB2.Example
    [[ "$output" == *"host 'web2': address 'WEB2.Example' is no host name in lower case and no IP address"* ]]
    run -1 change add web2 --roles 'a b'
    cp config/chillbox/hosts/web1.toml config/chillbox/hosts/again.toml
    run -1 change add again
    [[ "$output" == *"two hosts have the same recipient age1web1"* ]]
    [ "$(cat "$FLEET")" = "$was" ]
    [ ! -e "$FLEET.new" ]
    run -0 fleet show
}

@test "of two who change the fleet at the same time one is told so, and keeps what was; the other's change is never signed away [fault-975]" {
    change add web1,web2 --name shop
    for name in web1 web2; do seat "$name" 1 "$(digest "$FLEET")"; done
    cp "$FLEET" theirs.json
    # Kim's roster of epoch 2 comes while ours is being sent.
    change rotate --file theirs.json
    theirs=$(digest theirs.json) refusal='roster: epoch 2 is not newer than epoch 2'
    declare -f seat >meanwhile
    printf 'cp "%s.new" lost.json; for name in web1 web2; do seat $name 2 %s "%s"; done\n' "$FLEET" "$theirs" "$refusal" >>meanwhile
    run -4 change add web2 --roles web
    [[ "$output" == *"2 of 2 hosts did not take it, and "*"/fleet.json is as it was"* ]]
    [ "$(epoch "$FLEET")" = 1 ]
    [ ! -e "$FLEET.new" ]
    run -7 change rotate
    [[ "$output" == *"somebody else changed the fleet; take the file of the one who did"* ]]
    # A file of epoch 2 that no host has, as a laptop kept it before.
    [ "$(epoch lost.json)" = 2 ]
    run -11 fleet status --file "$WORK/lost.json"
    [[ "$output" == *"it has another roster of this epoch: somebody else changed the fleet at the same time"* ]]
    run -7 change rotate --file "$WORK/lost.json"
    [[ "$output" == *"web1 has another roster of epoch 2 of fleet 'shop' than "*": somebody else changed the fleet at the same time"* ]]
    for name in web1 web2; do seat "$name" 2 "$theirs"; done
    run -0 fleet status --file theirs.json
    run -0 change rotate --file theirs.json
    [ "$(epoch theirs.json)" = 3 ]
}

@test "of two rosters of one epoch the one that the first host has counts, and the next change replaces the other one [fault-975]" {
    change add web1,web2 --name shop
    seat web1 1 "$(digest "$FLEET")"
    seat web2 1 "$(printf x | sha256sum | cut -d ' ' -f 1)"
    run -11 fleet status
    run -0 change rotate
    [ "$(epoch "$FLEET")" = 2 ]
    seat web1 2 "$(printf x | sha256sum | cut -d ' ' -f 1)"
    seat web2 2 "$(digest "$FLEET")"
    run -7 change rotate
    seat web2 2 '' # a host of before says no digest
    seat web1 2 ''
    run -0 change rotate
}

@test "fleet status: a host whose site is down answers, and has this roster: exit 0 [fault-1146]; another name than that of the roster is refused [fault-1147]" {
    change add web1,web2 --name shop
    for name in web1 web2; do seat "$name" 1 "$(digest "$FLEET")"; done
    jq '.status.result.sites = [{site: "blog", state: "degraded", version: "1.0.0", waiting: "it does not answer", down: "it does not answer"}]' web2.json >new
    mv new web2.json
    run -1 chillboxctl status -H web2
    run -0 fleet status
    [[ "$output" == *"blog: it does not answer"* ]]
    was=$(cat "$FLEET")
    run -7 change add web1 --name shop2
    [[ "$output" == *"/fleet.json is the roster of fleet 'shop', not of 'shop2': another fleet has a roster of its own, --file FILE"* ]]
    [ "$(cat "$FLEET")" = "$was" ]
}

@test "two changes at once on one laptop: exit 7, and a file in this folder is one like any other" {
    change add web1 --name shop --file here.json
    [ -f here.json ]
    run -7 flock here.json.lock chillboxctl fleet rotate -k me.key --file here.json
    [[ "$output" == *"here.json.lock is held by "* ]]
    run -3 change rotate --file nothing.json
    [ ! -e nothing.json.lock ]
}

@test "a rollout's file that cannot be read is not taken for none: nothing is begun, and it stays [fault-976]" {
    mkdir -p state/chillbox/rollouts hello
    chmod -R go= state
    cd hello
    printf '{"name": "Hello", "server_name": "hello.example", "version": "1.0.0", "services": []}' >hello.site.json
    printf '{"site": "hello", "switching": true' >../state/chillbox/rollouts/hello.json
    was=$(cat ../state/chillbox/rollouts/hello.json)
    for verb in run resume status; do
        run -1 chillboxctl rollout "$verb"
        [[ "$output" == *"/rollouts/hello.json: "* ]]
    done
    [ "$(cat ../state/chillbox/rollouts/hello.json)" = "$was" ]
}
