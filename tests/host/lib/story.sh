# For tests/host/demo and demo-fleet: a story with real commands, their real output and how long each took, in the file $times.
# shellcheck shell=sh
# shellcheck disable=SC2154

title() { printf '\n\033[1m# %s\033[0m\n' "$*"; }

now() { date +%s%N; }

# step LABEL SHOWN COMMAND...: prints a command as a person would type it, runs it and records how long it took.
step() {
  label=$1
  printf '\033[2m$\033[0m %s\n' "$2"
  shift 2
  begun=$(now)
  code=0
  "$@" || code=$?
  printf '%s\t%s\n' "$((($(now) - begun) / 1000000))" "$label" >>"$times"
  return "$code"
}

# expected CODE LABEL SHOWN COMMAND...: a step that ends with this exit code.
expected() {
  wanted=$1
  shift
  code=0
  step "$@" || code=$?
  [ "$code" -eq "$wanted" ] || { printf 'demo: expected exit %s, got %s\n' "$wanted" "$code" >&2; exit 1; }
  [ "$wanted" -eq 0 ] || printf '(exit %s)\n' "$code"
}

print_times() {
  title 'How long each step took'
  awk -F '\t' '{printf "  %8.3f s  %s\n", $1 / 1000, $2}' "$times"
}
