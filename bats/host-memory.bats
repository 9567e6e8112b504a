#!/usr/bin/env bats
# `store: tmpfs` on a real host: nothing of a release on a disk, also while it is built; sealed after a boot; made again from its artifact.
# bats file_tags=slow

# shellcheck disable=SC2154,SC2016 # box_up sets HOST; "sh -c" expands in the box

load helpers/box
load helpers/host
load helpers/one_host

# hello, with a folder of files beside it, in memory only
in_memory() { # VERSION
    make_site "$1" "# velociraptor $1"
    edit_site '.store = "tmpfs" | .services += [{"name": "page", "lang": "static"}] | .keep_releases = 2'
    mkdir -p "$LAPTOP/hello/page"
    printf '<p>velociraptor page %s</p>\n' "$1" >"$LAPTOP/hello/page/index.html"
    send "$(pack)"
}

on_disk() { in_box sh -c 'find / -xdev -type f ! -path "/proc/*" -exec grep -l "velociraptor" {} + 2>/dev/null | grep -v "^/usr/\|^/etc/ssh\|^/var/lib/dpkg" || :'; }
mounts() { in_box sh -c 'grep -c " /srv/chillbox/hello/releases/" /proc/mounts || :'; }

@test "a release in memory is served as any other, and no file of it is on a disk" {
    secrets quiet
    # While it is built, too.
    (while [ ! -e "$LAPTOP/built" ]; do on_disk; done >"$LAPTOP/seen" 2>&1) 3>&- &
    run -0 in_memory 1.0.0
    touch "$LAPTOP/built"
    wait
    [ -z "$(cat "$LAPTOP/seen")" ]
    [ "$(get /)" = 'hello from 1.0.0' ]
    [ "$(get /page/)" = '<p>velociraptor page 1.0.0</p>' ]
    [ "$(in_box stat -f -c %T /srv/chillbox/hello/releases/1.0.0-1)" = tmpfs ]
    in_box grep -rq 'velociraptor 1.0.0' /srv/chillbox/hello/current/api
    [ -z "$(on_disk)" ]
    run -0 ctl plan hello
    [[ "$output" != *drift* ]]
}

@test "the next one goes live beside it" {
    run -0 in_memory 1.1.0
    [ "$(get /)" = 'hello from 1.1.0' ]
    [ "$(mounts)" = 2 ]
}

@test "after a reboot the site is sealed, files and service, and is made again when the host is unlocked" {
    box reboot "$HOST"
    ctl ping --wait 20s >/dev/null
    [ "$(mounts)" = 0 ]
    sealed() { [ "$(code /)" = 503 ]; }
    wait_for 10 sealed
    [[ "$(get /)" == *'<h1>Back soon</h1>'* ]]
    [[ "$(get /page/)" == *'<h1>Back soon</h1>'* ]]
    [ "$(json sites '.sites[0].state')" = sealed ]
    [[ "$(json sites '.sites[0].waiting')" == *'rebuilt from its artifact after `chillboxctl unlock`'* ]]
    run -6 ctl restart hello
    unlock
    back() { [ "$(get /)" = 'hello from 1.1.0' ]; }
    wait_for 30 back
    [ "$(get /page/)" = '<p>velociraptor page 1.1.0</p>' ]
    [ "$(json sites '.sites[0].state')" = live ]
    [ -z "$(on_disk)" ]
    run -0 ctl restart hello
}

@test "a rollback goes to one that is gone, too; kill -9 of the daemon leaves what runs alone" {
    run -0 ctl rollback hello
    [ "$(get /)" = 'hello from 1.0.0' ]
    [ "$(get /page/)" = '<p>velociraptor page 1.0.0</p>' ]
    in_box kill -9 "$(json ping .pid)"
    ctl ping --wait 20s >/dev/null
    [ "$(get /)" = 'hello from 1.0.0' ]
    unlock
}

@test "an artifact that was changed on the disk is not taken for the release; a deploy is the way out" {
    in_box sh -c 'for file in /var/lib/chillbox/artifacts/*.age; do printf x >>"$file"; done; umount -l "/srv/chillbox/hello/releases/$1"' sh "$(json sites '.sites[0].release')"
    run ctl restart hello
    [ "$status" -ne 0 ]
    [[ "$output" == *'its artifact was changed on disk: deploy it again'* ]]
    run -0 in_memory 1.2.0
    [ "$(get /)" = 'hello from 1.2.0' ]
    kept() { [ "$(mounts)" = 2 ]; } # pruned behind the job
    wait_for 10 kept
}

@test "with the site its memory goes" {
    run -0 ctl remove hello --yes
    [ "$(mounts)" = 0 ]
    run ! in_box test -e /srv/chillbox/hello
}
