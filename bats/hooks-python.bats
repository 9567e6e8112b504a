#!/usr/bin/env bats
# The python handler with real wheels: layers, environments, the argv, and what it says when wheels are missing.

# shellcheck disable=SC2154,SC2030,SC2031 # $stderr comes from run --separate-stderr, $HOOKS from hook_setup

load helpers/hooks

setup_file() {
    cd "$BATS_TEST_DIRNAME/.." || return
    WHEELS=$(cd "$(sh tests/hooks/get-wheels flask gunicorn setuptools wheel)" && pwd)
    export WHEELS
    # Shared by the tests: the same inputs make the same layer, which takes seconds to install.
    export LAYERS=$BATS_FILE_TMPDIR/layers
    mkdir "$LAYERS"
}

setup() {
    bats_require_minimum_version 1.5.0
    hook_setup
    python=$HOOKS/handlers/python
    own_cache=$CHILLBOX_CACHE_DIR
    export CHILLBOX_CACHE_DIR=$LAYERS
}

teardown() { [ -z "${open-}" ] || rm -rf -- "$open"; }

# A site whose wheels are all in the artifact, but for gunicorn and what it needs: those are the host's.
flask_site() {
    cp -p "$WHEELS"/*.whl dep/ # a layer that another test made is found by their times
    rm dep/setuptools-* dep/wheel-*
    mv dep/gunicorn-* dep/packaging-* "$CHILLBOX_WHEELHOUSE/"
    printf 'flask\n' >requirements.txt
    mkdir my_blog_web
    printf 'from flask import Flask\ndef create_app():\n    app = Flask(__name__)\n    app.get("/")(lambda: "hello from " + __file__)\n    return app\n' \
        >my_blog_web/app.py
}

layers() { ls "$CHILLBOX_CACHE_DIR"; }
fresh_cache() { export CHILLBOX_CACHE_DIR=$own_cache; }
inside() { env -i "$CHILLBOX_BUILD_DIR/venv/bin/python3" -c "$1"; }

@test "every handler says what it is in kind.json" {
    for handler in "$HOOKS"/handlers/*; do
        jq -e '(.listens == "unix" or .listens == "tcp" or .listens == "no") and (.build | type == "boolean") and (.public | type == "array")' "$handler/kind.json"
    done
}

@test "a build under each shell, twice, makes one layer and an environment that starts" {
    flask_site
    fresh_cache
    twice "$python/build"
    [ "$(layers | wc -l)" -eq 1 ]
    [ "$(readlink "$CHILLBOX_BUILD_DIR/layer")" = "$CHILLBOX_CACHE_DIR/$(layers)" ]
    inside 'import flask, gunicorn, my_blog_web.app; assert flask.__file__.startswith("'"$CHILLBOX_BUILD_DIR/layer/"'"), flask.__file__'
    [ "$(head -n 1 "$CHILLBOX_BUILD_DIR/venv/bin/flask")" = "#!$CHILLBOX_BUILD_DIR/venv/bin/python3" ]
    "$CHILLBOX_BUILD_DIR/venv/bin/flask" --version | grep -q Flask
    # Compiled, so that the first start need not.
    ls "$CHILLBOX_CACHE_DIR"/*/lib/python3*/site-packages/flask/__pycache__/app.*.pyc
    run ! grep -rq "$CHILLBOX_LAYER_DIR" "$CHILLBOX_BUILD_DIR"
}

@test "a build needs no more than its two directories, and cannot write to the cache [attack-C3]" {
    [ "$(id -u)" -eq 0 ] || skip "needs root: it becomes another user"
    flask_site
    open=$(mktemp -d)
    chmod 0755 "$open"
    cp -R "$top/." "$open/"
    cp -R "$HOOKS" "$open/hooks"
    rm -f "$open/releases/1/web/requirements.txt"
    mkdir "$open/home"
    chown -R nobody "$open/releases/1/.chillbox"
    export CHILLBOX_RELEASE_DIR=$open/releases/1 CHILLBOX_CACHE_DIR=$open/cache CHILLBOX_WHEELHOUSE=$open/wheelhouse HOME=$open/home
    export CHILLBOX_SERVICE_DIR=$CHILLBOX_RELEASE_DIR/web CHILLBOX_BUILD_DIR=$CHILLBOX_RELEASE_DIR/.chillbox/web
    export CHILLBOX_LAYER_DIR=$CHILLBOX_RELEASE_DIR/.chillbox/.work/layers
    cd "$open"
    PATH=/usr/bin:/bin setpriv --reuid=nobody --regid=nogroup --clear-groups -- "$open/hooks/handlers/python/build"
    PATH=/usr/bin:/bin setpriv --reuid=nobody --regid=nogroup --clear-groups -- "$CHILLBOX_BUILD_DIR/venv/bin/gunicorn" --version
    cd /
}

