// Folders and files that go with the process that made them. A signal may end it before it can
// remove them (interrupt.hpp), so each has the id of its process in its name, and the next one that
// makes such a thing at the same place removes what was left.
#pragma once

#include "base/error.hpp"

#include <functional>
#include <string>
#include <string_view>
#include <utility>

namespace chillbox::cli {

// What is called PREFIX and the id of a process that is no more, and then nothing, or '.' or '-'
// and anything; only what belongs to this user.
void remove_left(const std::string& dir, std::string_view prefix,
    const std::function<void(const std::string& path)>& remove = {});

// A folder that goes with its owner and everything in it: DIR/PREFIX-PID-XXXXXX, 0700.
class TemporaryDir {
public:
  static Result<TemporaryDir> create(const std::string& dir, std::string_view prefix);
  static Result<TemporaryDir> for_hooks(); // in the folder for temporary files
  TemporaryDir(TemporaryDir&& other) noexcept : m_path(std::exchange(other.m_path, {})) {}
  TemporaryDir& operator=(TemporaryDir&&) = delete;
  ~TemporaryDir();
  const std::string& path() const { return m_path; }

private:
  explicit TemporaryDir(std::string path) : m_path(std::move(path)) {}
  std::string m_path;
};

} // namespace chillbox::cli
