#!/usr/bin/env bats
# Completion in the real shells: the installed scripts, with a daemon that answers and with none.

load helpers/cli

STATUS='{"status": {"result": {"host": {"version": "0.1.0"}, "sites": [{"site": "blog", "state": "live", "version": "1.0.0",
  "services": [{"name": "api", "lang": "python", "state": "started"}]}, {"site": "shop", "state": "live", "version": "2.0.0"}]}},
  "releases": {"result": {"releases": [{"id": "1.1.0-4", "version": "1.1.0", "live": true}, {"id": "1.0.0-3", "version": "1.0.0", "state": "good"}]}},
  "jobs": {"result": {"jobs": [{"id": "0a1b", "kind": "deploy", "site": "blog", "state": "done"}]}}}'

setup() {
    cli_setup
    # As the package has them.
    (cd "$ROOT" && make -s build && sh apk/install "$BATS_TEST_TMPDIR/installed" "${BUILD:-build}")
    BASH_SCRIPT=$BATS_TEST_TMPDIR/installed/usr/share/bash-completion/completions/chillboxctl
    ZSH_SCRIPT=$BATS_TEST_TMPDIR/installed/usr/share/zsh/site-functions/_chillboxctl
    FISH_SCRIPT=$BATS_TEST_TMPDIR/installed/usr/share/fish/vendor_completions.d/chillboxctl.fish
    export BASH_SCRIPT ZSH_SCRIPT FISH_SCRIPT
}
teardown() { cli_teardown; }

