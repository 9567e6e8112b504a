#!/usr/bin/env bats
# chillboxctl without a host: what it refuses, what it makes on the laptop, what others read of it, how it asks for passphrases.

# shellcheck disable=SC2154 # $stderr comes from run --separate-stderr

load helpers/cli

setup() { cli_setup; }
teardown() { cli_teardown; }

@test "a wrong command line is exit 2, with the reason and a hint on standard error only" {
    for line in "nonsense" "trust" "releases" "releases chillboxd" "status --bogus" "pack" "logs blog -n x" "keygen -H host"; do
        # shellcheck disable=SC2086 # words
        run -2 --separate-stderr chillboxctl $line
        [ -z "$output" ]
        [[ "$stderr" == chillboxctl:*hint:* || "$stderr" == chillboxctl:*"for example: chillboxctl "* || "$stderr" == *"in the folder of a project"* ]]
    done
    run -2 --separate-stderr chillboxctl
    [[ -z "$output" && "$stderr" == "usage: chillboxctl COMMAND"* ]]
}

@test "-v prints what a command consists of, and nothing of it reaches standard output" {
    run -5 --separate-stderr chillboxctl -v status
    [ -z "$output" ]
    [[ "$stderr" == "+ ask "*control.sock" status"* ]]
    mkdir bin
    printf '#!/bin/sh\nexit 255\n' >bin/ssh
    chmod +x bin/ssh
    PATH=$PWD/bin:$PATH run -5 --separate-stderr chillboxctl -H root@host.example sites -v
    [[ "$stderr" == "+ ssh root@host.example CHILLBOX_HOST= chillboxctl 'sites' '--verbose'"* ]]
    run -0 chillboxctl -v
    [[ "$output" =~ ^chillboxctl\ [0-9] ]]
}

@test "help at a terminal of 80 columns: of everything, of each command, of each topic" {
    run -0 "$BATS_TEST_DIRNAME/helpers/pty" --fits -- chillboxctl help
    for topic in all exit-codes environment files threat-model deploy "webhook add" "trust add" logs pack; do
        # shellcheck disable=SC2086 # words
        run -0 "$BATS_TEST_DIRNAME/helpers/pty" -- chillboxctl help $topic
    done
}

@test "help and --version go to standard output, connect to nothing, and are exit 0" {
    export CHILLBOX_HOST=nobody@host.invalid
    run -0 --separate-stderr chillboxctl help
    [[ "$output" == *"rollback [SITE] [VERSION]"*"help COMMAND"* ]]
    [ -z "$stderr" ]
    run -0 chillboxctl help secrets pack
    [[ "$output" == *"--passphrase-fd N"* ]]
    run -0 chillboxctl rollback --help
    run -0 chillboxctl --version
    [[ "$output" =~ ^chillboxctl\ [0-9]+\.[0-9]+\.[0-9]+$ ]]
}

@test "without a daemon every verb of the host is exit 5, and says where to look" {
    for verb in status sites "releases blog" jobs "job 1" "logs blog" audit "audit verify" ping "rollback blog" "restart blog" "stop blog" \
        "start blog" "remove blog --yes" "retry 1" unlock lock reload; do
        # shellcheck disable=SC2086 # words
        run -5 --separate-stderr chillboxctl $verb
        [[ "$stderr" == *"chillboxd does not answer"*"hint: "* ]]
    done
}

@test "with --json an error is an object on standard output too" {
    run -5 --separate-stderr chillboxctl status --json
    [ "$(jq -r '.schema + " " + .error.code' <<<"$output")" = "chillbox.error.v1 unreachable" ]
}

@test "a disk that is full under the output is told, and is exit 1" {
    [ -e /dev/full ] || skip "no /dev/full"
    run -1 bash -c 'chillboxctl help >/dev/full'
    [[ "$output" == *"no space left"* ]]
}

@test "a reader that goes away ends it quietly" {
    run -0 bash -c 'chillboxctl help | head -n 1'
    [[ "$output" == usage:* ]]
}

