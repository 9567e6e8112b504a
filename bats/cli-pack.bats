#!/usr/bin/env bats
# What pack takes of a site's folder, and what it says about it: commands, versions, .chillboxignore, TOML, wheels, the summary.

# shellcheck disable=SC2154,SC2016 # $stderr comes from run --separate-stderr; site files have $NAME

load helpers/cli

setup() {
    cli_setup
    make_site
}
teardown() { cli_teardown; }

pack() { chillboxctl pack blog -r "$RECIPIENT" -k deploy.key -o out "$@"; }
newest() { ls -t out/*.age | head -n 1; }
unpacked() { age -d -i identity "$(newest)" | zstd -dq; } # the tar
listed() { unpacked | tar -tf -; }
site_json() { unpacked | tar -xOf - blog/blog.site.json; }
edit() { jq "$1" blog/blog.site.json >new.json && mv new.json blog/blog.site.json; }

# Pip for this machine's python3, which as a rule has none of its own.
use_pip() {
    PATH=$(BUILD=$(dirname "$CTL") sh "$BATS_TEST_DIRNAME/../tests/host/pip"):$PATH
}

@test "the summary says what went in by service and kind, and the largest files; --json says the same" {
    head -c 5000 /dev/zero >blog/backend/big
    mkdir -p blog/nginx/root && echo hello >blog/nginx/root/index.html
    run -0 --separate-stderr pack
    [[ "$output" == *$'\n'"api "*"python "*" 3 "*" 5.0 kB"* ]]
    [[ "$output" == *$'\n'"nginx "*"files "*" 1 "*" 6 B"* ]]
    [[ "$output" == *$'\n'"total "*" 5 "* ]]
    [[ "$output" == *"largest  blog/api/big  5.0 kB"* ]]
    [ -z "$stderr" ] # no bar where nobody looks
    run -0 pack --json
    [ "$(jq -c '.contents[0]' <<<"$output")" = '{"files":3,"kind":"python","name":"api","size":5025}' ]
    [ "$(jq -r '.largest[0].path' <<<"$output")" = blog/api/big ]
    [ "$(jq '[.contents[].size] | add' <<<"$output")" = "$(jq .unpacked <<<"$output")" ]
    [ "$(pack -q)" = out/blog-1.0.0.tar.zst.age ]
}

@test "pack without a word says all that is missing at once, with a line to copy; a folder that is deployed is to be packed first [fault-272]" {
    cd blog
    run -2 chillboxctl pack
    [[ "$output" == *"not said: for which host (-R FILE, its recipient.txt, or -r AGE1..), which key signs (-k KEY, of \`chillboxctl keygen\`), where it goes (-o OUTDIR); for example: chillboxctl pack . -R recipient.txt -k deployer.key -o out"* ]]
    run -2 chillboxctl pack -k ../deploy.key -o ../out
    [[ "$output" == *"not said: for which host (-R FILE, its recipient.txt, or -r AGE1..); for example"* ]]
    run -0 chillboxctl pack -r "$RECIPIENT" -k ../deploy.key -o ../out
    run -2 chillboxctl secrets pack ../secrets -s blog
    [[ "$output" == *"for example: chillboxctl secrets pack ../secrets -s SITE -R recipient.txt"* ]]
    cd ..
    echo "$(head -c 24 /dev/zero | base64 | sed s/^/whsec_/)" >hook
    run -2 chillboxctl deploy blog --to http://127.0.0.1 --webhook-key hook
    [[ "$output" == *"blog is a folder, or deploy the folder by ssh with -H USER@HOST"* ]]
    run -0 chillboxctl new fresh
    [[ "$output" == *'next: cd fresh && chillboxctl deploy' ]]
}

@test "validate and pack say which fields do nothing for the kind of their service [fault-1205]" {
    edit '.services[0] += {"lang": "binary", "workers": 2, "threads": 4}'
    for command in "validate blog" "validate blog/blog.site.json" "pack blog -r $RECIPIENT -k deploy.key -o out"; do
        # shellcheck disable=SC2086 # words
        run -0 --separate-stderr chillboxctl $command
        [[ "$stderr" == *"warning: service 'api': threads, workers do nothing for lang 'binary'"* ]]
    done
}

@test "a wheel that a browser got a second time is named, with the name that it should have [fault-1273]" {
    mkdir blog/backend/dep
    touch "blog/backend/dep/odd-1.0-py3-none-any (1).whl" blog/backend/dep/even-1.0+local.1-1-cp311-cp311-manylinux_2_28_x86_64.whl
    for command in "validate blog" "pack blog -r $RECIPIENT -k deploy.key -o out"; do
        # shellcheck disable=SC2086 # words
        run -0 --separate-stderr chillboxctl $command
        [ "$(grep -c warning: <<<"$stderr")" -eq 1 ]
        [[ "$stderr" == *"warning: 'backend/dep/odd-1.0-py3-none-any (1).whl' is not named like a wheel, and pip does not take it: rename it to odd-1.0-py3-none-any.whl"* ]]
    done
}

@test "deploy of what does not exist says so [fault-1130]" {
    run -3 chillboxctl deploy nosuchdir
    [[ "$output" == *"no file or folder 'nosuchdir' here"* ]]
    run -3 chillboxctl deploy no/such.tar.zst.age --to http://127.0.0.1 --webhook-key hook
    [[ "$output" == *"no file or folder 'no/such.tar.zst.age' here"* ]]
}

@test "recipients in a file that an editor gave a byte order mark [fault-1131]" {
    printf '\xef\xbb\xbf# web1\n%s\n' "$RECIPIENT" >recipients
    run -0 chillboxctl pack blog -R recipients -k deploy.key -o out1
    printf '\xef\xbb\xbf%s\r\n' "$RECIPIENT" >recipients
    run -0 chillboxctl pack blog -R recipients -k deploy.key -o out2
    age -d -i identity -o /dev/null out2/*.age
    run -2 chillboxctl pack blog -r recipients -k deploy.key -o out
    [[ "$output" == *"recipient 'recipients': does not begin with age1: -R takes a file of recipients"* ]]
}

@test "a service whose folder has nothing to pack is refused by pack and validate [fault-1133]" {
    mkdir blog/web
    jq '.services += [{"name": "web", "lang": "static"}]' blog/blog.site.json >new.json
    mv new.json blog/blog.site.json
    run -1 chillboxctl validate blog
    [[ "$output" == *"service 'web': there is no file in web/ to pack: it is empty, or .chillboxignore leaves out all of it"* ]]
    run -1 chillboxctl pack blog -r "$RECIPIENT" -k deploy.key -o out
    [[ "$output" == *"service 'web': there is no file in web/ to pack"* ]]
    echo hello >blog/web/index.html
    run -0 chillboxctl validate blog
}

@test "what a host would refuse is said on the laptop: a ratio, an SSH key as recipient, a clock of 1970 [fault-270]" {
    head -c 80000000 /dev/zero >blog/backend/blank
    run -0 --separate-stderr pack
    [[ "$stderr" == *"warning: it unpacks to "*" times its size, and a host takes 200 unless limits.ratio_max in its chillboxd.toml is more"* ]]
    rm blog/backend/blank
    run -2 chillboxctl pack blog -r "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEftGq9RipYrymfj7RhNuGZfvd4UUqV2+kLxH5Yy6kQx" -k deploy.key -o out
    [[ "$output" == *": an SSH key: only X25519 recipients (age1...) work here"* ]]
    if command -v faketime >/dev/null; then
        run -1 faketime '1970-01-02 00:00:00' chillboxctl pack blog -r "$RECIPIENT" -k deploy.key -o out2
        [[ "$output" == *"this machine's clock says 1970-01-0"*": set it, because serials are made of the time, or give --serial"* ]]
    fi
}

@test "on a terminal there is a bar" {
    head -c 30000000 /dev/zero >blog/backend/big
    run -0 env COLUMNS=100 "$FAKE/at-terminal" -- chillboxctl pack blog -r "$RECIPIENT" -k deploy.key -o out
    [[ "$output" == *"[##"*"..]"*" % of 30.0 MB"* ]]
}

@test "[fault-1083] env[].cmd is a line for sh, told before it runs; the host gets its output and no command" {
    edit '.env = [{name: "WHO", value: "$SLUGNAME"}, {name: "HASH", value: "old", cmd: "printf %s \"$WHO-$VERSION\" | tr a-z A-Z"}]'
    run -0 --separate-stderr pack
    [[ "$stderr" == *'running printf %s "$WHO-$VERSION" | tr a-z A-Z'* ]]
    [ "$(site_json | jq -c '.env[1]')" = '{"name":"HASH","value":"BLOG-1.0.0"}' ]
    run -0 pack --no-commands
    [ "$(site_json | jq -c '.env[1]')" = '{"name":"HASH","value":"old"}' ]
    edit '.env[1].value = ""'
    run -4 pack --no-commands
    [[ "$output" == *"env HASH: "*"--no-commands"* ]]
    # [fault-1083] what it prints is the value, also with what looks like a variable
    edit '.env[1].cmd = "printf \"a\\$b pa\\$\\$word\""'
    run -0 pack
    [ "$(site_json | jq -r '.env[1].value')" = 'a$$b pa$$$$word' ]
    edit '.env[1].cmd = "echo no luck >&2; exit 3"'
    run -1 pack
    [[ "$output" == *"env HASH: "*"ended with 3: no luck"* ]]
    run -0 chillboxctl validate blog # runs nothing
}

@test "without a version in the site file the Makefile is asked, or the file VERSION" {
    edit 'del(.version)'
    run -1 pack
    [[ "$output" == *"neither a file VERSION nor a Makefile with inspect.VERSION"* ]]
    echo 2.0.0 >blog/VERSION
    run -0 pack
    [ "$(site_json | jq -r .version)" = 2.0.0 ]
    printf 'inspect.VERSION:\n\t@printf 2.0.0+made\n' >blog/Makefile
    run -0 pack -q
    [ "$output" = out/blog-2.0.0+made.tar.zst.age ] || [[ "$output" == *$'\n'out/blog-2.0.0+made.tar.zst.age ]]
}

@test ".chillboxignore keeps files on the laptop, and what a manifest wants must not be among them" {
    mkdir -p blog/backend/tests blog/backend/node_modules/x
    touch blog/backend/tests/t.py blog/backend/node_modules/x/a.js blog/backend/notes.md blog/backend/README.md
    printf '# ours\nnode_modules/\n/backend/tests\n*.md\n!README.md\n' >blog/.chillboxignore
    run -0 pack
    [ "$(listed | sort | xargs)" = "blog/api/README.md blog/api/run blog/api/src/app.py blog/blog.site.json" ]
    edit '.services[0].manifest = "MANIFEST"'
    printf 'src\ntests\n' >blog/backend/MANIFEST
    run -7 pack
    [[ "$output" == *"service api: manifest: 'backend/tests' is to be taken, but is left out: a line '!backend/tests' in .chillboxignore takes it back"* ]]
    run -7 chillboxctl validate blog
}

@test "private keys are refused, also in what a static site shows, until .chillboxignore takes one by name [fault-260]" {
    edit '.services += [{name: "web", lang: "static"}]'
    mkdir -p blog/web/old
    openssl genpkey -algorithm ed25519 -out blog/web/old/core.pem
    openssl req -new -x509 -key blog/web/old/core.pem -subj /CN=x -out blog/web/cert.pem
    cp deploy.key blog/web/deployer.key
    cp deploy.pub blog/web/
    cp identity blog/backend/
    for verb in pack "chillboxctl validate blog"; do
        run -4 $verb
        [[ "$output" == *": 'backend/identity' holds an age identity, 'web/deployer.key' holds a secret key (minisign), 'web/old/core.pem' holds a private key (PEM): a release is no place"* ]]
        [[ "$output" == *"'!backend/identity' in .chillboxignore takes it"* ]]
        run ! ls out/*.age
    done
    rm blog/web/deployer.key blog/backend/identity
    echo '!web/old/' >blog/.chillboxignore
    run -0 pack
    [ "$(listed | sort | xargs)" = "blog/api/run blog/api/src/app.py blog/blog.site.json blog/web/cert.pem blog/web/deploy.pub blog/web/old/core.pem" ]
}

@test "what tools leave, files with the secrets of a machine and artifacts are left out, which is said; databases are warned of [fault-261]" {
    mkdir -p blog/backend/{venv/lib,node_modules/x,.git,.idea,a/__pycache__,b/__pycache__}
    touch blog/backend/{venv/pyvenv.cfg,venv/lib/x.py,node_modules/x/i.js,.git/HEAD,.idea/x,a/__pycache__/x.pyc,b/__pycache__/x.pyc} \
        blog/backend/{.env,.env.local,.env.example,.npmrc,.DS_Store,x.py~,.x.py.swp}
    python3 -c 'import sqlite3; sqlite3.connect("blog/backend/data").execute("create table a (b)")'
    echo '{}' >blog/backend/secrets.json
    edit '.services += [{name: "bin", lang: "binary"}]'
    mkdir -p blog/bin/node_modules && touch blog/bin/node_modules/i.js # such a program may well be one of node
    run -0 --separate-stderr chillboxctl pack blog -r "$RECIPIENT" -k deploy.key -o blog/backend/out
    [[ "$stderr" == "left out   .DS_Store, .env, .env.local, .git/, .idea/, .npmrc, .x.py.swp, __pycache__/ (2), node_modules/, venv/, x.py~"$'\n'* ]]
    [[ "$stderr" == *"warning: 'backend/data' is a database (SQLite), 'backend/secrets.json' is secrets, by its name: "* ]]
    # OUTDIR may be in the service's folder: the second archive is the first again.
    first=$(age -d -i identity blog/backend/out/*.age | zstd -dq | tar -tf - | grep -v '/$' | sort | xargs)
    run -0 chillboxctl pack blog -r "$RECIPIENT" -k deploy.key -o blog/backend/out
    [ "$(age -d -i identity blog/backend/out/*.age | zstd -dq | tar -tf - | grep -v '/$' | sort | xargs)" = "$first" ]
    [ "$first" = "blog/api/.env.example blog/api/data blog/api/run blog/api/secrets.json blog/api/src/app.py blog/bin/node_modules/i.js blog/blog.site.json" ]
    # Of other hidden folders nobody knows whether the service wants them: they go in.
    mkdir -p blog/backend/.github/workflows blog/backend/.well-known
    touch blog/backend/{.github/workflows/ci.yml,.well-known/security.txt}
    run -0 --separate-stderr pack
    [[ "$stderr" != *.github* ]]
    [ "$(listed | grep -c '^blog/api/\.github/workflows/ci.yml$\|^blog/api/\.well-known/security.txt$')" -eq 2 ]
    rm -r blog/backend/.github blog/backend/.well-known
    printf '!.env\n!node_modules/\n!venv\n' >blog/.chillboxignore
    run -0 pack
    [[ "$(listed | grep '^blog/api/.*\(env\|node\)' | sort | xargs)" == "blog/api/.env blog/api/.env.example blog/api/node_modules/x/i.js blog/api/venv/lib/x.py blog/api/venv/pyvenv.cfg" ]]
}

@test "[fault-1296] what macOS and Windows leave next to files is left out, and no template" {
    mkdir -p blog/nginx/templates blog/backend/{__MACOSX,Icons}
    printf 'server { include blog.ssl_cert.include; }\n' >blog/nginx/templates/blog.nginx.conf.template
    touch blog/nginx/templates/._blog.nginx.conf.template blog/backend/{._run,.localized,desktop.ini,__MACOSX/x,Icons/x,$'Icon\r'}
    run -0 --separate-stderr pack
    [[ "$stderr" == 'left out   ._blog.nginx.conf.template, ._run, .localized, Icon\x0d, __MACOSX/, desktop.ini'* ]]
    [ "$(listed | grep -v '/$' | sort | xargs)" = "blog/api/Icons/x blog/api/run blog/api/src/app.py blog/blog.site.json blog/nginx/templates/blog.nginx.conf.template" ]
}

@test "[fault-1176] files that no visitor gets, and templates that nobody reads, are told; what keeps a folder is not" {
    mkdir -p blog/web/empty blog/nginx/root blog/nginx/templates
    touch blog/web/{index.html,.htaccess,.nojekyll,..foo,empty/.gitkeep} blog/nginx/root/.a.html blog/backend/.dotted \
        blog/nginx/templates/{tc.conf,good.nginx.conf.template}
    edit '.services += [{name: "web", lang: "static"}]'
    run -0 --separate-stderr pack
    [[ "$stderr" == *"warning: web/..foo, web/.htaccess, web/.nojekyll, nginx/root/.a.html: visitors get 404 for files whose names begin with '.'; "* ]]
    [[ "$stderr" == *"warning: nginx/templates/tc.conf: not read: a template is named NAME.nginx.conf.template"* ]]
    rm -r blog/nginx blog/web/.[!g]*
    touch blog/web/index.html
    run -0 --separate-stderr pack
    [[ "$stderr" != *"warning:"* ]]
}

@test "[fault-1242] files in Flask's instance folder are said to make it read-only; a package of that name is not" {
    mkdir -p blog/backend/instance blog/backend/src/instance
    touch blog/backend/instance/config.py blog/backend/src/instance/.gitkeep
    run -0 --separate-stderr pack
    [[ "$stderr" == *"warning: backend/instance/config.py, backend/src/instance/.gitkeep: Flask's instance folder is the service's data only if the release has none"* ]]
    touch blog/backend/{,src/}instance/__init__.py
    run -0 --separate-stderr pack
    [[ "$stderr" != *"warning:"* ]]
}

@test "[fault-1157] a link to a file that is not packed is said, one to a file that is packed is not" {
    mkdir -p blog/backend/lib blog/shared && echo 'a = 1' | tee blog/shared/common.py >blog/backend/lib/own.py
    ln -s ../shared/common.py blog/backend/common.py
    ln -s lib/own.py blog/backend/own.py
    ln -s lib blog/backend/again
    ln -s again/own.py blog/backend/through.py
    run -0 --separate-stderr pack
    [[ "$stderr" == *"warning: api/common.py -> ../shared/common.py: leads nowhere on the host, because the file is not packed"* ]]
    [[ "$stderr" != *own.py* ]]
}

@test "[fault-1084] a folder that is a link, or lies behind one, is refused by name: its files are not in the site [attack-W61]" {
    refused() { # TEXT
        run -1 pack
        [[ "$output" == *"$1 is a link, and what it leads to is not packed: name the folder itself"* ]]
        run -1 chillboxctl validate blog
        [[ "$output" == *"$1 is a link"* ]]
    }
    mkdir -p outside && echo mine >outside/key
    for name in redis nginx; do
        ln -s ../outside "blog/$name"
        refused "'$name/': '$name'"
        rm "blog/$name"
    done
    ln -s "$PWD/outside" blog/backend/l
    printf 'app.py\nl/key\n' >blog/backend/MANIFEST
    touch blog/backend/app.py
    edit '.services[0].manifest = "MANIFEST"'
    refused "'backend/l/key': 'backend/l'"
    edit 'del(.services[0].manifest)'
    mv blog/backend real
    ln -s ../real blog/backend
    refused "'backend/': 'backend'"
}

@test "a site written as TOML is the same archive as the one written as JSON" {
    edit '.name = "Gärten" | .env = [{name: "A", value: "1"}] | .services[0].health = {path: "/up", count: 2}'
    jq -c 'walk(if type == "object" then to_entries | sort_by(.key) | from_entries else . end)' blog/blog.site.json >new.json && mv new.json blog/blog.site.json
    json=$(pack --json | jq -r .tar_sha256)
    rm blog/blog.site.json
    cat >blog/blog.site.toml <<'TOML'
name = "Gärten"
server_name = "blog.example"
version = "1.0.0"
env = [{ name = "A", value = "1" }]

[[services]]
name = "api"
lang = "python"
handler = "backend"

[services.health]
path = "/up"
count = 2
TOML
    run -0 chillboxctl validate blog
    [ "$output" = "blog/blog.site.toml: ok: blog 1.0.0, 1 service" ]
    [ "$(pack --json | jq -r .tar_sha256)" = "$json" ]
    printf 'naem = "x"\n' >>blog/blog.site.toml
    run -1 chillboxctl validate blog
    [[ "$output" == *"blog.site.toml:14: services[0].health.naem: unknown field, allowed are path, "* ]]
    echo '{}' >blog/blog.site.json
    run -2 chillboxctl validate blog
    [[ "$output" == *"several site files (blog.site.json, blog.site.toml)"* ]]
}

@test "an immutable folder with the original's Makefile lies below the hash that its make says" {
    edit '.services += [{name: "web", lang: "immutable", handler: "assets"}]'
    mkdir -p blog/assets/src && echo 'a {}' >blog/assets/src/a.css
    printf 'all:\n\t@mkdir -p dist && cp src/a.css dist/\ninspect.%%:\n\t@printf 810cdbfd\n' >blog/assets/Makefile
    run -0 pack
    [[ "$(listed)" == *"blog/immutable/web/810cdbfd/a.css"* ]]
    [[ "$(listed)" != *Makefile* ]]
}

@test "--wheels collects what the services need for another Python, once, beside what lies there" {
    use_pip
    printf 'markupsafe\ndocopt\n' >blog/backend/requirements.txt # docopt is published as source only
    printf 'src\nrequirements.txt\n' >blog/backend/MANIFEST
    edit '.services[0].manifest = "MANIFEST" | .workers = [{name: "w", lang: "python-worker", "run-cmd": "python w.py"}]'
    mkdir blog/w && echo 'pass' >blog/w/w.py
    run -0 pack --python 3.12 --platform musllinux_1_2_x86_64
    [[ "$output" == *"wheels     api: "*" wheels, "* ]]
    listed >list
    grep -q '^blog/api/dep/markupsafe-.*-cp312-cp312-musllinux_1_2_x86_64.whl$' list
    grep -q '^blog/api/dep/docopt-.*-none-any.whl$' list
    grep -q '^blog/api/dep/gunicorn-.*.whl$' list # the handler's own
    run ! grep '^blog/w/dep' list
    first=$(unpacked | sha256sum)
    # What is there is kept, without asking anybody.
    PIP_INDEX_URL=http://127.0.0.1:1/ run -0 pack --wheels --python 3.12
    [[ "$output" == *"all in dep/ already"* ]]
    [ "$(unpacked | sha256sum)" = "$first" ]
    echo 'no-such-package-of-that-name-9' >>blog/backend/requirements.txt
    run -1 pack --python 3.12
    [[ "$output" == *"service api: wheels for Python 3.12 on musllinux_1_2_"*"no-such-package-of-that-name-9"* ]]
    run -2 pack --platform musllinux_1_2_x86_64
    [[ "$output" == *"for which Python?"* ]]
    run -2 pack --python three
}

@test "hashes in requirements.txt: of a source that is built here they are checked, of another wheel they are refused until --new-hashes; the folder's file stays" {
    use_pip
    cat >blog/backend/requirements.txt <<'TXT'
--find-links ./dep
docopt==0.6.2 \
    --hash=sha256:49b3a825280bd66b3aa83585ef59c4a8c82f2c8a522dbe754a8bc8d08c85c491
    # via blog (published as source only)
click==8.1.3 \
    --hash=sha256:bb4d8133cb15a609f44e8213d9b391b0809795062913b383c62be0ee95b1db48
markupsafe==2.1.3 \
    --hash=sha256:5bbe06f8eeafd38e5d0a4894ffec89378b6c6a625ff57e3028921f8ff59318ac
TXT
    cp blog/backend/requirements.txt theirs
    # The last hash is that of the wheel for cp311 and musl.
    run -0 pack --python 3.11
    [[ "$output" == *"hashes     api: its requirements.txt is packed with more hashes than its author's, for docopt (built from its source)"* ]]
    unpacked >3.11.tar
    unpacked | tar -xOf - blog/api/requirements.txt >packed
    for line in "docopt==0.6.2 --hash=sha256:49b3a825280bd66b3aa83585ef59c4a8c82f2c8a522dbe754a8bc8d08c85c491 --hash=sha256:$(sha256sum blog/backend/dep/docopt-*.whl | cut -c 1-64)  # added: built from its source" \
        'click==8.1.3 --hash=sha256:bb4d8133cb15a609f44e8213d9b391b0809795062913b383c62be0ee95b1db48' --find-links\ ./dep; do
        grep -qxF -- "$line" packed
    done
    run ! grep -q 'dep/chillbox' <(listed)
    cmp theirs blog/backend/requirements.txt
    # Again, without asking anybody: the same.
    PIP_INDEX_URL=http://127.0.0.1:1/ run -0 pack --python 3.11
    [[ "$output" == *"for docopt (built"* && "$output" == *"all in dep/ already"* ]]
    unpacked | cmp - 3.11.tar
    run -4 pack --python 3.12 --platform manylinux_2_28_x86_64
    [[ "$output" == *"no hash in requirements.txt is that of what fits of markupsafe: --new-hashes trusts the index"* ]]
    run -0 pack --python 3.12 --platform manylinux_2_28_x86_64 --new-hashes
    [[ "$output" == *"for docopt (built from its source), markupsafe (new, from the index)"* ]]
    # What was added counts for the requirements.txt that it was added to, and a wrong hash of a source is not built.
    sed 's/49b3a825/00000000/; /markupsafe/,$d' theirs >blog/backend/requirements.txt
    run -0 pack
    unpacked | tar -xOf - blog/api/requirements.txt | cmp - blog/backend/requirements.txt
    rm -r blog/backend/dep
    run -4 pack --python 3.11
    [[ "$output" == *"of what fits of docopt: "* ]]
    run ! ls blog/backend/dep/chillbox.requirements.txt
    run -2 pack --new-hashes
}

@test "conditions on Python and the machine hold for the host, not for the laptop; what a hashed file lacks for it is new" {
    use_pip
    edit 'del(.services[0]) | .workers = [{name: "w", lang: "python-worker", "run-cmd": "python w.py"}]'
    mkdir blog/w && echo pass >blog/w/w.py
    printf 'docopt; python_version < "3.10"\nclick==8.1.3; python_full_version == "3.9.5"\nitsdangerous; platform_machine == "aarch64"\nblinker; python_version >= "3.10"\n' >blog/w/requirements.txt
    run -0 pack --python 3.9.5 --platform musllinux_1_2_aarch64
    run -0 ls blog/w/dep
    [[ "$(sed 's/-.*//' <<<"$output" | xargs)" == "click docopt itsdangerous" ]]
    rm -r blog/w/dep
    # redis wants async-timeout until 3.11.2, and its author was behind it.
    cat >blog/w/requirements.txt <<'TXT'
redis==4.6.0 \
    --hash=sha256:e2b03db868160ee4591de3cb90d40ebb50a90dd302138775937f6a42b7ed183c
TXT
    run -0 pack --python 3.11.3
    run -4 pack --python 3.11.2
    [[ "$output" == *"of what fits of async-timeout: --new-hashes"* ]]
    run -0 pack --python 3.11.2 --new-hashes
    [[ "$output" == *"for async-timeout (new, from the index)"* ]]
    unpacked | tar -xOf - blog/w/requirements.txt | grep -qx "async-timeout==[0-9.]* --hash=sha256:$(sha256sum blog/w/dep/async_timeout-*.whl | cut -c 1-64)  # added: new, from the index"
}

