#include "cli/laptop/rollout_run.hpp"

#include "base/fd.hpp"
#include "base/text.hpp"
#include "cli/core/terminal.hpp"
#include "cli/laptop/deploy_artifact.hpp"
#include "cli/laptop/deploy_bucket.hpp"
#include "cli/laptop/deploy_memory.hpp"
#include "cli/laptop/deploy_questions.hpp"
#include "cli/laptop/deploy_sign.hpp"
#include "cli/laptop/host_session.hpp"
#include "cli/laptop/rollout_order.hpp"

#include <fcntl.h>

#include <algorithm>
#include <functional>
#include <thread>

namespace chillbox::cli {
namespace {

class Stage {
public:
  Stage(Call& call, DeployPlan& plan, RolloutState& state)
      : m_call(call), m_plan(plan), m_state(state), m_lines(call.terminal) {}

  Result<void> host(Target& target, RolledHost& host);
  Result<void> order_hosts();
  Result<void> sign();

private:
  Result<void> upload(
      HostSession& session, const RolledHost& host, const DeployMemory::Pending& file);
  Result<void> bring(HostSession& session, const Target& target, const RolledHost& host,
      const DeployMemory::Pending& file);

  Call& m_call;
  DeployPlan& m_plan;
  RolloutState& m_state;
  DeployLines m_lines;
  DeployMemory::Pending m_artifact; // of the last one
};

Result<void> Stage::upload(
    HostSession& session, const RolledHost& host, const DeployMemory::Pending& file) {
  const Fd artifact(::open(file.path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!artifact)
    return fail_errno(cat("open ", file.path), errno);
  const uint64_t from = TRY(session.announce("prepare", host.order));
  TRY(session.send(artifact.get(), from, file.size,
      [&](uint64_t sent) { m_lines.percent("send", sent, file.size); }));
  m_lines.sent(file.size - from);
  return check_plan(TRY(session.planned()), host.name);
}

// If the connection breaks, another one is opened, and the upload continues where the host has it.
Result<void> Stage::bring(HostSession& session, const Target& target, const RolledHost& host,
    const DeployMemory::Pending& file) {
  for (int tried = 1;; ++tried) {
    auto done = m_plan.bucket ? put_and_fetch(m_plan, session, host.order, file, host.name, m_lines)
                              : upload(session, host, file);
    if (done || done.error().code != Code::unreachable || tried == HostSession::k_tries)
      return done;
    m_lines.line("send", cat(done.error().message, ", trying again"));
    std::this_thread::sleep_for(HostSession::k_pause);
    if (auto again = HostSession::open(target.host, m_plan.site()))
      session = std::move(*again);
  }
}

Result<void> Stage::host(Target& target, RolledHost& host) {
  auto session = TRY(HostSession::open(target.host, m_plan.site()));
  control::Facts facts = session.facts();
  if (!facts.site)
    facts.site = control::SiteFacts{.site = m_plan.site()};
  TRY(check_facts(facts, m_plan.site(), host.name));
  const std::string& where = m_plan.folder.site.run_on.release_command;
  host.runs_command = !facts.fleet    ? where == config::k_first_host
      : where == config::k_first_host ? facts.fleet->first
                                      : facts.fleet->host == where;
  if (facts.sealed)
    return fail(Code::sealed,
        cat(host.name, " is locked: chillboxctl unlock -H ", printable(host.name, 200)));
  auto memory = recall(m_plan.places, target.host.name, m_plan.site());
  const auto version = m_state.version.empty()
      ? TRY(deploy_version(m_call, m_plan, *facts.site, memory))
      : DeployVersion{m_state.version, false};
  m_lines.title(cat(m_plan.site(), " ", version.text, " -> ", printable(host.name, 200)));
  TRY(ask_before(m_call, {m_plan, facts, memory, version, host.name}));
  TRY(pack_for(m_call, m_plan, target, facts, version, memory, m_lines));
  (void)remember(
      m_plan.places, target.host.name, m_plan.site(), memory); // the next packs nothing new
  m_state.version = version.text;
  const auto& file = m_artifact = memory.pending;
  host.facts = facts;
  host.order = TRY(signed_order(m_call, m_plan, facts, host.name, version.text, file, m_lines));
  host.path = file.path;
  host.before = facts.site->release;
  host.before_version = facts.site->version;
  TRY(bring(session, target, host, file));
  host.state = "staged";
  m_lines.line("staged", "ok");
  return {};
}

// What runs on one host alone is done there before another host switches.
Result<void> Stage::order_hosts() {
  const auto& site = m_plan.folder.site;
  if (site.run_on.release_command == config::k_all_hosts ||
      std::ranges::all_of(
          site.services, [](const auto& service) { return service.release_command.empty(); }))
    return {};
  if (site.run_on.release_command == config::k_once) { // on the host that gets there first
    m_state.rules.canary = 1;
    return {};
  }
  const auto some = std::ranges::count(m_state.hosts, true, &RolledHost::runs_command);
  if (some != 1)
    return fail(Code::conflict,
        cat("release_command of ", m_plan.site(),
            " is for one host (run_on: ", site.run_on.release_command, ") and ",
            some == 0 ? "that is none of these" : "would run on several of these",
            ": chillboxctl fleet status says who is in which fleet"));
  std::ranges::stable_partition(m_state.hosts, &RolledHost::runs_command);
  m_state.rules.canary = 1;
  return {};
}

Result<void> Stage::sign() {
  if (!m_state.by_hosts())
    return {};
  std::vector<control::Facts> facts;
  for (const auto& host : m_state.hosts)
    facts.push_back(host.facts);
  return sign_order(m_call, m_plan, m_state, facts, m_artifact);
}

} // namespace

Result<void> stage_rollout(Call& call, DeployPlan& plan, RolloutState& state) {
  TRY(share_artifact(plan));
  Stage stage(call, plan, state);
  for (size_t i = 0; i < plan.targets.size(); ++i) {
    auto& host = state.hosts[i];
    if (const auto done = stage.host(plan.targets[i], host); !done) {
      host.message = done.error().message;
      host.code = std::string(code_name(done.error().code));
      (void)write_rollout(plan.places, state);
      call.hint = "nothing was changed on any host: chillboxctl rollout run begins again";
      return within(host.name, done.error());
    }
    TRY(write_rollout(plan.places, state));
  }
  auto ordered = stage.order_hosts();
  if (ordered)
    ordered = stage.sign();
  if (!ordered) {
    call.hint = "nothing was changed on any host";
    return ordered;
  }
  state.switching = true;
  return write_rollout(plan.places, state);
}

} // namespace chillbox::cli
