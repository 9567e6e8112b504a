#include "cli/laptop/host_record.hpp"

#include "base/names.hpp"
#include "base/text.hpp"
#include "config/toml.hpp"

#include <nlohmann/json.hpp>

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>

namespace chillbox::cli {
namespace {

constexpr size_t k_max_record = 64 * 1024;
constexpr std::string_view k_record_suffix = ".toml";

struct TextMember {
  std::string_view key;
  std::string HostRecord::* member;
  std::string_view comment;
};
constexpr std::array k_texts{
    TextMember{"ssh", &HostRecord::ssh, "what ssh takes"},
    TextMember{"url", &HostRecord::url, ""},
    TextMember{"server_name", &HostRecord::server_name, ""},
    TextMember{"recipient", &HostRecord::recipient, "artifacts are encrypted to it"},
    TextMember{"python", &HostRecord::python, ""},
    TextMember{"os", &HostRecord::os, ""},
    TextMember{"libc", &HostRecord::libc, ""},
    TextMember{"arch", &HostRecord::arch, ""},
    TextMember{"version", &HostRecord::version, "of chillboxd there"},
    TextMember{"role", &HostRecord::role, "what you may do there"},
    TextMember{"backup_key", &HostRecord::backup_key, "its backups are signed by it"},
};

Result<HostRecord> parse(std::string_view text, const std::string& path, std::string_view name) {
  config::Lines lines;
  const Json json = TRY(config::parse_toml(text, path, lines));
  config::Problems problems(path, &lines);
  HostRecord record{.name = std::string(name)};
  for (const auto& [key, member, comment] : k_texts) {
    const auto value = json.find(key);
    if (value == json.end())
      continue;
    if (value->is_string())
      record.*member = value->get<std::string>();
    else
      problems.add(std::string(key), "must be a text in quotes");
  }
  if (const auto seen = json.find("seen"); seen != json.end() && seen->is_number_integer())
    record.seen_ms = seen->get<int64_t>();
  if (const auto sites = json.find("sites"); sites != json.end() && sites->is_array())
    for (const Json& site : *sites)
      if (site.is_string() && SiteName::parse(site.get<std::string>()))
        record.sites.push_back(site.get<std::string>());
  if (!problems.empty())
    return problems.error();
  if (record.ssh.empty())
    return fail(Code::invalid, cat(path, ": has no \"ssh\": write ssh = \"USER@HOST\""));
  TRY_IN(path, host_of(record));
  return record;
}

struct RecordLine {
  std::string_view key;
  std::string text; // "": there is none
};

std::vector<RecordLine> lines_of(const HostRecord& record) {
  std::vector<RecordLine> out;
  for (const auto& [key, member, comment] : k_texts) {
    const std::string& value = record.*member;
    out.push_back({key,
        value.empty() ? ""
                      : cat(key, " = ", toml_text(value), comment.empty() ? "" : "  # ", comment)});
  }
  out.push_back({"seen",
      record.seen_ms == 0 ? "" : cat("seen = ", record.seen_ms, "  # milliseconds since 1970")});
  std::vector<std::string> sites;
  for (const std::string& site : record.sites)
    sites.push_back(toml_text(site));
  out.push_back({"sites", sites.empty() ? "" : cat("sites = [", join(sites, ", "), "]")});
  return out;
}

std::string record_text(const HostRecord& record) {
  std::string out =
      "# What chillboxctl remembers of this host. It may be edited; what the host says of itself\n"
      "# is written again when it is asked.\n";
  for (const auto& line : lines_of(record))
    if (!line.text.empty())
      out += line.text + "\n";
  return out;
}

bool is_line_of_key(std::string_view line, std::string_view key) {
  line = trim(line);
  return line.starts_with(key) && trim(line.substr(key.size())).starts_with('=');
}

// The file of `before` with the lines of what is different now; a person's own lines stay.
std::string edited_record(
    const std::string& text, const HostRecord& before, const HostRecord& after) {
  std::vector<std::string> lines;
  for (const auto line : split(text, '\n'))
    lines.emplace_back(line);
  if (!lines.empty() && lines.back().empty())
    lines.pop_back();
  const auto was = lines_of(before), is = lines_of(after);
  for (size_t i = 0; i < is.size(); ++i) {
    if (was[i].text == is[i].text)
      continue;
    const auto tables = std::ranges::find_if(
        lines, [](const std::string& line) { return trim(line).starts_with('['); });
    const auto old = std::find_if(lines.begin(), tables,
        [&](const std::string& line) { return is_line_of_key(line, is[i].key); });
    if (old == tables && !is[i].text.empty())
      lines.insert(tables, is[i].text);
    else if (old != tables && is[i].text.empty())
      lines.erase(old);
    else if (old != tables)
      *old = is[i].text;
  }
  return join(lines, "\n") + "\n";
}

} // namespace

Result<HostRecord> load_host(const Places& places, std::string_view name) {
  if (!parse_key_name(name))
    return fail(Code::not_found, cat("no host is called '", printable(name, 80), "' here"));
  const std::string path = places.host_record(name);
  const auto text = read_own_file(path, k_max_record);
  if (!text && text.error().code == Code::not_found)
    return fail(Code::not_found, cat("no host is called '", printable(name, 80), "' here"));
  if (!text)
    return std::unexpected(text.error());
  return parse(*text, path, name);
}

std::vector<HostRecord> load_hosts(const Places& places, std::vector<std::string>* problems) {
  std::vector<HostRecord> records;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(places.hosts(), error)) {
    const std::string file = entry.path().filename();
    if (file.size() <= k_record_suffix.size() || !file.ends_with(k_record_suffix) ||
        file.starts_with('.'))
      continue;
    auto record = load_host(places, file.substr(0, file.size() - k_record_suffix.size()));
    if (record)
      records.push_back(std::move(*record));
    else if (problems != nullptr)
      problems->push_back(record.error().message);
  }
  std::ranges::sort(records, {}, &HostRecord::name);
  return records;
}

