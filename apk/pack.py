#!/usr/bin/env python3
"""Makes signed Alpine packages and a repository of them, on any machine with Python and openssl.

  pack.py pack ARCH BUILD VERSION KEY OUT [RELEASE]   what was built in BUILD, as OUT/ARCH/*.apk: the packages of the APKBUILD, split as abuild splits
  pack.py index KEY DIRECTORY                         the signed APKINDEX.tar.gz of the packages there
  pack.py sbom STATIC VERSION                         prints what is inside of the static programs, as SPDX 2.3; STATIC as of `make static`
  pack.py key DIRECTORY                               prints the path of the signing key there, made on the first call

A package (version 2, which every apk since 2.0 reads) is three gzip streams one after the other: a signature of the second, the control files with the
digest of the third, and the files. The first two are archives that end without the two empty blocks, so that all three are one archive. An index is
the first two alone. The file name of the key, with .pub, is the name under which hosts keep the public half in /etc/apk/keys.

With the same SOURCE_DATE_EPOCH (the time of the last commit by default) the same files give the same bytes. Formats: apk-package(5), apk-repository(5).
"""
import base64
import getpass
import gzip
import hashlib
import io
import os
import re
import shlex
import socket
import subprocess
import sys
import tarfile
import tempfile

SPLIT = [
    ("-openrc", r"/etc/(init|conf)\.d/", "OpenRC init scripts", "openrc"),
    ("-doc", r"/usr/share/(man|licenses)/", "documentation", "docs"),
    ("-bash-completion", r"/usr/share/bash-completion/", "Bash completions", "bash-completion"),
    ("-zsh-completion", r"/usr/share/zsh/", "Zsh completions", "zsh"),
    ("-fish-completion", r"/usr/share/fish/", "Fish completions", "fish"),
]
# What static programs have inside, with the programs' own ISC; third-party.txt has the texts.
INSIDE = ["Apache-2.0", "Apache-2.0 WITH LLVM-exception", "blessing", "BSD-2-Clause", "BSD-3-Clause", "LGPL-2.1-only", "MIT", "Zlib"]
SCRIPTS = ("pre-install", "post-install", "pre-upgrade", "post-upgrade", "pre-deinstall")
HERE = os.path.dirname(os.path.abspath(__file__))


def apkbuild():
    """The variables of APKBUILD whose values are words in double quotes or plain."""
    with open(os.path.join(HERE, "APKBUILD")) as text:
        lines = re.findall(r'^(\w+)=("[^"]*"|\S+)$', re.sub(r"[ \t]+#.*", "", text.read()), re.M)
    return {name: value.strip('"') for name, value in lines}


def run(*words, **more):
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, **more).stdout


def epoch():
    if "SOURCE_DATE_EPOCH" not in os.environ:
        try:
            os.environ["SOURCE_DATE_EPOCH"] = run("git", "-C", HERE, "log", "-1", "--format=%ct", stderr=subprocess.DEVNULL).decode().strip()
        except (OSError, subprocess.CalledProcessError):
            sys.exit("pack: not in a git checkout: set SOURCE_DATE_EPOCH to the release's time, in seconds since 1970")
    return int(os.environ["SOURCE_DATE_EPOCH"])


def commit():
    try:
        return run("git", "-C", HERE, "rev-parse", "HEAD", stderr=subprocess.DEVNULL).decode().strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def entry(name, size, mode, kind=tarfile.REGTYPE):
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime, info.type, info.uname, info.gname = size, mode, epoch(), kind, "root", "root"
    return info


def squeezed(data):
    return gzip.compress(data, 9, mtime=0)


def segment(members):
    """A tar of (name, bytes, mode) without its end, squeezed."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data, mode in members:
            tar.addfile(entry(name, len(data), mode), io.BytesIO(data))
        end = tar.offset
    return squeezed(out.getvalue()[:end])


def signed(key, data):
    """The signature's segment, and what it signs."""
    signature = run("openssl", "dgst", "-sha256", "-sign", key, input=data)
    return segment([(".SIGN.RSA256." + os.path.basename(key) + ".pub", signature, 0o644)]) + data


def read(path):
    with open(path, "rb") as file:
        return file.read()


def write(path, data):
    with open(path + ".new", "wb") as file:
        file.write(data)
    os.replace(path + ".new", path)


