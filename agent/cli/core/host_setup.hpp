// What init, trust and webhook share. These verbs change /etc/chillbox and /var/lib/chillbox
// themselves, as root, with or without a daemon.
#pragma once

#include "base/encoding.hpp"
#include "base/error.hpp"
#include "cli/core/verb.hpp"
#include "os/host_layout.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace chillbox::cli {

// denied unless root (or under CHILLBOX_ROOT).
Result<void> require_root(const os::Paths& paths, std::string_view verb);
// The value of --sites. usage: one of them is not a site's name.
Result<std::vector<std::string>> sites_of(const Args& args);
// Prints what was done to `name`: the text, or with --json a "chillbox.SCHEMA.v1" with "name" and
// "changed", which is false if nothing had to be done.
void print_change(Call& call, std::string_view schema, const std::string& name, bool changed,
    std::string_view text);
// not_found, with the names that exist.
std::unexpected<Error> no_such(
    std::string_view what, const std::string& name, const std::vector<std::string>& known);
// The NAMEs of all files NAME + suffix in a directory.
Result<std::vector<std::string>> names_in(const std::string& dir, std::string_view suffix);

// Says which files cannot be used, for a list that shows the others. The exit code is 1.
void print_faults(Call& call, const std::vector<std::string>& faults);
// The name of a key by what it is called elsewhere: "jo@mba" is jo-mba. parse_key_name() has still
// to check it. By its file: that of "jo@mba.pub".
std::string key_name_of(std::string text);
std::string name_of_key_file(const std::string& path);

// The log2 of it in a file that a passphrase opens; the usual one where none can be read.
int work_factor_of(ByteView file);

// Behind a directory that is in memory, as on Alpine that runs from it ("diskless"); and what to
// do.
inline constexpr std::string_view k_in_memory = " is in memory: with the next boot it is gone";
inline constexpr std::string_view k_keep_on_disk =
    "mount a disk there, in /etc/fstab; lbu does not keep it";

} // namespace chillbox::cli
