#!/usr/bin/env bats
# Fault cases of a fleet with balancers (tests/fleet/cases): web3 and web4 are balancers for a site of web1 and web2; all four have a real etcd.

# shellcheck disable=SC2154,SC2030,SC2031,SC2016 # box_up sets HOST, run sets $stderr; "sh -c" expands in the box

load helpers/box
load helpers/host
load helpers/laptop
load helpers/hosts
load helpers/engine

FOREIGN=10.77.0.99

setup_file() {
    host_possible || return 0
    hosts_up 4
    engine_up
    hello_site
    printf 'host = ["web1", "web2"]\n' >"$LAPTOP/hello/chillbox.toml"
    cd "$LAPTOP/hello" || return
    fleet add web1 --name shop --address "$(wire_address 1)"
    fleet add web2 --address "$(wire_address 2)"
    for host in 3 4; do fleet add "web$host" --roles balancer; done
    engine_join 1 2 3 4
    laptop chillboxctl rollout run -y
    fleet balance hello --names hello.example
    for host in 1 2; do answers "$host" "web$host"; done
}
teardown_file() { hosts_down; }
setup() {
    host_or_skip
    etcd_or_skip
    HOST=$WEB1
    cd "$LAPTOP/hello" || return
}
teardown() {
    printf "%s\n" "${output-}" "${stderr-}"
}

