#include "tls/record.hpp"

#include "tls/json.hpp"

#include <nlohmann/json.hpp>

#include <map>
#include <mutex>

namespace chillbox::tls {
namespace {

constexpr size_t k_max_json = 4 * 1024 * 1024;
constexpr size_t k_most = 1'000;

Json json_of(const std::string& text) {
  auto json = parse_json(text.empty() ? "{}" : text, k_max_json);
  return json ? std::move(*json) : Json::object();
}

Pending read_pending(const Json& j) {
  return {.names = texts_in(j, "names", k_most),
      .key = text_in(j, "key"),
      .chain = text_in(j, "chain"),
      .order_url = text_in(j, "order_url"),
      .profile = text_in(j, "profile"),
      .by = text_in(j, "by")};
}

Json json_of(const Pending& p) {
  return {{"names", p.names}, {"key", p.key}, {"chain", p.chain}, {"order_url", p.order_url},
      {"profile", p.profile}, {"by", p.by}};
}

// Most have no order under way. One that has is read each time: there is a key in it, which is for
// as few places as can be.
Pending pending_of(const std::string& text) {
  static const std::string k_none = dump(json_of(Pending{}));
  return text == k_none ? Pending{} : read_pending(json_of(text));
}

void read_bad(const Json& j, Facts& facts) {
  for (const auto& [name, one] : member(j, "bad").items()) {
    BadName bad{.days = {}, .why = text_in(one, "why"), .ours = flag_in(one, "ours")};
    for (const auto& day : member(one, "days"))
      if (day.is_number_integer())
        bad.days.push_back(day.get<int64_t>());
    facts.bad.emplace(name, std::move(bad));
  }
  for (const auto& [name, why] : member(j, "plain").items())
    facts.plain.emplace(name, why.is_string() ? why.get<std::string>() : std::string());
}

void read_probes(const Json& j, Facts& facts) {
  for (const auto& one : member(j, "probes"))
    facts.probes.push_back({.name = text_in(one, "name"),
        .address = text_in(one, "address"),
        .good = flag_in(one, "good"),
        .text = text_in(one, "text"),
        .time_ms = time_ms_in(one, "time_ms")});
}

// The members that are one value, once for both ways.
template <class F, class Visit> void each_text(F& f, Visit visit) {
  visit("mode", f.mode);
  visit("challenge", f.challenge);
  visit("dns", f.dns);
  visit("profile", f.profile);
  visit("issuer", f.issuer);
  visit("sha256", f.sha256);
  visit("sealed_key", f.sealed_key);
  visit("explanation", f.explanation);
  visit("problem", f.problem);
  visit("problem_type", f.problem_type);
  visit("link", f.link);
  visit("by", f.by);
  visit("claim", f.claim);
}
template <class F, class Visit> void each_time(F& f, Visit visit) {
  visit("not_before_ms", f.not_before_ms);
  visit("not_after_ms", f.not_after_ms);
  visit("https_ms", f.https_ms);
  visit("renew_ms", f.renew_ms);
  visit("ari_ms", f.ari_ms);
  visit("failing_ms", f.failing_ms);
  visit("off_until_ms", f.off_until_ms);
  visit("alone_ms", f.alone_ms);
}
template <class F, class Visit> void each_flag(F& f, Visit visit) {
  visit("memory", f.memory);
  visit("no_replaces", f.no_replaces);
  visit("no_profile", f.no_profile);
  visit("shared", f.shared);
  visit("unshared", f.unshared);
}

Facts read_facts(const Json& j) {
  Facts facts;
  each_text(facts, [&](const char* name, std::string& to) { to = text_in(j, name); });
  each_time(facts, [&](const char* name, int64_t& to) { to = time_ms_in(j, name); });
  each_flag(facts, [&](const char* name, bool& to) { to = flag_in(j, name); });
  facts.names = texts_in(j, "names", k_most);
  facts.failures = number_in(j, "failures");
  facts.unsure = number_in(j, "unsure");
  facts.alert = control::named<AlertLevel>(text_in(j, "alert"));
  if (facts.alert == AlertLevel::unknown)
    facts.alert = AlertLevel::none;
  read_bad(j, facts);
  read_probes(j, facts);
  return facts;
}

// What was read last of each: who looks at all of them does so often, and few have changed.
class KnownFacts {
public:
  Facts of(const std::string& id, const std::string& text) {
    const std::scoped_lock lock(m_mutex);
    if (m_known.size() > k_kept)
      m_known.clear(); // those of certificates that are gone
    Known& known = m_known[id];
    if (known.text != text)
      known = {text, read_facts(json_of(text))};
    return known.facts;
  }

private:
  static constexpr size_t k_kept = 1'000;
  struct Known {
    std::string text;
    Facts facts;
  };
  std::mutex m_mutex;
  std::map<std::string, Known> m_known;
};

KnownFacts& known_facts() {
  static KnownFacts all;
  return all;
}

Json json_of(const Facts& facts) {
  Json j{{"names", facts.names}, {"failures", facts.failures}, {"unsure", facts.unsure},
      {"alert", std::string(control::name(facts.alert))}};
  each_text(facts, [&](const char* name, const std::string& value) { j[name] = value; });
  each_time(facts, [&](const char* name, const int64_t& value) { j[name] = value; });
  each_flag(facts, [&](const char* name, const bool& value) { j[name] = value; });
  j["bad"] = Json::object();
  for (const auto& [name, bad] : facts.bad)
    j["bad"][name] = {{"days", bad.days}, {"why", bad.why}, {"ours", bad.ours}};
  j["plain"] = facts.plain;
  j["probes"] = Json::array();
  for (const auto& p : facts.probes)
    j["probes"].push_back({{"name", p.name}, {"address", p.address}, {"good", p.good},
        {"text", p.text}, {"time_ms", p.time_ms}});
  return j;
}

} // namespace

Record read_record(const store::Certificate& row) {
  return {.id = row.id,
      .site = row.site,
      .state = control::named<State>(row.state),
      .next_ms = row.next_ms,
      .wanted = row.wanted,
      .chain = row.chain,
      .key = row.key,
      .pending = pending_of(row.pending),
      .facts = known_facts().of(row.id, row.facts)};
}

store::Certificate row_of(const Record& r) {
  return {.id = r.id,
      .site = r.site,
      .state = std::string(control::name(r.state)),
      .next_ms = r.next_ms,
      .wanted = r.wanted,
      .chain = r.chain,
      .key = r.key,
      .pending = dump(json_of(r.pending)),
      .facts = dump(json_of(r.facts))};
}

AlertLevel alert_of(const Record& record, int64_t now_ms) {
  const Facts& f = record.facts;
  if (!record.served() || f.not_after_ms <= f.not_before_ms)
    return AlertLevel::none;
  if (now_ms >= f.not_after_ms)
    return AlertLevel::expired;
  const int64_t life = f.not_after_ms - f.not_before_ms, left = f.not_after_ms - now_ms;
  constexpr int64_t k_part =
      30; // of its life: a day and a half of 45. What fails for less may mend
  if (f.failing_ms == 0 || left >= life / 3 || now_ms - f.failing_ms < life / k_part)
    return AlertLevel::none;
  return left < life / 6 ? AlertLevel::error : AlertLevel::warning;
}

} // namespace chillbox::tls
