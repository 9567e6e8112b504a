#!/usr/bin/env bats
# The package on Alpine's own root file system, with musl, busybox and apk: `BOX_ROOTFS=DIR make test-alpine`. What the root has not is skipped.

# shellcheck disable=SC2154,SC2016,SC2034 # box_up sets HOST; "sh -c" expands in the box; host.bash reads LAPTOP and CTL

load helpers/box
load helpers/host

ARCH=$(uname -m)

possible() { [ "$(id -u)" -eq 0 ] && [ -n "${BOX_ROOTFS-}" ] && [ -e "$BOX_ROOTFS/etc/alpine-release" ]; }
has_services() { [ -x "$BOX_ROOTFS/sbin/openrc-run" ] && [ -x "$BOX_ROOTFS/usr/sbin/nginx" ]; }

setup_file() {
    export BATS_NO_PARALLELIZE_WITHIN_FILE=true
    possible || return 0
    ROOT=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
    export ROOT LAPTOP=$BATS_FILE_TMPDIR PASSPHRASE='correct horse' PACKAGES=$BATS_FILE_TMPDIR/packages CTL=$BATS_FILE_TMPDIR/chillboxctl
    mkdir "$PACKAGES"
    cp -R "$ROOT/dist/repo" "$PACKAGES/repo"
    cp "$ROOT/${BUILD:-build}/static/$ARCH/chillboxctl" "$CTL" # static: it runs here as there
    KEY=$PACKAGES/repo/$(basename "$APK_KEY").pub
    VERSION=$(sed -n 's/^VERSION := //p' "$ROOT/Makefile")
    export KEY VERSION
    stand_in
    export HOST=
    ! has_services || box_up HOST
}

teardown_file() { [ -z "${HOST-}" ] || box down "$HOST"; }

setup() {
    bats_require_minimum_version 1.5.0
    possible || skip "BOX_ROOTFS names no Alpine root: see make test-alpine"
}
needs_services() { [ -n "$HOST" ] || skip "this root has no OpenRC or no NGINX"; }

# A root whose OpenRC, NGINX and Python did not come as packages: for apk, ones that say they are there.
stand_in() {
    ! chroot "$BOX_ROOTFS" /sbin/apk info -q -e nginx 2>/dev/null || return 0
    python3 - "$ROOT/apk" "$APK_KEY" "$PACKAGES/repo/v1/$ARCH" "$ARCH" <<'END'
import sys
sys.path.insert(0, sys.argv[1])
sys.dont_write_bytecode = True
import hashlib, pack
key, repository, arch = sys.argv[2:]
tree = pack.file_tree("/", [])[0]
for name, provides in [("openrc", "cmd:openrc-run=1"), ("nginx", "cmd:nginx=1"), ("python3", "cmd:python3=3")]:
    info = "pkgname = %s\npkgver = 1-r0\npkgdesc = stand-in\narch = %s\nsize = 0\nlicense = none\nprovides = %s\ndatahash = %s\n"
    info %= (name, arch, provides, hashlib.sha256(tree).hexdigest())
    pack.write("%s/%s-1-r0.apk" % (repository, name), pack.signed(key, pack.segment([(".PKGINFO", info.encode(), 0o644)])) + tree)
pack.index(key, repository)
END
}

# A root to write into, without a host in it. Its apk reads a repository from a directory as it does from a server.
bare_root() {
    bare=$BATS_FILE_TMPDIR/bare
    [ -d "$bare" ] || { cp -a "$BOX_ROOTFS" "$bare" && echo /repo/v1 >"$bare/etc/apk/repositories"; }
    rm -rf "$bare/repo"
    cp -R "$PACKAGES/repo" "$bare/repo"
}
# The block of README's Install, word by word but for the server's name, which is this machine's.
readme_install() {
    sed -n '/^```sh alpine$/,/^```$/p' "$ROOT/README.md" | sed "/^\`\`\`/d; s,https://packages.example,http://127.0.0.1:$port,; s,/KEY.rsa,/$(basename "$APK_KEY")," >"$bare/install"
    in_bare sh -eu /install
}
in_bare() { chroot "$bare" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root "$@"; }

