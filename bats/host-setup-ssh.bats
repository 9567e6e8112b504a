#!/usr/bin/env bats
# chillboxctl setup: a machine with a real sshd becomes a host, from a laptop at a real terminal. On Alpine with BOX_ROOTFS, PACKAGES (a folder of what
# `make apk` makes: dist/ARCH) and APK_KEY (the key that signed them).

# shellcheck disable=SC2154,SC2016,SC2030,SC2031 # box_up sets HOST; "sh -c" expands in the box

load helpers/box
load helpers/host
load helpers/laptop

setup_file() {
    host_possible || return 0
    export BATS_NO_PARALLELIZE_WITHIN_FILE=true # a file is a story
    ROOT=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
    export ROOT LAPTOP=$BATS_FILE_TMPDIR CTL=$ROOT/${BUILD:-build}/chillboxctl PASSPHRASE='correct horse'
    export PACKAGE=$LAPTOP/chillbox-0.1.0-$(uname -m).tar
    if [ -n "${PACKAGES-}" ]; then
        alpine_packages
    else
        cp "$("$ROOT/tests/host/install" --tar "$ROOT/${BUILD:-build}")" "$PACKAGE"
    fi
    box_up HOST
    laptop_up
}

teardown_file() { host_down; }
setup() { host_or_skip; }

# Those of PACKAGES, and ones that say of OpenRC and NGINX that they are there, for a root in which they did not come as packages.
alpine_packages() {
    mkdir "$LAPTOP/packages"
    cp "$PACKAGES"/chillbox-[0-9]*.apk "$PACKAGES"/chillbox-openrc-*.apk "$PACKAGES"/../*.rsa.pub "$LAPTOP/packages"
    python3 - "$ROOT/apk" "$APK_KEY" "$LAPTOP/packages" "$(uname -m)" <<'END'
import sys
sys.path.insert(0, sys.argv[1])
sys.dont_write_bytecode = True
import hashlib, pack
key, folder, arch = sys.argv[2:]
tree = pack.file_tree("/", [])[0]
for name, provides in [("openrc", "cmd:openrc-run=1"), ("nginx", "cmd:nginx=1")]:
    info = "pkgname = %s\npkgver = 1-r0\npkgdesc = stand-in\narch = %s\nsize = 0\nlicense = none\nprovides = %s\ndatahash = %s\n"
    info %= (name, arch, provides, hashlib.sha256(tree).hexdigest())
    pack.write("%s/%s-1-r0.apk" % (folder, name), pack.signed(key, pack.segment([(".PKGINFO", info.encode(), 0o644)])) + tree)
END
    PACKAGE=$(printf '%s,' "$LAPTOP/packages"/*)
    PACKAGE=${PACKAGE%,}
}

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
    printf '\177ELF\002\001\001\000\000\000\000\000\000\000\000\000\003\000\363\000' >"$tree/usr/bin/chillboxctl"
    chmod 0755 "$tree/usr/bin/chillboxctl"
    tar -c -f "$BATS_TEST_TMPDIR/chillbox-0.1.0-riscv64.tar" -C "$tree" usr
    (cd "$LAPTOP" && "$CTL" keygen -q -o spare --no-password)
    PACKAGE=$BATS_TEST_TMPDIR/chillbox-0.1.0-riscv64.tar
    refused 'the program in chillbox-0.1.0-riscv64.tar does not run here' --trust "$LAPTOP/spare.pub" --passphrase-fd 3 3<<<"$PASSPHRASE"
}

@test "without a terminal it does not ask, and a package that is not there is named" {
    before=$(footprint)
    run -2 laptop chillboxctl setup root@web1.example --package "$PACKAGE"
    [[ "$output" == *"use --yes, or --dry-run"* ]]
    run -3 laptop chillboxctl setup root@web1.example -y --package /nowhere.tar
    [[ "$output" == *"/nowhere.tar: no such file. Nothing was changed"* ]]
    run -2 laptop chillboxctl setup root@web1.example -y --server-name 'x"; rm'
    [ "$(footprint)" = "$before" ]
}

@test "[attack-R2] what a hostile machine says of itself reaches the terminal without control characters" {
    [ -z "${PACKAGES-}" ] || skip "Alpine's sshd looks into /bin first"
    fake uname 'printf "x86_64\033]0;mine\007\n"'
    run -8 --separate-stderr laptop chillboxctl setup root@web1.example --package "$PACKAGE" -y
    [[ "$stderr" != *$'\033]'* && "$stderr" != *$'\007'* ]]
    unfake uname
}

@test "setup: one command, a yes, and the passphrases; the host is unlocked, trusts the key, has its name, and is remembered" {
    run -0 at_terminal expect:'Continue? [Y/n]' type:y expect:passphrase echo:off type:'a key phrase' expect:'again: ' echo:off type:'a key phrase' \
        expect:'new passphrase for web1' echo:off type:"$PASSPHRASE" expect:'again: ' echo:off type:"$PASSPHRASE" \
        -- chillboxctl setup root@web1.example --package "$PACKAGE"
    [[ "$output" == *"install     chillbox"*"host key    made"*"trust       signatures of "*"start       server_name = \"web1.example\""* ]]
    [[ "$output" == *"ready       web1 is unlocked, answers as web1.example; doctor: "*"next: chillboxctl new hello"* ]]
    [ "$(json ping .sealed)" = false ]
    [ "$(json trust list '.keys | length')" = 1 ]
    in_box grep -qx 'server_name = "web1.example"' /etc/chillbox/chillbox.toml
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

@test "after a reboot it is locked: setup asks for the passphrase again, and a wrong one once more" {
    box reboot "$HOST"
    run -0 at_terminal expect:'unlock it' expect:'Continue? [Y/n]' type: expect:'passphrase of web1' echo:off type:wrong expect:'passphrase of web1' echo:off type:"$PASSPHRASE" \
        -- chillboxctl setup root@web1.example
    [[ "$output" == *"wrong passphrase"*"unlock      ok"* ]]
    [ "$(json ping .sealed)" = false ]
}
