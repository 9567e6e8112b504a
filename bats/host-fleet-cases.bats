#!/usr/bin/env bats
# Fault cases of a fleet (tests/fleet/cases): hosts that die, sleep or have a wrong clock while they walk a rollout or run what runs once, a bucket that
# does all wrong, and a failure of all hosts at once. Three hosts with a real etcd; each has a clock of its own for chillboxd, and failpoints.

# shellcheck disable=SC2154,SC2030,SC2031,SC2016 # box_up sets HOST, run sets $stderr; "sh -c" expands in the box

load helpers/box
load helpers/host
load helpers/laptop
load helpers/hosts
load helpers/engine
load helpers/walk

setup_file() {
    host_possible && preloads || return 0
    BUILD=$(cd "$BATS_TEST_DIRNAME/.." && cd "${BUILD:-build}" && pwd)
    export BUILD
    make -s -C "$BATS_TEST_DIRNAME/.." BUILD="$BUILD" "$BUILD/fleet-clock.so" "$BUILD/crash-failpoint.so" >&2
    walk_up seams
    edit_site '.watch = "2s" | .crontab = ["* * * * * api/note ticked"] | .run_on = {crontab: "once"}'
    rules
    new
    (cd "$LAPTOP/hello" && rollout run -y)
    box net "$WEB1" -- sh "$ROOT/tests/hooks/s3" 15555 "$LAPTOP/s3" 10.77.0.1 >"$LAPTOP/s3.log" 2>&1 3>&- &
    mkdir -p "$LAPTOP/source"
    box net "$WEB1" -- python3 "$ROOT/tests/hooks/bad-source" 15556 "$LAPTOP/source" "$LAPTOP/asked" >/dev/null 2>&1 3>&- &
    mkdir -p -m 0700 "$LAPTOP_HOME/config/chillbox/buckets"
    wait_for 60 test -e "$LAPTOP/s3"
    (umask 077 && grep -v ^bucket "$LAPTOP/s3" >"$LAPTOP_HOME/config/chillbox/buckets/backups")
}
seams() {
    for web_box in $WEB_BOXES; do
        box push "$web_box" "$BUILD/fleet-clock.so" "$BUILD/crash-failpoint.so" /root/
        box run "$web_box" -- sh -c 'head -c 8 /dev/zero >/root/clock
            printf "%s\n" "[ -e /run/failpoints ] || head -c 4096 /dev/zero >/run/failpoints" \
                "export CHILLBOX_CLOCK=/root/clock CHILLBOX_FAILPOINTS=/run/failpoints LD_PRELOAD=/root/fleet-clock.so:/root/crash-failpoint.so" >>/etc/conf.d/chillboxd'
    done
}
teardown_file() { hosts_down; }
# A static program has its C library inside.
preloads() { [ -z "${BOX_ROOTFS-}" ]; }
setup() {
    preloads || skip "what runs on a given root is static: nothing is preloaded there"
    walk_ready
    forget
}
teardown() {
    printf "%s\n" "${output-}" "${stderr-}"
    [ -n "${BATS_TEST_COMPLETED-}" ] || for host in 1 2 3; do on "$host" ctl cron history hello || :; done
    [ -n "${BATS_TEST_COMPLETED-}" ] || { box start "$WEB2" && on 2 unlock; } || : # the next one needs it
    for host in 1 2 3; do
        all_of "$host" CONT || :
        slow "$host" 0
        says "$host" 200
        clock "$host" 0
    done
}

lease_ended() { etcdctl lease revoke "$(printf %x "$(etcdctl get /chillbox/shop/slots/hello/0 -w json | grep -o '"lease":[0-9]*' | tr -dc 0-9)")"; }

