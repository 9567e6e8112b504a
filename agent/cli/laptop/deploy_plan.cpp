#include "cli/laptop/deploy_plan.hpp"

#include "base/text.hpp"
#include "cli/core/prompt.hpp"
#include "cli/core/terminal.hpp"
#include "cli/laptop/site_guess.hpp"
#include "config/site.hpp"

#include <nlohmann/json.hpp>

#include <unistd.h>

namespace chillbox::cli {
namespace {

// A commit that is named has a chillbox.toml of its own, which its author wrote. The one in the
// person's folder counts as well.
Result<void> check_branch_here(
    const Project& here, const std::string& env, const std::optional<CommitFolder>& commit) {
  const auto table = here.table(env);
  if (!commit || !table || !table->branch || commit->is_in(*table->branch))
    return {};
  return fail(Code::preflight,
      cat(printable(here.file, 1024), " takes deploys from branch '",
          printable(*table->branch, 100), "' only, and commit ", commit->hash().substr(0, 7),
          " is not in it"));
}

// chillbox.toml says from where this environment may be deployed.
Result<void> check_branch(Call& call, const DeployPlan& plan) {
  const auto& wanted = plan.table.branch;
  if (!wanted)
    return {};
  const std::string file = printable(plan.project.file, 1024);
  if (!plan.git)
    return fail(Code::preflight,
        cat(file, " takes deploys from branch '", printable(*wanted, 100), "' only, and ",
            printable(plan.project.root, 1024), " is in no git repository with a commit"));
  if (plan.commit) {
    if (plan.commit->is_in(*wanted))
      return {};
    return fail(Code::preflight,
        cat(file, " takes deploys from branch '", printable(*wanted, 100), "' only, and commit ",
            plan.git->hash, " is not in it"));
  }
  if (plan.git->branch != *wanted)
    return fail(Code::preflight,
        cat(file, " takes deploys from branch '", printable(*wanted, 100), "' only, and this is ",
            plan.git->branch.empty() ? cat("the detached commit ", plan.git->hash)
                                     : cat("'", printable(plan.git->branch, 100), "'")));
  if (!plan.git->dirty)
    return {};
  return must_agree(call,
      cat("files here are not committed (git status), and ", file, " wants branch '",
          printable(*wanted, 100), "': deploy them anyway?"),
      false);
}

// What is not here would be taken away from the visitors.
Result<void> check_submodules(Call& call, const DeployPlan& plan) {
  if (!plan.git || plan.git->absent.empty())
    return {};
  const bool one = plan.git->absent.size() == 1;
  return must_agree(call,
      cat(printable(join(plan.git->absent, ", "), 300),
          one ? " is a git submodule that is" : " are git submodules that are",
          " not checked out here (git submodule update --init), and would be deployed empty: deploy anyway?"),
      false);
}

// The site file as the environment has it: what is signed is the merged one.
Result<void> merge(SiteFolder& folder, const ProjectTable& table, const std::string& env,
    const std::string& file) {
  if (table.overrides.empty())
    return {};
  Json json = TRY(parse_json(folder.json, config::k_max_site_json));
  merge_fields(json, table.overrides);
  folder.json = dump(json) + "\n";
  folder.site = TRY_IN(cat(printable(file, 1024), ", [env.", env, "], with ", folder.file),
      config::parse_site(folder.json, folder.site.slug, folder.kinds.known()));
  return {};
}

Result<Project> project_of(Call& call) {
  if (call.args.has("DIR|ARTIFACT"))
    return project_at(call.args.text("DIR|ARTIFACT"));
  auto found = TRY(find_project());
  return found ? Result<Project>(*std::move(found)) : project_at(".");
}

// The commit that was named, in place of what is in the folder.
Result<std::optional<CommitFolder>> commit_of(Call& call, Project& project) {
  const std::string revision = call.args.text("COMMIT", call.args.text("commit"));
  if (revision.empty())
    return std::optional<CommitFolder>();
  auto folder = TRY(CommitFolder::create(Places::find(), project.root, revision));
  project = TRY_IN(cat("commit ", folder.hash().substr(0, 7)), project_at(folder.project()));
  return std::optional<CommitFolder>(std::move(folder));
}

Result<DeployPlan> plan_of(Call& call, Project project) {
  const Project here = project;
  auto commit = TRY(commit_of(call, project));
  const std::string env = environment_name(call.args.text("env"));
  TRY(check_branch_here(here, env, commit));
  auto table = TRY(project.table(env));
  const std::string file = TRY(project.site_file());
  auto folder = TRY(read_site_folder(file, "", TRY(Kinds::load(call.paths))));
  TRY(merge(folder, table, env, project.file));
  std::string why;
  auto git = git_facts(project.root, os::real_runner(), &why);
  if (!why.empty())
    call.terminal.print_status(cat(call.terminal.err(Style::warn, "warning:"), " ", why));
  return DeployPlan{Places::find(), std::move(project), std::move(table), std::move(folder),
      std::move(git), {}, std::move(commit), {}, {}, {}, {}};
}

} // namespace

Result<DeployPlan> plan_folder(Call& call) {
  Project project = TRY(project_of(call));
  if (project.site_files.empty())
    return fail(Code::not_found,
        cat("no site file (SITE.site.json or SITE.site.toml) in ", printable(project.root, 1024),
            " or above it: run chillboxctl deploy there once by hand, which offers to write it"));
  DeployPlan plan = TRY(plan_of(call, std::move(project)));
  TRY(check_branch(call, plan));
  TRY(check_submodules(call, plan));
  return plan;
}

Result<DeployPlan> plan_deploy(Call& call) {
  Project project = TRY(project_of(call));
  if (project.site_files.empty() && !call.args.has("commit") && !call.args.has("COMMIT"))
    project = TRY(offer_site_file(call, project));
  DeployPlan plan = TRY(plan_of(call, std::move(project)));
  plan.targets = TRY(find_targets(plan.places,
      {.flag = call.args.list("host"),
          .env_name = call.args.text("env"),
          .project = &plan.project,
          .choose = chooser()}));
  if (call.args.has("via"))
    plan.bucket = TRY(Bucket::find(plan.places, call.args.text("via")));
  TRY(check_branch(call, plan));
  TRY(check_submodules(call, plan));
  return plan;
}

} // namespace chillbox::cli
