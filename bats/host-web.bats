#!/usr/bin/env bats
# What a site says of its place on the web: paths, files that NGINX serves, limits, names. On a whole host.

# shellcheck disable=SC2154,SC2016 # box_up sets HOST; "sh -c" and jq expand

load helpers/box
load helpers/host
load helpers/attack

setup_file() {
    host_possible || return 0
    attack_up
}

teardown_file() { host_down; }
setup() { host_or_skip; }

status() { visit "$@" -o /dev/null -w '%{http_code}'; }
heads() { visit "$@" -o /dev/null -D - | tr -d '\r'; }

@test "[fault-246] names that are the same when they are joined by '-' are two sites' and two services'" {
    for pair in 'shop b-c' 'shop-b c'; do
        read -r site service <<<"$pair"
        attack_site "$site" '.services[0].name = "'"$service"'"'
        mv "$LAPTOP/sites/$site/web" "$LAPTOP/sites/$site/$service"
        mv "$LAPTOP/sites/$site/$service/web" "$LAPTOP/sites/$site/$service/$service"
        run -0 attack_deploy "$site"
    done
    [[ "$(visit shop /)" == "hello from shop "* && "$(visit shop-b /)" == "hello from shop-b "* ]]
    run -0 attack_deploy shop
    [[ "$(visit shop /)" == "hello from shop "* && "$(visit shop-b /)" == "hello from shop-b "* ]]
}

@test "[fault-248] a body has the limit of its service, with a page that says so, and a slow answer its time" {
    { head -c 40000000 /dev/zero | tr '\0' x && printf '\0'; } >"$LAPTOP/body" # one word that no system runs: read whole, and answered
    attack_site wide
    run -0 attack_deploy wide
    [ "$(status wide /upload -X PUT --data-binary "@$LAPTOP/body")" = 413 ]
    [[ "$(visit wide /upload -X PUT --data-binary "@$LAPTOP/body")" == *"<h1>Too large</h1>"* ]]
    [[ "$(ctl logs wide)" == *"nginx: "*"client intended to send too large body"* ]]
    [[ "$(ctl logs wide/nginx -n 1)" == *"too large body"* ]]
    attack_edit wide '.services[0] += {body_max: "50M"}'
    run -0 attack_deploy wide
    [[ "$(visit wide /upload --data-binary "@$LAPTOP/body" -w '%{http_code}')" == 127$'\n'*$'\n200' ]] # the service's own
    printf 'sleep\0005\000' >"$LAPTOP/words"
    attack_edit wide '.services[0].request_timeout = "2s"' # a busy machine reads 40 MB in more than that
    run -0 attack_deploy wide
    [ "$(status wide / --data-binary "@$LAPTOP/words")" = 502 ] || [ "$(status wide / --data-binary "@$LAPTOP/words")" = 504 ]
    [[ "$(visit wide / --data-binary "@$LAPTOP/words")" == *"Not available"* ]]
}