# clock N AHEAD: the clock of chillboxd of host N, in seconds
clock() {
    on "$1" in_box python3 -c 'import struct, sys
with open("/root/clock", "r+b") as file: file.write(struct.pack("<q", int(sys.argv[1])))' "$2"
}
# Each host has its clock right, and no due time in mind but the next one.
set_right() {
    for host in 1 2 3; do
        clock "$host" 0
        on "$host" in_box rc-service -q chillboxd restart
        on "$host" unlock
    done
}
# looks N...: a clock that was set is seen at once, as where the kernel tells of it
looks() { for look_host; do on "$look_host" ctl run hello -- true; done; }
# $ahead seconds must a clock be ahead so that a minute begins in 8 s which was due in no test before: $due, as a claim has it.
come_due() {
    now=$(date +%s) last=$(cat "$LAPTOP/due" 2>/dev/null || echo 0)
    ahead=$(((112 - now % 60) % 60))
    while [ $((now + ahead)) -le "$last" ]; do ahead=$((ahead + 60)); done
    echo $((now + ahead + 68)) >"$LAPTOP/due" # and the minute after it
    due=$(date -u -d "@$((now + ahead + 8))" +%Y-%m-%dT%H:%MZ)
}
ticks() { for tick_host in 1 2 3; do on "$tick_host" in_box sh -c 'cat /var/lib/hello/api/ticked 2>/dev/null || :'; done; }
ticks_of() { ticks | grep -c "/$1 " || :; }
ran() { [ "$(ticks_of "$1")" -ge 1 ]; }
state_of_run() { on "$1" json cron history hello "[.runs[] | select(.state == \"$2\" and (.text | test(\"$3\")))] | length"; }
has_run() { [ "$(state_of_run "$@")" -gt 0 ]; }

@test "a host dies while it has the slot: its lease ends and not before, no other host begins, and the rollout ends at its deadline [case-5]" {
    was=$(live 3)
    rules 'deadline = "75s"'
    new
    slow 2 5
    rollout run -y --detach
    wait_for 60 slot_of 2
    holder=$(value_of slots/hello/0)
    box cut "$WEB2"
    sleep 40
    [ "$(value_of slots/hello/0)" = "$holder" ]
    wait_for 40 no_slot
    in_state 3 staged
    ends() { [[ "$(on 1 ctl rollout reports hello)" == *web1*'done'*web2*begun*web3*'the deadline passed before its turn'* ]]; }
    wait_for 40 ends
    [ "$(live 1) $(live 3)" = "$NEW $was" ]
    box start "$WEB2"
    on 2 unlock
    wait_for 30 in_state 2 outside
    slow 2 0
    forget
    new
    run -0 rollout run -y
    all_live "$NEW"
}

@test "a host sleeps beyond its lease and wakes while another has the slot: its report is refused, it ends its job, takes no further step and is outside [case-6]" {
    rules 'batch = 2'
    new
    slow 2 5
    slow 3 5
    rollout run -y --detach
    either() { slot_of 2 || slot_of 3; }
    wait_for 60 either
    asleep=2 other=3
    slot_of 2 || asleep=3 other=2
    all_of "$asleep" STOP
    lease_ended
    wait_for 20 slot_of "$other"
    all_of "$other" STOP # it has its lease for a minute
    all_of "$asleep" CONT
    wait_for 30 in_state "$asleep" outside
    all_of "$other" CONT
    run -0 on 1 ctl rollout reports hello
    [[ "$output" == *"web$asleep"*'its slot was taken away before it was through'* ]]
    [ "$(live "$asleep")" = "$NEW" ]
    jobs=$(jobs_of "$asleep")
    wait_for 30 in_state "$other" 'done'
    [ "$(jobs_of "$asleep")" = "$jobs" ]
    no_slot
    slow 2 0
    slow 3 0
    forget
    new
    run -0 rollout run -y
    all_live "$NEW"
}

# sources N SOURCE...: where host N fetches from: 15555, the bucket; 15557, the same by what ignores conditions; a word: what does that wrong
sources() {
    for kind in "${@:2}"; do
        case $kind in 1555[57]) printf '"http://10.77.0.1:%s/backups/pre", ' "$kind" ;; *) printf '"http://10.77.0.1:15556/%s", ' "$kind" ;; esac
    done >"$LAPTOP/sources"
    grep _key= "$LAPTOP/s3" | on "$1" in_box sh -c 'umask 077; cat >/etc/chillbox/bucket
        cd /etc/chillbox && { sed "/^\[fetch\]/d; /^from = \[/d; /^credentials = /d; /^private_addresses = /d; /^timeout = \"9s\"/d" chillboxd.toml
            printf "[fetch]\nfrom = [%s]\ncredentials = \"/etc/chillbox/bucket\"\nprivate_addresses = true\ntimeout = \"9s\"\n" "$1"; } >new.toml && mv new.toml chillboxd.toml && chillboxd --check' sh "$(cat "$LAPTOP/sources")"
}

