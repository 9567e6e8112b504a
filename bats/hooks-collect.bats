#!/usr/bin/env bats
# How requirement files are read and kept, and which tags a host takes: hooks/lib/python, on the laptop and on the host. What collect makes of
# them with an index is in cli-pack.bats.

load helpers/hooks

setup() {
    bats_require_minimum_version 1.5.0
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
assert Target("Python 3.11.2+\n", []).python == "3.11.2"
assert Target("", []).markers() == {} and Target("", []).flags() == []
import platform
here, other = ("manylinux_2_28", "musllinux_1_2") if platform.libc_ver()[0] == "glibc" else ("musllinux_1_2", "manylinux_2_28")
assert "linux_x86_64" in Target("3.12", [here + "_x86_64"]).platforms
assert "linux_x86_64" not in Target("3.12", [other + "_x86_64"]).platforms
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
    [ "$("$HOOKS/handlers/python/collect" --look --no-wheels | jq -c '[.messages, .replace]')" = '[{},{}]' ]
    with_lib 'import host_pip
assert host_pip.run({}, "--version")[0] == 0'
    [ ! -e ran ]
}

@test "what is required: the service's own folder stands for the dependencies of its pyproject.toml, with extras; foreign lists are named with what to do [fault-263]" {
    mkdir libs && printf 'x\n' >libs/a.py
    cat >pyproject.toml <<'TOML'
[project]
name = "Thing.Web"
dependencies = ["flask>2"]
[project.optional-dependencies]
db = ["psycopg[binary]"]
all = ["thing-web[db]", "redis ; python_version > '3'"]
TOML
    with_lib 'assert [l.text for l in required()] == ["flask>2"]'
    for line in -e\ . . ./ -e\ file:. file:. --editable=. -e\ ../web; do
        printf '%s\nsix\n' "$line" >requirements.txt
        with_lib 'assert [l.text for l in required()] == ["flask>2", "six"], [l.text for l in required()]'
    done
    echo '-e .[all]' >requirements.txt
    with_lib 'assert [l.text for l in required()] == ["flask>2", "redis ; python_version > '"'3'"'", "psycopg[binary]"], [l.text for l in required()]'
    refused() { with_lib "try:
    raise SystemExit('taken: %s' % [l.text for l in required()])
except Problem as problem:
    assert '$1' in str(problem), problem"; }
    printf '[project]\nname = "x"\ndynamic = ["dependencies"]\n' >pyproject.toml
    refused "requirements.txt names '-e .[all]', but only its build knows what it needs: list that in requirements.txt" || refused "only its build knows"
    rm requirements.txt
    refused 'only its build knows'
    printf '[project]\nname = "x"\ndependencies = [\n' >pyproject.toml
    refused 'pyproject.toml: '
    printf '[tool.poetry.dependencies]\npython = "^3.11"\nflask = "^3"\n' >pyproject.toml
    refused 'poetry export -o requirements.txt'
    sed -i /flask/d pyproject.toml
    with_lib 'assert required() == []'
    printf '[tool.ruff]\nx = 1\n' >pyproject.toml
    printf '[[source]]\nurl = "x"\n\n[packages]\nflask = "*"\n' >Pipfile
    refused 'Pipfile says what it needs, but there is no requirements.txt: `pipenv requirements >requirements.txt` writes it'
    rm Pipfile
    printf 'from setuptools import setup\nsetup(install_requires=["flask"])\n' >setup.py
    refused 'setup.py says what it needs'
    printf -- '-r https://example.org/r.txt\n' >requirements.txt
    refused 'names https://example.org/r.txt: save that file'
}

@test "[fault-1246] a line that is no requirement is named, and so is a list of them that has another name than requirements.txt [fault-1294]" {
    refused() { TEXT=$1 with_lib "import os
try:
    raise SystemExit('taken: %s' % [l.text for l in required()])
except Problem as problem:
    assert os.environ['TEXT'] in str(problem), problem"; }
    for line in 'Package    Version' flask=3.1.3 'flask = 3.1.3' 'flask 3.1.3' '"flask"' 'flask: 3.1' ==3.1; do
        printf '%s\n' "$line" >requirements.txt
        refused "requirements.txt: '$line' is no requirement, such as flask==3.1; "
    done
    for line in 'Flask[async,dotenv] ~= 3.0' 'flask(>=3)' 'flask (>=3,<4)' flask, 'flask>=3,' 'f' 'zope.interface!=5' 'a_b===1' 'flask ;python_version>"3"' \
        'flask --global-option=x' 'flask@https://x/y.zip' 'flask @ file:///x' 'git+https://x/y' '${NAME}' 'flask==${V}' ./x 'libs/x[a]' 'x.whl'; do
        printf '%s\n' "$line" >requirements.txt
        with_lib 'assert len(required()) == 1'
    done
    rm requirements.txt
    mkdir requirements
    touch requirements.in requirements/test.txt
    echo flask | tee requirements-dev.txt requirements/dev.txt >requirements/docs.txt
    with_lib 'assert required() == []'
    for file in requirements.in requirements.lock Requirements.txt requirement.txt requirements/base.txt requirements/production.txt requirements-prod.txt; do
        echo flask >"$file"
        refused "$file says what it needs, but there is no requirements.txt: write one with the line '-r $file'; an empty one asks for nothing"
        [[ "$file" == */base.txt ]] || : >"$file" # one of production goes first
    done
    rm requirements/base.txt
    for file in environment.yml pylock.toml; do
        echo 'flask' >"$file"
        refused "$file says what it needs, but there is no requirements.txt: list there what it needs"
        rm "$file"
    done
    echo flask >requirements/base.txt
    touch requirements.txt
    with_lib 'assert required() == []'
    echo 'six @ file:///croot/six_1/work' >requirements.txt
    run "$HOOKS/handlers/python/collect" --look
    [[ "$output" == *"requirements.txt names /croot/six_1/work, which does not exist here: "*"--format=freeze"* ]]
}

@test "without --wheels pack sees what is missing in dep/, without pip or an index [fault-264]" {
    look() { "$HOOKS/handlers/python/collect" --look "$@"; }
    printf '\xef\xbb\xbfFlask_Cors>=1\r\nredis\r\ncolorama ; sys_platform == "win32"\r\n--index-url https://x/\r\n-c pins\r\n' >requirements.txt
    echo 'redis<9' >pins
    run -3 look
    [[ "$output" == "no wheel of flask-cors, redis in dep/: --wheels --python VERSION collects them, "* ]]
    touch dep/flask_cors-1.0-py3-none-any.whl
    run -3 look
    [[ "$output" == "no wheel of redis in dep/"* ]]
    run -0 look --no-wheels
    mkdir own && touch own/redis-1.0-py3-none-any.whl
    echo '--find-links=own' >>requirements.txt
    run -0 look
    for line in '-f own' '-fown' '--find-links own' '-e libs'; do # then a folder says what is asked for, too
        [ "$(printf '%s\n' "$line" >requirements.txt && look --no-wheels | jq -c 'has("depends")')" = false ]
    done
    [ "$(echo redis >requirements.txt && look --no-wheels | jq -c .depends)" = '["dep/chillbox.requirements.txt","pyproject.toml","requirements.txt"]' ]
    [ "$(printf -- '-r more\n-c pins\n' >requirements.txt && echo redis >more && look --no-wheels | jq -c .depends)" = \
        '["dep/chillbox.requirements.txt","more","pins","pyproject.toml","requirements.txt"]' ]
    for line in git+https://example.org/x.git ./libs "x @ https://example.org/x.zip"; do
        mkdir -p libs && printf '%s\n' "$line" >requirements.txt
        run -3 look
    done
    echo ./absent-1.0-py3-none-any.whl >requirements.txt
    run -1 look
    [ "$output" = "requirements.txt names ./absent-1.0-py3-none-any.whl, which does not exist" ]
    rm requirements.txt
    run -0 look
}

@test "pip's reason is its ERROR line, or what the program that it ran says, in one line [fault-265]" {
    with_lib 'from host_pip import first_error
assert first_error("WARNING: x\nERROR: No matching distribution found for a\nnote: this is not a problem with pip\n") == "No matching distribution found for a"
git = """  error: subprocess-exited-with-error

  \u00d7 git clone --quiet https://x/y.git /tmp/z did not run successfully.
  exit code: 128
fatal: repository not found
note: This error originates from a subprocess, and is likely not a problem with pip.
"""
assert first_error(git) == "git clone --quiet https://x/y.git /tmp/z did not run successfully: fatal: repository not found", first_error(git)
assert first_error("ERROR: Exception:\nTraceback:\n  x\nKeyError: 1\n") == "KeyError: 1"
assert first_error("") == "pip failed without a word"'
}
