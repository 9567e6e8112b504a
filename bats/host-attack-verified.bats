#!/usr/bin/env bats
# What an attacker tries to change between the signature and what runs: the staged tree, a hook's interpreter, the layers, links of a build.

# shellcheck disable=SC2154,SC2016 # box_up sets HOST; "sh -c" expands in the box

load helpers/box
load helpers/host
load helpers/attack

setup_file() {
    host_possible || return 0
    attack_up
    attack_site victim
    attack_deploy victim
}

teardown_file() { host_down; }
setup() { host_or_skip; }

# From now on the kind of attack_site's service makes a layer when it has a requirements.txt, as the Python handler's build does, and runs
# what the service's file `also` says.
layered_kind() {
    in_box sh -c 'mkdir -p /etc/chillbox/hooks.d/handlers/binary && cd /etc/chillbox/hooks.d/handlers/binary && cp /usr/lib/chillbox/hooks/handlers/binary/command . &&
        cp /usr/lib/chillbox/hooks/handlers/binary/kind.json . && cat >build && chmod 0755 build' <<'END'
#!/bin/sh
set -eu
[ -e requirements.txt ] || exit 0
key=$(sha256sum requirements.txt | cut -c 1-32)
layer=
for found in "$CHILLBOX_CACHE_DIR/$key"*; do [ ! -d "$found" ] || layer=$found; done
if [ -z "$layer" ]; then
  layer=${CHILLBOX_LAYER_DIR:-$CHILLBOX_CACHE_DIR}/$key
  mkdir -p "$layer"
  cp requirements.txt "$layer/code"
  sleep "$(cat slow 2>/dev/null || echo 0)"
fi
ln -s "$layer" "$CHILLBOX_BUILD_DIR/layer"
sh -c "$(cat also 2>/dev/null || echo :)"
END
}

# last JQ: of the newest job
last() { json jobs ".jobs[0]$1"; }
output_of() { json job "$(last .id)" '[.events[] | select(.kind == "log") | .text] | join("\n")'; }

@test "a .pth in the home of a site's user runs in no hook of an honest deploy [attack-A1]" {
    secrets quiet
    make_site 1.0.0
    send "$(pack)"
    # What a hole in that web application lets one write: its user's own site-packages, open to whoever comes with its HOME.
    as_site hello sh -c 'd=$(echo /usr/lib/python3.[0-9]*); d=/var/lib/hello/.local/lib/${d##*/}/site-packages; mkdir -p "$d" && chmod 755 /var/lib/hello &&
        echo "import os; os.system(\"id >>/tmp/pwned; ls -lR . >>/tmp/pwned; echo evil >>hello.site.json\")" >"$d/x.pth" &&
        cp "$d/x.pth" "$d/sitecustomize.py"'
    in_box sh -c 'touch /tmp/pwned && chmod 666 /tmp/pwned'
    make_site 1.1.0
    run -0 send "$(pack)"
    [ "$(in_box sh -c 'grep -v "uid=[0-9]*(hello)" /tmp/pwned | grep uid= || :')" = '' ]
    [ "$(get /)" = 'hello from 1.1.0' ]
    in_box sh -c '! grep -q evil /srv/chillbox/hello/current/hello.site.json'
}

@test "a hook that tries everything changes nothing of what was unpacked, and starts nothing that lives on [attack-A1][attack-A3][attack-C4]" {
    in_box sh -c 'mkdir -p /etc/chillbox/hooks.d/handlers/x-evil && cd /etc/chillbox/hooks.d/handlers/x-evil && cp /usr/lib/chillbox/hooks/handlers/binary/command . &&
        cp /usr/lib/chillbox/hooks/handlers/binary/kind.json . && sed -i s/true/false/ kind.json && cat >preflight && chmod 0755 preflight command' <<'END'
#!/bin/sh
exec 2>/dev/null
echo evil >>"$CHILLBOX_SERVICE_DIR/web"
mkdir -p "$CHILLBOX_RELEASE_DIR/nginx/templates" && echo 'server {}' >"$CHILLBOX_RELEASE_DIR/nginx/templates/x.conf.template"
chmod -R u+w "$CHILLBOX_RELEASE_DIR"
mv "$CHILLBOX_SERVICE_DIR" "$CHILLBOX_SERVICE_DIR.old"
echo x >/run/chillbox/secrets/x
ls /run/chillbox/secrets/* /run/chillbox/stage/../secrets /proc/[0-9]*/cwd/ >/dev/null && echo "sees secrets"
setsid sh -c 'while :; do sleep 0.1; echo evil >>"$CHILLBOX_SERVICE_DIR/web"; done' &
( trap '' TERM HUP; exec setsid sleep 4712 ) &
exit 0
END
    attack_site evil '.services[0].lang = "x-evil"'
    run -0 attack_deploy evil
    in_box cat /srv/chillbox/evil/current/web/web | cmp - "$(attack_folder evil)/web/web"
    in_box test ! -e /srv/chillbox/evil/current/nginx
    run -1 in_box pgrep -f 'sleep 4712'
    [ "$(in_box ls -A /run/chillbox/stage)" = '' ]
}

