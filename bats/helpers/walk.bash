# Hosts that walk rollouts with a real engine: load it after helpers/engine.
#
# walk_up [PREPARE]     three hosts with an engine, a roster, and the site hello in $LAPTOP/hello, which is not deployed; PREPARE is called before chillboxd
#                       starts again with its engine
# rules LINE...         [rollout] of chillbox.toml, with by = "hosts"
# new                   the next version, $NEW;  rollout ARG...
# live N; all_live V    what is live on host N;  V is live on all three
# says N STATUS         what the service of host N answers from now on; slow N SECONDS: so late does it answer after its start
# state N [STATE]       of host N in the newest order, as host 1 hears it; in_state N STATE
# ordered               the site's newest order as it is in the engine, %020d and all;  report N  the same of a report

# shellcheck disable=SC2154 # box_up sets HOST

walk_up() {
    hosts_up 3
    engine_up
    mkdir -p "$LAPTOP/hello/api"
    cat >"$LAPTOP/hello/api/serve" <<'P'
#!/usr/bin/python3 -ISB
import socket, time
def said(name, default):
    try: return open("/var/lib/hello/api/" + name).read().strip()
    except OSError: return default
time.sleep(float(said("slow", "0")))
s = socket.socket(fileno=3)
while True:
    c, _ = s.accept()
    try:
        c.recv(65536)
        c.sendall(("HTTP/1.0 %s X\r\nContent-Length: 3\r\n\r\nok\n" % said("status", "200")).encode())
    except OSError: pass # who asked has waited long enough
    c.close()
P
    chmod +x "$LAPTOP/hello/api/serve"
    jq -n '{name: "Hello", server_name: "hello.example", domain_list: ["hello.example"], version: "1.0.0", watch: "0s",
        services: [{name: "api", lang: "binary", listen: "fd", "run-cmd": "./serve", health: {path: "/", deadline: "7s"}}]}' >"$LAPTOP/hello/hello.site.json"
    laptop chillboxctl fleet add web1,web2,web3 --name shop
    ${1:+"$1"}
    engine_join 1 2 3
}

rules() { printf 'host = ["web1", "web2", "web3"]\n[rollout]\nby = "hosts"\n' >"$LAPTOP/hello/chillbox.toml" && printf '%s\n' "$@" >>"$LAPTOP/hello/chillbox.toml"; }
new() {
    NEW=$(next_version)
    edit_site ".version = \"$NEW\""
}
rollout() { laptop chillboxctl rollout "$@"; }
live() { on "$1" json facts hello .site.version; }
all_live() { [ "$(live 1) $(live 2) $(live 3)" = "$1 $1 $1" ]; }
of_service() { on "$1" in_box sh -c 'mkdir -p /var/lib/hello/api && echo "$1" >"/var/lib/hello/api/$2" && chmod 644 "/var/lib/hello/api/$2"' sh "$3" "$2"; }
says() { of_service "$1" status "$2"; }
slow() { of_service "$1" slow "$2"; }
state() { on 1 ctl rollout reports hello --json | jq -r ".rollouts[0].hosts[] | select(.host == \"web$1\").state"; }
in_state() { [ "$(state "$1")" = "$2" ]; }
jobs_of() { on "$1" json jobs '.jobs | length'; }
value_of() { etcdctl get --print-value-only "/chillbox/shop/$1"; }
audited() { on "$1" ctl audit -n 50 | grep -q -- "$2"; }