@test "keygen makes a pair that minisign signs and verifies with, and writes over nothing" {
    run -0 --separate-stderr chillboxctl keygen -o mine --no-password
    [ "$(stat -c %a mine.key)" = 600 ]
    echo text >file
    minisign -S -s mine.key -m file -W 2>/dev/null || minisign -S -s mine.key -m file
    minisign -V -p mine.pub -m file
    run -7 chillboxctl keygen -o mine --no-password
    [[ "$output" == *"not overwritten"* ]]
}

@test "an encrypted key needs its passphrase: the right one packs, a wrong one is exit 4, none without a terminal exit 2" {
    make_site
    run -0 chillboxctl keygen -o locked --passphrase-fd 3 3<<<"correct horse"
    run -0 chillboxctl pack blog -r "$RECIPIENT" -k locked.key -o out --passphrase-fd 3 3<<<"correct horse"
    minisign -V -p locked.pub -m out/blog-1.0.0.tar.zst.age
    run -4 chillboxctl pack blog -r "$RECIPIENT" -k locked.key -o out --passphrase-fd 3 3<<<"wrong"
    run -2 setsid -w chillboxctl pack blog -r "$RECIPIENT" -k locked.key -o out </dev/null
    [[ "$output" == *"--passphrase-fd"* ]]
}

@test "[fault-76] a passphrase comes from a descriptor: its first line, not empty, not too long, and one that is open" {
    run -2 chillboxctl keygen --passphrase-fd 7
    [[ "$output" == *"no such descriptor"* ]]
    run -1 chillboxctl keygen --passphrase-fd 3 3<<<""
    [[ "$output" == *"is empty"* ]]
    run -1 bash -c 'head -c 2000 /dev/zero | tr "\0" x | chillboxctl keygen --passphrase-fd 0'
    [[ "$output" == *"longer than 1000 bytes"* ]]
    [ ! -e chillbox.key ]
    run -0 bash -c '{ printf "one\nrest\n" | { chillboxctl keygen -o k --passphrase-fd 0 >&2; cat; }; } 2>/dev/null'
    [ "$output" = rest ]
}

@test "[fault-77] without a terminal nothing waits for an answer" {
    run -2 setsid -w timeout 5 chillboxctl keygen </dev/null
    [[ "$output" == *"needs a terminal"* ]]
    start_daemon '{"ping": {"result": {"sealed": true}}}'
    run -2 setsid -w timeout 5 chillboxctl unlock </dev/null
    run -2 setsid -w timeout 5 chillboxctl remove blog </dev/null
    [[ "$output" == *"--yes"* ]]
}

@test "a passphrase is typed without echo, twice, and both must be the same" {
    run -0 "$FAKE/at-terminal" expect:'secret key: ' echo:off type:'hunter two' expect:'passphrase again: ' echo:off type:'hunter two' \
        -- chillboxctl keygen -o typed
    [[ "$output" != *"hunter"* ]]
    [ -s typed.key ]
    run -1 "$FAKE/at-terminal" expect:'secret key: ' type:one expect:'passphrase again: ' type:two -- chillboxctl keygen -o other
    [[ "$output" == *"not the same"* ]]
    [ ! -e other.key ]
}

@test "[fault-78] Ctrl-C in the prompt gives the terminal its echo back, and is exit 130" {
    run -130 "$FAKE/at-terminal" expect:'secret key: ' echo:off ctrl-c -- chillboxctl keygen -o typed
    [ ! -e typed.key ]
}

@test "[fault-78] so does being killed in the prompt" {
    run -143 "$FAKE/at-terminal" expect:'secret key: ' echo:off kill:TERM -- chillboxctl keygen -o typed
    run -129 "$FAKE/at-terminal" expect:'secret key: ' echo:off kill:HUP -- chillboxctl keygen -o typed
}

