#include "config/backup.hpp"

#include "config/crontab.hpp"
#include "config/kind.hpp"
#include "config/toml.hpp"

namespace chillbox::config {
namespace {

constexpr size_t k_max_json = 256 * 1024;
constexpr uint64_t k_least_data = 1ULL << 20, k_most_data = 64ULL << 30;

// By its look: 32 bytes and a checksum in letters of 5 bits; who packs for it checks the sum.
bool age_recipient(std::string_view s) {
  constexpr size_t k_length = 62;
  return s.size() == k_length && s.starts_with("age1") &&
      s.find_first_not_of("023456789acdefghjklmnpqrstuvwxyz", 4) == std::string_view::npos;
}
bool hook_name(std::string_view s) {
  return s.empty() || is_kind_name(s);
}
bool inner_pattern(std::string_view s) {
  return !s.empty() && s.front() != '/' && k_line.ok(s);
}
bool five_fields(std::string_view s) {
  const auto line = parse_cron_line(cat(s, " command"));
  return s.empty() || (line && line->command == "command");
}
bool keep_text(std::string_view s) {
  Keep keep;
  return parse_keep(s, keep);
}
const TextRule k_five_fields{
    "minute, hour, day, month and weekday as in a crontab, or \"\" for never", 200, five_fields};
const TextRule k_keep{"how many days, weeks and months, such as \"7d 4w 6m\"", 40, keep_text};
const TextRule k_age_recipient{"a recipient of age, which begins with age1", 100, age_recipient};
const TextRule k_target_hook_name{
    "the name of a hook in hooks/backup, such as dir or s3, or \"\" for none", 32, hook_name};
const TextRule k_pattern{
    "a path in the site's data, SERVICE/PATH, in which * stands for anything but /", 4096,
    inner_pattern};

} // namespace

bool parse_keep(std::string_view text, Keep& keep) {
  constexpr uint64_t k_most = 1'000;
  keep = {};
  std::string_view order = "dwm";
  for (const auto word : split(text, ' ')) {
    const auto unit = word.empty() ? std::string_view::npos : order.find(word.back());
    const auto number =
        unit == std::string_view::npos ? std::nullopt : parse_u64(word.substr(0, word.size() - 1));
    if (!number || *number == 0 || *number > k_most)
      return false;
    auto& count = word.back() == 'd' ? keep.days : word.back() == 'w' ? keep.weeks : keep.months;
    count = static_cast<uint32_t>(*number);
    order.remove_prefix(unit + 1);
  }
  return true;
}

void read_host_backup(const Location& at, const Json& json, HostBackup& backup) {
  using B = HostBackup;
  static const Table<B> k_backup{{"target", into(&B::target, Text{k_target_hook_name})},
      {"schedule", into(&B::schedule, Text{k_five_fields})}, {"keep", into(&B::keep, Text{k_keep})},
      {"prove", into(&B::prove, Choice{{"daily", "weekly", "monthly", "never"}})},
      {"recipients", each(&B::recipients, 20, Text{k_age_recipient})},
      {"data_max", into(&B::data_max, Size{k_least_data, k_most_data})}};
  read_object(at, json, k_backup, backup);
  if (!backup.target.empty() && backup.recipients.empty())
    (at / "recipients")
        .problem(
            "must name at least one recipient besides the host, a laptop's (`age-keygen` makes one): a backup that only this host can open is lost with it");
}

void read_site_backup(const Location& at, const Json& json, SiteBackup& backup) {
  using B = SiteBackup;
  static const Table<B> k_backup{{"exclude", each(&B::exclude, 100, Text{k_pattern})},
      {"before", into(&B::before, Text{k_command})}};
  read_object(at, json, k_backup, backup);
}

Result<HostBackup> parse_host_backup(std::string_view toml, std::string_view file_name) {
  Lines lines;
  const Json json = TRY(parse_toml(toml, file_name, lines));
  Problems problems(file_name, &lines);
  HostBackup backup;
  if (json.contains("backup"))
    read_host_backup({problems, "backup"}, json["backup"], backup);
  return problems.empty() ? Result<HostBackup>(std::move(backup)) : problems.error();
}

Result<SiteBackup> parse_site_backup(std::string_view site_json) {
  const Json json = TRY(parse_json(std::string(site_json), k_max_json));
  Problems problems;
  SiteBackup backup;
  if (json.is_object() && json.contains("backup"))
    read_site_backup({problems, "$.backup"}, json["backup"], backup);
  return problems.empty() ? Result<SiteBackup>(std::move(backup)) : problems.error();
}

} // namespace chillbox::config
