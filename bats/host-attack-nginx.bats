#!/usr/bin/env bats
# Whoever has a deployer's key of one site, 'blog', writes its NGINX text; 'shop' is somebody else's. What he can say is for his own site alone.

# shellcheck disable=SC2154,SC2016 # box_up sets HOST; "sh -c" and NGINX expand

load helpers/box
load helpers/host
load helpers/attack

setup_file() {
    host_possible || return 0
    attack_up
    attack_site shop
    attack_site blog
    attack_deploy shop >&2
    attack_deploy blog >&2
}

teardown_file() { host_down; }
setup() { host_or_skip; }

# refused WORDS <TEMPLATE: a plan says so and changes nothing, a deploy with the stolen key neither
refused() {
    attack_file blog nginx/templates/blog.nginx.conf.template
    bad=$(attack_pack blog)
    box push "$HOST" "$bad" /root/bad.age
    box push "$HOST" "$bad.minisig" /root/bad.age.minisig
    run in_box chillboxctl plan /root/bad.age
    [[ "$output" == *"refused"*"$1"* ]] || { echo "plan: $output"; return 1; }
    run -8 attack_send blog "$bad"
    [[ "$output" == *"$1"* ]] || { echo "deploy: $output"; return 1; }
}

in_server() { printf 'server {\n  server_name blog.example;\n  %s\n}\n' "$1"; }
in_location() { in_server "location /x { $1 }"; }
with() { # WORDS NAME...: each template by that name is refused
    for text in "${@:2}"; do
        refused "$1" <<<"$text" || { echo "template: $text"; return 1; }
    done
}
live() { # <TEMPLATE: it goes live
    attack_file blog nginx/templates/blog.nginx.conf.template
    attack_deploy blog
}

@test "a template writes to no file of the host, neither by plan nor by a deploy [attack-A2]" {
    snapshot before /etc/cron.d /etc/passwd /var/lib/chillbox/artifacts /var/lib/chillbox/nginx /var/log/nginx/shop /root/.bashrc
    log='log_format pwn escape=none "* * * * * root id >/root/pwned\n";'
    with 'a log is /var/log/nginx/blog/NAME.log' \
        "$log $(in_server 'access_log /etc/cron.d/pwn pwn;')" \
        "$log $(in_server 'access_log /var/log/nginx/shop/access.log pwn;')" \
        "$(in_location 'access_log /var/log/nginx/blog/../../../../etc/cron.d/pwn;')" \
        "$(in_server 'access_log /var/log/nginx/blog/$arg_x.log;')" \
        "$(in_server 'error_log /root/.bashrc debug;')"
    with 'is not for sites' \
        "$(in_server 'client_body_temp_path /var/lib/chillbox/artifacts;')" \
        "$(in_location 'proxy_temp_path /var/lib/chillbox; proxy_pass http://blog-web;')" \
        "$(in_location 'proxy_store /etc/cron.d/x; proxy_pass http://blog-web;')" \
        "$(in_location 'dav_methods PUT; root /etc/cron.d;')"
    with 'a cache is /var/cache/nginx/blog' 'proxy_cache_path /var/lib/chillbox/artifacts keys_zone=x:1m max_size=1m;'
    in_box rm -f /root/bad.age /root/bad.age.minisig
    [ "$(in_box stat -c %U /var/lib/chillbox/artifacts)" = root ]
    run ! in_box ls /etc/cron.d/pwn
    attack_listing /etc/cron.d /etc/passwd /var/lib/chillbox/nginx /var/log/nginx/shop /root/.bashrc >"$BATS_TEST_TMPDIR/now"
    diff <(grep -v ^/var/lib/chillbox/artifacts "$BATS_FILE_TMPDIR/snapshot.before" | grep -v access.log) <(grep -v access.log "$BATS_TEST_TMPDIR/now")
}

@test "a template that passes is tried without a file being made [attack-A2]" {
    {
        echo 'proxy_cache_path /var/cache/nginx/blog keys_zone=x:1m max_size=1m;'
        in_server 'access_log /var/log/nginx/blog/new.log; location / { proxy_cache x; proxy_pass http://blog-web; }'
    } | attack_file blog nginx/templates/blog.nginx.conf.template
    good=$(attack_pack blog)
    box push "$HOST" "$good" /root/good.age
    box push "$HOST" "$good.minisig" /root/good.age.minisig
    snapshot before /var/log/nginx/blog /var/cache /var/lib/nginx /etc/nginx /run/nginx.pid /run/nginx
    run in_box chillboxctl plan /root/good.age
    [[ "$output" == *'+  access_log /var/log/nginx/blog/new.log;'* ]]
    unchanged before
    run attack_send blog "$good"
    [ "$status" -eq 0 ] || { echo "$output"; false; }
    [[ "$(visit blog /)" == 'hello from blog '* ]]
    [ "$(in_box stat -c %U:%a /var/cache/nginx/blog)" = "$(web_user):700" ]
}

