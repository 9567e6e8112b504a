#!/usr/bin/env bats
# The processes of chillboxd on a host: who they are, what they may not do, and what happens when one of them dies.

# shellcheck disable=SC2154,SC2016 # box_up sets HOST; "sh -c" expands in the box

load helpers/box
load helpers/host

setup_file() {
    host_possible || return 0
    host_up
    host_set_up
    secrets "what nobody else may read"
    deploy 1.0.0
    box push "$HOST" "$ROOT/tests/host/inject" /usr/local/bin/
}

teardown_file() { host_down; }
setup() { host_or_skip; }

monitor() { in_box cat /run/openrc/options/chillboxd/child_pid; }
edge() { in_box pgrep -u chillbox; }
vault() { in_box pgrep -u chillbox-vault; }
# status_of PID FIELD: of /proc/PID/status, spaces between values
status_of() { in_box sed -n "s/^$2:[[:space:]]*//p" "/proc/$1/status" | tr '\t' ' '; }
# open_as PID: what its descriptors are
open_as() { in_box ls -l "/proc/$1/fd" | sed -n 's/.* -> //p'; }
# What it has open that has a name, apart from its log.
open_files() { open_as "$1" | grep '^/' | grep -vx '/dev/null\|/var/log/chillbox/.*'; }
is_another() { now=$("$1") && [ -n "$now" ] && [ "$now" != "$2" ]; } # FUNCTION PID
pings() { announce host.ping '{}' | grep -q '"job"'; }

# ptrace PID as USER: the error number of an attach, 0 when it worked
ptrace() {
    box run "$HOST" -u "$2" -- python3 -c 'import ctypes, sys
libc = ctypes.CDLL(None, use_errno=True)
print(0 if libc.ptrace(16, int(sys.argv[1]), 0, 0) == 0 else ctypes.get_errno())' "$1"
}

@test "the start returns when chillboxd answers, and each process is its own user" {
    in_box rc-service chillboxd restart
    ctl ping
    unlock
    [ "$(status_of "$(monitor)" Uid)" = "0 0 0 0" ]
    [ "$(edge | wc -l)" -eq 1 ]
    [ "$(vault | wc -l)" -eq 1 ]
    for process in edge vault; do
        [ "$(status_of "$("$process")" Groups | tr -d ' ')" = "$(in_box id -g "$(user_of "$("$process")")")" ]
        [ "$(status_of "$("$process")" PPid)" = "$(monitor)" ]
    done
}

@test "edge and vault: no capability, no new privileges, filtered calls, no core dump" {
    for process in edge vault; do
        pid=$("$process")
        for set in CapInh CapPrm CapEff CapBnd CapAmb; do [ "$(status_of "$pid" $set)" = 0000000000000000 ]; done
        [ "$(status_of "$pid" NoNewPrivs)" = 1 ]
        [ "$(status_of "$pid" Seccomp)" = 2 ]
        [[ "$(in_box grep 'Max core file size' "/proc/$pid/limits")" == *" 0 "*" 0 "* ]]
    done
}

@test "edge: no key and no database, nothing of the host's files in sight [attack-E2]" {
    pid=$(edge)
    run ! open_files "$pid"
    [ "$(in_box readlink "/proc/$pid/root")" = /run/chillbox/empty ]
    [ -z "$(in_box ls "/proc/$pid/root/")" ]
    [[ "$(in_box grep 'Max address space' "/proc/$pid/limits")" != *unlimited* ]]
}

@test "[fault-79] [fault-80] vault: locked memory, no file, and not even its own user may look into it [attack-V2]" {
    pid=$(vault)
    run ! open_files "$pid"
    open_files "$(monitor)" | grep -qx /var/lib/chillbox/state.db
    locked=$(status_of "$pid" VmLck)
    [ "${locked%% *}" -gt 0 ]
    run box run "$HOST" -u chillbox-vault -- cat "/proc/$pid/environ"
    [[ "$status" -ne 0 && "$output" == *"Permission denied"* ]]
    run box run "$HOST" -u chillbox-vault -- head -c 1 "/proc/$pid/mem"
    [ "$status" -ne 0 ]
    [ "$(ptrace "$pid" chillbox-vault)" = 1 ]
    # The same user's other processes it may trace: the refusal above is the vault's own.
    other=$(ENDS=1 starts_as chillbox-vault sleep 20 3>&-)
    wait_for 5 runs_as "$other" chillbox-vault
    [ "$(ptrace "$other" chillbox-vault)" = 0 ]
    in_box kill -9 "$other"
}
runs_as() { [ "$(user_of "$1")" = "$2" ]; }

# Some descriptor of this process is a TCP or UDP socket.
on_the_net() {
    sockets=$(open_as "$1" | sed -n 's/^socket:\[\([0-9]*\)\]$/\1/p')
    in_box sh -c 'cat /proc/net/tcp /proc/net/tcp6 /proc/net/udp /proc/net/udp6' | awk '{print $10}' | grep -qxF "$sockets"
}

