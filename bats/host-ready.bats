#!/usr/bin/env bats
# /SITE/ready, drain and undrain: what a load balancer or a DNS check asks.

# shellcheck disable=SC2154,SC2016 # box_up sets HOST; "sh -c" expands in the box

load helpers/box
load helpers/host
load helpers/one_host

# site VERSION [JQ_FILTER]: a program that answers what its data say: /health with the status in data/health
site() {
    rm -rf "$LAPTOP/hello"
    mkdir -p "$LAPTOP/hello/api"
    cat >"$LAPTOP/hello/api/serve" <<'P'
#!/usr/bin/python3 -ISB
import os, socket
s = socket.socket(fileno=3) if "PORT" not in os.environ else socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
while True:
    c, _ = s.accept()
    line = c.recv(65536).decode().split(" ")
    try: status = open("/var/lib/hello/api/status").read().strip()
    except OSError: status = "200"
    if line[1].replace("%24", "$") != "/health?x=$y": status = "200"
    body = "<script>alert(1)</script> %s %s\n" % (line[0], line[1])
    policy = "Content-Security-Policy: " + "x" * 20000 # as large as an answer's headers may be
    c.sendall(("HTTP/1.0 %s X\r\nContent-Type: text/html\r\n%s\r\nLocation: /elsewhere\r\nContent-Length: %d\r\n\r\n%s" % (status, policy, len(body), body)).encode())
    c.close()
P
    chmod +x "$LAPTOP/hello/api/serve"
    jq -n --arg version "$1" '{name: "Hello", server_name: "hello.example", domain_list: ["hello.example"], version: $version, watch: "0s",
        services: [{name: "api", lang: "binary", listen: "fd", "run-cmd": "./serve", health: {path: "/health?x=$y"}}]}' >"$LAPTOP/hello/hello.site.json"
    [ -z "${2-}" ] || edit_site "$2"
    send "$(pack)"
}
says() { in_box sh -c 'echo "$1" >/var/lib/hello/api/status && chmod 644 /var/lib/hello/api/status' sh "$1"; }
ready() { get /hello/ready -o "$LAPTOP/body" -D "$LAPTOP/head" -w '%{http_code}' "$@"; }
# As a load balancer on this machine asks the host; as another.
of_host() { in_box curl -s -o /dev/null -w '%{http_code}' -H 'Host: localhost' "http://127.0.0.1/${1:-hello}/ready"; }

@test "it is ready while the service's health path is good, and says two words of ours, whatever the service answers [attack-I10][fault-1243]" {
    run -0 site 1.0.0
    [ "$(ready)" = 200 ]
    [ "$(cat "$LAPTOP/body")" = ready ]
    grep -qi '^content-type: text/plain' "$LAPTOP/head"
    grep -qi '^cache-control: no-store' "$LAPTOP/head"
    ! grep -qi '^location' "$LAPTOP/head" || false
    [ "$(ready -X POST -d x=y)" = 200 ]
    [ "$(ready -I)" = 200 ]
    [ "$(of_host)" = 200 ]
    for status in 503 500 404 302; do # the site file sets a health path: what is not below 400 is not good
        says "$status"
        expected=$([ "$status" = 302 ] && echo 200 || echo 503)
        [ "$(ready)" = "$expected" ]
        [ "$(of_host)" = "$expected" ]
        ! grep -q script "$LAPTOP/body" || false
        ! grep -qi '^location' "$LAPTOP/head" || false
    done
    [ "$(code /.chillbox/ready/hello)" = 404 ]
    says 200
    run -0 ctl stop hello
    [ "$(ready)" = 503 ]
    [ "$(cat "$LAPTOP/body")" = 'not ready' ]
    run -0 ctl start hello
    [ "$(ready)" = 200 ]
}

