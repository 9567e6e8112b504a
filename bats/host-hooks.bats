#!/usr/bin/env bats
# The hooks that change users and groups, in the host in a box: with shadow's programs and with busybox's.

# shellcheck disable=SC2154,SC2016,SC2030,SC2031 # box_up sets the name; "sh -c" expands in the box

load helpers/box

setup_file() {
    needs_root
    ROOT=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
    box_up HOST
    box push "$HOST" "$ROOT/hooks/host" /usr/lib/chillbox/hooks/host
    REAL=$(in_box sh -c 'busybox --list 2>/dev/null | grep -x adduser || :')
    export REAL
    [ -z "$REAL" ] || return 0 # Alpine: its own, and no others
    # Debian builds its busybox without the programs for users, so these are played, with the options that Alpine's have and no others.
    box push "$HOST" "$(command -v busybox)" /usr/local/bin/busybox
    in_box sh -c 'mkdir /opt/bb && busybox --install -s /opt/bb && cat >/opt/bb/played && chmod 0755 /opt/bb/played
        for name in adduser addgroup deluser delgroup; do ln -sf played /opt/bb/$name; done' <<'END'
#!/bin/sh
case "${0##*/} $*" in
  "addgroup -S "*) [ $# -eq 2 ] && exec /usr/sbin/groupadd --system "$2" ;;
  "adduser -S -D -H -h "*) [ $# -eq 12 ] && [ "$6 $8 $9 ${10}" = "-s -g  -G" ] && [ "${11}" = "${12}" ] &&
    exec /usr/sbin/useradd --system --no-create-home --home-dir "$5" --shell "$7" --gid "${11}" "${12}" ;;
  "addgroup "*) [ $# -eq 2 ] && exec /usr/sbin/usermod -a -G "$2" "$1" ;;
  "deluser "*) [ $# -eq 1 ] && exec /usr/sbin/userdel "$1" ;;
  "delgroup "*) [ $# -eq 1 ] && exec /usr/sbin/groupdel "$1" ;;
esac
echo "played: not an option of busybox: ${0##*/} $*" >&2
exit 1
END
}

teardown_file() { [ -z "${HOST-}" ] || box down "$HOST"; }

setup() { bats_require_minimum_version 1.5.0; }

in_box() { box run "$HOST" -- "$@"; }
shadow() { in_box "/usr/lib/chillbox/hooks/host/$1" "${@:2}"; }
bb() { if [ -n "$REAL" ]; then shadow "$@"; else played "$@"; fi; }
played() { in_box env PATH=/opt/bb /usr/local/bin/busybox ash "/usr/lib/chillbox/hooks/host/$1" "${@:2}"; }

for_both() { # FUNCTION NAME
    "$1" shadow "$2-s"
    "$1" bb "$2-b"
}

makes_a_user() {
    "$1" user-add "$2" "/var/lib/$2"
    "$1" user-add "$2" "/var/lib/$2"
    entry=$(in_box grep "^$2:" /etc/passwd)
    [ "$(grep -c . <<<"$entry")" -eq 1 ]
    IFS=: read -r _ _ uid gid _ home shell <<<"$entry"
    [[ "$uid" -gt 0 && "$uid" -lt 1000 ]]
    [ "$(in_box sh -c "grep '^$2:' /etc/group | cut -d : -f 3")" = "$gid" ]
    [ "$home" = "/var/lib/$2" ]
    [[ "$shell" == */nologin || "$shell" == /bin/false ]]
    in_box test ! -e "$home"
    [[ "$(in_box sh -c "grep '^$2:' /etc/shadow | cut -d : -f 2")" == '!'* ]]
}

@test "user-add makes a locked system user with its own group, no shell and no home, once" {
    for_both makes_a_user blog
}

