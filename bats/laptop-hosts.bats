#!/usr/bin/env bats
# What the laptop remembers: hosts, whoami, unlock --all, against an ssh that runs the command here with the daemon of that name; undo.

load helpers/cli

setup() {
    cli_setup
    mkdir bin run
    chmod 0700 run
    cat >bin/ssh <<'SH'
#!/bin/sh
printf '%s\n' "$*" >>"$WORK/ssh.log"
while [ "$1" != -- ]; do shift; done
name=${2#*@}
[ "$name" != c ] || { echo "ssh: connect to host c port 22: Connection refused" >&2; exit 255; }
CHILLBOX_SOCKET=$WORK/$name.sock; export CHILLBOX_SOCKET
sh -c "$3"
SH
    chmod +x bin/ssh
    export PATH="$PWD/bin:$PATH" WORK=$PWD HOME=$PWD/home XDG_CONFIG_HOME=$PWD/config XDG_RUNTIME_DIR=$PWD/run
    mkdir -p home config/chillbox/hosts
    chmod -R go= home config
    PTY=$BATS_TEST_DIRNAME/helpers/pty
}
teardown() { cli_teardown; }

host() { # NAME ANSWERS
    printf '%s' "$2" >"$1.json"
    "$FAKE/fake-daemon" "$WORK/$1.sock" "$1.json" "$1.log" 3>&- &
    FAKE_PIDS="${FAKE_PIDS-} $!"
    for _ in $(seq 100); do [ ! -S "$WORK/$1.sock" ] || return 0; sleep 0.05; done
    return 1
}

known() { printf 'ssh = "root@%s"\nrole = "admin"\n' "$1" >"config/chillbox/hosts/$1.toml" && chmod 0600 "config/chillbox/hosts/$1.toml"; }

status_of() { # SEALED
    printf '{"ping": {"result": {"sealed": %s}}, "unlock": {"result": {}}, "status": {"result": {"host": {"version": "0.1.0", "sealed": %s, "uptime_s": 90, "waiting_unlock": 0, "warnings": []},
      "sites": [{"site": "blog", "state": "live", "version": "1.0.0"}]}}}' "$1" "$1"
}

@test "hosts shows each host that is known as it is now, in 80 columns, and names what to do about a locked one" {
    run -0 chillboxctl hosts
    [[ "$output" == *"no host is known here yet: chillboxctl setup root@HOST"* ]]
    for name in one two c; do known $name; done
    host one "$(status_of false)"
    host two "$(status_of true)"
    run -0 "$PTY" --fits -- chillboxctl hosts
    [[ "$output" == *"NAME  ADDRESS   STATE     SITES  VERSION  SEEN"* ]]
    [[ "$output" == *"c     root@c    away      "*never* && "$output" == *"one   root@one  unlocked  blog   0.1.0    0 s ago"* ]]
    [[ "$output" == *"two is locked: chillboxctl -H two unlock"* ]]
    run -0 --separate-stderr chillboxctl hosts list --json
    [ "$(jq -r '.schema, (.hosts[] | [.name, .state] | join(":"))' <<<"$output" | paste -sd ' ')" = 'chillbox.hosts.v1 c:away one:unlocked two:locked' ]
    grep -q '^version = "0.1.0"' config/chillbox/hosts/one.toml
}

@test "open takes no address from a host that is not one of a website [fault-613]" {
    known one
    for url in file:///etc/passwd --help smb://thief/share; do
        host one "$(printf '{"facts": {"result": {"site": {"site": "blog", "version": "1.0.0", "url": "%s"}}}}' "$url")"
        run -1 --separate-stderr chillboxctl open blog -H one
        [ -z "$output" ]
        [[ "$stderr" == *"one says that the address of blog is '$url', which is none of a website"* ]]
        rm -f "$WORK/one.sock"
    done
}

