# The cached root file system: made once per recipe, published by rename, read only from then on.
# shellcheck shell=sh disable=SC2034

# The suite of the machine itself, so that what is built here runs there.
root_family() {
    if [ -n "${BOX_ROOTFS-}" ]; then printf 'given\n'; return 0; fi
    (
        . /etc/os-release
        case "$ID" in
            debian) printf 'debian %s\n' "${VERSION_CODENAME-}" ;;
            alpine) printf 'alpine %s\n' "${VERSION_ID-}" ;;
            *) printf 'unknown %s\n' "$ID" ;;
        esac
    )
}

# Everything the result depends on: the suite, the architecture and the text of the recipe.
root_key() {
    {
        printf '%s %s\n' "$1" "$BOX_ARCH"
        cat -- "$BOX_HOME/lib/root-${1%% *}.sh"
    } | sha256sum | cut -c 1-16
}

root_path() {
    family=$(root_family)
    case "$family" in
        given)
            [ -x "$BOX_ROOTFS/bin/sh" ] || die "BOX_ROOTFS=$BOX_ROOTFS: not a root file system (no bin/sh)"
            (CDPATH='' cd -- "$BOX_ROOTFS" && pwd -P)
            return 0 ;;
        unknown*) die "no recipe for a root of '${family#unknown }': set BOX_ROOTFS=DIR to an unpacked root with OpenRC" ;;
    esac
    root=$BOX_CACHE/root-$(printf '%s' "$family" | tr ' ' '-')-$(root_key "$family")
    if [ ! -d "$root" ]; then
        mkdir -p -- "$BOX_CACHE"
        (
            lock_cache
            [ -d "$root" ] || root_build "$family" "$root"
        ) 9>"$BOX_CACHE/.lock" || exit 1
    fi
    printf '%s\n' "$root"
}

# On descriptor 9: one at a time makes or removes what is in the cache.
lock_cache() {
    flock -n 9 && return 0
    say "waiting for another box that is working in $BOX_CACHE"
    flock 9
}

# root_build FAMILY DEST: a build that is interrupted leaves only DEST.part, which the next one removes.
root_build() {
    say "making the root file system ($1), once; this takes a minute"
    part=$2.part
    begin=$(date +%s)
    remove_tree "$part"
    mkdir -p -- "$part"
    # A mount namespace of its own: whatever the package scripts mount is gone when it ends, also after a kill.
    if ! unshare --mount --propagation private sh "$BOX_HOME/lib/root-${1%% *}.sh" "$part" "${1#* }" "$BOX_ARCH" >"$2.log" 2>&1; then
        tail -n 20 -- "$2.log" >&2
        die "the root file system could not be made: see $2.log (missing tools? run: box deps)"
    fi
    sync -f "$part" 2>/dev/null || sync
    mv -- "$part" "$2"
    say "root file system made in $(($(date +%s) - begin)) s: $2"
}

# Roots of older recipes that no box here stands on.
root_gc() {
    family=$(root_family)
    current=root-$(printf '%s' "$family" | tr ' ' '-')-
    for root in "$BOX_CACHE"/root-*/; do
        root=${root%/}
        case "${root##*/}" in "$current$(BOX_ARCH=x86_64 root_key "$family")" | "$current$(BOX_ARCH=aarch64 root_key "$family")" | *.part | 'root-*') continue ;; esac
        ! grep -qsFx "$root" "$BOX_STATE"/*/lower || continue
        say "removing ${root##*/}: no box uses it and the recipe is another one now"
        remove_tree "$root"
        rm -f -- "$root.log"
    done
}
