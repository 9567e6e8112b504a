#!/usr/bin/env bats
# [fetch] and `deploy --via`: artifacts by a bucket. Against moto, which checks each signature, and against a source that does all wrong.

# shellcheck disable=SC2154,SC2016 # box_up sets HOST; "sh -c" expands in the box

load helpers/box
load helpers/host
load helpers/laptop

setup_file() {
    host_possible || return 0
    host_up
    host_set_up
    laptop_up
    know_host_key
    mkdir "$LAPTOP/source"
    serve sh "$ROOT/tests/hooks/s3" 15555 "$LAPTOP/s3"
    serve python3 "$ROOT/tests/hooks/bad-source" 15556 "$LAPTOP/source" "$LAPTOP/asked"
    export LAPTOP
    (cd "$LAPTOP" && "$CTL" new hello --kind static)
    head -c 300000 /dev/urandom >"$LAPTOP/$(jq -r '"hello/" + (.services[0].root // .services[0].name)' "$LAPTOP/hello/hello.site.json")/blob"
    wait_for 60 test -e "$LAPTOP/s3"
    in_box sh -c 'umask 077; cat >/etc/chillbox/bucket' <<<"$(grep _key= "$LAPTOP/s3")"
    mkdir -p -m 0700 "$LAPTOP_HOME/config" "$LAPTOP_HOME/config/chillbox" "$LAPTOP_HOME/config/chillbox/buckets"
    (umask 077 && grep -v ^bucket "$LAPTOP/s3" >"$LAPTOP_HOME/config/chillbox/buckets/backups")
}
serve() { box net "$HOST" -- "$@" >"$LAPTOP/$(basename "$2").log" 2>&1 3>&- & }

teardown_file() { host_down; }
setup() {
    host_or_skip
    cd "$LAPTOP/hello" || return
    : >"$LAPTOP/asked"
}
teardown() { printf "%s\n" "${output-}" "${stderr-}"; }

# sources URL... : what [fetch] says from now on; WITH has more lines.
sources() {
    {
        printf '[fetch]\nfrom = [%s]\n' "$(printf '"%s", ' "$@")"
        printf '%s\n' "${WITH-private_addresses = true}"
    } >"$LAPTOP/fetch.toml"
    box push "$HOST" "$LAPTOP/fetch.toml" /root/fetch.toml
    in_box sh -c 'cd /etc/chillbox && { sed "/^\[fetch\]/,/^\[/{/^\[notify\]/!d}" chillboxd.toml; cat /root/fetch.toml; } >new.toml && mv new.toml chillboxd.toml'
    in_box chillboxd --check
}
bad() { sources "${@/#/http://127.0.0.1:15556/}"; }
bucket() { WITH=$(printf 'private_addresses = true\ncredentials = "/etc/chillbox/bucket"') sources "http://127.0.0.1:15555/backups${1-/pre}"; }

# packed [VERSION]: an artifact of a new version, in the source under its digest; sets $DIGEST, $SIZE and $VERSION
packed() {
    VERSION=${1-$(next_version)}
    edit_site ".version = \"$VERSION\" | .watch = \"0s\""
    ARTIFACT=$(pack)
    DIGEST=$(sha256sum <"$ARTIFACT" | cut -d ' ' -f 1)
    SIZE=$(stat -c %s "$ARTIFACT")
    cp "$ARTIFACT" "$LAPTOP/source/$DIGEST.age"
    cp "$ARTIFACT.minisig" "$LAPTOP/source/$DIGEST.age.minisig"
}
# announced [JQ_FILTER]: by a webhook; sets $JOB
announced() {
    announce site.deploy "$(jq -cn --arg v "$VERSION" --arg d "$DIGEST" --argjson s "$SIZE" '{site: "hello", version: $v, sha256: $d, size: $s} | '"${1:-.}")"
    JOB=$(jq -r .job "$LAPTOP/answer")
}
state() { json job "$JOB" .job.state; }
is() { [ "$(state)" = "$1" ]; }
events() { ctl job "$JOB" --json | jq -r '.events[].text'; }
live() { json facts hello .site.version; }
nothing_left() { [ -z "$(in_box ls /var/lib/chillbox/inbox)" ] && [ -z "$(pids_of chillbox-fetch)" ]; }
# refused TEXT: the job waits for an upload after it said that; the upload is taken, and makes the site live
refused() {
    wait_for 60 is waiting-upload
    events | grep -F -- "$1"
    nothing_left
    ! in_box test -e "/var/lib/chillbox/artifacts/$DIGEST.age" || false
    send "$ARTIFACT"
    [ "$(live)" = "$VERSION" ]
}