@test "colours only on a terminal, and not with NO_COLOR, --no-color or TERM=dumb" {
    start_daemon '{"status": {"result": {"host": {"version": "1", "sealed": true}, "sites": []}}}'
    export TERM=xterm
    run -0 chillboxctl status
    [[ "$output" != *$'\e['* ]]
    run -0 "$FAKE/at-terminal" -- chillboxctl status
    [[ "$output" == *$'\e['*locked* ]]
    run -0 "$FAKE/at-terminal" -- chillboxctl status --no-color
    [[ "$output" != *$'\e['* ]]
    NO_COLOR=1 run -0 "$FAKE/at-terminal" -- chillboxctl status
    [[ "$output" != *$'\e['* ]]
    TERM=dumb run -0 "$FAKE/at-terminal" -- chillboxctl status
    [[ "$output" != *$'\e['* ]]
    CLICOLOR_FORCE=1 run -0 chillboxctl status
    [[ "$output" == *$'\e['* ]]
}

@test "what pack makes is read by age, zstd, tar, minisign and sha256sum" {
    make_site
    run -0 --separate-stderr chillboxctl pack blog -r "$RECIPIENT" -k deploy.key -o out
    artifact=out/blog-1.0.0.tar.zst.age
    [ "${lines[0]}" = "$artifact" ]
    [[ "$output" == *"$(sha256sum <$artifact | cut -d ' ' -f 1)"* ]]
    [[ "$output" == *"size    $(stat -c %s $artifact) "* ]]
    run -0 minisign -V -p deploy.pub -m $artifact
    [[ "$output" == *"Trusted comment: chillbox site=blog version=1.0.0 serial="*" sha256=$(sha256sum <$artifact | cut -d ' ' -f 1)"* ]]
    age -d -i identity $artifact | zstd -dq | tar -xf - -C . --one-top-level=there
    diff -r blog/backend there/blog/api
    cmp blog/blog.site.json there/blog/blog.site.json
    [ "$(stat -c %a there/blog/api/run)" = 755 ]
    [ "$(stat -c '%a %Y' there/blog/api/src/app.py)" = "644 0" ]
    [ "$(find there -type f | wc -l)" -eq 3 ]
}

@test "what pack --armor makes is text, signed as such, and age reads it" {
    make_site
    run -0 chillboxctl pack blog -r "$RECIPIENT" -k deploy.key -o out --armor -q
    artifact=out/blog-1.0.0.tar.zst.age
    run ! env LC_ALL=C grep -q '[^ -~]' $artifact
    minisign -V -q -p deploy.pub -m $artifact
    age -d -i identity $artifact | zstd -dq | tar -tf - | grep -q '^blog/blog.site.json$'
}

@test "the same folder is the same archive, whoever packs it and whenever" {
    make_site
    first=$(chillboxctl pack blog -r "$RECIPIENT" -k deploy.key -o a --json | jq -r .tar_sha256)
    cp -r blog other
    touch other/backend/src/app.py
    chmod 0600 other/backend/src/app.py
    [ "$(chillboxctl pack other -r "$RECIPIENT" -k deploy.key -o b --json | jq -r .tar_sha256)" = "$first" ]
    [ "$(age -d -i identity a/blog-1.0.0.tar.zst.age | zstd -dq | sha256sum | cut -d ' ' -f 1)" = "$first" ]
    [ "$(SOURCE_DATE_EPOCH=1700000000 chillboxctl pack blog -r "$RECIPIENT" -k deploy.key -o c --json | jq -r .tar_sha256)" != "$first" ]
    run -2 env SOURCE_DATE_EPOCH=yesterday chillboxctl pack blog -r "$RECIPIENT" -k deploy.key -o c
}

@test "serials only grow, also within a minute, and secrets count by themselves" {
    make_site
    mkdir -p secrets/api && echo s3cret >secrets/api/api.cfg
    one=$(chillboxctl pack blog -r "$RECIPIENT" -k deploy.key -o out --json | jq .serial)
    two=$(chillboxctl pack blog -r "$RECIPIENT" -k deploy.key -o out --json | jq .serial)
    [ "$two" -gt "$one" ]
    [ "$one" -ge $(($(date +%s) / 60 - 1)) ]
    chillboxctl pack blog -r "$RECIPIENT" -k deploy.key -o out --serial 99999999999 -q
    [ "$(chillboxctl pack blog -r "$RECIPIENT" -k deploy.key -o out --json | jq .serial)" = 100000000000 ]
    [ "$(chillboxctl secrets pack secrets -s blog -r "$RECIPIENT" -k deploy.key -o out --json | jq .serial)" -lt 99999999 ]
    run -2 chillboxctl pack blog -r "$RECIPIENT" -k deploy.key -o out --serial 0
}

