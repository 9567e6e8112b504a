#!/usr/bin/env bats
# Two hostile sites on one host, and what belongs to the agent: listening sockets, ports, logs, shares of memory.

# shellcheck disable=SC2154,SC2016 # box_up sets HOST; "sh -c" expands in the box

load helpers/box
load helpers/host
load helpers/attack

setup_file() {
    host_possible || return 0
    attack_up
    attack_site shop
    attack_site evil '.services += [{name: "own", lang: "binary", listen: "fd", health: {deadline: "20s"}}]'
    cp -r "$LAPTOP/sites/evil/web" "$LAPTOP/sites/evil/own"
    mv "$LAPTOP/sites/evil/own/web" "$LAPTOP/sites/evil/own/own"
    attack_deploy shop
    attack_deploy evil
    # evil's tool for all of it: tries to answer on a port in every way that there is, for so many seconds.
    in_box sh -c 'cat >/usr/local/bin/take && chmod 0755 /usr/local/bin/take' <<'END'
#!/usr/bin/python3 -I
import socket, sys, time
port, end = int(sys.argv[1]), time.monotonic() + float(sys.argv[2])
def ways():
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        for protocol in (0, 262): # MPTCP answers TCP, too
            yield family, protocol, address
    yield 43, 0, "127.0.0.1" # and so does SMC
while time.monotonic() < end:
    for family, protocol, address in ways():
        try:
            s = socket.socket(family, socket.SOCK_STREAM, protocol)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind((address, port))
            s.listen()
        except OSError:
            continue
        print("took it by", family, protocol, flush=True)
        s.settimeout(5)
        try:
            print(s.accept()[0].recv(4096))
        except OSError:
            pass
        sys.exit(0)
    time.sleep(0.005)
print("not to be had")
END
}

teardown_file() { host_down; }
setup() { host_or_skip; }

slot_of() { json status '.sites[] | select(.site == "'"$1"'") | .services[0].slot'; }
child_of() { in_box cat "/run/openrc/options/chillbox.$1.$2.$(slot_of "$1")/child_pid"; }
port_of() { in_box sh -c 'tr "\0" "\n" <"/proc/$1/environ" | sed -n s/^PORT=//p' sh "$(child_of "$1" web)"; }
other() { case $1 in a) echo b ;; b) echo a ;; esac; }

@test "a site that waits for another's port does not get it when that one crashes, and its visitors never meet anybody else [attack-B3]" {
    port=$(port_of shop)
    in_service evil sh -c 'take "$1" 12 >"$CHILLBOX_DATA_DIR/took" 2>&1 &' sh "$port"
    for _ in 1 2 3; do
        in_box kill -9 "$(child_of shop web)"
        sleep 1.5
    done
    back() { [[ "$(visit shop / -m 2)" == "hello from shop "* ]]; }
    wait_for 30 back
    done_() { in_service evil grep -q . /var/lib/evil/web/took; }
    wait_for 20 done_
    [ "$(in_service evil cat /var/lib/evil/web/took)" = "not to be had" ]
    [ "$(port_of shop)" = "$port" ]
}

