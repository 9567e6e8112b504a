#!/usr/bin/env bats
# Every block of the pages in docs/ is run, in order, on a fresh host and a laptop, and prints what the page shows.
# It takes minutes: `make test-sites` runs it.

# bats file_tags=slow

# shellcheck disable=SC2154 # box_up sets HOST

load helpers/box
load helpers/host
load helpers/engine

setup() {
    host_or_skip
    ROOT=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
    CTL=$ROOT/${BUILD:-build}/chillboxctl
    export ROOT CTL
    DESK=$BATS_TEST_TMPDIR/desk
    mkdir -p "$DESK/.test/bin" "$DESK/.test/home"
    cp -r "$ROOT/docs/examples/garden" "$DESK"
    cp "$CTL" "$DESK/.test/bin/chillboxctl"
    PATH=$(BUILD=$ROOT/${BUILD:-build} sh "$ROOT/tests/host/pip"):$PATH
}

# A host with chillbox, as after README's Install, for a page that makes its keys by hand.
installed() {
    host_up
    export LAPTOP=$BATS_TEST_TMPDIR # each test has a host of its own
    BOX_PYTHON=$(in_box python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    export BOX_PYTHON
    if [[ "$(in_box python3 -c 'import sysconfig; print(sysconfig.get_config_var("SOABI"))')" != *musl* ]]; then
        export BOX_PLATFORM=manylinux_2_28_$(uname -m)
    fi
}

# A machine without chillbox, and a laptop that has the package.
bare() {
    box_up HOST
    packages=$DESK/.test/home/.cache/chillbox/packages/$(uname -m)
    mkdir -p "$packages"
    cp "$("$ROOT/tests/host/install" --tar "$ROOT/${BUILD:-build}")" "$packages/chillbox-0.1.0-$(uname -m).tar"
}

teardown() {
    rm -rf -- "$DESK"/.test/*/run # with its socket the agent ends
    [ ! -d "$BATS_TEST_TMPDIR/ca" ] || sh "$ROOT/tests/tls/pebble" down "$BATS_TEST_TMPDIR/ca"
    host_down
}

page_runs() { "$ROOT/tests/docs/run-blocks" "$HOST" "$DESK" "$ROOT/docs/$1"; }

@test "README.md: from nothing to a live site, the next version, back; and its transcript is what is printed" {
    bare
    page_runs ../README.md
}

@test "docs/tutorial.md: from nothing to a live site" {
    bare
    page_runs tutorial.md
}

@test "docs/howto-work-in-a-team.md: somebody is let in, deploys by her own name, and is removed" {
    installed
    host_set_up
    (umask 077 && mkdir -p "$DESK/.test/kim/.ssh" && ssh-keygen -q -t ed25519 -N '' -f "$DESK/.test/kim/.ssh/id_ed25519")
    (cd "$DESK" && "$CTL" new hello --kind static)
    page_runs howto-work-in-a-team.md
}

@test "docs/howto-fleet.md: two hosts become a fleet, get a site and a balancer, and hand over what runs once" {
    bare
    first=$HOST
    box_up HOST
    export BOX_WEB2=$HOST
    box_up HOST
    export BOX_FRONT=$HOST
    HOST=$first
    "$ROOT/tests/host/wire" "$HOST" "$BOX_WEB2" "$BOX_FRONT"
    page_runs howto-fleet.md
    box down "$BOX_WEB2"
    box down "$BOX_FRONT"
}

@test "docs/howto-fleet-etcd.md: five hosts with an etcd roll out and run once without the laptop" {
    bare
    export WEB1=$HOST LAPTOP=$BATS_TEST_TMPDIR
    for number in 2 3 4 5; do
        box_up HOST
        export "BOX_WEB$number=$HOST"
    done
    HOST=$WEB1
    "$ROOT/tests/host/wire" "$HOST" "$BOX_WEB2" "$BOX_WEB3" "$BOX_WEB4" "$BOX_WEB5"
    members_up || skip "needs Debian's etcd"
    MEMBERS=$LAPTOP/engine-bin page_runs howto-fleet-etcd.md
    for number in 2 3 4 5; do
        other=BOX_WEB$number
        box down "${!other}"
    done
}

@test "docs/howto-backups.md: data are stored, proven, and restored with age, minisign, zstd and tar alone" {
    installed
    host_set_up
    (cd "$DESK" && "$CTL" new hello --kind static)
    send "$("$CTL" pack -q "$DESK/hello" -r "$RECIPIENT" -k "$LAPTOP/deployer.key" -o "$LAPTOP/out")"
    (umask 077 && mkdir -p "$DESK/.test/home/.config/chillbox/keys" && cp "$LAPTOP"/deployer.* "$DESK/.test/home/.config/chillbox/keys/")
    in_box sh -c 'echo "of a visitor" >/var/lib/hello/web/guestbook && chown -R hello: /var/lib/hello/web'
    page_runs howto-backups.md
    [ "$(in_box sh -c 'cat /var/lib/hello/web/guestbook; stat -c %U /var/lib/hello /var/lib/hello/web/guestbook' | paste -sd ' ')" = 'of a visitor hello hello' ]
    [ "$(code /)" = 200 ]
}

@test "docs/howto-logs.md: logs are searched, and forwarded by a real syslogd" {
    command -v busybox >/dev/null || skip "no busybox here"
    installed
    host_set_up
    in_box sh -c 'command -v busybox' || box push "$HOST" "$(command -v busybox)" /usr/local/bin/busybox
    (cd "$DESK" && "$CTL" new hello --kind static)
    send "$("$CTL" pack -q "$DESK/hello" -r "$RECIPIENT" -k "$LAPTOP/deployer.key" -o "$LAPTOP/out")"
    page_runs howto-logs.md
}

@test "docs/howto-by-hand.md: keys, packing and a webhook without setup and deploy" {
    installed
    page_runs howto-by-hand.md
}

@test "docs/howto-move-a-chillbox-site.md: a site of the original is deployed unchanged" {
    installed
    page_runs howto-move-a-chillbox-site.md
}

@test "docs/howto-tls.md: certificates of the host and of a site, ordered, provided, and with a key in memory" {
    installed
    sh "$ROOT/tests/tls/pebble" up "$BATS_TEST_TMPDIR/ca" --box "$HOST"
    in_box mkdir -p /etc/chillbox
    box push "$HOST" "$BATS_TEST_TMPDIR/ca/ca.pem" /etc/chillbox/ca.pem
    in_box sh -c 'printf "[host]\n# server_name = \"_\"\n[tls]\nacme = \"https://127.0.0.1:14443/dir\"\nca_file = \"/etc/chillbox/ca.pem\"\nprofile = \"tlsserver\"\n[defaults]\nwatch = \"1s\"\n" >/etc/chillbox/chillboxd.toml'
    sh "$ROOT/tests/tls/pebble" root "$BATS_TEST_TMPDIR/ca" >"$DESK/.test/roots.pem"
    page_runs howto-tls.md
}

@test "docs/howto-notices.md: targets of several kinds, a test that nobody takes, and a heartbeat" {
    installed
    host_set_up
    page_runs howto-notices.md
}

@test "docs/site.json.md: the reference is what the schema says, and its examples are so" {
    "$ROOT/tests/docs/reference" "$ROOT/docs/site.schema.json" | diff - "$ROOT/docs/site.json.md"
    installed
    page_runs site.json.md
}

@test "every page of docs/ is run here" {
    for page in "$ROOT"/docs/*.md; do
        case ${page##*/} in contributing.md | changelog.md) continue ;; esac # tests/lint/pages and apk/release read those
        grep -q "page_runs ${page##*/}" "$BATS_TEST_FILENAME" || { echo "$page is not run"; false; }
    done
}