@test "a host fetches other bytes, half of them, or an answer without end: each is dropped and the next one asked; then it has no part in the rollout, and the others keep theirs [case-20] [fault-911]" {
    was=$(live 3)
    for host in 1 2; do sources "$host" 15555; done
    sources 3 15555
    rules 'via = "s3://backups/pre"' 'bake = "2s"' 'deadline = "25s"'
    head -c 300000 /dev/urandom >api/blob
    new
    on 3 in_box pkill -STOP -f '^chillboxd: courier' # it hears of the order when it has lost the file
    rollout run -y >said 2>&1 &
    wait_for 60 grep -q ordered said
    digest=$(value_of orders/hello | tail -n +2 | jq -r '.order | fromjson | .sha256')
    box pull "$WEB1" "/var/lib/chillbox/artifacts/$digest.age" "$LAPTOP/source/$digest.age"
    on 3 in_box rm "/var/lib/chillbox/artifacts/$digest.age"
    sources 3 other half endless
    on 3 in_box pkill -CONT -f '^chillboxd: courier'
    status=0
    wait $! || status=$?
    cat said
    [ "$status" -eq 11 ]
    [ "$(live 1) $(live 2) $(live 3)" = "$NEW $NEW $was" ]
    grep -q "^web3 .*http://10.77.0.1:15556/other/$digest.age: sha256 is .*, announced was $digest$" said
    for kind in other half endless; do grep -q "^/$kind/$digest.age" "$LAPTOP/asked"; done
    nothing_left() { [ -z "$(on 3 in_box sh -c 'cd /var/lib/chillbox && ls inbox && ls artifacts | grep "$1"' sh "$digest")" ]; }
    wait_for 20 nothing_left # a try may be under way
    # The next source is asked, though the one before takes all the time that it gets.
    sources 3 half 15555
    rules 'via = "s3://backups/pre"'
    new
    run -0 rollout run -y
    all_live "$NEW"
}

# dies_at N NAME: the monitor of host N, when it touches a file of that name next
dies_at() {
    on "$1" in_box python3 -c 'import struct, sys
with open("/run/failpoints", "r+b") as file:
    file.seek(544); file.write(sys.argv[1].encode())
    file.seek(0); file.write(struct.pack("<QQ", 1, 0))' "$2"
}