@test "every host in -r and in -R can read the artifact, and nobody else" {
    make_site
    for name in b c d; do age-keygen -o $name 2>/dev/null; done
    { echo "# the fleet"; age-keygen -y b; echo; age-keygen -y c; } >fleet
    chillboxctl pack blog -r "$RECIPIENT" -R fleet -k deploy.key -o out -q
    for name in identity b c; do age -d -i $name out/blog-1.0.0.tar.zst.age >/dev/null; done
    run ! age -d -i d out/blog-1.0.0.tar.zst.age
    run -2 chillboxctl pack blog -r age1nonsense -k deploy.key -o out
    run -2 chillboxctl pack blog -k deploy.key -o out
    [[ "$output" == *recipient.txt* ]]
}

@test "a secret set is SERVICE/FILE, signed as one, and expires when told" {
    make_site
    mkdir -p secrets/api && echo s3cret >secrets/api/api.cfg
    run -0 chillboxctl secrets pack secrets -s blog -r "$RECIPIENT" -k deploy.key -o out --expires 2099-01-01
    [ "$(age -d -i identity out/blog.secrets.tar.zst.age | zstd -dq | tar -tf -)" = api/api.cfg ]
    [ "$(age -d -i identity out/blog.secrets.tar.zst.age | zstd -dq | tar -xOf - api/api.cfg)" = s3cret ]
    run -0 minisign -V -p deploy.pub -m out/blog.secrets.tar.zst.age
    [[ "$output" == *"chillbox site=blog secrets serial="*" expires=4070995200"* ]]
    run -2 chillboxctl secrets pack secrets -s blog -r "$RECIPIENT" -k deploy.key -o out --expires 2020-01-01
    echo x >secrets/loose
    run -1 chillboxctl secrets pack secrets -s blog -r "$RECIPIENT" -k deploy.key -o out
    [[ "$output" == *"DIR/SERVICE/FILE"* ]]
}

@test "a link in a secret set is refused: it would pack what it points at" {
    make_site
    mkdir -p secrets/api && ln -s /etc/passwd secrets/api/api.cfg
    run -1 chillboxctl secrets pack secrets -s blog -r "$RECIPIENT" -k deploy.key -o out
    [[ "$output" == *"only files"* ]]
}

@test "what the host would refuse is refused when packing, and nothing is left in OUTDIR" {
    make_site
    ln -s /etc/passwd blog/backend/outside
    run ! chillboxctl pack blog -r "$RECIPIENT" -k deploy.key -o out
    [[ "$output" == *outside* ]]
    rm blog/backend/outside
    mkfifo blog/backend/pipe
    run ! chillboxctl pack blog -r "$RECIPIENT" -k deploy.key -o out
    [ -z "$(ls -A out)" ]
}

@test "Ctrl-C while packing leaves nothing behind" {
    make_site
    head -c 300000000 /dev/urandom >blog/backend/big
    mkdir out
    (
        for _ in $(seq 200); do
            [ -z "$(ls -A out)" ] || break
            sleep 0.02
        done
        sleep 0.1
        kill -INT "$(cat pid)"
    ) 3>&- &
    run -130 sh -c 'echo $$ >pid; exec chillboxctl pack blog -r "$1" -k deploy.key -o out' sh "$RECIPIENT"
    [ -z "$(ls -A out)" ]
}

@test "validate says ok, or every problem with the name of the file" {
    make_site
    run -0 chillboxctl validate blog
    [ "$output" = "blog/blog.site.json: ok: blog 1.0.0, 1 service" ]
    run -0 chillboxctl validate blog/blog.site.json
    rm -r blog/backend
    run -3 chillboxctl validate blog
    [[ "$output" == *"service api"*backend* ]]
    echo '{"name": "B", "sevices": [], "server_name": "a; include /etc/shadow;"}' >blog/blog.site.json
    run -1 --separate-stderr chillboxctl validate blog
    [ "${#stderr_lines[@]}" -ge 2 ]
    [[ "$stderr" == *sevices*services* ]]
    for line in "${stderr_lines[@]}"; do [[ "$line" == "chillboxctl: blog.site.json: "* ]]; done
    [ "$(chillboxctl validate blog --json 2>/dev/null | jq -r .error.code)" = invalid ]
}

