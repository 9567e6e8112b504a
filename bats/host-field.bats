#!/usr/bin/env bats
# Inputs after public bug reports of tools like this one. Each test's name says what is right; each prints "right: ...; is: ...".
# `make field` runs them all.

# bats file_tags=slow

# shellcheck disable=SC2154,SC2016 # box_up sets HOST; "sh -c" expands in the box

load helpers/box
load helpers/host
load helpers/one_host
load helpers/field

# kubernetes/ingress-nginx#7837, #8503
@test "01 a template gets its deployer neither other sites' visitors nor files of the host" {
    files_site victim
    echo "the victim's page" >"$LAPTOP/victim/web/index.html"
    brought victim
    files_site blogone
    (cd "$LAPTOP" && "$CTL" keygen -q -o guest --no-password)
    box push "$HOST" "$LAPTOP/guest.pub" /root/
    ctl trust add /root/guest.pub --name one-site --sites blogone
    mkdir -p "$LAPTOP/blogone/nginx/templates"
    for line in 'server_name blogone.example victim.example;' 'access_log /etc/cron.d/from-a-template;' 'location /fs/ { alias /; autoindex on; }' 'include /etc/passwd;' \
        'location /up { client_body_temp_path /etc/cron.d; }' 'location /x { root /var/lib/victim; }'; do
        printf 'server {\n  include blogone.ssl_cert.include;\n  server_name blogone.example;\n  %s\n  location / { return 200 "taken\\n"; }\n}\n' "$line" \
            >"$LAPTOP/blogone/nginx/templates/blogone.nginx.conf.template"
        KEY=$LAPTOP/guest.key refused template blogone
    done
    right "the victim's page" "$(visit victim.example /)"
    right "" "$(in_box find /etc/cron.d -name 'from-*')"
}

# spryker/docker-sdk#461, magento/devdocs#6317
@test "02 two sites may have a variable of the same name" {
    for name in alpha beta; do
        files_site $name
        mkdir -p "$LAPTOP/$name/nginx/templates"
        printf 'map $http_origin $cors_origin { default ""; "https://app.%s.example" $http_origin; }\nserver {\n  include %s.ssl_cert.include;\n  server_name %s.example;\n  location / { add_header Access-Control-Allow-Origin $cors_origin; return 200 "%s\\n"; }\n}\n' \
            $name $name $name $name >"$LAPTOP/$name/nginx/templates/$name.nginx.conf.template"
        brought $name
    done
    for name in alpha beta; do
        has "Access-Control-Allow-Origin: https://app.$name.example" "$(visit $name.example / -i -H "Origin: https://app.$name.example")"
    done
    right 0 "$(visit alpha.example / -i -H 'Origin: https://app.beta.example' | grep -ci 'access-control' || :)"
}

# heroku/heroku-buildpack-python#1316
@test "03 what pip reads is what runs: a version taken back, a wheel built anew under its name" {
    py_site lock
    foo_wheel "$LAPTOP/lock/web/dep" 3.0
    foo_wheel "$LAPTOP/lock/web/dep" 3.1
    mkdir "$LAPTOP/lock/web/pins"
    echo '-r pins/all.lock' >"$LAPTOP/lock/web/requirements.txt"
    for version in 3.1 3.0; do
        printf 'flask\nfoo==%s\n' "$version" >"$LAPTOP/lock/web/pins/all.lock"
        brought lock
        has "foo $version" "$(visit lock.example /)"
    done
    py_site vend
    printf 'flask\n./vendor/foo-1.0-py3-none-any.whl\n' >"$LAPTOP/vend/web/requirements.txt"
    app_line vend 'import foo; app.add_url_rule("/foo", "foo", lambda: foo.NOTE)'
    for note in first second; do
        foo_wheel "$LAPTOP/vend/web/vendor" 1.0 "NOTE = '$note'"
        brought vend
        right $note "$(visit vend.example /foo)"
    done
}

