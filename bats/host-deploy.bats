#!/usr/bin/env bats
# The main story: from a signed webhook on the laptop to a live Flask site, and everything that is refused on the way.

# shellcheck disable=SC2154,SC2016 # box_up sets HOST; "sh -c" expands in the box

load helpers/box
load helpers/host

setup_file() {
    host_possible || return 0
    host_up
    host_set_up
    WEB=$(in_box stat -c %G /run/chillbox/hook.sock) # NGINX's user and group: www-data, nginx
    export WEB
}

teardown_file() { host_down; }
setup() { host_or_skip; }

STEPS='obtain verify unseal stage preflight install build start check configure stop-first switch reload watch retire'

slot_pids() { in_box sh -c 'for f in /run/openrc/options/chillbox.hello.api.*/child_pid; do echo "$f $(cat "$f")"; done'; }

# Files and links with inode and time, and the processes: what a job that changes nothing leaves as it was.
footprint() {
    in_box find /srv/chillbox /var/lib/chillbox/artifacts /var/lib/chillbox/secrets /etc/nginx /run/chillbox/live /run/chillbox/slots -exec stat -c '%n %y %i' {} + | sort
    slot_pids
    in_box pgrep nginx
}

# Of the dependencies: every file of it with inode and time.
layer() { in_box sh -c 'cd -P /srv/chillbox/hello/current/.chillbox/api/layer/ && pwd && find . -exec stat -c "%n %i %y" {} + | sort | cksum'; }

# The site's file and the worker processes: a reload changes them.
nginx_state() { in_box sh -c 'cksum /etc/nginx/*/chillbox.hello.conf; pgrep -P "$1"' sh "$(nginx_pid)"; }

last_job() { json jobs ".jobs[0]$1"; }

# refused CODE MESSAGE: what the last `run` shows is so, the old release answers on, and nothing of the new one is left.
refused() {
    printf '%s\n' "$output" # shown when the test fails
    [ "$status" -eq "$1" ]
    [[ "$output" == *"$2"* ]]
    [ "$(json releases hello .live)" = "$LIVE" ]
    [ "$(get /)" = "hello from ${LIVE%-*}" ]
    [ "$(in_box ls /run/chillbox/stage)" = '' ]
    [ "$(in_box readlink /srv/chillbox/hello/current)" = "releases/$LIVE" ]
    [ "$(in_box ls /srv/chillbox/hello/releases | grep -c .)" -eq "$RELEASES" ]
    [ "$(slot_pids)" = "$PIDS" ]
}

note_live() {
    LIVE=$(json releases hello .live)
    RELEASES=$(in_box ls /srv/chillbox/hello/releases | grep -c .)
    PIDS=$(slot_pids)
}

# by_hand ARTIFACT VERSION [SIZE]: announces it for 'hello' and uploads it with curl, whatever its signature says; the job's end as chillboxctl's.
by_hand() {
    sha256=$(sha256sum <"$1" | cut -d ' ' -f 1)
    announce site.deploy '{"site": "hello", "version": "'"$2"'", "sha256": "'"$sha256"'", "size": '"$(stat -c %s "$1")"'}' >/dev/null
    host_curl -T "$1.minisig" -H expect: "$(link signature)" >/dev/null
    host_curl -T "$1" -H expect: "$(link artifact)" >/dev/null
    ctl job "$(jq -r .job "$LAPTOP/answer")" -f
}

# A copy of an artifact with its signature, to forge: the serials in the laptop's own folder go on counting.
copy_of() {
    cp "$1" "$1.minisig" "$BATS_TEST_TMPDIR/"
    printf '%s/%s\n' "$BATS_TEST_TMPDIR" "${1##*/}"
}

sign() { # ARTIFACT COMMENT [OPTION...]: with minisign itself
    minisign -S -q "${@:3}" -s "$LAPTOP/deployer.key" -m "$1" -t "$2" </dev/null
}

@test "a secret set that comes before the site is kept for it, in tmpfs for its user alone" {
    run -0 secrets "what nobody else may read"
    [[ "$output" == *"stored; the site has no release yet"* ]]
    [ "$(in_box stat -c '%U %G' /run/chillbox/secrets/hello)" = "root hello" ]
    run ! box run "$HOST" -u daemon -- cat /run/chillbox/secrets/hello/api/api.cfg
    box run "$HOST" -u hello -- grep -q 'nobody else' /run/chillbox/secrets/hello/api/api.cfg
    run ! box run "$HOST" -u hello -- sh -c ': >>/run/chillbox/secrets/hello/api/api.cfg'
}

