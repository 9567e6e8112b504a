# For stories of attackers on a whole host. load helpers/box, helpers/host and helpers/attack
#
# The threat table of agent/DESIGN.md names a test for each of its claims by an id in square brackets. A story is a file bats/host-attack-*.bats
# with one box, each test is named as the claim that it proves, and the name ends with the id: @test "a template writes no file of the host [attack-A2]".
# Other bats files and unit tests carry ids in the same way. `make attack` runs all of them and prints the table with their results;
# tests/lint/threats compares the ids of both sides.
#
# attack_up [BOX_OPTION...]    in setup_file: $HOST, set up and unlocked, no site on it
# attack_site NAME [JQ_FILTER] a site without wheels in $LAPTOP/sites/NAME, a deployer and a webhook sender that may do everything to NAME only
#                              ($LAPTOP/NAME.key and .hook). Its service 'web' is a web application with a hole: in_service. FILTER edits its site file
# attack_edit NAME JQ_FILTER   edits its site file;  attack_file NAME PATH  standard input becomes that file of the site (nginx/templates/x.conf)
# attack_pack NAME [OPTION...] to an artifact of the next version, prints its path (KEY: another secret key)
# attack_send NAME ARTIFACT [OPTION...]   chillboxctl deploy --wait with the site's sender (HOOK: another webhook key)
# attack_deploy NAME           both
# attack_secrets NAME FILE     a secret set of the site with that file for its service 'web', by the base name
# visit NAME PATH [OPTION...]  curl from the laptop as a visitor of NAME.example
# in_service NAME CMD...       runs inside the site's service: its process, its control group, its limits. Output and exit code come back
# as_site NAME CMD...          runs as the site's user, without the service's limits, as a cron job of it could
# snapshot NAME PATH...        in the host: type, owner, mode, size, link and digest of all below the paths
# unchanged NAME               fails with a diff when something is not as at the snapshot

# shellcheck disable=SC2154 # box_up sets HOST

attack_up() {
    host_up "$@"
    host_set_up
}

attack_folder() { printf '%s/sites/%s\n' "$LAPTOP" "$1"; }

attack_site() {
    mkdir -p "$(attack_folder "$1")/web"
    jq -n --arg name "$1" '{name: $name, server_name: "\($name).example", domain_list: ["\($name).example"], version: "0.0.0", watch: "0s",
        contact: {owner: "owner@\($name).example", technical: "technical@\($name).example"},
        services: [{name: "web", lang: "binary", health: {deadline: "20s"}}]}' >"$(attack_folder "$1")/$1.site.json"
    attack_program >"$(attack_folder "$1")/web/web"
    chmod 0755 "$(attack_folder "$1")/web/web"
    [ -z "${2-}" ] || attack_edit "$1" "$2"
    [ -e "$LAPTOP/$1.key" ] || attack_keys "$1"
}

# The hole: a POST is a command, its words end with NUL bytes.
attack_program() {
    cat <<'END'
#!/usr/bin/python3 -I
import http.server, os, socket, subprocess

class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_): pass
    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self): self.answer(b"hello from " + os.environ["SLUGNAME"].encode() + b" " + os.environ["VERSION"].encode() + b"\n")
    def do_POST(self):
        words = self.rfile.read(int(self.headers["Content-Length"])).split(b"\0")[:-1]
        try:
            done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            self.answer(b"%d\n" % (done.returncode % 256) + done.stdout)
        except OSError as error:
            self.answer(b"127\n" + str(error).encode() + b"\n")

class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    def server_bind(self):
        if "LISTEN_FDS" in os.environ:
            self.socket.close()
            self.socket = socket.socket(fileno=3)
        else:
            super().server_bind()

Server((os.environ["HOST"], int(os.environ.get("PORT", 0))), Handler).serve_forever()
END
}

attack_keys() {
    (cd "$LAPTOP" && "$CTL" keygen -q -o "$1" --no-password)
    box push "$HOST" "$LAPTOP/$1.pub" /root/
    ctl trust add "/root/$1.pub" --name "$1" --sites "$1" >&2
    ctl webhook add "$1" --sites "$1" --all-types 2>/dev/null >"$LAPTOP/$1.hook"
}

attack_edit() {
    jq "$2" "$(attack_folder "$1")/$1.site.json" >"$LAPTOP/$1.site.new"
    mv "$LAPTOP/$1.site.new" "$(attack_folder "$1")/$1.site.json"
}

attack_file() {
    mkdir -p "$(dirname "$(attack_folder "$1")/$2")"
    cat >"$(attack_folder "$1")/$2"
}

attack_pack() {
    attack_edit "$1" '.version = "'"$(next_version)"'"'
    "$CTL" pack -q "$(attack_folder "$1")" -r "$RECIPIENT" -k "${KEY:-$LAPTOP/$1.key}" -o "${OUT:-$LAPTOP/out}" "${@:2}"
}

attack_send() {
    [[ " $* " == *' --timeout '* ]] || set -- "$@" --timeout 2m
    box net "$HOST" -- "$CTL" deploy "$2" --to "$URL" --webhook-key "${HOOK:-$LAPTOP/$1.hook}" --wait "${@:3}"
}

attack_deploy() { attack_send "$1" "$(attack_pack "$1")"; }

attack_secrets() {
    rm -rf "$LAPTOP/set.$1"
    mkdir -p "$LAPTOP/set.$1/web"
    cp "$2" "$LAPTOP/set.$1/web/"
    attack_send "$1" "$("$CTL" secrets pack -q "$LAPTOP/set.$1" -s "$1" -r "$RECIPIENT" -k "$LAPTOP/$1.key" -o "$LAPTOP/out")"
}

visit() { host_curl -H "Host: $1.example" "${@:3}" "$URL$2"; }

in_service() {
    printf '%s\0' "${@:2}" >"$BATS_TEST_TMPDIR/words"
    visit "$1" / --data-binary "@$BATS_TEST_TMPDIR/words" -H 'Content-Type: text/plain' -f -o "$BATS_TEST_TMPDIR/said" || return
    sed 1d "$BATS_TEST_TMPDIR/said"
    return "$(head -n 1 "$BATS_TEST_TMPDIR/said")"
}

as_site() { box run "$HOST" -u "$1" -- "${@:2}"; }

attack_listing() {
    in_box python3 -I - "$@" <<'END'
import hashlib, os, stat, sys

def tell(path):
    s = os.lstat(path)
    rest = ""
    if stat.S_ISLNK(s.st_mode):
        rest = "-> " + os.readlink(path)
    elif stat.S_ISREG(s.st_mode):
        with open(path, "rb") as f:
            rest = "%d %s" % (s.st_size, hashlib.file_digest(f, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else hashlib.sha256(f.read()).hexdigest())
    print(path, stat.filemode(s.st_mode), s.st_uid, s.st_gid, rest)

for top in sys.argv[1:]:
    if not os.path.lexists(top):
        print(top, "is not there")
        continue
    tell(top)
    for folder, names, files in os.walk(top):
        names.sort()
        for name in sorted(names + files):
            tell(os.path.join(folder, name))
END
}

snapshot() {
    printf '%s\0' "${@:2}" >"$BATS_FILE_TMPDIR/snapshot.$1.paths"
    attack_listing "${@:2}" >"$BATS_FILE_TMPDIR/snapshot.$1"
}

unchanged() {
    mapfile -d '' -t attack_paths <"$BATS_FILE_TMPDIR/snapshot.$1.paths"
    attack_listing "${attack_paths[@]}" | diff -u "$BATS_FILE_TMPDIR/snapshot.$1" -
}
