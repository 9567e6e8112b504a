// rollout run, resume, status, stop: a site to several hosts, in batches
// (laptop/rollout_run.hpp).
#include "cli/core/answers.hpp"
#include "cli/core/options.hpp"
#include "cli/core/prompt.hpp"
#include "cli/core/table.hpp"
#include "cli/core/terminal.hpp"
#include "cli/laptop/rollout_order.hpp"
#include "cli/laptop/rollout_run.hpp"
#include "cli/laptop/target.hpp"

#include "base/text.hpp"
#include "os/disk.hpp"
#include "os/lock.hpp"

#include <array>

namespace chillbox::cli {
namespace {

constexpr std::array k_rollout_run_options{
    k_to_host,
    k_env,
    Option{"--version", ArgKind::text, "V",
        "its version (default: what the site file, VERSION or git says)"},
    Option{"--via", ArgKind::text, "s3://BUCKET[/PREFIX]",
        "put it into this bucket, from where the hosts fetch it"},
    Option{"--refresh", ArgKind::flag, "", "collect packages again"},
    Option{"--by", ArgKind::text, "laptop|hosts",
        "who brings it from host to host (default: as [rollout] says)"},
    Option{"--detach", ArgKind::flag, "",
        "of one that the hosts walk: end once their engine has the order"},
    k_yes,
    Option{"-k,--key", ArgKind::text, "KEY", "sign with this minisign secret key, not your own"},
    k_expires,
    k_passphrase_fd,
};
constexpr std::array k_of_env{k_env};

struct Known {
  Places places = Places::find();
  std::string site, env;
};

Result<Known> known(Call& call) {
  Known out;
  const auto project = TRY(find_project());
  if (!project)
    return fail(Code::not_found, "no project here: run it in the folder of the site file");
  out.site = TRY(project->site());
  out.env = environment_name(call.args.text("env"));
  return out;
}

Result<os::LockFile> lock(const Known& known) {
  TRY(make_private_dir(known.places.state + "/rollouts"));
  return TRY(os::LockFile::take(
      rollout_file(known.places, known.site, known.env) + ".lock", "chillboxctl rollout"));
}

void print(Call& call, const RolloutState& state) {
  const RolloutReport report = report_of(state);
  if (call.terminal.json()) {
    call.terminal.print(answer_text("rollout", report));
    return;
  }
  Table table{{"host", "state", "before", "says"}, {}};
  for (const auto& host : report.hosts)
    table.rows.push_back({printable(host.host, 200), host.state, printable(host.before, 80),
        printable(host.message, 300)});
  call.terminal.print(cat(report.site, " ", report.version, ": ", report.phase));
  print_table(call.terminal, table, "no hosts");
}

// By the hosts, if an engine of theirs has the order; this laptop only looks on.
Result<void> look_on(Call& call, const Known& known, RolloutState& state) {
  if (!state.taken)
    TRY(hand_over(call, known.places, state));
  if (call.args.has("detach"))
    return {};
  const auto done = follow_rollout(call, known.places, state);
  print(call, state);
  return done;
}

Result<void> walk(Call& call, const Known& known, RolloutState& state) {
  if (state.by_hosts())
    return look_on(call, known, state);
  TRY(os::real_disk().remove(rollout_stop_file(known.places, known.site, known.env)));
  const auto done = walk_rollout(call, known.places, state);
  print(call, state);
  return done;
}

Result<void> begin(Call& call, const Known& known) {
  DeployPlan plan = TRY(plan_deploy(call));
  RolloutState state{
      plan.site(), known.env, "", false, false, plan.table.rollout.value_or(RolloutRules{}), {}};
  if (call.args.has("by"))
    state.rules.by = call.args.text("by");
  if (state.rules.by != "laptop" && !state.by_hosts())
    return fail(Code::usage, "--by is laptop or hosts");
  if (call.args.has("detach") && !state.by_hosts())
    return fail(Code::usage, "--detach is for a rollout that the hosts walk: --by hosts");
  if (!plan.bucket && !state.rules.via.empty())
    plan.bucket = TRY(Bucket::find(plan.places, state.rules.via));
  for (const Target& target : plan.targets)
    state.hosts.push_back(RolledHost{.name = target.host.name});
  TRY(write_rollout(known.places, state));
  TRY(stage_rollout(call, plan, state));
  return walk(call, known, state);
}

Result<void> run_rollout(Call& call) {
  const Known here = TRY(known(call));
  const auto one = TRY(lock(here));
  auto old = read_rollout(here.places, here.site, here.env);
  if (!old && old.error().code != Code::not_found)
    return std::unexpected(old.error());
  if (old && old->taken && !old->ended)
    if (const auto now = reported(here.places, *old); !now && now.error().code == Code::conflict)
      old->ended = true; // another order took its place
  if (old && old->switching && !old->ended)
    return fail(Code::conflict,
        "a rollout was begun and has not ended: chillboxctl rollout resume, or remove " +
            rollout_file(here.places, here.site, here.env));
  return begin(call, here);
}

Result<void> run_resume(Call& call) {
  const Known here = TRY(known(call));
  const auto one = TRY(lock(here));
  auto state = TRY(read_rollout(here.places, here.site, here.env));
  if (state.ended) {
    print(call, state);
    return fail(Code::conflict, "it has ended: chillboxctl rollout run begins another one");
  }
  if (!state.switching)
    return fail(Code::conflict,
        "nothing was changed on any host yet: chillboxctl rollout run begins again");
  if (state.taken) {
    const auto now = TRY(reported(here.places, state));
    if (!now.ended)
      TRY(halt_rollout(here.places, state, true));
  }
  return walk(call, here, state);
}

Result<void> run_rollout_status(Call& call) {
  const Known here = TRY(known(call));
  auto state = TRY(read_rollout(here.places, here.site, here.env));
  if (state.taken && !state.ended)
    (void)TRY(reported(here.places, state));
  print(call, state);
  return {};
}

Result<void> run_rollout_stop(Call& call) {
  const Known here = TRY(known(call));
  const auto state = TRY(read_rollout(here.places, here.site, here.env));
  if (state.ended)
    return fail(Code::conflict, "it has ended");
  TRY(state.taken ? halt_rollout(here.places, state, false)
                  : write_own_file(rollout_stop_file(here.places, here.site, here.env), "", 0));
  print(call, state);
  return {};
}

} // namespace

extern constinit const Verb k_rollout_run{"rollout run", Group::laptop, Where::laptop,
    "bring what is in this folder to several hosts, in batches", k_rollout_run_options,
    run_rollout};
extern constinit const Verb k_rollout_resume{"rollout resume", Group::laptop, Where::laptop,
    "continue a rollout that was killed or stopped", k_of_env, run_resume};
extern constinit const Verb k_rollout_status{"rollout status", Group::laptop, Where::laptop,
    "show where the rollout is with each host", k_of_env, run_rollout_status};
extern constinit const Verb k_rollout_stop{"rollout stop", Group::laptop, Where::laptop,
    "let the rollout begin no further host", k_of_env, run_rollout_stop};

} // namespace chillbox::cli
