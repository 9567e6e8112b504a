// The groups of a regular expression in an NGINX text: their names become variables of NGINX, and
// what they capture may become a part of a path. Understands what sites use and refuses the rest
// (inline comments and flags other than i, m, s, verbs, recursion, \Q): what is not understood
// could hide a group. For this room only.
#pragma once

#include "base/error.hpp"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace chillbox::nginx {

struct Group {
  std::string name;   // "" has a number only
  bool whole = false; // what it captures of a path is one or more whole segments: nobody can cut a
                      // ".." out of "a..b" with it
  bool plain = false; // what it captures, of whatever, has no '.' and no '/': (en|de), ([a-z0-9-]+)
};

// In the order of their numbers, from 1.
Result<std::vector<Group>> groups_of(std::string_view pattern);
// The same pattern with other names. The pattern was understood by groups_of().
std::string with_names(
    std::string_view pattern, const std::function<std::string(const std::string&)>& renamed);

} // namespace chillbox::nginx
