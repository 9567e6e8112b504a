#!/usr/bin/env bats
# rollout run, resume, status, stop: one site to two hosts by real ssh, from a laptop that is killed, with hosts that are locked, away or ill.

# shellcheck disable=SC2154,SC2030,SC2031 # box_up sets HOST, run sets $stderr

load helpers/box
load helpers/host
load helpers/laptop
load helpers/hosts

FIRST=10.77.0.1

setup_file() {
    host_possible || return 0
    hosts_up 3
    hello_site
}
teardown_file() { hosts_down; }
setup() {
    host_or_skip
    HOST=$WEB1
    STATE=$LAPTOP_HOME/state/chillbox/rollouts/hello.json
    cd "$LAPTOP/hello" || return
    rm -f "$STATE"
    rules
}
teardown() {
    printf "%s\n" "${output-}" "${stderr-}"
    back
    says 2 200
}

rules() { printf 'host = ["web1", "web2"]\n[rollout]\n' >chillbox.toml && printf '%s\n' "$@" >>chillbox.toml; }
new() { # sets $NEW
    NEW=$(next_version)
    edit_site ".version = \"$NEW\""
}
rollout() { laptop chillboxctl rollout "$@"; }
live() { HOST=$1 json facts hello .site.version; }
both_begun() { is 0 begun && is 1 begun; }
both() { [ "$(live "$WEB1") $(live "$WEB2")" = "$1 $2" ]; }
jobs_of() { HOST=$1 json jobs '.jobs | length'; }
# is N STATE...: host N of the state file is in one of them
is() { for state in "${@:2}"; do [ "$(jq -r ".hosts[$1].state" "$STATE" 2>/dev/null)" != "$state" ] || return 0; done; return 1; }

@test "all hosts have it staged before the first one switches; then one after the other, and the table says so" {
    rules 'drain = "1s"' # nothing is live yet: nobody is sent elsewhere
    new
    run -0 rollout run -y
    both "$NEW" "$NEW"
    [[ "$output" == *'staged'*'web2'*'staged'*"hello $NEW: ended"* ]]
    run -0 rollout status --json
    [ "$(jq -r '[.schema, .phase, (.hosts[] | .host + "=" + .state)] | join(" ")' <<<"$output")" = 'chillbox.rollout.v1 ended web1=done web2=done' ]
    # Both took the same artifact.
    [ "$(on 1 json facts hello .site.sha256)" = "$(on 2 json facts hello .site.sha256)" ]
    run -7 rollout resume
    run -7 rollout stop
}

@test "[fault-1233] if the connection breaks while a host gets the artifact, another one is opened, and the upload continues" {
    new
    head -c 300000 /dev/urandom >api/noise
    echo 200000 2 >"$LAPTOP/cut" # after each host was looked at
    run -0 --separate-stderr rollout run -y
    [ ! -e "$LAPTOP/cut" ]
    [[ "$stderr" == *'trying again'*'staged'* ]]
    both "$NEW" "$NEW"
    rm api/noise
}

@test "one host is locked, or would refuse it, or is not there: nothing is changed on any, and no job is made" {
    was=$(live "$WEB1") jobs=$(jobs_of "$WEB1")
    new
    on 2 ctl lock
    run -6 rollout run -y
    [[ "$output" == *'web2 is locked'* ]]
    on 2 unlock
    on 2 ctl hold hello -m 'not now'
    run -7 rollout run -y
    on 2 ctl release-hold hello
    away 2
    run -5 rollout run -y
    back
    both "$was" "$was"
    [ "$(jobs_of "$WEB1")" = "$jobs" ]
    run -7 rollout resume
    [[ "$output" == *'nothing was changed on any host yet'* ]]
}

@test "the canary fails: exit 9, and no other host is touched" {
    was=$(live "$WEB1") jobs=$(jobs_of "$WEB1")
    printf 'host = ["web2", "web1"]\n' >chillbox.toml
    says 2 500
    new
    run -9 rollout run -y
    both "$was" "$was"
    [ "$(jobs_of "$WEB1")" = "$jobs" ]
    [[ "$output" == *'all hosts have what they had'* ]]
}

@test "the second one fails: exit 11 and a report of each; with on_failure = rollback each is back at its own last release: exit 10" {
    was=$(live "$WEB1")
    says 2 500
    new
    rules 'on_failure = "rollback"'
    run -10 rollout run -y
    both "$was" "$was"
    [[ "$output" == *'web1'*'rolled_back'*'web2'*'failed'* ]]
    new
    rules
    run -11 rollout run -y
    both "$NEW" "$was"
    [[ "$output" == *"1 of 2 hosts have $NEW"* ]]
    says 2 200
    new
    run -0 rollout run -y
    both "$NEW" "$NEW"
}

