# What the measurements share. shellcheck shell=sh
#
# Every measurement is a script of its own that appends rows to the file $RESULTS, tab-separated:
#   what, ours, theirs (or -), ratio (or -), aim, met|missed|-, noise (or nothing)
# `run` runs them and prints the table.

TOP=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
BUILD=${BUILD:-build}
case $BUILD in /*) ;; *) BUILD=$TOP/$BUILD ;; esac
RESULTS=${RESULTS:-/dev/stdout}
ROUNDS=${ROUNDS:-3}

say() { printf 'bench: %s\n' "$*" >&2; }

# Ahead of what else this machine does, both sides alike; where we may. A word list before a command, so that $! is the command.
ahead=
if [ "$(id -u)" -eq 0 ]; then ahead="nice -n -20"; fi

# of NAME < JSON: a number of a flat object.
of() { sed -n "s/.*\"$1\":\([0-9.]*\).*/\1/p"; }

# median NUMBER...
median() { printf '%s\n' "$@" | sort -n | awk '{v[NR] = $1} END {print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2}'; }

# noise NUMBER...: half of their spread, in parts of the median
noise() { printf '%s\n' "$@" | sort -n | awk '{v[NR] = $1} END {m = v[int((NR + 1) / 2)]; printf "%.3f", (m > 0 ? (v[NR] - v[1]) / 2 / m : 0)}'; }

# holds VALUE OPERATOR LIMIT, with fractions
holds() { awk "BEGIN {exit !($1 $2 $3)}"; }

# row WHAT OURS THEIRS UNIT OPERATOR AIM [NOISE]: a ratio of ours to theirs against an aim; theirs '-': ours itself against it; aim '-': told only.
row() {
  ratio=-
  value=$2
  if [ "$3" != - ]; then
    ratio=$(awk "BEGIN {printf \"%.2f\", $2 / $3}")
    value=$ratio
    theirs="$3 $4"
  else
    theirs=-
  fi
  verdict=-
  aim=-
  if [ "$6" != - ]; then
    aim="$5 $6"
    [ "$3" != - ] || aim="$aim $4"
    if holds "$value" "$5" "$6"; then verdict=met; else verdict=missed; fi
  fi
  printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$1" "$2 $4" "$theirs" "$ratio" "$aim" "$verdict" "${7-}" >>"$RESULTS"
}
