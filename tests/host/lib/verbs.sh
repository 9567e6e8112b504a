# The verbs that are the same for both forms; what differs is FORM_verb in space.sh and vm.sh.
# shellcheck shell=sh disable=SC2154,SC2034

verb_up() {
    box_name "${1-}"
    shift
    memory='' owner=''
    while [ $# -gt 0 ]; do
        case "$1" in
            --mem) memory=${2:?--mem SIZE} ;;
            --owner) owner=${2:?--owner PID} ;;
            *) die "up: unknown option '$1'" ;;
        esac
        shift 2
    done
    lower=$(root_path)
    mkdir -p -- "$BOX_STATE"
    mkdir -- "$dir" 2>/dev/null || die "box '$name' already exists (box down $name removes it)"
    trap 'trap - EXIT; verb_down "$name"' EXIT
    trap 'exit 130' INT TERM HUP
    form=$BOX_FORM
    id=$(od -An -N6 -tx1 /dev/urandom | tr -d ' ')
    printf '%s\n' "$form" >"$dir/form"
    printf '%s\n' "$lower" >"$dir/lower"
    printf '%s\n' "$memory" >"$dir/memory"
    [ -z "$owner" ] || note_pid "$dir/owner" "$owner" || die "owner $owner is not running"
    ssh-keygen -q -t ed25519 -N '' -C "box $name" -f "$dir/key"
    printf '%s\n' "$id" >"$dir/id"
    "${form}_up"
    "${form}_start"
    "${form}_wait"
    trap - EXIT INT TERM HUP
}

verb_start() {
    box_exists "${1-}"
    "${form}_start"
    "${form}_wait"
}

verb_reboot() {
    box_exists "${1-}"
    "${form}_stop"
    "${form}_start"
    "${form}_wait"
}

verb_wait() {
    box_exists "${1-}"
    "${form}_wait"
}

verb_cut() {
    box_exists "${1-}"
    "${form}_cut"
}

# Idempotent, and content with whatever half of a box it finds.
verb_down() {
    box_name "${1-}"
    [ -d "$dir" ] || return 0
    form=space id=none
    [ ! -r "$dir/form" ] || read -r form <"$dir/form"
    [ ! -r "$dir/id" ] || read -r id <"$dir/id"
    "${form}_down"
    remove_tree "$dir"
}

verb_run() {
    box_exists "${1-}"
    shift
    user=root tty=no
    while [ $# -gt 0 ]; do
        case "$1" in
            -u) user=${2:?-u USER}; shift ;;
            -i) tty=yes ;;
            --) shift; break ;;
            -*) die "run: unknown option '$1'" ;;
            *) break ;;
        esac
        shift
    done
    [ $# -gt 0 ] || die "run: no command (box run NAME [-u USER] [-i] -- CMD...)"
    "${form}_run" "$@"
}

verb_net() {
    box_exists "${1-}"
    shift
    [ "${1-}" != -- ] || shift
    [ $# -gt 0 ] || die "net: no command (box net NAME -- CMD...)"
    "${form}_net" "$@"
}

verb_ssh() {
    box_exists "${1-}"
    shift
    "${form}_ssh" "$@"
}

verb_url() {
    box_exists "${1-}"
    "${form}_url"
}

verb_key() {
    box_exists "${1-}"
    printf '%s\n' "$dir/key"
}

verb_list() {
    for dir in "$BOX_STATE"/*/; do
        dir=${dir%/}
        [ -r "$dir/id" ] || continue
        read -r form <"$dir/form"
        state=off
        gone "$dir/init" || state=running
        printf '%s %s %s %s\n' "${dir##*/}" "$form" "$state" "$(cat -- "$dir/lower")"
    done
}

# Boxes whose owner is gone, and what was left half made.
verb_gc() {
    for dir in "$BOX_STATE"/*/; do
        dir=${dir%/}
        [ -d "$dir" ] || continue
        if [ -s "$dir/owner" ] && gone "$dir/owner"; then
            say "removing '${dir##*/}': its owner is gone"
        elif [ ! -r "$dir/id" ] && [ -n "$(find "$dir" -maxdepth 0 -mmin +10)" ]; then
            say "removing '${dir##*/}': it was never finished"
        else
            continue
        fi
        verb_down "${dir##*/}"
    done
    space_gc
    [ -d "$BOX_CACHE" ] && [ -z "${BOX_ROOTFS-}" ] || return 0
    (lock_cache && root_gc && vm_gc) 9>"$BOX_CACHE/.lock"
}
