#!/usr/bin/env bats
# A site from one host to another, with its secrets and its data: two boxes with a wire between them, and a laptop that reaches both by real ssh.

# shellcheck disable=SC2154,SC2030,SC2031 # box_up sets HOST, run sets $stderr

load helpers/box
load helpers/host
load helpers/laptop
load helpers/hosts
load helpers/attack

FIRST=10.77.0.1 SECOND=10.77.0.2

setup_file() {
    host_possible || return 0
    hosts_up 2
    attack_site hello '.version = "1.0.0" | .services[0].secrets_env = "web.env"'
    export REDIS='' # where there is none, the data are its files
    if has_redis; then
        REDIS=1
        attack_edit hello '.redis = {save: "3600 1"}'
        mkdir "$LAPTOP/sites/hello/redis"
        printf 'user default on nopass ~* &* +@all\n' >"$LAPTOP/sites/hello/redis/users.acl"
    fi
    mv "$LAPTOP/bin/ssh" "$LAPTOP/bin/plain-ssh"
    cat >"$LAPTOP/bin/ssh" <<SH
#!/bin/sh
# With a file kill, the laptop dies after the first command that has its words; with "cut WORDS", in the middle of what that sends.
if [ -f "$LAPTOP/kill" ]; then
    words=\$(cat "$LAPTOP/kill")
    case "\$*" in *"\${words#cut }"*)
        rm "$LAPTOP/kill"
        case \$words in cut*) head -c 700 | plain-ssh "\$@" ;; *) plain-ssh "\$@" ;; esac
        kill -9 "\$PPID"
        exit 255 ;;
    esac
fi
exec plain-ssh "\$@"
SH
    chmod 0755 "$LAPTOP/bin/ssh"
    cd "$LAPTOP/sites/hello"
    printf 'hush\n' | laptop chillboxctl secrets set -H web1 web/web.env:TOKEN
    laptop chillboxctl deploy -H web1
    in_service hello sh -c 'echo first >"$CHILLBOX_DATA_DIR/notes"; mkdir "$CHILLBOX_DATA_DIR/a b"; ln -s ../notes "$CHILLBOX_DATA_DIR/a b/link"; chmod 600 "$CHILLBOX_DATA_DIR/notes"'
}
teardown_file() { hosts_down; }
setup() {
    host_or_skip
    HOST=$WEB1
    URL=$(box url "$HOST")
    cd "$LAPTOP/sites/hello" || return
}
teardown() { printf "%s\n" "${output-}" "${stderr-}"; }

move() { laptop chillboxctl move hello --from web1 --to web2 "$@"; }
at() { box net "$WEB1" -- curl -sS -m 20 -o /dev/null -w '%{http_code}' -H 'Host: hello.example' "http://$1/"; } # ADDRESS
notes() { HOST=$1 in_box cat /var/lib/hello/web/notes; }
in_redis() { box run "$1" -u hello -- redis-cli -s /run/redis/hello.sock "${@:2}"; }
held() { HOST=$1 json facts hello '.site.hold.why // ""'; }

@test "move to a host that is locked: exit 6, and nothing was changed; without a yes: exit 2" {
    on 2 ctl lock
    run -6 move -y
    [[ "$output" == *"web2 is locked: chillboxctl unlock -H web2. Nothing was changed"* ]]
    on 2 unlock
    run -2 move
    [[ "$output" == *"Move hello 1.0.0 from web1 to web2?"*" say -y"* ]]
    [ "$(held "$WEB1")" = '' ]
    [ "$(at 127.0.0.1)" = 200 ]
}