fleet() { laptop chillboxctl fleet "$@"; }
reaches() { [ "$(on "$1" json status .host.engine.reachable)" = "$2" ]; }
# visit BALANCER [OPTION...]
visit() { box net "$WEB1" -- curl -sS -m 30 -H 'Host: hello.example' "${@:2}" "http://$(wire_address "$1")/"; }
# A visitor whose DNS has both balancers.
visit_any() { box net "$WEB1" -- curl -sS -m 30 --connect-timeout 4 --resolve "hello.example:80:$(wire_address 3),$(wire_address 4)" http://hello.example/; }
# answered BALANCER COUNT: which host answers so often: "web1=3 web2=3"
answered() { for _ in $(seq "$2"); do visit "$1"; done | awk '{ n[$1]++ } END { for (name in n) print name "=" n[name] }' | sort | paste -sd ' '; }
both() { echo "web1=$1 web2=$1"; }
upstreams() { on "$1" in_box cat /etc/nginx/conf.d/chillbox.conf; }

@test "[attack-G63] [case-18] who owns the engine puts foreign addresses into it, in every form: no host and no balancer asks one, nor changes a line of what it serves" {
    for host in 3 4; do wait_for 20 reaches "$host" true; done
    [ "$(answered 3 4) $(answered 4 4)" = "$(both 2) $(both 2)" ]
    "$ROOT/tests/host/member" up "$WEB1" "$LAPTOP/members/foreign" "$FOREIGN" m9
    box net "$WEB1" -- nsenter -t "$(cat "$LAPTOP/members/foreign/space")" -n python3 -ISB -c 'import select, socket, sys
all = [socket.create_server((sys.argv[1], port)) for port in (80, 443, 2379)]
print("listens", flush=True)
while True:
    for one in select.select(all, [], [])[0]: print(one.getsockname(), one.accept()[1], flush=True)' "$FOREIGN" >"$LAPTOP/foreign" 2>&1 3>&- &
    wait_for 10 grep -q listens "$LAPTOP/foreign"
    before=$(for host in 3 4; do upstreams "$host"; done)
    roster=$(jq -c --arg a "$FOREIGN" '.roster |= sub("10.77.0.2"; $a)' "$LAPTOP_HOME/config/chillbox/fleet.json")
    order=$(jq -cn --arg a "$FOREIGN" '{order: ({fleet: "shop", site: "hello", version: "9.9.9", serial: 99, batches: [{hosts: ["web1", $a]}]} | tojson), signature: "x"}')
    for key in fleet fleet/roster roster registry/web2 registry/hello/web2 hosts/web2 endpoints upstreams/hello slots/hello/0 stops/hello/1; do
        etcdctl put "/chillbox/shop/$key" "$roster"
        etcdctl put "/chillbox/shop/$key/address" "$FOREIGN"
    done
    etcdctl put "/chillbox/shop/orders/hello" "$(printf '%020d\n%s' 99 "$order")"
    etcdctl put "/chillbox/shop/reports/hello/$(printf %020d 99)/web2" "$(jq -cn --arg a "$FOREIGN" '{report: ({host: "web2", address: $a, state: "live", seq: 9} | tojson), signature: "x"}')"
    for host in 1 2 3 4; do
        on "$host" in_box rc-service -q chillboxd restart
        on "$host" unlock
        wait_for 20 reaches "$host" true
    done
    wait_for 20 audited 1 'rollout *hello *order: '
    [ "$(for host in 3 4; do upstreams "$host"; done)" = "$before" ]
    [[ "$before" == *10.77.0.2* && "$before" != *"$FOREIGN"* ]]
    [ "$(answered 3 4) $(answered 4 4)" = "$(both 2) $(both 2)" ]
    [ "$(cat "$LAPTOP/foreign")" = listens ]
    for host in 1 2 3 4; do run ! on "$host" in_box grep -rlF "$FOREIGN" /etc/nginx /var/lib/chillbox/fleet.json; done
    box net "$WEB1" -- curl -sS -m 3 "http://$FOREIGN/" || : # it would have been seen
    wait_for 5 grep -q "'$FOREIGN', 80" "$LAPTOP/foreign"
}
audited() { on "$1" ctl audit -n 50 | grep -q -- "$2"; }

@test "a balancer whose courier is cut off or killed keeps its hosts, and still notices one that is gone [case-24]" {
    for k in 1 2 3; do member ended "$k" KILL; done
    for host in 3 4; do wait_for 40 reaches "$host" false; done
    on 4 in_box pkill -KILL -f '^chillboxd: courier'
    [ "$(answered 3 4) $(answered 4 4)" = "$(both 2) $(both 2)" ]
    on 4 in_box rc-service -q chillboxd restart # with nothing to be heard
    run -0 on 4 in_box nginx -t
    [[ "$output" != *warn* ]]
    on 4 in_box nginx -s reload
    evenly() { [ "$(answered 4 4)" = "$(both 2)" ]; } # old and new workers each take turns of their own for a moment
    wait_for 10 evenly
    box cut "$WEB2"
    [ "$(answered 3 6) $(answered 4 6)" = "web1=6 web1=6" ]
    box start "$WEB2"
    on 2 unlock
    back() { [ "$(answered 4 4)" = "$(both 2)" ]; }
    wait_for 40 back
    on 4 unlock
    for k in 1 2 3; do member start "$k"; done
}

@test "a balancer dies: visitors who know both have the other one, and both when it is back; the fleet's own view needs neither [case-24]" {
    [ "$(visit_any | wc -l)" -eq 1 ]
    box cut "$WEB3"
    [ "$(for _ in 1 2 3 4; do visit_any; done | sort | uniq -c | xargs)" = "2 web1 2 web2" ]
    [ "$(answered 4 4)" = "$(both 2)" ]
    edit_site '.version = "1.0.1"'
    run -0 laptop chillboxctl rollout run -y
    [ "$(answered 4 4)" = "$(both 2)" ]
    box start "$WEB3"
    on 3 unlock
    back() { [ "$(answered 3 4)" = "$(both 2)" ]; }
    wait_for 40 back
}

@test "all hosts fail at once: balancers send visitors on, to both, and each gets the host's own answer; when they are well nothing is left of it [case-25]" {
    jobs=$(on 1 json jobs '.jobs | length') release=$(on 1 json facts hello .site.release)
    for host in 1 2; do says "$host" 500; done
    [ "$(answered 3 6) $(answered 4 6)" = "$(both 3) $(both 3)" ]
    [ "$(visit 3 -o /dev/null -w '%{http_code}')" = 500 ]
    run ! on 1 ctl status
    [[ "$output" == *"hello is down for visitors: service 'api': GET / answered 500"* ]]
    [ "$(on 1 json facts hello .site.release) $(on 1 json jobs '.jobs | length')" = "$release $jobs" ]
    for host in 1 2; do says "$host" 200; done
    [ "$(answered 3 6) $(answered 4 6)" = "$(both 3) $(both 3)" ]
}
