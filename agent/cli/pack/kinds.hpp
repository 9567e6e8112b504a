// The kinds of services that this program knows: those of hooks/handlers that it was built with,
// and those in the hooks of the machine that it runs on. A laptop with nothing but the program
// knows the first; the administrator's kinds (x-NAME) are known on their host alone, so their names
// are accepted everywhere.
#pragma once

#include "base/error.hpp"
#include "config/kind.hpp"
#include "os/paths.hpp"

#include <map>
#include <span>
#include <string>
#include <string_view>

namespace chillbox::cli {

// A file of hooks/, such as "handlers/python/kind.json".
struct HookFile {
  std::string_view path, text;
};
std::span<const HookFile> shipped_hooks(); // made when this is built (tests/make/hooks.mk)

class Kinds {
public:
  Kinds(); // those that this program was built with
  // And those of this machine. invalid: a kind.json of it; denied: hooks.d is not root's alone.
  static Result<Kinds> load(const os::Paths& paths);

  // A kind that is not known is one of no properties.
  const config::Kind& find(const std::string& name) const;
  config::KnownKinds known() const;
  std::string default_name() const;
  // Path to text of a site as `chillboxctl new` writes it: the files in the kind's folder new/.
  // Empty: it has none.
  Result<std::map<std::string, std::string>> new_site(const std::string& name) const;
  // The folder of a kind's hooks, `shipped` being where write_shipped_hooks() put this program's.
  std::string folder(const std::string& name, const std::string& shipped) const;

private:
  struct Known {
    config::Kind kind;
    std::string folder; // "": it is in this program
  };
  Result<void> add(const std::string& handlers, bool replaces);

  std::map<std::string, Known> m_known;
};

// The hooks that this program was built with, below `dir`, each as a host has it.
Result<void> write_shipped_hooks(const std::string& dir);

} // namespace chillbox::cli
