# Inputs after bug reports of tools like this one: load helpers/box, helpers/host and helpers/field
#
# right EXPECTED IS       fails unless they are equal, and says both either way;  has TEXT IS  when it must only be in it
# py_site NAME            a site NAME in $LAPTOP/NAME with the Flask service 'web', its wheels in dep/; / lists what is installed
# app_line NAME PYTHON    a line more in its create_app()
# foo_wheel DIR VERSION   a wheel of the package foo
# files_site NAME         a static site whose page is its name
# bring NAME [PACK_OPTION...]   the next version of it, packed and deployed; prints what was said, and fails as that does
# visit HOST PATH [CURL_OPTION...];  status HOST PATH  only the number

right() { echo "right: $1; is: $2"; [ "$1" = "$2" ]; }
has() { echo "right: ... $1 ...; is: $2"; [[ $2 == *"$1"* ]]; }
visit() { host_curl -m 100 -H "Host: $1" "${@:3}" "$URL$2"; }
status() { visit "$1" "$2" -o /dev/null -w '%{http_code}' "${@:3}"; }

site_file() { # NAME KIND [MORE]
    printf '{"name":"%s","server_name":"%s.example","version":"1.0.0","watch":"500ms","services":[{"name":"web","lang":"%s"%s}]}\n' \
        "$1" "$1" "$2" "${3:+, $3}" >"$LAPTOP/$1/$1.site.json"
}

files_site() {
    rm -rf "${LAPTOP:?}/$1"
    mkdir -p "$LAPTOP/$1/web"
    echo "$1" >"$LAPTOP/$1/web/index.html"
    site_file "$1" static
}

py_site() {
    rm -rf "${LAPTOP:?}/$1"
    mkdir -p "$LAPTOP/$1/web/$1_web"
    [ -d "$LAPTOP/flask-wheels" ] || wheels "$ROOT/docs/examples/hello/api/requirements.txt" "$LAPTOP/flask-wheels"
    cp -R "$LAPTOP/flask-wheels" "$LAPTOP/$1/web/dep"
    echo flask >"$LAPTOP/$1/web/requirements.txt"
    : >"$LAPTOP/$1/web/$1_web/__init__.py"
    site_file "$1" python '"health": {"path": "/up", "deadline": "15s"}'
    cat >"$LAPTOP/$1/web/$1_web/app.py" <<'END'
import importlib.metadata
from flask import Flask, Response, redirect, request


def create_app():
    app = Flask(__name__)
    app.add_url_rule("/up", "up", lambda: "ok")
    app.add_url_rule("/", "index", lambda: "".join("%s %s\n" % (d.metadata["Name"], d.version) for d in importlib.metadata.distributions()))
    return app
END
}

app_line() { sed -i "s|^    return app\$|    $2\n    return app|" "$LAPTOP/$1/web/$1_web/app.py"; }

foo_wheel() {
    mkdir -p "$1"
    python3 -c '
import sys, zipfile
dest, version, *code = sys.argv[1:]
info = f"foo-{version}.dist-info/"
with zipfile.ZipFile(f"{dest}/foo-{version}-py3-none-any.whl", "w") as z:
    for name, text in [("foo/__init__.py", "\n".join(code) + "\n"), (info + "METADATA", f"Metadata-Version: 2.1\nName: foo\nVersion: {version}\n"),
                       (info + "WHEEL", "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n"), (info + "RECORD", "")]:
        z.writestr(zipfile.ZipInfo(name, (2024, 1, 1, 0, 0, 0)), text)' "$@"
}

pack_it() { # NAME [OPTION...]
    "$CTL" pack -q "$LAPTOP/$1" -r "$RECIPIENT" -k "${KEY:-$LAPTOP/deployer.key}" -o "$LAPTOP/out-$1" "${@:2}"
}

bring() {
    field_file=$LAPTOP/$1/$1.site.json
    sed -i 's/"version": *"[^"]*"/"version":"1.'"$(date +%s).$RANDOM"'"/' "$field_file"
    field_artifact=$(pack_it "$@" 2>&1) || { echo "$field_artifact"; return 1; }
    send "$field_artifact" 2>&1
}

# What must go well, with all that was said if it does not.
brought() {
    field_said=$(bring "$@") || { echo "$field_said"; return 1; }
}

# What must not, and what it says.
refused() { # TEXT NAME [OPTION...]
    field_said=$(bring "${@:2}") && { echo "it was taken: $field_said"; return 1; }
    has "$1" "$field_said"
}
