#include "cli/laptop/ci_bundle.hpp"

#include "base/encoding.hpp"
#include "base/json.hpp"
#include "base/names.hpp"
#include "base/text.hpp"
#include "control/json.hpp"

#include <nlohmann/json.hpp>

namespace chillbox::cli {
namespace {

constexpr std::string_view k_front = "cbci1_";
constexpr size_t k_max_json = 64 * 1024;

std::string text_at(const Json& json, const char* name) {
  const auto found = json.find(name);
  return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
}

SecretBytes secret_at(const Json& json, const char* name) {
  return SecretBytes(bytes_of(text_at(json, name)));
}

} // namespace

std::string ci_bundle_text(const CiBundle& bundle) {
  control::Facts facts = bundle.facts;
  facts.deployers.clear();
  facts.sites.clear();
  facts.site.reset();
  facts.actor.clear();
  const Json json{{"host", bundle.host}, {"site", bundle.site}, {"url", bundle.url},
      {"facts", control::to_json(facts)}, {"key", std::string(bundle.key.text())},
      {"hook", std::string(bundle.hook.text())}};
  return cat(k_front, base64(bytes_of(json.dump())));
}

Result<CiBundle> parse_ci_bundle(std::string_view text) {
  constexpr std::string_view again =
      "not a whole line of `chillboxctl ci add`: store it again, with `ci add SITE --rotate`";
  text = trim(text);
  if (!text.starts_with(k_front))
    return fail(Code::invalid,
        text.empty() ? "no CI key: it is empty, and the CI may have no secret of that name"
                     : cat("no CI key: it does not begin with ", k_front));
  const auto bytes = unbase64(text.substr(k_front.size()));
  if (!bytes)
    return fail(Code::invalid, std::string(again));
  const auto json = parse_json(text_of(*bytes), k_max_json);
  if (!json || !json->is_object() || !json->contains("facts"))
    return fail(Code::invalid, std::string(again));
  const auto facts = control::from_json<control::Facts>((*json)["facts"]);
  CiBundle bundle{text_at(*json, "host"), text_at(*json, "site"), text_at(*json, "url"),
      facts.value_or(control::Facts{}), secret_at(*json, "key"), secret_at(*json, "hook")};
  if (!facts || !SiteName::parse(bundle.site) || bundle.host.empty() ||
      bundle.facts.recipient.empty() || bundle.key.empty() != bundle.hook.empty())
    return fail(Code::invalid, std::string(again));
  return bundle;
}

std::string ci_name(const std::string& site) {
  return site + "-ci";
}

} // namespace chillbox::cli
