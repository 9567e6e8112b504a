// A kind of service is a folder handlers/NAME of hooks; its kind.json says what the agent has to
// know of it (chillbox-hooks(7) lists the members). It is data: nothing is run to learn it, and no
// code of the agent knows a kind by its name.
#pragma once

#include "base/error.hpp"

#include <array>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace chillbox::config {

inline constexpr size_t k_max_kind_json = 16 * 1024; // bytes

// What of the site file not every kind of service reads.
inline constexpr auto k_fields_of_some_kinds =
    std::to_array<std::string_view>({"app", "at", "body_max", "fallback", "health", "listen",
        "not_found", "preload", "request_timeout", "threads", "log_level", "max_requests",
        "max_requests_jitter", "worker_class", "workers", "workers_maximum", "workers_minimum"});

struct Kind {
  enum class Listens { no, on_socket, on_port };
  enum class Role { either, service, worker }; // under which list of the site file it may be named

  Role role = Role::either;
  Listens listens = Listens::no;
  bool builds = false;
  std::optional<bool> preferred_front; // see front()
  bool hashed = false;     // its files are served under /immutable/NAME/HASH/ and nowhere else
  std::string language;    // whose `collect` brings what its build needs; "": nothing is needed
  bool is_default = false; // what `chillboxctl new` makes when no kind is named
  // Directories that NGINX reads directly, relative: of the service's folder ("." is all of it),
  // and of what was built.
  std::vector<std::string> published, built;
  std::vector<std::string> needs;    // programs that the host must have
  std::vector<std::string> left_out; // names of folders that `pack` leaves out
  // Folders of programs, where the commands of such a service are looked up first; relative, of
  // what was built and of the service's folder.
  std::vector<std::string> built_programs, programs;
  // Fields of the site file, of k_fields_of_some_kinds, that do something for it; nullopt: all.
  std::optional<std::vector<std::string>> fields;
  // "NAME=VALUE", for what such a service runs, unless the service has that variable itself.
  std::vector<std::string> environment;

  // Whether such a service answers `/` rather than one that only has files.
  bool front() const { return preferred_front.value_or(listens != Listens::no); }
};

// The value of a variable of the service; nullopt: it has no such variable.
using VariableValue = std::function<Result<std::optional<std::string>>(const std::string& name)>;

// What a kind.json says; what its `when` says replaces it where a variable has the value. Without
// value_of no `when` applies. invalid: every problem, one a line, with its JSON path; errors of
// value_of.
Result<Kind> parse_kind(std::string_view json, const VariableValue& value_of = {});

// The kinds that this machine knows. When empty, every name is accepted.
using KnownKinds = std::map<std::string, Kind>;

// Lower-case letters, digits and "-", at most 32, a letter first and no "-" last.
bool is_kind_name(std::string_view text);
// x-NAME, which a host's administrator added: no other machine can know it.
bool is_administrators_kind(std::string_view name);

} // namespace chillbox::config
