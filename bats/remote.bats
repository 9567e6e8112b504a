#!/usr/bin/env bats
# chillboxctl on other machines: -H, --hosts and --limit, against an ssh that runs the command here with the daemon of that name
# (bats/host-ansible.bats has real ssh).

# shellcheck disable=SC2154 # $stderr comes from run --separate-stderr

load helpers/cli

JOB='{"job": {"id": "j1", "kind": "rollback", "site": "blog", "version": "1.0.0", "state": "done", "message": "1.0.0 (1.0.0-3) is live", "code": ""}}'

# Host c does not answer; what ssh was called with is in ssh.log.
setup() {
    cli_setup
    mkdir bin
    cat >bin/ssh <<'SH'
#!/bin/sh
printf '%s\n' "$*" >>"$WORK/ssh.log"
while [ "$1" != -- ]; do shift; done
name=${2#*@} name=${name%:*}
[ "$name" != c ] || { echo "ssh: connect to host c port 22: Connection refused" >&2; exit 255; }
CHILLBOX_SOCKET=$WORK/$name.sock; export CHILLBOX_SOCKET
[ ! -e "$WORK/linger" ] || sleep 60 >/dev/null & # as ControlPersist: holds standard error open
sh -c "$3"
SH
    chmod +x bin/ssh
    export PATH="$PWD/bin:$PATH" WORK=$PWD
}
teardown() { cli_teardown; }

# host NAME ANSWERS
host() {
    printf '%s' "$2" >"$1.json"
    "$FAKE/fake-daemon" "$WORK/$1.sock" "$1.json" "$1.log" 3>&- &
    FAKE_PIDS="${FAKE_PIDS-} $!"
    for _ in $(seq 100); do [ ! -S "$WORK/$1.sock" ] || return 0; sleep 0.05; done
    return 1
}

log_of() { # FILE, of service api
    printf '{"log_files": {"events": [{"service": "api", "stream": "app", "file": "%s"}, {"look": true}], "result": {}}}' "$WORK/$1"
}

status_of() { # SEALED STATE
    printf '{"status": {"result": {"host": {"version": "0.1.0", "sealed": %s, "uptime_s": 90, "waiting_unlock": 0, "warnings": []},
      "sites": [{"site": "blog", "state": "%s", "version": "1.0.0"}]}}, "rollback": {"result": %s}}' "$1" "$2" "$JOB"
}

@test "-H runs the same command through ssh, every word quoted, and ends with its exit code" {
    host one '{"rollback": {"result": '"$JOB"'}, "ping": {"result": {"sealed": true}}, "unlock": {"result": {}},
      "releases": {"error": {"code": "not_found", "message": "no site"}}}'
    run -0 chillboxctl -H a@one rollback blog 1.0.0
    [ "$output" = "blog: 1.0.0 (1.0.0-3) is live" ]
    [ "$(cat ssh.log)" = "-o ForwardAgent=no -- a@one CHILLBOX_HOST= chillboxctl 'rollback' '--' 'blog' '1.0.0'" ]
    CHILLBOX_HOST=a@one run -3 chillboxctl releases 'blog' --json
    [ "$(tail -n 1 ssh.log)" = "-o ForwardAgent=no -- a@one CHILLBOX_HOST= chillboxctl 'releases' '--json' '--' 'blog'" ]
    run -5 chillboxctl rollback blog -H b@c
    run -5 --separate-stderr chillboxctl rollback blog -H b@c --json
    [ "$(jq -r '[.schema, .error.code, .error.message] | join(" ")' <<<"$output")" = "chillbox.error.v1 unreachable b@c: ssh did not reach it" ]
    [[ "$stderr" == *"Connection refused"* ]]
    run -5 chillboxctl rollback blog -H b@c:2222
    [[ "$output" == *"chillboxctl: b@c:2222 (ssh://b@c:2222): ssh did not reach it" ]]
    run -0 chillboxctl unlock -H a@one --passphrase-fd 3 3<<<"through ssh"
    [ "$(tail -n 1 one.log | jq -r .secret)" = "through ssh" ]
    run -2 chillboxctl unlock -H a@one,c@three --passphrase-fd 3 3<<<"x"
}

