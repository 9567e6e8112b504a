#!/usr/bin/env bats
# Rows of the threat table about certificates: a stranger, the engine that speaks to the CA, a hostile site, a local user, a thief of the disk.

# shellcheck disable=SC2154,SC2016 # box_up sets HOST; "sh -c" expands in the box

load helpers/box
load helpers/host
load helpers/attack
load helpers/ca

setup_file() {
    host_possible || return 0
    host_up
    CA_TOML='engine = "hostile"' ca_up
    in_box sh -c 'mkdir -p /etc/chillbox/hooks.d/acme/hostile && cat >/etc/chillbox/hooks.d/acme/hostile/engine && chmod 0755 /etc/chillbox/hooks.d/acme/hostile/engine' <<'END'
#!/bin/sh
# Tries what it may not do, notes in its own folder what worked, and then is the shipped engine.
note=/var/lib/chillbox/acme/account/done
{
  echo "ran as $(id -un) $(id -Gn)"
  for file in /var/lib/chillbox/certs/*.pem /var/lib/chillbox/certs/*.pem.new /run/chillbox/tls/*.pem /var/lib/chillbox/state.db /var/lib/chillbox/identity.age \
    /run/chillbox/secrets/*/*/* /etc/chillbox/webhooks/*.key /proc/1/environ /root/passphrase; do
    head -c 1 "$file" >/dev/null 2>&1 && echo "read $file"
  done
  for socket in /run/chillbox/control.sock /run/chillbox/hook.sock; do
    curl -s -m 5 -o /dev/null --unix-socket "$socket" http://x/ ; [ $? -eq 7 ] || echo "reached $socket"
  done
  for dir in /var/lib/chillbox /var/lib/chillbox/certs /var/lib/chillbox/acme /etc/chillbox /run/chillbox /srv/chillbox /etc/nginx /var/log/chillbox; do
    touch "$dir/x" 2>/dev/null && echo "wrote $dir"
  done
  for process in $(pgrep -u root chillboxd) $(pgrep -u root nginx) $(pgrep -u shop); do
    kill -0 "$process" 2>/dev/null && echo "signals $process"
  done
  ls -l /proc/self/fd | grep -q 'chillbox/state' && echo "has the store"
  su -c true 2>/dev/null && echo "became root"
} >>$note 2>/dev/null </dev/null
exec /usr/lib/chillbox/hooks/acme/acmez/engine "$@"
END
    host_set_up
    for site in shop aab; do
        attack_site "$site"
        attack_deploy "$site"
    done
    attack_site vault '.tls.key = "memory"'
    attack_deploy vault
    add_user visitor
}

teardown_file() { ca_down; host_down; }
setup() { host_or_skip; }

as() { box run "$HOST" -u "$1" -- "${@:2}"; }
CHALLENGES=/var/lib/chillbox/acme/.well-known/acme-challenge

@test "the sites are on https" {
    for site in shop aab vault; do
        wait_for 90 valid "$site" || { ctl tls "$site"; false; }
        [[ "$(https "$site.example" /)" == "hello from $site "* ]]
    done
}

@test "an engine, as the daemon runs it, reads no key of a site, no database and no secret, and reaches no socket [attack-G6]" {
    in_box grep -q '^ran as chillbox-acme chillbox-acme$' /var/lib/chillbox/acme/account/done
    [ "$(in_box sh -c 'sort -u /var/lib/chillbox/acme/account/done')" = 'ran as chillbox-acme chillbox-acme' ]
}

@test "an engine gets certificates for names that point to the host, with keys of its own [attack-G5]" {
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj / -addext subjectAltName=DNS:shop.example \
        -keyout "$BATS_TEST_TMPDIR/key.pem" -out "$BATS_TEST_TMPDIR/csr.pem" 2>/dev/null
    jq -n --rawfile csr "$BATS_TEST_TMPDIR/csr.pem" '{directory: "https://127.0.0.1:14443/dir", ca_file: "/etc/chillbox/ca.pem", account: "/var/lib/chillbox/acme/account",
        deadline: 60, csr: $csr, names: ["shop.example"], challenge: "http-01", webroot: "/var/lib/chillbox/acme"}' >"$BATS_TEST_TMPDIR/order"
    run -0 box run "$HOST" -i -u chillbox-acme -- /usr/lib/chillbox/hooks/acme/acmez/engine order <"$BATS_TEST_TMPDIR/order"
    [ "$(jq .ok <<<"${lines[-1]}")" = true ] || { printf '%s\n' "$output"; false; }
}

@test "a stranger starts no order and finds no key, whatever name or path he asks for [attack-G8]" {
    before=$(ca count)
    for name in nosuch.example www.shop.example shop.example.evil 127.0.0.1 '*.shop.example'; do
        run ! https "$name" / -m 5
        host_curl -o /dev/null -H "Host: $name" "$URL/" || :
    done
    for path in / /../account/ /..%2faccount/done /%2e%2e/%2e%2e/certs/shop.pem /../../../certs/shop.pem; do
        for site in shop aab; do
            run visit "$site" "/.well-known/acme-challenge$path" --path-as-is
            [[ "$output" != *'PRIVATE KEY'* && "$output" != *'ran as'* && "$output" != *'Index of'* ]]
        done
    done
    sleep 3
    [ "$(ca count)" = "$before" ]
    [ "$(json tls '.certificates | map(.id) | join(" ")')" = 'aab shop vault' ]
}

@test "a hostile site answers no challenge, not for its own names and not for another's [attack-G9]" {
    run ! in_service shop sh -c 'echo mine >"$1/token"' sh "$CHALLENGES"
    run ! as_site shop sh -c 'echo mine >"$1/token" || ln -s /etc/passwd "$1/token" || mv "$1" "$1.old" || rm -r "$1"' sh "$CHALLENGES"
    for site in shop aab; do
        run visit "$site" /.well-known/acme-challenge/token
        [[ "$output" != *'hello from'* && "$output" != *mine* ]]
        run https "$site.example" /.well-known/acme-challenge/token
        [[ "$output" != *'hello from'* ]]
    done
}

@test "a local user reads no key and no account, and lays no token out [attack-G10]" {
    in_box sh -c 'ls /var/lib/chillbox/certs/shop.pem /run/chillbox/tls/vault.pem /var/lib/chillbox/acme/account/done'
    for path in /var/lib/chillbox/certs/shop.pem /run/chillbox/tls/vault.pem /var/lib/chillbox/acme/account/done; do
        run ! as visitor head -c 1 "$path"
        [[ "$output" == *'Permission denied'* ]]
    done
    run ! as visitor sh -c 'echo mine >"$1/token" || rm -r "$1"' sh "$CHALLENGES"
    run ! as visitor ls /var/lib/chillbox/acme/account
}

# A CA that answers so, whose certificates are due at once.
hostile_ca() {
    ca fault "$@"
    ctl tls renew shop >"$BATS_TEST_TMPDIR/said" 2>&1 && return 1
    [ "$(served_sha shop.example)" = "$SERVED" ] && [ "$(https shop.example / -o /dev/null -w '%{http_code}')" = 200 ]
}

@test "a hostile CA: what is no certificate for the key and the names is not served [attack-G2], NGINX starts and deploys go on [attack-G3], an endless answer is cut [attack-G4]" {
    SERVED=$(served_sha shop.example)
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 9 -subj /CN=shop.example -addext subjectAltName=DNS:shop.example \
        -keyout "$BATS_TEST_TMPDIR/own.key" -out "$BATS_TEST_TMPDIR/own.pem" 2>/dev/null
    hostile_ca wrong-chain "$BATS_TEST_TMPDIR/own.pem"
    hostile_ca big
    ca fault garbage
    in_box rc-service nginx restart
    [ "$(served_sha shop.example)" = "$SERVED" ]
    attack_deploy aab
    [[ "$(https aab.example /)" == 'hello from aab '* ]]
    [ "$(in_box grep VmHWM "/proc/$(daemon_pid)/status" | tr -dc 0-9)" -lt 60000 ]
    ca fault
}

# The key of a PEM file as it is, as its bytes, and as the number that it is.
key_canaries() { # PEM NAME
    openssl pkey -in "$1" -outform DER 2>/dev/null >"$1.der"
    sed -n '/PRIVATE KEY/,/END/p' "$1" | sed -n 2p | tr -d '\n' | canary "$2-text"
    openssl pkey -in "$1" -text -noout 2>/dev/null | sed -n '/^priv:/,/^pub:/p' | grep '^ ' | tr -d ' :\n' |
        { read -r hex || :; printf '%s-number %s\n' "$2" "${hex: -64}"; }
}
canary() { printf '%s %s\n' "$1" "$(od -An -v -t x1 | tr -d ' \n')"; }
disk() { printf '%s/%s/disk\n' "${BOX_STATE:-/var/lib/chillbox-box}" "$HOST"; }

@test "a thief of the disk has the keys on it [attack-G11]; one that is kept in memory is nowhere on it [attack-G12]" {
    box pull "$HOST" /var/lib/chillbox/certs/shop.pem "$BATS_TEST_TMPDIR/shop.pem"
    box pull "$HOST" /run/chillbox/tls/vault.pem "$BATS_TEST_TMPDIR/vault.pem"
    key_canaries "$BATS_TEST_TMPDIR/shop.pem" disk >"$BATS_TEST_TMPDIR/canaries"
    key_canaries "$BATS_TEST_TMPDIR/vault.pem" memory >>"$BATS_TEST_TMPDIR/canaries"
    [ "$(awk '{print length($2)}' "$BATS_TEST_TMPDIR/canaries" | sort -u | tr '\n' ' ')" = '128 64 ' ]
    in_box sync
    found=$("$ROOT/tests/host/search" files "$(disk)" <"$BATS_TEST_TMPDIR/canaries")
    [[ "$found" == *' disk-text'* ]]
    [[ "$found" != *' memory-'* ]]
}

@test "a key that was stolen is of no use once it is revoked: the host serves another one" {
    before=$(served_sha shop.example)
    run -0 ctl tls revoke shop --yes
    wait_for 90 other_certificate "$before"
}
other_certificate() { [ "$(served_sha shop.example)" != "$1" ] && valid shop; }
