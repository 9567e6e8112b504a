// Which names, links and trees are allowed (faults 48, 49, 55, 56, 62). The packer, the stager and
// the verification afterwards use the same functions, so that each accepts what the others make. A
// bad name is refused, never repaired.
//
// A symlink is relative and stays inside its own top folder. ".." is allowed only at its beginning,
// where it climbs real directories, since no entry's path leads through a link. So a chain of links
// cannot leave the tree either.
#pragma once

#include "base/error.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

namespace chillbox::artifact {

inline constexpr size_t k_max_component = 255;
inline constexpr size_t k_max_path = 1024;
inline constexpr size_t k_max_depth = 32;

enum class EntryKind { directory, file, link };

// A path as in the archive, without the slash that ends a directory's. denied with the
// reason and the path.
Result<void> check_path(std::string_view path);
Result<void> check_link(std::string_view path, std::string_view target);

// All names of one tree. A directory that has no entry of its own exists, and counts, as soon as
// something lies in it.
class TreeNames {
public:
  explicit TreeNames(uint64_t max) : m_max(max) {}
  // A checked path. denied: named twice, differs from another only in case (ASCII), or lies in
  // something that is not a directory; too_large.
  Result<void> add(std::string_view path, EntryKind kind);

private:
  struct Node {
    std::string name; // as written
    EntryKind kind;
    bool named; // by an entry of its own
  };
  Result<void> add_parents(std::string_view path);
  uint64_t m_max;
  std::unordered_map<std::string, Node> m_nodes; // by the name in lower case
  std::string m_last_parent;
};

} // namespace chillbox::artifact
