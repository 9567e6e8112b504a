#!/usr/bin/env bats
# Artifacts that are signed with a person's key of ssh, by the real ssh-keygen, through a real ssh-agent, and taken by a host: what such a signature
# opens, and what it does not.

# shellcheck disable=SC2154,SC2016 # box_up sets HOST, run sets output; what others' shells would expand

load helpers/box
load helpers/host
load helpers/laptop

setup_file() {
    host_possible || return 0
    host_up
    host_set_up
    laptop_up
    know_host_key
    for site in hello blog; do (cd "$LAPTOP" && "$CTL" new "$site" --kind static -q >/dev/null); done
    SSH_AUTH_SOCK=$LAPTOP/agent.sock
    eval "$(SSH_ASKPASS=/bin/false DISPLAY=none ssh-agent -a "$SSH_AUTH_SOCK" 3>&-)" >&2
    export SSH_AUTH_SOCK SSH_AGENT_PID
}
teardown_file() {
    host_down
    [ -z "${SSH_AGENT_PID-}" ] || kill "$SSH_AGENT_PID"
}
setup() { host_or_skip; }
teardown() { printf '%s\n' "${output-}"; }

key() { cut -d ' ' -f 1,2 "$LAPTOP/$1/.ssh/id_ed25519.pub"; }
as_root() { first_laptop; laptop chillboxctl "$@" -H root@web1.example; }
version() { sed -i 's/"version": "[^"]*"/"version": "'"$2"'"/' "$LAPTOP/$1/$1.site.json"; }
with_agent() { laptop env SSH_AUTH_SOCK="$SSH_AUTH_SOCK" "$@"; }
deploy_as() { persons_laptop "$1"; version "$2" "$3"; with_agent sh -c 'cd "$0" && exec chillboxctl deploy' "$LAPTOP/$2"; }
# NAMESPACE KEYFILE OPTION...: a packed hello with a signature of that key, by hand
packed() {
    file=$("$CTL" pack -q "$LAPTOP/hello" -r "$RECIPIENT" -k "$LAPTOP/deployer.key" -o "$LAPTOP/out" --serial "$(($(date +%s) / 60 + 1000))")
    sed -n 's/^trusted comment: //p' "$file.minisig" >"$LAPTOP/statement"
    ssh-keygen -q -Y sign -n "$1" -f "$2" "${@:3}" <"$LAPTOP/statement" >"$LAPTOP/statement.sig" 2>/dev/null
    cat "$LAPTOP/statement" "$LAPTOP/statement.sig" >"$file.minisig"
}

@test "join --ssh-key makes no key and types no passphrase: one line with the key of ssh lets somebody in who signs with it" {
    persons_laptop kim
    run -4 laptop env USER=kim chillboxctl join web1.example --ssh-key
    line=$(tr -d '\n>' <<<"$output" | grep -o "chillboxctl people add kim --key 'ssh-ed25519 [A-Za-z0-9+/=]*' --sites SITE -H web1")
    [ ! -e "$LAPTOP_HOME/config/chillbox/keys" ]
    first_laptop
    run -0 laptop sh -c "$(sed 's/SITE/hello/; s/-H web1/-H root@web1.example/' <<<"$line")"
    [[ "$output" == *"kim may deploy, roll back and read logs of hello"*"what kim signs with the ssh key SHA256:"*" is taken"* ]]
    persons_laptop kim
    run -0 laptop chillboxctl join web1.example --ssh-key
    [[ "$output" == *"web1 knows you as kim: deploy, hello"*"Next: in a project"* ]]
    run -0 laptop chillboxctl whoami
    [[ "$output" == *"ssh-agent signs with it"*"web1: deploy"* ]]
    [ "$(in_box cat /etc/chillbox/trusted/kim.pub)" = "$(key kim)"$'\nsites: hello' ]
}

@test "deploy signs through ssh-agent, without a key in a file, and audit, jobs and releases name the person" {
    persons_laptop kim
    SSH_AUTH_SOCK=$SSH_AUTH_SOCK ssh-add -q "$LAPTOP/kim/.ssh/id_ed25519"
    mv "$LAPTOP/kim/.ssh/id_ed25519.pub" "$LAPTOP/kim.pub" # ssh logs in with the file; who signs is only the agent
    run -0 deploy_as kim hello 1.0.0
    mv "$LAPTOP/kim.pub" "$LAPTOP/kim/.ssh/id_ed25519.pub"
    [[ "$output" != *passphrase* ]]
    [ "$(code /)" = 200 ]
    [ "$(json releases hello '.releases[0].signer')" = kim ]
    [ "$(json jobs '.jobs[0].actor')" = person:kim ]
    in_box chillboxctl audit | grep -q "deployer 'kim', key SHA256:.*, sites: hello"
    [ "$(json trust list '.keys[] | select(.name == "kim") | .id')" = "$(ssh-keygen -l -f "$LAPTOP/kim/.ssh/id_ed25519.pub" | cut -d ' ' -f 2)" ]
}

