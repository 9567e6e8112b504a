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
#include <functional>
#include <optional>
#include <span>
#include <utility>

namespace chillbox::cli {
namespace {

using Steady = std::chrono::steady_clock;

// Nobody knows then what became of what was asked for.
bool is_silence(const Error& error) {
  return error.code == Code::unreachable || error.code == Code::timed_out;
}

bool has_ended_badly(const RolledHost& host) {
  return host.is("failed") || host.is("stuck") || host.is("rolled_back");
}

class Walk {
public:
  Walk(Call& call, const Places& places, RolloutState& state, const WalkTimes& times)
      : m_places(places), m_state(state), m_times(times), m_lines(call.terminal) {}
  Result<void> run();

private:
  using Hosts = std::span<RolledHost>;
  using Start = std::function<Result<HostSession>()>;
  Result<void> save() { return write_rollout(m_places, m_state); }
  Result<Target> target(const RolledHost& host) const { return target_named(m_places, host.name); }
  bool told_to_stop() const;
  template <class Ask> auto reach(Ask ask) const;
  Result<bool> is_live(const RolledHost& host) const;
  // Where nothing was live nobody is sent elsewhere.
  bool is_drained(const RolledHost& host) const {
    return m_state.rules.drain.count() > 0 && !host.before.empty();
  }
  Result<void> flag(const RolledHost& host, const std::string& verb) const;
  Result<void> drain(RolledHost& host);
  Result<HostSession> order(RolledHost& host);
  Result<control::Job> follow(const RolledHost& host, std::string& job, const Start& start,
      std::optional<HostSession> session = {});
  Result<void> chunk(Hosts hosts);
  Result<void> bake(Hosts hosts);
  Result<void> failed(RolledHost& host, const Error& error);
  Result<void> becomes(RolledHost& host, const std::string& state, const std::string& message);
  Result<void> roll_back(RolledHost& host);
  Result<void> settle(RolledHost& host, bool back);
  std::unexpected<Error> undecided(const RolledHost& host, const Error& error) const;
  Result<void> end();