# The next release of the same programs, into the repository.
next_release() { # RELEASE
    python3 -B "$ROOT/apk/pack.py" pack "$ARCH" "$ROOT/${BUILD:-build}/static/$ARCH" "$VERSION" "$APK_KEY" "$LAPTOP/newer" "$1"
    cp "$LAPTOP/newer/$ARCH"/*-r"$1".apk "$PACKAGES/repo/v1/$ARCH/"
    python3 -B "$ROOT/apk/pack.py" index "$APK_KEY" "$PACKAGES/repo/v1/$ARCH"
}

@test "a repository that is not signed by a key of the host is refused; with the key README's lines install, and start nothing" {
    bare_root
    run in_bare apk add --no-progress chillbox nginx python3
    [[ "$status" -ne 0 && "$output" == *UNTRUSTED* ]]
    : >"$bare/etc/apk/repositories"
    python3 -u -m http.server --bind 127.0.0.1 0 --directory "$bare/repo" >"$LAPTOP/web-bare" 2>&1 3>&- &
    server=$!
    wait_for 10 grep -qs 'port [0-9]' "$LAPTOP/web-bare"
    port=$(sed -n 's/.* port \([0-9]*\) .*/\1/p' "$LAPTOP/web-bare")
    run readme_install
    kill "$server"
    echo "$output"
    [[ "$status" -eq 0 && "$output" == *"chillboxctl init"* ]]
    echo /repo/v1 >"$bare/etc/apk/repositories"
    for user in chillbox chillbox-vault chillbox-acme chillbox-notify; do in_bare getent passwd "$user" | grep -q ':/sbin/nologin$'; done
    in_bare getent group chillbox-admin
    [ "$(in_bare chillboxctl --version | wc -l)" -eq 1 ]
    run -0 in_bare chillboxd --check
    [ ! -e "$bare/var/lib/chillbox/state.db" ]
    [ -z "$(in_bare find /etc -path '*runlevels*' -name 'chillbox*')" ]
    in_bare apk add -q --no-progress chillbox-doc
    in_bare test -e /usr/share/man/man1/chillboxctl.1.gz
    for inside in openssl cpp-httplib acmez; do in_bare grep -q "^==== .*$inside" /usr/share/licenses/chillbox/third-party.txt; done
    [[ "$(in_bare apk info --license chillbox)" == *'ISC AND Apache-2.0 AND'* ]]
    # What is in it is what apk itself makes of it.
    in_bare apk verify -q "/repo/v1/$ARCH/chillbox-$VERSION-r0.apk"
}

@test "a package that was changed after it was signed is refused" {
    bare_root
    file=$bare/repo/v1/$ARCH/chillbox-bash-completion-$VERSION-r0.apk
    printf 'x' | dd of="$file" bs=1 seek="$(($(stat -c %s "$file") - 40))" conv=notrunc status=none
    run ! in_bare apk add --no-progress chillbox-bash-completion
    echo "$output"
    [[ "$output" == *"ERROR: chillbox-bash-completion-"* ]]
    in_bare test ! -e /usr/share/bash-completion/completions/chillboxctl
    in_bare apk del -q chillbox-bash-completion
}

@test "apk upgrade brings the next release, and the same files give the same bytes" {
    bare_root
    next_release 1
    bare_root
    in_bare apk upgrade -q --no-progress
    in_bare apk info -v | grep -qx "chillbox-$VERSION-r1"
    cp "$LAPTOP/newer/$ARCH/chillbox-$VERSION-r1.apk" "$LAPTOP/first.apk"
    next_release 1
    cmp "$LAPTOP/first.apk" "$LAPTOP/newer/$ARCH/chillbox-$VERSION-r1.apk"
}

