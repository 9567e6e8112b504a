# For a file whose tests share one host with the example `hello` live on it, with a secret. After helpers/box and helpers/host.

setup_file() {
    host_possible || return 0
    host_up
    host_set_up
    secrets one
    deploy "$(next_version)"
}

teardown_file() { host_down; }
setup() { host_or_skip; }