@test "monitor: not dumpable; and no Internet socket is open in any process of chillboxd, only in NGINX" {
    [ "$(in_box stat -c %U "/proc/$(edge)/environ")" = root ]
    [[ "$(in_box grep 'Max core file size' "/proc/$(monitor)/limits")" == *" 0 "* ]]
    for process in monitor edge vault; do run ! on_the_net "$("$process")"; done
    on_the_net "$(nginx_pid)"
}

# The process that unpacks, held still in the middle of its work: prints its pid.
catch_stager() {
    in_box timeout 60 sh -c 'until pid=$(pgrep -f "^chillboxd: stager") && grep -qs "^Seccomp:.*2" "/proc/$pid/status"; do :; done; kill -STOP "$pid"; echo "$pid"'
}

@test "stager, caught in the act: its own user, no capability, no new privileges, filtered calls, nothing open but the archive and the stage [attack-T2]" {
    make_site "$(next_version)"
    head -c 100000000 /dev/urandom >"$LAPTOP/hello/api/big" # long enough to be caught
    artifact=$(pack)
    catch_stager >"$BATS_TEST_TMPDIR/pid" 3>&- &
    send "$artifact" >"$BATS_TEST_TMPDIR/deploy" 2>&1 3>&- &
    wait_for 60 test -s "$BATS_TEST_TMPDIR/pid"
    pid=$(cat "$BATS_TEST_TMPDIR/pid")
    stager_id=$(status_of "$pid" Uid | cut -d ' ' -f 1)
    [[ "$stager_id" == 65[0-2][0-9][0-9] ]]
    run ! in_box getent passwd "$stager_id"
    [ "$(status_of "$pid" Uid)" = "$stager_id $stager_id $stager_id $stager_id" ]
    [ "$(status_of "$pid" PPid)" = "$(monitor)" ]
    for set in CapInh CapPrm CapEff CapBnd CapAmb; do [ "$(status_of "$pid" $set)" = 0000000000000000 ]; done
    [ "$(status_of "$pid" NoNewPrivs)" = 1 ]
    [ "$(status_of "$pid" Seccomp)" = 2 ]
    [ "$(in_box stat -c %U "/proc/$pid/environ")" = root ] # not dumpable
    open_files "$pid" >"$BATS_TEST_TMPDIR/open"
    grep -q '^/run/chillbox/stage/' "$BATS_TEST_TMPDIR/open"
    run ! grep -v '^/run/chillbox/stage/\|^/var/lib/chillbox/artifacts/[0-9a-f]*.age$' "$BATS_TEST_TMPDIR/open"
    run ! on_the_net "$pid"
    in_box kill -CONT "$pid"
    wait
    grep -q 'is live' "$BATS_TEST_TMPDIR/deploy"
    run ! in_box pgrep -U "$stager_id"
    ctl rollback hello 1.0.0
}

@test "[fault-81] the two directories for plaintext are tmpfs of their own: no suid, no devices, not swapped" {
    for dir in stage secrets; do
        run -0 in_box grep " /run/chillbox/$dir tmpfs " /proc/mounts
        [[ "$output" == *nosuid,nodev* ]]
        [[ "$output" == *noswap* || "$(in_box grep -c . /proc/swaps)" -eq 1 ]]
    done
}

@test "[fault-34] the edge's socket is for NGINX alone [attack-L2]" {
    run box run "$HOST" -u daemon -- curl -s --unix-socket /run/chillbox/hook.sock http://x/v1/health
    [ "$status" -eq 7 ]
    run -0 box run "$HOST" -u "$(in_box stat -c %G /run/chillbox/hook.sock)" -- curl -s --unix-socket /run/chillbox/hook.sock http://x/v1/health
    [ "$(jq -r .status <<<"$output")" = ok ]
}

@test "a site's service: its own user, no capability, no new privileges, and it cannot read what is not its own [attack-S2]" {
    pid=$(in_box sh -c 'cat /run/openrc/options/chillbox.hello.api.*/child_pid')
    [[ "$(status_of "$pid" Uid)" != *"0 "* ]]
    [ "$(status_of "$pid" CapEff)" = 0000000000000000 ]
    [ "$(status_of "$pid" NoNewPrivs)" = 1 ]
    for file in /var/lib/chillbox/state.db /var/lib/chillbox/identity.age /etc/chillbox/webhooks/laptop.key /run/chillbox/control.sock \
        "/run/chillbox/slots/$(in_box ls /run/chillbox/slots | grep json)"; do
        in_box test -e "$file"
        run ! box run "$HOST" -u hello -- test -r "$file"
    done
    run ! box run "$HOST" -u hello -- touch /srv/chillbox/hello/current/api/x
    box run "$HOST" -u hello -- touch /var/lib/hello/api/x
}

@test "an edge that dies is started again, and takes webhooks again" {
    pid=$(edge)
    in_box kill -9 "$pid"
    wait_for 10 is_another edge "$pid"
    wait_for 10 pings
    [ "$(json ping .sealed)" = false ]
    in_box grep -q 'the edge ended' /var/log/chillbox/chillboxd.log
}

