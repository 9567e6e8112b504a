#!/usr/bin/env bats
# docs/examples/ansible by real ansible-playbook over real ssh into two hosts, and chillboxctl on the same inventory.
# It takes minutes: `make test-ansible` runs it.

# bats file_tags=slow

# shellcheck disable=SC2030,SC2031,SC2154 # tests are subshells; box_up sets HOST and OTHER

load helpers/box
load helpers/host

setup_file() {
    host_possible || return 0
    host_up
    box_up OTHER
    make -s -C "$ROOT" "${BUILD:-build}/chillboxctl" ansible >&2
    BIN=$(cd "$ROOT/${BUILD:-build}" && pwd)
    export BIN OTHER
    play_folder
    forward
}
teardown_file() {
    [ ! -e "$LAPTOP/tunnels" ] || while read -r pid; do kill "$pid" 2>/dev/null || :; done <"$LAPTOP/tunnels"
    [ -z "${OTHER-}" ] || box down "$OTHER"
    host_down
}
setup() {
    host_or_skip
    export PATH="$BIN/ansible/bin:$BIN:$PATH" ANSIBLE_NOCOLOR=1 ANSIBLE_HOME=$LAPTOP/.ansible NO_PROXY='*'
    unset CHILLBOX_HOST http_proxy https_proxy HTTP_PROXY HTTPS_PROXY
    cd "$LAPTOP/play" || return
}

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

host_entry() { # NAME BOX PORT
    cat <<YML
    $1:
      ansible_host: $2.box
      ansible_ssh_private_key_file: $(box key "$2")
      ansible_ssh_common_args: >-
        -o 'ProxyCommand=$ROOT/tests/host/box net $2 -- busybox nc 127.0.0.1 22' -o UserKnownHostsFile=$LAPTOP/known_hosts
        -o StrictHostKeyChecking=accept-new
      chillbox_url: http://127.0.0.1:$3
      chillbox_webhook_key: keys/$1.key
YML
}

# The example as a user would have it: an inventory, a vault, a deployer's key. The boxes are reached through ssh's ProxyCommand, their
# sites through a forwarded port.
play_folder() {
    cp -r "$ROOT/docs/examples/ansible" "$LAPTOP/play"
    cd "$LAPTOP/play" || return
    "$CTL" keygen -q -o deployer --no-password
    cp deployer.key deployer.pub "$LAPTOP/"
    PORT1=$(free_port) PORT2=$(free_port)
    export PORT1 PORT2
    {
        printf 'chillbox:\n  hosts:\n'
        host_entry web1 "$HOST" "$PORT1"
        host_entry web2 "$OTHER" "$PORT2"
        cat <<YML
  vars:
    ansible_user: root
    chillbox_deployer_key: "{{ inventory_dir }}/deployer.pub"
    chillbox_archive: "$BIN/host.tar"
    chillbox_init_options: [--work-factor, "10"]
    chillbox_config: {tech_email: ops@web.example, acme: "off", contact: [ops@web.example]}
YML
    } >inventory.yml
    mkdir -p group_vars/chillbox
    printf 'vault password\n' >vault-password
    printf 'chillbox_passphrase: "%s"\n' "$PASSPHRASE" >vault.plain
    "$BIN/ansible/bin/ansible-vault" encrypt --vault-password-file vault-password --output group_vars/chillbox/vault.yml vault.plain >&2
    rm vault.plain
}

forward() {
    "$BIN/ansible/bin/ansible-inventory" --vault-password-file vault-password -i inventory.yml --list >hosts.json
    for name in web1 web2; do
        port=$PORT1
        [ "$name" = web1 ] || port=$PORT2
        eval "$(jq -r --arg name "$name" '._meta.hostvars[$name] | "set -- -i \(.ansible_ssh_private_key_file) \(.ansible_ssh_common_args) root@\(.ansible_host)"' hosts.json)"
        ssh -N -L "127.0.0.1:$port:127.0.0.1:80" "$@" 3>&- &
        echo $! >>"$LAPTOP/tunnels"
    done
}

# play BOOK [OPTION...]: prints the recap; CHANGED is the sum over the hosts.
play() {
    ansible-playbook --vault-password-file vault-password "$@" >"play.log" 2>&1 || { cat play.log; return 1; }
    CHANGED=$(sed -n 's/.*changed=\([0-9]*\).*/\1/p' play.log | awk '{s += $1} END {print s + 0}')
    cat play.log
}

visit() { curl -sS -m 20 -H 'Host: hello.example' "http://127.0.0.1:$1/"; }

