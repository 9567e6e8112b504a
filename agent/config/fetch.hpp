// [fetch] of chillboxd.toml: where the host gets artifacts that it was told of and does not have.
// An announcement names a digest alone; these addresses, which root wrote, are all that is ever
// asked.
#pragma once

#include "base/error.hpp"
#include "config/fields.hpp"

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

namespace chillbox::config {

struct HostFetch {
  // "https://s3.example/bucket/prefix", tried in this order; below each are SHA256.age and
  // SHA256.age.minisig. Empty: nothing is fetched.
  std::vector<std::string> from;
  std::string credentials; // a file of root's alone: access_key, secret_key, region; "": none
  std::string ca_file;     // PEM; "": the system's
  std::string proxy;       // "http://10.0.0.1:3128"; "": none
  bool private_addresses = false;
  std::chrono::seconds timeout{1800}; // of one artifact, tries and all
};

const Table<HostFetch>& fetch_table();
// Of the file that parse_host_config() reads, which finds its mistakes, too.
Result<HostFetch> parse_host_fetch(std::string_view toml, std::string_view file_name);

} // namespace chillbox::config
