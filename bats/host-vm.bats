#!/usr/bin/env bats
# bats file_tags=vm
# The reboot story with a kernel of its own (BOX=vm): what a namespace cannot show, a real boot and a real power cut. Not run by default:
# BATS_TAGS=vm sh tests/run-all host. A site of files and one whose service needs a secret.

# shellcheck disable=SC2154,SC2016 # box_up sets HOST; "sh -c" expands in the host

load helpers/box
load helpers/host

setup_file() {
    has_qemu && host_possible || return 0
    export BOX=vm
    host_up
    host_set_up
    secrets_for_clock
    pages_and_clock 1.0.0
    send "$(pack)" --timeout 300s
}

teardown_file() { host_down; }
teardown() { in_box date -s "@$(date +%s)" >/dev/null; } # a story that ends early leaves no wrong clock
setup() {
    has_qemu || skip "needs qemu-system-${BOX_ARCH:-$(uname -m)}: tests/host/box deps vm lists the packages"
    host_or_skip
}

has_qemu() { command -v "qemu-system-${BOX_ARCH:-$(uname -m)}" >/dev/null; }

secrets_for_clock() {
    mkdir -p "$LAPTOP/secrets/clock"
    printf 'the secret hour\n' >"$LAPTOP/secrets/clock/hour"
    send "$(pack_secrets "$LAPTOP/secrets")"
}

# Light, because this host has no KVM as a rule: Python's own HTTP server, no environment to build.
pages_and_clock() { # VERSION
    rm -rf "$LAPTOP/hello"
    mkdir -p "$LAPTOP/hello/pages" "$LAPTOP/hello/clock"
    printf 'a page of %s\n' "$1" >"$LAPTOP/hello/pages/index.html"
    cat >"$LAPTOP/hello/clock/clock" <<'END'
#!/usr/bin/python3
import http.server, os
SECRET = open(os.environ["SECRETS_CONFIG"]).read()
class Clock(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"%d letters, %s\n" % (len(SECRET), os.environ["VERSION"].encode()))
http.server.HTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Clock).serve_forever()
END
    chmod 0755 "$LAPTOP/hello/clock/clock"
    jq -n --arg version "$1" '{name: "Hello", server_name: "hello.example", version: $version, watch: "1s", services: [
        {name: "clock", lang: "binary", handler: "clock", secrets_config: "hour"}, {name: "pages", lang: "static", handler: "pages"}]}' \
        >"$LAPTOP/hello/hello.site.json"
}

state() { json status '.sites[0].state'; }

@test "a reboot: sealed, the files are served, the secret is waited for, and unlock over ssh brings it back" {
    [ "$(get /)" = "16 letters, 1.0.0" ]
    kernel=$(in_box cat /proc/sys/kernel/random/boot_id)
    box reboot "$HOST"
    [ "$(in_box cat /proc/sys/kernel/random/boot_id)" != "$kernel" ]
    ctl ping --wait 60s
    [ "$(state)" = sealed ]
    [ "$(get /pages/)" = "a page of 1.0.0" ]
    run -0 get / -D -
    [[ "$output" == "HTTP/1.1 503 "*"<h1>Back soon</h1>"* ]]
    run -0 "$TERMINAL" expect:'passphrase of the host: ' echo:off type:"$PASSPHRASE" expect:'unlocked' \
        -- "$ROOT/tests/host/box" ssh "$HOST" -t chillboxctl unlock
    [ "$(get /)" = "16 letters, 1.0.0" ]
}

@test "tmpfs is not swapped: noswap, or there is no swap" {
    run -0 in_box grep ' /run/chillbox/secrets tmpfs ' /proc/mounts
    [[ "$output" == *noswap* ]] || [ "$(in_box grep -c . /proc/swaps)" -eq 1 ]
}

@test "[fault-92] a power cut in the middle of a deploy: the old or the new release is live after it, and the history says which" {
    pages_and_clock 1.1.0
    box net "$HOST" -- "$CTL" deploy "$(pack)" --to "$URL" --webhook-key "$LAPTOP/hook.key" --json -q >/dev/null
    sleep 1
    box cut "$HOST"
    box start "$HOST"
    ctl ping --wait 60s
    unlock
    job=$(json jobs hello '[.jobs[] | select(.kind == "deploy")][0].id')
    ctl job "$job" -f || :
    version=$(json status '.sites[0].version')
    [[ "$version" == 1.[01].0 ]]
    [ "$(get /)" = "16 letters, $version" ]
    [ "$(get /pages/)" = "a page of $version" ]
    [[ "$(json job "$job" .job.state)" == "done" || "$version" == 1.0.0 ]]
    ctl audit verify
}