@test "a webhook key that is made on a host becomes a file here, for its owner alone; without a key there is no file [fault-262]" {
    export CHILLBOX_ROOT=$WORK/root
    umask 0
    run -0 chillboxctl -H a@one webhook add ci --sites blog -o hook.key
    [ "$(stat -c %a hook.key)" = 600 ]
    grep -qxF "$(cat hook.key)" root/etc/chillbox/webhooks/ci.key
    [ "$(cat ssh.log)" = "-o ForwardAgent=no -- a@one CHILLBOX_HOST= chillboxctl 'webhook' 'add' '--sites=blog' '--' 'ci'" ]
    run -7 chillboxctl -H a@one webhook rotate ci -o hook.key
    run -2 chillboxctl -H a@one,a@two webhook rotate ci -o x.key
    run -2 chillboxctl -H a@one webhook rotate ci -o x.key --json
    run -5 chillboxctl -H a@c webhook rotate ci -o x.key
    run ! ls x.key
    [ "$(wc -l <ssh.log)" = 2 ]
}

@test "several hosts run side by side, each line under its host, and exit 11 when they differ" {
    host one "$(status_of false live)"
    host two '{"rollback": {"error": {"code": "sealed", "message": "the host is locked"}}}'
    run -11 --separate-stderr chillboxctl rollback blog -H one,root@two,c
    [ "$output" = "one       blog: 1.0.0 (1.0.0-3) is live" ]
    [[ "$stderr" == *"root@two  chillboxctl: the host is locked"* ]]
    [[ "$stderr" == *"c         ssh: connect to host c"* ]]
    [[ "${stderr_lines[-1]}" == "chillboxctl: 2 of 3 hosts failed: root@two (exit 6), c (exit 5)" ]]
    grep -q -- '-o BatchMode=yes -- root@two ' ssh.log
    run -5 chillboxctl rollback blog -H c,x@c
    run -0 chillboxctl rollback blog -H one,me@one
}

@test "side by side takes as long as the slowest, and does not wait for a connection that ssh keeps" {
    host one '{"ping": {"wait": 1, "result": {"version": "1"}}}'
    touch linger
    SECONDS=0
    run -0 timeout 20 "$CTL" ping -H one,a@one,b@one,d@one
    [ "$SECONDS" -lt 8 ]
    [ "${#lines[@]}" -eq 4 ]
}

@test "--json gives one object a host, with its result or its error" {
    host one "$(status_of false live)"
    host two '{"status": {"error": {"code": "denied", "message": "not you"}}}'
    run -11 --separate-stderr chillboxctl status --json -H one,two,c
    [ "${#lines[@]}" -eq 3 ]
    [ "$(jq -sc 'sort_by(.host) | map([.schema, .host, .exit, .result.schema, .error.code])' <<<"$output")" = \
        '[["chillbox.host.v1","c",5,null,"unreachable"],["chillbox.host.v1","one",0,"chillbox.status.v1",null],["chillbox.host.v1","two",4,null,"denied"]]' ]
    [ "$(jq -sr '.[] | select(.host == "c").error.message' <<<"$output")" = "ssh: connect to host c port 22: Connection refused" ]
    echo hello >hello.log
    host logs "$(log_of hello.log)"
    run -0 chillboxctl logs blog -f --json -H logs,me@logs
    [ "$(jq -sc 'map(select(.event)) | map([.schema, .event.line])' <<<"$output")" = '[["chillbox.host.v1","hello"],["chillbox.host.v1","hello"]]' ]
}

@test "[fault-1118] a host whose connection breaks after its answer has both, the answer and the error" {
    host one "$(status_of false live)"
    host two "$(status_of false live)"
    sed -i 's/^sh -c "$3"$/sh -c "$3"; code=$?; [ "$name" != two ] || { echo "Connection reset" >\&2; exit 255; }; exit $code/' bin/ssh
    run -11 --separate-stderr chillboxctl status --json -H one,two
    [ "$(jq -sc 'sort_by(.host) | map([.host, .exit, .result.schema, .error.code, .error.message])' <<<"$output")" = \
        '[["one",0,"chillbox.status.v1",null,null],["two",5,"chillbox.status.v1","unreachable","Connection reset"]]' ]
}