@test "a build sees no other site's stage, secrets or processes, however often it looks [attack-A3]" {
    layered_kind
    mkdir -p "$LAPTOP/set/web"
    printf 'whisper-of-the-victim\n' >"$LAPTOP/set/web/key"
    attack_site spy
    printf 'a\n' | attack_file spy web/requirements.txt
    # For some seconds, while the other site deploys and gets new secrets: whatever belongs to another, by every path that there is.
    attack_file spy web/also <<'END'
end=$(($(date +%s) + 8))
id >&2
while [ "$(date +%s)" -lt $end ]; do
  cat /run/chillbox/secrets/.*/*/* /run/chillbox/secrets/*/*/* /run/chillbox/stage/*/*/*/* /proc/[0-9]*/cwd/*/* /proc/[0-9]*/root/*/web/* 2>/dev/null |
    grep -a "[w]hisper-of-the-victim\|[s]tage-of-the-victim" && echo SEEN
  for p in /proc/[0-9]*; do tr '\0' ' ' <$p/cmdline 2>/dev/null; done | grep -a "[s]tager\|[v]ault" && echo SEEN
done
:
END
    attack_send spy "$(attack_pack spy)" >"$BATS_TEST_TMPDIR/spy" 2>&1 3>&- &
    spy=$!
    wait_for 20 in_box test -d /srv/chillbox/spy/releases
    for _ in 1 2 3; do
        printf 'stage-of-the-victim\n' | attack_file victim web/mark
        attack_deploy victim
        set=$("$CTL" secrets pack -q "$LAPTOP/set" -s victim -r "$RECIPIENT" -k "$LAPTOP/victim.key" -o "$LAPTOP/out")
        HOOK=$LAPTOP/hook.key attack_send victim "$set" # the site's own sender may deploy, no more
    done
    wait "$spy" || { cat "$BATS_TEST_TMPDIR/spy"; false; }
    id=$(json jobs '[.jobs[] | select(.site == "spy")][0].id')
    run -0 json job "$id" '[.events[] | select(.step == "build" and .kind == "log") | .text] | join("\n")'
    [[ "$output" == *uid=65* ]]
    [[ "$output" != *SEEN* && "$output" != *whisper* ]]
}

@test "no two jobs at a time have the same user, and none has the service's [attack-A3]" {
    attack_site one
    attack_site two
    for site in one two; do
        printf 'b\n' | attack_file $site web/requirements.txt
        printf 'id -u; sleep 3\n' | attack_file $site web/also
        attack_send $site "$(attack_pack $site)" >/dev/null 2>&1 3>&- &
    done
    wait_for 20 in_box sh -c 'ps -eo uid= | grep -c "^ *65" | grep -qv "^[01]$"' || :
    wait
    ids=$(for site in one two; do json job "$(json jobs "[.jobs[] | select(.site == \"$site\")][0].id")" '[.events[] | select(.step == "build" and .kind == "log") | .text][0]'; done)
    [ "$(sort -u <<<"$ids" | grep -c '^65[0-9][0-9][0-9]$')" -eq 2 ]
}

@test "a running service puts no layer of its own into the cache, and changes none that is being built [attack-C3]" {
    attack_site app
    printf 'honest 1\n' | attack_file app web/requirements.txt
    attack_deploy app
    # While the next build makes its layer, the service renames, replaces and writes whatever it can reach.
    printf 'honest 2\n' | attack_file app web/requirements.txt
    printf '4\n' | attack_file app web/slow
    key=$(sha256sum <"$(attack_folder app)/web/requirements.txt" | cut -c 1-32)
    attack_send app "$(attack_pack app)" >"$BATS_TEST_TMPDIR/app" 2>&1 3>&- &
    sender=$!
    wait_for 20 in_box sh -c 'ls -d /srv/chillbox/app/releases/*/.chillbox/.work/layers/* /srv/chillbox/app/cache/'"$key"' 2>/dev/null | grep -q .'
    run in_service app sh -c 'cd /srv/chillbox/app/cache; id -u
        mkdir evil && echo made; for l in *; do mv "$l" "$l.old" && cp -r "$l.old" "$l" && echo moved; done
        mkdir '"$key"'-evil && echo made
        for d in /srv/chillbox/app/releases/*/.chillbox/.work /srv/chillbox/app/releases/*/.chillbox/web /srv/chillbox/app/releases/*/.chillbox/.work/layers/*; do
          echo evil >"$d/zz.pth" && echo "wrote $d"; done 2>/dev/null
        find /srv/chillbox/app -writable ! -type l 2>/dev/null'
    printf '%s\n' "$output"
    [[ "$output" == *"$(in_box id -u app)"* ]] # it did run
    [[ "$output" != *made* && "$output" != *moved* && "$output" != *wrote* && "$output" != */srv/* ]]
    wait "$sender" || { cat "$BATS_TEST_TMPDIR/app"; false; }
    [ "$(in_box cat /srv/chillbox/app/current/.chillbox/web/layer/code)" = 'honest 2' ]
    [ "$(in_box find /srv/chillbox/app/cache /srv/chillbox/app/releases ! -user root)" = '' ]
}

@test "a layer that a site's user left in the cache is not used, and one that was changed ends the deploy as corrupt [attack-C3]" {
    # As a chillbox left it that gave the cache to the site's user while a build ran.
    key=$(printf 'honest 3\n' | sha256sum | cut -c 1-32)
    in_box sh -c 'cd /srv/chillbox/app/cache && mkdir "$1" "$1-0000" && echo evil | tee "$1/code" >"$1-0000/code" && chown -R app:app "$1" "$1-0000"' sh "$key"
    printf 'honest 3\n' | attack_file app web/requirements.txt
    rm "$(attack_folder app)/web/slow"
    run attack_deploy app
    [ "$status" -ne 0 ]
    [[ "$output" == *"a layer is not root's alone: "*"it belongs to uid "*"and deploy again"* ]]
    [ "$(in_box cat /srv/chillbox/app/current/.chillbox/web/layer/code)" = 'honest 2' ]
    in_box sed -i 's/"$CHILLBOX_CACHE_DIR\/$key"\*/"$CHILLBOX_CACHE_DIR\/$key"-*/' /etc/chillbox/hooks.d/handlers/binary/build
    run -0 attack_deploy app
    [ "$(in_box cat /srv/chillbox/app/current/.chillbox/web/layer/code)" = 'honest 3' ]
    [ "$(in_box ls /srv/chillbox/app/cache | grep -c "^$key$")" -eq 0 ] # pruned
    in_box sh -c 'echo evil >>/srv/chillbox/app/current/.chillbox/web/layer/code'
    run attack_deploy app
    [ "$status" -eq 1 ]
    [[ "$output" == *"is not what was built under this name: remove /srv/chillbox/app/cache/$key-"* ]]
}