# in_bash WORD...: what bash would offer for the last word, by COMP_WORDS; words as bash splits them.
in_bash() {
    bash -euc '. "$BASH_SCRIPT"; COMP_WORDS=(chillboxctl "$@"); COMP_CWORD=$#; COMP_LINE="chillboxctl $LINE"; compopt() { :; }
        _chillboxctl; [ ${#COMPREPLY[@]} -eq 0 ] || printf "%s\n" "${COMPREPLY[@]}"' bash "$@"
}

in_fish() { fish --no-config -c 'source $FISH_SCRIPT; complete -C "chillboxctl $argv[1]"' "$1" | cut -f 1; }

@test "bash: verbs, options, sites and releases; the part behind = : or @ alone" {
    start_daemon "$STATUS"
    [ "$(LINE='rollb' in_bash rollb)" = rollback ]
    [ "$(LINE='rollback ' in_bash rollback '')" = $'blog\nshop' ]
    [ "$(LINE='rollback blog 1.0' in_bash rollback blog 1.0)" = $'1.0.0\n1.0.0-3' ]
    [ -z "$(LINE='rollback blog 1.1' in_bash rollback blog 1.1)" ] # it is live already
    [ "$(LINE='logs blog/a' in_bash logs blog/a)" = blog/api ]
    [ "$(LINE='job ' in_bash job '')" = 0a1b ]
    [ "$(LINE='trust add k --sites=bl' in_bash trust add k --sites = bl)" = blog ]
    [ "$(LINE='trust add k --sites=' in_bash trust add k --sites =)" = $'blog\nshop' ]
    [ "$(LINE='trust add k --sites blog,s' in_bash trust add k --sites blog,s)" = blog,shop ]
    [ "$(LINE='-H root@host sta' in_bash -H root @ host sta)" = $'status\nstart' ]
    [ "$(LINE='rollback blog --no-w' in_bash rollback blog --no-w)" = --no-wait ]
    [ "$(LINE='cron ' in_bash cron '')" = $'list\nhistory\nrun' ]
    [ "$(LINE='cron run s' in_bash cron run s)" = shop ]
    [ "$(LINE='maintenance o' in_bash maintenance o)" = $'on\noff' ]
    [ "$(LINE='nginx d' in_bash nginx d)" = diff ]
    [ "$(LINE='plan b' in_bash plan b)" = blog ]
}

@test "bash at a terminal completes with a tab, and leaves files to the shell" {
    start_daemon "$STATUS"
    touch some-artifact.tar.zst.age
    printf '. %s\nPS1="ready> "\n' "$BASH_SCRIPT" >bashrc
    run -0 "$FAKE/at-terminal" expect:'ready> ' keys:"chillboxctl releases sh" tab expect:'op ' type:'--help' expect:'ready> ' \
        keys:'chillboxctl validate some-' tab expect:'artifact.tar.zst.age' type:'--help' expect:'ready> ' type:'exit 0' -- bash --rcfile bashrc -i
}

@test "zsh at a terminal: verbs, sites and files" {
    command -v zsh >/dev/null || skip "no zsh"
    start_daemon "$STATUS"
    touch some-artifact.tar.zst.age
    export ZDOTDIR=$BATS_TEST_TMPDIR
    printf 'fpath=(%s $fpath)\nautoload -Uz compinit; compinit -D -u\nPS1="ready> "\n' "$(dirname "$ZSH_SCRIPT")" >.zshrc
    run -0 "$FAKE/at-terminal" expect:'ready> ' keys:"chillboxctl rollb" tab expect:rollback keys:"sh" tab expect:shop type:'--help' \
        expect:'ready> ' keys:'chillboxctl maint' tab expect:maintenance keys:'of' tab keys:'sh' tab expect:shop type:'--help' \
        expect:'ready> ' keys:'chillboxctl validate some-a' tab expect:artifact type:'--help' expect:'ready> ' type:'exit 0' -- zsh -d -i
}

@test "fish: verbs, options, sites, releases and files" {
    command -v fish >/dev/null || skip "no fish"
    start_daemon "$STATUS"
    touch some-artifact.tar.zst.age
    [ "$(in_fish 'rollb')" = rollback ]
    [ "$(in_fish 'rollback ')" = $'blog\nshop' ]
    [ "$(in_fish 'rollback blog 1.0')" = $'1.0.0\n1.0.0-3' ]
    [ "$(in_fish 'rollback blog --no-w')" = --no-wait ]
    [ "$(in_fish 'trust add k --sites=bl')" = --sites=blog ]
    [ "$(in_fish 'cron ')" = $'history\nlist\nrun' ]
    [ "$(in_fish 'maintenance on b')" = blog ]
    [ "$(in_fish 'nginx s')" = show ]
    [[ $'\n'"$(in_fish 'plan ')"$'\n' == *$'\nblog\n'* ]]
    [ "$(in_fish 'validate some-')" = some-artifact.tar.zst.age ]
}

@test "without a daemon, or with one that hangs, completion says nothing, and soon" {
    run -0 --separate-stderr chillboxctl __complete rollback ''
    [ "$output" = :words ]
    [ -z "${stderr-}" ]
    start_daemon '{"status": {"wait": 30, "result": {}}}'
    SECONDS=0
    run -0 --separate-stderr chillboxctl __complete rollback ''
    [ "$output" = :words ]
    [ "$SECONDS" -le 3 ]
    run -0 chillboxctl __complete no such 'thing '
}

@test "with -H the host is asked through ssh, which may not ask anybody" {
    mkdir bin
    cat >bin/ssh <<'SH'
#!/bin/sh
printf '%s\n' "$*" >>"$SSH_LOG"
for last in "$@"; do :; done
eval "$last"
SH
    chmod +x bin/ssh
    export PATH="$PWD/bin:$PATH" SSH_LOG="$PWD/ssh.log"
    start_daemon "$STATUS"
    [ "$(chillboxctl __complete -H root@one rollback blog 1.0)" = $':words\n1.0.0\t1.0.0-3, good\n1.0.0-3\tgood' ]
    grep -q -- '-o BatchMode=yes -o ConnectTimeout=3 -o ForwardAgent=no -- root@one' ssh.log
    CHILLBOX_HOST=root@two,root@three run -0 chillboxctl __complete logs shop
    [ "${lines[1]%%$'\t'*}" = shop ]
    grep -q -- '-- root@two ' ssh.log
}
