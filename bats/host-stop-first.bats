#!/usr/bin/env bats
# `strategy: stop-first` on a real host: a database with one writer, which would refuse a second one.

# shellcheck disable=SC2154,SC2016 # box_up sets HOST; "sh -c" expands in the box

load helpers/box
load helpers/host
load helpers/one_host

# ledger VERSION [STRATEGY]: a page, and `ledger`, which opens its SQLite file exclusively, writes one row and serves the number of rows. With
# MOOD=BROKEN it ends before it listens, with MOOD=SLOW it listens after 3 s.
ledger() {
    rm -rf "$LAPTOP/hello"
    mkdir -p "$LAPTOP/hello/ledger" "$LAPTOP/hello/page"
    printf 'page %s\n' "$1" >"$LAPTOP/hello/page/index.html"
    cat >"$LAPTOP/hello/ledger/ledger" <<'END'
#!/usr/bin/python3
import http.server, os, sqlite3
db = sqlite3.connect(os.environ["CHILLBOX_DATA_DIR"] + "/ledger.db", timeout=0)
db.execute("PRAGMA locking_mode = EXCLUSIVE")
db.execute("BEGIN EXCLUSIVE")  # fails when another copy has it
db.execute("CREATE TABLE IF NOT EXISTS starts(version)")
db.execute("INSERT INTO starts VALUES(?)", (os.environ["VERSION"],))
db.execute("COMMIT")
assert "BROKEN" not in os.environ, "broken on purpose"
if "SLOW" in os.environ:
    __import__("time").sleep(3)
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = "%s %d\n" % (os.environ["VERSION"], db.execute("SELECT count(*) FROM starts").fetchone()[0])
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body.encode())
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Answer).serve_forever()
END
    chmod 0755 "$LAPTOP/hello/ledger/ledger"
    cat >"$LAPTOP/hello/ledger.site.json" <<END
{ "name": "Ledger", "server_name": "hello.example", "version": "$1", "watch": "1s",
  "env": [${MOOD:+{ \"name\": \"$MOOD\", \"value\": \"yes\" \}}],
  "services": [{ "name": "ledger", "lang": "binary", "strategy": "${2-stop-first}", "health": { "deadline": "15s" } },
               { "name": "page", "lang": "static" }] }
END
    send "$(pack)" --timeout "${TIMEOUT-10m}"
}

job() { json jobs ledger -n 1 ".jobs[0].$1"; }

@test "two copies of such a service side by side fail, as they would on any host: overlap is not for it" {
    run -0 ledger 1.0.0
    [ "$(get /)" = '1.0.0 1' ]
    run -9 ledger 1.1.0 overlap
    [[ "$output" == *'database is locked'* ]]
    [ "$(get /)" = '1.0.0 1' ]
}

@test "with stop-first the old copy has let go before the new one starts; the gap is told and kept with the job" {
    run -0 ledger 1.2.0
    [ "$(get /)" = '1.2.0 2' ]
    gap=$(job gap_ms)
    [ "$gap" -gt 0 ]
    [[ "$output" == *"ledger away for $gap ms (stop-first)"* ]] || [[ "$(ctl job "$(job id)")" == *"ledger away for $gap ms (stop-first)"* ]]
    echo "# gap of a deploy: $gap ms" >&3
    run -0 ctl restart ledger
    [ "$(get /)" = '1.2.0 3' ]
    run -0 ctl rollback ledger
    [[ "$(get /)" == '1.0.0 '* ]]
    [ "$(job gap_ms)" -gt 0 ]
    run -0 ctl plan ledger
    [[ "$output" =~ downtime\ +about\ [0-9]+\ ms:\ \'ledger\'\ has\ strategy\ stop-first:\ the\ old\ copy\ stops\ before\ the\ new\ one\ starts ]]
}

@test "a new copy that does not come up: the old one is started again, exit 9, and the last lines are the new one's" {
    MOOD=BROKEN run -9 ledger 1.3.0
    [[ "$output" == *'broken on purpose'* ]]
    [[ "$output" == *'1.0.0 stays live'* ]]
    [[ "$(get /)" == '1.0.0 '* ]]
    [ "$(job gap_ms)" -gt 0 ]
}

@test "kill -9 of the daemon in the gap: after its restart the job ends, and never two copies" {
    before=$(job id)
    locked=$(in_box grep -c 'database is locked' /var/log/chillbox/ledger/ledger.log)
    MOOD=SLOW TIMEOUT=50s ledger 1.4.0 >"$LAPTOP/out.log" 2>&1 & # the host is locked afterwards
    sender=$!
    in_gap() { [ "$(job id)" != "$before" ] && [ "$(job step)" = stop-first ]; }
    wait_for 45 in_gap
    in_box kill -9 "$(json ping .pid)"
    wait "$sender" || :
    ctl ping --wait 20s >/dev/null
    unlock >/dev/null
    ended() { [ "$(job state)" = 'done' ]; }
    wait_for 60 ended
    [[ "$(get /)" == '1.4.0 '* ]]
    [ "$(in_box grep -c 'database is locked' /var/log/chillbox/ledger/ledger.log)" = "$locked" ]
}