@test "the same source, compiled and linked in another folder, is the same static program, byte for byte" {
    other=$LAPTOP/another/folder
    mkdir -p "$other/tests" "$other/apk" "$other/build/static/$ARCH"
    cp -R "$ROOT/Makefile" "$ROOT/agent" "$ROOT/.ci" "$other/"
    cp -R "$ROOT/tests/make" "$other/tests/" && cp -R "$ROOT/apk/static" "$other/apk/"
    touch "$other/build/static/$ARCH/.deps"
    env -u MAKEFLAGS -u MAKELEVEL TZ=Asia/Tokyo make -s -C "$other" -f - log <<<$'include Makefile\nlog:\n\t$(call static_make,$(MACHINE)) $(BUILD)/static/$(MACHINE)/chillbox-log' 3>&-
    cmp "$ROOT/${BUILD:-build}/static/$ARCH/chillbox-log" "$other/build/static/$ARCH/chillbox-log"
}

@test "a release is signed, says what is inside, and a host installs from exactly its files" {
    out=$LAPTOP/source/dist/release
    git clone -q "$ROOT" "$LAPTOP/source"
    mkdir -p "$LAPTOP/source/build"
    ln -s "$ROOT/${BUILD:-build}/static" "$LAPTOP/source/build/static"
    cp -R "$ROOT/dist" "$LAPTOP/source/dist"
    (cd "$LAPTOP" && "$CTL" keygen -q -o release --no-password)
    static=$(make -s -C "$ROOT" -f - static-folder <<<$'include Makefile\nstatic-folder:\n\t@echo $(STATIC)')
    run -2 sh -c 'cd "$1" && sh apk/release 9.9.9 "$2" "$3" "$4"' sh "$LAPTOP/source" "$ARCH" "$LAPTOP/release.key" "$static"
    [[ "$output" == *"VERSION in Makefile is not 9.9.9"* ]]
    export GIT_COMMITTER_NAME=test GIT_COMMITTER_EMAIL=test@chillbox.invalid # of the tag
    (cd "$LAPTOP/source" && sh apk/release "$VERSION" "$ARCH" "$LAPTOP/release.key" "$static")
    [ "$(git -C "$LAPTOP/source" tag)" = "v$VERSION" ]
    (cd "$out" && minisign -q -V -p "$LAPTOP/release.pub" -m SHA256SUMS && sha256sum --quiet -c SHA256SUMS)
    [ "$(sed -n 's/.*  //p' "$out/SHA256SUMS" | wc -l)" -eq "$(find "$out" -type f ! -name 'SHA256SUMS*' | wc -l)" ]
    "$out/chillboxctl-linux-$ARCH" --version | grep -q "$VERSION"
    jq -e '.packages | map(.name) | index("openssl") and index("sqlite") and any(test("/acmez"))' "$out/sbom.spdx.json"
    tar -xzf "$out/chillbox-$VERSION.tar.gz" -C "$LAPTOP"
    # Its headers are there for who has no package of them.
    [[ -s "$LAPTOP/chillbox-$VERSION/vendor/include/httplib.h" && -s "$LAPTOP/chillbox-$VERSION/vendor/include/CLI/CLI.hpp" ]]
    make -n -C "$LAPTOP/chillbox-$VERSION" CCACHE= build/agent/cli/main.o | grep -q -- '-isystem vendor/include'
    tar -xzf "$out/aports-$VERSION.tar.gz" -C "$LAPTOP"
    (cd "$out" && . "$LAPTOP/chillbox/APKBUILD" && [ "$source" = "chillbox-$VERSION.tar.gz" ] && xargs <<<"$sha512sums" | sed 's/ /  /' | sha512sum --quiet -c)
    bare=$BATS_FILE_TMPDIR/released # in_bare is there
    cp -a "$BOX_ROOTFS" "$bare"
    mkdir "$bare/repo"
    tar -xzf "$out/repo-$VERSION.tar.gz" -C "$bare/repo"
    printf '%s\n' /repo/v1 /stand-in/v1 >"$bare/etc/apk/repositories"
    mkdir -p "$bare/stand-in/v1/$ARCH"
    cp "$PACKAGES/repo/v1/$ARCH"/*-1-r0.apk "$bare/stand-in/v1/$ARCH/" 2>/dev/null || :
    python3 -B "$ROOT/apk/pack.py" index "$APK_KEY" "$bare/stand-in/v1/$ARCH"
    cp "$bare"/repo/*.rsa.pub "$bare/etc/apk/keys/"
    in_bare apk add -q --no-progress chillbox
    in_bare chillboxctl --version | grep -q "$VERSION"
}

# What abuild calls, where there is no compiler: it packs programs that are built already, and neither strips nor looks into them.
in_abuild() { # STEP...
    [ -e "$bare/usr/bin/make" ] || {
        printf '#!/bin/sh\n' | tee "$bare/usr/bin/strip" "$bare/usr/bin/getcap" "$bare/usr/bin/scanelf" >"$bare/usr/bin/make"
        printf '%s\n' 'for word; do case $word in BUILD=*|DESTDIR=*) eval "${word%%=*}=\${word#*=}" ;; esac; done' \
            'case " $* " in *" install "*) exec sh apk/install "$DESTDIR" "$BUILD" ;; esac' >>"$bare/usr/bin/make"
        chmod 0755 "$bare"/usr/bin/{make,strip,getcap,scanelf}
    }
    in_bare sh -ec 'cd /aports/testing/chillbox && exec abuild -F -d "$@"' sh "$@"
}

@test "abuild takes the release's APKBUILD and archive, and splits it into the packages that make apk packs" {
    bare=$BATS_FILE_TMPDIR/released
    [ -x "$bare/usr/bin/abuild" ] || { echo "# this root has no abuild: not tried" >&3 && return; }
    mkdir -p "$bare/aports/testing"
    tar -xzf "$LAPTOP/source/dist/release/aports-$VERSION.tar.gz" -C "$bare/aports/testing"
    cp "$LAPTOP/source/dist/release/chillbox-$VERSION.tar.gz" "$bare/aports/testing/chillbox/"
    run -0 in_abuild validate
    run ! grep -i warning <<<"$output"
    run -0 in_abuild fetch unpack prepare
    cp -RL "$ROOT/${BUILD:-build}/static/$ARCH" "$bare/aports/testing/chillbox/src/build"
    # Without GNU tar it stops before it makes the archives: what is in them, and what they say of themselves, is there.
    in_abuild rootpkg || echo "abuild: $?"
    for package in chillbox{,-doc,-openrc,-{bash,zsh,fish}-completion}; do
        ours=$PACKAGES/repo/v1/$ARCH/$package-$VERSION-r0.apk theirs=$bare/aports/testing/chillbox/pkg
        echo "$package"
        diff <(tar -tzf "$ours" 2>/dev/null | grep -v '^\.[PSp]' | grep -v '/$' | sort) <(cd "$theirs/$package" && find . -type f ! -path './.*/*' | sed 's,^\./,,; s,^usr/share/man/.*[0-9]$,&.gz,' | sort)
        about='^(pkgname|pkgver|origin|url|maintainer|provides|install_if) = '
        diff <(tar -xzOf "$ours" .PKGINFO 2>/dev/null | grep -E "$about" | xargs -n 1 | sort) <(grep -E "$about" "$theirs/.control.$package/.PKGINFO" | xargs -n 1 | sort)
    done
}

