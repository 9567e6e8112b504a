// The files of one commit, in a folder of its own that is gone again when this is: a work tree of
// the project's repository. What is not committed is not in it, whatever the project's folder has.
#pragma once

#include "base/error.hpp"
#include "cli/laptop/places.hpp"

#include <string>

namespace chillbox::cli {

class CommitFolder {
public:
  // `project`: a folder in the repository. not_found: no such commit here.
  static Result<CommitFolder> create(
      const Places& places, const std::string& project, const std::string& revision);
  CommitFolder(CommitFolder&& other) noexcept;
  CommitFolder& operator=(CommitFolder&&) = delete;
  CommitFolder(const CommitFolder&) = delete;
  CommitFolder& operator=(const CommitFolder&) = delete;
  ~CommitFolder();

  std::string project() const; // the same folder as it is in the commit
  const std::string& hash() const { return m_hash; }
  // Whether this branch, as it is here, has the commit.
  bool is_in(const std::string& branch) const;

private:
  CommitFolder() = default;
  std::string m_repository, m_path, m_prefix, m_hash;
};

} // namespace chillbox::cli
