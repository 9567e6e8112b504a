#!/usr/bin/env bats
# A host gets certificates from a real CA (Pebble) by itself, keeps them, and nothing of that is ever in the way of what it serves.

# shellcheck disable=SC2154,SC2016 # box_up sets HOST; "sh -c" expands in the box

load helpers/box
load helpers/host
load helpers/ca

setup_file() {
    host_possible || return 0
    host_up
    ca_up VALIDITY=40
    host_set_up
    make_site 1.0.0
    secrets quiet
}

teardown_file() { ca_down; host_down; }
setup() { host_or_skip; }

PEM=/var/lib/chillbox/certs/hello.pem

body() { https hello.example /; }
state() { tls_of hello .state; }
is() { [ "$(state)" = "$1" ]; }
serves_https() { https hello.example / -o /dev/null 2>/dev/null; }
problem() { tls_of hello .problem; }
names() { tls_of hello '.names | join(" ")'; }

monitor() { in_box cat /run/openrc/options/chillboxd/child_pid; }
is_another() { now=$(monitor) && [ "$now" != "$1" ] && in_box chillboxctl ping >/dev/null 2>&1; }

deploy_names() { # VERSION NAME...
    make_site "$1"
    edit_site '.server_name = "'"$2"'" | .domain_list = ["'"$(printf '%s", "' "${@:2}" | sed 's/", "$//')"'"]'
    send "$(pack)"
}
new_order() { in_box chillboxctl tls renew hello >/dev/null; }

@test "a site that was deployed is on https within a minute, and the deploy waited for nothing" {
    deploy_names "$(next_version)" hello.example
    [ "$(code /)" = 200 ] || [ "$(code /)" = 308 ]
    wait_for 60 serves_https
    wait_for 30 valid hello
    [ "$(sha_of hello)" = "$(served_sha hello.example)" ]
    [ "$(get / -o /dev/null -w '%{http_code} %{redirect_url}')" = '308 https://hello.example/' ]
    [ "$(orders)" = 1 ]
}

@test "a host with a certificate does nothing while nothing happens: no thread wakes up within 20 seconds" {
    switches() { in_box sh -c 'for pid in $(pgrep -f "^(/usr/sbin/)?chillboxd"); do cat /proc/$pid/task/*/status; done | awk "/ctxt/ {n += \$2} END {print n}"'; }
    quiet() {
        local before
        before=$(switches)
        [ "$before" -gt 0 ]
        sleep 20
        [ "$(switches)" = "$before" ]
    }
    wait_for 90 quiet
}

@test "keys and accounts are out of a local user's and a site's reach [attack-G10]" {
    [ "$(in_box stat -c '%a %U' $PEM)" = '600 root' ]
    add_user nobody-at-all 4005 -
    for user in nobody-at-all hello chillbox-acme; do
        for path in $PEM /var/lib/chillbox/state.db; do
            run ! box run "$HOST" -u "$user" -- cat $path
        done
    done
    for user in nobody-at-all hello; do
        run ! box run "$HOST" -u "$user" -- ls /var/lib/chillbox/acme/account
        run ! box run "$HOST" -u "$user" -- sh -c 'echo x >/var/lib/chillbox/acme/.well-known/acme-challenge/token'
        run ! box run "$HOST" -u "$user" -- ln -s /etc/shadow /var/lib/chillbox/acme/.well-known/acme-challenge/link
    done
    # chillbox-acme may write there; NGINX follows no link of its
    box run "$HOST" -u chillbox-acme -- ln -s /etc/passwd /var/lib/chillbox/acme/.well-known/acme-challenge/link
    run get /.well-known/acme-challenge/link -o /dev/null -w '%{http_code}'
    in_box rm /var/lib/chillbox/acme/.well-known/acme-challenge/link
    [ "$output" != 200 ]
}

@test "names that come and go: one more order, and the old one serves meanwhile (tls 21)" {
    before=$(orders)
    deploy_names "$(next_version)" hello.example www.hello.example
    serves_https
    in_box chillboxctl tls renew hello >/dev/null
    [ "$(names)" = 'hello.example www.hello.example' ]
    deploy_names "$(next_version)" hello.example
    new_order
    [ "$(names)" = hello.example ]
    [ "$(orders)" -le $((before + 3)) ]
}

@test "a name that DNS does not have: no CA is asked, and the name is in the message (tls 3)" {
    before=$(orders)
    ca dns set-servfail '{"host": "gone.hello.example"}'
    deploy_names "$(next_version)" hello.example gone.hello.example
    run ctl tls check hello
    [ "$status" -eq 8 ]
    [[ "$output" == *gone.hello.example* ]]
    serves_https
    [ "$(names)" = hello.example ]
    deploy_names "$(next_version)" hello.example
    ca dns clear-servfail '{"host": "gone.hello.example"}'
    [ "$(orders)" = "$before" ]
}

