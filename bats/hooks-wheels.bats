#!/usr/bin/env bats
# A Python service's layer that is unpacked without pip: it is the one that pip would make, and pip still decides where there is something to choose.

# shellcheck disable=SC2154,SC2030,SC2031 # $stderr comes from run --separate-stderr, $HOOKS from hook_setup

load helpers/hooks

setup_file() {
    cd "$BATS_TEST_DIRNAME/.." || return
    WHEELS=$(cd "$(sh tests/hooks/get-wheels flask gunicorn setuptools wheel)" && pwd)
    export WHEELS TESTS=$PWD/tests/hooks
}

setup() {
    bats_require_minimum_version 1.5.0
    hook_setup
    python=$HOOKS/handlers/python-worker
    export CHILLBOX_RUN_CMD=''
    site_packages=lib/python$(/usr/bin/python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')/site-packages
}

wheel() { python3 "$TESTS/odd-wheel" "$@"; }
require() { printf '%s\n' "$@" >requirements.txt; }

# The layer of a build that is as new as if there had been none.
layer() { readlink "$CHILLBOX_BUILD_DIR/layer"; }
afresh() { rm -rf "$CHILLBOX_CACHE_DIR"/* "$CHILLBOX_LAYER_DIR"; }
installer() { cat "$(layer)/$site_packages/$1"-*.dist-info/INSTALLER; }

# Hooks whose pip is another program: pip_is SHELL...
pip_is() {
    cp -R "$HOOKS" "$BATS_TEST_TMPDIR/hooks"
    printf 'pip() { %s; }\n' "$*" >>"$BATS_TEST_TMPDIR/hooks/lib/python/common"
    python=$BATS_TEST_TMPDIR/hooks/handlers/python-worker
}

odd_wheel() {
    wheel dep odd 1.0 --file odd/__init__.py 'VERSION = 1' --file odd/old.py 'print "of Python 2"' --file odd/unrecorded.txt x --file space/odd/inside.py '' \
        --file odd-1.0.data/purelib/pure.py '' --file odd-1.0.data/platlib/deep/plat.py '' --file odd-1.0.data/headers/odd.h '' \
        --file odd-1.0.data/data/share/odd/Grüße.txt 'hello\n' --file odd-1.0.data/scripts/odd-sh '#!/bin/sh\n' --mode 100755 \
        --file odd-1.0.data/scripts/odd-python '#!python -E\nprint(1)\n' --file odd/program '#!/bin/sh\n' --file odd-1.0.data/scripts/oddly '#!python\n' \
        --mode 100644 --file odd.pth 'import odd\n' --file odd-1.0.data/scripts/oddly-script.py '#!python\n' --file odd-1.0.dist-info/INSTALLER x \
        --file odd-1.0.dist-info/entry_points.txt '# x\n[console_scripts]\noddly = odd.cli:main\nodd.two=odd:Class.method [more]\n[gui_scripts]\nshown = odd:x\n[other]\na = b\n'
    wheel dep other_odd 2.0 'Requires-Dist: odd (>=1.0)' --file space/other/inside.py ''
}

@test "the layer that is unpacked is the one that pip makes of the same wheels" {
    cp "$WHEELS"/*.whl dep/
    odd_wheel
    require flask gunicorn setuptools wheel 'Other.Odd >= 2 ; python_version > "3"' 'absent ; sys_platform == "win32"'
    with_dash "$python/build"
    [ "$(installer flask)$(installer odd)" = chillboxchillbox ]
    [ -x "$(layer)/$site_packages/odd/program" ]
    [ ! -e "$(layer)/bin/oddly-script.py" ]
    mv "$(layer)" "$BATS_TEST_TMPDIR/ours"
    cp -R "$HOOKS" "$BATS_TEST_TMPDIR/hooks"
    printf 'raise SystemExit(4)\n' >"$BATS_TEST_TMPDIR/hooks/lib/python/unpack.py"
    with_dash "$BATS_TEST_TMPDIR/hooks/handlers/python-worker/build"
    [ "$(installer flask)" = pip ]
    run -0 "$TESTS/same-layer" "$BATS_TEST_TMPDIR/ours" "$(layer)"
    # It can tell.
    printf 'x' >>"$BATS_TEST_TMPDIR/ours/share/odd/Grüße.txt"
    run -1 "$TESTS/same-layer" "$BATS_TEST_TMPDIR/ours" "$(layer)"
}

@test "two builds of the same wheels make the same tree, whose bytecode is right whatever the times of its files are" {
    cp "$WHEELS"/*.whl dep/
    rm dep/setuptools-*
    odd_wheel
    require flask other-odd
    for shell in with_dash with_ash; do
        afresh
        "$shell" "$python/build"
        (cd "$(layer)" && find . -type f -exec sha256sum {} + | sort; find . -printf '%p %m %l\n' | sort) >"$BATS_TEST_TMPDIR/$shell"
    done
    cmp "$BATS_TEST_TMPDIR/with_dash" "$BATS_TEST_TMPDIR/with_ash"
    grep -q 'flask/__pycache__/app\.' "$BATS_TEST_TMPDIR/with_dash"
    run ! grep -q 'odd/__pycache__/old' "$BATS_TEST_TMPDIR/with_dash"
    find "$(layer)/" -name '*.py' -exec touch -d 2001-01-01 {} +
    env -i "$CHILLBOX_BUILD_DIR/venv/bin/python3" -v -c 'import flask.app' 2>"$BATS_TEST_TMPDIR/verbose"
    grep -q "code object from .*flask/__pycache__/app" "$BATS_TEST_TMPDIR/verbose"
    run ! grep -q "flask.*bytecode is stale\|# wrote .*flask" "$BATS_TEST_TMPDIR/verbose"
}

@test "where nothing is to be chosen pip is not asked: hashes, extras, an older wheel that was left in dep, one that another Python needs" {
    pip_is 'echo asked >&2; return 1'
    wheel dep one 1.0 'Provides-Extra: more' 'Requires-Dist: two ; extra == "more"' "Requires-Dist: absent ; python_version < '3' and extra == 'more'"
    wheel dep two 1.9
    wheel dep two 1.10
    require 'one[more]==1.0'
    with_dash "$python/build"
    [ "$(env -i "$CHILLBOX_BUILD_DIR/venv/bin/python3" -c 'import one, two; print(one.VERSION, two.VERSION)')" = "1.0 1.10" ]
    rm dep/two-1.9*
    printf 'one[more]==1.0 --hash=sha256:%s\ntwo==1.10 \\\n  --hash=sha256:%064d --hash=sha256:%s\n' "$(sha256sum dep/one-* | cut -c 1-64)" 0 \
        "$(sha256sum dep/two-* | cut -c 1-64)" >requirements.txt
    with_dash "$python/build"
    [ "$(installer two)" = chillbox ]
    [ -z "$(ls "$CHILLBOX_LAYER_DIR")" ]
}

@test "markers are decided as pip's own parser does" {
    cat >ask.py <<'END'
import itertools, os, sys
sys.argv = ["ask"]
sys.path.insert(0, os.environ["HOOKS"] + "/lib/python")
import wheels
from pip._vendor.packaging import markers

names = ["python_version", "sys_platform", "os_name", "platform_system", "platform_machine", "platform_python_implementation", "extra", "implementation_name"]
values = ["3", "3.%d" % sys.version_info[1], "3.2", "3.99", "linux", "win32", "posix", "Linux", "x86_64", "CPython", "PyPy", "one", "ONE", "two_b", "two-b", ""]
simple = ["%s %s '%s'" % words for words in itertools.product(names, ["==", "!=", "<", ">=", "in", "not in", "~="], values)]
simple += ["'%s' == %s" % words for words in itertools.product(values, names)]
joined = ["%s and (%s or %s)", "(%s or %s) and %s", "%s or %s and %s", "%s and %s and %s"]
some = simple[::7]
more = [form % (some[i], some[(i * 5 + 3) % len(some)], some[(i * 11 + 1) % len(some)]) for i in range(len(some)) for form in joined]
quick = 0
for text, extra in itertools.product(simple + more, ["", "one", "two-b"]):
    try:
        theirs = markers.Marker(text).evaluate({"extra": extra})
    except Exception:
        continue
    ours = wheels.Marker(text).decide(extra)
    # An older pip compares extras as they are written.
    unclear = "extra" in text and ("ONE" in text or "two_b" in text)
    assert ours is None or ours == theirs or unclear, (text, extra, ours, theirs)
    quick += ours is not None
assert quick > 500, quick
for text in ["((" * 5000, "python_version", "not extra == 'x'", "extra == 'a' 'b' if 1 else 2", "__import__('os')", "python_version < '\\x33'", "1 < 2"]:
    assert wheels.Marker(text).decide("") is None, text
END
    HOOKS=$HOOKS /usr/bin/python3 -I -S -B ask.py
}

@test "pip decides where there is something to choose, and of what is unusual [fault-1040]" {
    pip_is 'echo asked >&2; return 1'
    asked() {
        afresh
        run --separate-stderr with_dash "$python/build"
        [[ "$status" -eq 3 && "$stderr" == *asked* ]] || { printf '%s: %s\n' "$1" "$stderr"; false; }
    }
    wheel dep one 1.0 'Requires-Dist: two<2'
    wheel dep two 1.0
    wheel dep two 2.0
    require one two
    asked "two requirements take two versions"
    rm dep/two-2.0*
    wheel dep two 1.1rc1
    asked "a version before its release"
    rm dep/two-1.1*
    wheel "$CHILLBOX_WHEELHOUSE" two 1.0
    asked "the same version twice"
    rm "$CHILLBOX_WHEELHOUSE"/*
    printf 'two<2\n' >pins.txt
    for lines in '-c pins.txt' '--require-hashes' '--pre' './dep/two-1.0-py3-none-any.whl' 'two @ file:dep/two-1.0-py3-none-any.whl' '-e ./two' 'two[more]' \
        "two${NAME:-\${NAME}}" 'two==1.*,>=1 --hash=sha256:00'; do
        require one "$lines"
        asked "$lines"
    done
    printf 'one==1.0 --hash=sha256:%s\n' "$(sha256sum dep/one-* | cut -c 1-64)" >requirements.txt
    asked "a hash is missing"
    printf 'one --hash=sha256:%s\ntwo==1.0 --hash=sha256:%s\n' "$(sha256sum dep/one-* | cut -c 1-64)" "$(sha256sum dep/two-* | cut -c 1-64)" >requirements.txt
    asked "a version is not exact"
    require odd
    for unusual in '--file odd.pyc x' '--file odd-1.0.data/nowhere/x x' '--file odd-1.0.data/x x' '--file a\\b x' '--file ./a x' '--file a//b x' \
        '--file odd.py x --file odd-1.0.data/purelib/odd.py x' '--file odd x --file odd/x y' '--mode 120777 --file odd.py /etc/passwd' Requires-Python:\<3 \
        '--file other-1.0.dist-info/x x' '--file odd-1.0.dist-info/entry_points.txt [console_scripts]\nx=odd' \
        '--file odd-1.0.dist-info/entry_points.txt [console_scripts]\npip=odd:x' '--file odd-1.0.dist-info/WHEEL Wheel-Version:\x202.0'; do
        # shellcheck disable=SC2086 # words
        wheel dep odd 1.0 $unusual
        asked "$unusual"
    done
    wheel dep odd 1.0 --file two.py 'x = 1'
    require odd two
    asked "a file of two wheels"
}

@test "a wheel that is damaged is named, and nothing of its layer is left [fault-1041]" {
    pip_is 'echo asked >&2; return 1'
    files=()
    for i in $(seq 60); do files+=(--file "one/m$i.py" "$(printf 'x = "%04000d"' 0)"); done # enough for several processes
    for damaged in 1 2; do
        wheel dep one 1.0 "${files[@]}"
        python3 - dep/one-1.0-py3-none-any.whl "one/m$damaged.py" <<'END'
import sys, zipfile
data = bytearray(open(sys.argv[1], "rb").read())
entry = zipfile.ZipFile(sys.argv[1]).getinfo(sys.argv[2])
data[entry.header_offset + 30 + len(entry.filename) + entry.compress_size - 3] ^= 0xff
open(sys.argv[1], "wb").write(data)
END
        require one
        for shell in with_dash with_ash; do
            run -3 --separate-stderr "$shell" "$python/build"
            [[ "$stderr" == "build: dep/one-1.0-py3-none-any.whl: one/m$damaged.py cannot be unpacked: "* ]]
            [ "${#stderr_lines[@]}" -eq 1 ]
            [ -z "$(ls -A "$CHILLBOX_LAYER_DIR")$(ls "$CHILLBOX_CACHE_DIR")" ]
        done
    done
}

@test "no file, program or link of a wheel is written outside of its layer, or in place of the environment's own [attack-W63]" {
    refused() {
        wheel dep evil 1.0 "$@"
        before=$(find "$top" | sort)
        run -3 --separate-stderr with_dash "$python/build"
        [[ "$stderr" == "build: dep/evil-1.0-py3-none-any.whl: refused: it "* ]] || { printf '%s: %s\n' "$*" "$stderr"; false; }
        [ "$(find "$top" | sort)" = "$before" ]
        [ ! -e "$BATS_TEST_TMPDIR/out" ]
    }
    require evil
    mkdir -p "$CHILLBOX_LAYER_DIR"
    for path in ../evil.py ../../../../../evil.py "$BATS_TEST_TMPDIR/out" a/../../../../../evil.py evil-1.0.data/data/../../evil evil-1.0.data/scripts/../../evil \
        evil-1.0.data/purelib/../evil.py evil-1.0.data/../evil.py; do
        refused --file "$path" x
    done
    for path in evil-1.0.data/data/pyvenv.cfg evil-1.0.data/scripts/python3 evil-1.0.data/scripts/python; do
        refused --file "$path" x
    done
    for name in ../../../evil "$BATS_TEST_TMPDIR/out" a/../../../evil; do
        refused --file evil-1.0.dist-info/entry_points.txt "[console_scripts]\n$name = evil:main\n"
    done
    # A link of a zip file is a file here, as it is for pip, so that nothing goes through it.
    wheel dep evil 1.0 --mode 120777 --file evil "$BATS_TEST_TMPDIR" --mode 100644 --file evil/out x
    run -3 --separate-stderr with_dash "$python/build"
    [ -z "$(ls -A "$CHILLBOX_LAYER_DIR")" ]
    [ ! -e "$BATS_TEST_TMPDIR/out" ]
}
