#include "tls/problem.hpp"

#include "base/text.hpp"
#include "base/time.hpp"

#include <algorithm>
#include <array>
#include <functional>

namespace chillbox::tls {
namespace {

struct Row {
  std::string_view type;
  Next next;
  std::string_view remedy = "";
};
constexpr std::array k_table{
    Row{"connection", Next::retry, "open port 80 to the world, for IPv4 and IPv6"},
    Row{"dns", Next::retry, "correct the name's records"},
    Row{"unauthorized", Next::retry, "`chillboxctl tls check SITE` shows what answers"},
    Row{"incorrectResponse", Next::retry, "`chillboxctl tls check SITE` shows what answers"},
    Row{"tls", Next::retry},
    Row{"rateLimited", Next::later},
    Row{"serverInternal", Next::soon},
    Row{"network", Next::soon, "the CA is not reached from this host"},
    Row{"deadline", Next::soon},
    Row{"badNonce", Next::soon},
    Row{"local", Next::soon},
    Row{"interrupted", Next::soon},
    Row{"orderNotReady", Next::new_order},
    Row{"alreadyReplaced", Next::without_replaces},
    Row{"invalidProfile", Next::without_profile},
    Row{"accountDoesNotExist", Next::register_again},
    Row{"caa", Next::attention, "a CAA record of the name forbids this CA: change it"},
    Row{"rejectedIdentifier", Next::attention, "this CA does not certify that name"},
    Row{"unsupportedIdentifier", Next::attention, "this CA does not certify that name"},
    Row{"externalAccountRequired", Next::attention,
        "set tls.eab_kid and tls.eab_key_file in chillboxd.toml"},
    Row{"userActionRequired", Next::attention, "open the CA's link"},
    Row{"badPublicKey", Next::attention},
    Row{"badCSR", Next::attention},
    Row{"invalidContact", Next::attention, "correct tls.contact in chillboxd.toml"},
    Row{"unsupportedContact", Next::attention, "correct tls.contact in chillboxd.toml"},
};

const Row* row_of(const std::string& type) {
  const auto row = std::ranges::find(k_table, type, &Row::type);
  return row == k_table.end() ? nullptr : &*row;
}

bool says(const Problem& problem, std::string_view words) {
  return problem.detail.find(words) != std::string::npos;
}

// A name that failed a thousand times, until somebody opens a link.
bool is_paused(const Problem& problem) {
  return problem.type == "rateLimited" &&
      (says(problem, "paused") || says(problem, "temporarily prevented"));
}

// The account's own, not a challenge that failed: the detail of that one quotes what a page of a
// site says.
bool is_of_account(const Problem& problem) {
  return problem.type == "unauthorized" && says(problem, "account") && problem.identifier.empty() &&
      problem.parts.empty();
}

// Of an order: what it is about, if that is not the order itself.
const std::string& type_of(const Problem& problem) {
  return problem.type == "compound" && !problem.parts.empty() ? problem.parts.front().type
                                                              : problem.type;
}

bool counts(const store::CertificateOrder& order, const std::string& id, int64_t since_ms) {
  return (id.empty() || order.certificate == id) && order.time_ms > since_ms;
}

} // namespace

Next next_of(const Problem& problem) {
  if (is_paused(problem))
    return Next::attention;
  if (is_of_account(problem))
    return Next::register_again;
  const Row* row = row_of(type_of(problem));
  if (row != nullptr)
    return row->next;
  return problem.status >= 500 ? Next::soon : Next::retry;
}

std::string_view remedy_of(const Problem& problem) {
  if (is_paused(problem))
    return "open the CA's link to have the name unpaused";
  const Row* row = row_of(type_of(problem));
  return row == nullptr ? std::string_view() : row->remedy;
}

int64_t delay_ms(Next next, uint64_t failures, std::string_view spread) {
  constexpr std::array<int64_t, 3> k_retries{k_minute_ms, 10 * k_minute_ms, 100 * k_minute_ms};
  const uint64_t n = std::max<uint64_t>(failures, 1) - 1;
  int64_t delay = 0;
  switch (next) {
  case Next::retry: delay = n < k_retries.size() ? k_retries[n] : k_day_ms; break;
  case Next::later: delay = k_hour_ms; break;
  case Next::soon: delay = std::min(k_minute_ms << std::min<uint64_t>(n, 9), 6 * k_hour_ms); break;
  case Next::attention: delay = k_day_ms; break;
  case Next::new_order: delay = k_minute_ms; break;
  default: return 0;
  }
  const auto part = std::hash<std::string_view>{}(spread) % 100;
  return delay + delay / 1'000 * static_cast<int64_t>(part);
}

int64_t waiting_ms(uint64_t rounds) {
  constexpr std::array<int64_t, 4> k_rounds{1, 5, 15, 60};
  return k_rounds[std::min<uint64_t>(std::max<uint64_t>(rounds, 1) - 1, 3)] * k_minute_ms;
}

int64_t renewal_ms(int64_t not_before_ms, int64_t not_after_ms) {
  const int64_t life = not_after_ms - not_before_ms;
  return life < 10 * k_day_ms ? not_before_ms + life / 2 : not_before_ms + life / 3 * 2;
}

std::optional<Budget> over_budget(const std::vector<store::CertificateOrder>& orders,
    const std::string& id, const std::vector<std::string>& names, bool exempt, int64_t now_ms) {
  constexpr size_t k_failures = 3, k_orders = 250, k_same = 4; // of 5, 300 and 5
  std::vector<int64_t> failed, all, same;
  for (const auto& order : orders) {
    const bool good = order.outcome == "issued" || order.outcome == "boot";
    if (!good && order.outcome != "interrupted" && counts(order, id, now_ms - k_hour_ms))
      failed.push_back(order.time_ms);
    if (counts(order, "", now_ms - 3 * k_hour_ms))
      all.push_back(order.time_ms);
    if (good && order.names == names && counts(order, "", now_ms - 7 * k_day_ms))
      same.push_back(order.time_ms);
  }
  if (failed.size() >= k_failures)
    return Budget{failed[failed.size() - k_failures] + k_hour_ms,
        cat(k_failures, " orders failed within an hour, and a CA blocks names after 5")};
  if (all.size() >= k_orders)
    return Budget{all[all.size() - k_orders] + 3 * k_hour_ms,
        cat(k_orders, " orders were made within three hours, and a CA takes 300")};
  if (!exempt && same.size() >= k_same)
    return Budget{same[same.size() - k_same] + 7 * k_day_ms,
        cat(k_same, " certificates of these names were issued within a week, and a CA issues 5")};
  return std::nullopt;
}

std::optional<Budget> over_boot_budget(
    const std::vector<store::CertificateOrder>& orders, const std::string& id, int64_t now_ms) {
  constexpr size_t k_boots = 3;
  std::vector<int64_t> boots;
  for (const auto& order : orders)
    if (order.outcome == "boot" && counts(order, id, now_ms - 7 * k_day_ms))
      boots.push_back(order.time_ms);
  if (boots.size() < k_boots)
    return std::nullopt;
  return Budget{boots[boots.size() - k_boots] + 7 * k_day_ms,
      "three certificates were issued within a week because the key is kept in memory only: `chillboxctl unlock` brings it back"};
}

} // namespace chillbox::tls
