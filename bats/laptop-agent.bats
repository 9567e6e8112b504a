#!/usr/bin/env bats
# The person's key on the laptop and the agent that keeps it in memory, as a user without rights.

load helpers/cli

ME=12345 OTHER=12346

setup() {
    [ "$(id -u)" -eq 0 ] || skip "needs root: it becomes two users"
    cli_setup
    W=$(mktemp -d) # the folders of bats are for root alone
    cd "$W"
    export XDG_CONFIG_HOME=$PWD/config XDG_STATE_HOME=$PWD/state XDG_CACHE_HOME=$PWD/cache XDG_RUNTIME_DIR=$PWD/runtime HOME=$PWD
    TERMINAL=$FAKE/at-terminal SOCKET=$XDG_RUNTIME_DIR/chillbox/agent.sock
    mkdir -p config/chillbox/keys runtime sets/api out
    chmod 0700 config runtime
    echo 'A=1' >sets/api/x
    chillboxctl keygen -q --no-password -o config/chillbox/keys/jo >/dev/null
    age-keygen -o identity 2>/dev/null
    RECIPIENT=$(age-keygen -y identity)
    chown -R $ME:$ME . && chmod 0755 .
}

teardown() {
    [ "$(id -u)" -ne 0 ] || as $ME chillboxctl agent lock >/dev/null 2>&1 || :
    [ -z "${PLANTED-}" ] || kill "$PLANTED" 2>/dev/null || :
    [ -z "${W-}" ] || { cd / && rm -rf "$W"; }
}

as() { setpriv --reuid "$1" --regid "$1" --clear-groups "${@:2}"; }
me() { as $ME chillboxctl "$@"; }
signs() { me secrets pack sets -s hello -r "$RECIPIENT" -o out "$@"; }
# at STEP... -- ARG...: chillboxctl at a terminal
at() {
    local steps=()
    while [ "$1" != -- ]; do steps+=("$1"); shift; done
    as $ME "$TERMINAL" "${steps[@]}" -- chillboxctl "${@:2}"
}
encrypt() { at expect:'new passphrase for' type:"$1" expect:again type:"$1" -- passphrase --key; }
agent_pid() { pgrep -u $ME -f "__agent $SOCKET"; }
is_gone() { for _ in $(seq 150); do agent_pid >/dev/null || return 0; sleep 0.1; done; return 1; }

@test "[attack-Q5] the passphrase is typed once, asked for again when it is wrong, and the key is forgotten at lock [fault-451]" {
    encrypt 'correct horse'
    run -2 signs </dev/null
    [[ "$output" == *"needs a terminal"* ]]
    run -0 at expect:'passphrase of jo' type:wrong expect:'wrong passphrase, try again' expect:'of jo' type:'correct horse' -- \
        secrets pack sets -s hello -r "$RECIPIENT" -o out -q
    run -0 signs </dev/null
    [ -s out/hello.secrets.tar.zst.age.minisig ]
    run -0 me agent status
    [[ "$output" == "jo  key "*"in memory for 1"*"min"* ]]
    [ "$(me agent status --json | jq -r '.unlocked, .name' | paste -sd' ')" = 'true jo' ]
    run -0 me agent lock
    [[ "$output" == "locked: "* ]]
    is_gone
    run -0 me agent lock
    [[ "$output" == "unchanged: locked" ]]
    run -2 signs </dev/null
    # three tries, and then no more
    run -4 at expect:'of jo' type:a expect:again expect:'of jo' type:b expect:again expect:'of jo' type:c -- secrets pack sets -s hello -r "$RECIPIENT" -o out -q
    [[ "$output" == *"wrong passphrase"* ]]
}

@test "passphrase --key changes the passphrase of the key, which stays the same, and never what is on the disk in parts [fault-452]" {
    before=$(cat config/chillbox/keys/jo.pub)
    encrypt one
    grep -q encrypted config/chillbox/keys/jo.key
    [ "$(stat -c %a config/chillbox/keys/jo.key)" = 600 ]
    run -0 at expect:'passphrase of jo' type:one expect:'new passphrase' type:two expect:again type:two -- passphrase --key
    [[ "$output" == *"changed: the passphrase of your key, which is the same key"* ]]
    run -4 at expect:'of jo' type:one expect:again expect:'of jo' type:one expect:again expect:'of jo' type:one -- secrets pack sets -s hello -r "$RECIPIENT" -o out -q
    [ "$before" = "$(cat config/chillbox/keys/jo.pub)" ]
    copy=$(cat config/chillbox/keys/jo.key)
    run -1 at expect:'of jo' type:two expect:'new passphrase' type:three expect:again type:four -- passphrase --key || [ "$status" -eq 2 ]
    [[ "$output" == *"the two passphrases are not the same"* ]]
    [ "$copy" = "$(cat config/chillbox/keys/jo.key)" ]
    run -2 me passphrase --key -H web1
    [[ "$output" == *"runs on this machine"* ]]
    chmod 0644 config/chillbox/keys/jo.key
    run -4 signs
    [[ "$output" == *"nobody else can read: chmod 600"* ]]
}

