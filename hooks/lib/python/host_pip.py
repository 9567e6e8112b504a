"""pip for another Python, libc and machine than those that it runs on: the host's.

As a program it is pip itself: host_pip.py MARKERS ARGUMENT..., MARKERS being a JSON object. Exit code 4: a hash was missing or another one.
"""
import json
import logging
import os
import platform
import re
import subprocess
import sys

from requirements import Problem

DENIED = 4
MUSL = "musllinux_1_2_"  # Alpine's, unless --platform names another


class Target:
    """The host. Without a version of Python it is this machine."""

    def __init__(self, python, platforms):
        python = re.sub(r"^Python |\+$", "", python.strip())  # as `python3 --version` prints it
        for what, text, like, pattern in [("--python", python, "3.N or 3.N.M", r"3\.\d+(\.\d+)?")] + [
                ("--platform", tag, "musllinux_1_2_x86_64 (Alpine) or manylinux_2_28_x86_64 (Debian)", r"\w{1,64}") for tag in platforms]:
            if text and not re.fullmatch(pattern, text):
                raise Problem("%s '%s': such as %s" % (what, text, like), 2)
        self.python = python
        here = "manylinux" if platform.libc_ver()[0] == "glibc" else "musllinux"
        named = platforms or ([MUSL + platform.machine()] if python else [])
        # What was built on a machine like the host; no index has such wheels.
        built = ["linux_" + named[0].split("_", 3)[3]] if named and re.match(here + r"_\d+_\d+_", named[0]) else []
        self.platforms = [tag for name in named for tag in [name] + older(name)] + built
        self.shown = "Python %s on %s" % (python, named[0]) if python else "this machine and its Python %s" % platform.python_version()

    def flags(self):
        words = ["--python-version", self.python] if self.python else []
        return words + [word for tag in self.platforms for word in ("--platform", tag)]

    def markers(self):
        """Without a third number the version is the laptop's own when the first two agree, else the newest of them."""
        if not self.python:
            return {}
        short, here = ".".join(self.python.split(".")[:2]), platform.python_version()
        full = self.python if self.python != short else here if here.startswith(short + ".") else short + ".99"
        machine = next((m for m in ("x86_64", "aarch64") if self.platforms[0].endswith("_" + m)), platform.machine())
        return {"python_version": short, "python_full_version": full, "implementation_version": full, "platform_machine": machine,
                "sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"}


def older(tag):
    """The tags of older libcs, whose wheels such a host takes as well (PEP 600, PEP 656)."""
    libc, major, minor, machine = (tag.split("_", 3) + [""] * 4)[:4]
    if libc not in ("manylinux", "musllinux") or not minor.isdigit():
        return []
    oldest = {"manylinux": 5, "musllinux": 1}[libc]
    aliases = [(17, "manylinux2014"), (12, "manylinux2010"), (5, "manylinux1")] if libc == "manylinux" else []
    return ["%s_%s_%d_%s" % (libc, major, m, machine) for m in range(int(minor) - 1, oldest - 1, -1)] + \
        ["%s_%s" % (alias, machine) for since, alias in aliases if int(minor) >= since]


def first_error(text):
    """What pip names as the reason: its first line with ERROR, and of a program that it ran also what that program said."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line[7:] for line in lines if line.startswith("ERROR: ")]
    ran = [line[2:] for line in lines if line.startswith("\u00d7 ")]
    if errors and errors[0] != "Exception:":
        return errors[0]
    if not ran:
        return (lines or ["pip failed without a word"])[-1]
    said = [line for line in lines if re.match(r"(fatal|error|\w*(Error|Exception)): ", line) and line != "error: subprocess-exited-with-error"]
    return ": ".join(text.rstrip(".") for text in ran[:1] + said[-1:])


def run(markers, *words):
    """Exit code, and the first error that pip names."""
    done = subprocess.run(
        [sys.executable, __file__, json.dumps(markers), *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False,
        env=dict(os.environ, PIP_BREAK_SYSTEM_PACKAGES="1", PIP_NO_COLOR="1", GIT_TERMINAL_PROMPT="0"))  # nothing is installed
    return done.returncode, first_error(done.stderr)


def main(markers, *words):
    """pip judges conditions by the Python that it runs on, whatever --python-version says (its issue 11664). And it refuses to look at sources
    for another platform, whose wheels may well be for all."""
    try:
        from pip._internal import exceptions
        from pip._internal.cli import cmdoptions, main as cli
        from pip._vendor.packaging import markers as packaging
    except ImportError:
        print("ERROR: python3 has no pip: install python3-pip (py3-pip on Alpine), or run in a virtual environment that has it", file=sys.stderr)
        sys.exit(3)
    denied = []
    here = packaging.default_environment()
    packaging.default_environment = lambda: dict(here, **json.loads(markers))
    cmdoptions.check_dist_restriction = lambda *_, **__: None
    logging.getLogger("pip._internal.cli.base_command").addFilter(
        lambda _: denied.append(isinstance(sys.exc_info()[1], (exceptions.HashError, exceptions.HashErrors))) or True)
    code = cli.main(list(words))
    sys.exit(DENIED if any(denied) else code)


if __name__ == "__main__":
    main(*sys.argv[1:])