@test "without an agent ssh-keygen asks at the terminal for the passphrase of the key" {
    persons_laptop kim
    ssh-keygen -q -p -f "$LAPTOP/kim/.ssh/id_ed25519" -P '' -N 'ssh phrase'
    version hello 1.1.0
    SSH_CONFIG=$LAPTOP/kim/agent_config # logging in is the agent's, which is not shown to who signs
    sed "s,IdentitiesOnly yes,IdentityAgent $SSH_AUTH_SOCK," "$LAPTOP/kim/ssh_config" >"$SSH_CONFIG"
    run -0 at_terminal expect:'Enter passphrase' echo:off type:'ssh phrase' expect:'undo: chillboxctl rollback' -- sh -c 'cd "$0" && exec chillboxctl deploy' "$LAPTOP/hello"
    [ "$(json releases hello '.releases[0].version')" = 1.1.0 ]
    version hello 1.1.1
    run -4 at_terminal expect:'Enter passphrase' echo:off type:'wrong' -- sh -c 'cd "$0" && exec chillboxctl deploy' "$LAPTOP/hello"
    [[ "$output" == *"ssh-keygen did not sign with SHA256:"* ]]
    [ -z "$(find "$LAPTOP_HOME/run" -name 'sign-*')" ]
    ssh-keygen -q -p -f "$LAPTOP/kim/.ssh/id_ed25519" -P 'ssh phrase' -N ''
}

@test "what pack -k KEY.pub and ssh-keygen sign is the same format, and ssh-keygen verifies it" {
    persons_laptop kim
    version hello 1.2.0
    file=$(with_agent chillboxctl pack -q "$LAPTOP/hello" -r "$RECIPIENT" -k "$LAPTOP/kim/.ssh/id_ed25519.pub" -o "$LAPTOP/out")
    head -n 1 "$file.minisig" | grep -qx "chillbox site=hello version=1.2.0 serial=[0-9]* sha256=$(sha256sum "$file" | cut -d ' ' -f 1)"
    printf 'kim namespaces="artifact@chillbox" %s\n' "$(key kim)" >"$LAPTOP/allowed"
    tail -n +2 "$file.minisig" >"$LAPTOP/sig"
    head -n 1 "$file.minisig" | ssh-keygen -Y verify -f "$LAPTOP/allowed" -I kim -n artifact@chillbox -s "$LAPTOP/sig"
    run -0 laptop chillboxctl -H web1 plan "$file"
    packed artifact@chillbox "$LAPTOP/kim/.ssh/id_ed25519"
    run -0 send "$file"
    [ "$(json releases hello '.releases[0].signer')" = kim ]
    run -2 "$CTL" pack -q "$LAPTOP/hello" -r "$RECIPIENT" -k "$LAPTOP/kim/.ssh/id_ed25519" -o "$LAPTOP/out"
    [[ "$output" == *"is the private half of a key of ssh: give its .pub"* ]]
}

@test "[attack-I1] a signature for git or with another hash, and keys of other types, are refused with the reason" {
    version hello 1.3.0
    packed git "$LAPTOP/kim/.ssh/id_ed25519"
    run -4 send "$file"
    [[ "$output" == *"in the namespace 'git', not in 'artifact@chillbox'"* ]]
    packed artifact@chillbox "$LAPTOP/kim/.ssh/id_ed25519" -O hashalg=sha256
    run -4 send "$file"
    [[ "$output" == *"over the hash 'sha256': only sha512"* ]]
    for type in rsa ecdsa; do
        ssh-keygen -q -t "$type" -N '' -f "$LAPTOP/id_$type"
        packed artifact@chillbox "$LAPTOP/id_$type"
        run -4 send "$file"
        [[ "$output" == *"only ssh-ed25519 signs artifacts"* ]]
        run -1 ctl trust add "$(cat "$LAPTOP/id_$type.pub")" --name other
        [[ "$output" == *"signs no artifacts, only ssh-ed25519 does"* ]]
    done
    # Such a key lets somebody in, and signs nothing.
    run -0 as_root people add rosa --key "$LAPTOP/id_rsa.pub"
    [[ "$output" == *"rosa signs nothing yet"* ]]
    in_box test ! -e /etc/chillbox/trusted/rosa.pub
}

@test "[attack-I2] a key of ssh of another site signs nothing for this one" {
    persons_laptop bea
    run -0 as_root people add bea --key "$LAPTOP/bea/.ssh/id_ed25519.pub" --sites blog
    packed artifact@chillbox "$LAPTOP/bea/.ssh/id_ed25519"
    run -4 send "$file"
    [[ "$output" == *"key 'bea' may sign for blog, not for 'hello'"* ]]
    # Nor does another statement with a signature that is good for one of its own.
    packed artifact@chillbox "$LAPTOP/kim/.ssh/id_ed25519"
    sed -i '1s/serial=\([0-9]*\)/serial=1\1/' "$file.minisig"
    run -4 send "$file"
    [[ "$output" == *"does not match what it stands next to"* ]]
}