@test "the first release goes through all steps and is served through NGINX" {
    version=$(next_version)
    run -0 deploy "$version"
    [[ "$output" == *"hello $version: $version is live (release $version-1, slot a)"* ]]
    [ "$(get /)" = "hello from $version" ]
    [ "$(get /whisper)" = "a secret of 25 characters" ]
    [ "$(json job "$(last_job .id)" '[.events[] | select(.kind == "done") | .step] | join(" ")')" = "$STEPS" ]
    for step in $STEPS; do [[ "$output" == *"  $step "*" ok "* ]]; done
}

@test "the service runs as the site's user from a release that belongs to root, and only NGINX reaches its socket [attack-K1]" {
    [ "$(user_of "$(in_box cat /run/openrc/options/chillbox.hello.api.a/child_pid)")" = hello ]
    [ -z "$(in_box find /srv/chillbox/hello/ ! -type l \( ! -user root -o -perm /022 \))" ]
    [ "$(in_box stat -c '%U:%G %a' /run/chillbox/slots/hello)" = "root:root 711" ]
    [ "$(in_box stat -c '%U:%G %a' /run/chillbox/slots/hello/api.a.sock)" = "hello:$WEB 660" ]
    run ! box run "$HOST" -u daemon -- curl -s --unix-socket /run/chillbox/slots/hello/api.a.sock http://x/
    box run "$HOST" -u "$WEB" -- curl -sf --unix-socket /run/chillbox/live/hello/api.sock http://x/
    run ! box run "$HOST" -u daemon -- ls /srv/chillbox/hello/current/api
}

@test "the same version again: already live, exit 0, nothing is touched" {
    before=$(footprint)
    artifact=$(ls "$LAPTOP"/out/hello-1.*.age)
    run -0 send "$artifact"
    [[ "$output" == *"already live: "* && "$output" != *upload* ]]
    [ "$(footprint)" = "$before" ]
}

@test "the next version goes to the other slot by renaming links; requests meanwhile are all answered" {
    version=$(next_version)
    make_site "$version"
    artifact=$(pack)
    layer=$(layer)
    nginx=$(nginx_state)
    get /?before-the-deploy >/dev/null
    box net "$HOST" -- sh -c 'while [ ! -e "$2/stop" ]; do curl -s -o /dev/null -m 10 -w "%{http_code}\n" -H "Host: hello.example" "$1/"; done' \
        sh "$URL" "$BATS_TEST_TMPDIR" >"$BATS_TEST_TMPDIR/codes" 3>&- &
    run -0 send "$artifact"
    : >"$BATS_TEST_TMPDIR/stop"
    wait $!
    [ "$(get /)" = "hello from $version" ]
    [ "$(in_box readlink /run/chillbox/live/hello/api.sock)" = /run/chillbox/slots/hello/api.b.sock ]
    [ "$(in_box readlink /srv/chillbox/hello/current)" = "releases/$version-2" ]
    in_box rc-service chillbox.hello.api.b status
    run ! in_box rc-service chillbox.hello.api.a status
    [ "$(nginx_state)" = "$nginx" ]
    [ "$(sort -u "$BATS_TEST_TMPDIR/codes")" = 200 ]
    [ "$(grep -c . "$BATS_TEST_TMPDIR/codes")" -gt 20 ]
    in_box grep -q 'before-the-deploy' /var/log/nginx/hello/access.log # NGINX's logs outlive a deploy
    # The environment below it is the one of the release before: nothing was installed again.
    [ "$(layer)" = "$layer" ]
    [ "$(in_box ls /srv/chillbox/hello/cache | grep -c .)" -eq 1 ]
}

