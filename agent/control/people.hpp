// People who come in by ssh, and what each may.
#pragma once

#include "control/names.hpp"

#include <string>
#include <vector>

namespace chillbox::control {

struct Person { // people/NAME.json, without its name
  std::string name;
  Role role = Role::unknown;
  std::vector<std::string> sites; // none: all
  std::vector<std::string> ssh;   // "ssh-ed25519 AAAA.."
  std::string key;                // of minisign, "RW..": what it signs is taken; "" : nothing is
};
struct People {
  std::vector<Person> people;
};
struct PersonAdded {
  Person person;
  bool changed = false; // false: it was so already
};
struct PersonRemoved {
  std::string name;
  std::vector<std::string> jobs;    // theirs that are under way, which continue
  std::vector<std::string> kept;    // "SITE VERSION": signed by them, live, and still good
  std::vector<std::string> revoked; // the same, which is not started again
  std::vector<std::string> secrets; // sites whose secrets they could read
};

} // namespace chillbox::control
