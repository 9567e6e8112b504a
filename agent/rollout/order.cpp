#include "rollout/order.hpp"

#include "artifact/verify.hpp"
#include "backup/archive.hpp"
#include "base/text.hpp"
#include "control/engine_link.hpp"
#include "control/messages.hpp"
#include "crypto/hash.hpp"
#include "crypto/minisign.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace chillbox::rollout {
namespace {

using control::HostReport;
using control::RolloutOrder;

constexpr size_t k_max_order_file = 1 << 20;
constexpr std::string_view k_order_suffix = ".json";

std::array<uint8_t, 64> blake2b_of(std::string_view text) {
  crypto::Blake2b512 blake2b;
  blake2b.update(bytes_of(text));
  return blake2b.finish();
}

Result<TakenOrder> parse_taken(std::string_view text) {
  TakenOrder taken;
  taken.text = TRY(control::parse_signed_order(text));
  taken.order = TRY(control::parse_order(taken.text.order));
  taken.digest = crypto::sha256_of(bytes_of(taken.text.order)).str();
  return taken;
}

Result<void> check_hosts(const Fleet& fleet, const RolloutOrder& order) {
  if (fleet.roster.fleet != order.fleet)
    return fail(Code::denied,
        cat("order of fleet '", order.fleet, "': this host is of fleet '", fleet.roster.fleet,
            "'"));
  for (const auto& batch : order.batches)
    for (const auto& host : batch.hosts) {
      const auto* there = fleet.roster.by_name(host);
      if (there == nullptr)
        return fail(Code::denied,
            cat("order for host '", host, "', which fleet '", order.fleet,
                "' does not have: chillboxctl fleet status"));
      if (there->report_key.empty())
        return fail(Code::denied,
            cat("order for host '", host, "', which has no report key in the roster of fleet '",
                order.fleet, "': chillboxctl fleet rotate"));
    }
  return {};
}

// What it is about must be signed, too; the job looks at the bytes.
Result<void> check_artifact(const RolloutOrder& order) {
  const auto said = TRY_IN("order: signature of the artifact", artifact::stated(order.signature));
  if (said.secrets || said.fleet || said.rollout || said.site.str() != order.site ||
      said.sha256.str() != order.sha256 || said.version != order.version)
    return fail(Code::denied,
        "order: the signature of the artifact is of another site, version or artifact");
  return {};
}

Json json_of(const Walked& w) {
  Json others = Json::array();
  for (const auto& [name, report] : w.others)
    others.push_back(control::to_json(report));
  return {{"mine", control::to_json(w.mine)}, {"reported", w.told}, {"job", w.job},
      {"back", w.back}, {"drained", w.drained}, {"slot", w.slot}, {"fence", w.fence},
      {"live_ms", w.live_ms}, {"ended", w.ended}, {"others", others}};
}

Result<Walked> walked_in(const Json& json) {
  Walked w;
  w.mine = TRY(control::from_json<HostReport>(json.value("mine", Json::object())));
  w.told = control::u64_or(json, "reported", 0);
  w.job = control::string_or(json, "job", "");
  w.back = control::string_or(json, "back", "");
  w.drained = control::bool_or(json, "drained", false);
  w.slot = control::u64_or(json, "slot", 0);
  w.fence = control::u64_or(json, "fence", 0);
  w.live_ms = static_cast<int64_t>(control::u64_or(json, "live_ms", 0));
  w.ended = control::bool_or(json, "ended", false);
  for (const Json& one : json.value("others", Json::array())) {
    auto report = TRY(control::from_json<HostReport>(one));
    w.others[report.host] = std::move(report);
  }
  return w;
}

std::string file_of(const HostContext& host, const std::string& site) {
  return cat(host.paths.rollouts(), "/", site, k_order_suffix);
}

} // namespace

Result<TakenOrder> check_order(
    const HostContext& host, const SiteName& site, std::string_view text, uint64_t newest) {
  auto taken = TRY(parse_taken(text));
  if (taken.order.site != site.str())
    return fail(
        Code::denied, cat("order of site '", taken.order.site, "', not of '", site.str(), "'"));
  const auto sha256 = crypto::sha256_of(bytes_of(taken.text.order));
  const auto verified = TRY_IN("order",
      artifact::verify(artifact::read_trusted_keys(host.paths.trusted()).keys, taken.text.signature,
          blake2b_of(taken.text.order), sha256,
          {.site = site,
              .rollout = true,
              .version = {},
              .sha256 = sha256,
              .installed_serial = newest,
              .now_unix = host.clock.wall()}));
  if (verified.statement.serial != taken.order.serial)
    return fail(Code::denied,
        cat("order signed as ", verified.statement.serial, ", it says ", taken.order.serial));
  TRY(check_hosts(TRY(fleet_of(host)), taken.order));
  TRY(check_artifact(taken.order));
  taken.signer = verified.signer;
  return taken;
}

