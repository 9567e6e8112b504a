#include "tls/share.hpp"

#include "base/encoding.hpp"
#include "base/text.hpp"
#include "base/time.hpp"
#include "crypto/age.hpp"
#include "crypto/hash.hpp"
#include "tls/json.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace chillbox::tls {
namespace {

using control::EngineCondition;
using control::EngineWrite;

constexpr std::chrono::milliseconds k_engine_wait{5'000};
constexpr std::chrono::seconds k_claim_kept{600}, k_failure_kept{900}, k_issued_kept{7 * 24 * 3600};
constexpr size_t k_max_bundle = 64 * 1024, k_most_shared_names = 100, k_max_claim_text = 4096;
constexpr size_t k_max_claim_problem = 1000;
constexpr int64_t k_away_ms = 30'000;
constexpr int64_t k_clocks_apart_ms = 10 * k_minute_ms; // of two hosts

std::string hash_of(const Record& record) {
  auto names = record.wanted;
  std::ranges::sort(names);
  return crypto::sha256_of(bytes_of(join(names, "\n"))).str().substr(0, 32);
}

std::string bundle_key(const Record& record) {
  return cat(k_shared_prefix, record.site, "/", hash_of(record));
}

std::string claim_key(const Record& record) {
  return cat("claims/", record.site, "/certs/", hash_of(record));
}

IssueClaim read_claim(const control::EngineValue& value) {
  const auto json = parse_json(value.text, k_max_claim_text);
  const Json none;
  const Json& of = json ? *json : none;
  return {.text = value.text,
      .host = printable(text_in(of, "host"), 80),
      .problem = printable(text_in(of, "problem"), k_max_claim_problem),
      .fence = value.fence};
}

Result<std::string> sealed_to(const SharingHosts& hosts, std::string_view text) {
  Bytes out;
  auto writer =
      TRY(crypto::AgeWriter::to_recipients(hosts.recipients(), [&](ByteView bytes) -> Result<void> {
        out.insert(out.end(), bytes.begin(), bytes.end());
        return {};
      }));
  TRY(writer.write(bytes_of(text)));
  TRY(writer.finish());
  return base64(out);
}

} // namespace

size_t SharingHosts::place() const {
  return static_cast<size_t>(std::ranges::find(all, me, &SharingHost::name) - all.begin());
}

bool SharingHosts::has(std::string_view name) const {
  return std::ranges::find(all, name, &SharingHost::name) != all.end();
}

std::vector<std::string> SharingHosts::names() const {
  std::vector<std::string> out;
  for (const auto& host : all)
    out.push_back(host.name);
  return out;
}

std::vector<std::string> SharingHosts::recipients() const {
  std::vector<std::string> out;
  for (const auto& host : all)
    out.push_back(host.recipient);
  return out;
}

Result<SharingHosts> sharing_hosts(
    const control::Roster& roster, const std::string& me, std::string_view site) {
  const bool balanced = std::ranges::find(roster.balanced, site, &control::BalancedSite::site) !=
      roster.balanced.end();
  SharingHosts out{.me = me, .all = {}};
  for (const auto& one : roster.hosts)
    if (one.balances() == balanced)
      out.all.push_back({one.name, one.recipient});
  if (!out.has(me))
    return fail(Code::not_found, cat("'", site, "' is not shared with this host"));
  if (roster.by_name(me)->report_key.empty())
    return fail(
        Code::denied, "the roster has no report key of this host: chillboxctl fleet rotate");
  return out;
}

std::string Share::claim_text(std::string_view host, std::string_view problem) {
  return dump(Json{{"host", host}, {"id", random_token(16)},
      {"problem", printable(problem, k_max_claim_problem)}});
}

// Whose it is says the text, and whether it is so the signature.
Result<Bundle> Share::read_bundle(
    const std::string& key, const std::string& text, const SharingHosts& hosts) const {
  const auto outer = TRY_IN("certificate of the fleet", parse_json(text, k_max_bundle));
  const auto inner =
      TRY_IN("certificate of the fleet", parse_json(text_in(outer, "report"), k_max_bundle));
  const std::string host = text_in(inner, "host");
  if (!hosts.has(host))
    return fail(Code::denied,
        cat("certificate of '", printable(host, 80),
            "': that host of the fleet does not have this site"));
  const auto json = TRY(parse_json(TRY(m_with.text_of(host, text)), k_max_bundle));
  Bundle bundle{.key = text_in(json, "key"),
      .host = text_in(json, "host"),
      .names = texts_in(json, "names", k_most_shared_names),
      .to = texts_in(json, "to", k_most_shared_names),
      .sha256 = text_in(json, "sha256"),
      .not_before_ms = time_ms_in(json, "not_before_ms"),
      .sealed = text_in(json, "sealed")};
  if (bundle.key != key || bundle.host != host)
    return fail(Code::denied,
        cat("certificate of '", host, "': it signed that for other names or another host"));
  return bundle;
}

Result<FleetView> Share::read(const Record& record, SharingHosts hosts) const {
  FleetView view;
  const std::string key = bundle_key(record), claims = claim_key(record);
  for (const auto& value : TRY(m_with.engine->read(key, k_engine_wait))) {
    if (value.key != key)
      continue;
    auto bundle = read_bundle(key, value.text, hosts);
    if (bundle)
      view.bundle = std::move(*bundle);
    else
      view.refused = bundle.error().message;
  }
  const int64_t now = m_clock.wall_ms(), week_ago = now - 7 * k_day_ms;
  for (const auto& value : TRY(m_with.engine->read(claims, k_engine_wait))) {
    if (value.key == claims) {
      if (auto claim = read_claim(value); hosts.has(claim.host))
        view.claim = std::move(claim);
      continue;
    }
    const auto at = parse_u64(std::string_view(value.key).substr(claims.size() + 1));
    if (const auto ms = static_cast<int64_t>(at.value_or(0));
        ms > week_ago && ms <= now + k_clocks_apart_ms)
      view.issued_ms.push_back(ms);
  }
  std::ranges::sort(view.issued_ms);
  view.hosts = std::move(hosts);
  return view;
}

std::optional<FleetView> Share::look(const Record& record) {
  auto hosts = m_with.hosts(record.site);
  if (!hosts && hosts.error().code == Code::not_found)
    return std::nullopt;
  if (!hosts)
    return FleetView{.problem = hosts.error().message, .refused = {}};
  if (m_away_ms == 0 || m_clock.wall_ms() - m_away_ms > k_away_ms) {
    auto view = read(record, *hosts);
    if (view)
      return std::move(*view);
    m_away_ms = m_clock.wall_ms();
    m_away = view.error().message;
  }
  return FleetView{.problem = m_away, .refused = {}, .hosts = std::move(*hosts)};
}

Result<IssueClaim> Share::claim(
    const Record& record, const SharingHosts& hosts, const std::string& text) const {
  const std::string key = claim_key(record);
  for (const bool last : {false, true}) {
    const auto taken =
        TRY(m_with.engine->change({{.kind = EngineCondition::Kind::absent, .key = key}},
            {{.key = key, .text = text, .kept = k_claim_kept}}, k_engine_wait));
    if (taken.made)
      return IssueClaim{.text = text, .host = {}, .problem = {}, .fence = taken.fence};
    for (const auto& value : TRY(m_with.engine->read(key, k_engine_wait))) {
      if (value.key != key)
        continue;
      auto found = read_claim(value);
      if (hosts.has(found.host))
        return found;
      if (!last) // of no host that has the site
        (void)TRY(m_with.engine->change(
            {{.kind = EngineCondition::Kind::held, .key = key, .fence = found.fence}},
            {{.key = key, .text = {}, .removes = true}}, k_engine_wait));
    }
  }
  return fail(Code::unreachable, "the fleet's claim of this certificate changes while it is taken");
}

Result<void> Share::tell_failure(
    const Record& record, uint64_t fence, const std::string& text) const {
  const std::string key = claim_key(record);
  (void)TRY(
      m_with.engine->change({{.kind = EngineCondition::Kind::held, .key = key, .fence = fence}},
          {{.key = key, .text = text, .kept = k_failure_kept}}, k_engine_wait));
  return {};
}

Result<void> Share::put(const Record& record, const SharingHosts& hosts, uint64_t fence,
    std::optional<int64_t> issued_ms) const {
  const auto& f = record.facts;
  const std::string key = bundle_key(record), claims = claim_key(record);
  const std::string sealed = TRY(sealed_to(hosts, SecretString(record.key + record.chain)));
  const std::string text = TRY(m_with.sign(
      dump(Json{{"key", key}, {"host", hosts.me}, {"names", f.names}, {"to", hosts.recipients()},
          {"sha256", f.sha256}, {"not_before_ms", f.not_before_ms}, {"sealed", sealed}})));
  const auto left =
      std::chrono::milliseconds(std::max<int64_t>(f.not_after_ms - m_clock.wall_ms(), 0));
  std::vector<EngineWrite> writes{{.key = key,
      .text = text,
      .kept = (std::chrono::floor<std::chrono::days>(left) + std::chrono::days{1})}};
  if (issued_ms)
    writes.push_back(
        {.key = cat(claims, "/", *issued_ms), .text = hosts.me, .kept = k_issued_kept});
  if (fence != 0) {
    auto all = writes;
    all.push_back({.key = claims, .text = {}, .removes = true});
    if (TRY(m_with.engine->change(
                {{.kind = EngineCondition::Kind::held, .key = claims, .fence = fence}}, all,
                k_engine_wait))
            .made)
      return {};
  }
  (void)TRY(m_with.engine->change({}, writes, k_engine_wait)); // the claim went meanwhile
  return {};
}

} // namespace chillbox::tls