# aspect-build/rules_py#606, astral-sh/uv#9656
@test "04 programs and data of a wheel arrive byte for byte; only Python's own first line is rewritten" {
    py_site odd
    python3 -c '
import sys, zipfile
with zipfile.ZipFile(sys.argv[1] + "/oddtools-1.0-py3-none-any.whl", "w") as z:
    data, info = "oddtools-1.0.data/", "oddtools-1.0.dist-info/"
    for name, mode, text in [("oddtools.py", 0o644, b"import os, sys\nSHARE = os.path.join(sys.prefix, \"share\", \"words.txt\")\n"),
            (data + "scripts/oddtrue", 0o755, open("/bin/true", "rb").read()), (data + "scripts/oddsh", 0o755, b"#!/bin/sh\necho \"shell $1\"\n"),
            (data + "scripts/oddpy", 0o755, b"#!python\nimport oddtools\nprint(open(oddtools.SHARE).read())\n"), (data + "data/share/words.txt", 0o644, b"words"),
            (info + "METADATA", 0o644, b"Metadata-Version: 2.1\nName: oddtools\nVersion: 1.0\n"), (info + "RECORD", 0o644, b""),
            (info + "WHEEL", 0o644, b"Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n")]:
        i = zipfile.ZipInfo(name, (2024, 1, 1, 0, 0, 0))
        i.external_attr = (0o100000 | mode) << 16
        z.writestr(i, text)' "$LAPTOP/odd/web/dep"
    printf 'flask\noddtools\n' >"$LAPTOP/odd/web/requirements.txt"
    app_line odd 'import subprocess; app.add_url_rule("/tool/<name>", "tool", lambda name: subprocess.run([name, "x"], capture_output=True, text=True).stdout or "nothing")'
    brought odd
    right nothing "$(visit odd.example /tool/oddtrue)"
    right 'shell x' "$(visit odd.example /tool/oddsh)"
    right words "$(visit odd.example /tool/oddpy)"
}

# dhis2/dhis2-core#24528, opendatahub-io/odh-dashboard#7804, cedarjs/cedar#2327
@test "05 only a name with a hash of a static file is immutable" {
    files_site dated
    for name in menu-20260101.png prices.20241126.json contact-15551234567.svg app-3f2a9c1d.css deadbeef.html report-2026-01-01.pdf; do
        echo x >"$LAPTOP/dated/web/$name"
    done
    brought dated
    for name in menu-20260101.png prices.20241126.json contact-15551234567.svg report-2026-01-01.pdf; do
        right 0 "$(visit dated.example /$name -I | grep -ci immutable || :)"
    done
    has immutable "$(visit dated.example /app-3f2a9c1d.css -I)"
    right 0 "$(visit dated.example /gone-3f2a9c1d.css -I | grep -ci immutable || :)"
    py_site mine
    app_line mine 'app.add_url_rule("/photo-3f2a9c1d.jpg", "photo", lambda: "mine")'
    brought mine
    right 0 "$(visit mine.example /photo-3f2a9c1d.jpg -i | grep -ci immutable || :)"
}

# basecamp/kamal#948
@test "06 a request that is under way at the switch gets its answer, as long as NGINX waits" {
    py_site slow
    printf 'timeout = 120\ngraceful_timeout = 120\n' >"$LAPTOP/slow/web/gunicorn.conf.py"
    app_line slow 'import time; app.add_url_rule("/slow", "slow", lambda: time.sleep(45) or "slow done")'
    brought slow
    visit slow.example /slow >"$LAPTOP/slow.out" 3>&- &
    request=$!
    sleep 1
    brought slow
    wait "$request"
    right 'slow done' "$(cat "$LAPTOP/slow.out")"
}

# kubernetes/ingress-nginx#4434, #11938, dstackai/dstack#2525
@test "07 sites and services whose names join to the same text live side by side" {
    for pair in shop/b-c shop-b/c shop-b-c/d; do
        name=${pair%/*} service=${pair#*/}
        mkdir -p "$LAPTOP/$name/$service"
        printf '{"name":"x","server_name":"%s.example","version":"1.0.0","watch":0,"services":[{"name":"%s","lang":"binary","app":"serve"}]}\n' "$name" "$service" >"$LAPTOP/$name/$name.site.json"
        printf '#!/bin/sh\ncd "$CHILLBOX_DATA_DIR" && echo "%s %s" >index.html && exec python3 -m http.server --bind 127.0.0.1 "$PORT"\n' "$name" "$service" >"$LAPTOP/$name/$service/serve"
        chmod +x "$LAPTOP/$name/$service/serve"
        brought "$name"
    done
    right 'shop b-c' "$(visit shop.example /)"
    right 'shop-b c' "$(visit shop-b.example /)"
    right 'shop-b-c d' "$(visit shop-b-c.example /)"
}

