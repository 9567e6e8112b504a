# A laptop in the network of a box: load helpers/box, helpers/host and helpers/laptop, and call laptop_up after host_up or bare_box_up.
#
# bare_box_up         a fresh box without chillbox, as `setup` finds one; $PACKAGE is what --package takes
# laptop_up           $LAPTOP/home as a person's home, and an ssh that knows the box as web1.example and web1, by its real sshd; no host key is known yet
# laptop CMD...       runs it there;  at_terminal STEP... -- CMD...  at a terminal of 80x24 (helpers/pty)
# know_host_key       ssh knows the box's key from now on
# another_laptop NAME from now on it is another person's, with a home of its own
# persons_laptop NAME the same, with an ssh key of that person's, which opens nothing yet; first_laptop: back to the first one

# With a file $LAPTOP/cut, "BYTES [N]", a connection breaks once, after so many bytes that were sent: the next one, or the one after N more.

# shellcheck disable=SC2154 # box_up sets HOST

bare_box_up() {
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
}

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

laptop_up() {
    export PTY=$BATS_TEST_DIRNAME/helpers/pty
    mkdir -p "$LAPTOP/bin"
    key=$(box key "$HOST")
    cp "$key" "$LAPTOP/ssh.key"
    chmod 0600 "$LAPTOP/ssh.key"
    # Not its default, which takes 70 ms of processor time each time that it connects.
    cat >"$LAPTOP/ssh_config" <<END
Host *
    KexAlgorithms curve25519-sha256
Host web1.example web1 127.0.0.1
    HostName 127.0.0.1
    HostKeyAlias web1.example
    IdentityFile $LAPTOP/ssh.key
    IdentitiesOnly yes
    UserKnownHostsFile $LAPTOP/known_hosts
    LogLevel ERROR
END
    cat >"$LAPTOP/bin/ssh" <<SH
#!/bin/sh
if [ -f "$LAPTOP/cut" ]; then
    read -r bytes more <"$LAPTOP/cut"; rm "$LAPTOP/cut"
    if [ "\${more:-0}" -gt 0 ]; then
        echo "\$bytes \$((more - 1))" >"$LAPTOP/cut"
        exec /usr/bin/ssh -F "\${SSH_CONFIG:-$LAPTOP/ssh_config}" "\$@"
    fi
    dd bs=65536 count="\$bytes" iflag=count_bytes 2>/dev/null | /usr/bin/ssh -F "\${SSH_CONFIG:-$LAPTOP/ssh_config}" "\$@"
    exit 255
fi
exec /usr/bin/ssh -F "\${SSH_CONFIG:-$LAPTOP/ssh_config}" "\$@"
SH
    cp -f "$CTL" "$LAPTOP/bin/chillboxctl" # and none of the packages in dist/
    chmod 0755 "$LAPTOP/bin/ssh"
    another_laptop home
}

know_host_key() { box net "$HOST" -- ssh-keyscan -t ed25519 127.0.0.1 2>/dev/null | sed 's/^127.0.0.1/web1.example/' >"$LAPTOP/known_hosts"; }

another_laptop() {
    export LAPTOP_HOME=$LAPTOP/$1
    mkdir -p "$LAPTOP_HOME/run"
    chmod 0700 "$LAPTOP_HOME" "$LAPTOP_HOME/run"
}

persons_laptop() {
    another_laptop "$1"
    export SSH_CONFIG=$LAPTOP_HOME/ssh_config
    [ ! -e "$SSH_CONFIG" ] || return 0
    mkdir -p -m 0700 "$LAPTOP_HOME/.ssh"
    ssh-keygen -q -t ed25519 -N '' -C "$1@laptop" -f "$LAPTOP_HOME/.ssh/id_ed25519"
    sed "s,IdentityFile .*,IdentityFile $LAPTOP_HOME/.ssh/id_ed25519," "$LAPTOP/ssh_config" >"$SSH_CONFIG"
}
first_laptop() { another_laptop home; unset SSH_CONFIG; }

laptop_env() {
    env -u SSH_AUTH_SOCK -u CHILLBOX_HOST -u CI HOME="$LAPTOP_HOME" XDG_CONFIG_HOME="$LAPTOP_HOME/config" XDG_CACHE_HOME="$LAPTOP_HOME/cache" \
        XDG_STATE_HOME="$LAPTOP_HOME/state" XDG_RUNTIME_DIR="$LAPTOP_HOME/run" TERM=xterm PATH="$LAPTOP/bin:$PATH" "$@"
}

laptop() { laptop_env "$BATS_TEST_DIRNAME/../tests/host/box" net "$HOST" -- "$@"; }

at_terminal() {
    steps=()
    while [ "$1" != -- ]; do steps+=("$1"); shift; done
    shift
    laptop_env "$PTY" "${steps[@]}" -- "$BATS_TEST_DIRNAME/../tests/host/box" net "$HOST" -- "$@"
}
