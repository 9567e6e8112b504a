#include "cli/laptop/deploy_project.hpp"

#include "base/text.hpp"
#include "cli/core/answers.hpp"
#include "cli/core/prompt.hpp"
#include "cli/laptop/deploy_bucket.hpp"
#include "cli/laptop/deploy_plan.hpp"
#include "cli/laptop/deploy_roll.hpp"
#include "cli/laptop/git.hpp"
#include "cli/laptop/host_deploy.hpp"

namespace chillbox::cli {
namespace {

Result<void> roll(Call& call, DeployPlan& plan) {
  if (plan.bucket)
    TRY(share_artifact(plan));
  std::vector<RollPart> parts;
  for (Target& target : plan.targets)
    parts.push_back({target.host.name, [&] { return deploy_to_host(call, plan, target); }});
  return roll_deploy(call, parts, Deployed{.site = plan.site()});
}

// Packing a commit runs what its files name, and its author may be somebody who can only push.
Result<void> agree_to_commit(Call& call, const DeployPlan& plan) {
  Git git(plan.project.root, os::real_runner());
  const auto said =
      git({"log", "-1", "--no-show-signature", "--format=%an: %s", plan.commit->hash()});
  return must_agree(call,
      cat("commit ", plan.commit->hash().substr(0, 7), ", ", printable(said.value_or("?"), 200),
          "\nPacking it runs the commands and package builds that it names on this machine. Approve it?"),
      true);
}

} // namespace

Result<void> deploy_project(Call& call) {
  DeployPlan plan = TRY(plan_deploy(call));
  if (call.args.has("digest") && plan.commit)
    TRY(agree_to_commit(call, plan));
  if (plan.targets.size() == 1)
    return deploy_to_host(call, plan, plan.targets.front());
  return roll(call, plan);
}

} // namespace chillbox::cli