@test "what docs/examples/opentofu have Route 53 and Cloudflare ask is answered here, by the name of the site" {
    paths=$(sed -n 's/^ *\(resource_\)\{0,1\}path *= "\(.*\)"$/\2/p' "$ROOT"/docs/examples/opentofu/*/main.tf | sed 's/\${var.site}/hello/')
    [ "$(wc -l <<<"$paths")" -eq 2 ]
    for path in $paths; do
        [ "$(code "$path")" = 200 ]
        run -0 ctl drain hello
        [ "$(code "$path")" = 503 ]
        run -0 ctl undrain hello
    done
}

@test "drain is seen at once, of a site or of the host, by nobody but who asks for it, and lasts until undrain" {
    generation() { in_box curl -s -H 'Host: generation.chillbox.invalid' http://127.0.0.1/generation; }
    before=$(generation)
    run -0 ctl drain hello
    [ "$output" = 'hello: load balancers send visitors elsewhere' ]
    [[ "$(ready) $(of_host) $(code /)" = '503 503 200' ]]
    run -0 ctl drain hello
    [[ "$output" == 'hello: unchanged: '* ]]
    [ "$(json status '.sites[0] | "\(.drained) \(.state) \(.down)"')" = 'true live ' ]
    ctl status | grep -q 'chillboxctl undrain hello'
    ctl doctor | grep -q 'chillboxctl undrain hello'
    ctl audit | grep -q 'drain  *hello'
    run -0 ctl undo hello --yes
    [[ "$output" == *'undrain hello'* ]]
    [[ "$(ready) $(of_host)" = '200 200' ]]
    begun=$SECONDS
    run -0 ctl drain --wait 3s
    [ $((SECONDS - begun)) -ge 3 ]
    [[ "$(ready) $(of_host) $(code /)" = '503 503 200' ]]
    ctl status | grep -q 'chillboxctl undrain`'
    ctl doctor | grep -q 'chillboxctl undrain'
    [ "$(generation)" = "$before" ]
    box reboot "$HOST"
    [ "$(ready)" = 503 ]
    unlock
    [[ "$(ready) $(code /)" = '503 200' ]]
    run -0 ctl undrain
    [ "$(ready)" = 200 ]
    run -0 ctl undrain
    [[ "$output" == 'host: unchanged: '* ]]
    run -3 ctl drain nosuch
}

@test "it is not ready in maintenance, nor while the site waits for the host to be unlocked" {
    run -0 ctl maintenance on hello
    [[ "$(ready) $(of_host)" = '503 503' ]]
    run -0 ctl maintenance off hello
    [ "$(ready)" = 200 ]
    secrets value
    run -0 site 1.0.1 '.services[0].secrets_config = "api.cfg"'
    [ "$(ready)" = 200 ]
    box reboot "$HOST"
    [[ "$(ready) $(of_host)" = '503 503' ]]
    unlock
    [ "$(ready)" = 200 ]
}

@test "under the host's name only those of nginx.checked_from are answered, with a reload of the configuration" {
    in_box ip address add 192.0.2.7/32 dev lo
    elsewhere() { in_box curl -s -o /dev/null -w '%{http_code}' -H 'Host: localhost' http://192.0.2.7/hello/ready; }
    [[ "$(elsewhere) $(of_host) $(of_host nosuch)" = '404 200 404' ]]
    in_box sed -i "s|^# checked_from = .*|checked_from = [\"192.0.2.0/24\"]|" /etc/chillbox/chillboxd.toml
    run -0 ctl reload
    run -0 in_box rc-service -q chillboxd restart
    unlock
    [ "$(elsewhere)" = 200 ]
}

@test "of a service on TCP the slot that has the visitors is asked, in its releases one after the other" {
    for version in 2.0.0 2.0.1 2.0.2; do
        run -0 site "$version" 'del(.services[0].listen)'
        says 503
        [[ "$(ready) $(of_host)" = '503 503' ]]
        says 200
        [[ "$(ready) $(of_host)" = '200 200' ]]
    done
}

@test "a site with its own template has it too; one that answers it itself keeps that, under its own names only [attack-I10]" {
    template() { # VERSION NEXT LINES
        run -0 site "$1"
        mkdir -p "$LAPTOP/hello/nginx/templates"
        printf 'server {\n  listen 80;\n  server_name hello.example;\n  deny all;\n  %s\n  location / { proxy_pass http://hello-api; }\n}\n' "$3" \
            >"$LAPTOP/hello/nginx/templates/hello.nginx.conf.template"
        edit_site ".version = \"$2\""
        run -0 send "$(pack)"
    }
    template 3.0.0 3.0.1 ''
    [[ "$(ready) $(of_host)" = '200 200' ]]
    says 503
    [[ "$(ready) $(of_host)" = '503 503' ]]
    says 200
    template 3.1.0 3.1.1 'location = /hello/ready { return 200 "<script>of theirs</script>"; }'
    [ "$(ready)" = 200 ]
    grep -q theirs "$LAPTOP/body"
    [ "$(in_box curl -s -H 'Host: localhost' http://127.0.0.1/hello/ready)" = ready ]
}

@test "a removed site is unknown again" {
    run -0 ctl remove hello --yes --purge
    [ "$(of_host)" = 404 ]
    [ -z "$(in_box sh -c 'ls /var/lib/chillbox/nginx/ready')" ]
}