@test "every installed file is in the package, with the mode of the list; nothing more" {
    bare_root
    in_bare apk info -q -L chillbox chillbox-openrc chillbox-doc | sed 's,^,/,' | grep -v '^/$' | sed 's/\.gz$//' | sort -u >"$LAPTOP/have"
    "$ROOT/apk/install" "$LAPTOP/tree" "$ROOT/${BUILD:-build}/static/$ARCH"
    (cd "$LAPTOP/tree" && find . -type f ! -path '*completion*' ! -path '*/zsh/*' ! -path '*/fish/*') | sed 's/^\.//' | sort >"$LAPTOP/want"
    diff "$LAPTOP/want" "$LAPTOP/have"
    [ "$(stat -c %a:%u "$bare/usr/sbin/chillboxd")" = 755:0 ]
    [ "$(stat -c %a:%u "$bare/etc/conf.d/chillboxd")" = 644:0 ]
}

@test "removed: programs go, what the administrator changed stays" {
    bare_root
    in_bare sh -c 'mkdir -p /etc/chillbox && echo "# mine" >/etc/chillbox/chillboxd.toml && echo "# mine" >>/etc/conf.d/chillboxd'
    in_bare apk del -q chillbox chillbox-doc
    in_bare test ! -e /usr/sbin/chillboxd
    in_bare grep -q mine /etc/chillbox/chillboxd.toml
}

