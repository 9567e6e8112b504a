#!/usr/bin/env bats
# Rows of the threat table: a local user, a member of chillbox-admin, a service, two sites on one host, the host's recipient; and what root is told
# of before it goes wrong: keys and hooks that others can write, NGINX that is stopped, the audit trail.

# shellcheck disable=SC2154,SC2016 # box_up sets HOST; "sh -c" expands in the box

load helpers/box
load helpers/host
load helpers/attack

setup_file() {
    host_possible || return 0
    attack_up
    for site in shop aab; do
        attack_site "$site" '.services[0].secrets_config = "word"'
        printf 'the word of %s\n' "$site" >"$LAPTOP/word"
        attack_secrets "$site" "$LAPTOP/word"
        attack_deploy "$site"
    done
    add_user visitor
    add_user operator1 4002 /home/operator1 chillbox-admin
}

teardown_file() { host_down; }
setup() { host_or_skip; }

as() { box run "$HOST" -u "$1" -- "${@:2}"; }
as_operator() { as operator1 chillboxctl "$@"; }
operator_unlocks() { printf '%s\n' "$1" | as operator1 sh -c 'exec 3<&0 </dev/null; exec chillboxctl unlock --passphrase-fd 3'; }
pid_of() { in_box sh -c 'cat /run/openrc/options/chillbox.$1.web.*/child_pid' sh "$1"; }
audit() { json audit -n 200 "$1"; }
# What a trail of today has of this verb: who, site, outcome.
entries() { audit '.entries[] | select(.verb == "'"$1"'") | .actor + " " + .site + " " + .outcome'; }

@test "a service has its own data, its own secrets and the network [attack-S1]" {
    [ "$(in_service shop sh -c 'cat "$SECRETS_CONFIG"')" = 'the word of shop' ]
    in_service shop sh -c 'echo mine >/var/lib/shop/web/mine && cat /var/lib/shop/web/mine'
    in_service shop python3 -I -c 'import socket; socket.create_connection(("127.0.0.1", 80), 5)'
}

@test "a service changes neither its own release nor what starts it [attack-S2]" {
    snapshot own /srv/chillbox/shop /etc/init.d /etc/conf.d /etc/nginx
    for path in /srv/chillbox/shop/current/web/web /srv/chillbox/shop/current/web /srv/chillbox/shop/current /srv/chillbox/shop/releases \
        /srv/chillbox/shop/cache /srv/chillbox/shop /run/chillbox/live/shop /run/chillbox/sealed /run/chillbox/secrets/shop/web/word; do
        run ! in_service shop chmod 0777 "$path"
        run ! in_service shop sh -c 'echo x >>"$1" || echo x >"$1/x" || rm -r "$1" || mv "$1" "$1.old"' sh "$path"
    done
    unchanged own
    [[ "$(visit shop /)" == 'hello from shop '* ]]
}

@test "a service signals no process but those of its own site [attack-S3]" {
    for user in aab chillbox chillbox-vault root; do
        pid=$(in_box pgrep -o -u "$user")
        run ! in_service shop kill -0 "$pid"
        [[ "$output" == *'not permitted'* || "$output" == *'No such process'* ]]
    done
}

@test "two sites: neither reads the other's release, data, secrets or logs, nor its processes' memory and environment [attack-X1]" {
    in_box sh -c 'echo precious >/var/lib/aab/web/precious && chown aab /var/lib/aab/web/precious'
    visit aab / >/dev/null
    pid=$(pid_of aab)
    for path in /srv/chillbox/aab/current/web/web /srv/chillbox/aab/current/aab.site.json /srv/chillbox/aab/state.json /var/lib/aab/web/precious \
        /run/chillbox/secrets/aab/web/word /var/log/chillbox/aab/web.log "/proc/$pid/environ" "/proc/$pid/mem" "/proc/$pid/root/etc/passwd"; do
        in_box test -e "$path"
        run ! in_service shop head -c 1 "$path"
        [[ "$output" == *'Permission denied'* || "$output" == *'No such file'* ]]
    done
    for dir in /srv/chillbox/aab/releases /var/lib/aab /run/chillbox/secrets/aab /var/log/chillbox/aab; do
        run ! in_service shop ls "$dir"
    done
}

