#!/usr/bin/env bats
# The secrets of a project on the laptop: set, listed, edited, and on no disk in plain text.

load helpers/cli

setup() {
    cli_setup
    export XDG_CONFIG_HOME=$PWD/config XDG_STATE_HOME=$PWD/state XDG_CACHE_HOME=$PWD/cache XDG_RUNTIME_DIR=$PWD/runtime
    unset VISUAL EDITOR
    mkdir -p config/chillbox/keys runtime hello/web/deep
    chmod 0700 config runtime
    person jo config/chillbox/keys
    cat >hello/hello.site.json <<'J'
{"name": "Hello", "server_name": "hello.example", "version": "1.0.0",
 "services": [{"name": "web", "lang": "python", "handler": "web", "secrets_env": "web.env"}]}
J
    touch hello/web/app.py
    cd hello
}

teardown() { chillboxctl agent lock >/dev/null 2>&1 || :; }

# person NAME DIR: a key whose public file says the age key of the same secret, as `join` makes it
person() {
    chillboxctl keygen -q --no-password -o "$2/$1" >/dev/null
    XDG_CONFIG_HOME=$PWD/of-$1
    mkdir -p "of-$1/chillbox/keys" && chmod 0700 "of-$1"
    cp "$2/$1.key" "$2/$1.pub" "of-$1/chillbox/keys/"
    XDG_CONFIG_HOME=$PWD/config
}
at() {
    local steps=()
    while [ "$1" != -- ]; do steps+=("$1"); shift; done
    "$FAKE/at-terminal" "${steps[@]}" -- chillboxctl "${@:2}"
}
set_from() { printf '%s\n' "$1" | chillboxctl secrets set --stage "${@:2}"; }
# Nothing in the folders of a person, the project or the temporary folder has these words.
nowhere() { ! grep -raq -- "$1" "$XDG_CONFIG_HOME" "$XDG_STATE_HOME" "$XDG_CACHE_HOME" "$XDG_RUNTIME_DIR" . /dev/shm/chillbox-edit-* 2>/dev/null; }

@test "secrets set keeps a value encrypted, list shows no value, the same value again is as it is [fault-456]" {
    run -0 set_from 'hunter2 of jo' DB_URL
    [[ "$output" == *"web/web.env: DB_URL changed"*"not sent yet: chillboxctl secrets push"* ]]
    head -n 1 secrets/hello.age | grep -q 'BEGIN AGE ENCRYPTED FILE'
    [ "$(grep -c '^age1' secrets/people.txt)" = 1 ]
    copy=$(cat secrets/hello.age)
    run -0 set_from 'hunter2 of jo' DB_URL
    [[ "$output" == "unchanged: web/web.env has these values" ]]
    [ "$copy" = "$(cat secrets/hello.age)" ]
    run -0 set_from other SMTP_PW
    cd web/deep # from anywhere inside the project
    run -0 chillboxctl secrets list
    [[ "$output" == *"web/web.env"*"DB_URL"*"jo"* && "$output" == *SMTP_PW* && "$output" != *hunter2* ]]
    [ "$(chillboxctl secrets list --json | jq -r '.site, .secrets[0].key' | paste -sd' ')" = 'hello DB_URL' ]
    cd ../..
    digest=$(chillboxctl secrets list --json | jq -r '.secrets[0].digest')
    set_from changed DB_URL
    [ "$(chillboxctl secrets list --json | jq -r '.secrets[0].digest')" != "$digest" ]
    run -0 chillboxctl secrets unset DB_URL SMTP_PW --stage
    run -0 chillboxctl secrets unset DB_URL --stage
    [[ "$output" == "unchanged: "* ]]
    run -0 chillboxctl secrets unset DB_URL --stage --json
    [ "$(jq -r '.schema, .name, .changed' <<<"$output" | paste -sd' ')" = 'chillbox.secrets-change.v1 hello false' ]
    nowhere 'hunter2'
}

