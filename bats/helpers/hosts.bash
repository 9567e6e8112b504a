# Several hosts in boxes: load helpers/box, helpers/host, helpers/laptop and helpers/hosts.
#
# hosts_up N          $WEB1, $WEB2.. are hosts that are set up and unlocked, with a wire between them, as 10.77.0.1, 10.77.0.2..; a laptop in the
#                     network of the first one knows them as web1, web2.., and its key may sign for all sites on each; $HOST is the first one
# hosts_down          in teardown_file
# on N CMD...         for host N:  on 2 ctl status
# wire BOX BOX...     gives boxes these addresses, in this order
# ssh_name BOX ADDRESS NAME...   the laptop's ssh reaches the box by these names
# away N; back        the laptop's ssh does not reach web2.. until `back`
# hello_site [FILTER] the site hello in $LAPTOP/hello, which is not deployed, as the jq filter makes it: its service answers "ok", or WORD from `answers`;
#                     commands of it are `note NAME`, which writes run and fence to a file of that name in its data, and `fail`
# says N STATUS       what the service of host N answers from now on;  answers N WORD;  slow N SECONDS: so late does it answer after its start

# shellcheck disable=SC2154 # box_up sets HOST

wire_address() { printf '10.77.0.%s\n' "$1"; }

wire() { "$BATS_TEST_DIRNAME/../tests/host/wire" "$@"; }

ssh_name() {
    cp "$(box key "$1")" "$LAPTOP/ssh.$2.key"
    chmod 0600 "$LAPTOP/ssh.$2.key"
    printf 'Host %s %s\n    HostName %s\n    HostKeyAlias %s\n    IdentityFile %s\n    IdentitiesOnly yes\n    UserKnownHostsFile %s\n    LogLevel ERROR\n' \
        "${*:3}" "$2" "$2" "$3" "$LAPTOP/ssh.$2.key" "$LAPTOP/known_hosts" >>"$LAPTOP/ssh_config"
}

hosts_up() {
    export WEB_BOXES=''
    for number in $(seq "$1"); do
        host_up
        WEB_BOXES="$WEB_BOXES $HOST"
        printf -v "WEB$number" '%s' "$HOST"
        export "WEB$number"
        host_set_up
        if [ "$number" -eq 1 ]; then
            mkdir "$LAPTOP/me"
            mv "$LAPTOP"/deployer.* "$LAPTOP/me/"
        else
            rm "$LAPTOP"/deployer.*
            box push "$HOST" "$LAPTOP/me/deployer.pub" /root/me.pub
            ctl trust add /root/me.pub --name me
        fi
    done
    HOST=$WEB1
    # shellcheck disable=SC2086 # a list
    wire $WEB_BOXES
    laptop_up
    mkdir -p -m 0700 "$LAPTOP_HOME/config/chillbox/hosts" "$LAPTOP_HOME/config/chillbox/keys"
    chmod 0700 "$LAPTOP_HOME/config" "$LAPTOP_HOME/config/chillbox"
    cp "$LAPTOP/me"/deployer.* "$LAPTOP_HOME/config/chillbox/keys/"
    number=0
    for web_box in $WEB_BOXES; do
        number=$((number + 1))
        [ "$number" -eq 1 ] && name=web1.example || name=$(wire_address "$number")
        [ "$number" -eq 1 ] || ssh_name "$web_box" "$name" "web$number.example" "web$number"
        laptop ssh -o StrictHostKeyChecking=accept-new "root@$name" true
        (umask 077 && printf 'ssh = "root@%s"\n' "$name" >"$LAPTOP_HOME/config/chillbox/hosts/web$number.toml")
    done
}

hosts_down() {
    [ -z "${WEB1-}" ] || laptop chillboxctl agent lock >/dev/null || :
    for web_box in ${WEB_BOXES-}; do box down "$web_box"; done
}

on() {
    on_box=WEB$1
    HOST=${!on_box} "${@:2}"
}

away() {
    [ -e "$LAPTOP/ssh_config.all" ] || cp "$LAPTOP/ssh_config" "$LAPTOP/ssh_config.all"
    { printf 'Host %s\n    ProxyCommand false\n' "$(wire_address "$1")" && cat "$LAPTOP/ssh_config.all"; } >"$LAPTOP/ssh_config"
}
back() { [ ! -e "$LAPTOP/ssh_config.all" ] || mv "$LAPTOP/ssh_config.all" "$LAPTOP/ssh_config"; }

hello_site() {
    mkdir -p "$LAPTOP/hello/api"
    cat >"$LAPTOP/hello/api/serve" <<'P'
#!/usr/bin/python3 -ISB
import socket, time
def said(name, default):
    try: return open("/var/lib/hello/api/" + name).read().strip()
    except OSError: return default
time.sleep(float(said("slow", "0")))
s = socket.socket(fileno=3)
while True:
    c, _ = s.accept()
    try:
        c.recv(65536)
        text = said("answer", "ok") + "\n"
        c.sendall(("HTTP/1.0 %s X\r\nContent-Length: %d\r\n\r\n%s" % (said("status", "200"), len(text), text)).encode())
    except OSError: pass # who asked has waited long enough
    c.close()
P
    # shellcheck disable=SC2016 # for the site's shell
    printf '#!/bin/sh\necho "$CHILLBOX_RUN $CHILLBOX_FENCE" >>"/var/lib/hello/api/$1"\n' >"$LAPTOP/hello/api/note"
    printf '#!/bin/sh\necho "the table is locked" >&2\nexit 3\n' >"$LAPTOP/hello/api/fail"
    chmod +x "$LAPTOP"/hello/api/*
    jq -n '{name: "Hello", server_name: "hello.example", domain_list: ["hello.example"], version: "1.0.0", watch: "0s",
        services: [{name: "api", lang: "binary", listen: "fd", "run-cmd": "./serve", health: {path: "/", deadline: "7s"}}]} | '"${1:-.}" >"$LAPTOP/hello/hello.site.json"
}
of_service() { on "$1" in_box sh -c 'mkdir -p /var/lib/hello/api && echo "$1" >"/var/lib/hello/api/$2" && chmod 644 "/var/lib/hello/api/$2"' sh "$3" "$2"; }
says() { of_service "$1" status "$2"; }
answers() { of_service "$1" answer "$2"; }
slow() { of_service "$1" slow "$2"; }
