# A site with data that it writes all the time, and a target for backups of them. After helpers/box and helpers/host.

# shellcheck disable=SC2154,SC2016 # box_up sets HOST; the commands are expanded in the box

# A service that does not start with some data, for a filter that names it.
clerk() {
    mkdir -p "$LAPTOP/hello/clerk"
    cat >"$LAPTOP/hello/clerk/clerk" <<'END'
#!/usr/bin/env python3
import http.server, os, sys
if os.path.exists("/var/lib/shop/till/poison"): sys.exit("these data are poisoned")
class Clerk(http.server.BaseHTTPRequestHandler):
    def do_GET(self): self.send_response(200), self.end_headers(), self.wfile.write(b"at your service")
http.server.HTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Clerk).serve_forever()
END
    chmod 0755 "$LAPTOP/hello/clerk/clerk"
}

# shop VERSION [JQ_FILTER]: a page, a worker that writes to a database as fast as it can, and a Redis.
shop() {
    rm -rf "$LAPTOP/hello"
    mkdir -p "$LAPTOP/hello/page" "$LAPTOP/hello/till"
    printf 'the shop\n' >"$LAPTOP/hello/page/index.html"
    cat >"$LAPTOP/hello/till/work" <<'END'
#!/usr/bin/env python3
import os, sqlite3
db = sqlite3.connect(os.environ["HOME"] + "/till/sales.db", isolation_level=None, timeout=60)
db.execute("PRAGMA journal_mode = WAL"), db.execute("PRAGMA synchronous = NORMAL")
db.execute("CREATE TABLE IF NOT EXISTS account(name TEXT PRIMARY KEY, cents INTEGER)")
db.execute("CREATE TABLE IF NOT EXISTS sale(id INTEGER PRIMARY KEY, cents INTEGER)")
for name in "ab": db.execute("INSERT OR IGNORE INTO account VALUES(?, 1000000)", (name,))
while True: # what is in both accounts is always the same
    db.execute("BEGIN IMMEDIATE")
    db.execute("UPDATE account SET cents = cents - 1 WHERE name = 'a'"), db.execute("UPDATE account SET cents = cents + 1 WHERE name = 'b'")
    db.execute("INSERT INTO sale(cents) VALUES(1)"), db.execute("DELETE FROM sale WHERE id < (SELECT max(id) FROM sale) - 10000")
    db.execute("COMMIT")
END
    chmod 0755 "$LAPTOP/hello/till/work"
    case ${2-} in *clerk*) clerk ;; esac
    jq -n --arg version "$1" '{
        name: "Shop", server_name: "hello.example", version: $version, watch: "0s",
        services: [{name: "page", lang: "static"}], workers: [{name: "till", lang: "binary-worker", "run-cmd": "work"}]} | '"${2:-.}" \
        >"$LAPTOP/hello/shop.site.json"
    send "$(pack)"
}

# What a target needs, as an administrator would write it.
target() {
    in_box mkdir -p /etc/chillbox/hooks.d/backup /etc/chillbox/backup /mnt/backups
    in_box chown chillbox-backup: /mnt/backups
    in_box sh -c 'printf "path=/mnt/backups\n" >/etc/chillbox/backup/folder; chmod 0600 /etc/chillbox/backup/folder
        cat >/etc/chillbox/hooks.d/backup/folder; chmod 0755 /etc/chillbox/hooks.d/backup/folder' <<'END'
#!/bin/sh
set -eu
path=$(sed -n 's/^path=//p' <&3)
[ ! -e "$path/refuse-$1" ] || { printf 'folder: %s is refused\n' "$1" >&2; exit "$(cat "$path/refuse-$1")"; }
case $1 in
    put) mkdir -p "$path/${2%/*}" && cat >"$path/$2.part" && mv "$path/$2.part" "$path/$2" ;;
    get) [ -e "$path/$2" ] || exit 3; cat "$path/$2" ;;
    list) cd "$path" && find . -type f ! -name '*.part' ! -name 'refuse-*' | sed 's,^\./,,' ;;
    delete) rm -f "$path/$2" ;;
esac
END
    age-keygen -o "$LAPTOP/laptop.key" 2>/dev/null
    in_box sed -i "/^\[backup\]/,/^\[/{s/^# target = .*/target = \"folder\"/;s/^# recipients = .*/recipients = [\"$(age-keygen -y "$LAPTOP/laptop.key")\"]/}" \
        /etc/chillbox/chillboxd.toml
    in_box chillboxd --check
    in_box rc-service -q chillboxd restart
    unlock
}

newest() { json backup list shop '.backups[0].name'; }
local_ones() { in_box find /var/lib/chillbox/backups -type f; }

# opened: the newest archive, as a laptop without chillbox opens it, in $LAPTOP/opened
opened() {
    rm -rf "$LAPTOP/opened" "$LAPTOP/got.age" "$LAPTOP/got.age.minisig"
    mkdir "$LAPTOP/opened"
    box pull "$HOST" "/mnt/backups/$(newest)" "$LAPTOP/got.age"
    box pull "$HOST" "/mnt/backups/$(newest).minisig" "$LAPTOP/got.age.minisig"
    age -d -i "$LAPTOP/laptop.key" "$LAPTOP/got.age" | zstd -dq | tar -x -C "$LAPTOP/opened"
}

# settings WORD VALUE...: in [backup], and chillboxd starts with them.
settings() {
    while [ $# -gt 0 ]; do
        in_box sed -i "/^\[backup\]/,/^\[/s/^#* *$1 = .*/$1 = \"$2\"/" /etc/chillbox/chillboxd.toml
        shift 2
    done
    in_box rc-service -q chillboxd restart
    unlock
}
state() { json backup list shop ".sites[0].$1"; }
archives() { in_box sh -c 'find /mnt/backups -path "*/shop/*.age" | wc -l'; }