@test "the built service answers on the socket that it is handed, and leaves it there, with the argv of the command hook" {
    flask_site
    with_dash "$python/build"
    export CHILLBOX_SLOT=a CHILLBOX_SOCKET=$BATS_TEST_TMPDIR/web.sock
    mapfile -t argv < <(with_dash "$python/command")
    handed "$CHILLBOX_SOCKET" "${argv[@]}" 2>"$BATS_TEST_TMPDIR/log" 3>&- &
    server=$!
    for _ in $(seq 100); do [ ! -S "$CHILLBOX_SOCKET" ] || break; sleep 0.05; done
    answer=$(curl -s -m 5 --unix-socket "$CHILLBOX_SOCKET" http://x/ || :)
    kill "$server"
    wait "$server" || :
    [ -S "$CHILLBOX_SOCKET" ]
    [ "$answer" = "hello from $CHILLBOX_SERVICE_DIR/my_blog_web/app.py" ] || { cat "$BATS_TEST_TMPDIR/log"; false; }
}

@test "an unchanged set of requirements is not installed again, whatever else of the release changed" {
    flask_site
    with_dash "$python/build"
    layer=$(basename "$(readlink "$CHILLBOX_BUILD_DIR/layer")")
    before=$(layers)
    touch -d '2001-01-01' "$CHILLBOX_CACHE_DIR/$layer/pyvenv.cfg"
    export CHILLBOX_RELEASE_DIR=$top/releases/2
    cp -R "$top/releases/1" "$CHILLBOX_RELEASE_DIR"
    export CHILLBOX_SERVICE_DIR=$CHILLBOX_RELEASE_DIR/web CHILLBOX_BUILD_DIR=$CHILLBOX_RELEASE_DIR/.chillbox/web
    cd "$CHILLBOX_SERVICE_DIR"
    printf '\n# new\n' >>my_blog_web/app.py
    begun=$(date +%s%N)
    with_dash "$python/build"
    took=$((($(date +%s%N) - begun) / 1000000))
    echo "# a build with unchanged requirements: $took ms" >&3
    [ "$took" -lt 2000 ] # installing takes longer than that
    [ "$(layers)" = "$before" ]
    [ "$(stat -c %Y "$CHILLBOX_CACHE_DIR/$layer/pyvenv.cfg")" = "$(date -d '2001-01-01' +%s)" ]
    inside 'import my_blog_web.app as a; assert a.__file__.startswith("'"$CHILLBOX_SERVICE_DIR"'"), a.__file__'
}

@test "another requirement, wheel, worker class or wheelhouse makes another layer" {
    flask_site
    fresh_cache
    # Only the name counts here: an installation that does nothing, and quickly.
    cp -R "$HOOKS" "$BATS_TEST_TMPDIR/hooks"
    sed -i 's/^install_layer() {/&\n  return 0/' "$BATS_TEST_TMPDIR/hooks/lib/python/layer"
    name() { with_dash "$BATS_TEST_TMPDIR/hooks/handlers/python/build" && readlink "$CHILLBOX_BUILD_DIR/layer"; }
    first=$(name)
    [ "$(name)" = "$first" ]
    printf 'click\n' >>requirements.txt
    second=$(name)
    printf 'x' >>dep/click-*.whl
    third=$(name)
    touch "$CHILLBOX_WHEELHOUSE/more-1.0-py3-none-any.whl"
    fourth=$(name)
    fifth=$(CHILLBOX_WORKER_CLASS=gevent name)
    printf -- '-r more.txt\n' >>requirements.txt
    printf 'jinja2\n' >more.txt
    sixth=$(name)
    printf 'werkzeug\n' >>more.txt
    seventh=$(name)
    [ "$(printf '%s\n' "$first" "$second" "$third" "$fourth" "$fifth" "$sixth" "$seventh" | sort -u | wc -l)" -eq 7 ]
}

@test "hashes in requirements.txt are kept to: right ones install, a wrong one is refused" {
    flask_site
    fresh_cache
    for wheel in dep/*.whl; do
        name=$(basename "$wheel" | cut -d - -f 1)
        version=$(basename "$wheel" | cut -d - -f 2)
        printf '%s==%s --hash=sha256:%s\n' "$name" "$version" "$(sha256sum "$wheel" | cut -d ' ' -f 1)"
    done >requirements.txt
    with_dash "$python/build"
    inside 'import flask, gunicorn'
    sed -i 's/\(^click.*sha256:\)..../\10000/' requirements.txt
    run --separate-stderr with_dash "$python/build"
    [ "$status" -eq 3 ]
    [[ "$stderr" == *"DO NOT MATCH"* ]]
    [ "$(layers | wc -l)" -eq 1 ]
}

@test "preflight says nothing when all is there, also what wheels require themselves, and changes nothing" {
    flask_site
    before=$(find "$top" | sort)
    for shell in with_dash with_ash; do
        run -0 --separate-stderr "$shell" "$python/preflight"
        [ -z "$output$stderr" ]
    done
    [ "$(find "$top" | sort)" = "$before" ]
}

@test "preflight does not look at wheels again when a layer of the very same inputs is there" {
    flask_site
    cp -r "$HOOKS" "$BATS_TEST_TMPDIR/hooks"
    hook=$BATS_TEST_TMPDIR/hooks/handlers/python
    printf 'print("looked")\n' >"$BATS_TEST_TMPDIR/hooks/lib/python/wheels.py"
    run -0 with_dash "$hook/preflight"
    [ "$output" = looked ]
    with_dash "$hook/build"
    CHILLBOX_LAYERS=$(layers) run -0 with_dash "$hook/preflight"
    [ -z "$output" ]
    CHILLBOX_LAYER='' CHILLBOX_LAYERS=$(layers) run -0 with_dash "$hook/preflight"
    [ "$output" = "layer $(layers)" ]
    printf '# another text\n' >>requirements.txt
    CHILLBOX_LAYERS=$(layers) run -0 with_dash "$hook/preflight"
    [ "$output" = looked ]
}

@test "preflight names each wheel that is missing, too old, foreign, of another hash, only a source, or required by another, at once" {
    flask_site
    rm dep/click-* dep/jinja2-*
    touch dep/fast-1.0-cp27-cp27m-win32.whl dep/slow-2.0.tar.gz
    mkdir more
    printf 'deep==1.0\n' >more/base.txt
    printf -- '-r more/base.txt\nflask\nitsdangerous==0.1\nfast\nslow\nfar @ https://example.org/far.zip\nother ; sys_platform == "win32"\n' >requirements.txt
    for shell in with_dash with_ash; do
        run -0 "$shell" "$python/preflight"
        [[ "$output" == *"missing: click"*" (for flask): no wheel of it"* ]]
        [[ "$output" =~ missing:\ [jJ]inja2.*\(for\ flask\):\ no\ wheel ]]
        [[ "$output" == *"missing: itsdangerous==0.1: there is only "* ]]
        [[ "$output" == *"missing: fast: does not fit this host: dep/fast-1.0-cp27-cp27m-win32.whl"* ]]
        [[ "$output" == *"missing: slow: no wheel of it, only its source dep/slow-2.0.tar.gz"* ]]
        [[ "$output" == *"missing: far@ https://example.org/far.zip: there is no network here"* || "$output" == *"missing: far @ https://example.org/far.zip: there is no network here"* ]]
        [[ "$output" == *"missing: deep==1.0: no wheel of it"* ]]
        [[ "$output" != *other* ]]
        [[ "${lines[0]}" =~ ^missing:.*\;\ .pack\ --wheels\ --python\ 3\.[0-9]+\.[0-9]+\ --platform\ m[a-z]+linux_[0-9_]+_[a-z0-9_]+.\ collects ]]
    done
    rm -r more dep/fast-* dep/slow-*
    printf 'itsdangerous --hash=sha256:%064d\n' 0 >requirements.txt
    run -0 with_dash "$python/preflight"
    [[ "$output" == *"missing: itsdangerous: no hash in requirements.txt is that of dep/itsdangerous-"* ]]
    printf 'itsdangerous \\\n  --hash=sha256:%s\n' "$(sha256sum dep/itsdangerous-*.whl | cut -c 1-64)" >requirements.txt
    run -0 with_dash "$python/preflight"
    [ -z "$output" ]
}

@test "preflight says how a wheel is to be named that was saved a second time [fault-1273]" {
    printf 'odd\n' >requirements.txt
    mkdir -p dep
    for saved in 'odd-1.0-py3-none-any (1)' 'odd-1.0-py3-none-any(2)' 'odd-1.0-py3-none-any - Copy'; do
        touch "dep/$saved.whl"
        run -0 with_dash "$python/preflight"
        [[ "$output" == *"dep/$saved.whl"*": rename it to odd-1.0-py3-none-any.whl"* ]]
        rm "dep/$saved.whl"
    done
}

@test "missing, too old and foreign wheels are all named, with how to collect them for this host; nothing is left behind" {
    flask_site
    fresh_cache
    rm dep/click-*
    touch dep/fast-1.0-cp27-cp27m-win32.whl
    printf 'flask>=99\nclick\nfast\nnot-there==1.0 ; python_version > "2"\nother ; sys_platform == "win32"\n' >requirements.txt
    for shell in with_dash with_ash; do
        run --separate-stderr "$shell" "$python/build"
        [ "$status" -eq 3 ]
        [[ "$stderr" == *"missing: flask>=99: there is only 3."* ]]
        [[ "$stderr" == *"missing: click: no wheel of it"* ]]
        [[ "$stderr" == *"missing: fast: does not fit this host: dep/fast-1.0-cp27-cp27m-win32.whl"* ]]
        [[ "$stderr" == *"missing: not-there==1.0"* ]]
        [[ "$stderr" != *"missing: other"* ]]
        [[ "$stderr" =~ --wheels\ --python\ 3\.[0-9]+\.[0-9]+\ --platform\ m[a-z]+linux_[0-9_]+_[a-z0-9_]+.\ collects ]]
        [ -z "$(layers)" ]
    done
}

@test "preflight runs nothing that a user's or the host's site-packages bring, and reads no file outside of the service [attack-A1][attack-D11]" {
    flask_site
    export HOME=$BATS_TEST_TMPDIR/home
    for packages in "$HOME/.local/lib/python$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')/site-packages" "$BATS_TEST_TMPDIR/path"; do
        mkdir -p "$packages"
        printf 'import os; open("%s/ran", "w")\n' "$BATS_TEST_TMPDIR" >"$packages/x.pth"
        printf 'open("%s/ran", "w")\n' "$BATS_TEST_TMPDIR" | tee "$packages/sitecustomize.py" >"$packages/zipfile.py"
    done
    printf 'open("%s/ran", "w")\n' "$BATS_TEST_TMPDIR" | tee email.py >glob.py
    printf 'whisper==1\n' >"$BATS_TEST_TMPDIR/secret"
    ln -s "$BATS_TEST_TMPDIR/secret" linked.txt
    printf -- '-r %s\n-r ../../../../secret\n-r linked.txt\n' "$BATS_TEST_TMPDIR/secret" >>requirements.txt
    for shell in with_dash with_ash; do
        PYTHONPATH=$BATS_TEST_TMPDIR/path PYTHONSTARTUP=$BATS_TEST_TMPDIR/path/zipfile.py run -0 "$shell" "$python/preflight"
        [ ! -e "$BATS_TEST_TMPDIR/ran" ]
        [[ "$output" != *whisper* ]]
        [ "$(grep -c "which is not in the service's folder" <<<"$output")" -eq 3 ]
    done
}

@test "preflight reads no more than a megabyte of requirements or of a wheel's METADATA [attack-D11]" {
    flask_site
    head -c 3000000 /dev/zero | tr '\0' '#' >large.txt
    printf -- '-r large.txt\nlarge\n' >>requirements.txt
    python3 - <<'END'
import zipfile
with zipfile.ZipFile("dep/large-1.0-py3-none-any.whl", "w", zipfile.ZIP_DEFLATED) as z:
    z.writestr("large-1.0.dist-info/METADATA", "Name: large\n" + "X: y\n" * (200 << 20 >> 3))
END
    (ulimit -v 300000 && run -0 with_dash "$python/preflight" && [[ "$output" == *"large.txt: over 1048576 bytes"*"dep/large-1.0-py3-none-any.whl: its METADATA has over 1048576 bytes"* ]])
}

@test "no source distribution is ever built or run for a dependency" {
    flask_site
    mkdir -p sd/evil-1.0
    printf 'import os\nopen("%s/ran", "w")\nfrom setuptools import setup\nsetup(name="evil", version="1.0")\n' "$BATS_TEST_TMPDIR" >sd/evil-1.0/setup.py
    printf 'Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n' >sd/evil-1.0/PKG-INFO
    tar -czf dep/evil-1.0.tar.gz -C sd evil-1.0
    printf 'evil\n' >>requirements.txt
    run --separate-stderr with_dash "$python/build"
    [ "$status" -eq 3 ]
    [ ! -e "$BATS_TEST_TMPDIR/ran" ]
}

@test "a service without requirements gets gunicorn from the host" {
    flask_site
    rm requirements.txt dep/*
    twice "$python/build"
    inside 'import gunicorn'
    run ! inside 'import flask'
}

@test "a package: its own wheel in dep goes first, then what its build system makes, else its folder" {
    flask_site
    mkdir -p src/thing
    printf 'where = __file__\n' >src/thing/__init__.py
    printf '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n[project]\nname = "Thing.Web"\nversion = "1.0"\n' >pyproject.toml
    with_dash "$python/build"
    [ "$(inside 'import thing; print(thing.where)')" = "$CHILLBOX_SERVICE_DIR/src/thing/__init__.py" ]
    cp "$WHEELS"/setuptools-* "$WHEELS"/wheel-* dep/
    with_dash "$python/build"
    with_ash "$python/build"
    [[ "$(inside 'import thing; print(thing.where)')" == "$CHILLBOX_BUILD_DIR/venv/"* ]]
    [ ! -e "$CHILLBOX_BUILD_DIR/source" ]
    [ ! -e build ]
    env -i "$CHILLBOX_BUILD_DIR/venv/bin/python3" - "$CHILLBOX_SERVICE_DIR/dep" <<'END'
import sys, zipfile
with zipfile.ZipFile(sys.argv[1] + "/thing_web-2.0-py3-none-any.whl", "w") as z:
    z.writestr("thing/__init__.py", "where = 'wheel'\n")
    z.writestr("thing_web-2.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: thing-web\nVersion: 2.0\n")
    z.writestr("thing_web-2.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    z.writestr("thing_web-2.0.dist-info/RECORD", "")
END
    with_dash "$python/build"
    [ "$(inside 'import thing; print(thing.where)')" = wheel ]
}

# settings NAME...: what gunicorn, started as the service is, says of them
settings() {
    mapfile -t argv < <(with_dash "$python/command")
    (cd "$CHILLBOX_SERVICE_DIR" && env -i PATH=/usr/bin:/bin ${CMD_ARGS:+GUNICORN_CMD_ARGS="$CMD_ARGS"} ${REQUEST:+CHILLBOX_REQUEST_TIMEOUT="$REQUEST"} \
        "${argv[@]}" "${MORE[@]}" --print-config) | sed -n "$(printf 's/^%s *= /&/p;' "$@")" | sed 's/ *= /=/' | sort | tr '\n' ' '
}

@test "[fault-1067] command: the site file goes before gunicorn.conf.py, and that before the defaults, however it sets something [fault-1152]" {
    flask_site
    with_dash "$python/build"
    mkdir -p my_blog_web && printf 'def create_app():\n    return lambda env, start: []\n' >my_blog_web/app.py
    export CHILLBOX_SLOT=b CHILLBOX_SOCKET=/run/x/web.b.sock
    plain=$(with_dash "$python/command")
    [ "$(with_ash "$python/command")" = "$plain" ]
    [ "$(head -n 1 <<<"$plain")" = "$CHILLBOX_BUILD_DIR/venv/bin/python3" ]
    [[ "$(sed -n 2p <<<"$plain")" == /*/hooks/lib/python/gunicorn_start.py ]]
    [ "$(sed -n 3p <<<"$plain")" = 'my_blog_web.app:create_app()' ]
    [[ "$plain" != *--bind* && "$plain" != *--workers* && "$plain" != *--access-logfile* ]]
    MORE=() CMD_ARGS='' REQUEST=''
    [ "$(settings timeout graceful_timeout forwarded_allow_ips limit_request_line)" = \
        "forwarded_allow_ips=['*'] graceful_timeout=120 limit_request_line=8190 timeout=120 " ] || { settings timeout graceful_timeout forwarded_allow_ips limit_request_line; false; }
    [ "$(REQUEST=45 settings graceful_timeout)" = "graceful_timeout=45 " ]
    printf 'timeout, workers = 300, 3\ngraceful_timeout: int = 5\n' >gunicorn.conf.py
    [ "$(settings timeout graceful_timeout workers)" = "graceful_timeout=5 timeout=300 workers=3 " ]
    [ "$(CHILLBOX_REQUEST_TIMEOUT=45 settings timeout graceful_timeout)" = "graceful_timeout=5 timeout=45 " ]
    printf 'timeout = 301\ngraceful_timeout = 7\n' >base_conf.py
    printf 'import sys; sys.path.insert(0, ".")\nfrom base_conf import *\n' >gunicorn.conf.py
    [ "$(settings timeout graceful_timeout limit_request_line)" = "graceful_timeout=7 limit_request_line=8190 timeout=301 " ]
    MORE=(--config base_conf.py) && rm gunicorn.conf.py
    [ "$(settings timeout graceful_timeout)" = "graceful_timeout=7 timeout=301 " ]
    MORE=() && [ "$(CMD_ARGS='--timeout 9' settings timeout graceful_timeout)" = "graceful_timeout=120 timeout=9 " ]
    set_up=$(CHILLBOX_APP='a:b("x y")' CHILLBOX_WORKERS=3 CHILLBOX_WORKER_CLASS=gthread CHILLBOX_MAX_REQUESTS=9 CHILLBOX_MAX_REQUESTS_JITTER=2 \
        CHILLBOX_LOG_LEVEL=debug with_dash "$python/command")
    [[ "$set_up" == *$'--workers\n3\n--worker-class\ngthread\n--max-requests\n9\n--max-requests-jitter\n2\n--log-level\ndebug\n'* ]]
    [ "$(tail -n 1 <<<"$set_up")" = 'a:b("x y")' ]
    # nothing of the folder of hooks is found by the application
    printf 'import sys\ndef create_app():\n    sys.exit(any("hooks" in folder for folder in sys.path))\n' >my_blog_web/app.py
    mapfile -t argv <<<"$plain"
    (cd "$CHILLBOX_SERVICE_DIR" && "${argv[@]}" --check-config)
}

