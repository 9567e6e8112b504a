#!/usr/bin/env bats
# The other ways to a certificate, on a whole host with a real CA (Pebble): a site whose NGINX template is one of the original's, with a challenge
# location of its own; a wildcard by a program for DNS, whose credentials come with the secret set; several orders under visitors.

# shellcheck disable=SC2154,SC2016 # box_up sets HOST; "sh -c" expands in the box

load helpers/box
load helpers/host
load helpers/ca

setup_file() {
    host_possible || return 0
    host_up
    ca_up
    host_set_up
    mkdir -p "$LAPTOP/secrets/tls" "$LAPTOP/secrets/api"
    printf 'let me in\n' >"$LAPTOP/secrets/tls/dns"
    printf 'WHISPER = "x"\n' >"$LAPTOP/secrets/api/api.cfg"
    send "$(pack_secrets "$LAPTOP/secrets")"
}

teardown_file() { ca_down; host_down; }
setup() { host_or_skip; }

serves() { https "$1" / -o /dev/null 2>/dev/null; }
state_of() { tls_of "$1" .state; }

# As sites of the original have it: the first server is on https as soon as there is a certificate, the second on http then.
template() {
    mkdir -p "$LAPTOP/hello/nginx/templates"
    cat >"$LAPTOP/hello/nginx/templates/hello.nginx.conf.template" <<'END'
server {
  include /etc/nginx/conf.d/${SLUGNAME}.ssl_cert.include;
  server_name ${SERVER_NAME};
  location / {
    proxy_pass http://$SLUGNAME-api;
  }
  location /.well-known/acme-challenge/ {
    limit_except GET {
      deny all;
    }
    root /srv/chillbox;
  }
}
server {
  listen ${SERVER_PORT};
  server_name ${SERVER_NAME};
  location / {
    return 307 https://$host$request_uri;
  }
  location /.well-known/acme-challenge/ {
    limit_except GET {
      deny all;
    }
    root /srv/chillbox;
  }
}
END
}

@test "a template of the original, which answers challenges itself, is on https by itself (tls 7)" {
    make_site "$(next_version)"
    template
    send "$(pack)"
    wait_for 90 serves hello.example
    wait_for 30 valid hello
    [ "$(get /x -o /dev/null -w '%{http_code} %{redirect_url}')" = '307 https://hello.example/x' ]
}

@test "a wildcard by DNS: the program has its credentials from the secret set while an order is made, and nobody has them after it (tls 24)" {
    in_box mkdir -p /etc/chillbox/hooks.d/dns
    in_box sh -c 'cat >/etc/chillbox/hooks.d/dns/trial && chmod 0755 /etc/chillbox/hooks.d/dns/trial' <<'END'
#!/bin/sh
set -eu
[ "$(cat "$CHILLBOX_DNS_CREDENTIALS")" = 'let me in' ]
case $1 in
  present) curl -sf -d "{\"host\": \"$2\", \"value\": \"$3\"}" http://127.0.0.1:8055/set-txt ;;
  cleanup) curl -sf -d "{\"host\": \"$2\"}" http://127.0.0.1:8055/clear-txt ;;
esac
echo "$1 $2" >>/tmp/dns.log
END
    make_site "$(next_version)"
    edit_site '.aliases = ["*.hello.example"] | .tls = {"challenge": "dns-01", "dns": "trial"}'
    send "$(pack)"
    wait_for 90 valid hello.wildcard
    wait_for 30 serves any.hello.example
    serves hello.example
    run ! https other.example / -o /dev/null
    [ "$(in_box grep -c '^present' /tmp/dns.log)" = "$(in_box grep -c '^cleanup' /tmp/dns.log)" ]
    run ! in_box sh -c 'grep -rl "let me in" /run/chillbox/tls /var/lib/chillbox /srv/chillbox /tmp'
}

@test "certificates are ordered again and again under visitors, and no request fails" {
    before=$(served_sha hello.example)
    box push "$HOST" "$ROOT/tests/nginx/visitors" "$CA/root.pem" /usr/local/bin/
    in_box /usr/local/bin/visitors 443 hello.example /usr/local/bin/root.pem 6000 >"$LAPTOP/visitors" 2>&1 3>&- &
    visitors=$!
    for _ in 1 2 3; do
        in_box chillboxctl tls renew hello >/dev/null
        wait_for 30 valid hello
    done
    wait "$visitors" || { cat "$LAPTOP/visitors" >&2; false; }
    [[ "$(cat "$LAPTOP/visitors")" == *' 0 failed'* ]]
    [ "$(served_sha hello.example)" != "$before" ]
}