# nginx-proxy/nginx-proxy#694, code-dot-org/code-dot-org#12301, calpaterson/csvbase#132
@test "08 headers as large as a browser takes pass, both ways" {
    py_site hdr
    app_line hdr 'app.add_url_rule("/hdr/<int:n>", "hdr", lambda n: Response("fine", headers={"Set-Cookie": "s=" + "x" * n}))'
    brought hdr
    for n in 1000 4000 8000 12000; do
        right 200 "$(status hdr.example /hdr/$n)"
    done
    right 200 "$(status hdr.example /up -H "Cookie: s=$(head -c 7000 /dev/zero | tr '\0' x)")"
    right 200 "$(status hdr.example "/up?q=$(head -c 8100 /dev/zero | tr '\0' x)")"
    right 414 "$(status hdr.example "/up?q=$(head -c 8200 /dev/zero | tr '\0' x)")"
    right 502 "$(status hdr.example /hdr/60000)"
    has 'too big header' "$(ctl logs hdr -n 50)"
}

# outroll/vesta#1889, shopware/docker#148
@test "09 dotted paths reach a service" {
    py_site dots
    app_line dots 'app.add_url_rule("/tag/<path:p>", "tag", lambda p: "tag " + p)'
    brought dots
    for path in /tag/c /tag/.net /tag/repo/.github/workflows/ci.yml /tag/%2Enet /tag/.htaccess; do
        right 200 "$(status dots.example $path)"
    done
    files_site tags
    mkdir -p "$LAPTOP/tags/web/.well-known" "$LAPTOP/tags/web/.git"
    echo x | tee "$LAPTOP/tags/web/.well-known/security.txt" >"$LAPTOP/tags/web/.git/config"
    brought tags
    right 200 "$(status tags.example /.well-known/security.txt)"
    right 404 "$(status tags.example /.git/config)"
}

# nginx/nginx#1259, Kentucky-ai/opentakeoff#233, roots/trellis#1383
@test "10 files have the types that browsers ask for" {
    files_site mime
    for end in mjs js css json wasm webmanifest svg woff2 avif txt xml; do echo x >"$LAPTOP/mime/web/f.$end"; done
    brought mime
    while read -r end type; do
        has "$type" "$(visit mime.example "/f.$end" -o /dev/null -w '%{content_type}')"
    done <<'END'
mjs text/javascript
js javascript
css text/css
json application/json
wasm application/wasm
webmanifest application/manifest+json
svg image/svg+xml
woff2 font/woff2
avif image/avif
txt text/plain
xml xml
END
    has nosniff "$(visit mime.example /f.mjs -I)"
    has utf-8 "$(visit mime.example /f.mjs -I | tr A-Z a-z)"
}

forwarded() { visit lb.example /s -H "X-Forwarded-Proto: ${2-https}" -H 'X-Forwarded-For: 203.0.113.9' | grep -qxF -- "$1"; }

# dokku/dokku#3633, #5927, basecamp/kamal-site#141
@test "11 what a trusted proxy says of the visitor holds, of a list the first; what others say does not [fault-1202]" {
    py_site lb
    app_line lb 'app.add_url_rule("/s", "s", lambda: "%s %s" % (request.headers["X-Forwarded-Proto"], request.headers["X-Forwarded-For"]))'
    brought lb
    run ! forwarded 'https 203.0.113.9'
    in_box sed -i '/^\[nginx\]/a trusted_proxies = ["127.0.0.0/8", "10.0.0.0/8"]' /etc/chillbox/chillboxd.toml
    ctl upgrade
    wait_for 20 forwarded 'https 203.0.113.9'
    forwarded 'https 203.0.113.9' 'https,http'
    forwarded 'https 203.0.113.9' 'HTTPS, https'
    forwarded 'http 203.0.113.9' 'http, https'
    forwarded 'http 203.0.113.9' 'httpsx'
    in_box sed -i '/^trusted_proxies/d' /etc/chillbox/chillboxd.toml
    ctl upgrade
}