  const Places& m_places;
  RolloutState& m_state;
  WalkTimes m_times;
  DeployLines m_lines;
};

bool Walk::told_to_stop() const {
  return os::real_disk().exists(rollout_stop_file(m_places, m_state.site, m_state.env));
}

template <class Ask> auto Walk::reach(Ask ask) const {
  // While it does not answer it is asked again: nothing says when it is back.
  for (const auto until = Steady::now() + m_times.reach;; os::real_clock().sleep(m_times.pause))
    if (auto answer = ask(); answer || answer.error().code != Code::unreachable ||
        Steady::now() + m_times.pause >= until)
      return answer;
}

Result<bool> Walk::is_live(const RolledHost& host) const {
  return reach([&]() -> Result<bool> {
    const auto session = TRY(HostSession::open(TRY(target(host)).host, m_state.site));
    const auto& site = session.facts().site;
    return site && site->sha256 == host.order.sha256;
  });
}

// drain and undrain, whose answer is no job.
Result<void> Walk::flag(const RolledHost& host, const std::string& verb) const {
  return reach([&]() -> Result<void> {
    auto session =
        TRY(HostSession::run(TRY(target(host)).host, {verb, "--json", "--", m_state.site}));
    return session.answered();
  });
}

// It is marked before it is begun: a laptop that is killed in between looks at the host again.
Result<void> Walk::drain(RolledHost& host) {
  host.state = "begun";
  TRY(save());
  if (!is_drained(host))
    return {};
  TRY(flag(host, "drain"));
  os::real_clock().sleep(m_state.rules.drain); // as was asked: who checks is not known here
  return {};
}

// The same order again is the same deploy: one that has it already says so.
Result<HostSession> Walk::order(RolledHost& host) {
  auto session = TRY(HostSession::open(TRY(target(host)).host, m_state.site));
  const uint64_t size = host.order.number.value_or(0);
  const Fd artifact(::open(host.path.c_str(), O_RDONLY | O_CLOEXEC));
  if (const auto& site = session.facts().site;
      site && !host.ordered && site->sha256 != host.order.sha256) {
    host.before = site->release; // by now
    host.before_version = site->version;
  }
  host.ordered = true; // from here on it may deploy, whatever is heard of it
  TRY(save());
  const uint64_t from = TRY(session.announce("deploy", host.order));
  if (!artifact && from < size)
    return fail_errno(cat("open ", host.path), errno);
  TRY(session.send(artifact.get(), from, size, [](uint64_t) {}));
  return session;
}

// To the end of its job, whatever becomes of the connection. What may have begun there is followed
// for much longer than it is tried to begin it.
Result<control::Job> Walk::follow(const RolledHost& host, std::string& id, const Start& start,
    std::optional<HostSession> session) {
  const auto began = Steady::now();
  uint64_t seen = 0; // events: each connection tells all of them
  const HostSession::Heard heard{.begins =
                                     [&](const std::string& job) {
                                       id = job;
                                       (void)save();
                                     },
      .event =
          [&](const control::JobEvent& event) {
            if (event.number > seen)
              m_lines.event(event);
            seen = std::max<uint64_t>(seen, event.number);
          },
      .tick = [&] { m_lines.tick(); },
      .deadline = began + m_times.host};
  const auto again = [&]() -> Result<control::Job> {
    auto next = id.empty()
        ? TRY(start())
        : TRY(HostSession::run(TRY(target(host)).host, {"job", "--follow", "--json", "--", id}));
    return next.follow(heard);
  };
  for (;; os::real_clock().sleep(m_times.pause)) { // nothing says when it is back
    auto job = session ? session->follow(heard) : again();
    session.reset();
    if (job && is_open(job->state))
      job = fail(Code::timed_out, cat("job ", id, " is not done yet"));
    if (job || !is_silence(job.error()))
      return job;
    const auto until = began + (host.ordered || !id.empty() ? m_times.host : m_times.reach);
    if (Steady::now() + m_times.pause >= until)
      return job;
  }
}

Result<void> Walk::failed(RolledHost& host, const Error& error) {
  host.code = std::string(code_name(error.code));
  return becomes(host, "failed", error.message);
}

Result<void> Walk::becomes(RolledHost& host, const std::string& state, const std::string& message) {
  host.state = state;
  host.message = message;
  m_lines.line(host.name, cat(state, ": ", printable(message, 500)));
  return save();
}

std::unexpected<Error> Walk::undecided(const RolledHost& host, const Error& error) const {
  const std::string name = cat(host.name, ": ");
  return fail(error.code,
      cat(error.message.starts_with(name) ? "" : name, printable(error.message, 500),
          "; whether it has ", m_state.version,
          " is not known, and its job may still run: chillboxctl rollout resume looks again"));
}

// All of them at the same time: their jobs run there, and are followed here one after the other.
Result<void> Walk::chunk(Hosts hosts) {
  std::vector<std::optional<HostSession>> sessions(hosts.size());
  std::vector<std::optional<Error>> errors(hosts.size());
  for (size_t i = 0; i < hosts.size(); ++i) {
    RolledHost& host = hosts[i];
    if (!host.is("staged") && (!host.is("begun") || host.ordered))
      continue; // it was begun before: follow() looks
    if (const auto drained = drain(host); !drained)
      errors[i] = drained.error();
    else if (auto begun = order(host))
      sessions[i].emplace(std::move(*begun));
    else if (!is_silence(begun.error()))
      errors[i] = begun.error();
  }
  Result<void> open; // the first one of which nothing is known
  for (size_t i = 0; i < hosts.size(); ++i) {
    RolledHost& host = hosts[i];
    if (!host.is("begun"))
      continue;
    m_lines.title(cat(m_state.site, " ", m_state.version, " -> ", printable(host.name, 200)));
    auto job = errors[i]
        ? Result<control::Job>(std::unexpected(*errors[i]))
        : follow(host, host.job, [&] { return order(host); }, std::move(sessions[i]));
    m_lines.end_line();
    if (!job && host.ordered && is_silence(job.error())) {
      if (open)
        open = undecided(host, job.error());
      continue; // and stays drained
    }
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
  return open;
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
    if (!live && is_silence(live.error())) {
      host.state = "begun"; // its job is asked for again, and then it bakes again
      TRY(save());
      return undecided(host, live.error());
    }
    if (!live)
      TRY(failed(host, live.error()));
    else if (!*live)
      TRY(failed(host, {Code::rolled_back, "another release is live there by now"}));
  }
  return {};
}

Result<void> Walk::roll_back(RolledHost& host) {
  const std::string why = host.is("failed") ? cat(host.message, "; ") : "";
  if (host.before.empty())
    return becomes(
        host, "stuck", cat(why, "nothing was live there before: it keeps the new release"));
  std::string id;
  const auto job = follow(host, id, [&]() -> Result<HostSession> {
    return HostSession::run(
        TRY(target(host)).host, {"rollback", "--json", "--", m_state.site, host.before});
  });
  if (!job && is_silence(job.error()))
    return std::unexpected(job.error());
  const auto verdict = job ? verdict_of(*job) : Result<void>(std::unexpected(job.error()));
  if (!verdict && TRY(is_live(host)))
    return becomes(host, "stuck", cat(why, "rollback: ", verdict.error().message));
  return becomes(host, why.empty() ? "rolled_back" : "failed", cat(why, "back to ", host.before));
}

// What one has is what it says itself: one that failed may have the new release all the same, and
// one that is to go back may have gone, by a laptop that was killed.
Result<void> Walk::settle(RolledHost& host, bool back) {
  const bool bad = host.is("failed");
  if (!(bad && host.ordered) && !(back && host.is("done")))
    return {};
  if (!TRY(is_live(host)))
    return bad ? Result<void>{} : becomes(host, "rolled_back", cat("back to ", host.before));
  if (back)
    return roll_back(host);
  return becomes(host, "stuck", cat(host.message, "; ", m_state.version, " is live there"));
}

// What all of them have now, as a code and a sentence.
Result<void> Walk::end() {
  Result<void> open;
  const bool bad = std::ranges::any_of(m_state.hosts, has_ended_badly);
  const bool back = m_state.rules.on_failure == "rollback";
  for (auto host = m_state.hosts.rbegin(); bad && host != m_state.hosts.rend(); ++host) {
    const auto settled = settle(*host, back);
    if (!settled && !is_silence(settled.error()))
      return settled;
    if (!settled && open)
      open = undecided(*host, settled.error());
  }
  TRY(open);
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
  const auto goes_on = [&] { return std::ranges::none_of(all, has_ended_badly); };
  const auto& rules = m_state.rules;
  TRY(in_batches(
      all.size(), {rules.canary, rules.batch, rules.max_unavailable}, {take, goes_on, after}));
  return end();
}

} // namespace

Result<void> walk_rollout(
    Call& call, const Places& places, RolloutState& state, const WalkTimes& times) {
  return Walk(call, places, state, times).run();
}

} // namespace chillbox::cli