@test "status of several hosts is a line for each" {
    host one "$(status_of false live)"
    host two "$(status_of true sealed)"
    run -11 chillboxctl status -H one,two,c
    [ "${#lines[@]}" -eq 4 ]
    [[ "${lines[1]}" == "one "*unlocked*" 1 "*"1 min 30 s"*"0.1.0"* ]]
    [[ "${lines[2]}" == "two "*locked*"blog: sealed" ]]
    [[ "${lines[3]}" == "c "*"exit 5"*"Connection refused" ]]
}

@test "[fault-1085] a host with a site that is down ends with 1, and its answer is shown as another's" {
    host one "$(status_of false live)"
    host two "$(status_of false live | sed 's/"version": "1.0.0"/"version": "1.0.0", "down": "nobody answers"/')"
    run -11 chillboxctl status -H one,two
    [[ "${lines[2]}" == "two "*unlocked*"0.1.0"*"blog is down for visitors: nobody answers" ]]
    run -11 --separate-stderr chillboxctl status --json -H one,two
    [ "$(jq -sc 'sort_by(.host) | map([.host, .exit, .result.sites[0].down // "", .error])' <<<"$output")" = '[["one",0,"",null],["two",1,"nobody answers",null]]' ]
}

@test "a command that asks goes to one host after the other, with the terminal" {
    host one '{"ping": {"result": {"sealed": true}}, "unlock": {"result": {}}}'
    host two '{"ping": {"result": {"sealed": true}}, "unlock": {"error": {"code": "denied", "message": "wrong passphrase"}}}'
    run -11 "$FAKE/at-terminal" expect:'== one' expect:'of the host: ' echo:off type:first expect:'== two' expect:'of the host: ' echo:off type:second \
        expect:'of the host: ' type:second expect:'of the host: ' type:second \
        -- "$CTL" unlock -H one,two
    [ "$(tail -n 1 one.log | jq -r .secret) $(tail -n 1 two.log | jq -r .secret)" = "first second" ]
    [[ "$output" == *"1 of 2 hosts failed: two (exit 4)"* ]]
    grep -q ' -t -- one ' ssh.log
}

inventory() {
    cat >"${1-hosts.json}" <<'JSON'
{"_meta": {"hostvars": {
   "web1": {"ansible_host": "one", "ansible_user": "root", "ansible_port": 2222, "ansible_ssh_common_args": "-o 'User Known' -F none"},
   "web2": {"ansible_host": "two"}, "db1": {"ansible_host": "c", "secret": {"__ansible_vault": "x"}}}},
 "all": {"children": ["ungrouped", "web", "db"]}, "web": {"hosts": ["web1", "web2"]}, "db": {"hosts": ["db1"]}}
JSON
}

@test "--hosts takes the hosts of an inventory with how to reach them, --limit chooses" {
    inventory
    host one "$(status_of false live)"
    host two "$(status_of false live)"
    run -11 chillboxctl ping --hosts hosts.json
    run -0 chillboxctl rollback blog --hosts hosts.json --limit web
    [[ "$output" == *"web1  blog: 1.0.0"* && "$output" == *"web2  blog: 1.0.0"* && "$output" != *db1* ]]
    grep -q -- "-o BatchMode=yes -p 2222 -o User Known -F none -- root@one " ssh.log
    for limit in 'web*,!web1' 'all,&web,!web1' 'two' '!db,!web1'; do
        run -0 chillboxctl rollback blog --hosts - --limit "$limit" --json <hosts.json
        [ "$(jq -sr 'map(.host) | join(" ")' <<<"$output")" = web2 ]
    done
    run -3 chillboxctl ping --hosts hosts.json --limit nobody
    [[ "$output" == *"no host or group 'nobody': the inventory has web1, web2, db1"* ]]
    run -3 chillboxctl ping --hosts hosts.json --limit 'web,!web*'
    run -2 chillboxctl ping --limit web
    run -2 chillboxctl ping --hosts hosts.json -H one
    run -2 chillboxctl validate x --hosts hosts.json
    run -3 chillboxctl ping --hosts nowhere.ini
}

