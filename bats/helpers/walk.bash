# Hosts that walk rollouts with a real engine: load it after helpers/engine.
#
# walk_up [PREPARE]     three hosts with an engine, a roster, and the site hello in $LAPTOP/hello, which is not deployed; PREPARE is called before chillboxd
#                       starts again with its engine
# rules LINE...         [rollout] of chillbox.toml, with by = "hosts"
# new                   the next version, $NEW;  rollout ARG...
# live N; all_live V    what is live on host N;  V is live on all three
# walk_ready            in setup
# slot_of N; no_slot    host N has the slot;  nobody has;  over N  host N hears that the newest rollout has ended
# all_of N SIGNAL       to chillboxd and all its processes of host N
# forget                the laptop does, of a rollout that it does not follow any more
# state N [STATE]       of host N in the newest order, as host 1 hears it; in_state N STATE
# ordered               the site's newest order as it is in the engine, %020d and all;  report N  the same of a report

# shellcheck disable=SC2154 # box_up sets HOST

walk_up() {
    hosts_up 3
    engine_up
    hello_site
    laptop chillboxctl fleet add web1,web2,web3 --name shop
    ${1:+"$1"}
    engine_join 1 2 3
}

walk_ready() {
    host_or_skip
    etcd_or_skip
    HOST=$WEB1
    cd "$LAPTOP/hello" || return
    rules
}
rules() { printf 'host = ["web1", "web2", "web3"]\n[rollout]\nby = "hosts"\n' >"$LAPTOP/hello/chillbox.toml" && printf '%s\n' "$@" >>"$LAPTOP/hello/chillbox.toml"; }
new() {
    NEW=$(next_version)
    edit_site ".version = \"$NEW\""
}
rollout() { laptop chillboxctl rollout "$@"; }
live() { on "$1" json facts hello .site.version; }
all_live() { [ "$(live 1) $(live 2) $(live 3)" = "$1 $1 $1" ]; }
state() { on 1 ctl rollout reports hello --json | jq -r ".rollouts[0].hosts[] | select(.host == \"web$1\").state"; }
in_state() { [ "$(state "$1")" = "$2" ]; }
jobs_of() { on "$1" json jobs '.jobs | length'; }
value_of() { etcdctl get --print-value-only "/chillbox/shop/$1"; }
audited() { on "$1" ctl audit -n 50 | grep -q -- "$2"; }
slot_of() { [[ "$(value_of slots/hello/0)" == "web$1 "* ]]; }
no_slot() { [ -z "$(value_of slots/hello/0)" ]; }
over() { on "$1" ctl rollout reports hello --json | jq -e '.rollouts[0].ended' >/dev/null; }
all_of() { on "$1" in_box sh -c 'kill -"$1" $(pgrep -f "^(/usr/(s)?bin/)?chillboxd")' sh "$2"; }
forget() { rm -f "$LAPTOP_HOME/state/chillbox/rollouts/hello.json"; }
