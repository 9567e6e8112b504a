// What `deploy [DIR]` knows before it speaks to a host: the project, its site as it is in the
// environment that was named, and what git says. Nothing of the project has been run yet.
#pragma once

#include "base/error.hpp"
#include "base/fd.hpp"
#include "cli/core/verb.hpp"
#include "cli/laptop/bucket.hpp"
#include "cli/laptop/commit_folder.hpp"
#include "cli/laptop/deploy_memory.hpp"
#include "cli/laptop/git_facts.hpp"
#include "cli/laptop/places.hpp"
#include "cli/laptop/project.hpp"
#include "cli/laptop/target.hpp"
#include "cli/pack/site_folder.hpp"

#include <optional>
#include <string>
#include <vector>

namespace chillbox::cli {

struct DeployPlan {
  Places places;
  Project project;
  ProjectTable table;
  SiteFolder folder;
  std::optional<GitFacts> git;
  std::vector<Target> targets;
  std::optional<CommitFolder> commit; // of --commit and `approve`: the project is in it
  std::optional<Bucket> bucket = {};  // of --via
  // Hosts that are alike take one artifact: who can read it, and what was packed and is in the
  // bucket.
  std::vector<std::string> recipients = {};
  std::optional<DeployMemory::Pending> packed = {};
  std::string in_bucket = {};
  std::vector<Fd> artifacts = {}; // what was packed, held: another deploy does not remove it

  const std::string& site() const { return folder.site.slug.str(); }
};

// The same without hosts, which asks nobody. not_found: there is no site file.
Result<DeployPlan> plan_folder(Call& call);
// preflight: another branch than chillbox.toml wants, or files that are not committed.
Result<DeployPlan> plan_deploy(Call& call);

} // namespace chillbox::cli
