#!/usr/bin/env bats
# Before anything is touched, on a real host: plan, preflight, and the NGINX text that is in force.

# shellcheck disable=SC2154,SC2016 # box_up sets HOST; "sh -c" expands in the box

load helpers/box
load helpers/host
load helpers/one_host

# artifact VERSION [JQ_FILTER [COMMAND...]]: hello without its secret, changed by the filter, then by the command in its folder; prints the path
artifact() {
    make_site "$1" >&2
    edit_site 'del(.services[0].secrets_config)'
    sed -i '/SECRETS_CONFIG/d' "$LAPTOP/hello/api/hello_api/app.py"
    [ -z "${2-}" ] || edit_site "$2"
    [ $# -lt 3 ] || (cd "$LAPTOP/hello" && "${@:3}")
    OUT=$LAPTOP/out pack
}

# plan ARTIFACT [OPTION...]: the file through standard input, as -H does
plan() { cat "$1.minisig" "$1" | in_box chillboxctl plan - "${@:2}"; }

everything() { in_box sh -c 'ls -R /srv/chillbox /run/chillbox/stage /run/chillbox/slots /etc/nginx /etc/init.d /var/lib/chillbox/artifacts; cat /etc/nginx/*/chillbox.hello.conf 2>/dev/null; getent passwd'; }

@test "a plan of a first release: what is new, no user, no directory, no process comes of it" {
    first=$(artifact 1.0.0)
    before=$(everything)
    run -0 plan "$first"
    [[ "$output" == *"hello (nothing live) -> 1.0.0"* ]]
    [[ "$output" == *"+ api (python)"* ]]
    [[ "$output" == *"+ host hello.example"* ]]
    [[ "$output" == *"+  server_name hello.example;"* ]]
    [[ "$output" != *refused* ]]
    run -20 plan "$first" --exit-code
    [ "$(everything)" = "$before" ]
    run -0 send "$first"
    [ "$(plan "$first" --json | jq -r '[.schema, .change, .nginx.diff] | join(" ")')" = 'chillbox.plan.v1 false ' ]
    run -0 plan "$first" --exit-code
    run -0 ctl plan "$(json releases hello '.releases[0].id' >/dev/null; in_box sh -c 'ls /var/lib/chillbox/artifacts' | sed -n 's/\.age$//p' | head -n 1)" --exit-code
    run -0 ctl plan hello --exit-code
    [[ "$output" == *"hello 1.0.0, started again"* ]]
}

@test "a plan from the laptop with -H, a file of the laptop" {
    next=$(artifact 1.1.0 '.services[0].environment += [{"name": "NEW", "value": "never shown"}] | .crontab = ["0 4 * * * tidy up"]')
    key=$(box key "$HOST")
    mkdir -p "$LAPTOP/bin"
    printf '#!/bin/sh\nexec /usr/bin/ssh -q -i %s -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null "$@"\n' "$key" >"$LAPTOP/bin/ssh"
    chmod 0755 "$LAPTOP/bin/ssh"
    run -0 box net "$HOST" -- env PATH="$LAPTOP/bin:$PATH" "$CTL" -H root@127.0.0.1 plan "$next"
    [[ "$output" == *"hello 1.0.0 -> 1.1.0  serial "*"signed by 'laptop'"* ]]
    [[ "$output" =~ \~\ api\ \(python\):.*\+NEW\ [0-9a-f]{12} ]]
    [[ "$output" != *'never shown'* ]]
    [[ "$output" == *'+ cron 0 4 * * * tidy up'* ]]
    [[ "$output" == *'downtime none: the new copies are healthy before the old ones stop'* ]]
    run -20 box net "$HOST" -- env PATH="$LAPTOP/bin:$PATH" "$CTL" -H root@127.0.0.1 plan "$next" --exit-code --json
    [ "$(jq -r '.services[0].environment[0].name' <<<"${lines[0]}")" = NEW ]
}

@test "preflight: missing and foreign wheels, a secret, a port, a template: all in one list, exit 8, nothing is touched" {
    before=$(everything)
    foreign() {
        rm api/dep/[Cc]lick-*
        mv api/dep/[Mm]arkup[Ss]afe-*.whl api/dep/markupsafe-3.0.2-cp27-cp27m-win_amd64.whl
        mkdir -p nginx/templates
        printf 'server { listen 22; server_name hello.example; return 200 $NOT_THERE; }\n' >nginx/templates/hello.nginx.conf.template
    }
    bad=$(artifact 1.2.0 '.services[0].secrets_config = "api.cfg" | .services[0].environment += [{"name": "PORT", "value": "80"}]' foreign)
    run -8 send "$bad"
    for part in 'missing: click' 'does not fit this host: dep/markupsafe-3.0.2-cp27-cp27m-win_amd64.whl' '; `pack --wheels --python 3.' "secret 'api/api.cfg'" \
        "PORT is '80': must be a port from 1024 to 65535" "variable 'NOT_THERE' is not defined"; do
        [[ "$output" == *"$part"* ]] || { echo "no: $part"; false; }
    done
    [ "$(get /)" = 'hello from 1.0.0' ]
    run -0 plan "$bad"
    [[ "$output" == *"refused  service 'api': missing: click"* ]]
    in_box rm -f /var/lib/chillbox/nginx/hello.failed
    [ "$(everything | grep -v '\.age$\|\.minisig')" = "$(grep -v '\.age$\|\.minisig' <<<"$before")" ]
}

@test "[fault-113] [fault-114] a template that NGINX refuses, or that wants a port of somebody else: told at once, kept for inspection, the others serve" {
    wrong() { mkdir -p nginx/templates; printf 'server { listen 80; server_name hello.example; prxy_pass x; }\n' >nginx/templates/hello.nginx.conf.template; }
    run -8 send "$(artifact 1.3.0 . wrong)"
    [[ "$output" == *"hello.nginx.conf.template: line 1: 'prxy_pass' is not for sites: did you mean 'proxy_pass'?"* ]]
    # What only NGINX itself knows to be wrong.
    wrong() { mkdir -p nginx/templates; printf 'server { listen 80; server_name hello.example; gzip perhaps; }\n' >nginx/templates/hello.nginx.conf.template; }
    run -8 send "$(artifact 1.3.1 . wrong)"
    [[ "$output" == *'invalid value "perhaps"'*'(what was tried: /var/lib/chillbox/nginx/hello.failed)'* ]]
    in_box grep -q perhaps /var/lib/chillbox/nginx/hello.failed
    [ "$(get /)" = 'hello from 1.0.0' ]
    in_box nginx -t -q
    in_box sh -c 'setsid python3 -m http.server 8123 --bind 127.0.0.1 </dev/null >/dev/null 2>&1 3>&- & i=0; until curl -so /dev/null http://127.0.0.1:8123/; do i=$((i + 1)); [ $i -lt 100 ] || exit 1; sleep 0.1; done'
    taken() { mkdir -p nginx/templates; printf 'server { listen 127.0.0.1:8123; server_name hello.example; return 200 ok; }\n' >nginx/templates/hello.nginx.conf.template; }
    run -8 send "$(artifact 1.4.0 . taken)"
    [[ "$output" == *"nginx: listens on port 8123, which is taken by 'python3'"* ]]
    [ "$(get /)" = 'hello from 1.0.0' ]
}

@test "[fault-64] [fault-65] [fault-67] [fault-68] [fault-69] values and names that would become NGINX's or a shell's are refused, and nothing of them runs" {
    inject() { mkdir -p nginx/templates; printf 'server { listen 80; server_name hello.example; location /x { return 200 "$WHERE"; } }\n' >nginx/templates/hello.nginx.conf.template; }
    n=0
    for value in 'a"; include /etc/shadow; #' 'a } server {' '`touch /tmp/injected`' '$(touch /tmp/injected)' "x'; touch /tmp/injected; '"; do
        n=$((n + 1))
        run -8 send "$(artifact "1.5.$n" ".env += [{\"name\": \"WHERE\", \"value\": $(jq -n --arg v "$value" '$v | gsub("[$]"; "$$")')}]" inject)"
        [[ "$output" == *"variable 'WHERE': its value"* ]]
    done
    # In the environment alone they are what they are.
    run -0 send "$(artifact 1.6.0 '.services[0].environment += [{"name": "TEXT", "value": "$$(touch /tmp/injected) `touch /tmp/injected`; touch /tmp/injected"}]')"
    in_box sh -c 'tr "\0" "\n" <"/proc/$(cat /run/openrc/options/chillbox.hello.api.*/child_pid)/environ"' | grep -qxF 'TEXT=$(touch /tmp/injected) `touch /tmp/injected`; touch /tmp/injected'
    run ! in_box test -e /tmp/injected
    # Names are refused on the laptop already.
    for filter in '.env += [{"name": "X;touch p;", "value": ""}]' '.env += [{"name": "LD_PRELOAD", "value": "/x.so"}]' '.server_name = "a; include /etc/shadow;"' '.domain_list += ["$host"]'; do
        make_site 1.7.0
        edit_site "$filter"
        run ! "$CTL" validate "$LAPTOP/hello"
    done
}

@test "nginx show and nginx diff: the text in force, and what an artifact makes of it" {
    run -0 ctl nginx show hello
    [[ "$output" == *'server_name hello.example;'* ]]
    run -3 ctl nginx show stranger
    same=$(artifact 1.8.0)
    box push "$HOST" "$same" "$same.minisig" /root/
    run -0 ctl nginx diff hello "/root/${same##*/}" --exit-code
    [ -z "$output" ]
    other=$(artifact 1.8.1 '.domain_list += ["www.hello.example"]')
    box push "$HOST" "$other" "$other.minisig" /root/
    run -20 ctl nginx diff hello "/root/${other##*/}" --exit-code
    [[ "$output" == *'+  server_name www.hello.example;'* ]]
    run -0 ctl nginx diff hello "/root/${other##*/}"
    run -1 ctl nginx diff shop "/root/${other##*/}"
}

@test "[fault-121] what was edited by hand is told and stays as it is" {
    in_box sh -c 'for file in /etc/nginx/*/chillbox.hello.conf; do echo "# by hand" >>"$file"; done; ln -sfn releases/by-hand /srv/chillbox/hello/current'
    run -20 ctl plan hello --exit-code
    [[ "$output" == *'drift    /srv/chillbox/hello/current points to releases/by-hand, the store says releases/1.6.0'* ]]
    [[ "$output" == *'-# by hand'* ]]
    [ "$(in_box readlink /srv/chillbox/hello/current)" = releases/by-hand ]
    run -0 ctl restart hello
    run -0 ctl plan hello --exit-code
}

@test "sealed, an artifact cannot be looked at: exit 6; a site can" {
    ctl lock
    run -6 plan "$LAPTOP/out/hello-1.8.0.tar.zst.age"
    run -0 ctl plan hello
    unlock
}

shop() { # VERSION HOST_NAME: another site
    rm -rf "$LAPTOP/hello"
    mkdir -p "$LAPTOP/hello/web"
    echo "shop $1" >"$LAPTOP/hello/web/index.html"
    jq -n --arg version "$1" --arg host "$2" '{name: "Shop", server_name: $host, version: $version, watch: "1s", services: [{name: "web", lang: "static"}]}' \
        >"$LAPTOP/hello/shop.site.json"
    OUT=$LAPTOP/out pack
}

@test "[fault-70] a host name that another site has is refused, and its owner named" {
    run -8 send "$(shop 1.0.0 hello.example)"
    [[ "$output" == *"'hello.example'"*"'hello'"* ]]
    [ "$(get /)" = 'hello from 1.6.0' ]
    run -3 ctl releases shop
}

@test "[fault-115] sites whose texts change at the same time: each reload is proven, both are served, neither stands in the way of the other" {
    ours=$(artifact 2.0.0 '.domain_list = ["hello.example", "www.hello.example"]')
    theirs=$(shop 1.1.0 shop.example)
    send "$ours" >"$LAPTOP/ours" 2>&1 3>&- &
    one=$!
    send "$theirs" >"$LAPTOP/theirs" 2>&1 3>&- &
    wait "$!"
    wait "$one"
    grep -q 'NGINX serves the new configuration' "$LAPTOP/ours"
    grep -q 'NGINX serves the new configuration' "$LAPTOP/theirs"
    [ "$(get /)" = 'hello from 2.0.0' ]
    [ "$(host_curl -H 'Host: www.hello.example' -o /dev/null -w '%{http_code}' "$URL/")" = 308 ]
    [ "$(host_curl -H 'Host: shop.example' "$URL/")" = 'shop 1.1.0' ]
}
