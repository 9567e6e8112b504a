# For tests of hooks/backup against real servers: load helpers/backup. Needs root, and is alone in a network of its own.
#
# servers_up     in setup_file: an S3 server (moto, or a real one: tests/hooks/s3; on 15555; settings in $S3), a server that answers as none should (15556, its requests in $BAD_LOG) and sshd (2222;
#                settings in $SFTP, its folder is $STORE). servers_down in teardown_file
# net CMD...     in that network and its mounts
# program_of SUITE NAME   from now on the program is that of this Debian
# restic_of SUITE         the same of restic; $REPOSITORY has settings of a new repository
# with LINE... <SETTINGS >OTHER         settings with lines that replace those of the same word

# shellcheck shell=bash disable=SC2016 # the new sh expands

servers_up() {
    ROOT=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
    export ROOT S3=$BATS_FILE_TMPDIR/s3 SFTP=$BATS_FILE_TMPDIR/sftp BAD_LOG=$BATS_FILE_TMPDIR/bad.log STORE=$BATS_FILE_TMPDIR/store SERVERS=''
    unshare --net --mount sh -c 'ip link set lo up && mount -t tmpfs none /run && mkdir -m 0755 /run/sshd && cat /etc/passwd "$1" >"$1.all" && mount --bind "$1.all" /etc/passwd && exec sleep 3600' \
        sh "$(passwd_lines)" >"$BATS_FILE_TMPDIR/net.log" 2>&1 3>&- &
    export NET=$!
    chmod 0711 "$BATS_RUN_TMPDIR" "$BATS_FILE_TMPDIR"
    for ((tries = 100; tries > 0; tries--)); do net grep -q ^keeper: /etc/passwd 2>/dev/null && break; sleep 0.05; done
    serve sh "$ROOT/tests/hooks/s3" 15555 "$S3"
    serve python3 "$ROOT/tests/hooks/bad-s3" 15556 "$BAD_LOG"
    sshd_up
    for ((tries = 600; tries > 0; tries--)); do [ -e "$S3" ] && break; sleep 0.1; done
    [ -e "$S3" ] || { cat "$BATS_FILE_TMPDIR"/*.log >&2; return 1; }
}

passwd_lines() {
    printf 'sshd:x:64988:65534::/run/sshd:/usr/sbin/nologin\nkeeper:x:64989:64989::/:/bin/sh\n' >"$BATS_FILE_TMPDIR/passwd"
    printf '%s\n' "$BATS_FILE_TMPDIR/passwd"
}

serve() {
    nsenter --target "$NET" --net --mount -- "$@" >"$BATS_FILE_TMPDIR/$(basename "$2").log" 2>&1 3>&- &
    SERVERS="$SERVERS $!"
}

sshd_up() {
    dir=$BATS_FILE_TMPDIR/sshd
    mkdir -p "$dir" "$STORE"
    chown 64989:64989 "$STORE"
    for key in host client other; do ssh-keygen -q -t ed25519 -N '' -C '' -f "$dir/$key"; done
    cp "$dir/client.pub" "$dir/authorized"
    chmod 0644 "$dir/authorized"
    printf '%s\n' 'ListenAddress 127.0.0.1' 'Port 2222' "HostKey $dir/host" "AuthorizedKeysFile $dir/authorized" 'StrictModes no' 'PasswordAuthentication no' \
        'KbdInteractiveAuthentication no' 'ForceCommand internal-sftp' 'Subsystem sftp internal-sftp' "PidFile $dir/pid" >"$dir/config"
    if command -v apt-get >>"$dir/log"; then
        # Unpacked only: installed it would be started.
        serve sh "$ROOT/tests/host/debs" --run "$(sh "$ROOT/tests/host/debs" bookworm openssh-server)" /usr/sbin/sshd -r -D -e -f "$dir/config"
    else
        serve "$(command -v sshd)" -D -e -f "$dir/config"
    fi
    {
        printf 'host=127.0.0.1\nport=2222\nuser=keeper\npath=%s\nknown_hosts=[127.0.0.1]:2222 %s\n' "$STORE" "$(cut -d ' ' -f 1,2 "$dir/host.pub")"
        sed 's/^/private_key=/' "$dir/client"
    } >"$SFTP"
    for ((tries = 100; tries > 0; tries--)); do net sh -c 'ssh-keyscan -p 2222 127.0.0.1 2>/dev/null | grep -q .' && break; sleep 0.1; done
}

servers_down() {
    # shellcheck disable=SC2086 # a list of pids
    [ -z "${NET-}" ] || kill $SERVERS "$NET"
}

net() { nsenter --target "$NET" --net --mount -- "$@"; }

with() {
    words=$(printf '%s\n' "$@" | sed 's/=.*/=/' | paste -sd '|')
    grep -v -E "^($words)" || :
    printf '%s\n' "$@"
}

# Where there is no apt the machine's own is meant.
program_of() { # SUITE NAME
    command -v apt-get >>"$BATS_TEST_TMPDIR/log" || return 0
    mkdir -p "$BATS_TEST_TMPDIR/bin"
    tree=$(sh "$BATS_TEST_DIRNAME/../tests/host/debs" "$1" "$2")
    printf '#!/bin/sh\nexec sh %s/../tests/host/debs --run %s /usr/bin/%s "$@"\n' "$BATS_TEST_DIRNAME" "$tree" "$2" >"$BATS_TEST_TMPDIR/bin/$2"
    chmod 0755 "$BATS_TEST_TMPDIR/bin/$2"
    export PATH=$BATS_TEST_TMPDIR/bin:${PATH#"$BATS_TEST_TMPDIR/bin:"}
}

restic_of() { # SUITE
    export REPOSITORY=$BATS_TEST_TMPDIR/repository
    program_of "$1" restic
    printf 'a pass word\n' >"$BATS_TEST_TMPDIR/password"
    restic -q -r "$BATS_TEST_TMPDIR/repo" --password-file "$BATS_TEST_TMPDIR/password" init
    printf 'repository=%s\npassword=a pass word\n' "$BATS_TEST_TMPDIR/repo" >"$REPOSITORY"
}
