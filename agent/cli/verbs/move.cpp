// move: a site to another host (cli/laptop/site_move.hpp).
#include "cli/core/options.hpp"
#include "cli/laptop/site_move.hpp"

#include <array>

namespace chillbox::cli {
namespace {

constexpr std::array k_move_options{
    k_project_site,
    Option{"--from", ArgKind::text, "NAME", "the host that has it", true},
    Option{"--to", ArgKind::text, "NAME", "the host that gets it", true},
    Option{"--back", ArgKind::flag, "", "return to the first host, with the data of the second"},
    k_env,
    k_yes,
};

} // namespace

extern constinit const Verb k_move{"move", Group::laptop, Where::laptop,
    "move a site with its secrets and its data to another host", k_move_options, move_site};

} // namespace chillbox::cli