@test "hosts remove forgets one, and names those that there are when it is another" {
    known one
    run -3 chillboxctl hosts remove nobody
    [[ "$output" == *"no host 'nobody': there is one"* ]]
    run -0 chillboxctl hosts remove one
    [ ! -e config/chillbox/hosts/one.toml ]
    [ ! -e ssh.log ]
}

@test "[fault-983] hosts keeps what a person wrote into a record, and does not bring back one that was removed meanwhile" {
    known one
    printf '# in the cellar\nssh = "root@one"\nnote = "two disks"\n' >config/chillbox/hosts/one.toml
    host one "$(status_of false)"
    run -0 chillboxctl hosts
    run -0 head -n 3 config/chillbox/hosts/one.toml
    [ "$output" = $'# in the cellar\nssh = "root@one"\nnote = "two disks"' ]
    grep -q '^version = "0.1.0"' config/chillbox/hosts/one.toml
    # while the host is asked
    # shellcheck disable=SC2016 # a script
    sed -i 's,^CHILLBOX_SOCKET,chillboxctl hosts remove one >\&2; &,' bin/ssh
    run -0 --separate-stderr chillboxctl hosts
    [ ! -e config/chillbox/hosts/one.toml ]
    [[ "$output" != *"root@one"* ]]
}

@test "whoami: without a key it says how to get one; with one it shows it, and what it may where" {
    run -3 chillboxctl whoami
    [[ "$output" == *"you have no key yet"* ]]
    known one
    mkdir -p config/chillbox/keys
    (umask 077 && cd config/chillbox/keys && chillboxctl keygen -q -o jo --no-password)
    run -0 chillboxctl whoami
    [[ "$output" == "jo  key "*"without a passphrase: it signs without asking"*"one: admin"* ]]
    run -0 chillboxctl whoami --json
    [ "$(jq -r '[.schema, .name, .unlocked, .hosts[0].role] | join(" ")' <<<"$output")" = 'chillbox.whoami.v1 jo true admin' ]
    sed -i '/^role/d' config/chillbox/hosts/one.toml # as a deploy by root@one writes it [fault-1128]
    run -0 chillboxctl whoami
    [[ "$output" == *"one: admin"* ]]
    sed -i 's/root@one/kim@one/' config/chillbox/hosts/one.toml
    run -0 chillboxctl whoami
    [[ "$output" == *"one: not known"* ]]
}

@test "config set changes one line and keeps the others and their comments; get shows what holds; what could not be read back is refused [fault-743]" {
    run -0 chillboxctl config get
    [ "$output" = $'host = ""\nagent_idle = "15m"\neditor = ""' ]
    printf '# mine\neditor = "ed"\n' >config/chillbox/config.toml
    chmod 0600 config/chillbox/config.toml
    run -0 chillboxctl config set host one
    [ "$output" = 'host is one' ]
    run -0 chillboxctl config set host one
    [[ "$output" == unchanged:* ]]
    run -0 chillboxctl config set agent_idle 1h
    [ "$(cat config/chillbox/config.toml)" = $'# mine\neditor = "ed"\nhost = "one"\nagent_idle = "1h"' ]
    [ "$(stat -c %a config/chillbox/config.toml)" = 600 ]
    [ "$(chillboxctl config get agent_idle)" = 60m ]
    [ "$(chillboxctl config get --json | jq -r '[.schema, .host, .editor, .agent_idle_s] | join(" ")')" = 'chillbox.config.v1 one ed 3600' ]
    host one "$(status_of false)"
    known one
    run -0 chillboxctl ping
    [[ "$(cat ssh.log)" == *root@one* ]]
    for wrong in 'agent_idle 9h' 'agent_idle never' "host $(head -c 600 /dev/zero | tr '\0' a)"; do
        # shellcheck disable=SC2086 # two words
        run -1 chillboxctl config set $wrong
    done
    run -1 chillboxctl config set agent_idle 5
    [[ "$output" == *"agent_idle: '5' has no unit: write 5m for minutes, or s or h"* ]]
    run -2 chillboxctl config set colour red
    run -0 chillboxctl config set host
    [ "$(chillboxctl config get host)" = '' ]
    # A file with a mistake of the person's is named, and not written over.
    printf 'hots = "x"\n' >config/chillbox/config.toml
    run -1 chillboxctl config set host one
    [[ "$output" == *"config.toml:1"* ]]
    [ "$(cat config/chillbox/config.toml)" = 'hots = "x"' ]
}

