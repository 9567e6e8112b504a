#include "notices/notifier.hpp"

#include "base/encoding.hpp"
#include "base/guarded.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "notices/message.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <random>

namespace chillbox::notices {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::array<os::Millis, k_tries> k_pauses{seconds(0), seconds(5), minutes(5), minutes(30),
    hours(2), hours(5), hours(10), hours(14), hours(20), hours(24)};
constexpr os::Millis k_look_again = hours(1);   // when nothing happens
constexpr os::Millis k_look_pause = minutes(1); // when much does
constexpr int64_t k_busy_ms = 1'000; // what is overdue waits: for a delivery, or for the disk
constexpr int64_t k_clock_was_set_ms = 5'000;
constexpr int64_t k_clock_is_told_ms = 60'000;    // of a step that somebody should know of
constexpr const char* k_telling = "notices_told"; // meta: there were targets

// Ten targets that one network took away do not come back in the same second.
int64_t with_jitter(int64_t ms) {
  thread_local std::minstd_rand random{std::random_device{}()};
  return ms + std::uniform_int_distribution<int64_t>(-ms / 10, ms / 10)(random);
}

} // namespace

os::Millis pause_before_try(size_t number) {
  return k_pauses[std::min(number, k_tries - 1)];
}

Notifier::Notifier(Host host)
    : m_host(std::move(host)), m_notices(m_host.store),
      m_wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  m_offset_ms = now() - m_host.clock.mono().count();
}

void Notifier::stop() {
  m_stop = true;
  wake();
  m_thread.wait();
  m_deliveries.wait();
}

void Notifier::wake() {
  const uint64_t one = 1;
  (void)!::write(m_wake.get(), &one, sizeof one);
}

void Notifier::refresh(bool look) {
  if (look)
    m_look = true;
  if (look || m_notices.changed() != m_seen)
    wake();
}

// What ended before anybody was to be told is no news.
Result<void> Notifier::reload() {
  auto files = read_targets(m_host.paths);
  std::set<std::string> names;
  for (const auto& target : files.targets)
    names.insert(target.name);
  for (const auto& [name, fault] : files.faults)
    names.insert(name);
  for (const auto& old : TRY(m_notices.targets()))
    if (!names.contains(old.name))
      TRY(m_notices.forget(old.name));
  std::set<std::string> refused; // until now
  {
    const std::lock_guard lock(m_mutex);
    for (const auto& [name, fault] : m_known.faults)
      refused.insert(name);
  }
  for (const auto& target : files.targets)
    for (const auto& old : TRY(m_notices.targets()))
      if (old.name == target.name &&
          (refused.contains(old.name) || (!old.disabled.empty() && old.file != target.digest)))
        TRY(m_notices.retry(target.name, now()));
  const bool told = TRY(m_host.store.meta(k_telling)).value_or("") == "yes";
  if (told == names.empty()) {
    TRY(m_notices.forget_untold());
    TRY(m_host.store.set_meta(k_telling, names.empty() ? "no" : "yes"));
  }
  Result<void> outcome;
  if (!files.faults.empty())
    outcome = fail(files.faults.front().second.code,
        cat("notify: ", files.faults.front().second.message,
            ": it gets nothing until that is fixed"));
  const std::lock_guard lock(m_mutex);
  m_known = {std::move(files.targets), std::move(files.faults)};
  const bool needed = !names.empty() || !m_host.config.notify.heartbeat.empty();
  if (needed && !m_started && !m_stop) {
    TRY(m_notices.clamp(now()));
    TRY(m_thread.start("notices", [this] { loop(); }));
    m_started = true;
  }
  wake();
  return outcome;
}

std::optional<Target> Notifier::target_of(const std::string& name) {
  const std::lock_guard lock(m_mutex);
  const auto found = std::ranges::find(m_known.targets, name, &Target::name);
  return found == m_known.targets.end() ? std::nullopt : std::optional(*found);
}

std::vector<store::Notices::Recipient> Notifier::recipients() {
  const std::lock_guard lock(m_mutex);
  std::vector<store::Notices::Recipient> all;
  for (const auto& target : m_known.targets)
    all.push_back({target.name, [target](const auto& notice) { return target.wants(notice); }});
  for (const auto& [name, fault] : m_known.faults) // it waits until the file is put right
    all.push_back({name, [](const auto& notice) { return notice.event != "notify.exhausted"; }});
  return all;
}

std::string Notifier::host_name() const {
  const auto& name = m_host.config.server_name;
  char buffer[256] = "";
  if (name != "_" || ::gethostname(buffer, sizeof buffer - 1) != 0)
    return name;
  return printable(buffer, 253);
}

Courier Notifier::courier() const {
  return {m_host.disk, m_host.runner, m_host.clock, m_host.paths, m_host.as_root, host_name()};
}

