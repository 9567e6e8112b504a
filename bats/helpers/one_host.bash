# For a file whose tests share one host that is set up and unlocked, with nothing installed. After helpers/box and helpers/host.

setup_file() {
    host_possible || return 0
    host_up
    host_set_up
}

teardown_file() { host_down; }
setup() { host_or_skip; }