@test "a template reads no file of the host or of another site [attack-A2]" {
    with "'root': may only be below" "$(in_server 'root /;')" "$(in_location 'root /srv/chillbox/shop/current;')" "$(in_location 'root /var/lib/chillbox;')"
    with "'alias': may only be below" "$(in_location 'alias /; autoindex on;')" "$(in_location 'alias /var/log/nginx/shop/;')"
    with "'alias': a visitor could choose the file" "$(in_location 'alias /srv/blog/root/$arg_file;')" \
        "$(in_server 'location ~ ^/a(?<up>..)b { alias /srv/blog/root/$up/$up/$up/etc/passwd; }')" \
        "$(in_server 'location ~ ^/a(?<up>[--9]+)b { alias /srv/blog/root/$up/$up/$up/etc/passwd; }')"
    with "a path may not have '..'" "$(in_location 'rewrite ^ /../../../etc/passwd break; root /srv/blog/root;')" \
        "$(in_location 'root /srv/blog/root/../../../etc;')" "$(in_location 'try_files /../../../etc/passwd =404;')"
    with 'only blog.ssl_cert.include' 'include /etc/shadow;' "$(in_server 'include /etc/chillbox/chillboxd.toml;')"
    with 'certificates and keys are below' "$(in_server 'ssl_certificate_key /etc/ssl/private/ssl-cert-snakeoil.key;')"
    with "'auth_basic_user_file': may only be below" "$(in_location 'auth_basic x; auth_basic_user_file /etc/shadow;')"
}

@test "a template takes no other site's visitors, nor the host's [attack-A2]" {
    with "'shop.example' is not a name of this site" 'server { server_name blog.example shop.example; return 200 stolen; }'
    with 'is not a name of this site' 'server { server_name ~. ; return 200 stolen; }' 'server { server_name *.example; }' 'server { server_name ""; }' \
        'server { server_name generation.chillbox.invalid; }'
    with 'would apply to the port of all sites' "$(in_server 'listen 80 default_server;')" "$(in_server 'listen 80 proxy_protocol;')"
    with 'a site may listen only on a whole port' "$(in_server 'listen 127.0.0.1:80;')"
    with 'port 80 has no TLS, for all sites' "$(in_server 'listen 80 ssl;')"
    [[ "$(visit shop /)" == 'hello from shop '* ]]
}

@test "text outside of a server holds for no other site [attack-A2]" {
    with 'allowed at the top are' 'deny all;' 'auth_basic no;' 'add_header X-Owned yes;' 'client_max_body_size 1;' 'server_tokens on;' 'resolver 127.0.0.1;'
    [[ "$(visit shop /)" == 'hello from shop '* ]]
}

@test "requests go on to no socket of the agent, no other site and no inner network [attack-A2]" {
    for target in http://unix:/run/chillbox/hook.sock http://unix:/run/chillbox/control.sock http://unix:/run/chillbox/live/shop/web.sock http://169.254.169.254 \
        http://127.0.0.1:22 http://127.0.0.1:80 'http://$http_host' 'http://$arg_to/' http://shop-web 'http://blog-web$arg_port'; do
        with "'proxy_pass': " "$(in_location "proxy_pass $target;")"
    done
    # The stand-in for a bucket is an address of its own: whatever Host a site sends there, no other server of this machine answers.
    live < <(in_location 'proxy_set_header Host shop.example; proxy_pass http://immutable.chillbox.invalid/blog/immutable/;')
    [[ "$(visit blog /x)" != *'hello from shop'* ]]
    [ "$(visit blog /x -o /dev/null -w '%{http_code}')" = 404 ]
}

