#!/usr/bin/env bats
# The engine over the distribution's lego: the part of the contract (chillbox-hooks(7), ENGINES) that lego can keep, against the same CA.

load helpers/box
load helpers/hooks
load helpers/tls

setup_file() {
    bats_require_minimum_version 1.5.0
    export BATS_NO_PARALLELIZE_WITHIN_FILE=true
    export ENGINE=$BATS_TEST_DIRNAME/../hooks/acme/lego/engine
    [ "$(id -u)" -eq 0 ] && command -v lego >/dev/null && command -v nslookup >/dev/null || return 0
    tls_up PEBBLE_AUTHZREUSE=0
    csr blog.example www.blog.example
    ask account '.contact = ["mailto:op@blog.example"]'
}

teardown_file() { tls_down; }

setup() {
    needs_root
    command -v lego >/dev/null && command -v nslookup >/dev/null || skip 'needs lego and nslookup'
    pebble fault
}

teardown() { [ -z "${NET-}" ] || [ -z "$(ls -A "$WEB/.well-known/acme-challenge")" ]; }

refused() { said ".ok == false and (.problem.type | endswith(\"$1\")) and (.problem.detail | length > 5 and length < 1100)"; }

@test "lego, order: the chain is for the key of the CSR; the account is known afterwards" {
    said '.ok and .status == "valid"'
    ask order '.profile = "tlsserver"'
    said '.ok and .profile == null and .replaced == false and .ari == null and (.warnings | length) == 1'
    diff <(jq -r .chain "$OUT" | openssl x509 -noout -pubkey) <(openssl pkey -pubout -in "$BATS_FILE_TMPDIR/key.pem")
    [ "$(jq -r .chain "$OUT" | grep -c BEGIN)" -eq 2 ]
    ask account '.action = "show"'
    said '.ok and (.url | startswith("https://"))'
    [ -z "$(find "$ACCOUNT" -perm /077 -name '*.key')" ]
    [ -n "$(find "$ACCOUNT" -name '*.key')" ]
}

@test "lego, order: under dash and busybox ash" {
    for shell in dash 'busybox ash'; do
        # shellcheck disable=SC2086
        input | as_engine $shell "$ENGINE" order >"$OUT"
        said .ok
    done
}

@test "lego, revoke: also a second time" {
    ask order
    leaf=$(jq -r .chain "$OUT" | jq -Rs .)
    ask revoke ".certificate = $leaf | .reason = 4"
    said .ok
}

@test "lego, dns-01: two values at one name, each made and taken back" {
    cat >"$BATS_FILE_TMPDIR/program" <<END
#!/bin/sh
echo "\$*" >>"$ACCOUNT/calls"
case \$1 in present) verb=set-txt ;; *) verb=clear-txt ;; esac
exec curl -sS --fail -d "{\"host\":\"\$2\",\"value\":\"\$3\"}" http://127.0.0.1:8055/\$verb
END
    chmod 0755 "$BATS_FILE_TMPDIR/program"
    csr blog.example '*.blog.example'
    ask order ".challenge = \"dns-01\" | .dns = \"$BATS_FILE_TMPDIR/program\""
    said .ok
    cat "$ACCOUNT/calls" >&2
    diff <(sed -n 's/^present //p' "$ACCOUNT/calls" | sort) <(sed -n 's/^cleanup //p' "$ACCOUNT/calls" | sort)
    [ "$(grep -c '^present _acme-challenge.blog.example. ' "$ACCOUNT/calls")" -eq 2 ]
    csr blog.example www.blog.example
}

@test "lego, problems: the CA's type, detail, name and link" {
    pebble fault rate-limited
    ask order
    refused :rateLimited
    said '.problem.status == 429 and .problem.link == "https://ca.example/limits"'
    pebble fault paused
    ask order
    said '.problem.link == "https://ca.example/unpause?jwt=ey.J-_x"'
    pebble fault
    csr good.example nowhere.example
    pebble dns add-a '{"host":"nowhere.example","addresses":["10.9.9.9"]}' >/dev/null
    ask order
    refused :connection
    said '.problem.identifier == "nowhere.example" and (.problem.subproblems | length) == 0'
    csr blog.example www.blog.example
}