@test "[fault-249] pages at /, an application behind them: routes that a page makes are answered, missing files are not" {
    attack_site spa '.services[0].name = "api" | .services = [{name: "web", lang: "static", at: "/", fallback: "index.html"}] + .services'
    mkdir -p "$LAPTOP/sites/spa/api" "$LAPTOP/sites/spa/web/sub" "$LAPTOP/sites/spa/web/parts"
    echo part >"$LAPTOP/sites/spa/web/parts/a.txt"
    mv "$LAPTOP/sites/spa/web/web" "$LAPTOP/sites/spa/api/api"
    echo front >"$LAPTOP/sites/spa/web/index.html"
    echo sub >"$LAPTOP/sites/spa/web/sub/index.html"
    echo 'a{}' >"$LAPTOP/sites/spa/web/app-3f2a9c1d.css"
    run -0 attack_deploy spa
    for path in / /users/7 /users/john.doe /a/b/c; do
        [ "$(visit spa "$path" -w '%{http_code}')" = $'front\n200' ] || { echo "$path"; false; }
    done
    [ "$(visit spa /sub/)" = sub ]
    [ "$(visit spa /parts/ -w '%{http_code}')" = $'front\n200' ] # [fault-1150] without a page of its own
    for path in /missing.js /static/none-3f2a9c1d.css /img/x.PNG /.env /.git/config; do
        [ "$(status spa "$path")" = 404 ] || { echo "$path"; false; }
    done
    [[ "$(heads spa /app-3f2a9c1d.css)" == *immutable* ]]
    [[ "$(heads spa /users/app-3f2a9c1d)" != *immutable* ]]
    [[ "$(visit spa /api/anything)" == "hello from spa "* ]]
    [[ "$(heads spa /api)" == *"Location: /api/"* ]]

    attack_edit spa 'del(.services[0].fallback) | .services[0] += {at: "/pages/v1/", not_found: "lost.html"} | .services[1].at = "/"'
    echo lost >"$LAPTOP/sites/spa/web/lost.html"
    run -0 attack_deploy spa
    [[ "$(visit spa /)" == "hello from spa "* ]]
    [ "$(visit spa /pages/v1/)" = front ]
    [ "$(visit spa /pages/v1/sub/)" = sub ]
    [[ "$(heads spa /pages/v1/sub)" == *"Location: /pages/v1/sub/"* ]]
    for path in none parts/; do [ "$(visit spa "/pages/v1/$path" -w '%{http_code}')" = $'lost\n404' ]; done
    [[ "$(heads spa '/pages/v1?q=1')" == *" 301"*"Location: /pages/v1/?q=1"* ]] # [fault-1151]
    [[ "$(heads spa /pages/v1/none.3f2a9c1d.css)" != *immutable* ]]
    [[ "$(visit spa /pages/v2/)" == "hello from spa "* ]]
    for path in /pages/v1../api/api /pages/v1/..%2f..%2fapi/api /pages/v1/../../api/api; do
        [[ "$(visit spa "$path" --path-as-is)" != *python* ]] || { echo "$path"; false; }
    done

    attack_edit spa 'del(.services[0].at) | del(.services[0].not_found) | del(.services[1].at)'
    echo gone >"$LAPTOP/sites/spa/web/404.html"
    run -0 attack_deploy spa
    [[ "$(visit spa /)" == "hello from spa "* ]]
    [ "$(visit spa /web/)" = front ]
    for path in none parts/; do [ "$(visit spa "/web/$path" -w '%{http_code}')" = $'gone\n404' ]; done
    [[ "$(heads spa /web)" == *" 301"*"Location: /web/"* ]]
    attack_file spa nginx/server.conf <<<'location  =/web  { return 204; }' # its own answer stays
    run -0 attack_deploy spa
    [ "$(status spa /web)" = 204 ]
}

@test "[fault-247] folders of the release and of the data are served, with their own headers" {
    attack_site media '.services[0].paths = {"/static/": "web/assets/static", "/media/": "data:uploads/public"}'
    mkdir -p "$LAPTOP/sites/media/web/assets"
    run -8 attack_deploy media
    [[ "$output" == *"service 'web': paths: /static/: no folder 'web/assets/static' in the artifact"* ]]
    mkdir -p "$LAPTOP/sites/media/web/assets/static"
    echo 'a{}' >"$LAPTOP/sites/media/web/assets/static/app.3f2a9c1d.css"
    echo private >"$LAPTOP/sites/media/web/assets/settings.txt"
    run -0 attack_deploy media
    [ "$(visit media /static/app.3f2a9c1d.css)" = 'a{}' ]
    [[ "$(heads media /static/app.3f2a9c1d.css)" == *"text/css; charset=utf-8"*immutable* ]]
    [ "$(status media /static/)" = 404 ]
    [ "$(status media /static/../settings.txt --path-as-is)" != 200 ] || [[ "$(visit media /settings.txt)" == hello* ]]
    [ "$(status media /static../settings.txt --path-as-is)" != 200 ] || [[ "$(visit media /static../settings.txt --path-as-is)" == hello* ]]

    in_service media sh -c 'cd "$CHILLBOX_DATA_DIR/uploads/public" && mkdir -p 2026/11 && for f in photo.3f2a9c1d.png x.svg x.html x.js x.pdf 2026/11/a.txt; do echo "$f" >"$f"; done'
    [ "$(visit media /media/2026/11/a.txt)" = 2026/11/a.txt ]
    answer=$(heads media /media/photo.3f2a9c1d.png)
    [[ "$answer" == *"Content-Type: image/png"* && "$answer" == *nosniff* && "$answer" == *sandbox* && "$answer" != *Cache-Control* && "$answer" != *Disposition* ]]
    run -0 attack_deploy media
    [ "$(visit media /media/2026/11/a.txt)" = 2026/11/a.txt ]
    # without the paths nobody passes, and the data stay
    attack_edit media '.services[0].paths = {}'
    run -0 attack_deploy media
    [[ "$(visit media /media/2026/11/a.txt)" == "hello from media "* ]]
    run -0 attack_deploy media
    [ "$(in_box stat -c %a /var/lib/media)" = 700 ]
    attack_edit media '.services[0].paths = {"/media/": "data:uploads/public"}'
    run -0 attack_deploy media
    [ "$(visit media /media/2026/11/a.txt)" = 2026/11/a.txt ]
}