@test "init under CHILLBOX_ROOT makes all of it, and a second run changes nothing" {
    export CHILLBOX_ROOT=$BATS_TEST_TMPDIR/root
    run -0 chillboxctl init --passphrase-fd 3 --work-factor 10 3<<<"host passphrase"
    recipient=$(cat root/var/lib/chillbox/recipient.txt)
    [[ "$output" == *"public key  $recipient"* ]]
    [ "$(stat -c %a root/etc/chillbox/chillboxd.toml root/etc/chillbox/webhooks root/var/lib/chillbox/{identity.age,recipient.txt,artifacts,secrets,inbox} |
        tr '\n' ' ')" = "640 700 600 644 700 700 700 " ]
    before=$(find root -printf '%p %m %T@ %s\n' | sort)
    run -0 chillboxctl init </dev/null
    [[ "$output" != *"made "* ]]
    [ "$(find root -printf '%p %m %T@ %s\n' | sort)" = "$before" ]
    chmod 0755 root/var/lib/chillbox/inbox
    run -0 chillboxctl init </dev/null
    [[ "$output" == *"made        directory $CHILLBOX_ROOT/var/lib/chillbox/inbox: owner and mode set right"* ]]
    [ "$(stat -c %a root/var/lib/chillbox/inbox)" = 700 ]
}

@test "the identity that init makes is an age file that age and age-keygen read" {
    export CHILLBOX_ROOT=$BATS_TEST_TMPDIR/root
    chillboxctl init -q --passphrase-fd 3 --work-factor 10 3<<<"host passphrase" >/dev/null
    "$ROOT/tests/crypto/answer-tty" "host passphrase" age -d root/var/lib/chillbox/identity.age >identity
    [ "$(age-keygen -y identity)" = "$(cat root/var/lib/chillbox/recipient.txt)" ]
    rm root/var/lib/chillbox/recipient.txt
    run -4 chillboxctl init --passphrase-fd 3 3<<<"wrong"
    run -0 chillboxctl init --passphrase-fd 3 3<<<"host passphrase"
    [ "$(age-keygen -y identity)" = "$(cat root/var/lib/chillbox/recipient.txt)" ]
}

@test "init refuses a work factor that the host would not unlock, before it asks" {
    export CHILLBOX_ROOT=$BATS_TEST_TMPDIR/root
    run -2 chillboxctl init --work-factor 19 </dev/null
    [[ "$output" == *"scrypt_cap"* ]]
    run -2 chillboxctl init --work-factor 9 </dev/null
    [ ! -e root/var/lib/chillbox/identity.age ]
}

@test "init makes users and groups through the hooks, once each" {
    export CHILLBOX_ROOT=$BATS_TEST_TMPDIR/root CHILLBOX_HOOKS=$BATS_TEST_TMPDIR/hooks
    mkdir -p hooks/host
    for hook in user-add group-add; do
        printf '#!/bin/sh\necho "%s $*" >>"%s/called"\n' $hook "$BATS_TEST_TMPDIR" >hooks/host/$hook
        chmod +x hooks/host/$hook
    done
    run -0 chillboxctl init --passphrase-fd 3 --work-factor 10 3<<<"x"
    run -0 cat called
    [ "${lines[0]}" = "group-add chillbox-admin" ]
    [ "${lines[1]}" = "user-add chillbox /var/lib/chillbox" ]
    [ "${lines[2]}" = "user-add chillbox-vault /dev/null" ]
    [ "${lines[3]}" = "user-add chillbox-acme /var/lib/chillbox/acme" ]
    [ "${lines[4]}" = "user-add chillbox-backup /dev/null" ]
    [ "${lines[5]}" = "user-add chillbox-notify /dev/null" ]
    [ "${lines[6]}" = "user-add chillbox-fetch /dev/null" ]
    [ "${lines[7]}" = "user-add chillbox-courier /dev/null" ]
    [ "${lines[8]}" = "user-add --login /usr/lib/chillbox/gate chillbox-ssh /var/lib/chillbox/ssh" ]
    [ "${#lines[@]}" -eq 9 ]
    printf '#!/bin/sh\necho "no more users" >&2; exit 9\n' >hooks/host/user-add
    run -1 chillboxctl init
    [[ "$output" == *"no more users"* ]]
}

