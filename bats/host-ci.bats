#!/usr/bin/env bats
# A machine that deploys: what `ci add` gives it, what it can do with that and what a thief of it cannot.

# shellcheck disable=SC2154,SC2030,SC2031 # box_up sets HOST, run sets $stderr

load helpers/box
load helpers/host
load helpers/laptop

setup_file() {
    host_possible || return 0
    host_up
    host_set_up
    laptop_up
    box net "$HOST" -- ssh-keyscan -t ed25519 127.0.0.1 2>/dev/null | sed 's/^127.0.0.1/web1.example/' >"$LAPTOP/known_hosts"
    export GIT_CONFIG_GLOBAL=$LAPTOP/gitconfig
    git config --file "$GIT_CONFIG_GLOBAL" user.name Jo
    git config --file "$GIT_CONFIG_GLOBAL" user.email jo@example.org
    git config --file "$GIT_CONFIG_GLOBAL" init.defaultBranch main
    pages hello
    pages blog
    laptop chillboxctl ci add hello -H root@web1.example --url "$URL" >"$LAPTOP/bundle" 2>"$LAPTOP/said"
}
teardown_file() { host_down; }
setup() { host_or_skip; }
teardown() { printf "%s\n" "${output-}" "${stderr-}"; } # bats shows it when a test failed

pages() { # SITE: a repository with a site of plain files
    mkdir -p "$LAPTOP/repos/$1/page"
    printf 'one\n' >"$LAPTOP/repos/$1/page/index.html"
    printf '{ "name": "Page", "server_name": "%s.example", "watch": "0s", "services": [{ "name": "page", "lang": "static" }] }\n' "$1" >"$LAPTOP/repos/$1/$1.site.json"
    git -C "$LAPTOP/repos/$1" init -q
    commit "$1" first
}

commit() { # SITE TEXT
    printf '%s\n' "$2" >"$LAPTOP/repos/$1/page/index.html"
    git -C "$LAPTOP/repos/$1" add -A
    git -C "$LAPTOP/repos/$1" commit -qm "$2"
}

# ci SITE [OPTION...]: a CI's run, in a fresh clone and a fresh home, with the bundle on standard input.
ci() {
    rm -rf "$LAPTOP/runner"
    mkdir -p "$LAPTOP/runner"
    git clone -q "$LAPTOP/repos/$1" "$LAPTOP/runner/work"
    env -i HOME="$LAPTOP/runner" PATH="$LAPTOP/bin:$PATH" CI=true "$ROOT/tests/host/box" net "$HOST" -- \
        sh -c 'cd "$1" && shift && exec chillboxctl deploy --ci-key - --yes "$@"' sh "$LAPTOP/runner/work" "${@:2}" <"${BUNDLE:-$LAPTOP/bundle}"
}

bundle() { sed 's/^cbci1_//' "$LAPTOP/bundle" | base64 -d | jq -r "$1"; }
page() { host_curl -H "Host: ${1:-hello}.example" "$URL/"; }

@test "ci add prints one line, once, and keeps nothing; the host has one key and one sender that are for this site alone" {
    [ "$(wc -l <"$LAPTOP/bundle")" = 1 ]
    grep -qE '^cbci1_[A-Za-z0-9+/=]+$' "$LAPTOP/bundle"
    grep -q "hello-ci may deploy hello on .*nothing else. Revoke: chillboxctl ci remove hello" "$LAPTOP/said"
    run ! grep -rqF -e "$(bundle .key | tail -n 1)" -e "$(bundle .hook)" "$LAPTOP_HOME"
    in_box grep -qx 'sites: hello' /etc/chillbox/trusted/hello-ci.pub
    in_box grep -qx 'only: releases' /etc/chillbox/trusted/hello-ci.pub
    in_box grep -qx 'sites: hello' /etc/chillbox/webhooks/hello-ci.key
    in_box grep -qx 'types: site.deploy' /etc/chillbox/webhooks/hello-ci.key
    run -0 laptop chillboxctl ci list -H root@web1.example
    [[ "$output" == *"hello-ci"*"hello"* ]]
    run -0 ctl trust list
    [[ "$output" == *"hello; only releases"* ]]
    in_box sh -c 'echo no key >/etc/chillbox/trusted/bad.pub'
    run -1 laptop chillboxctl ci list -H root@web1.example
    [[ "$output" == *"hello-ci"*"hello"*"chillboxctl: root@web1.example: /etc/chillbox/trusted/bad.pub: "* ]]
    in_box rm /etc/chillbox/trusted/bad.pub
}