@test "what a visitor uploaded runs in nobody's browser [attack-N3]" {
    for name in x.html x.js x.css x.unknown x.HTML.; do
        in_service media sh -c 'echo "<script>alert(1)</script>" >"$CHILLBOX_DATA_DIR/uploads/public/$1"' sh "$name"
        answer=$(heads media "/media/$name")
        [[ "$answer" == *"Content-Type: application/octet-stream"* && "$answer" == *nosniff* && "$answer" == *"Content-Disposition: attachment"* ]] || { echo "$answer"; false; }
    done
    [[ "$(heads media /media/x.svg)" == *"Content-Type: image/svg+xml"*"Content-Security-Policy: default-src 'none';"*sandbox* ]]
    answer=$(heads media /media/x.pdf)
    [[ "$answer" == *"application/pdf"*nosniff* && "$answer" != *sandbox* ]]
}

@test "of its data a site has NGINX read what is in the folders of \`paths\`, through no link, and nothing of another's [attack-D12]" {
    in_service media sh -c 'cd "$CHILLBOX_DATA_DIR" && echo private >state.db && chmod 644 state.db && echo nested >uploads/nested && chmod 644 uploads/nested
        cd uploads/public && ln -s ../../state.db link && ln -s /etc/passwd passwd && ln -s .. up && ln ../../state.db hard 2>/dev/null || :'
    for path in link passwd up/nested ../nested ../../state.db %2e%2e/nested 2026/../../nested; do
        [ "$(status media "/media/$path" --path-as-is)" != 200 ] || [[ "$(visit media "/media/$path" --path-as-is)" == "hello from"* ]] || { echo "$path"; false; }
    done
    # www-data may not list, nor read what is private by its mode
    run ! box run "$HOST" -u "$(web_user)" -- sh -c 'ls /var/lib/media/web || ls /var/lib/media'
    in_service media sh -c 'echo quiet >"$CHILLBOX_DATA_DIR/quiet"'
    run ! box run "$HOST" -u "$(web_user)" -- cat /var/lib/media/web/quiet
    # a folder that the site made a link to another's data
    attack_site victim '.services[0].paths = {"/media/": "data:pictures"}'
    run -0 attack_deploy victim
    in_service victim sh -c 'echo theirs >"$CHILLBOX_DATA_DIR/pictures/a.txt" && chmod 644 "$CHILLBOX_DATA_DIR/pictures/a.txt"'
    [ "$(visit victim /media/a.txt)" = theirs ]
    in_service media sh -c 'cd "$CHILLBOX_DATA_DIR" && mv uploads away && ln -s /var/lib/victim/web uploads && mv away/public . 2>/dev/null; ls -l'
    [ "$(status media /media/a.txt)" != 200 ]
    [ "$(status media /media/pictures/a.txt)" != 200 ]
    run ! attack_deploy media
    [[ "$output" == *"paths /media/"*uploads* ]]
    [ "$(in_box stat -c %U /var/lib/victim/web/pictures)" = victim ]
    run ! in_box test -e /var/lib/victim/web/public
    in_service media sh -c 'cd "$CHILLBOX_DATA_DIR" && rm uploads && mkdir uploads && mv public uploads/'
    run -0 attack_deploy media
    [ "$(visit media /media/2026/11/a.txt)" = 2026/11/a.txt ]
}

