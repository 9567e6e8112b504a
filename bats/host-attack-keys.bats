#!/usr/bin/env bats
# What keys that were taken away may still do: a deployer's, a webhook sender's, and the capabilities of the jobs that a sender announced.

# shellcheck disable=SC2154,SC2016 # box_up sets HOST; "sh -c" expands in the box

load helpers/box
load helpers/host

setup_file() {
    host_possible || return 0
    host_up
    host_set_up
    mkdir -p "$LAPTOP/ci" "$LAPTOP/noisy"
    ctl webhook add ci --sites hello --all-types 2>/dev/null >"$LAPTOP/ci/hook.key"
    (cd "$LAPTOP" && "$CTL" keygen -q -o thief --no-password)
    box push "$HOST" "$LAPTOP/thief.pub" /root/
    ctl trust add /root/thief.pub --name thief
    secrets 'leaked'
    KEY=thief deploy_as 1.1.0
    deploy_as 1.2.0
    deploy_as 1.3.0
}

teardown_file() { host_down; }
setup() { host_or_skip; }

# deploy_as VERSION: signed by $KEY
deploy_as() {
    make_site "$1"
    send "$(LAPTOP_KEY=${KEY-deployer} pack_with)"
}
pack_with() { "$CTL" pack -q "$LAPTOP/hello" -r "$RECIPIENT" -k "$LAPTOP/$LAPTOP_KEY.key" -o "${OUT:-$LAPTOP/out}"; }
live() { json releases hello '.releases[] | select(.live) | .version'; }
# ordered TYPE DATA [SENDER]: a webhook, and its job's end: the code and the message
ordered() {
    LAPTOP=$LAPTOP/${3:-ci} announce "$1" "$2" >/dev/null
    job=$(jq -r .job "$LAPTOP/${3:-ci}/answer")
    ctl job "$job" -f >/dev/null 2>&1 || : # how it ended is printed next
    json job "$job" '.job | .code + ": " + .message'
}
# edge PYTHON_ARGS...: webhooks by hand on the edge's socket, past NGINX's limits. NAME FIRST COUNT TYPE DATA: prints how often each status came
flood() {
    box push "$HOST" "$LAPTOP/$1/hook.key" /root/flood.key
    in_box python3 - "$@" <<'END'
import base64, collections, hashlib, hmac, json, socket, sys, time
name, first, count, kind, data = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], json.loads(sys.argv[5])
secret = base64.b64decode(open("/root/flood.key").read().strip().removeprefix("whsec_"))
seen, now = collections.Counter(), str(int(time.time()))
def answers(n):
    global rest
    while n:
        head, found, tail = rest.partition(b"\r\n\r\n")
        if not found:
            more = link.recv(65536)
            assert more, "the edge hung up"
            rest += more
            continue
        length = int(next(l for l in head.split(b"\r\n") if l.lower().startswith(b"content-length:")).split(b":")[1])
        while len(tail) < length:
            tail += link.recv(65536)
        seen[head.split()[1].decode()] += 1
        rest, n = tail[length:], n - 1
rest = b""
for i in range(first, first + count):
    if (i - first) % 50 == 0: # the edge ends a connection after some requests
        link = socket.socket(socket.AF_UNIX)
        link.connect("/run/chillbox/hook.sock")
    body = json.dumps({"type": kind, "timestamp": now, "data": data}).encode()
    mac = base64.b64encode(hmac.new(secret, f"{name}-{i}.{now}.".encode() + body, hashlib.sha256).digest()).decode()
    link.sendall((f"POST /v1/hooks HTTP/1.1\r\nHost: h\r\ncontent-type: application/json\r\nwebhook-id: {name}-{i}\r\nwebhook-timestamp: {now}\r\n"
                  f"webhook-signature: v1,{mac}\r\nContent-Length: {len(body)}\r\n\r\n").encode() + body)
    answers(1)
print(" ".join(f"{k}={v}" for k, v in sorted(seen.items())))
END
}

