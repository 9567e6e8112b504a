#!/usr/bin/env bats
# Full disks for real: small file systems are mounted where chillbox writes, and filled. What is live goes on, the message says what was needed and
# what was there, nothing is left behind, and the next deploy works once there is room.

# shellcheck disable=SC2154,SC2016 # box_up sets HOST; "sh -c" expands in the box

load helpers/box
load helpers/host

setup_file() {
    host_possible || return 0
    host_up
    printf '[limits]\nreserve_percent = 0\n' >"$LAPTOP/chillboxd.toml"
    host_set_up
}

teardown_file() {
    host_down
    losetup -j "$LAPTOP/disk" 2>/dev/null | cut -d : -f 1 | xargs -r losetup -d # of a test that ended in the middle
}
setup() {
    host_or_skip
    [ -e "$LAPTOP/live" ] || { page 1.0.0 && send "$(pack)" && printf '1.0.0\n' >"$LAPTOP/live"; }
}
teardown() { in_box sh -c 'rm -f /srv/chillbox/full /var/lib/chillbox/full /run/chillbox/stage/full /run/chillbox/secrets/full /var/log/full'; }

# page VERSION [BYTES]: a site of files only, with one that long beside them
page() {
    rm -rf "$LAPTOP/hello"
    mkdir -p "$LAPTOP/hello/page"
    printf '%s\n' "$1" >"$LAPTOP/hello/page/index.html"
    head -c "${2-10}" /dev/urandom >"$LAPTOP/hello/page/large"
    printf '{ "name": "Page", "server_name": "hello.example", "version": "%s", "watch": "0s", "services": [{ "name": "page", "lang": "static" }] }' "$1" >"$LAPTOP/hello/hello.site.json"
}

# The tree of DIR goes into a file system of its own with these mount options; nothing of a job is there, the directories of the site are.
move_to_small() { # DIR OPTIONS
    in_box sh -c 'cp -a "$1" /tmp/kept && mount -t tmpfs -o "$2" small "$1" && cp -a /tmp/kept/. "$1" && rm -rf /tmp/kept' sh "$1" "$2"
}
leave_small() { in_box sh -c 'cp -a "$1" /tmp/kept && umount "$1" && rm -rf "$1"/* && cp -a /tmp/kept/. "$1" && rm -rf /tmp/kept' sh "$1"; }
fill() { in_box sh -c 'dd if=/dev/zero of="$1/full" bs=64k ${2:+"count=$2"} 2>/dev/null || :' sh "$1" "${2-}"; }

