# For tests of hooks/: load helpers/hooks
#
# hook_setup            a site 'my-blog' with a service 'web' in a release of its own below $BATS_TEST_TMPDIR, and the agent's environment
# with_dash FILE ARG..  a hook under dash; with_ash: under busybox ash, with busybox's own tools and, for root, busybox as /bin/sh too
# twice FILE ARG...     under each of them, each time twice

# shellcheck shell=bash disable=SC2034,SC2016 # used by who loads this; the new sh expands

hook_setup() {
    HOOKS=$(cd "$BATS_TEST_DIRNAME/../hooks" && pwd)
    top=$BATS_TEST_TMPDIR/host
    export CHILLBOX_SITE=my-blog CHILLBOX_SERVICE=web CHILLBOX_VERSION=1.0.0
    export CHILLBOX_RELEASE_DIR=$top/releases/1
    export CHILLBOX_SERVICE_DIR=$CHILLBOX_RELEASE_DIR/web CHILLBOX_BUILD_DIR=$CHILLBOX_RELEASE_DIR/.chillbox/web
    export CHILLBOX_CACHE_DIR=$top/cache CHILLBOX_WHEELHOUSE=$top/wheelhouse CHILLBOX_DATA_DIR=$top/data
    export CHILLBOX_APP='' CHILLBOX_WORKERS='' CHILLBOX_WORKER_CLASS='' CHILLBOX_MAX_REQUESTS='' CHILLBOX_MAX_REQUESTS_JITTER='' CHILLBOX_LOG_LEVEL=''
    export HOME=$CHILLBOX_DATA_DIR TMPDIR=/tmp LANG=C.UTF-8
    mkdir -p "$CHILLBOX_SERVICE_DIR/dep" "$CHILLBOX_BUILD_DIR" "$CHILLBOX_CACHE_DIR" "$CHILLBOX_WHEELHOUSE" "$CHILLBOX_DATA_DIR"
    cd "$CHILLBOX_SERVICE_DIR" || return
}

# The hooks' own PATH, but for bats' helpers not ours.
with_dash() { PATH=/usr/local/bin:/usr/bin:/bin dash "$@"; }

busybox_tools() {
    tools=$BATS_FILE_TMPDIR/busybox
    [ -d "$tools" ] || { mkdir "$tools" && busybox --install -s "$tools"; }
    printf '%s\n' "$tools"
}

with_ash() {
    tools=$(busybox_tools)
    if [ "$(id -u)" -eq 0 ]; then
        unshare --mount --propagation private -- sh -c 'mount --bind "$(command -v busybox)" "$(readlink -f /bin/sh)" && PATH=$1:/usr/local/bin:/usr/bin:/bin && shift && exec sh "$@"' \
            sh "$tools" "$@"
    else
        PATH=$tools:/usr/local/bin:/usr/bin:/bin busybox ash "$@"
    fi
}

twice() {
    for shell in with_dash with_ash; do
        "$shell" "$@" || return
        "$shell" "$@" || return
    done
}
