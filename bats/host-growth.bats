#!/usr/bin/env bats
# A host with many sites feels like one with few: what is read and started for a verb or a deploy grows no faster than the number of sites, and not at all
# with what is kept. Counted, because a machine's speed says nothing about it (tests/bench/cost.py); `make bench BENCH=growth` has the times.

# shellcheck disable=SC2154,SC2016,SC2034 # box_up sets HOST; "sh -c" expands in the box

load helpers/box
load helpers/host
load helpers/one_host

# One page, and one program on the socket that it is handed.
site() { # NAME VERSION: prints the artifact, in the box
    dir=$LAPTOP/sites/$1
    mkdir -p "$dir/pages" "$dir/api"
    printf 'page of %s\n' "$1" >"$dir/pages/index.html"
    cat >"$dir/api/serve" <<'END'
#!/usr/bin/python3 -ISB
import socket
listening = socket.socket(fileno=3)
while True:
    connection, _ = listening.accept()
    connection.recv(65536)
    connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nup\n")
    connection.close()
END
    chmod +x "$dir/api/serve"
    printf '{"name": "%s", "server_name": "%s.example", "version": "%s", "watch": "0s",
      "services": [{"name": "pages", "lang": "static"}, {"name": "api", "lang": "binary", "listen": "fd", "run-cmd": "./serve", "at": "/api/"}]}\n' \
        "$1" "$1" "$2" >"$dir/$1.site.json"
    artifact=$("$CTL" pack -q "$dir" -r "$RECIPIENT" -k "$LAPTOP/deployer.key" -o "$LAPTOP/out")
    box push "$HOST" "$artifact" "$artifact.minisig" /root/
    printf '/root/%s\n' "$(basename "$artifact")"
}
deploy_there() { printf '%s\n' chillboxctl deploy "$1" --to http://127.0.0.1 --webhook-key /root/hook.key --wait --timeout 10m; } # its words, a line each
sites() { # FROM TO
    for n in $(seq "$1" "$2"); do
        mapfile -t words < <(deploy_there "$(site "site$n" 1.0.0)")
        in_box "${words[@]}" >/dev/null 2>&1
    done
}

# cost NAME BEFORE AFTER COMMAND...: a line NAME BYTES TASKS
cost() { printf '%s %s\n' "$1" "$(in_box python3 /root/cost.py "${@:2}")"; }

# count LABEL: into $LAPTOP/LABEL, the least of two of each
count() {
    for round in 1 2; do
        cost status .1 .1 chillboxctl status
        cost doctor .1 .1 chillboxctl doctor
        cost metrics 1.2 .1 chillboxctl metrics # facts are kept for a second
        cost jobs .1 .1 chillboxctl jobs site1
        cost releases .1 .1 chillboxctl releases site1
        cost prune .1 .1 chillboxctl prune --dry-run
        mapfile -t words < <(deploy_there "$(site site1 "$(next_version)")")
        cost redeploy 1 1 "${words[@]}"
        cost deploy-of-what-is-live .1 .3 "${words[@]}"
    done >"$LAPTOP/rounds"
    sort -k 1,1 "$LAPTOP/rounds" | awk '
        $1 != name {if (name) print name, bytes, tasks; name = $1; bytes = $2; tasks = $3}
        {if ($2 < bytes) bytes = $2; if ($3 < tasks) tasks = $3}
        END {print name, bytes, tasks}' >"$LAPTOP/$1"
    sed "s/^/# $1: /" "$LAPTOP/$1" >&3
}

# As a table: NAME BYTES BYTES... TASKS TASKS...
table() { # LABEL...
    cp "$LAPTOP/$1" "$LAPTOP/joined"
    for label in "${@:2}"; do join "$LAPTOP/joined" "$LAPTOP/$label" >"$LAPTOP/next" && mv "$LAPTOP/next" "$LAPTOP/joined"; done
    cat "$LAPTOP/joined"
}

@test "from 6 to 10 sites each verb and each deploy reads and starts hardly more than from 2 to 6" {
    box push "$HOST" "$ROOT/tests/bench/cost.py" "$ROOT/tests/bench/fill.py" "$LAPTOP/hook.key" /root/
    from=1
    for n in 2 6 10; do
        sites "$from" "$n"
        from=$((n + 1))
        count "$n"
    done
    [ "$(table 2 6 10 | wc -l)" -eq 8 ]
    # What grows with the square costs 32 and then 64 more. A page of SQLite or of a table of NGINX may come at either step.
    table 2 6 10 | awk '
        function more(a, b, c, slack) {return c - b > 1.3 * (b - a > 0 ? b - a : 0) + slack}
        {if (more($2, $4, $6, 65536 + $4 / 20) || more($3, $5, $7, 4 + $5 / 20)) {print "grows faster than the number of sites: " $0; bad = 1}}
        END {exit bad}'
}

@test "with years of history each verb and each deploy reads and starts as much as without" {
    in_box rc-service -q chillboxd stop
    in_box python3 /root/fill.py /var/lib/chillbox/state.db 10 --releases 2000
    in_box rc-service -q chillboxd start
    unlock
    mapfile -t words < <(deploy_there "$(site site1 "$(next_version)")")
    in_box "${words[@]}" >/dev/null 2>&1 # a deploy forgets what is too much of its site, once
    count filled
    table 10 filled | awk '
        {if ($4 > $2 * 1.2 + 262144 || $5 > $3 * 1.2 + 4) {print "grows with what is kept: " $0; bad = 1}}
        END {exit bad}'
}
