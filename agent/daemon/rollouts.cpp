#include "daemon/rollouts.hpp"

#include "base/log.hpp"
#include "base/text.hpp"
#include "daemon/rollout_walk.hpp"

#include <algorithm>
#include <chrono>

namespace chillbox::daemon {
namespace {

using control::EngineCondition;
using rollout::OrderFile;
using rollout::TakenOrder;

constexpr std::string_view k_orders = "orders/";
constexpr int64_t k_hour_ms = 3'600'000;
constexpr size_t k_most_recorded = 1000;       // things, of which the last refusal is known
constexpr std::chrono::seconds k_try_again{5}; // the engine, which did not answer

// The text without its serial.
std::string_view order_in(std::string_view value) {
  const auto line = value.find('\n');
  return line == std::string_view::npos ? std::string_view() : value.substr(line + 1);
}

bool names(const control::RolloutOrder& order, const std::string& host) {
  return std::ranges::any_of(order.batches,
      [&](const auto& batch) { return std::ranges::find(batch.hosts, host) != batch.hosts.end(); });
}

} // namespace

std::string order_key(const std::string& site) {
  return cat(k_orders, site);
}
std::string stop_key(const control::RolloutOrder& order) {
  return cat("stops/", order.site, "/", control::serial_text(order.serial));
}
std::string slots_key(const std::string& site) {
  return cat("slots/", site, "/");
}
std::string slot_key(const std::string& site, uint64_t number) {
  return cat(slots_key(site), number);
}
std::string reports_key(const control::RolloutOrder& order) {
  return cat("reports/", order.site, "/", control::serial_text(order.serial), "/");
}

void Rollouts::begin(control::Engine* engine) {
  m_engine = engine;
  if (m_engine == nullptr)
    return;
  for (const auto& site : rollout::ordered_sites(m_host).value_or(std::vector<SiteName>{}))
    walk(site);
  for (const auto prefix : {k_orders, std::string_view("reports/"), std::string_view("stops/"),
           std::string_view("slots/")})
    follow(std::string(prefix));
  m_wake->read = true;
  if (auto begun = m_threads.start("orders of rollouts", [this] { read_orders(); }); !begun)
    log::error(cat("orders of rollouts are not read: ", begun.error().message));
}

void Rollouts::follow(const std::string& prefix) {
  m_engine->follow(prefix, [wake = m_wake, orders = prefix == k_orders] {
    const std::lock_guard lock(wake->mutex);
    wake->read = wake->read || orders;
    ++wake->change.engine;
    ++wake->change.any;
    wake->woken.notify_all();
  });
}

void Rollouts::look() {
  const std::lock_guard lock(m_wake->mutex);
  ++m_wake->change.any;
  m_wake->woken.notify_all();
}

void Rollouts::trust() {
  const std::lock_guard lock(m_wake->mutex);
  m_wake->read = true;
  ++m_wake->change.engine; // what did not verify may, and the other way round
  ++m_wake->change.any;
  m_wake->woken.notify_all();
}

void Rollouts::ask_to_stop() {
  m_stopping = true;
  look();
}

void Rollouts::stop() {
  ask_to_stop();
  m_threads.wait();
}

Rollouts::Change Rollouts::changes() {
  const std::lock_guard lock(m_wake->mutex);
  return m_wake->change;
}

void Rollouts::wait(const Change& since, int64_t until_ms) {
  std::unique_lock lock(m_wake->mutex);
  const auto woken = [&] { return m_stopping || m_wake->change.any != since.any; };
  if (until_ms == 0)
    return m_wake->woken.wait(lock, woken);
  const auto left = std::max<int64_t>(0, until_ms - m_host.clock.wall_ms());
  (void)m_wake->woken.wait_for(lock, os::Millis(left), woken); // a time of the order's, or a retry
}

std::optional<TakenOrder> Rollouts::newer(const SiteName& site) {
  const std::lock_guard lock(m_wake->mutex);
  const auto found = m_newer.find(site.str());
  return found == m_newer.end() ? std::nullopt : std::optional(found->second);
}

void Rollouts::forget_newer(const TakenOrder& taken) {
  const std::lock_guard lock(m_wake->mutex);
  const auto found = m_newer.find(taken.order.site);
  if (found != m_newer.end() && found->second.digest == taken.digest)
    m_newer.erase(found);
}

bool Rollouts::has_newer(const SiteName& site) {
  const std::lock_guard lock(m_wake->mutex);
  return m_newer.contains(site.str());
}

void Rollouts::took_slot(const SiteName& site) {
  const std::lock_guard lock(m_slots_mutex);
  m_slots.insert(site.str());
}

void Rollouts::gave_slot(const SiteName& site) {
  const std::lock_guard lock(m_slots_mutex);
  if (m_slots.erase(site.str()) > 0 && m_slots.empty())
    m_engine->release();
}

void Rollouts::record(const std::string& site, const std::string& what, const Error& error) {
  {
    const std::lock_guard lock(m_wake->mutex);
    const int64_t hour = m_host.clock.wall_ms() / k_hour_ms;
    if (std::exchange(m_records_hour, hour) != hour)
      m_records = 0;
    const auto before = m_recorded.find(cat(site, " ", what));
    if ((before != m_recorded.end() && before->second == error.message) ||
        m_records >= k_most_records)
      return;
    if (++m_records == k_most_records)
      log::warn("rollouts: no more refusals of what the engine has are recorded in this hour");
    if (m_recorded.size() >= k_most_recorded)
      m_recorded.clear();
    m_recorded[cat(site, " ", what)] = error.message;
  }
  log::warn(cat("rollout of '", site, "': ", what, ": ", error.message));
  (void)m_host.store.audit({0, m_host.clock.wall_ms(), "fleet engine", "rollout", site,
      cat(what, ": ", error.message), std::string(code_name(error.code))});
}

void Rollouts::read_orders() {
  while (!m_stopping) {
    {
      std::unique_lock lock(m_wake->mutex);
      m_wake->woken.wait(lock, [&] { return m_stopping || m_wake->read; });
      m_wake->read = false;
    }
    if (!m_stopping)
      read_all();
  }
}

void Rollouts::read_all() {
  const auto orders = m_engine->read(k_orders, k_engine_wait);
  if (!orders) {
    std::unique_lock lock(m_wake->mutex);
    (void)m_wake->woken.wait_for(lock, k_try_again, [&] { return m_stopping.load(); });
    m_wake->read = true;
    return;
  }
  for (const auto& one : *orders) {
    const auto site = SiteName::parse(std::string_view(one.key).substr(k_orders.size()));
    if (!site)
      continue;
    if (const auto taken = accept(*site, std::string(order_in(one.text))); !taken)
      record(site->str(), "order", taken.error());
  }
}

// Another one than the newest that this host knows, which it takes if it may.
Result<void> Rollouts::accept(const SiteName& site, const std::string& text) {
  const auto file = TRY(rollout::read_order_file(m_host, site));
  uint64_t newest = file ? file->taken.order.serial : 0;
  if (file && control::signed_order_text(file->taken.text) == text)
    return {};
  {
    const std::lock_guard lock(m_wake->mutex);
    if (const auto found = m_newer.find(site.str()); found != m_newer.end()) {
      if (control::signed_order_text(found->second.text) == text)
        return {};
      newest = std::max(newest, found->second.order.serial);
    }
  }
  auto taken = TRY(rollout::check_order(m_host, site, text, newest));
  log::info(cat("rollout of '", site.str(), "': order ", taken.order.serial, " of ",
      taken.order.version, ", signed by ", taken.signer));
  {
    const std::lock_guard lock(m_wake->mutex);
    m_newer.insert_or_assign(site.str(), std::move(taken));
    ++m_wake->change.any;
    m_wake->woken.notify_all();
  }
  walk(site);
  return {};
}

// If it does not walk already.
void Rollouts::walk(const SiteName& site) {
  {
    const std::lock_guard lock(m_wake->mutex);
    if (std::exchange(m_walking[site.str()], true))
      return;
  }
  auto begun = m_threads.start("rollout", [this, site] {
    for (bool more = true; more && !m_stopping;) {
      RolloutWalk(*this, site).run();
      const std::lock_guard lock(m_wake->mutex); // an order may have come since it ended
      more = m_newer.contains(site.str());
      m_walking[site.str()] = more;
    }
  });
  if (begun)
    return;
  log::error(cat("rollout of '", site.str(), "': ", begun.error().message));
  const std::lock_guard lock(m_wake->mutex);
  m_walking[site.str()] = false;
}

Result<Rollouts::Heard> Rollouts::hear(const TakenOrder& taken) {
  const auto fleet = TRY(rollout::fleet_of(m_host));
  const std::string prefix = reports_key(taken.order);
  Heard heard;
  for (const auto& one : TRY(m_engine->read(prefix, k_engine_wait))) {
    const std::string host = one.key.substr(prefix.size());
    if (!names(taken.order, host))
      continue;
    auto report = rollout::check_report(fleet, taken, host, one.text);
    if (report)
      heard.reports[host] = std::move(*report);
    else
      record(taken.order.site, cat("report ", printable(host, 80)), report.error());
  }
  const std::string stop = stop_key(taken.order);
  for (const auto& one : TRY(m_engine->read(stop, k_engine_wait)))
    if (one.key == stop)
      heard.stop = control::parse_stop(one.text);
  return heard;
}

Result<control::OrderTaken> Rollouts::take(const SiteName& site, const std::string& given) {
  const std::string text = control::signed_order_text(TRY(control::parse_signed_order(given)));
  const auto file = TRY(rollout::read_order_file(m_host, site));
  const bool same = file && control::signed_order_text(file->taken.text) == text;
  const auto taken =
      TRY(rollout::check_order(m_host, site, text, file && !same ? file->taken.order.serial : 0));
  if (m_host.clock.wall_ms() >= taken.order.deadline_ms)
    return fail(Code::denied, "order: its deadline has passed");
  const std::string key = order_key(site.str()), serial = control::serial_text(taken.order.serial);
  const std::string value = cat(serial, "\n", control::signed_order_text(taken.text));
  std::string found;
  for (const auto kind : {EngineCondition::Kind::less, EngineCondition::Kind::absent}) {
    const auto change = TRY(m_engine->change(
        {{.kind = kind, .key = key, .text = serial}}, {{key, value}}, k_engine_wait));
    if (change.made)
      return control::OrderTaken{site.str(), taken.order.serial, true};
    found = change.found;
  }
  if (found == value)
    return control::OrderTaken{site.str(), taken.order.serial, false};
  const auto other = rollout::check_order(m_host, site, order_in(found), 0);
  return fail(Code::conflict,
      other ? cat("order ", other->order.serial, " of '", site.str(), "', for version ",
                  other->order.version, " and signed by ", other->signer, ", is not older than ",
                  taken.order.serial, ": chillboxctl rollout run makes a newer one")
            : cat("the engine has an order that counts for nothing and is not older than ",
                  taken.order.serial, " (", other.error().message, "): remove orders/", site.str(),
                  " in it"));
}

Result<OrderFile> Rollouts::known(const SiteName& site) {
  if (m_engine == nullptr)
    return fail(Code::conflict,
        "this host has no engine, so that no host walks a rollout: [fleet] in chillboxd.toml");
  auto file = TRY(rollout::read_order_file(m_host, site));
  if (!file)
    return fail(Code::not_found,
        cat("no rollout of '", site.str(), "' was ordered: chillboxctl rollout run"));
  return std::move(*file);
}

Result<control::OrderedRollout> Rollouts::row(const OrderFile& file) {
  const auto& order = file.taken.order;
  const auto heard = TRY(hear(file.taken));
  return control::OrderedRollout{order.site, order.version, order.fleet, order.serial,
      file.taken.signer, "", heard.stop, order.on_failure, order.deadline_ms,
      rollout::is_over(order, heard.reports, m_host.clock.wall_ms()),
      rollout::rows_of(order, heard.reports)};
}

Result<std::vector<control::OrderedRollout>> Rollouts::all(const Wanted& wanted) {
  std::vector<control::OrderedRollout> rows;
  if (m_engine == nullptr)
    return rows;
  for (const auto& site : TRY(rollout::ordered_sites(m_host))) {
    if (!wanted(site))
      continue;
    const auto file = known(site);
    if (file)
      rows.push_back(TRY(row(*file)));
    else
      rows.push_back({.site = site.str(), .problem = file.error().message});
  }
  return rows;
}

Result<void> Rollouts::stop_site(const SiteName& site, const control::RolloutStop& stop) {
  const auto file = TRY(known(site));
  if (TRY(row(file)).ended)
    return fail(Code::conflict, "it has ended");
  const std::string key = stop_key(file.taken.order);
  (void)TRY(m_engine->change({{.kind = EngineCondition::Kind::absent, .key = key}},
      {{.key = key, .text = control::stop_text(stop), .kept = k_said_kept}}, k_engine_wait));
  return {};
}

Result<void> Rollouts::resume(const SiteName& site) {
  const auto file = TRY(known(site));
  const auto now = TRY(row(file));
  if (now.ended)
    return fail(Code::conflict, "it has ended: chillboxctl rollout run begins another one");
  (void)TRY(m_engine->change(
      {}, {{.key = stop_key(file.taken.order), .text = {}, .removes = true}}, k_engine_wait));
  return {};
}

} // namespace chillbox::daemon