@test "unlock --all asks for each host that is known and locked; one that is away does not stop the others, exit 11" {
    for name in c one two; do known $name; done
    host one "$(status_of false)"
    host two "$(status_of true)"
    run -11 "$PTY" expect:'of the host: ' echo:off type:'two words' -- chillboxctl unlock --all
    [[ "$output" == *"== c"*"== one"*"unchanged: the host is unlocked"*"== two"*unlocked*"not unlocked: c"* ]]
    run -2 chillboxctl unlock --all -H one
    rm config/chillbox/hosts/c.toml
    run --separate-stderr chillboxctl unlock --all --json -q --no-color </dev/null
    [ "$status" -eq 11 ] # two is locked, and there is no terminal to ask on
    grep -q -- "--json.*--quiet.*--no-color" ssh.log
    [ "$(head -n 1 <<<"$output" | jq -r '[.schema, .changed] | join(" ")')" = 'chillbox.unlock.v1 false' ]
}

@test "[fault-568] a record of a host that cannot be read is named, and does not stop hosts or unlock --all" {
    known one
    host one "$(status_of false)"
    printf 'ssh = "-oProxyCommand=x"\n' >config/chillbox/hosts/odd.toml
    printf 'ssh = [\n' >config/chillbox/hosts/torn.toml
    chmod 0600 config/chillbox/hosts/*.toml
    run -0 chillboxctl hosts
    [[ "$output" == *"hosts/odd.toml: "* && "$output" == *"hosts/torn.toml:"* && "$output" == *"one   root@one  unlocked"* ]]
    run -11 chillboxctl unlock --all
    [[ "$output" == *"hosts/torn.toml:"*"== one"*"not unlocked: "*"odd.toml"* ]]
    run -0 chillboxctl hosts remove torn
    [ ! -e config/chillbox/hosts/torn.toml ]
}

@test "unlock at a terminal asks again after a wrong passphrase, when the host takes the next one" {
    host here '{"ping": {"result": {"sealed": true}}, "unlock": {"error": {"code": "denied", "message": "wrong passphrase"}},
      "status": {"result": {"host": {"version": "0.1.0", "sealed": true, "uptime_s": 90, "unlock_wait_s": 1, "warnings": []}, "sites": []}}}'
    CHILLBOX_SOCKET=$WORK/here.sock run -4 "$PTY" again:'of the host: ':wrong -- chillboxctl unlock
    [ "$(grep -o 'passphrase of the host' <<<"$output" | wc -l)" = 3 ]
    [ "$(grep -c '"unlock"' here.log)" = 3 ]
}

@test "[fault-1114] [fault-1216] undo names the last change and the command that takes it back, and does it after a yes" {
    job='{"id": "1a22025c00000000", "kind": "deploy", "site": "blog", "version": "2.0.0", "release": "2.0.0-1", "previous": "1.0.0-3", "state": "done", "actor": "uid:0 root", "finished_ms": 1795196014000}'
    sites='"sites": {"result": {"sites": [{"site": "blog", "state": "live"}]}}'
    back='"rollback": {"result": {"job": {"id": "j1", "kind": "rollback", "site": "blog", "state": "done", "message": "1.0.0 is live"}}}'
    start_daemon "{$sites, $back, \"jobs\": {\"result\": {\"jobs\": [$job]}}}"
    run -2 chillboxctl undo blog
    run -1 "$PTY" expect:'Do it?' type:n -- chillboxctl undo blog
    [[ "$output" == *"last change  deploy of 2.0.0 by uid:0 root, "*" ago"*"undo         chillboxctl rollback blog 1.0.0-3"*"nothing was changed"* ]]
    run -0 "$PTY" expect:'Do it?' type:y -- chillboxctl undo blog
    [ "$(tail -n 1 daemon.log | jq -r '[.verb, .args.site, .args.version] | join(" ")')" = 'rollback blog 1.0.0-3' ]
    start_daemon '{"sites": {"result": {"sites": [{"site": "blog", "state": "live", "maintenance": true}]}}, "maintenance_off": {"result": {}}}'
    run -0 chillboxctl undo blog -y
    [ "$(tail -n 1 daemon.log | jq -r .verb)" = maintenance_off ]
    start_daemon '{"sites": {"result": {"sites": [{"site": "blog", "state": "live", "hold": {"why": "ask Kim", "actor": "uid:0 root", "time_ms": 1}}]}}, "release_hold": {"result": {}}}'
    run -0 chillboxctl undo blog -y
    [ "$(tail -n 1 daemon.log | jq -r .verb)" = release_hold ]
    for row in 'stop start' 'rollback rollback'; do
        done='{"result": {"job": {"id": "j1", "site": "blog", "state": "done", "message": "done"}}}'
        start_daemon "{$sites, \"${row#* }\": $done, \"jobs\": {\"result\": {\"jobs\": [$(jq -c --arg kind "${row% *}" '.kind = $kind' <<<"$job")]}}}"
        run -0 chillboxctl undo blog -y
        [ "$(tail -n 1 daemon.log | jq -r .verb)" = "${row#* }" ]
    done
    stops=$(jq -c '.kind = "stop" | .service = "worker"' <<<"$job") starts=$(jq -c '.kind = "start" | .service = "worker"' <<<"$job")
    start_daemon "{$sites, \"stop\": $done, \"jobs\": {\"result\": {\"jobs\": [$starts, $stops]}}}"
    run -0 chillboxctl undo blog -y
    [ "$(tail -n 1 daemon.log | jq -r '[.verb, .args.site, .args.service] | join(" ")')" = 'stop blog worker' ]
    web=$(jq -c '.service = "web"' <<<"$stops") all=$(jq -c '.service = ""' <<<"$starts")
    start_daemon "{$sites, \"stop\": $done, \"jobs\": {\"result\": {\"jobs\": [$all, $web, $stops]}}}"
    run -1 "$PTY" --size=200x24 expect:'Do it?' type:n -- chillboxctl undo blog
    [[ "$output" == *"which started blog/web, blog/worker"*"chillboxctl stop blog/web && chillboxctl stop blog/worker"* ]]
    run -0 chillboxctl undo blog -y
    [ "$(tail -n 2 daemon.log | jq -r '[.verb, .args.site, .args.service] | join(" ")')" = $'stop blog web\nstop blog worker' ]
    run -0 --separate-stderr chillboxctl undo blog -y --json
    [ "$(jq -s -r '[length, .[0].schema, (.[0].jobs | length)] | join(" ")' <<<"$output")" = '1 chillbox.jobs.v1 2' ] # [fault-1216]
    again=$(jq -c '.previous = .release' <<<"$job")
    start_daemon "{$sites, $back, \"jobs\": {\"result\": {\"jobs\": [$starts, $again, $job]}}}"
    run -0 chillboxctl undo blog -y
    [ "$(tail -n 1 daemon.log | jq -r '[.verb, .args.site, .args.version] | join(" ")')" = 'rollback blog 1.0.0-3' ]
    start_daemon "{$sites, \"jobs\": {\"result\": {\"jobs\": [$starts, $again]}}}"
    run -3 chillboxctl undo blog -y
    [[ "$output" == *"nothing was changed at 'blog'"* ]]
    start_daemon "{$sites, \"jobs\": {\"result\": {\"jobs\": [$(jq -c '.previous = ""' <<<"$job")]}}}"
    run -7 chillboxctl undo blog -y
    [[ "$output" == *"the first deploy of 'blog'"* ]]
    start_daemon "{$sites, \"jobs\": {\"result\": {\"jobs\": [$(jq -c '.kind = "secrets"' <<<"$job")]}}}"
    run -7 chillboxctl undo blog -y
    [[ "$output" == *"cannot be taken back"* ]]
    start_daemon "{$sites, $back, \"jobs\": {\"result\": {\"jobs\": [$job]}}, \"releases\": {\"result\": {\"site\": \"blog\", \"live\": \"2.0.0-1\", \"releases\": [{\"id\": \"1.0.0-3\", \"version\": \"1.0.0\", \"withdrawn\": true}]}}}"
    run -7 chillboxctl undo blog -y
    [[ "$output" == *"the last change is the deploy of 2.0.0 by uid:0 root, "*", and 1.0.0-3 before it was withdrawn: deploy another version"* ]]
}

@test "[fault-1097] undo of a rollback with the data takes them along, after what it takes away was shown" {
    job='{"id": "1a22025c00000000", "kind": "rollback", "site": "blog", "release": "1.0.0-3", "previous": "2.0.0-4", "state": "done", "actor": "uid:0 root", "options": {"with_data": true}}'
    loss='{"site": "blog", "release": "2.0.0-4", "snapshot": {"number": 5, "time_ms": 1795196014000}, "changed": 12, "newest_ms": 1795196014000}'
    answers='"sites": {"result": {"sites": [{"site": "blog", "state": "live"}]}}, "rollback": {"result": {"job": {"id": "j1", "site": "blog", "state": "done"}}}'
    start_daemon "{$answers, \"data_loss\": {\"result\": $loss}, \"jobs\": {\"result\": {\"jobs\": [$job]}}}"
    run -1 "$PTY" expect:'Do it?' type:n -- chillboxctl undo blog
    [[ "$output" == *"rollback to 1.0.0-3 with the data by "*"chillboxctl rollback blog 2.0.0-4 --with-data"*"snapshot 5, "*"since then: 12 files, newest "*"nothing was changed"* ]]
    run -0 chillboxctl undo blog -y
    [ "$(tail -n 1 daemon.log | jq -r '[.verb, .args.version, .args.with_data] | join(" ")')" = 'rollback 2.0.0-4 true' ]
    # what could not be looked at is said, and changes nothing
    start_daemon "{$answers, \"data_loss\": {\"result\": $(jq -c '.unknown = "more than 500000 entries"' <<<"$loss")}, \"jobs\": {\"result\": {\"jobs\": [$job]}}}"
    run -0 chillboxctl undo blog -y
    [[ "$output" == *"written     since then: not known: more than 500000 entries"* ]]
    run -0 chillboxctl rollback blog --with-data -y
    [[ "$output" == *"not known: more than 500000 entries"* ]]
}

@test "[fault-485] the first characters of a job's id are enough; several jobs that begin so are named" {
    start_daemon '{"jobs": {"result": {"jobs": [{"id": "1a22025c00000000", "kind": "deploy", "site": "blog"}, {"id": "1a22ffff00000000", "kind": "deploy", "site": "blog"}]}},
      "job": {"result": {"job": {"id": "1a22025c00000000", "kind": "deploy", "site": "blog", "state": "done"}}}}'
    run -0 chillboxctl job 1a22025
    [ "$(tail -n 1 daemon.log | jq -r .args.job)" = 1a22025c00000000 ]
    run -2 chillboxctl job 1a22
    [[ "$output" == *"'1a22' is the beginning of 1a22025c00000000, 1a22ffff00000000"* ]]
    run -0 "$PTY" --fits -- chillboxctl jobs
    [[ "$output" == *"1a22025c  deploy"* ]]
}