@test "move to a host that does not trust the key: exit 4; of a site that is not there: exit 3; outside of its project: exit 2" {
    on 2 ctl trust remove me
    run -4 move -y
    [[ "$output" == *"web2 does not take hello from your key "*"chillboxctl trust add "*"Nothing was changed"* ]]
    on 2 ctl trust add /root/me.pub --name me
    run -3 laptop chillboxctl move hello --from web2 --to web1 -y
    [[ "$output" == *"hello is not live on web2"* ]]
    cd /
    run -2 move -y
    [[ "$output" == *"run it in that folder"* ]]
    run -3 move --back -y
    [[ "$output" == *"no move of hello from web1 to web2 was begun"* ]]
    [ "$(at 127.0.0.1)" = 200 ]
}

@test "a move that breaks off says what is where, visitors of the first host are served, and --back is as before [fault-583]" {
    cp hello.site.json keep.json
    jq '.version = "1.0.1" | .services[0].lang = "no-such"' keep.json >hello.site.json
    run ! move -y
    [[ "$output" == *"web1 still serves hello, and web2 has not all of it: run the same command again to continue, or with --back to return to web1"* ]]
    mv keep.json hello.site.json
    [ "$(held "$WEB1")" = 'moving to web2' ]
    [ "$(at 127.0.0.1)" = 200 ]
    run -0 move --back -y
    [[ "$output" == *"hello is on web1 again" ]]
    [ "$(held "$WEB1")" = '' ]
    [ "$(at 127.0.0.1)" = 200 ]
}

@test "a command that still runs in the site would write what is not copied: exit 7, and nothing is begun [fault-615]" {
    ctl run -d hello -- sleep 300
    run=$(json runs list hello -n 1 '.runs[0].id')
    run -7 move -y
    [[ "$output" == *"web1: run $run of hello (sleep 300) may still write data: wait for its end"* ]]
    [ "$(held "$WEB1")" = '' ]
    [ "$(at 127.0.0.1)" = 200 ]
    ctl runs stop "$run"
}

@test "the connection breaks in the middle of the data: both are whole or nothing, and the same command again goes on [fault-584]" {
    on 2 in_box mv /bin/tar /bin/tar.away
    on 2 in_box sh -c 'printf "#!/bin/sh\nhead -c 100 >/dev/null\nexit 1\n" >/bin/tar; chmod 755 /bin/tar'
    run ! move -y
    [[ "$output" == *"hello is in maintenance on web1, where its data are whole: run the same command again to continue"* ]]
    on 2 in_box mv /bin/tar.away /bin/tar
    [ "$(notes "$WEB1")" = first ]
    [ "$(at 127.0.0.1)" = 503 ]
    run -0 --separate-stderr move
    [[ "$output" == *"hello is on web2. In DNS, point hello.example to $SECOND" ]]
    [[ "$stderr" == *"data        "*", the same on both hosts"* ]]
    [[ "$stderr" == *"start       web2 serves hello 1.0.0"* ]]
    [[ "$stderr" == *"visit       http://$SECOND/ as hello.example: 200"* ]]
    [[ "$stderr" == *"chillboxctl remove hello -H web1"* ]]
}

@test "afterwards: the second host has release, secrets and data with their owners, the first one shows its maintenance page" {
    [ "$(at "$SECOND")" = 200 ]
    [ "$(at 127.0.0.1)" = 503 ]
    [ "$(notes "$WEB2")" = first ]
    [ "$(on 2 in_box stat -c '%U %a' /var/lib/hello/web/notes)" = "$(in_box stat -c '%U %a' /var/lib/hello/web/notes)" ]
    [ "$(on 2 in_box readlink '/var/lib/hello/web/a b/link')" = ../notes ]
    [ "$(held "$WEB1")" = 'moved to web2' ]
    [ "$(held "$WEB2")" = '' ]
    run -0 on 2 in_box cat /run/chillbox/secrets/hello/web/web.env
    [[ "$output" == *hush* ]]
}

@test "the same again: unchanged, and says the record once more" {
    run -0 move -y
    [[ "$output" == *"unchanged: hello was moved to web2"*"hello.example to $SECOND"* ]]
}