joins_a_group() {
    "$1" group-add "$2-g"
    "$1" group-add "$2-g"
    "$1" user-add "$2" "/var/lib/$2" "$2-g"
    "$1" user-add "$2" "/var/lib/$2" "$2-g"
    in_box id -nG "$2" | tr ' ' '\n' | grep -qx "$2-g"
    [ "$(in_box sh -c "grep '^$2-g:' /etc/group | cut -d : -f 4")" = "$2" ]
}

@test "user-add puts the user into the extra group, once" {
    for_both joins_a_group shop
}

refuses() {
    run "$1" user-add daemon /var/lib/daemon
    [ "$status" -eq 4 ]
    run "$1" user-add 'a b' /var/lib/x
    [ "$status" -eq 2 ]
    run "$1" user-add -- /var/lib/x
    [ "$status" -eq 2 ]
    run "$1" user-add x 'relative'
    [ "$status" -eq 2 ]
    run "$1" user-add --new daemon /usr/sbin
    [ "$status" -eq 4 ]
    run "$1" user-add --new docker /var/lib/docker
    [ "$status" -eq 4 ]
    in_box grep -q '^docker:' /etc/group
    run "$1" user-remove root 0 0
    [ "$status" -eq 4 ]
    run "$1" user-remove daemon 999 999
    [ "$status" -eq 4 ]
    run "$1" user-remove daemon - -
    [ "$status" -eq 4 ]
    run "$1" user-remove docker - 1
    [ "$status" -eq 4 ]
    in_box grep -q '^daemon:' /etc/passwd
}

@test "[fault-72] a user that chillbox did not make is neither taken over nor removed" {
    add_group docker
    for_both refuses x
}

removes() {
    "$1" user-add "$2" "/var/lib/$2"
    box run "$HOST" -u "$2" -- sleep 30 3>&- &
    in_box sh -c 'i=0; until grep -q "^Uid:[[:space:]]*$(id -u "$1")" /proc/[0-9]*/status 2>/dev/null; do i=$((i + 1)); [ $i -lt 50 ] || exit 1; sleep 0.1; done' sh "$2"
    ids=$(in_box sh -c 'id -u "$1"; id -g "$1"' sh "$2")
    # shellcheck disable=SC2086 # two words
    set -- "$1" "$2" $ids
    run "$1" user-remove "$2" "$3" "$4"
    [ "$status" -eq 7 ]
    in_box sh -c 'for s in /proc/[0-9]*/status; do if grep -q "^Uid:[[:space:]]*$(id -u "$1")" $s 2>/dev/null; then p=${s#/proc/}; kill ${p%/status}; fi; done; sleep 0.3' sh "$2"
    "$1" user-remove "$2" "$3" "$4"
    "$1" user-remove "$2" "$3" "$4"
    run ! in_box grep "^$2:" /etc/passwd /etc/group
}

@test "user-remove takes user and group away when nothing of it runs any more" {
    for_both removes gone
}

@test "user-remove: a process that has ended and that nobody has waited for yet is no process" {
    bb user-add gone /var/lib/gone
    uid=$(in_box id -u gone) gid=$(in_box id -g gone)
    starts_as gone true >/dev/null 3>&- &
    in_box sh -c 'i=0; until grep -l "^State:.*Z" /proc/[0-9]*/status | xargs -r grep -q "^Uid:[[:space:]]*$1"; do i=$((i + 1)); [ $i -lt 50 ] || exit 1; sleep 0.1; done' sh "$uid"
    # The program that removes has its own idea of it; Alpine's does not ask.
    [ -n "$REAL" ] || in_box sh -c 'printf "#!/bin/sh\nsed -i /^gone:/d /etc/passwd\n" >/opt/bb/deluser.gone && chmod +x /opt/bb/deluser.gone && ln -sf deluser.gone /opt/bb/deluser'
    bb user-remove gone "$uid" "$gid"
    [ -n "$REAL" ] || in_box ln -sf played /opt/bb/deluser
    run ! in_box grep '^gone:' /etc/passwd
}
