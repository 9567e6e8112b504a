#!/usr/bin/env bats
# Bad releases of every kind, one after the other, with visitors all the time: each is refused or rolled back by itself, the version before
# answers, the release is kept as failed with its last lines. By default the first twelve; `make bad-releases N=200` runs through the table until N
# were sent.

# shellcheck disable=SC2154,SC2016 # box_up sets HOST; "sh -c" expands in the box

load helpers/box
load helpers/host

# kind, exit code, whether it had the traffic before it showed (then visitors see it), what the verdict says, lines in the log: yes or no
TABLE='
import-error      9  no   keeps.crashing|not.healthy                yes
exits-0           9  no   keeps.crashing|not.healthy                no
hangs-at-import   9  no   not.healthy.after                                 no
drips             9  no   not.healthy.after                                 no
wrong-port        9  no   not.healthy.after                                 no
leaves-children   9  no   keeps.crashing|not.healthy                yes
ignores-TERM      9  no   answered.500                                      no
template-fails    8  no   no_such_directive.*is.not.for.sites                no
hook-fails        1  no   release_command..sh..ended.with.code.3                 no
hook-hangs        1  no   release_command..sleep.*build_timeout             no
dies-in-watch    10  yes  service..api..crashed                             no
5xx-in-watch     10  yes  answers.were.5xx.since.the.switch                 no
syntax-error      9  no   keeps.crashing|not.healthy                yes
slow-start        9  no   not.healthy.after                                 no
500-for-ever      9  no   answered.500                                      yes
eats-memory       9  no   keeps.crashing|not.healthy                yes
sick-in-watch    10  yes  3.bad.health.checks.in.a.row                      no
'

setup_file() {
    host_possible || return 0
    host_up
    host_set_up
    secrets "what nobody else may read"
    OLD=$(next_version)
    export OLD
    deploy "$OLD"
    in_box sed -i 's/^# build_timeout = .*/build_timeout = "4s"/' /etc/chillbox/chillboxd.toml # what is built by now is reused
    in_box rc-service -q chillboxd restart
    unlock
}

teardown_file() {
    rm -f "$LAPTOP/open"
    host_down
}
setup() { host_or_skip; }

app() { printf '\n%s\n' "$1" >>"$LAPTOP/hello/api/hello_api/app.py"; }
app_that() { # BODY of a function that is asked before each request, with `started`
    app "
import os, signal, threading, time
good = create_app
def create_app():
    app, started = good(), time.monotonic()
    @app.before_request
    def spoil():
        from flask import request
        $1
    return app"
}

# make_bad KIND VARIANT: of the good site that stands in $LAPTOP/hello.
make_bad() {
    edit_site '.services[0].health = {path: "/up", interval: "100ms", timeout: "500ms", deadline: "1500ms"} | .watch = "30s"'
    [[ "$1" != *-in-watch ]] || edit_site '.services[0].health.deadline = "20s"' # it is healthy first
    case $1 in
        import-error) app "raise RuntimeError('no such table: $2')" ;;
        syntax-error) app "def broken($2:" ;;
        exits-0) app 'import os; os._exit(0)' ;;
        hangs-at-import) app 'import threading; threading.Event().wait()' ;;
        slow-start) app "import time; time.sleep($((20 + $2)))" ;;
        500-for-ever) app_that 'raise RuntimeError("always")' ;;
        drips) app_that 'time.sleep(2)' ;;
        wrong-port)
            printf '#!/bin/sh\nexec python3 -m http.server --bind 127.0.0.1 %s\n' "$((9000 + $2))" >"$LAPTOP/hello/api/api"
            chmod +x "$LAPTOP/hello/api/api"
            edit_site '.services[0].lang = "binary" | del(.services[0].handler) | .services[0].handler = "api"'
            ;;
        eats-memory) app 'import resource; resource.setrlimit(resource.RLIMIT_AS, (1 << 28, 1 << 28)); all = [bytearray(1 << 20) for _ in range(1 << 20)]' ;;
        leaves-children) app 'import os, subprocess
for _ in range(3): subprocess.Popen(["setsid", "sleep", "4321"])
raise RuntimeError("with children")' ;;
        ignores-TERM) app_that 'raise RuntimeError("always")'; app 'import subprocess
subprocess.Popen(["sh", "-c", "trap : TERM; while :; do sleep 1; done"])' ;;
        template-fails)
            mkdir -p "$LAPTOP/hello/nginx/templates"
            printf 'server { listen 80; server_name hello.example; no_such_directive%s on; }\n' "$2" >"$LAPTOP/hello/nginx/templates/hello.nginx.conf.template"
            ;;
        hook-fails) edit_site '.services[0].release_command = ["sh", "-c", "echo no such column; exit 3"]' ;;
        hook-hangs) edit_site '.services[0].release_command = ["sleep", "4321"]' ;;
        dies-in-watch) app 'import os, signal, threading
