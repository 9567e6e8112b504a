#!/usr/bin/env bats
# `chillboxctl deploy [DIR]` from a laptop to a host by real ssh: what it remembers, asks, refuses and says.

# shellcheck disable=SC2030,SC2031,SC2154 # tests are subshells; box_up sets HOST, run sets $stderr

load helpers/box
load helpers/host
load helpers/laptop

setup_file() {
    host_possible || return 0
    host_up
    host_set_up
    laptop_up
    know_host_key
    cat >>"$LAPTOP/ssh_config" <<CONFIG
Host down
    ProxyCommand false
Host stranger
    HostName 127.0.0.1
    UserKnownHostsFile /dev/null
    StrictHostKeyChecking yes
Host jump
    HostName 127.0.0.1
Host inner
    HostName 127.0.0.1
    Port 2222
    User root
    ProxyJump root@jump
Host jump inner
    HostKeyAlias web1.example
    IdentityFile $LAPTOP/ssh.key
    UserKnownHostsFile $LAPTOP/known_hosts
CONFIG
    secrets 'hush' # the example wants some
    make_site 1.0.0
}
teardown_file() { host_down; }
setup() {
    host_or_skip
    unset CHILLBOX_ENV
    cd "$LAPTOP/hello" || return
}

teardown() { printf "%s\n" "${output-}" "${stderr-}"; } # bats shows it when a test failed

deploy() { laptop chillboxctl deploy -k "$LAPTOP/deployer.key" "$@"; }
live() { json facts hello .site.version; }

@test "facts says what a laptop needs to know: the machine, the keys, and what is live of a site" {
    run -0 ctl facts hello --json
    [ "$(jq -r '[.schema, .recipient, .sealed, .site.version, .site.serial] | join(" ")' <<<"$output")" = "chillbox.facts.v1 $RECIPIENT false  0" ]
    [ "$(jq -r .python <<<"$output")" = "$(in_box python3 -c 'import platform; print(platform.python_version())')" ]
    [ "$(jq -r .libc <<<"$output")" = "$(in_box sh -c 'getconf GNU_LIBC_VERSION 2>/dev/null || echo musl "$(ldd --version 2>&1 | sed -n "s/^Version //p")"')" ]
    [ "$(jq -r '.deployers[0].name' <<<"$output")" = laptop ]
    run -0 ctl facts
    [[ "$output" == *"recipient    $RECIPIENT"* ]]
}

