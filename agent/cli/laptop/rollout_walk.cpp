#include "cli/laptop/rollout_run.hpp"

#include "base/fd.hpp"
#include "base/text.hpp"
#include "cli/core/duration.hpp"
#include "cli/core/progress.hpp"
#include "cli/core/terminal.hpp"
#include "cli/laptop/deploy_lines.hpp"
#include "cli/laptop/host_batches.hpp"
#include "cli/laptop/host_session.hpp"
#include "cli/laptop/target.hpp"
#include "os/clock.hpp"
#include "os/disk.hpp"

#include <fcntl.h>

#include <algorithm>
#include <optional>
#include <span>
#include <utility>

namespace chillbox::cli {
namespace {

constexpr std::chrono::minutes k_host_deadline{30};
constexpr int k_connect_tries = 3; // of a connection

class Walk {
public:
  Walk(Call& call, const Places& places, RolloutState& state)
      : m_places(places), m_state(state), m_lines(call.terminal) {}
  Result<void> run();

private:
  using Hosts = std::span<RolledHost>;
  Result<void> save() { return write_rollout(m_places, m_state); }
  Result<Target> target(const RolledHost& host) const { return target_named(m_places, host.name); }
  bool told_to_stop() const;
  Result<bool> is_live(const RolledHost& host);
  // Where nothing was live nobody is sent elsewhere.
  bool is_drained(const RolledHost& host) const {
    return m_state.rules.drain.count() > 0 && !host.before.empty();
  }
  Result<void> flag(const RolledHost& host, const std::string& verb);
  Result<HostSession> begin(RolledHost& host);
  Result<control::Job> follow(RolledHost& host, std::optional<HostSession>& session);
  Result<void> chunk(Hosts hosts);
  Result<void> bake(Hosts hosts);
  Result<void> failed(RolledHost& host, const Error& error);
  Result<void> roll_back(RolledHost& host);
  Result<void> end();

