#!/usr/bin/env bats
# What a monitoring system reads: who may, in which format, and whether it is what visitors got.

# shellcheck disable=SC2154,SC2016 # box_up sets HOST; "sh -c" and awk expand

load helpers/box
load helpers/host
load helpers/live_site

scrape() { host_curl "$URL/metrics" "$@"; }
status() { scrape -o /dev/null -w '%{http_code}' "$@"; }
# The sum of the samples of a name, of those lines that have the words.
sum() { # NAME [WORD]
    ctl metrics | awk -v name="$1" -v word="${2-}" 'index($1, name) == 1 && substr($1, length(name) + 1, 1) ~ /^({|)$/ && index($0, word) {n += $2} END {printf "%.0f\n", n}'
}
requests() { sum chillbox_http_requests_total; }
counted_over() { [ "$(requests)" -gt "$1" ]; }
token() { [ -s "$LAPTOP/token" ] || ctl metrics token add prometheus 2>/dev/null >"$LAPTOP/token"; cat "$LAPTOP/token"; }
promtool() {
    PROMETHEUS=${PROMETHEUS:-$(sh "$ROOT/tests/host/debs" bookworm prometheus)} || skip "needs Debian's package prometheus"
    "$PROMETHEUS/usr/bin/promtool" "$@"
}
# A strict parser of OpenMetrics, of others.
openmetrics() {
    [ -d "$LAPTOP/py" ] || python3 -m pip install -q --target "$LAPTOP/py" prometheus-client || skip "needs the Python package prometheus-client"
    PYTHONPATH=$LAPTOP/py python3 -c 'import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read
for family in read(sys.stdin.read()):
    for s in family.samples: print(s.name, *sorted(s.labels.items()))'
}

@test "[attack-F2] nobody reads the metrics but by a token or from an allowed address: to all others there is nothing" {
    missing=$(host_curl "$URL/nothing/here" -o /dev/null -w '%{http_code}')
    [ "$missing" = 404 ]
    [ "$(status)" = 404 ]
    [ "$(status -H 'Authorization: Bearer wrong')" = 404 ]
    [ "$(status -H 'X-Forwarded-For: 127.0.0.1')" = 404 ]
    [ "$(status -H "Authorization: Bearer $(token)")" = 200 ]
    [ "$(status -H "Authorization: Bearer $(token)x")" = 404 ]
    [ "$(status -X POST -H "Authorization: Bearer $(token)")" = 405 ]
    in_box sh -c '! grep -rq "$1" /etc/chillbox/metrics /var/lib/chillbox/state.db' sh "$(token)"
    [ "$(in_box stat -c '%a %u' /etc/chillbox/metrics/prometheus)" = '600 0' ]
    [[ "$(ctl metrics token list)" == *prometheus* ]]
    run -7 ctl metrics token add prometheus
    ctl metrics token remove prometheus
    [ "$(status -H "Authorization: Bearer $(token)")" = 404 ]
    rm "$LAPTOP/token"
    run -3 ctl metrics token remove prometheus
    run -2 ctl metrics token remove
}

@test "[attack-F3] a site's name answers with the site, whatever token comes" {
    [ "$(get /metrics -o "$LAPTOP/page" -w '%{http_code}' -H "Authorization: Bearer $(token)")" != 000 ]
    run ! grep -q chillbox_build_info "$LAPTOP/page"
    [ "$(status -H "Authorization: Bearer $(token)")" = 200 ]
}

@test "both formats are what promtool and prometheus-client take, with the type that says which [fault-855]" {
    get / >/dev/null
    sleep 1.2
    scrape -H "Authorization: Bearer $(token)" -D "$LAPTOP/head" >"$LAPTOP/text"
    grep -qi '^content-type: text/plain; version=0.0.4; charset=utf-8' "$LAPTOP/head"
    promtool check metrics <"$LAPTOP/text" >"$LAPTOP/said" 2>&1 || { cat "$LAPTOP/said"; [ ! -s "$LAPTOP/said" ]; }
    scrape -H "Authorization: Bearer $(token)" -D "$LAPTOP/head" >"$LAPTOP/open" \
        -H 'Accept: application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3'
    grep -qi '^content-type: application/openmetrics-text; version=1.0.0; charset=utf-8' "$LAPTOP/head"
    [ "$(tail -n 1 "$LAPTOP/open")" = '# EOF' ]
    openmetrics <"$LAPTOP/open" >"$LAPTOP/samples"
    grep -q "^chillbox_build_info ('version'" "$LAPTOP/samples"
    grep -q "^chillbox_http_requests_total ('code', '200') ('service', 'api') ('site', 'hello')" "$LAPTOP/samples"
    [ "$(grep -c '^chillbox_http_request_duration_seconds_bucket.*api' "$LAPTOP/samples")" = 12 ]
    ctl metrics --openmetrics | openmetrics >"$LAPTOP/samples"
    grep -q '^chillbox_sealed' "$LAPTOP/samples"
    [ "$(ctl metrics --json | jq -r .schema)" = chillbox.metrics.v1 ]
}

