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

Result<void> judge_slots(Rollout& r) {
  for (const auto& p : r.services) {
    if (p.kind.listens == Kind::Listens::no && !p.service.worker)
      continue;
    for (uint32_t index = p.service.worker ? 1 : 0; index <= (p.service.worker ? p.service.count : 0); ++index) {
      const auto name = slot_name(r.site, p, r.release.slot, index);
      const auto state = r.world.slots.state(name);
      const bool gone = state && (*state == openrc::SlotState::crashed || *state == openrc::SlotState::stopped);
      if (gone || r.world.slots.respawns(name) > 0)
        return fail(Code::rolled_back, cat(p.service.worker ? "worker '" : "service '", p.service.name.str(), "' crashed"));
    }
  }
  return {};
}

} // namespace

// Bad answers, crashes, too many 5xx: the error makes the loop undo the switch, and the old slot, still warm, has the traffic back.
Result<Next> run_watch(Rollout& r) {
  const auto window = r.site.watch.value_or(r.world.config.watch);
  if (window <= os::Millis::zero())
    return Next::go_on;
  const std::string access = cat(r.world.paths.root, "/var/log/nginx/", r.job.site.str(), "/access.log");
  const uint64_t from = r.world.disk.size(access);
  const os::Millis end = r.world.clock.mono() + window;
  uint32_t probes = 0;
  std::map<std::string, uint32_t> bad;
  r.signals.watching = true;
  while (r.world.clock.mono() < end && !r.signals.watch_is_cut()) {
    r.signals.wait(std::min(k_watch_pause, end - r.world.clock.mono()));
    if (r.signals.stopping())
      break;
    TRY(judge_slots(r));
    for (const auto& p : r.services) {
      ++probes;
      uint32_t& misses = bad[p.service.name.str()];
      const auto answer = probe_service(r.world, r.site, p, r.release.slot);
      misses = answer ? 0 : misses + 1;
      if (misses >= k_bad_probes)
        return fail(Code::rolled_back, cat("service '", p.service.name.str(), "': ", misses, " bad health checks in a row: ", answer.error().message));
    }
    TRY(judge_answers(count_answers(r.world, access, from)));
  }
  r.signals.watching = false;
  const auto count = count_answers(r.world, access, from);
  r.info(cat(r.signals.watch_is_cut() ? "watch cut short by another job: " : "watched: ", probes, probes == 1 ? " health check" : " health checks",
             count.all == 0 ? ", no visitor" : cat(", ", count.bad, " of ", count.all, " answers 5xx")));
  return Next::go_on;
}

} // namespace chillbox::rollout