good = create_app
def create_app():
    threading.Timer(2, lambda: os.kill(os.getppid(), signal.SIGKILL)).start()
    return good()' ;;
        sick-in-watch) app_that 'if request.path == "/up" and time.monotonic() - started > 2: raise RuntimeError("sick")' ;;
        5xx-in-watch) app_that 'if request.path != "/up": raise RuntimeError("for visitors only")' ;;
    esac
}

# Visitors, ten a second, until the file is gone: a line for each answer.
visitors() {
    touch "$LAPTOP/open"
    box net "$HOST" -- sh -c 'while [ -e "$1/open" ]; do
        curl -s -m 10 -o /dev/null -w "%{http_code}\n" -H "Host: hello.example" "$2/" || :; sleep 0.1; done >"$1/answers"' sh "$LAPTOP" "$URL" 3>&- &
    VISITORS=$!
}
answers_from() { tail -n "+$(($1 + 1))" "$LAPTOP/answers"; }
answered_since() { [ "$(answers_so_far)" -gt "$1" ]; }
answers_so_far() { wc -l <"$LAPTOP/answers"; }

# Of the old version only: nothing of the bad one is left, in neither slot.
alone() {
    [ "$(pids_of hello | wc -l)" = "$PROCESSES" ] && ! in_box pgrep -f 'sleep 4321' >/dev/null
}

# try_bad KIND VARIANT EXIT HAD_TRAFFIC SAYS LOGS: adds the seconds from the announcement to the verdict.
try_bad() {
    version=$(next_version)
    make_site "$version"
    make_bad "$1" "$2"
    [[ "$6" = no || "$1" = *-in-watch ]] || edit_site '.services[0].health.deadline = "4s"' # it shall come to its last lines
    artifact=$(pack)
    before=$(answers_so_far)
    begun=$(date +%s%N)
    run send "$artifact" --timeout 300s
    printf '%s %s\n' "$((($(date +%s%N) - begun) / 1000000))" "$1" >>"$LAPTOP/times"
    printf '%s: %s\n' "$1" "$output"
    [ "$status" = "$3" ]
    grep -qE "$5" <<<"$output"
    wait_for 10 answered_since "$before" # what is refused at once may be refused between two visitors
    [ "$4" = yes ] || [ "$(answers_from "$before" | sort -u)" = 200 ]
    [ "$(get /)" = "hello from $OLD" ]
    json releases hello ".releases[] | select(.version == \"$version\")" >"$LAPTOP/release"
    if [ "$3" = 8 ]; then # refused before it was installed: there is no release
        [ ! -s "$LAPTOP/release" ]
        return
    fi
    [ "$(jq -r .state "$LAPTOP/release")" = failed ]
    [ -n "$(jq -r .message "$LAPTOP/release")" ]
    [ "$6" = no ] || [ -n "$(jq -r .last_log "$LAPTOP/release")" ]
    wait_for 10 alone
}

@test "[fault-104] [fault-105] [fault-118] bad releases: each is refused or rolled back by itself, and the version before answers" {
    PROCESSES=$(pids_of hello | wc -l)
    visitors
    wait_for 10 test -s "$LAPTOP/answers"
    kinds=$(grep -c . <<<"$TABLE")
    n=${BAD_RELEASES:-12}
    for ((i = 0; i < n; ++i)); do
        read -r kind code traffic says logs < <(grep . <<<"$TABLE" | sed -n "$((i % kinds + 1))p")
        try_bad "$kind" "$((i / kinds + 1))" "$code" "$traffic" "$says" "$logs"
    done
    rm -f "$LAPTOP/open"
    wait "$VISITORS" || :
    sort -n "$LAPTOP/times" | awk -v bad="$(grep -vc 200 "$LAPTOP/answers" || :)" -v all="$(answers_so_far)" '{t[NR] = $1; k[NR] = $2}
        END {p = int(NR * 0.95 + 0.5); if (p < 1) p = 1
             printf "# %d of %d bad releases refused or rolled back; seconds: median %.1f, p95 %.1f, most %.1f (%s); visitors: %d, of which %d met a release in its watch that went bad\n",
             NR, NR, t[int((NR + 1) / 2)] / 1000, t[p] / 1000, t[NR] / 1000, k[NR], all, bad}' >&3
}

@test "after all of them a good one goes live as ever, and what they left is what is kept" {
    version=$(next_version)
    run -0 deploy "$version"
    [ "$(get /)" = "hello from $version" ]
    wait_for 10 test "$(in_box sh -c 'ls /srv/chillbox/hello/releases | wc -l')" -le 3
    [ "$(in_box sh -c 'ls /var/lib/chillbox/artifacts/*.age | wc -l')" -le 6 ]
    run -0 ctl doctor
}
