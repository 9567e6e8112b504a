#!/usr/bin/env bats
# chillboxctl setup: a machine with a real sshd becomes a host, from a laptop at a real terminal. On Alpine with BOX_ROOTFS, PACKAGES (a folder of what
# `make apk` makes: dist/ARCH) and APK_KEY (the key that signed them).

# shellcheck disable=SC2154,SC2016,SC2030,SC2031 # box_up sets HOST; "sh -c" expands in the box

load helpers/box
load helpers/host
load helpers/laptop

setup_file() {
    host_possible || return 0
    bare_box_up
    laptop_up
}

teardown_file() { host_down; }
setup() { host_or_skip; }
teardown() { printf '%s\n' "${output-}" "${stderr-}"; } # bats shows it when a test failed

# What a set-up may change, beside NGINX's own files.
footprint() {
    in_box sh -c '{ find /etc /srv /root /usr/bin /usr/sbin /var/lib/chillbox -xdev -not -path "/root/.ash_history" -exec ls -ldn {} + 2>/dev/null |
            sed "s/^\([^ ]* *\)[0-9]* *\([0-9]* *[0-9]* *[0-9]* \).* /\1\2/"; find /etc -xdev -type f -exec cksum {} +
        ls -1 /etc/runlevels/default /etc/apk/keys 2>/dev/null; } | sort'
}

@test "[attack-R1] a host key that ssh does not know is never accepted, without a terminal or by a no; nothing is sent" {
    before=$(footprint)
    run -5 laptop chillboxctl setup root@web1.example --package "$PACKAGE" -y
    [[ "$output" == *"web1.example: Host key verification failed"* ]]
    printf 'StrictHostKeyChecking no\n' >>"$LAPTOP/ssh_config"
    run -5 laptop chillboxctl setup root@web1.example --package "$PACKAGE" -y
    run -5 at_terminal expect:'continue connecting' type:no -- chillboxctl setup root@web1.example --package "$PACKAGE"
    [ ! -s "$LAPTOP/known_hosts" ]
    [ "$(footprint)" = "$before" ]
    [ ! -e "$LAPTOP_HOME/config/chillbox/hosts/web1.toml" ]
}

@test "a person says yes to the host key; --dry-run says what it would do and changes nothing" {
    before=$(footprint)
    run -0 at_terminal --fits expect:'continue connecting' type:yes -- chillboxctl setup root@web1.example --package "$PACKAGE" --dry-run
    [ -s "$LAPTOP/known_hosts" ]
    [[ "$output" == *"web1        "*", $(uname -m), "*"Python 3."*"port 80"* ]]
    [[ "$output" == *"will        install chillbox"*"make the host key"*"name it web1.example"*"make your key"*"unlock it"*"nothing was changed"* ]]
    run -0 --separate-stderr laptop chillboxctl setup root@web1.example --package "$PACKAGE" --dry-run --json
    [ "$(jq -r '[.schema, .host, (.done | length), .will[-1]] | join(" ")' <<<"$output")" = 'chillbox.setup.v1 web1 0 unlock it' ]
    [ "$(footprint)" = "$before" ]
    [ ! -e "$LAPTOP_HOME/config/chillbox/keys" ]
}

# refused WORDS [OPTION...]: rc 8, the words, and nothing was changed.
refused() {
    before=$(footprint)
    run -8 laptop chillboxctl setup "${TARGET:-root@web1.example}" --package "$PACKAGE" -y "${@:2}"
    printf '%s\n' "$output"
    [[ "$output" == *$1*"Nothing was changed"* ]]
    [ "$(footprint)" = "$before" ]
}

# fake NAME TEXT: a program that setup finds first, until the next `unfake`.
fake() { printf '#!/bin/sh\n%s\n' "$2" | in_box sh -c 'mkdir -p /usr/local/bin && cat >"/usr/local/bin/$1" && chmod 0755 "/usr/local/bin/$1"' sh "$1"; }
unfake() { in_box rm "/usr/local/bin/$1"; }

@test "[fault-480] what cannot be a host is refused before anything is changed: systemd, arch, clock, disk, NGINX's files" {
    in_box mkdir -p /run/systemd/system
    refused 'runs systemd, and chillboxd needs OpenRC'
    in_box rm -r /run/systemd
    files=$(http_files)
    in_box sh -c 'echo "# mine" >"$1/chillbox.conf"' sh "$files"
    refused "$files/chillbox.conf on root@web1.example is not chillbox's"
    in_box rm "$files/chillbox.conf"
    [ -z "${PACKAGES-}" ] || return 0 # Alpine's sshd looks into /bin first
    fake uname 'echo armv7l'
    refused 'is armv7l: chillbox is made for x86_64 and aarch64'
    unfake uname
    fake date 'echo 1000000000'
    refused 'the clock of root@web1.example is'
    unfake date
    fake df 'printf "Filesystem 1024-blocks Used Available Capacity Mounted\n/dev/x 1000000 900000 100000 90%% /var\n"'
    refused 'free on the disk of /var, and chillbox needs'
    unfake df
}

