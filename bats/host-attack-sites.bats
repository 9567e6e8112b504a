#!/usr/bin/env bats
# Sites named like something that the host has: whoever may sign such a site, or names one so by accident, gets nothing of it.

# shellcheck disable=SC2154,SC2016 # box_up sets HOST; "sh -c" expands in the box

load helpers/box
load helpers/host
load helpers/one_host

# artifact SITE [template]: a site of one page, with a template of its own or without; prints the path
artifact() {
    rm -rf "$LAPTOP/hello"
    mkdir -p "$LAPTOP/hello/page"
    printf 'page of %s\n' "$1" >"$LAPTOP/hello/page/index.html"
    jq -n --arg site "$1" --arg version "$(next_version)" '{name: $site, server_name: ($site + ".example"), version: $version, watch: "1s",
        services: [{name: "page", lang: "static"}]}' >"$LAPTOP/hello/$1.site.json"
    if [ "${2-}" = template ]; then
        mkdir -p "$LAPTOP/hello/nginx/templates" "$LAPTOP/hello/nginx/root"
        printf 'server {\n  include /etc/nginx/%s.ssl_cert.include;\n  server_name %s.example;\n  root /srv/chillbox/%s/current/page;\n}\n' "$1" "$1" "$1" \
            >"$LAPTOP/hello/nginx/templates/$1.nginx.conf.template"
    fi
    pack
}
plan() { cat "$1.minisig" "$1" | in_box chillboxctl plan - "${@:2}"; }
page() { host_curl -H "Host: $1.example" "$URL/"; }

everything() {
    in_box sh -c 'getent passwd; getent group; find /srv /usr/local/src /var/log/nginx /run/redis /var/lib/dpkg /var/lib/apt /var/lib/ops /var/lib/shop \
        -maxdepth 1 -printf "%p %y %u:%g %m %l\n" 2>/dev/null | sort; ls /etc/init.d /etc/nginx/*; ls -a /srv/chillbox'
}

# refused SITE TEXT [template]: by plan and by a deploy, with that, and nothing of the host is another than before
refused() {
    one=$(artifact "$1" "${3-}")
    before=$(everything)
    run -0 plan "$one"
    [[ "$output" == *"$2"* ]]
    run -8 send "$one"
    [[ "$output" == *"$2"* ]]
    diff <(printf '%s\n' "$before") <(everything)
    [ "$(in_box sqlite3 /var/lib/chillbox/state.db "SELECT count(*) FROM assets WHERE site = '$1'" 2>/dev/null || echo 0)" = 0 ]
}

@test "a site named like a group of the host does not get into it [attack-A4]" {
    add_group docker
    add_user ops 4242 -
    refused docker "group 'docker' exists on this host and was not made for site 'docker': choose another site name, or remove the group"
    refused ops "user 'ops' exists on this host and was not made for site 'ops': choose another site name, or remove the user"
    refused root "user 'root' exists on this host and was not made for site 'root'"
    web=$(web_user)
    refused "$web" "group '$web' exists on this host and was not made for site '$web'"
}

@test "a user with a home that a site's would have is no site's either [attack-A4]" {
    add_user mta 4243 /var/lib/mta
    refused mta "user 'mta' exists on this host and was not made for site 'mta'"
}

@test "a site named like a package gets none of its directories [attack-A4]" {
    in_box sh -c 'mkdir -p /var/lib/dpkg /var/lib/apt /srv/wiki /usr/local/src/tools /var/log/nginx/metrics /run/redis && echo theirs >/srv/wiki/page && chmod 0770 /srv/wiki && ln -s /etc /var/lib/etc'
    refused dpkg "directory '/var/lib/dpkg' exists on this host and was not made for site 'dpkg': choose another site name, or move it away"
    refused apt "directory '/var/lib/apt' exists on this host"
    refused etc "file '/var/lib/etc' exists on this host"
    refused metrics "directory '/var/log/nginx/metrics' exists on this host"
    in_box mkdir -p /var/cache/nginx/proxy
    refused proxy "directory '/var/cache/nginx/proxy' exists on this host" template
    refused wiki "directory '/srv/wiki' exists on this host" template
    refused tools "directory '/usr/local/src/tools' exists on this host" template
    [ "$(in_box cat /srv/wiki/page)" = theirs ]
}

@test "secrets that come before a release take nothing over either [attack-A4]" {
    mkdir -p "$LAPTOP/secrets/page"
    echo 'x = 1' >"$LAPTOP/secrets/page/page.cfg"
    before=$(everything)
    run ! send "$("$CTL" secrets pack -q "$LAPTOP/secrets" -s docker -r "$RECIPIENT" -k "$LAPTOP/deployer.key" -o "$LAPTOP/out")"
    [[ "$output" == *"group 'docker' exists on this host and was not made for site 'docker'"* ]]
    diff <(printf '%s\n' "$before") <(everything)
}