  const Places& m_places;
  RolloutState& m_state;
  DeployLines m_lines;
};

bool Walk::told_to_stop() const {
  return os::real_disk().exists(rollout_stop_file(m_places, m_state.site, m_state.env));
}

Result<bool> Walk::is_live(const RolledHost& host) {
  const auto session = TRY(HostSession::open(TRY(target(host)).host, m_state.site));
  const auto& site = session.facts().site;
  return site && site->sha256 == host.order.sha256;
}

// drain and undrain, whose answer is no job.
Result<void> Walk::flag(const RolledHost& host, const std::string& verb) {
  auto session =
      TRY(HostSession::run(TRY(target(host)).host, {verb, "--json", "--", m_state.site}));
  return session.answered();
}

// It is marked before it is begun: a laptop that is killed in between looks at the host again.
Result<HostSession> Walk::begin(RolledHost& host) {
  host.state = "begun";
  TRY(save());
  if (is_drained(host)) {
    TRY(flag(host, "drain"));
    os::real_clock().sleep(m_state.rules.drain); // as was asked: who checks is not known here
  }
  auto session = TRY(HostSession::open(TRY(target(host)).host, m_state.site));
  const uint64_t size = host.order.number.value_or(0);
  const Fd artifact(::open(host.path.c_str(), O_RDONLY | O_CLOEXEC));
  uint64_t from = TRY(session.announce("deploy", host.order));
  if (!artifact && from < size)
    return fail_errno(cat("open ", host.path), errno);
  from = std::min(from, size);
  TRY(session.send(artifact.get(), from, size, [](uint64_t) {}));
  return session;
}

// To the end of its job, whatever becomes of the connection.
Result<control::Job> Walk::follow(RolledHost& host, std::optional<HostSession>& session) {
  const auto deadline = std::chrono::steady_clock::now() + k_host_deadline;
  HostSession::Heard heard{.begins =
                               [&](const std::string& id) {
                                 host.job = id;
                                 (void)save();
                               },
      .event = [&](const control::JobEvent& event) { m_lines.event(event); },
      .tick = [&] { m_lines.tick(); },
      .deadline = deadline};
  for (int tries = 0;; ++tries) {
    if (!session && host.job.empty())
      session.emplace(TRY(begin(host)));
    else if (!session)
      session.emplace(TRY(
          HostSession::run(TRY(target(host)).host, {"job", "--follow", "--json", "--", host.job})));
    auto job = session->follow(heard);
    session.reset();
    if (job || job.error().code != Code::unreachable || tries == k_connect_tries)
      return job;
  }
}

Result<void> Walk::failed(RolledHost& host, const Error& error) {
  host.state = "failed";
  host.code = std::string(code_name(error.code));
  host.message = error.message;
  m_lines.line(host.name, cat("failed: ", printable(error.message, 500)));
  return save();
}

// All of them at the same time: their jobs run there, and are followed here one after the other.
Result<void> Walk::chunk(Hosts hosts) {
  std::vector<std::optional<HostSession>> sessions(hosts.size());
  std::vector<std::optional<Error>> errors(hosts.size());
  for (size_t i = 0; i < hosts.size(); ++i) {
    if (!hosts[i].is("staged"))
      continue; // it was begun before: follow() looks
    if (auto begun = begin(hosts[i]))
      sessions[i].emplace(std::move(*begun));
    else
      errors[i] = begun.error();
  }
  for (size_t i = 0; i < hosts.size(); ++i) {
    RolledHost& host = hosts[i];
    if (!host.is("begun"))
      continue;
    m_lines.title(cat(m_state.site, " ", m_state.version, " -> ", printable(host.name, 200)));
    auto job =
        errors[i] ? Result<control::Job>(std::unexpected(*errors[i])) : follow(host, sessions[i]);
    m_lines.end_line();
    Result<void> verdict = job ? verdict_of(*job) : Result<void>(std::unexpected(job.error()));
    if (is_drained(host))
      if (const auto back = flag(host, "undrain"); !back && verdict)
        verdict = within("undrain", back.error());
    if (!verdict) {
      TRY(failed(host, verdict.error()));
      continue;
    }
    host.state = "done";
    host.message = job->message;
    TRY(save());
  }
  return {};
}

// A release that is not live any more was rolled back by somebody, or by its host.
Result<void> Walk::bake(Hosts hosts) {
  constexpr std::chrono::milliseconds k_stop_look{500}; // at the stop file
  const auto end = std::chrono::steady_clock::now() + m_state.rules.bake;
  if (m_state.rules.bake.count() > 0)
    m_lines.line("bake", format_duration(m_state.rules.bake));
  while (std::chrono::steady_clock::now() < end && !told_to_stop())
    os::real_clock().sleep(k_stop_look);
  for (RolledHost& host : hosts) {
    if (!host.is("done"))
      continue;
    const auto live = is_live(host);
    if (!live)
      TRY(failed(host, live.error()));
    else if (!*live)
      TRY(failed(host, {Code::rolled_back, "another release is live there by now"}));
  }
  return {};
}

Result<void> Walk::roll_back(RolledHost& host) {
  const auto say = [&](const std::string& state, const std::string& message) {
    host.state = state;
    host.message = message;
    m_lines.line(host.name, cat(state, ": ", printable(message, 500)));
    return save();
  };
  if (host.before.empty())
    return say("stuck", "nothing was live there before: it keeps the new release");
  if (const auto live = is_live(host); live && !*live) // a laptop that was killed had done it
    return say("rolled_back", cat("back to ", host.before));
  auto session = HostSession::run(
      TRY(target(host)).host, {"rollback", "--json", "--", m_state.site, host.before});
  auto job = session ? session->follow({}) : Result<control::Job>(std::unexpected(session.error()));
  const auto verdict = job ? verdict_of(*job) : Result<void>(std::unexpected(job.error()));
  return verdict ? say("rolled_back", cat("back to ", host.before))
                 : say("stuck", cat("rollback: ", verdict.error().message));
}

// What all of them have now, as a code and a sentence.
Result<void> Walk::end() {
  const bool good =
      std::ranges::none_of(m_state.hosts, [](const auto& host) { return host.is("failed"); });
  if (!good && m_state.rules.on_failure == "rollback")
    for (auto host = m_state.hosts.rbegin(); host != m_state.hosts.rend(); ++host)
      if (host->is("done"))
        TRY(roll_back(*host));
  m_state.ended = true;
  TRY(save());
  std::vector<control::HostVerdict> hosts;
  for (const auto& host : m_state.hosts)
    hosts.push_back({host.name, control::named<control::HostTurn>(host.state), host.message});
  return control::verdict_of_hosts(m_state.version, hosts);
}

Result<void> Walk::run() {
  const Hosts all(m_state.hosts);
  bool is_new = false; // of the batch: else it was baked before
  const auto take = [&](size_t at, size_t count) -> Result<void> {
    if (told_to_stop())
      return fail(
          Code::partial, "stopped by `rollout stop`: chillboxctl rollout resume continues it");
    const auto some = all.subspan(at, count);
    is_new |= std::ranges::any_of(
        some, [](const auto& host) { return host.is("staged") || host.is("begun"); });
    return chunk(some);
  };
  const auto after = [&](size_t at, size_t count) {
    return std::exchange(is_new, false) ? bake(all.subspan(at, count)) : Result<void>{};
  };
  const auto goes_on = [&] {
    return std::ranges::none_of(all, [](const auto& host) { return host.is("failed"); });
  };
  const auto& rules = m_state.rules;
  TRY(in_batches(
      all.size(), {rules.canary, rules.batch, rules.max_unavailable}, {take, goes_on, after}));
  return end();
}

} // namespace

Result<void> walk_rollout(Call& call, const Places& places, RolloutState& state) {
  return Walk(call, places, state).run();
}

} // namespace chillbox::cli
