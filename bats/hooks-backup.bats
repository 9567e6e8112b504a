#!/usr/bin/env bats
# hooks/backup: each kind of target against a server that is real, under dash and busybox ash; and what targets do wrong.

load helpers/box
load helpers/backup

setup_file() {
    bats_require_minimum_version 1.5.0
    export BATS_NO_PARALLELIZE_WITHIN_FILE=true
    [ "$(id -u)" -eq 0 ] || return 0
    servers_up
    export SERVERS NET
}

teardown_file() { servers_down; }

setup() {
    needs_root
    cd "$BATS_TEST_TMPDIR" || return
    HOOKS=$BATS_TEST_DIRNAME/../hooks/backup
    mkdir memory folder
    export TMPDIR=$PWD/memory
    head -c 300000 /dev/urandom >archive
    printf 'path=%s/folder\n' "$PWD" >dir.settings
}

teardown() { [ ! -d "$BATS_TEST_TMPDIR/memory" ] || [ -z "$(ls -A "$BATS_TEST_TMPDIR/memory")" ]; } # nothing secret is left

hook() { # KIND SETTINGS VERB [NAME]
    # shellcheck disable=SC2086 # words
    net ${GROUP:+setsid sh -c 'echo $$ >"$0" && exec "$@"' "$GROUP"} env TMPDIR="$TMPDIR" PATH="$PATH" ${SH:-dash} "$HOOKS/$1" "${@:3}" 3<"$2"
}

# killed FOLDER KIND SETTINGS put NAME <FILE: with all that it started, once there is something in the folder.
killed() {
    rm -f group
    GROUP=$PWD/group hook "${@:2}" <&0 2>said & # without the redirection a shell gives it no input
    for ((tries = 500; tries > 0; tries--)); do [ -z "$(ls -A "$1" 2>lost)" ] || break; sleep 0.01; done
    # shellcheck disable=SC2046 # pids
    kill -KILL $(pgrep -s "$(cat group)") 2>lost || : # it had ended
    wait $! || :
    for ((tries = 100; tries > 0; tries--)); do pgrep -s "$(cat group)" >lost || break; sleep 0.1; done # restic takes who was not waited for as alive
    run ! grep '^[a-z0-9]*: ' said # it was in the middle, or had ended well
    rm -rf "$TMPDIR"/chillbox-backup.* # who calls a hook removes its folder
}

# The whole life of two backups, each step twice.
life() { # KIND SETTINGS
    for SH in dash 'busybox ash'; do
        [ -z "$(hook "$1" "$2" list)" ]
        for name in web1/blog/1-1.age web1/blog/1-1.age web1/blog/1-1.age.minisig plain; do hook "$1" "$2" put $name <archive; done
        [ "$(hook "$1" "$2" list | sort)" = "$(printf '%s 300000\n' plain web1/blog/1-1.age web1/blog/1-1.age.minisig)" ]
        for _ in 1 2; do
            hook "$1" "$2" get web1/blog/1-1.age >fetched
            cmp archive fetched
        done
        head -c 1000 /dev/urandom >another
        hook "$1" "$2" put plain <another
        hook "$1" "$2" get plain >fetched
        cmp another fetched
        for name in web1/blog/1-1.age plain; do hook "$1" "$2" delete $name; done
        [ "$(hook "$1" "$2" list)" = 'web1/blog/1-1.age.minisig 300000' ]
        status=0
        hook "$1" "$2" get plain >fetched 2>said || status=$?
        [ "$status" -eq 3 ]
        hook "$1" "$2" delete plain 2>said || [ $? -eq 3 ]
        hook "$1" "$2" delete web1/blog/1-1.age.minisig
    done
}

# fails CODE KIND SETTINGS VERB [NAME]: with one printable line.
fails() {
    expected=$1
    shift
    status=0
    hook "$@" <archive >fetched 2>said || status=$?
    cat said >&2
    [ "$status" -eq "$expected" ]
    [ "$(wc -l <said)" -eq 1 ]
    LC_ALL=C run ! grep "$(printf '[\001-\011\013-\037]')" said
    [ "$(wc -c <said)" -lt 500 ]
}

@test "dir: put, get, list and delete, each twice, under each shell" { life dir dir.settings; }