@test "trust add takes a file or a key, says what is so already, and never swaps a key under a name" {
    export CHILLBOX_ROOT=$BATS_TEST_TMPDIR/root
    make_site
    chillboxctl keygen -q -o second --no-password >/dev/null
    run -0 chillboxctl trust add deploy.pub --sites blog,shop
    run -0 chillboxctl trust add deploy.pub --sites blog,shop
    [[ "$output" == "unchanged: deploy"* ]]
    minisign -S -s deploy.key -m identity -W 2>/dev/null || minisign -S -s deploy.key -m identity
    minisign -V -p root/etc/chillbox/trusted/deploy.pub -m identity
    run -7 chillboxctl trust add second.pub --name deploy
    run -2 chillboxctl trust add "$(tail -n 1 second.pub)"
    [[ "$output" == *"--name"* ]]
    run -0 chillboxctl trust add "$(tail -n 1 second.pub)" --name alice
    run -0 chillboxctl trust add second.pub
    [[ "$output" == "unchanged: alice"* ]]
    run -7 chillboxctl trust add second.pub --name bob
    [ "$(chillboxctl trust list --json | jq -rc '[.keys[] | [.name, .sites]]')" = '[["alice",[]],["deploy",["blog","shop"]]]' ]
    run -0 chillboxctl trust add deploy.pub
    [ "$(chillboxctl trust list --json | jq -rc '.keys[1].sites')" = '[]' ]
    run -1 chillboxctl trust add nowhere.pub
    run -2 chillboxctl trust add deploy.pub --sites 'chillboxd'
    run -0 chillboxctl trust remove alice
    run -3 chillboxctl trust remove alice
    [[ "$output" == *"there is deploy"* ]]
}

@test "[fault-1116] one bad file of trusted/ or webhooks/ is named, exit 1, and the others are listed; nothing of it is overwritten" {
    export CHILLBOX_ROOT=$BATS_TEST_TMPDIR/root
    make_site
    run -0 chillboxctl trust add deploy.pub
    run -0 chillboxctl webhook add ci --sites blog
    echo 'no key' >root/etc/chillbox/trusted/bad.pub
    echo 'whsec_short' >root/etc/chillbox/webhooks/worse.key
    run -1 --separate-stderr chillboxctl trust list
    [[ "${#lines[@]}" -eq 2 && "${lines[1]}" == "deploy "* ]]
    [[ "$stderr" == "chillboxctl: $CHILLBOX_ROOT/etc/chillbox/trusted/bad.pub: "* ]]
    run -1 --separate-stderr chillboxctl trust list --json
    [ "$(jq -c '[[.keys[].name], (.faults | length)]' <<<"$output")" = '[["deploy"],1]' ]
    run -1 --separate-stderr chillboxctl webhook list
    [[ "${#lines[@]}" -eq 2 && "${lines[1]}" == "ci "* ]]
    [[ "$stderr" == "chillboxctl: $CHILLBOX_ROOT/etc/chillbox/webhooks/worse.key: "* ]]
    run -1 --separate-stderr chillboxctl webhook list --json
    [ "$(jq -c '[[.senders[].name], (.faults | length)]' <<<"$output")" = '[["ci"],1]' ]
    run -7 chillboxctl trust add deploy.pub --name bad
    chillboxctl keygen -q -o other --no-password >/dev/null
    run -7 chillboxctl trust add other.pub --name bad
    [[ "$output" == *"bad.pub exists and cannot be used"*"chillboxctl trust remove bad"* ]]
    run -0 chillboxctl trust add other.pub
    run -0 chillboxctl trust remove bad
    run -0 chillboxctl webhook remove worse
    run -0 chillboxctl trust list
    run -0 chillboxctl webhook list
}

