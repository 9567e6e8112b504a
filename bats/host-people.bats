#!/usr/bin/env bats
# People who come in by real ssh as chillbox-ssh: what each may, what the account does with anything else that is asked of it, and what is left of
# somebody who was removed.

# shellcheck disable=SC2154,SC2016,SC2030,SC2031 # box_up sets HOST, run sets output; what others' shells would expand

load helpers/box
load helpers/host
load helpers/laptop

setup_file() {
    host_possible || return 0
    host_up
    host_set_up
    laptop_up
    box net "$HOST" -- ssh-keyscan -t ed25519 127.0.0.1 2>/dev/null | sed 's/^127.0.0.1/web1.example/' >"$LAPTOP/known_hosts"
    for site in hello blog; do (cd "$LAPTOP" && "$CTL" new "$site" --kind static -q >/dev/null); done
}
teardown_file() { host_down; }
setup() { host_or_skip; }
teardown() { printf '%s\n' "${output-}"; }

# A key without a passphrase where join's would be: what is typed has a test of its own.
signing_key() { (umask 077 && mkdir -p "$LAPTOP_HOME/config/chillbox/keys" && cd "$LAPTOP_HOME/config/chillbox/keys" && "$CTL" keygen -q -o "$1" --no-password); }
key_of() { tail -n 1 "$LAPTOP/$1/config/chillbox/keys/$1.pub"; }
add() { first_laptop; laptop chillboxctl people add "$1" --key "$LAPTOP/$1/.ssh/id_ed25519.pub" "${@:2}" -H root@web1.example; }
version() { sed -i 's/"version": "[^"]*"/"version": "'"$2"'"/' "$LAPTOP/$1/$1.site.json"; }
in_project() { laptop sh -c 'cd "$0" && exec "$@"' "$LAPTOP/$1" "${@:2}"; }
raw() { laptop ssh "${@:2}" chillbox-ssh@web1.example -- "$1"; } # one line, as it is

@test "someone whom the host does not know reads what an admin has to run, and one line lets them in" {
    persons_laptop kim
    run -4 at_terminal expect:passphrase echo:off type:'a key phrase' expect:'again: ' echo:off type:'a key phrase' \
        -- env USER=kim chillboxctl join web1.example
    [[ "$output" == *"Send this to an admin of web1"* && "$output" == *"does not know you yet"* ]]
    line=$(tr -d '\n>' <<<"$output" | grep -o "chillboxctl people add kim --key 'ssh-ed25519 [A-Za-z0-9+/=]*' --key RW[A-Za-z0-9+/=]* --sites SITE -H web1")
    # A name of her own for the host is nobody else's, and belongs to the command that she is told to run again.
    run -4 laptop env USER=kim chillboxctl join web1.example --name kims --ssh-key
    [[ "$output" == *" --sites SITE -H web1"* && "$output" == *"then run chillboxctl join web1.example --name kims --ssh-key again"* ]]
    rm "$LAPTOP_HOME/config/chillbox/hosts/kims.toml"
    rm -r "$LAPTOP_HOME/config/chillbox/keys"
    signing_key kim
    first_laptop
    laptop sh -c "$(sed "s,--key RW[^ ]*,--key $(key_of kim),; s/SITE/hello/; s/-H web1/-H root@web1.example/" <<<"$line")" >"$LAPTOP/added"
    [ "$(head -n 1 "$LAPTOP/added")" = "kim may deploy, roll back and read logs of hello" ]
    persons_laptop kim
    run -0 laptop chillboxctl join web1.example
    [[ "$output" == *"web1 knows you as kim: deploy, hello"* ]]
    grep -q '^role = "deploy"' "$LAPTOP_HOME/config/chillbox/hosts/web1.toml"
}