@test "a host that goes away after it was staged: it failed, and the fleet goes back" {
    was=$(live "$WEB1")
    rules 'on_failure = "rollback"' 'bake = "6s"'
    new
    rollout run -y >said 2>&1 &
    wait_for 60 is 0 done
    away 2
    status=0
    wait $! || status=$?
    cat said
    [ "$status" -eq 10 ]
    back
    both "$was" "$was"
}

@test "kill -9 of the laptop at each step, and resume goes on from there to the end" {
    rules 'bake = "3s"' 'drain = "1s"'
    for step in '0 begun' '0 done' '1 begun'; do
        new
        rm -f pid "$STATE"
        laptop sh -c 'echo $$ >pid; exec chillboxctl rollout run -y' >said 2>&1 &
        # shellcheck disable=SC2086 # two words
        wait_for 90 is $step
        kill -9 "$(cat pid)"
        wait $! || :
        run -0 rollout status
        [[ "$output" == *switching* ]]
        run -7 rollout run -y
        run -0 rollout resume
        both "$NEW" "$NEW"
        [[ "$(on 1 json status '.sites[0].drained') $(on 2 json status '.sites[0].drained')" == 'false false' ]]
    done
    on 2 ctl audit | grep -q 'undrain  *hello'
}

@test "rollout stop lets no further host begin, and resume continues it; two at once: exit 7" {
    was=$(live "$WEB2")
    rules 'bake = "20s"'
    new
    rollout run -y >said 2>&1 &
    wait_for 60 is 0 done
    run -7 rollout resume
    run -0 rollout stop
    status=0
    wait $! || status=$?
    cat said
    [ "$status" -eq 11 ]
    both "$NEW" "$was"
    rules
    run -0 rollout resume
    both "$NEW" "$NEW"
}

@test "three hosts: the canary, then two at once of which one fails, and all three are back at what they had" {
    new
    run -0 rollout run -H web1,web2,web3 -y
    both "$NEW" "$NEW"
    was=$NEW
    [ "$(live "$WEB3")" = "$was" ]
    rules 'batch = 2' 'max_unavailable = 2' 'on_failure = "rollback"'
    says 2 500
    new
    run -10 rollout run -H web1,web2,web3 -y
    both "$was" "$was"
    [ "$(live "$WEB3")" = "$was" ]
    run -0 rollout status --json
    [ "$(jq -r '[.hosts[] | .host + "=" + .state] | join(" ")' <<<"$output")" = 'web1=rolled_back web2=failed web3=rolled_back' ]
}

@test "by a bucket: put once for both, fetched by each; with max_unavailable = 2 both switch at once, drained meanwhile" {
    box net "$WEB1" -- sh "$ROOT/tests/hooks/s3" 15555 "$LAPTOP/s3" "$FIRST" >"$LAPTOP/s3.log" 2>&1 3>&- &
    wait_for 60 test -e "$LAPTOP/s3"
    mkdir -p -m 0700 "$LAPTOP_HOME/config/chillbox/buckets"
    (umask 077 && grep -v ^bucket "$LAPTOP/s3" >"$LAPTOP_HOME/config/chillbox/buckets/backups")
    for host in "$WEB1" "$WEB2"; do
        grep _key= "$LAPTOP/s3" | box run "$host" -- sh -c 'umask 077; cat >/etc/chillbox/bucket
            printf "[fetch]\nfrom = [\"http://%s:15555/backups/pre\"]\ncredentials = \"/etc/chillbox/bucket\"\nprivate_addresses = true\n" "$1" >/tmp/fetch
            cd /etc/chillbox && sed -i "/^\[fetch\]/d" chillboxd.toml && cat /tmp/fetch >>chillboxd.toml && chillboxd --check' sh "$FIRST"
    done
    rules 'via = "s3://backups/pre"' 'canary = 2' 'max_unavailable = 2' 'drain = "1s"'
    new
    head -c 200000 /dev/urandom >api/blob
    rollout run -y >said 2>&1 &
    wait_for 90 both_begun
    wait $!
    both "$NEW" "$NEW"
    [ "$(grep -c '^bucket .* put$' said)" -eq 1 ]
    [ "$(grep -c '^fetch .*ok$' said)" -eq 2 ]
    for host in "$WEB1" "$WEB2"; do HOST=$host ctl audit | grep -q 'prepare_fetch  *hello'; done
}