release() { # VERSION [PYTHON]: for both hosts
    make_site "$@"
    cat keys/*.recipient >recipients.txt
    "$CTL" pack -q "$LAPTOP/hello" -R recipients.txt -k deployer.key -o out
}

# bats test_tags=slow
@test "the playbooks pass ansible-lint" {
    cp -r "$ROOT/docs/examples/ansible" "$BATS_TEST_TMPDIR/lint"
    cd "$BATS_TEST_TMPDIR/lint"
    run ansible-lint --offline --strict
    printf '%s\n' "$output"
    [ "$status" -eq 0 ]
}

@test "site.yml makes two unlocked hosts of two fresh ones, and changes nothing the second time" {
    play site.yml
    [ "$CHANGED" -gt 0 ]
    for box in "$HOST" "$OTHER"; do
        [ "$(box run "$box" -- chillboxctl status --json | jq .host.sealed)" = false ]
        [ "$(box run "$box" -- chillboxctl trust list --json | jq -r '.keys[0].name')" = deployer ]
        [ "$(box run "$box" -- grep -xE 'tech_email = .*|acme = .*|contact = .*' /etc/chillbox/chillboxd.toml)" = \
            $'tech_email = "ops@web.example"\nacme = "off"\ncontact = ["ops@web.example"]' ]
        box run "$box" -- chillboxd --check
    done
    [ "$(stat -c %a keys/web1.key keys/web2.key | tr '\n' ' ')" = "600 600 " ]
    run -1 grep -r "$PASSPHRASE" play.log group_vars
    play site.yml
    [ "$CHANGED" -eq 0 ]
}

@test "deploy.yml takes secrets and a release to both, once" {
    mkdir -p secrets/api
    printf 'WHISPER = "sh"\n' >secrets/api/api.cfg
    cat keys/*.recipient >recipients.txt
    set_of=$("$CTL" secrets pack -q secrets -s hello -R recipients.txt -k deployer.key -o out)
    first=$(release 1.0.0)
    play deploy.yml -e "chillbox_artifact=$PWD/$set_of"
    play deploy.yml -e "chillbox_artifact=$PWD/$first"
    [ "$CHANGED" -eq 2 ]
    [ "$(visit "$PORT1") $(visit "$PORT2")" = "hello from 1.0.0 hello from 1.0.0" ]
    play deploy.yml -e "chillbox_artifact=$PWD/$first"
    [ "$CHANGED" -eq 0 ]
    play deploy.yml -e "chillbox_artifact=$PWD/$set_of"
    [ "$CHANGED" -eq 0 ]
}

@test "chillboxctl takes the same inventory: status of both, and -H with ssh's own configuration" {
    export ANSIBLE_VAULT_PASSWORD_FILE=$PWD/vault-password
    run -0 chillboxctl status --hosts inventory.yml
    [[ "${lines[1]}" == web1*unlocked* && "${lines[2]}" == web2*unlocked* ]]
    run -0 chillboxctl --hosts inventory.yml --limit web2 releases hello --json
    [ "$(jq -r '.host + " " + .result.releases[0].version' <<<"$output")" = "web2 1.0.0" ]
    run -3 chillboxctl --hosts hosts.json rollback hello 9.9.9 --limit 'web1,web2' --json
    [ "$(jq -rs 'map(.exit) | join(" ")' <<<"$output")" = "3 3" ]
}

@test "a rolling deploy that fails on one host leaves the other as it is: exit 11 of chillboxctl, a failed play of Ansible" {
    in_box touch /etc/broken
    bad=$(release 1.1.0 'assert not os.path.exists("/etc/broken")')
    run -11 chillboxctl deploy "$bad" --hosts hosts.json
    [[ "$output" == *"0 of 2 hosts took it; failed: web1; not tried: web2"* ]]
    [ "$(visit "$PORT1") $(visit "$PORT2")" = "hello from 1.0.0 hello from 1.0.0" ]
    bad=$(release 1.2.0 'assert not os.path.exists("/etc/broken")')
    run ! play deploy.yml -e "chillbox_artifact=$PWD/$bad"
    [[ "$output" == *"web1"*"failed=1"* && "$output" != *"web2  "*"changed="* ]]
    run -11 chillboxctl deploy "$bad" --hosts hosts.json --keep-going
    [ "$(visit "$PORT1") $(visit "$PORT2")" = "hello from 1.0.0 hello from 1.2.0" ]
    in_box rm /etc/broken
    good=$(release 1.3.0)
    run -0 chillboxctl deploy "$good" --hosts hosts.json
    [ "$(visit "$PORT1") $(visit "$PORT2")" = "hello from 1.3.0 hello from 1.3.0" ]
}

# bats test_tags=slow
@test "rollback.yml goes back on both, and does nothing when it is so" {
    play rollback.yml -e chillbox_site=hello -e chillbox_version=1.0.0
    [ "$CHANGED" -eq 2 ]
    [ "$(visit "$PORT1") $(visit "$PORT2")" = "hello from 1.0.0 hello from 1.0.0" ]
    play rollback.yml -e chillbox_site=hello -e chillbox_version=1.0.0
    [ "$CHANGED" -eq 0 ]
}

# bats test_tags=slow
@test "updates.yml reboots one host after the other and unlocks each" {
    for box in "$HOST" "$OTHER"; do # Debian's root has OpenRC's command only
        box run "$box" -- sh -c 'command -v reboot >/dev/null || { printf "#!/bin/sh\nexec openrc-shutdown --reboot now\n" >/usr/local/sbin/reboot; chmod 0755 /usr/local/sbin/reboot; }'
    done
    play updates.yml -e chillbox_reboot=true -e chillbox_upgrade_command=true
    for box in "$HOST" "$OTHER"; do
        [ "$(box run "$box" -- chillboxctl status --json | jq .host.sealed)" = false ]
        [ "$(box run "$box" -- cat /proc/uptime | cut -d . -f 1)" -ge 0 ]
    done
    [[ "$(grep -c 'Reboot' play.log)" -eq 2 ]]
    play updates.yml -e chillbox_upgrade_command=true
    [ "$CHANGED" -eq 0 ]
}

# bats test_tags=slow
@test "unlock.yml unlocks what was sealed, and only that" {
    ctl lock
    play unlock.yml
    [ "$CHANGED" -eq 1 ]
    play unlock.yml
    [ "$CHANGED" -eq 0 ]
}