@test "[attack-R15] a run of the CI: the line on standard input, no prompt, and the commit is live" {
    run -0 --separate-stderr ci hello
    [[ "$output" == "hello 0.0.1+g"*" is live on "* ]]
    [ "$(page)" = first ]
    commit hello second
    run -0 --separate-stderr ci hello
    [ "$(page)" = second ]
    # The lines that a person sees, two more when the minute has a serial already, and none for each step of the host.
    [ "$(grep -vc '^warning: ' <<<"$stderr")" -le 9 ]
    [[ "$stderr" == *"pack  "*"send  "*"build  "*"health  "*"live  "* && "$stderr" != *preflight* && "$stderr" != *retire* ]]
    [ "$(json releases hello '.releases[0].signer')" = hello-ci ]
}

@test "two runs within a minute: the second is newer" {
    commit hello third
    run -0 ci hello
    commit hello fourth
    run -0 --separate-stderr ci hello --json
    [ "$(jq -r .state <<<"$output")" = 'done' ]
    [ "$(page)" = fourth ]
}

@test "ci add again: it is there, exit 7 and nothing on standard output; an argument that is the line itself is refused" {
    run -7 --separate-stderr laptop chillboxctl ci add hello -H root@web1.example --url "$URL"
    [ -z "$output" ]
    [[ "$stderr" == *" has hello-ci already, "*"--rotate makes a new one"* ]]
    run -2 laptop chillboxctl deploy --ci-key "$(cat "$LAPTOP/bundle")"
    [[ "$output" == *"--ci-key takes a file, or - for standard input"* ]]
    [[ "$output" != *"$(cut -c 1-40 "$LAPTOP/bundle")"* ]]
}

@test "ci add and ci remove leave a webhook sender alone that only has the name of one for a CI [fault-612]" {
    ctl webhook add blog-ci --sites blog --types site.restart >/dev/null 2>&1
    for verb in "add blog --url $URL" 'remove blog'; do
        # shellcheck disable=SC2086 # words
        run -7 laptop chillboxctl ci $verb -H root@web1.example
        [[ "$output" == *"has a webhook sender blog-ci that is not of "*"chillboxctl webhook list -H "* ]]
    done
    [[ "$(ctl webhook list)" == *blog-ci* ]]
    ctl webhook remove blog-ci
}

@test "a line that is cut off, empty or another text is said to be so, and never printed [fault-580]" {
    for text in '' 'ghp_something' "$(head -c 300 "$LAPTOP/bundle")"; do
        printf '%s\n' "$text" >"$LAPTOP/bad"
        BUNDLE=$LAPTOP/bad run -1 ci hello
        [[ "$output" == *"--ci-key: "* ]]
        [[ "$output" != *"$(cut -c 20-60 "$LAPTOP/bundle")"* ]]
    done
}

@test "[attack-R10] a stolen line deploys no other site: not from its folder, not under its name, not by a webhook made by hand" {
    run -4 ci blog
    [[ "$output" == *"this CI key is for site 'hello' alone, and what is here is 'blog'"* ]]
    printf 'cbci1_%s\n' "$(bundle '.site = "blog"' | base64 -w 0)" >"$LAPTOP/forged"
    BUNDLE=$LAPTOP/forged run -4 ci blog
    [[ "$output" == *"refused this CI key"* ]]
    # The thief has the sender of another site, too: then it is the signature that is not taken.
    ctl webhook add thief --sites blog --types site.deploy 2>/dev/null >"$LAPTOP/thief.hook"
    printf 'cbci1_%s\n' "$(bundle ".site = \"blog\" | .hook = \"$(cat "$LAPTOP/thief.hook")\"" | base64 -w 0)" >"$LAPTOP/forged"
    BUNDLE=$LAPTOP/forged run -4 ci blog
    [[ "$output" == *"may sign for hello, not for 'blog'"* ]]
    run ! in_box test -e /srv/blog
    ctl webhook remove thief
}