@test "a site that was removed comes back to its own data, and not to what others made there meanwhile [attack-A4]" {
    run -0 send "$(artifact shop template)"
    [ "$(page shop)" = 'page of shop' ]
    in_box sh -c 'echo rows >/var/lib/shop/page/db && chown shop:shop /var/lib/shop/page/db'
    run -0 ctl remove shop -y
    run -0 send "$(artifact shop template)"
    [ "$(in_box cat /var/lib/shop/page/db)" = rows ]
    run -0 ctl remove shop -y
    in_box sh -c 'rm -rf /var/lib/shop && mkdir /var/lib/shop && echo theirs >/var/lib/shop/status && chmod 0755 /var/lib/shop'
    refused shop "directory '/var/lib/shop' is recorded as made for site 'shop', but belongs to uid 0 now"
    [ "$(in_box stat -c %U:%a /var/lib/shop)" = root:755 ]
    in_box rm -rf /var/lib/shop
    run -0 send "$(artifact shop template)"
    run -0 ctl remove shop --purge -y
    run ! in_box sh -c 'getent passwd shop || getent group shop || ls -d /var/lib/shop /var/log/nginx/shop /srv/shop /var/log/chillbox/shop'
}

@test "a purge removes no user and no directory that somebody else made under the site's name [attack-A4]" {
    run -0 send "$(artifact shop)"
    in_box sh -c 'rm -rf /var/lib/shop && mkdir /var/lib/shop && echo theirs >/var/lib/shop/status'
    run -0 ctl remove shop --purge -y
    [ "$(in_box cat /var/lib/shop/status)" = theirs ]
    in_box rm -rf /var/lib/shop
    run -0 send "$(artifact shop)"
    in_box sed -i '/^shop:/d' /etc/passwd /etc/group
    add_user shop 4244 -
    run ! ctl remove shop --purge -y
    [[ "$output" == *"user 'shop' does not have the id with which it was made"* ]]
    [ "$(in_box id -u shop)" = 4244 ]
    in_box sed -i '/^shop:/d' /etc/passwd /etc/group
    run -0 ctl remove shop --purge -y
}

# The monitor dies in the middle of user-add, once as the group is there and once as both are.
@test "a crash while the user is made leaves a site that can be deployed [attack-A4]" {
    tools='groupadd useradd'
    in_box sh -c 'command -v useradd >/dev/null' || tools='addgroup adduser'
    for after in $tools; do
        tool=$(in_box sh -c 'command -v "$1"' sh "$after")
        in_box sh -c 'mkdir -p /opt/real && mv "$1" /opt/real/ && cat >"$1" && chmod 0755 "$1"' sh "$tool" <<END
#!/bin/sh
/opt/real/$after "\$@" || exit
mv /opt/real/$after $tool
kill -9 "\$(cat /run/openrc/options/chillboxd/child_pid)"
sleep 1
END
        next=$(artifact "crash-$after")
        send "$next" --timeout 5s || :
        wait_for 20 in_box test ! -e "/opt/real/$after"
        wait_for 20 unlock
        wait_for 20 sends "$next"
        [ "$(page "crash-$after")" = "page of crash-$after" ]
        [ "$(in_box stat -c %U:%G:%a "/var/lib/crash-$after")" = "crash-$after:crash-$after:700" ]
    done
}
sends() { send "$1" >/dev/null 2>&1; }

@test "a host from before there were records keeps its sites, with what they have [attack-A4]" {
    run -0 send "$(artifact shop template)"
    before=$(everything)
    in_box rc-service -q chillboxd stop
    in_box python3 - <<'END'
import sqlite3
db = sqlite3.connect("/var/lib/chillbox/state.db")
db.executescript("DELETE FROM assets; DELETE FROM meta WHERE key = 'assets'")
END
    in_box rc-service -q chillboxd start
    wait_for 20 unlock
    diff <(printf '%s\n' "$before") <(everything)
    run -0 send "$(artifact shop template)"
    [ "$(page shop)" = 'page of shop' ]
    run -0 ctl remove shop --purge -y
    run ! in_box sh -c 'getent passwd shop || ls -d /var/lib/shop /srv/shop'
}

@test "a store that is lost knows from the sites' own files what is theirs [attack-A4]" {
    run -0 send "$(artifact shop)"
    in_box rc-service -q chillboxd stop
    in_box sh -c 'rm /var/lib/chillbox/state.db-wal; echo garbage >/var/lib/chillbox/state.db'
    in_box rc-service -q chillboxd start
    wait_for 20 unlock
    run -0 send "$(artifact shop)"
    [ "$(page shop)" = 'page of shop' ]
    refused docker "group 'docker' exists on this host"
}
