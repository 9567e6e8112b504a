#!/usr/bin/env bats
# What strangers ask for in the watch of a release decides nothing.

# shellcheck disable=SC2154,SC2016 # box_up sets HOST; "sh -c" expands in the box

load helpers/box
load helpers/host
load helpers/attack

setup_file() {
    host_possible || return 0
    attack_up
    attack_site wall '.watch = "8s" | .services[0].health = {path: "/up", interval: "100ms", deadline: "20s"}'
    attack_file wall web/web <<'END'
#!/usr/bin/python3 -I
import http.server, os, socket, sys

# Fails for whoever asks for /boom, as an application with a bug does; a bad release fails for everybody but the health check.
bad = os.path.exists(os.path.join(os.path.dirname(os.path.abspath(sys.argv[0])), "bad"))

class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_): pass
    def do_GET(self):
        status = 500 if self.path.startswith("/boom") or (bad and self.path != "/up") else 200
        body = b"wall " + os.environ["VERSION"].encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
    do_HEAD = do_GET

class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    def server_bind(self):
        if "LISTEN_FDS" in os.environ:
            self.socket.close()
            self.socket = socket.socket(fileno=3)
        else:
            super().server_bind()

Server((os.environ["HOST"], int(os.environ["PORT"])), Handler).serve_forever()
END
    # strangers HEAD...: 200 requests to the host, with each of these heads in turn, a connection each
    cat >"$LAPTOP/strangers" <<'END'
import socket, sys
heads = [a.encode().decode("unicode_escape").encode() for a in sys.argv[1:]]
for i in range(200):
    s = socket.create_connection(("127.0.0.1", 80), 10)
    s.sendall(heads[i % len(heads)] + b"\r\n\r\n")
    while s.recv(65536):
        pass
END
    attack_deploy wall
}

teardown_file() { host_down; }
setup() { host_or_skip; }

live() { visit wall /up; }
is_watched() { [ "$(json jobs wall '.jobs[0] | .step + " " + .state')" = 'watch running' ]; }

# in_watch HEAD...: a deploy that strangers disturb in its watch; $output and $status are its own
in_watch() {
    attack_deploy wall >"$LAPTOP/deploy.out" 2>&1 3>&- &
    deploying=$!
    wait_for 60 is_watched
    box net "$HOST" -- python3 "$LAPTOP/strangers" "$@"
    status=0
    wait "$deploying" || status=$?
    output=$(cat "$LAPTOP/deploy.out")
    version=$(jq -r .version "$(attack_folder wall)/wall.site.json")
    printf '%s\n' "$output"
}

@test "requests that NGINX itself answers with 5xx undo no deploy, and are not counted [attack-B1]" {
    in_watch 'GET / HTTP/1.1\r\nHost: wall.example\r\nTransfer-Encoding: foo\r\nConnection: close' 'HEAD /boom HTTP/1.1\r\nHost: wall.example\r\nConnection: close'
    [ "$status" -eq 0 ]
    [ "$(live)" = "wall $version" ]
    [[ "$output" != *warning* ]]
    [[ "$(ctl job "$(json jobs wall '.jobs[0].id')")" == *'no visitor'* ]]
}

@test "an application's own errors, asked for by a stranger, undo no deploy: a warning in the job and in the history [attack-B1]" {
    in_watch 'GET /boom?"%0a500 HTTP/1.1\r\nHost: wall.example\r\nUser-Agent: \" 200 \"\r\nConnection: close'
    [ "$status" -eq 0 ]
    [ "$(live)" = "wall $version" ]
    [[ "$output" == *'200 of 200 answers were 5xx since the switch, 0 of '*' before'* ]]
    [[ "$(json jobs wall '.jobs[0].message')" == *"; warning: 200 of 200 answers were 5xx since the switch"* ]]
    [[ "$(json releases wall '.releases[0].message')" == 'warning: 200 of 200 answers were 5xx'* ]]
    [ "$(json releases wall '.releases[0].state')" = good ]
}

@test "what was as bad before the switch is not even worth a warning [attack-B1]" {
    box net "$HOST" -- python3 "$LAPTOP/strangers" 'GET /boom HTTP/1.1\r\nHost: wall.example\r\nConnection: close'
    in_watch 'GET /boom HTTP/1.1\r\nHost: wall.example\r\nConnection: close'
    [ "$status" -eq 0 ]
    [[ "$output" != *warning* ]]
}

@test "a release that is bad for everybody but its health check goes back, as soon as visitors meet it [attack-B1]" {
    before=$(live)
    touch "$(attack_folder wall)/web/bad"
    in_watch 'GET / HTTP/1.1\r\nHost: wall.example\r\nConnection: close'
    rm "$(attack_folder wall)/web/bad"
    [ "$status" -eq 10 ]
    [[ "$output" == *"'/' of service 'web', which answered in "*", fails, and 200 of 200 answers were 5xx since the switch"* ]]
    [ "$(live)" = "$before" ]
}