@test "a value is asked for without echo, and never taken from an argument [fault-457]" {
    run -0 at expect:'DB_URL for web/web.env, not shown: ' echo:off type:'hunter2' -- secrets set DB_URL --stage
    [[ "$output" == *"DB_URL changed"* && "$output" != *hunter2* ]]
    run -2 chillboxctl secrets set DB_URL=hunter2 --stage
    [[ "$output" == *"a value is never an argument"* && "$output" != *hunter2* ]]
    run -2 chillboxctl secrets set A B --stage </dev/null
    run -1 set_from '' DB_URL
    nowhere hunter2
}

@test "[fault-1093] keys of two files are told by file, each counted among its own" {
    set_from one web/web.env:DB_URL
    run -0 at expect:'SMTP_PW for web/web.env' type:a expect:'TOKEN for web/more.env' type:b expect:'URL for web/more.env' type:c \
        -- secrets set web/web.env:SMTP_PW web/more.env:TOKEN web/more.env:URL --stage
    tr -d '\r' <<<"$output" | grep -x 'web/web.env: SMTP_PW changed, 1 other as it was'
    tr -d '\r' <<<"$output" | grep -x 'web/more.env: TOKEN, URL changed'
    run -0 at expect:'SMTP_PW for' type:a expect:'URL for' type:new -- secrets set web/web.env:SMTP_PW web/more.env:URL --stage
    [[ "$output" != *"web/web.env: "* ]]
    tr -d '\r' <<<"$output" | grep -x 'web/more.env: URL changed, 1 other as it was'
    run -0 at expect:'SMTP_PW for' type:a expect:'URL for' type:new -- secrets set web/web.env:SMTP_PW web/more.env:URL --stage
    [[ "$output" == *"unchanged: web/more.env and web/web.env have these values"* ]]
}

@test "a misspelt service or key is asked about, not taken [fault-458]" {
    set_from x DB_URL
    run -3 set_from x wbe/web.env:DB_URL
    [[ "$output" == *"no service 'wbe' in hello (there is: web)"* ]]
    run -2 setsid --wait "$CTL" secrets set DB_URI --stage <<<x
    [[ "$output" == *"close to DB_URL"*"say -y"* ]]
    run -1 at expect:"'DB_URI' is new and close to DB_URL. Add it? [y/N]" type:n -- secrets set DB_URI --stage
    [[ "$output" == *"nothing was changed"* ]]
    run -130 at expect:"Add it? [y/N]" type:$'\x04' -- secrets set DB_URI --stage # the end of the input is no answer
    [[ "$output" == *"no answer"* ]]
    run -0 set_from x DB_URI -y
    for bad in web/../x:A web/.env/x:A web:A 'web/a b:A' web/x.pem:A 1A 'A B'; do
        run -2 set_from x "$bad"
    done
    run -2 setsid --wait "$CTL" secrets list -e staging
}

@test "import takes dotenv, JSON and Flask's files apart, and others whole; a mistake is named without its value" {
    printf 'A="one"\n# a comment\nexport B=two\n' >../dot
    run -0 chillboxctl secrets import ../dot --as web/web.env --stage
    [[ "$output" == *"still has them in plain text"* ]]
    [ "$(chillboxctl secrets list --json | jq -r '[.secrets[].key] | join(" ")')" = 'A B' ]
    run -0 chillboxctl secrets import - --as web/web.cfg --stage <<<"SECRET_KEY = 'it\\'s'"
    run -0 chillboxctl secrets import - --as tls/hello.pem --stage <<<'-----BEGIN X-----'
    [ "$(chillboxctl secrets list --json | jq -r '[.secrets[] | .file + ":" + .key] | join(" ")')" = 'tls/hello.pem: web/web.cfg:SECRET_KEY web/web.env:A web/web.env:B' ]
    run -1 chillboxctl secrets import - --as web/web.cfg --stage <<<"SECRET_KEY = \"hunter3"
    [[ "$output" == *"web/web.cfg: line 1: SECRET_KEY is not one text in quotes"* && "$output" != *hunter3* ]]
    run -0 set_from x C # the file that the site file names
    [[ "$output" == *"web/web.env: C changed"* ]]
    run -0 set_from other web/web.cfg:A
    run -2 set_from x A
    [[ "$output" == *"which file? A is in web/web.cfg, web/web.env: say it as web/web.cfg:A"* ]]
    run -0 chillboxctl secrets unset web/web.cfg:A --stage
    # the key A is in one file only
    run -0 set_from three A
    [[ "$output" == *"web/web.env: A changed, 2 others as they were"* ]]
}