# The site: files, and a program that busybox can be.
make_pages() { # VERSION
    rm -rf "$LAPTOP/hello"
    mkdir -p "$LAPTOP/hello/pages" "$LAPTOP/hello/clock"
    printf 'page %s\n' "$1" >"$LAPTOP/hello/pages/index.html"
    printf '#!/bin/sh\nexec nc -lk -s "$HOST" -p "$PORT" -e "${0%%/*}/answer"\n' >"$LAPTOP/hello/clock/clock"
    printf '#!/bin/sh\nread -r line\nprintf "HTTP/1.0 200 OK\\r\\nContent-Length: %s\\r\\n\\r\\n%s"\n' "${#1}" "$1" >"$LAPTOP/hello/clock/answer"
    chmod 0755 "$LAPTOP/hello/clock/"*
    printf '%s' '{"name": "Hello", "server_name": "hello.example", "version": "'"$1"'", "watch": "1s", "services": [
        {"name": "pages", "lang": "static", "handler": "pages"}, {"name": "clock", "lang": "binary", "handler": "clock"}]}' >"$LAPTOP/hello/hello.site.json"
}
publish() { make_pages "$1" && send "$(pack)"; }
both_answer() { [ "$(get /pages/)" = "page $1" ] && [ "$(get /clock/)" = "$1" ]; }

serve() { # the packages over HTTP, as long as the box is up
    ! host_curl -o /dev/null http://127.0.0.1:8099/ 2>/dev/null || return 0
    box net "$HOST" -- python3 -m http.server --bind 127.0.0.1 8099 --directory "$PACKAGES" >"$LAPTOP/web" 2>&1 3>&- &
    wait_for 10 host_curl -o /dev/null http://127.0.0.1:8099/
}

@test "init, unlock, and a site of files and a program goes live" {
    needs_services
    serve
    box push "$HOST" "$KEY" /etc/apk/keys/
    in_box sh -c "echo http://127.0.0.1:8099/repo/v1 >/etc/apk/repositories && apk add -q --no-progress chillbox nginx python3"
    host_set_up
    printf 'export URL=%s RECIPIENT=%s\n' "$URL" "$RECIPIENT" >"$LAPTOP/host"
    publish 1.0.0
    both_answer 1.0.0
    in_box test -e /etc/nginx/http.d/chillbox.hello.conf
}

# shellcheck source=/dev/null
later() { needs_services && . "$LAPTOP/host"; }

@test "a second release, and back" {
    later
    publish 1.1.0
    both_answer 1.1.0
    ctl rollback hello
    both_answer 1.0.0
}

@test "an edge that makes a forbidden call dies by the filter; musl's own calls do not" {
    later
    for process in chillbox chillbox-vault; do in_box sh -c 'grep -q "^Seccomp:.*2" "/proc/$(pgrep -u "$1" | head -n 1)/status"' sh "$process"; done
    in_box sh -c '! grep -q "ended with code" /var/log/chillbox/chillboxd.log'
}

@test "after a reboot the host is locked, serves, and is unlocked" {
    later
    box reboot "$HOST"
    ctl ping --wait 20s
    [ "$(json ping .sealed)" = true ]
    wait_for 20 both_answer 1.0.0
    unlock
    [ "$(json ping .sealed)" = false ]
}

# Of both services, one request after the other, until enough is: prints each status.
visit() { box net "$HOST" -- sh -c 'while [ ! -e "$1" ]; do for path in pages clock; do curl -s -m 10 -o /dev/null -w "%{http_code}\n" -H "Host: hello.example" "$2/$path/" || :; done; done' sh "$LAPTOP/enough" "$URL"; }

