"""Requirement files as pip reads them: for collect on the laptop, for build and preflight on the host.

A service requires what its requirements.txt lists; without that file, the dependencies in its pyproject.toml. A line with the service's own
folder ("-e .") stands for those: its code is added by the build. As a program, run in the service's folder: `inputs` prints the digest of
everything that pip would read of it, `hashed` exits with 0 when pip would ask for hashes, `list` prints what is required, for a pip without index.
"""
import codecs
import glob
import hashlib
import os
import re
import sys
import urllib.parse

LARGEST = 1 << 20  # bytes of one file of requirements
LOCKED, BECAUSE, MADE = "dep/chillbox.requirements.txt", "  # added: ", "made of "
# How a requirement with a name begins (PEP 508, options of pip behind it), and files that are lists of them under another name.
NAMED = re.compile(r"[A-Za-z0-9]([\w.-]*\w)?\s*(\[[^]]*\])?\s*($|[~!<>(,@;$]|==|--)", re.A)
ELSEWHERE = re.compile(r"(requirements?|reqs)([/._-](production|prod|base|main|common|live|deploy))?\.(txt|in|text|lock)|(environment|conda)\.ya?ml|pylock(\.\w+)?\.toml", re.I)
BUILT = ("__pycache__", "build", "dist", ".git", ".eggs")  # what building leaves in a folder
MARKS = [(codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF32_LE, "utf-32-le"), (codecs.BOM_UTF32_BE, "utf-32-be"),
         (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")]  # the longer of two that begin alike first


class Problem(Exception):
    """One line for the author of the file, and an exit code of collect."""

    def __init__(self, text, code=1):
        super().__init__(text)
        self.code = code


class Line:
    """A requirement with the hashes that it allows, or an option."""

    def __init__(self, text, hashes, why=""):
        self.text, self.hashes, self.why = text, hashes, why  # why: of a hash that was added
        bare = (self.path() and "@" not in text) or re.match(r"[a-z0-9+]+://", text)
        self.name = "" if text.startswith("-") or bare else normal(re.match(r"[A-Za-z0-9._-]*", text).group())

    def path(self):
        """The file or folder that it names instead of a name; "": none."""
        text = re.sub(r"^(-e|--editable)[ =]*", "", self.text).split(" ;")[0]
        text = re.sub(r"^file:(//)?", "", re.sub(r"^[^/@;]*@ *", "", text).strip()).split("#")[0]
        text = re.sub(r"\[[^]/]*\]$", "", text)
        named = text.startswith(".") or "/" in text or text.endswith((".whl", ".zip", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz"))
        return text if named and "://" not in text and not text.startswith("-") else ""

    def folder(self):
        """The folder of wheels that a --find-links names."""
        found = re.match(r"(?:-f|--find-links)[ =]*(.+)", self.text)
        return found.group(1).strip("'\"") if found and "://" not in found.group(1) else ""

    def extras(self):
        found = re.match(r"[^;\[]*\[([^\]/]*)\]", self.text)
        return [normal(extra.strip()) for extra in found.group(1).split(",")] if found else []

    def written(self, place=str):
        text = re.sub(r"^(-c|-e) (.*)", lambda m: m.group(1) + " " + place(m.group(2)), self.text)
        if place is not str:  # newer versions of pip want the whole path
            text = re.sub(r"^([^/;]*@ *)file:(?!/)([^ ;#]*)", lambda m: m.group(1) + "file://" + urllib.parse.quote(place(m.group(2))), text)
        return text + "".join(" --hash=" + h for h in self.hashes) + (BECAUSE + self.why if self.why else "")


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def text_of(path):
    with open(path, "rb") as file:
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise Problem("%s: over %d bytes" % (path, LARGEST))
    mark, encoding = next((m for m in MARKS if data.startswith(m[0])), (b"", "utf-8"))
    for line in data.split(b"\n")[:2]:
        cookie = re.match(rb"#.*?coding[:=]\s*([-\w.]+)", line)
        encoding = cookie.group(1).decode() if cookie and not mark else encoding
    if not mark and b"\0" in data:
        raise Problem("%s is UTF-16 without a byte order mark: save it as UTF-8" % path)
    try:
        return data[len(mark):].decode(encoding)
    except (LookupError, UnicodeDecodeError):
        raise Problem("%s is not %s: save it as UTF-8" % (path, encoding.upper())) from None


def lines(path="requirements.txt", complain=None, read=None, folder=None):
    """Those of a file and of the files that it names, each file once. What is wrong with them goes to `complain`; else it is raised."""
    read = [] if read is None else read
    read.append(path)

    def wrong(problem):
        if complain is None:
            raise problem
        complain(str(problem))

    try:
        text = text_of(path)
    except Problem as problem:
        return wrong(problem)
    for line in re.sub(r"\\\r?\n", " ", text).splitlines():
        why = line.partition(BECAUSE)[2]
        line = re.sub(r"(^|\s+)#.*$", "", line).strip()
        named = re.match(r"(?:-r|-c|--requirement|--constraint)[ =]*(.+)", line)
        if named:
            other = os.path.normpath(os.path.join(os.path.dirname(path) if folder is None else folder, named.group(1).strip("'\"")))
            if "://" in named.group(1):
                wrong(Problem("%s names %s: save that file in the service's folder" % (path, named.group(1))))
            elif not os.path.realpath(other).startswith(os.path.realpath(".") + os.sep):
                wrong(Problem("%s names %s, which is not in the service's folder" % (path, named.group(1))))
            elif not os.path.isfile(other):
                wrong(Problem("%s names %s, which does not exist" % (path, named.group(1))))
            elif os.path.realpath(other) in map(os.path.realpath, read):
                pass
            elif line.startswith(("-c", "--c")):
                list(lines(other, complain, read))  # it is read, and requires nothing
                yield Line("-c " + other, [])
            else:
                yield from lines(other, complain, read)
        elif is_own(line):
            try:
                yield from declared(Line(line, []).extras(), "%s names '%s'" % (path, line))
            except Problem as problem:
                wrong(problem)
        elif line.startswith("-"):
            yield Line(line, [])
        elif line:
            hashes = re.findall(r"\s--hash[= ]\s*([a-z0-9]+:[0-9a-f]+)", line)
            text = re.sub(r"\s+--hash[= ]\s*\S+", "", line)
            bare = re.search(r"([=~!<>]=+|[<>])\s*(?:[,;)]|$)", text)
            if bare and "://" not in text:
                wrong(Problem("%s: '%s' has no version after '%s'" % (path, text, bare.group(1))))
            elif not (NAMED.match(text) or Line(text, []).path() or "://" in text or "$" in text):
                wrong(Problem("%s: '%s' is no requirement, such as flask==3.1; `pip freeze` writes them so" % (path, text)))
            else:
                yield Line(text, hashes, why)


def is_own(line):
    """Whether it names the service's folder itself."""
    path = Line(line, []).path()
    return path != "" and os.path.realpath(path) == os.path.realpath(".")


def pyproject():
    if not os.path.exists("pyproject.toml"):
        return {}
    text = text_of("pyproject.toml")
    if not re.search(r"^\s*(\[\s*(project|tool\.poetry)|project\.)", text, re.M):
        return {}
    try:
        import tomllib
    except ImportError:  # before Python 3.11
        from pip._vendor import tomli as tomllib
    try:
        return tomllib.loads(text)
    except ValueError as error:
        raise Problem("pyproject.toml: %s" % error) from None


def declared(extras=(), by=""):
    """Lines of pyproject.toml's dependencies, and of these of its optional ones. by: who names the package, which must be there then."""
    table = pyproject().get("project", {})
    if "dependencies" in table.get("dynamic", []) or (by and not table):
        raise Problem("%s, but only its build knows what it needs: list that in requirements.txt" % (by or "pyproject.toml has no dependencies"))
    optional = {normal(name): some for name, some in table.get("optional-dependencies", {}).items()}
    queue, done = list(extras), []
    texts = list(table.get("dependencies", []))
    while queue:
        extra = queue.pop()
        if extra not in done:
            done.append(extra)
            for text in optional.get(extra, []):
                line = Line(text, [])
                if line.name == normal(table.get("name", "")):
                    queue += line.extras()  # all = ["thing[one,two]"]
                else:
                    texts.append(text)
    return [Line(str(text), []) for text in texts]


def foreign():
    """Problems: what is required is written where pip does not look."""
    poetry = pyproject().get("tool", {}).get("poetry", {}).get("dependencies", {})
    if any(name != "python" for name in poetry):
        raise Problem("pyproject.toml has its dependencies in a table of Poetry's own: `poetry export -o requirements.txt` writes them for pip")
    for path, begins, how in [("Pipfile", r"^\[packages\]\s*\n\s*[^\[\s#]", "`pipenv requirements >requirements.txt` writes it"),
                              ("setup.cfg", r"^install_requires\s*=", "list there what it needs"),
                              ("setup.py", r"\binstall_requires\s*=", "list there what it needs")]:
        if os.path.exists(path) and re.search(begins, text_of(path), re.M):
            raise Problem("%s says what it needs, but there is no requirements.txt: %s" % (path, how))
    for path in sorted(glob.glob("*.*") + glob.glob("requirements/*.*"), key=lambda path: ("prod" not in path, path)):
        if ELSEWHERE.fullmatch(path) and re.search(r"^\s*[^#\s]", text_of(path), re.M):
            how = "list there what it needs" if path.endswith("ml") else "write one with the line '-r %s'" % path
            raise Problem("%s says what it needs, but there is no requirements.txt: %s; an empty one asks for nothing" % (path, how))


def required(complain=None, read=None):
    """Lines of everything that the service requires."""
    if os.path.exists("requirements.txt"):
        return list(lines(complain=complain, read=read))
    some = declared()
    if not some:
        foreign()
    return some


class Locked:
    """What is required, with the hashes that were added for the host; they count for the files that they were added to."""

    def __init__(self):
        self.read, sha = [], hashlib.sha256()
        own = required(read=self.read)
        for path in self.read:
            with open(path, "rb") as file:
                sha.update(file.read())
        for line in contents(line.path() for line in own if line.path()):
            sha.update(line.encode())
        self.first = "# requirements.txt with sha256 %s, and hashes of what lies here beside its own\n" % sha.hexdigest()
        made_from_these = os.path.exists(LOCKED) and text_of(LOCKED).startswith(self.first)
        self.lines = list(lines(LOCKED, folder="")) if made_from_these else own

    def allow(self, name, sha256, why):
        for line in self.lines:  # a name may appear twice, with different conditions
            if line.name == name and line.hashes and "sha256:" + sha256 not in line.hashes:
                line.hashes, line.why = line.hashes + ["sha256:" + sha256], why

    def pin(self, line, pinned, made_of):
        """In place of a folder, an archive or an address, which the host cannot build or reach."""
        marker = line.text.partition(";")[2] if " ;" in line.text or line.path() == "" else ""
        line.text, line.why = pinned + (" ;" + marker if marker else ""), MADE + made_of

    def add(self, pinned, sha256, why):
        self.lines.append(Line(pinned, ["sha256:" + sha256], why))

    def text(self):
        return "".join(line.written() + "\n" for line in self.lines)

    def write(self):
        """Keeps them; without any there is no such file."""
        if any(line.why for line in self.lines):
            with open(LOCKED, "w", encoding="utf-8") as file:
                file.write(self.first + self.text())
        elif os.path.exists(LOCKED):
            os.remove(LOCKED)


def hashed(some):
    return any(line.hashes or line.text == "--require-hashes" for line in some)


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def contents(paths):
    """Digests of files, and of all files in folders."""
    for path in paths:
        if os.path.isfile(path):
            yield "%s %s" % (digest(path), path)
        elif os.path.realpath(path).startswith(os.path.realpath(".") + os.sep):
            for folder, folders, files in os.walk(path):
                folders[:] = sorted(name for name in folders if name not in BUILT and not name.endswith(".egg-info"))
                yield from ("%s %s/%s" % (digest(os.path.join(folder, name)), folder, name) for name in sorted(files))
        else:
            yield path


def inputs():
    """Everything that pip reads of the service's folder: what it installs is a function of it."""
    read = []
    some = required(read=read)
    yield from (line.written() for line in some)
    yield from contents(read + [path for line in some for path in (line.path(), line.folder()) if path and os.path.realpath(path) != os.path.realpath("dep")])


def offline(some):
    """Without what would choose among the files of an index."""
    for line in some:
        if not re.match(r"(-i|--(index-url|extra-index-url|no-index|trusted-host|only-binary|no-binary|prefer-binary|use-feature))\b", line.text):
            yield line


def main(what):
    if what == "hashed":
        sys.exit(0 if hashed(required()) else 1)
    for line in inputs() if what == "inputs" else (line.written(os.path.abspath) for line in offline(required())):
        print(line)


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except Problem as problem:
        sys.exit("build: " + str(problem))
