// Writes a tree below one directory descriptor. Each step is an openat, mkdirat or symlinkat
// relative to the folder it is in, never through a link. The folders down to the current one stay
// open, so that a sorted archive opens each folder once. Modes are 0755 and 0644 under the umask
// 022 of the process.
#pragma once

#include "base/error.hpp"
#include "base/fd.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace chillbox::artifact {

class TreeWriter {
public:
  explicit TreeWriter(int tree_fd) : m_tree_fd(tree_fd) {}
  // Checked paths (policy.hpp). Parents are made; a directory may exist already.
  Result<void> make_dir(std::string_view path);
  Result<Fd> create(std::string_view path, bool executable); // must not exist
  Result<void> make_link(std::string_view path, const std::string& target);
  uint64_t directories() const { return m_directories; } // made so far

private:
  struct Level {
    std::string name;
    Fd fd;
  };
  struct Place {
    int dir;
    std::string name;
  };
  Result<int> enter(std::string_view dir);
  Result<Place> place(std::string_view path);

  int m_tree_fd;
  std::string m_current; // the path of the last of m_levels
  std::vector<Level> m_levels;
  uint64_t m_directories = 0;
};

} // namespace chillbox::artifact
