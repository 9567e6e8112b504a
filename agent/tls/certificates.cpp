#include "tls/certificates.hpp"

#include "base/guarded.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "base/time.hpp"

#include <algorithm>

namespace chillbox::tls {
namespace {

constexpr os::Millis k_longest_sleep{3'600'000}; // a clock that was set is seen within an hour
constexpr int64_t k_hold_ms = 60'000;
// Who writes to the engine has no host read it all the time.
constexpr os::Millis k_news_pause{3'000};
constexpr int64_t k_clock_step_ms = 60'000;
constexpr int64_t k_too_far_ms = 40LL * 24 * 3'600'000; // nothing is planned for later
constexpr std::string_view k_token = "chillbox-";

} // namespace

struct Certificates::Follower {
  explicit Follower(Certificates* all) : certificates(all) {}
  std::mutex mutex;
  Certificates* certificates; // null: they are gone
};

Certificates::Certificates(Host host)
    : m_host(std::move(host)),
      m_acme({m_host.disk, m_host.runner, m_host.clock, m_host.paths, m_host.config, m_host.as_root,
          [this] { return m_stop.load(); }}),
      m_files(m_host.disk, m_host.paths),
      m_prober(m_acme, m_host.disk, m_host.clock, m_host.paths, m_host.config),
      m_share(m_host.parts.sharing, m_host.clock), m_follower(std::make_shared<Follower>(this)) {
  m_offset_ms = m_host.clock.wall_ms() - m_host.clock.mono().count();
}

Certificates::~Certificates() {
  stop();
  const std::lock_guard lock(m_follower->mutex);
  m_follower->certificates = nullptr;
}

// Where it is, where its key was to move from, or nowhere: then NGINX is not told of it.
bool Certificates::repair_file(Record& record) {
  const bool memory = record.facts.memory;
  for (const bool in_memory : {memory, !memory}) {
    record.facts.memory = in_memory;
    if (const auto good = m_files.repair(record); good && *good)
      return true;
  }
  record.facts.memory = memory;
  return false;
}

void Certificates::repair() {
  const std::lock_guard work(m_work);
  bool changed = false;
  for (const auto& row : m_host.store.certificates().value_or(std::vector<store::Certificate>{})) {
    Record record = read_record(row);
    m_told[record.id] = {record.state, record.facts.alert};
    const bool by_hand = record.facts.mode == "provided";
    if (!record.served() || (by_hand && record.facts.memory))
      continue;
    if (by_hand || m_files.read(record)) {
      if (!by_hand && record.pending.chain.empty())
        m_files.proven(record); // a daemon died before it did
      continue;
    }
    changed = true;
    nginx::SiteTls text; // none
    if (repair_file(record)) {
      text = text_of(record, m_files.path(record), record.facts.names);
    } else if (record.facts.memory) {
      text.in_memory = true; // a boot: 443 refuses until the key is here again
      record.next_ms = now();
    } else {
      log::error(cat("certificate '", record.id, "': ", m_files.path(record),
          " is damaged and there is no copy of it: its names are on http until a new one is issued"));
      record.chain.clear();
      record.facts.names.clear();
      record.state = State::waiting;
      record.next_ms = now();
    }
    if (auto installed = m_host.parts.install(record.id, text); !installed)
      log::error(cat("certificate '", record.id, "': ", installed.error().message));
    save(record);
  }
  if (changed && m_host.parts.start_nginx)
    if (auto started = m_host.parts.start_nginx(); !started)
      log::error(cat("nginx: ", started.error().message));
}

void Certificates::begin() {
  os::sweep_temporaries(challenge_dir(m_host.paths), k_token);
  for (const auto& name :
      m_host.disk.list(challenge_dir(m_host.paths)).value_or(std::vector<std::string>{}))
    if (name.starts_with(k_token)) // of a probe that a crash cut off
      (void)m_host.disk.remove(cat(challenge_dir(m_host.paths), "/", name));
  if (m_share.is_on())
    m_host.parts.sharing.engine->follow(std::string(k_shared_prefix), [follower = m_follower] {
      const std::lock_guard lock(follower->mutex);
      if (follower->certificates != nullptr)
        follower->certificates->fleet_news();
    });
  if (auto begun = m_thread.start("tls", [this] { loop(); }); !begun)
    log::error(cat(
        "tls: no certificate is ordered until chillboxd starts again: ", begun.error().message));
}

void Certificates::refresh() {
  if (m_host.store.sites_changed() != m_seen)
    fleet_changed();
}

void Certificates::fleet_changed() {
  const std::lock_guard lock(m_mutex);
  m_refresh = true;
  m_wake.notify_all();
}

void Certificates::fleet_news() {
  const std::lock_guard lock(m_mutex);
  m_fleet_news = true;
  m_wake.notify_all();
}

void Certificates::unlocked() {
  const std::lock_guard lock(m_mutex);
  m_unlocked = m_refresh = true;
  m_wake.notify_all();
}

void Certificates::ask_to_stop() {
  const std::lock_guard lock(m_mutex);
  m_stop = true;
  m_wake.notify_all();
}

void Certificates::stop() {
  ask_to_stop();
  m_thread.wait();
}

void Certificates::loop() {
  while (!m_stop) {
    (void)guarded("tls", [this] { tick(); });
    const auto next = next_ms();
    std::unique_lock lock(m_mutex);
    const auto is_asked = [this] {
      return m_stop || m_refresh || m_fleet_news || !m_asked.empty();
    };
    if (!next) {
      m_wake.wait(lock, is_asked);
      continue;
    }
    const os::Millis sleep{std::clamp<int64_t>(*next - now(), 1'000, k_longest_sleep.count())};
    m_wake.wait_for(lock, sleep, is_asked); // an event, or the next date
  }
}

std::optional<int64_t> Certificates::next_ms() {
  std::optional<int64_t> next;
  for (const auto& row : m_host.store.certificates().value_or(std::vector<store::Certificate>{}))
    if (row.next_ms > 0) {
      const auto held = m_held.find(row.id);
      const int64_t due = held == m_held.end() ? row.next_ms : std::max(row.next_ms, held->second);
      next = std::min(next.value_or(due), due);
    }
  const std::lock_guard work(m_work);
  if (m_more_news) {
    const int64_t due = now() + (*m_looked + k_news_pause - m_host.clock.mono()).count();
    next = std::min(next.value_or(due), due);
  }
  return next;
}

// Whether what is new in the fleet's engine is read now; else a moment later.
bool Certificates::is_time_for(bool news) {
  m_more_news = m_more_news || news;
  const auto mono = m_host.clock.mono();
  if (!m_more_news || (m_looked && mono - *m_looked < k_news_pause))
    return false;
  m_looked = mono;
  m_more_news = false;
  m_share.answers_again();
  return true;
}

// A clock that was set while we slept moves what was planned by a time that passes; a certificate's
// own times are looked at again. No storm: what was far away stays so.
void Certificates::look_at_clock() {
  const int64_t offset = m_host.clock.wall_ms() - m_host.clock.mono().count();
  const int64_t step = offset - m_offset_ms;
  m_offset_ms = offset;
  const bool was_set = step > k_clock_step_ms || step < -k_clock_step_ms;
  for (const auto& row : m_host.store.certificates().value_or(std::vector<store::Certificate>{})) {
    if (row.next_ms == 0 || (!was_set && row.next_ms < now() + k_too_far_ms))
      continue;
    Record record = read_record(row);
    if (record.state == State::valid || record.next_ms + step > now() + k_too_far_ms) {
      record.facts.ari_ms = 0;
      record.next_ms = now() + k_clock_step_ms;
    } else {
      record.next_ms += step;
    }
    save(record);
  }
}

void Certificates::tick() {
  const std::lock_guard work(m_work);
  look_at_clock();
  bool refresh = false, unlocked = false, news = false;
  {
    const std::lock_guard lock(m_mutex);
    refresh = std::exchange(m_refresh, false);
    unlocked = std::exchange(m_unlocked, false);
    news = std::exchange(m_fleet_news, false);
  }
  if (refresh)
    sync();
  if (unlocked)
    m_held.clear();
  if (m_share.is_on() && (refresh || is_time_for(news)))
    look_at_fleet();
  take_asked();
  auto rows = m_host.store.certificates();
  if (!rows)
    return log::error(cat("tls: ", rows.error().message));
  // Those without a certificate first, then by their turn: one at a time.
  std::ranges::stable_sort(*rows, {},
      [](const store::Certificate& row) { return std::pair(!row.chain.empty(), row.next_ms); });
  for (const auto& row : *rows) {
    if (m_stop)
      return;
    Record record = read_record(row);
    if (unlocked && record.facts.memory && record.served() && !m_files.exists(record))
      record.next_ms = now();
    if (record.next_ms == 0 || record.next_ms > now() || m_held[row.id] > now())
      continue;
    if (auto done = guarded(cat("certificate '", row.id, "'"), [&] { step(std::move(record)); });
        !done) { // an exception: not at once again
      record = read_record(row);
      record.next_ms = now() + delay_ms(Next::later, 1, row.id);
      save(record);
    }
    const auto after = m_host.store.certificate(row.id);
    const bool stands = !after || (*after && (*after)->next_ms != 0 && (*after)->next_ms <= now());
    m_held[row.id] = stands && !m_stop ? now() + k_hold_ms : 0; // its disk is full, say
  }
}

void Certificates::take_asked() {
  std::vector<std::string> asked;
  {
    const std::lock_guard lock(m_mutex);
    asked.swap(m_asked);
  }
  for (const auto& one : asked)
    for (const auto& row :
        m_host.store.certificates().value_or(std::vector<store::Certificate>{})) {
      Record record = read_record(row);
      const bool is_it = one == record.id || (!record.site.empty() && record.site == one);
      if (!is_it || !wanted_of(record.id).orders())
        continue;
      record.facts.bad.clear();                 // a person says that it is well now
      record.facts.renew_ms = now() - k_day_ms; // not after the fleet's other hosts
      record.facts.ari_ms = std::max(record.facts.ari_ms, now() + k_hour_ms); // nor as the CA says
      record.facts.unsure = 0;
      record.next_ms = now();
      save(record);
    }
}

// Of the state, and of how bad it is.
void Certificates::save(Record& record) {
  record.facts.alert = alert_of(record, now());
  if (auto written = m_host.store.put_certificate(row_of(record)); !written) {
    log::error(cat("certificate '", record.id, "': ", written.error().message));
    return;
  }
  const auto before =
      m_told.contains(record.id) ? m_told[record.id] : std::pair(State::off, AlertLevel::none);
  const std::pair is{record.state, record.facts.alert};
  m_told[record.id] = is;
  if (m_host.parts.changed)
    m_host.parts.changed();
  if (is == before || !m_host.parts.event)
    return;
  const auto& f = record.facts;
  m_host.parts.event({{"CHILLBOX_SITE", record.is_host() ? record.id : record.site},
      {"CHILLBOX_TLS_STATE", std::string(control::name(record.state))},
      {"CHILLBOX_TLS_BEFORE", std::string(control::name(before.first))},
      {"CHILLBOX_TLS_ALERT", std::string(control::name(f.alert))},
      {"CHILLBOX_TLS_NAMES", join(f.names.empty() ? record.wanted : f.names, " ")},
      {"CHILLBOX_TLS_UNTIL", f.not_after_ms == 0 ? "" : rfc3339(f.not_after_ms / 1000)},
      {"CHILLBOX_TLS_PROBLEM", f.problem}});
}

Wanted Certificates::wanted_of(const std::string& id) const {
  const auto found = m_wanted.find(id);
  return found == m_wanted.end() ? Wanted{.mode = "off", .why_not = "it is not wanted"}
                                 : found->second;
}

} // namespace chillbox::tls
