# Several hosts in boxes: load helpers/box, helpers/host, helpers/laptop and helpers/hosts.
#
# hosts_up N          $WEB1, $WEB2.. are hosts that are set up and unlocked, with a wire between them, as 10.77.0.1, 10.77.0.2..; a laptop in the
#                     network of the first one knows them as web1, web2.., and its key may sign for all sites on each; $HOST is the first one
# hosts_down          in teardown_file
# on N CMD...         for host N:  on 2 ctl status
# wire BOX BOX...     gives boxes these addresses, in this order
# ssh_name BOX ADDRESS NAME...   the laptop's ssh reaches the box by these names
# away N; back        the laptop's ssh does not reach web2.. until `back`

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
