"""Told when an installation failed: which requirements no wheel of ./dep or the host's wheelhouse meets, and what this host takes. The
arguments are requirements beside those of requirements.txt.

Uses the parsers that pip carries, so that it reads requirements and tags as pip does. Only looks; the dependencies of dependencies
are in pip's own message.
"""
import glob
import os
import sys

sys.path[:0] = glob.glob("/usr/share/python-wheels/pip-*.whl") + glob.glob(os.path.join(os.path.dirname(os.__file__), "ensurepip/_bundled/pip-*.whl"))
from pip._vendor.packaging import requirements, tags, utils  # noqa: E402


def wanted():
    yield from map(requirements.Requirement, sys.argv[1:])
    if not os.path.exists("requirements.txt"):
        return
    for line in open("requirements.txt", encoding="utf-8").read().replace("\\\n", " ").splitlines():
        line = line.split(" #")[0].split("--hash")[0].strip()
        if line and line[0] not in "#-":
            try:
                requirement = requirements.Requirement(line)
            except requirements.InvalidRequirement:
                print("build: requirements.txt: cannot read '%s'" % line)
                continue
            if requirement.marker is None or requirement.marker.evaluate():
                yield requirement


def wheels():
    for folder in ("dep", os.environ.get("CHILLBOX_WHEELHOUSE", "")):
        for path in sorted(glob.glob(os.path.join(folder, "*.whl"))):
            try:
                name, version, _, fits = utils.parse_wheel_filename(os.path.basename(path))
            except utils.InvalidWheelFilename:
                print("build: %s is not named like a wheel" % path)
                continue
            yield name, version, fits, path


def main():
    ours, there = list(tags.sys_tags()), list(wheels())
    for requirement in wanted():
        named = [w for w in there if w[0] == utils.canonicalize_name(requirement.name)]
        right = [w for w in named if requirement.specifier.contains(w[1], prereleases=True)]
        if not named:
            print("build: missing: %s: no wheel of it" % requirement)
        elif not right:
            print("build: missing: %s: there is only %s" % (requirement, ", ".join(str(w[1]) for w in named)))
        elif not any(w[2] & set(ours) for w in right):
            print("build: missing: %s: does not fit this host: %s" % (requirement, ", ".join(w[3] for w in right)))
    some = [str(t) for t in ours[:1]] + [str(t) for t in ours if "linux" in str(t)][1:4] + ["py3-none-any"]
    print("build: this host takes wheels for %s, ..." % ", ".join(dict.fromkeys(some)))


main()
