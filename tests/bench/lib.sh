# What the measurements share. shellcheck shell=sh
#
# Every measurement is a script of its own that appends rows to the file $RESULTS, tab-separated:
#   what, ours, theirs (or -), ratio (or -), aim, met|missed|skipped: WHY|failed|-, noise (or nothing)
# `run` runs them and prints the table.

TOP=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
BUILD=${BUILD:-build}
case $BUILD in /*) ;; *) BUILD=$TOP/$BUILD ;; esac
RESULTS=${RESULTS:-/dev/stdout}
ROUNDS=${ROUNDS:-5}
host='' work='' # of host_up

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

# skipped WHAT WHY: a row without a figure
skipped() {
  say "$1: skipped: $2"
  printf '%s\t-\t-\t-\t-\tskipped: %s\t\n' "$1" "$2" >>"$RESULTS"
}

# failed PART: the rows that it has not are missing
failed() { printf '%s: it ended early\t-\t-\t-\t-\tfailed\t\n' "$1" >>"$RESULTS"; }

figure() { # WHAT UNIT LIMIT NUMBER...: their median; limit '-': told only
  what=$1 unit=$2 limit=$3
  shift 3
  say "$what: $*"
  row "$what" "$(median "$@")" - "$unit" '<=' "$limit" "$(noise "$@")"
}

# --- A host in a box, unlocked, that trusts the key of this laptop and takes its webhooks: what measurements of deploys have in common.

in_box() { "$TOP/tests/host/box" run "$host" -- "$@" </dev/null; }
laptop() { "$TOP/tests/host/box" net "$host" -- "$@" </dev/null; }
ctl() { "$BUILD/chillboxctl" "$@"; }

host_down() {
  "$TOP/tests/host/box" down "$host" >/dev/null 2>&1 || :
  rm -rf -- "$work"
}

host_up() { # [UPLOADS_MAX]: sets host and work; both go with this process
  host=bench-$$
  work=$(mktemp -d)
  trap host_down EXIT
  trap 'exit 130' INT TERM
  say "a host in a box: $host"
  "$TOP/tests/host/box" up "$host" --owner $$
  sh "$TOP/tests/host/install" "$host" "$BUILD"
  in_box sh -c 'printf "bench\n" >/root/passphrase; chillboxctl init -q --work-factor 10 --passphrase-fd 3 3</root/passphrase'
  [ -z "${1-}" ] || in_box sed -i "s/^[# ]*uploads_max *=.*/uploads_max = $1/" /etc/chillbox/chillboxd.toml
  in_box cat /var/lib/chillbox/recipient.txt >"$work/recipients"
  ctl keygen -q -o "$work/deployer" --no-password >/dev/null
  "$TOP/tests/host/box" push "$host" "$work/deployer.pub" "$TOP/tests/bench/timed.py" "$TOP/tests/bench/fill.py" /root/
  in_box chillboxctl trust add /root/deployer.pub --name laptop >&2
  in_box chillboxctl webhook add laptop --all-sites --all-types >"$work/hook.key" 2>/dev/null
  in_box rc-service -q chillboxd start >&2
  unlocked
}
unlocked() { in_box sh -c 'chillboxctl unlock --passphrase-fd 3 3</root/passphrase' >&2; }

# packed DIR: prints the artifact's path
packed() { ctl pack -q "$1" -R "$work/recipients" -k "$work/deployer.key" -o "$work/out"; }

# timed WHAT [--any] ROUNDS COMMAND...: in the box; sent ROUNDS ARTIFACT: deploys of it from the laptop, each to its end
timed() { in_box python3 /root/timed.py "$@"; }
sent() {
  laptop python3 "$TOP/tests/bench/timed.py" run "$1" "$BUILD/chillboxctl" deploy "$2" --to http://127.0.0.1 --webhook-key "$work/hook.key" --wait --timeout 10m
}

# How often a deploy is looked at, in us: each look is a visit that NGINX and the live service answer, half a ms of processor time. Asked every
# millisecond they took a third of a processor from what is measured.
look_pause=4000

# answered HOST WANT ARTIFACT: a deploy from the laptop, to the first answer that begins with WANT; what bench-first prints
answered() {
  sync # the laptop's disk is the host's here: what packing wrote must not wait in the host's way
  laptop "$BUILD/bench-first" --to 127.0.0.1:80 --host "$1" --want "$2" --pause "$look_pause" -- \
    "$BUILD/chillboxctl" deploy "$3" --to http://127.0.0.1 --webhook-key "$work/hook.key" 2>/dev/null
}

# reached [STEP EVENT]: when the newest job came there, ms since 1970; without them: when it was accepted.
reached() {
  in_box chillboxctl job "$(in_box chillboxctl jobs --json | jq -r '.jobs[0].id')" --json |
    jq -r --arg step "${1-}" --arg event "${2-}" 'if $step == "" then .job.created_ms else [.events[] | select(.step == $step and .kind == $event)][-1].time_ms end'
}
# behind_upload FIGURES: of what answered() printed, ms from the artifact's arrival
behind_upload() { echo $(($(printf '%s' "$1" | of at) - $(reached obtain 'done'))); }
