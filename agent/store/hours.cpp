#include "store/hours.hpp"

#include "base/text.hpp"
#include "store/store_internal.hpp"

#include <algorithm>

namespace chillbox::store {
namespace {

// "12 0 3", in the order of the bounds.
std::string text_of(const std::vector<uint64_t>& times) {
  std::string text;
  for (const uint64_t count : times)
    text += cat(text.empty() ? "" : " ", count);
  return text;
}

std::vector<uint64_t> times_of(std::string_view text) {
  std::vector<uint64_t> times;
  if (!text.empty())
    for (const auto word : split(text, ' '))
      times.push_back(parse_u64(word).value_or(0));
  return times;
}

Result<SiteHour> read_hour(Stmt& row) {
  return SiteHour{.site = row.text(0),
      .hour = row.i64(1),
      .requests = row.u64(2),
      .errors = row.u64(3),
      .sent = row.u64(4),
      .cpu_ms = row.u64(5),
      .memory = row.u64(6),
      .times = times_of(row.text(7))};
}

} // namespace

SiteHour& SiteHour::operator+=(const SiteHour& more) {
  requests += more.requests;
  errors += more.errors;
  sent += more.sent;
  cpu_ms += more.cpu_ms;
  memory = std::max(memory, more.memory);
  times.resize(std::max(times.size(), more.times.size()));
  for (size_t i = 0; i < more.times.size(); ++i)
    times[i] += more.times[i];
  return *this;
}

Result<void> add_hours(Store& store, const std::vector<SiteHour>& hours) {
  if (hours.empty())
    return {};
  auto& state = store.state();
  const std::scoped_lock lock(state.mutex);
  const Relaxed relaxed(state.db);
  Db& db = state.db;
  Txn txn = TRY(Txn::begin(db));
  int64_t newest = 0;
  for (const auto& more : hours) {
    const auto before = TRY(db.one<SiteHour>(
        "SELECT site, hour, requests, errors, sent, cpu_ms, memory, times FROM hours"
        " WHERE site = ?1 AND hour = ?2",
        read_hour, more.site, more.hour));
    SiteHour sum = before.value_or(SiteHour{.site = more.site, .hour = more.hour, .times = {}});
    sum += more;
    TRY(db.run("INSERT OR REPLACE INTO hours SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8"
               " WHERE EXISTS (SELECT 1 FROM sites WHERE site = ?1)",
        sum.site, sum.hour, sum.requests, sum.errors, sum.sent, sum.cpu_ms, sum.memory,
        text_of(sum.times)));
    newest = std::max(newest, sum.hour);
  }
  TRY(db.run("DELETE FROM hours WHERE hour <= ?1", newest - k_hours_kept));
  return txn.commit();
}

Result<std::vector<SiteHour>> hours_since(Store& store, int64_t hour) {
  auto& state = store.state();
  const std::scoped_lock lock(state.mutex);
  return state.db.all<SiteHour>(
      "SELECT site, hour, requests, errors, sent, cpu_ms, memory, times FROM hours"
      " WHERE hour >= ?1 ORDER BY site, hour",
      read_hour, hour);
}

} // namespace chillbox::store