@test "[fault-1117] a key file that is called as chillboxctl calls one's own, USER@HOST.pub, gives a name" {
    export CHILLBOX_ROOT=$BATS_TEST_TMPDIR/root
    chillboxctl keygen -q -o jo@mba --no-password >/dev/null
    run -0 chillboxctl trust add jo@mba.pub
    [[ "$output" == "trusted: jo-mba "* ]]
    chillboxctl bootstrap --trust jo@mba.pub | grep -q -- "--name 'jo-mba'"
}

@test "webhook add prints the key once and alone; rotate keeps the old one until --finish" {
    export CHILLBOX_ROOT=$BATS_TEST_TMPDIR/root
    run -0 --separate-stderr chillboxctl webhook add ci --sites blog --types site.deploy
    [[ "$output" =~ ^whsec_[A-Za-z0-9+/]{43}=$ ]]
    first=$output
    file=root/etc/chillbox/webhooks/ci.key
    [ "$(stat -c %a $file)" = 600 ]
    grep -qx "sites: blog" $file
    run -0 --separate-stderr chillboxctl webhook add ci --sites blog --types site.deploy
    [ -z "$output" ]
    [[ "$stderr" == *"unchanged"* ]]
    run -7 chillboxctl webhook add ci --sites blog
    [[ "$output" == *"edit the lines sites: and types: of "*ci.key* ]]
    run -0 --separate-stderr chillboxctl webhook rotate ci
    second=$output
    [ "$(grep whsec_ $file)" = "$second"$'\n'"$first" ]
    grep -qx "types: site.deploy" $file
    run -0 chillboxctl webhook rotate ci --finish
    [ "$(grep whsec_ $file)" = "$second" ]
    run -0 chillboxctl webhook list
    [[ "$output" != *whsec_* ]]
    [[ "$output" == *ci*standard*1*blog*site.deploy* ]]
    run -0 chillboxctl webhook remove ci
    run -3 chillboxctl webhook rotate ci
    run -2 chillboxctl webhook add x --sites blog --types site.explode
    run -0 --separate-stderr chillboxctl webhook add hub --all-sites --format github
    [[ "$output" =~ ^[0-9a-f]{64}$ ]]
    [ "$(chillboxctl webhook add json --sites blog --json 2>/dev/null | jq -r '.schema + " " + .key[0:6]')" = "chillbox.webhook-add.v1 whsec_" ]
}

@test "-o writes a sender's key to a new file that nobody else can read, and follows no link [fault-262]" {
    export CHILLBOX_ROOT=$BATS_TEST_TMPDIR/root
    umask 0
    run -0 --separate-stderr chillboxctl webhook add ci --sites blog -o hook.key
    [ -z "$output" ]
    [ "$(stat -c %a hook.key)" = 600 ]
    [[ "$(cat hook.key)" =~ ^whsec_[A-Za-z0-9+/]{43}=$ ]]
    grep -qxF "$(cat hook.key)" root/etc/chillbox/webhooks/ci.key
    before=$(cat root/etc/chillbox/webhooks/ci.key)
    ln -s nowhere link
    for taken in hook.key link none/hook.key; do
        run ! chillboxctl webhook rotate ci -o $taken
    done
    [[ "$(chillboxctl webhook rotate ci -o link 2>&1)" == *"link already exists and is not overwritten"* ]]
    run -2 chillboxctl webhook rotate ci --json -o new.key
    [ "$(cat root/etc/chillbox/webhooks/ci.key)" = "$before" ]
    run ! ls nowhere new.key
    run -0 chillboxctl webhook rotate ci -o new.key
    [ "$(grep whsec_ root/etc/chillbox/webhooks/ci.key | head -n 1)" = "$(cat new.key)" ]
    # An existing sender has no new key, and a file without one would mislead.
    run -0 chillboxctl webhook add ci --sites blog -o other.key
    run ! ls other.key
    chillboxctl keygen -q -o deploy --no-password >/dev/null
    [ "$(stat -c %a deploy.key)" = 600 ]
}