@test "a webhook, and the artifact in a bucket: the host fetches it by its digest alone, and all that it is told of is checked [attack-G22]" {
    bucket
    packed
    announced
    wait_for 60 is waiting-upload # it is not there yet
    events | grep -F '404'
    nothing_left
    packed
    run -0 laptop chillboxctl deploy "$ARTIFACT" --to "$URL" --webhook-key "$LAPTOP/hook.key" --via s3://backups/pre --wait
    [ "$(live)" = "$VERSION" ]
    [[ "$output" != *sent* ]]
    JOB=$(json jobs '.jobs[0].id')
    events | grep -x fetched
    nothing_left
    # In the bucket there are digests, sizes and times, and no word of a site.
    run -0 box net "$HOST" -- "$(sh "$ROOT/tests/hooks/s3-python")" - "$LAPTOP/s3" <<'P'
import boto3, sys
s = dict(line.split("=", 1) for line in open(sys.argv[1]).read().split())
c = boto3.client("s3", endpoint_url=s["url"], region_name="us-east-1", aws_access_key_id=s["access_key"], aws_secret_access_key=s["secret_key"])
for o in c.list_objects_v2(Bucket="backups")["Contents"]: print(o["Key"], c.get_object(Bucket="backups", Key=o["Key"])["Body"].read())
P
    [[ "$output" == *"pre/$DIGEST.age "* ]]
    [[ "$output" != *server_name* ]]
}

@test "deploy --via by ssh: put once, fetched, checked before there is a job, live" {
    bucket
    edit_site ".version = \"$(next_version)\""
    run -0 laptop chillboxctl deploy -k "$LAPTOP/deployer.key" -H root@web1.example --via s3://backups/pre --yes
    [[ "$output" == *'put'*'fetch'*'ok'*'undo: '* ]]
    edit_site '.server_name = "other.example" | .services[0].health.path = "/blob" | .version = "9.9.9" | .domain_list = ["localhost"]'
    jobs=$(json jobs '.jobs | length')
    run laptop chillboxctl deploy -k "$LAPTOP/deployer.key" -H root@web1.example --via s3://backups/elsewhere --yes
    [ "$status" -eq 3 ]
    [[ "$output" == *'not there (404)'* ]]
    [ "$(json jobs '.jobs | length')" = "$jobs" ]
    edit_site '.server_name = "hello.example" | del(.domain_list) | del(.services[0].health)'
}

