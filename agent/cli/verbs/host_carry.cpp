// host export, host import: a whole host to another one, by way of a laptop
// (cli/laptop/host_export.hpp).
#include "cli/core/options.hpp"
#include "cli/laptop/host_export.hpp"

#include <array>

namespace chillbox::cli {
namespace {

constexpr std::array k_host_carry_export_options{
    Option{"HOST", ArgKind::text, "", "a name of `hosts`, or root@HOST"},
    Option{"--to", ArgKind::text, "DIR", "the folder for it, on this machine", true},
    Option{"--no-data", ArgKind::flag, "", "leave the backups where they are, at the target"},
};
constexpr std::array k_host_carry_import_options{
    Option{"DIR", ArgKind::text, "", "what `host export` wrote"},
    Option{"--to", ArgKind::text, "NAME", "the new host, set up and unlocked", true},
    Option{"-i,--identity", ArgKind::text, "FILE",
        "age identity of one of backup.recipients (default: your own key)"},
    k_yes,
};

} // namespace

extern constinit const Verb k_host_export{"host export", Group::laptop, Where::laptop,
    "keep what another host needs to become this one", k_host_carry_export_options, export_host};
extern constinit const Verb k_host_import{"host import", Group::laptop, Where::laptop,
    "make a host what another one was: its sites, secrets, data and history",
    k_host_carry_import_options, import_host};

} // namespace chillbox::cli
