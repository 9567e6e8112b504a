#!/usr/bin/env bats
# The engine of a fleet: hosts agree by a real etcd of three members on what runs once. web1 and web2 have the site; web3 has nothing to do.

# shellcheck disable=SC2154,SC2030,SC2031 # box_up sets HOST, run sets $stderr

load helpers/box
load helpers/host
load helpers/laptop
load helpers/hosts
load helpers/engine

setup_file() {
    host_possible || return 0
    hosts_up 3
    engine_up
    hello_site '.crontab = ["* * * * * api/note ticked", "* * * * * api/note taken"] | .run_on = {crontab: "once", release_command: "once"}
        | .services[0].release_command = "./note migrated"'
    printf 'host = ["web1", "web2"]\n' >"$LAPTOP/hello/chillbox.toml"
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
    [ -n "${BATS_TEST_COMPLETED-}" ] || members start >/dev/null 2>&1 || : # the next one needs them
}

fleet() { laptop chillboxctl fleet "$@"; }
release() { # VERSION [JQ_FILTER]
    edit_site ".version = \"$1\"${2:+ | $2}"
    laptop chillboxctl rollout run -y
}
courier() { on "$1" in_box pgrep -f '^chillboxd: courier'; }
dialer() { on "$1" in_box pgrep -f '^chillboxd: dialer'; }
engine() { on "$1" json status ".host.engine.$2"; }
reaches() { [ "$(engine "$1" reachable)" = true ]; }
reaches_not() { [ "$(engine "$1" reachable)" = false ]; }
notes() { for note_host in 1 2; do on "$note_host" in_box sh -c 'cat "/var/lib/hello/api/$1" 2>/dev/null' sh "$1" || :; done; }
served() { host_curl -H 'Host: hello.example' "$(box url "$WEB1")/"; }
doctor() { on "$1" in_box chillboxctl doctor --json | jq -r '.checks[] | select(.what == "fleet") | .health + ": " + .text'; }
job_of() { on "$1" ctl job "$(on "$1" json jobs hello '.jobs[0].id')"; }
again() { for again_host; do on "$again_host" in_box rc-service -q chillboxd restart && on "$again_host" unlock; done; }
members() { for k in 1 2 3; do member "$1" "$k" "${@:2}"; done; }
# in_member K CMD...: in the network of member K
in_member() { box net "$WEB1" -- nsenter -t "$(cat "$(member_dir "$1")/space")" -n "${@:2}"; }
switches() { on "$1" in_box sh -c 'cat /proc/"$1"/task/*/status /proc/"$2"/task/*/status | awk "/^voluntary_ctxt/ {n += \$2} END {print n}"' sh "$(courier "$1")" "$(dialer "$1")"; }
ran() { notes "$1" | grep -c . || :; }
followed_member() { etcdctl endpoint status -w json | jq -r '.[] | select(.Status.leader == .Status.header.member_id) | .Endpoint' | sed 's,.*\.1\([123]\):.*,\1,'; }

@test "without [fleet] nothing of it runs, and once is refused by the preflight, with what to do [fault-865]" {
    run -0 fleet add web1,web2,web3 --name shop
    run ! courier 1
    [ "$(engine 1 reachable)" = null ]
    run -8 release 1.0.0
    [[ "$output" == *"run_on.crontab: once: runs nowhere: this host has no engine: chillboxctl fleet init"* ]]
    [[ "$output" == *"(and 1 more)"* ]] # its release_command
}

@test "hosts with [fleet] reach the engine; key, password and certificate are not to be seen [attack-G38]" {
    engine_join 1 2 3
    for host in 1 2 3; do wait_for 20 reaches "$host"; done
    [[ "$(doctor 1)" == 'ok: its engine answers since '* ]]
    password=$(cat "$ENGINE/host/password")
    on 1 add_user mallory
    for file in host.key password; do
        [ "$(on 1 in_box stat -c '%U %a' "/etc/chillbox/fleet/$file")" = 'root 600' ]
        run ! on 1 box run "$WEB1" -u mallory -- cat "/etc/chillbox/fleet/$file"
    done
    run ! on 1 in_box grep -rlaF "$password" /proc/*/cmdline /proc/*/environ /var/lib/chillbox /var/log/chillbox /run/chillbox
    [ "$(user_of "$(courier 1)") $(user_of "$(dialer 1)")" = 'chillbox-courier chillbox-courier' ]
    run ! box run "$WEB1" -u chillbox-courier -- sh -c "cat /proc/$(courier 1)/mem /proc/$(courier 1)/environ"
    [ "$(on 1 in_box readlink "/proc/$(courier 1)/root")" = /run/chillbox/empty ]
}

