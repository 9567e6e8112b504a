#include "cli/core/verb.hpp"

#include "base/names.hpp"
#include "base/text.hpp"
#include "cli/core/duration.hpp"

#include <algorithm>

namespace chillbox::cli {
namespace {

Result<void> as_usage(std::string message) {
  return fail(Code::usage, std::move(message));
}

// run.ID, as the log of a run is called, which no service is. `logs` shows it; to other verbs the
// daemon answers that the site has no such service.
bool is_log_of_run(std::string_view name) {
  constexpr std::string_view k_run = "run.";
  constexpr size_t k_longest = 40;
  return name.starts_with(k_run) && name.size() > k_run.size() && name.size() <= k_longest &&
      std::ranges::all_of(name.substr(k_run.size()),
          [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z'); });
}

// SITE, SITE/SERVICE or SITE/run.ID
Result<void> check_target(std::string_view text) {
  const auto slash = text.find('/');
  if (const auto site = SiteName::parse(text.substr(0, slash)); !site)
    return as_usage(site.error().message);
  if (slash == std::string_view::npos)
    return {};
  if (is_log_of_run(text.substr(slash + 1)))
    return {};
  if (const auto service = ServiceName::parse(text.substr(slash + 1)); !service)
    return as_usage(service.error().message);
  return {};
}

} // namespace

std::string Args::text(std::string_view name, std::string_view fallback) const {
  const auto it = m_values.find(name);
  return it == m_values.end() || it->second.empty() ? std::string(fallback) : it->second.front();
}

std::vector<std::string> Args::list(std::string_view name) const {
  const auto it = m_values.find(name);
  return it == m_values.end() ? std::vector<std::string>() : it->second;
}

uint64_t Args::number(std::string_view name, uint64_t fallback) const {
  return parse_u64(text(name)).value_or(fallback);
}

std::chrono::milliseconds Args::duration(
    std::string_view name, std::chrono::milliseconds fallback) const {
  return has(name) ? parse_duration(text(name)).value_or(fallback) : fallback;
}

bool is_position(const Option& option) {
  return !option.names.starts_with('-');
}

std::string_view key_of(const Option& option) {
  std::string_view key = option.names;
  if (is_position(option))
    return key.starts_with('[') ? key.substr(1, key.size() - 2) : key;
  key.remove_prefix(key.rfind("--") + 2);
  return key;
}

Result<void> check(const Option& option, std::string_view text) {
  switch (option.kind) {
  case ArgKind::flag: return {};
  case ArgKind::choice:
    for (const auto word : split(option.value, '|'))
      if (word == text)
        return {};
    return as_usage(cat("'", printable(text, 40), "' is not one of ", option.value));
  case ArgKind::text:
  case ArgKind::list:
  case ArgKind::words:
  case ArgKind::release:
  case ArgKind::any_release:
  case ArgKind::job:
  case ArgKind::deployer:
  case ArgKind::sender: return text.empty() ? as_usage("is empty") : Result<void>{};
  case ArgKind::number:
    return parse_u64(text) ? Result<void>{}
                           : as_usage(cat("'", printable(text, 40), "' is not a whole number"));
  case ArgKind::fd:
    if (const auto number = parse_u64(text); number && *number < 65'536)
      return {};
    return as_usage(cat("'", printable(text, 40), "' is not the number of a descriptor"));
  case ArgKind::duration:
    if (const auto duration = parse_duration(text); !duration)
      return as_usage(duration.error().message);
    return {};
  case ArgKind::certificate:
    if (text == control::k_host_certificate)
      return {};
    [[fallthrough]];
  case ArgKind::site:
    if (const auto site = SiteName::parse(text); !site)
      return as_usage(site.error().message);
    return {};
  case ArgKind::target: return check_target(text);
  }
  return {};
}

} // namespace chillbox::cli
