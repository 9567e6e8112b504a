// fleet init: makes what an etcd of the fleet's own needs (laptop/engine_files.hpp), and prints
// what is to be done with it.
#include "cli/core/answers.hpp"
#include "cli/core/options.hpp"
#include "cli/core/terminal.hpp"
#include "cli/core/verb.hpp"
#include "cli/laptop/engine_files.hpp"

#include "base/names.hpp"
#include "base/text.hpp"
#include "os/clock.hpp"

#include <array>

namespace chillbox::cli {
namespace {

constexpr std::array k_fleet_init_options{
    Option{"DIR", ArgKind::text, "", "the folder that is made; its keys open the engine"},
    Option{"--members", ArgKind::list, "NAME=ADDRESS[,..]",
        "the machines that etcd is to run on: 1, 3, 5 or 7", true},
    Option{"--name", ArgKind::text, "FLEET", "the fleet's name (default: main)"},
};

Result<void> run_fleet_init(Call& call) {
  const SiteName fleet = TRY_IN("--name", SiteName::parse(call.args.text("name", "main")));
  const auto members = TRY(parse_members(call.args.list("members")));
  const std::string dir = call.args.text("DIR");
  if (dir.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                            "._/-") != std::string::npos)
    return fail(Code::usage,
        cat("'", printable(dir, 100),
            "': the name of the folder is in the commands that follow: letters, digits, ._/-"));
  const auto made =
      TRY(make_engine_files(os::real_disk(), dir, fleet.str(), members, os::real_clock().wall()));
  if (call.terminal.json()) {
    call.terminal.print(answer_text("fleet-init", Script{made.setup, std::nullopt}));
    return {};
  }
  call.terminal.print(trim(made.setup));
  call.terminal.print(cat("# each host of the fleet\n#   scp -r ", dir,
      "/host root@HOST:/etc/chillbox/fleet\n#   ssh root@HOST 'cat >>/etc/chillbox/chillboxd.toml "
      "&& rc-service chillboxd restart' <",
      dir, "/chillboxd.toml"));
  call.terminal.print_status(cat("keep ", dir,
      "/ca.key and root.password where nobody else reads them; the commands are in ", dir,
      "/setup, too"));
  return {};
}

} // namespace

extern constinit const Verb k_fleet_init{"fleet init", Group::laptop, Where::laptop,
    "make keys, certificates and settings for an etcd of the fleet's own", k_fleet_init_options,
    run_fleet_init};

} // namespace chillbox::cli
