// What hooks/setup/look says of a machine, and whether it can become a host. Its words are a
// stranger's until then: they are printed without control characters.
#pragma once

#include "base/error.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace chillbox::cli {

struct HostLook {
  std::map<std::string, std::string> facts;                 // the last one of each word
  std::vector<std::pair<std::string, std::string>> trusted; // key, name

  std::string get(const std::string& word) const;
  uint64_t number(const std::string& word) const; // 0 when it is none
  bool has(const std::string& word) const { return facts.contains(word); }
};

HostLook parse_look(std::string_view text);
// preflight, with what to do: no root, another init, machine or C library, too little memory or
// disk, a clock that is off, port 80 taken, a file of NGINX that is not ours.
Result<void> can_be_host(const HostLook& look, const std::string& target, int64_t now);
// "Alpine 3.22, x86_64, 512 MB, Python 3.12 (musl); NGINX is not installed; port 80 is free"
std::string look_text(const HostLook& look);

} // namespace chillbox::cli