@test "rotate makes a value of random bytes" {
    run -0 chillboxctl secrets rotate SESSION_KEY --stage
    one=$(chillboxctl secrets list --json | jq -r '.secrets[0].digest')
    run -0 chillboxctl secrets rotate SESSION_KEY --bytes 16 --stage
    [ "$(chillboxctl secrets list --json | jq -r '.secrets[0].digest')" != "$one" ]
    run -2 chillboxctl secrets rotate SESSION_KEY --bytes 4 --stage
}

@test "edit is on a file system in memory alone, and leaves nothing there [fault-459]" {
    set_from 'hunter2' DB_URL
    cat >../editor <<'S'
#!/bin/sh
stat -f -c %T "$1" >>../edited; stat -c %a "$1" "$(dirname "$1")" >>../edited
sed -i 's/hunter2/hunter4/' "$1"; cp "$1" "$1~"
S
    chmod +x ../editor
    VISUAL="$PWD/../editor" run -0 at -- secrets edit web/web.env --stage
    [[ "$output" == *"web/web.env: changed"* ]]
    [ "$(paste -sd' ' ../edited)" = 'tmpfs 600 700' ]
    [ -z "$(ls -d /dev/shm/chillbox-edit-* 2>/dev/null)" ]
    VISUAL=true run -0 at -- secrets edit web/web.env --stage
    [[ "$output" == *"unchanged: web/web.env"* ]]
    VISUAL=false run -1 at -- secrets edit web/web.env --stage
    [[ "$output" == *"nothing was changed"* ]]
    printf 'editor = "true"\n' >"$XDG_CONFIG_HOME/chillbox/config.toml" && chmod 0600 "$XDG_CONFIG_HOME/chillbox/config.toml"
    VISUAL=false run -0 at -- secrets edit web/web.env --stage
    run -2 chillboxctl secrets edit web/web.env --stage </dev/null
    nowhere hunter4
}

