#!/usr/bin/env bats
# What people see of certificates on a host that orders them: tls and its verbs, status, doctor, plan, the event hook; the host's own name from the first
# minute on.

# shellcheck disable=SC2154,SC2016 # box_up sets HOST; "sh -c" expands in the box

load helpers/box
load helpers/host
load helpers/ca

setup_file() {
    host_possible || return 0
    host_up
    CA_NAME=host.example ca_up VALIDITY=60
    host_set_up
    mkdir -p "$LAPTOP/secrets/api"
    printf 'WHISPER = "x"\n' >"$LAPTOP/secrets/api/api.cfg"
    send "$(make_site 1.0.0 && pack_secrets "$LAPTOP/secrets")"
    in_box sh -c 'mkdir -p /etc/chillbox/hooks.d/events && cat >/etc/chillbox/hooks.d/events/tls && chmod 0755 /etc/chillbox/hooks.d/events/tls' <<'END'
#!/bin/sh
printf '%s %s>%s %s [%s] %s\n' "$CHILLBOX_SITE" "$CHILLBOX_TLS_BEFORE" "$CHILLBOX_TLS_STATE" "$CHILLBOX_TLS_ALERT" "$CHILLBOX_TLS_NAMES" "$CHILLBOX_TLS_UNTIL" >>/root/events
END
}

teardown_file() { ca_down; host_down; }
setup() { host_or_skip; }

folded() { tr -s ' \n' '  ' <<<"$1"; }

@test "the host's own name has a certificate before anything was deployed, and the first deploy is over https" {
    wait_for 60 valid _host
    [ "$(https host.example /healthcheck/ -o /dev/null -w '%{http_code}')" = 200 ]
    make_site 1.0.0
    edit_site '.domain_list = ["hello.example", "www.hello.example"] | .server_name = "hello.example"'
    artifact=$(pack)
    printf '127.0.0.1 localhost host.example hello.example\n' >"$LAPTOP/hosts"
    run -0 box net "$HOST" -- unshare -m sh -c 'mount --bind "$1" /etc/hosts && shift && exec "$@"' sh "$LAPTOP/hosts" \
        "$CTL" deploy "$artifact" --to https://host.example --cacert "$CA/root.pem" --webhook-key "$LAPTOP/hook.key" --wait --timeout 10m
    [[ "$output" != *"without TLS"* ]]
}

@test "a site is on https by itself: tls, status and doctor say until when, and what is next" {
    wait_for 60 valid hello
    [ "$(https hello.example /)" = 'hello from 1.0.0' ]
    [ "$(get / -o /dev/null -w '%{http_code} %{redirect_url}')" = '308 https://hello.example/' ]
    run -0 ctl tls
    [[ "${lines[0]}" == CERTIFICATE*STATE*'VALID UNTIL'*LEFT*NEXT*NAMES ]]
    [[ "$output" == *'hello '*valid*' days '*'hello.example +1'* ]]
    [ "$(awk 'length > 80' <<<"$output")" = '' ]
    run -0 ctl tls hello
    [[ "$output" == *'hello  valid  valid until '*' days left'*'names       hello.example, www.hello.example'*'issuer      '*'engine acmez'*'ca          https://127.0.0.1:14443/dir'* ]]
    [ "$(awk 'length > 80' <<<"$output")" = '' ]
    [ "$(sha_of hello)" = "$(served_sha hello.example)" ]
    run -0 ctl status
    [[ "$output" == *CERTIFICATE*'hello '*valid* ]]
    [[ "$(ctl doctor 2>/dev/null || :)" == *'ok    certificates  2 of 2 are served, the next is looked at 20'* ]]
}

@test "every answer has its schema with --json" {
    for verb in tls 'tls hello' 'tls _host' 'tls check hello' 'tls account' status; do
        # shellcheck disable=SC2086 # words
        run -0 --separate-stderr ctl $verb --json
        printf '%s\n' "$output" >>"$BATS_TEST_TMPDIR/answers"
    done
    "$ROOT/tests/schema/validate" "$ROOT/docs/control.schema.json" <"$BATS_TEST_TMPDIR/answers"
    run -3 ctl tls nosuch
    run -3 ctl tls check nosuch
}

@test "tls check: every address is asked, no CA is, and a name that DNS does not have is exit 8" {
    before=$(orders)
    run -0 ctl tls check hello
    [[ "$output" == *'ok      hello.example at loopback: '*'ok      hello.example at 127.0.0.1: '*'ok      www.hello.example at 127.0.0.1'* ]]
    ca dns set-servfail '{"host": "www.hello.example"}'
    run ctl tls check hello
    ca dns clear-servfail '{"host": "www.hello.example"}'
    [ "$status" -eq 8 ]
    [[ "$output" == *'ok      hello.example at 127.0.0.1: '*'FAILED  www.hello.example'* ]]
    [[ "$(folded "$output")" == *'hello: not ready, no CA was asked: www.hello.example: '* ]]
    [ "$(orders)" = "$before" ]
}

