# For whole-host stories: a real box with what was built, and a laptop. load helpers/box and helpers/host
#
# host_up               $HOST, a fresh box with chillbox as the package installs it, not set up; and the laptop: the folder $LAPTOP, the program $CTL
# host_set_up           chillboxctl init, a trusted deployer, a webhook sender, chillboxd in the default runlevel and started, unlocked
# host_down             in teardown_file
# in_box CMD...         in the host;  ctl ARG... chillboxctl there;  unlock [PASSPHRASE]
# make_site VERSION [PYTHON]   the example 'hello' with its wheels in $LAPTOP/hello; PYTHON is added to its module
# wheels FILE DIR       what a requirements file needs, for the host's Python
# next_version          one that was not used before in this file
# pack [OPTION...]      $LAPTOP/hello to an artifact in ${OUT:-$LAPTOP/out}, prints its path;  pack_secrets DIR [OPTION...]
# send ARTIFACT [OPTION...]    chillboxctl deploy --wait from the laptop
# deploy VERSION [PYTHON]      the three together
# get PATH [OPTION...]  curl from the laptop as the site's visitor;  code PATH ...  only the status
# announce TYPE DATA    a webhook made by hand, prints the answer;  link NAME  of that answer;  host_curl ARG...
# json VERB... FILTER   one of the host's answers through jq -r

# shellcheck disable=SC2154 # box_up sets HOST

# bats 1.8 cannot skip in setup_file: there `host_possible || return 0`, and in setup `host_or_skip`.
host_possible() { [ "$(id -u)" -eq 0 ]; }

host_or_skip() {
    bats_require_minimum_version 1.5.0
    needs_root
}

host_up() {
    export BATS_NO_PARALLELIZE_WITHIN_FILE=true # a file is a story
    ROOT=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
    export ROOT LAPTOP=$BATS_FILE_TMPDIR CTL=$BATS_FILE_TMPDIR/chillboxctl TERMINAL=$ROOT/tests/cli/at-terminal PASSPHRASE='correct horse'
    box_up HOST "$@"
    "$ROOT/tests/host/install" "$HOST" "${BUILD:-build}"
    if [ "${BOX_ARCH:-$(uname -m)}" = "$(uname -m)" ]; then box pull "$HOST" /usr/bin/chillboxctl "$CTL"; else cp "$ROOT/build/chillboxctl" "$CTL"; fi
}

host_down() { [ -z "${HOST-}" ] || box down "$HOST"; }

in_box() { box run "$HOST" -- "$@"; }
ctl() { in_box chillboxctl "$@"; }
json() { ctl "${@:1:$#-1}" --json | jq -r "${@: -1}"; }

# with_passphrase TEXT CHILLBOXCTL_ARG...: by a descriptor, as a script does.
with_passphrase() {
    printf '%s\n' "$1" | in_box sh -c 'exec 3<&0 </dev/null; exec chillboxctl "$@" --passphrase-fd 3' sh "${@:2}"
}
unlock() { with_passphrase "${1-$PASSPHRASE}" unlock; }

host_set_up() {
    with_passphrase "$PASSPHRASE" init -q --work-factor 10
    in_box sed -i 's/^# acme = .*/acme = "off"/' /etc/chillbox/chillboxd.toml # a test of certificates names its own CA
    (cd "$LAPTOP" && "$CTL" keygen -q -o deployer --no-password)
    box push "$HOST" "$LAPTOP/deployer.pub" /root/
    ctl trust add /root/deployer.pub --name laptop
    ctl webhook add laptop --all-sites --all-types 2>/dev/null >"$LAPTOP/hook.key"
    RECIPIENT=$(in_box cat /var/lib/chillbox/recipient.txt)
    URL=$(box url "$HOST")
    export RECIPIENT URL
    in_box rc-update -q add chillboxd default
    in_box rc-service -q chillboxd start
    unlock
}

