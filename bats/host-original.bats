#!/usr/bin/env bats
# docs/examples/garden, a site as the original had them, deployed unchanged: fixed ports in its template, which move from release to release without
# a gap; immutable files of its own Makefile at the address of a bucket.
# It takes minutes: `make test-sites` runs it.

# bats file_tags=slow

# shellcheck disable=SC2154,SC2016 # box_up sets HOST; "sh -c" expands in the box

load helpers/box
load helpers/host

setup_file() {
    host_possible || return 0
    host_up
    host_set_up
    cp -r "$ROOT/docs/examples/garden" "$LAPTOP/garden"
    for folder in api feed chill-static-example; do
        wheels "$LAPTOP/garden/$folder/requirements.txt" "$LAPTOP/garden/$folder/dep"
    done
    cp -r "$LAPTOP/garden/chill-static-example/dep" "$LAPTOP/garden/chill-dynamic-example/dep"
}

teardown_file() { host_down; }
setup() { host_or_skip; }

garden() { # VERSION
    rm -rf "$LAPTOP/hello"
    cp -r "$LAPTOP/garden" "$LAPTOP/hello"
    jq '.version = "'"$1"'" | .watch = "1s"' "$LAPTOP/garden/garden.site.json" >"$LAPTOP/hello/garden.site.json"
    send "$(pack)"
}

page() { host_curl -f -H 'Host: garden.example' "${@:2}" "$URL$1"; }

has_workers() { [ "$(workers_of "$1" | wc -l)" -eq "$2" ]; } # SLOT NUMBER: the first may answer before the last is there
workers_of() { in_box pgrep -u garden -P "$(in_box cat "/run/openrc/options/chillbox.garden.$1/child_pid")"; }
gunicorn_of() { in_box sh -c 'tr "\0" " " <"/proc/$(cat "/run/openrc/options/chillbox.garden.$1/child_pid")/cmdline"' sh "$1"; }

@test "every service of it answers where its template says" {
    mkdir -p "$LAPTOP/secrets/api"
    printf 'SECRET = "nobody knows"\n' >"$LAPTOP/secrets/api/api.secrets.cfg"
    run -0 send "$("$CTL" secrets pack -q "$LAPTOP/secrets" -s garden -r "$RECIPIENT" -k "$LAPTOP/deployer.key" -o "$LAPTOP/out")"
    run garden 1.0.0
    [ "$status" -eq 0 ] || { echo "$output"; false; }
    [[ "$(page /api/)" == "api 1.0.0 on 2"* ]]
    [ "$(page /api/secret/)" = 'a secret of 12 characters' ]
    [[ "$(page /feed/)" == "feed 1.0.0 by ASGI 3"* ]]
    [[ "$(page /)" == *'<p>frozen 1.0.0: Garden</p>'* ]]
    [[ "$(page /beds/)" == *'<p>frozen 1.0.0: Beds</p>'* ]]
    [[ "$(page /dynamic/)" == '<p>served 1.0.0 at '* ]]
    [ "$(page /robots.txt)" = 'User-agent: *' ]
    grep -qx '    allow 127.0.0.0/8;' <(in_box sh -c 'cat /etc/nginx/*/chillbox.garden.conf')
    css=$(page / | sed -n 's/.*href="\([^"]*\)".*/\1/p')
    # The path of its own, with the hash of its own; behind it a bucket's address, which is this host as long as no bucket is set.
    [ "$css" = "/immutable-example/v1/$(make -s -C "$LAPTOP/garden/immutable-example" inspect.HASH)/css/garden.css" ]
    [ "$(page "$css")" = 'p { color: green }' ]
    [[ "$(page "$css" -D - -o /dev/null)" == *'Cache-Control: public, max-age=31536000, immutable'* ]]
    [ "$(page "${css%garden.css}other.css" -o /dev/null -w '%{http_code}' || :)" = 404 ]
    [[ "$(host_curl -H 'Host: garden.example' "$URL/nothing/")" == *'<h1>Not found</h1>'* ]]
    [ "$(host_curl -H 'Host: garden.example' -X POST -o /dev/null -w '%{http_code}' "$URL/")" = 403 ]
    [[ "$(in_box cat /var/lib/garden/worker/worker.2)" == '1.0.0 '* ]]
    [ "$(in_box readlink /srv/garden/root)" = /srv/chillbox/garden/current/nginx/root ]
    in_box sh -c 'cat /etc/nginx/*/chillbox.garden.conf' >"$LAPTOP/text"
    grep -q 'listen 80;' "$LAPTOP/text"
    run ! grep -q 'ssl_cert\|3801[23]' "$LAPTOP/text"
}

