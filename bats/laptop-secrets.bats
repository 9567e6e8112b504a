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