@test "a new sender may deploy and ping, all sites or those that are named, and more only when that is asked for [attack-B5]" {
    export CHILLBOX_ROOT=$BATS_TEST_TMPDIR/root
    run -2 chillboxctl webhook add ci --sites blog --all-sites
    run -2 chillboxctl webhook add ci --sites blog --types host.ping --all-types
    run -0 --separate-stderr chillboxctl webhook add any
    [[ "$stderr" == *"sender any may send site.deploy, host.ping for all sites, including future ones"* ]]
    run -0 --separate-stderr chillboxctl webhook add any --all-sites
    [[ "$stderr" == "unchanged: sender any"* ]]
    run -7 chillboxctl webhook add any --all-types
    run -0 --separate-stderr chillboxctl webhook add ci --sites blog,shop
    [[ "$stderr" == *"sender ci may send site.deploy, host.ping for blog, shop"* ]]
    chillboxctl webhook add all --all-sites --all-types >/dev/null 2>&1
    [ "$(chillboxctl webhook list --json | jq -c '[.senders[] | [.name, .sites, .types]]')" = \
        '[["all",[],[]],["any",[],["site.deploy","host.ping"]],["ci",["blog","shop"],["site.deploy","host.ping"]]]' ]
}

@test "[fault-17] webhook rotate --grace ends the old key by itself, and list says when" {
    export CHILLBOX_ROOT=$BATS_TEST_TMPDIR/root
    first=$(chillboxctl webhook add ci --sites blog 2>/dev/null)
    run -2 chillboxctl webhook rotate ci --grace 0s
    run -2 chillboxctl webhook rotate ci --grace 1h --finish
    run -2 chillboxctl webhook rotate ci --grace tomorrow
    file=root/etc/chillbox/webhooks/ci.key
    [ "$(grep whsec_ $file)" = "$first" ]

    now=$(date +%s)
    run -0 --separate-stderr chillboxctl webhook rotate ci --grace 24h
    second=$output
    [[ "$stderr" == *"the previous key is good until 2"*"or \`chillboxctl webhook rotate ci --finish\`"* ]]
    until=$(sed -n "s|^$first until=||p" $file)
    [ "$until" -ge $((now + 86400)) ]
    [ "$until" -le $((now + 86460)) ]
    [ "$(grep -m 1 whsec_ $file)" = "$second" ]
    [ "$(chillboxctl webhook list --json | jq -c '.senders[0] | [.keys, (.until | fromdate)]')" = "[2,$until]" ]
    run -0 chillboxctl webhook list
    [[ "$output" == *"2, one until "* ]]

    sed -i "s/until=.*/until=$((now - 1))/" $file # a day later
    [ "$(chillboxctl webhook list --json | jq -c '.senders[0] | [.keys, .until]')" = '[1,""]' ]
    run -0 chillboxctl webhook rotate ci --finish
    [ "$(grep whsec_ $file)" = "$second" ]
}

@test "a running daemon is asked to reload after a change; when it does not, that is told" {
    export CHILLBOX_ROOT=$BATS_TEST_TMPDIR/root
    start_daemon '{"reload": {"result": {}}}'
    chillboxctl webhook add ci --sites blog >/dev/null 2>&1
    [ "$(jq -r .verb daemon.log)" = reload ]
    start_daemon '{"reload": {"error": {"code": "invalid", "message": "chillboxd.toml:3: no"}}}'
    run -1 chillboxctl webhook remove ci
    [[ "$output" == *"saved, but"*"chillboxd.toml:3: no"* ]]
}

@test "only root may change a host" {
    [ "$(id -u)" -eq 0 ] || skip "needs root, to become somebody else"
    for verb in init "trust add deploy.pub" "trust remove x" "webhook add x" "webhook list"; do
        # shellcheck disable=SC2086 # words
        run -4 setpriv --reuid 65534 --regid 65534 --clear-groups "$CTL" $verb </dev/null
        [[ "$output" == *"as root"* ]]
    done
}
