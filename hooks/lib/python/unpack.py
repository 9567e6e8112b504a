"""Installs what a service requires in its new environment without pip, where there is nothing to choose: unpack.py ENVIRONMENT SITE_PACKAGES
REQUIREMENT... Run in the service's folder; SITE_PACKAGES is relative to the environment, the requirements are the handler's own.

That is the case when only names, versions and hashes are required, and all requirements of a name accept the newest wheel of it, as those do that
`pack --wheels` collects. The tree is the one that pip would make, but for its bytecode, which does not depend on the times of files (PEP 552), so that
two builds make the same tree, and for the first line of programs, which the environment of each release replaces.
Exit codes: 0 done, 3 a wheel is refused or damaged, which is said, 4 nothing was written: it is for pip to decide.
"""
import base64
import csv
import gc
import hashlib
import io
import os
import py_compile
import re
import shutil
import stat
import sys
import warnings
import zipfile
import zlib

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from wheels import Fields, chosen, metadata_of, problems, specifiers, utils, wanted  # noqa: E402
from requirements import Problem, hashed, offline, required  # noqa: E402

REFUSED, FOR_PIP = 3, 4
PYTHON = b"#!/.0.0/bin/python3\n"  # no program: see `scripts` in environment
PROGRAM = """# -*- coding: utf-8 -*-
import sys
from %s import %s
if __name__ == "__main__":
    sys.exit(%s())
"""
ENTRY_POINT = re.compile(r"([\w.-]+)\s*=\s*([\w.]+):([\w.]+)\s*(\[[\w-]+\])?")
PINNED = re.compile(r"[^,<>~!=;]+==\s*[\w.+!-]+\s*(;.*)?")
DAMAGED = (OSError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError)
OWN = ("bin/python3", "bin/python", "pyvenv.cfg")  # of the environment, before any wheel


class Unusual(Exception):
    """What pip should look at."""


def unless(condition, what):
    if not condition:
        raise Unusual(what)


def to_install(extras):
    """The wheels (name, version, tags, path)."""
    lines = list(offline(required()))
    for line in lines:
        unless(line.name and not line.path() and not re.search(r"@|://|\s--|\$\{", line.text), line.text)
    if hashed(lines):  # then pip wants one for everything, and an exact version
        for line in lines:
            unless(PINNED.fullmatch(line.text) and line.hashes and all(text.startswith("sha256:") for text in line.hashes), line.text)
        names = [utils.canonicalize_name(requirement.name) for requirement, _ in wanted([])]
        unless(sorted(names) == sorted(chosen([])), "hashes")
    found = chosen(extras)
    unless(not problems, "problems")
    for name, choice in found.items():
        path, version, about = choice.wheel[3], choice.wheel[1], metadata_of(choice.wheel[3])
        provided = {utils.canonicalize_name(extra) for extra in about.every("provides-extra")}
        unless(choice.plain and {utils.canonicalize_name(extra) for extra in choice.extras} <= provided, "a choice of %s" % name)
        unless(utils.canonicalize_name(about.first("name")) == name, path)
        unless(utils.canonicalize_version(about.first("version")) == utils.canonicalize_version(str(version)), path)
        unless(specifiers.SpecifierSet(about.first("requires-python")).contains("%d.%d.%d" % sys.version_info[:3]), path)
    return [choice.wheel for choice in found.values()]


class Wheel:
    """One that is open, and what becomes of it: `files` are (entry, place), `made` (place, content, executable). Places are relative to the environment."""

    def __init__(self, path, name, site_packages):
        self.path, self.site_packages = path, site_packages
        self.zip, self.files, self.made = zipfile.ZipFile(os.path.abspath(path)), [], []
        infos = {name.split("/")[0] for name in self.zip.namelist() if name.split("/")[0].endswith(".dist-info")}
        unless(len(infos) == 1, path)
        self.info = infos.pop()
        unless(utils.canonicalize_name(self.info).startswith(name), path)
        about = Fields(self.text("WHEEL"))
        unless(re.fullmatch(r"1\.\d+", about.first("wheel-version")), path)
        self.programs = dict(self.entry_points())

    def text(self, name):
        return self.zip.read("%s/%s" % (self.info, name)).decode("utf-8")

    def refuse(self, why):
        raise Problem("%s: refused: %s" % (self.path, why))

    def entry_points(self):
        """Names of programs, and what they call."""
        section = ""
        for line in self.text("entry_points.txt").splitlines() if "%s/entry_points.txt" % self.info in self.zip.namelist() else []:
            line = line.strip()
            if line.startswith("["):
                section = line
            elif section in ("[console_scripts]", "[gui_scripts]") and line and not line.startswith(("#", ";")):
                point = ENTRY_POINT.fullmatch(line)
                if "/" in line.split("=")[0]:
                    self.refuse("it names a program '%s'" % line.split("=")[0].strip())
                unless(point and not re.match(r"(pip|easy_install)\b", line), line)
                yield point.group(1), (point.group(2), point.group(3))

    def place(self, name):
        """Where a file of the wheel goes, relative to the environment."""
        parts = name.split("/")
        if ".." in parts or name.startswith("/"):
            self.refuse("it names a file '%s'" % name)
        unless("" not in parts and "." not in parts and re.fullmatch(r"[^\\\x00-\x1f\x7f]+", name) and not name.endswith(".pyc"), name)
        if not parts[0].endswith(".data"):
            return "%s/%s" % (self.site_packages, name)
        unless(len(parts) > 2, name)
        headers = "include/site/python%d.%d/%s" % (*sys.version_info[:2], metadata_of(self.path).first("name"))
        folder = {"purelib": self.site_packages, "platlib": self.site_packages, "scripts": "bin", "data": "", "headers": headers}.get(parts[1])
        unless(folder is not None, name)
        return os.path.join(folder, *parts[2:])

    def replaces(self, place):
        """Whether a script is one of those that are made from entry points."""
        return re.sub(r"(\.exe|-script\.py|\.pya)$", "", place.split("/")[-1]) in self.programs

    def read(self):
        """Decides what becomes of each file, with the RECORD as pip writes it."""
        moved = {}
        for entry in self.zip.infolist():
            if entry.is_dir():
                continue
            unless(stat.S_IFMT(entry.external_attr >> 16) in (0, stat.S_IFREG) and not entry.flag_bits & 1, entry.filename)
            place = self.place(entry.filename)
            script = re.match(r"[^/]*\.data/scripts/", entry.filename)
            if entry.filename in ("%s/RECORD" % self.info, "%s/INSTALLER" % self.info) or (script and self.replaces(place)):
                continue
            moved[entry.filename] = place
            if script and self.starts_with_python(entry):
                self.made.append((place, PYTHON + self.zip.read(entry).partition(b"\n")[2], True))
            else:
                self.files.append((entry, place))
        changed = {place: recorded(content) for place, content, _ in self.made}
        generated = [("bin/" + program, PYTHON + (PROGRAM % (module, function.split(".")[0], function)).encode(), True)
                     for program, (module, function) in self.programs.items()]
        generated.append(("%s/%s/INSTALLER" % (self.site_packages, self.info), b"chillbox\n", False))
        rows = [(place, *recorded(content)) for place, content, _ in generated]
        for row in csv.reader(self.text("RECORD").splitlines()):
            path, *rest = (row + ["", ""])[:3]
            place = moved.pop(path, os.path.join(self.site_packages, path))
            rows.append((place, *changed.get(place, rest)))
        rows += [(place, "", "") for place in moved.values()]
        rows = sorted((os.path.relpath(place, self.site_packages), *rest) for place, *rest in rows)
        self.made += generated + [("%s/%s/RECORD" % (self.site_packages, self.info), written(rows), False)]

    def starts_with_python(self, entry):
        with self.zip.open(entry) as file:
            return file.read(8) == b"#!python"