@test "one command in the project's folder makes it live, by ssh alone, and says where" {
    cd api
    run -0 --separate-stderr deploy -H root@web1.example
    [ "$output" = "http://hello.example is 1.0.0" ] # there is nothing to go back to
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
    record=$LAPTOP_HOME/config/chillbox/hosts/web1.toml
    [ "$(stat -c '%a' "$record" "${record%/*}" "$LAPTOP_HOME/config/chillbox" | sort -u | tr '\n' ' ')" = '600 700 ' ]
    grep -qxF "ssh = \"root@web1.example\"  # what ssh takes" "$record"
    grep -q "^recipient = \"$RECIPIENT\"" "$record"
    sed -i 's/1.0.0/1.1.0/' hello.site.json
    run -0 --separate-stderr deploy
    [ "$output" = "http://hello.example is 1.1.0        undo: chillboxctl rollback" ]
    [[ "$stderr" == *"hello 1.1.0 -> web1   live there: 1.0.0, by laptop, "*" ago"* ]]
    [[ "$stderr" == *"packages unchanged"* ]]
}

@test "the line that says how to undo it is the command: rollback needs neither site nor host in the project" {
    run -0 laptop chillboxctl rollback
    [[ "$output" == *"1.0.0"* ]]
    [ "$(live)" = 1.0.0 ]
    run -0 laptop chillboxctl rollback 1.1.0
    [ "$(live)" = 1.1.0 ]
    run -0 --separate-stderr laptop chillboxctl releases --json
    [ "$(jq -r .site <<<"$output")" = hello ]
    cd /
    run -2 laptop chillboxctl rollback
    [[ "$output" == *"SITE is required"* ]]
}

@test "a release that does not come up: the part, the reason, its last lines, and that visitors saw nothing (exit 9)" {
    sed -i 's/1.1.0/1.2.0/' hello.site.json
    printf 'import a_module_that_is_not_there\n' >>api/hello_api/app.py
    run -9 --separate-stderr deploy
    [[ "$stderr" == *"health      no: "*"ModuleNotFoundError"* ]]
    [[ "$stderr" == *"1.1.0 is still live; no visitor saw the new one. The whole log: chillboxctl job "*" -H web1"* ]]
    [ "$(code /)" = 200 ]
    sed -i '$d' api/hello_api/app.py
}

@test "an upload that breaks off goes on by itself from the byte that the host has [fault-424]" {
    head -c 3000000 /dev/urandom >api/hello_api/large
    printf '2000000\n' >"$LAPTOP/cut"
    run -0 --separate-stderr deploy
    [[ "$stderr" == *"the connection broke, trying again"* ]]
    [[ "$stderr" == *"send        continues at "*" MB"* ]]
    [ "$(live)" = 1.2.0 ]
    rm api/hello_api/large
}

@test "two hosts of which one is down: the others are left, or tried with --keep-going; exit 11" {
    sed -i 's/1.2.0/1.3.0/' hello.site.json
    run -5 deploy -H down
    [[ "$output" == *"ssh did not reach it"* ]]
    run -11 deploy -H down,web1
    [[ "$output" == *"0 of 2 hosts took it; failed: down; not tried: web1"* ]]
    [ "$(live)" = 1.2.0 ]
    run -11 --separate-stderr deploy -H down,web1 --keep-going --json
    [[ "$output" == *"1 of 2 hosts took it; failed: down"* ]]
    [ "$(jq -r 'select(.schema == "chillbox.deploy.v1") | [.host, .site, .code] | join(" ")' <<<"$output" | paste -sd,)" = 'down hello unreachable,web1 hello ' ]
    [ "$(live)" = 1.3.0 ]
}

@test "a host whose key ssh does not know is not spoken to (exit 5)" {
    run -5 deploy -H root@stranger
    [[ "$output" == *"Host key verification failed"* ]]
    run ! ls "$LAPTOP_HOME/config/chillbox/hosts/stranger.toml"
}

@test "before a host name vanishes it asks: without a terminal exit 2, -y does it" {
    jq '.server_name = "other.example"' hello.site.json >new.json
    cp hello.site.json keep.json
    mv new.json hello.site.json
    run -2 deploy
    [[ "$output" == *"visitors of hello.example would find nothing there any more"*"say -y"* ]]
    mv keep.json hello.site.json
    run -0 deploy
    [[ "$output" == *"already live"* ]]
}

@test "an environment of chillbox.toml: its fields are what is signed, its branch is kept" {
    cat >chillbox.toml <<'TOML'
host = "web1"
[env.staging]
server_name = "staging.example"
watch = "2s"
[env.production]
branch = "main"
TOML
    run -0 deploy -e staging -y
    [[ "$output" == *"http://staging.example is 1.3.0"* ]]
    [ "$(json facts hello '.site.names[0]')" = staging.example ]
    run -8 deploy -e production
    [[ "$output" == *"takes deploys from branch 'main' only, and "*" is in no git repository"* ]]
    run -2 deploy -e stagin
    [[ "$output" == *"did you mean 'staging'?"* ]]
    run -0 deploy -y
    [ "$(json facts hello '.site.names[0]')" = hello.example ]
    rm chillbox.toml
}

@test "confirm = true asks before each deploy: a no changes nothing, Enter is yes, and the end of the input is neither" {
    printf 'host = "web1"\nconfirm = true\n' >chillbox.toml
    jobs=$(json jobs '.jobs | length')
    run -2 deploy --refresh
    [[ "$output" == *"Deploy hello 1.3.0 to web1? There is no terminal to ask on: say -y"* ]]
    run -1 at_terminal expect:'Deploy hello 1.3.0 to web1? [Y/n]' type:n -- chillboxctl deploy --refresh -k "$LAPTOP/deployer.key"
    [[ "$output" == *"nothing was changed"* ]]
    run -130 at_terminal expect:'[Y/n]' type:$'\x04' -- chillboxctl deploy --refresh -k "$LAPTOP/deployer.key"
    [ "$(json jobs '.jobs | length')" = "$jobs" ]
    run -0 at_terminal expect:'[Y/n]' type: -- chillboxctl deploy -k "$LAPTOP/deployer.key"
    [[ "$output" == *"already live"* ]]
    run -0 --separate-stderr deploy -y --refresh # collects again
    [[ "$output" == *" is 1.3.0 "* && "$stderr" == *"api: "* && "$stderr" != *"packages unchanged"* ]]
    rm chillbox.toml
}

# page NAME PATH [OPTION...]: as a visitor of NAME
page() { host_curl -H "Host: $1" "$URL$2" "${@:3}"; }

@test "a folder of pages: deploy offers to write its site file, counts its versions without git, and --refresh deploys again what is live" {
    mkdir "$LAPTOP/pages"
    cd "$LAPTOP/pages"
    printf 'one\n' >index.html
    run -3 deploy -H web1
    [[ "$output" == *"it looks like a folder of pages (index.html); run chillboxctl deploy on a terminal"* ]]
    run -0 at_terminal expect:'name of the site [pages]' type: expect:'host name' type:pages.example -- chillboxctl deploy -k "$LAPTOP/deployer.key" -H web1
    [[ "$output" == *"wrote $PWD/pages.site.json"*"http://pages.example is 0.0.1"* ]]
    # its service's folder is the project's own, without what is not the site
    [ "$(jq -r '.services[0].handler' pages.site.json)" = . ]
    [ "$(page pages.example /)" = one ]
    printf 'host = "web1"\n' >chillbox.toml
    mkdir secrets && printf 'age1\n' >secrets/people.txt
    printf 'two\n' >index.html
    run -0 deploy
    [[ "$output" == *"http://pages.example is 0.0.2 "* ]]
    [ "$(page pages.example /)" = two ]
    for path in /pages.site.json /chillbox.toml /secrets/people.txt; do
        [ "$(page pages.example "$path" -o /dev/null -w '%{http_code}')" = 404 ]
    done
    run -0 deploy
    [[ "$output" == *"already live: http://pages.example is 0.0.2"* ]]
    run -0 deploy --refresh
    [[ "$output" == *"http://pages.example is 0.0.3 "* ]]
}

@test "[fault-567] a git repository with a submodule: what is in the submodule is deployed, and the version is git's, or that of make inspect.VERSION" {
    export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=protocol.file.allow GIT_CONFIG_VALUE_0=always
    commit() { git -C "$1" -c user.name=jo -c user.email=jo@example.org commit -q -m "$2"; }
    mkdir "$LAPTOP/part" "$LAPTOP/whole"
    cd "$LAPTOP/part"
    git init -q . && printf 'of the submodule\n' >part.txt && git add . && commit . first
    cd "$LAPTOP/whole"
    git init -q .
    mkdir web && printf 'whole\n' >web/index.html
    git submodule --quiet add "$LAPTOP/part" web/part
    jq -n '{name: "whole", server_name: "whole.example", services: [{name: "web", lang: "static"}]}' >whole.site.json
    git add . && commit . first
    run -0 deploy -H web1
    [[ "$output" == *"http://whole.example is 0.0.1+g$(git rev-parse --short=7 HEAD)"* ]]
    [ "$(page whole.example /part/part.txt)" = 'of the submodule' ]
    [ "$(page whole.example /part/.git -o /dev/null -w '%{http_code}')" = 404 ]
    # a clone without it would deploy an empty folder
    git clone -q "$LAPTOP/whole" "$LAPTOP/clone"
    cd "$LAPTOP/clone"
    printf 'clone\n' >web/index.html
    run -2 deploy -H web1
    [[ "$output" == *"web/part is a git submodule that is not checked out here (git submodule update --init), and would be deployed empty"*"say -y"* ]]
    run -1 at_terminal expect:'deploy anyway? [y/N]' type: -- chillboxctl deploy -k "$LAPTOP/deployer.key" -H web1
    cd "$LAPTOP/whole"
    printf 'VERSION = 3.0.0\ninspect.%%:\n\t@echo $($*)\n' >Makefile
    git add . && commit . second
    run -0 deploy -H web1
    [[ "$output" == *"http://whole.example is 3.0.0 "* ]]
}

@test "what ssh is told in its configuration holds: an alias, a jump host and another port" {
    in_box "$(in_box sh -c 'command -v sshd || echo /usr/sbin/sshd')" -p 2222
    run -0 deploy -H inner
    [[ "$output" == *"inner is remembered as inner"*"http://hello.example is 1.3.0 "* ]]
    for host in inner root@inner ssh://root@web1.example:2222; do
        run -0 laptop chillboxctl -H "$host" ping
        [[ "$output" == *", unlocked" ]]
    done
    run -0 laptop chillboxctl setup inner --dry-run -y --trust "$LAPTOP/deployer.pub"
    [[ "$output" == *"inner       "*"port 80"* ]]
    run -0 laptop chillboxctl hosts remove inner
    [ "$(ls "$LAPTOP_HOME/config/chillbox/hosts")" = web1.toml ]
}

@test "a project by a link, with spaces and letters of another alphabet in its path" {
    mkdir -p "$LAPTOP/a b ä"
    cp -r "$LAPTOP/hello" "$LAPTOP/a b ä/proj"
    ln -s "$LAPTOP/a b ä/proj/api" "$LAPTOP/link"
    cd "$LAPTOP/link"
    sed -i 's/1.3.0/1.4.0/' "$LAPTOP/a b ä/proj/hello.site.json"
    run -2 deploy
    [[ "$output" == *"was last deployed from $LAPTOP/hello, and this is $LAPTOP/a b ä/proj"* ]]
    run -0 deploy -y
    [[ "$output" == *"is 1.4.0"* ]]
    cd "$LAPTOP/hello"
    run -2 deploy
    [[ "$output" == *"1.3.0 is older than 1.4.0, which is live"* ]]
    sed -i 's/1.3.0/1.4.0/' hello.site.json
}

@test "a key that the host does not trust, a host without chillbox, an older one: each is said before anything is sent" {
    sed -i 's/1.4.0/1.5.0/' hello.site.json
    (cd "$LAPTOP" && "$CTL" keygen -q -o mallory --no-password)
    run -4 laptop chillboxctl deploy -y -k "$LAPTOP/mallory.key"
    [[ "$output" == *"web1 does not trust your key"* ]]
    in_box mv /usr/bin/chillboxctl /usr/bin/chillboxctl.away
    run -3 deploy -y
    [[ "$output" == *"there is no chillboxctl on web1: chillboxctl setup"* ]]
    in_box sh -c 'printf "#!/bin/sh\nexit 2\n" >/usr/bin/chillboxctl; chmod 755 /usr/bin/chillboxctl'
    run -7 deploy -y
    [[ "$output" == *"is older than this one and takes no deploy by ssh"* ]]
    in_box mv /usr/bin/chillboxctl.away /usr/bin/chillboxctl
    [ "$(live)" = 1.4.0 ]
}

@test "what cannot be remembered does not stop a deploy" {
    mv "$LAPTOP_HOME/config/chillbox/hosts" "$LAPTOP_HOME/config/chillbox/away"
    touch "$LAPTOP_HOME/config/chillbox/hosts"
    run -0 deploy -y -H root@web1.example
    [ "$(live)" = 1.5.0 ]
    rm "$LAPTOP_HOME/config/chillbox/hosts"
    mv "$LAPTOP_HOME/config/chillbox/away" "$LAPTOP_HOME/config/chillbox/hosts"
}

@test "a locked host: exit 6 without a terminal, and nothing is sent; on one it offers to unlock" {
    ctl lock
    sed -i 's/1.5.0/1.6.0/' hello.site.json
    run -6 deploy -y
    [[ "$output" == *"web1 is locked since its start at "*": nothing was sent"* ]]
    [[ "$output" == *"chillboxctl unlock -H web1"* ]]
    run -0 at_terminal "expect:Deploy hello 1.6.0 to web1? [y/N]" type:y "expect:Unlock it now? [Y/n]" "type:" "expect:passphrase of the host" "type:$PASSPHRASE" -- \
        chillboxctl deploy -k "$LAPTOP/deployer.key" -H web1
    [[ "$output" == *"is 1.6.0"* ]]
}

@test "[fault-566] --timeout ends the wait at that time, exit 124, and the deploy continues" {
    jq '.watch = "15s" | .version = "1.6.1"' hello.site.json >new.json
    mv new.json hello.site.json
    begun=$SECONDS
    run -124 deploy -H web1 --timeout 1s
    [ $((SECONDS - begun)) -lt 12 ]
    [[ "$output" == *"gave up waiting after 1"*" s; the deploy continues on web1"*"chillboxctl job "*" -f -H web1"* ]]
    job=$(grep -o 'chillboxctl job [0-9a-f]*' <<<"$output" | cut -d ' ' -f 3)
    laptop chillboxctl job "$job" -f -H web1
    [ "$(live)" = 1.6.1 ]
}

@test "Ctrl-C after the upload: the deploy continues, and the line to follow it is the command" {
    jq '.watch = "8s" | .version = "1.7.0"' hello.site.json >new.json
    mv new.json hello.site.json
    run -130 at_terminal "expect:watching" ctrl-c -- chillboxctl deploy -k "$LAPTOP/deployer.key" -H web1
    [[ "$output" == *"interrupted: the deploy continues on web1"* ]]
    [ "$(live)" = 1.7.0 ]
}

@test "deploy --version: another version than the site file's is what is packed, signed and live" {
    run -0 deploy --version 9.1.0
    [ "$(live)" = 9.1.0 ]
    run -0 deploy --version 9.2.0 -y
    [ "$(live)" = 9.2.0 ]
}