@test "two sites: each sees that the other is there [attack-X2]" {
    in_service shop getent passwd aab
    in_service shop test -d /srv/chillbox/aab
}

@test "two sites: they share what no resources of theirs limit, disk and memory [attack-X3]" {
    in_service shop dd if=/dev/zero of=/var/lib/shop/web/fill bs=1M count=30 status=none
    in_service shop rm /var/lib/shop/web/fill
    in_service shop python3 -I -c 'print(len(bytearray(50_000_000)))'
}

@test "a local user is refused by the control socket, which the audit trail says once, and by the edge's [attack-L2]" {
    for _ in 1 2 3; do
        run -4 as visitor chillboxctl status
    done
    in_box chmod 0666 /run/chillbox/control.sock # by mistake: the kernel tells who calls
    for _ in 1 2 3; do
        run -4 as visitor chillboxctl lock
    done
    in_box chmod 0660 /run/chillbox/control.sock
    [ "$(json ping .sealed)" = false ]
    [[ "$(entries control)" == "uid:"*" visitor  denied" ]]
    run -7 as visitor curl -s --unix-socket /run/chillbox/hook.sock http://x/v1/health
}

@test "a local user reads no release, data, log, secret, key or state, and signals no service [attack-L3]" {
    for path in /srv/chillbox/shop/current/web/web /srv/chillbox/shop/current/shop.site.json /var/lib/shop/web /run/chillbox/secrets/shop/web/word \
        /var/log/chillbox/shop/web.log /var/log/chillbox/chillboxd.log /var/lib/chillbox/state.db /var/lib/chillbox/identity.age \
        /var/lib/chillbox/artifacts /etc/chillbox/webhooks/shop.key /run/chillbox/stage/x; do
        run as visitor sh -c 'if [ -d "$1" ]; then ls "$1"; else cat "$1"; fi' sh "$path"
        [ "$status" -ne 0 ] || { echo "reads $path"; false; }
    done
    run ! as visitor kill -0 "$(pid_of shop)"
}

@test "a local user sees sites and processes, and reaches what listens on TCP without NGINX [attack-L1]" {
    as visitor pgrep -u shop
    as visitor ls /srv/chillbox | grep -qx shop
    port=$(json status '.' >/dev/null && in_box sh -c "ss -ltn 2>/dev/null || cat /proc/net/tcp" | grep -o '127.0.0.1:2[0-9]*' | head -n 1 | cut -d : -f 2)
    [ -z "$port" ] || as visitor curl -s -m 5 "http://127.0.0.1:$port/" | grep -q 'hello from'
}

@test "a member of chillbox-admin may use every verb of the control socket, and what changes something is recorded with his name, plan too [attack-M1]" {
    as_operator restart shop
    as_operator plan shop >/dev/null
    as_operator hold shop -m why
    as_operator release-hold shop
    as_operator maintenance on shop
    as_operator maintenance off shop
    as_operator prune
    as_operator reload
    as_operator stop shop
    as_operator start shop
    as_operator logs shop/web >/dev/null
    as_operator lock
    artifact=$(attack_pack aab)
    box push "$HOST" "$artifact" "$artifact.minisig" /tmp/
    run -6 as_operator plan "/tmp/$(basename "$artifact")"
    operator_unlocks "$PASSPHRASE"
    as_operator plan "/tmp/$(basename "$artifact")" >/dev/null
    for verb in restart hold release_hold maintenance_on maintenance_off prune reload stop start lock unlock; do
        [[ "$(entries "$verb" | head -n 1)" == "uid:"*" operator1 "*" ok" ]] || { echo "not recorded: $verb"; false; }
    done
    [[ "$(entries plan)" == *" operator1 aab ok"*" operator1  sealed"*" operator1 shop ok"* ]]
    ctl audit verify
}