@test "--via of no address, of a bucket without settings, or with settings that others can read: nothing is put or sent [fault-810]" {
    packed
    for wrong in backups s3:// s3://a/../b 's3://a b' https://x/y s3://.x; do
        run -2 laptop chillboxctl deploy "$ARTIFACT" --to "$URL" --webhook-key "$LAPTOP/hook.key" --via "$wrong"
    done
    run -3 laptop chillboxctl deploy "$ARTIFACT" --to "$URL" --webhook-key "$LAPTOP/hook.key" --via s3://unknown
    [[ "$output" == *'buckets/unknown'* ]]
    chmod 0644 "$LAPTOP_HOME/config/chillbox/buckets/backups"
    run -4 laptop chillboxctl deploy "$ARTIFACT" --to "$URL" --webhook-key "$LAPTOP/hook.key" --via s3://backups
    chmod 0600 "$LAPTOP_HOME/config/chillbox/buckets/backups"
    [ "$(json jobs "[.jobs[] | select(.version == \"$VERSION\")] | length")" = 0 ]
}

@test "what a source refuses is said, the next one is asked, and an upload still makes it live [fault-800] [attack-G23]" {
    bad missing forbidden
    packed
    announced
    refused 'forbidden/'
    bad missing busy
    packed
    announced
    wait_for 60 is done
    events | grep -F '503'
    [ "$(live)" = "$VERSION" ]
}

@test "other bytes, an older artifact or another's signature are not taken: nothing of them is stored [fault-801] [attack-G24]" {
    bad other
    packed
    announced
    refused 'announced was'
    bad ok
    old=$DIGEST
    packed
    cp "$LAPTOP/source/$old.age" "$LAPTOP/source/$DIGEST.age" # a stolen key puts last week's in its place
    cp "$LAPTOP/source/$old.age.minisig" "$LAPTOP/source/$DIGEST.age.minisig"
    announced
    refused 'announced was'
    was=$(live)
    packed
    cp "$LAPTOP/source/$old.age.minisig" "$LAPTOP/source/$DIGEST.age.minisig"
    announced
    wait_for 60 is failed
    bad signature
    packed
    announced
    wait_for 60 is failed
    [ "$(live)" = "$was" ]
}

@test "a body without an end ends where the announced size does, and one that trickles after fetch.timeout [fault-802] [fault-803] [attack-G25]" {
    bad endless
    packed
    announced
    refused "more than the $SIZE bytes"
    WITH=$(printf 'private_addresses = true\ntimeout = "4s"') bad slow
    packed
    started=$SECONDS
    announced
    refused 'no end within'
    [ $((SECONDS - started)) -lt 60 ]
}

@test "what breaks off is continued by Range, or from the start where the source knows none [fault-804]" {
    for kind in cut whole; do
        bad $kind
        packed
        announced
        wait_for 120 is done
        [ "$(live)" = "$VERSION" ]
        nothing_left
    done
    grep -q '/cut/.* bytes=[1-9]' "$LAPTOP/asked"
}

@test "what one source began the next one goes on with; if that was wrong, it begins again [fault-856]" {
    for kind in breaks breaks-other; do
        : >"$LAPTOP/asked"
        packed
        WITH=$(printf 'private_addresses = true\ntimeout = "12s"') bad "$kind" ok
        announced
        wait_for 60 is 'done'
        [ "$(live)" = "$VERSION" ]
        grep "^/ok/$DIGEST.age bytes=$((SIZE / 2))-" "$LAPTOP/asked"
        [ "$(grep -c "^/ok/$DIGEST.age " "$LAPTOP/asked")" -eq "$([ "$kind" = breaks ] && echo 1 || echo 2)" ]
    done
    nothing_left
}

@test "no redirect is followed, and no address that is not of the Internet is asked unless that is allowed; a cloud's own never [fault-805] [fault-806] [attack-G26]" {
    bad redirect
    packed
    announced
    refused 'a redirect is not followed'
    ! grep -q elsewhere "$LAPTOP/asked" || false
    in_box sh -c 'printf "10.1.2.3 rebound.example\n169.254.169.254 meta.example\n127.0.0.1 local.example\n" >>/etc/hosts; ip address add 169.254.169.254/32 dev lo'
    : >"$LAPTOP/asked"
    for name in 127.0.0.1 localhost 0x7f000001 2130706433 local.example rebound.example; do
        WITH='' sources "http://$name:15556/ok"
        packed
        announced
        refused 'which is not asked'
    done
    for name in 169.254.169.254 meta.example; do
        sources "http://$name:15556/ok"
        packed
        announced
        refused 'which is not asked'
    done
    [ ! -s "$LAPTOP/asked" ]
}

@test "with a full disk, or with uploads_max reached, nothing is asked for [fault-807]" {
    bad ok
    packed
    limits() {
        in_box sed -i "s/^\(# \)*reserve_percent = .*/reserve_percent = $1/; s/^\(# \)*uploads_max = .*/uploads_max = \"$2\"/" /etc/chillbox/chillboxd.toml
        ctl upgrade
    }
    limits 50 4G
    announced
    wait_for 60 is waiting-upload
    full=$(events)
    limits 0 1M
    SIZE=1000000
    announced
    wait_for 60 is waiting-upload
    many=$(events)
    limits 5 4G
    [[ "$full" == *'no space on the disk of /var/lib/chillbox'* ]]
    [[ "$many" == *limits.uploads_max* ]]
    [ ! -s "$LAPTOP/asked" ]
}

no_fetcher() { ! in_box pgrep -u chillbox-fetch >/dev/null; }

@test "kill -9 of chillboxd in the middle of a fetch: the fetcher ends with it, and the job fetches it after the start [fault-808]" {
    bad slow
    packed
    announced
    wait_for 30 grep -q /slow/ "$LAPTOP/asked"
    wait_for 30 in_box pgrep -u chillbox-fetch curl
    bad ok # for the next time that it is read
    in_box kill -9 "$(daemon_pid)"
    wait_for 10 no_fetcher
    wait_for 30 ctl ping
    unlock
    wait_for 60 is done
    [ "$(live)" = "$VERSION" ]
    nothing_left
}

@test "credentials that others can read are not used, and a webhook's address is nobody's: only the configuration's are asked [fault-809] [attack-G28]" {
    bucket
    in_box chmod 0644 /etc/chillbox/bucket
    packed
    announced
    refused "root's alone"
    in_box chmod 0600 /etc/chillbox/bucket
    bad missing
    packed
    url=http://127.0.0.1:15556/ok
    announced "(.url, .fetch, .from, .links.artifact, .via) = \"$url\""
    refused '404'
    announce site.deploy "{\"site\":\"hello\",\"version\":\"7.7.7\",\"sha256\":\"../../ok/x\",\"size\":10}"
    [ "$(jq -r .error.code "$LAPTOP/answer")" = invalid ]
    ! grep -q /ok/ "$LAPTOP/asked" || false
}

@test "a fetcher that belongs to whoever answered it sees no site, secret, key or state, keeps no process, and what it wrote is not believed [attack-G27]" {
    in_box sh -c 'mkdir -p /etc/chillbox/hooks.d/fetch; cat >/etc/chillbox/hooks.d/fetch/http; chmod 0755 /etc/chillbox/hooks.d/fetch/http' <<'END'
#!/bin/sh
could=$(cat <&3 | grep -c _key=)
note() { could="$could; $*"; }
for place in /var/lib/chillbox/state.db /var/lib/chillbox/identity.age /srv/chillbox/hello /var/lib/hello /run/chillbox/control.sock /etc/chillbox/webhooks/laptop.key /etc/chillbox/bucket /var/log/chillbox/chillboxd.log; do
    ! cat "$place" >/dev/null 2>&1 || note read "$place"
    ! ls "$place"/* >/dev/null 2>&1 || note listed "$place"
done
for place in /etc/x /usr/lib/chillbox/x /var/lib/chillbox/inbox/x /dev/shm/x; do ! touch "$place" 2>/dev/null || note wrote "$place"; done
[ "$(ls -d /proc/[0-9]* | wc -l)" -lt 10 ] || note processes
for fd in 4 5 6 7 8 9; do ! { true <&$fd; } 2>/dev/null || note "descriptor $fd"; done
setsid sleep 60 &
echo bytes of its own
[ ! -e /usr/lib/chillbox/fails ] || { echo "could: $could; that is all" >&2; exit 1; }
END
    # As root, outside, it can all of that.
    run -0 in_box sh -c 'touch /usr/lib/chillbox/fails; printf "a_key=\nb_key=\n" >/tmp/set; /etc/chillbox/hooks.d/fetch/http 0 3</tmp/set || :; rm -f /usr/lib/chillbox/fails /etc/x /usr/lib/chillbox/x /var/lib/chillbox/inbox/x'
    [[ "$output" == *'read /var/lib/chillbox/state.db; '*'wrote /etc/x'*processes* ]]
    bucket
    packed
    announced
    wait_for 60 is waiting-upload
    events | grep -F 'announced was'
    ! in_box test -e "/var/lib/chillbox/artifacts/$DIGEST.age" || false
    nothing_left
    in_box touch /usr/lib/chillbox/fails
    packed
    announced
    refused 'could: 2; that is all'
    in_box rm -r /etc/chillbox/hooks.d/fetch /usr/lib/chillbox/fails
}
