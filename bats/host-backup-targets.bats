#!/usr/bin/env bats
# Each shipped target as the daemon uses it: a backup is stored, counted, proven, and refused with its code. What the targets' programs do by themselves is in
# hooks-backup.bats.

# shellcheck disable=SC2154 # box_up sets HOST

load helpers/box
load helpers/host

setup_file() {
    host_possible || return 0
    host_up
    host_set_up
    (cd "$LAPTOP" && "$CTL" new hello --kind static)
    send "$(pack)"
    age-keygen -o "$LAPTOP/laptop.key" 2>/dev/null
    in_box mkdir -p /etc/chillbox/backup
    box net "$HOST" -- sh "$ROOT/tests/hooks/s3" 15555 "$LAPTOP/s3" >"$LAPTOP/s3.log" 2>&1 3>&- &
}

teardown_file() { host_down; }
setup() {
    host_or_skip
    in_box rm -rf /mnt/backups
}

# target NAME <SETTINGS: from now on this one.
target() {
    box run "$HOST" -- sh -c 'umask 077; cat >"/etc/chillbox/backup/$1"' sh "$1"
    in_box sed -i "/^\[backup\]/,/^\[/{s/^\(# \)*target = .*/target = \"$1\"/;s/^# recipients = .*/recipients = [\"$(age-keygen -y "$LAPTOP/laptop.key")\"]/}" /etc/chillbox/chillboxd.toml
    ctl upgrade
}

# stored_and_proven: two of them, each with its signature.
stored_and_proven() {
    ctl backup create hello
    ctl backup create hello
    ctl backup verify hello
    [ "$(json backup list hello '[.backups[:2][] | select(.stored_ms > 0 and .gone_ms == 0)] | length')" = 2 ]
    [ "$(json backup list hello '.backups[0].proven_ms > 0')" = true ]
    [ "$(json backup list hello '.sites[0].problem')" = '' ]
}

refused() { # CODE
    run ctl backup create hello
    [ "$status" -eq "$1" ]
    grep -q 'taken, but not stored' <<<"$output"
}

@test "dir" {
    in_box sh -c 'mkdir /mnt/backups && chown chillbox-backup: /mnt/backups'
    echo path=/mnt/backups | target dir
    stored_and_proven
    in_box chmod 0777 /mnt/backups
    refused 4
    in_box rm -rf /mnt/backups
    refused 3
}

@test "s3" {
    for ((tries = 600; tries > 0; tries--)); do [ -e "$LAPTOP/s3" ] && break; sleep 0.1; done
    target s3 <"$LAPTOP/s3"
    stored_and_proven
    sed 's/^bucket=.*/bucket=others/' "$LAPTOP/s3" | target s3
    refused 4
    sed 's/:15555/:1/' "$LAPTOP/s3" | target s3
    refused 5
}

@test "sftp" {
    in_box sh -c 'grep -q ^keeper: /etc/passwd || echo "keeper:*:4600:4600::/mnt/keeper:/bin/sh" >>/etc/passwd; mkdir -p /mnt/keeper/.ssh /mnt/keeper/backups'
    ssh-keygen -q -t ed25519 -N '' -C '' -f "$LAPTOP/target"
    box push "$HOST" "$LAPTOP/target.pub" /mnt/keeper/.ssh/authorized_keys
    in_box sh -c 'chown -R 4600:4600 /mnt/keeper && chmod 0644 /mnt/keeper/.ssh/authorized_keys'
    {
        printf 'host=127.0.0.1\nuser=keeper\npath=backups\nknown_hosts=%s\n' "$(box net "$HOST" -- ssh-keyscan -t ed25519 127.0.0.1 2>/dev/null)"
        sed 's/^/private_key=/' "$LAPTOP/target"
    } >"$LAPTOP/sftp"
    target sftp <"$LAPTOP/sftp"
    stored_and_proven
    in_box sh -c 'chown -R root: /mnt/keeper/backups'
    refused 4
    sed 's/^known_hosts=.*/known_hosts=127.0.0.1 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKVPZwq3RyrVr0fhb8cd0sLZVN2hN0VYQfbTSSAwT7Qx/' "$LAPTOP/sftp" | target sftp
    refused 4
}

@test "restic" {
    if command -v apt-get >>"$LAPTOP/log"; then
        box push "$HOST" "$(sh "$ROOT/tests/host/debs" "$(. /etc/os-release && echo "$VERSION_CODENAME")" restic)/usr/bin/restic" /usr/bin/
    fi
    in_box restic version || skip 'no restic that runs on this host: it has one of glibc'
    in_box sh -c 'mkdir -p /mnt/restic && echo pass >/root/password && restic -q -r /mnt/restic --password-file /root/password init && chown -R chillbox-backup: /mnt/restic'
    printf 'repository=/mnt/restic\npassword=pass\n' | target restic
    stored_and_proven
    printf 'repository=/mnt/restic\npassword=wrong\n' | target restic
    refused 4
    printf 'repository=/mnt/nosuch\npassword=pass\n' | target restic
    refused 3
}