@test "the build is a user's that nobody else is, without a network, in an environment without anything of root's or the site's [attack-C3][attack-Y1]" {
    in_box sh -c 'mkdir -p /etc/chillbox/hooks.d/handlers/python && cd /etc/chillbox/hooks.d/handlers/python &&
        cp /usr/lib/chillbox/hooks/handlers/python/kind.json . && for hook in build command; do printf "#!/bin/sh\nexec /usr/lib/chillbox/hooks/handlers/python/%s\n" $hook >$hook; done
        cat >build && chmod 0755 *' <<'END'
#!/bin/sh
echo "user: $(id -u), sees of others: $(find /root /home /run /var/lib /var/log /var/tmp /srv -type f 2>/dev/null | grep -v "^$CHILLBOX_RELEASE_DIR/\|^$CHILLBOX_CACHE_DIR/\|^$CHILLBOX_WHEELHOUSE/")"
echo "interfaces up: $(awk -F : 'NR > 2 {print $1}' /proc/net/dev | tr -d ' \n') $(wc -l </proc/net/route)"
echo "nginx: $(curl -s -m 3 -o /dev/null -w '%{http_code}' http://127.0.0.1/healthcheck/)"
echo "environment: $(env | grep -c '^SSH\|^RC_\|^SECRETS')"
exec /usr/lib/chillbox/hooks/handlers/python/build
END
    run -0 deploy "$(next_version)"
    in_box rm -r /etc/chillbox/hooks.d/handlers
    run -0 json job "$(last_job .id)" '[.events[] | select(.step == "build" and .kind == "log") | .text][0:4] | join("\n")'
    [[ "${lines[0]}" =~ ^user:\ 65[0-2][0-9][0-9],\ sees\ of\ others:\ ?$ ]]
    [ "${lines[1]}" = "interfaces up: lo 1" ]
    [ "${lines[2]}" = "nginx: 000" ]
    [ "${lines[3]}" = "environment: 0" ]
    [ "$(in_box curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1/healthcheck/)" = 200 ]
}

@test "history: what was deployed, by whom, signed by whom, and what is live" {
    run -0 json releases hello '.releases[] | [.version, .state, .signer, .live] | map(tostring) | join(" ")'
    [[ "${lines[0]}" == *" good laptop true" ]]
    [[ "${lines[1]}" == *" good laptop false" ]]
    [ "$(last_job '| [.kind, .site, .state, .actor] | join(" ")')" = "deploy hello done webhook:laptop" ]
    [ "$(json audit '.entries[0] | [.actor, .verb, .site, .outcome] | join(" ")')" = "webhook:laptop deploy hello ok" ]
    ctl audit verify
}

@test "another secret set restarts the service with overlap, in the other slot" {
    slot=$(json sites '.sites[0].services[0].slot')
    run -0 secrets "another"
    [ "$(get /whisper)" = "a secret of 7 characters" ]
    [ "$(json sites '.sites[0].services[0].slot')" != "$slot" ]
    run -0 send "$LAPTOP/out/hello.secrets.tar.zst.age"
    [[ "$output" == *"already in use"* ]]
}

@test "an armored secret set and an armored release go live; one whose armor is damaged is refused" {
    run -0 send "$(pack_secrets "$LAPTOP/secrets" --armor)" # the same content, another file
    make_site "$(next_version)"
    artifact=$(pack --armor)
    [ "$(head -n 1 "$artifact")" = '-----BEGIN AGE ENCRYPTED FILE-----' ]
    run -0 send "$artifact"
    note_live
    [ "$(get /)" = "hello from ${LIVE%-*}" ]
    [ "$(get /whisper)" = "a secret of 7 characters" ]
    make_site "$(next_version)"
    artifact=$(pack --armor)
    sed -i '5s/^./*/' "$artifact"
    minisign -S -q -s "$LAPTOP/deployer.key" -m "$artifact" -t \
        "$(sed -n 's/^trusted comment: //p' "$artifact.minisig" | sed "s/sha256=[0-9a-f]*/sha256=$(sha256sum <"$artifact" | cut -d ' ' -f 1)/")"
    run send "$artifact"
    refused 1 'age armor line 5: not canonical base64'
}

@test "[fault-104] a release that cannot be imported: exit 9, its own last lines, the old one answers" {
    note_live
    run deploy "$(next_version)" 'import a_module_that_is_not_there'
    refused 9 "service 'api' keeps crashing on start"
    [[ "$output" == *"start: ModuleNotFoundError: No module named 'a_module_that_is_not_there'; see its last log lines"* ]]
    [[ "$output" == *"|     import a_module_that_is_not_there"* ]]
    [[ "$output" == *"; ${LIVE%-*} stays live"* ]]
    [ "$(json releases hello '.releases[0] | .state + " " + (.last_log | test("a_module_that_is_not_there") | tostring)')" = "failed true" ]
}

