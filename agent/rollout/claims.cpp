#include "rollout/claims.hpp"

#include "base/encoding.hpp"
#include "base/json.hpp"
#include "base/text.hpp"
#include "crypto/hash.hpp"
#include "os/deadline.hpp"
#include "rollout/order.hpp"
#include "rollout/roster.hpp"

#include <nlohmann/json.hpp>

#include <cstdlib>

namespace chillbox::rollout {
namespace {

using control::EngineCondition;

constexpr std::chrono::milliseconds k_claim_wait{5'000};
// A due time is past then, and nobody deploys a version any more that is so old.
constexpr std::chrono::seconds k_run_kept{14 * 24 * 3600}, k_command_kept{365 * 24 * 3600};
constexpr size_t k_max_claim = 2000;
constexpr const char* k_outcome = "/outcome";
constexpr std::string_view k_outcome_comment = "chillbox outcome"; // that a host signs
constexpr size_t k_max_problem = 1000;
constexpr int k_outcome_tries = 12;
// Nothing tells of it here: a claim that is followed would wake every host for every other one.
constexpr os::Millis k_outcome_look{1'000};

// What this host writes into a claim: nobody else writes the same.
Result<std::string> claim_text(const HostContext& host) {
  const auto seat = seat_of(host);
  if (!seat || seat->host.empty() || !seat->problem.empty())
    return fail(Code::denied, "this host is of no fleet");
  return dump(Json{{"host", seat->host}, {"id", random_token(16)}});
}

// Whose claim it is.
std::string host_in(std::string_view claim) {
  const auto json = parse_json(claim, k_max_claim);
  const bool named =
      json && json->is_object() && json->contains("host") && (*json)["host"].is_string();
  return named ? printable((*json)["host"].get<std::string>(), 80) : "another host";
}

std::string kept_claim(const std::string& key) {
  return "claim " + key;
}

std::string outcome_text(std::string_view key, std::string_view host, std::string_view problem) {
  return dump(Json{{"claim", key}, {"host", host}, {"problem", problem}});
}

// What the host that has the claim says of its command; "": it succeeded.
Result<std::string> problem_in(
    const HostContext& host, const CommandClaim& claim, std::string_view text) {
  const std::string said =
      TRY(text_of_host(TRY(fleet_of(host)), claim.host, "outcome", text, k_outcome_comment));
  const auto json = parse_json(said, said.size());
  const bool whole =
      json && json->is_object() && json->contains("problem") && (*json)["problem"].is_string();
  const std::string problem = whole ? (*json)["problem"].get<std::string>() : std::string();
  if (said != outcome_text(claim.key, claim.host, problem))
    return fail(Code::denied, cat("outcome of '", claim.host, "': it is of another claim"));
  return printable(problem, k_max_problem);
}

} // namespace

Result<void> check_clock(const control::Engine& engine) {
  const int64_t ahead = engine.status().ahead_s;
  if (std::abs(ahead) <= control::k_engine_clock)
    return {};
  return fail(Code::denied,
      cat("the clock of this host is ", std::abs(ahead), " s ", ahead > 0 ? "behind" : "ahead of",
          " the fleet's engine: rc-service chronyd restart"));
}

std::string claim_minute(int64_t unix_seconds) {
  return rfc3339(unix_seconds).substr(0, 16) + "Z";
}

std::string cron_claim_key(const SiteName& site, std::string_view line, int64_t due) {
  return cat("claims/", site.str(), "/cron/", crypto::sha256_of(bytes_of(line)).str().substr(0, 16),
      "/", claim_minute(due));
}

Result<cron::Claim> claim_run(
    HostContext& host, const SiteName& site, const std::string& line, int64_t due) {
  if (host.fleet == nullptr)
    return fail(Code::denied, "this host has no engine");
  auto& engine = *host.fleet;
  const std::string key = cron_claim_key(site, line, due);
  // Asked first: it costs the engine less than a change, and tells its clock.
  if (!TRY(engine.read(key, k_claim_wait)).empty())
    return cron::Claim{};
  TRY(check_clock(engine));
  if (host.clock.wall() - due > k_claim_late)
    return fail(Code::denied, cat("it was due at ", rfc3339(due), ", too long ago to be claimed"));
  const std::string text = TRY(claim_text(host));
  const auto taken = TRY(engine.change({{.kind = EngineCondition::Kind::absent, .key = key}},
      {{.key = key, .text = text, .kept = k_run_kept}}, k_claim_wait));
  if (!taken.made)
    return cron::Claim{};
  return cron::Claim{true, key.substr(std::string_view("claims/").size()), taken.fence};
}

Result<CommandClaim> claim_command(HostContext& host, const SiteName& site,
    const std::string& version, const std::string& service) {
  if (host.fleet == nullptr)
    return fail(Code::denied, "this host has no engine");
  CommandClaim claim{.key = cat("claims/", site.str(), "/release/", version, "/", service)};
  const std::string kept = TRY(host.store.meta(kept_claim(claim.key))).value_or("");
  const std::string text = kept.empty() ? TRY(claim_text(host)) : kept;
  TRY(host.store.set_meta(kept_claim(claim.key), text));
  const auto taken =
      TRY(host.fleet->change({{.kind = EngineCondition::Kind::absent, .key = claim.key}},
          {{.key = claim.key, .text = text, .kept = k_command_kept}}, k_claim_wait));
  if (taken.made) {
    claim.fence = taken.fence;
    return claim;
  }
  if (taken.found == text) { // an earlier try's, and its command has not begun
    for (const auto& value : TRY(host.fleet->read(claim.key, k_claim_wait)))
      if (value.key == claim.key && value.text == text)
        claim.fence = value.fence;
    return claim.fence != 0 ? Result<CommandClaim>(claim)
                            : fail(Code::conflict, "the claim was removed meanwhile");
  }
  TRY(begin_command(host, claim)); // it is not this one's
  claim.host = host_in(taken.found);
  claim.own = claim.host == host_in(text);
  return claim;
}

Result<void> begin_command(HostContext& host, const CommandClaim& claim) {
  return host.store.set_meta(kept_claim(claim.key), "");
}

Result<void> tell_outcome(
    HostContext& host, const CommandClaim& claim, const Result<void>& outcome) {
  const std::string text = TRY(signed_by_host(host,
      outcome_text(claim.key, TRY(fleet_of(host)).me,
          outcome ? std::string() : printable(outcome.error().message, k_max_problem)),
      k_outcome_comment));
  Result<control::EngineChange> told = fail(Code::unreachable, "");
  for (int tries = 0; tries < k_outcome_tries && !told; ++tries)
    told = host.fleet->change(
        {{.kind = EngineCondition::Kind::held, .key = claim.key, .fence = claim.fence}},
        {{.key = claim.key + k_outcome, .text = text, .kept = k_command_kept}}, k_claim_wait);
  if (!told)
    return std::unexpected(told.error());
  return told->made ? Result<void>{} : fail(Code::conflict, "the claim was removed meanwhile");
}

Result<void> wait_for_outcome(HostContext& host, const CommandClaim& claim, os::Millis give_up,
    const std::function<bool()>& cancelled) {
  const os::Deadline deadline(give_up);
  for (;;) {
    const auto outcome = host.fleet->read(claim.key + k_outcome, k_claim_wait);
    if (!outcome && outcome.error().code != Code::unreachable)
      return std::unexpected(outcome.error());
    if (outcome && !outcome->empty()) {
      const std::string problem = TRY(problem_in(host, claim, outcome->front().text));
      return problem.empty() ? Result<void>{}
                             : fail(Code::failure, cat("it failed on ", claim.host, ": ", problem));
    }
    if (cancelled())
      return fail(Code::interrupted, "cancelled");
    if (deadline.passed() || (claim.own && outcome))
      return fail(Code::timed_out,
          cat("it is lost: ", claim.host, " began it and never said how it ended"));
    host.clock.sleep(k_outcome_look);
  }
}

} // namespace chillbox::rollout