@test "--back brings the data that came in since, and the second host shows the page" {
    on 2 in_box sh -c 'echo second >/var/lib/hello/web/notes'
    run -0 move --back -y
    [[ "$output" == *"hello is on web1 again. In DNS, point hello.example to "* ]]
    [ "$(notes "$WEB1")" = second ]
    [ "$(at 127.0.0.1)" = 200 ]
    [ "$(at "$SECOND")" = 503 ]
    [ "$(held "$WEB1")" = '' ]
    [ "$(held "$WEB2")" = 'moved to web1' ]
}

@test "a hold that somebody else set on the second host is not taken over by the way back [fault-1123]" {
    ctl hold hello -m 'moved to web2'
    on 2 ctl release-hold hello
    on 2 ctl hold hello -m 'ask Kim'
    run -7 move --back -y
    [[ "$output" == *"hello is held on web2: ask Kim. Nothing was changed"* ]]
    on 2 ctl release-hold hello
    on 2 ctl hold hello -m 'moved to web1'
    ctl release-hold hello
}

@test "a way back that broke off when the data were back does not bring older ones once more [fault-610]" {
    ctl hold hello -m 'moved to web2'
    in_box sh -c 'echo third >/var/lib/hello/web/notes'
    run -7 move -y
    [[ "$output" == *"the way back to web1 was begun: run the same command with --back to finish it"* ]]
    run -0 move --back -y
    [[ "$output" == *"hello is on web1 again"* ]]
    [ "$(notes "$WEB1")" = third ]
    [ "$(held "$WEB1")" = '' ]
}

@test "the laptop is killed after each step of a move: the same command again goes on, visitors are never without an answer, and the data come once, those of Redis too [fault-742] [fault-977]" {
    box push "$WEB1" "$(readlink -f "$(command -v busybox)")" /usr/local/bin/tar # one side has busybox's
    [[ "$(in_box tar --help 2>&1)" == BusyBox* ]]
    [ -z "$REDIS" ] || [ "$(in_redis "$WEB1" set visits 41)" = OK ]
    in_box sh -c 'for i in 1 2 3; do head -c 100000 /dev/urandom >/var/lib/hello/web/file.$i; done; chown hello: /var/lib/hello/web/file.*'
    before=$(in_box sh -c 'cd /var/lib/hello && find . ! -path "./redis*" | sort | sha256sum')
    for words in "'hold' '-q' '-m" "'deploy' '--json'" "'maintenance' 'on'" "'stop' '-q'" "cut 'receive' 'hello'" "'receive' 'hello'" "'digest' 'hello'" "starting on web2" "'start' '-q'" \
        "'maintenance' 'off'" "moved to web2"; do
        printf '%s' "$words" >"$LAPTOP/kill"
        run move -y
        [ "$status" -eq 137 ] || { printf 'not killed at %s\n' "$words"; false; }
        # From its start on the second host writes what no other one has.
        [ "$words" != "'start' '-q'" ] || on 2 in_box sh -c 'echo since >/var/lib/hello/since'
        [[ "$(at 127.0.0.1)" =~ ^(200|503)$ ]]
        [ "$(at 127.0.0.1)" = 200 ] || host_curl -H 'Host: hello.example' "$URL/" | grep -qi 'back soon'
    done
    run -0 move -y
    [[ "$output" == *"unchanged: hello was moved to web2"* ]]
    [ "$(at "$SECOND")" = 200 ]
    [ -z "$REDIS" ] || [ "$(in_redis "$WEB2" get visits)" = 41 ]
    [ "$(on 2 in_box cat /var/lib/hello/since)" = since ]
    on 2 in_box rm /var/lib/hello/since
    [ "$(on 2 in_box sh -c 'cd /var/lib/hello && find . ! -path "./redis*" | sort | sha256sum')" = "$before" ]
}