@test "release_command runs once in the fleet, with a fence; the other host waits for its outcome" {
    run -0 release 1.0.0
    [ "$(notes migrated | wc -l)" -eq 1 ]
    [[ "$(notes migrated)" =~ ^hello/release/1\.0\.0/api\ [0-9]+$ ]]
    run -0 job_of 2
    [[ "$output" == *"release_command of 'api' runs on web1, whose outcome is awaited"* ]]
    run -0 values claims/hello/release/
    [[ "$output" == *'/chillbox/shop/claims/hello/release/1.0.0/api/outcome'* ]]
    # The same version once more: it has run.
    run -0 on 1 ctl restart hello
    [ "$(notes migrated | wc -l)" -eq 1 ]
}

@test "a release_command that fails on one host fails on the other, and is not run there" {
    run ! release 1.0.1 '.services[0].release_command = "./fail"'
    [[ "$output" == *'the table is locked'* ]]
    run ! laptop chillboxctl deploy -H web2 -y
    run -0 job_of 2
    [[ "$output" == *'it failed on web1: '*'ended with code 3'* ]]
    [ "$(served)" = ok ]
}

@test "a claim of a host that died over it is lost: it is not run again [fault-866]" {
    etcdctl put /chillbox/shop/claims/hello/release/1.0.2/api '{"host":"web1","id":"0"}'
    run ! release 1.0.2 '.services[0].release_command = "./note migrated"'
    [[ "$output" == *'it is lost: web1 began it and never said how it ended'* ]]
    [ "$(notes migrated | wc -l)" -eq 1 ]
}

@test "an answer that got lost after the claim was made is asked for again, and the command runs once [fault-867] [case-9]" {
    in_member 1 "$ROOT/tests/host/lossy" "$(member_address 1)" 2378 2379 "$LAPTOP/lose" >/dev/null 2>&1 3>&- &
    on 1 in_box sed -i 's,"https://10.77.0.11:2379",https://10.77.0.11:2378,; s,\[https://10.77.0.11:2378,["https://10.77.0.11:2378",' /etc/chillbox/chillboxd.toml
    again 1
    wait_for 20 reaches 1
    was=$(ran migrated)
    touch "$LAPTOP/lose"
    edit_site '.version = "1.0.3"'
    run -0 laptop chillboxctl deploy -H web1 -y
    rm "$LAPTOP/lose"
    [ -s "$LAPTOP/lose.lost" ]
    [ "$(ran migrated)" -eq $((was + 1)) ]
    [[ "$(values claims/hello/release/1.0.3/api)" == *'"host":"web1"'* ]]
    on 1 in_box sed -i 's,:2378,:2379,' /etc/chillbox/chillboxd.toml
    again 1
}

@test "the member that the others follow is killed: a release goes on with the next one, and nothing is repeated [fault-868] [case-7]" {
    was=$(ran migrated)
    gone=$(followed_member)
    member ended "$gone" KILL
    run -0 release 1.0.4
    [ "$(ran migrated)" -eq $((was + 1)) ]
    member start "$gone"
    member wait "$gone"
}

@test "two of three members gone: what runs once waits and is told of, all else goes on; with one back it works [fault-869] [case-8]" {
    member ended 2 TERM
    member ended 3 KILL
    wait_for 30 reaches_not 1
    [ "$(served)" = ok ]
    [[ "$(doctor 1)" == "fail: no word from the fleet's engine for "*"no majority of the fleet's engine answers"* ]]
    [[ "$(on 1 ctl status)" == *"no word from the fleet's engine"* ]]
    run ! release 1.0.5
    [[ "$output" == *"no majority of the fleet's engine answers"* ]]
    run -0 release 1.0.6 '.run_on.release_command = "first"'
    [ "$(served)" = ok ]
    member start 2
    wait_for 30 reaches 1
    run -0 release 1.0.7 '.run_on.release_command = "once"'
    member start 3
    member wait 3
}