@test "[fault-247] what an application hides from NGINX is not served, and the logs of the site say so" {
    in_service media sh -c 'umask 077 && echo secret >"$CHILLBOX_DATA_DIR/uploads/public/hidden.txt"'
    [ "$(status media /media/hidden.txt)" = 404 ]
    [[ "$(ctl logs media/nginx -n 3)" == *hidden.txt*"(13: Permission denied)"* ]]
}

@test "[fault-251] aliases are served, not redirected; a name below a wildcard is the site's that has the wildcard, unless it was another's before" {
    attack_site names '.domain_list = ["names.example", "www.names.example"] | .aliases = ["shop.test", "*.tenants.test"]'
    run -0 attack_deploy names
    of() { host_curl -H "Host: $1" "${@:2}" "$URL/"; }
    for name in names.example shop.test a.tenants.test b.c.tenants.test; do
        [[ "$(of "$name")" == "hello from names "* ]] || { echo "$name"; false; }
    done
    [[ "$(of www.names.example -o /dev/null -D -)" == *"Location: http://names.example/"* ]]
    attack_site thief '.server_name = "a.tenants.test" | .domain_list = ["a.tenants.test"]'
    run -8 attack_deploy thief
    [[ "$output" == *"host name 'a.tenants.test' belongs to site 'names'"* ]]
    attack_edit thief '.server_name = "thief.example" | .domain_list = ["thief.example"] | .aliases = ["*.c.tenants.test"]'
    run -8 attack_deploy thief
    [[ "$output" == *"host name '*.c.tenants.test' belongs to site 'names'"* ]]
    attack_edit thief '.aliases = ["*.names.example"]'
    run -0 attack_deploy thief
    [[ "$(of www.names.example -o /dev/null -D -)" == *"Location: http://names.example/"* ]]
}

@test "[fault-250] one location of its own leaves a site all that the default has" {
    attack_site own
    attack_file own nginx/server.conf <<'END'
add_header X-Own yes always;
location = /robots.txt { return 200 "none\n"; }
location /private/ { auth_basic "members"; auth_basic_user_file /srv/chillbox/own/current/nginx/members; proxy_pass http://own-web; }
END
    run -0 attack_deploy own
    [ "$(visit own /robots.txt)" = none ]
    [ "$(status own /private/)" = 401 ]
    [[ "$(visit own /)" == "hello from own "* ]]
    [[ "$(heads own /)" == *nosniff*"X-Own: yes"* || "$(heads own /)" == *"X-Own: yes"*nosniff* ]]
    ctl maintenance on own
    [ "$(status own /robots.txt)" = 503 ]
    ctl maintenance off own
    attack_file own nginx/server.conf <<<'location /etc/ { root /; }'
    run -8 attack_deploy own
    [[ "$output" == *"nginx/server.conf: line 1: 'root': "* ]]
    [ "$(visit own /robots.txt)" = none ]
}

@test "[fault-253] a site with a template of its own shows the pages \"Back soon\" and \"Not available\"" {
    attack_site theirs
    attack_file theirs nginx/templates/theirs.nginx.conf.template <<<'server { server_name theirs.example; location / { proxy_pass http://theirs-web; } }'
    run -0 attack_deploy theirs
    [[ "$(visit theirs /)" == "hello from theirs "* ]]
    in_box sh -c 'for link in /run/chillbox/slots/theirs /run/chillbox/live/theirs; do ls $link; done' || :
    in_box rc-service -q "chillbox.theirs.web.a" stop || in_box rc-service -q "chillbox.theirs.web.b" stop
    [ "$(visit theirs / -w '%{http_code}' | tail -n 1)" = 502 ]
    [[ "$(visit theirs /)" == *"<h1>Not available</h1>"* ]]
    in_box touch /run/chillbox/sealed/theirs
    [[ "$(visit theirs / -w '%{http_code}')" == *"<h1>Back soon</h1>"*503 ]]
    in_box rm /run/chillbox/sealed/theirs
}

# What an application under gunicorn sees of who asks and how.
python_site() { # NAME WORKER_CLASS, and its module on standard input
    mkdir -p "$LAPTOP/sites/$1/web/$1_web"
    printf 'flask\ngunicorn\nuvicorn\n' >"$LAPTOP/sites/$1/web/requirements.txt"
    wheels "$LAPTOP/sites/$1/web/requirements.txt" "$LAPTOP/sites/$1/web/dep"
    touch "$LAPTOP/sites/$1/web/$1_web/__init__.py"
    cat >"$LAPTOP/sites/$1/web/$1_web/app.py"
    jq -n --arg name "$1" --arg class "$2" '{name: $name, server_name: "\($name).example", version: "0.0.0", watch: "0s",
        services: [{name: "web", lang: "python", worker_class: $class, app: "\($name)_web.app:app", health: {deadline: "40s", path: "/up"}}]}' >"$LAPTOP/sites/$1/$1.site.json"
    attack_keys "$1"
}
as_proxy() { visit "$1" "$2" -H 'X-Forwarded-For: 203.0.113.9' -H 'X-Forwarded-Proto: https' -H 'X-Forwarded-Ssl: on' -H 'Forwarded: for=203.0.113.9'; }

