# A terminal that is looked at: load helpers/tmux after helpers/host.
#
# tmux_or_skip, tmux_down   in setup and teardown
# terminal COLUMNS LINES [LANG]   a shell in a terminal of that size, in the test's own folder
# keys TEXT..     types there;  screen: what is seen;  seen RE;  shows RE [SECONDS] waits for it

# shellcheck disable=SC2154 # ROOT is host_up's

tmux_or_skip() {
    host_or_skip
    command -v tmux >/dev/null || skip "no tmux here"
    TMUX_SOCKET=$BATS_TEST_TMPDIR/tmux
}
tmux_down() { tmux -S "$TMUX_SOCKET" kill-server 2>/dev/null || :; }
terminal() { tmux -S "$TMUX_SOCKET" -f /dev/null new-session -d -x "$1" -y "$2" "cd $BATS_TEST_TMPDIR && exec env PS1='> ' LANG=${3-C.UTF-8} sh"; }
keys() { tmux -S "$TMUX_SOCKET" send-keys "$@"; }
screen() { tmux -S "$TMUX_SOCKET" capture-pane -p; }
seen() { screen | grep -qE -- "$1"; }
shows() { wait_for "${2-30}" seen "$1" || { screen >&2; false; }; }