def file_tree(stage, files):
    """The third stream: files, with the digest that apk asks of each, and their directories."""
    out, size, seen = io.BytesIO(), 0, set()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(files):
            parts = path.split("/")
            for depth in range(1, len(parts)):
                folder = "/".join(parts[:depth])
                if folder not in seen:
                    seen.add(folder)
                    tar.addfile(entry(folder, 0, 0o755, tarfile.DIRTYPE))
            data = read(os.path.join(stage, path))
            size += len(data)
            info = entry(path, len(data), 0o755 if os.access(os.path.join(stage, path), os.X_OK) else 0o644)
            info.pax_headers = {"APK-TOOLS.checksum.SHA1": hashlib.sha1(data).hexdigest()}
            tar.addfile(info, io.BytesIO(data))
    return squeezed(out.getvalue()), size


def package(out, key, about, part, stage, files):
    """One package. about: the values of APKBUILD, and arch, version (with its release), packager."""
    suffix, description, wanted_by = part
    tree, size = file_tree(stage, files)
    main = "chillbox=" + about["version"]
    depends = [*shlex.split(about["depends"]), "chillbox-openrc=" + about["version"]] if not suffix else [] if suffix == "-openrc" else [main]
    rows = [
        ("pkgname", "chillbox" + suffix),
        ("pkgver", about["version"]),
        ("pkgdesc", about["pkgdesc"] + (" (%s)" % description if suffix else "")),
        ("url", about["url"]),
        ("builddate", str(epoch())),
        ("packager", about["packager"]),
        ("size", str(size)),
        ("arch", about["arch"]),
        ("origin", "chillbox"),
        ("commit", about["commit"]),
        ("maintainer", about["maintainer"]),
        ("license", about["license"]),
        *[("depend", word) for word in depends],
        *[("provides", "cmd:%s=%s" % (os.path.basename(path), about["version"])) for path in sorted(files) if re.match(r"usr/s?bin/", path)],
        ("install_if", "%s %s" % (main, wanted_by) if suffix else ""),
        ("datahash", hashlib.sha256(tree).hexdigest()),
    ]
    control = [(".PKGINFO", "".join("%s = %s\n" % row for row in rows if row[1]).encode(), 0o644)]
    if not suffix:
        control += [("." + name, read(os.path.join(HERE, "chillbox." + name)), 0o755) for name in SCRIPTS]
    write(os.path.join(out, "chillbox%s-%s.apk" % (suffix, about["version"])), signed(key, segment(control)) + tree)


def pack(arch, build, version, key, out, release="0"):
    about = apkbuild()
    about["license"] = " AND ".join([about["license"], *INSIDE])
    about.update(arch=arch, version="%s-r%s" % (version, release), packager=about["maintainer"], commit=commit())
    os.makedirs(os.path.join(out, arch), exist_ok=True)
    public_half(key, out)
    with tempfile.TemporaryDirectory() as stage:
        run("sh", os.path.join(HERE, "install"), stage, build)
        left = set()
        for folder, _, names in os.walk(stage):
            for name in names:
                path = os.path.join(folder, name)
                if "/usr/share/man/" in path:
                    write(path + ".gz", squeezed(read(path)))
                    os.remove(path)
                    path += ".gz"
                left.add(os.path.relpath(path, stage))
        for suffix, place, description, wanted_by in SPLIT:
            files = {path for path in left if re.match(place, "/" + path)}
            package(os.path.join(out, arch), key, about, (suffix, description, wanted_by), stage, files)
            left -= files
        package(os.path.join(out, arch), key, about, ("", "", ""), stage, left)


def streams(data):
    """The gzip streams of a package, each as (squeezed, not squeezed)."""
    import zlib

    while data:
        unpacker = zlib.decompressobj(31)
        plain = unpacker.decompress(data)
        yield data[: len(data) - len(unpacker.unused_data)], plain
        data = unpacker.unused_data


def index_entry(path):
    data = read(path)
    control, plain = list(streams(data))[1]
    with tarfile.open(fileobj=io.BytesIO(plain + bytes(1024))) as tar:
        lines = tar.extractfile(".PKGINFO").read().decode().splitlines()
    info = {}
    for name, _, value in (line.partition(" = ") for line in lines):
        info.setdefault(name, []).append(value)
    letters = "P pkgname,V pkgver,A arch,I size,T pkgdesc,U url,L license,o origin,m maintainer,t builddate,c commit,D depend,i install_if,p provides"
    rows = ["C:Q1" + base64.b64encode(hashlib.sha1(control).digest()).decode(), "S:%d" % len(data)]
    rows += ["%s:%s" % (letter, " ".join(info[name])) for letter, name in (pair.split() for pair in letters.split(",")) if name in info]
    return "\n".join(rows) + "\n\n"