@test "what people bring: -r in folders, a byte order mark, ./libs/x, -e ., one artifact for the host [fault-263]" {
    use_pip
    cd blog/backend
    mkdir -p requirements libs/x/xlib
    printf '[project]\nname = "api"\nversion = "1"\ndependencies = ["six"]\n[tool.ruff]\nline-length = 100\n' >pyproject.toml
    printf '[project]\nname = "xlib"\nversion = "1"\n' >libs/x/pyproject.toml
    echo 'STATE = "first"' >libs/x/xlib/__init__.py
    printf '\xef\xbb\xbf-r base.txt\r\n-c pins\r\n' >requirements/prod.txt
    printf 'docopt ; python_version > "3"\n' >requirements/base.txt
    echo 'docopt==0.6.2' >requirements/pins
    printf -- '-r requirements/prod.txt\n-e .\n./libs/x\n' >requirements.txt
    printf '3.99\n' >.python-version # of the service's folder, and not what pack runs with
    cd ../..
    run -3 pack
    [[ "$output" == *"service api: no wheel of six, ./libs/x in dep/: --wheels --python VERSION collects them"* ]]
    run ! ls out/*.age
    run -0 pack --no-wheels
    run -0 pack --python "Python 3.11.2"
    [[ "$output" == *"made       api: its requirements.txt is packed with xlib==1 (made of ./libs/x)"* ]]
    listed | grep -q '^blog/api/dep/xlib-1-py3-none-any.whl$'
    [ "$(unpacked | tar -xOf - blog/api/requirements.txt)" = 'docopt ; python_version > "3"
-c requirements/pins
six
xlib==1  # added: made of ./libs/x' ]
    run -0 pack # all is there
    first=$(sha256sum <blog/backend/dep/xlib-1-py3-none-any.whl)
    # Its code is another one: so is the wheel.
    echo 'STATE = "second"' >blog/backend/libs/x/xlib/__init__.py
    run -3 pack
    run -0 pack --python 3.11.2
    [ "$(sha256sum <blog/backend/dep/xlib-1-py3-none-any.whl)" != "$first" ]
    # Dependencies in pyproject.toml alone, one of them a folder.
    printf '[project]\nname = "api"\nversion = "1"\ndependencies = ["six", "xlib @ file:./libs/x"]\n' >blog/backend/pyproject.toml
    rm blog/backend/requirements.txt
    run -0 pack --python 3.11.2
    [[ "$output" == *"made       api: "*"xlib==1"* ]]
    printf 'git+https://127.0.0.1:1/x.git\n' >blog/backend/requirements.txt
    run -1 pack --python 3.11.2
    [[ "$output" == *"service api: wheels for Python 3.11.2 on musllinux_1_2_"*": git clone "*" did not run successfully: fatal: unable to access 'https://127.0.0.1:1/x.git/'"* ]]
    [[ "$output" != *'\x0a'* ]]
    run -2 pack --wheels --no-wheels
}

@test "a source-only dependency of a dependency is named, with what to do [fault-266]" {
    use_pip
    make_sdist() { # NAME VERSION REQUIRES, with a C extension
        mkdir -p "$1" && printf 'from setuptools import setup, Extension\nsetup(name="%s", version="1.0", ext_modules=[Extension("%s", ["x.c"])])\n' "$1" "$1" >"$1/setup.py"
        printf '#include <Python.h>\nstatic struct PyModuleDef m = {PyModuleDef_HEAD_INIT, "%s"};\nPyMODINIT_FUNC PyInit_%s(void) { return PyModule_Create(&m); }\n' "$1" "$1" >"$1/x.c"
        printf 'Metadata-Version: 2.1\nName: %s\nVersion: 1.0\n' "$1" >"$1/PKG-INFO"
        tar -czf "sdists/$1-1.0.tar.gz" --transform "s,^$1,$1-1.0," "$1"
    }
    mkdir sdists && make_sdist slowlib
    python3 - <<'END'
import zipfile
with zipfile.ZipFile("sdists/front-1.0-py3-none-any.whl", "w") as z:
    z.writestr("front.py", "")
    z.writestr("front-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: front\nVersion: 1.0\nRequires-Dist: slowlib\n")
    z.writestr("front-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    z.writestr("front-1.0.dist-info/RECORD", "")
END
    printf -- '--find-links %s\nfront\n' "$PWD/sdists" >blog/backend/requirements.txt
    run -1 pack --python 3.11.2
echo "$output"
    [[ "$output" == *"no wheel of slowlib==1.0 for Python 3.11.2 on musllinux_1_2_"*", and its source makes one for this machine only (slowlib-1.0-"*"): \`pack --wheels\` without --python, on a machine like the host"* ]]
    # Built on a machine like the host it is taken, also when --python is given again.
    here=$(python3 -c 'import platform; print("manylinux_2_28" if platform.libc_ver()[0] == "glibc" else "musllinux_1_2", platform.machine(), sep="_")')
    run -0 pack --wheels
    run -0 pack --python "$(python3 --version)" --platform "$here"
    [[ "$output" == *"all in dep/ already"* ]]
}

@test "--wheels alone is for this machine" {
    use_pip
    echo docopt >blog/backend/requirements.txt
    edit '.services = [] | .workers = [{name: "w", lang: "python-worker", handler: "backend", "run-cmd": "python w.py"}]'
    run -0 pack --wheels
    listed | grep -q '^blog/w/dep/docopt-.*-none-any.whl$'
}
