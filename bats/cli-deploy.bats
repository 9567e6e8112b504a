#!/usr/bin/env bats
# chillboxctl deploy against the HTTP side of a host (tests/cli/fake-host), also when the network or the host has an accident.

# shellcheck disable=SC2154 # $stderr comes from run --separate-stderr

load helpers/cli

setup() {
    cli_setup
    make_site
    pack_site
}

teardown() { cli_teardown; }

deploy() { chillboxctl deploy "$ARTIFACT" --to "$URL" --webhook-key host/key "$@"; }

@test "deploy announces, uploads, follows, and ends with the job" {
    start_host
    run -0 --separate-stderr deploy --wait
    [ "$output" = "blog 1.0.0: 1.0.0 is live" ]
    [[ "$stderr" == *"upload"*"ok"*"obtain"*"ok"*"switch"*"ok"* ]]
    [[ "$stderr" != *$'\r'* ]]
    cmp "$ARTIFACT" host/artifact
    cmp "$ARTIFACT.minisig" host/minisig
    [ "$(jq -r '[.type, .data.site, .data.version, .data.sha256, .data.size] | join(" ")' host/body)" = \
        "site.deploy blog 1.0.0 $(sha256sum <"$ARTIFACT" | cut -d ' ' -f 1) $(stat -c %s "$ARTIFACT")" ]
    [ "$(grep -c '^POST /v1/hooks id=msg_[0-9a-f]\{32\} ' host/log)" -eq 1 ]
}

@test "without --wait it ends when the upload was taken" {
    start_host slow
    run -0 --separate-stderr deploy
    [[ "$output" == "blog 1.0.0: uploaded, job 0123456789abcdef keeps running" ]]
    run ! grep events host/log
}

@test "on a terminal steps are written over and coloured, elsewhere they are plain lines" {
    start_host
    export TERM=xterm URL
    run -0 "$FAKE/at-terminal" -- chillboxctl deploy "$ARTIFACT" --to "$URL" --webhook-key host/key --wait
    [[ "$output" == *$'\r\e[K'*"build"*$'\e[32mok'* ]]
    CI=1 run -0 "$FAKE/at-terminal" -- chillboxctl deploy "$ARTIFACT" --to "$URL" --webhook-key host/key --wait
    [[ "$output" != *$'\e[K'* ]]
}

@test "--json prints one object, -q nothing on standard error" {
    start_host
    run -0 --separate-stderr deploy --wait --json -q
    [ "$(jq -r '[.schema, .job, .state, .uploaded, .release] | join(" ")' <<<"$output")" = \
        "chillbox.deploy.v1 0123456789abcdef done true 1.0.0-1" ]
    [ -z "$stderr" ]
}

@test "an artifact that the host has is not sent again" {
    start_host known
    run -0 --separate-stderr deploy --wait
    [ "$output" = "blog 1.0.0: already live" ]
    run ! grep PUT host/log
}

@test "a release that does not hold is exit 9, with the service's own last lines and no control characters" {
    start_host unhealthy
    run -9 --separate-stderr deploy --wait
    [ -z "$output" ]
    [[ "$stderr" == *"last lines of the log, step check:"*"  | Traceback: no \\x1b[31msuch module"*"  | worker failed to boot"* ]]
    [[ "$stderr" != *"a line of the build"* ]]
    [[ "$stderr" == *"chillboxctl: blog: service api does not answer; 0.9.0 is kept"* ]]
    run -9 --separate-stderr deploy --wait --json
    [ "$(jq -r '[.error.code, .error.data.step] | join(" ")' <<<"$output")" = "unhealthy check" ]
}

@test "the timeout is exit 124 and says that the job keeps running; for a sealed host it is exit 6" {
    start_host slow
    run -124 --separate-stderr deploy --wait --timeout 2s
    [[ "$stderr" == *"step build: it keeps running"*"hint: on the host: chillboxctl job 0123456789abcdef -f"* ]]
    printf sealed >host/accident
    run -6 --separate-stderr deploy --wait --timeout 2s
    [[ "$stderr" == *"the host is locked"* ]]
}