@test "[fault-245] ASGI and WSGI see the visitor and https as NGINX says, a stranger's word not at all, and SCRIPT_NAME below a path" {
    python_site asgi uvicorn.workers.UvicornWorker <<'END'
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    text = "up" if scope["path"] == "/up" else "%s %s" % (scope["client"][0], scope["scheme"])
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": text.encode()})
END
    python_site wsgi sync <<'END'
from flask import Flask, request, url_for
from werkzeug.middleware.proxy_fix import ProxyFix
app = Flask(__name__)
app.wsgi_app = ProxyFix(app.wsgi_app)

@app.get("/up")
def up():
    return "up"

@app.get("/")
def index():
    return "%s %s" % (request.remote_addr, url_for("index", _external=True))
END
    run attack_deploy asgi; [ "$status" = 0 ] || { echo "$output"; false; }
    run attack_deploy wsgi; [ "$status" = 0 ] || { echo "$output"; false; }
    me=$(visit asgi /)
    me=${me% *}
    [ -n "$me" ]
    [ "$(as_proxy asgi /)" = "$me http" ]
    [ "$(as_proxy wsgi /)" = "$me http://wsgi.example/" ]
    [ "$(status wsgi / -H "Cookie: s=$(printf 'x%.0s' {1..16000})")" = 200 ]
    [ "$(status wsgi "/?q=$(printf 'x%.0s' {1..7000})")" = 200 ]
    in_box sh -c "grep -q trusted_proxies /etc/chillbox/chillboxd.toml && sed -i 's|^#* *trusted_proxies = .*|trusted_proxies = [\"127.0.0.0/8\", \"10.0.0.0/8\"]|' /etc/chillbox/chillboxd.toml"
    ctl upgrade
    [ "$(as_proxy asgi /)" = "203.0.113.9 https" ]
    [ "$(as_proxy wsgi /)" = "203.0.113.9 https://wsgi.example/" ]
    attack_edit wsgi '.services[0] += {at: "/blog/", request_timeout: "45s", environment: [{name: "SCRIPT_NAME", value: "/blog"}], health: {deadline: "40s"}}'
    run attack_deploy wsgi; [ "$status" = 0 ] || { echo "$output"; false; }
    [ "$(as_proxy wsgi /blog/)" = "203.0.113.9 https://wsgi.example/blog/" ]
    in_box sh -c 'tr "\0" " " </proc/$(pgrep -o -u wsgi)/cmdline; for p in $(pgrep -u wsgi); do tr "\0" " " </proc/$p/cmdline; done' | grep -q -e '--timeout 45'
    in_box sed -i 's|^trusted_proxies = .*|trusted_proxies = []|' /etc/chillbox/chillboxd.toml
    ctl upgrade
    [ "$(as_proxy asgi /)" = "$me http" ]
}
