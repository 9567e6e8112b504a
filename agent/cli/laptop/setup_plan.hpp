// What `setup` will do to a machine, decided from what the machine says of itself and from what is
// known here. Nothing is asked or changed by it.
#pragma once

#include "base/error.hpp"
#include "cli/laptop/host_look.hpp"
#include "cli/laptop/host_packages.hpp"
#include "cli/laptop/host_record.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace chillbox::cli {

// The line of a public key and the name under which it is trusted. Without a line it is made first.
struct SetupKey {
  std::string line, name;
};

struct SetupPlan {
  HostPackages packages;
  bool install = false, new_identity = false, upgrade = false;
  std::vector<std::string> missing; // packages of the distribution
  std::string server_name = "-";    // "-": stays as it is
  std::vector<std::string> words;   // what will be done, for people; none: it is so already
};

// `packages`: those that were found, if any; `named`: by the person, so that any other version than
// the one there is installed, not only a newer one.
SetupPlan plan_setup(const HostLook& look, const HostRecord& record,
    const std::optional<HostPackages>& packages, bool named, const SetupKey& key);

// The name under which the machine trusts the key; "": it does not.
std::string_view trusted_as(const HostLook& look, const SetupKey& key);
// The name under which it will: that of the key, with a number if another key has it there.
std::string name_to_trust(const HostLook& look, const std::string& key);

// What is known of the host before anything is asked of it: `name` and `server_name` are what the
// person said, "": nothing. usage: one of them cannot be; conflict: that name is another machine's.
Result<HostRecord> record_for_setup(const Places& places, std::string_view target, std::string name,
    const std::string& server_name);
// What the machine says of itself after that.
void take_look(HostRecord& record, const HostLook& look);

} // namespace chillbox::cli