@test "a member of chillbox-admin does not learn the passphrase, sets no key, and neither reads nor changes a file of root [attack-M2]" {
    snapshot root /etc /root /usr/lib/chillbox /var/lib/chillbox/identity.age /srv/chillbox/shop/releases /srv/chillbox/aab/releases
    ctl lock
    run -4 operator_unlocks wrong
    wait_for 10 unlock
    run -4 as_operator trust add /root/shop.pub --name mine
    run -4 as_operator trust remove shop
    run -4 as_operator webhook add mine
    run -4 as_operator init
    for path in /var/lib/chillbox/state.db /var/lib/chillbox/identity.age /etc/chillbox/webhooks/shop.key /etc/shadow /run/chillbox/secrets/shop/web/word \
        "/proc/$(in_box pgrep -u chillbox-vault)/mem"; do
        run ! as operator1 head -c 1 "$path"
    done
    run ! as operator1 touch /etc/chillbox/hooks.d/x /etc/chillbox/trusted/x.pub /etc/chillbox/chillboxd.toml
    ln -sf /etc/shadow "$LAPTOP/leak.age"
    in_box ln -sf /etc/shadow /tmp/leak.age
    run ! as_operator plan /tmp/leak.age
    [[ "$output" != *root:* ]]
    unchanged root
}

@test "anyone with the host's recipient encrypts to it, and deploys nothing by that [attack-H1]" {
    (cd "$LAPTOP" && "$CTL" keygen -q -o stranger --no-password)
    artifact=$(KEY="$LAPTOP/stranger.key" attack_pack shop)
    [ -s "$artifact" ]
    before=$(visit shop /)
    run -4 attack_send shop "$artifact"
    [[ "$output" == *"signed by"*"trust"* || "$output" == *"no trusted key"* || "$output" == *"not trusted"* ]]
    [ "$(visit shop /)" = "$before" ]
}

@test "status says first that NGINX is stopped, exit 1, and what starts it [attack-D2]" {
    run -0 ctl status
    in_box rc-service -q nginx stop
    run -1 ctl status
    [[ "${lines[0]}" == 'NGINX does not answer on port 80: no site is served: '*'`rc-service nginx start`' ]]
    [[ "$output" == *shop*aab* || "$output" == *aab*shop* ]]
    run -1 --separate-stderr ctl status --json
    [[ "$(jq -r .host.nginx <<<"$output")" == 'NGINX does not answer'* ]]
    in_box rc-service -q nginx start
    run -0 ctl status
    [ "$(json status .host.nginx)" = '' ]
}

# others PATH: somebody else owns it, then the group may write it: what the command says both times, and it must name the path
others() {
    in_box chown shop "$1"
    run "${@:2}"
    [ "$status" -ne 0 ]
    [[ "$output" == *"$1: writable by others than root: chown root and chmod go-w it"* ]]
    in_box chown root "$1"
    in_box chmod g+w "$1"
    run "${@:2}"
    [ "$status" -ne 0 ]
    [[ "$output" == *"$1: writable by others than root"* ]]
    in_box chmod g-w "$1"
}

@test "a hook, a trusted key and a sender's key that others can write are not used, and told by name: by doctor, at the start, by the deploy [attack-D5]" {
    in_box sh -c 'mkdir -p /etc/chillbox/hooks.d/handlers /etc/chillbox/hooks.d/events && cp -r /usr/lib/chillbox/hooks/handlers/binary /etc/chillbox/hooks.d/handlers/x-own
        printf "#!/bin/sh\ndate >>/root/event\n" >/etc/chillbox/hooks.d/events/post-deploy && chmod 755 /etc/chillbox/hooks.d/events/post-deploy'
    attack_site own '.services[0].lang = "x-own"'
    sed -i "s|/../../lib|/../../../../../../usr/lib/chillbox/hooks/lib|" "$LAPTOP/sites/own/own.site.json"
    in_box sh -c 'sed -i "s|\${0%/\*}/../../lib|/usr/lib/chillbox/hooks/lib|" /etc/chillbox/hooks.d/handlers/x-own/*'
    attack_deploy own
    in_box test -s /root/event
    for hook in /etc/chillbox/hooks.d/handlers/x-own/command /etc/chillbox/hooks.d/handlers/x-own /etc/chillbox/hooks.d; do
        others "$hook" attack_deploy own
        others "$hook" ctl doctor
    done
    in_box sh -c 'mv /etc/chillbox/hooks.d/handlers/x-own/build /root/build && ln -s /root/build /etc/chillbox/hooks.d/handlers/x-own/build'
    run ! attack_deploy own
    [[ "$output" == *"/etc/chillbox/hooks.d/handlers/x-own/build: is a symlink: put the file itself there"* ]]
    in_box sh -c 'rm -r /etc/chillbox/hooks.d/handlers/x-own && rm /root/event && chown shop /etc/chillbox/hooks.d/events/post-deploy'
    attack_deploy shop
    run ! in_box test -e /root/event
    in_box grep -q 'events/post-deploy: writable by others than root' /var/log/chillbox/chillboxd.log
    ctl upgrade >/dev/null
    [[ "$(json status '.host.warnings | join(" ")')" == *"hooks: /etc/chillbox/hooks.d/events/post-deploy: writable by others than root"* ]]
    in_box rm -r /etc/chillbox/hooks.d/events
    others /etc/chillbox/trusted/shop.pub attack_deploy shop
    others /etc/chillbox/trusted/shop.pub in_box chillboxd --check
    others /etc/chillbox/webhooks/shop.key in_box chillboxd --check
    others /etc/chillbox/webhooks/shop.key ctl doctor
    in_box chillboxd --check
}