@test "tls renew orders with a new key and waits; who asked is in the audit trail" {
    before=$(sha_of hello)
    run -0 ctl tls renew hello
    [[ "$output" == *'hello  valid  valid until '* ]]
    [ "$(sha_of hello)" != "$before" ]
    [ "$(sha_of hello)" = "$(served_sha hello.example)" ]
    [[ "$(json audit '.entries[0] | .actor + " " + .verb + " " + .site + " " + .outcome')" == 'uid:0 root tls_renew hello ok' ]]
}

@test "tls account names the CA and the account" {
    run -0 ctl tls account
    [[ "$output" == *'ca          https://127.0.0.1:14443/dir'*'engine      acmez'*'account     https://'*', valid'*thumbprint* ]]
}

@test "who may not use the control socket may not order, revoke or look" {
    add_user visitor 4001 -
    for verb in tls 'tls check hello' 'tls renew hello' 'tls revoke hello --yes' 'tls account'; do
        # shellcheck disable=SC2086 # words
        run -4 box run "$HOST" -u visitor -- chillboxctl $verb
    done
}

@test "tls revoke: the certificate is revoked at the CA, and another one with another key is served" {
    before=$(served_sha hello.example)
    run -0 ctl tls revoke hello --yes
    wait_for 90 new_certificate "$before"
}
new_certificate() { [ "$(served_sha hello.example)" != "$1" ] && valid hello; }

@test "a CA that is away: renew says so and when it is tried again, status keeps serving without an alert" {
    ca stop
    run ctl tls renew hello
    [ "$status" -eq 1 ]
    [[ "$output" == *'hello: '* ]]
    run -0 ctl tls
    [[ "$(folded "$output")" == *'hello: https ends in '*' days: the renewal fails: '*'next try 20'* ]]
    run -0 ctl status
    [ "$(https hello.example /)" = 'hello from 1.0.0' ]
    ca start
}

@test "a CA that asks to wait: exit 7 with the time [attack-G1]" {
    ca fault rate-limited 10800
    run -1 ctl tls renew hello
    ca fault
    run -7 ctl tls renew hello
    [[ "$output" == *"hello: not before $(date -u -d '+2 hours 55 minutes' +%Y-%m-%d)"* ]]
    [ "$(https hello.example /)" = 'hello from 1.0.0' ]
}

@test "the event hook ran at each change of state, with what is served" {
    in_box grep -q '^_host .*>valid none \[host.example\] 20' /root/events
    in_box grep -q '^hello .*>valid none \[hello.example www.hello.example\] 20' /root/events
    in_box grep -q '^hello .*>backing-off ' /root/events
}

@test "plan says which names of a release answer on http only" {
    make_site 1.1.0
    edit_site '.domain_list = ["hello.example", "www.hello.example"] | .server_name = "hello.example" | .aliases = ["*.hello.example"]'
    artifact=$(pack)
    box push "$HOST" "$artifact" /root/
    box push "$HOST" "$artifact.minisig" /root/
    run -0 ctl plan "/root/$(basename "$artifact")"
    [[ "$output" == *'http only'*'*.hello.example'*'dns-01'* ]]
}

@test "a certificate that ends while the CA is away: a warning, an error, expired; then status and doctor exit 1, and the site is still served" {
    (cd "$LAPTOP" && "$CTL" new brief --kind static --server-name brief.example -q)
    jq '.tls.profile = "seconds" | .watch = "0s"' "$LAPTOP/brief/brief.site.json" >"$LAPTOP/brief.new"
    mv "$LAPTOP/brief.new" "$LAPTOP/brief/brief.site.json"
    send "$("$CTL" pack -q "$LAPTOP/brief" -r "$RECIPIENT" -k "$LAPTOP/deployer.key" -o "$LAPTOP/out")"
    wait_for 60 valid brief
    ca stop
    wait_for 60 alert_is warning
    run -0 ctl status
    [[ "$output" == *'brief: https ends in '*' seconds: the renewal fails: '* ]]
    wait_for 30 alert_is error
    run -0 ctl status
    [[ "${lines[0]}" == 'brief: https ends in '* ]]
    run -1 ctl doctor
    [[ "$output" == *'fail  certificate   brief: https ends in '*'-> chillboxctl tls brief'* ]]
    wait_for 30 alert_is expired
    run -1 ctl status
    [[ "${lines[0]}" == 'brief: its certificate expired '*' ago, and browsers refuse brief.example: '* ]]
    run -1 ctl doctor
    https brief.example / -k | grep -qi brief
    wait_for 120 in_box grep -qE '^brief [a-z>-]+ (warning|error|expired) ' /root/events
}
alert_is() { [ "$(tls_of brief .alert)" = "$1" ]; }

@test "when the CA is back, the certificate comes by itself or by tls renew, and the alert is over" {
    ca start
    ctl tls renew brief || wait_for 150 alert_is none
    [ "$(served_sha brief.example)" = "$(sha_of brief)" ]
}
