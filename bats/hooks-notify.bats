#!/usr/bin/env bats
# Hooks of notices against a receiver that is real: what each sends, that nothing in a text becomes more than text, and what they say of an answer.

# shellcheck disable=SC2016 # $ is text here

setup_file() {
    bats_require_minimum_version 1.5.0
    export SINK=$BATS_FILE_TMPDIR/sink HOOKS=$BATS_TEST_DIRNAME/../hooks/notify
    mkdir -p "$SINK"
    "$BATS_TEST_DIRNAME/helpers/receiver" "$SINK" 3>&- &
    echo $! >"$BATS_FILE_TMPDIR/pid"
    for _ in $(seq 100); do [ ! -e "$SINK/port" ] || break; sleep 0.1; done
    URL=http://127.0.0.1:$(cat "$SINK/port")
    export URL
}

teardown_file() { kill "$(cat "$BATS_FILE_TMPDIR/pid")"; }

setup() { rm -f "$SINK/got" "$SINK/does"; }

SHELLS=('dash' 'busybox ash')
NASTY='he said "no" \ @everyone <!channel> <script> $(id) `id` %0d%0a é *b* [x](http://y)'

# send SHELL KIND SETTINGS: the title and the text of $NASTY.
send() {
    # shellcheck disable=SC2086 # two words
    printf 'host: %s\nfirst\nsecond: %s\n' "$NASTY" "$NASTY" | CHILLBOX_NOTICE_SEVERITY=error timeout 40 $1 "$HOOKS/$2" send 3<<<"$3"
}
got() { jq -r "$1" <(tail -n 1 "$SINK/got"); }
body() { jq -r "$1" <<<"$(got .body)"; }

@test "each transport takes the text as text: quotes, backslashes, mentions, markup and ends of lines [fault-689] [attack-U8]" {
    for shell in "${SHELLS[@]}"; do
        send "$shell" ntfy "url=$URL"$'\n'"topic=alerts"$'\n'"token=tk_1"
        [ "$(body '.title')" = "host: $NASTY" ]
        [ "$(body '.message')" = "first"$'\n'"second: $NASTY" ]
        [ "$(body '.topic + " " + (.priority | tostring)')" = 'alerts 5' ]
        [ "$(got '.headers.authorization')" = 'Bearer tk_1' ]

        send "$shell" slack "url=$URL/services/x"
        [ "$(body '.blocks[0].text | .type + ":" + .text')" = "plain_text:host: $NASTY" ]
        [ "$(body '.blocks[1].text.text')" = "first"$'\n'"second: $NASTY" ]
        [[ "$(body '.text')" == *'&lt;!channel&gt; &lt;script&gt;'* ]]

        send "$shell" discord "url=$URL/api/webhooks/x"
        [ "$(body '.allowed_mentions.parse | length')" = 0 ]
        [[ "$(body '.content')" == *'\@everyone'*'\<script\>'* ]]
        [ "$(body '.content' | wc -l)" -eq 3 ]

        send "$shell" matrix "url=$URL"$'\n''room=!abc:example.org'$'\n''token=syt_1'$'\n''id=msg_7'
        [ "$(got '.method + " " + .path')" = 'PUT /_matrix/client/v3/rooms/%21abc%3Aexample.org/send/m.room.message/msg_7' ]
        [ "$(body '.msgtype + " " + (.["m.mentions"] | tostring) + " " + (has("formatted_body") | tostring)')" = 'm.text {} false' ]
        [ "$(body '.body')" = "host: $NASTY"$'\n'"first"$'\n'"second: $NASTY" ]
    done
}

@test "a mail: one subject whatever is in it, a body of its own, and addresses that are addresses [fault-689]" {
    mkdir -p "$BATS_TEST_TMPDIR/bin"
    printf '#!/bin/sh\nprintf "%%s\\n" "$*" >"%s/args"\ncat >"%s/mail"\n' "$BATS_TEST_TMPDIR" "$BATS_TEST_TMPDIR" >"$BATS_TEST_TMPDIR/bin/sendmail"
    chmod +x "$BATS_TEST_TMPDIR/bin/sendmail"
    PATH=$BATS_TEST_TMPDIR/bin:$PATH
    for shell in "${SHELLS[@]}"; do
        send "$shell" mail $'to=ops@example.org\nfrom=host@example.org\nid=msg_7'
        [ "$(cat "$BATS_TEST_TMPDIR/args")" = '-i -f host@example.org -- ops@example.org' ]
        python3 - "$BATS_TEST_TMPDIR/mail" "host: $NASTY" <<'END'
import email, email.policy, sys
mail = email.message_from_binary_file(open(sys.argv[1], "rb"), policy=email.policy.default)
assert str(mail["Subject"])[:60] == sys.argv[2][:60], mail["Subject"]
assert mail["To"] == "ops@example.org" and mail["Message-ID"] == "<msg_7@example.org>", mail.items()
assert mail.get_content().startswith(sys.argv[2] + "\n\nfirst\nsecond: "), mail.get_content()
assert len(mail.items()) == 8, mail.items()
END
        for to in 'a@b c@d' '-oQ/tmp@x' 'a@b,c@d' 'nobody' 'a@@b'; do
            run send "$shell" mail "to=$to"$'\n''from=host@example.org'
            [ "$status" -eq 2 ]
        done
    done
}