@test "Ctrl-C is exit 130 and says that the job keeps running" {
    start_host slow
    run -130 "$FAKE/at-terminal" expect:build ctrl-c -- chillboxctl deploy "$ARTIFACT" --to "$URL" --webhook-key host/key --wait
    [[ "$output" == *"interrupted: job 0123456789abcdef keeps running"* ]]
}

@test "a delivery whose answer is lost is sent again under the same id" {
    start_host lost-post
    run -0 deploy --wait
    [ "$(grep -c '^POST' host/log)" -eq 2 ]
    [ "$(grep '^POST' host/log | sort -u | wc -l)" -eq 1 ]
}

@test "[fault-1204] requests that NGINX turns away are sent again: too many from this address, or chillboxd starts just now" {
    start_host crowded
    for accident in crowded starting; do
        printf %s "$accident" >host/accident
        run -0 --separate-stderr deploy --wait
        [ "$output" = "blog 1.0.0: 1.0.0 is live" ]
        cmp "$ARTIFACT" host/artifact
        rm host/artifact host/minisig
    done
}

@test "[fault-1270] a delivery that NGINX turns away for long has a new signature each time, and the same id" {
    start_host long-crowd
    run -0 --separate-stderr deploy --wait
    [ "$(grep '^POST' host/log | sort | uniq -c | awk '{ print $1 }')" -eq 4 ]
    mapfile -t signed < <(sed -n 's/^webhook-timestamp: //Ip' host/headers)
    [ "${#signed[@]}" -eq 4 ]
    [ "${signed[3]}" -gt "${signed[0]}" ]
}

@test "[fault-205] an upload that is cut off goes on where the host has it" {
    start_host lost-upload
    run -0 --separate-stderr deploy --wait
    cmp "$ARTIFACT" host/artifact
    [ "$(grep -c '^PUT /v1/artifacts/[0-9a-f]*?' host/log)" -eq 2 ]
    size=$(stat -c %s "$ARTIFACT")
    [ "$(grep -i '^content-range' host/headers)" = "Content-Range: bytes 10-$((size - 1))/$size" ]
    [[ "$stderr" == *"upload     broke off: "*"upload     continues at 10 B of "* ]]
}

@test "an event stream that is cut off is taken up behind the last event, and nothing is told twice" {
    start_host lost-events
    run -0 --separate-stderr deploy --wait
    grep -q 'events.* last=2$' host/log
    for step in obtain verify stage build check switch; do
        [ "$(grep -c "^  $step " <<<"$stderr")" -eq 1 ]
    done
}

@test "a host that refuses says nothing, and the reasons that there may be are named: exit 4" {
    start_host denied
    run -4 --separate-stderr deploy --wait
    [[ "$stderr" == *"wrong webhook key"*"clocks"* ]]
    printf '' >host/accident
    echo whsec_b2xkb2xkb2xkb2xkb2xkb2xkb2xkb2xk >other
    run -4 chillboxctl deploy "$ARTIFACT" --to "$URL" --webhook-key other
}

@test "a full queue is exit 7, a gateway's page exit 5, nobody there exit 5" {
    start_host full
    run -7 deploy
    [[ "$output" == *"the queue is full"* ]]
    printf html >host/accident
    run -5 deploy
    [[ "$output" == *502* ]]
    run -5 --separate-stderr chillboxctl deploy "$ARTIFACT" --to http://127.0.0.1:1 --webhook-key host/key
    run -5 chillboxctl deploy "$ARTIFACT" --to http://host.invalid --webhook-key host/key
}