@test "[fault-481] port 80 in use by something that is not NGINX is refused, with its name and pid" {
    in_box rc-service -q nginx stop
    in_box sh -c 'cd /tmp && python3 -m http.server 80 >/dev/null 2>&1 & echo $! >/tmp/server'
    wait_for 10 in_box sh -c 'grep -q ":0050 " /proc/net/tcp'
    refused "port 80 of root@web1.example is used by python3 (pid $(in_box cat /tmp/server))"
    in_box sh -c 'kill "$(cat /tmp/server)"'
    in_box rc-service -q nginx start
}

@test "[fault-482] who is not root there is refused" {
    add_user jo 1500 /home/jo
    in_box sh -c 'sed -i "s/^jo:[^:]*:/jo:*:/" /etc/passwd; mkdir -p /home/jo/.ssh; cp /root/.ssh/authorized_keys /home/jo/.ssh/; chown -R jo:jo /home/jo; chmod 0700 /home/jo /home/jo/.ssh'
    TARGET=jo@web1.example refused 'you are jo on jo@web1.example, and setup needs root'
}

@test "[fault-483] a program that does not run there is refused before it is installed" {
    tree=$BATS_TEST_TMPDIR/tree
    mkdir -p "$tree/usr/bin"
    (cd "$LAPTOP" && "$CTL" keygen -q -o spare --no-password)
    PACKAGE=$BATS_TEST_TMPDIR/chillbox-0.1.0-other.tar
    # another processor's; and one whose loader, that of another C library, is not there
    for head in '\177ELF\002\001\001\000\000\000\000\000\000\000\000\000\003\000\363\000' '#!/lib/ld-other.so.1\n'; do
        # shellcheck disable=SC2059 # it is the format
        printf "$head" >"$tree/usr/bin/chillboxctl"
        chmod 0755 "$tree/usr/bin/chillboxctl"
        tar -c -f "$PACKAGE" -C "$tree" usr
        refused 'the program in chillbox-0.1.0-other.tar does not run here' --trust "$LAPTOP/spare.pub" --passphrase-fd 3 3<<<"$PASSPHRASE"
    done
    mkdir "$BATS_TEST_TMPDIR/empty" && tar -c -f "$BATS_TEST_TMPDIR/empty.tar" -C "$BATS_TEST_TMPDIR/empty" .
    PACKAGE=$BATS_TEST_TMPDIR/empty.tar
    refused 'no chillboxctl in what was sent' --trust "$LAPTOP/spare.pub" --passphrase-fd 3 3<<<"$PASSPHRASE"
}

@test "[fault-1068] a key of packages that is another one than the host has: exit 4, and no other key of them is installed" {
    in_box sh -c 'mkdir -p /root/keys /etc/apk/keys && cd /root/keys && echo ours >/etc/apk/keys/b.rsa.pub && echo new | tee a.rsa.pub b.rsa.pub >c.rsa.pub'
    box push "$HOST" "$ROOT/hooks/setup/install" /root/
    [ -n "${PACKAGES-}" ] || fake apk 'echo "apk: not asked" >&2; exit 1'
    before=$(footprint)
    run -4 in_box sh /root/install /root/keys
    [[ "$output" == *"/etc/apk/keys/b.rsa.pub is another key than yours of that name. Nothing was changed" ]]
    [ "$(footprint)" = "$before" ]
    in_box rm -r /root/keys /root/install /etc/apk/keys/b.rsa.pub
    [ -n "${PACKAGES-}" ] || unfake apk
}

@test "without a terminal it does not ask, and a package that is not there is named" {
    before=$(footprint)
    run -2 laptop chillboxctl setup root@web1.example --package "$PACKAGE"
    [[ "$output" == *"There is no terminal to ask on: say -y"* ]]
    run -3 laptop chillboxctl setup root@web1.example -y --package /nowhere.tar
    [[ "$output" == *"/nowhere.tar: no such file. Nothing was changed"* ]]
    run -2 laptop chillboxctl setup root@web1.example -y --server-name 'x"; rm'
    run -2 laptop chillboxctl setup root@web1.example -y --name 'web 1'
    [[ "$output" == *"--name: name 'web 1': must be"* ]]
    [ "$(footprint)" = "$before" ]
}