@test "whatever changes a key is in the audit trail: trust, webhook, an editor; never the key itself [attack-D6]" {
    (cd "$LAPTOP" && "$CTL" keygen -q -o guest --no-password)
    box push "$HOST" "$LAPTOP/guest.pub" /root/
    ctl trust add /root/guest.pub --name guest --sites shop
    ctl webhook add guest --sites shop 2>/dev/null >"$LAPTOP/guest.hook"
    in_box sh -c 'sed -i "s/^sites: shop$/sites: shop,aab/" /etc/chillbox/trusted/guest.pub && rm /etc/chillbox/webhooks/guest.key'
    in_box kill -HUP "$(daemon_pid)"
    gone() { [ -n "$(audit '.entries[] | select(.verb == "webhook_remove") | .text')" ]; }
    wait_for 10 gone
    ctl trust remove guest
    [[ "$(audit '.entries[] | select(.verb == "trust_add" and (.text | contains("guest"))) | .actor + ": " + .text')" == "uid:0 root: deployer 'guest', key "*", sites: shop" ]]
    [[ "$(audit '.entries[] | select(.verb == "trust_change") | .actor + ": " + .text')" == "chillboxd, at SIGHUP: deployer 'guest', key "*", sites: shop,aab; before: "* ]]
    [[ "$(audit '.entries[] | select(.verb == "webhook_add" and (.text | contains("guest"))) | .text')" == "sender 'guest', 1 key, sites: shop, types: "* ]]
    [[ "$(audit '.entries[] | select(.verb == "trust_remove") | .text')" == "deployer 'guest'"* ]]
    run ! in_box grep -qF "$(sed 's/^whsec_//' "$LAPTOP/guest.hook" | tr -d '\n')" /var/lib/chillbox/state.db
    head=$(ctl audit verify --json | jq -r .head)
    ctl lock
    unlock || : # the site of a kind that is gone is not up
    run -0 ctl audit verify --head "$head"
    run -1 ctl audit verify --head "${head%:*}:$(printf '%064d' 0)"
}

# By how many kB the monitor's memory went up, at its peak, while it took a secret set with a file of so many bytes.
grows() {
    head -c "$1" /dev/urandom >"$LAPTOP/word"
    in_box sh -c 'echo 5 >"/proc/$1/clear_refs"' sh "$monitor"
    before=$(in_box sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$monitor/status")
    attack_secrets aab "$LAPTOP/word" >/dev/null
    echo $(($(in_box sed -n 's/^VmHWM:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$monitor/status") - before))
}

@test "a secret set is never whole in the monitor's memory" {
    monitor=$(in_box cat /run/openrc/options/chillboxd/child_pid)
    small=$(grows 1000)
    large=$(grows 12000000)
    printf '# the monitor grew by %s kB under a set of 1 kB, by %s kB under one of 12 MB\n' "$small" "$large" >&3
    [ $((large - small)) -lt 6000 ]
}