@test "[attack-R11] a stolen line sends no secrets: not by its own sender, and its signature is not taken by another's" {
    bundle .key >"$LAPTOP/stolen.key"
    bundle .hook >"$LAPTOP/stolen.hook"
    mkdir -p "$LAPTOP/secrets/page"
    printf 'WHISPER = "theirs"\n' >"$LAPTOP/secrets/page/page.cfg"
    set=$("$CTL" secrets pack -q "$LAPTOP/secrets" -s hello -r "$RECIPIENT" -k "$LAPTOP/stolen.key" -o "$LAPTOP/out")
    run -4 box net "$HOST" -- "$CTL" deploy "$set" --to "$URL" --webhook-key "$LAPTOP/stolen.hook" --wait
    run -4 send "$set"
    [[ "$output" == *"key 'hello-ci' may sign releases, not a secret set"* ]]
}

@test "[attack-R12] a stolen line rolls nothing back and restarts nothing" {
    cp "$LAPTOP/hook.key" "$LAPTOP/keep.hook"
    bundle .hook >"$LAPTOP/hook.key"
    for type in site.rollback site.restart; do
        run -0 announce "$type" '{"site":"hello"}'
        [[ "$output" == *denied* ]]
    done
    mv "$LAPTOP/keep.hook" "$LAPTOP/hook.key"
    [ "$(page)" = fourth ]
}

@test "a locked host: exit 6 at once, with the line to type; the deploy goes on after the unlock" {
    commit hello fifth
    ctl lock
    run -6 ci hello
    [[ "$output" == *" is locked: the deploy waits there until somebody unlocks it (chillboxctl unlock -H "* ]]
    unlock
    wait_for 30 sh -c "[ \"\$('$ROOT/tests/host/box' net '$HOST' -- curl -sS -H 'Host: hello.example' '$URL/')\" = fifth ]"
}

@test "ci add --rotate: the old line is refused (exit 4), the new one deploys, and what is live stays good" {
    cp "$LAPTOP/bundle" "$LAPTOP/old"
    run -0 --separate-stderr laptop chillboxctl ci add hello -H root@web1.example --url "$URL" --rotate
    printf '%s\n' "$output" >"$LAPTOP/bundle"
    [ "$(json status '.sites[0].distrust // ""')" = '' ]
    commit hello sixth
    BUNDLE=$LAPTOP/old run -4 ci hello
    [[ "$output" == *"refused this CI key: it was removed or replaced"* ]]
    run -0 ci hello
    [ "$(page)" = sixth ]
}

@test "ci add --rotate that fails on the way, at the host or at gh, leaves the old line working and nothing else behind [fault-741]" {
    name=$(in_box sh -c 'ls /etc/chillbox/trusted | grep hello-ci')
    in_box mv /usr/bin/chillboxctl /usr/bin/chillboxctl.real
    for broken in 'trust add' 'webhook add'; do
        in_box sh -c 'printf "#!/bin/sh\ncase \"\$1 \$2\" in \"%s\") echo no space left >&2; exit 1 ;; esac\nexec chillboxctl.real \"\$@\"\n" "$1" >/usr/bin/chillboxctl; chmod 0755 /usr/bin/chillboxctl' sh "$broken"
        run ! laptop chillboxctl ci add hello -H root@web1.example --url "$URL" --rotate
        [[ "$output" == *"no space left"* && "$output" != *cbci1_* ]]
        [ "$(in_box sh -c 'ls /etc/chillbox/trusted | grep hello-ci')" = "$name" ]
        [ "$(in_box sh -c 'ls /etc/chillbox/webhooks | grep hello-ci')" = "${name%.pub}.key" ]
    done
    in_box mv -f /usr/bin/chillboxctl.real /usr/bin/chillboxctl
    printf '#!/bin/sh\nexit 1\n' >"$LAPTOP/bin/gh"
    chmod 0755 "$LAPTOP/bin/gh"
    run -1 laptop chillboxctl ci add hello -H root@web1.example --url "$URL" --rotate --github
    rm "$LAPTOP/bin/gh"
    [ "$(in_box sh -c 'ls /etc/chillbox/trusted | grep hello-ci')" = "$name" ]
    commit hello 'after a rotation that failed'
    run -0 ci hello
    [ "$(page)" = 'after a rotation that failed' ]
    # What a run leaves that was killed half way goes with the next one.
    ctl trust add "$(cd "$LAPTOP" && "$CTL" keygen -q -o half --no-password >keys && tail -n 1 half.pub)" --name hello-ci-beef --sites hello --only-releases
    laptop chillboxctl ci add hello -H root@web1.example --url "$URL" --rotate >"$LAPTOP/bundle"
    [ "$(in_box sh -c 'ls /etc/chillbox/trusted | grep -c hello-ci')" = 1 ]
    commit hello sixth
    run -0 ci hello
}