@test "whoever has a webhook key cannot bring back what a removed deployer signed, by name neither [attack-B5]" {
    run -0 ctl trust remove thief
    [[ "$output" == *"thief is no longer trusted"* ]]
    [[ "$(ordered site.rollback '{"site": "hello", "version": "1.1.0"}')" == *"denied: select: release 1.1.0-1 is not started again: the key of 'thief' is not trusted for 'hello' any more"*"there are 1.2.0 "* ]]
    [ "$(get /)" = "hello from 1.3.0" ]
    run -4 ctl rollback hello 1.1.0-1
    # Another key under the same name is another key.
    (cd "$LAPTOP" && "$CTL" keygen -q -o other --no-password)
    box push "$HOST" "$LAPTOP/other.pub" /root/
    ctl trust add /root/other.pub --name thief
    run -4 ctl rollback hello 1.1.0
    ctl trust remove thief
    [ "$(live)" = 1.3.0 ]
}

@test "a held site is not rolled back by webhook, not by what was announced before either; on the host it is said so [attack-B5]" {
    LAPTOP=$LAPTOP/ci announce site.deploy "{\"site\":\"hello\",\"version\":\"9.9.9\",\"sha256\":\"$(printf 'a%.0s' {1..64})\",\"size\":10}" >/dev/null
    waits=$(jq -r .job "$LAPTOP/ci/answer")
    ctl hold hello -m 'a key was stolen'
    LAPTOP=$LAPTOP/ci announce site.rollback '{"site": "hello"}' >/dev/null
    [[ "$(jq -r .error.message "$LAPTOP/ci/answer")" == *"'hello' is held by uid:0 root since "*": a key was stolen"* ]]
    LAPTOP=$LAPTOP/ci announce site.restart '{"site": "hello"}' >/dev/null
    [[ "$(jq -r .error.message "$LAPTOP/ci/answer")" == *"is held by"* ]]
    [ "$(live)" = 1.3.0 ]
    run -7 ctl rollback hello
    [[ "$output" == *"--during-hold rolls back anyway"* ]]
    run -0 ctl rollback hello --during-hold
    [ "$(live)" = 1.2.0 ]
    [ "$(json job "$waits" .job.state)" = cancelled ]
    run -0 ctl rollback hello 1.3.0 --during-hold
    ctl release-hold hello
}

@test "a release that was withdrawn is no target of a rollback, and its artifact is not taken again [attack-B5]" {
    run -0 ctl withdraw hello 1.2.0 -m 'it lets strangers in'
    [ "$(json releases hello '[.releases[] | select(.withdrawn) | .version] | join(" ")')" = 1.2.0 ]
    [[ "$(ctl releases hello)" == *withdrawn*"it lets strangers in"* ]]
    [[ "$(ordered site.rollback '{"site": "hello", "version": "1.2.0"}')" == *"1.2.0 of 'hello' was withdrawn by uid:0 root on "*": it lets strangers in"* ]]
    [[ "$(ordered site.rollback '{"site": "hello"}')" == "denied: select: release 1.1.0-1 is not started again"* ]]
    run -4 send "$LAPTOP/out/hello-1.2.0.tar.zst.age"
    [[ "$output" == *"1.2.0 of 'hello' was withdrawn by uid:0 root"* ]]
    run -3 ctl withdraw hello 7.7.7
    [ "$(live)" = 1.3.0 ]
    [ "$(get /)" = "hello from 1.3.0" ]
    [[ "$(ctl audit -n 20)" == *withdraw* ]]
}

@test "a secret that leaked does not come back with the release that it was live with [attack-B5]" {
    deploy_as 1.4.0
    secrets 'new' # 1.4.0 runs with it, 1.3.0 did not
    run -0 ctl secrets withdraw hello
    [ "$(in_box sh -c 'ls /var/lib/chillbox/secrets | wc -l')" = 1 ]
    run -0 ctl rollback hello 1.3.0
    [[ "$output" == *"was withdrawn"*"the release starts with the set that is in use"* ]]
    [ "$(get /)" = "hello from 1.3.0" ]
    in_box grep -q new /run/chillbox/secrets/hello/api/api.cfg
    run -7 ctl secrets withdraw hello 99999999
    [[ "$output" == *"is in use: deploy a newer one first"* ]]
}