@test "worker class, number of workers, niceness and max_requests are those of the site file, seen at the processes" {
    [[ "$(gunicorn_of api.a)" == *" --workers 2 --worker-class gevent --max-requests 50 --max-requests-jitter 11 --log-level info "* ]]
    wait_for 10 has_workers api.a 2
    for pid in $(workers_of api.a); do
        [ "$(nice_of "$pid")" = 10 ]
        in_box grep -q 'gevent.*\.so' "/proc/$pid/maps"
    done
    [[ "$(gunicorn_of feed.a)" == *" --worker-class uvicorn.workers.UvicornWorker "* ]]
    wait_for 10 has_workers feed.a 1
    # After 61 requests at most each of the two is replaced; the kernel hands a worker more of them than the other, so it may take more than 122.
    before=$(workers_of api.a | sort | xargs)
    replaced() {
        page '/api/?[1-40]' -Z --parallel-max 4 -o /dev/null
        for pid in $before; do ! in_box kill -0 "$pid" 2>/dev/null || return 1; done
    }
    wait_for 60 replaced
    wait_for 10 has_workers api.a 2
}

@test "two more releases are deployed with other ports in service and template, and no request is lost" {
    ports() { page /api/ | sed -n 's/.* on \([0-9]*\),.*/\1/p'; }
    first=$(ports)
    # One visitor for each path, whose every request is a connection of its own.
    for path in /api/ /dynamic/ /feed/ / /beds/; do
        (until [ -e "$LAPTOP/enough" ]; do
            host_curl --rate 15/s -H 'Connection: close' -H 'Host: garden.example' -o /dev/null -w "%{http_code} $path\\n" "$URL$path?[1-15]"
        done >"$LAPTOP/codes$(printf %s "$path" | tr / .)" 2>&1) 3>&- &
    done
    run -0 garden 1.1.0
    second=$(ports)
    run -0 garden 1.2.0
    third=$(ports)
    touch "$LAPTOP/enough"
    wait
    cat "$LAPTOP"/codes.* >"$LAPTOP/codes"
    echo "# $(wc -l <"$LAPTOP/codes") requests during two deploys: $(cut -c 1-3 "$LAPTOP/codes" | sort | uniq -c | xargs)" >&3
    lost=$(grep -v '^200 ' "$LAPTOP/codes" || :)
    [ -z "$lost" ] || { echo "$lost" && in_box tail -n 5 /var/log/nginx/garden/error.log && false; }
    [ "$(wc -l <"$LAPTOP/codes")" -gt 100 ]
    [ "$first" != "$second" ]
    [ "$first" = "$third" ] # two slots, two ports
    [[ "$(page /)" == *'<p>frozen 1.2.0: Garden</p>'* ]]
    [[ "$(page /dynamic/)" == '<p>served 1.2.0 at '* ]]
    in_box grep -rq "proxy_pass http://localhost:$third;" /etc/nginx/
}

@test "rolled back it has the old ports again; removed it leaves no link of its own behind" {
    run -0 ctl rollback garden
    [[ "$(page /api/)" == "api 1.1.0 on 2"* ]]
    [[ "$(page /)" == *'<p>frozen 1.1.0: Garden</p>'* ]]
    ctl remove garden --yes
    run ! in_box ls /srv/garden /usr/local/src/garden
}