@test "[fault-104] a release that answers 500: exit 9 after its deadline, its own last lines, the old one answers" {
    note_live
    make_site "$(next_version)" '
good = create_app
def create_app():
    app = good()
    @app.before_request
    def sour():
        app.logger.error("the milk is sour")
        return "sour\n", 500
    return app'
    edit_site '.services[0].health.deadline = "2s"'
    run send "$(pack)"
    refused 9 "GET /up answered 500"
    [[ "$output" == *"| "*"the milk is sour"* ]]
    [ "$(grep -c '^  | ' <<<"$output")" -le 20 ]
    run in_box rc-service chillbox.hello.api."$(json releases hello '.releases[0].slot')" status
    [ "$status" -ne 0 ]
}

@test "preflight tells what is missing before anything is touched: exit 8" {
    note_live
    make_site "$(next_version)"
    edit_site '.services += [{name: "shop", lang: "python", handler: "api", secrets_config: "shop.cfg"}]'
    run send "$(pack)"
    refused 8 "secret 'shop/shop.cfg' is not in the site's secret set"
}

@test "a wheel that is missing is named with its service, and nothing is fetched: the old one answers" {
    note_live
    make_site "$(next_version)"
    rm "$LAPTOP"/hello/api/dep/[Ff]lask-*
    run -3 pack
    [[ "$output" == *"no wheel of flask in dep/"* ]]
    run send "$(pack --no-wheels)"
    [ "$status" -ne 0 ]
    refused "$status" "service 'api'"
    [[ "$output" == *flask* ]]
}

@test "[fault-36] signed by a key that nobody trusts: exit 4 [attack-W2]" {
    note_live
    make_site "$(next_version)"
    (cd "$LAPTOP" && [ -e stranger.key ] || "$CTL" keygen -q -o stranger --no-password)
    artifact=$(copy_of "$("$CTL" pack -q "$LAPTOP/hello" -r "$RECIPIENT" -k "$LAPTOP/stranger.key" -o "$LAPTOP/out")")
    run send "$artifact"
    refused 4 "no trusted key $(tail -n 1 "$LAPTOP/stranger.pub" | base64 -d | od -An -v -t x1 -j 2 -N 8 | awk '{for (i = 8; i > 0; --i) printf toupper($i)}')"
    # The same file, signed anew by somebody who is trusted, is taken.
    comment=$(sed -n 's/^trusted comment: //p' "$artifact.minisig")
    sign "$artifact" "$comment"
    run -0 send "$artifact"
}

@test "[fault-36] signed by a deployer who is trusted for another site only: exit 4, and it says for which [attack-K2]" {
    note_live
    (cd "$LAPTOP" && "$CTL" keygen -q -o shopper --no-password)
    box push "$HOST" "$LAPTOP/shopper.pub" /root/
    ctl trust add /root/shopper.pub --name shopper --sites shop,docs
    make_site "$(next_version)"
    run send "$("$CTL" pack -q "$LAPTOP/hello" -r "$RECIPIENT" -k "$LAPTOP/shopper.key" -o "$LAPTOP/out")"
    refused 4 "key 'shopper' may sign for shop, docs, not for 'hello'"
    ctl trust remove shopper
}

