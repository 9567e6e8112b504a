#include "rollout/steps.hpp"

#include "base/text.hpp"

#include <algorithm>

namespace chillbox::rollout {
namespace {

constexpr os::Millis k_watch_pause{1'000};
constexpr uint32_t k_bad_probes = 3;      // in a row
constexpr uint64_t k_few_requests = 20;   // below this many a ratio means nothing
constexpr uint64_t k_bad_percent = 20;    // of the answers 5xx

struct Count {
  uint64_t all = 0;
  uint64_t bad = 0; // 5xx
};

// What the verdict rests on.
struct Seen {
  bool maintained = false; // at any time: then the 503s are the operator's
  uint32_t probes = 0, bad_probes = 0;
  Count answers;
  uint32_t crashes = 0;
};

std::string text_of(const Seen& seen, os::Millis time) {
  const auto many = [](uint64_t n, std::string_view what) { return cat(n, what, n == 1 ? "" : "s"); };
  return cat(time.count() / 1000, ".", time.count() % 1000 / 100, " s: ", many(seen.probes, " health check"), ", ", seen.bad_probes, " bad; ",
             seen.answers.all == 0 ? std::string("no visitor") : cat(seen.answers.bad, " of ", many(seen.answers.all, " answer"), " 5xx"), "; ",
             seen.crashes == 0 ? std::string("no crash") : cat(seen.crashes, seen.crashes == 1 ? " crash" : " crashes"));
}

// Answers in the site's access log behind `from`: the status stands after the quoted request line (NGINX's "combined" format).
Count count_answers(World& world, const std::string& file, uint64_t from) {
  Count count;
  const auto text = world.disk.tail(file, from, 4 * 1024 * 1024);
  if (!text)
    return count;
  for (auto line : split(*text, '\n')) {
    const auto at = line.find("\" ");
    if (at == std::string_view::npos || at + 2 >= line.size())
      continue;
    ++count.all;
    if (line[at + 2] == '5')
      ++count.bad;
  }
  return count;
}

Result<void> judge_answers(const Count& count) {
  if (count.all >= k_few_requests && count.bad * 100 >= count.all * k_bad_percent)
    return fail(Code::rolled_back, cat(count.bad, " of ", count.all, " answers were 5xx since the switch"));
  return {};
}

Result<void> judge_slots(Rollout& r, Seen& seen) {
  for (const auto& p : r.services) {
    if (p.kind.listens == Kind::Listens::no && !p.service.worker)
      continue;
    for (uint32_t index = p.service.worker ? 1 : 0; index <= (p.service.worker ? p.service.count : 0); ++index) {
      const auto name = slot_name(r.site, p, r.release.slot, index);
      const auto state = r.world.slots.state(name);
      const bool gone = state && (*state == openrc::SlotState::crashed || *state == openrc::SlotState::stopped);
      const uint32_t respawns = r.world.slots.respawns(name);
      seen.crashes += gone ? std::max(respawns, 1U) : respawns;
      if (seen.crashes > 0)
        return fail(Code::rolled_back, cat(p.service.worker ? "worker '" : "service '", p.service.name.str(), "' crashed"));
    }
  }
  return {};
}

// One look at all of it.
Result<void> look(Rollout& r, Seen& seen, std::map<std::string, uint32_t>& bad) {
  TRY(judge_slots(r, seen));
  for (const auto& p : r.services) {
    if (p.kind.listens == Kind::Listens::no)
      continue;
    ++seen.probes;
    uint32_t& misses = bad[p.service.name.str()];
    const auto answer = probe_service(r.world, r.site, p, r.release.slot);
    misses = answer ? 0 : misses + 1;
    seen.bad_probes += answer ? 0 : 1;
    if (misses >= k_bad_probes)
      return fail(Code::rolled_back, cat("service '", p.service.name.str(), "': ", misses, " bad health checks in a row: ", answer.error().message));
  }
  seen.maintained = seen.maintained || r.world.disk.exists(nginx::maintenance_flag(r.world.paths, r.job.site));
  return seen.maintained ? Result<void>{} : judge_answers(seen.answers);
}

} // namespace

// Bad answers, crashes, too many 5xx: the error makes the loop undo the switch, and the old slot, still warm, has the traffic back. What was seen
// stands in the history either way.
Result<Next> run_watch(Rollout& r) {
  const auto window = r.site.watch.value_or(r.world.config.watch);
  if (window <= os::Millis::zero())
    return Next::go_on;
  if (r.allows("no_watch")) {
    r.info("not watched, as was asked for");
    return Next::go_on;
  }
  const std::string access = cat(r.world.paths.root, "/var/log/nginx/", r.job.site.str(), "/access.log");
  const uint64_t from = r.world.disk.size(access);
  const os::Millis begun = r.world.clock.mono();
  Seen seen;
  std::map<std::string, uint32_t> bad;
  Result<void> verdict{};
  r.signals.watching = true;
  while (verdict && r.world.clock.mono() - begun < window && !r.signals.watch_is_cut()) {
    r.signals.wait(std::min(k_watch_pause, window - (r.world.clock.mono() - begun)));
    if (r.signals.stopping())
      return Next::go_on;
    seen.answers = count_answers(r.world, access, from);
    verdict = look(r, seen, bad);
  }
  r.signals.watching = false;
  seen.answers = count_answers(r.world, access, from);
  r.info(cat(r.signals.watch_is_cut() ? "watch cut short by another job after " : "watched ", text_of(seen, r.world.clock.mono() - begun)));
  if (!verdict)
    return std::unexpected(verdict.error());
  return Next::go_on;
}

} // namespace chillbox::rollout
