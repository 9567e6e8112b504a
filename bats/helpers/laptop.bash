# A laptop in the network of a box: load helpers/box, helpers/host and helpers/laptop, and call laptop_up after box_up HOST.
#
# laptop_up           $LAPTOP/home as a person's home, and an ssh that knows the box as web1.example and web1, by its real sshd; no host key is known yet
# laptop CMD...       runs it there;  at_terminal STEP... -- CMD...  at a terminal of 80x24 (helpers/pty)
# another_laptop NAME from now on it is another person's, with a home of its own

# shellcheck disable=SC2154 # box_up sets HOST

laptop_up() {
    export PTY=$BATS_TEST_DIRNAME/helpers/pty
    mkdir -p "$LAPTOP/bin"
    key=$(box key "$HOST")
    cp "$key" "$LAPTOP/ssh.key"
    chmod 0600 "$LAPTOP/ssh.key"
    cat >"$LAPTOP/ssh_config" <<END
Host web1.example web1 127.0.0.1
    HostName 127.0.0.1
    HostKeyAlias web1.example
    IdentityFile $LAPTOP/ssh.key
    IdentitiesOnly yes
    UserKnownHostsFile $LAPTOP/known_hosts
    LogLevel ERROR
END
    printf '#!/bin/sh\nexec /usr/bin/ssh -F "%s/ssh_config" "$@"\n' "$LAPTOP" >"$LAPTOP/bin/ssh"
    ln -sf "$CTL" "$LAPTOP/bin/chillboxctl"
    chmod 0755 "$LAPTOP/bin/ssh"
    another_laptop home
}

another_laptop() {
    export LAPTOP_HOME=$LAPTOP/$1
    mkdir -p "$LAPTOP_HOME/run"
    chmod 0700 "$LAPTOP_HOME" "$LAPTOP_HOME/run"
}

laptop_env() {
    env -u SSH_AUTH_SOCK -u CHILLBOX_HOST HOME="$LAPTOP_HOME" XDG_CONFIG_HOME="$LAPTOP_HOME/config" XDG_CACHE_HOME="$LAPTOP_HOME/cache" \
        XDG_STATE_HOME="$LAPTOP_HOME/state" XDG_RUNTIME_DIR="$LAPTOP_HOME/run" TERM=xterm PATH="$LAPTOP/bin:$PATH" "$@"
}

laptop() { laptop_env "$BATS_TEST_DIRNAME/../tests/host/box" net "$HOST" -- "$@"; }

at_terminal() {
    steps=()
    while [ "$1" != -- ]; do steps+=("$1"); shift; done
    shift
    laptop_env "$PTY" "${steps[@]}" -- "$BATS_TEST_DIRNAME/../tests/host/box" net "$HOST" -- "$@"
}