@test "a build's links lead nowhere but to the release, its layers and the system [attack-D12]" {
    attack_site links
    printf 'c\n' | attack_file links web/requirements.txt
    for target in /var/log/nginx/victim /run/chillbox/secrets/victim ../../../../../victim/current/web /srv/chillbox/victim/state.json; do
        printf 'ln -s %s "$CHILLBOX_BUILD_DIR/link"\n' "$target" | attack_file links web/also
        run attack_deploy links
        [ "$status" -ne 0 ]
        [[ "$output" == *"what was built has a link that leaves the release: '.chillbox/web/link' links to '$target'"* ]]
    done
    printf 'ln -s /usr/bin/python3 "$CHILLBOX_BUILD_DIR/link"\n' | attack_file links web/also
    run -0 attack_deploy links
}

@test "what NGINX serves by itself has no link out of it, in the artifact or made by a build [attack-D12]" {
    attack_site files '.services += [{"name": "pages", "lang": "static"}]'
    printf 'page\n' | attack_file files pages/index.html
    ln -s ../../web/web "$(attack_folder files)/pages/link"
    mkdir -p "$(attack_folder files)/pages/more"
    mv "$(attack_folder files)/pages/link" "$(attack_folder files)/pages/more/link"
    run attack_deploy files
    [ "$status" -eq 8 ]
    [[ "$output" == *"'more/link' in "*" links to '../../web/web', out of the folder that NGINX serves"* ]]
}

@test "status, sites and plan start no program to learn what a kind is [attack-A1]" {
    in_box sh -c 'cd /etc/chillbox/hooks.d/handlers/binary && printf "#!/bin/sh\necho ran >/root/described\necho {}\n" >describe && chmod 0755 describe'
    ctl status >/dev/null
    ctl sites >/dev/null
    ctl plan victim >/dev/null || :
    in_box test ! -e /root/described
    in_box rm /etc/chillbox/hooks.d/handlers/binary/kind.json
    run attack_deploy victim
    [ "$status" -eq 8 ]
    [[ "$output" == *"/etc/chillbox/hooks.d/handlers/binary/describe is no longer run: write the JSON that it prints to /etc/chillbox/hooks.d/handlers/binary/kind.json"* ]]
    in_box rm -r /etc/chillbox/hooks.d/handlers/binary
}

@test "an account with a number of the jobs' users is named, and the daemon does not start with it [attack-A3]" {
    in_box sh -c 'echo "old:x:65030:65030::/:/bin/false" >>/etc/passwd'
    run ctl doctor
    [[ "$output" == *"'old' in /etc/passwd has number 65030"* ]]
    in_box sed -i '/^old:/d' /etc/passwd
    run ctl doctor
    [[ "$output" != *65030* ]]
}