@test "neither a redirect nor a link leads the artifact to another host" {
    start_host redirect
    run ! deploy
    run ! grep elsewhere host/log
    printf elsewhere >host/accident
    run -1 deploy
    [[ "$output" == *"not a path on this host"* ]]
    run ! grep PUT host/log
}

@test "the capability is never shown" {
    for accident in '' unhealthy html elsewhere; do
        rm -rf host
        start_host "$accident"
        run deploy --wait
        [[ "$output" != *secret* ]]
    done
}

@test "http:// to another machine is warned of, once, on standard error, but not with -q and not on this machine [attack-D9]" {
    start_host
    run -5 --separate-stderr chillboxctl deploy "$ARTIFACT" --to http://host.invalid --webhook-key host/key
    [ "$(grep -c 'warning: http://host.invalid is not encrypted' <<<"$stderr")" -eq 1 ]
    [[ "$stderr" == *"use https://"* ]]
    run -5 --separate-stderr chillboxctl deploy "$ARTIFACT" --to http://a.invalid,http://b.invalid --webhook-key host/key --keep-going
    [ "$(grep -c 'is not encrypted' <<<"$stderr")" -eq 1 ]
    run -5 --separate-stderr chillboxctl deploy "$ARTIFACT" --to http://host.invalid --webhook-key host/key -q
    [[ "$stderr" != *"is not encrypted"* ]]
    run -0 --separate-stderr deploy
    [[ "$stderr" != *"is not encrypted"* ]]
}

@test "https is checked against the authorities that are trusted, or the ones of --cacert" {
    openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 2>/dev/null
    cat key.pem cert.pem >both.pem
    start_host '' --tls both.pem
    URL=https://${URL#http://}
    run -5 deploy --wait
    [[ "$output" == *certificate* ]]
    run -0 deploy --wait --cacert cert.pem
}

@test "the key may come from standard input or a pipe, and a signature for another file is refused before anything is sent" {
    start_host
    run -0 bash -c 'chillboxctl deploy "$1" --to "$2" --webhook-key - <host/key' sh "$ARTIFACT" "$URL"
    run -0 bash -c 'chillboxctl deploy "$1" --to "$2" --webhook-key <(cat host/key)' sh "$ARTIFACT" "$URL"
    rm host/log
    echo x >>"$ARTIFACT"
    run -1 deploy
    [[ "$output" == *"signature of another file"* ]]
    rm "$ARTIFACT.minisig"
    run -3 deploy
    [ ! -e host/log ]
}

@test "what is wrong with --to or the key is a usage or an input error, before anything is sent" {
    start_host
    for to in host.example ftp://h "http://user:pw@h" "http://h/?x"; do
        run -2 chillboxctl deploy "$ARTIFACT" --to "$to" --webhook-key host/key
    done
    echo nonsense >bad
    run -1 chillboxctl deploy "$ARTIFACT" --to "$URL" --webhook-key bad
    [[ "$output" == *"no whsec_ key"* ]]
    run -3 chillboxctl deploy "$ARTIFACT" --to "$URL" --webhook-key nowhere
}

@test "a secret set goes the same way, as secrets.update" {
    start_host
    mkdir -p secrets/api && echo s3cret >secrets/api/api.cfg
    chillboxctl secrets pack secrets -s blog -r "$RECIPIENT" -k deploy.key -o out -q
    ARTIFACT=out/blog.secrets.tar.zst.age
    run -0 --separate-stderr deploy --wait
    [[ "$output" == "blog secrets: "* ]]
    [ "$(jq -r '.type + " " + (.data | has("version") | tostring)' host/body)" = "secrets.update false" ]
    cmp "$ARTIFACT" host/artifact
}