@test "two sites that choose the same names for maps, zones, formats and upstreams do not meet [attack-A2]" {
    both() {
        printf 'map $http_origin $cors { default ""; "https://app.%s.example" $http_origin; }\nlimit_req_zone $binary_remote_addr zone=per_ip:1m rate=100r/s;\nlog_format own "%s $cors";
            upstream backend { server 127.0.0.1:$WEB_PORT; }\nserver { server_name %s.example; access_log /var/log/nginx/%s/access.log own; limit_req zone=per_ip;
            add_header X-Cors $cors always; location / { proxy_pass http://backend; } }\n' "$1" "$1" "$1" "$1" | attack_file "$1" "nginx/templates/$1.nginx.conf.template"
        attack_edit "$1" '.env = [{name: "WEB_PORT", value: "9000"}] | .services[0].environment = [{name: "PORT", value: "$WEB_PORT"}]'
        attack_deploy "$1"
    }
    run -0 both shop
    run -0 both blog
    cors() { visit "$1" / -H "Origin: https://app.$2.example" -D - -o /dev/null | tr -d '\r' | sed -n 's/^X-Cors: //p'; }
    [ "$(cors shop shop)" = https://app.shop.example ]
    [ -z "$(cors shop blog)" ]
    [ "$(cors blog blog)" = https://app.blog.example ]
    [[ "$(visit shop /)" == 'hello from shop '* ]]
    [[ "$(visit blog /)" == 'hello from blog '* ]]
    in_box tail -n 1 /var/log/nginx/shop/access.log | grep -q '^shop '
    with 'is neither a variable of NGINX nor one to which this template assigns a value' "$(in_location 'return 200 $cb_shop__cors;')"
}

@test "the upstreams of 'shop-b' with 'c' and of 'shop' with 'b-c' are two [attack-A2]" {
    for pair in 'sho b-c' 'sho-b c'; do
        read -r site service <<<"$pair"
        attack_site "$site" ".services[0].name = \"$service\""
        mv "$LAPTOP/sites/$site/web/web" "$LAPTOP/sites/$site/web/$service"
        mv "$LAPTOP/sites/$site/web" "$LAPTOP/sites/$site/$service"
        run -0 attack_deploy "$site"
    done
    [[ "$(visit sho-b /)" == 'hello from sho-b '* ]]
    [[ "$(visit sho /)" == 'hello from sho '* ]]
    ctl remove sho-b --purge -y
    ctl remove sho --purge -y
}

@test "a name that another server of the host has is refused, with its file [attack-A2]" {
    rm -r "$LAPTOP/sites/blog/nginx"
    in_box sh -c 'echo "server { listen 80; server_name other.example; return 200 other; }" >"$1/other.conf" && nginx -s reload' sh "$(http_files)"
    attack_edit blog '.domain_list = ["blog.example", "other.example"]'
    run -8 attack_deploy blog
    [[ "$output" == *"host name 'other.example' has a server already, in $(http_files)/other.conf"* ]]
    in_box rm "$(http_files)/other.conf"
    attack_edit blog '.domain_list = ["blog.example", "localhost"]'
    run -8 attack_deploy blog
    [[ "$output" == *"'localhost' is this host's own name"* ]]
    attack_edit blog '.domain_list = ["blog.example"]'
    run -0 attack_deploy blog
}

@test "a rollback to the same NGINX text is not stopped by somebody else's broken file [attack-D3]" {
    attack_site calm '.services = [{name: "page", lang: "static"}]'
    mv "$LAPTOP/sites/calm/web" "$LAPTOP/sites/calm/page"
    for n in 1 2; do
        echo "page $n" >"$LAPTOP/sites/calm/page/index.html"
        run -0 attack_deploy calm
    done
    in_box sh -c 'echo "no such thing" >"$1/broken.conf"' sh "$(http_files)"
    run -0 ctl rollback calm
    [ "$(visit calm /)" = 'page 1' ]
    in_box rc-service -q chillboxd restart
    unlock
    run -0 ctl rollback calm
    [ "$(visit calm /)" = 'page 2' ]
    in_box rm "$(http_files)/broken.conf"
}

@test "nobody but root and NGINX reads what visitors of another site asked for, before and after a rotation that runs no program [attack-C6] [attack-D14]" {
    visit shop / -o /dev/null
    in_box test -s /var/log/nginx/shop/access.log
    readable() {
        run ! as_site "$1" cat /var/log/nginx/shop/access.log
        run ! as_site "$1" ls /var/log/nginx/shop
    }
    readable blog
    readable nobody
    # chillboxd runs no program for it: with none of that name it works, too.
    in_box mv /usr/sbin/nginx /usr/sbin/nginx.away
    in_box sh -c 'yes | head -c 11000000 >>/var/log/nginx/shop/access.log'
    rotated() { in_box test -s /var/log/nginx/shop/access.log.1; }
    wait_for 30 rotated
    in_box mv /usr/sbin/nginx.away /usr/sbin/nginx
    goes_on() { visit shop / -o /dev/null && in_box test -s /var/log/nginx/shop/access.log; }
    wait_for 10 goes_on
    [ "$(in_box stat -c %a /var/log/nginx/shop /var/log/nginx/shop/access.log | xargs)" = '750 640' ]
    readable blog
    readable nobody
}

@test "a stranger does not learn which sites and versions there are [attack-D4]" {
    in_box ip address add 192.0.2.7/32 dev lo
    for site in shop blog nothing; do
        [ "$(host_curl -o /dev/null -w '%{http_code}' "$URL/$site/version.txt")" = 404 ]
        [ "$(in_box curl -s -o /dev/null -w '%{http_code}' -H 'Host: localhost' "http://127.0.0.1/$site/version.txt")" = 404 ]
        [ "$(in_box curl -s -o /dev/null -w '%{http_code}' -H 'Host: localhost' "http://192.0.2.7/$site/ready")" = 404 ]
    done
}

@test "NGINX follows no link that a site made to what is another's [attack-D12]" {
    live < <(in_server 'location /x { root /var/lib/blog/web; } location / { proxy_pass http://blog-web; }')
    in_service blog sh -c 'chmod 755 /var/lib/blog /var/lib/blog/web; mkdir -p /var/lib/blog/web/x && chmod 755 /var/lib/blog/web/x && cd /var/lib/blog/web/x && ln -sf /etc/passwd theirs && echo mine >own && ln -sf own link && chmod 644 own'
    [ "$(visit blog /x/own)" = mine ]
    [ "$(visit blog /x/link)" = mine ]
    [ "$(visit blog /x/theirs -o /dev/null -w '%{http_code}')" = 403 ]
}