@test "lego, a CA that means ill costs the deadline and one message" {
    for fault in garbage empty big 'error 503' other-scheme bad-token; do
        pebble fault "$fault"
        echo "fault $fault" >&2
        ask order '.deadline = 20'
        said '.ok == false and (.problem.detail | length) < 1100'
    done
    [ ! -e /tmp/chillbox-escaped ]
    pebble fault hang
    begun=$SECONDS
    ask order '.deadline = 6'
    refused deadline
    [ $((SECONDS - begun)) -le 7 ]
}

@test "lego, probes" {
    ask probe '.kind = "addresses" | .name = "any.example"'
    said '. == {"ok": true, "a": ["127.0.0.1"], "aaaa": []}'
    pebble dns add-aaaa '{"host":"six.example","addresses":["2001:db8::1"]}' >/dev/null
    ask probe '.kind = "addresses" | .name = "six.example"'
    said '.aaaa == ["2001:db8::1"]'
    pebble dns set-servfail '{"host":"broken.example"}' >/dev/null
    ask probe '.kind = "addresses" | .name = "broken.example"'
    refused dns
    head -c 2000 /dev/zero | tr '\0' x >"$WEB/long"
    mkdir -p "$WEB/folder"
    ask probe '.kind = "http" | .name = "blog.example" | .address = "127.0.0.1" | .port = 80 | .path = "/long"'
    said '.ok and .status == 200 and (.body | length) == 512 and .location == null and (.date | fromdate) > 0'
    ask probe '.kind = "http" | .name = "blog.example" | .address = "127.0.0.1" | .port = 80 | .path = "/folder"'
    said '.status == 301 and (.location | endswith("/folder/"))'
    ask probe '.kind = "http" | .name = "blog.example" | .address = "127.0.0.1" | .port = 81 | .path = "/"'
    refused network
    ask probe '.kind = "tls" | .name = "pebble" | .address = "127.0.0.1" | .port = 14443'
    digest=$(openssl x509 -in "$CA/server.pem" -outform DER | sha256sum)
    said ".ok and .sha256 == \"${digest%% *}\" and .names == [\"localhost\", \"pebble\", \"127.0.0.1\"] and (.not_after | fromdate) > now"
    ask probe '.kind = "tls" | .name = "pebble" | .address = "127.0.0.1" | .port = 80'
    refused network
}

@test "lego, what it cannot do is an answer: no contact, an external account, other actions, no input" {
    ask account
    refused local
    said '.problem.detail | contains("contact")'
    ask account '.contact = ["mailto:$(id)"]'
    refused local
    ask account '.eab = {kid: "a", hmac_key: "b"} | .contact = ["mailto:op@blog.example"]'
    refused local
    ask account '.action = "rollover"'
    refused local
    ask renewal-info
    said '. == {"ok": true, "ari": null}'
    ask nosuch
    refused local
    for text in '' '{' '[]'; do
        as_engine "$ENGINE" order <<<"$text" >"$OUT"
        refused local
    done
    mkdir "$ACCOUNT/none" && chown $ENGINE_UID "$ACCOUNT/none"
    ask order '.account += "/none"'
    refused :accountDoesNotExist
}

@test "lego, another version's arguments, or no lego: said before a CA is asked" {
    mkdir "$BATS_TEST_TMPDIR/bin"
    printf '#!/bin/sh\necho "lego 5: run renew"\n' >"$BATS_TEST_TMPDIR/bin/lego"
    chmod 0755 "$BATS_TEST_TMPDIR" "$BATS_TEST_TMPDIR/bin" "$BATS_TEST_TMPDIR/bin/lego"
    before=$(pebble count)
    PATH=$BATS_TEST_TMPDIR/bin:$PATH ask order
    refused local
    said '.problem.detail | contains("not version 4")'
    rm "$BATS_TEST_TMPDIR/bin/lego"
    for tool in sh dirname pwd printf head; do ln -s "$(command -v $tool)" "$BATS_TEST_TMPDIR/bin/"; done
    input | net setpriv --reuid $ENGINE_UID --clear-groups env PATH="$BATS_TEST_TMPDIR/bin" "$ENGINE" order >"$OUT"
    refused local
    said '.problem.detail == "install lego and jq"'
    [ "$(pebble count)" -eq "$before" ]
}