@test "they deploy, look, roll back and restart from their laptop, and audit, jobs and releases name them" {
    persons_laptop kim
    version hello 1.0.0
    run -0 in_project hello chillboxctl deploy
    printf 'two\n' >"$(find "$LAPTOP/hello" -name index.html | head -n 1)"
    version hello 1.1.0
    run -0 in_project hello chillboxctl deploy
    [ "$(get /)" = two ]
    for verb in status sites 'releases hello' jobs 'plan hello' 'facts hello' 'restart hello' 'rollback hello'; do
        # shellcheck disable=SC2086 # words
        run -0 laptop chillboxctl $verb
    done
    [[ "$(json releases hello '[.releases[].signer] | unique | join(",")')" = kim ]]
    [ "$(json jobs '[.jobs[] | select(.kind == "deploy") | .actor] | unique | join(",")')" = person:kim ]
    in_box chillboxctl audit | grep -q 'person:kim .*rollback'
    run -0 laptop sh -c 'echo y | chillboxctl undo hello --yes'
    [ "$(get /)" = two ]
}

@test "undo asks at their terminal, though the account has none: no changes nothing, yes takes the change back" {
    persons_laptop kim
    run -1 at_terminal expect:'Do it?' type:n -- chillboxctl undo hello
    [[ "$output" == *"last change "*"rollback to "*"undo "*"chillboxctl rollback hello"*"nothing was changed"* ]]
    [ "$(get /)" = two ]
    run -0 at_terminal expect:'Do it?' type:y -- chillboxctl undo hello
    [ "$(get /)" != two ]
    run -0 at_terminal expect:'Do it?' type:y -- chillboxctl undo hello
    [ "$(get /)" = two ]
    run -0 laptop chillboxctl maintenance on hello
    [ "$(code /)" = 503 ]
    run -0 at_terminal expect:'Do it?' type:y -- chillboxctl undo hello
    [ "$(code /)" = 200 ]
    in_box chillboxctl audit | grep -q 'person:kim .*maintenance_on'
}

@test "they set a secret of their site from a terminal, and of no other; who only looks sets none" {
    persons_laptop kim
    run -0 at_terminal expect:'not shown: ' type:'kims hush' -- sh -c 'cd "$0" && exec chillboxctl secrets set web/web.env:API_KEY' "$LAPTOP/hello"
    [[ "$output" == *"API_KEY changed"* && "$output" != *"kims hush"* ]]
    in_box grep -q 'kims hush' /run/chillbox/secrets/hello/web/web.env
    [ "$(json jobs hello '.jobs[0] | .kind + " " + .actor')" = 'secrets person:kim' ]
    run -4 laptop sh -c 'cd "$0" && printf x | chillboxctl secrets set web/web.env:API_KEY' "$LAPTOP/blog"
    [[ "$output" == *"kim may nothing of 'blog'"* ]]
    in_box test ! -e /run/chillbox/secrets/blog/web/web.env
    persons_laptop lea
    signing_key lea
    add lea --role look --sites hello --key "$(key_of lea)" >/dev/null
    persons_laptop lea
    cp -r "$LAPTOP/hello" "$LAPTOP/leas"
    rm -r "$LAPTOP/leas/secrets"
    run -4 laptop sh -c 'cd "$0" && printf x | chillboxctl secrets set web/web.env:API_KEY -H chillbox-ssh@web1.example' "$LAPTOP/leas"
    in_box grep -q 'kims hush' /run/chillbox/secrets/hello/web/web.env
    rm -r "$LAPTOP/leas"
    ctl people remove lea
}

