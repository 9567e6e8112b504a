# Applications of strangers, below tests/apps/NAME: load helpers/box, helpers/host and helpers/apps
#
# fetch        makes the application in an empty folder, from registries or from files next to it
# write/       what a person writes to bring it here: SITE.site.json and whatever else; write/secrets is its secret set
# app.patch    what has to be changed in the application itself: only where nothing else helps
# ask          what its visitors get;  refused  instead: the words with which it is refused
# wheels       the options of `pack` that collect its wheels, if not those for the host's Python
#
# try_app NAME         all of it; adds a line to $APPS_TABLE
# In fetch: sdist NAME VERSION   unpacks a source distribution;  needs PROGRAM  skips without it;  $cache  kept between runs;  $app  tests/apps/NAME
#           with_python REQUIREMENTS ARG...   python with these installed runs manage.py, -m MODULE or a program
# In ask: visit HOST PATH [CURL_OPTION...]   shows HOST PATH TEXT   in_log SITE TEXT   again SITE  packs and deploys the next version, prints what was said

apps_set_up() {
    export APPS_TABLE=$BATS_FILE_TMPDIR/table cache=$ROOT/${BUILD:-build}/apps
    mkdir -p "$cache"
    # With the patch level, so that conditions in requirements are judged as on the host.
    HOST_PYTHON=$(in_box python3 -c 'import platform; print(platform.python_version())')
    export HOST_PYTHON
}

needs() { command -v "$1" >/dev/null || skip "needs $1"; }

sdist() {
    [ -e "$cache/$1-$2.tar.gz" ] || python3 -m pip download -q --disable-pip-version-check --no-deps --no-binary "$1" -d "$cache" "$1==$2"
    tar -xzf "$cache/$1-$2.tar.gz"
}

with_python() {
    with_env=$cache/env-$(cat "$1" 2>/dev/null | sha256sum | cut -c 1-12)
    if [ ! -e "$with_env/ready" ]; then
        python3 -m venv "$with_env"
        "$with_env/bin/pip" install -q --disable-pip-version-check -r "$1"
        touch "$with_env/ready"
    fi
    case $2 in
        manage.py) (cd web && "$with_env/bin/python" "${@:2}") ;;
        -m) "$with_env/bin/python" "${@:2}" ;;
        *) "$with_env/bin/$2" "${@:3}" ;;
    esac >"$LAPTOP/with_python.log" 2>&1
}

visit() { host_curl -H "Host: $1" "${@:3}" "$URL$2"; }
shows() { visit "$1" "$2" | grep -q -- "$3"; }
in_log() { ctl logs "$1" -n 200 | grep -qF -- "$2"; }

pack_app() { # NAME
    options=(--wheels --python "$HOST_PYTHON" --platform "manylinux_2_28_$(uname -m)")
    [ ! -e "$app/wheels" ] || read -ra options <"$app/wheels"
    "$CTL" pack "$LAPTOP/apps/$1" -r "$RECIPIENT" -k "$LAPTOP/deployer.key" -o "$LAPTOP/out-$1" -q "${options[@]}"
}

again() {
    again_file=$LAPTOP/apps/$1/$1.site.json
    jq --arg version "1.$(date +%s).$RANDOM" '.version = $version' "$again_file" >"$LAPTOP/again.json"
    mv "$LAPTOP/again.json" "$again_file"
    send "$(pack_app "$1")" 2>&1
}

lines() { find "$@" -type f -exec cat {} + | wc -l; } # PATH...

try_app() {
    app=$ROOT/tests/apps/$1
    rm -rf "$LAPTOP/apps/$1"
    mkdir -p "$LAPTOP/apps/$1"
    cd "$LAPTOP/apps/$1"
    . "$app/fetch"
    cp -R "$app/write/." .
    [ ! -e "$app/app.patch" ] || patch -s -p0 <"$app/app.patch"
    jq '.version //= "1.0.0" | .watch = "1s"' "$1.site.json" >"$LAPTOP/site.json" && mv "$LAPTOP/site.json" "$1.site.json"
    if [ -d secrets ]; then
        mv secrets "$LAPTOP/secrets-$1"
        send "$("$CTL" secrets pack -q "$LAPTOP/secrets-$1" -s "$1" -r "$RECIPIENT" -k "$LAPTOP/deployer.key" -o "$LAPTOP/out-$1")"
    fi
    cd "$LAPTOP/apps"
    began=$(date +%s)
    artifact=$(pack_app "$1")
    if [ -e "$app/refused" ]; then
        run ! send "$artifact"
        [[ "$output" == *"$(cat "$app/refused")"* ]]
    else
        send "$artifact"
        took=$(($(date +%s) - began))
        set -e
        . "$app/ask"
    fi
    printf '%-13s %3s %3s %3s %4s s  %s\n' "$1" "$(lines "$app"/write/*.site.json)" "$(lines "$app/write" | awk -v s="$(lines "$app"/write/*.site.json)" '{print $1 - s}')" \
        "$(cat "$app/app.patch" 2>/dev/null | grep -c '^[-+][^-+]')" "${took:--}" "$([ -e "$app/refused" ] && echo "refused, as it must be" || echo works)" >>"$APPS_TABLE"
}