@test "each due time of a crontab runs on one host; what a dead host claimed is not run by another; an idle courier is not woken in 60 s [fault-870]" {
    wait_for 30 reaches 3
    sleep 1
    before=$(switches 3)
    # web9 has claimed the entry for the next three minutes, and died.
    hash=$(printf '* * * * * api/note taken' | sha256sum | cut -c 1-16)
    for minute in 1 2 3; do etcdctl put "/chillbox/shop/claims/hello/cron/$hash/$(date -u -d "+$minute min" +%Y-%m-%dT%H:%MZ)" '{"host":"web9","id":"0"}'; done
    begun=$SECONDS
    ticked=$(ran ticked) taken=$(ran taken)
    wait_for 70 more_than "$ticked"
    sleep $((begun + 60 > SECONDS ? begun + 60 - SECONDS : 0))
    [ "$(switches 3)" -eq "$before" ]
    [ "$(notes ticked | sort | uniq -d)" = '' ]
    [ "$(notes ticked | cut -d ' ' -f 1 | sort | uniq -d)" = '' ]
    [ "$(ran taken)" -eq "$taken" ]
    # What was claimed goes after two weeks, of a release after a year: a lease of etcd's has it.
    for claim in "cron/$(printf '* * * * * api/note ticked' | sha256sum | cut -c 1-16)/ 1209600" 'release/1.0.0/api 31536000'; do
        [ "$(kept "claims/hello/${claim% *}")" -ge $((${claim#* } - 600)) ]
        [ "$(kept "claims/hello/${claim% *}")" -le $((${claim#* } * 17 / 16)) ]
    done
    # What was run is what was claimed.
    while read -r name fence; do
        [[ "$(values "claims/$name")" == *'"host":"web'[12]'"'* ]]
        [ "$fence" -gt 0 ]
    done < <(notes ticked)
    on 1 ctl cron list hello
}
# kept PREFIX: the seconds for which etcd still has the last key below it
kept() {
    lease=$(etcdctl get --prefix "/chillbox/shop/$1" -w fields | sed -n 's/^"Lease" : //p' | tail -n 1)
    etcdctl lease timetolive "$(printf '%x' "$lease")" | sed 's/.*remaining(\([0-9]*\)s).*/\1/'
}
more_than() { [ "$(ran ticked)" -gt "$1" ]; }

@test "the engine is away when an entry is due: it is missed, in the history of each host, and one notice tells of it [fault-871] [case-11]" {
    missed() { [ "$(on "$1" json cron history hello '[.runs[] | select(.state == "skipped" and (.text | startswith("missed: no majority")))] | length')" -gt 0 ]; }
    away() { on "$1" json notices '[.notices[] | select(.event == "fleet.away" and .state == "open")] | length'; }
    ticked=$(ran ticked)
    members ended KILL
    wait_for 150 missed 1
    wait_for 60 missed 2
    [ "$(ran ticked)" -eq "$ticked" ]
    told() { [ "$(away "$1")" -eq 1 ]; }
    for host in 1 2; do wait_for 60 told "$host"; done
    members start
    members wait
    for host in 1 2 3; do wait_for 90 reaches "$host"; done
    told_no_more() { [ "$(away 1)" -eq 0 ]; }
    wait_for 60 told_no_more
}

@test "[attack-G36] a stranger is let in without a certificate of the fleet's authority neither, nor with one and no password" {
    url=https://$(member_address 1):2379/v3/kv/range
    ask() { in_member 1 curl -sS -m 3 "$@" -d '{"key":"AA==","range_end":"AA=="}' "$url"; }
    run ! ask -k
    laptop chillboxctl fleet init "$LAPTOP/stranger" --name shop --members a=10.9.9.9 >/dev/null
    run ! ask -k --cert "$LAPTOP/stranger/host/host.crt" --key "$LAPTOP/stranger/host/host.key"
    run -0 ask --cacert "$ENGINE/ca.crt" --cert "$ENGINE/host/host.crt" --key "$ENGINE/host/host.key"
    [[ "$output" == *'user name is empty'* ]]
    [[ "$output" != *'"kvs"'* ]]
}

@test "[attack-G37] another fleet's user of the same etcd reads and writes none of this one's keys" {
    etcdctl role add other
    etcdctl role grant-permission other --prefix=true readwrite /chillbox/other/
    etcdctl user add other:word
    etcdctl user grant-role other other
    as_other() { box net "$WEB1" -- env ETCDCTL_API=3 "$ETCD/usr/bin/etcdctl" --endpoints "https://$(member_address 1):2379" --cacert "$ENGINE/ca.crt" --cert "$ENGINE/host/host.crt" --key "$ENGINE/host/host.key" --user other:word "$@"; }
    run -0 as_other put /chillbox/other/x 1
    for what in 'get --prefix /chillbox/shop/' 'get --prefix /' 'put /chillbox/shop/claims/x 1' 'del --prefix /chillbox/shop/'; do
        # shellcheck disable=SC2086 # words
        run ! as_other $what
        [[ "$output" == *'permission denied'* ]]
    done
}

@test "[attack-G39] a member that has no certificate of the fleet's authority is not spoken to: it gets no password [fault-872]" {
    cat >"$LAPTOP/false.py" <<'P'
import socket, ssl, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[2] + "/member.crt", sys.argv[2] + "/member.key")
listener = socket.create_server((sys.argv[1], 2377))
while True:
    try:
        with context.wrap_socket(listener.accept()[0], server_side=True) as one:
            print(one.recv(65536), flush=True)
    except OSError as why:
        print(why, flush=True)
P
    in_member 1 python3 "$LAPTOP/false.py" "$(member_address 1)" "$LAPTOP/stranger/members/a" </dev/null >"$LAPTOP/false.log" 2>&1 3>&- &
    on 3 in_box cp /etc/chillbox/chillboxd.toml /root/kept.toml
    on 3 in_box sed -i 's,^endpoints = .*,endpoints = ["https://10.77.0.11:2377"],' /etc/chillbox/chillboxd.toml
    again 3
    told() { [[ "$(engine 3 problem)" == *"its certificate is none of the fleet's"* ]]; }
    wait_for 20 told
    [ -s "$LAPTOP/false.log" ]
    run ! grep -aqF "$(cat "$ENGINE/host/password")" "$LAPTOP/false.log"
    run ! grep -aq POST "$LAPTOP/false.log"
    on 3 in_box cp /root/kept.toml /etc/chillbox/chillboxd.toml
    again 3
    wait_for 20 reaches 3
}

@test "a key that others can read is not used, and said to be so: sites go on [fault-873]" {
    on 3 in_box chmod 0644 /etc/chillbox/fleet/host.key
    again 3
    told() { [[ "$(engine 3 problem)" == *"fleet.key_file: /etc/chillbox/fleet/host.key must be a file of root's alone"* ]]; }
    wait_for 20 told
    run ! courier 3
    on 3 in_box chmod 0600 /etc/chillbox/fleet/host.key
    again 3
    wait_for 20 reaches 3
}

@test "[attack-G35] a courier or a dialer that does what it may not ends by SIGSYS each time, and is started again" {
    [ "$(uname -m)" = x86_64 ] || skip 'tests/host/inject is for x86_64'
    box push "$WEB3" "$ROOT/tests/host/inject" /usr/local/bin/
    another() { now=$("$1" 3 2>/dev/null) && [ "$now" != "$2" ]; }
    for process in courier dialer; do
        for call in open socket execve ptrace fastopen; do # the dialer's socket is none of TCP
            sleep 1.1 # one that lived so long is started again at once
            pid=$("$process" 3)
            on 3 in_box inject "$pid" "$call"
            wait_for 20 another "$process" "$pid"
            wait_for 20 reaches 3
        done
    done
    [ "$(on 3 in_box grep -c 'it ended with code 159 (a forbidden system call)' /var/log/chillbox/chillboxd.log)" -eq 5 ]
    [ "$(on 3 in_box grep -c 'the dialer ended' /var/log/chillbox/chillboxd.log)" -eq 5 ]
    [ "$(served)" = ok ]
}

@test "[attack-G40] no secret, no capability and nothing of an artifact is in the engine" {
    dump=$(etcdctl get --prefix '' -w json | jq -r '.kvs[] | (.key | @base64d) + " " + (.value | @base64d)')
    [[ "$dump" == *claims/hello/cron/* ]]
    run ! grep -F -e "$(cat "$ENGINE/host/password")" -e "$(cat "$LAPTOP/hook.key")" -e "$PASSPHRASE" -e AGE-SECRET -e 'the table is locked' -e 'age-encryption' <<<"$(grep -v /outcome <<<"$dump")"
    # All that there is are claims: who, and an id.
    run ! grep -v '^/chillbox/shop/claims/hello/\(cron\|release\)/[^ ]* {"host":"web[0-9]","id":"[0-9a-f]*"}$\|/outcome \|^/chillbox/other/x 1$' <<<"$dump"
}

@test "[attack-G34] [case-16] who owns the engine deletes and writes whatever he likes: no host changes what is live, nor runs anything else" {
    was=$(on 1 json facts hello .site.release) jobs=$(on 1 json jobs hello '.jobs | length')
    ticked=$(ran ticked)
    etcdctl del --from-key ''
    for key in claims/hello/cron/x claims/hello/release/9.9.9/api orders/hello fleet/x; do
        etcdctl put "/chillbox/shop/$key" "$(head -c 3000 /dev/urandom | base64 -w 0)"
    done
    etcdctl put /chillbox/shop/fleet/x '{"run":"touch /root/owned"}'
    sleep 1
    [ "$(on 1 json facts hello .site.release)" = "$was" ]
    [ "$(on 1 json jobs hello '.jobs | length')" = "$jobs" ]
    [ "$(served)" = ok ]
    reaches 1
    # An outcome that no host signed.
    etcdctl put /chillbox/shop/claims/hello/release/1.0.88/api '{"host":"web2","id":"0"}'
    etcdctl put /chillbox/shop/claims/hello/release/1.0.88/api/outcome ''
    run ! release 1.0.88 '.services[0].release_command = "./note migrated"'
    [[ "$output" == *"outcome of 'web2': "* ]]
    # The same claim again, which was deleted: the version's command has run, and its host knows.
    run -0 release 1.0.8
    [ "$(notes ticked | cut -d ' ' -f 1 | sort | uniq -d)" = '' ]
}

@test "an engine that was restored from an old copy gives no claims, and doctor says how it is to be restored [fault-874] [case-14]" {
    etcdctl_one() { box net "$WEB1" -- env ETCDCTL_API=3 "$ETCD/usr/bin/etcdctl" "$@"; }
    etcdctl snapshot save "$LAPTOP/old.db" 2>/dev/null || etcdctl_one --endpoints "https://$(member_address 1):2379" --cacert "$ENGINE/ca.crt" --cert "$ENGINE/host/host.crt" \
        --key "$ENGINE/host/host.key" --user "root:$(cat "$ENGINE/root.password")" snapshot save "$LAPTOP/old.db"
    for n in 1 2 3 4 5; do etcdctl put /chillbox/shop/fleet/x "$n"; done
    run -0 release 1.0.9
    members ended KILL
    members wipe
    names='. a b c'
    restores=etcdctl # until 3.5
    [ ! -x "$ETCD/usr/bin/etcdutl" ] || restores=etcdutl
    for k in 1 2 3; do
        # shellcheck disable=SC2086 # words
        set -- $names
        shift "$k"
        ETCDCTL_API=3 "$ETCD/usr/bin/$restores" snapshot restore "$LAPTOP/old.db" --name "$1" --data-dir "$(member_dir "$k")/data" --initial-advertise-peer-urls "https://$(member_address "$k"):2380" \
            --initial-cluster "a=https://$(member_address 1):2380,b=https://$(member_address 2):2380,c=https://$(member_address 3):2380"
    done
    members start
    members wait
    back() { [[ "$(doctor 1)" == 'fail: the engine went back in time: '*'--bump-revision 1000000000 --mark-compacted'* ]]; }
    wait_for 90 back
    was=$(ran migrated)
    run ! release 1.0.10
    [[ "$output" == *'the engine went back in time'* ]]
    [ "$(ran migrated)" -eq "$was" ]
    [ "$(served)" = ok ]
}

@test "an engine that was wiped changes nothing; made again, and its fence removed, it works [case-15]" {
    members ended KILL
    members wipe
    members start
    members wait
    [ "$(served)" = ok ]
    PATH="$LAPTOP/engine-bin:$PATH" sh -c "$(grep '^set\|^export\|^etcdctl' "$ENGINE/setup")" >/dev/null
    for host in 1 2; do on "$host" in_box rm -f /var/lib/chillbox/engine.fence; done # a host that never won a claim has none
    again 1 2
    for host in 1 2; do wait_for 90 reaches "$host"; done
    was=$(ran migrated)
    run -0 release 1.0.11
    [ "$(ran migrated)" -eq $((was + 1)) ]
    [[ "$(doctor 1)" == ok:* ]]
    # Due times that are past are claimed by nobody, though the engine has forgotten them.
    [ "$(notes ticked | cut -d ' ' -f 1 | sort | uniq -d)" = '' ]
}