nothing_is_left() {
    [ -z "$(in_box ls /run/chillbox/stage | grep -v '^full$')" ]
    [ -z "$(in_box ls /var/lib/chillbox/inbox)" ]
    [ -z "$(in_box find /srv/chillbox /var/lib/chillbox /run/chillbox /etc/nginx -name '.*.tmp.*')" ]
    for release in $(in_box ls /srv/chillbox/hello/releases); do
        [ "$(json releases hello ".releases[] | select(.id == \"$release\") | .state")" = good ]
    done
}
# refused WORDS...: the deploy of a new version fails with these words in its message, and the old one is live
refused() {
    run send "$(pack)"
    [ "$status" -ne 0 ]
    for word in "$@"; do [[ "$output" == *"$word"* ]] || { printf 'no "%s" in: %s\n' "$word" "$output"; return 1; }; done
    [ "$(get /)" = "$(cat "$LAPTOP/live")" ]
    nothing_is_left
}
taken() { # VERSION
    page "$1"
    send "$(pack)"
    [ "$(get /)" = "$1" ]
    printf '%s\n' "$1" >"$LAPTOP/live"
}

@test "[fault-88] a disk that is too full for a release: refused with what it needs and what is there, and taken when there is room" {
    move_to_small /srv/chillbox size=8m
    fill /srv/chillbox 96 # 6 MiB
    page 2.0.0 2000000
    refused 'need' 'have'
    in_box rm /srv/chillbox/full
    taken 2.0.1
    leave_small /srv/chillbox
}

@test "[fault-88] the same on a file system of its own on a real block device" {
    device=$(losetup -f 2>/dev/null) && [ -b "$device" ] || skip "no loop device on this machine: modprobe loop"
    truncate -s 40M "$LAPTOP/disk"
    mkfs.ext4 -q -m 0 "$LAPTOP/disk"
    losetup "$device" "$LAPTOP/disk" 2>/dev/null || skip "this machine lets nobody set up a loop device"
    in_box sh -c 'mknod -m 0600 /dev/loop-full b "$2" "$3" && cp -a "$1" /tmp/kept && mount -t ext4 /dev/loop-full "$1" && cp -a /tmp/kept/. "$1" && rm -rf /tmp/kept' \
        sh /srv/chillbox $((0x$(stat -c %t "$device"))) $((0x$(stat -c %T "$device")))
    page 2.0.2 2000000
    in_box sh -c 'dd if=/dev/zero of=/srv/chillbox/full bs=64k 2>/dev/null || :'
    refused 'need' 'have'
    in_box rm /srv/chillbox/full
    taken 2.0.3
    in_box rm -rf /srv/chillbox/lost+found
    leave_small /srv/chillbox
    losetup -d "$device"
}

@test "[fault-90] no inodes left: refused, and the message says inodes" {
    move_to_small /srv/chillbox size=8m,nr_inodes=40
    page 2.1.0
    for n in $(seq 60); do : >"$LAPTOP/hello/page/file$n"; done
    refused inodes
    taken 2.1.1
    leave_small /srv/chillbox
}

@test "[fault-88] the memory for staging is full: the message has its size, nothing of the archive stays" {
    fill /run/chillbox/stage
    page 2.2.0 3000000
    refused 'staging file system has' free
    in_box rm /run/chillbox/stage/full
    taken 2.2.1
}

@test "[fault-82] the memory for secrets is full: the old set stays in place" {
    mkdir -p "$LAPTOP/secrets/page"
    printf 'old\n' >"$LAPTOP/secrets/page/word"
    send "$(pack_secrets "$LAPTOP/secrets")"
    fill /run/chillbox/secrets
    head -c 100000 /dev/urandom >"$LAPTOP/secrets/page/word"
    run send "$(pack_secrets "$LAPTOP/secrets")"
    [ "$status" -ne 0 ]
    [[ "$output" == *free* ]]
    [ "$(in_box cat /run/chillbox/secrets/hello/page/word)" = old ]
    [ "$(in_box ls -A /run/chillbox/secrets | tr '\n' ' ')" = 'full hello ' ]
}

@test "[fault-20] [fault-88] the state directory is full: no webhook is acknowledged, the site goes on, and there is no restart of the daemon" {
    pid=$(in_box cat /run/openrc/options/chillboxd/child_pid)
    move_to_small /var/lib/chillbox size=20m
    in_box rc-service -q chillboxd restart
    unlock
    taken 2.3.0
    pid=$(in_box cat /run/openrc/options/chillboxd/child_pid)
    fill /var/lib/chillbox
    announce site.rollback '{"site":"hello"}' || :
    [ "$(jq -r '.job // "none"' "$LAPTOP/answer")" = none ]
    [ "$(get /)" = 2.3.0 ]
    [ "$(in_box cat /run/openrc/options/chillboxd/child_pid)" = "$pid" ]
    in_box rm /var/lib/chillbox/full
    taken 2.3.1
    in_box rc-service -q chillboxd stop
    leave_small /var/lib/chillbox
    in_box rc-service -q chillboxd start
    unlock
    taken 2.3.2
}

@test "[fault-99] the disk of the logs is full: deploys go on" {
    in_box sh -c 'mkdir /tmp/logs && cp -a /var/log/. /tmp/logs && mount -t tmpfs -o size=4m small /var/log && cp -a /tmp/logs/. /var/log'
    in_box rc-service -q nginx restart
    in_box rc-service -q chillboxd restart
    unlock
    fill /var/log
    taken 2.4.0
    taken 2.4.1
    ctl rollback hello
    [ "$(get /)" = 2.4.0 ]
}
