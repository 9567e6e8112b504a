#!/usr/bin/env bats
# A project's secrets from a laptop to a host by real ssh, and the passphrase of a host that was changed.

load helpers/box
load helpers/host
load helpers/laptop

setup_file() {
    host_possible || return 0
    host_up
    host_set_up
    laptop_up
    mkdir -p "$LAPTOP_HOME/config/chillbox/keys"
    chmod 0700 "$LAPTOP_HOME/config"
    cp "$LAPTOP/deployer.key" "$LAPTOP/deployer.pub" "$LAPTOP_HOME/config/chillbox/keys/"
    laptop ssh -o StrictHostKeyChecking=accept-new root@web1.example true
    make_site 1.0.0
}
teardown_file() {
    [ -z "${HOST-}" ] || laptop chillboxctl agent lock >/dev/null || :
    host_down
}
setup() {
    host_or_skip
    cd "$LAPTOP/hello" || return
}

teardown() { printf '%s\n' "${output-}" "${stderr-}"; } # bats shows it when a test failed

set_from() { printf '%s\n' "$1" | laptop chillboxctl secrets set -H root@web1.example "${@:2}"; }

@test "secrets set sends the set, a deploy uses it, and the next value replaces it without a deploy" {
    run -0 set_from 'hush; it is "$quoted" \ here' api/api.cfg:WHISPER
    [[ "$output" == *"api/api.cfg: WHISPER changed"*"root@web1.example: "* ]]
    send "$(pack)"
    run -0 in_box cat /run/chillbox/secrets/hello/api/api.cfg
    [ "$(python3 -c 'import sys; d = {}; exec(sys.stdin.read(), d); print(d["WHISPER"])' <<<"$output")" = 'hush; it is "$quoted" \ here' ]
    jobs=$(json jobs '.jobs | length')
    run -0 set_from 'hush; it is "$quoted" \ here' WHISPER
    [[ "$output" == "unchanged: "* ]]
    [ "$(json jobs '.jobs | length')" = "$jobs" ]
    run -0 set_from 'second hush' WHISPER
    run -0 in_box grep -c 'second hush' /run/chillbox/secrets/hello/api/api.cfg
    [ "$(json releases hello '.releases[0].version')" = 1.0.0 ]
    # in clear neither on the laptop nor on the host's disk
    run -1 grep -ral 'second hush' "$LAPTOP_HOME" "$LAPTOP/hello"
    run -1 in_box grep -ral 'second hush' /var/lib/chillbox /srv/chillbox /var/log /etc/chillbox
    run -0 laptop chillboxctl secrets diff -H root@web1.example
    [[ "$output" == *": as it is here" ]]
    run -0 set_from 'staged' WHISPER --stage
    run -0 laptop chillboxctl secrets diff -H root@web1.example
    [[ "$output" == *": ~ api/api.cfg:WHISPER" ]]
    run -0 laptop chillboxctl secrets push -H root@web1.example
    in_box grep -q staged /run/chillbox/secrets/hello/api/api.cfg
    [ -z "$(find "$LAPTOP_HOME/cache" -name '*.secrets.*')" ] # what was sent has no name there
}

@test "[fault-1232] if the connection breaks while secrets are sent, they are sent again; if it breaks while the host takes them, the job is followed by another one" {
    jobs=$(json jobs '.jobs | length')
    printf '700\n' >"$LAPTOP/cut" # in the middle of the order
    run -0 set_from 'cut hush' WHISPER
    [ ! -e "$LAPTOP/cut" ]
    in_box grep -q 'cut hush' /run/chillbox/secrets/hello/api/api.cfg
    [ "$(json jobs '.jobs | length')" = "$((jobs + 1))" ]
    set_from 'lost hush' WHISPER >"$LAPTOP/lost" 2>&1 3>&- &
    sender=$!
    wait_for 30 is_taken
    in_box pkill -f 'sshd.*root@notty'
    wait "$sender" || { cat "$LAPTOP/lost"; false; }
    in_box grep -q 'lost hush' /run/chillbox/secrets/hello/api/api.cfg
    [ "$(json jobs '.jobs | length')" = "$((jobs + 2))" ]
    run -0 laptop chillboxctl secrets diff -H root@web1.example
    [[ "$output" == *": as it is here" ]]
}
is_taken() { json jobs '.jobs[0] | .kind + .state' | grep -qx secretsrunning; }