@test "ci add at a terminal warns that the line is on the screen; --github gives it to gh and prints none" {
    run -0 at_terminal -- chillboxctl ci add blog -H root@web1.example --url "$URL"
    [[ "$output" == *"cbci1_"*"warning:"*"this line is the key"* ]]
    run -0 laptop chillboxctl ci remove blog -H root@web1.example
    run -3 laptop chillboxctl ci add blog -H root@web1.example --url "$URL" --github
    [[ "$output" == *"--github: "*gh* ]]
    printf '#!/bin/sh\n[ "$*" = "secret set CHILLBOX_CI" ] && cat >"%s/at-github"\n' "$LAPTOP" >"$LAPTOP/bin/gh"
    chmod 0755 "$LAPTOP/bin/gh"
    run -0 laptop chillboxctl ci add blog -H root@web1.example --url "$URL" --github
    [[ "$output" != *cbci1_* ]]
    grep -qE '^cbci1_' "$LAPTOP/at-github"
}

@test "what is not handed over is taken back: gh fails, and the host has no grant" {
    laptop chillboxctl ci remove blog -H root@web1.example
    printf '#!/bin/sh\necho "no repository" >&2\nexit 1\n' >"$LAPTOP/bin/gh"
    run -1 laptop chillboxctl ci add blog -H root@web1.example --url "$URL" --github
    [[ "$output" == *"gh secret set: no repository"* ]]
    run ! in_box test -e /etc/chillbox/trusted/blog-ci.pub
    run ! in_box test -e /etc/chillbox/webhooks/blog-ci.key
}

@test "[attack-R13] after ci remove the line is refused (exit 4), a job that it began ends, and it does not come back by itself" {
    commit hello seventh
    ctl lock
    run -6 ci hello
    run -0 laptop chillboxctl ci remove hello -H root@web1.example
    [[ "$output" == *"removed: hello-ci may not deploy hello on "*" any more; what it made live stays good"* ]]
    unlock
    run -4 ci hello
    [ "$(page)" = sixth ]
    run -0 laptop chillboxctl ci remove hello -H root@web1.example
    [[ "$output" == *unchanged* ]]
    run -0 laptop chillboxctl ci list -H root@web1.example
    [[ "$output" == *"no CI may deploy: chillboxctl ci add SITE"* ]]
}

@test "ci add --approve: the CI has no key and sends nothing; a person packs the same commit, and it is live with his signature" {
    run -0 --separate-stderr laptop chillboxctl ci add hello -H root@web1.example --url "$URL" --approve
    printf '%s\n' "$output" >"$LAPTOP/keyless"
    BUNDLE=$LAPTOP/keyless
    [ "$(sed 's/^cbci1_//' "$BUNDLE" | base64 -d | jq -r '.key + .hook')" = '' ]
    commit hello approved
    umask 077
    run -0 --separate-stderr ci hello
    umask 022
    [[ "$output" == "chillboxctl approve "*" --digest "*" -H root@web1.example" ]]
    [[ "$stderr" == *"packed, and not sent"* ]]
    [ "$(page)" = sixth ]
    printf '%s\n' "$output" >"$LAPTOP/approve"
    printf 'not committed\n' >"$LAPTOP/repos/hello/page/index.html"
    run -2 laptop sh -c "cd '$LAPTOP/repos/hello' && $(cat "$LAPTOP/approve") -k '$LAPTOP/deployer.key'" </dev/null # nobody has seen whose it is
    [[ "$output" == *"approve"* ]]
    [ "$(page)" != approved ]
    run -0 --separate-stderr laptop sh -c "cd '$LAPTOP/repos/hello' && $(cat "$LAPTOP/approve") -y -k '$LAPTOP/deployer.key'"
    [ "$(page)" = approved ]
    [ "$(json releases hello '.releases[0].signer')" = laptop ]
    [ "$(git -C "$LAPTOP/repos/hello" worktree list | wc -l)" = 1 ]
    [ -z "$(ls "$LAPTOP_HOME/cache/chillbox/commits")" ]
}

