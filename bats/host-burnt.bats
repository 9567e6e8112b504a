#!/usr/bin/env bats
# A host burns down: what it stored at a target and what the laptop has are enough to make another one of it, by one command. Two boxes with a wire between
# them, an S3 server, and a laptop that reaches both by real ssh.

# shellcheck disable=SC2154,SC2016,SC2030,SC2031 # box_up sets HOST, run sets $stderr; the commands are expanded in the box

load helpers/box
load helpers/host
load helpers/laptop
load helpers/attack

FIRST=10.77.0.1 SECOND=10.77.0.2

setup_file() {
    host_possible || return 0
    export WEB1 WEB2
    host_up
    host_set_up
    WEB1=$HOST
    mkdir "$LAPTOP/me"
    mv "$LAPTOP"/deployer.* "$LAPTOP/me/"
    host_up
    host_set_up
    WEB2=$HOST
    box push "$WEB2" "$LAPTOP/me/deployer.pub" /root/me.pub
    HOST=$WEB2 ctl trust add /root/me.pub --name me
    wire
    box net "$WEB2" -- sh "$ROOT/tests/hooks/s3" 15555 "$LAPTOP/s3" "$SECOND" >"$LAPTOP/s3.log" 2>&1 3>&- &
    HOST=$WEB1
    laptop_up
    cp "$(box key "$WEB2")" "$LAPTOP/ssh2.key"
    chmod 0600 "$LAPTOP/ssh2.key"
    { printf 'Host web2.example web2 %s\n    HostName %s\n    HostKeyAlias web2.example\n    IdentityFile %s\n    IdentitiesOnly yes\n    UserKnownHostsFile %s\n    LogLevel ERROR\n' \
        "$SECOND" "$SECOND" "$LAPTOP/ssh2.key" "$LAPTOP/known_hosts"; } >>"$LAPTOP/ssh_config"
    for name in web1.example "$SECOND"; do laptop ssh -o StrictHostKeyChecking=accept-new "root@$name" true; done
    mkdir -p "$LAPTOP_HOME/config/chillbox/keys" "$LAPTOP_HOME/config/chillbox/hosts"
    chmod 0700 "$LAPTOP_HOME/config" "$LAPTOP_HOME/config/chillbox" "$LAPTOP_HOME/config/chillbox/hosts"
    cp "$LAPTOP"/me/deployer.* "$LAPTOP_HOME/config/chillbox/keys/"
    printf 'ssh = "root@web1.example"\n' >"$LAPTOP_HOME/config/chillbox/hosts/web1.toml"
    printf 'ssh = "root@%s"\n' "$SECOND" >"$LAPTOP_HOME/config/chillbox/hosts/web2.toml"
    chmod 0600 "$LAPTOP_HOME/config/chillbox/hosts"/*
    (umask 077 && age-keygen -o "$LAPTOP/backup.key" 2>/dev/null)
    attack_site hello '.version = "1.0.0" | .services[0].secrets_env = "web.env"'
    attack_site store '.version = "2.0.0"'
    mv "$LAPTOP/bin/ssh" "$LAPTOP/bin/plain-ssh"
    cat >"$LAPTOP/bin/ssh" <<SH
#!/bin/sh
# With a file kill, the laptop dies after the first command that has its words; with "cut WORDS", in the middle of what that sends. With a file answer,
# what a host says to those words is another thing.
if [ -f "$LAPTOP/answer-to" ]; then
    case "\$*" in *"\$(cat "$LAPTOP/answer-to")"*) plain-ssh "\$@" | sed -f "$LAPTOP/answer"; exit 0 ;; esac
fi
if [ -f "$LAPTOP/kill" ]; then
    words=\$(cat "$LAPTOP/kill")
    case "\$*" in *"\${words#cut }"*)
        rm "$LAPTOP/kill"
        case \$words in cut*) head -c 700 | plain-ssh "\$@" ;; *) plain-ssh "\$@" ;; esac
        kill -9 "\$PPID"
        exit 255 ;;
    esac
fi
exec plain-ssh "\$@"
SH
    chmod 0755 "$LAPTOP/bin/ssh"
    for ((tries = 600; tries > 0; tries--)); do [ -e "$LAPTOP/s3" ] && break; sleep 0.1; done
    in_box mkdir -p /etc/chillbox/backup
    box run "$WEB1" -- sh -c 'umask 077; cat >/etc/chillbox/backup/s3' <"$LAPTOP/s3"
    in_box sed -i "/^\[backup\]/,/^\[/{s/^# target = .*/target = \"s3\"/;s/^# recipients = .*/recipients = [\"$(age-keygen -y "$LAPTOP/backup.key")\"]/}" /etc/chillbox/chillboxd.toml
    ctl upgrade
    (cd "$LAPTOP/sites/hello" && printf 'hush\n' | laptop chillboxctl secrets set -H web1 web/web.env:TOKEN)
    for site in hello store; do (cd "$LAPTOP/sites/$site" && laptop chillboxctl deploy -H web1); done
    in_service hello sh -c 'echo first >"$CHILLBOX_DATA_DIR/notes"; chmod 600 "$CHILLBOX_DATA_DIR/notes"'
    sell store 1
}
teardown_file() {
    [ -z "${WEB1-}" ] || laptop chillboxctl agent lock >/dev/null 2>&1 || :
    [ -z "${WEB1-}" ] || box down "$WEB1" || :
    [ -z "${WEB2-}" ] || box down "$WEB2"
}
setup() {
    host_or_skip
    HOST=$WEB1
    [ ! -e "$LAPTOP/burnt" ] || HOST=$WEB2
    URL=$(box url "$HOST")
    cd "$LAPTOP" || return
}
teardown() { printf "%s\n" "${output-}" "${stderr-}"; }

