#!/usr/bin/env bats
# docs/examples/hooks/tls: a mail when the alert of a certificate changes, with a sendmail that keeps what it gets.

setup() {
    bats_require_minimum_version 1.5.0
    HOOK=$BATS_TEST_DIRNAME/../docs/examples/hooks/tls
    export CHILLBOX_ROOT=$BATS_TEST_TMPDIR CHILLBOX_SITE=blog CHILLBOX_TLS_STATE=backing-off CHILLBOX_TLS_BEFORE=ordering CHILLBOX_TLS_ALERT=warning \
        CHILLBOX_TLS_NAMES='blog.example www.blog.example' CHILLBOX_TLS_UNTIL=2027-01-12T14:03:22Z CHILLBOX_TLS_PROBLEM='DNS has no address for blog.example'
    cd "$BATS_TEST_TMPDIR" || return
    mkdir -p etc/chillbox var/lib bin
    echo 'ops@blog.example' >etc/chillbox/alerts
    # shellcheck disable=SC2016
    printf '#!/bin/sh\n{ cat; echo "--"; } >>"$CHILLBOX_ROOT/mails"\n' >bin/sendmail
    chmod +x bin/sendmail
    PATH=$PWD/bin:$PATH
}

@test "one mail for each change of the alert, however often the hook runs; under each shell" {
    for shell in dash 'busybox ash'; do
        rm -rf mails var/lib/chillbox-alerts
        run -0 $shell "$HOOK"
        [ -z "$output" ]
        $shell "$HOOK"
        [ "$(grep -c '^--' mails)" -eq 1 ]
        grep -q '^To: ops@blog.example' mails
        grep -q '^Subject: certificate of blog: warning' mails
        grep -q 'valid until 2027-01-12' mails
        grep -q 'DNS has no address' mails
        CHILLBOX_TLS_ALERT=error $shell "$HOOK"
        CHILLBOX_TLS_ALERT=error CHILLBOX_SITE=_host $shell "$HOOK"
        CHILLBOX_TLS_ALERT=none CHILLBOX_TLS_STATE=valid CHILLBOX_TLS_PROBLEM='' $shell "$HOOK"
        [ "$(grep -c '^--' mails)" -eq 4 ]
        grep -q '^Subject: certificate of blog: works again' mails
    done
}

@test "what is well is no mail, and without an address it says so" {
    CHILLBOX_TLS_ALERT=none "$HOOK"
    [ ! -e mails ]
    rm etc/chillbox/alerts
    run -1 "$HOOK"
    [[ "$output" == *'tls: no address in /etc/chillbox/alerts'* ]]
}