@test "[attack-R14] a CI that packed something else gets no signature: the digest differs, exit 4, and nothing is sent" {
    git -C "$LAPTOP/repos/hello" checkout -q .
    commit hello eighth
    hash=$(git -C "$LAPTOP/repos/hello" rev-parse --short HEAD)
    run -4 laptop sh -c "cd '$LAPTOP/repos/hello' && chillboxctl approve $hash --digest $(printf x | sha256sum | cut -c 1-64) -y -H root@web1.example -k '$LAPTOP/deployer.key'"
    [[ "$output" == *"this commit, packed here, has the digest "*"Nothing was signed"* ]]
    [ "$(page)" = approved ]
    run -3 laptop sh -c "cd '$LAPTOP/repos/hello' && chillboxctl approve 0123456 --digest x -H root@web1.example"
    [[ "$output" == *"there is no commit '0123456'"*"git fetch"* ]]
}

@test "deploy --commit: exactly that commit, whatever the folder has; a branch of chillbox.toml must have it [fault-581]" {
    cd "$LAPTOP/repos/hello"
    printf 'not committed\n' >page/index.html
    run -0 laptop chillboxctl deploy --commit HEAD -H root@web1.example -k "$LAPTOP/deployer.key" -y
    [ "$(page)" = eighth ]
    git checkout -q .
    git checkout -qb side
    printf '[env.production]\nhost = "root@web1.example"\nbranch = "main"\n' >chillbox.toml
    commit hello ninth
    run -8 laptop chillboxctl deploy --commit HEAD -e production -k "$LAPTOP/deployer.key" -y
    [[ "$output" == *"takes deploys from branch 'main' only, and commit "*" is not in it"* ]]
    git branch -qf main side
    run -0 laptop chillboxctl deploy --commit HEAD -e production -k "$LAPTOP/deployer.key" -y
    [ "$(page)" = ninth ]
}

@test "a commit cannot take away the branch that chillbox.toml here asks for [fault-616]" {
    cd "$LAPTOP/repos/hello"
    git checkout -qb free
    printf '[env.production]\nhost = "root@web1.example"\n' >chillbox.toml
    commit hello unreviewed
    git checkout -q side
    run -8 laptop chillboxctl deploy --commit free -e production -k "$LAPTOP/deployer.key" -y
    [[ "$output" == *"/repos/hello/chillbox.toml takes deploys from branch 'main' only, and commit "*" is not in it"* ]]
    [ "$(page)" = ninth ]
    git branch -qD free
}

# The steps of a workflow with a `run`, one after the other as a runner does it: a shell each, with the step's environment.
workflow() { # FILE
    rm -rf "$LAPTOP/runner"
    mkdir -p "$LAPTOP/runner/temp"
    git clone -q "$LAPTOP/repos/hello" "$LAPTOP/runner/work"
    env -i HOME="$LAPTOP/runner" PATH="$PATH" RUNNER_TEMP="$LAPTOP/runner/temp" "$ROOT/tests/host/box" net "$HOST" -- python3 - "$LAPTOP/runner/work" "$1" "$CTL" "$LAPTOP/bundle" <<'PY'
import hashlib, os, re, subprocess, sys, yaml
work, file, program, bundle = sys.argv[1:]
known = {"vars.CHILLBOXCTL_URL": "file://" + program, "vars.CHILLBOXCTL_SHA256": hashlib.sha256(open(program, "rb").read()).hexdigest(),
         "secrets.CHILLBOX_CI": open(bundle).read().strip()}
flow = yaml.safe_load(open(file))
assert flow[True] == {"push": {"branches": ["main"]}}, flow  # "on" is true in YAML 1.1
steps = flow["jobs"]["deploy"]["steps"]
assert steps[0]["uses"].endswith("actions/checkout@v4") and steps[0]["with"]["fetch-depth"] == 0
for step in steps[1:]:
    env = {name: re.sub(r"\$\{\{ (.*?) \}\}", lambda match: known[match[1]], value) for name, value in step["env"].items()}
    subprocess.run(["bash", "-e", "-o", "pipefail", "-c", step["run"]], cwd=work, env={**os.environ, **env}, check=True)
PY
}