# pypi/warehouse#1056, pypa/pip#733, pypa/setuptools#3803, piku/piku#344
@test "12 requirements files as people have them" {
    py_site req
    for wheel in "$LAPTOP"/flask-wheels/*.whl; do
        base=$(basename "$wheel")
        case $base in gunicorn*) continue ;; esac
        printf '%s==%s \\\n    --hash=sha256:%s\n' "${base%%-*}" "$(echo "$base" | cut -d- -f2)" "$(sha256sum <"$wheel" | cut -d' ' -f1)"
    done >"$LAPTOP/req/web/base.txt"
    echo '-r base.txt' >"$LAPTOP/req/web/requirements.txt"
    brought req
    printf 'flask==3.1.3\r\n' | iconv -t utf-16 >"$LAPTOP/req/web/requirements.txt"
    brought req
    printf '\357\273\277flask\r\n' >"$LAPTOP/req/web/requirements.txt"
    brought req
    printf '[tool.ruff]\nline-length = 100\n' >"$LAPTOP/req/web/pyproject.toml"
    mkdir "$LAPTOP/req/web/migrations"
    python3 -m pip download -q --disable-pip-version-check --no-deps -d "$LAPTOP/req/web/dep" setuptools==75.8.0
    printf 'flask\nsetuptools\n' >"$LAPTOP/req/web/requirements.txt"
    brought req
    rm -r "$LAPTOP/req/web/dep" "$LAPTOP/req/web/requirements.txt"
    printf '[project]\nname = "req-web"\nversion = "1.0"\ndependencies = ["flask"]\n' >"$LAPTOP/req/web/pyproject.toml"
    brought req --wheels --python "$(in_box python3 -c 'import platform; print(platform.python_version())')" --platform "manylinux_2_28_$(uname -m)"
    has 'Flask 3' "$(visit req.example / | sed 's/^flask/Flask/')"
}

# pypi/warehouse#13967, xberg-io/xberg#1499, promptfoo/modelaudit#949
@test "13 a small file of regular lines is no bomb" {
    files_site ratio
    python3 -c 'print("sensor,state"); [print("greenhouse-1,ok,0.00,mm") for _ in range(400000)]' >"$LAPTOP/ratio/web/series.csv"
    head -c 20000000 /dev/zero >"$LAPTOP/ratio/web/blank.sqlite"
    brought ratio
    right 200 "$(status ratio.example /series.csv)"
}

# gramps-project/gramps-web-api#435, pallets-eco/flask-sqlalchemy#462
@test "15 Flask's instance folder can be written to" {
    py_site inst
    app_line inst 'import os, sqlite3; os.makedirs(app.instance_path, exist_ok=True); app.add_url_rule("/db", "db", lambda: sqlite3.connect(os.path.join(app.instance_path, "a.db")).execute("select 7").fetchone()[0].__str__())'
    brought inst
    right 7 "$(visit inst.example /db)"
    app_line inst 'import os; app.add_url_rule("/where", "where", lambda: os.path.realpath(app.instance_path))'
    brought inst
    right /var/lib/inst/web "$(visit inst.example /where)"
}

# benoitc/gunicorn#520, #949
@test "16 a service that goes into the background is refused, with the setting" {
    py_site dmn
    brought dmn
    echo 'daemon = True' >"$LAPTOP/dmn/web/gunicorn.conf.py"
    refused daemon dmn
    right ok "$(visit dmn.example /up)"
    rm "$LAPTOP/dmn/web/gunicorn.conf.py"
    brought dmn
}

# MansaGroup/gcs-cache-action#33, aonez/Keka#1706, PEEKYPAUL/Moongate#55
@test "17 what is wrong is said in the words of who did it" {
    files_site tarx
    echo hello >"$LAPTOP/tarx/web/index.html"
    serial=$(($(date +%s) / 60))
    plain() { # COMMAND...: an artifact made by hand, compressed by that
        serial=$((serial + 1))
        file=$LAPTOP/tarx-$serial.age
        tar -C "$LAPTOP" -c tarx | "$@" | age -r "$RECIPIENT" >"$file"
        minisign -S -s "$LAPTOP/deployer.key" -m "$file" -t "chillbox site=tarx version=1.0.0 serial=$serial sha256=$(sha256sum "$file" | cut -d' ' -f1)" >/dev/null </dev/null
        send "$file" 2>&1 || :
    }
    has 'compressed with xz' "$(plain xz)"
    has 'compressed with bzip2' "$(plain bzip2)"
    has '--long=27' "$(plain zstd -q --ultra -20 --long=31)"
    has 'SSH key' "$("$CTL" pack "$LAPTOP/tarx" -q -r 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEftGq9RipYrymfj7RhNuGZfvd4UUqV2+kLxH5Yy6kQx' -k "$LAPTOP/deployer.key" -o "$LAPTOP/out-tarx" 2>&1 || :)"
    artifact=$(pack_it tarx)
    has 'path' "$(box net "$HOST" -- "$CTL" deploy "$artifact" --to "$URL/v1/hooks" --webhook-key "$LAPTOP/hook.key" 2>&1 || :)"
    has 'ssh://' "$("$CTL" -H root@host:2222 status 2>&1 || :)"
    sed -i 's/"watch":"500ms"/"watch":"0"/' "$LAPTOP/tarx/tarx.site.json"
    "$CTL" validate "$LAPTOP/tarx" || has 'the number 0' "$("$CTL" validate "$LAPTOP/tarx" 2>&1)"
    files_site incl
    mkdir -p "$LAPTOP/incl/nginx/templates"
    for line in 'include incl.ssl_cert.include; # TLS' 'include "incl.ssl_cert.include";' 'server_tokens off; include incl.ssl_cert.include;'; do
        printf 'server {\n  %s\n  server_name incl.example;\n  location / { return 200 ok; }\n}\n' "$line" >"$LAPTOP/incl/nginx/templates/incl.nginx.conf.template"
        brought incl
    done
}

# mondoohq/cnspec#403, aruba/aoscx-ansible-collection#127
@test "14 an inventory's IPv6 address and patterns" {
    printf '{"_meta": {"hostvars": {"web1": {"ansible_host": "2001:db8::10", "chillbox_webhook_key": "%s"}}}, "web": {"hosts": ["web1"]}}\n' "$LAPTOP/hook.key" >"$LAPTOP/v6.json"
    files_site six
    artifact=$(pack_it six)
    has '[2001:db8::10]' "$("$CTL" deploy "$artifact" --hosts "$LAPTOP/v6.json" --limit web1 --timeout 3s 2>&1 || :)"
    for limit in 'web:!web1' '~web\d'; do
        said=$("$CTL" --hosts "$LAPTOP/v6.json" --limit "$limit" ping 2>&1 || :)
        has "$limit" "$said"
    done
}

# AtalayaLabs/OxiCloud#289, ericc-ch/copilot-api#137
@test "19 a program that this host cannot start is named before anything starts" {
    files_site prog
    site_file prog binary '"app": "serve"'
    serve=$LAPTOP/prog/web/serve
    printf '#!/bin/sh\r\nexec python3 -m http.server "$PORT"\r\n' >"$serve"
    chmod +x "$serve"
    refused 'LF' prog
    printf '#!/usr/bin/nothing-here\n' >"$serve"
    refused 'nothing-here' prog
    cp /bin/true "$serve"
    printf '\267' | dd of="$serve" bs=1 seek=18 conv=notrunc status=none
    refused 'aarch64' prog
    has preflight "$field_said"
}

# caprover/caprover#217, dokku/dokku#2362
@test "20 a site on one of the host's own names is never live with 404 for all" {
    in_box sed -i 's/^#* *server_name = .*/server_name = "one.example"/' /etc/chillbox/chillboxd.toml
    ctl upgrade
    for name in one.example localhost "$(in_box hostname)"; do
        files_site one
        echo one >"$LAPTOP/one/web/index.html"
        sed -i "s/\"server_name\":\"[^\"]*\"/\"server_name\":\"$name\"/" "$LAPTOP/one/one.site.json"
        if brought one; then
            right 200 "$(status "$name" /)"
        else
            has "$name" "$field_said"
        fi
    done
}

@test "20 a live site whose name becomes the host's is not deployed to 404 for all [fault-1290]" {
    files_site own
    brought own
    in_box sed -i 's/^#* *server_name = .*/server_name = "own.example"/' /etc/chillbox/chillboxd.toml
    ctl upgrade
    refused "'own.example' is this host's own name" own
    in_box sed -i 's/^server_name = .*/server_name = "host.example"/' /etc/chillbox/chillboxd.toml
    ctl upgrade
    brought own
    right own "$(visit own.example /)"
}