@test "an inventory in another form is read by ansible-inventory" {
    inventory list.json
    printf '[web]\nweb1 ansible_host=one\n' >hosts.ini
    host one "$(status_of false live)"
    run -3 env PATH="$WORK/bin:/usr/bin-none" "$CTL" ping --hosts hosts.ini
    [[ "$output" == *"ansible-inventory"* ]]
    printf '#!/bin/sh\ncase "$*" in\n"-i hosts.ini --list --limit web*,!web2") cat "$WORK/web1.json" ;;\n*) exit 2 ;;\nesac\n' >bin/ansible-inventory
    jq 'del(.db, .web.hosts[1])' list.json >web1.json
    chmod +x bin/ansible-inventory
    run -0 chillboxctl rollback blog --hosts hosts.ini --limit 'web*,!web2' --json
    [ "$(jq -sr 'map(.host) | join(" ")' <<<"$output")" = web1 ]
    printf '#!/bin/sh\necho "[ERROR]: Specified inventory, host pattern and/or --limit leaves us with no hosts to target." >&2; exit 1\n' >bin/ansible-inventory
    run -3 chillboxctl ping --hosts hosts.ini --limit nobody
    printf '#!/bin/sh\necho "cannot parse it" >&2; exit 4\n' >bin/ansible-inventory
    run -1 chillboxctl ping --hosts hosts.ini
    [[ "$output" == *"cannot parse it"* ]]
}

@test "[fault-76] an inventory cannot pass an option or a shell word to ssh as its host" {
    inventory
    for bad in '-oProxyCommand=x' 'a b' "a'b"; do
        jq --arg bad "$bad" '._meta.hostvars.web1.ansible_host = $bad | del(._meta.hostvars.web1.ansible_user)' hosts.json >bad.json
        run -2 chillboxctl ping --hosts bad.json
        [[ "$output" == *"host web1: "*"is not a host for ssh"* ]]
    done
    jq '._meta.hostvars.web2.ansible_host = "{{ box }}.example"' hosts.json >bad.json
    run -2 chillboxctl ping --hosts bad.json
    [[ "$output" == *"host web2: ansible_host is a template"* ]]
    [ ! -e ssh.log ]
}

@test "trust add -H sends the key that is in a file here" {
    make_site
    export CHILLBOX_ROOT=$WORK/root
    run -0 chillboxctl trust add deploy.pub -H one
    [[ "$(cat ssh.log)" == *"'trust' 'add' '--name=deploy' '--' 'RW"* ]]
    [ -s root/etc/chillbox/trusted/deploy.pub ]
}

@test "[fault-209] a port is a number behind the host, or in ssh://USER@HOST:PORT; the refusal of anything else says so; ssh has it apart from an IPv6 address [fault-1293]" {
    for host in one:/etc one:ssh one: one:0 one:65536 root@one:22x '[::1]:x' '[::1'; do
        run -2 --separate-stderr chillboxctl ping -H "$host"
        [[ "$stderr" == *"'$host' is not a host for ssh: with a port, write ssh://$host"* ]]
        CHILLBOX_HOST=$host run -2 chillboxctl ping
    done
    [ ! -e ssh.log ]
    while read -r host destination; do
        run -5 chillboxctl ping -H "$host"
        grep -q -F -- "-- $destination " ssh.log
    done <<'END'
ssh://root@one:2222 ssh://root@one:2222
root@one:2223 ssh://root@one:2223
one:22 ssh://one:22
[::1]:22 ::1
ssh://root@[2001:db8::1]:2222/ root@2001:db8::1
ssh://jo@[2001:db8::1] jo@2001:db8::1
[::1] ::1
root@2001:db8::1 root@2001:db8::1
END
    grep -q -- '-p 2222 -- root@2001:db8::1 ' ssh.log
}

@test "[fault-210] --json prints an object for words that are not understood, too" {
    for words in 'keygen --json --nonsense' 'trust add --json' '--json statsu' 'deploy /etc/passwd --json' 'ping -H a:x --json'; do
        # shellcheck disable=SC2086
        run -2 --separate-stderr chillboxctl $words
        [ "$(jq -r '[.schema, .error.code] | join(" ")' <<<"$output")" = "chillbox.error.v1 usage" ]
        [ -n "$stderr" ]
    done
    run -2 --separate-stderr chillboxctl statsu -- --json
    [ -z "$output" ]
}