@test "[attack-Q6] who may read the secrets is asked before someone new can, and someone who is not named cannot" {
    set_from hunter2 DB_URL
    (cd .. && person kim .)
    kims=$PWD/../of-kim
    run -4 env XDG_CONFIG_HOME="$kims" XDG_RUNTIME_DIR="$PWD/.." chillboxctl secrets list
    [[ "$output" == *"is not encrypted to you"*"age1"* ]]
    line=$(grep -o 'age1[a-z0-9]* # kim' <<<"$output")
    echo "$line" >>secrets/people.txt # by someone who may commit
    run -2 setsid --wait "$CTL" secrets set DB_URL --stage <<<other
    [[ "$output" == *"kim"*"say -y"* ]]
    run -4 env XDG_CONFIG_HOME="$kims" XDG_RUNTIME_DIR="$PWD/.." chillboxctl secrets list
    run -0 set_from other DB_URL -y
    [[ "$output" == *"kim (age1"*") can read these secrets from now on"* ]]
    run -0 env XDG_CONFIG_HOME="$kims" XDG_RUNTIME_DIR="$PWD/.." chillboxctl secrets list
    # taken out again: not from the next change on
    sed -i '/# kim/d' secrets/people.txt
    set_from third DB_URL
    run -4 env XDG_CONFIG_HOME="$kims" XDG_RUNTIME_DIR="$PWD/.." chillboxctl secrets list
    # exactly what that says: someone who can read them adds the line and runs the command, and a person answers
    [[ "$output" == *"adds the line \"$line\" to $PWD/secrets/people.txt and runs chillboxctl secrets push"* ]]
    echo "$line" >>secrets/people.txt
    run -1 at expect:'Let them from now on? [y/N]' type:n -- secrets push
    run -4 env XDG_CONFIG_HOME="$kims" XDG_RUNTIME_DIR="$PWD/.." chillboxctl secrets list
    run at expect:'Let them from now on? [y/N]' type:y -- secrets push
    [[ "$output" == *"nobody has agreed on this machine that kim (age1"*"encrypted again to the people in $PWD/secrets/people.txt"* ]]
    run -0 env XDG_CONFIG_HOME="$kims" XDG_RUNTIME_DIR="$PWD/.." chillboxctl secrets list
    sed -i '/# kim/d' secrets/people.txt
    set_from 'without kim' DB_URL
    # someone who may commit removes the document, or puts one there that names them already
    echo "$line" >>secrets/people.txt
    mv secrets/hello.age kept.age
    run -2 setsid --wait "$CTL" secrets set DB_URL --stage <<<other
    [[ "$output" == *"kim"*"say -y"* ]]
    env XDG_CONFIG_HOME="$kims" XDG_RUNTIME_DIR="$PWD/.." XDG_STATE_HOME="$PWD/../kims-state" chillboxctl secrets set OTHER --stage -y <<<x
    run -2 setsid --wait "$CTL" secrets set DB_URL --stage <<<other
    [[ "$output" == *"kim"*"say -y"* ]]
    mv kept.age secrets/hello.age
    env XDG_CONFIG_HOME="$kims" XDG_RUNTIME_DIR="$PWD/.." chillboxctl agent lock
    echo nonsense >>secrets/people.txt
    run -1 set_from fourth DB_URL
}

@test "[fault-560] the last secret is removed from the project only: a host takes no empty set" {
    set_from hunter2 DB_URL
    run -7 chillboxctl secrets unset DB_URL
    [[ "$output" == *"no secret of hello would be left"*"nothing was changed"*"--stage"* ]]
    [ "$(chillboxctl secrets list --json | jq -r '.secrets | length')" = 1 ]
    run -0 chillboxctl secrets unset DB_URL --stage
    [ "$(chillboxctl secrets list --json | jq -r '.secrets | length')" = 0 ]
}

@test "[fault-561] a key whose file has a space in its name is refused before it spoils the secrets" {
    set_from hunter2 DB_URL
    copy=$(cat secrets/hello.age)
    for half in key pub; do mv "$XDG_CONFIG_HOME/chillbox/keys/jo.$half" "$XDG_CONFIG_HOME/chillbox/keys/jo of web.$half"; done
    run -1 set_from other DB_URL
    [[ "$output" == *"jo of web.key: the name of a key has only letters"*"rename"* ]]
    [ "$copy" = "$(cat secrets/hello.age)" ]
    for half in key pub; do mv "$XDG_CONFIG_HOME/chillbox/keys/jo of web.$half" "$XDG_CONFIG_HOME/chillbox/keys/jo.$half"; done
    run -0 chillboxctl secrets list
}