@test "a bucket ignores conditions of requests: none are made, and what somebody put under a digest in between is not taken, and put again [case-21]" {
    box net "$WEB1" -- python3 "$ROOT/tests/hooks/no-conditions" 10.77.0.1 15557 15555 "$LAPTOP/conditions" >/dev/null 2>&1 3>&- &
    sed -i 's/:15555/:15557/' "$LAPTOP_HOME/config/chillbox/buckets/backups"
    new
    deploys() { laptop chillboxctl deploy -H web2 -y --via s3://backups/pre; }
    sources 2 missing
    run ! deploys
    put=$(sed -n 's,^PUT /backups/\(pre/[0-9a-f]*\.age\) $,\1,p' "$LAPTOP/conditions")
    [ -n "$put" ]
    run -0 box net "$WEB1" -- "$(sh "$ROOT/tests/hooks/s3-python")" - "$LAPTOP/s3" "$put" <<'P'
import boto3, sys
s = dict(line.split("=", 1) for line in open(sys.argv[1]).read().split())
client = boto3.client("s3", endpoint_url=s["url"], region_name="us-east-1", aws_access_key_id=s["access_key"], aws_secret_access_key=s["secret_key"])
client.put_object(Bucket="backups", Key=sys.argv[2], Body=b"of somebody else")
P
    sources 2 15557
    run -0 deploys
    [ "$(live 2)" = "$NEW" ]
    run ! grep '{' "$LAPTOP/conditions"
    [ "$(grep -c "^PUT /backups/$put \$" "$LAPTOP/conditions")" -eq 2 ]
}

@test "all hosts fail their health checks at once: the one that just got a release has its old one again and says so, what was live before stays live [case-25]" {
    was=$(lives) jobs=$(jobs_of 2)
    edit_site '.watch = "20s"'
    new
    rollout run -y >said 2>&1 &
    wait_for 60 is_live 1 "$NEW"
    for host in 1 2 3; do says "$host" 500; done
    status=0
    wait $! || status=$?
    cat said
    edit_site '.watch = "2s"'
    [ "$status" -eq 9 ]
    [ "$(lives)" = "$was" ]
    [ "$(jobs_of 2)" = "$jobs" ]
    [ "$(on 1 json notices '[.notices[] | select(.event == "deploy.rolled_back" and .state == "open")] | length')" -eq 1 ]
    # Outside of a rollout nothing watches: it is shown, and nobody changes anything.
    jobs=$(jobs_of 1)
    sleep 4
    for host in 1 2 3; do
        run ! on "$host" ctl status
        [[ "$output" == *"hello is down for visitors: service 'api': GET / answered 500"* ]]
        [ "$(box net "$WEB1" -- curl -sS -H 'Host: hello.example' -o /dev/null -w '%{http_code}' "http://$(wire_address "$host")/")" = 500 ] # its own word
    done
    [ "$(lives)" = "$was" ]
    [ "$(jobs_of 1)" = "$jobs" ]
}
lives() { echo "$(live 1) $(live 2) $(live 3)"; }
is_live() { [ "$(live "$1")" = "$2" ]; }

@test "a host has the claim of a due time and dies before its command starts: the run is lost there, and no other host repeats it [case-10]" {
    set_right
    come_due
    clock 1 "$ahead"
    clock 2 $((ahead - 12))
    clock 3 $((ahead - 12))
    before=$(on 1 daemon_pid)
    looks 1 2 3
    sleep 1 # a minute that its clock jumped over is claimed at once
    dies_at 1 engine.fence # which it writes when it has a claim
    died() { [ "$(on 1 daemon_pid)" != "$before" ] && on 1 ctl ping >/dev/null 2>&1; }
    wait_for 30 died
    [[ "$(values claims/hello/cron/)" == *"/$due"$'\n''{"host":"web1"'* ]]
    on 1 unlock
    wait_for 20 has_run 1 lost ''
    sleep 15 # it has been due on the others
    [ "$(ticks_of "$due")" -eq 0 ]
}

@test "the clocks of hosts differ by 90 s: the early one runs what is due, the late one finds it taken; by more than five minutes: doctor says that nothing runs once there [case-12]" {
    set_right
    come_due
    clock 1 "$ahead"
    clock 2 $((ahead - 90))
    clock 3 $((ahead - 90))
    looks 1 2 3
    wait_for 20 ran "$due"
    on 1 in_box grep -q "/$due " /var/lib/hello/api/ticked
    # As if 82 s had passed.
    clock 1 $((ahead + 82))
    clock 2 $((ahead - 8))
    clock 3 $((ahead - 8))
    looks 1 2 3
    sleep 12
    [ "$(ticks_of "$due")" -eq 1 ]
    clock 3 $((360 + (114 - $(date +%s) % 60) % 60))
    looks 3
    wait_for 20 has_run 3 skipped 'missed: the clock of this host is [34][0-9]* s ahead of the fleet'
    run ! on 3 ctl doctor
    [[ "$output" == *"this host's clock is "*" s ahead of that of the fleet's engine: what runs once does not run here"* ]]
    [ -z "$(ticks | cut -d " " -f 1 | sort | uniq -d)" ]
}

@test "the clocks of all hosts are set back, and the same minute comes twice: it has run once [case-13]" {
    set_right
    come_due
    for host in 1 2 3; do clock "$host" "$ahead"; done
    looks 1 2 3
    wait_for 20 ran "$due"
    for shift in -65 -5; do
        for host in 1 2 3; do clock "$host" $((ahead + shift)); done
        looks 1 2 3
    done
    sleep 10
    [ "$(ticks_of "$due")" -eq 1 ]
    [ -z "$(ticks | cut -d " " -f 1 | sort | uniq -d)" ]
}
