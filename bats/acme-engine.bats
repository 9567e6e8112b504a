#!/usr/bin/env bats
# The contract of an ACME engine (chillbox-hooks(7), ENGINES) with the shipped one, against Pebble, which refuses every fifth nonce, and against a CA
# that means ill. In a network of its own.

load helpers/box
load helpers/tls

setup_file() {
    bats_require_minimum_version 1.5.0
    export BATS_NO_PARALLELIZE_WITHIN_FILE=true
    export ENGINE=${BUILD:-build}/acmez
    case $ENGINE in /*) ;; *) ENGINE=$BATS_TEST_DIRNAME/../$ENGINE ;; esac
    [ "$(id -u)" -eq 0 ] && [ -x "$ENGINE" ] || return 0
    tls_up PEBBLE_AUTHZREUSE=100
    csr blog.example www.blog.example
    ask account
}

teardown_file() { tls_down; }

setup() {
    needs_root
    [ -x "$ENGINE" ] || skip 'the engine was not built, because there is no Go'
    pebble fault
}

teardown() { [ -z "${NET-}" ] || [ -z "$(ls -A "$WEB/.well-known/acme-challenge")" ]; }

orders() { pebble count 'POST /order-plz 201'; }
chain() { jq -r .chain "$OUT"; }
key_of() { openssl pkey -pubout -in "$BATS_FILE_TMPDIR/key.pem"; }
as_json() { jq -Rs . <"$1"; } # a file as a string of a filter

# The ids of what it has: so many bytes, one object, an error of this kind.
refused() { # TYPE
    said ".ok == false and (.problem.type | endswith(\"$1\")) and (.problem.detail | length > 5 and length < 1100)"
    run ! grep -P '[\x00-\x09\x0b-\x1f]' "$OUT"
}

@test "account: the key is made once, for the engine alone; who asks again has the same account" {
    said '.ok and .created and .status == "valid" and (.url | startswith("https://"))'
    thumbprint=$(jq -r .thumbprint "$OUT")
    key=$(echo "$ACCOUNT"/*.key)
    [ "$(stat -c '%a %u' "$key")" = "400 $ENGINE_UID" ]
    ask account
    said ".ok and (.created | not) and .thumbprint == \"$thumbprint\""
    ask account '.action = "show"'
    said ".ok and .thumbprint == \"$thumbprint\""
    mkdir "$ACCOUNT/two" && chown $ENGINE_UID "$ACCOUNT/two"
    for _ in 1 2 3 4; do (input '.account += "/two"' | as_engine "$ENGINE" account >>"$BATS_TEST_TMPDIR/many") & done
    wait
    [ "$(jq -rs '[.[] | select(.ok) | .thumbprint] | unique | length' "$BATS_TEST_TMPDIR/many")" -eq 1 ]
}

@test "account: one key for each CA" {
    ask account '.directory = "https://localhost:14443/dir"'
    said '.ok and .created'
    [ "$(ls "$ACCOUNT"/*.key | wc -l)" -eq 2 ]
}

@test "order: the chain is for the key of the CSR and its names; renewal information comes with it; nothing is left in the webroot" {
    ask order '.profile = "tlsserver"'
    said '.ok and .profile == "tlsserver" and .replaced == false and (.order_url | startswith("https://")) and .warnings == []'
    said '.ari.start < .ari.selected and .ari.selected < .ari.end and .ari.retry_after > 0'
    diff <(chain | openssl x509 -noout -pubkey) <(key_of)
    chain | openssl x509 -noout -ext subjectAltName | grep -q 'DNS:blog.example, DNS:www.blog.example'
    [ "$(chain | grep -c BEGIN)" -eq 2 ]
    chain >"$BATS_FILE_TMPDIR/leaf.pem"
}

@test "order: what could be used for weeks is given back; what lives for hours is kept" {
    csr give.example
    ask order '.profile = "tlsserver"'
    before=$(pebble count 'POST /chalZ/.* 200')
    ask order # the authorization of before is still valid
    said .ok
    [ "$(pebble count 'POST /chalZ/.* 200')" -eq "$before" ]
    ask order # that of the order without a profile is not
    said .ok
    [ "$(pebble count 'POST /chalZ/.* 200')" -eq $((before + 1)) ]
}

@test "order: every name that fails is named, after one order [fault-295]" {
    csr good.example nowhere.example other.example
    for host in nowhere other; do pebble dns add-a "{\"host\":\"$host.example\",\"addresses\":[\"10.9.9.9\"]}" >/dev/null; done
    ask order '.order_url = null'
    refused :connection
    said '([.problem.subproblems[].identifier] | sort) == ["nowhere.example", "other.example"] and .problem.identifier == .problem.subproblems[0].identifier and .order_url == null'
    for host in nowhere other; do pebble dns clear-a "{\"host\":\"$host.example\"}" >/dev/null; done
    csr blog.example www.blog.example
}

@test "order: one that is processing at the deadline is continued, and no second one is made [fault-290]" {
    pebble fault processing
    before=$(orders)
    ask order '.deadline = 12 | .profile = "seconds"'
    refused deadline
    url=$(jq -r .order_url "$OUT")
    ask order ".deadline = 4 | .order_url = \"$url\""
    refused deadline
    said ".order_url == \"$url\""
    pebble fault
    ask order ".order_url = \"$url\""
    said ".ok and .order_url == \"$url\""
    diff <(chain | openssl x509 -noout -pubkey) <(key_of)
    [ "$(orders)" -eq $((before + 1)) ]
    # Nor is another one's continued: not of other names, nor one that the CA has forgotten.
    csr blog.example
    ask order ".order_url = \"$url\""
    said ".ok and .order_url != \"$url\" and (.warnings | length) == 1"
    ask order ".order_url = \"${url%/*}/none\""
    said '.ok and (.warnings | length) == 1'
    csr blog.example www.blog.example
}

@test "order: nine of ten nonces refused give a certificate or one failure, and never two orders [fault-291]" {
    pebble stop
    PEBBLE_WFE_NONCEREJECT=90 pebble start
    before=$(orders)
    url=null
    for _ in 1 2 3 4 5 6; do
        ask account && said .ok || continue
        break
    done
    for _ in 1 2 3 4 5 6 7 8; do
        ask order ".order_url = $url"
        [ "$(jq .ok "$OUT")" = false ] || break
        url=$(jq .order_url "$OUT")
    done
    [ "$(orders)" -le $((before + 1)) ]
    pebble stop
    pebble start
}

@test "account: what the CA has forgotten is registered once more, with the same key [fault-293]" {
    ask order
    refused :accountDoesNotExist
    ask account
    said '.ok and .created'
    ask order
    said .ok
    pebble fault no-account
    ask order
    refused :accountDoesNotExist
    [ ! -e "$(echo "$ACCOUNT"/127*.json)" ]
    pebble fault
    ask order
    said .ok
    mkdir "$ACCOUNT/none" && chown $ENGINE_UID "$ACCOUNT/none"
    ask order '.account += "/none"'
    refused :accountDoesNotExist
    [ -z "$(ls -A "$ACCOUNT/none")" ]
}

@test "account: a deactivated one is not used in a loop: ensure fails, new makes another [fault-293]" {
    mkdir "$ACCOUNT/gone" && chown $ENGINE_UID "$ACCOUNT/gone"
    ask account '.account += "/gone"'
    old=$(jq -r .thumbprint "$OUT")
    ask account '.account += "/gone" | .action = "deactivate"'
    said '.ok and .status == "deactivated"'
    ask account '.account += "/gone"'
    refused :unauthorized
    ask account '.account += "/gone" | .action = "new"'
    said ".ok and .created and .thumbprint != \"$old\""
}

@test "account: a key is changed, also when the engine was killed before or after the CA knew [fault-293]" {
    mkdir "$ACCOUNT/roll" && chown $ENGINE_UID "$ACCOUNT/roll"
    ask account '.account += "/roll"'
    old=$(jq -r .thumbprint "$OUT")
    key=$(echo "$ACCOUNT"/roll/*.key)
    cp -p "$key" "$BATS_TEST_TMPDIR/old.key"
    ask account '.account += "/roll" | .action = "rollover"'
    said ".ok and .thumbprint != \"$old\""
    new=$(jq -r .thumbprint "$OUT")
    for action in show ensure; do
        mv "$key" "$key.next" && cp -p "$BATS_TEST_TMPDIR/old.key" "$key" # killed after
        ask account '.account += "/roll" | .action = "'$action'"'
        said ".ok and .thumbprint == \"$new\""
    done
    openssl ecparam -name prime256v1 -genkey -noout -out "$key.next" && chown $ENGINE_UID "$key.next" # killed before
    ask account '.account += "/roll"'
    said ".ok and .thumbprint == \"$new\""
    [ ! -e "$key.next" ]
    : >"$key.cut" && chown $ENGINE_UID "$key.cut" && mv "$key.cut" "$key"
    ask account '.account += "/roll"'
    refused local
    said '.problem.detail | contains("damaged")'
}

@test "problems: what the CA says comes with its time, its link and the name it is about [fault-295]" {
    pebble fault rate-limited 7200
    ask order
    refused :rateLimited
    said '.problem.status == 429 and .problem.link == "https://ca.example/limits" and (.retry_at | fromdate) - now > 7000 and (.retry_at | fromdate) - now < 7300 and .order_url == null and .ca_date != null'
    pebble fault html-429
    ask order
    refused :rateLimited
    said '(.retry_at | fromdate) - now > 30'
    pebble fault paused
    ask order
    refused :rateLimited
    said '.problem.link == "https://ca.example/unpause?jwt=ey.J-_x"'
    pebble fault caa
    ask order
    refused :caa
    said '.problem.identifier == "blog.example"'
    pebble fault user-action
    ask order
    refused :userActionRequired
    said '.problem.link == "https://ca.example/terms"'
    pebble fault rejected
    ask order
    refused :rejectedIdentifier
    pebble fault
    csr blocked.example
    ask order
    refused :rejectedIdentifier
    csr blog.example www.blog.example
}

@test "a CA that means ill costs its deadline, a little memory and one message [fault-288] [attack-G4]" {
    for fault in garbage empty big redirect 'redirect http://127.0.0.1/' 'redirect file:///etc/passwd' 'error 500' 'error 404' other-scheme 'other-scheme file:///etc/shadow' bad-token other-name "up-for-ever 900000"; do
        pebble fault "$fault"
        echo "fault $fault" >&2
        input '.deadline = 20' >"$BATS_TEST_TMPDIR/input"
        net python3 - setpriv --reuid "$ENGINE_UID" --clear-groups "$ENGINE" <<'PY' >"$OUT" 3<"$BATS_TEST_TMPDIR/input"
import resource, subprocess, sys
code = subprocess.run([*sys.argv[1:], "order"], stdin=3).returncode
most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
sys.exit(code or most > 50000 and "%d KiB" % most)
PY
        refused network
    done
    [ ! -e /tmp/chillbox-escaped ]
    for fault in hang drip up-for-ever 'hang /order-plz' 'hang /certZ/'; do
        pebble fault "$fault"
        echo "fault $fault" >&2
        begun=$SECONDS
        ask order '.deadline = 6'
        refused deadline
        [ $((SECONDS - begun)) -le 7 ]
    done
    [ ! -e "$ACCOUNT/presented.json" ]
    pebble stop
    pebble fault
    ask order
    refused network
    pebble start
    ask account
    said .ok
}

@test "a CA that means ill cannot choose what the site serves, nor whose certificate is used [fault-289]" {
    pebble fault other-key
    csr key.example
    ask order
    said .ok # the text of the CA would have failed
    pebble fault "wrong-chain $CA/server.pem"
    ask order
    said .ok # the daemon looks at it
    diff <(chain | openssl x509 -noout -fingerprint) <(openssl x509 -noout -fingerprint -in "$CA/server.pem")
    csr blog.example www.blog.example
}

@test "renewal information: what the CA says, and nothing when it says nonsense [fault-294]" {
    ask order '.profile = "tlsserver"'
    chain >"$BATS_FILE_TMPDIR/leaf.pem"
    leaf=$(as_json "$BATS_FILE_TMPDIR/leaf.pem")
    ask renewal-info ".certificate = $leaf"
    said '.ok and .ari.start < .ari.end'
    pebble ari "$BATS_FILE_TMPDIR/leaf.pem" '{"suggestedWindow":{"start":"2020-01-01T00:00:00Z","end":"2020-01-02T00:00:00Z"},"explanationURL":"https://ca.example/incident"}'
    ask renewal-info ".certificate = $leaf"
    said '.ari.start == "2020-01-01T00:00:00Z" and .ari.end == "2020-01-02T00:00:00Z" and .ari.selected >= .ari.start and .ari.selected <= .ari.end and .ari.explanation == "https://ca.example/incident"'
    for fault in ari-malformed ari-404; do
        pebble fault $fault
        ask renewal-info ".certificate = $leaf"
        said '.ok and .ari == null and (.warnings | length) == 1'
    done
    ask order
    said '.ok and .ari == null'
    pebble fault no-ari
    ask renewal-info ".certificate = $leaf"
    said '.ok and .ari == null'
}

@test "replaces: sent once, and left out when the CA refuses it or knows no renewal information [fault-294]" {
    ask order '.profile = "tlsserver"'
    chain >"$BATS_FILE_TMPDIR/leaf.pem"
    leaf=$(as_json "$BATS_FILE_TMPDIR/leaf.pem")
    ask order ".replaces = $leaf"
    said '.ok and .replaced'
    ask order ".replaces = $leaf" # Pebble itself: it was replaced already
    said '.ok and .replaced == false and (.warnings | length) == 1'
    for fault in already-replaced replaces-malformed; do
        pebble fault $fault
        ask order ".replaces = $leaf"
        said '.ok and .replaced == false and (.warnings | length) == 1'
    done
    pebble fault no-ari
    ask order ".replaces = $leaf"
    said '.ok and .replaced == false and .warnings == []'
}

@test "profile: one that the CA does not have, or refuses, is left out with a warning [fault-294]" {
    ask order '.profile = "nosuch"'
    said '.ok and .profile == null and (.warnings[0] | contains("nosuch"))'
    for fault in no-profiles invalid-profile; do
        pebble fault $fault
        ask order '.profile = "tlsserver"'
        said '.ok and .profile == null and (.warnings[0] | contains("tlsserver"))'
    done
}

@test "order: an IP address, with the profile that has such" {
    csr blog.example
    openssl req -new -key "$BATS_FILE_TMPDIR/key.pem" -subj / -addext subjectAltName=IP:127.0.0.1 -out "$BATS_FILE_TMPDIR/csr.pem"
    ask order '.names = ["127.0.0.1"] | .profile = "shortlived"'
    said '.ok and .profile == "shortlived"'
    chain | openssl x509 -noout -ext subjectAltName | grep -q 'IP Address:127.0.0.1'
    csr blog.example www.blog.example
}

@test "revoke: a second time is no failure" {
    ask order
    leaf=$(chain | jq -Rs .)
    for _ in 1 2; do
        ask revoke ".certificate = $leaf | .reason = 4"
        said '. == {"ok": true}'
    done
}

@test "probe: addresses are those of DNS, without /etc/hosts [fault-297]" {
    [[ "$(net getent hosts hosted.example)" == 127.0.1.1* ]]
    ask probe '.kind = "addresses" | .name = "hosted.example"'
    said '.ok and .a == ["127.0.0.1"] and .aaaa == []'
    pebble dns add-aaaa '{"host":"six.example","addresses":["2001:db8::1"]}' >/dev/null
    pebble dns add-a '{"host":"six.example","addresses":["10.1.1.1"]}' >/dev/null
    ask probe '.kind = "addresses" | .name = "six.example"'
    said '.a == ["10.1.1.1"] and .aaaa == ["2001:db8::1"]'
    pebble dns set-servfail '{"host":"broken.example"}' >/dev/null
    ask probe '.kind = "addresses" | .name = "broken.example"'
    refused dns
    said '.problem.identifier == "broken.example" and (.problem.detail | contains("ServerFailure"))'
    ask probe '.kind = "addresses" | .name = "a..b"'
    refused dns
}

@test "probe http: the answer of one address, its first bytes, no redirect followed, no proxy" {
    printf 'hello' >"$WEB/hello"
    mkdir -p "$WEB/folder"
    head -c 2000 /dev/zero | tr '\0' x >"$WEB/long"
    ask probe '.kind = "http" | .name = "blog.example" | .address = "127.0.0.1" | .port = 80 | .path = "/hello"'
    said '.ok and .status == 200 and .body == "hello" and .location == null and (.date | fromdate) > 0'
    HTTP_PROXY=http://127.0.0.1:1 http_proxy=http://127.0.0.1:1 ask probe '.kind = "http" | .name = "blog.example" | .address = "127.0.0.1" | .port = 80 | .path = "/long"'
    said '.ok and (.body | length) == 512'
    ask probe '.kind = "http" | .name = "blog.example" | .address = "127.0.0.1" | .port = 80 | .path = "/folder"'
    said '.ok and .status == 301 and (.location | endswith("/folder/"))'
    ask probe '.kind = "http" | .name = "blog.example" | .address = "127.0.0.1" | .port = 81 | .path = "/"'
    refused network
    said '.problem.detail | contains("refused")'
    ask probe '.kind = "http" | .name = "blog.example" | .address = "evil.example" | .port = 80 | .path = "/"'
    refused local
}

@test "probe tls: the digest of the certificate that is served, trusted or not" {
    ask probe '.kind = "tls" | .name = "pebble" | .address = "127.0.0.1" | .port = 14443'
    digest=$(openssl x509 -in "$CA/server.pem" -outform DER | sha256sum)
    said ".ok and .sha256 == \"${digest%% *}\" and .names == [\"localhost\", \"pebble\", \"127.0.0.1\"] and (.not_after | fromdate) > now"
    ask probe '.kind = "tls" | .name = "pebble" | .address = "127.0.0.1" | .port = 80'
    refused network
}

@test "proxies of the environment are for the CA" {
    HTTPS_PROXY=http://127.0.0.1:1 ask account # never for an address of this host: Go's rule
    said .ok
    printf '127.0.0.1 pebble\n' >"$BATS_TEST_TMPDIR/hosts"
    HTTPS_PROXY=http://127.0.0.1:1 ask account '.directory = "https://pebble:14443/dir"'
    refused network
    ask account '.directory = "https://pebble:14443/dir"'
    said .ok
}

@test "external account binding: asked for, wrong, right" {
    pebble down
    net env EAB=1 sh "$ROOT/tests/tls/pebble" up "$CA"
    mkdir "$ACCOUNT/eab" && chown $ENGINE_UID "$ACCOUNT/eab"
    ask account '.account += "/eab"'
    refused :externalAccountRequired
    ask account '.account += "/eab" | .eab = {kid: "kid-1", hmac_key: "d3JvbmcgZm9yIHN1cmUgd3JvbmcgZm9yIHN1cmU"}'
    said '.ok == false'
    ask account '.account += "/eab" | .eab = {kid: "kid-1", hmac_key: "no base64!"}'
    refused local
    ask account '.account += "/eab" | .eab = {kid: "kid-1", hmac_key: "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"}'
    said '.ok and .created'
    ask account '.account += "/eab"'
    said '.ok and (.created | not)'
    pebble down
    pebble up
    ask account
}

@test "input that is none is an answer of its own kind" {
    for text in '' '{' '[]' '{"deadline": -1}' '{"deadline": 1e9}' '{"names": 7}'; do
        as_engine "$ENGINE" order <<<"$text" >"$OUT"
        refused local
    done
    head -c 2000000 /dev/zero | tr '\0' ' ' | as_engine "$ENGINE" order >"$OUT"
    refused local
    ask nosuch
    refused local
    ask account '.action = "nosuch"'
    refused local
    for change in '.csr = "x"' '.names = []' '.challenge = "tls-alpn-01"' '.webroot = null' '.webroot = "here"' '.challenge = "dns-01"' '.ca_file = "/nonexistent"' '.ca_file = "/etc/passwd"' '.replaces = "x"'; do
        ask order "$change"
        refused local
    done
    ask account '.directory = "http://127.0.0.1:14000/dir"'
    refused network
    ask account '.account = "/proc"'
    refused local
}
