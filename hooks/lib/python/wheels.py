"""Which requirements no wheel of ./dep or the host's wheelhouse meets, and what this host takes: wheels.py PREFIX REQUIREMENT...

The requirements are those of requirements.txt, those of the arguments, and what the wheels that would be taken require themselves. Each problem is a
line, behind PREFIX; nothing is said when all is there. Uses the parsers that pip carries, so that it reads requirements and tags as pip does. It
only looks, and does not go back on a choice as pip does: that two requirements contradict each other the installation tells.
"""
import email.parser
import glob
import hashlib
import os
import sys
import zipfile

sys.path[:0] = glob.glob("/usr/share/python-wheels/pip-*.whl") + glob.glob(os.path.join(os.path.dirname(os.__file__), "ensurepip/_bundled/pip-*.whl"))
from pip._vendor.packaging import requirements, tags, utils  # noqa: E402

LARGEST_TEXT = 1 << 20  # bytes of requirements, and of a wheel's METADATA
problems = []
read = set()  # files of requirements


def complain(text):
    if text not in problems:
        problems.append(text)


def below(path):
    """In the service's folder, which is the current one, wherever links lead."""
    return os.path.realpath(path).startswith(os.path.realpath(".") + os.sep)


def text_of(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        text = file.read(LARGEST_TEXT + 1)
    if len(text) > LARGEST_TEXT:
        complain("%s: over %d bytes" % (path, LARGEST_TEXT))
        return ""
    return text


def lines(path):
    """Requirements of a file and of those that it names with -r, each file once, each with the hashes that it allows."""
    read.add(os.path.realpath(path))
    for line in text_of(path).replace("\\\n", " ").splitlines():
        words = line.split(" #")[0].split()
        if not words or words[0].startswith("#"):
            continue
        if words[0] in ("-r", "--requirement") and len(words) == 2:
            other = os.path.join(os.path.dirname(path), words[1])
            if not below(other):
                complain("%s names %s, which is not in the service's folder" % (path, words[1]))
            elif not os.path.isfile(other):
                complain("%s names %s, which is not there" % (path, words[1]))
            elif os.path.realpath(other) not in read:
                yield from lines(other)
        elif not words[0].startswith("-"):
            hashes = {w.split("=", 1)[1].replace("sha256:", "") for w in words if w.startswith("--hash=")}
            yield " ".join(w for w in words if not w.startswith("--")), hashes


def wanted():
    for text, hashes in [(text, set()) for text in sys.argv[2:]] + (list(lines("requirements.txt")) if os.path.exists("requirements.txt") else []):
        if text.startswith(("./", "/", "dep/")):
            if not os.path.exists(text):
                complain("missing: %s, which requirements.txt names" % text)
            continue
        try:
            requirement = requirements.Requirement(text)
        except requirements.InvalidRequirement:
            complain("requirements.txt: cannot read '%s'" % text)
            continue
        if requirement.url:
            complain("missing: %s: there is no network here, bring its wheel and name it by its version" % requirement)
        elif requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield requirement, hashes


def wheels():
    for folder in ("dep", os.environ.get("CHILLBOX_WHEELHOUSE", "")):
        for path in sorted(glob.glob(os.path.join(folder, "*.whl"))):
            try:
                name, version, _, fits = utils.parse_wheel_filename(os.path.basename(path))
            except utils.InvalidWheelFilename:
                complain("%s is not named like a wheel" % path)
                continue
            yield name, version, fits, path


def is_one_of(path, hashes):
    with open(path, "rb") as wheel:
        return hashlib.sha256(wheel.read()).hexdigest() in hashes


def best(requirement, hashes, there, ours, why):
    """The newest wheel that meets it; none: the reason is told."""
    named = [w for w in there if w[0] == utils.canonicalize_name(requirement.name)]
    right = [w for w in named if requirement.specifier.contains(w[1], prereleases=True)]
    fitting = [w for w in right if w[2] & ours]
    if not named:
        source = [p for p in glob.glob("dep/*.tar.gz") if utils.canonicalize_name(os.path.basename(p).rsplit("-", 1)[0]) == utils.canonicalize_name(requirement.name)]
        complain("missing: %s%s: no wheel of it%s" % (requirement, why, ", only its source %s" % source[0] if source else ""))
    elif not right:
        complain("missing: %s%s: there is only %s" % (requirement, why, ", ".join(str(w[1]) for w in named)))
    elif not fitting:
        complain("missing: %s%s: does not fit this host: %s" % (requirement, why, ", ".join(w[3] for w in right)))
    elif hashes and not any(is_one_of(w[3], hashes) for w in fitting):
        complain("missing: %s: no hash in requirements.txt is that of %s" % (requirement, ", ".join(w[3] for w in fitting)))
    else:
        return max(fitting, key=lambda w: w[1])


def required_by(path, extras):
    """What the wheel requires with these extras of it."""
    try:
        with zipfile.ZipFile(path) as wheel:
            name = next(n for n in wheel.namelist() if n.endswith(".dist-info/METADATA") and n.count("/") == 1)
            with wheel.open(name) as file:
                text = file.read(LARGEST_TEXT + 1)
            if len(text) > LARGEST_TEXT:
                complain("%s: its METADATA has over %d bytes" % (path, LARGEST_TEXT))
                return
            metadata = email.parser.HeaderParser().parsestr(text.decode("utf-8", "replace"))
    except (OSError, zipfile.BadZipFile, StopIteration) as error:
        complain("%s is no wheel: %s" % (path, str(error) or "it has no METADATA"))
        return
    for text in metadata.get_all("Requires-Dist") or []:
        requirement = requirements.Requirement(text)
        if requirement.marker is None or any(requirement.marker.evaluate({"extra": extra}) for extra in extras or {""}):
            yield requirement


def main():
    ours, there = list(tags.sys_tags()), list(wheels())
    queue, seen = [(requirement, hashes, "") for requirement, hashes in wanted()], set()
    while queue:
        requirement, hashes, why = queue.pop(0)
        if (str(requirement), why == "") in seen:
            continue
        seen.add((str(requirement), why == ""))
        wheel = best(requirement, hashes, there, set(ours), why)
        if wheel:
            queue += [(r, set(), " (for %s)" % requirement.name) for r in required_by(wheel[3], requirement.extras)]
    if problems:
        some = [str(t) for t in ours[:1]] + [str(t) for t in ours if "linux" in str(t)][1:4] + ["py3-none-any"]
        complain("this host takes wheels for %s, ..." % ", ".join(dict.fromkeys(some)))
    for problem in problems:
        print(sys.argv[1] + problem)


main()