// What was to be in an hour is in an hour, whatever the clock says then.
void Notifier::follow_clock() {
  const int64_t offset = now() - m_host.clock.mono().count();
  const int64_t set = offset - std::exchange(m_offset_ms, offset);
  if (std::abs(set) < k_clock_was_set_ms)
    return;
  if (const auto shifted = m_notices.shift(set); !shifted)
    log::error(cat("notices: ", shifted.error().message));
  if (std::abs(set) < k_clock_is_told_ms)
    return;
  const auto told = m_notices.raise({.event = "clock.set",
      .site = {},
      .subject = {},
      .text = cat("by ", std::abs(set) / 1000, " s, ", set > 0 ? "forward" : "back"),
      .time_ms = now()});
  if (!told)
    log::error(cat("notices: ", told.error().message));
}

void Notifier::look_if_due(bool happened) {
  const os::Millis mono = m_host.clock.mono();
  const bool asked = m_look.exchange(false);
  if (!asked && m_looked && mono - *m_looked < k_look_pause) {
    m_look_soon = m_look_soon || happened;
    return;
  }
  m_looked = mono;
  m_look_soon = false;
  if (m_host.look)
    m_host.look();
}

void Notifier::record(
    const store::OutboxMessage& message, const Target& target, const Outcome& outcome) {
  const int64_t time = now();
  const size_t tries = message.attempt + 1;
  Result<void> written;
  switch (outcome.kind) {
  case Outcome::Kind::interrupted: return;
  case Outcome::Kind::sent: written = m_notices.sent(message, time); break;
  case Outcome::Kind::gone:
    written = m_notices.failed(message, outcome.error, time, time);
    if (written)
      written = m_notices.disable(target.name, target.digest, outcome.error, time);
    break;
  case Outcome::Kind::failed:
    std::optional<int64_t> next;
    if (tries < k_tries)
      next = time +
          std::max(with_jitter(pause_before_try(tries).count()),
              outcome.retry_after_s.value_or(0) * 1'000);
    written = m_notices.failed(message, outcome.error, next, time);
    break;
  }
  if (outcome.kind != Outcome::Kind::sent)
    log::warn(cat("notices: target '", target.name, "', try ", tries, ": ", outcome.error));
  if (!written)
    log::error(cat("notices: ", written.error().message));
  m_host.changed();
}

void Notifier::send(const store::OutboxMessage& message, const Target& target) {
  const auto begun = m_deliveries.start(cat("notice to ", target.name), [this, message, target] {
    const auto outcome = guarded("deliver a notice", [&] {
      return deliver(courier(), target, message.id, message.body, [this] { return m_stop.load(); });
    });
    record(message, target,
        outcome ? *outcome : Outcome{Outcome::Kind::failed, outcome.error().message, {}});
    const std::lock_guard lock(m_mutex);
    m_busy.erase(target.name);
  });
  if (begun)
    return;
  const std::lock_guard lock(m_mutex);
  m_busy.erase(target.name);
}

void Notifier::start_deliveries() {
  const std::string host = host_name();
  const auto write = [&](const std::string&, const std::vector<store::Told>& told, uint64_t more) {
    return body_of(host, told, more, m_host.clock.wall());
  };
  const auto due = m_notices.due(write, now());
  if (!due)
    return log::error(cat("notices: ", due.error().message));
  for (const auto& message : *due) {
    const auto target = target_of(message.target);
    if (!target) { // its file is refused
      (void)m_notices.later(message, now() + os::Millis(k_look_again).count());
      continue;
    }
    {
      const std::lock_guard lock(m_mutex);
      if (!m_busy.insert(message.target).second)
        continue;
    }
    send(message, *target);
  }
}

// Its failure is what the other side tells of.
void Notifier::beat_if_due() {
  const auto& config = m_host.config.notify;
  const os::Millis mono = m_host.clock.mono();
  if (config.heartbeat.empty() || (m_beat && mono < *m_beat))
    return;
  m_beat = mono + os::Millis(config.every);
  Target target;
  target.name = target.kind = "heartbeat";
  target.settings = {{"url", config.heartbeat}};
  (void)m_deliveries.start("heartbeat", [this, target] {
    const auto outcome = deliver(
        courier(), target, "heartbeat", body_of("", {}, 0, 0), [this] { return m_stop.load(); });
    if (outcome.kind != Outcome::Kind::sent && outcome.kind != Outcome::Kind::interrupted)
      log::warn(cat("heartbeat: ", outcome.error));
  });
}

void Notifier::tick() {
  const uint64_t changed = m_notices.changed();
  const bool happened = m_seen.exchange(changed) != changed;
  follow_clock();
  look_if_due(happened);
  const auto calm = m_notices.calm(now());
  auto fanned =
      m_notices.fan_out(recipients(), os::Millis(m_host.config.notify.gather).count(), now());
  if (!calm || !fanned)
    log::error(cat("notices: ", (calm ? fanned.error() : calm.error()).message));
  start_deliveries();
  beat_if_due();
}

void Notifier::loop() {
  while (!m_stop) {
    (void)guarded("notices", [this] { tick(); });
    (void)guarded("notices", [this] { wait(); });
  }
}

// The timer fires when the clock is set, too. What is overdue waits for a delivery that is under
// way, which ends by itself.
void Notifier::wait() {
  const Fd timer(::timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK));
  const os::Millis mono = m_host.clock.mono();
  int64_t next = now() +
      (m_looked.value_or(mono) + (m_look_soon ? k_look_pause : k_look_again) - mono).count();
  if (m_beat)
    next = std::min<int64_t>(next, now() + (*m_beat - mono).count());
  if (const auto due = m_notices.next_ms(); due && *due)
    next = std::min(next, **due);
  next = std::max(next, now() + (m_seen == m_notices.changed() ? k_busy_ms : 1));
  {
    const std::lock_guard lock(m_mutex);
    if (!m_busy.empty())
      next = std::max(next, now() + k_busy_ms);
  }
  itimerspec at{};
  at.it_value.tv_sec = static_cast<std::time_t>(next / 1'000);
  at.it_value.tv_nsec = static_cast<long>(next % 1'000) * 1'000'000;
  ::timerfd_settime(timer.get(), TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &at, nullptr);
  std::array<pollfd, 2> fds{pollfd{m_wake.get(), POLLIN, 0}, pollfd{timer.get(), POLLIN, 0}};
  ::poll(fds.data(), fds.size(), -1);
  uint64_t ignored = 0;
  (void)!::read(m_wake.get(), &ignored, sizeof ignored);
}

Result<std::vector<control::NotifyTarget>> Notifier::targets() {
  std::vector<control::NotifyTarget> all;
  const auto tried = TRY(m_notices.targets());
  Known known;
  {
    const std::lock_guard lock(m_mutex);
    known = m_known;
  }
  for (const auto& target : known.targets)
    all.push_back({.name = target.name, .kind = target.kind, .state = "ok", .error = {}});
  for (const auto& [name, fault] : known.faults)
    all.push_back({.name = name, .kind = {}, .state = "refused", .error = fault.message});
  for (auto& target : all) {
    const auto counts = TRY(m_notices.counts(target.name));
    target.waiting = counts.waiting + counts.exhausted;
    target.next_ms = counts.next_ms;
    const auto old = std::ranges::find(tried, target.name, &store::OutboxTarget::name);
    if (old == tried.end() || target.state == "refused")
      continue;
    target.sent_ms = old->sent_ms;
    target.error = old->error;
    target.state = !old->disabled.empty() ? "disabled"
        : counts.exhausted > 0            ? "exhausted"
        : counts.attempt > 0              ? "failing"
                                          : "ok";
  }
  std::ranges::sort(all, {}, &control::NotifyTarget::name);
  return all;
}

Result<control::NotifyTested> Notifier::test(const std::string& name) {
  const auto target = target_of(name);
  if (!target)
    return fail(Code::not_found,
        cat("no target '", printable(name, 64), "' that can be used: `chillboxctl notify list`"));
  const store::Told told{{.number = 0,
                             .event = "notify.test",
                             .site = {},
                             .subject = {},
                             .severity = "info",
                             .state = "once",
                             .text = "somebody ran `chillboxctl notify test`",
                             .advice = {},
                             .first_ms = now(),
                             .last_ms = now(),
                             .count = 1},
      "open"};
  const auto outcome = deliver(courier(), *target, cat("msg_", random_token(12)),
      body_of(host_name(), {told}, 0, m_host.clock.wall()), [this] { return m_stop.load(); });
  const bool sent = outcome.kind == Outcome::Kind::sent;
  return control::NotifyTested{
      .name = name, .sent = sent, .error = sent ? std::string() : outcome.error};
}

Result<control::NotifyRetried> Notifier::retry(const std::string& name) {
  control::NotifyRetried retried;
  bool any = false;
  for (const auto& target : TRY(targets()))
    if (name.empty() || target.name == name) {
      retried.messages += TRY(m_notices.retry(target.name, now()));
      any = true;
    }
  if (!any)
    return fail(Code::not_found,
        name.empty() ? "no target: chillboxctl notify add NAME KIND"
                     : cat("no target '", printable(name, 64), "': `chillboxctl notify list`"));
  wake();
  return retried;
}

} // namespace chillbox::notices