@test "apk upgrade: the new package takes over, no request is lost, the host stays unsealed, the services are the same processes" {
    later
    before=$(pids_of hello)
    next_release 2
    serve
    visit >"$LAPTOP/visits" 3>&- &
    visitor=$!
    in_box sh -c 'echo "# mine" >>/etc/conf.d/chillboxd'
    in_box apk update -q # for -U an index of the last minute is new enough
    run -0 in_box apk upgrade -q --no-progress
    echo "$output"
    [[ "$output" == *"was replaced by"*"unlocked"* ]]
    [ "$(json ping .sealed)" = false ]
    [ "$(pids_of hello)" = "$before" ]
    in_box grep -q '# mine' /etc/conf.d/chillboxd
    publish 1.2.0
    both_answer 1.2.0
    : >"$LAPTOP/enough"
    wait "$visitor"
    printf '# %s requests during an upgrade and a deploy\n' "$(wc -l <"$LAPTOP/visits")" >&3
    [ "$(wc -l <"$LAPTOP/visits")" -ge 20 ]
    [ "$(sort -u "$LAPTOP/visits")" = 200 ]
}

@test "what it takes of memory when idle is printed, and is no more than README says" {
    later
    # Shared pages are counted by halves: PSS.
    idle=$(in_box sh -c 'for it in /proc/[0-9]*; do [ "$(readlink "$it/exe")" != /usr/sbin/chillboxd ] || cat "$it/smaps_rollup"; done' | awk '/^Pss:/ {sum += $2} END {print sum}')
    printf '# idle: %s kB of the three processes (PSS)\n' "$idle" >&3
    limit=$(sed -n 's/.* to \([0-9]*\) MB of memory when idle.*/\1/p' "$ROOT/README.md")
    [ "$idle" -gt 1000 ] && [ "$idle" -lt $((limit * 1000)) ]
}

@test "bootstrap: user-data makes a host of a fresh box, with packages from a URL; init is what remains" {
    needs_services
    box_up HOST
    in_box sh -c ': >/etc/apk/repositories' # what is needed is there: nobody need be asked
    serve
    packages=$(cd "$PACKAGES/repo/v1/$ARCH" && for package in *-1-r0.apk chillbox-"$VERSION"-r0.apk chillbox-openrc-"$VERSION"-r0.apk; do
        [ ! -e "$package" ] || printf ',http://127.0.0.1:8099/repo/v1/%s/%s?signature=x#sha256=%s' "$ARCH" "$package" "$(sha256sum "$package" | cut -d ' ' -f 1)"
    done)
    "$CTL" bootstrap --apk-key "$KEY" --package "${packages#,}" --trust "$LAPTOP/deployer.pub" >"$LAPTOP/user-data"
    chmod 0755 "$LAPTOP/user-data"
    box push "$HOST" "$LAPTOP/user-data" /root/
    for _ in 1 2; do in_box sh -c 'cd / && exec env -i /root/user-data </dev/null'; done
    with_passphrase "$PASSPHRASE" init -q --work-factor 10
    box reboot "$HOST"
    ctl ping --wait 20s
    unlock
    ctl webhook add laptop --all-sites --all-types 2>/dev/null >"$LAPTOP/hook.key"
    RECIPIENT=$(in_box cat /var/lib/chillbox/recipient.txt) URL=$(box url "$HOST")
    publish 2.0.0
    both_answer 2.0.0
    box down "$HOST"
}

@test "the package is removed while a site runs: what it says stops the site, the data stay" {
    later
    # What the package says of services that still run works when it is gone.
    run -0 in_box apk del -q chillbox
    advice=$(sed -n 's/.*to stop it: //p' <<<"$output" | head -n 1)
    in_box pgrep -u hello
    in_box sh -c "$advice"
    wait_for 20 in_box sh -c '! pgrep -u hello'
    in_box sh -c '! pgrep chillboxd && test -e /var/lib/chillbox/identity.age'
}