# announce_only SHA256 VERSION: what somebody can do who has only the site's webhook key
announce_only() {
    cp "$LAPTOP/wall.hook" "$LAPTOP/hook.key"
    announce site.deploy '{"site": "wall", "version": "'"$2"'", "sha256": "'"$1"'", "size": 4096}' >/dev/null
    [ "$(jq -r .job "$LAPTOP/answer")" != null ]
}

@test "what is announced and never comes, and what is refused, ends no watch and makes no bad release good [attack-B6]" {
    before=$(live)
    touch "$(attack_folder wall)/web/bad"
    attack_deploy wall >"$LAPTOP/deploy.out" 2>&1 3>&- &
    deploying=$!
    wait_for 60 is_watched
    watched=$(json jobs wall '.jobs[0].id')
    announce_only "$(printf '%064d' 7)" 99.0.0
    (cd "$LAPTOP" && "$CTL" keygen -q -o nobody --no-password)
    run ! attack_send wall "$(KEY="$LAPTOP/nobody.key" attack_pack wall)"
    [[ "$output" == *"verify"*"failed"* ]]
    [ "$(json job "$watched" .job.step)" = watch ]
    [ "$(json releases wall '.releases[] | select(.live) | .state')" = unproven ]
    box net "$HOST" -- python3 "$LAPTOP/strangers" 'GET / HTTP/1.1\r\nHost: wall.example\r\nConnection: close'
    rm "$(attack_folder wall)/web/bad"
    status=0
    wait "$deploying" || status=$?
    cat "$LAPTOP/deploy.out"
    [ "$status" -eq 10 ]
    [ "$(live)" = "$before" ]
    [ "$(json releases wall '.releases[] | select(.live) | .state')" = good ]
}

@test "a deploy ends the watch of the one before when its own copies are healthy; that one is unproven, and no rollback chooses it" {
    good=$(live)
    attack_deploy wall >"$LAPTOP/deploy.out" 2>&1 3>&- &
    deploying=$!
    wait_for 60 is_watched
    run -0 attack_deploy wall
    wait "$deploying"
    [[ "$(cat "$LAPTOP/deploy.out")" == *"unproven: another job ended its watch before its time"* ]]
    [ "$(json releases wall '[.releases[].state][0:2] | join(" ")')" = 'good unproven' ]
    run -0 ctl rollback wall
    [[ "$output" == *" was live after it, but its watch did not end: "* ]]
    [ "$(live)" = "$good" ]
    run -0 ctl rollback wall "$(json releases wall '[.releases[] | select(.state == "unproven")][0].id')"
}

@test "a release whose watch was ended by a deploy that then fails is watched again [attack-B6]" {
    (cd "$(attack_folder wall)" && jq '.services[0].strategy = "stop-first" | .watch = "4s"' wall.site.json >x && mv x wall.site.json)
    run -0 attack_deploy wall
    attack_deploy wall >"$LAPTOP/deploy.out" 2>&1 3>&- &
    deploying=$!
    wait_for 60 is_watched
    live=$(live)
    cp "$(attack_folder wall)/web/web" "$LAPTOP/web.good"
    printf '#!/bin/sh\nexit 1\n' >"$(attack_folder wall)/web/web"
    run ! attack_deploy wall
    cp "$LAPTOP/web.good" "$(attack_folder wall)/web/web"
    wait "$deploying"
    [[ "$output" == *"stop-first: service 'web' keeps crashing on start"*"${live#wall } stays live, which is watched again"* ]]
    again() { [ "$(json jobs wall '.jobs[0] | "\(.kind) \(.actor) \(.state)"')" = 'watch chillboxd done' ]; }
    wait_for 30 again
    [ "$(json releases wall '.releases[] | select(.live) | .state')" = good ]
    [ "$(live)" = "$live" ]
}

@test "the log of counts has nothing that a visitor chose, nobody else reads it, and it stays small [attack-B1]" {
    run ! in_box grep -v -E '^[0-9.]+\|[0-9]{3}\|[0-9.]+\|[0-9]+\|[0-9]+\|[A-Z-]*\|[01]\|[a-z0-9:/., -]*\|[0-9., :-]*\|[0-9, :-]*$' /run/chillbox/counts/wall.log
    run ! box run "$HOST" -u wall -- cat /run/chillbox/counts/wall.log
    in_box sh -c 'head -c 3000000 /dev/zero | tr "\0" "\n" >>/run/chillbox/counts/wall.log'
    shrunk() { [ "$(in_box sh -c 'stat -c %s /run/chillbox/counts/wall.log 2>/dev/null || echo 0')" -lt 1000000 ]; }
    visit wall / >/dev/null
    wait_for 30 shrunk
    visit wall / >/dev/null
    answered() { in_box grep -q '|200|' /run/chillbox/counts/wall.log; }
    wait_for 10 answered
}

@test "a site that is removed leaves no log of counts [attack-B1]" {
    run -0 ctl remove wall -y
    run ! in_box test -e /run/chillbox/counts/wall.log
}
