"""cost.py BEFORE AFTER COMMAND...: what a command costs a host in which nothing else happens, as counts that no other load changes: the bytes that
chillboxd, what it started, and the command read, and the processes and threads that began in the host's namespace meanwhile. It waits so many seconds
before, and after for what the command has left to do."""
import os
import subprocess
import sys
import time

PID = "/run/openrc/options/chillboxd/child_pid"


def read_by(pid):
    """Of all its threads, and of the children that it has waited for."""
    with open(f"/proc/{pid}/io", encoding="ascii") as counters:
        return next(int(line.split()[1]) for line in counters if line.startswith("rchar:"))


def newest_task():
    pid = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(pid, 0)
    return pid


def main(before, after, *command):
    with open(PID, encoding="ascii") as file:
        monitor = int(file.read())
    time.sleep(float(before))
    task, read = newest_task(), read_by(monitor)
    own = read_by("self")
    end = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
    if end.returncode not in (0, 1): # doctor has something to say
        sys.exit(f"{' '.join(command)}: {end.returncode}: {end.stderr.decode(errors='replace')}")
    own = read_by("self") - own
    time.sleep(float(after))
    print(read_by(monitor) - read + own, newest_task() - task)


main(*sys.argv[1:])
