// approve: a person deploys what a CI packed. The commit is packed here again, and only when that
// is the same, byte for byte, is it signed: what the CI says decides nothing.
#include "cli/core/options.hpp"
#include "cli/laptop/deploy_project.hpp"

#include <array>

namespace chillbox::cli {
namespace {

constexpr std::array k_approve_options{
    Option{"COMMIT", ArgKind::text, "", "the commit, which is in this repository"},
    Option{"--digest", ArgKind::text, "SHA256", "what the CI packed, as it printed it", true},
    k_to_host,
    k_env,
    k_yes,
    Option{"--no-wait", ArgKind::flag, "", "do not follow the deploy to its end"},
    Option{"--timeout", ArgKind::duration, "TIME",
        "give up waiting after this (default: 30m); the job keeps running"},
    Option{"--refresh", ArgKind::flag, "", "collect packages again"},
    Option{"--no-commands", ArgKind::flag, "", "run no command that the site names"},
    k_no_watch,
    Option{"-k,--key", ArgKind::text, "KEY", "sign with this minisign secret key, not your own"},
    k_passphrase_fd,
};

} // namespace

extern constinit const Verb k_approve{"approve", Group::laptop, Where::laptop,
    "deploy a commit that a CI packed, if it is the same here", k_approve_options, deploy_project};

} // namespace chillbox::cli