@test "s3: the same against moto, which checks the signatures; with a prefix, too; by curl of Debian 12 and 13" {
    life s3 "$S3"
    with prefix=my/pre.fix <"$S3" >prefixed
    for suite in bookworm trixie; do
        program_of $suite curl
        life s3 prefixed
        hook s3 prefixed put h/s/1 <archive
        [ -z "$(hook s3 "$S3" list | grep -v '^my/pre.fix/h/s/1 300000$')" ]
        hook s3 prefixed delete h/s/1
    done
}

@test "s3: a list of more than one page" {
    mkdir -p own/lib own/backup
    cp "$HOOKS"/../lib/backup "$HOOKS"/../lib/s3 own/lib/
    sed 's/list-type=2&/list-type=2\&max-keys=2\&/' "$HOOKS/s3" >own/backup/s3
    HOOKS=$PWD/own/backup
    for n in $(seq 5); do hook s3 "$S3" put "many/$n" <dir.settings; done
    [ "$(hook s3 "$S3" list | cut -d ' ' -f 1 | paste -sd ' ')" = 'many/1 many/2 many/3 many/4 many/5' ]
    for n in $(seq 5); do hook s3 "$S3" delete "many/$n"; done
}

@test "sftp: the same against sshd" { life sftp "$SFTP"; }

@test "restic: the same with the versions of Debian 12 and 13, and restic's own check of all that is left" {
    for suite in bookworm trixie; do
        rm -rf repo
        restic_of $suite
        life restic "$REPOSITORY"
        hook restic "$REPOSITORY" put h/s/1 <archive
        restic -q -r repo --password-file password check --read-data
    done
}

@test "a name that leads elsewhere, words that are no setting, and pipes are refused before a target is asked [fault-650]" {
    printf 'nosuch=1\n' >none
    for kind in dir s3 sftp restic; do
        for name in ../x /x x/ a//b a/../b -x .x $'a\nb' 'a b' a/b/c/d/e "$(head -c 201 archive | base64 -w 0 | tr -dc A-Z)$(printf '%0200d' 0)" 'a"b' '$(id)' 'ü'; do
            fails 1 $kind none put "$name"
            grep -q 'a name ' said
        done
        fails 1 $kind none list
        grep -q "no setting 'nosuch'" said
        fails 1 $kind dir.settings nosuch
        SETTINGS=$(printf 'x' | net "$HOOKS/$kind" put x 3<dir.settings 2>&1) && false
        [[ "$SETTINGS" == *'standard input is not a file'* ]]
        hook $kind dir.settings get x 2>said | cat
        grep -q 'standard output is not a file' said
        printf 'limit=x\n' >limit
        fails 1 $kind limit list
        printf 'limit=5\nlimit=6\r\n' >limit
        fails 1 $kind limit list
        grep -q 'control character' said
        run -1 net "$HOOKS/$kind" list
        [[ "$output" == *'no settings on descriptor 3'* ]]
    done
    for wrong in host=-oProxyCommand=id 'host=a b' user=-x 'path=a"b'; do
        with "$wrong" <"$SFTP" >other
        fails 1 sftp other list
    done
    with 'bucket=a/b?c' <"$S3" >other
    fails 1 s3 other list
}

@test "[fault-1295] sftp: an IPv6 address is one host" {
    mkdir bin
    printf '#!/bin/sh\nprintf "%%s\\n" "$*" >>%s/called\n' "$PWD" >bin/sftp
    chmod +x bin/sftp
    with host=2001:db8::10 user=jo <"$SFTP" >other
    PATH=$PWD/bin:$PATH hook sftp other list
    [[ "$(cat called)" == *' jo@[2001:db8::10]' ]]
    with host=backup.example user=jo <"$SFTP" >other
    PATH=$PWD/bin:$PATH hook sftp other list
    [[ "$(tail -n 1 called)" == *' jo@backup.example' ]]
}

@test "a target that is not there, or refuses: exit 3 and 4; nobody else can write to the folder of dir [fault-651] [attack-Z10]" {
    printf 'path=/nonexistent\n' >other
    fails 3 dir other put x # what is not mounted is not made
    [ ! -e /nonexistent ]
    chmod 0777 folder
    fails 4 dir dir.settings put x
    chmod 0755 folder
    ln -s /etc/passwd folder/link
    fails 3 dir dir.settings get link
    [ -z "$(hook dir dir.settings list)" ]
    with bucket=nosuch <"$S3" >other
    for verb in list 'put x' 'get x'; do fails 3 s3 other $verb; done
    for wrong in secret_key=wrong access_key=AKIAWRONG bucket=others; do
        with "$wrong" <"$S3" >other
        for verb in list 'put x' 'get x'; do fails 4 s3 other $verb; done
    done
    with path=/nonexistent <"$SFTP" >other
    for verb in list 'put x' 'get x'; do fails 3 sftp other $verb; done
    with path=/etc <"$SFTP" >other
    fails 4 sftp other put x
    sed 's/^/private_key=/' "$BATS_FILE_TMPDIR/sshd/other" >key
    grep -v private_key "$SFTP" | cat - key >other
    fails 4 sftp other list
    with "known_hosts=[127.0.0.1]:2222 $(cut -d ' ' -f 1,2 "$BATS_FILE_TMPDIR/sshd/other.pub")" <"$SFTP" >other
    fails 4 sftp other list
    grep -q 'not the one of known_hosts' said
}

