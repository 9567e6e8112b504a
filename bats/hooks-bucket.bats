#!/usr/bin/env bats
# docs/examples/hooks/post-deploy: rclone itself, with a folder for its bucket.

setup() {
    bats_require_minimum_version 1.5.0
    HOOK=$BATS_TEST_DIRNAME/../docs/examples/hooks/post-deploy
    export CHILLBOX_ROOT=$BATS_TEST_TMPDIR CHILLBOX_SITE=blog CHILLBOX_VERSION=1.0.0 CHILLBOX_RESULT=ok
    cd "$BATS_TEST_TMPDIR" || return
    mkdir -p etc/chillbox srv/chillbox/blog/immutable/web releases/1/h4sh/css bucket
    echo 'a {}' >releases/1/h4sh/css/a.css
    ln -s "$PWD/releases/1/h4sh" srv/chillbox/blog/immutable/web/h4sh
    printf '[folder]\ntype = alias\nremote = %s/bucket\n' "$PWD" >etc/chillbox/rclone.conf
    printf 'folder:my-bucket' >etc/chillbox/immutable-bucket
}

@test "immutable files are copied to where templates look for them, twice, and old ones stay; under each shell" {
    for shell in dash 'busybox ash'; do
        rm -rf bucket/*
        $shell "$HOOK"
        [ "$(cat bucket/my-bucket/blog/immutable/web/h4sh/css/a.css)" = 'a {}' ]
        mkdir -p bucket/my-bucket/blog/immutable/web/0ld && echo old >bucket/my-bucket/blog/immutable/web/0ld/b.css
        run -0 $shell "$HOOK"
        [ -z "$output" ]
        [ -e bucket/my-bucket/blog/immutable/web/0ld/b.css ]
    done
}

@test "without such files or after a failure it does nothing, without a bucket it says so" {
    CHILLBOX_RESULT=unhealthy "$HOOK"
    CHILLBOX_SITE=shop "$HOOK"
    run ! ls bucket/my-bucket
    rm etc/chillbox/immutable-bucket
    run -1 "$HOOK"
    [[ "$output" == *'post-deploy: no bucket in /etc/chillbox/immutable-bucket'* ]]
}