@test "a webhook key that is removed opens nothing from then on, whatever else is wrong in the configuration [attack-C9]" {
    LAPTOP=$LAPTOP/ci announce site.deploy "{\"site\":\"hello\",\"version\":\"9.9.8\",\"sha256\":\"$(printf 'b%.0s' {1..64})\",\"size\":10}" >/dev/null
    job=$(jq -r .job "$LAPTOP/ci/answer")
    place=$(LAPTOP=$LAPTOP/ci link status) artifact=$(LAPTOP=$LAPTOP/ci link artifact)
    [ "$(host_curl -o /dev/null -w '%{http_code}' "$place")" = 200 ]
    in_box sh -c 'echo "nonsense = 1" >>/etc/chillbox/chillboxd.toml; echo whsec_ >/etc/chillbox/webhooks/weak.key'
    run -1 ctl webhook remove ci
    [[ "$output" == *"removed: sender ci"*weak.key* ]]
    LAPTOP=$LAPTOP/ci announce host.ping '{}' >/dev/null
    [ "$(jq -r .error.code "$LAPTOP/ci/answer")" = denied ]
    [ "$(json job "$job" '.job | .state + " " + .code')" = "cancelled denied" ]
    [ "$(host_curl -o /dev/null -w '%{http_code}' "$place")" = 401 ]
    [ "$(host_curl -o /dev/null -w '%{http_code}' -H 'expect:' -T "$LAPTOP/thief.pub" "$artifact")" = 401 ]
    announce host.ping '{}' | grep -q '"job"' # who has nothing to do with it goes on
    in_box rm /etc/chillbox/webhooks/weak.key
    run -1 ctl reload
    [[ "$output" == *"the webhook keys are read as they are"*nonsense* ]]
    in_box sed -i '/nonsense/d' /etc/chillbox/chillboxd.toml
    ctl reload
}

@test "the same by a key file that is removed by hand and SIGHUP [attack-C9]" {
    ctl webhook add ci --sites hello --all-types 2>/dev/null >"$LAPTOP/ci/hook.key"
    LAPTOP=$LAPTOP/ci announce host.ping '{}' | grep -q '"job"'
    in_box sh -c 'echo "nonsense = 1" >>/etc/chillbox/chillboxd.toml; rm /etc/chillbox/webhooks/ci.key; kill -HUP "$(cat /run/openrc/options/chillboxd/child_pid)"'
    gone() { LAPTOP=$LAPTOP/ci announce host.ping '{}' >/dev/null; [ "$(jq -r .error.code "$LAPTOP/ci/answer")" = denied ]; }
    wait_for 5 gone
    in_box sed -i '/nonsense/d' /etc/chillbox/chillboxd.toml
}

@test "one sender's webhooks push out nothing of another's: neither deliveries nor jobs [attack-C10]" {
    ctl webhook add noisy --sites other 2>/dev/null >"$LAPTOP/noisy/hook.key"
    mkdir -p "$LAPTOP/quiet"
    ctl webhook add quiet --sites hello --all-types 2>/dev/null >"$LAPTOP/quiet/hook.key"
    before=$(json jobs hello -n 1000 '[.jobs[].id] | join(" ")')
    [ "$(flood quiet 0 1 host.ping '{}')" = '202=1' ]
    [ "$(flood noisy 0 12500 host.ping '{}')" = '202=12500' ]
    [ "$(json jobs hello -n 1000 '[.jobs[].id] | join(" ")')" = "$before" ]
    in_box python3 -c 'import sqlite3
rows = sqlite3.connect("file:/var/lib/chillbox/state.db?mode=ro", uri=True).execute("SELECT actor, count(*) FROM jobs WHERE kind = ? GROUP BY actor", ("ping",)).fetchall()
rows = dict(rows); print(rows)
assert rows["webhook:quiet"] == 1 and rows["webhook:noisy"] <= 2256, rows'
    # And not the queue: what waits of one leaves room for the others.
    in_box python3 -c 'import sqlite3
assert sqlite3.connect("file:/var/lib/chillbox/state.db?mode=ro", uri=True).execute("SELECT count(*) FROM deliveries WHERE sender = ?", ("quiet",)).fetchone()[0] == 1'
}

