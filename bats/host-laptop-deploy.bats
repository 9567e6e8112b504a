#!/usr/bin/env bats
# `chillboxctl deploy [DIR]` from a laptop to a host by real ssh: what it remembers, asks, refuses and says.

# shellcheck disable=SC2030,SC2031,SC2154 # tests are subshells; box_up sets HOST, run sets $stderr

load helpers/box
load helpers/host

setup_file() {
    host_possible || return 0
    host_up
    host_set_up
    laptop
    secrets 'hush' # the example wants some
    make_site 1.0.0
}
teardown_file() { host_down; }
setup() {
    host_or_skip
    unset CHILLBOX_HOST CHILLBOX_ENV
    export HOME=$LAPTOP/home PATH=$LAPTOP/bin:$PATH XDG_CONFIG_HOME='' XDG_CACHE_HOME='' XDG_STATE_HOME='' XDG_RUNTIME_DIR=''
    cd "$LAPTOP/hello" || return
}

# ssh as a laptop has it, with a way into the box; `down` and `port` of ssh_config are hosts that do not answer.
laptop() {
    mkdir -p "$LAPTOP/home" "$LAPTOP/bin"
    cat >"$LAPTOP/ssh_config" <<CONFIG
Host web1.example web1 2001:db8::1
    ProxyCommand $ROOT/tests/host/box net $HOST -- busybox nc 127.0.0.1 22
    IdentityFile $(box key "$HOST")
    UserKnownHostsFile $LAPTOP/known_hosts
    StrictHostKeyChecking accept-new
Host down
    ProxyCommand false
Host stranger
    ProxyCommand $ROOT/tests/host/box net $HOST -- busybox nc 127.0.0.1 22
    UserKnownHostsFile /dev/null
    StrictHostKeyChecking yes
CONFIG
    printf '#!/bin/sh\nexec %s -F %s "$@"\n' "$(command -v ssh)" "$LAPTOP/ssh_config" >"$LAPTOP/bin/ssh"
    chmod 755 "$LAPTOP/bin/ssh"
    ln -sf "$CTL" "$LAPTOP/bin/chillboxctl"
}

teardown() { printf "%s\n" "${output-}" "${stderr-}"; } # bats shows it when a test failed

deploy() { chillboxctl deploy -k "$LAPTOP/deployer.key" "$@"; }
live() { json facts hello .site.version; }

@test "facts says what a laptop needs to know: the machine, the keys, and what is live of a site" {
    run -0 ctl facts hello --json
    [ "$(jq -r '[.schema, .recipient, .sealed, .site.version, .site.serial] | join(" ")' <<<"$output")" = "chillbox.facts.v1 $RECIPIENT false  0" ]
    [ "$(jq -r .python <<<"$output")" = "$(in_box python3 -c 'import platform; print(platform.python_version())')" ]
    [ "$(jq -r .libc <<<"$output")" = "$(in_box getconf GNU_LIBC_VERSION)" ]
    [ "$(jq -r '.deployers[0].name' <<<"$output")" = laptop ]
    run -0 ctl facts
    [[ "$output" == *"recipient    $RECIPIENT"* ]]
}

@test "one command in the project's folder makes it live, by ssh alone, and says where and how to undo it" {
    cd api
    run -0 --separate-stderr deploy -H root@web1.example
    [ "$output" = "http://hello.example is 1.0.0        undo: chillboxctl rollback -H web1" ]
    [[ "$stderr" == *"hello 1.0.0 -> root@web1.example   nothing is live there yet"* ]]
    [[ "$stderr" == *"pack  "*" files, "* ]]
    [[ "$stderr" == *"send  "*"ok"* ]]
    [[ "$stderr" == *"build "*"ok"* ]]
    [[ "$stderr" == *"live  "*"watched 1.0 s"* ]]
    [ "$(grep -c "^[a-z]* *[^ ]" <<<"$stderr")" -le 9 ] # with what ssh says of a new host
    [ "$(code /)" = 200 ]
    [ "$(live)" = 1.0.0 ]
    [ "$(json jobs '.jobs[0].actor')" = "uid:0 root" ]
}

@test "the same folder again is already live: no release, no job, exit 0" {
    jobs=$(json jobs '.jobs | length')
    run -0 deploy -H root@web1.example
    [[ "$output" == *"already live: http://hello.example is 1.0.0"* ]]
    [ "$(json jobs '.jobs | length')" = "$jobs" ]
}

@test "the host is remembered by its name, with what it is, and the next deploy needs no -H" {
    record=$HOME/.config/chillbox/hosts/web1.toml
    [ "$(stat -c '%a' "$record" "${record%/*}" "$HOME/.config/chillbox" | sort -u | tr '\n' ' ')" = '600 700 ' ]
    grep -qxF "ssh = \"root@web1.example\"  # what ssh takes" "$record"
    grep -q "^recipient = \"$RECIPIENT\"" "$record"
    sed -i 's/1.0.0/1.1.0/' hello.site.json
    run -0 --separate-stderr deploy
    [ "$output" = "http://hello.example is 1.1.0        undo: chillboxctl rollback" ]
    [[ "$stderr" == *"hello 1.1.0 -> web1   live there: 1.0.0, by laptop, "*" ago"* ]]
    [[ "$stderr" == *"packages unchanged"* ]]
}