@test "[fault-1239] gunicorn.conf.py names the application and its folder: wsgi_app and chdir, unless the site file has app" {
    flask_site
    with_dash "$python/build"
    mkdir -p my_blog_web back && printf 'def create_app():\n    return None\n' >my_blog_web/app.py
    printf 'def app(env, start):\n    return []\n' >back/shop.py
    export CHILLBOX_SLOT=b
    MORE=() CMD_ARGS='' REQUEST=''
    [ "$(settings wsgi_app chdir)" = "chdir=$CHILLBOX_SERVICE_DIR wsgi_app=my_blog_web.app:create_app() " ]
    printf 'wsgi_app = "shop:app"\nchdir = "back"\n' >gunicorn.conf.py
    [ "$(settings wsgi_app chdir)" = "chdir=$CHILLBOX_SERVICE_DIR/back wsgi_app=shop:app " ]
    checks() { (cd "$CHILLBOX_SERVICE_DIR" && env -i PATH=/usr/bin:/bin "$@" --check-config); }
    mapfile -t argv < <(with_dash "$python/command")
    checks "${argv[@]}"
    mapfile -t argv < <(CHILLBOX_APP=none:app with_dash "$python/command")
    run checks "${argv[@]}"
    [[ "$status" -ne 0 && "$output" == *"No module named 'none'"* ]]
    # what an older chillboxd started is started again by its argv
    checks "$CHILLBOX_BUILD_DIR/venv/bin/python3" "$HOOKS/lib/python/gunicorn_start.py" --chdir "$CHILLBOX_SERVICE_DIR/back" --name x shop:app
}