@test "list and diff make no key; diff says with --json what each host has not" {
    rm "$XDG_CONFIG_HOME"/chillbox/keys/*
    for verb in list 'diff -H web1.example'; do
        # shellcheck disable=SC2086 # words
        run -3 chillboxctl secrets $verb
        [[ "$output" == *"you have no key in "* ]]
    done
    [ -z "$(ls "$XDG_CONFIG_HOME/chillbox/keys")" ]
    cp ../of-jo/chillbox/keys/jo.* "$XDG_CONFIG_HOME/chillbox/keys/"
    set_from hunter2 DB_URL
    run -0 --separate-stderr chillboxctl secrets diff --json -H root@web1.example
    [ "$(jq -r '.schema, .host, .sent, .differs[0]' <<<"$output" | paste -sd' ')" = 'chillbox.secrets-diff.v1 root@web1.example false + web/web.env:DB_URL' ]
}

# editor SCRIPT: what the editor does with "$1"; "$2" is how often it was started, from 1
editor() {
    # shellcheck disable=SC2016 # for the editor
    printf '#!/bin/sh\necho >>../runs; set -- "$1" "$(wc -l <../runs)"\n%s\n' "$1" >../editor
    chmod +x ../editor
    rm -f ../runs
    export VISUAL=$PWD/../editor
}
in_memory() { ls -d /dev/shm/chillbox-edit-*-* "$XDG_RUNTIME_DIR"/chillbox-edit-* 2>/dev/null; }

@test "[fault-980] secrets that could not be read again are refused before they are written, and an edit of too much before it begins" {
    head -c 780000 /dev/urandom | base64 -w 0 >../large
    n=1
    while chillboxctl secrets import ../large --as web/s$n.pem --stage >../said 2>&1; do
        n=$((n + 1))
        [ $n -lt 20 ]
    done
    grep -q 'hello.age would have [0-9]* bytes, more than the limit of 16777216: nothing was changed' ../said
    [ "$(stat -c %s secrets/hello.age)" -le 16777216 ]
    run -0 chillboxctl secrets list
    [[ "$output" == *web/s$((n - 1)).pem* && "$output" != *web/s$n.pem* ]]
    run -0 chillboxctl secrets unset web/s1.pem web/s1.pem --stage # there is a way to make room
    [[ "$output" == *"removed: web/s1.pem"* ]]
    run -0 chillboxctl secrets import ../large --as web/s$n.pem --stage
    rm secrets/hello.age
    for key in ONE TWO; do head -c 450000 /dev/urandom | base64 -w 0 | chillboxctl secrets set $key --stage; done
    VISUAL=false run -1 at -- secrets edit web/web.env --stage
    [[ "$output" == *"web.env has 12"*" bytes, more than the limit of an edit, 1048576: set its keys one by one"* ]]
}

@test "[fault-981] secrets that are set at the same time are all there" {
    set_from x FIRST
    pids=()
    for i in 1 2 3 4 5 6; do
        set_from "$i" "web/web.env:KEY_NUMBER_$i" -y 3>&- &
        pids+=($!)
    done
    for pid in "${pids[@]}"; do wait "$pid"; done
    run -0 chillboxctl secrets list --json
    [ "$(jq -r '[.secrets[].key] | join(" ")' <<<"$output")" = 'FIRST KEY_NUMBER_1 KEY_NUMBER_2 KEY_NUMBER_3 KEY_NUMBER_4 KEY_NUMBER_5 KEY_NUMBER_6' ]
}

@test "[fault-981] what another terminal or git pull changes while an editor is open stays; the same value is refused, and what was typed is not lost" {
    set_from 'old' DB_URL
    set_from 'one' OTHER
    editor 'echo two | chillboxctl secrets set OTHER --stage >&2; sed -i s/old/new/ "$1"'
    run -0 at -- secrets edit web/web.env --stage
    editor 'grep -q "OTHER=.two" "$1" && grep -q "DB_URL=.new" "$1"'
    run -0 at -- secrets edit web/web.env --stage
    [[ "$output" == *unchanged* ]]
    # the same key: theirs stays, and the text can be edited further
    editor '[ $2 != 1 ] || echo theirs | chillboxctl secrets set OTHER --stage >&2
[ $2 != 1 ] || sed -i "s/new/newer/; s/two/mine/" "$1"
[ $2 != 2 ] || { grep -q mine "$1" && sed -i "s/mine/two/" "$1"; }'
    run -0 at expect:'web/web.env:OTHER was changed by jo meanwhile, too' expect:'edit it again?' type:y -- secrets edit web/web.env --stage
    editor 'grep -q "OTHER=.theirs" "$1" && grep -q "DB_URL=.newer" "$1"'
    run -0 at -- secrets edit web/web.env --stage
    editor 'echo last | chillboxctl secrets set OTHER --stage >&2; sed -i s/theirs/mine/ "$1"'
    run -7 at expect:'edit it again?' type:n -- secrets edit web/web.env --stage
    [ -z "$(in_memory)" ]
}

@test "[fault-982] a mistake in the editor is shown and mended there: nothing that was typed is lost, and nothing is left" {
    set_from 'hunter2' DB_URL
    editor '[ $2 != 1 ] || printf "MORE=hunter5\nno line of a dotenv\n" >>"$1"
[ $2 != 2 ] || { grep -q hunter5 "$1" && sed -i "/no line/d" "$1"; }'
    run -0 at expect:'web/web.env: ' expect:'edit it again?' type: -- secrets edit web/web.env --stage
    [[ "$output" == *"web/web.env: changed"* && "$output" != *hunter5* ]]
    [ "$(chillboxctl secrets list --json | jq -r '[.secrets[].key] | join(" ")')" = 'DB_URL MORE' ]
    copy=$(cat secrets/hello.age)
    editor 'printf "no line of a dotenv\n" >>"$1"'
    run -1 at expect:'edit it again?' type:n -- secrets edit web/web.env --stage
    run -130 at expect:'edit it again?' ctrl-c -- secrets edit web/web.env --stage
    # nor by a no to somebody new
    (cd .. && person kim .)
    echo "$(chillboxctl whoami --json >/dev/null; grep -o 'age1[a-z0-9]*' ../kim.pub) # kim" >>secrets/people.txt
    editor 'sed -i s/hunter5/hunter6/ "$1"'
    run -1 at expect:'Let them from now on? [y/N]' type:n expect:'edit it again?' type:y \
        expect:'Let them from now on? [y/N]' type:n expect:'edit it again?' type:n -- secrets edit web/web.env --stage
    [ "$copy" = "$(cat secrets/hello.age)" ]
    [ -z "$(in_memory)" ]
    nowhere hunter6
}

@test "[fault-985] what a killed edit left in memory is removed by the next one" {
    set_from 'hunter2' DB_URL
    # shellcheck disable=SC2016 # its own number
    gone=$(sh -c 'echo $$')
    mkdir -m 0700 "/dev/shm/chillbox-edit-$gone-AAAAAA"
    echo hunter2 >"/dev/shm/chillbox-edit-$gone-AAAAAA/web.env"
    VISUAL=true run -0 at -- secrets edit web/web.env --stage
    [ ! -e "/dev/shm/chillbox-edit-$gone-AAAAAA" ]
}

@test "[fault-986] a secret that is typed is called by its name, and may be as long as a line of a terminal" {
    run -1 at expect:'DB_URL for web/web.env, not shown: ' type: -- secrets set DB_URL --stage
    [[ "$output" == *"DB_URL: is empty"* && "$output" != *passphrase* ]]
    run -0 at expect:'not shown: ' type:"$(head -c 1500 /dev/zero | tr '\0' x)" -- secrets set DB_URL --stage
    run -1 at expect:'not shown: ' type:"$(head -c 5000 /dev/zero | tr '\0' x)" -- secrets set DB_URL --stage
    [[ "$output" == *"DB_URL: longer than 4094 bytes: give it on standard input"* ]]
    head -c 5000 /dev/zero | tr '\0' x | chillboxctl secrets set DB_URL --stage
}

@test "[fault-987] words with a mistake are refused before a passphrase is asked for" {
    rm "$XDG_CONFIG_HOME"/chillbox/keys/*
    for words in 'set A=hunter2' 'set A B' 'set 1A' 'set web:A' 'unset A-B' 'rotate web/.env/x:A' 'import ../none --as web' 'edit web' 'edit web/web.env'; do
        # shellcheck disable=SC2086 # words
        run -2 setsid --wait "$CTL" secrets $words --stage </dev/null
        [[ "$output" != *passphrase* ]]
    done
    run -3 setsid --wait "$CTL" secrets import ../none --as web/web.env --stage </dev/null
    run -2 chillboxctl secrets pack . -s hello --serial 5 --for root@web1
    [[ "$output" == *"--serial and --for exclude each other"* ]]
}