@test "a program that this host has not is named with its package, and is not taken for a backup that is not there" {
    mkdir bare && "$(command -v busybox)" --install -s "$PWD/bare"
    SH="$(command -v busybox) ash" PATH=$PWD/bare:$PATH
    for row in s3:curl:curl sftp:sftp:openssh-client restic:restic:restic ../fetch/http:curl:curl; do
        IFS=: read -r kind program package <<<"$row"
        verb='list'
        [ "$kind" != ../fetch/http ] || verb=0
        : >none
        PATH=$PWD/bare fails 1 "$kind" none "$verb"
        grep -qF "needs the program $program: install $package" said
    done
}

@test "restic: another password is 4, no repository 3, in both versions, and an append-only one is not believed [fault-652]" {
    for suite in bookworm trixie; do
        rm -rf repo
        restic_of $suite
        with password=wrong <"$REPOSITORY" >other
        fails 4 restic other list
        with repository="$PWD/nosuch" <"$REPOSITORY" >other
        for verb in list 'put x' 'get x'; do fails 3 restic other $verb; done
        fails 3 restic "$REPOSITORY" get x
        # rclone answers as restic's own server does. The older restic says that all went well.
        nsenter --target "$NET" --net --mount -- rclone serve restic --append-only --addr 127.0.0.1:15557 "$PWD/repo" >rclone.log 2>&1 3>&- &
        server=$!
        for ((tries = 100; tries > 0; tries--)); do net curl -s -o out http://127.0.0.1:15557/ && break; sleep 0.1; done
        with repository=rest:http://127.0.0.1:15557/ limit=60 <"$REPOSITORY" >other
        hook restic other put h/s/1 <archive
        fails 4 restic other delete h/s/1
        hook restic other get h/s/1 >fetched
        cmp archive fetched
        kill $server
        wait $server || :
    done
}

@test "restic: what a killed put leaves is no backup, and its lock keeps nobody from deleting once its process is gone [fault-653]" {
    for suite in bookworm trixie; do
        rm -rf repo
        restic_of $suite
        hook restic "$REPOSITORY" put h/s/1 <archive
        head -c 60000000 /dev/urandom >large
        killed repo/locks restic "$REPOSITORY" put h/s/2 <large
        [ -n "$(ls -A repo/locks)" ]
        [ "$(hook restic "$REPOSITORY" list)" = 'h/s/1 300000' ]
        hook restic "$REPOSITORY" delete h/s/1
        restic -q -r repo --password-file password check --read-data
    done
}

@test "a full target in the middle of a put: exit 6, and nothing is listed [fault-654]" {
    net mount -t tmpfs -o size=200k,mode=0700,uid=64989 none "$STORE"
    fails 6 sftp "$SFTP" put h/s/1
    [ -z "$(hook sftp "$SFTP" list)" ]
    head -c 1000 archive >small
    hook sftp "$SFTP" put h/s/1 <small # what was cut off is gone
    [ "$(hook sftp "$SFTP" list)" = 'h/s/1 1000' ]
    net umount "$STORE"
    net mount -t tmpfs -o size=200k,mode=0700 none "$PWD/folder"
    fails 6 dir dir.settings put h/s/1
    [ -z "$(hook dir dir.settings list)" ]
    hook dir dir.settings put h/s/1 <small
    [ "$(hook dir dir.settings list)" = 'h/s/1 1000' ]
    net umount "$PWD/folder"
    with url=http://127.0.0.1:15556 bucket=full <"$S3" >other
    fails 6 s3 other put x
    truncate -s $((5 * 1024 * 1024 * 1024 + 1)) huge
    status=0
    hook s3 "$S3" put x <huge 2>said || status=$?
    [ "$status" -eq 1 ]
    grep -q 'over 5 GiB' said
}

