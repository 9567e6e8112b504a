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
    cp "$ROOT"/dist/"$ARCH"/chillbox-[0-9]*.apk "$ROOT"/dist/"$ARCH"/chillbox-openrc-*.apk "$ROOT"/dist/"$ARCH"/chillbox-doc-*.apk "$PACKAGES/"
    cp "$ROOT/${BUILD:-build}/static/$ARCH/chillboxctl" "$CTL" # static: it runs here as there
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

# A root whose OpenRC and NGINX did not come as packages: for apk, one that says they are there.
stand_in() {
    ! chroot "$BOX_ROOTFS" /sbin/apk info -q -e nginx 2>/dev/null || return 0
    printf '%s\n' 'name: stand-in' "arch: $ARCH" 'version: "1"' 'maintainer: none' 'description: what this root has without a package' \
        'provides: ["cmd:openrc-run=1", "cmd:nginx=1"]' "apk: {signature: {key_file: \"$APK_KEY\", key_name: stand-in.rsa.pub}}" >"$PACKAGES/nfpm.yaml"
    "${NFPM:-nfpm}" package -f "$PACKAGES/nfpm.yaml" -p apk -t "$PACKAGES/stand-in-1.apk" >/dev/null
    cp "$ROOT"/dist/*.rsa.pub "$PACKAGES/stand-in.rsa.pub"
}

# A root to write into, without a host in it.
bare_root() {
    bare=$BATS_FILE_TMPDIR/bare
    [ -d "$bare" ] || cp -a "$BOX_ROOTFS" "$bare"
    mkdir -p "$bare/packages"
    cp "$PACKAGES"/*.apk "$bare/packages/"
}
in_bare() { chroot "$bare" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root "$@"; }
apk_add='apk add -q --no-network --no-progress'

@test "a package that is not signed by a key of the host is refused; with the key it installs, and starts nothing" {
    bare_root
    run in_bare sh -c "$apk_add /packages/*.apk"
    [[ "$status" -ne 0 && "$output" == *UNTRUSTED* ]]
    cp "$ROOT"/dist/*.rsa.pub "$PACKAGES"/*.rsa.pub "$bare/etc/apk/keys/" 2>/dev/null || cp "$ROOT"/dist/*.rsa.pub "$bare/etc/apk/keys/"
    run -0 in_bare sh -c "$apk_add /packages/*.apk"
    [[ "$output" == *"chillboxctl init"* ]]
    for user in chillbox chillbox-vault; do in_bare getent passwd "$user" | grep -q ':/sbin/nologin$'; done
    in_bare getent group chillbox-admin
    [ "$(in_bare chillboxctl --version | wc -l)" -eq 1 ]
    run -0 in_bare chillboxd --check
    [ ! -e "$bare/var/lib/chillbox/state.db" ]
    [ -z "$(in_bare find /etc -path '*runlevels*' -name 'chillbox*')" ]
    in_bare test -e /usr/share/man/man1/chillboxctl.1.gz
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
    in_bare sh -c 'mkdir -p /etc/chillbox && echo "# mine" >/etc/chillbox/chillbox.toml && echo "# mine" >>/etc/conf.d/chillboxd'
    in_bare apk del -q --no-network chillbox chillbox-openrc chillbox-doc
    in_bare test ! -e /usr/sbin/chillboxd
    in_bare grep -q mine /etc/chillbox/chillbox.toml
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

@test "init, unlock, and a site of files and a program goes live" {
    needs_services
    box push "$HOST" "$ROOT"/dist/*.rsa.pub /etc/apk/keys/
    [ ! -e "$PACKAGES/stand-in.rsa.pub" ] || box push "$HOST" "$PACKAGES/stand-in.rsa.pub" /etc/apk/keys/
    for package in "$PACKAGES"/*.apk; do box push "$HOST" "$package" /root/; done
    in_box sh -c "$apk_add /root/*.apk"
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

@test "apk upgrade: the new package takes over, the host stays unsealed, the services are the same processes" {
    later
    before=$(in_box pgrep -u hello)
    NFPM=${NFPM:-nfpm} sh -c 'cd "$1" && sh apk/pack "$2" "$3" "$4" "$5" "$6" 1' sh "$ROOT" "$ARCH" "${BUILD:-build}/static/$ARCH" \
        "$(in_box chillboxctl --version | awk '{print $2}')" "$APK_KEY" "$LAPTOP/newer" >/dev/null
    in_box sh -c 'rm -f /root/chillbox*.apk; echo "# mine" >>/etc/conf.d/chillboxd'
    for package in "$LAPTOP/newer/$ARCH"/chillbox-[0-9]*.apk "$LAPTOP/newer/$ARCH"/chillbox-openrc-*.apk "$LAPTOP/newer/$ARCH"/chillbox-doc-*.apk; do box push "$HOST" "$package" /root/; done
    run -0 in_box sh -c "$apk_add -u /root/chillbox*.apk"
    [[ "$output" == *"was replaced by"*"unlocked"* ]]
    [ "$(json ping .sealed)" = false ]
    [ "$(in_box pgrep -u hello)" = "$before" ]
    in_box grep -q '# mine' /etc/conf.d/chillboxd
    publish 1.2.0
    both_answer 1.2.0
}

@test "bootstrap: user-data makes a host of a fresh box, with packages from a URL; init is what remains" {
    needs_services
    box_up HOST
    cp "$ROOT"/dist/*.rsa.pub "$PACKAGES/"
    in_box sh -c ': >/etc/apk/repositories' # what is needed is there: nobody need be asked
    box net "$HOST" -- python3 -m http.server --bind 127.0.0.1 8099 --directory "$PACKAGES" >"$LAPTOP/web" 2>&1 3>&- &
    keys=$(printf ',%s' "$PACKAGES"/*.rsa.pub)
    packages=$(cd "$PACKAGES" && for package in *.apk; do
        printf ',http://127.0.0.1:8099/%s?signature=x#sha256=%s' "$package" "$(sha256sum "$package" | cut -d ' ' -f 1)"
    done)
    "$CTL" bootstrap --apk-key "${keys#,}" --package "${packages#,}" --trust "$LAPTOP/deployer.pub" >"$LAPTOP/user-data"
    chmod 0755 "$LAPTOP/user-data"
    box push "$HOST" "$LAPTOP/user-data" /root/
    wait_for 10 host_curl -o /dev/null http://127.0.0.1:8099/
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

@test "a site and then the package are removed" {
    later
    ctl remove hello --yes
    [ "$(code /pages/)" != 200 ]
    in_box apk del -q --no-network chillbox chillbox-openrc chillbox-doc
    in_box sh -c '! pgrep chillboxd && test -e /var/lib/chillbox/identity.age'
}