# The log of the counts grows over its limit in one moment, by lines as of visitors that came before, in one write, so that none of NGINX comes amid one. Prints how many.
swell() {
    in_box sh -c 'cd /run/chillbox/counts && for _ in $(seq 100); do line=$(tail -n 2 hello.log | head -n 1); [ -z "$line" ] || break; sleep 0.1; done && [ -n "$line" ] && n=$((1100000 / (${#line} + 1))) && yes "$line" | head -n "$n" | dd obs=2000000 of=hello.log oflag=append conv=notrunc 2>/dev/null && echo "$n"'
}
inode() { in_box stat -c %i /run/chillbox/counts/hello.log; }
# Looked at within ten seconds of a request, and again only after another one.
rotated() {
    get / >/dev/null
    visits=$((visits + 1))
    sleep 1
    [ "$(inode)" != "$1" ]
}

@test "what visitors got is counted once, over rotations, reloads and another release [fault-711]" {
    command -v wrk >/dev/null || skip "needs wrk"
    before=$(requests)
    get / >/dev/null
    wait_for 30 counted_over "$before"
    before=$(requests)
    sent=0 visits=0
    rounds=${METRICS_ROUNDS:-2}
    for round in $(seq "$rounds"); do
        first=$(inode)
        box net "$HOST" -- wrk -t1 -c4 -d8s --timeout 20s -H 'Host: hello.example' "$URL/static/none-$round" >"$LAPTOP/wrk" &
        load=$!
        sleep 1
        swelled=$(swell)
        in_box nginx -s reload
        wait "$load"
        sent=$((sent + swelled + $(awk '/requests in/ {print $1}' "$LAPTOP/wrk")))
        wait_for 90 rotated "$first"
    done
    sent=$((sent + visits))
    wait_for 60 counted_over $((before + sent - 1))
    counted=$(($(requests) - before))
    echo "# sent $sent, counted $counted, in $rounds rotations" >&3
    # wrk does not say what it cut off at its end: 4 connections each time
    [ "$counted" -ge "$sent" ]
    [ "$counted" -le $((sent + 4 * rounds)) ]
    deploy "$(next_version)"
    get / >/dev/null
    wait_for 30 counted_over $((before + counted))
    [ "$(sum chillbox_counts_bad_lines_total)" = 0 ]
}

@test "a scrape while the host is locked has everything but what is locked [fault-712]" {
    ctl lock
    sleep 1.2 # what is told is at most a second old
    [ "$(sum chillbox_sealed)" = 1 ]
    [ "$(ctl metrics | grep -c '^chillbox_site_up{site="hello"} 1$')" = 1 ]
    unlock
    sleep 1.2
    [ "$(sum chillbox_sealed)" = 0 ]
}

@test "what a service uses is what its control group says, and a restart of chillboxd counts anew from 0 [fault-713]" {
    [ "$(sum chillbox_service_up api)" = 1 ]
    [ "$(sum chillbox_service_starts_total api)" -ge 1 ]
    ctl metrics | grep -q '^chillbox_service_cpu_seconds_total{site="hello",service="api"} '
    ctl metrics | grep -q '^chillbox_jobs_total{site="hello",kind="deploy",result="done"} '
    in_box rc-service -q chillboxd restart
    unlock
    [ "$(requests)" = 0 ]
    get / >/dev/null
    sleep 1.5
    [ "$(requests)" -ge 1 ]
    [ "$(sum chillbox_jobs_total)" -ge 2 ]
}

# value NAME LABELS: of the one sample.
value() { ctl metrics | awk -v sample="$1$2" '{at = match($0, / [^ ]*$/)} substr($0, 1, at - 1) == sample {printf "%.0f\n", $2}' | tail -n 1; }
same() { # NAME LABELS FILTER: the metric is what status --json says
    metric=$(value "$1" "$2") said=$(json status "$3")
    [ -n "$metric" ] && [ "$metric" = "$said" ] || { printf '%s%s is %s, status says %s\n' "$1" "$2" "$metric" "$said" >&2; return 1; }
}

