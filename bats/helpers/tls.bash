# For tests of engines (hooks/acme) against a CA: load helpers/tls. Needs root, and is alone in a network of its own.
#
# tls_up [VARIABLE=VALUE...]  a network with Pebble (tests/tls/pebble up, and its knobs) and a web server for $WEB
# tls_down                    in teardown_file
# net CMD...                  in that network;  pebble VERB ARG...  of that CA
# ask VERB [JQ...]            the engine $ENGINE as another user with the usual input, changed by a filter such as '.deadline = 3'. Its answer is in $OUT
# said FILTER                 true if jq -e says so of the answer
# csr NAME...                 a new key and CSR: $BATS_FILE_TMPDIR/key.pem and csr.pem, for the names of the next orders

# shellcheck shell=bash

tls_up() {
    ROOT=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
    export ROOT CA=$BATS_FILE_TMPDIR/ca WEB=$BATS_FILE_TMPDIR/web ACCOUNT=$BATS_FILE_TMPDIR/account OUT=$BATS_FILE_TMPDIR/out ENGINE_UID=64990
    mkdir -p "$CA" "$WEB/.well-known/acme-challenge" "$ACCOUNT"
    chmod 0711 "$BATS_RUN_TMPDIR" "$BATS_FILE_TMPDIR" "$CA"
    chmod 0700 "$ACCOUNT"
    case $ENGINE in
        */engine) cp "${ENGINE%/*}"/* "$BATS_FILE_TMPDIR" ;; # where the source is, others may not be able to read
        *) cp "$ENGINE" "$BATS_FILE_TMPDIR/engine" ;;
    esac
    export ENGINE=$BATS_FILE_TMPDIR/engine
    chown $ENGINE_UID "$ACCOUNT" "$WEB/.well-known/acme-challenge"
    printf 'nameserver 127.0.0.1\n' >"$BATS_FILE_TMPDIR/resolv.conf"
    printf '127.0.1.1 hosted.example\n' | cat /etc/hosts - >"$BATS_FILE_TMPDIR/hosts"
    # shellcheck disable=SC2016
    unshare --net --mount sh -c 'ip link set lo up && for file in resolv.conf hosts; do mount --bind "$1/$file" "/etc/$file"; done && cd "$2" && exec python3 -m http.server 80' \
        sh "$BATS_FILE_TMPDIR" "$WEB" >"$BATS_FILE_TMPDIR/web.log" 2>&1 3>&- &
    export NET=$!
    for ((tries = 100; tries > 0; tries--)); do net curl -s -o "$OUT" http://127.0.0.1/ && break; sleep 0.05; done
    net env "$@" sh "$ROOT/tests/tls/pebble" up "$CA"
    chmod 0644 "$CA/ca.pem"
}

tls_down() {
    [ -n "${NET-}" ] || return 0
    sh "$ROOT/tests/tls/pebble" down "$CA"
    kill "$NET"
}

net() { nsenter --target "$NET" --net --mount -- "$@"; }
pebble() { net sh "$ROOT/tests/tls/pebble" "$1" "$CA" "${@:2}"; }

csr() {
    names=$(printf ',DNS:%s' "$@")
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj / -addext "subjectAltName=${names#,}" \
        -keyout "$BATS_FILE_TMPDIR/key.pem" -out "$BATS_FILE_TMPDIR/csr.pem" 2>/dev/null
    printf '%s\n' "$@" | jq -R . | jq -s . >"$BATS_FILE_TMPDIR/names"
}

input() { # JQ
    jq -n --rawfile csr "$BATS_FILE_TMPDIR/csr.pem" --slurpfile names "$BATS_FILE_TMPDIR/names" "{directory: \"https://127.0.0.1:14443/dir\", ca_file: \"$CA/ca.pem\",
        account: \"$ACCOUNT\", deadline: 60, action: \"ensure\", contact: [], eab: null, csr: \$csr, names: \$names[0], challenge: \"http-01\", webroot: \"$WEB\",
        dns: null, profile: null, replaces: null, order_url: null} | ${1:-.}"
}

as_engine() { net setpriv --reuid $ENGINE_UID --regid $ENGINE_UID --clear-groups --no-new-privs -- "$@"; }

ask() { # VERB [JQ]
    input "${2-}" | as_engine "$ENGINE" "$1" >"$OUT"
    [ "$(wc -l <"$OUT")" -eq 1 ]
}

said() { jq -e "$1" "$OUT" >/dev/null || { jq -c . "$OUT" >&2; return 1; }; }
