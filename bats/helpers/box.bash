# For tests in a host in a box (tests/host/README.md): load helpers/box
#
# box VERB...            the command
# box_up VARIABLE [...]  a fresh box with a name of its own, put into VARIABLE; it ends with the calling test or file,
#                        also when that is killed. Call `box down "$VARIABLE"` in teardown all the same: it is quicker.

box() { "$BATS_TEST_DIRNAME/../tests/host/box" "$@"; }

box_up() {
    box_up_name="t$$-$((box_up_count = ${box_up_count:-0} + 1))"
    printf -v "$1" '%s' "$box_up_name"
    export "${1?}"
    box up "$box_up_name" --owner $$ "${@:2}"
}

needs_root() { [ "$(id -u)" -eq 0 ] || skip "needs root: it makes namespaces"; }