@test "[fault-563] --passphrase-fd is for the host alone: without a key of your own it is refused, and says how to make one" {
    before=$(footprint)
    run -2 laptop chillboxctl setup root@web1.example -y --package "$PACKAGE" --passphrase-fd 3 3<<<"$PASSPHRASE"
    [[ "$output" == *"make your key first (chillboxctl keygen -o $LAPTOP_HOME/config/chillbox/keys/"*"or give --trust"* ]]
    [ "$(footprint)" = "$before" ]
    [ ! -e "$LAPTOP_HOME/config/chillbox/keys" ]
}

@test "without a package here, that of the host's own repositories is installed by apk" {
    [ -z "${PACKAGES-}" ] || skip "there is a real apk"
    fake apk 'case $1 in search) echo chillbox-0.1.0-r0 ;; add) echo "$*" >/tmp/added; echo "ERROR: unable to select packages" >&2; exit 1 ;; esac'
    in_box mv /usr/bin/dpkg /usr/bin/dpkg.away
    run -1 laptop chillboxctl setup root@web1.example -y --trust "$LAPTOP/spare.pub" --passphrase-fd 3 3<<<"$PASSPHRASE"
    in_box mv /usr/bin/dpkg.away /usr/bin/dpkg
    unfake apk
    [[ "$output" == *"will        install chillbox"*"install: ERROR: unable to select packages"* ]]
    [ "$(in_box cat /tmp/added)" = 'add --no-progress chillbox' ]
    run ! in_box test -e /usr/bin/chillboxctl
    [ -z "$(in_box sh -c 'ls -A /root | grep chillbox-setup')" ]
}

@test "[attack-R2] what a hostile machine says of itself reaches the terminal without control characters" {
    [ -z "${PACKAGES-}" ] || skip "Alpine's sshd looks into /bin first"
    fake uname 'printf "x86_64\033]0;mine\007\n"'
    run -8 --separate-stderr laptop chillboxctl setup root@web1.example --package "$PACKAGE" -y
    [[ "$stderr" != *$'\033]'* && "$stderr" != *$'\007'* ]]
    unfake uname
}

@test "[fault-562] setup: one command, a yes, and the passphrases, whatever the shell there greets with; the host is unlocked, trusts the key, has its name, and is remembered" {
    in_box sh -c 'printf "echo Welcome\n" >/root/.bashrc' # which bash reads for ssh, too
    run -0 at_terminal expect:'Continue? [Y/n]' type:y expect:passphrase echo:off type:'a key phrase' expect:'again: ' echo:off type:'a key phrase' \
        expect:'new passphrase for web1' echo:off type:"$PASSPHRASE" expect:'again: ' echo:off type:"$PASSPHRASE" \
        -- chillboxctl setup root@web1.example --package "$PACKAGE"
    [[ "$output" == *"install     chillbox"*"host key    made"*"trust       signatures of "*"start       server_name = \"web1.example\""* ]]
    [[ "$output" == *"ready       web1 is unlocked, answers as web1.example; doctor: "*"next: chillboxctl new hello"* ]]
    [ "$(json ping .sealed)" = false ]
    [ "$(json trust list '.keys | length')" = 1 ]
    in_box grep -qx 'server_name = "web1.example"' /etc/chillbox/chillboxd.toml
    [ "$(host_curl -o /dev/null -w '%{http_code}' -H 'Host: web1.example' "$(box url "$HOST")/healthcheck/")" = 200 ]
    record=$LAPTOP_HOME/config/chillbox/hosts/web1.toml
    [ "$(stat -c %a "$record")" = 600 ]
    [ "$(stat -c %a "$LAPTOP_HOME/config/chillbox/hosts")" = 700 ]
    grep -q '^ssh = "root@web1.example"' "$record"
    grep -q "^recipient = \"$(in_box cat /var/lib/chillbox/recipient.txt)\"" "$record"
    [ "$(in_box sh -c 'ls -A /root | grep -c chillbox-setup || :')" = 0 ]
    [ "$(find "$LAPTOP_HOME/run" -name 'ssh-*' | wc -l)" = 0 ]
}

@test "[attack-R3] neither passphrase is on a disk, here or there" {
    run ! grep -rlF "$PASSPHRASE" "$LAPTOP_HOME"
    run ! grep -rlF 'a key phrase' "$LAPTOP_HOME"
    run ! in_box grep -rlF "$PASSPHRASE" /etc /var/lib /var/log /srv /root
}

@test "again: it says what is already so, changes nothing, and ends in doctor" {
    before=$(footprint)
    run -0 laptop chillboxctl setup root@web1.example
    [[ "$output" == *"as it is    chillbox 0.1.0, unlocked; it trusts your key as "*"ready       web1 is unlocked"* ]]
    [ "$(footprint)" = "$before" ]
    run -0 --separate-stderr laptop chillboxctl setup root@web1.example --json -q
    [ "$(jq -r '[.schema, .host, .ok, (.done | length)] | join(" ")' <<<"$output")" = 'chillbox.setup.v1 web1 true 0' ]
}

