// What init, trust and webhook share: they change /etc/chillbox and /var/lib/chillbox themselves,
// as root, with or without a daemon.
#pragma once

#include "base/error.hpp"
#include "cli/core/verb.hpp"
#include "os/host_layout.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace chillbox::cli {

// denied unless root (or under CHILLBOX_ROOT).
Result<void> require_root(const os::Paths& paths, std::string_view verb);
// usage unless each is a site's name.
Result<std::vector<std::string>> sites_of(const Args& args);
// What was done to the one that is called `name`: the text, or with --json "chillbox.SCHEMA.v1"
// with "name" and "changed", so that a script knows whether it was so already.
void print_change(Call& call, std::string_view schema, const std::string& name, bool changed,
    std::string_view text);
// not_found with the names that there are.
std::unexpected<Error> no_such(
    std::string_view what, const std::string& name, const std::vector<std::string>& known);
// Every file NAME + suffix of a directory, without the suffix.
Result<std::vector<std::string>> names_in(const std::string& dir, std::string_view suffix);

} // namespace chillbox::cli
