# A real etcd of three members for the hosts of a fleet: load it after helpers/hosts.
#
# engine_up             after hosts_up: members 1, 2 and 3 (a, b, c) at 10.77.0.11 to 13 on the wire, with what `fleet init` makes and by the very commands that
#                       it prints; the fleet is called shop, its files are in $ENGINE
# engine_join N...      gives these hosts their [fleet], and starts chillboxd there again, which is unlocked then
# member VERB K ...     tests/host/member of member K: member ended 2 KILL, member start 2, member signal 2 STOP, member wipe 2, member wait 2 (until it answers)
# etcdctl ARG...        as root of etcd, in the network of the first host;  values [PREFIX]  the keys of the fleet below it, with their values
# cut WHAT...           takes links down: members as m1, hosts as h2 (the bridge is host 1's);  mend WHAT...  up again
# engine_down           not needed: all of it ends with the first host

# shellcheck disable=SC2154 # box_up sets HOST

member_address() { printf '10.77.0.1%s\n' "$1"; }
member_dir() { printf '%s/members/%s\n' "$LAPTOP" "$(member_address "$1")"; }

etcd_or_skip() { command -v etcd >/dev/null || [ -n "${ETCD-}" ] || skip "needs Debian's package etcd-server"; }

# Networks for three members, and programs ssh, scp and etcdctl that reach them, in $LAPTOP/engine-bin: of a machine of a member its network is there, and the
# folder that is /etc/etcd.
members_up() {
    ETCD=${ETCD-$("$ROOT/tests/host/debs" "$(. /etc/os-release && echo "$VERSION_CODENAME")" etcd-server etcd-client)} || return
    export ETCD PATH="$ETCD/usr/bin:$PATH"
    for number in 1 2 3; do "$ROOT/tests/host/member" up "$WEB1" "$(member_dir "$number")" "$(member_address "$number")" "m$number"; done
    mkdir -p "$LAPTOP/engine-bin"
    printf '#!/bin/sh\ncase $2 in *"rc-service etcd start"*) exec setsid "%s" start "%s/members/${1#root@}" ;; esac\n' "$ROOT/tests/host/member" "$LAPTOP" >"$LAPTOP/engine-bin/ssh"
    cat >"$LAPTOP/engine-bin/scp" <<SH
#!/bin/sh
set -eu
for to; do :; done
address=\${to#root@}
for from; do [ "\$from" = "\$to" ] || cp -p "\$from" "$LAPTOP/members/\${address%:/etc/etcd/}/etc/"; done
SH
    printf '#!/bin/sh\nexec "%s/tests/host/box" net "%s" -- "%s/usr/bin/etcdctl" "$@"\n' "$ROOT" "$WEB1" "$ETCD" >"$LAPTOP/engine-bin/etcdctl"
    chmod +x "$LAPTOP"/engine-bin/*
}

engine_up() {
    members_up || return 0
    export ENGINE=$LAPTOP/engine
    "$CTL" fleet init "$ENGINE" --name shop --members "a=$(member_address 1),b=$(member_address 2),c=$(member_address 3)" >"$LAPTOP/engine.said"
    grep -v '^etcdctl\|^export' "$ENGINE/setup" >"$LAPTOP/engine.machines"
    PATH="$LAPTOP/engine-bin:$PATH" sh "$LAPTOP/engine.machines"
    for number in 1 2 3; do member wait "$number"; done
    PATH="$LAPTOP/engine-bin:$PATH" sh -c "$(grep '^set\|^export\|^etcdctl' "$ENGINE/setup")" >/dev/null
}

member() { # VERB K ...
    if [ "$1" = wait ]; then
        wait_for 30 member_answers "$2"
    else
        "$ROOT/tests/host/member" "$1" "$(member_dir "$2")" "${@:3}"
    fi
}
member_answers() {
    box net "$WEB1" -- curl -sf -m 1 --cacert "$ENGINE/ca.crt" --cert "$ENGINE/host/host.crt" --key "$ENGINE/host/host.key" \
        "https://$(member_address "$1"):2379/health" | grep -q '"health": *"true"'
}

etcdctl() {
    ETCDCTL_API=3 box net "$WEB1" -- "$ETCD/usr/bin/etcdctl" --endpoints "$(printf 'https://%s:2379,' "$(member_address 1)" "$(member_address 2)")https://$(member_address 3):2379" \
        --cacert "$ENGINE/ca.crt" --cert "$ENGINE/host/host.crt" --key "$ENGINE/host/host.key" --user "root:$(cat "$ENGINE/root.password")" "$@"
}
values() { etcdctl get --prefix "/chillbox/shop/${1-}"; }

engine_join() { # N...
    for number; do
        joined=WEB$number
        box push "${!joined}" "$ENGINE/host" /etc/chillbox/fleet
        box push "${!joined}" "$ENGINE/chillboxd.toml" /root/fleet.toml
        on "$number" in_box sh -c 'cat /root/fleet.toml >>/etc/chillbox/chillboxd.toml && rc-service -q chillboxd restart'
        on "$number" unlock
    done
}

links() { # STATE WHAT...
    for what in "${@:2}"; do
        case $what in h*) what=wire${what#h} ;; esac
        box net "$WEB1" -- ip link set "$what" "$1"
    done
}
cut() { # also the program of that name
    case ${1-} in -*) command cut "$@" ;; *) links down "$@" ;; esac
}
mend() { links up "$@"; }
