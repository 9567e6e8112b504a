// A webhook sender's file (host.hpp). Its keys are never repeated in an error: a line number says
// which one.
#include "config/host.hpp"

#include "base/encoding.hpp"
#include "base/names.hpp"
#include "base/text.hpp"

#include <algorithm>
#include <array>

namespace chillbox::config {
namespace {

constexpr size_t k_max_file = 64 * 1024;
constexpr size_t k_max_keys = 8;
constexpr size_t k_min_github_key = 16;
constexpr std::string_view k_until = " until=";
constexpr uint64_t k_last_second = 253'402'300'799; // of the year 9999
const std::vector<std::string> k_types{
    "site.deploy", "site.rollback", "site.restart", "secrets.update", "host.ping"};

// "sites: blog,shop": the value when the line begins with this word.
std::optional<std::string_view> setting(std::string_view line, std::string_view word) {
  if (!line.starts_with(word) || !line.substr(word.size()).starts_with(':'))
    return std::nullopt;
  return trim(line.substr(word.size() + 1));
}

Result<void> add_sites(Sender& sender, std::string_view value) {
  for (const auto part : split(value, ','))
    sender.sites.push_back(TRY(SiteName::parse(trim(part))).str());
  return {};
}

Result<void> add_types(Sender& sender, std::string_view value) {
  for (const auto part : split(value, ',')) {
    std::string type(trim(part));
    if (std::ranges::find(k_types, type) == k_types.end()) {
      const auto near = nearest(type, k_types);
      return fail(Code::invalid,
          cat("type '", printable(type, 40), "': must be one of ", join(k_types, ", "),
              near ? cat("; did you mean '", *near, "'?") : ""));
    }
    sender.types.push_back(std::move(type));
  }
  return {};
}

Result<SenderKey> parse_key_line(std::string_view line) {
  const auto at = line.rfind(k_until);
  if (at == std::string_view::npos)
    return SenderKey{.text = std::string(line), .until = {}};
  const auto seconds = parse_u64(line.substr(at + k_until.size()));
  if (!seconds || *seconds > k_last_second)
    return fail(Code::invalid, "until= after the key: must be whole seconds since 1970");
  return SenderKey{
      .text = std::string(trim(line.substr(0, at))), .until = static_cast<int64_t>(*seconds)};
}

Result<void> add_line(Sender& sender, std::string_view line) {
  if (const auto value = setting(line, "sites"))
    return add_sites(sender, *value);
  if (const auto value = setting(line, "types"))
    return add_types(sender, *value);
  if (const auto value = setting(line, "format")) {
    if (*value != "standard" && *value != "github")
      return fail(
          Code::invalid, cat("format '", printable(*value, 40), "': must be standard or github"));
    sender.format = *value;
    return {};
  }
  if (sender.keys.size() == k_max_keys)
    return fail(Code::invalid, cat("more than ", k_max_keys, " keys: remove the old ones"));
  sender.keys.push_back(TRY(parse_key_line(line)));
  return {};
}

// An empty or short secret can be guessed, and one that is no base64 is not what its sender signs
// with (faults 9).
Result<void> check_key(const Sender& sender, const std::string& key) {
  if (sender.format == "github") {
    if (key.size() < k_min_github_key)
      return fail(Code::invalid,
          cat("shorter than ", k_min_github_key, " characters: choose a longer secret"));
    return {};
  }
  constexpr std::string_view k_prefix = "whsec_";
  if (key.starts_with(k_prefix))
    if (const auto bytes = unbase64_secret(std::string_view(key).substr(k_prefix.size()));
        bytes && bytes->size() >= 24 && bytes->size() <= 64)
      return {};
  return fail(Code::invalid,
      "must be whsec_ and the base64 of 24 to 64 bytes: chillboxctl webhook rotate makes one");
}

} // namespace

std::string key_line(const SenderKey& key) {
  return key.until ? cat(key.text, k_until, *key.until) : key.text;
}

Result<Sender> parse_sender(std::string_view text, std::string_view name) {
  const std::string place = cat("webhook sender '", printable(name, 70), "'");
  Sender sender;
  sender.name = TRY_IN(place, parse_key_name(name));
  if (text.size() > k_max_file)
    return fail(
        Code::too_large, cat(place, ": ", text.size(), " bytes, the limit is ", k_max_file));
  size_t number = 0;
  std::vector<size_t> key_lines;
  for (const auto raw : split(text, '\n')) {
    ++number;
    const auto line = trim(raw);
    if (line.empty() || line.starts_with('#'))
      continue;
    TRY_IN(cat(place, ": line ", number), add_line(sender, line));
    if (sender.keys.size() > key_lines.size())
      key_lines.push_back(number);
  }
  if (sender.keys.empty())
    return fail(Code::invalid,
        cat(place, ": has no key: chillboxctl webhook add ", printable(name, 70), " makes one"));
  for (size_t i = 0; i < sender.keys.size(); ++i) // after all lines: the format may come last
    TRY_IN(cat(place, ": line ", key_lines[i], ": key"), check_key(sender, sender.keys[i].text));
  return sender;
}

} // namespace chillbox::config
