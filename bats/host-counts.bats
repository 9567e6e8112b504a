#!/usr/bin/env bats
# What one redeploy costs, in programs that are started and syncs of the disk: counted, because a machine's speed says nothing about it.

# shellcheck disable=SC2154,SC2016 # box_up sets HOST; "sh -c" expands in the box

load helpers/box
load helpers/host
load helpers/one_host

# The number that the host's process INNER has on this machine.
outside() { # INNER
    init=$(cut -d ' ' -f 1 "${BOX_STATE:-/var/lib/chillbox-box}/$HOST/init")
    for status in /proc/[0-9]*/status; do
        if grep -q "^NSpid:.*[[:space:]]$1\$" "$status" 2>/dev/null && [ "$(readlink "${status%/status}/ns/pid")" = "$(readlink "/proc/$init/ns/pid")" ]; then
            basename "${status%/status}"
            return
        fi
    done
    return 1
}

# Of the daemon and all that it starts, until the slot that was replaced has stopped. What is in memory (/run) has nothing to sync.
counted() { # VERSION
    monitor=$(outside "$(in_box cat /run/openrc/options/chillboxd/child_pid)")
    make_site "$1"
    edit_site '.keep_releases = 1' # so that something is pruned behind it, as behind every redeploy of an old site
    artifact=$(pack)
    strace -f -y -s 200 -e trace=execve,fsync,fdatasync,syncfs,sync,openat -o "$LAPTOP/trace" -p "$monitor" 2>/dev/null 3>&- &
    tracer=$!
    sleep 1
    send "$artifact"
    sleep 1
    kill -INT "$tracer"
    wait "$tracer" || :
    grep -v '<unfinished\|/run/\|openat(\|^[0-9]* *[+-]' "$LAPTOP/trace" >"$LAPTOP/calls" || :
    grep '<unfinished' "$LAPTOP/trace" | grep -v '/run/\|openat(' >>"$LAPTOP/calls" || :
    grep -v resumed "$LAPTOP/calls" >"$LAPTOP/each"
}
programs() { grep -c 'execve(' "$LAPTOP/each"; }
opens() { grep -c "openat(.*$1" "$LAPTOP/trace"; }
syncs() { grep -c 'sync[a-z]*(' "$LAPTOP/each"; }

# Each has its reason:
#   1      the webhook's row, before its 202
#   2, 3   the signature and its name, before the answer to its upload; 4, 5 the artifact and its name
#   6      the row of the release, before its tree is there: a tree that nobody knows would be in the way of the next one
#   7      the file system, once all of the release is in its place: tree, layers, data that are kept, the name of the signature
#   8      the switch
#   9      state.json with it, which a lost database is made from; its name comes with 12
#   10     the end of the job and its line in the audit trail
#   11, 12 state.json once more, because the release is good now, and its directory, which is that of `current` too
@test "a redeploy of a Python site with unchanged wheels starts at most 20 programs and syncs the disk at most 12 times" {
    strace -o /dev/null true 2>/dev/null || skip "needs strace, and leave to use it"
    secrets one
    deploy "$(next_version)"
    deploy "$(next_version)"
    counted "$(next_version)"
    printf '# a redeploy: %s programs, %s syncs\n' "$(programs)" "$(syncs)" >&3
    [ "$(programs)" -gt 5 ]
    [ "$(syncs)" -gt 3 ]
    [ "$(programs)" -le 20 ] || { cat "$LAPTOP/each"; false; }
    [ "$(syncs)" -le 12 ] || { cat "$LAPTOP/each"; false; }
    # A process that is moved to another control group waits 5 to 11 ms for the kernel: only who keeps a log leaves its service's. The table of TCP
    # has a line for each visitor.
    [ "$(opens 'cgroup.procs", O_WRONLY')" -le 1 ] || { grep 'cgroup.procs", O_WRONLY' "$LAPTOP/trace"; false; }
    [ "$(opens '/net/tcp6*"')" -eq 0 ]
}

soft_files() { in_box awk '/open files/ {print $4}' "/proc/$1/limits"; } # PID

# It marks each number up to its soft limit in a child that is to be the program: with 20,000 of them that is 10 ms of each start.
@test "supervise-daemon has a low limit of open files, and the program that it starts has chillboxd's" {
    secrets one
    deploy "$(next_version)"
    supervisor=$(in_box sh -c 'cat /run/supervise-chillbox.*.pid' | head -n 1)
    program=$(in_box pgrep -P "$supervisor" | head -n 1)
    daemon=$(in_box cat /run/openrc/options/chillboxd/child_pid)
    [ "$(soft_files "$daemon")" -gt 64 ] || skip "chillboxd itself may not open more"
    [ "$(soft_files "$supervisor")" -eq 64 ]
    [ "$(soft_files "$program")" -eq "$(soft_files "$daemon")" ]
    # One that is started again by itself, too.
    in_box kill -9 "$program"
    for _ in $(seq 100); do
        again=$(in_box pgrep -P "$supervisor" | head -n 1)
        [ -z "$again" ] || [ "$again" = "$program" ] || [[ "$(in_box cat "/proc/$again/cmdline" | tr '\0' ' ')" != *gunicorn* ]] || break
        sleep 0.1
    done
    [ "$again" != "$program" ]
    [ "$(soft_files "$again")" -eq "$(soft_files "$daemon")" ]
}
