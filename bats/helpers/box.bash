# For tests in a host in a box (tests/host/README.md): load helpers/box
#
# box VERB...            the command
# box_up VARIABLE [...]  a fresh box with a name of its own, put into VARIABLE; it ends with the calling test or file,
#                        also when that is killed. Call `box down "$VARIABLE"` in teardown all the same: it is quicker.
#
# What distributions name differently, of the host $HOST:
# nginx_pid              NGINX's master;  web_user  who its workers are;  http_files  the folder of files that it reads within http {}
# pids_of USER           what of it runs, exit 1 if nothing, without what ended: busybox, as init, waits for that only once a second
# daemon_pid             of chillboxd's monitor, as OpenRC knows it
# has_redis              it can have a site with one
# none_of USER           nothing of it runs;  is_alive PID  neither gone nor, as those, ended
# user_of PID            the name of who runs it;  nice_of PID
# starts_as USER CMD...  prints its pid: a process whose parent goes on to sleep, or with ENDS=1 at once, and waits for nobody
# add_user NAME [UID [HOME [GROUP]]]   a user with a group of its own, in GROUP too; its home is made unless it is -
# add_group NAME [GID]

box() { "$BATS_TEST_DIRNAME/../tests/host/box" "$@"; }

box_up() {
    box_up_name="t$$-$((box_up_count = ${box_up_count:-0} + 1))"
    printf -v "$1" '%s' "$box_up_name"
    export "${1?}"
    box up "$box_up_name" --owner $$ "${@:2}"
}

needs_root() { [ "$(id -u)" -eq 0 ] || skip "needs root: it makes namespaces"; }

nginx_pid() { box run "$HOST" -- sh -c 'cat /run/nginx.pid 2>/dev/null || cat /run/nginx/nginx.pid'; }
web_user() { box run "$HOST" -- sed -n 's/^user *\([^;]*\);.*/\1/p' /etc/nginx/nginx.conf; }
http_files() { box run "$HOST" -- sh -c 'cd /etc/nginx && [ ! -d http.d ] || { echo /etc/nginx/http.d && exit; }; echo /etc/nginx/conf.d'; }

pids_of() {
    box run "$HOST" -- sh -c 'found=1
        for pid in $(pgrep -u "$1"); do if grep -qs "^State:[[:space:]]*[^Z[:space:]]" "/proc/$pid/status"; then echo "$pid" && found=0; fi; done
        exit "$found"' sh "$1"
}
is_alive() { box run "$HOST" -- grep -qs '^State:[[:space:]]*[^ZX[:space:]]' "/proc/$1/status"; }
daemon_pid() { box run "$HOST" -- cat /run/openrc/options/chillboxd/child_pid; }
has_redis() { box run "$HOST" -- sh -c 'command -v redis-server || command -v valkey-server' >/dev/null; }
none_of() {
    for _ in $(seq 30); do
        [ -n "$(pids_of "$1")" ] || return 0
        sleep 0.1
    done
    return 1
}
user_of() { box run "$HOST" -- sh -c 'getent passwd "$(sed -n "s/^Uid:[[:space:]]*\([0-9]*\).*/\1/p" "/proc/$1/status")" | cut -d : -f 1' sh "$1"; }
nice_of() { box run "$HOST" -- sh -c 'sed "s/.*) //" "/proc/$1/stat" | cut -d " " -f 17' sh "$1"; }

starts_as() {
    box run "$HOST" -- python3 -c 'import os, pwd, sys, time
user = pwd.getpwnam(sys.argv[2])
pid = os.fork()
if pid == 0:
    os.setgroups([]); os.setgid(user.pw_gid); os.setuid(user.pw_uid)
    for fd in (0, 1, 2): os.dup2(os.open("/dev/null", os.O_RDWR), fd)
    os.execvp(sys.argv[3], sys.argv[3:])
print(pid, flush=True)
sys.argv[1] or time.sleep(20)' "${ENDS-}" "$@"
}

add_group() { box run "$HOST" -- sh -c 'grep -q "^$1:" /etc/group || echo "$1:x:$2:" >>/etc/group' sh "$1" "${2:-4000}"; }
add_user() {
    add_group "$1" "${2:-4001}"
    box run "$HOST" -- sh -c 'grep -q "^$1:" /etc/passwd || echo "$1:*:$2:$2::$3:/bin/sh" >>/etc/passwd
        [ "$3" = - ] || { mkdir -p "$3" && chown "$1:$1" "$3"; }
        [ -z "$4" ] || sed -i "/^$4:/{/:$/!s/\$/,/;s/\$/$1/}" /etc/group' sh "$1" "${2:-4001}" "${3:-/home/$1}" "${4-}"
}