@test "[fault-484] another person's laptop joins the host: its key is trusted, the host key stays" {
    identity=$(in_box cksum /var/lib/chillbox/identity.age)
    (cd "$LAPTOP" && "$CTL" keygen -q -o kim --no-password)
    another_laptop kim-home
    run -0 laptop chillboxctl setup root@web1.example -y --trust "$LAPTOP/kim.pub" --package "$PACKAGE"
    [[ "$output" == *"trust       signatures of kim are accepted"* ]]
    [ "$(in_box cksum /var/lib/chillbox/identity.age)" = "$identity" ]
    [ "$(json trust list '.keys | length')" = 2 ]
    run -7 laptop chillboxctl setup root@127.0.0.1 --name web1 -y
    [[ "$output" == *"'web1' is root@web1.example already"* ]]
}

@test "a host that is named \"_\", and one whose file has no such line, get their name; the rest of the file stays" {
    in_box mv /etc/chillbox/chillboxd.toml /etc/chillbox/chillbox.toml
    run -0 laptop chillboxctl setup root@web1.example -y # which it had at first
    [[ "$output" != *server_name* ]]
    in_box mv /etc/chillbox/chillbox.toml /etc/chillbox/chillboxd.toml
    config=/etc/chillbox/chillboxd.toml
    text=$(in_box cat $config)
    for edit in "s/^server_name = .*/server_name = '_'/" '/^server_name = /d' '/^server_name = /d; /^\[host\]/d'; do
        in_box sed -i "$edit" $config
        run -0 laptop chillboxctl setup root@web1.example -y
        [[ "$output" == *"will        name it web1.example"*'start       server_name = "web1.example"'* ]]
        [ "$(in_box grep -c '^server_name = "web1.example"$' $config)" = 1 ]
        [ "$(in_box sort $config | grep .)" = "$(sort <<<"$text" | grep .)" ]
    done
    [ "$(json ping .sealed)" = false ]
}

@test "a newer package in the folder that setup looks into is installed by the same command, and the host stays unlocked" {
    [ -z "${PACKAGES-}" ] || skip "that folder is for packages of apk or dpkg"
    folder=$LAPTOP_HOME/cache/chillbox/packages/$(uname -m)
    mkdir -p "$folder" "$BATS_TEST_TMPDIR/deb/DEBIAN"
    chmod -R go= "$LAPTOP_HOME/cache"
    tar -x -f "$PACKAGE" -C "$BATS_TEST_TMPDIR/deb"
    printf 'Package: chillbox\nVersion: 0.1.1\nArchitecture: %s\nMaintainer: jo <jo@example.org>\nDescription: stand-in\n' "$(dpkg --print-architecture)" >"$BATS_TEST_TMPDIR/deb/DEBIAN/control"
    for version in 0.1.0 0.1.1; do
        sed -i "s/^Version: .*/Version: $version/" "$BATS_TEST_TMPDIR/deb/DEBIAN/control"
        dpkg-deb --root-owner-group -b "$BATS_TEST_TMPDIR/deb" "$folder/chillbox_${version}_$(dpkg --print-architecture).deb" >/dev/null
    done
    run -0 laptop chillboxctl setup root@web1.example -y
    [[ "$output" == *"will        install chillbox 0.1.1 in place of 0.1.0"*"install     chillbox 0.1.1 in place of 0.1.0"* ]]
    in_box dpkg -s chillbox | grep -qx 'Version: 0.1.1'
    [ "$(json ping .sealed)" = false ]
    rm -r "$folder"
}

@test "a locked host is unlocked by --passphrase-fd, and a wrong passphrase of it is tried once: exit 4" {
    ctl lock
    run -4 laptop chillboxctl setup root@web1.example -y --passphrase-fd 3 3<<<wrong
    [[ "$output" == *"unlock: "*"wrong passphrase"* ]]
    sleep 1.2 # the host takes none before that
    run -0 laptop chillboxctl setup root@web1.example -y --passphrase-fd 3 3<<<"$PASSPHRASE"
    [[ "$output" == *"will        unlock it"*"unlock      ok"* ]]
    [ "$(json ping .sealed)" = false ]
}

@test "after a reboot it is locked: setup asks for the passphrase again, and a wrong one once more" {
    box reboot "$HOST"
    run -0 at_terminal expect:'unlock it' expect:'Continue? [Y/n]' type: expect:'passphrase of web1' echo:off type:wrong expect:'passphrase of web1' echo:off type:"$PASSPHRASE" \
        -- chillboxctl setup root@web1.example
    [[ "$output" == *"wrong passphrase"*"unlock      ok"* ]]
    [ "$(json ping .sealed)" = false ]
}
