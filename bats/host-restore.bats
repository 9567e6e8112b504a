#!/usr/bin/env bats
# A site's data come back from a backup: by a job that can be undone at each step, or as plain files in a directory.

# shellcheck disable=SC2154,SC2016 # box_up sets HOST; the commands are expanded in the box

load helpers/box
load helpers/host
load helpers/one_host
load helpers/shop

DATA=/var/lib/shop/till
SNAPSHOTS=/var/lib/chillbox/snapshots/shop

as_shop() { box run "$HOST" -u shop -- sh -c "$1"; }
note() { as_shop "printf '%s\n' '$1' >$DATA/note"; }
noted() { in_box cat "$DATA/note"; }
cents() { in_box python3 -c 'import sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=20)
print(*db.execute("PRAGMA integrity_check").fetchone(), *db.execute("SELECT sum(cents) FROM account").fetchone())' "${1-$DATA/sales.db}"; }
serial() { json backup list shop ".backups[${1-0}].serial"; }
workers() { pids_of shop; }
# Nothing changed, nothing stopped, nothing is left.
untouched() { [ "$(workers)" = "$pids" ] && [ "$(noted)" = "$was" ] && [ "$(in_box sh -c "ls $SNAPSHOTS 2>/dev/null | wc -l")" = "$kept" ]; }
remember() {
    pids=$(workers)
    was=$(noted)
    kept=$(in_box sh -c "ls $SNAPSHOTS 2>/dev/null | wc -l")
}

@test "restore brings back what was backed up, names what it takes away, and keeps it as a snapshot; undo is the way back" {
    shop 1.0.0
    target
    in_box sh -c "cd $DATA && mkdir -p shut && echo deep >shut/deep && ln -s note link && ln -s /etc/hostname out && chown -hR shop: . && chmod 0600 shut/deep && chmod 0500 shut"
    note saved
    ctl backup create shop
    note newer
    as_shop "echo more >$DATA/more"
    run -2 ctl restore shop
    [[ "$output" == *"backup      $(serial), taken "*", release 1.0.0-1: "* ]]
    [[ "$output" == *"written     since then: "*" files, newest "* ]]
    [ "$(noted)" = newer ]
    run -0 ctl restore shop --yes
    [[ "$output" == *"its signature and each digest are good"* ]]
    [[ "$output" == *"the site away for "* ]]
    [[ "$output" == *"the data are restored; what they were is snapshot 1"* ]]
    [ "$(noted)" = saved ]
    in_box test ! -e $DATA/more
    [ "$(in_box stat -c '%a %U' $DATA/shut $DATA/shut/deep | tr '\n' ' ')" = '500 shop 600 shop ' ]
    [ "$(in_box readlink $DATA/link) $(in_box readlink $DATA/out)" = 'note /etc/hostname' ]
    [ -z "$(in_box find /var/lib/shop ! -user shop ! -path '*/run*')" ]
    [[ "$(cents)" == 'ok 2000000' ]]
    [ "$(get /)" = 'the shop' ]
    [ "$(in_box sh -c "cat $SNAPSHOTS/1/data/till/note $SNAPSHOTS/1/data/till/more | tr '\n' ' '")" = 'newer more ' ]
    [ "$(json snapshots shop '.snapshots[0] | .kind + " " + .release')" = 'restore 1.0.0-1' ]
    in_box chillboxctl audit --json | jq -e '.entries[] | select(.verb == "restore" and (.text | contains("snapshot 1")))' >/dev/null
    run -0 ctl undo shop --yes
    [ "$(noted)" = newer ]
    [ "$(in_box cat $DATA/more)" = more ]
}

@test "restore SITE ID takes that one; of one that there is not it names those that there are, and nothing stops [fault-767]" {
    first=$(serial)
    note second
    ctl backup create shop
    note third
    remember
    run -3 ctl restore shop 12345 --yes
    [[ "$output" == *"there is no backup 12345 of 'shop': the newest are $(serial) of "* ]]
    run -2 ctl restore shop yesterday --yes
    untouched
    run -0 ctl restore shop "$first" --yes
    [ "$(noted)" = saved ]
    run -0 ctl restore shop --yes
    [ "$(noted)" = second ]
}

@test "restore --to writes the plain data to a new directory of root's, and the site does not notice" {
    note fourth
    remember
    run -0 ctl restore shop --to /root/data
    [[ "$output" == *"to /root/data/shop/data"* ]]
    [ "$(in_box stat -c '%U %a' /root/data)" = 'root 700' ]
    [ "$(in_box cat /root/data/shop/data/till/note)" = second ]
    [ "$(in_box stat -c '%U %a' /root/data/shop/data/till/shut/deep)" = 'shop 600' ]
    [[ "$(cents /root/data/shop/data/till/sales.db)" == 'ok 2000000' ]]
    [ "$(in_box ls -A /root/data)" = shop ]
    untouched
    run -7 ctl restore shop --to /root/data # what exists is not written over
    [[ "$output" == *"/root/data exists"* ]]
    in_box sh -c 'ln -s /root/elsewhere /root/link'
    run -7 ctl restore shop --to /root/link
    run ! ctl restore shop --to relative
    run ! ctl restore shop --to /root/../etc/x
    in_box test ! -e /etc/x
}

@test "[attack-Z23] --to is for root alone, and not below a directory in which another could swap it" {
    in_box sh -c 'adduser -D kim 2>/dev/null || useradd -m kim; addgroup kim chillbox-admin 2>/dev/null || usermod -aG chillbox-admin kim'
    run -4 box run "$HOST" -u kim -- chillboxctl restore shop --to /var/lib/chillbox-x
    in_box test ! -e /var/lib/chillbox-x
    for dir in $DATA/mine /home/kim/mine; do
        run -4 ctl restore shop --to "$dir"
        [[ "$output" == *"is not a directory that root alone may change"* ]]
        in_box test ! -e "$dir"
    done
    as_shop "ln -s /root $DATA/way"
    run -4 ctl restore shop --to $DATA/way/mine
    in_box test ! -e /root/mine
}

@test "while the host is locked nothing is restored: exit 6, and nothing stops [fault-761]" {
    remember
    ctl lock
    run -6 ctl restore shop --yes
    run -6 ctl restore shop --to /root/locked
    in_box test ! -e /root/locked
    untouched
    unlock
}

@test "an archive that is damaged, signed by another key or gone from the target: nothing is unpacked and nothing stops [fault-760]" {
    name=/mnt/backups/$(newest)
    in_box cp -a "$name" /tmp/good
    in_box cp -a "$name.minisig" /tmp/good.minisig
    remember
    in_box python3 -c 'import sys; f = open(sys.argv[1], "r+b"); f.seek(5000); b = f.read(1); f.seek(5000); f.write(bytes([b[0] ^ 1]))' "$name"
    run -4 ctl restore shop --yes
    [[ "$output" == *signature* ]]
    run -4 ctl restore shop --to /root/damaged
    in_box test ! -e /root/damaged
    untouched
    in_box cp -a /tmp/good "$name"
    (cd "$LAPTOP" && "$CTL" keygen -q -o stranger --no-password 2>/dev/null || true)
    box pull "$HOST" "$name" "$LAPTOP/theirs"
    minisign -S -s "$LAPTOP/stranger.key" -m "$LAPTOP/theirs" -x "$LAPTOP/theirs.minisig" </dev/null
    box push "$HOST" "$LAPTOP/theirs.minisig" "$name.minisig"
    run -4 ctl restore shop --yes
    untouched
    in_box rm "$name"
    in_box cp -a /tmp/good.minisig "$name.minisig"
    run -3 ctl restore shop --yes
    untouched
    in_box cp -a /tmp/good "$name"
}

# planted: what is in $LAPTOP/planted is an archive that the host itself signed, as the newest of shop.
planted() {
    box pull "$HOST" /var/lib/chillbox/backup.key "$LAPTOP/host.key"
    rm -f "$LAPTOP/planted.age" "$LAPTOP/planted.age.minisig"
    zstd -q <"$LAPTOP/planted" | age -r "$RECIPIENT" -o "$LAPTOP/planted.age"
    sha=$(sha256sum "$LAPTOP/planted.age" | cut -d ' ' -f 1)
    minisign -S -s "$LAPTOP/host.key" -m "$LAPTOP/planted.age" -t "chillbox data site=shop serial=$(serial) sha256=$sha release=1.0.0-1" -x "$LAPTOP/planted.age.minisig" </dev/null
    box push "$HOST" "$LAPTOP/planted.age" "/mnt/backups/$(newest)"
    box push "$HOST" "$LAPTOP/planted.age.minisig" "/mnt/backups/$(newest).minisig"
    in_box chown chillbox-backup: "/mnt/backups/$(newest)" "/mnt/backups/$(newest).minisig"
    in_box rc-service -q chillboxd stop
    in_box python3 - "$sha" <<'END'
import json, sqlite3, sys
db = sqlite3.connect("/var/lib/chillbox/state.db")
text, = db.execute("SELECT value FROM meta WHERE key = 'backups shop'").fetchone()
record = json.loads(text)
record["backups"][0]["sha256"] = sys.argv[1]
db.execute("UPDATE meta SET value = ? WHERE key = 'backups shop'", (json.dumps(record),))
db.commit()
END
    in_box rc-service -q chillboxd start
    unlock
}

@test "[attack-Z22] a hostile archive, even one that the host signed: paths outside, links, devices, sizes and digests are refused, and nothing is anywhere" {
    ctl backup create shop
    for kind in path link device huge digest manifest; do
        python3 - "$kind" "$LAPTOP/planted" "$(serial)" <<'END'
import hashlib, io, json, sys, tarfile
kind, path, serial = sys.argv[1:]
tar = tarfile.open(path, "w", format=tarfile.USTAR_FORMAT)
def add(name, text=b"", **more):
    info = tarfile.TarInfo(name)
    info.size = len(text)
    for key, value in more.items(): setattr(info, key, value)
    tar.addfile(info, io.BytesIO(text))
files = [{"path": "data/note", "kind": "file", "size": 4, "mode": "0644", "mtime": 1, "sha256": hashlib.sha256(b"evil").hexdigest()}]
add("shop/site.json", b"{}")
add("shop/data/note", b"evil")
if kind == "path": add("shop/../../../../root/planted", b"evil")
if kind == "link": add("shop/data/l", type=tarfile.SYMTYPE, linkname="/etc"), add("shop/data/l/planted", b"evil")
if kind == "device": add("shop/data/disk", type=tarfile.BLKTYPE, devmajor=8)
if kind == "huge":
    info = tarfile.TarInfo("shop/data/huge")
    info.size = 7 << 30
    tar.fileobj.write(info.tobuf(tarfile.USTAR_FORMAT))
if kind == "digest": files[0]["sha256"] = "0" * 64
if kind == "manifest": files[0]["path_hex"] = "data/../../../../../root/planted".encode().hex()
head = {"schema": "chillbox/data/1", "site": "shop", "serial": int(serial), "release": "1.0.0-1", "taken_ms": 1}
text = json.dumps(head, separators=(",", ":"))[:-1] + ',\n"files":[\n' + ",\n".join(json.dumps(f, separators=(",", ":")) for f in files) + "\n]}\n"
add("shop/manifest.json", text.encode())
tar.close()
END
        planted
        remember
        run ctl restore shop --yes
        echo "$kind: $output"
        [ "$status" -eq 1 ] || [ "$status" -eq 4 ]
        [ "$(noted)" = "$was" ]
        run ! ctl restore shop --to /root/hostile
        in_box sh -c '[ ! -e /root/hostile ] && [ ! -e /root/planted ] && [ ! -e /etc/planted ]'
        untouched
    done
    ctl backup create shop
}

@test "[attack-Z24] what makes the data is the site's user, without a network, and sees that tree alone; the site does not reach it [attack-Z25]" {
    as_shop "truncate -s 900M $DATA/big"
    ctl backup create shop
    ctl restore shop --yes >"$LAPTOP/restore.out" 2>&1 &
    restorer=$!
    wait_for 60 in_box pgrep -f -- '--restore'
    pid=$(in_box pgrep -u shop -f -- '--restore' | tail -n 1)
    [ "$(user_of "$pid")" = shop ]
    in_box sh -c "grep -E 'NoNewPrivs:.1' /proc/$pid/status; grep -E 'CapEff:.0*\$' /proc/$pid/status"
    [ "$(in_box ls -A "/proc/$pid/root/var/lib")" = restored ]
    [ -z "$(in_box sh -c "ls -A /proc/$pid/root/run /proc/$pid/root/srv | grep -v '^/proc' | tr -d '\n'")" ]
    [ "$(in_box sh -c "tail -n +3 /proc/$pid/net/dev | grep -vc ' lo:'")" = 0 ]
    tree=$(in_box sh -c "ls -d $SNAPSHOTS/*/tree")
    run ! as_shop "ls $tree"
    run ! as_shop "mv $tree $tree.mine"
    run ! as_shop "ln -s /etc $SNAPSHOTS/99"
    wait "$restorer"
    as_shop "rm $DATA/big"
    ctl backup create shop
}

@test "no room for the archive and what is in it: exit 8 with the figures, and nothing stops [fault-768]" {
    remember
    in_box mount -t tmpfs -o size=64k small $SNAPSHOTS
    run -8 ctl restore shop --yes
    [[ "$output" == *"no space on the disk of "*": need "*" (the archive and what is in it), have "* ]]
    in_box umount $SNAPSHOTS
    untouched
}

@test "data with which the release does not come up: they are exchanged back, exit 9, and what was there serves [fault-762]" {
    shop "$(next_version)" '.services += [{name: "clerk", lang: "binary"}]'
    as_shop "touch $DATA/poison"
    ctl backup create shop
    as_shop "rm $DATA/poison"
    note healthy
    kept=$(in_box ls $SNAPSHOTS)
    run -9 ctl restore shop --yes
    [[ "$output" == *poisoned* ]]
    [ "$(noted)" = healthy ]
    in_box test ! -e $DATA/poison
    [ "$(in_box ls $SNAPSHOTS)" = "$kept" ]
    [ "$(get /)" = 'at your service' ]
    in_box touch /tmp/by-now
    writes() { [ "$(in_box find $DATA -name 'sales.db*' -newer /tmp/by-now)" != '' ]; }
    wait_for 20 writes
}

@test "a daemon that is killed while it fetches, and one that is killed later: the data are whole, and a second restore ends [fault-769]" {
    note seventh
    page=$(get /)
    ctl backup create shop
    note eighth
    in_box sed -i 's,^    get) ,    get) sleep 3; ,' /etc/chillbox/hooks.d/backup/folder
    for wait in 1 4 6.5 7; do
        ctl restore shop --yes --no-wait >/dev/null
        sleep "$wait"
        in_box kill -9 "$(daemon_pid)"
        wait_for 30 ctl ping
        unlock
        ended() { [ "$(json jobs shop '.jobs[0].finished_ms > 0')" = true ]; }
        wait_for 60 ended
        [[ "$(noted)" == eighth || "$(noted)" == seventh ]]
        [ "$(get /)" = "$page" ]
        in_box test ! -e $SNAPSHOTS/exchange.json
        [ -z "$(in_box sh -c "ls -d $SNAPSHOTS/*/tree* /var/lib/chillbox/backups/*/*.get 2>/dev/null")" ]
        [[ "$(cents)" == 'ok 2000000' ]]
        note eighth
    done
    in_box sed -i 's,^    get) sleep 3; ,    get) ,' /etc/chillbox/hooks.d/backup/folder
    run -0 ctl restore shop --yes
    [ "$(noted)" = seventh ]
}

@test "a restore that is asked for while a deploy runs waits for it; on hold it is refused [fault-770]" {
    note ninth
    ctl backup create shop
    note tenth
    shop "$(next_version)" '.watch = "8s"' >"$LAPTOP/deploy.out" 2>&1 &
    deployer=$!
    deploys() { [ "$(json jobs shop '.jobs[0] | .kind + " " + .state')" = 'deploy running' ]; }
    wait_for 20 deploys
    run -0 ctl restore shop --yes
    wait "$deployer" || true
    [ "$(noted)" = ninth ]
    [ "$(get /)" = 'the shop' ]
    ctl hold shop -m 'moving'
    run -7 ctl restore shop --yes
    [[ "$output" == *"--during-hold restores anyway"* ]]
    run -0 ctl restore shop --yes --during-hold
    ctl release-hold shop
}

@test "the Redis of a site comes back with what it had in memory [fault-766]" {
    has_redis || skip 'no Redis'
    shop "$(next_version)" '.redis = {}'
    in_box redis-cli -s /run/redis/shop.sock set animal goat
    ctl backup create shop
    in_box redis-cli -s /run/redis/shop.sock set animal sheep
    run -0 ctl restore shop --yes
    [ "$(in_box redis-cli -s /run/redis/shop.sock get animal)" = goat ]
}
