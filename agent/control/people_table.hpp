// The tables of control/people.hpp, for messages.cpp.
#pragma once

#include "control/members.hpp"
#include "control/people.hpp"

namespace chillbox::control {

constexpr auto table(const Person*) {
  return message("person", "Somebody who comes in by ssh.", Member{"name", &Person::name, ""},
      Member{"role", &Person::role, ""}, Member{"sites", &Person::sites, "none: all"},
      Member{"ssh", &Person::ssh, "public keys"},
      Member{"key", &Person::key, "of minisign, whose signatures count; \"\": none"});
}

constexpr auto table(const People*) {
  return message("people", "", Member{"people", &People::people, ""});
}

constexpr auto table(const PersonAdded*) {
  return message("person_added", "", Member{"person", &PersonAdded::person, ""},
      Member{"changed", &PersonAdded::changed, "false: it was so already"});
}

constexpr auto table(const PersonRemoved*) {
  using P = PersonRemoved;
  return message("person_removed", "", Member{"name", &P::name, ""},
      Member{"jobs", &P::jobs, "theirs that are under way, and continue"},
      Member{"kept", &P::kept, "\"SITE VERSION\" that they signed and that stays live"},
      Member{"revoked", &P::revoked, "the same, which is not started again"},
      Member{"secrets", &P::secrets, "sites whose secrets they could read"});
}

} // namespace chillbox::control
