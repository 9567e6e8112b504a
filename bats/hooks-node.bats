#!/usr/bin/env bats
# The node handler: what package.json and its lock file must say, packages collected without running anything of them, the build and the argv.

# shellcheck disable=SC2154,SC2030,SC2031 # $stderr comes from run --separate-stderr, $HOOKS from hook_setup

load helpers/hooks

setup() {
    bats_require_minimum_version 1.5.0
    command -v npm >/dev/null || skip "needs Node.js with npm"
    hook_setup
    node=$HOOKS/handlers/node
    export CHILLBOX_RUN_CMD=''
}

# package FOLDER NAME [MORE]: a package as npm packs one, in vendor/NAME.tgz.
package() {
    mkdir -p "$1/vendor" "$BATS_TEST_TMPDIR/$2/package"
    printf '{"name": "%s", "version": "1.0.0"%s}\n' "$2" "${3-}" >"$BATS_TEST_TMPDIR/$2/package/package.json"
    printf 'module.exports = "%s";\n' "$2" >"$BATS_TEST_TMPDIR/$2/package/index.js"
    tar -czf "$1/vendor/$2.tgz" -C "$BATS_TEST_TMPDIR/$2" package
}

# An application with a package, one for development, and one with a script of its own.
application() {
    package . greet
    package . tests-only
    package . scripted ', "scripts": {"install": "echo ran >'"$BATS_TEST_TMPDIR"'/ran"}'
    printf '{"name": "app", "version": "1.0.0", "scripts": {"start": "node --no-warnings ./server.js"}, "engines": {"node": ">=14"},
      "dependencies": {"greet": "file:vendor/greet.tgz", "scripted": "file:vendor/scripted.tgz"}, "devDependencies": {"tests-only": "file:vendor/tests-only.tgz"}}\n' >package.json
    printf 'require("http").createServer((q, s) => s.end(require("greet") + " " + process.env.NODE_ENV)).listen(process.env.PORT, process.env.HOST);\n' >server.js
    npm install --package-lock-only --no-audit --no-fund --silent
    rmdir dep
}

collect() { CHILLBOX_SERVICE_DIR=$PWD with_dash "$node/collect" "$@"; }
said() { # TEXT: preflight says one thing, under both shells
    for shell in with_dash with_ash; do
        run -0 "$shell" "$node/preflight"
        [[ "$output" == *"$1"* ]] && { [ -n "$1" ] || [ -z "$output" ]; } || { echo "$output"; false; }
    done
}

@test "packages are collected once, without those for development, and nothing of them is run; the built service answers" {
    application
    run -3 collect --look
    [[ "$output" == "its packages are not in dep/"* ]]
    [ "$(collect --look --no-wheels)" = '{}' ]
    said 'its packages are not in dep/, or not those of its package-lock.json'
    run -0 collect
    [ "$(jq -r .messages.packages <<<"$output")" = "2, for $(sh -c ". $HOOKS/lib/node-packages; this_machine")" ]
    [ "$(jq -r .messages.scripts <<<"$output")" = 'not run, and the packages may need them: scripted' ]
    [ ! -e "$BATS_TEST_TMPDIR/ran" ]
    [ ! -e node_modules ]
    sum=$(sha256sum dep/npm-*.tar)
    run -0 collect
    [[ "$output" == *"in dep/ already"* ]]
    [ "$(sha256sum dep/npm-*.tar)" = "$sum" ]
    rm dep/npm-*
    run -0 collect
    [ "$(sha256sum dep/npm-*.tar)" = "$sum" ] # the same packages are the same bytes
    run -0 collect --look
    said ''
    twice "$node/build"
    [ ! -e "$CHILLBOX_BUILD_DIR/app/node_modules/tests-only" ]
    export PORT=18733 HOST=127.0.0.1 NODE_ENV=production
    mapfile -t argv < <(with_ash "$node/command")
    [ "${argv[*]:1}" = "--no-warnings $CHILLBOX_BUILD_DIR/app/server.js" ]
    "${argv[@]}" 3>&- &
    server=$!
    for _ in $(seq 100); do curl -s -o /dev/null "http://127.0.0.1:$PORT/" && break; sleep 0.05; done
    answer=$(curl -s -m 5 "http://127.0.0.1:$PORT/" || :)
    kill "$server"
    [ "$answer" = "greet production" ]
}

@test "a lock file that names a package outside of the service's folder copies nothing there [fault-273]" {
    application
    sed -i 's,"resolved": "file:vendor/greet.tgz","resolved": "file:../greet-of-another/greet.tgz",' package-lock.json
    mkdir ../greet-of-another
    cp vendor/greet.tgz ../greet-of-another/
    run -1 collect
    [[ "$output" == *"file:../greet-of-another/greet.tgz is not below the service's folder"* ]]
    [ ! -e "${TMPDIR:-/tmp}/greet-of-another" ]
    rmdir dep 2>/dev/null || [ -z "$(ls dep)" ]
}

@test "[fault-1081] packages for development alone are none" {
    application
    jq '.devDependencies = .dependencies | del(.dependencies)' package.json >new && mv new package.json
    jq '.packages[""].devDependencies = .packages[""].dependencies | del(.packages[""].dependencies) | (.packages[] | select(.resolved or .version)) |= (.dev = true)' \
        package-lock.json >new && mv new package-lock.json
    run -0 collect
    [[ "$(jq -r .messages.packages <<<"$output")" == "0, for "* ]]
    said ''
    run -0 with_dash "$node/build"
}

