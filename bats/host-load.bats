#!/usr/bin/env bats
# No request is lost: visitors with and without keep-alive, through NGINX, across good and bad deploys and rollbacks. By default a short stretch of it;
# `make load-run REQUESTS=1000000` is 30 good deploys, 10 bad ones, 10 rollbacks, and then as many reloads of NGINX alone as it reloads for new texts.

# shellcheck disable=SC2154 # helpers set them

load helpers/box
load helpers/host

CONNECTIONS=${CONNECTIONS:-4} # of each of the two visitors: with keep-alive and without

setup_file() {
    host_possible || return 0
    export GOOD=${GOOD:-2} BAD=${BAD:-1} BACK=${BACK:-1} TEXTS=${TEXTS:-1} REQUESTS=${REQUESTS:-2000}
    host_up
    host_set_up
    secrets load
    release 1.0.0
}

teardown_file() {
    touch "$LAPTOP/stop"
    host_down
}
setup() { host_or_skip; }

release() { # VERSION [PYTHON] [SITE_FILTER]
    make_site "$1" "${2-}"
    edit_site '.watch = "0s" | .services[0].workers = 2 | .services[0].health = {path: "/up", interval: "100ms", timeout: "2s", deadline: "20s"}'" ${3-}"
    send "$(pack)"
}
bad() { release "$1" 'raise RuntimeError("no such table")' '| .services[0].health.deadline = "1500ms"'; }
other_text() { release "$1" '' "| .domain_list = [\"hello.example\", \"www$2.example\"]"; }

# Requests in stretches, until a file says stop: wrk counts what failed only when it ends by itself.
visit() { # FILE [HEADER]
    until [ -e "$LAPTOP/stop" ]; do
        box net "$HOST" -- wrk -t 1 -c "$CONNECTIONS" -d "${STRETCH:-4}s" --timeout 30s -H 'Host: hello.example' ${2:+-H "$2"} http://127.0.0.1/up
    done >"$LAPTOP/$1" 2>&1 </dev/null 3>&-
}
open_doors() {
    rm -f "$LAPTOP/stop"
    in_box sh -c 'for log in /var/log/nginx/hello/access.log*; do : >"$log"; done'
    visit keep &
    visit close 'Connection: close' &
    sleep 1
}
close_doors() {
    touch "$LAPTOP/stop"
    wait
}

requests() { awk '/requests in/ {n += $1} END {print n + 0}' "$@"; }
has_made() { [ "$(requests "$LAPTOP/keep" "$LAPTOP/close")" -ge "$1" ]; }
# Connections that were refused, broken or not answered, and answers that were no 2xx.
failed() { awk '/Socket errors/ {gsub(",", ""); n += $4 + $6 + $8 + $10} /Non-2xx/ {n += $NF} END {print n + 0}' "$LAPTOP/$1"; }
stall() { # the longest that one waited, ms
    awk '$1 == "Latency" {v = $4; f = v ~ /us$/ ? 0.001 : v ~ /ms$/ ? 1 : v ~ /m$/ ? 60000 : 1000; sub(/[a-z]+$/, "", v); if (v * f > most) most = v * f} END {printf "%.0f", most}' "$@"
}
answered() { in_box sh -c 'cat /var/log/nginx/hello/access.log*' | awk '{split($0, part, "\" "); n[substr(part[2], 1, 3)]++} END {for (s in n) print s, n[s]}'; }

@test "0 failed requests, with keep-alive and without, across good deploys, bad deploys and rollbacks" {
    open_doors
    for ((n = 1; n <= GOOD || n <= BAD || n <= BACK; ++n)); do
        [ "$n" -gt "$GOOD" ] || release "1.1.$n"
        if [ "$n" -le "$BAD" ]; then run -9 bad "1.2.$n"; fi
        [ "$n" -gt "$BACK" ] || ctl rollback hello
    done
    wait_for 3600 has_made "$REQUESTS" # however slow the machine is
    close_doors
    answered >"$LAPTOP/answers"
    printf '# %s good deploys, %s bad, %s rollbacks; %s requests with keep-alive: %s failed, longest %s ms; %s without: %s failed, longest %s ms; NGINX answered: %s\n' \
        "$GOOD" "$BAD" "$BACK" "$(requests "$LAPTOP/keep")" "$(failed keep)" "$(stall "$LAPTOP/keep")" "$(requests "$LAPTOP/close")" "$(failed close)" \
        "$(stall "$LAPTOP/close")" "$(tr '\n' ';' <"$LAPTOP/answers")" >&3
    [ "$(failed keep)" -eq 0 ]
    [ "$(failed close)" -eq 0 ]
    # 499 is a visitor who left: what is open when a stretch ends.
    run ! grep -v '^200 \|^499 ' "$LAPTOP/answers"
}

@test "where NGINX's text changes, only what its own reload costs: measured beside it" {
    open_doors
    for ((n = 1; n <= TEXTS; ++n)); do other_text "1.3.$n" "$n"; done
    close_doors
    ours=$(failed keep)
    without=$(failed close)
    open_doors
    for ((n = 1; n <= TEXTS; ++n)); do
        in_box nginx -s reload
        sleep 3
    done
    close_doors
    printf '# %s new texts, with keep-alive: %s failed, without: %s; %s reloads of NGINX by itself: %s and %s\n' "$TEXTS" "$ours" "$without" "$TEXTS" \
        "$(failed keep)" "$(failed close)" >&3
    # Whoever has a connection open when its worker ends may lose one request on it, and nobody else does.
    [ "$ours" -le $((TEXTS * CONNECTIONS)) ]
    [ "$without" -eq 0 ]
}

tcp_release() { # VERSION
    rm -rf "$LAPTOP/hello"
    mkdir -p "$LAPTOP/hello/web"
    jq -n --arg version "$1" '{name: "Hello", server_name: "hello.example", version: $version, watch: "0s",
        services: [{name: "web", lang: "binary", "run-cmd": "./serve", health: {path: "/up", interval: "100ms", deadline: "20s"}}]}' >"$LAPTOP/hello/hello.site.json"
    cat >"$LAPTOP/hello/web/serve" <<'PY'
#!/usr/bin/python3 -ISB
import http.server, os
class Page(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "3")
        self.end_headers()
        self.wfile.write(b"up\n")
    def log_message(self, *words):
        pass
class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 1024
Server(("127.0.0.1", int(os.environ["PORT"])), Page).serve_forever()
PY
    chmod 0755 "$LAPTOP/hello/web/serve"
    send "$(pack)"
}
workers() { in_box sh -c "pgrep -f 'nginx: worker process$' | sort | tr '\n' ' '"; }

@test "a service on TCP: no reload, no broken connection and no failed request across redeploys and rollbacks" {
    tcp_release 2.0.0 # from unix sockets: a new text
    tcp_release 2.0.1
    before=$(workers)
    open_doors
    for ((n = 1; n <= ${TCP:-3}; ++n)); do
        tcp_release "2.1.$n"
        [ "$n" -gt "$BACK" ] || ctl rollback hello
    done
    close_doors
    printf '# TCP: %s redeploys, %s rollbacks; %s requests with keep-alive: %s failed, longest %s ms; %s without: %s failed, longest %s ms\n' "${TCP:-3}" "$BACK" \
        "$(requests "$LAPTOP/keep")" "$(failed keep)" "$(stall "$LAPTOP/keep")" "$(requests "$LAPTOP/close")" "$(failed close)" "$(stall "$LAPTOP/close")" >&3
    [ "$(workers)" = "$before" ]
    [ "$(failed keep)" -eq 0 ]
    [ "$(failed close)" -eq 0 ]
}
