#include "backup/snapshot.hpp"

#include "base/text.hpp"
#include "control/json.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace chillbox::backup {
namespace {

using control::Json;

constexpr size_t k_max_order = 1024 * 1024;
constexpr size_t k_max_warnings = 50;

Result<std::vector<std::string>> strings_at(const Json& json, const char* key) {
  std::vector<std::string> all;
  if (!json.contains(key) || !json[key].is_array())
    return fail(Code::invalid, cat(key, ": must be an array"));
  for (const auto& one : json[key]) {
    if (!one.is_string())
      return fail(Code::invalid, cat(key, ": must be an array of strings"));
    all.push_back(one.get<std::string>());
  }
  return all;
}

} // namespace

std::string order_text(const SnapshotOrder& o) {
  return dump(Json{{"site", o.head.site.str()}, {"serial", o.head.serial},
      {"release", o.head.release}, {"taken_ms", o.head.taken_ms}, {"data", o.data},
      {"work", o.work}, {"redis_socket", o.redis_socket}, {"redis_cli", o.redis_cli},
      {"exclude", o.exclude}, {"recipients", o.recipients}, {"site_json", o.site_json},
      {"data_max", o.data_max}, {"patience_ms", o.patience.count()}});
}

Result<SnapshotOrder> parse_order(std::string_view text) {
  const Json json = TRY(parse_json(std::string(text), k_max_order));
  const auto string = [&](const char* key) { return control::string_at(json, key); };
  const auto number = [&](const char* key) { return control::u64_at(json, key); };
  auto site = TRY(SiteName::parse(TRY(string("site"))));
  SnapshotOrder o{.head = {.site = std::move(site), .release = {}},
      .data = {},
      .work = {},
      .redis_socket = {},
      .redis_cli = {},
      .exclude = {},
      .recipients = {},
      .site_json = {}};
  o.head.serial = TRY(number("serial"));
  o.head.release = TRY(string("release"));
  o.head.taken_ms = static_cast<int64_t>(TRY(number("taken_ms")));
  o.data = TRY(string("data"));
  o.work = TRY(string("work"));
  o.redis_socket = TRY(string("redis_socket"));
  o.redis_cli = TRY(string("redis_cli"));
  o.site_json = TRY(string("site_json"));
  o.exclude = TRY(strings_at(json, "exclude"));
  o.recipients = TRY(strings_at(json, "recipients"));
  o.data_max = TRY(number("data_max"));
  o.patience = std::chrono::milliseconds(TRY(number("patience_ms")));
  return o;
}

std::string report_text(const SnapshotReport& report) {
  std::string text = cat("files ", report.files, "\nbytes ", report.bytes, "\n");
  const size_t shown = std::min(report.warnings.size(), k_max_warnings);
  for (size_t i = 0; i < shown; ++i)
    text += cat("warning ", printable(report.warnings[i], 500), "\n");
  if (shown < report.warnings.size())
    text += cat("warning and ", report.warnings.size() - shown, " more of that kind\n");
  return text;
}

Result<SnapshotReport> parse_report(std::string_view text) {
  SnapshotReport report;
  bool files = false, bytes = false;
  const auto number = [](std::string_view line, std::string_view word, uint64_t& value) {
    const auto parsed = line.starts_with(word) ? parse_u64(line.substr(word.size())) : std::nullopt;
    value = parsed.value_or(value);
    return parsed.has_value();
  };
  constexpr std::string_view k_warning = "warning ";
  for (const auto line : split(text, '\n')) {
    if (number(line, "files ", report.files))
      files = true;
    else if (number(line, "bytes ", report.bytes))
      bytes = true;
    else if (line.starts_with(k_warning) && report.warnings.size() <= k_max_warnings)
      report.warnings.push_back(printable(line.substr(k_warning.size()), 500));
  }
  if (!files || !bytes)
    return fail(Code::failure, "the process that reads the data ended without a report");
  return report;
}

std::optional<Error> reported_error(std::string_view text) {
  constexpr std::string_view k_error = "error ";
  for (const auto line : split(text, '\n'))
    if (line.starts_with(k_error)) {
      const auto rest = line.substr(k_error.size());
      const auto space = std::min(rest.find(' '), rest.size());
      return Error{code_from_name(rest.substr(0, space)), printable(trim(rest.substr(space)), 500)};
    }
  return std::nullopt;
}

} // namespace chillbox::backup
