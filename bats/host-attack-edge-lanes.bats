#!/usr/bin/env bats
# Sites that say they must be watched, or waited for, for hours: another site's emergency does not wait for them.

# shellcheck disable=SC2154,SC2016 # box_up sets HOST; "sh -c" expands in the box

load helpers/box
load helpers/host
load helpers/one_host

# plain NAME VERSION WATCH [SERVICES]: a site of one page, packed; prints the artifact.
plain() {
    rm -rf "${LAPTOP:?}/$1"
    mkdir -p "$LAPTOP/$1/page"
    printf '%s %s\n' "$1" "$2" >"$LAPTOP/$1/page/index.html"
    jq -n --arg name "$1" --arg version "$2" --argjson watch "$3" --argjson services "${4:-[]}" \
        '{name: $name, server_name: "\($name).example", version: $version, watch: $watch, services: ([{name: "page", lang: "static"}] + $services)}' \
        >"$LAPTOP/$1/$1.site.json"
    "$CTL" pack -q "$LAPTOP/$1" -r "$RECIPIENT" -k "$LAPTOP/deployer.key" -o "$LAPTOP/out"
}
announced() { box net "$HOST" -- "$CTL" deploy "$1" --to "$URL" --webhook-key "$LAPTOP/hook.key" >/dev/null; }
step() { json jobs "$1" -n 1 '.jobs[0].step'; }
within() { # SECONDS COMMAND...: until it succeeds
    for _ in $(seq $(($1 * 5))); do
        ! "${@:2}" || return 0
        sleep 0.2
    done
    return 1
}
is_in() { [ "$(step "$1")" = "$2" ]; }

@test "four sites that watch for nine hours: a fifth is deployed and rolled back at once [attack-C5]" {
    for n in 1 2; do run -0 send "$(plain victim "1.$n.0" 0)"; done
    for site in one two three four; do announced "$(plain "$site" 1.0.0 '"9h"')"; done
    for site in one two three four; do within 60 is_in "$site" watch; done
    begun=$(date +%s%N)
    run -0 ctl rollback victim
    printf '# a rollback under it: %s ms\n' $((($(date +%s%N) - begun) / 1000000)) >&3
    [ $((($(date +%s%N) - begun) / 1000000)) -le 10000 ]
    run -0 send "$(plain victim 1.3.0 0)" --timeout 60s
    for site in one two three four; do is_in "$site" watch; done
}

@test "four sites whose service is never well, and may take nine hours to say so: the same, and an upgrade goes through [attack-C5]" {
    deaf='[{"name": "deaf", "lang": "binary", "health": {"deadline": "9h"}}]'
    for site in one two three four; do
        plain "$site" 1.1.0 0 "$deaf" >/dev/null || :
        mkdir -p "$LAPTOP/$site/deaf"
        printf '#!/bin/sh\nexec sleep 100000\n' >"$LAPTOP/$site/deaf/deaf"
        chmod 0755 "$LAPTOP/$site/deaf/deaf"
        announced "$("$CTL" pack -q "$LAPTOP/$site" -r "$RECIPIENT" -k "$LAPTOP/deployer.key" -o "$LAPTOP/out")"
    done
    for site in one two three four; do within 60 is_in "$site" check; done
    run -0 ctl rollback victim
    run -0 send "$(plain victim 1.4.0 0)" --timeout 60s
    pid=$(json ping .pid)
    begun=$(date +%s)
    run -0 ctl upgrade
    ctl ping --wait 30s >/dev/null
    [ $(($(date +%s) - begun)) -le 20 ]
    [ "$(json ping '"\(.pid) \(.sealed)"')" = "$pid false" ]
}

@test "lock waits for no site [attack-C5]" {
    begun=$(date +%s%N)
    run -0 ctl lock
    [ $((($(date +%s%N) - begun) / 1000000)) -le 5000 ]
    [ "$(json ping .sealed)" = true ]
}