@test "a host that does not take the key, or is not there, leaves what was saved, and says how to send it" {
    run set_from 'third' WHISPER -H root@127.0.0.2
    [ "$status" -eq 5 ]
    [[ "$output" == *"and not sent: chillboxctl secrets push"* ]]
    run -0 laptop chillboxctl secrets push -H root@web1.example
    in_box grep -q third /run/chillbox/secrets/hello/api/api.cfg
}

@test "[fault-565] a host that names another host key than the one that is remembered gets no secret before a yes" {
    record=$LAPTOP_HOME/config/chillbox/hosts/web1.toml
    mkdir -p -m 0700 "${record%/*}"
    printf 'ssh = "root@web1.example"\nrecipient = "age1someoneelse"\n' >"$record"
    chmod 0600 "$record"
    jobs=$(json jobs '.jobs | length')
    run -2 laptop chillboxctl secrets push -H web1
    [[ "$output" == *"web1 has another host key than the one that is remembered of it"*"say -y"* ]]
    run -1 at_terminal expect:'Send it the secrets? [y/N]' type:n -- chillboxctl secrets push -H web1
    [ "$(json jobs '.jobs | length')" = "$jobs" ]
    run -0 at_terminal expect:'Send it the secrets? [y/N]' type:y -- chillboxctl secrets push -H web1
    [ "$(json jobs '.jobs | length')" -gt "$jobs" ]
    grep -q "^recipient = \"$RECIPIENT\"" "$record"
    run -0 --separate-stderr laptop chillboxctl secrets push -H web1 --json # now it is remembered
    [ "$(jq -r '[.schema, .name, .changed] | join(" ")' <<<"$output")" = 'chillbox.secrets-push.v1 web1 true' ]
}

@test "[fault-1099] nothing is sent to a locked host: it says so at once, and at a terminal offers to unlock it" {
    ctl lock
    jobs=$(json jobs '.jobs | length')
    run laptop timeout 30 chillboxctl secrets push -H root@web1.example
    [ "$status" -eq 6 ]
    [[ "$output" == *"web1"*" is locked since its start at "*": nothing was sent"*"chillboxctl unlock -H "*web1* ]]
    [[ "$output" != *"web1: web1"* ]]
    run -6 at_terminal expect:'Unlock it now? [Y/n]' type:n -- chillboxctl secrets push -H root@web1.example
    [ "$(json jobs '.jobs | length')" = "$jobs" ]
    run -0 at_terminal expect:'Unlock it now? [Y/n]' type:y expect:assphrase type:"$PASSPHRASE" -- chillboxctl secrets push -H root@web1.example
    [ "$(json jobs '.jobs[0] | .kind + " " + .state')" = 'secrets done' ]
}

@test "a changed passphrase and the recovery words unlock the host after a restart" {
    run -0 with_passphrase "$PASSPHRASE"$'\nbattery staple' passphrase
    words=$(with_passphrase 'battery staple' recover words 2>/dev/null | sed -n 's/^  *[0-9]*  //p' | paste -sd' ')
    in_box rc-service -q chillboxd restart
    run -4 unlock "$PASSPHRASE"
    sleep 1.1
    run -0 unlock 'battery staple'
    run -0 with_passphrase "$words"$'\nthird one' recover
    in_box rc-service -q chillboxd restart
    run -0 unlock 'third one'
    [[ "$output" == *unlocked* ]]
    wait_for 10 in_box grep -q third /run/chillbox/secrets/hello/api/api.cfg
}
