"""Prints which requirements are met by no wheel in ./dep or in the host's wheelhouse, and how to collect them: wheels.py PREFIX REQUIREMENT...

It looks at requirements.txt (requirements.py), at its arguments, and at what the wheels that would be taken require themselves. Each problem is a
line after PREFIX; nothing is printed when nothing is missing. It uses the parsers that pip carries, so it reads requirements and tags as pip
does. It does not reconsider a choice as pip does: that two requirements contradict each other is for the installation to find.
"""
import functools
import glob
import hashlib
import os
import re
import sys
import zipfile

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))] + glob.glob("/usr/share/python-wheels/pip-*.whl") + \
    glob.glob(os.path.join(os.path.dirname(os.__file__), "ensurepip/_bundled/pip-*.whl"))
from pip._vendor.packaging import specifiers, tags, utils  # noqa: E402
from requirements import LARGEST, Line, Problem, required  # noqa: E402

PLAIN = re.compile(r"([A-Za-z0-9][\w.-]*)\s*(?:\[([\w\s,.-]+)\])?\s*([^;@()\[\]]*)(?:;(.+))?", re.A)
SIGNS = {"Eq": "==", "NotEq": "!=", "Lt": "<", "LtE": "<=", "Gt": ">", "GtE": ">="}
STRINGS = {"sys_platform": sys.platform, "os_name": os.name, "platform_system": os.uname().sysname, "platform_machine": os.uname().machine,
           "platform_python_implementation": {"cpython": "CPython"}.get(sys.implementation.name)}
STRAY = re.compile(r"[^\w.+!-].*(?=\.whl$)", re.A)
PARSE_ONLY = 0x400  # ast.PyCF_ONLY_AST, without loading ast
problems, folders = [], ["dep", os.environ.get("CHILLBOX_WHEELHOUSE", "")]


class Plain:
    """A requirement of the usual form: a name, extras, versions, a marker."""

    def __init__(self, name, extras, versions, marker):
        self.name, self.extras, self.url = name, {extra.strip() for extra in (extras or "").split(",")} - {""}, None
        self.specifier, self.marker = specifiers.SpecifierSet(versions), Marker(marker.strip()) if marker else None

    def __str__(self):
        extras = "[%s]" % ",".join(sorted(self.extras)) if self.extras else ""
        return "%s%s%s%s" % (self.name, extras, self.specifier, "; " + self.marker.text if self.marker else "")


class Marker:
    """Most are also expressions of Python, which has a parser. What is not decided that way is read by pip's."""

    def __init__(self, text):
        self.text = text

    def evaluate(self, environment):
        found = self.decide(environment["extra"])
        if found is None:
            from pip._vendor.packaging import markers
            found = markers.Marker(self.text).evaluate(environment)
        return found

    def decide(self, extra):
        """None: not decided."""
        if len(self.text) > 1000 or "\\" in self.text:
            return None
        try:
            return decided(compile(self.text.strip(), "marker", "eval", PARSE_ONLY).body, extra)
        except (SyntaxError, ValueError, MemoryError, RecursionError):
            return None


def decided(node, extra):
    kind = type(node).__name__
    if kind == "BoolOp":
        parts, wanted_one = [decided(part, extra) for part in node.values], type(node.op).__name__ == "Or"
        return wanted_one if wanted_one in parts else None if None in parts else not wanted_one
    if kind != "Compare" or [type(part).__name__ for part in [node.left, *node.comparators]] != ["Name", "Constant"]:
        return None
    name, sign, value = node.left.id, SIGNS.get(type(node.ops[0]).__name__), node.comparators[0].value
    if not isinstance(value, str) or not sign:
        return None
    if name == "extra" and sign == "==":
        return utils.canonicalize_name(value) == utils.canonicalize_name(extra)
    if name == "python_version" and re.fullmatch(r"\d+(\.\d+)*", value):
        return specifiers.SpecifierSet(sign + value).contains("%d.%d" % sys.version_info[:2])
    if STRINGS.get(name) and sign in ("==", "!=") and not value[:1].isdigit():
        return (STRINGS[name] == value) == (sign == "==")
    return None


def parsed(text):
    """The parser of an older pip costs as much as everything else here: it reads what is not plain."""
    plain = PLAIN.fullmatch(text.strip())
    if plain:
        return Plain(*plain.groups())
    from pip._vendor.packaging import requirements
    return requirements.Requirement(text)


def complain(text):
    if text not in problems:
        problems.append(text)


def named(extras):
    """Lines of requirements.txt, else of pyproject.toml, and those that the handler itself asks for."""
    try:
        own = required(complain=complain)
    except Problem as problem:
        complain(str(problem))
        own = []
    folders.extend(line.folder() for line in own if line.folder() and line.folder() not in folders)
    return [Line(text, []) for text in extras] + [line for line in own if not line.text.startswith("-") or line.text.startswith(("-e", "--editable"))]


def wanted(extras):
    for line in named(extras):
        text, file = line.text.split(" --")[0], line.path()
        if not file and not line.name:
            complain("missing: %s: there is no network here, bring its wheel and name it by its version" % text)
            continue
        if file and not line.name:
            if not os.path.exists(file):
                complain("missing: %s, which requirements.txt names" % file)
            continue
        try:
            requirement = parsed(text)
            asked = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        except ValueError:
            if not (file and os.path.exists(file)):
                complain("requirements.txt: cannot read '%s'" % text)
            continue
        if requirement.url and not file:
            complain("missing: %s: there is no network here, bring its wheel and name it by its version" % requirement)
        elif not requirement.url and asked:
            yield requirement, {value.replace("sha256:", "") for value in line.hashes}


