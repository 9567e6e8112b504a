# For tests of hooks/: load helpers/hooks
#
# hook_setup            a site 'my-blog' with a service 'web' in a release of its own below $BATS_TEST_TMPDIR, and the agent's environment
# with_dash FILE ARG..  a hook under dash; with_ash: under busybox ash, with busybox's own tools and, for root, busybox as /bin/sh too; new
#                       layers go to the cache behind a build
# handed SOCKET CMD..   CMD with a socket that listens there, as the launcher hands it over
# twice FILE ARG...     under each of them, each time twice

# shellcheck shell=bash disable=SC2034,SC2016 # used by who loads this; the new sh expands

hook_setup() {
    HOOKS=$(cd "$BATS_TEST_DIRNAME/../hooks" && pwd)
    top=$BATS_TEST_TMPDIR/host
    export CHILLBOX_SITE=my-blog CHILLBOX_SERVICE=web CHILLBOX_VERSION=1.0.0
    export CHILLBOX_RELEASE_DIR=$top/releases/1
    export CHILLBOX_SERVICE_DIR=$CHILLBOX_RELEASE_DIR/web CHILLBOX_BUILD_DIR=$CHILLBOX_RELEASE_DIR/.chillbox/web
    export CHILLBOX_CACHE_DIR=$top/cache CHILLBOX_LAYER_DIR=$CHILLBOX_RELEASE_DIR/.chillbox/.work/layers CHILLBOX_WHEELHOUSE=$top/wheelhouse CHILLBOX_DATA_DIR=$top/data
    export CHILLBOX_APP='' CHILLBOX_WORKERS='' CHILLBOX_WORKER_CLASS='' CHILLBOX_MAX_REQUESTS='' CHILLBOX_MAX_REQUESTS_JITTER='' CHILLBOX_LOG_LEVEL='' CHILLBOX_STOP_TIMEOUT=''
    export HOME=$CHILLBOX_DATA_DIR TMPDIR=/tmp LANG=C.UTF-8
    export CHILLBOX_LAYERS=
    mkdir -p "$CHILLBOX_SERVICE_DIR/dep" "$CHILLBOX_BUILD_DIR" "$CHILLBOX_CACHE_DIR" "$CHILLBOX_WHEELHOUSE" "$CHILLBOX_DATA_DIR"
    cd "$CHILLBOX_SERVICE_DIR" || return
}

# What chillboxd does behind a build: the layers that it made go to the cache. The digest in their name is not one.
adopt() { # HOOK
    case $1 in */build) ;; *) return 0 ;; esac
    for made in "$CHILLBOX_LAYER_DIR"/*; do
        [ -d "$made" ] || continue
        place=$CHILLBOX_CACHE_DIR/${made##*/}-0
        mv "$made" "$place"
        ln -sfn "$place" "$CHILLBOX_BUILD_DIR/layer"
    done
}

# The hooks' own PATH, but for bats' helpers not ours.
with_dash() { PATH=/usr/local/bin:/usr/bin:/bin dash "$@" || return; adopt "$1"; }

busybox_tools() {
    tools=$BATS_FILE_TMPDIR/busybox
    [ -d "$tools" ] || { mkdir "$tools" && busybox --install -s "$tools"; }
    printf '%s\n' "$tools"
}

with_ash() {
    tools=$(busybox_tools)
    if [ "$(id -u)" -eq 0 ]; then
        unshare --mount --propagation private -- sh -c 'mount --bind "$(command -v busybox)" "$(readlink -f /bin/sh)" && PATH=$1:/usr/local/bin:/usr/bin:/bin && shift && exec sh "$@"' \
            sh "$tools" "$@" || return
    else
        PATH=$tools:/usr/local/bin:/usr/bin:/bin busybox ash "$@" || return
    fi
    adopt "$1"
}

handed() { # in the background
    exec python3 -c 'import os, socket, sys
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
s.listen()
os.dup2(s.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[2], sys.argv[2:])' "$@"
}

twice() {
    for shell in with_dash with_ash; do
        "$shell" "$@" || return
        "$shell" "$@" || return
    done
}