Result<std::optional<OrderFile>> read_order_file(const HostContext& host, const SiteName& site) {
  const std::string path = file_of(host, site.str());
  if (!host.disk.exists(path))
    return std::optional<OrderFile>();
  const auto read = [&]() -> Result<OrderFile> {
    const Json json =
        TRY(parse_json(TRY(host.disk.read(path, k_max_order_file)), k_max_order_file));
    OrderFile file;
    file.taken = TRY(parse_taken(TRY(control::string_at(json, "taken"))));
    file.taken.signer = control::string_or(json, "signer", "");
    file.walked = TRY(walked_in(json.value("walked", Json::object())));
    return file;
  };
  auto file = read();
  if (!file)
    return fail(Code::corrupt, cat(path, ": ", file.error().message));
  return std::optional(std::move(*file));
}

Result<void> write_order_file(const HostContext& host, const OrderFile& file) {
  const Json json{{"taken", control::signed_order_text(file.taken.text)},
      {"signer", file.taken.signer}, {"walked", json_of(file.walked)}};
  return host.disk.write(file_of(host, file.taken.order.site), dump(json) + "\n", 0600);
}

Result<std::vector<SiteName>> ordered_sites(const HostContext& host) {
  std::vector<SiteName> sites;
  if (!host.disk.exists(host.paths.rollouts()))
    return sites;
  for (const auto& name : TRY(host.disk.list(host.paths.rollouts())))
    if (name.ends_with(k_order_suffix))
      if (const auto site = SiteName::parse(name.substr(0, name.size() - k_order_suffix.size())))
        sites.push_back(*site);
  return sites;
}

Result<uint64_t> newest_order(const HostContext& host, const SiteName& site) {
  const auto file = TRY(read_order_file(host, site));
  return file ? file->taken.order.serial : 0;
}

Result<std::string> signed_by_host(
    const HostContext& host, std::string text, std::string_view comment) {
  const auto key = TRY_IN("report", backup::signing_key(host.disk, host.paths));
  control::SignedReport both{std::move(text), {}};
  both.signature = key.sign(blake2b_of(both.report), comment);
  return dump(control::to_json(both));
}

Result<std::string> signed_report(const HostContext& host, const HostReport& report) {
  return signed_by_host(host, dump(control::to_json(report)), control::k_report_comment);
}

Result<std::string> text_of_host(const Fleet& fleet, std::string_view host, std::string_view what,
    std::string_view text, std::string_view comment) {
  const std::string whose = cat(what, " of '", printable(host, 80), "'");
  const auto* of = fleet.roster.by_name(host);
  if (of == nullptr || of->report_key.empty())
    return fail(Code::denied,
        cat(whose, ": the roster has no report key of that host",
            of == nullptr ? "" : ": chillboxctl fleet rotate"));
  auto both = TRY_IN(whose, control::parse_signed_report(text, control::k_max_engine_text));
  const auto key = TRY_IN(whose, crypto::MinisignPublicKey::parse(of->report_key));
  const auto signature = crypto::MinisignSignature::parse(both.signature);
  if (!signature)
    return fail(Code::denied, cat(whose, ": ", signature.error().message));
  if (TRY_IN(whose, signature->verify(key, blake2b_of(both.report))) != comment)
    return fail(Code::denied, cat(whose, ": signed for another purpose"));
  return std::move(both.report);
}

Result<HostReport> check_report(
    const Fleet& fleet, const TakenOrder& taken, std::string_view host, std::string_view text) {
  const std::string whose = cat("report of '", printable(host, 80), "'");
  auto report = TRY_IN(whose,
      control::parse_report(
          TRY(text_of_host(fleet, host, "report", text, control::k_report_comment))));
  if (report.host != host || report.site != taken.order.site ||
      report.serial != taken.order.serial || report.order != taken.digest)
    return fail(Code::denied, cat(whose, ": it is of another host or another order"));
  return report;
}

} // namespace chillbox::rollout