@test "[attack-Q2] another local user gets neither to the agent's socket nor an answer from it" {
    signs
    [ "$(stat -c %a:%u "$SOCKET")" = "600:$ME" ]
    ask='import socket, struct, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); q = b"{\"verb\":\"status\"}"
s.sendall(struct.pack("<I", len(q)) + q); print(len(s.recv(21, socket.MSG_WAITALL)))'
    run as $ME /usr/bin/python3 -c "$ask" "$SOCKET"
    [ "$output" -gt 20 ]
    run ! as $OTHER /usr/bin/python3 -c "$ask" "$SOCKET"
    [[ "$output" == *PermissionError* ]]
    # However careless the modes are: SO_PEERCRED.
    chmod 0755 runtime runtime/chillbox && chmod 0666 "$SOCKET"
    run as $OTHER /usr/bin/python3 -c "$ask" "$SOCKET"
    [ "$output" = 0 ] || [[ "$output" == *Error* ]]
    run /usr/bin/python3 -c "$ask" "$SOCKET" # root has other ways, but not this one
    [ "$output" = 0 ] || [[ "$output" == *Error* ]]
    # Such a directory is not used any more, although the agent is there.
    run -0 signs
    [[ "$output" == *"not a directory that only you can enter"* ]]
    chmod 0700 runtime runtime/chillbox && chmod 0600 "$SOCKET"
}

@test "[attack-Q3] a socket, a directory or a link that was planted before is not used" {
    # another user's directory
    mkdir runtime/chillbox && chown $OTHER runtime/chillbox && chmod 0700 runtime/chillbox
    run signs
    [[ "$output" == *"belongs to another user"* || "$output" == *"not a directory that only you can enter"* ]]
    # a link to a directory of one's own
    rmdir runtime/chillbox && mkdir -m 0700 elsewhere && chown $ME elsewhere && ln -s "$PWD/elsewhere" runtime/chillbox
    run -0 signs
    [[ "$output" == *"not a directory that only you can enter"* ]]
    [ -z "$(ls elsewhere)" ]
    # a file, and a link to another socket, where the socket belongs
    rm runtime/chillbox && as $ME mkdir -m 0700 runtime/chillbox && echo keep >runtime/chillbox/agent.sock
    run -0 signs
    cp out/hello.secrets.tar.zst.age.minisig kept
    [[ "$output" == *"exists and is not a socket"* && "$(cat "$SOCKET")" == keep ]]
    rm "$SOCKET"
    cat >plant.py <<'P'
import socket, struct, sys
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(5); print("up", flush=True)
while True:
    c = s.accept()[0]; a = sys.argv[2].encode()
    try:
        c.recv(1000); c.sendall(struct.pack("<I", len(a)) + a)
    except OSError:
        pass
P
    # one of another user, reached by a link: it is told nothing
    mkdir -m 0777 open && as $OTHER /usr/bin/python3 plant.py "$PWD/open/s" '{"signature":"x"}' >up 3>&- & PLANTED=$!
    until grep -q up up 2>/dev/null; do sleep 0.05; done
    chmod 0777 open/s && ln -s "$PWD/open/s" "$SOCKET"
    run -4 signs
    [[ "$output" == *"answers there, and not a process of yours"* ]]
    kill $PLANTED; rm "$SOCKET"
    # one's own that lies: what it answers is checked
    as $ME /usr/bin/python3 plant.py "$SOCKET" "$(jq -n --rawfile s kept '{signature: $s}')" >up2 3>&- & PLANTED=$!
    until grep -q up up2 2>/dev/null; do sleep 0.05; done
    echo changed >>sets/api/x
    run -4 signs
    [[ "$output" == *"not what was to be signed with this key"* ]]
}

@test "[attack-Q4] the key is in no core dump, and no other process of the same user reads or traces the agent" {
    signs
    pid=$(agent_pid)
    grep -q '^Max core file size *0 *0' "/proc/$pid/limits"
    run ! as $ME head -c 1 "/proc/$pid/mem"
    [[ "$output" == *"ermission denied"* ]]
    run ! as $ME cat "/proc/$pid/environ"
    run ! as $ME /usr/bin/python3 -c 'import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
sys.exit(0 if libc.ptrace(16, int(sys.argv[1]), 0, 0) == 0 else 1)' "$pid"
    [ "$(awk '/^VmLck/ {print $2}' "/proc/$pid/status")" -gt 0 ]
    # it holds no file of the one who started it, and no argument is a secret
    [ "$(ls "/proc/$pid/fd" | wc -l)" -le 6 ]
    as $ME sh -c 'ulimit -c unlimited; kill -SEGV "$1"' sh "$pid"
    is_gone
    [ -z "$(find . -name 'core*')" ]
    run -0 signs # the dead socket is replaced
}

@test "the agent is gone with its socket, and with the session where no directory ends with it [fault-453]" {
    signs
    rm "$SOCKET"
    is_gone
    unset XDG_RUNTIME_DIR
    SOCKET=$XDG_STATE_HOME/chillbox/run/agent.sock
    as $ME setsid sh -c 'chillboxctl secrets pack sets -s hello -r "$1" -o out -q; chillboxctl agent status >status; sleep 1' sh "$RECIPIENT"
    grep -q 'in memory' status
    is_gone
    [ ! -e "$SOCKET" ]
}
