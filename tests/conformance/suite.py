"""What the suites of `make conformance` share: a counter of vectors, commands, and a chillboxd below a directory of its own (CHILLBOX_ROOT).

A suite makes one Suite and asks it for each vector whether it ended as it should. What did not is told on standard error, and on close() one
line goes to standard output: name, vectors, passed, refused as it should, missed, the names of those skipped, separated by tabs."""

import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(TOP, os.environ.get("BUILD", "build"))
TOOL = os.path.join(BUILD, "crypto-tool")
CTL = os.path.join(BUILD, "chillboxctl")


class Suite:
    def __init__(self, name):
        self.name, self.count, self.skipped_names = name, {"passed": 0, "refused": 0, "missed": 0}, []

    def _count(self, how, vector, good, why):
        if good:
            self.count[how] += 1
        else:
            self.miss(vector, why or "should have been " + how)
        return good

    def miss(self, vector, why):
        self.count["missed"] += 1
        print(f"missed: {self.name}: {vector}: {why}"[:1000], file=sys.stderr)

    def total(self):
        return sum(self.count.values()) + len(self.skipped_names)

    def passed(self, vector, good, why=""):
        return self._count("passed", vector, good, why)

    def refused(self, vector, good, why=""):
        return self._count("refused", vector, good, why)

    def skipped(self, vector):
        self.skipped_names.append(vector)

    def take_report(self, path):  # what tests/report.hpp wrote
        for line in sorted(open(path, encoding="utf-8")):
            how, vector = line.rstrip("\n").split(" ", 1)
            if how == "skipped":
                self.skipped(vector)
            else:
                self._count(how, vector, how != "missed", "not as expected")

    def close(self):
        c = self.count
        row = [self.name, self.total(), c["passed"], c["refused"], c["missed"], " ".join(self.skipped_names)]
        print("\t".join(map(str, row)), flush=True)
        return 1 if c["missed"] or not self.total() else 0


def run(*argv, stdin=b"", **options):
    """(exit code, standard output, standard error)"""
    if hasattr(stdin, "read"):
        done = subprocess.run(argv, stdin=stdin, capture_output=True, check=False, **options)
    else:
        done = subprocess.run(argv, input=stdin, capture_output=True, check=False, **options)
    return done.returncode, done.stdout, done.stderr


def must(*argv, stdin=b"", **options):
    code, out, err = run(*argv, stdin=stdin, **options)
    if code != 0:
        sys.exit(f"{' '.join(argv)}: exit {code}: {err.decode(errors='replace')}")
    return out


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Daemon:
    """A chillboxd with its files below a directory of its own; it listens on a loopback port. No NGINX, no box, no root needed."""

    def __init__(self, settings=""):
        self.home = tempfile.mkdtemp(prefix="chillbox-conformance.", dir="/var/tmp")  # on a disk: a commit has to cost what it costs
        os.chmod(self.home, 0o755)
        self.root, self.process = self.home + "/root", None
        for path in ("etc/chillbox/webhooks", "etc/chillbox/trusted", "var/lib/chillbox", "nginx"):
            os.makedirs(f"{self.root}/{path}")
        os.makedirs(self.home + "/bin")
        with open(self.home + "/bin/nginx", "w", encoding="utf-8") as nginx:
            nginx.write("#!/bin/sh\necho 'no NGINX in this test' >&2; exit 1\n")
        os.chmod(self.home + "/bin/nginx", 0o755)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        with open(self.root + "/etc/chillbox/chillboxd.toml", "w", encoding="utf-8") as config:
            config.write(f'[edge]\ntest_port = {self.port}\n[nginx]\ndir = "{self.root}/nginx"\n{settings}')
        self.environment = dict(os.environ, CHILLBOX_ROOT=self.root, PATH=f"{self.home}/bin:{os.environ['PATH']}")

    def start(self):
        for _ in range(100):  # after a kill the old edge may still hold the port for a moment
            with open(self.home + "/log", "ab") as log:
                self.process = subprocess.Popen([BUILD + "/chillboxd"], env=self.environment, stderr=log, stdout=log, stdin=subprocess.DEVNULL)
            while self.process.poll() is None:
                if self._answers():
                    return
                time.sleep(0.02)
            time.sleep(0.1)
        sys.exit("chillboxd does not start: " + self.log()[-2000:])

    def _answers(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("POST", "/v1/hooks", b"{}")
            return connection.getresponse().status == 401
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def log(self):
        return open(self.home + "/log", encoding="utf-8", errors="replace").read()

    def kill(self):
        """As the kernel does it when memory is gone."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def ctl(self, *args, **options):
        return run(CTL, *args, env=self.environment, **options)

    def must_ctl(self, *args, **options):
        return must(CTL, *args, env=self.environment, **options).decode().strip()

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(20)
        shutil.rmtree(self.home)
