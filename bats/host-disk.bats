#!/usr/bin/env bats
# Deploys in a row on a disk that has room for a few of them: it never fills. `make small-disk N=200` for more of them.

# shellcheck disable=SC2154,SC2016 # box_up sets HOST; "sh -c" expands in the box

load helpers/box
load helpers/host

setup_file() {
    host_possible || return 0
    host_up
    in_box sh -c 'mkdir -p /mnt/small /srv/chillbox /var/lib/chillbox && mount -t tmpfs -o size=128m small /mnt/small &&
        for dir in /srv/chillbox /var/lib/chillbox; do mkdir -p "/mnt/small$dir" && mount --bind "/mnt/small$dir" "$dir"; done'
    host_set_up
    secrets "what nobody else may read"
}

teardown_file() { host_down; }
setup() { host_or_skip; }

used() { in_box df -Pk /mnt/small | awk 'END {print $3}'; }

# 6 MB that do not compress, in the release and in the artifact.
deploy_large() { # VERSION [PYTHON]
    make_site "$@"
    edit_site '.watch = "0s" | .services[0].health.interval = "100ms"'
    head -c 6000000 /dev/urandom >"$LAPTOP/hello/api/payload"
    rm -f "$LAPTOP"/out/*.age # the signatures stay: from them comes the next serial
    send "$(pack)"
}

@test "deploys in a row, every fourth of them bad, on a small disk: none fails for want of room, and the disk does not fill" {
    n=${DEPLOYS:-12}
    most=0
    for number in $(seq "$n"); do # not i: `run` with an option uses that name itself
        version=$(next_version)
        if ((number % 4 == 0)); then
            run -9 deploy_large "$version" 'raise RuntimeError("no such table")'
        else
            run -0 deploy_large "$version"
            live=$version
        fi
        [ "$(get /)" = "hello from $live" ]
        now=$(used)
        [ "$now" -le "$most" ] || most=$now
    done
    printf '# %s deploys of 12 MB each on 128 MB: at most %s MB were used\n' "$n" "$((most / 1024))" >&3
    run -0 ctl doctor
    [ "$(in_box sh -c 'ls /srv/chillbox/hello/releases | wc -l')" -le 4 ]
}

@test "[fault-88] a release that does not fit is refused with what is needed and what is there, and the live one answers" {
    live=$(get /)
    in_box sh -c 'head -c 30000000 /dev/zero >/mnt/small/other'
    make_site "$(next_version)"
    head -c 60000000 /dev/zero >"$LAPTOP/hello/api/payload" # small when it is sent
    run send "$(pack)"
    [ "$status" = 8 ]
    [[ "$output" == *"no space on the disk of /srv/chillbox: need "*", have "* ]]
    [ "$(get /)" = "$live" ]
    in_box rm /mnt/small/other
}