def index(key, directory):
    names = sorted(name for name in os.listdir(directory) if name.endswith(".apk"))
    text = "".join(index_entry(os.path.join(directory, name)) for name in names)
    write(os.path.join(directory, "APKINDEX.tar.gz"), signed(key, segment([("DESCRIPTION", b"chillbox", 0o644), ("APKINDEX", text.encode(), 0o644)])))


def public_half(key, out):
    os.makedirs(out, exist_ok=True)
    write(os.path.join(out, os.path.basename(key) + ".pub"), run("openssl", "rsa", "-in", key, "-pubout", stderr=subprocess.DEVNULL))


def key(directory):
    """As abuild-keygen names them: OWNER@MACHINE-HEX.rsa"""
    os.makedirs(directory, mode=0o700, exist_ok=True)
    keys = sorted(name for name in os.listdir(directory) if name.endswith(".rsa"))
    if len(keys) > 1:
        sys.exit("pack: %s has several keys: name one as APK_KEY" % directory)
    if not keys:
        made = run("openssl", "genrsa", "4096", stderr=subprocess.DEVNULL)
        owner = os.environ.get("PACKAGER_MAIL") or "%s@%s" % (getpass.getuser(), socket.gethostname())
        keys = ["%s-%s.rsa" % (re.sub(r"[^A-Za-z0-9@._-]", "", owner), hashlib.sha256(made).hexdigest()[:8])]
        path = os.path.join(directory, keys[0])
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(made)
        print("pack: made a signing key: " + path, file=sys.stderr)
    print(os.path.join(directory, keys[0]))


def parts(static):
    """(name, where from and which version) of each library, and of the compiler that brings the C and C++ libraries."""
    with open(os.path.join(static, "src", "LIST")) as rows:
        for row in rows:
            yield row.split()  # a crate's name has the library's version only where they differ
    with open(os.path.join(HERE, "static", "headers")) as names:
        headers = [name.strip() for name in names if not name.startswith("#")]
    for name in headers:
        found = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", name], capture_output=True, text=True)
        if found.returncode == 0:
            yield name, found.stdout
    with open(os.path.join(HERE, "..", "hooks", "acme", "acmez", "go.sum")) as modules:
        for module, version, _ in (row.split() for row in modules):
            if not version.endswith("/go.mod"):
                yield module, version
    yield "go", run(run("sh", os.path.join(HERE, "..", ".ci", "go"), "pinned").decode().strip(), "env", "GOVERSION").decode().strip()
    with open(os.path.join(HERE, "static", "zig.txt")) as pin:
        yield "zig (musl, libc++)", re.search(r"ziglang==(\S+)", pin.read()).group(1)


def sbom(static, version):
    import datetime
    import json

    def one(identity, name, version):
        return {"SPDXID": identity, "name": name, "versionInfo": version, "downloadLocation": "NOASSERTION", "filesAnalyzed": False}

    inside = [one("SPDXRef-%d" % number, *part) for number, part in enumerate(parts(static), 1)]
    created = datetime.datetime.fromtimestamp(epoch(), datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    document = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": "chillbox-" + version,
        "documentNamespace": "https://spdx.org/spdxdocs/chillbox-%s-%s" % (version, commit()),
        "creationInfo": {"created": created, "creators": ["Tool: pack.py"]},
        "packages": [one("SPDXRef-chillbox", "chillbox", version), *inside],
        "relationships": [
            {"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": "SPDXRef-chillbox"},
            *({"spdxElementId": "SPDXRef-chillbox", "relationshipType": "CONTAINS", "relatedSpdxElement": part["SPDXID"]} for part in inside),
        ],
    }
    print(json.dumps(document, indent=1))


if __name__ == "__main__":
    verbs = {"pack": pack, "index": index, "sbom": sbom, "key": key}
    if len(sys.argv) < 3 or sys.argv[1] not in verbs:
        sys.exit(__doc__)
    verbs[sys.argv[1]](*sys.argv[2:])