def renamed(path):
    """What to do with a wheel whose name has more than the parts of one, as a browser's second download."""
    right = STRAY.sub("", os.path.basename(path))
    return "" if right == os.path.basename(path) else ": rename it to %s" % right


def wheels():
    for folder in folders:
        for path in sorted(glob.glob(os.path.join(folder, "*.whl"))):
            try:
                name, version, _, fits = utils.parse_wheel_filename(os.path.basename(path))
            except utils.InvalidWheelFilename:
                complain("%s is not named like a wheel%s" % (path, renamed(path)))
                continue
            yield name, version, fits, path


def is_one_of(path, hashes):
    with open(path, "rb") as wheel:
        return hashlib.sha256(wheel.read()).hexdigest() in hashes


def best(requirement, hashes, there, ours, why):
    """The newest wheel that meets it; without one the reason is printed."""
    named = [w for w in there if w[0] == utils.canonicalize_name(requirement.name)]
    right = [w for w in named if requirement.specifier.contains(w[1], prereleases=True)]
    fitting = [w for w in right if w[2] & ours]
    if not named:
        source = [p for p in glob.glob("dep/*.tar.gz") if utils.canonicalize_name(os.path.basename(p).rsplit("-", 1)[0]) == utils.canonicalize_name(requirement.name)]
        complain("missing: %s%s: no wheel of it%s" % (requirement, why, ", only its source %s" % source[0] if source else ""))
    elif not right:
        complain("missing: %s%s: there is only %s" % (requirement, why, ", ".join(str(w[1]) for w in named)))
    elif not fitting:
        complain("missing: %s%s: does not fit this host: %s" % (requirement, why, ", ".join(w[3] + renamed(w[3]) for w in right)))
    elif hashes and not any(is_one_of(w[3], hashes) for w in fitting):
        complain("missing: %s: no hash in requirements.txt is that of %s" % (requirement, ", ".join(w[3] for w in fitting)))
    else:
        return max(fitting, key=lambda w: w[1])


class Fields:
    """The fields of a METADATA or WHEEL, which are those of a mail; the standard library's parser of mails takes longer to load than both take to read."""

    def __init__(self, text):
        self.all = re.findall(r"^([\w-]+):[ \t]*(.*(?:\n[ \t].*)*)", re.split(r"\n\r?\n", text, maxsplit=1)[0], re.M)

    def every(self, name):
        return [value.strip() for key, value in self.all if key.lower() == name]

    def first(self, name):
        return (self.every(name) or [""])[0]


@functools.lru_cache(None)
def metadata_of(path):
    """What the wheel says of itself, or an empty message."""
    text = b""
    try:
        with zipfile.ZipFile(path) as wheel:
            name = next(n for n in wheel.namelist() if n.endswith(".dist-info/METADATA") and n.count("/") == 1)
            with wheel.open(name) as file:
                text = file.read(LARGEST + 1)
        if len(text) > LARGEST:
            complain("%s: its METADATA has over %d bytes" % (path, LARGEST))
            text = b""
    except (OSError, zipfile.BadZipFile, StopIteration) as error:
        complain("%s is no wheel: %s" % (path, str(error) or "it has no METADATA"))
    return Fields(text.decode("utf-8", "replace"))


def required_by(path, extras):
    """What the wheel requires with these extras of it."""
    for text in metadata_of(path).every("requires-dist"):
        requirement = parsed(text)
        if requirement.marker is None or any(requirement.marker.evaluate({"extra": extra}) for extra in extras or {""}):
            yield requirement


def how():
    """The call that collects what this host takes."""
    linux = [t.platform for t in tags.sys_tags() if t.platform.startswith(("manylinux_", "musllinux_"))]
    return "`pack --wheels --python %s%s` collects them for this host" % (
        ".".join(map(str, sys.version_info[:3])), " --platform " + linux[0] if linux else "")


class Choice:
    """The wheel that would be taken of a name, the extras of it that are asked for, and whether pip could take another."""

    def __init__(self, wheel):
        self.wheel, self.extras, self.plain = wheel, set(), True


def chosen(extras):
    """A choice of each name. Where the same wheel is the newest for all requirements of a name, pip has nothing to reconsider."""
    ours = set(tags.sys_tags())
    queue, seen, found = [(requirement, hashes, "") for requirement, hashes in wanted(extras)], set(), {}
    there = list(wheels())
    while queue:
        requirement, hashes, why = queue.pop(0)
        if (str(requirement), why == "") in seen:
            continue
        seen.add((str(requirement), why == ""))
        wheel = best(requirement, hashes, there, ours, why)
        if wheel:
            choice = found.setdefault(wheel[0], Choice(wheel))
            choice.extras |= requirement.extras
            rivals = [w for w in there if w[0] == wheel[0] and w[2] & ours and (hashes or w[1] == wheel[1])]
            choice.plain = choice.plain and choice.wheel is wheel and rivals == [wheel] and not wheel[1].is_prerelease
            queue += [(r, set(), " (for %s)" % requirement.name) for r in required_by(wheel[3], requirement.extras)]
    return found


def main():
    chosen(sys.argv[2:])
    first = next((i for i, problem in enumerate(problems) if problem.startswith("missing: ")), None)
    if first is not None:
        problems[first] += "; " + how()
    for problem in problems:
        print(sys.argv[1] + problem)


if __name__ == "__main__":
    main()