@test "the metrics are what status and the other answers say of the same facts [fault-847]" {
    deploy "$(next_version)"
    then_look() { ctl "$1" hello "${@:2}" >/dev/null; sleep 1.2; } # facts are a second old at most
    same chillbox_sealed '' '.host.sealed | if . then 1 else 0 end'
    same chillbox_unlock_failures '' .host.unlock_failures
    same chillbox_webhooks_refused_total '' .host.refused_webhooks
    host_curl "$URL/v1/hooks" -H 'webhook-id: msg_a' -H "webhook-timestamp: $(date +%s)" -H 'webhook-signature: v1,AAAA' -H 'content-type: application/json' -d '{}' >/dev/null
    sleep 1.5
    same chillbox_webhooks_refused_total '' .host.refused_webhooks
    [ "$(value chillbox_webhooks_refused_total '')" -ge 1 ]
    same chillbox_jobs_open '{state="running"}' .host.running
    same chillbox_site_up '{site="hello"}' '.sites[0].state | if . == "live" then 1 else 0 end'
    same chillbox_deploy_timestamp_seconds '{site="hello"}' '.sites[0].live_ms / 1000 | round'
    same chillbox_service_up '{site="hello",service="api"}' '.sites[0].services[0].state | if . == "started" then 1 else 0 end'
    [ "$(ctl metrics | sed -n 's/^chillbox_site_info{site="hello",version="\([^"]*\)".*/\1/p')" = "$(json status '.sites[0].version')" ]
    [ "$(value chillbox_site_held '{site="hello"}')" = 0 ]
    then_look hold -m because
    [ "$(value chillbox_site_held '{site="hello"}')" = 1 ]
    [ "$(json status '.sites[0].hold.why')" = because ]
    then_look release-hold
    [ "$(value chillbox_site_held '{site="hello"}')" = 0 ]
    then_look stop
    [ "$(value chillbox_site_up '{site="hello"}') $(json status '.sites[0].state')" = '0 stopped' ]
    then_look start
    [ "$(value chillbox_site_up '{site="hello"}') $(json status '.sites[0].state')" = '1 live' ]
    # Notices and what is free of the disk, as those who ask for them are told.
    in_box sh -c 'kill -9 $(cat /run/openrc/options/chillbox.hello.api.*/child_pid)'
    crashed() { [ "$(json notices '[.notices[] | select(.state == "open" and .severity == "error")] | length')" -ge 1 ]; }
    wait_for 20 crashed
    sleep 1.2
    for severity in warning error; do
        [ "$(value chillbox_notices_open "{severity=\"$severity\"}")" = "$(json notices '[.notices[] | select(.state == "open" and .severity == "'$severity'")] | length')" ]
    done
    [ "$(value chillbox_host_disk_bytes '')" = "$(json top --once .disk_total)" ]
    [ "$(value chillbox_host_memory_bytes '')" = "$(json top --once .memory_total)" ]
}

@test "NGINX goes on without a log, with a full tmpfs and after a boot [fault-714]" {
    in_box sh -c 'head -c 40000000 /dev/zero >/run/chillbox/counts/full 2>/dev/null; true'
    for _ in 1 2 3; do [ "$(code /)" = 200 ]; done
    in_box rm -f /run/chillbox/counts/full
    box reboot "$HOST"
    box wait "$HOST"
    unlock
    wait_for 20 eval '[ "$(code /)" = 200 ]'
    get / >/dev/null
    sleep 1.5
    [ "$(requests)" -ge 1 ]
}

@test "NGINX is stopped, killed and started while it is counted: a scrape answers meanwhile, and no request is counted twice [fault-848]" {
    before=$(requests)
    for _ in $(seq 10); do get / >/dev/null; done
    in_box rc-service -q nginx stop
    sleep 1.2
    [ "$(requests)" = $((before + 10)) ]
    [ "$(sum chillbox_sealed)" = 0 ]
    in_box rc-service -q nginx start
    wait_for 20 eval '[ "$(code /)" = 200 ]'
    for _ in $(seq 10); do get / >/dev/null; done
    sleep 1.5 # what a killed worker has not written is lost, at most a second of it
    in_box pkill -9 -f '^nginx: worker'
    wait_for 20 eval '[ "$(code /)" = 200 ]'
    for _ in $(seq 10); do get / >/dev/null; done
    sleep 1.5
    after=$(requests)
    [[ "$after" -ge $((before + 31)) && "$after" -le $((before + 60)) ]]
    [ "$(sum chillbox_counts_bad_lines_total)" = 0 ]
}

@test "ten thousand wrong tokens get what an unknown path gets, and keep nobody from the right one [fault-849]" {
    command -v wrk >/dev/null || skip "needs wrk"
    token >/dev/null
    for guess in 'Bearer wrong' "Bearer $(token | tr a-z b-za)"; do
        cat >"$LAPTOP/guess.lua" <<LUA
wrk.headers["Authorization"] = "$guess"
local threads = {}
function setup(thread) table.insert(threads, thread) end
function init() codes = {} end
function response(status) codes[status] = (codes[status] or 0) + 1 end
function done() for _, t in ipairs(threads) do for status, n in pairs(t:get("codes")) do print("answer", status, n) end end end
LUA
        box net "$HOST" -- wrk -t1 -c8 -d10s -s "$LAPTOP/guess.lua" "$URL/metrics" >"$LAPTOP/wrk"
        cat "$LAPTOP/wrk" >>"$LAPTOP/all"
        [ -z "$(awk '/^answer/ && $2 != 404 && $2 != 429' "$LAPTOP/wrk")" ]
    done
    [ "$(awk '/^answer/ {n += $3} END {print n + 0}' "$LAPTOP/all")" -ge 10000 ]
    answered() { [ "$(status -H "Authorization: Bearer $(token)")" = 200 ]; }
    wait_for 10 answered
    [ "$(sum chillbox_sealed)" = 0 ]
}

@test "a site that is removed has no series left [fault-715]" {
    ctl remove hello --yes
    sleep 1.2
    [ "$(ctl metrics | grep -c hello)" = 0 ]
    [ "$(in_box sh -c 'ls /run/chillbox/counts | grep -c hello')" = 0 ]
}