@test "the workflows of docs/examples/ci: what they run deploys the commit, and stops at a program that is another one" {
    python3 -c "import yaml" 2>/dev/null || skip "no PyYAML on this machine"
    git -C "$LAPTOP/repos/hello" checkout -q main
    laptop chillboxctl ci add hello -H root@web1.example --url "$URL" --rotate >"$LAPTOP/bundle"
    jq --arg file "$LAPTOP/seen" '.env = [{"name": "SEEN", "cmd": "env >>\($file); echo yes"}]' "$LAPTOP/repos/hello/hello.site.json" >"$LAPTOP/with-command"
    cp "$LAPTOP/with-command" "$LAPTOP/repos/hello/hello.site.json"
    for file in github-actions forgejo; do
        commit hello "by $file"
        run -0 workflow "$ROOT/docs/examples/ci/$file.yml"
        [ "$(page)" = "by $file" ]
        grep -q '^RUNNER_TEMP=' "$LAPTOP/seen" # what a site runs sees the environment, and not the key
        run ! grep -qF "$(cat "$LAPTOP/bundle")" "$LAPTOP/seen"
        [[ "$(json releases hello '.releases[0].version')" == 0.0.*+g??????? ]] # and not .dirty
    done
    sed 's/SHA256 *}}/SHA256 }}0/' "$ROOT/docs/examples/ci/forgejo.yml" >"$LAPTOP/bad.yml"
    run ! workflow "$LAPTOP/bad.yml"
    [[ "$output" != *"is live"* ]]
}

@test "git push to chillbox::HOST/SITE deploys exactly the commit that is pushed, and what the deploy says is on standard error" {
    install -m 0755 "$ROOT/apk/git-remote" "$LAPTOP/bin/git-remote-chillbox"
    mkdir -p "$LAPTOP_HOME/config/chillbox/keys"
    cp "$LAPTOP/deployer.key" "$LAPTOP/deployer.pub" "$LAPTOP_HOME/config/chillbox/keys/"
    chmod 0600 "$LAPTOP_HOME/config/chillbox/keys/deployer.key"
    cd "$LAPTOP/repos/hello"
    git remote add live chillbox::root@web1.example/hello
    commit hello pushed
    printf 'not committed\n' >page/index.html
    run -0 --separate-stderr laptop git push live main
    [ -z "$output" ]
    [[ "$stderr" == *"http://hello.example is 0.0."*"main -> main"* ]]
    [ "$(page)" = pushed ]
    git checkout -q page/index.html
    run -0 laptop git push live main
    [[ "$output" == *"already live"* ]]
}

@test "git push: not forward from what is live, a tag, a removal, two branches and a fetch are refused, and nothing is deployed [fault-582]" {
    cd "$LAPTOP/repos/hello"
    git branch -f old HEAD~1
    run -1 laptop git push live old:main
    [[ "$output" == *"not forward from what is live, commit "*"push with --force"* ]]
    git tag v9.9.9
    run -1 laptop git push live v9.9.9
    [[ "$output" == *"only a branch is deployed"* ]]
    run -1 laptop git push live :main
    [[ "$output" == *"unable to delete"* ]]
    run -1 laptop git push live main old
    [[ "$output" == *"push one branch: a host has one release of a site"* ]]
    run ! laptop git fetch live
    [[ "$output" == *"this remote is only for git push"* ]]
    run ! laptop git push chillbox::web1 main
    [[ "$output" == *"is not chillbox::HOST/SITE"* ]]
    run -1 laptop git push chillbox::root@web1.example/other main
    [[ "$output" == *"the repository has no other.site.json or .site.toml"* ]]
    git tag -d v9.9.9
    [ "$(page)" = pushed ]
    run -0 laptop git push --force live old:main
    [ "$(page)" != pushed ]
}

@test "git push of a release that does not come up: the push fails, and what was live stays" {
    cd "$LAPTOP/repos/hello"
    before=$(page)
    git checkout -qb broken
    printf '{ "name": "Page", "server_name": "hello.example", "services": [{ "name": "page", "lang": "no-such" }] }\n' >hello.site.json
    commit hello broken
    run -1 laptop git push --force live broken
    [[ "$output" == *"remote rejected"*"the deploy failed, exit "* ]]
    [ "$(page)" = "$before" ]
}