@test "the example of chillbox-webhook(7) does the same with tar, zstd, age, minisign, openssl and curl alone" {
    start_host
    export URL RECIPIENT
    cp host/key key
    rm -rf out
    awk '/^# EXAMPLE/ { found = 1 } found && /^```/ { fence++; next } found && fence == 1' "$ROOT/agent/man/chillbox-webhook.7.scd" |
        sed 's/\\\\/\\/g' >example
    grep -q '^tar ' example
    run -0 env PATH=/usr/bin:/bin sh -eu example
    [[ "$output" == *'event: end'*'1.0.0 is live'* ]]
    cmp blog-1.0.0.tar.zst.age host/artifact
    minisign -V -p deploy.pub -x host/minisig -m host/artifact
    [ "$(age -d -i identity host/artifact | zstd -dq | tar -xOf - blog/backend/src/app.py)" = 'print("hello")' ]
}

# another_host DIR [ACCIDENT]: a second host at $URL2.
another_host() {
    mkdir -p "$1"
    cp host/key "$1/key"
    printf '%s' "${2-}" >"$1/accident"
    "$FAKE/fake-host" "$1" 3>&- &
    FAKE_PIDS="${FAKE_PIDS-} $!"
    for _ in $(seq 100); do [ ! -e "$1/port" ] || break; sleep 0.05; done
    URL2=http://127.0.0.1:$(cat "$1/port")
}

@test "several hosts are taken one after the other, each to its end" {
    start_host
    another_host second
    run -0 --separate-stderr chillboxctl deploy "$ARTIFACT" --to "$URL,$URL2" --webhook-key host/key
    [ "${#lines[@]}" -eq 2 ]
    [[ "$stderr" == *"== $URL"*"== $URL2"* ]]
    cmp "$ARTIFACT" second/artifact
    run -2 chillboxctl deploy "$ARTIFACT" --to "$URL,$URL2" --webhook-key host/key,second/key,third
    run -2 chillboxctl deploy "$ARTIFACT" --webhook-key host/key
    run -2 chillboxctl deploy "$ARTIFACT" --to "$URL"
    [[ "$output" == *"no webhook key for $URL"* ]]
}

@test "a host that fails ends the roll-out: the next one is not touched, exit 11; --keep-going goes on" {
    start_host unhealthy
    another_host second
    run -11 --separate-stderr chillboxctl deploy "$ARTIFACT" --to "$URL,$URL2" --webhook-key host/key,second/key --json
    [[ "$stderr" == *"0 of 2 hosts took it; failed: $URL; not tried: $URL2"* ]]
    [ "$(head -n 1 <<<"$output" | jq -rc '[.schema, .host, .code]')" = "[\"chillbox.deploy.v1\",\"$URL\",\"unhealthy\"]" ]
    [ "$(tail -n 1 <<<"$output" | jq -r .error.code)" = partial ]
    [ ! -e second/artifact ]
    run -11 chillboxctl deploy "$ARTIFACT" --to "$URL,$URL2" --webhook-key host/key --keep-going
    [ -e second/artifact ]
    printf unhealthy >second/accident
    run -9 chillboxctl deploy "$ARTIFACT" --to "$URL,$URL2" --webhook-key host/key --keep-going
}

@test "--hosts of an inventory says where and with which key, --limit chooses" {
    start_host
    another_host second
    jq -n --arg one "$URL" --arg two "$URL2" '{_meta: {hostvars: {web1: {chillbox_url: $one, chillbox_webhook_key: "host/key"}, web2: {chillbox_url: $two}}},
      all: {hosts: ["web1", "web2"]}}' >hosts.json
    run -2 chillboxctl deploy "$ARTIFACT" --hosts hosts.json
    [[ "$output" == *"no webhook key for web2"*chillbox_webhook_key* ]]
    run -0 chillboxctl deploy "$ARTIFACT" --hosts hosts.json --limit web1
    [ ! -e second/artifact ]
    run -0 chillboxctl deploy "$ARTIFACT" --hosts hosts.json --webhook-key second/key
    [ -e second/artifact ]
    run -2 chillboxctl deploy "$ARTIFACT" --hosts hosts.json --to "$URL"
}