make_site() {
    rm -rf "$LAPTOP/hello"
    cp -r "$ROOT/docs/examples/hello" "$LAPTOP/hello"
    rm -f "$LAPTOP/hello/README.md"
    [ -d "$LAPTOP/wheels" ] || wheels "$ROOT/docs/examples/hello/api/requirements.txt" "$LAPTOP/wheels"
    cp -r "$LAPTOP/wheels" "$LAPTOP/hello/api/dep"
    edit_site '.version = "'"$1"'" | .watch = "1s" | .services[0].health.deadline = "20s"'
    [ -z "${2-}" ] || printf '\n%s\n' "$2" >>"$LAPTOP/hello/api/hello_api/app.py"
}

# Fetched once, for all files that run side by side.
wheels() { (cd "$ROOT" && flock "${BUILD:-build}/.wheels.lock" sh tests/host/wheels "$HOST" "$@"); }

edit_site() { # JQ_FILTER
    jq "$1" "$LAPTOP/hello/hello.site.json" >"$LAPTOP/site.new"
    mv "$LAPTOP/site.new" "$LAPTOP/hello/hello.site.json"
}

next_version() {
    printf 'x' >>"$LAPTOP/versions"
    printf '1.%s.0\n' "$(stat -c %s "$LAPTOP/versions")"
}

pack() { "$CTL" pack -q "$LAPTOP/hello" -r "$RECIPIENT" -k "$LAPTOP/deployer.key" -o "${OUT:-$LAPTOP/out}" "$@"; }
pack_secrets() { "$CTL" secrets pack -q "$1" -s hello -r "$RECIPIENT" -k "$LAPTOP/deployer.key" -o "$LAPTOP/out" "${@:2}"; }

secrets() { # TEXT [OPTION...]: the site's secret set with that in its one file
    mkdir -p "$LAPTOP/secrets/api"
    printf 'WHISPER = "%s"\n' "$1" >"$LAPTOP/secrets/api/api.cfg"
    send "$(pack_secrets "$LAPTOP/secrets" "${@:2}")"
}

# However slow the machine is: a test that is about the time gives its own.
send() {
    [[ " $* " == *' --timeout '* ]] || set -- "$@" --timeout 10m
    box net "$HOST" -- "$CTL" deploy "$1" --to "$URL" --webhook-key "$LAPTOP/hook.key" --wait "${@:2}"
}

deploy() {
    make_site "$@"
    send "$(pack)"
}

host_curl() { box net "$HOST" -- curl -sS -m 30 "$@"; }
get() { host_curl -H 'Host: hello.example' "${@:2}" "$URL$1"; }
code() { get "$1" -o /dev/null -w '%{http_code}' "${@:2}"; }

announce() {
    id=msg_$(openssl rand -hex 16)
    time=$(date +%s)
    body=$(jq -cn --arg type "$1" --argjson data "$2" '{type: $type, timestamp: (now | todate), data: $data}')
    key=$(sed -n 's/^whsec_//p' "$LAPTOP/hook.key" | openssl base64 -d -A | od -An -v -t x1 | tr -d ' \n')
    mac=$(printf '%s.%s.%s' "$id" "$time" "$body" | openssl dgst -sha256 -mac HMAC -macopt "hexkey:$key" -binary | openssl base64 -A)
    host_curl "$URL/v1/hooks" -H "webhook-id: $id" -H "webhook-timestamp: $time" -H "webhook-signature: v1,$mac" \
        -H 'content-type: application/json' --data-binary "$body" | tee "$LAPTOP/answer"
}
link() { printf '%s%s\n' "$URL" "$(jq -r ".links.$1" "$LAPTOP/answer")"; }

# wait_for SECONDS COMMAND...: until it succeeds.
wait_for() {
    wait_end=$((SECONDS + $1))
    until "${@:2}"; do
        [ "$SECONDS" -lt "$wait_end" ] || { printf 'not within %s s: %s\n' "$1" "${*:2}" >&2; return 1; }
        sleep 0.1
    done
}