@test "[attack-I3] keys that only let in sign nothing, nor does the key of somebody who was removed" {
    persons_laptop max
    run -0 as_root people add max --key "$LAPTOP/max/.ssh/id_ed25519.pub" --login-only
    [[ "$output" == *"max signs nothing yet"* ]]
    packed artifact@chillbox "$LAPTOP/max/.ssh/id_ed25519"
    run -4 send "$file"
    [[ "$output" == *"no trusted key SHA256:"* ]]
    # A minisign key takes the place of the one of ssh, and what is live stays good.
    live=$(json releases hello '.releases[] | select(.state == "live") | .id')
    (cd "$LAPTOP" && "$CTL" keygen -q -o kims --no-password)
    run -0 as_root people add kim --key "$(tail -n 1 "$LAPTOP/kims.pub")"
    packed artifact@chillbox "$LAPTOP/kim/.ssh/id_ed25519"
    run -4 send "$file"
    run -0 ctl restart hello
    [ "$(json releases hello '.releases[] | select(.state == "live") | .id')" = "$live" ]
    run -0 as_root people add kim --key "$LAPTOP/kim/.ssh/id_ed25519.pub"
    [[ "$output" == unchanged:* ]]
    # Somebody who signs with ssh, removed.
    run -0 as_root people remove bea
    in_box test ! -e /etc/chillbox/trusted/bea.pub
    persons_laptop bea
    file=$(laptop chillboxctl pack -q "$LAPTOP/blog" -r "$RECIPIENT" -k "$LAPTOP/bea/.ssh/id_ed25519.pub" -o "$LAPTOP/out")
    run -4 send "$file"
    [[ "$output" == *"no trusted key SHA256:"* ]]
}

@test "[attack-I4] a forwarded agent signs as its person while it is forwarded, but not with ssh-add -c and a no, nor with a key of chillbox's" {
    persons_laptop eve
    as_root people add eve --key "$LAPTOP/eve/.ssh/id_ed25519.pub" --sites hello >/dev/null
    ssh-add -q -D
    ssh-add -q "$LAPTOP/eve/.ssh/id_ed25519"
    version hello 1.4.0
    packed artifact@chillbox "$LAPTOP/eve/.ssh/id_ed25519"
    sed -i 's/serial=/serial=1/' "$LAPTOP/statement" # a statement that eve never saw
    there='cat >/tmp/key.pub; rm -f /tmp/statement.sig; ssh-keygen -q -Y sign -n artifact@chillbox -f /tmp/key.pub /tmp/statement && cat /tmp/statement.sig'
    box push "$HOST" "$LAPTOP/statement" /tmp/
    first_laptop
    with_agent ssh -A root@web1.example "$there" <"$LAPTOP/eve/.ssh/id_ed25519.pub" >"$LAPTOP/statement.sig"
    printf 'eve %s\n' "$(key eve)" >"$LAPTOP/allowed"
    ssh-keygen -Y verify -f "$LAPTOP/allowed" -I eve -n artifact@chillbox -s "$LAPTOP/statement.sig" <"$LAPTOP/statement"
    run ! laptop ssh root@web1.example "$there" <"$LAPTOP/eve/.ssh/id_ed25519.pub"
    ssh-add -q -D
    ssh-add -q -c "$LAPTOP/eve/.ssh/id_ed25519" # the agent asks /bin/false
    run ! with_agent ssh -A root@web1.example "$there" <"$LAPTOP/eve/.ssh/id_ed25519.pub"
    ssh-add -q -D
    ssh-add -q "$LAPTOP/eve/.ssh/id_ed25519"
    [ "$(with_agent ssh -A root@web1.example ssh-add -L | cut -d ' ' -f 1,2)" = "$(key eve)" ] # all that such an agent has
}

@test "[attack-I5] chillboxctl forwards no agent, even where ssh's configuration would" {
    first_laptop
    printf 'ForwardAgent yes\n' | cat - "$LAPTOP/ssh_config" >"$LAPTOP/forwarding"
    export SSH_CONFIG=$LAPTOP/forwarding
    in_box sh -c 'mkdir -p -m 0700 /root/.ssh && echo "echo \${SSH_AUTH_SOCK:-none} >>/tmp/forwarded" >/root/.ssh/rc'
    with_agent ssh root@web1.example true
    [[ "$(in_box cat /tmp/forwarded)" == /*agent* ]]
    in_box rm /tmp/forwarded
    with_agent chillboxctl status -H root@web1.example
    version hello 1.5.0
    with_agent sh -c 'cd "$0" && exec chillboxctl deploy -y -k "$1" -H root@web1.example' "$LAPTOP/hello" "$LAPTOP/deployer.key"
    [ "$(in_box sort -u /tmp/forwarded)" = none ]
    in_box rm /root/.ssh/rc
}
