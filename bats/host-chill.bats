#!/usr/bin/env bats
# A site of the real Chill: one service frozen to files, one served from its database, both through NGINX, from one release to the next.

# shellcheck disable=SC2154,SC2016 # box_up sets HOST; "sh -c" expands in the box

load helpers/box
load helpers/host

setup_file() {
    host_possible || return 0
    host_up
    host_set_up
    printf 'chill[cli]\n' >"$LAPTOP/requirements.txt"
    wheels "$LAPTOP/requirements.txt" "$LAPTOP/chill-wheels"
}

teardown_file() { host_down; }
setup() { host_or_skip; }

chill_service() { # FOLDER TEXT PREFIX: a page with a text from the data, and the moment when it was made by a query
    mkdir -p "$1/templates" "$1/queries"
    cp -r "$LAPTOP/chill-wheels" "$1/dep"
    printf 'chill[cli]\n' >"$1/requirements.txt"
    cat >"$1/site.cfg" <<'END'
from os import getenv
HOST = getenv("CHILL_HOST", default="127.0.0.1")
PORT = int(getenv("CHILL_PORT", default="5000"))
PUBLIC_URL_PREFIX = getenv("CHILL_PUBLIC_URL_PREFIX", default="")
CHILL_DATABASE_URI = "db"
THEME_TEMPLATE_FOLDER = "templates"
THEME_SQL_FOLDER = "queries"
FREEZER_DESTINATION = "frozen"
END
    printf '{{ text }} at {{ moment }}\n' >"$1/templates/page.html"
    printf "select strftime('%%f', 'now') || '-' || random() as moment;\n" >"$1/queries/moment.sql"
    for route in / /about/; do
        printf -- '--- !ChillNode\nname: page%s\nroute: %s\ntemplate: page.html\nvalue:\n  text: %s\n  moment: moment.sql\n' \
            "${route//\//_}" "$route" "$2 $route"
    done >"$1/chill-data.yaml"
}

llama() { # VERSION: sends that version of the site
    rm -rf "$LAPTOP/hello"
    chill_service "$LAPTOP/hello/still" "still $1"
    chill_service "$LAPTOP/hello/live" "live $1"
    [ -z "${BREAK-}" ] || printf 'name: [\n' >"$LAPTOP/hello/live/chill-broken.yaml"
    cat >"$LAPTOP/hello/llama.site.json" <<END
{ "name": "Llamas", "server_name": "hello.example", "version": "$1", "watch": "1s",
  "env": [{ "name": "LIVE_PATH", "value": "/live/" }],
  "services": [
    { "name": "still", "lang": "chill", "environment": [{ "name": "freeze", "value": "true" }] },
    { "name": "live", "lang": "chill", "workers": 2, "environment": [
        { "name": "freeze", "value": "false" }, { "name": "CHILL_PUBLIC_URL_PREFIX", "value": "\$LIVE_PATH" }] } ] }
END
    send "$(pack)"
}

serve_processes() { in_box pgrep -u llama -f 'chill serve' || :; }
serves_with() { [ "$(serve_processes | wc -l)" -eq "$1" ]; } # PROCESSES
database() { in_box sh -c 'sha256sum <"/srv/chillbox/llama/releases/$1/.chillbox/live/database"' sh "$1"; }

@test "a frozen and a served Chill site answer through NGINX; only the served one has processes" {
    run -0 llama 1.0.0
    frozen=$(get /)
    [[ "$frozen" == "still 1.0.0 / at "* ]]
    [ "$(get /)" = "$frozen" ]
    [[ "$(get /about/)" == "still 1.0.0 /about/ at "* ]]
    served=$(get /live/)
    [[ "$served" == "live 1.0.0 / at "* ]]
    [ "$(get /live/)" != "$served" ]
    [[ "$(get /live/about/)" == "live 1.0.0 /about/ at "* ]]
    [ "$(code /live/nothing/)" = 404 ]
    [ "$(code /nothing/)" = 404 ]
    wait_for 10 serves_with 3 # gunicorn's master and its two workers
    [ "$(in_box sh -c 'ls /etc/init.d | grep -c "^chillbox.llama.still" || :')" -eq 0 ]
}

@test "what NGINX reads of the frozen one is its pages and nothing else; the release belongs to root" {
    web=$(in_box stat -c %G /run/chillbox/hook.sock)
    current=/srv/chillbox/llama/current
    box run "$HOST" -u "$web" -- test -r "$current/.chillbox/still/frozen/index.html"
    run ! box run "$HOST" -u "$web" -- test -r "$current/.chillbox/still/database"
    run ! box run "$HOST" -u "$web" -- test -r "$current/still/site.cfg"
    [ -z "$(in_box find /srv/chillbox/llama/ ! -type l \( ! -user root -o -perm /022 \))" ]
    [ "$(code /.chillbox/still/database)" = 404 ]
}

@test "a new release builds a database of its own, and no request is lost while the port changes" {
    before=$(database 1.0.0-1)
    : >"$LAPTOP/codes"
    (while [ ! -e "$LAPTOP/enough" ]; do code /live/ >>"$LAPTOP/codes" 2>&1; echo >>"$LAPTOP/codes"; done) 3>&- &
    load=$!
    run -0 llama 1.1.0
    touch "$LAPTOP/enough"
    wait "$load"
    [[ "$(get /)" == "still 1.1.0 / at "* ]]
    [[ "$(get /live/)" == "live 1.1.0 / at "* ]]
    [ "$(database 1.0.0-1)" = "$before" ]
    [ "$(sort -u "$LAPTOP/codes")" = 200 ] || { sort "$LAPTOP/codes" | uniq -c; false; }
    [ "$(wc -l <"$LAPTOP/codes")" -gt 20 ]
}

@test "data that Chill refuses ends the deploy before anything changes, with Chill's words in the job's log" {
    BREAK=yes run -1 llama 1.2.0
    [[ "$output" == *"build      "*"ParserError"*"1.1.0 stays live"* || "$output" == *"chill-broken.yaml"*"1.1.0 stays live"* ]]
    [[ "$(get /)" == "still 1.1.0 / at "* ]]
    [[ "$(get /live/)" == "live 1.1.0 / at "* ]]
}

@test "rolled back, restarted and after a reboot both answer, the frozen page as it was made" {
    run -0 ctl rollback llama 1.0.0
    frozen=$(get /)
    [[ "$frozen" == "still 1.0.0 / at "* ]]
    [[ "$(get /live/)" == "live 1.0.0 / at "* ]]
    run -0 ctl restart llama
    [[ "$(get /live/)" == "live 1.0.0 / at "* ]]
    box reboot "$HOST"
    wait_for 30 get /live/ -f -o /dev/null
    [ "$(get /)" = "$frozen" ]
    [[ "$(get /live/about/)" == "live 1.0.0 /about/ at "* ]]
}
