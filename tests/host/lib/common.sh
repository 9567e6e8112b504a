# What every part of the box uses: messages, processes by pid and start time, the state directory of a box.
# shellcheck shell=sh disable=SC2034

say() { printf 'box: %s\n' "$*" >&2; }

die() { say "$*"; exit 1; }

# The start time of a process in clock ticks (proc(5), field 22); a pid alone may be somebody else's by now.
start_of() {
    { read -r stat_line <"/proc/$1/stat"; } 2>/dev/null || return 1
    # shellcheck disable=SC2086
    set -- ${stat_line##*) }
    [ "$1" != Z ] || return 1
    printf '%s\n' "${20}"
}

# note_pid FILE PID: remember a process; pid_of FILE: print its pid if that same process is still alive.
note_pid() {
    started=$(start_of "$2") || return 1
    printf '%s %s\n' "$2" "$started" >"$1.new" && mv -f -- "$1.new" "$1"
}

pid_of() {
    [ -r "$1" ] || return 1
    read -r noted_pid noted_start <"$1" || return 1
    now_start=$(start_of "$noted_pid") || return 1
    [ "$now_start" = "$noted_start" ] || return 1
    printf '%s\n' "$noted_pid"
}

# until_true SECONDS CMD...: poll every 20 ms; 1 when the time is over.
until_true() {
    tries=$(($1 * 50))
    shift
    while ! "$@"; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || return 1
        sleep 0.02
    done
}

gone() { ! pid_of "$1" >/dev/null; }

# box_name NAME: check it and set dir; box_exists NAME: also that it was made.
box_name() {
    case "${1-}" in
        '' | *[!a-z0-9-]* | -*) die "'${1-}' is no name for a box: lower-case letters, digits and '-', not first" ;;
    esac
    [ "${#1}" -le 31 ] || die "'$1' is no name for a box: at most 31 characters"
    name=$1
    dir=$BOX_STATE/$name
}

box_exists() {
    box_name "${1-}"
    [ -r "$dir/id" ] || die "no box '$name' (box list shows the boxes)"
    read -r form <"$dir/form"
    read -r id <"$dir/id"
}

need_root() { [ -w / ] || [ "$(id -u)" -eq 0 ] || die "run me as root (sudo or doas)"; }

# Never over the border of a file system, whatever is mounted there.
remove_tree() {
    [ ! -e "$1" ] || find "$1" -xdev -depth -delete
}