@test "a site cannot keep another from deploying by its idle port [attack-B3]" {
    attack_deploy shop # it has two ports from now on
    idle=$(in_box python3 -c 'import json, sqlite3; ports = json.loads(sqlite3.connect("/var/lib/chillbox/state.db").execute("select ports from sites where site = ?", ("shop",)).fetchone()[0])
print(ports["web.'"$(other "$(slot_of shop)")"'"])')
    run -0 in_service evil take "$idle" 1
    [ "$output" = "not to be had" ]
    # Nor does somebody who is none of the agent's: then the slot gets another port.
    as_site evil sh -c 'setsid take "$1" 30 >/dev/null 2>&1 &' sh "$idle"
    sleep 0.5
    attack_deploy shop
    [[ "$(visit shop /)" == "hello from shop "* ]]
    [ "$(port_of shop)" != "$idle" ]
}

@test "nor does anything else that runs for a site get another's port: its release_command, its crontab [attack-B3]" {
    idle=$(in_box python3 -c 'import json, sqlite3
print(json.loads(sqlite3.connect("/var/lib/chillbox/state.db").execute("select ports from sites where site = ?", ("shop",)).fetchone()[0])["web.'"$(other "$(slot_of shop)")"'"])')
    attack_edit evil '.services[0].release_command = ["/bin/sh", "-c", "/usr/local/bin/take '"$idle"' 1 >$HOME/took"]
        | .crontab = ["0 0 1 1 * /usr/local/bin/take '"$idle"' 1"]'
    attack_deploy evil
    [ "$(in_box cat /var/lib/evil/took)" = "not to be had" ]
    ctl cron run evil 1
    wait_for 10 in_box grep -q "not to be had" /var/log/chillbox/evil/cron.log
    attack_edit evil 'del(.services[0].release_command) | del(.crontab)'
}

@test "status and doctor say who answers on a live service's port when it is not the service [attack-B3]" {
    in_box sh -c 'rc-service -q "chillbox.shop.web.$1" stop; setsid python3 -m http.server "$2" --bind 127.0.0.1 >/dev/null 2>&1 3>&- & echo $! >/run/stranger' sh "$(slot_of shop)" "$(port_of shop)"
    told() { [[ "$(ctl status)" == *"listens 'python3' (process $(in_box cat /run/stranger)), which is none of its processes"* ]]; }
    wait_for 10 told
    run in_box chillboxctl doctor
    [[ "$output" == *"fail  site "*"shop"*"which is none of its processes"* ]]
    in_box sh -c 'kill "$(cat /run/stranger)"'
    ctl restart shop
    [[ "$(visit shop /)" == "hello from shop "* ]]
}

@test "a service cannot replace its own socket by another's: neither it nor its site may write where sockets are [attack-C1]" {
    slot=$(slot_of evil)
    [[ "$(visit evil /own/)" == "hello from evil "* ]]
    run ! in_service evil ln -sfn /run/chillbox/hook.sock "/run/chillbox/slots/evil/own.$slot.sock"
    [[ "$output" == *"Permission denied"* || "$output" == *"Operation not permitted"* || "$output" == *"File exists"* ]] # busybox
    run ! in_service evil rm -f "/run/chillbox/slots/evil/own.$slot.sock"
    run ! in_service evil mv "/run/chillbox/slots/evil/own.$slot.sock" /run/chillbox/slots/evil/x
    run ! as_site evil sh -c 'echo >/run/chillbox/slots/evil/x'
    [ -z "$(as_site evil find /run -writable -type d -user evil)" ]
    # Not after a crash either.
    in_box kill -9 "$(child_of evil own)"
    back() { [[ "$(visit evil /own/ -m 2)" == "hello from evil "* ]]; }
    wait_for 20 back
    run ! as_site evil ln -sfn /run/chillbox/hook.sock "/run/chillbox/slots/evil/own.$slot.sock"
    [ "$(in_box stat -c '%U %a %F' "/run/chillbox/slots/evil/own.$slot.sock")" = "evil 660 socket" ]
    run ! box run "$HOST" -u shop -- curl -s -m 2 --unix-socket "/run/chillbox/slots/evil/own.$slot.sock" http://x/
}

@test "a service has no descriptor of its log: it can neither cut, erase nor blow it up, and what it writes is bounded [attack-B4]" {
    log=/var/log/chillbox/evil/own.log
    web=$(child_of evil own)
    run ! in_box sh -c 'readlink /proc/"$1"/fd/* | grep /var/log' sh "$web"
    in_box sh -c 'echo "what was said" >>"$1"' sh "$log"
    visit evil /own/ --data-binary @- -o /dev/null -f -H 'Content-Type: text/plain' < <(printf '%s\0' python3 -c 'import os
for fd in range(3):
    for flags in (os.O_RDWR, os.O_WRONLY | os.O_TRUNC):
        try: os.ftruncate(os.open("/proc/%d/fd/%d" % (os.getppid(), fd), flags), 1 << 40)
        except OSError as e: print(e)
    try: os.ftruncate(fd, 1 << 40)
    except OSError as e: print(e)')
    in_box grep -q "what was said" "$log"
    [ "$(in_box sh -c 'du -scm /var/log/chillbox/evil | tail -n 1 | cut -f 1')" -lt 5 ]
    # 200 MB in one go: limits.log_size and log_files hold, and the monitor notices nothing.
    in_box sh -c 'python3 -Ic "import os
for _ in range(3200): os.write(1, b\"x\" * 65535 + b\"\n\")" >"/proc/$1/fd/1"' sh "$web"
    [ "$(in_box sh -c 'du -scm /var/log/chillbox/evil | tail -n 1 | cut -f 1')" -lt 60 ]
    started=$(date +%s%N)
    ctl status >/dev/null
    [ $(($(date +%s%N) - started)) -lt 3000000000 ]
}

@test "the last lines of a service that stops are in its log, and of the process that keeps it nothing stays [attack-B4]" {
    keepers() { in_box pgrep -x chillbox-log | wc -l; }
    before=$(keepers)
    in_box sh -c '(sleep 1; echo "the very last line") >"/proc/$1/fd/1" & ' sh "$(child_of evil own)"
    ctl restart evil
    wait_for 5 in_box grep -q "the very last line" /var/log/chillbox/evil/own.log
    same() { [ "$(keepers)" = "$before" ]; }
    wait_for 10 same
    keeper=$(in_box pgrep -x chillbox-log | head -n 1)
    [ "$(in_box awk '/^(NoNewPrivs|Seccomp|CapEff|CapBnd):/ {printf "%s ", $2}' "/proc/$keeper/status")" = "0000000000000000 0000000000000000 1 2 " ]
    [ "$(in_box sed -n "s/^Pss: *\([0-9]*\) kB/\1/p" "/proc/$keeper/smaps_rollup")" -lt 400 ]
}

@test "a service fills no memory that others need: not /run, and of /tmp, /dev/shm and /run/lock it has its own [attack-C2]" {
    in_service evil sh -c 'for d in /run /run/chillbox /run/chillbox/slots/evil /run/lock /dev/shm /tmp; do
        dd if=/dev/zero "of=$d/filler" bs=1M count=200; done >/dev/null 2>&1 || :'
    for dir in /run /run/chillbox /run/chillbox/slots/evil /run/lock /dev/shm /tmp; do in_box test ! -e "$dir/filler"; done
    [ "$(in_service evil sh -c 'stat -c %s /dev/shm/filler')" -lt 200000000 ] || [ "$(in_box sh -c 'df -Pm /dev/shm | awk "END {print \$2}"')" -ge 1600 ]
    in_service evil rm -f /tmp/filler /dev/shm/filler /run/lock/filler
    attack_deploy shop
    [[ "$(visit shop /)" == "hello from shop "* ]]
}

set_of() { # SITE BYTES
    mkdir -p "$LAPTOP/sets/$1/web"
    head -c "$2" /dev/urandom >"$LAPTOP/sets/$1/web/file"
    [ -e "$LAPTOP/$1.secrets" ] || ctl webhook add "$1-secrets" --sites "$1" --types secrets.update 2>/dev/null >"$LAPTOP/$1.secrets"
    HOOK=$LAPTOP/$1.secrets attack_send "$1" "$("$CTL" secrets pack -q "$LAPTOP/sets/$1" -s "$1" -r "$RECIPIENT" -k "$LAPTOP/$1.key" -o "$LAPTOP/out")"
}

@test "one site's secrets take no other site's room [attack-C2]" {
    set_of evil 15000000
    set_of evil 15000000
    run -0 set_of shop 100000
    run -0 set_of shop 100000
    run ! set_of evil 30000000
}