@test "pack --for asks the hosts for their serials, so that a colleague's later one is greater; what does not answer is named [fault-358]" {
    later=$(($(date +%s) / 60 + 40))
    host one '{"releases": {"result": {"site": "blog", "live": "", "releases": [], "serial": '"$later"', "secrets_serial": 7}}}'
    host two '{"releases": {"error": {"code": "not_found", "message": "no site"}}}'
    host old '{"releases": {"result": {"site": "blog", "live": "", "releases": [{"id": "1.0.0-1", "serial": '"$((later + 2))"'}]}}}'
    make_site
    pack() { chillboxctl pack blog -r "$RECIPIENT" -k deploy.key -o out --json "$@" | jq .serial; }
    now() { [ $(($1 - $(date +%s) / 60)) -ge -1 ] && [ $(($1 - $(date +%s) / 60)) -le 0 ]; }
    [ "$(pack --for a@one,a@two)" = $((later + 1)) ]
    [ "$(tail -n 1 one.log | jq -r '.args.site')" = blog ]
    now "$(pack --for a@two)" # and not one more than what lies in out
    mkdir -p s/api && echo x >s/api/x
    now "$(chillboxctl secrets pack s -s blog -r "$RECIPIENT" -k deploy.key -o out --for a@one --json | jq .serial)"
    run -5 chillboxctl pack blog -r "$RECIPIENT" -k deploy.key -o out --for a@one,a@c
    [[ "$output" == *"--for a@c: ssh: connect to host c port 22: Connection refused"* ]]
    [ "$(pack --for a@old)" = $((later + 3)) ]
    run -2 chillboxctl pack blog -r "$RECIPIENT" -k deploy.key -o out --for a@one --serial 5
}

@test "[fault-726] logs of several hosts are merged by the times that they have, each host's lines in order" {
    printf '%s\n' '2026-11-29T10:00:00Z a1' 'of a1' '2026-11-29T10:00:20Z a2' >a.log
    printf '%s\n' '2026-11-29T10:00:10Z b1' '2026-11-29T10:00:05Z b2, of a clock that was set back' '2026-11-29T10:00:30Z b3' >b.log
    host one "$(log_of a.log)"
    host two "$(log_of b.log)"
    run -0 chillboxctl logs blog -H one,two
    [ "$(grep -oE '^(one|two)|[ab][123]' <<<"$output" | tr '\n' ' ')" = 'one a1 one a1 two b1 two b2 one a2 two b3 ' ]
    [[ "${lines[0]}" == 'one  api: 2026-11-29T10:00:00Z a1' && "${lines[1]}" =~ ^'one  2026-11-29 '[0-9:]+'.000 api: of a1'$ ]]
    run -0 chillboxctl logs blog/api -H one,two -s 2026-11-29T10:00:15Z -n 5
    [ "${lines[0]}" = 'one  2026-11-29T10:00:20Z a2' ]
    [ "${#lines[@]}" -eq 2 ]
}

@test "[fault-727] one of several hosts is lost while they are followed: the others go on, exit 11" {
    echo hello >hello.log
    host one "$(log_of hello.log)"
    run -11 chillboxctl logs blog -f -H one,c
    [[ "$output" == *"one  api: hello"* && "$output" == *"c    ssh: connect to host c port 22: Connection refused"* ]]
    run -11 chillboxctl logs blog -H one,c
    [[ "$output" == *"one  api: hello"*"1 of 2 hosts failed: c (exit 5)"* ]]
}

@test "[fault-724] an expression that takes for ever on a line, or gigabytes to compile, ends after a second with exit 1 [attack-F12]" {
    printf '%s\n' "$(printf 'ab%.0s' $(seq 3000))" >slow.log
    host one "$(log_of slow.log)"
    run -1 timeout 60 chillboxctl logs blog -H one -g '^((a|b)*)*\1\2\1$'
    [[ "$output" == *"-g: the expression takes more than a second for one line"* ]]
    run timeout 60 chillboxctl logs blog -H one -g '((((a{1,255}){1,255}){1,255}){1,255}){1,255}'
    [[ "$status" -ne 0 && "$status" -ne 124 ]]
    run -2 chillboxctl logs blog -H one -g '(a'
    run -0 chillboxctl logs blog -H one -g 'ABA' -i
    run -0 chillboxctl logs blog -H one -g 'aba' --invert-match
    [ -z "$output" ]
}

@test "[fault-728] the reader of a log goes away: the program ends quietly" {
    seq 100000 >long.log
    host one "$(log_of long.log)"
    run -0 sh -c 'CHILLBOX_SOCKET=$WORK/one.sock chillboxctl logs blog -n 100000 | head -n 1'
    [ "$output" = 'api: 1' ]
}
