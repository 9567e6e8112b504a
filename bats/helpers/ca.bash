# For whole hosts that order certificates from a CA of their own. load helpers/box, helpers/host and helpers/ca
#
# ca_up [VARIABLE=VALUE...]  after host_up, before host_set_up: Pebble in the box's network (tests/tls/pebble, with its knobs), whose DNS leads every name
#                            to the box, and a chillboxd.toml that orders there (Pebble takes any profile if none is asked for); TOML in $CA_TOML is added to its [tls], $CA_NAME is the host's own name
# ca_down                    in teardown_file
# ca VERB ARG...             tests/tls/pebble of that CA;  orders  how many it was sent so far
# https NAME PATH [OPTION...]  curl from the laptop, which trusts that CA
# valid ID                   the certificate is served and nothing is under way;  tls_of ID FILTER  a member of it
# sha_of ID                  of the certificate that the row has;  served_sha NAME  of the one that NGINX serves under the name

# shellcheck disable=SC2154 # box_up sets HOST

ca_up() {
    export CA=$BATS_FILE_TMPDIR/ca
    mkdir -p "$CA"
    env PEBBLE_WFE_NONCEREJECT=0 "$@" sh "$ROOT/tests/tls/pebble" up "$CA" --box "$HOST"
    in_box mkdir -p /etc/chillbox
    box push "$HOST" "$CA/ca.pem" /etc/chillbox/ca.pem
    in_box chmod 0644 /etc/chillbox/ca.pem
    printf '[host]\nserver_name = "%s"\n[tls]\nacme = "https://127.0.0.1:14443/dir"\nca_file = "/etc/chillbox/ca.pem"\nprofile = "tlsserver"\n%s\n[defaults]\nwatch = "1s"\n' \
        "${CA_NAME:-_}" "${CA_TOML-}" | in_box sh -c 'cat >/etc/chillbox/chillboxd.toml && chmod 0640 /etc/chillbox/chillboxd.toml'
    ca root >"$CA/root.pem"
}

ca_down() { [ ! -e "${CA-/nonexistent}/ca.pem" ] || ca down; }
ca() { sh "$ROOT/tests/tls/pebble" "$1" "$CA" "${@:2}"; }
orders() { ca count 'POST /order-plz 201'; }

https() { host_curl --cacert "$CA/root.pem" --resolve "$1:443:127.0.0.1" --resolve "$1:80:127.0.0.1" "${@:3}" "https://$1$2"; }
tls_of() { ctl tls --json | jq -r --arg id "$1" '.certificates[] | select(.id == $id) | '"$2"; }
sha_of() { tls_of "$1" .sha256; }
valid() { [ "$(tls_of "$1" .state)" = valid ]; }
served_sha() {
    box net "$HOST" -- openssl s_client -connect 127.0.0.1:443 -servername "$1" </dev/null 2>/dev/null |
        openssl x509 -outform DER 2>/dev/null | sha256sum | cut -d ' ' -f 1
}
