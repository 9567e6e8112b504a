#!/usr/bin/env bats
# `top` in a real terminal (tmux), and `report`, of a host with a site and visitors.

# shellcheck disable=SC2154,SC2016 # box_up sets HOST; "sh -c" expands in the box

load helpers/box
load helpers/host
load helpers/live_site
load helpers/tmux

setup() { tmux_or_skip; }
teardown() { tmux_down; }

top_here() { keys "stty -g >before; $ROOT/tests/host/box run $HOST -i -- env LANG=${LANG_THERE-C.UTF-8} TERM=${TERM_THERE-xterm} NO_COLOR=${NO_COLOR_THERE-} chillboxctl top${1+ $1}; echo ended \$?; stty -g >after" Enter; }
as_before() {
    shows 'ended [0-9]'
    wait_for 5 test -s "$BATS_TEST_TMPDIR/after"
    cmp "$BATS_TEST_TMPDIR/before" "$BATS_TEST_TMPDIR/after"
    [ "$(tmux -S "$TMUX_SOCKET" display-message -p '#{cursor_flag} #{alternate_on}')" = '1 0' ]
}

@test "a site has visitors" {
    for i in $(seq 20); do get "/?$i" >/dev/null; done
}

@test "[fault-731] top at 80x24: host, site, service, and what it serves; another size, another picture" {
    terminal 80 24
    top_here
    shows '^hello +[0-9.]+ +api +live'
    shows 'unlocked  load [0-9.]+/[0-9]+  mem .*disk '
    for i in $(seq 30); do get "/?more$i" >/dev/null; done
    shows 'live +[0-9]*[1-9][0-9.]* '
    tmux -S "$TMUX_SOCKET" resize-window -x 200 -y 50
    shows 'QUEUE STARTS'
    shows '[▁▂▃▄▅▆▇█]'
    tmux -S "$TMUX_SOCKET" resize-window -x 20 -y 5
    wait_for 5 sh -c "tmux -S '$TMUX_SOCKET' capture-pane -p | grep -c . | grep -q '^[2-5]\$'"
    keys q
    tmux -S "$TMUX_SOCKET" resize-window -x 80 -y 24
    as_before
}

@test "[fault-731] without UTF-8, colours or a terminal that can be drawn on" {
    terminal 200 50 C
    LANG_THERE=C NO_COLOR_THERE=1 top_here
    shows '^hello'
    run ! sh -c "tmux -S '$TMUX_SOCKET' capture-pane -p -e | grep -E '[^ -~]'"
    keys q
    as_before
    keys clear Enter
    TERM_THERE=dumb top_here
    shows 'ended 0'
    screen | grep -E '^hello'
    run -0 ctl top --once
    [[ "$output" == *unlocked*hello* && "$output" != *$'\e'* ]]
    [ "$(json top --once '[.schema, .sites[0].site, .sites[0].services[0].name] | join(" ")')" = "chillbox.top.v1 hello api" ]
}

@test "[fault-734] Ctrl-C, TERM and a terminal that goes away leave the terminal as it was" {
    terminal 80 24
    top_here
    shows '^hello'
    keys C-c
    shows 'ended 130'
    as_before
    rm "$BATS_TEST_TMPDIR/before" "$BATS_TEST_TMPDIR/after"
    keys clear Enter
    top_here
    shows '^hello'
    in_box pkill -TERM -o -f 'chillboxctl top'
    shows 'ended 143'
    as_before
    keys clear Enter
    top_here
    shows '^hello'
    tmux -S "$TMUX_SOCKET" kill-server
    wait_for 10 sh -c "! '$ROOT/tests/host/box' run '$HOST' -- pgrep -f 'chillboxctl top'"
}

@test "[fault-732] chillboxd is restarted under it: it says so, and goes on" {
    terminal 100 24
    top_here
    shows '^hello'
    in_box rc-service -q chillboxd stop
    shows '^! chillboxd does not answer'
    shows '^hello'
    in_box rc-service -q chillboxd start
    shows ' locked  load'
    run ! seen '^!'
    unlock
    shows ' unlocked  load'
    ctl upgrade
    shows '^hello +[0-9.]+ +api +live'
    run ! seen '^!'
    keys q
    as_before
}

@test "[fault-739] two of them share what is looked up, chillboxd does not grow, and sleeps when they are gone" {
    pid=$(daemon_pid)
    rss() { # what was needed is given back after a quiet second
        sleep 2
        in_box awk '/^VmRSS/ {print $2}' "/proc/$pid/status"
    }
    in_box sh -c 'for i in $(seq 20); do chillboxctl top --once --json >/dev/null; done'
    before=$(rss)
    in_box sh -c 'for i in $(seq 200); do chillboxctl top --once --json >/dev/null & chillboxctl top --once --json >/dev/null; wait; done'
    [ "$(rss)" -lt "$((before + 1000))" ]
    sleep 12
    switches() { in_box sh -c "cat /proc/$pid/task/*/status | awk '/^voluntary/ {n += \$2} END {print n}'"; }
    before=$(switches)
    sleep 5
    [ "$(switches)" -le "$((before + 1))" ]
}

@test "[fault-738] report is one page of the week: it loads nothing, and what visitors got is in it once, over a restart of chillboxd" {
    json report '[.schema, .sites[0].site] | join(" ")' | grep -x 'chillbox.hours.v1 hello'
    requests=$(json report '.sites[0].requests | add')
    [ "$requests" -ge 50 ]
    in_box rc-service -q chillboxd restart
    [ "$(json report '.sites[0].requests | add')" = "$requests" ]
    get /?again >/dev/null
    sleep 1.5
    [ "$(json report '.sites[0].requests | add')" = "$((requests + 1))" ]
    ctl report >"$LAPTOP/page.html"
    grep -q "default-src 'none'; style-src 'unsafe-inline'" "$LAPTOP/page.html"
    grep -q '<h3>hello ' "$LAPTOP/page.html"
    grep -q '>locked<' "$LAPTOP/page.html"
    grep -q '<path class="req" d="M' "$LAPTOP/page.html"
    run ! grep -E '<script|<img|<link|https?:|url\(' "$LAPTOP/page.html"
    ctl report -o /root/page.html
    [ "$(in_box stat -c %a /root/page.html)" = 600 ]
    run -7 ctl report -o /root/page.html
    run -2 ctl report --json -o /root/other.html
    unlock
}