Result<HostRecord> change_host(const Places& places, std::string_view name,
    const std::function<Result<void>(HostRecord&)>& change, Missing missing) {
  if (const auto fine = parse_key_name(name); !fine)
    return fail(Code::usage, cat("the name of a host: ", fine.error().message));
  const os::LockFile lock = TRY(lock_own(places, "hosts"));
  auto before = load_host(places, name);
  if (!before && (before.error().code != Code::not_found || missing == Missing::is_an_error))
    return before;
  HostRecord after = before ? *before : HostRecord{.name = std::string(name)};
  TRY(change(after));
  if (before && after == *before)
    return after;
  const std::string path = places.host_record(name);
  std::string text = record_text(after);
  if (before) {
    auto edited = edited_record(TRY(read_own_file(path, k_max_record)), *before, after);
    // Else a person wrote it in a way that is not edited by lines: it is written whole.
    if (const auto read = parse(edited, path, name); read && *read == after)
      text = std::move(edited);
  }
  TRY(write_own_file(path, text, k_max_record));
  return after;
}

Result<void> forget_host(const Places& places, std::string_view name) {
  const os::LockFile lock = TRY(lock_own(places, "hosts"));
  if (const auto known = load_host(places, name); !known && known.error().code == Code::not_found)
    return std::unexpected(known.error());
  if (::unlink(places.host_record(name).c_str()) != 0)
    return fail_errno(cat("remove ", places.host_record(name)), errno);
  ::unlink(places.host_hook(name).c_str());
  return {};
}

std::string ssh_destination(std::string_view text) {
  if (text.find("://") != text.npos)
    return std::string(text);
  const auto at = text.rfind('@');
  const auto place = at == text.npos ? text : text.substr(at + 1);
  const auto user = text.substr(0, text.size() - place.size());
  if (place.starts_with('[') && place.ends_with(']')) // ssh takes an address without them
    return cat(user, place.substr(1, place.size() - 2));
  const auto colon = place.rfind(':');
  if (colon != text.npos && parse_u64(place.substr(colon + 1)).value_or(0) - 1 < 65535 &&
      (colon > 0 && place[colon - 1] == ']' ? place.starts_with('[')
                                            : std::ranges::count(place, ':') == 1))
    return cat("ssh://", text);
  return std::string(text);
}

std::string address_of(std::string_view destination) {
  if (const auto scheme = destination.find("://"); scheme != destination.npos)
    destination.remove_prefix(scheme + 3);
  destination = destination.substr(0, destination.find('/'));
  if (const auto at = destination.rfind('@'); at != destination.npos)
    destination.remove_prefix(at + 1);
  if (destination.starts_with('['))
    return std::string(destination.substr(1, destination.find(']') - 1));
  const bool port = std::ranges::count(destination, ':') == 1;
  return std::string(port ? destination.substr(0, destination.find(':')) : destination);
}

Result<Host> host_of(const HostRecord& record) {
  Host host = TRY_IN(cat("host ", record.name), host_from(ssh_destination(record.ssh)));
  host.name = record.name;
  if (!record.url.empty())
    host.url = record.url;
  return host;
}

} // namespace chillbox::cli
