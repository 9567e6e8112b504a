#include "cli/laptop/commit_folder.hpp"

#include "base/encoding.hpp"
#include "base/text.hpp"
#include "cli/core/temporary_dir.hpp"
#include "cli/laptop/git.hpp"

#include <unistd.h>

#include <filesystem>
#include <utility>

namespace chillbox::cli {
namespace {

namespace fs = std::filesystem;

constexpr os::Millis k_commit_patience{10 * 60'000}; // of a large repository on a slow disk

// Also out of the list of the repository that it is of, whichever that is. `git worktree prune`
// would take the person's own work trees out, too, whose disk is not there now.
void remove_tree(const std::string& path) {
  std::error_code ignored;
  Git git(path, os::real_runner(), k_commit_patience);
  if (!git({"worktree", "remove", "--force", path}))
    fs::remove_all(path, ignored);
}

} // namespace

Result<CommitFolder> CommitFolder::create(
    const Places& places, const std::string& project, const std::string& revision) {
  Git git(project, os::real_runner(), k_commit_patience);
  CommitFolder folder;
  const auto prefix = git({"rev-parse", "--show-prefix"});
  if (!prefix)
    return fail(Code::not_found,
        cat(printable(project, 1024), " is in no git repository: ", printable(git.said, 300)));
  const auto hash =
      git({"rev-parse", "--verify", "--quiet", "--end-of-options", revision + "^{commit}"});
  if (!hash)
    return fail(Code::not_found,
        cat("there is no commit '", printable(revision, 100), "' in ", printable(project, 1024),
            ": git fetch brings what others pushed"));
  const std::string dir = places.cache + "/commits";
  TRY(make_private_dir(dir));
  remove_left(dir, "", remove_tree);
  folder.m_repository = project;
  folder.m_prefix = *prefix;
  folder.m_hash = *hash;
  folder.m_path = cat(dir, "/", ::getpid(), "-", random_token(6));
  if (!git({"worktree", "add", "--quiet", "--detach", folder.m_path, *hash}))
    return fail(Code::failure, cat("git worktree add: ", printable(git.said, 500)));
  return folder;
}

CommitFolder::CommitFolder(CommitFolder&& other) noexcept
    : m_repository(std::move(other.m_repository)), m_path(std::exchange(other.m_path, {})),
      m_prefix(std::move(other.m_prefix)), m_hash(std::move(other.m_hash)) {}

CommitFolder::~CommitFolder() {
  if (m_path.empty())
    return;
  Git git(m_repository, os::real_runner(), k_commit_patience);
  std::error_code ignored;
  if (!git({"worktree", "remove", "--force", m_path}))
    fs::remove_all(m_path, ignored);
}

std::string CommitFolder::project() const {
  std::string path = cat(m_path, "/", m_prefix);
  while (path.ends_with('/'))
    path.pop_back();
  return path;
}

bool CommitFolder::is_in(const std::string& branch) const {
  Git git(m_repository, os::real_runner(), k_commit_patience);
  return git({"merge-base", "--is-ancestor", m_hash, cat("refs/heads/", branch)}).has_value() ||
      git({"merge-base", "--is-ancestor", m_hash, cat("refs/remotes/origin/", branch)}).has_value();
}

} // namespace chillbox::cli