@test "a signature that is uploaded replaces none that is good [attack-D1]" {
    digest=$(sha256sum "$LAPTOP/out/hello-1.3.0.tar.zst.age" | cut -d ' ' -f 1)
    size=$(stat -c %s "$LAPTOP/out/hello-1.3.0.tar.zst.age")
    kept() { in_box cat "/var/lib/chillbox/artifacts/$digest.minisig"; }
    before=$(kept)
    (cd "$LAPTOP" && cp out/hello-1.3.0.tar.zst.age.minisig bad.minisig && sed -i '2s/A/B/; 4s/A/B/' bad.minisig)
    LAPTOP=$LAPTOP/quiet announce secrets.update "{\"site\":\"hello\",\"sha256\":\"$digest\",\"size\":$size}" >/dev/null
    host_curl -o /dev/null -H 'expect:' -T "$LAPTOP/bad.minisig" "$(LAPTOP=$LAPTOP/quiet link signature)"
    run ctl job "$(jq -r .job "$LAPTOP/quiet/answer")" -f
    [ "$status" -ne 0 ]
    [ "$(kept)" = "$before" ]
}

@test "what is live of a key that goes is not lost by surprise: its owner chooses [attack-B5]" {
    ctl trust add /root/thief.pub --name thief
    KEY=thief deploy_as 1.5.0
    run -7 ctl trust remove thief
    [[ "$output" == *"'thief' signed what is live: hello 1.5.0. --keep-live keeps it"*"--revoke does not"* ]]
    run -2 ctl trust remove thief --keep-live --revoke
    run -0 ctl trust remove thief --revoke
    [[ "$output" == *"still running: hello 1.5.0"* ]]
    [ "$(get /)" = "hello from 1.5.0" ]
    [[ "$(ctl status)" == *"runs until it is replaced or the host is rebooted: release 1.5.0-"*"chillboxctl trust keep hello"* ]]
    run ctl doctor
    [[ "$output" == *fail*"release 1.5.0-"*"is not started again"* ]]
    run -4 ctl restart hello
    [[ "$output" == *"is not started again: the key of 'thief' is not trusted"* ]]
    in_box rc-service -q chillboxd restart
    ctl ping --wait 20s
    [ "$(get /)" = "hello from 1.5.0" ] # what runs is left alone
}

@test "after a reboot it does not come up: 503, status says why, and trust keep brings it back [attack-B5]" {
    box reboot "$HOST"
    ctl ping --wait 20s
    unlock
    [ "$(json status '.sites[0].state')" = refused ]
    [ "$(code /)" = 503 ]
    [ -z "$(pids_of hello)" ]
    [[ "$(ctl status)" == *"hello is down for visitors: release 1.5.0-"*"is not started again"* ]]
    run -0 ctl trust keep hello
    up() { [ "$(get /)" = "hello from 1.5.0" ]; }
    wait_for 30 up
    [ "$(json status '.sites[0] | .state + .distrust')" = live ]
    run -0 ctl restart hello
    ctl trust add /root/thief.pub --name thief
    run -0 ctl trust remove thief # nothing of it that is live is not kept
}

@test "a deploy that is caught between its checks and its switch by the removal of its key does not switch [attack-B5]" {
    ctl trust add /root/thief.pub --name thief
    make_site 1.6.0
    edit_site '.services[0].release_command = ["sh", "-c", "sleep 4"]'
    artifact=$(LAPTOP_KEY=thief pack_with)
    box net "$HOST" -- "$CTL" deploy "$artifact" --to "$URL" --webhook-key "$LAPTOP/hook.key" --json -q >"$BATS_TEST_TMPDIR/job"
    job=$(jq -r .job "$BATS_TEST_TMPDIR/job")
    building() { [ "$(json job "$job" .job.step)" = build ]; }
    wait_for 60 building
    ctl trust remove thief
    run -4 ctl job "$job" -f
    [[ "$output" == *"the key of 'thief' is not trusted for 'hello' any more"* ]]
    [ "$(get /)" = "hello from 1.5.0" ]
}