@test "[attack-G3] a CA that is down: NGINX starts, the host boots, deploys go on (tls 1)" {
    ca stop
    box reboot "$HOST"
    box wait "$HOST"
    unlock
    wait_for 30 serves_https
    deploy "$(next_version)"
    serves_https
    run -1 ctl tls renew hello
    [ "$(served_sha hello.example)" = "$(sha_of hello)" ]
    ca down
    sh "$ROOT/tests/tls/pebble" up "$CA" --box "$HOST"
}

@test "a new CA that does not know the account: it is registered once (tls 13)" {
    before=$(served_sha hello.example)
    wait_for 120 new_order
    ca root >"$CA/root.pem" # it is a new one
    serves_https
    [ "$(served_sha hello.example)" != "$before" ]
}

@test "[attack-G2] a chain that is not ours is refused, and the old one serves (tls 12)" {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj '/CN=hello.example' -keyout /dev/null \
        -out "$BATS_TEST_TMPDIR/other.pem" 2>/dev/null
    before=$(served_sha hello.example)
    ca fault wrong-chain "$BATS_TEST_TMPDIR/other.pem"
    run -1 ctl tls renew hello
    ca fault
    [ "$(served_sha hello.example)" = "$before" ]
    is attention
    in_box sh -c '! test -e '$PEM.new
}

@test "a file that is cut while all is off: NGINX starts with it made good again (tls 19)" {
    in_box rc-service -q chillboxd stop
    in_box rc-service -q nginx stop
    in_box sh -c ': >'$PEM
    run ! in_box rc-service -q nginx start
    in_box rc-service -q chillboxd start
    wait_for 30 serves_https || { in_box tail -n 12 /var/log/chillbox/chillboxd.log; in_box rc-service nginx status; false; }
    unlock
    [ "$(sha_of hello)" = "$(served_sha hello.example)" ]
}

@test "killed while it orders, again and again: it serves at every moment, old or new [fault-318] (tls 18)" {
    for delay in 0.05 0.15 0.3 0.5 0.8 1.2; do
        old=$(monitor)
        in_box rm -f /run/chillbox/chillboxd.starts # a crash loop would wait
        in_box sh -c 'chillboxctl tls renew hello >/dev/null 2>&1 & sleep '$delay'; kill -9 '"$old" || :
        serves_https
        in_box nginx -t -q
        wait_for 60 is_another "$old"
    done
    unlock # a CA is not asked for more within the hour: what was killed counts
    [ "$(sha_of hello)" = "$(served_sha hello.example)" ]
}

@test "[attack-G7] an engine that hangs or prints garbage is a failure with its last line, and nothing else changes (tls 32)" {
    before=$(served_sha hello.example)
    in_box sh -c 'mkdir -p /etc/chillbox/hooks.d/acme/acmez && cat >/etc/chillbox/hooks.d/acme/acmez/engine && chmod 0755 /etc/chillbox/hooks.d/acme/acmez/engine' <<'END'
#!/bin/sh
echo 'the reason why' >&2
exit 3
END
    run ctl tls check hello
    in_box rm -r /etc/chillbox/hooks.d/acme
    [ "$status" -ne 0 ]
    [[ "$output" == *'the reason why'* ]]
    [ "$(served_sha hello.example)" = "$before" ]
    serves_https
}

@test "a site that goes takes its certificate with it" {
    ctl remove hello --yes
    gone() { in_box sh -c '! ls /var/lib/chillbox/certs/ | grep hello'; }
    wait_for 30 gone
    run ! serves_https
}

@test "a certificate that came from the host before is taken over: https from the first deploy, and no CA is asked" {
    before=$(orders)
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 60 -subj /CN=moved.example -addext subjectAltName=DNS:moved.example \
        -addext extendedKeyUsage=serverAuth -keyout "$BATS_TEST_TMPDIR/privkey.pem" -out "$BATS_TEST_TMPDIR/fullchain.pem" 2>/dev/null
    cat "$BATS_TEST_TMPDIR/privkey.pem" "$BATS_TEST_TMPDIR/fullchain.pem" | in_box sh -c 'umask 077; cat >/var/lib/chillbox/certs/moved.pem'
    mkdir -p "$LAPTOP/moved/page"
    printf 'page' >"$LAPTOP/moved/page/index.html"
    printf '{ "name": "Moved", "server_name": "moved.example", "version": "1.0.0", "watch": "0s", "services": [{ "name": "page", "lang": "static" }] }' >"$LAPTOP/moved/moved.site.json"
    send "$("$CTL" pack -q "$LAPTOP/moved" -r "$RECIPIENT" -k "$LAPTOP/deployer.key" -o "$LAPTOP/out")"
    came() { [ "$(served_sha moved.example)" = "$(openssl x509 -in "$BATS_TEST_TMPDIR/fullchain.pem" -outform DER | sha256sum | cut -d ' ' -f 1)" ]; }
    wait_for 30 came
    wait_for 10 valid moved
    [ "$(orders)" = "$before" ]
}
