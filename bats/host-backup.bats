#!/usr/bin/env bats
# Backups of a site's data: taken while it writes, stored by a hook, opened with the tools of a laptop alone.

# shellcheck disable=SC2154,SC2016 # box_up sets HOST; the commands are expanded in the box

load helpers/box
load helpers/host
load helpers/one_host
load helpers/shop

@test "without a target a backup is refused before anything is done, and the list says why there is none" {
    shop 1.0.0
    run ctl backup create shop
    [ "$status" -eq 8 ]
    grep -q 'set backup.target in /etc/chillbox/chillboxd.toml' <<<"$output"
    run ctl backup list
    grep -q 'backup.target is not set' <<<"$output"
    in_box sh -c 'echo "[backup]" >/tmp/one.toml; echo "target = \"folder\"" >>/tmp/one.toml'
    run in_box sh -c 'mkdir -p /tmp/r/etc/chillbox && cp /tmp/one.toml /tmp/r/etc/chillbox/chillboxd.toml && CHILLBOX_ROOT=/tmp/r chillboxd --check'
    [ "$status" -eq 78 ]
    grep -q 'backup.recipients.*at least one recipient besides the host' <<<"$output"
}

@test "[attack-Z6] a backup of a site that writes all the time opens with a laptop's age, zstd, tar and minisign alone, and holds together [fault-635]" {
    target
    run ctl backup create shop
    [ "$status" -eq 0 ]
    grep -qE '^taken +[0-9]+ files, .* of .shop., release 1\.0\.0-1$' <<<"$output"
    grep -qE '^stored .*/shop/[0-9TZ]+-[0-9]+\.data\.tar\.zst\.age$' <<<"$output"
    opened
    age-keygen -o "$LAPTOP/thief.key" 2>/dev/null
    run age -d -i "$LAPTOP/thief.key" "$LAPTOP/got.age"
    [ "$status" -ne 0 ]
    run ! grep -a 'sales\|SQLite' "$LAPTOP/got.age"
    box pull "$HOST" /var/lib/chillbox/backup.pub "$LAPTOP/host.pub"
    run minisign -V -p "$LAPTOP/host.pub" -m "$LAPTOP/got.age"
    [ "$status" -eq 0 ]
    grep -qE '^Trusted comment: chillbox data site=shop serial=[0-9]+ sha256=[0-9a-f]{64} release=1\.0\.0-1$' <<<"$output"
    (cd "$LAPTOP/opened/shop" && jq -r '.files[] | select(.sha256) | "\(.sha256)  \(.member // .path)"' manifest.json | sha256sum -c --quiet)
    [ "$(python3 -c 'import sqlite3, sys; db = sqlite3.connect(sys.argv[1])
print(*db.execute("PRAGMA integrity_check").fetchone(), *db.execute("SELECT sum(cents) FROM account").fetchone())' "$LAPTOP/opened/shop/data/till/sales.db")" = 'ok 2000000' ]
    jq -e '.name == "Shop"' "$LAPTOP/opened/shop/site.json"
    [ -z "$(local_ones)" ]
    [ "$(in_box stat -c '%a %U' /var/lib/chillbox/backup.key /var/lib/chillbox/backups | tr '\n' ' ')" = '600 root 700 root ' ]
}

@test "[attack-Z3] what reads the data is the site's user, without a network, and sees nothing of other sites or the state" {
    shop "$(next_version)"
    in_box sh -c 'truncate -s 700M /var/lib/shop/till/big; chown shop: /var/lib/shop/till/big'
    ctl backup create shop >"$LAPTOP/create.out" 2>&1 &
    maker=$!
    wait_for 20 in_box pgrep -f -- --snapshot
    pid=$(in_box pgrep -u shop -f -- --snapshot | tail -n 1)
    [ "$(user_of "$pid")" = shop ]
    in_box sh -c 'grep -E "NoNewPrivs:.1" /proc/'"$pid"'/status; grep -E "CapEff:.0*$" /proc/'"$pid"'/status'
    in_box sh -c '[ -z "$(ls -A /proc/'"$pid"'/root/run)" ] && [ "$(ls -A /proc/'"$pid"'/root/var/lib | sort | tr "\n" " ")" = "chillbox shop " ]'
    [ "$(in_box ls -A "/proc/$pid/root/var/lib/chillbox")" = backups ]
    [ -z "$(in_box ls -A "/proc/$pid/root/srv")" ]
    [ "$(in_box sh -c "tail -n +3 /proc/$pid/net/dev | grep -vc ' lo:'")" = 0 ]
    in_box grep -q chillbox.run "/proc/$pid/cgroup"
    wait "$maker"
    in_box rm /var/lib/shop/till/big
}

@test "[fault-1234] an upgrade of chillboxd while a backup is made: it ends as one, and no hook was at fault" {
    in_box sh -c 'truncate -s 700M /var/lib/shop/till/big; chown shop: /var/lib/shop/till/big'
    ctl backup create shop >"$LAPTOP/create.out" 2>&1 &
    maker=$!
    wait_for 20 in_box pgrep -f -- --snapshot
    ctl upgrade
    wait "$maker" && false || [ "$?" -eq 5 ]
    grep -q 'the daemon stops, and this is not done: run it again' "$LAPTOP/create.out"
    in_box rm /var/lib/shop/till/big
    ctl backup create shop
}

@test "while the host is locked a backup is made and stored all the same" {
    shop "$(next_version)"
    ctl lock
    run ctl backup create shop
    [ "$status" -eq 0 ]
    unlock
    opened
    [ -s "$LAPTOP/opened/shop/data/till/sales.db" ]
}

@test "a target that is away, refuses, has no such place or is full fails with its own code, and the archive is kept for the next try [fault-630]" {
    before=$(newest)
    kept=0
    for code in 5 4 3 6; do
        in_box sh -c "echo $code >/mnt/backups/refuse-put"
        run ctl backup create shop
        [ "$status" -eq "$((code == 6 ? 1 : code))" ]
        grep -q 'taken, but not stored: .*put is refused' <<<"$output"
        [ "$(local_ones | wc -l)" = $((kept += 2)) ] # each waits, with its signature
    done
    run ctl backup list shop
    grep -q 'the last try, .*failed: taken, but not stored' <<<"$output"
    [ "$(newest)" != "$before" ]
    in_box rm /mnt/backups/refuse-put
    ctl backup create shop # and the others before it
    [ -z "$(local_ones)" ]
    [ "$(json backup list shop '[.backups[] | select(.stored_ms == 0)] | length')" = 0 ]
    [ "$(json backup list shop '.sites[0].problem')" = '' ]
}

@test "[attack-Z4] the hook of a target is a user of its own that can read neither state nor sites, and its settings are in no argument" {
    in_box sh -c 'cat >/etc/chillbox/hooks.d/backup/nosy; chmod 0755 /etc/chillbox/hooks.d/backup/nosy; echo path=s3cret >/etc/chillbox/backup/nosy; chmod 0600 /etc/chillbox/backup/nosy' <<'END'
#!/bin/sh
exec >/mnt/backups/nosy 2>&1
id -un; grep CapEff /proc/self/status; cat /var/lib/chillbox/state.db /etc/chillbox/backup/folder /var/lib/shop/till/sales.db /var/lib/chillbox/backup.key; ls /var/lib/chillbox/backups
env; tr '\0' ' ' </proc/$$/cmdline; echo; grep -c s3cret <&3
END
    in_box sed -i 's/^target = "folder"/target = "nosy"/' /etc/chillbox/chillboxd.toml
    in_box rc-service -q chillboxd restart
    ctl backup create shop || true
    in_box sed -i 's/^target = "nosy"/target = "folder"/' /etc/chillbox/chillboxd.toml
    in_box rc-service -q chillboxd restart
    unlock
    said=$(in_box cat /mnt/backups/nosy)
    [ "$(head -n 1 <<<"$said")" = chillbox-backup ]
    grep -qE 'CapEff:.0+$' <<<"$said"
    [ "$(tail -n 1 <<<"$said")" = 1 ]
    [ "$(grep -c s3cret <<<"$said")" = 0 ]
    [ "$(grep -c 'SQLite format\|untrusted comment' <<<"$said")" = 0 ]
}

@test "a site's own before runs first, and if it fails there is no backup" {
    shop "$(next_version)" '.backup = {before: "date >/var/lib/shop/till/dump.sql", exclude: ["till/*.tmp"]}'
    in_box sh -c 'echo x >/var/lib/shop/till/a.tmp'
    ctl backup create shop
    opened
    [ -s "$(find "$LAPTOP/opened/shop/data" -name dump.sql)" ]
    [ -z "$(find "$LAPTOP/opened/shop/data" -name '*.tmp')" ]
    shop "$(next_version)" '.backup.before = "echo no database >&2; exit 4"'
    run ctl backup create shop
    [ "$status" -eq 1 ]
    grep -q '`before` ended with code 4: no database' <<<"$output"
    [ -z "$(local_ones)" ]
    shop "$(next_version)"
}

@test "a site's Redis is in it as Redis itself writes it" {
    has_redis || skip 'no Redis'
    shop "$(next_version)" '.redis = {}'
    in_box redis-cli -s /run/redis/shop.sock set animal goat
    ctl backup create shop
    opened
    [ "$(jq -r '.files[] | select(.kind == "rdb").path' "$LAPTOP/opened/shop/manifest.json")" = redis/dump.rdb ]
    box push "$HOST" "$LAPTOP/opened/shop/redis/dump.rdb" /tmp/
    in_box redis-check-rdb /tmp/dump.rdb
    grep -q goat "$LAPTOP/opened/shop/redis/dump.rdb"
    [ ! -e "$LAPTOP/opened/shop/data/redis" ]
    in_box rc-service -q "chillbox.shop.redis.a" stop || true
    run ctl backup create shop # then its files are files as others are
    [ "$status" -eq 0 ]
}

@test "a proof fetches, unpacks and checks the newest, and says what it found; while the host is locked it says nothing about it" {
    run ctl backup verify shop
    [ "$status" -eq 0 ]
    grep -q 'signature, digests and databases are good' <<<"$output"
    [ "$(json backup list shop '.backups[0].proven_ms > 0')" = true ]
    in_box test ! -e /var/lib/chillbox/backups/.proof/shop
    [ -z "$(local_ones)" ]
    proven=$(json backup list shop '.sites[0].checked_ms')
    ctl lock
    run ctl backup verify shop
    [ "$status" -eq 6 ]
    unlock
    [ "$(json backup list shop '.sites[0].checked_ms')" = "$proven" ]
}

@test "[attack-Z2] a flipped byte, half of it, another site's, an older one and a stranger's own are refused by the signature, before a byte is unpacked [fault-641]" {
    older=/mnt/backups/$(newest)
    ctl backup create shop
    ctl backup verify shop
    name=/mnt/backups/$(newest)
    in_box cp -a "$name" /tmp/good
    in_box cp -a "$name.minisig" /tmp/good.minisig
    refused() { # TEXT
        run ctl backup verify shop
        [ "$status" -eq 4 ]
        grep -q "$1" <<<"$output"
        in_box test ! -e /var/lib/chillbox/backups/.proof/shop
    }
    in_box python3 -c 'import sys; f = open(sys.argv[1], "r+b"); f.seek(5000); b = f.read(1); f.seek(5000); f.write(bytes([b[0] ^ 1]))' "$name"
    refused 'signature'
    [ "$(json backup list shop '.backups[0].proven_ms')" = 0 ] # as it was until now [fault-1126]
    ctl backup list shop | grep -q '^shop: the last proof failed: .*signature'
    in_box truncate -s 6000 "$name"
    refused 'signature'
    in_box cp "$older" "$name"
    in_box cp "$older.minisig" "$name.minisig"
    refused 'another backup has its name'
    echo mine >"$LAPTOP/mine"
    tar -c -C "$LAPTOP" mine | zstd -q | age -r "$RECIPIENT" -o "$LAPTOP/stranger.age" # well formed, and encrypted to the host
    (cd "$LAPTOP" && "$CTL" keygen -q -o stranger --no-password 2>/dev/null || true)
    minisign -S -s "$LAPTOP/stranger.key" -m "$LAPTOP/stranger.age" -t 'chillbox data site=shop serial=1 sha256=00 release=1' -x "$LAPTOP/stranger.minisig" </dev/null
    box push "$HOST" "$LAPTOP/stranger.age" "$name"
    box push "$HOST" "$LAPTOP/stranger.minisig" "$name.minisig"
    refused 'key'
    in_box rm "$name.minisig"
    run ctl backup verify shop
    [ "$status" -eq 3 ]
    in_box cp -a /tmp/good "$name"
    in_box cp -a /tmp/good.minisig "$name.minisig"
    ctl backup verify shop
    json backup list shop '.sites[0].unproven' | grep -qx ''
}

open_notices() { json notices shop '[.notices[] | select(.state == "open") | .event] | sort | join(" ")'; }

@test "a backup that is not stored, and one that cannot be proven, is a notice until it is well again [fault-845]" {
    [ "$(open_notices)" = '' ]
    in_box sh -c 'echo 5 >/mnt/backups/refuse-put'
    run -5 ctl backup create shop
    [ "$(open_notices)" = backup.failed ]
    [[ "$(json notices shop '.notices[0].text')" == *'put is refused'* ]]
    in_box rm /mnt/backups/refuse-put
    ctl backup create shop
    [ "$(open_notices)" = '' ]
    name=/mnt/backups/$(newest)
    in_box cp -a "$name" /tmp/good
    in_box truncate -s 6000 "$name"
    run -4 ctl backup verify shop
    [ "$(open_notices)" = 'backup.overdue backup.unproven' ]
    in_box cp -a /tmp/good "$name"
    ctl backup verify shop
    [ "$(open_notices)" = '' ]
    [ "$(json notices shop '[.notices[] | select(.state == "resolved") | .event] | unique | join(" ")')" = 'backup.failed backup.overdue backup.unproven' ]
}

@test "at its time each site is backed up, the first is proven at once, and the superfluous go; three times are in status and doctor [fault-642]" {
    ctl backup create shop
    ctl backup create shop
    before=$(state tried_ms)
    settings schedule '* * * * *' keep 1d prove weekly
    later() { [ "$(state tried_ms)" -gt "$before" ] && [ "$(archives)" -le 2 ]; }
    wait_for 100 later
    [ "$(state problem)" = '' ]
    [ "$(state 'proven_ms > 0')" = true ]
    [ "$(state retention)" = '' ]
    [ "$(json status '.backups[0] | [.site, (.taken_ms > 0), (.stored_ms > 0), (.proven_ms > 0), (.next_ms > 0), .stale] | map(tostring) | join(" ")')" = 'shop true true true true ' ]
    ctl status | grep -qE '^BACKUP +TAKEN +STORED +PROVEN +NEXT'
    ctl doctor | grep -q '1 of 1 sites have one that is proven'
}

@test "a target that only says that it deletes is counted again, and status and doctor say so [fault-644]" {
    in_box sed -i 's,^    delete) .*,    delete) ;;,' /etc/chillbox/hooks.d/backup/folder
    stays() { [ -n "$(state retention)" ]; }
    wait_for 130 stays
    state retention | grep -qE '^deletion had no effect: [0-9]+ of [0-9]+ old backups are still at the target$'
    run ctl doctor
    grep -q "site 'shop': deletion had no effect" <<<"$output"
    in_box sed -i 's,^    delete) .*,    delete) rm -f "$path/$2" ;;,' /etc/chillbox/hooks.d/backup/folder
    goes() { [ -z "$(state retention)" ]; }
    wait_for 130 goes
    settings schedule '17 3 * * *'
}

@test "[attack-Z5] what looks at a backup is nobody, without a network, and sees that tree alone" {
    in_box sh -c 'truncate -s 1G /var/lib/shop/till/big; chown shop: /var/lib/shop/till/big'
    ctl backup create shop
    ctl backup verify shop >"$LAPTOP/verify.out" 2>&1 &
    prover=$!
    wait_for 60 in_box pgrep -f -- '--proof'
    pid=$(in_box pgrep -f -- '--proof' | tail -n 1)
    uid=$(in_box sed -n 's/^Uid:[[:space:]]*\([0-9]*\).*/\1/p' "/proc/$pid/status")
    [[ "$uid" -ge 65024 && "$uid" -le 65279 ]]
    in_box grep -qE 'NoNewPrivs:.1' "/proc/$pid/status"
    [ "$(in_box sh -c "ls -A /proc/$pid/root/var/lib")" = chillbox ]
    [ "$(in_box sh -c "ls -A /proc/$pid/root/var/lib/chillbox /proc/$pid/root/srv /proc/$pid/root/run" | grep -vc '^/proc\|^$')" = 1 ]
    [ "$(in_box sh -c "tail -n +3 /proc/$pid/net/dev | grep -vc ' lo:'")" = 0 ]
    wait "$prover"
    in_box rm /var/lib/shop/till/big
}

@test "a site is removed with its data while a backup of it is made: neither half a backup nor half a site is left [fault-1256]" {
    before=$(json backup list shop '.backups | length')
    in_box sh -c 'truncate -s 2000M /var/lib/shop/till/big; chown shop: /var/lib/shop/till/big'
    ctl backup create shop >"$LAPTOP/create.out" 2>&1 &
    maker=$!
    wait_for 20 in_box pgrep -f -- --snapshot
    run -7 ctl remove shop --purge --yes
    [[ "$output" == *'still runs processes, such as a backup: remove it again when they have ended'* ]]
    wait "$maker" && false || [ "$?" -eq 7 ]
    grep -q 'the site was removed with its data while they were read' "$LAPTOP/create.out"
    [ "$(json backup list shop '.backups | length')" = "$before" ]
    ctl remove shop --purge --yes
    in_box sh -c '[ ! -e /var/lib/shop ] && ! grep -q ^shop: /etc/passwd'
}
