#!/usr/bin/env bats
# apk/: the package's own scripts, under dash and under busybox ash, each twice; and that there is one list of files and one version.

# shellcheck disable=SC2016 # the fakes expand

load helpers/hooks

# Fakes of what a package's script calls: each notes its words, and ends as the variable of its name says.
setup() {
    bats_require_minimum_version 1.5.0
    ROOT=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
    fakes=$BATS_TEST_TMPDIR/fakes calls=$BATS_TEST_TMPDIR/calls
    mkdir "$fakes"
    for name in addgroup adduser chpasswd rc-service rc-update chillboxctl; do
        printf '#!/bin/sh\nprintf "%%s %%s\\n" %s "$*" >>"%s"\ncase " ${FAILS-} " in *" %s "*) exit 1 ;; esac\n' "$name" "$calls" "$name" >"$fakes/$name"
        chmod 0755 "$fakes/$name"
    done
    export fakes
}

# busybox's own addgroup must not be the one that is found.
in_shells() { # SCRIPT: dash, then ash
    PATH=$fakes:$PATH dash "$ROOT/apk/$1" && PATH=$fakes:$(busybox_tools):$PATH busybox ash "$ROOT/apk/$1"
}

@test "pre-install and pre-upgrade make the same users and groups, also when they are there" {
    for script in chillbox.pre-install chillbox.pre-upgrade; do
        : >"$calls"
        in_shells $script
        cp "$calls" "$calls.$script"
        FAILS='addgroup adduser' in_shells $script
    done
    diff "$calls.chillbox.pre-install" "$calls.chillbox.pre-upgrade"
    grep -qx 'addgroup -S chillbox-admin' "$calls"
    for user in 'chillbox:/var/lib/chillbox' 'chillbox-vault:/dev/null' 'chillbox-acme:/var/lib/chillbox/acme' 'chillbox-notify:/dev/null'; do
        grep -qx "adduser -S -D -H -h ${user#*:} -s /sbin/nologin -g  -G ${user%%:*} ${user%%:*}" "$calls"
    done
    grep -qx 'adduser -S -D -H -h /var/lib/chillbox/ssh -s /usr/lib/chillbox/gate -g  -G chillbox-ssh chillbox-ssh' "$calls"
    grep -qx 'chpasswd -e' "$calls"
}

@test "make apk builds the programs that it packs, in whatever order its files are read" {
    cd "$ROOT"
    make -np ARCHS='x86_64 aarch64' 2>/dev/null >"$BATS_TEST_TMPDIR/database"
    grep '^apk:' "$BATS_TEST_TMPDIR/database" | grep 'static-x86_64 static-aarch64' | grep -q 'man/chillboxctl.1'
    grep -q '^static-programs: .*/chillboxd .*/chillboxctl .*/chillbox-log' "$BATS_TEST_TMPDIR/database"
}

@test "two compiles, each in a folder, a zone and an order of its own, give the same objects" {
    cd "$BATS_TEST_TMPDIR"
    zone=Asia/Tokyo jobs=1
    for folder in one a-longer-name/two; do
        mkdir -p $folder/tests $folder/apk $folder/out
        cp -R "$ROOT/Makefile" "$ROOT/agent" "$ROOT/.ci" $folder/
        cp -R "$ROOT/tests/make" $folder/tests/ && cp -R "$ROOT/apk/static" $folder/apk/
        touch $folder/out/.deps
        env -u MAKEFLAGS -u MAKELEVEL TZ=$zone make -s -j$jobs -C $folder BUILD=out CCACHE= PRECOMPILES= out/libbase.a 3>&-
        strip -g $folder/out/libbase.a # a debugger is told the folder
        zone=UTC jobs=4
    done
    cmp one/out/libbase.a a-longer-name/two/out/libbase.a
    [ "$(ar t one/out/libbase.a | wc -l)" -ge 2 ]
}

@test "APKBUILD has a maintainer as abuild wants one, and names no package that Alpine does not have" {
    (cd "$ROOT/apk" && startdir=$PWD && . ./APKBUILD && printf '%s\n' "$maintainer" $makedepends) >"$BATS_TEST_TMPDIR/apkbuild"
    head -n 1 "$BATS_TEST_TMPDIR/apkbuild" | grep -qE '^[^<>]+ <[^@<> ]+@[^@<> ]+\.[^@<> ]+>$'
    run ! grep -x 'toml++-dev' "$BATS_TEST_TMPDIR/apkbuild"
    # What building asks for is what .ci/deps installs on Alpine, but for the tools that abuild has, Go, and headers of a release's archive.
    sed -n '/^alpine_packages/,/^}/{/  build)/,/;;/p}' "$ROOT/.ci/deps" | grep -oE '[a-z0-9+-]+-dev|nlohmann-json|linux-headers|scdoc' | grep -vx cli11-dev | sort -u >"$BATS_TEST_TMPDIR/deps"
    sed 1d "$BATS_TEST_TMPDIR/apkbuild" | grep -vx go | sort -u | diff "$BATS_TEST_TMPDIR/deps" -
}

@test "chillbox is a second name of the program, for shells and in the manual too" {
    (cd "$ROOT" && sh apk/install "$BATS_TEST_TMPDIR/tree" "${BUILD:-build}")
    cd "$BATS_TEST_TMPDIR/tree"
    run -0 env PATH="$PWD/usr/bin:$PATH" chillbox --version
    [[ "$output" =~ ^chillboxctl\ [0-9] ]]
    run -2 env PATH="$PWD/usr/bin:$PATH" dash usr/bin/chillbox 'no such' verb
    [ "$(cat usr/share/man/man1/chillbox.1)" = '.so man1/chillboxctl.1' ]
    for shell in bash zsh fish; do
        "$ROOT/${BUILD:-build}/chillboxctl" completion $shell | grep -qw chillbox
    done
}

