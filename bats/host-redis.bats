#!/usr/bin/env bats
# A site's own Redis, the real one, and a real arq worker that uses it.

# shellcheck disable=SC2154,SC2016 # box_up sets HOST; "sh -c" expands in the box

load helpers/box
load helpers/host

setup_file() {
    host_possible || return 0
    host_up
    host_set_up
    printf 'arq\nasync-timeout\n' >"$LAPTOP/requirements.txt"
    wheels "$LAPTOP/requirements.txt" "$LAPTOP/arq-wheels"
}

teardown_file() { host_down; }
setup() {
    host_or_skip
    has_redis || skip "this root has no Redis"
}

# shop VERSION REDIS [ACL]: a page, an arq worker, and a Redis with these options (JSON) and rules
shop() {
    rm -rf "$LAPTOP/hello"
    mkdir -p "$LAPTOP/hello/page" "$LAPTOP/hello/worker" "$LAPTOP/hello/redis"
    printf 'the shop\n' >"$LAPTOP/hello/page/index.html"
    cp -r "$LAPTOP/arq-wheels" "$LAPTOP/hello/worker/dep"
    cp "$LAPTOP/requirements.txt" "$LAPTOP/hello/worker/"
    cat >"$LAPTOP/hello/worker/main.py" <<'END'
import os
from arq.connections import RedisSettings
SETTINGS = RedisSettings(unix_socket_path="/run/redis/shop.sock", username="worker", password="open sesame".replace(" ", "-"))
async def pack(ctx, what):
    with open(os.path.join(os.environ["CHILLBOX_DATA_DIR"], "packed"), "a") as out:
        print(what, os.environ["VERSION"], file=out)
class WorkerSettings:
    functions = [pack]
    redis_settings = SETTINGS
    poll_delay = 0.05
END
    cat >"$LAPTOP/hello/worker/order.py" <<'END'
import asyncio, sys
from arq import create_pool
from main import SETTINGS
async def order():
    pool = await create_pool(SETTINGS)
    await pool.enqueue_job("pack", sys.argv[1])
asyncio.run(order())
END
    printf '%s\n' 'user default off' 'user worker on >open-sesame allchannels allkeys +@all' "${3-user visitor on >guest ~public:* +get}" >"$LAPTOP/hello/redis/users.acl"
    jq -n --arg version "$1" --argjson redis "$2" '{name: "Shop", server_name: "hello.example", version: $version, watch: "1s", redis: $redis,
        crontab: ["0 3 * * * cd worker && $$VIRTUAL_ENV_BIN/python order.py nightly"],
        services: [{name: "page", lang: "static"}], workers: [{name: "worker", lang: "python-worker", "run-cmd": "arq main.WorkerSettings"}]}' \
        >"$LAPTOP/hello/shop.site.json"
    send "$(pack)"
}

client() { box run "$HOST" -u shop -- redis-cli -s /run/redis/shop.sock --no-auth-warning "$@"; }
as_worker() { client --user worker --pass open-sesame "$@"; }
pid() { in_box cat /run/openrc/options/chillbox.shop.redis.a/child_pid; }
packed() { in_box grep -qx "$1" /var/lib/shop/worker/packed; }

@test "it runs as the site's user on its socket only, with the site's options and rules, and an arq worker works by it" {
    run -0 shop 1.0.0 '{"maxmemory": "3mb", "maxmemory-policy": "allkeys-lfu", "save": "3600 1 60 1000", "databases": 4}'
    [ "$(user_of "$(pid)")" = shop ]
    [ "$(as_worker config get maxmemory | tail -n 1)" = 3145728 ]
    [ "$(as_worker config get maxmemory-policy | tail -n 1)" = allkeys-lfu ]
    [ "$(as_worker config get save | tail -n 1)" = '3600 1 60 1000' ]
    [ "$(as_worker config get dir | tail -n 1)" = /var/lib/shop/redis ]
    run ! in_box sh -c 'ss -Hltnp | grep redis'
    [[ "$(client ping)" == *NOAUTH* ]]
    [[ "$(client --user visitor --pass guest set public:a b)" == *NOPERM* ]]
    # Nobody else, not even with the password.
    run ! box run "$HOST" -u nobody -- redis-cli -s /run/redis/shop.sock --user worker --pass open-sesame ping
    ctl cron run shop 1
    wait_for 15 packed 'nightly 1.0.0'
    [ "$(json status '.sites[0].services[] | select(.name == "redis") | .state')" = started ]
    in_box grep -qi 'ready to accept connections' /var/log/chillbox/shop/redis.log
}

@test "it outlives releases, restarts, upgrades and rollbacks, and is started anew only for other options or rules, with its data" {
    as_worker set kept yes
    before=$(pid)
    run -0 shop 1.1.0 '{"maxmemory": "3mb", "maxmemory-policy": "allkeys-lfu", "save": "3600 1 60 1000", "databases": 4}'
    ctl restart shop
    in_box rc-service -q chillboxd restart
    unlock
    ctl upgrade
    ctl rollback shop
    [ "$(pid)" = "$before" ]
    run -0 shop 1.2.0 '{"maxmemory": "4mb"}'
    after=$(pid)
    [ "$after" != "$before" ]
    [ "$(as_worker config get maxmemory | tail -n 1)" = 4194304 ]
    [ "$(as_worker get kept)" = yes ]
    run -0 shop 1.3.0 '{"maxmemory": "4mb"}' 'user visitor on >guest ~public:* +get +set'
    [ "$(pid)" != "$after" ]
    [ "$(client --user visitor --pass guest set public:a b)" = OK ]
    run -0 ctl rollback shop
    [[ "$(client --user visitor --pass guest set public:a b)" == *NOPERM* ]]
}

@test "options that it does not know fail the deploy before the switch, and the one before goes on" {
    run shop 1.4.0 '{"no-such-option": "yes"}'
    [ "$status" -ne 0 ]
    [[ "$output" == *"redis does not come up"* ]]
    [ "$(as_worker config get maxmemory | tail -n 1)" = 4194304 ]
    ctl cron run shop 1
    wait_for 15 packed 'nightly 1.2.0'
    for option in include loadmodule port bind dir aclfile unixsocket daemonize rename-command; do
        run shop 1.5.0 "{\"$option\": \"x\"}"
        [[ "$output" == *"redis.$option"*"is not for a site to set"* ]]
    done
}

@test "it is back after a reboot, stops with the site, and goes with it" {
    box reboot "$HOST"
    wait_for 20 ctl ping
    answers() { [ "$(as_worker get kept)" = yes ]; }
    wait_for 20 answers
    unlock
    in_box kill -9 "$(pid)" # which is told as of any service
    crashed() { [ "$(json notices '[.notices[] | select(.event == "service.crashed" and .site == "shop" and .subject == "redis")] | length')" = 1 ]; }
    wait_for 20 crashed
    wait_for 20 answers
    ctl stop shop
    none_of shop
    ctl start shop
    answers
    ctl remove shop --yes
    none_of shop
    run ! in_box ls /run/redis/shop.sock /srv/chillbox/shop/redis
    in_box test -d /var/lib/shop/redis
}

@test "a host without redis-server says so before anything is touched" {
    in_box sh -c 'mv /usr/bin/redis-server /usr/bin/redis-server.away; [ ! -e /usr/bin/valkey-server ]'
    run -8 shop 2.0.0 '{}'
    [[ "$output" == *"no redis-server and no valkey-server on this host"* ]]
}