@test "the laptop is killed after each step of the way back: again --back ends it, and what came in meanwhile is there once [fault-742]" {
    [ -z "$REDIS" ] || [ "$(in_redis "$WEB2" incr visits)" = 42 ]
    for words in "'hold' '-q' '-m' 'moving" "'maintenance' 'on'" "'stop' '-q'" "cut 'receive' 'hello'" "'receive' 'hello'" "'moved to web1'" "'start' '-q'" "'maintenance' 'off'"; do
        printf '%s' "$words" >"$LAPTOP/kill"
        run move --back -y
        [ "$status" -eq 137 ] || { printf 'not killed at %s\n' "$words"; false; }
        [[ "$(at "$SECOND")" =~ ^(200|503)$ && "$(at 127.0.0.1)" =~ ^(200|503)$ ]]
    done
    run -0 move --back -y
    [[ "$output" == *"hello is on web1 again"* ]]
    [ -z "$REDIS" ] || [ "$(in_redis "$WEB1" get visits)" = 42 ]
    [ "$(at 127.0.0.1)" = 200 ]
    [ "$(held "$WEB1")" = '' ]
    in_box rm /usr/local/bin/tar
}

@test "and once more to the second host: a move has no memory but the holds, and asks before it deletes what is there" {
    run -2 move
    [[ "$output" == *"visitors see a maintenance page. What web2 has of it, "*", is deleted."* ]]
    run -0 move -y
    [ "$(at "$SECOND")" = 200 ]
    [ "$(notes "$WEB2")" = third ]
}

@test "open prints the address of the site, and on a desktop's terminal gives it to the browser" {
    printf '#!/bin/sh\nprintf "%%s\\n" "$1" >>"%s/opened"\n' "$LAPTOP" >"$LAPTOP/bin/xdg-open"
    chmod 0755 "$LAPTOP/bin/xdg-open"
    run -0 --separate-stderr laptop chillboxctl open -H web2
    [ "$output" = http://hello.example ]
    [ "$(laptop chillboxctl open -H web2 --json | jq -r '.schema + " " + .url')" = 'chillbox.open.v1 http://hello.example' ]
    [ ! -e "$LAPTOP/opened" ]
    DISPLAY=:0 at_terminal -- chillboxctl open -H web2
    [ "$(cat "$LAPTOP/opened")" = http://hello.example ]
    run -3 laptop chillboxctl open nothing -H web2
    [[ "$output" == *"nothing is not live on web2"* ]]
}

@test "several hosts and none named: asked on a terminal, elsewhere exit 2 with the line to type" {
    run -2 laptop chillboxctl ping
    [[ "$output" == *"which host? web1, web2 are known: chillboxctl ping -H web1"* ]]
    run -0 at_terminal expect:'which host?  1) web1  2) web2' type:2 -- chillboxctl ping
    [[ "$output" == *unlocked* ]]
}

@test "rollback --choose: the releases that it can go to, with their age; what is none of them changes nothing" {
    attack_edit hello '.version = "1.1.0"'
    laptop chillboxctl deploy -H web2 -y
    run -2 at_terminal expect:'which one? (Enter: 1)' type:7 -- chillboxctl rollback --choose -H web2
    [[ "$output" == *"1)  1.0.0-1  good, by me, live "*" ago"*"'7' is none of them; nothing was changed"* ]]
    run -0 at_terminal expect:'which one? (Enter: 1)' type: -- chillboxctl rollback --choose -H web2
    [ "$(on 2 json facts hello .site.version)" = 1.0.0 ]
    run -2 laptop chillboxctl rollback hello 1.1.0 --choose -H web2
    [[ "$output" == *"do not name one"* ]]
}

@test "what was withdrawn on the second host is found before anything is stopped: exit 8 [fault-1148]" {
    run -0 move --back -y
    on 2 ctl withdraw hello 1.0.0 -m 'a leak'
    run -8 move -y
    [[ "$output" == *"web2: 1.0.0-1 of hello was withdrawn there, and is never started again: give it another version"* ]]
    [ "$(held "$WEB1")" = '' ]
    [ "$(at 127.0.0.1)" = 200 ]
}
