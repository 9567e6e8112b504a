#!/usr/bin/env bats
# Kinds of services as folders: the administrator's own, as chillbox-hooks(7) shows one, and one that is shipped. A kind needs nothing but its folder.

# shellcheck disable=SC2154,SC2016 # box_up sets HOST; "sh -c" expands in the box

load helpers/box
load helpers/host
load helpers/one_host

site() { # LANG [FIELD...]: hello with one service of that kind, and no file yet
    rm -rf "$LAPTOP/hello"
    mkdir -p "$LAPTOP/hello/web"
    jq -n --arg lang "$1" --arg version "$(next_version)" '{name: "Hello", server_name: "hello.example", version: $version, watch: "1s",
        services: [{name: "web", lang: $lang}]}' >"$LAPTOP/hello/hello.site.json"
}

# A program that answers on the socket that it is handed as descriptor 3, with a Python expression.
program() { # FILE EXPRESSION
    cat >"$1" <<END
#!/usr/bin/env python3
import socket
listening = socket.socket(fileno=3)
listening.setblocking(True)
while True:
    connection, _ = listening.accept()
    with connection:
        connection.setblocking(True)
        connection.recv(65536)
        text = ($2).encode()
        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(text) + text)
END
    chmod 0755 "$1"
}
server() { program "$LAPTOP/hello/web/server" "'$1'"; }

# The commands of the manual's section, as they stand there.
example() { awk '/^# A HANDLER OF YOUR OWN/ {on = 1} on && /^```/ {inside = !inside; if (!inside) exit; next} inside' "$ROOT/agent/man/chillbox-hooks.7.scd" | sed 's/\\\\/\\/g'; }

@test "the manual's example of an administrator's own kind answers at /" {
    [[ "$(example)" == *"mkdir -p /etc/chillbox/hooks.d/handlers/x-go"* ]]
    example | in_box sh -e
    site x-go
    server 'hello from x-go'
    run -0 send "$(pack)"
    [ "$(get /)" = "hello from x-go" ]
    [ "$(get /any/path)" = "hello from x-go" ]
}

@test "a Node.js application with a package is a service of the shipped kind node, which the host refuses while it has no Node.js" {
    command -v npm >/dev/null || skip "needs Node.js with npm"
    rm -rf "$LAPTOP/hello"
    "$CTL" new -q hello -o "$LAPTOP/hello" --kind node
    mkdir -p "$LAPTOP/hello/web/vendor" "$BATS_TEST_TMPDIR/package"
    echo '{"name": "greet", "version": "1.0.0"}' >"$BATS_TEST_TMPDIR/package/package.json"
    echo 'module.exports = "hello from a package";' >"$BATS_TEST_TMPDIR/package/index.js"
    tar -czf "$LAPTOP/hello/web/vendor/greet.tgz" -C "$BATS_TEST_TMPDIR" package
    (cd "$LAPTOP/hello/web" && jq '.dependencies = {greet: "file:vendor/greet.tgz"}' package.json >new && mv new package.json && npm install --package-lock-only --no-audit --no-fund --silent)
    sed -i 's/"@TITLE@.*"\|"Hello: hello from chillbox\\n"/require("greet")/' "$LAPTOP/hello/web/server.js"
    jq --arg v "$(next_version)" '.version = $v | .watch = "1s"' "$LAPTOP/hello/hello.site.json" >"$LAPTOP/new" && mv "$LAPTOP/new" "$LAPTOP/hello/hello.site.json"
    run -3 pack
    [[ "$output" == *"service web: its packages are not in dep/"* ]]
    artifact=$(pack --wheels)
    in_box test ! -e /usr/bin/node || in_box rm /usr/bin/node
    run -8 send "$artifact"
    [[ "$output" == *"lang 'node' needs node, which this host does not have"* ]]
    [ ! -e "${BOX_ROOTFS-}/etc/alpine-release" ] || skip "this machine's Node.js has another C library than the host"
    box push "$HOST" "$(readlink -f "$(command -v node)")" /usr/bin/
    run -0 send "$artifact"
    [ "$(get /)" = "hello from a package" ]
    [ "$(get /up)" = ok ]
    run -0 ctl restart hello
    [ "$(get /)" = "hello from a package" ]
    in_box rm /usr/bin/node
}

@test "a kind that the host does not have is refused before anything is changed, with the kinds that it has" {
    before=$(get /)
    site x-og
    server never
    run -8 send "$(pack)"
    [[ "$output" == *"no handler for lang 'x-og' on this host: "*"python, "*"x-go"* ]]
    [ "$(get /)" = "$before" ]
    site pyton
    run -1 "$CTL" validate "$LAPTOP/hello"
    [[ "$output" == *"\$.services[0].lang: found 'pyton', must be one of "*"python, "*"did you mean 'python'?"* ]]
}

@test "a kind.json with a member that does not exist is named by the deploy that needs it" {
    in_box sh -c 'cd /etc/chillbox/hooks.d/handlers && cp -r x-go x-odd && echo "{\"listns\": \"unix\"}" >x-odd/kind.json'
    site x-odd
    server never
    run -8 send "$(pack)"
    [[ "$output" == *'x-odd/kind.json: $.listns: unknown field'*"did you mean 'listens'?"* ]]
}

# What adding a shipped kind takes: this folder in hooks/handlers, and nothing in the program. The laptop finds it where its own hooks are, the host
# in its own.
@test "a shipped kind is a folder: new makes a site of it, validate and pack take it, the host builds and serves it" {
    hooks=$BATS_TEST_TMPDIR/hooks
    mkdir -p "$hooks/handlers/echo/new/web"
    cd "$hooks/handlers/echo"
    cat >kind.json <<'END'
{
  "about": "answers with what the build made of its file text",
  "role": "service",
  "listens": "unix",
  "build": true,
  "needs": ["python3"]
}
END
    printf '#!/bin/sh\ntr a-z A-Z <text >"$CHILLBOX_BUILD_DIR/text"\n' >build
    printf '#!/bin/sh\nprintf "%%s\\n" /usr/bin/python3 "$CHILLBOX_SERVICE_DIR/serve.py"\n' >command
    printf '#!/bin/sh\n[ -s text ] || echo "text is empty"\n' >preflight
    chmod 0755 build command preflight
    printf '{"name": "@TITLE@", "server_name": "@HOST@", "version": "0.1.0", "watch": "1s", "services": [{"name": "web", "lang": "echo"}]}\n' >new/@SITE@.site.json
    echo 'from the template of @SITE@' >new/web/text
    program new/web/serve.py 'open("../.chillbox/web/text").read()'

    cd "$LAPTOP"
    rm -rf hello
    export CHILLBOX_ROOT=$BATS_TEST_TMPDIR/root CHILLBOX_HOOKS=$hooks # this machine's hooks
    run -0 "$CTL" new hello --kind echo
    edit_site '.version = "'"$(next_version)"'"'
    run -0 "$CTL" validate hello
    artifact=$(pack)
    unset CHILLBOX_ROOT CHILLBOX_HOOKS

    run -8 send "$artifact"
    [[ "$output" == *"no handler for lang 'echo' on this host"* ]]
    box push "$HOST" "$hooks/handlers/echo" /usr/lib/chillbox/hooks/handlers/echo
    run -0 send "$artifact"
    [ "$(get /)" = "FROM THE TEMPLATE OF HELLO" ]
}