@test "[attack-Q8] a person of one site does and sees nothing of another, not by its name, a job, a digest or an artifact" {
    persons_laptop kim
    first_laptop
    (cd "$LAPTOP/blog" && laptop chillboxctl deploy -k "$LAPTOP/deployer.key" -H root@web1.example)
    job=$(json jobs blog '.jobs[0].id')
    persons_laptop kim
    for verb in 'releases blog' 'logs blog' 'rollback blog' 'restart blog' 'plan blog' 'jobs blog' 'facts blog' 'stop blog'; do
        # shellcheck disable=SC2086 # words
        run -4 laptop chillboxctl $verb
        [[ "$output" == *"kim may nothing of 'blog', only of hello"* ]]
    done
    run -3 laptop chillboxctl job "$job"
    run -0 laptop sh -c 'chillboxctl status --json; chillboxctl sites --json; chillboxctl jobs --json; chillboxctl facts --json'
    [[ "$output" == *hello* && "$output" != *blog* && "$output" != *"$job"* ]]
    run -4 in_project blog chillboxctl deploy
    # Signed by somebody else, for that other site.
    file=$("$CTL" pack -q "$LAPTOP/blog" -r "$RECIPIENT" -k "$LAPTOP/deployer.key" -o "$LAPTOP/out")
    run -4 laptop sh -c 'cat "$0.minisig" "$0" | ssh chillbox-ssh@web1.example "CHILLBOX_HOST= chillboxctl '\''plan'\'' '\''-'\''"' "$file"
    [[ "$output" == *"kim may plan only what is signed for hello"* && "$output" != *serial* ]]
    # Nor one that the host has, by its digest: as if it were not there.
    digest=$(json facts blog .site.sha256)
    run -0 ctl plan "$digest"
    run -3 laptop chillboxctl plan "$digest"
    none=$(printf x | sha256sum | cut -c 1-64)
    there=${output//$digest/$none}
    run -3 laptop chillboxctl plan "$none"
    [ "$output" = "$there" ]
}

@test "[fault-730] a person reads the logs of their own sites, by any stream, and no byte of another's [attack-F11]" {
    persons_laptop kim
    in_box sh -c 'mkdir -p /var/log/nginx/blog /var/log/chillbox/blog; now=$(date +%FT%TZ)
        echo "$now a-canary-of-blog" | tee -a /var/log/chillbox/blog/web.log >>/var/log/nginx/blog/access.log; echo "$now a-line-of-hello" >>/var/log/chillbox/hello/web.log'
    run -0 laptop chillboxctl logs hello -s 1h --stream app,access,error,cron,run,job
    [[ "$output" == *a-line-of-hello* && "$output" == *"GET / HTTP"* && "$output" == *"job: deploy"* && "$output" != *canary* ]]
    for target in blog blog/nginx 'blog --stream access' 'hello/../blog/web' 'hello/../../nginx/blog/access'; do
        # shellcheck disable=SC2086 # words
        run laptop chillboxctl logs $target
        [ "$status" -ne 0 ]
        [[ "$output" != *canary* ]]
    done
}

@test "[attack-Q9] what a role does not have is refused by chillboxd, whatever the command line says" {
    persons_laptop kim
    ctl lock
    run -4 laptop sh -c 'printf "%s\n" "$1" | chillboxctl unlock --passphrase-fd 0' sh "$PASSPHRASE"
    [ "$(json ping .sealed)" = true ]
    unlock
    for verb in lock 'hold hello -m why' 'release-hold hello' audit 'people list' 'people remove kim'; do
        # shellcheck disable=SC2086 # words
        run -4 laptop chillboxctl $verb
        [[ "$output" == *"kim may deploy"* ]]
    done
    ctl hold hello -m frozen
    run -7 laptop chillboxctl rollback hello
    run -4 laptop chillboxctl rollback hello --during-hold # a hold is an admin's, and so is what goes over it
    [[ "$output" == *"--during-hold needs admin"* ]]
    ctl release-hold hello
    for verb in 'remove hello' 'run hello -- id' prune reload upgrade 'trust list' 'webhook list' doctor 'nginx show hello' 'cron list hello' init; do
        # shellcheck disable=SC2086 # words
        run -4 laptop chillboxctl -H web1 $verb
        [[ "$output" == *"does not go through the gate"* ]]
    done
    persons_laptop lou
    add lou --role look --sites hello >/dev/null
    persons_laptop lou
    run -0 laptop chillboxctl status -H chillbox-ssh@web1.example
    run -4 laptop chillboxctl restart hello -H chillbox-ssh@web1.example
    [[ "$output" == *"lou may look, and restart needs deploy"* ]]
}

@test "[attack-Q10] the account runs no shell, no file transfer, no terminal and no forwarding, and its files cannot be written by it" {
    persons_laptop kim
    for line in 'id' 'sh' 'chillboxctl status' "CHILLBOX_HOST= chillboxctl 'status'; id" "CHILLBOX_HOST= chillboxctl 'status' \$(id)" \
        "CHILLBOX_HOST= chillboxctl status" "CHILLBOX_HOST= chillboxctl 'status'|id" "CHILLBOX_HOST= chillboxctl 'status' >/tmp/x" 'CHILLBOX_HOST= chillboxctl "status"' \
        "CHILLBOX_HOST=x chillboxctl 'status'" "CHILLBOX_HOST= chillboxctl 'sta"$'\n'"tus'" "CHILLBOX_HOST= chillboxctl 'status" "CHILLBOX_HOST= chillboxctl "; do
        run -4 raw "$line"
        [[ "$output" == *"runs the commands of chillboxctl and nothing else"* && "$output" != *uid=* ]]
    done
    run -4 laptop ssh chillbox-ssh@web1.example
    [[ "$output" == *"hello kim: this account has no shell"* ]]
    for words in "'plan' '/etc/passwd'" "'plan' './x'" "'deploy' '/etc/passwd'" "'unlock' '--all'" "'status' '-H' 'root@web1'" "'unlock' '--passphrase-fd=3'" \
        "'report' '--output=/tmp/there'" "'deploy' '--cacert=/etc/passwd' '--' '-'"; do
        run -4 raw "CHILLBOX_HOST= chillboxctl $words"
    done
    long=$(head -c 70000 /dev/zero | tr '\0' a)
    run ! raw "CHILLBOX_HOST= chillboxctl 'logs' '$long'"
    run ! laptop scp -O -S "$LAPTOP/bin/ssh" /etc/hostname chillbox-ssh@web1.example:/tmp/there
    run ! laptop scp -S "$LAPTOP/bin/ssh" chillbox-ssh@web1.example:/etc/passwd "$LAPTOP/got"
    run ! laptop sh -c 'echo ls | sftp -S "$0/bin/ssh" chillbox-ssh@web1.example' "$LAPTOP"
    in_box test ! -e /tmp/there
    run laptop ssh -tt chillbox-ssh@web1.example "CHILLBOX_HOST= chillboxctl 'ping'"
    [[ "$output" == *"PTY allocation request failed"* ]]
    run ! laptop ssh -W 127.0.0.1:22 chillbox-ssh@web1.example
    run ! laptop ssh -o ExitOnForwardFailure=yes -R 127.0.0.1:4711:127.0.0.1:22 chillbox-ssh@web1.example "CHILLBOX_HOST= chillboxctl 'ping'"
    laptop sh -c 'ssh -N -L 127.0.0.1:4712:127.0.0.1:22 chillbox-ssh@web1.example & tunnel=$!; sleep 1; timeout 2 busybox nc 127.0.0.1 4712 </dev/null; kill $tunnel' >"$LAPTOP/tunnel" 2>&1 || :
    run ! grep SSH- "$LAPTOP/tunnel"
    # The account itself: no password, no shell, nothing that it owns.
    [[ "$(in_box getent passwd chillbox-ssh)" == *:/var/lib/chillbox/ssh:/usr/lib/chillbox/gate ]]
    [ "$(in_box sh -c "grep '^chillbox-ssh:' /etc/shadow | cut -d : -f 2")" = '*' ]
    [ -z "$(in_box find /var/lib/chillbox/ssh /etc/chillbox/people -user chillbox-ssh)" ]
    [ "$(in_box stat -c '%U:%G %a' /var/lib/chillbox/ssh/.ssh/authorized_keys)" = 'root:chillbox-ssh 640' ]
    run ! in_box su chillbox-ssh -c id
    run ! in_box su -s /usr/lib/chillbox/gate chillbox-ssh -c '/usr/bin/chillboxctl status'
    run ! in_box env SSH_ORIGINAL_COMMAND="CHILLBOX_HOST= chillboxctl 'status'" /usr/lib/chillbox/gate -c "/usr/bin/chillboxctl gate kim; id"
    [[ "$output" != *uid=* ]]
}

@test "[attack-I6] a login that sshd takes without a line of authorized_keys, by a certificate, gets no command and is nobody" {
    persons_laptop kim
    ssh-keygen -q -t ed25519 -N '' -f "$LAPTOP/ca"
    ssh-keygen -q -t ed25519 -N '' -f "$LAPTOP/certified"
    ssh-keygen -q -s "$LAPTOP/ca" -I kim -n chillbox-ssh "$LAPTOP/certified.pub"
    box push "$HOST" "$LAPTOP/ca.pub" /etc/ssh/
    in_box sh -c 'cp /etc/ssh/sshd_config /tmp/ && printf "TrustedUserCAKeys /etc/ssh/ca.pub\nAcceptEnv SSH_ORIGINAL_COMMAND\n" | cat - /tmp/sshd_config >/etc/ssh/sshd_config && kill -HUP "$(cat /run/sshd.pid)"'
    certified() { laptop ssh -o IdentityFile="$LAPTOP/certified" "${@:2}" chillbox-ssh@web1.example -- "$1"; }
    refused() { certified id 2>&1 | grep -q 'no shell'; }
    wait_for 10 refused
    for line in id "CHILLBOX_HOST= chillboxctl 'status'" ''; do
        run ! certified "$line"
        [[ "$output" == *"this account has no shell"* && "$output" != *uid=* && "$output" != *"SITE "* ]]
    done
    laptop sh -c 'timeout 3 ssh -o IdentityFile="$0" -W 127.0.0.1:22 chillbox-ssh@web1.example </dev/null || :' "$LAPTOP/certified" | grep -q '^SSH-'
    # Of a name, the gate is one of that person's: then it is the command that is missing, unless sshd takes it from the client.
    run -4 certified "/usr/bin/chillboxctl gate kim"
    [[ "$output" == *"this account has no shell"* ]]
    in_box sh -c 'cp /tmp/sshd_config /etc/ssh/sshd_config && kill -HUP "$(cat /run/sshd.pid)"'
    wait_for 10 laptop chillboxctl status
}

@test "[attack-Q11] another local user does not get in by the people's socket, and a person cannot take another's name [fault-532]" {
    persons_laptop kim
    add_user visitor 4702
    for as in visitor chillbox nobody; do
        run ! in_box su -s /bin/sh "$as" -c "SSH_ORIGINAL_COMMAND=\"CHILLBOX_HOST= chillboxctl 'status'\" chillboxctl gate -- kim"
        [[ "$output" != *"SITE "* ]]
    done
    # root is no person: it has a socket of its own.
    run -4 in_box env SSH_ORIGINAL_COMMAND="CHILLBOX_HOST= chillboxctl 'status'" chillboxctl gate -- kim
    [[ "$output" == *"root is not chillbox-ssh"* ]]
    # The name is in the line that sshd takes, and only there.
    in_box grep -c '' /var/lib/chillbox/ssh/.ssh/authorized_keys
    [ -z "$(in_box sh -c 'grep -v "^#" /var/lib/chillbox/ssh/.ssh/authorized_keys | grep -vxE "restrict,command=\"/usr/bin/chillboxctl gate (kim|lou)\" ssh-ed25519 [A-Za-z0-9+/=]+ (kim|lou)"')" ]
    run -4 raw "CHILLBOX_HOST= chillboxctl gate -- jo"
    run ! raw "CHILLBOX_HOST= chillboxctl 'gate' '--' 'jo'"
    run ! raw "gate jo"
    # Names and keys that would be more than a name and a key.
    for name in '' '../x' 'a b' 'x"' $'x\ny' '-x' 'x;id' "$(head -c 70 /dev/zero | tr '\0' a)"; do
        run ! ctl people add "$name" --key "$(cat "$LAPTOP/kim/.ssh/id_ed25519.pub")"
    done
    key=$(cat "$LAPTOP/kim/.ssh/id_ed25519.pub")
    for bad in "command=\"id\" $key" "no-pty $key" "$key"$'\n'"$key x" 'ssh-ed25519 AAAA' 'ssh-dss AAAAB3NzaC1kc3M=' "ssh-rsa ${key#* }" ''; do
        run ! ctl people add eve --key "$bad"
    done
    [ -z "$(in_box sh -c 'ls /etc/chillbox/people | grep -v -e kim -e lou')" ]
    # A person's file that others can write gives nothing.
    in_box chmod 0666 /etc/chillbox/people/kim.json
    run -4 laptop chillboxctl status -H chillbox-ssh@web1.example
    in_box chmod 0600 /etc/chillbox/people/kim.json
    run -0 laptop chillboxctl status -H chillbox-ssh@web1.example
}

@test "an admin's person lets others in, unlocks and holds through the gate; a key is one person's [fault-533]" {
    persons_laptop ada
    signing_key ada
    add ada --role admin --key "$(key_of ada)" >/dev/null
    persons_laptop ada
    run -0 laptop chillboxctl join web1.example
    [[ "$output" == *"web1 knows you as ada: admin, all sites"* ]]
    persons_laptop max
    persons_laptop ada
    run -0 laptop chillboxctl people add max --key "$LAPTOP/max/.ssh/id_ed25519.pub" --role look
    run -0 laptop chillboxctl people add max --key "$LAPTOP/max/.ssh/id_ed25519.pub" --role look
    [[ "$output" == unchanged:* ]]
    run -7 laptop chillboxctl people add moritz --key "$LAPTOP/max/.ssh/id_ed25519.pub"
    [[ "$output" == *"this ssh key is already max's"* ]]
    run -7 laptop chillboxctl people add moritz --key "$LAPTOP/ada/.ssh/id_ed25519.pub" --key "$(key_of kim)"
    run -0 laptop chillboxctl people list
    [[ "$output" == *kim* && "$output" == *ada* ]]
    run -3 laptop chillboxctl people remove nobody
    run -0 laptop chillboxctl hold hello -m 'db migration'
    run -0 laptop chillboxctl release-hold hello
    run -0 laptop chillboxctl lock
    run -0 at_terminal expect:'passphrase of web1' echo:off type:"$PASSPHRASE" -- chillboxctl unlock
    [ "$(json ping .sealed)" = false ]
    in_box chillboxctl audit | grep -q 'person:ada .*unlock'
    run -2 laptop chillboxctl people add x --key github:..
    run -2 ctl people add x --key github:kim
    persons_laptop kim
    run -4 laptop chillboxctl people add eve --key "$LAPTOP/kim/.ssh/id_ed25519.pub" -H web1
}

# A server of that name, on an address of its own; without CERTIFICATE it is not one that the laptop believes.
github() { # CERTIFICATE WORDS...
    laptop unshare -m sh -c 'mount --bind "$1" /etc/hosts && shift && exec "$@"' sh "$LAPTOP/hosts" env SSL_CERT_FILE="$1" CURL_CA_BUNDLE="$1" "${@:2}"
}

@test "[attack-I7] github:USER lets in with the keys that are there at that moment and signs nothing; another server, an unknown user and keys with options are refused; a busy one is asked later [fault-744] [fault-1238]" {
    first_laptop
    mkdir -p "$LAPTOP/github"
    for name in one two; do ssh-keygen -q -t ed25519 -N '' -C "$name" -f "$LAPTOP/forge_$name"; done
    cut -d ' ' -f 1,2 "$LAPTOP/forge_one.pub" "$LAPTOP/forge_two.pub" >"$LAPTOP/github/max-m.keys"
    key_of kim >>"$LAPTOP/github/max-m.keys" # a signing key is not a forge's to give
    printf 'command="id" %s\n' "$(cat "$LAPTOP/forge_one.pub")" >"$LAPTOP/github/bad.keys"
    : >"$LAPTOP/github/none.keys"
    printf '127.0.0.1 localhost\n127.0.0.77 github.com\n' >"$LAPTOP/hosts"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=github.com -addext subjectAltName=DNS:github.com \
        -keyout "$LAPTOP/github.key" -out "$LAPTOP/github.crt" 2>/dev/null
    laptop python3 -c 'import http.server, ssl, sys, os
os.chdir(sys.argv[1])
class Keys(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        self.send_error(429) if "/busy." in self.path else super().do_GET()
server = http.server.ThreadingHTTPServer(("127.0.0.77", 443), Keys)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[2], sys.argv[3])
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()' "$LAPTOP/github" "$LAPTOP/github.crt" "$LAPTOP/github.key" >"$LAPTOP/github.log" 2>&1 3>&- &
    server=$!
    wait_for 10 github "$LAPTOP/github.crt" curl -sS -m 5 -o /dev/null https://github.com/
    run -0 github "$LAPTOP/github.crt" chillboxctl people add mo --key github:max-m --sites hello -H root@web1.example
    [[ "$output" == *"mo may deploy"*"mo signs nothing yet"* ]]
    [ "$(in_box grep -c 'gate mo"' /var/lib/chillbox/ssh/.ssh/authorized_keys)" = 2 ]
    in_box test ! -e /etc/chillbox/trusted/mo.pub
    for user in nobody none bad; do
        run ! github "$LAPTOP/github.crt" chillboxctl people add eve --key "github:$user" -H root@web1.example
    done
    [[ "$output" == *"'command="*"is no public key of ssh"* ]]
    run -3 github "$LAPTOP/github.crt" chillboxctl people add eve --key github:nobody -H root@web1.example
    run -5 github "$LAPTOP/github.crt" chillboxctl people add eve --key github:busy -H root@web1.example
    [[ "$output" == *"it answered 429: try again later"* ]]
    run -5 github /etc/ssl/certs/ca-certificates.crt chillboxctl people add eve --key github:max-m -H root@web1.example
    [[ "$output" == *certificate* ]]
    in_box test ! -e /etc/chillbox/people/eve.json
    kill "$server"
    run -0 laptop chillboxctl people remove mo -H root@web1.example
}

@test "[attack-Q12] a connection that runs nothing when its person is removed is not the next one's of that name [fault-625]" {
    persons_laptop pia
    add pia --role look >/dev/null
    persons_laptop pia
    idle=(-S "$LAPTOP/idle" -o IdentityFile="$LAPTOP/pia/.ssh/id_ed25519")
    laptop ssh "${idle[@]}" -M -N -f chillbox-ssh@web1.example 3>&-
    run -0 raw "CHILLBOX_HOST= chillboxctl 'ping'" "${idle[@]}"
    first_laptop
    run -0 laptop chillboxctl people remove pia -H root@web1.example
    persons_laptop another
    mv "$LAPTOP/pia" "$LAPTOP/lost"
    mv "$LAPTOP/another" "$LAPTOP/pia"
    add pia --role look >/dev/null
    another_laptop lost
    export SSH_CONFIG=$LAPTOP/ssh_config
    run ! raw "CHILLBOX_HOST= chillboxctl 'ping'" -S "$LAPTOP/idle" -o IdentityFile="$LAPTOP/lost/.ssh/id_ed25519"
    [[ "$output" == *"Permission denied"* ]]
    first_laptop
    ctl people remove pia
}

@test "[attack-Q12] who is removed is out at once: what runs of theirs ends, their key signs nothing, and what stays is said [fault-534]" {
    persons_laptop kim
    laptop chillboxctl logs hello -f >"$LAPTOP/following" 2>&1 3>&- &
    follower=$!
    wait_for 10 in_box pgrep -u chillbox-ssh -f 'gate -- kim'
    first_laptop
    secrets hush --serial "$(($(date +%s) / 60 + 30))" # newer than those that persons made, each a minute ahead of the last
    run -0 laptop chillboxctl people remove kim -H root@web1.example
    [[ "$output" == *"kim could read those of hello"*"chillboxctl secrets rotate KEY.."* ]]
    [[ "$output" == *"removed: kim"* && "$output" == *"kept: hello "* ]]
    wait_for 10 sh -c "! kill -0 $follower 2>/dev/null"
    run ! in_box pgrep -u chillbox-ssh -f 'gate -- kim'
    in_box test ! -e /etc/chillbox/trusted/kim.pub -a ! -e /etc/chillbox/people/kim.json
    run ! in_box grep kim /var/lib/chillbox/ssh/.ssh/authorized_keys
    [ "$(get /)" = two ]
    persons_laptop kim
    run ! laptop chillboxctl status
    [[ "$output" == *"Permission denied"* ]]
    # By another's connection, what was signed with that key is refused as well.
    first_laptop
    version hello 1.2.0
    run -4 in_project hello chillboxctl deploy -k "$LAPTOP/kim/config/chillbox/keys/kim.key" -H root@web1.example
    run -3 laptop chillboxctl people remove kim -H root@web1.example
    in_box chillboxctl audit | grep -q 'people_remove .*kim'
}
