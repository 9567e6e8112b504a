// A requirements.txt with hashes, where the wheels that fit the host are others than those that its
// author hashed. The author's file stays as it is; the artifact's has hashes added, each with the
// reason behind it. Added ones are kept in dep/chillbox.requirements.txt, which counts as long as
// requirements.txt is the one that it was made from.
#pragma once

#include "base/error.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace chillbox::cli {

class Requirements {
public:
  explicit Requirements(std::string_view text);

  bool hashed() const; // has one hash at least: pip then wants one for everything
  bool changed() const { return !added().empty(); }
  // Adds a hash (64 hex digits) to a requirement that has others, with the reason. False: there is
  // none of that name, or it has no hashes.
  bool allow(std::string_view name, const std::string& sha256, std::string_view why);
  // A requirement of its own, with its hash.
  void add(const std::string& pinned, const std::string& sha256, std::string_view why);
  // Whether that hash is one of those of the requirement; true when it has none.
  bool allows(std::string_view name, std::string_view sha256) const;
  std::string line_of(std::string_view name) const; // on one line, with its hashes; "": none
  std::vector<std::pair<std::string, std::string>> added()
      const;                // name and reason, in the order of the file
  std::string text() const; // a requirement a line

private:
  struct Line {
    std::string name; // as pip compares names; "": an option or a comment
    std::string text; // without line continuations and comments behind it
    std::string why;  // of the hash that was added
  };
  const Line* find(std::string_view name) const;
  std::vector<Line> m_lines;
};

// PEP 503: lower case, runs of . _ - as one -. Ends where the name does: "Foo_Bar[x]==1" is
// "foo-bar".
std::string requirement_name(std::string_view text);
// A wheel's file name to the name of what it is of.
std::string wheel_name(std::string_view file);
Result<std::string> sha256_of_file(const std::string& path);

Result<void> write_requirements(const std::string& path, const std::string& text);

constexpr std::string_view k_locked = "chillbox.requirements.txt"; // in dep/
// What goes into the artifact in place of the requirements.txt of a service's folder; nullopt: that
// itself.
Result<std::optional<Requirements>> read_locked(const std::string& service_dir);
// Nothing was added: removes the file.
Result<void> write_locked(const std::string& service_dir, const Requirements& requirements);

} // namespace chillbox::cli