@test "make install refuses a PREFIX that the programs do not know" {
    run -2 make -C "$ROOT" -n install PREFIX=/usr/local
    [[ "$output" == *"PREFIX must be /usr"*DESTDIR* ]]
    make -C "$ROOT" -n install PREFIX=/usr >/dev/null
}

@test "post-install starts nothing and says what comes next" {
    run -0 in_shells chillbox.post-install
    [[ "$output" == *"chillboxctl init"* ]]
    [ ! -e "$calls" ]
}

@test "post-upgrade upgrades a running daemon, and leaves a stopped one alone" {
    FAILS=rc-service in_shells chillbox.post-upgrade
    run ! grep chillboxctl "$calls"
    : >"$calls"
    in_shells chillbox.post-upgrade
    [ "$(grep -cx 'chillboxctl upgrade' "$calls")" -eq 2 ]
}

@test "post-upgrade: a new program that is refused is reported, and does not fail the package" {
    FAILS=chillboxctl run -0 in_shells chillbox.post-upgrade
    [[ "$output" == *"previous version keeps running"*"rc-service chillboxd upgrade"* ]]
}

@test "pre-deinstall stops the daemon and takes it out of the runlevels" {
    in_shells chillbox.pre-deinstall
    [ "$(grep -cx 'rc-service chillboxd stop' "$calls")" -eq 2 ]
    grep -qx 'rc-update -q -a del chillboxd' "$calls"
    grep -qx 'rc-update -q -a del chillbox-fleetlock' "$calls"
}

@test "one version: APKBUILD has that of the Makefile; and each of its scripts is there" {
    (cd "$ROOT/apk" && startdir=$PWD && . ./APKBUILD && printf '%s\n' "$pkgver" "$builddir" $install) >"$BATS_TEST_TMPDIR/apkbuild"
    [ "$(sed -n 1p "$BATS_TEST_TMPDIR/apkbuild")" = "$(sed -n 's/^VERSION := //p' "$ROOT/Makefile")" ]
    [ "$(sed -n 2p "$BATS_TEST_TMPDIR/apkbuild")" = "$ROOT/apk/.." ]
    for script in $(sed 1,2d "$BATS_TEST_TMPDIR/apkbuild"); do [ -x "$ROOT/apk/$script" ]; done
    [ "$(sed 1,2d "$BATS_TEST_TMPDIR/apkbuild" | sort)" = "$(cd "$ROOT/apk" && printf '%s\n' chillbox.* | sort)" ]
}

@test "install: every file of the list, with its mode, under dash and ash alike" {
    build=$BATS_TEST_TMPDIR/build
    for source in $(sed -n 's,^0.* build/,,p' "$ROOT/apk/files"); do mkdir -p "$build/$(dirname "$source")" && printf x >"$build/$source"; done
    cd "$ROOT"
    dash apk/install "$BATS_TEST_TMPDIR/dash" "$build"
    PATH=$(busybox_tools):$PATH busybox ash apk/install "$BATS_TEST_TMPDIR/ash" "$build"
    PATH=$(busybox_tools):$PATH busybox ash apk/install "$BATS_TEST_TMPDIR/ash" "$build"
    diff -r "$BATS_TEST_TMPDIR/dash" "$BATS_TEST_TMPDIR/ash"
    while read -r mode destination _; do
        case $mode in 0*) [ "$(stat -c 0%a "$BATS_TEST_TMPDIR/ash$destination")" = "$mode" ] ;; esac
    done <apk/files
    [ -x "$BATS_TEST_TMPDIR/ash/usr/lib/chillbox/hooks/host/user-add" ]
}

@test "APKBUILD: package() and make install DESTDIR= put there what the list says, and nothing else" {
    srcdir=$BATS_TEST_TMPDIR/src pkgdir=$BATS_TEST_TMPDIR/pkg build=$ROOT/${BUILD:-build}
    mkdir "$srcdir"
    ln -s "$build" "$srcdir/build"
    # The programs are there; a packager's own OPT would build all of them anew, below the other tests.
    make() {
        for word in "$@"; do shift && case $word in OPT=*) ;; *) set -- "$@" "$word" ;; esac; done
        command make "$@"
    }
    (cd "$ROOT/apk" && startdir=$PWD && . ./APKBUILD && cd "$builddir" && package)
    cd "$ROOT"
    # The licences of others are only with static programs, which have their code inside.
    sed -n '/third-party/d; s,^0[0-9]* \(/[^ ]*\) .*,\1,p' apk/files >"$BATS_TEST_TMPDIR/want"
    (cd hooks && find . -type f ! -name '*.md' ! -name '*.go' ! -name 'go.*') | sed 's,^\.,/usr/lib/chillbox/hooks,' >>"$BATS_TEST_TMPDIR/want"
    (cd "$pkgdir" && find . -type f) | sed 's,^\.,,' | sort | diff <(sort "$BATS_TEST_TMPDIR/want") -
    cmp "$build/chillboxd" "$pkgdir/usr/sbin/chillboxd"
    [ "$(stat -c %a "$pkgdir/usr/lib/chillbox/hooks/host/user-add") $(stat -c %a "$pkgdir/etc/conf.d/chillbox")" = '755 644' ]
}