def recorded(content):
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("="), str(len(content))


def written(rows):
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def check(wheels):
    """Raises where two files have one place, or one has the place of another's folder."""
    taken = set()
    for wheel in wheels:
        for place in [place for _, place in wheel.files] + [place for place, _, _ in wheel.made]:
            if place in OWN:
                wheel.refuse("it replaces the environment's own %s" % place)
            unless(place not in taken, place)
            taken.add(place)
    folders = {os.path.dirname(place) for place in taken}
    for folder in list(folders):
        while folder:
            unless(folder not in taken, folder)
            folders.add(folder)
            folder = os.path.dirname(folder)
    return folders


def create(place, executable):
    """A file that was not there before."""
    return open(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o777 if executable else 0o666), "wb")


def write(wheels, folders):
    """Side by side, in as many processes as there are processors."""
    for folder in sorted(folders):
        os.makedirs(folder, exist_ok=True)
    files = [(wheel, entry, place) for wheel in wheels for entry, place in wheel.files]
    files.sort(key=lambda file: (file[2].endswith(".py"), file[1].file_size), reverse=True)
    parts = min(len(os.sched_getaffinity(0)), 8, 1 + len(files) // 20)
    children = []
    for part in range(1, parts):
        child = os.fork()
        if not child:
            os._exit(write_apart(wheels, files[part::parts]))
        children.append(child)
    try:
        for wheel in wheels:
            for place, content, executable in wheel.made:
                with create(place, executable) as file:
                    file.write(content)
        write_files(files[::parts])
    finally:
        ended = [os.waitpid(child, 0)[1] for child in children]
    if any(status not in (0, REFUSED << 8) for status in ended):
        raise Problem("a process that unpacks wheels ended with status %d" % max(ended))
    if any(ended):
        sys.exit(REFUSED)  # it said why


def write_apart(wheels, files):
    """Exit code. Open files have one position, which is the parent's, so these are opened again."""
    try:
        for wheel in wheels:
            wheel.zip = zipfile.ZipFile(wheel.zip.filename)
        write_files(files)
        return 0
    except Problem as problem:
        print("build: %s" % problem, file=sys.stderr, flush=True)
        return REFUSED


def write_files(files):
    warnings.simplefilter("ignore")
    gc.disable()  # a twentieth of compiling
    for wheel, entry, place in files:
        try:
            write_file(wheel, entry, place)
        except DAMAGED as error:
            raise Problem("%s: %s cannot be unpacked: %s" % (wheel.path, entry.filename, error)) from None


def write_file(wheel, entry, place):
    """What does not compile is left for who imports it, as pip leaves it."""
    with wheel.zip.open(entry) as source, create(place, entry.external_attr >> 16 & 0o111) as file:
        shutil.copyfileobj(source, file)
    if place.endswith(".py") and place.startswith(wheel.site_packages + "/"):
        py_compile.compile(place, dfile=place, quiet=2, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)


def main(environment, site_packages, *extras):
    try:
        unless(sys.platlibdir == "lib", "another folder for what is compiled")
        wheels = [Wheel(path, name, site_packages) for name, _, _, path in to_install(extras)]
        for wheel in wheels:
            wheel.read()
        folders = check(wheels)
    except Problem:
        raise
    except Exception:  # nothing is written yet, and pip says what is wrong
        sys.exit(FOR_PIP)
    try:
        os.chdir(environment)
        write(wheels, folders)
    except DAMAGED as error:
        raise Problem("wheels cannot be unpacked: %s" % error) from None


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Problem as problem:
        print("build: %s" % problem, file=sys.stderr)
        sys.exit(REFUSED)