@test "[fault-98] the clock of the whole host is set by a day, ahead and back, while a deploy runs: it ends as ever" {
    pages_and_clock 1.1.1
    edit_site '.watch = "8s"'
    artifact=$(pack)
    send "$artifact" --timeout 300s >"$LAPTOP/followed" 2>&1 3>&- &
    sender=$!
    sleep 1
    in_box date -s '+1 day'
    sleep 3
    in_box date -s '-2 days'
    wait "$sender"
    [ "$(get /)" = "16 letters, 1.1.1" ]
    # What is said of time by those who send is compared with the clock as it is: doctor shows the difference.
    run -1 ctl doctor --clock "$(date +%s)"
    [[ "$output" == *"fail  clock "*" behind: webhooks are refused"* ]]
    in_box date -s '+1 day'
    ctl audit verify
}

# A service that takes what it is asked to: /eat memory, /fork processes.
greedy() { # VERSION
    pages_and_clock "$1"
    cat >"$LAPTOP/hello/clock/clock" <<'END'
#!/usr/bin/python3
import http.server, os, subprocess
class Greedy(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        text = os.environ["VERSION"]
        if self.path == "/eat":
            self.server.eaten = [bytes([1]) * (1 << 20) for _ in range(256)]
        if self.path == "/fork":
            made = []
            try:
                for _ in range(64):
                    made.append(subprocess.Popen(["sleep", "60"]))
            except OSError:
                text = "stopped at %d" % len(made)
            for one in made:
                one.kill()
                one.wait()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(text.encode() + b"\n")
http.server.HTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Greedy).serve_forever()
END
    edit_site '.services[0].resources = {memory_max: "64M", cpu_max: 20, tasks_max: 20} | .services[0].health = {path: "/", deadline: "60s"}'
}

group() { in_box sh -c 'for file in /sys/fs/cgroup/*chillbox.hello.clock.[ab]/"$1" /sys/fs/cgroup/*/*chillbox.hello.clock.[ab]/"$1"; do
    if [ -f "$file" ]; then cat "$file"; break; fi; done' sh "$1"; }

@test "limits of resources take effect: memory, processors, processes" {
    greedy 1.2.0
    send "$(pack)" --timeout 300s
    [ "$(group memory.max)" = 67108864 ]
    [ "$(group cpu.max)" = '20000 100000' ]
    [ "$(group pids.max)" = 20 ]
    [[ "$(get /fork)" =~ ^stopped\ at\ 1[0-9]$ ]]
}

@test "[fault-124] what the kernel ends for want of memory is a crash that is counted, comes back, and takes nobody else along" {
    get /eat -o /dev/null || :
    restarted() { [ "$(json status '.sites[0].services[] | select(.name == "clock") | .restarts')" -ge 1 ]; }
    wait_for 30 restarted
    [ "$(group memory.events | sed -n 's/^oom_kill //p')" -ge 1 ]
    answers() { [ "$(get /)" = 1.2.0 ]; }
    wait_for 30 answers
    [ "$(get /pages/)" = "a page of 1.2.0" ]
}

@test "a release_command has the memory and the processes of its service's resources, and what ends it is told [attack-D15]" {
    greedy 1.3.0
    edit_site '.services[0].release_command = ["/usr/bin/python3", "-c", "b = [bytes([1]) * (1 << 20) for _ in range(256)]"]'
    run send "$(pack)" --timeout 300s
    [ "$status" -ne 0 ]
    [[ "$output" == *'needed more memory than resources.memory_max'* ]]
    greedy 1.3.1
    edit_site '.services[0].release_command = ["/bin/sh", "-c", "for i in $(seq 30); do sleep 1 & done; wait"]'
    run send "$(pack)" --timeout 300s
    [ "$status" -ne 0 ]
    [[ "$output" == *'refused a process over resources.tasks_max'* ]]
    in_box sh -c '! ls -d /sys/fs/cgroup/chillbox.run.* /sys/fs/cgroup/*/chillbox.run.*'
    [ "$(get /)" = 1.2.0 ]
}