@test "a text that is cut ends with a whole character, and each word of a subject has whole ones [fault-1022]" {
    mkdir -p "$BATS_TEST_TMPDIR/bin"
    printf '#!/bin/sh\nexec cat >%s/mail\n' "$BATS_TEST_TMPDIR" >"$BATS_TEST_TMPDIR/bin/sendmail"
    chmod +x "$BATS_TEST_TMPDIR/bin/sendmail"
    PATH=$BATS_TEST_TMPDIR/bin:$PATH
    for shell in "${SHELLS[@]}"; do
        for before in '' a ab abc; do
            NASTY=$before$(printf '€😀%.0s' {1..500})
            send "$shell" slack "url=$URL"
            got .body | iconv -f utf-8 -t utf-8 >/dev/null
            [ "$(body '.blocks[1].text.text' | wc -c)" -ge 2890 ]
            [ "$(body '.blocks[] | .text.text' | grep -c $'\uFFFD')" -eq 0 ]
            send "$shell" discord "url=$URL"
            [ "$(body .content | grep -c $'\uFFFD')" -eq 0 ]
            send "$shell" mail $'to=ops@example.org\nfrom=host@example.org\nid=msg_7'
            python3 - "$BATS_TEST_TMPDIR/mail" <<'END'
import base64, re, sys
words = re.findall(rb"=\?UTF-8\?B\?([^?]*)\?=", open(sys.argv[1], "rb").read())
text = "".join(base64.b64decode(word).decode() for word in words)
assert len(words) == 3 and 115 <= len(text.encode()) <= 120, text
END
        done
    done
}

@test "the webhook: what was signed is what is sent, byte for byte [fault-689]" {
    for shell in "${SHELLS[@]}"; do
        printf '%s' '{"type":"a.b","x":"\"\\ é"}' | $shell "$HOOKS/webhook" send 3<<<"url=$URL/in"$'\n''id=msg_1'$'\n''timestamp=1800000000'$'\n''signature=v1,abc='
        [ "$(got .body)" = '{"type":"a.b","x":"\"\\ é"}' ]
        [ "$(got '.headers | .["webhook-id"] + " " + .["webhook-timestamp"] + " " + .["webhook-signature"] + " " + .["content-type"]')" = \
            'msg_1 1800000000 v1,abc= application/json' ]
    done
}

@test "what is answered is what is reported: 410, 429 with Retry-After, 500, a redirect, nobody there [fault-681] [fault-683] [attack-U2]" {
    for shell in "${SHELLS[@]}"; do
        echo 204 >"$SINK/does"
        run -0 --separate-stderr send "$shell" slack "url=$URL"
        [ -z "$output$stderr" ]
        echo 410 >"$SINK/does"
        run -10 send "$shell" slack "url=$URL"
        echo '429 retry-after 7' >"$SINK/does"
        run -11 --separate-stderr send "$shell" slack "url=$URL"
        [ "$output" = 'retry-after 7' ]
        [[ "$stderr" == *'it answered 429'* ]]
        echo 500 >"$SINK/does"
        run -11 send "$shell" slack "url=$URL"
        rm "$SINK/got"
        echo "302 $URL/elsewhere" >"$SINK/does"
        run -11 send "$shell" slack "url=$URL/hook"
        [[ "$output" == *'redirects are not followed'* ]]
        [ "$(wc -l <"$SINK/got")" -eq 1 ]
        run -12 send "$shell" slack 'url=http://127.0.0.1:9'
        [[ "$output" == *'slack: curl: ('* ]]
        run -2 send "$shell" slack 'url=http://example.org/x'
        [[ "$output" == *'must begin with https://'* ]]
    done
}

@test "who hangs after the headers is given fifteen seconds [fault-682]" {
    echo hang >"$SINK/does"
    SECONDS=0
    run -12 send dash slack "url=$URL"
    [ "$SECONDS" -ge 14 ] && [ "$SECONDS" -le 30 ]
}

@test "no secret is in the arguments or the environment of what runs [attack-U4]" {
    echo hang >"$SINK/does"
    printf 'x\n' | dash "$HOOKS/ntfy" send 3<<<"url=$URL"$'\n''topic=s3cret-topic'$'\n''token=s3cret-token' 3>&3 &
    for _ in $(seq 100); do [ ! -e "$SINK/got" ] || break; sleep 0.1; done
    seen=$(for pid in $(pgrep -P $!) $!; do cat "/proc/$pid/cmdline" "/proc/$pid/environ" 2>/dev/null | tr '\0' '\n'; done; pgrep -a curl)
    kill $! $(pgrep -P $!) 2>/dev/null || :
    [[ "$seen" == *curl* ]]
    [[ "$seen" != *s3cret* ]]
}

@test "each says what it needs, and refuses what it does not know" {
    for hook in "$HOOKS"/*; do
        [ "${hook##*/}" != heartbeat ] || continue
        for shell in "${SHELLS[@]}"; do
            # shellcheck disable=SC2086 # two words
            run -0 $shell "$hook" settings
            for line in "${lines[@]}"; do [[ "$line" =~ ^[a-z][a-z0-9_]*\ (secret|plain)\ (required|optional)\ .+ ]]; done
            # shellcheck disable=SC2086 # two words
            run -2 $shell "$hook" nosuch
        done
    done
}