@test "[fault-16] a sender's key is good for its sites and its types, and looks like no key for all else [attack-N2] [attack-W3]" {
    mkdir "$LAPTOP/limited"
    ctl webhook add limited --sites hello,docs --types site.deploy 2>/dev/null >"$LAPTOP/limited/hook.key"
    rest="\"version\":\"9.9.9\",\"sha256\":\"$(printf 'a%.0s' {1..64})\",\"size\":1"
    limited() { LAPTOP=$LAPTOP/limited announce "$@"; }
    for site in hello docs; do
        jq -e .job <<<"$(limited site.deploy "{\"site\":\"$site\",$rest}")"
    done
    for order in "site.deploy {\"site\":\"shop\",$rest}" "secrets.update {\"site\":\"hello\",$rest}" 'site.restart {"site":"hello"}' 'site.rollback {"site":"hello"}' 'host.ping {}'; do
        [ "$(limited "${order%% *}" "${order#* }" | jq -r .error.message)" = 'not authorized' ]
    done
    ctl webhook remove limited
    [ "$(limited site.deploy "{\"site\":\"hello\",$rest}" | jq -r .error.message)" = 'not authorized' ]
}

@test "[fault-36] a trusted comment that was edited, and a signature with one bit flipped: exit 4, each with its own words" {
    note_live
    make_site "$(next_version)"
    artifact=$(copy_of "$(pack)")
    cp "$artifact.minisig" "$BATS_TEST_TMPDIR/good"
    sed -i '3s/serial=/serial=9/' "$artifact.minisig"
    run send "$artifact"
    refused 4 "trusted comment was changed after key"
    python3 - "$BATS_TEST_TMPDIR/good" "$artifact.minisig" <<'END'
import base64, sys
lines = open(sys.argv[1]).read().split("\n")
raw = bytearray(base64.b64decode(lines[1]))
raw[40] ^= 1
lines[1] = base64.b64encode(raw).decode()
open(sys.argv[2], "w").write("\n".join(lines))
END
    run by_hand "$artifact" "$(jq -r .version "$LAPTOP/hello/hello.site.json")"
    refused 4 "does not match this file"
}

@test "[fault-36] minisign's legacy signature, not over the hash: exit 4" {
    note_live
    version=$(next_version)
    make_site "$version"
    artifact=$(copy_of "$(pack)")
    sign "$artifact" "$(sed -n 's/^trusted comment: //p' "$artifact.minisig")" -l
    run by_hand "$artifact" "$version"
    refused 4 "legacy"
}

@test "[fault-37] signed for another site or another version: exit 4, and both are named" {
    note_live
    version=$(next_version)
    make_site "$version"
    artifact=$(copy_of "$(pack)")
    comment=$(sed -n 's/^trusted comment: //p' "$artifact.minisig")
    sign "$artifact" "${comment/site=hello/site=other}"
    run by_hand "$artifact" "$version"
    refused 4 "signed for site 'other', wanted 'hello'"
    sign "$artifact" "${comment/version=$version/version=7.7.7}"
    run by_hand "$artifact" "$version"
    refused 4 "signed for version 7.7.7, wanted $version"
    run by_hand "$artifact" 7.7.7
    refused 4 "hello.site.json says version $version, the signature says 7.7.7"
}

@test "[fault-38] an older or equal serial: exit 4; only the operator's retry takes it [attack-W2]" {
    note_live
    make_site "$(next_version)"
    serial=$(json releases hello '.releases[] | select(.live) | .serial')
    OUT=$BATS_TEST_TMPDIR
    run send "$(pack --serial 7)"
    refused 4 "serial 7 is older than installed $serial"
    run send "$(pack --serial "$serial")"
    refused 4 "serial $serial is not newer than installed $serial"
    run ctl retry "$(last_job .id)"
    refused 4 "is not newer than"
    run -0 ctl retry "$(last_job .id)" --allow-downgrade
    [ "$(json releases hello '.releases[] | select(.live) | .serial')" = "$serial" ]
    [ "$(json releases hello .live)" != "$LIVE" ]
}

@test "[fault-39] a serial that jumps far is held: exit 7" {
    note_live
    make_site "$(next_version)"
    serial=$(json releases hello '.releases[] | select(.live) | .serial')
    OUT=$BATS_TEST_TMPDIR
    run send "$(pack --serial $((serial + 1000001)))"
    refused 7 "held: serial $((serial + 1000001)) is 1000001 above installed $serial"
}

@test "[fault-40] expired: exit 4" {
    note_live
    make_site "$(next_version)"
    artifact=$(pack --expires 1s)
    sleep 1.1
    run send "$artifact"
    refused 4 "expired 20"
}

@test "[fault-41] an upload of other bytes than announced is refused, and the right ones are taken after it" {
    note_live
    version=$(next_version)
    make_site "$version"
    artifact=$(pack)
    cp "$artifact" "$BATS_TEST_TMPDIR/tampered"
    printf X | dd of="$BATS_TEST_TMPDIR/tampered" bs=1 seek=4000 conv=notrunc status=none
    run -0 announce site.deploy "$(jq -cn --arg v "$version" --arg s "$(sha256sum <"$artifact" | cut -d ' ' -f 1)" --argjson n "$(stat -c %s "$artifact")" \
        '{site: "hello", version: $v, sha256: $s, size: $n}')"
    run host_curl -w ' %{http_code}' -T "$BATS_TEST_TMPDIR/tampered" -H expect: "$(link artifact)"
    [[ "$output" == *"sha256 is $(sha256sum <"$BATS_TEST_TMPDIR/tampered" | cut -d ' ' -f 1), announced was"*" 422" ]]
    [ "$(in_box ls /var/lib/chillbox/inbox)" = '' ]
    run -0 send "$artifact"
    [ "$(get /)" = "hello from $version" ]
}

@test "[fault-42] an upload that is longer than announced is cut: 413, and nothing of it stays" {
    note_live
    version=$(next_version)
    head -c 200000 /dev/urandom >"$BATS_TEST_TMPDIR/long"
    announce site.deploy '{"site": "hello", "version": "'"$version"'", "sha256": "'"$(sha256sum <"$BATS_TEST_TMPDIR/long" | cut -d ' ' -f 1)"'", "size": 100000}'
    run host_curl -o /dev/null -w '%{http_code}' -T "$BATS_TEST_TMPDIR/long" -H expect: "$(link artifact)"
    [[ "$output" == *413 ]]
    [ "$(in_box ls /var/lib/chillbox/inbox)" = '' ]
    [ "$(json job "$(jq -r .job "$LAPTOP/answer")" .job.state)" = waiting-upload ]
}

@test "the capability of one job opens that job and no other [attack-J2]" {
    announce host.ping '{}'
    first=$(link status)
    announce host.ping '{}'
    other=$(jq -r .job "$LAPTOP/answer")
    [ "$(host_curl "$first" | jq -r .job.state)" = "done" ]
    [ "$(host_curl -o /dev/null -w '%{http_code}' "$URL/v1/jobs/$other?${first#*\?}")" = 401 ]
    [ "$(host_curl -o /dev/null -w '%{http_code}' "$URL/v1/jobs/$other")" = 401 ]
}

@test "[fault-18] [fault-22] [fault-30] NGINX refuses what no webhook is: encodings, more than 64 KiB, other methods" {
    hook() { host_curl -o /dev/null -w '%{http_code}' "$URL/v1/hooks" "$@"; }
    head -c 65536 /dev/zero >"$BATS_TEST_TMPDIR/fits"
    head -c 65537 /dev/zero >"$BATS_TEST_TMPDIR/big"
    jobs=$(json jobs -n 1000 '.jobs | length')
    [ "$(hook -d '{}' -H 'Content-Encoding: gzip')" = 415 ]
    [ "$(hook --data-binary @"$BATS_TEST_TMPDIR/big")" = 413 ]
    [ "$(hook --data-binary @"$BATS_TEST_TMPDIR/fits")" = 401 ]
    for method in GET PUT DELETE OPTIONS; do [ "$(hook -X "$method")" = 405 ]; done
    [ "$(hook -I)" = 405 ]
    [ "$(hook -d '{}')" = 401 ]
    [ "$(json jobs -n 1000 '.jobs | length')" = "$jobs" ]
}

clock() { # VERSION: a site that listens on a port of its own
    rm -rf "$LAPTOP/hello"
    mkdir -p "$LAPTOP/hello/clock"
    cat >"$LAPTOP/hello/clock/clock" <<'END'
#!/usr/bin/python3
import http.server, os
class Clock(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"tick " + os.environ["VERSION"].encode() + b"\n")
http.server.HTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Clock).serve_forever()
END
    chmod 0755 "$LAPTOP/hello/clock/clock"
    printf '%s' '{"name": "Clock", "server_name": "clock.example", "version": "'"$1"'", "watch": "1s",
        "services": [{"name": "clock", "lang": "binary", "handler": "clock"}]}' >"$LAPTOP/hello/clock.site.json"
    send "$(pack)"
}

# stranger PORT: somebody else's server, prints its process
stranger() {
    in_box sh -c 'setsid python3 -m http.server "$1" --bind 127.0.0.1 >/dev/null 2>&1 3>&- & echo $!' sh "$1"
    wait_for 10 in_box curl -s -o /dev/null "http://127.0.0.1:$1/"
}

@test "[fault-73] [fault-108] a port that somebody else listens on is not given to a service, also when the slot had it before" {
    stranger 20000
    run -0 clock 1.0.0
    [ "$(host_curl -H 'Host: clock.example' "$URL/")" = "tick 1.0.0" ]
    run -0 clock 1.1.0
    # Its two slots have 20001 and 20002 from now on.
    other=$(stranger 20001)
    run -0 clock 1.2.0
    [ "$(host_curl -H 'Host: clock.example' "$URL/")" = "tick 1.2.0" ]
    in_box kill "$other"
    run -0 clock 1.3.0
    [ "$(host_curl -H 'Host: clock.example' "$URL/")" = "tick 1.3.0" ]
}
