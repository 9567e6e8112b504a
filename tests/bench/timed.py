"""Times for the measurements, by one small process that spawns what it times: a line of numbers, in ms.

    timed.py run [--any] ROUNDS COMMAND...   from the spawn of each run to its end; one that fails ends this, unless any end is right
    timed.py started ROUNDS                  from the spawn of chillboxd, which is stopped before and after, to its answer
    timed.py killed ROUNDS                   from kill -9 of chillboxd to the answer of the one that is started in its place"""
import json
import os
import signal
import socket
import struct
import sys
import tempfile
import time

SOCKET = "/run/chillbox/control.sock"
STARTS = "/run/chillbox/chillboxd.starts" # it waits when it was started too often: each of these is the first
PID = "/run/openrc/options/chillboxd/child_pid"


def spawn(command, environment=os.environ, errors=None):
    nothing = os.open(os.devnull, os.O_RDWR)
    files = [(os.POSIX_SPAWN_DUP2, nothing, 0), (os.POSIX_SPAWN_DUP2, nothing, 1), (os.POSIX_SPAWN_DUP2, errors.fileno() if errors else nothing, 2)]
    begun = time.perf_counter_ns()
    pid = os.posix_spawnp(command[0], command, environment, file_actions=files)
    return begun, pid, nothing


def since(begun):
    return (time.perf_counter_ns() - begun) / 1e6


def run(rounds, command, any_end):
    for _ in range(rounds):
        with tempfile.TemporaryFile() as errors:
            begun, pid, nothing = spawn(command, errors=errors)
            status = os.waitpid(pid, 0)[1]
            took = since(begun)
            os.close(nothing)
            if status != 0 and not any_end:
                errors.seek(0)
                sys.exit(f"{' '.join(command)}: {os.waitstatus_to_exitcode(status)}: {errors.read().decode(errors='replace')}")
            yield took


def answers():
    """Whether chillboxd answers to a ping now."""
    ping = json.dumps({"v": 1, "verb": "ping", "args": {}}).encode()
    try:
        with socket.socket(socket.AF_UNIX) as there:
            there.settimeout(5)
            there.connect(SOCKET)
            there.sendall(struct.pack("<I", len(ping)) + ping)
            said = there.recv(4)
            return len(said) == 4 and b'"result"' in there.recv(65536)
    except OSError:
        return False


def until_it_answers(begun, limit_ms=60_000):
    while not answers():
        if since(begun) > limit_ms:
            sys.exit("chillboxd does not answer")
        time.sleep(0.001)
    return since(begun)


def forget_starts():
    if os.path.exists(STARTS):
        os.unlink(STARTS)


def started(rounds):
    os.umask(0o027)
    for _ in range(rounds):
        forget_starts()
        begun, pid, nothing = spawn(["/usr/sbin/chillboxd"], {**os.environ, "CHILLBOX_SUPERVISED": "yes"})
        took = until_it_answers(begun)
        time.sleep(1) # what it does when it is ready already
        os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)
        os.close(nothing)
        yield took


def killed(rounds):
    for _ in range(rounds):
        forget_starts()
        with open(PID, encoding="ascii") as file:
            pid = int(file.read())
        begun = time.perf_counter_ns()
        os.kill(pid, signal.SIGKILL)
        yield until_it_answers(begun)
        time.sleep(3) # until it has looked at all sites


def main(what, *words):
    any_end = words[0] == "--any"
    rounds, *command = words[any_end:]
    if what == "run":
        times = run(int(rounds), command, any_end)
    else:
        times = {"started": started, "killed": killed}[what](int(rounds))
    print(*(f"{took:.2f}" for took in times))


main(*sys.argv[1:])