# The second host has its address also when the wire has gone up in flames.
wire() {
    exec 7< <(box net "$WEB2" -- sh -c 'echo $$; exec sleep 30')
    read -r pid <&7
    box net "$WEB1" -- ip link add wire type veth peer name wire netns "$pid"
    box net "$WEB1" -- sh -c "ip address add $FIRST/24 dev wire && ip link set wire up"
    box net "$WEB2" -- sh -c "ip address add $SECOND/24 dev wire && ip link set wire up && ip address add $SECOND/32 dev lo"
}

on_web2() { HOST=$WEB2 "$@"; }
at_web2() { box net "$WEB2" -- curl -sS -m 20 -H "Host: $1.example" "http://127.0.0.1/"; } # SITE
sell() { in_service "$1" python3 -c 'import os, sqlite3, sys
db = sqlite3.connect(os.environ["CHILLBOX_DATA_DIR"] + "/sales.db")
db.execute("CREATE TABLE IF NOT EXISTS sale(id INTEGER)"), db.execute("INSERT INTO sale VALUES(?)", (int(sys.argv[1]),)), db.commit()' "$2"; }
sold() { HOST=$1 in_box python3 -c 'import sqlite3
db = sqlite3.connect("/var/lib/store/web/sales.db")
print(db.execute("PRAGMA integrity_check").fetchone()[0], db.execute("SELECT max(id) FROM sale").fetchone()[0])'; }
newest() { HOST=$WEB1 json backup list "$1" ".backups[0].$2"; }
import() { laptop chillboxctl host import "$LAPTOP/kept" --to web2 -i "$LAPTOP/backup.key" "$@"; }
# In the bucket: what only who may write to it can do.
bucket() {
    box net "$WEB2" -- "$(sh "$ROOT/tests/hooks/s3-python")" - "$LAPTOP/s3" "$@" <<'END'
import sys, boto3
words = dict(line.rstrip("\n").split("=", 1) for line in open(sys.argv[1]))
s3 = boto3.client("s3", endpoint_url=words["url"], region_name="us-east-1", aws_access_key_id=words["access_key"], aws_secret_access_key=words["secret_key"])
verb, names = sys.argv[2], sys.argv[3:]
if verb == "copy": s3.copy_object(Bucket="backups", Key=names[1], CopySource={"Bucket": "backups", "Key": names[0]})
if verb == "put": s3.put_object(Bucket="backups", Key=names[0], Body=open(names[1], "rb").read())
if verb == "get": open(names[1], "wb").write(s3.get_object(Bucket="backups", Key=names[0])["Body"].read())
if verb == "delete": s3.delete_object(Bucket="backups", Key=names[0])
if verb == "list": print("\n".join(o["Key"] for o in s3.list_objects_v2(Bucket="backups").get("Contents", [])))
END
}

@test "backup pull brings the newest to the laptop under its name at the target, verified; age and minisign alone open it; again it is not brought twice" {
    ctl backup create hello
    ctl backup create store
    name=$(newest store name)
    run -0 laptop chillboxctl backup pull store -H web1 -o "$LAPTOP/pulled"
    [[ "$output" == *"pulled      backup $(newest store serial) of 'store', taken "* ]]
    [ "$(stat -c %a "$LAPTOP/pulled/$name")" = 600 ]
    in_box cat /var/lib/chillbox/backup.pub >"$LAPTOP/web1.pub"
    minisign -V -q -p "$LAPTOP/web1.pub" -m "$LAPTOP/pulled/$name"
    age -d -i "$LAPTOP/backup.key" "$LAPTOP/pulled/$name" | zstd -dq | tar -t | grep -q '^store/data/web/sales.db$'
    grep -q "^backup_key = \"$(tail -n 1 "$LAPTOP/web1.pub")\"" "$LAPTOP_HOME/config/chillbox/hosts/web1.toml"
    before=$(stat -c '%i %Y' "$LAPTOP/pulled/$name")
    [ "$(laptop chillboxctl backup pull store -H web1 -o "$LAPTOP/pulled" --json | jq -r '.schema + " " + .backup.name')" = "chillbox.backup-pull.v1 $name" ]
    [ "$(stat -c '%i %Y' "$LAPTOP/pulled/$name")" = "$before" ]
    run -3 laptop chillboxctl backup pull store 1 -H web1 -o "$LAPTOP/pulled"
    [[ "$output" == *"web1 has no backup 1 of 'store'"* ]]
    run -2 laptop chillboxctl backup pull store -o "$LAPTOP/pulled"
}

@test "a host that signs by another key than before, or names a file elsewhere, gives nothing to the laptop [attack-Z26] [fault-840]" {
    record=$LAPTOP_HOME/config/chillbox/hosts/web1.toml
    cp -p "$record" "$LAPTOP/record"
    minisign -G -f -W -p "$LAPTOP/other.pub" -s "$LAPTOP/other.key" </dev/null >/dev/null
    sed -i "s|^backup_key = \"[^\"]*\"|backup_key = \"$(tail -n 1 "$LAPTOP/other.pub")\"|" "$record"
    run -4 laptop chillboxctl backup pull store -H web1 -o "$LAPTOP/none"
    [[ "$output" == *"web1 signs its backups by another key than before"* ]]
    cp -p "$LAPTOP/record" "$record"
    printf "'backup' '--json' 'list'" >"$LAPTOP/answer-to"
    echo 's,"name":"[^"]*store/,"name":"../../store/,g' >"$LAPTOP/answer"
    run -4 laptop chillboxctl backup pull store -H web1 -o "$LAPTOP/none/deep"
    [[ "$output" == *"is no name of a backup of 'store'"* ]]
    echo 's,"name":"\([^"]*\)store/,"name":"\1hello/,g' >"$LAPTOP/answer"
    run -4 laptop chillboxctl backup pull store -H web1 -o "$LAPTOP/none/deep"
    rm "$LAPTOP/answer-to"
    [ -z "$(find "$LAPTOP/none" -type f 2>/dev/null)" ]
    [ ! -e "$LAPTOP/store" ]
}

@test "an archive is given to root alone, and taken from root alone [attack-Z27]" {
    in_box sh -c 'id keen >/dev/null 2>&1 || { echo "keen:*:4700:4700::/:/bin/sh" >>/etc/passwd; sed -i "s/^\(chillbox-admin:.*\)/\1,keen/;s/:,keen/:keen/" /etc/group; }'
    run -4 box run "$HOST" -u keen -- sh -c 'chillboxctl backup get store >/dev/null'
    [[ "$output" == *"given to root alone"* ]]
    run -4 box run "$HOST" -u keen -- sh -c "echo x | chillboxctl backup put store --serial 7 --taken 1000 --release 1-1 --sha256 $(printf '%064d' 0)"
    [[ "$output" == *"taken from root alone"* ]]
    run -4 box run "$HOST" -u keen -- sh -c 'echo "{}" | chillboxctl jobs import --from web9'
    [[ "$output" == *"from root alone"* ]]
}

@test "backup push hands it to another host, which checks it, lists it as its own and restores it; a wrong one is refused there [fault-841]" {
    file=$LAPTOP/pulled/$(newest hello name)
    laptop chillboxctl backup pull hello -H web1 -o "$LAPTOP/pulled"
    run -3 laptop chillboxctl backup push "$file" -H web2 --from web1 -i "$LAPTOP/backup.key"
    [[ "$output" == *"hello"* ]]
    (cd "$LAPTOP/sites/hello" && printf 'hush\n' | laptop chillboxctl secrets push -H web2 -y && laptop chillboxctl deploy -H web2 -y)
    (umask 077 && age-keygen -o "$LAPTOP/stranger.age" 2>/dev/null)
    run ! laptop chillboxctl backup push "$file" -H web2 --from web1 -i "$LAPTOP/stranger.age"
    [[ "$output" == *"not encrypted to age1"* ]]
    on_web2 ctl lock
    run -6 laptop chillboxctl backup push "$file" -H web2 --from web1 -i "$LAPTOP/backup.key"
    on_web2 unlock
    run -0 laptop chillboxctl backup push "$file" -H web2 --from web1 -i "$LAPTOP/backup.key"
    [[ "$output" == *"taken in    backup $(newest hello serial) of 'hello'"* ]]
    [ "$(on_web2 json backup list hello '.backups[0].serial')" = "$(newest hello serial)" ]
    run -0 on_web2 ctl restore hello --yes
    [ "$(on_web2 in_box cat /var/lib/hello/web/notes)" = first ]
    # What is announced and what comes are two things; nothing of it is kept.
    run ! on_web2 in_box sh -c "echo x | chillboxctl backup put hello --serial 7 --taken 1000 --release 1-1 --sha256 $(printf '%064d' 0)"
    [[ "$output" == *"what came has sha256"* ]]
    run ! on_web2 in_box sh -c "echo x | chillboxctl backup put hello --serial $(newest hello serial) --taken 1000 --release 1-1 --sha256 $(printf '%064d' 0)"
    [[ "$output" == *"of its own, taken"* ]]
    [ -z "$(on_web2 in_box find /var/lib/chillbox/backups -name '*.part')" ]
    on_web2 ctl remove hello --purge --yes
}

@test "a host that signs what leads out of the data, as one that was taken over could: the other host refuses it, and keeps nothing [attack-Z28]" {
    (cd "$LAPTOP/sites/store" && laptop chillboxctl deploy -H web2 -y)
    serial=$(newest store serial)
    box pull "$WEB1" /var/lib/chillbox/backup.key "$LAPTOP/host.key"
    chmod 0600 "$LAPTOP/host.key"
    for kind in path manifest link site digest good; do
        folder=$LAPTOP/planted.$kind/web1/store
        mkdir -p "$folder"
        python3 - "$kind" "$serial" <<'END' >"$folder/tar"
import hashlib, io, json, sys, tarfile
kind, serial = sys.argv[1], int(sys.argv[2])
out = tarfile.open(fileobj=sys.stdout.buffer, mode="w|")
def add(name, data=b"", **more):
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), 0o644
    for key, value in more.items(): setattr(info, key, value)
    out.addfile(info, io.BytesIO(data))
add("store/site.json", b"{}")
files = [{"path": "data/web/a", "kind": "file", "size": 4, "mode": "0644", "mtime": 1, "sha256": hashlib.sha256(b"good").hexdigest()}]
add("store/data", type=tarfile.DIRTYPE, mode=0o755), add("store/data/web", type=tarfile.DIRTYPE, mode=0o755)
if kind == "path": add("store/../../../../root/planted", b"evil")
if kind == "link": add("store/data/web/out", type=tarfile.SYMTYPE, linkname="/etc")
if kind == "manifest": files[0] |= {"path": "data/../../../../../root/planted"}
if kind == "digest": files[0] |= {"sha256": "0" * 64}
add("store/data/web/a", b"good")
plain = lambda value: json.dumps(value, separators=(",", ":"))
head = {"schema": "chillbox/data/1", "site": "hello" if kind == "site" else "store", "serial": serial, "release": "2.0.0-1", "taken_ms": 1000}
text = plain(head)[:-1] + ',\n"files":[\n' + ",\n".join(map(plain, files)) + "\n]}\n"
add("store/manifest.json", text.encode())
out.close()
END
        file=$folder/20260101T000000Z-$serial.data.tar.zst.age
        zstd -q <"$folder/tar" | age -r "$(age-keygen -y "$LAPTOP/backup.key")" >"$file"
        minisign -S -s "$LAPTOP/host.key" -m "$file" -t "chillbox data site=store serial=$serial sha256=$(sha256sum <"$file" | cut -d ' ' -f 1) release=2.0.0-1" </dev/null
        run laptop chillboxctl backup push "$file" -H web2 --from web1 -i "$LAPTOP/backup.key"
        printf '%s: %s\n' "$kind" "$output"
        [ "$kind" != good ] || { [ "$status" -eq 0 ]; continue; }
        [ "$status" -ne 0 ]
        [[ "$output" == *"web2 did not take the backup of 'store'"* ]]
        on_web2 in_box sh -c '[ ! -e /root/planted ] && [ -z "$(find /var/lib/chillbox/backups/store -type f)" ] && [ ! -e /var/lib/chillbox/backups/.proof/store ]'
        [ "$(on_web2 json backup list store '.backups | length')" = 0 ]
    done
    on_web2 ctl remove store --purge --yes
}

@test "host export keeps sites, projects, target, data and history, for its user alone; again only what is new comes" {
    # a longer history than the host answers with at once, of a host before it
    python3 -c 'import json; print(json.dumps({"jobs": [{"id": "%016x" % n, "kind": "deploy", "site": "hello", "state": "done", "actor": "webhook:ci", "created_ms": n // 3 * 1000} for n in range(450, 0, -1)]}))' |
        in_box chillboxctl jobs import --from web0
    run -0 --separate-stderr laptop chillboxctl host export web1 --to "$LAPTOP/kept"
    [ "$(jq '[.jobs[] | select(.actor == "webhook:ci on web0") | .id] | unique | length' "$LAPTOP/kept/jobs.json")" = 450 ]
    [[ "$output" == *"hello 1.0.0: backup $(newest hello serial); project $LAPTOP/sites/hello"* ]]
    [[ "$stderr" == *"exported    2 sites of web1 to $LAPTOP/kept"* ]]
    [ "$(find "$LAPTOP/kept" -type f ! -perm 0600 -o -type d ! -perm 0700 | wc -l)" = 0 ]
    [ "$(jq -r '.schema, .target, .sites[1].site' "$LAPTOP/kept/host.json" | paste -sd ' ')" = 'chillbox.host-export.v1 s3 store' ]
    cmp "$LAPTOP/s3" "$LAPTOP/kept/target/s3"
    [ -s "$LAPTOP/kept/$(newest store name)" ]
    grep -q '"kind":"deploy"' "$LAPTOP/kept/jobs.json"
    run -0 laptop chillboxctl host export web1 --to "$LAPTOP/papers" --no-data --json
    [ "$(find "$LAPTOP/papers" -name '*.age' | wc -l)" = 0 ]
    # By an address that no record has: the same host by its key.
    run -0 laptop chillboxctl host export root@127.0.0.1 --to "$LAPTOP/elsewhere" --no-data
    [[ "$output" == *"project $LAPTOP/sites/hello"* ]]
    [ "$(jq -r .host "$LAPTOP/elsewhere/host.json")" = web1 ]
    run -3 laptop chillboxctl host import "$LAPTOP/pulled" --to web2 -i "$LAPTOP/backup.key" -y
    [[ "$output" == *"has no host.json"* ]]
}

@test "the host burns down after a newer backup: to a locked host, or without a yes, nothing is imported" {
    in_service hello sh -c 'echo last >"$CHILLBOX_DATA_DIR/notes"'
    sell store 2
    ctl backup create hello
    ctl backup create store
    newest store name >"$LAPTOP/newest"
    newest store serial >"$LAPTOP/newest-serial"
    newest hello name >"$LAPTOP/newest-hello"
    in_service store sh -c 'echo "written after the last backup" >"$CHILLBOX_DATA_DIR/late"'
    box down "$WEB1"
    touch "$LAPTOP/burnt"
    HOST=$WEB2
    on_web2 ctl lock
    run -6 import -y
    [[ "$output" == *"web2 is locked"*"Nothing was changed"* ]]
    on_web2 unlock
    run -2 import
    [[ "$output" == *"Make web2 what web1 was?"* ]]
    [ "$(on_web2 json sites '.sites | length')" = 0 ]
}

@test "a target that gives another site's archive, an older one as newer, a changed one or a stranger's: that site is refused, the others come [attack-Z29]" {
    newest=$(cat "$LAPTOP/newest")
    hello=$(cat "$LAPTOP/newest-hello")
    later=${newest%-*}-$(($(cat "$LAPTOP/newest-serial") + 5)).data.tar.zst.age
    refused() { # TEXT
        run ! import -y
        [[ "$output" == *"store: "*"$1"* ]] || { printf 'not refused: %s\n' "$1"; false; }
        [[ "$output" == *"1 of 2 sites of web1 are on web2"* ]]
        [ "$(on_web2 json backup list store "[.backups[] | select(.serial > $(cat "$LAPTOP/newest-serial"))] | length")" = 0 ]
        for end in '' .minisig; do bucket delete "$later$end"; done
        [ ! -e "$LAPTOP/kept/$later" ]
    }
    for end in '' .minisig; do bucket copy "$hello$end" "$later$end"; done
    refused "it is for site 'hello', not 'store'"
    for end in '' .minisig; do bucket copy "$newest$end" "$later$end"; done
    refused 'another backup has its name'
    bucket get "$newest" "$LAPTOP/changed"
    printf x | dd of="$LAPTOP/changed" bs=1 seek=400 conv=notrunc 2>/dev/null
    bucket put "$later" "$LAPTOP/changed"
    bucket copy "$newest.minisig" "$later.minisig"
    refused signature
    minisign -S -s "$LAPTOP/other.key" -m "$LAPTOP/changed" -x "$LAPTOP/changed.minisig" </dev/null \
        -t "chillbox data site=store serial=$(($(cat "$LAPTOP/newest-serial") + 5)) sha256=$(sha256sum <"$LAPTOP/changed" | cut -d ' ' -f 1) release=2.0.0-1"
    bucket put "$later" "$LAPTOP/changed"
    bucket put "$later.minisig" "$LAPTOP/changed.minisig"
    refused 'key'
    on_web2 ctl remove hello --purge --yes
    on_web2 ctl remove store --purge --yes
}

@test "a target that has lost what was there at the export is not taken for the newest [attack-Z30]" {
    cp -r "$LAPTOP/papers" "$LAPTOP/lost"
    jq -c '.sites[1].serial += 1000' "$LAPTOP/papers/host.json" >"$LAPTOP/lost/host.json"
    chmod 0600 "$LAPTOP/lost/host.json"
    run ! laptop chillboxctl host import "$LAPTOP/lost" --to web2 -i "$LAPTOP/backup.key" -y
    [[ "$output" == *"store: backup "*" was there when web1 was exported, and is gone: the newest is $(cat "$LAPTOP/newest-serial")"* ]]
    on_web2 ctl remove hello --purge --yes
    on_web2 ctl remove store --purge --yes
}

@test "the host burnt down: the laptop is killed after each step, the same command ends it, and every site answers with its newest data [fault-842]; those of another host at the same target are none [fault-1105]" {
    newest=$(cat "$LAPTOP/newest")
    for end in '' .minisig; do bucket copy "$newest$end" "web9/store/20990101T000000Z-$(($(cat "$LAPTOP/newest-serial") + 5)).data.tar.zst.age$end"; done
    for words in "'jobs' 'import'" "'deploy' '--json'" "cut 'backup' 'put'" "'backup' 'put'" "'restore' '-q'" "'sites'"; do
        printf '%s' "$words" >"$LAPTOP/kill"
        run import -y
        [ "$status" -eq 137 ] || { printf 'not killed at %s\n' "$words"; false; }
    done
    run -0 import -y
    [[ "$output" == *"2 of 2 sites of web1 are on web2, after "*" s"* ]]
    [[ "$output" == *"In DNS, point hello.example to $SECOND"* ]]
    [[ "$(at_web2 hello)" == "hello from hello 1.0.0" ]]
    [[ "$(at_web2 store)" == "hello from store 2.0.0" ]]
    [ "$(on_web2 in_box cat /var/lib/hello/web/notes)" = last ]
    [ "$(sold "$WEB2")" = 'ok 2' ]
    run -0 on_web2 in_box cat /run/chillbox/secrets/hello/web/web.env
    [[ "$output" == *hush* ]]
    # Each was restored once, though the command was begun seven times.
    [ "$(on_web2 json jobs store '[.jobs[] | select(.kind == "restore" and .state == "done" and (.actor | endswith(" on web1") | not))] | length')" = 1 ]
}

@test "its history is there, marked, once; and what visitors write from now on is not restored away by the same command again" {
    [ "$(on_web2 json jobs store '[.jobs[] | select(.kind == "deploy" and (.actor | endswith(" on web1")))] | length')" = 1 ]
    [ "$(on_web2 json jobs store '.jobs[0].actor | endswith(" on web1")')" = false ]
    [ "$(on_web2 json jobs hello -n 1000 '[.jobs[] | select(.actor == "webhook:ci on web0 on web1")] | length')" = 450 ]
    HOST=$WEB2 sell store 3
    [ "$(sold "$WEB2")" = 'ok 3' ]
    run -0 import -y
    [ "$(sold "$WEB2")" = 'ok 3' ]
    on_web2 ctl audit | grep -q 'jobs_import'
    run -0 on_web2 ctl backup list
    [[ "$output" == *"$(cat "$LAPTOP/newest-serial")"* ]]
    [[ "$(import -y 2>&1)" == *"left        web2 makes no backups: [backup] of its chillboxd.toml, and its target's settings in /etc/chillbox/backup, as in $LAPTOP/kept/target/s3"*"not brought from web1: "* ]]
}

@test "data that were taken back with undo are not said to be there, nor brought again over what somebody wanted [fault-1149]" {
    on_web2 ctl undo store --yes
    run -0 import -y
    [[ "$output" == *"data        store keeps what it has: backup $(cat "$LAPTOP/newest-serial") was restored before, and its data were replaced since: chillboxctl restore store $(cat "$LAPTOP/newest-serial") -H web2 brings them back"* ]]
    [[ "$output" != *"store, with its data of"* ]]
    [[ "$output" == *"hello, with its data of"* ]]
}

@test "the host burnt down, timed: from two sites that are not there to both with their data, by one command" {
    on_web2 ctl remove hello --purge --yes
    on_web2 ctl remove store --purge --yes
    rm -rf "$LAPTOP/kept"
    begun=$(date +%s%N)
    run -0 laptop chillboxctl host import "$LAPTOP/papers" --to web2 -i "$LAPTOP/backup.key" -y
    printf '# two sites with their data after %s ms\n' "$((($(date +%s%N) - begun) / 1000000))" >&3
    [ "$(sold "$WEB2")" = 'ok 2' ]
    [ "$(on_web2 in_box cat /var/lib/hello/web/notes)" = last ]
    [[ "$(at_web2 store)" == "hello from store 2.0.0" ]]
}