@test "a lock file that changed, and compiled parts for another machine, are refused before anything is changed [fault-273]" {
    application
    collect >/dev/null
    here=$(sh -c ". $HOOKS/lib/node-packages; this_machine")
    mv dep/npm-*.tar "$(ls dep/npm-*.tar | sed "s/$here/musl-riscv/")"
    said '' # no compiled parts: it is for every machine
    cp dep/npm-*-musl-riscv.tar plain
    mkdir -p node_modules/x/build node_modules/x/bin && touch node_modules/x/build/x.node && printf '\177ELF\002' >node_modules/x/bin/esbuild
    for part in build/x.node bin/esbuild; do
        tar -rf dep/npm-*-musl-riscv.tar "node_modules/x/$part"
        said "have compiled parts for another machine: this host is $here"
        cp plain dep/npm-*-musl-riscv.tar
    done
    tar -rf dep/npm-*-musl-riscv.tar node_modules/x/bin/esbuild
    run -3 with_dash "$node/build"
    collect --python=3.12 --platform=musllinux_1_2_aarch64 >/dev/null
    [ -f dep/npm-*-musl-arm64.tar ]
    collect --platform=manylinux_2_28_x86_64 >/dev/null
    [ -f dep/npm-*-glibc-x64.tar ]
    run -2 collect --platform=win_amd64
    echo >>package-lock.json
    said 'not those of its package-lock.json'
    run -3 collect --look
}

@test "what package.json lacks is named, on the laptop and on the host [fault-273]" {
    problem() { said "$1"; run -1 collect --look; [[ "$output" == *"$1"* ]]; }
    problem "no package.json in the service's folder"
    echo '{' >package.json
    problem 'package.json: '
    touch server.js
    json() { printf '%s\n' "$1" >package.json; }
    json '{"dependencies": {"x": "1"}}'
    problem 'no package-lock.json: `npm install --package-lock-only` makes it'
    touch yarn.lock
    problem 'no package-lock.json, and yarn.lock is another tool'
    echo '{"lockfileVersion": 1}' >package-lock.json
    problem 'package-lock.json is of npm 6 or older'
    rm package-lock.json yarn.lock
    json '{"workspaces": ["a"]}'
    problem 'the root of workspaces'
    json '{"scripts": {"start": "next start"}}'
    problem "scripts.start is 'next start', which is more than node and a file: name the file with \"app\""
    CHILLBOX_RUN_CMD=next said ''
    json '{"scripts": {"start": "node a.js && node b.js"}}'
    problem 'more than node and a file'
    json '{"scripts": {"start": "node gone.js"}}'
    problem "package.json starts 'gone.js', which is not in the service's folder"
    CHILLBOX_APP=server.js said ''
    rm server.js
    json '{}'
    problem 'neither scripts.start nor main says what is started'
    touch index.js
    said ''
}

@test "[fault-1069] [fault-1091] scripts.start may have arguments after its file, and files for its options: only files are named in full" {
    mkdir -p "$CHILLBOX_BUILD_DIR/app"
    touch server.js tracing.js
    start() { # SCRIPT ARGUMENTS...
        printf '{"scripts": {"start": "%s"}}\n' "$1" | tee package.json >"$CHILLBOX_BUILD_DIR/app/package.json"
        said ''
        for shell in with_dash with_ash; do
            mapfile -t argv < <("$shell" "$node/command")
            [ "${argv[*]:1}" = "$2" ]
        done
    }
    app=$CHILLBOX_BUILD_DIR/app
    start 'node server.js production 8080' "$app/server.js production 8080"
    start 'node --no-warnings ./server.js --port 8080 -- ./config.json' "--no-warnings $app/server.js --port 8080 -- ./config.json"
    start 'node -r ./tracing.js --import tracing.js server dev' "-r $app/tracing.js --import $app/tracing.js $app/server dev"
    printf '{"scripts": {"start": "node -r dotenv/config server.js"}}\n' >package.json
    said 'package.json starts node with -r dotenv/config, a package: name a file that imports it, or a command with "run-cmd"'
    # [fault-1069] options with "=", values that are no files, packages, and folders
    start 'node --import=./tracing.js --require=tracing.js server.js' "--import=$app/tracing.js --require=$app/tracing.js $app/server.js"
    start 'node --conditions production --stack-size 2000 server.js' "--conditions production --stack-size 2000 $app/server.js"
    printf '{"scripts": {"start": "node --import=tsx server.js"}}\n' >package.json
    said 'package.json starts node with --import tsx, a package: name a file that imports it, or a command with "run-cmd"'
    printf '{"scripts": {"start": "node --import=./gone.js server.js"}}\n' >package.json
    said "package.json starts './gone.js', which is not in the service's folder"
    mkdir dist
    touch dist/app.js
    printf '{"main": "dist/app.js", "scripts": {"start": "node ."}}\n' | tee package.json >"$app/package.json"
    said ''
    [ "$(with_dash "$node/command" | tail -n 1)" = "$app" ]
    printf '{"main": ".", "scripts": {"start": "node ."}}\n' >package.json
    said "package.json starts '.', which is not in the service's folder"
}

@test "engines.node is a range as npm reads it, and holds for the host" {
    touch index.js
    has=$(/usr/bin/node -p process.versions.node || node -p process.versions.node)
    major=${has%%.*}
    for range in "*" "" ">=14" ">= 14.1" "^$major" "$major" "$major.x" "~$major" ">=1 <99" "1 || >=$major" "14 - 99" "<=$major" "v$has" "^$has"; do
        printf '{"engines": {"node": "%s"}}\n' "$range" >package.json
        said ''
    done
    for range in ">=99" "^$((major - 1))" "$((major + 1)).x" "<$major" ">$major" "1 - 2" "~$major.99" "^$major.99.0" "1 || 2"; do
        printf '{"engines": {"node": "%s"}}\n' "$range" >package.json
        said "package.json wants Node.js $range (engines.node), and this host has $has"
    done
}
