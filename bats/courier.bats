#!/usr/bin/env bats
# The dialer of the courier, without a host.

setup() {
    bats_require_minimum_version 1.5.0
    CTL=$BATS_TEST_DIRNAME/../${BUILD:-build}/chillboxctl
}

@test "[attack-G35] a dialer connects to its endpoints, by their number, and ends when it is asked for anything else" {
    cat >"$BATS_TEST_TMPDIR/ask.py" <<'P'
import os, socket, subprocess, sys

while (null := os.open("/dev/null", os.O_RDONLY)) < 4:  # 3 is the dialer's
    pass
listener = socket.create_server(("127.0.0.1", 0))
port = listener.getsockname()[1]


def dialer():
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    os.dup2(theirs.fileno(), 3)
    child = subprocess.Popen([sys.argv[1], "dialer", "-", f"https://127.0.0.1:{port}", "https://no-such-name.invalid:1"], pass_fds=[3])
    theirs.close()
    os.dup2(null, 3)
    ours.settimeout(20)
    assert ours.recv(10) == b"\x01\x00", "which of them have an address"
    return ours, child


ours, child = dialer()
ours.send(b"\x00")
message, fds, _, _ = socket.recv_fds(ours, 10, 1)
assert message == b"\x00" and len(fds) == 1, message
listener.settimeout(10)
listener.accept()
assert socket.socket(fileno=fds[0]).getpeername() == ("127.0.0.1", port)
ours.send(b"\x01")  # one without an address: the others are still to be had
message, fds, _, _ = socket.recv_fds(ours, 10, 1)
assert message == b"\x01" and not fds, message
ours.send(b"\x00")
assert socket.recv_fds(ours, 10, 1)[0] == b"\x00"
ours.close()
assert child.wait(10) == 0, "it ends with the courier"
for wrong in (b"\x02", b"\xff"):
    ours, child = dialer()
    ours.send(wrong)
    assert child.wait(10) == 1, wrong
print("all of it")
P
    run -0 python3 "$BATS_TEST_TMPDIR/ask.py" "$CTL"
    [[ "$output" == *'all of it' ]]
}