# forbidden PID CALL: the process makes this system call by itself, in the middle of its work
forbidden() { in_box inject "$1" "$2"; }
log_has() { in_box grep -q "$1" /var/log/chillbox/chillboxd.log; }
killed='code 159 (a forbidden system call)' # 128 + SIGSYS
needs_injection() { [ "$(uname -m)" = x86_64 ] || skip 'tests/host/inject is for x86_64'; }

@test "an edge that calls open, socket, execve or ptrace ends by SIGSYS each time, is started again, and status tells it [attack-E2]" {
    needs_injection
    for call in open socket execve ptrace; do
        in_box truncate -s 0 /var/log/chillbox/chillboxd.log
        pid=$(edge)
        forbidden "$pid" "$call"
        wait_for 10 is_another edge "$pid"
        wait_for 10 pings
        log_has "the edge ended with $killed: it is started again"
    done
    [ "$(json ping .sealed)" = false ]
    [ "$(json status '[.host.warnings[] | select(startswith("the edge made a forbidden system call"))] | length')" = 1 ]
}

@test "a vault that calls open, socket, execve or ptrace ends by SIGSYS: the host is locked, loudly, until the next unlock [attack-V2]" {
    needs_injection
    sealed() { [ "$(json ping .sealed)" = true ]; }
    for call in open socket execve ptrace; do
        in_box truncate -s 0 /var/log/chillbox/chillboxd.log
        forbidden "$(vault)" "$call"
        wait_for 10 sealed
        run ! vault
        log_has "the vault ended unexpectedly with $killed: the host is locked"
        unlock
        [ "$(json ping .sealed)" = false ]
    done
    [[ "$(ctl status)" == *"the vault ended unexpectedly with $killed"* ]]
    [ "$(get /)" = "hello from 1.0.0" ]
}

@test "a stager that starts a program (CHILLBOX_CALLS: what else) ends by SIGSYS: the job says so, nothing of it is left, the next one has a new stager" {
    needs_injection
    make_site "$(next_version)"
    head -c 100000000 /dev/urandom >"$LAPTOP/hello/api/big"
    artifact=$(pack)
    for call in ${CHILLBOX_CALLS:-execve}; do
        rm -f "$BATS_TEST_TMPDIR/pid"
        catch_stager >"$BATS_TEST_TMPDIR/pid" 3>&- &
        send "$artifact" >"$BATS_TEST_TMPDIR/deploy" 2>&1 3>&- &
        deploy=$!
        wait_for 60 test -s "$BATS_TEST_TMPDIR/pid"
        forbidden "$(cat "$BATS_TEST_TMPDIR/pid")" "$call"
        ended=0
        wait "$deploy" || ended=$?
        [ "$ended" -eq 1 ]
        cat "$BATS_TEST_TMPDIR/deploy"
        grep -qF "the stager ended without an answer, exit $killed" "$BATS_TEST_TMPDIR/deploy"
        [ "$(in_box ls /run/chillbox/stage)" = '' ]
        [ "$(get /)" = "hello from 1.0.0" ]
    done
    run -0 send "$artifact"
    ctl rollback hello 1.0.0
}

@test "a monitor that dies is started again, with nothing of the old one left, sealed; the site goes on" {
    pid=$(monitor) old_edge=$(edge) old_vault=$(vault)
    services=$(pids_of hello)
    in_box kill -9 "$pid"
    wait_for 20 is_another monitor "$pid"
    ctl ping --wait 20s
    for old in "$old_edge" "$old_vault"; do run ! is_alive "$old"; done
    [ "$(json ping .sealed)" = true ]
    [ "$(pids_of hello)" = "$services" ]
    [ "$(get /)" = "hello from 1.0.0" ]
    wait_for 10 pings
    unlock
}

@test "a stop ends all its processes and none of the site's; NGINX says so to senders, and serves the site" {
    in_box rc-service chillboxd stop
    run ! edge
    run ! vault
    [ "$(get /)" = "hello from 1.0.0" ]
    [ "$(host_curl "$URL/v1/health" | jq -r .error.code)" = unreachable ]
    [[ "$(host_curl -o /dev/null -w '%{http_code}' "$URL/v1/health")" == 50[23] ]]
    run -5 ctl status
    [[ "$output" == *"chillboxd does not answer"* ]]
    in_box rc-service chillboxd start
}

@test "reload takes new keys over, and leaves every process as it is" {
    before="$(monitor) $(edge)"
    in_box sh -c 'sed -i /whsec_/d /etc/chillbox/webhooks/laptop.key; echo "whsec_$(head -c 32 /dev/urandom | base64)" >>/etc/chillbox/webhooks/laptop.key'
    pings
    in_box rc-service chillboxd reload
    wait_for 5 refuses
    [ "$(monitor) $(edge)" = "$before" ]
}
refuses() { ! pings; }
