#!/usr/bin/env bats
# How requirement files are read and kept, and which tags a host takes: hooks/lib/python, on the laptop and on the host. What collect makes of
# them with an index is in cli-pack.bats.

load helpers/hooks

setup() {
    hook_setup
    LIB=$HOOKS/lib/python
}

with_lib() { python3 -I -B -c "import sys; sys.path.insert(0, '$LIB')
from requirements import *
$1"; }

@test "a platform stands for the older ones that its machines take too" {
    with_lib 'from host_pip import older
assert older("musllinux_1_2_x86_64") == ["musllinux_1_1_x86_64"]
many = older("manylinux_2_28_aarch64")
assert len(many) == 26 and "manylinux2014_aarch64" in many and "manylinux_2_5_aarch64" in many, many
assert older("macosx_11_0_arm64") == older("any") == older("linux_x86_64") == []'
}

@test "a target is given as pip names it; conditions are those of the host" {
    with_lib 'from host_pip import Target
target = Target("3.9.5", ["musllinux_1_2_aarch64"])
assert target.shown == "Python 3.9.5 on musllinux_1_2_aarch64"
assert target.flags()[:4] == ["--python-version", "3.9.5", "--platform", "musllinux_1_2_aarch64"]
of = target.markers()
assert (of["python_version"], of["python_full_version"], of["platform_machine"]) == ("3.9", "3.9.5", "aarch64"), of
assert Target("3.2", []).markers()["python_full_version"] == "3.2.99"
assert Target("", []).markers() == {} and Target("", []).flags() == []
for python, platforms in [("three", []), ("3", []), ("2.7", []), ("3.12", ["a b"]), ("3.12", ["-x"])]:
    try:
        Target(python, platforms)
        raise SystemExit("taken: %s %s" % (python, platforms))
    except Problem as problem:
        assert problem.code == 2'
}

@test "requirement files are read as pip reads them" {
    mkdir sub
    printf '# by pip-compile\n--find-links ./dep\n\nFoo.Bar[x]==1 \\\n    --hash=sha256:11 \\\n    --hash=sha256:22\n    # via api\nplain>=2 ; python_version < "4" # why\n-r sub/more.lock\n--constraint=pins\n' >requirements.txt
    printf -- '-r other.txt\n-r ../requirements.txt\n' >sub/more.lock
    printf 'other @ file:./x.whl\n./vendor/y.whl\n-e ./z\n' >sub/other.txt
    echo 'plain==2' >pins
    with_lib 'got = list(lines())
assert [(l.name, l.text, l.hashes, l.path()) for l in got] == [
    ("", "--find-links ./dep", [], ""), ("foo-bar", "Foo.Bar[x]==1", ["sha256:11", "sha256:22"], ""),
    ("plain", "plain>=2 ; python_version < \"4\"", [], ""), ("other", "other @ file:./x.whl", [], "./x.whl"),
    ("", "./vendor/y.whl", [], "./vendor/y.whl"), ("", "-e ./z", [], "./z"), ("", "-c pins", [], "")], [(l.name, l.text, l.hashes, l.path()) for l in got]
assert hashed(got)
read = []
list(lines(read=read))
assert read == ["requirements.txt", "sub/more.lock", "sub/other.txt", "pins"], read'
}

@test "hashes that were added are written with their reasons, read again, and count for the files that they were added to" {
    mkdir sub && printf -- '-r sub/base.txt\n' >requirements.txt
    printf 'Foo.Bar==1 --hash=sha256:11\nplain\n' >sub/base.txt
    with_lib 'locked = Locked()
locked.allow("foo-bar", "33", "built from its source")
locked.allow("plain", "44", "x")
locked.add("new==2", "55", "new, from the index")
locked.write()
again = Locked()
assert again.text() == locked.text() == """Foo.Bar==1 --hash=sha256:11 --hash=sha256:33  # added: built from its source
plain
new==2 --hash=sha256:55  # added: new, from the index
""", again.text()'
    echo 'plain>1' >>sub/base.txt
    with_lib 'locked = Locked()
assert [l.name for l in locked.lines] == ["foo-bar", "plain", "plain"] and not any(l.why for l in locked.lines)
locked.write()
import os
assert not os.path.exists(LOCKED)'
}

@test "a file that is not text, too large, or outside of the service's folder is named" {
    printf 'a\xe4\n' >requirements.txt
    with_lib 'try:
    list(lines())
except Problem as problem:
    assert str(problem) == "requirements.txt is not UTF-8: save it as UTF-8"'
    printf -- '-r ../../secret\n-r /etc/passwd\n-r absent.txt\nfine\n' >requirements.txt
    with_lib 'said = []
assert [l.name for l in lines(complain=said.append)] == ["fine"]
assert said == ["requirements.txt names ../../secret, which is not in the service'"'"'s folder",
    "requirements.txt names /etc/passwd, which is not in the service'"'"'s folder", "requirements.txt names absent.txt, which does not exist"], said'
}

@test "modules in a service's folder that are named like those that collect uses are not run" {
    for name in json argparse requirements host_pip pip logging sitecustomize usercustomize; do
        printf 'open("ran", "a").write("%s")\n' "$name" >"$name.py"
    done
    printf 'plain\n' >requirements.txt
    [ "$("$HOOKS/handlers/python/collect" --look)" = '{"messages": {}, "replace": {}}' ]
    with_lib 'import host_pip
assert host_pip.run({}, "--version")[0] == 0'
    [ ! -e ran ]
}
