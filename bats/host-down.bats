#!/usr/bin/env bats
# What visitors get is what `status`, `doctor` and the job say: a page that fails, a name that is another's, a copy that ends in its time.

# shellcheck disable=SC2154,SC2016 # box_up sets HOST; "sh -c" expands in the box

load helpers/box
load helpers/host
load helpers/attack

setup_file() {
    host_possible || return 0
    attack_up
    attack_site shop '.watch = "1s" | .services[0].health = {path: "/up", interval: "100ms", deadline: "20s"} | .services[0].stop_timeout = "5s"'
    attack_file shop web/web <<'END'
#!/usr/bin/python3 -I
import http.server, os, pathlib, signal, socket, threading, time

# /var/lib/shop/web/page: the status of "/"; /slow says that it was asked, in "asked", and answers when "go" is there; /events is a stream of events, /ws a websocket that says nothing:
# both say goodbye when the server is told to end.
page = pathlib.Path("/var/lib/shop/web/page")
ending = threading.Event()

class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_): pass
    def stream(self, status, headers, goodbye, tick=b""):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        while not ending.wait(0.2):
            self.wfile.write(tick)
        self.wfile.write(goodbye)
        self.close_connection = True
    def do_GET(self):
        if self.path == "/events":
            return self.stream(200, {"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}, b"event: bye\n\n", b"data: tick\n\n")
        if self.path == "/ws": # 1012: service restart
            return self.stream(101, {"Upgrade": "websocket", "Connection": "Upgrade"}, b"\x88\x02\x03\xf4")
        status = int(page.read_text()) if self.path == "/" and page.exists() else 200
        if self.path == "/slow":
            page.with_name("asked").touch()
            while not page.with_name("go").exists():
                time.sleep(0.1)
        body = b"shop " + os.environ["VERSION"].encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

class Server(http.server.ThreadingHTTPServer):
    daemon_threads = False
    def server_bind(self):
        if "LISTEN_FDS" in os.environ:
            self.socket.close()
            self.socket = socket.socket(fileno=3)
        else:
            super().server_bind()

def end(*_):
    ending.set()
    threading.Thread(target=server.shutdown).start()

Handler.protocol_version = "HTTP/1.1"
server = Server((os.environ["HOST"], int(os.environ["PORT"])), Handler)
signal.signal(signal.SIGTERM, end)
server.serve_forever()
server.server_close() # waits for the threads
END
    attack_deploy shop
}

teardown_file() { host_down; }
setup() { host_or_skip; }

page_is() { in_box sh -c "echo $1 >/var/lib/shop/web/page"; }
first_line() { printf '%s\n' "${lines[0]}"; }

@test "[fault-223] a site that is well: status and doctor exit with 0" {
    run -0 ctl status
    [[ "$output" != *"down for visitors"* ]]
    run -0 ctl doctor
}

@test "[fault-223] 5xx at / behind a good health check: status and doctor say it first and exit with 1" {
    page_is 500
    run -1 ctl status
    [ "$(first_line)" = "shop is down for visitors: service 'web': GET / answered 500" ]
    run -1 --separate-stderr ctl status --json
    [ "$(jq -r '.sites[0].down' <<<"$output")" = "service 'web': GET / answered 500" ]
    run -1 ctl doctor
    [[ "$(first_line)" == *"fail"*"shop: down for visitors: service 'web': GET / answered 500" ]]
    [[ "$output" == *"-> chillboxctl logs shop; chillboxctl restart shop"* ]]
}

@test "[fault-221] a deploy of such a site says so, and status repeats it" {
    run -0 attack_deploy shop
    [[ "$output" == *"service 'web': GET / answered 500"* ]]
    [[ "$(json jobs shop '.jobs[0].message')" == *"; warning: service 'web': visitors get 500 at /" ]]
    page_is 200
    run -0 ctl status
    [[ "$output" == *"shop: warning: service 'web': visitors get 500 at /"* ]]
    run -0 ctl restart shop
    run -0 ctl status
    [[ "$output" != *"warning:"* ]]
}

@test "[fault-223] what the operator wishes is not down: maintenance, and a site that is stopped" {
    page_is 500
    ctl maintenance on shop
    run -0 ctl status
    [[ "$output" == *"visitors get the maintenance page"* ]]
    ctl maintenance off shop
    ctl stop shop
    run -0 ctl status
    page_is 200
    ctl start shop
    run -0 ctl status
}

@test "[fault-223] another server that takes the site's name: down, with its file" {
    dir=$(in_box sh -c 'dirname "$(ls /etc/nginx/*/chillbox.conf)"')
    in_box sh -c "printf 'server { listen 80; listen [::]:80; server_name shop.example; return 404; }\n' >$dir/aaa.conf && nginx -s reload"
    taken() { ! ctl status >/dev/null; }
    wait_for 10 taken
    run -1 ctl status
    [[ "$(first_line)" == "shop is down for visitors: asked for 'shop.example' on port 80, NGINX does not answer as this site but with 404; "*"/aaa.conf has that name, too"* ]]
    in_box sh -c "rm $dir/aaa.conf && nginx -s reload"
    free() { ctl status >/dev/null; }
    wait_for 10 free
}

@test "[fault-1213] the host is given the name of a site: status names the setting, doctor what to do" {
    name_is() { in_box sed -i "s/^#* *server_name = .*/$1/" /etc/chillbox/chillboxd.toml && in_box rc-service -q chillboxd restart && unlock; }
    name_is 'server_name = "shop.example"'
    taken() { ! ctl status >/dev/null; }
    wait_for 10 taken
    run -1 ctl status
    [[ "$(first_line)" == "shop is down for visitors: asked for 'shop.example' on port 80, "*"; host.server_name of chillboxd.toml has that name, too: change one of them"* ]]
    run -1 ctl doctor
    [[ "$output" == *"-> deploy shop with another name, or change the other one; chillboxctl upgrade reads chillboxd.toml"* ]]
    name_is '# server_name = "_"'
    free() { ctl status >/dev/null; }
    wait_for 10 free
}

@test "a site with the host's own name is refused, and both are named" {
    name=$(in_box hostname)
    attack_edit shop '.server_name = "'"$name"'" | .domain_list = ["'"$name"'"]'
    run -8 attack_deploy shop
    [[ "$output" == *"'$name' is this host's own name"* ]]
    attack_edit shop '.server_name = "shop.example" | .domain_list = ["shop.example"]'
}

# A request that the live copy answers when `go` says so: its answer, or "CODE SECONDS", is in $LAPTOP/slow, its process is $slow.
ask_slowly() {
    in_box rm -f /var/lib/shop/web/asked /var/lib/shop/web/go
    visit shop /slow -m 300 "$@" >"$LAPTOP/slow" 3>&- &
    slow=$!
    wait_for 60 in_box test -e /var/lib/shop/web/asked
}
go() { in_box touch /var/lib/shop/web/go; }
# deploy_meanwhile ARTIFACT NAME: its process is $deploy.
deploy_meanwhile() {
    before_it=$(json jobs shop '.jobs[0].id')
    attack_send shop "$1" >"$LAPTOP/$2.out" 2>&1 3>&- &
    deploy=$!
}
retires() {
    now=$(json jobs shop '.jobs[0] | .step + " " + .id')
    [[ "$now" == "retire "* && "$now" != *" $before_it" ]]
}

@test "[fault-227] a request that ends within stop_timeout gets its answer from the old copy" {
    attack_edit shop '.services[0].stop_timeout = "200s"'
    run -0 attack_deploy shop
    before=$(visit shop /)
    ask_slowly
    deploy_meanwhile "$(attack_pack shop)" first
    wait_for 60 retires
    [ "$(visit shop /)" != "$before" ]
    [ ! -s "$LAPTOP/slow" ]
    go
    wait "$slow" "$deploy"
    [ "$(cat "$LAPTOP/slow")" = "$before" ]
}

@test "[fault-227] one that takes longer ends with 502 when stop_timeout is over, and not sooner" {
    attack_edit shop '.services[0].stop_timeout = "2s"'
    run -0 attack_deploy shop
    [[ "$(in_box sh -c 'grep -h retry= /etc/conf.d/chillbox.shop.web.*')" == *'retry="TERM/7/KILL/5"'* ]]
    ask_slowly -o /dev/null -w '%{http_code} %{time_total}\n'
    run -0 attack_deploy shop
    wait "$slow"
    [[ "$(cat "$LAPTOP/slow")" =~ ^502\ ([0-9]+)\. ]]
    [ "${BASH_REMATCH[1]}" -ge 2 ]
}

@test "[fault-227] streams of events and websockets are closed by the server in its own way, at once" {
    attack_edit shop '.services[0].stop_timeout = "200s"'
    run -0 attack_deploy shop
    visit shop /events -N -m 300 >"$LAPTOP/events" &
    events=$!
    visit shop /ws -N -m 300 --http1.1 -H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' -H 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==' >"$LAPTOP/ws" &
    ws=$!
    wait_for 10 grep -q tick "$LAPTOP/events"
    before=$SECONDS
    run -0 attack_deploy shop
    wait "$events"
    wait "$ws" || :
    [ $((SECONDS - before)) -lt 150 ]
    [ "$(tail -n 2 "$LAPTOP/events" | head -n 1)" = 'event: bye' ]
    [ "$(od -A n -t x1 "$LAPTOP/ws" | tr -d ' \n')" = 880203f4 ]
}

@test "[fault-227] the next deploy does not wait for old copies that still end, until it needs their place" {
    attack_edit shop '.services[0].stop_timeout = "200s"'
    run -0 attack_deploy shop
    one=$(attack_pack shop)
    two=$(attack_pack shop)
    ask_slowly
    deploy_meanwhile "$one" first
    first=$deploy
    wait_for 60 retires
    deploy_meanwhile "$two" second
    builds() { [ "$(json jobs shop '.jobs[0].step')" = start ] && [ "$(json jobs shop '.jobs[1].step')" = retire ]; }
    wait_for 100 builds
    go
    wait "$slow" "$first" "$deploy"
    [[ "$(cat "$LAPTOP/slow")" == "shop "* ]]
}

@test "[fault-231] a service that goes into the background is refused, and the reason is said" {
    attack_site dark
    sed -i '2i import os, sys\nif os.fork(): sys.exit(0)\nos.setsid()' "$(attack_folder dark)/web/web"
    run -9 attack_deploy dark
    [[ "$output" == *"service 'web' went into the background: it must stay in the foreground"* ]]
    none_of dark
}

@test "[fault-230] the audit trail has the site, the job and the options of what was asked for" {
    run -0 ctl restart shop --no-watch
    [[ "$(json audit '.entries[0] | .site + " " + .verb + " " + .text')" == "shop restart "*"(--no-watch)" ]]
    job=$(json jobs dark '.jobs[0].id')
    run -9 ctl retry "$job" --allow-downgrade
    [ "$(json audit '[.entries[] | select(.verb == "retry")][0] | .site + " " + .actor')" = "dark uid:0 root" ]
    [[ "$(json audit '[.entries[] | select(.verb == "retry")][0].text')" == "$job --allow-downgrade: "* ]]
}

@test "[fault-228] a host key that was made anew: unlock, status and doctor say which secrets to send again, and fail" {
    printf 'word\n' >"$LAPTOP/web.cfg"
    run -0 attack_secrets shop "$LAPTOP/web.cfg"
    attack_edit shop '.services[0].secrets_config = "web.cfg"'
    run -0 attack_deploy shop
    in_box rm /var/lib/chillbox/identity.age /var/lib/chillbox/recipient.txt
    run -0 with_passphrase "another one" init --work-factor 10
    [[ "$output" == *"chillboxd still has the former key: chillboxctl lock, then unlock"* ]]
    box reboot "$HOST"
    ctl ping --wait 20s
    run -1 unlock "another one"
    new=$(json status .host.recipient)
    [[ "$output" == *"unlocked, but not every site is up: shop: the secret set of 'shop' is encrypted to a former key, not to this host's, $new: pack it again"* ]]
    run -1 ctl status
    [[ "$(first_line)" == "shop is down for visitors: waits for web/web.cfg: the secret set of 'shop' is encrypted to a former key, not to this host's, $new"* ]]
    run -1 ctl doctor
    [[ "$(first_line)" == *"shop: down for visitors: waits for web/web.cfg"* ]]
}