@test "a put that is killed in the middle leaves nothing that is listed, and the next one removes it" {
    truncate -s 500M large
    for kind in dir sftp; do
        case $kind in dir) settings=dir.settings at=folder ;; *) settings=$SFTP at=$STORE ;; esac
        parts=0
        for n in 1 2 3 4 5; do
            killed "$at/h/s" $kind "$settings" put h/s/$n <large
            [ ! -e "$at/h/s/.$n.part" ] || parts=$((parts + 1))
            listed=$(hook $kind "$settings" list)
            [ -z "$listed" ] || [ "$listed" = "h/s/$n 524288000" ]
            hook $kind "$settings" put h/s/after <archive
            [ -z "$(find "$at" -name '.*.part')" ]
            rm -rf "${at:?}"/h
        done
        echo "$kind: $parts of 5 in the middle" >&3
    done
}

@test "a target that does not answer, breaks off or never ends costs no more than the limit: exit 5 [fault-655] [attack-Z11]" {
    with url=http://127.0.0.1:1 <"$S3" >other
    for verb in list 'put x' 'get x' 'delete x'; do fails 5 s3 other $verb; done
    with url=http://nosuch.invalid <"$S3" >other
    fails 5 s3 other list
    with port=1 <"$SFTP" >other
    fails 5 sftp other list
    with host=nosuch.invalid <"$SFTP" >other
    fails 5 sftp other list
    for kind in silent reset cut endless pages; do
        with url=http://127.0.0.1:15556 bucket=$kind limit=3 <"$S3" >other
        started=$SECONDS
        case $kind in
            silent) fails 5 s3 other list; fails 5 s3 other get x ;;
            reset) fails 5 s3 other put x ;;
            cut) fails 5 s3 other get x ;;
            endless) fails 1 s3 other list; fails 5 s3 other get x; rm fetched ;;
            pages) fails 5 s3 other list ;;
        esac
        [ $((SECONDS - started)) -le 20 ]
    done
}

@test "[fault-1235] a bucket that is busy for a moment is asked again" {
    with url=http://127.0.0.1:15556 bucket=busy <"$S3" >other
    hook s3 other put h/s/1 <archive
    [ "$(hook s3 other list)" = 'h/x 1' ]
    hook s3 other delete h/s/1
    [ "$(grep -c '/busy' "$BAD_LOG")" = 6 ]
}

@test "a target cannot have credentials sent elsewhere, names listed that lead elsewhere, or a terminal written to [fault-656] [attack-Z12]" {
    : >"$BAD_LOG"
    with url=http://127.0.0.1:15556 bucket=redirect <"$S3" >other
    for verb in list 'put x' 'get x' 'delete x'; do fails 1 s3 other $verb; done
    grep -q redirect said
    run ! grep elsewhere "$BAD_LOG"
    with url=http://127.0.0.1:15556 bucket=words <"$S3" >other
    for verb in list 'put x'; do fails 5 s3 other $verb; done
    with url=http://127.0.0.1:15556 bucket=names <"$S3" >other
    [ "$(hook s3 other list)" = 'h/s/good 7' ]
    with 'url=file:///etc' bucket=passwd <"$S3" >other
    fails 1 s3 other list
    mkdir -p "$STORE/h" folder/h
    for place in "$STORE" folder; do touch "$place/h/.hidden" "$place/h/a b" "$place/h/-x" "$place/.top"; done
    touch folder/h/$'a\nh'
    chown -R 64989 "$STORE"
    [ -z "$(hook sftp "$SFTP" list)" ]
    [ -z "$(hook dir dir.settings list)" ]
    rm -rf "${STORE:?}"/*
}

@test "no other process sees a credential among arguments or in an environment [attack-Z13]" {
    restic_of bookworm
    with url=http://127.0.0.1:15556 bucket=silent secret_key=canary-s3 limit=4 <"$S3" >s3.settings
    with password='canary-restic' repository=rest:http://127.0.0.1:15556/silent limit=4 <"$REPOSITORY" >restic.settings
    for kind in s3 restic; do
        hook $kind $kind.settings list 2>said &
        for _ in $(seq 15); do
            for pid in $(pgrep -g 0 .); do tr '\0' '\n' <"/proc/$pid/cmdline" && tr '\0' '\n' <"/proc/$pid/environ"; done >>seen 2>>lost || :
            sleep 0.1
        done
        wait $! && false
        grep -q "$PWD/memory" seen
        run ! grep canary seen
    done
}
