# push and pull: tar through run, so that both forms copy the same way and links inside the host mean the host's files.
# shellcheck shell=sh disable=SC2154

# push NAME SRC... DEST, as cp -r would: into DEST when it is a directory, ends in / or several files go there.
verb_push() {
    box_exists "${1-}"
    [ $# -ge 3 ] || die "push: box push NAME SRC... DEST"
    shift
    several=no
    [ $# -eq 2 ] || several=yes
    for dest in "$@"; do :; done
    while [ $# -gt 1 ]; do
        [ -e "$1" ] || die "push: $1: no such file"
        pack "$1" | "$BOX_HOME/box" run "$name" -- sh -c "$push_inside" push "$dest" "$several" "$(basename -- "$1")" ||
            die "push: $1 could not be copied to $dest in box '$name'"
        shift
    done
}

# A tree as it is; a symlink that is named itself gives its file.
pack() {
    follow=''
    if [ -L "$1" ] && [ ! -d "$1" ]; then follow=h; fi
    tar -c${follow}f - -C "$(dirname -- "$1")" -- "$(basename -- "$1")"
}

# Owner root, modes as they were. A file appears whole: it is renamed into its place.
# shellcheck disable=SC2016
push_inside='set -eu
dest=$1 several=$2 base=$3
case "$dest" in */) several=yes ;; esac
if [ -d "$dest" ] || [ "$several" = yes ]; then into=${dest%/} as=$base; else into=$(dirname -- "$dest") as=$(basename -- "$dest"); fi
mkdir -p -- "$into/"
part=$(mktemp -d -- "$into/.push.XXXXXX")
trap "rm -rf -- \"\$part\"" EXIT
tar -xpof - -C "$part"
if [ -d "$part/$base" ] && [ -d "$into/$as" ]; then cp -a -- "$part/$base/." "$into/$as/"; else mv -f -- "$part/$base" "$into/$as"; fi
chown -R 0:0 -- "$into/$as"'

# pull NAME SRC DEST: one file or directory of the host, to DEST or into it when it is a directory.
verb_pull() {
    box_exists "${1-}"
    [ $# -eq 3 ] || die "pull: box pull NAME SRC DEST"
    part=$(mktemp -d)
    trap 'rm -rf -- "$part"' EXIT
    # shellcheck disable=SC2016
    "$BOX_HOME/box" run "$name" -- sh -c 'tar -cf - -C "$(dirname -- "$1")" -- "$(basename -- "$1")"' pull "$2" | tar -xpf - -C "$part" ||
        die "pull: $2 could not be copied from box '$name'"
    cp -R -- "$part/$(basename -- "$2")" "$3"
}