@test "[fault-1153] a wheel of the host that is replaced under the same name makes another layer" {
    flask_site
    rm requirements.txt dep/*
    wheel() { python3 -c 'import sys, zipfile
with zipfile.ZipFile(sys.argv[1], "w") as z:
    z.writestr("foo.py", sys.argv[2]); z.writestr("foo-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: foo\nVersion: 1.0\n")
    z.writestr("foo-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n"); z.writestr("foo-1.0.dist-info/RECORD", "")
' "$CHILLBOX_WHEELHOUSE/foo-1.0-py3-none-any.whl" "$1"; }
    export CHILLBOX_WHEELHOUSE=$BATS_TEST_TMPDIR/wheelhouse
    mkdir -p "$CHILLBOX_WHEELHOUSE" && cp "$WHEELS"/gunicorn-* "$WHEELS"/packaging-* "$CHILLBOX_WHEELHOUSE"
    printf 'foo\n' >requirements.txt
    wheel 'which = "first"'
    with_dash "$python/build"
    [ "$(inside 'import foo; print(foo.which)')" = first ]
    wheel 'which = "other"'
    touch -d 2001-01-01 "$CHILLBOX_WHEELHOUSE"/foo-*
    for shell in with_dash with_ash; do
        "$shell" "$python/build"
        [ "$(inside 'import foo; print(foo.which)')" = other ]
    done
}

@test "preflight names settings of gunicorn that cannot work, each with its line [fault-268][fault-1247]" {
    flask_site
    conf() { printf '%s\n' "$@" >gunicorn.conf.py; }
    conf '# of the start app' 'import os' 'reuse_port = True' 'daemon: bool = True' 'pidfile = "/var/run/web.pid"' 'user = "www-data"' 'errorlog = "logs/error.log"' \
        'certfile = "x.pem"' 'group = os.environ["G"]' 'bind = "0.0.0.0:8000"' 'accesslog = "-"' 'worker_tmp_dir = "/dev/shm"' "errorlog = '$CHILLBOX_DATA_DIR/error.log'"
    for shell in with_dash with_ash; do
        run -0 "$shell" "$python/preflight"
        [[ "${lines[0]}" == "gunicorn.conf.py, line 3: reuse_port cannot work: the service answers on a socket that it is handed"* ]]
        [[ "${lines[1]}" == "gunicorn.conf.py, line 4: daemon cannot work: a service must stay in the foreground" ]]
        [[ "${lines[2]}" == "gunicorn.conf.py, line 5: pidfile cannot work: "*"CHILLBOX_DATA_DIR and /tmp only" ]]
        [[ "${lines[3]}" == "gunicorn.conf.py, line 6: user cannot work: "* ]]
        [[ "${lines[4]}" == "gunicorn.conf.py, line 7: errorlog cannot work: "* ]]
        [[ "${lines[5]}" == "gunicorn.conf.py, line 8: certfile cannot work: "* ]]
        [ "${#lines[@]}" -eq 6 ]
    done
    conf 'daemon = False' 'reuse_port = bool(0)' 'def on_starting(server):' '    open("/nowhere")' 'open("ran", "w")' "user = '$CHILLBOX_SITE'"
    CHILLBOX_ARGS=$'--workers\n3\n--threads=2\n-Wignore\n-' run -0 with_dash "$python/preflight"
    [ -z "$output" ]
    [ ! -e ran ]
    for args in $'--daemon\n--pid\n/run/x.pid\n-u\nroot' $'-Dw2\n-p/run/x.pid\n--user=root'; do
        CHILLBOX_ARGS=$args run -0 with_dash "$python/preflight"
        [ "${#lines[@]}" -eq 3 ]
        [[ "${lines[0]}" == "args: -"*" cannot work: a service must stay in the foreground" ]]
        [[ "${lines[1]}" == "args: -"*" cannot work: the service can write to "* ]]
        [[ "${lines[2]}" == "args: -"*" cannot work: the service runs as the site's own user"* ]]
    done
    CHILLBOX_ARGS=$'--pid\n/tmp/x.pid\n--access-logfile\n-' run -0 with_dash "$python/preflight"
    [ -z "$output" ]
    printf 'workers = 2\n' | iconv -t utf-16 >gunicorn.conf.py
    run -0 with_dash "$python/preflight"
    [ "$output" = "gunicorn.conf.py: it is UTF-16: save it as UTF-8" ]
    conf 'workers = (' 'x'
    run -0 with_dash "$python/preflight"
    [[ "$output" == "gunicorn.conf.py, line "*": "* ]]
}

@test "command without a build says so" {
    export CHILLBOX_SLOT=a CHILLBOX_SOCKET=/x
    run --separate-stderr with_dash "$python/command"
    [ "$status" -eq 1 ]
    [[ "$stderr" == "command: web: no gunicorn"* ]]
    [ -z "$output" ]
}

# A wheel of one module, and files of its .data folder: wheel FOLDER NAME VERSION [PATH TEXT]...
wheel() {
    python3 - "$@" <<'END'
import sys, zipfile
folder, name, version = sys.argv[1:4]
with zipfile.ZipFile("%s/%s-%s-py3-none-any.whl" % (folder, name, version), "w") as z:
    info = "%s-%s.dist-info/" % (name, version)
    z.writestr(name + ".py", "VERSION = %r\n" % version)
    for path, text in zip(sys.argv[4::2], sys.argv[5::2]):
        entry = zipfile.ZipInfo("%s-%s.data/%s" % (name, version, path))
        entry.external_attr = 0o100755 << 16
        z.writestr(entry, open("/bin/true" if text == "ELF" else text[1:], "rb").read() if text == "ELF" or text[:1] == "@" else text.encode().decode("unicode_escape"))
    z.writestr(info + "METADATA", "Metadata-Version: 2.1\nName: %s\nVersion: %s\n" % (name, version))
    z.writestr(info + "WHEEL", "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    z.writestr(info + "RECORD", "")
END
}

@test "a layer's key is over all that pip reads: files that -r and -c name whatever their endings, wheels and folders that are named by their path" {
    flask_site
    fresh_cache
    mkdir vendor
    wheel dep foo 3.0
    wheel dep foo 3.1
    wheel vendor bar 1.0
    printf 'flask\n-r requirements.lock\n./vendor/bar-1.0-py3-none-any.whl\n' >requirements.txt
    printf 'foo==3.1\n' >requirements.lock
    with_dash "$python/build"
    [ "$(inside 'import foo, bar; print(foo.VERSION, bar.VERSION)')" = "3.1 1.0" ]
    printf 'foo==3.0\n' >requirements.lock
    with_dash "$python/build"
    [ "$(inside 'import foo; print(foo.VERSION)')" = 3.0 ]
    printf 'foo\n-c pins.cfg\n' >requirements.lock
    printf 'foo<3.1\n' >pins.cfg
    with_ash "$python/build"
    [ "$(inside 'import foo; print(foo.VERSION)')" = 3.0 ]
    printf 'foo\n' >pins.cfg
    with_ash "$python/build"
    [ "$(inside 'import foo; print(foo.VERSION)')" = 3.1 ]
    mkdir other && wheel other bar 2.0
    mv other/bar-2.0-py3-none-any.whl other/x && rm vendor/*
    python3 - other/x vendor/bar-1.0-py3-none-any.whl <<'END'
import sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as old, zipfile.ZipFile(sys.argv[2], "w") as new:
    for name in old.namelist():
        new.writestr(name.replace("2.0.dist", "1.0.dist"), old.read(name).replace(b"Version: 2.0", b"Version: 1.0"))
END
    with_dash "$python/build"
    [ "$(inside 'import bar; print(bar.VERSION)')" = 2.0 ]
}

@test "a requirements.txt that names nothing but packages is told from any other, under each shell" {
    cat >ask <<END
. "$HOOKS/lib/python/layer"
names_packages_only
END
    for shell in dash "busybox sh" bash; do
        command -v "${shell%% *}" >/dev/null || continue
        for plain in flask 'flask==3.0' '  flask >= 2 ; python_version < "3.12"' '# a comment' 'a[b,c]' "$(printf 'a\tb')" ''; do
            printf '%s\n' "$plain" >requirements.txt
            $shell ask || { printf '%s: %s\n' "$shell" "$plain"; false; }
        done
        for other in '-r x.txt' '  -c x' './x' ' .' 'a/b' 'x @ file:y' a.whl a.zip a.tar.gz a.tgz a.tar.bz2 a.tar.xz "$(printf 'caf\303\251')" "$(printf 'a\001b')" \
            "$(printf '\014-r x')" "$(printf '\015-r x')"; do
            for text in "$other" "$(printf 'flask\n%s' "$other")"; do # without a line's end as well
                printf '%s' "$text" >requirements.txt
                run ! $shell ask
            done
        done
    done
}

@test "inputs that cannot be read in full are those of no layer" {
    flask_site
    printf -- '-r missing.txt\n' >requirements.txt
    run -3 "$python/build"
    [ -z "$(ls "$CHILLBOX_LAYER_DIR")" ]
}

@test "programs and data of wheels arrive whole: only a first line that names the layer's python is another one [fault-1245]" {
    flask_site
    wheel dep odd 1.0 scripts/oddtrue ELF scripts/oddsh '#!/bin/sh\necho "a shell script says $1"\n' scripts/oddline '#!/bin/sh\n' \
        scripts/python-odd '#!python\nimport sys; print(sys.prefix)\n' data/share/odd/words.txt 'words\n' data/etc/odd.conf 'x\n' \
        'data/share/odd/Grüße an alle.txt' 'hello\n' scripts/öffne '#!/bin/sh\necho open\n' \
        data/lib/libodd.so.1 'library\n' data/lib/cmake/odd.cmake 'cmake\n' data/bin/sub/words 'below\n'
    printf 'odd\n' >requirements.txt
    for shell in with_dash with_ash; do
        "$shell" "$python/build"
        cmp /bin/true "$CHILLBOX_BUILD_DIR/venv/bin/oddtrue"
        "$CHILLBOX_BUILD_DIR/venv/bin/oddtrue"
        [ "$("$CHILLBOX_BUILD_DIR/venv/bin/oddsh" x)" = "a shell script says x" ]
        [ "$("$CHILLBOX_BUILD_DIR/venv/bin/öffne")" = open ]
        [ "$(cat "$CHILLBOX_BUILD_DIR/venv/share/odd/Grüße an alle.txt")" = hello ]
        [ "$(cd "$CHILLBOX_BUILD_DIR/venv" && cat lib/libodd.so.1 lib/cmake/odd.cmake bin/sub/words | xargs)" = "library cmake below" ]
        "$CHILLBOX_BUILD_DIR/venv/bin/oddline"
        [ "$("$CHILLBOX_BUILD_DIR/venv/bin/python-odd")" = "$CHILLBOX_BUILD_DIR/venv" ]
        [ "$(inside 'import sys; print(open(sys.prefix + "/share/odd/words.txt").read() + open(sys.prefix + "/etc/odd.conf").read())')" = "words
x" ]
        run ! grep -rIl "$CHILLBOX_LAYER_DIR" "$CHILLBOX_BUILD_DIR/venv"
    done
}

@test "[fault-1175] of a script of a wheel only the first line changes: one without a last line feed, and an archive behind a first line" {
    flask_site
    mkdir app
    printf 'print("from an archive")\n' >app/__main__.py
    python3 -m zipapp app -p python -o app.pyz
    wheel dep odd 1.0 scripts/unended '#!python\nprint("unended")' scripts/archived @app.pyz scripts/shell '#!/bin/sh\nprintf x'
    printf 'odd\n' >requirements.txt
    for shell in with_dash with_ash; do
        "$shell" "$python/build"
        bin=$CHILLBOX_BUILD_DIR/venv/bin
        [ "$(head -n 1 "$bin/unended")" = "#!$bin/python3" ]
        [ "$(tail -n +2 "$bin/unended" | od -c)" = "$(printf 'print("unended")' | od -c)" ]
        [ "$("$bin/unended")" = unended ]
        cmp <(tail -n +2 "$bin/archived") <(tail -n +2 app.pyz)
        [ "$("$bin/archived")" = "from an archive" ]
        [ "$("$bin/shell")" = x ]
    done
}

@test "requirements as people have them: hashes in an included file, a byte order mark, UTF-16, dependencies in pyproject.toml only" {
    flask_site
    fresh_cache
    for file in dep/*.whl; do
        IFS=- read -r name version _ <<<"$(basename "$file")"
        printf '%s==%s --hash=sha256:%s\n' "$name" "$version" "$(sha256sum "$file" | cut -d ' ' -f 1)"
    done >base.txt
    printf -- '-r base.txt\n' >requirements.txt
    with_dash "$python/build" # gunicorn has no hash, and is the handler's own
    inside 'import flask, gunicorn'
    printf '\xef\xbb\xbfflask\r\n' >requirements.txt
    run -0 with_dash "$python/preflight"
    [ -z "$output" ]
    with_dash "$python/build"
    printf 'flask\r\n' | iconv -t utf-16 >requirements.txt
    run -0 with_dash "$python/preflight"
    [ -z "$output" ]
    with_dash "$python/build"
    printf 'fl\xe4sk\n' >requirements.txt
    run -0 with_dash "$python/preflight"
    [ "${lines[0]}" = "requirements.txt is not UTF-8: save it as UTF-8" ]
    printf 'flask\r\n' | iconv -t utf-16le >requirements.txt # without a mark
    run -0 with_dash "$python/preflight"
    [ "${lines[0]}" = "requirements.txt is UTF-16 without a byte order mark: save it as UTF-8" ]
    for line in flask== 'flask>=3,<' 'flask~= ; python_version > "3"'; do
        printf '%s\n' "$line" >requirements.txt
        run -0 with_dash "$python/preflight"
        [[ "${lines[0]}" == "requirements.txt: '$line' has no version after '"* ]]
        [ "${#lines[@]}" -eq 1 ]
    done
    rm requirements.txt
    printf '[project]\nname = "x"\nversion = "1.0"\ndependencies = ["flask", "absent"]\n' >pyproject.toml
    run -0 with_dash "$python/preflight"
    [[ "$output" == "missing: absent: no wheel of it"* ]]
    sed -i 's/, "absent"//' pyproject.toml
    with_dash "$python/build"
    inside 'import flask'
}

@test "-e . and . are the service's own package, whose code is added anyway; ./libs/x is what pack made of it [fault-263]" {
    flask_site
    fresh_cache
    printf '[project]\nname = "my-blog-web"\nversion = "1.0"\ndependencies = ["flask"]\n' >pyproject.toml
    for line in '-e .' . '-e file:.'; do
        printf '%s\n' "$line" >requirements.txt
        run -0 with_dash "$python/preflight"
        [ -z "$output" ]
        with_dash "$python/build"
        inside 'import flask, my_blog_web.app as a; assert a.__file__.startswith("'"$CHILLBOX_SERVICE_DIR"'"), a.__file__'
    done
    # Its code is no part of the layer's key.
    [ "$(layers | wc -l)" -eq 3 ]
    echo '# new' >>my_blog_web/app.py
    with_dash "$python/build"
    [ "$(layers | wc -l)" -eq 3 ]
}

@test "options of an index in requirements.txt do not matter to the host, and a folder of wheels that it names does" {
    flask_site
    fresh_cache
    mkdir own
    wheel own foo 1.0
    printf 'flask\nfoo\n-i https://127.0.0.1:1/\n--extra-index-url https://127.0.0.1:2/\n--trusted-host x\n--no-binary foo\n--prefer-binary\n-f own\n' >requirements.txt
    run -0 with_dash "$python/preflight"
    [ -z "$output" ]
    with_dash "$python/build"
    [ "$(inside 'import foo; print(foo.VERSION)')" = 1.0 ]
    wheel own foo 1.1
    with_ash "$python/build"
    [ "$(inside 'import foo; print(foo.VERSION)')" = 1.1 ]
}

@test "a package that cannot be built is its folder on the path, which is said; the verdict on wheels is pip's ERROR line [fault-265]" {
    flask_site
    cp "$WHEELS"/setuptools-* "$WHEELS"/wheel-* dep/
    mkdir migrations static && : >migrations/env.py
    printf '[project]\nname = "x"\nversion = "1.0"\n' >pyproject.toml # an application: it does not say how it is built
    run -0 --separate-stderr with_dash "$python/build"
    [ -z "$stderr" ]
    printf '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n' >>pyproject.toml
    run -0 --separate-stderr with_ash "$python/build"
    [[ "$(tail -n 1 <<<"$stderr")" == "build: web is no package that can be built here: its folder is on the path instead" ]]
    inside 'import my_blog_web.app as a; assert a.__file__.startswith("'"$CHILLBOX_SERVICE_DIR"'"), a.__file__'
    rm pyproject.toml
    wheel dep one 1.0
    wheel dep two 1.0
    printf 'one==1.0\none==1.1\n' >requirements.txt
    run --separate-stderr with_dash "$python/build"
    [ "$status" -eq 3 ]
    [[ "$stderr" == *$'\n'"build: pip: "* ]]
}

@test "[fault-1241] Flask's instance folder is linked where the package is: in the folder, in src/ or another one that is no package" {
    flask_site
    mkdir -p src/pkg back tools inner && printf 'app = Flask(__name__)\n' | tee src/pkg/__init__.py back/app.py >inner/app.py
    touch my_blog_web/__init__.py inner/__init__.py tools/x.py
    twice "$python/build"
    [ "$(cd "$CHILLBOX_BUILD_DIR/data-links" && find . -type f | sort | xargs)" = './back/instance ./instance ./src/instance' ]
}

@test "a pyproject.toml with the settings of a linter alone is no package, also when setuptools is among the wheels" {
    flask_site
    cp "$WHEELS"/setuptools-* "$WHEELS"/wheel-* dep/
    printf '[tool.ruff]\nline-length = 100\n' >pyproject.toml
    mkdir migrations && : >migrations/env.py
    with_dash "$python/build"
    inside 'import my_blog_web.app as a; assert a.__file__.startswith("'"$CHILLBOX_SERVICE_DIR"'"), a.__file__'
}
