#include "backup/manifest.hpp"

#include "base/encoding.hpp"
#include "base/text.hpp"
#include "control/json.hpp"

#include <nlohmann/json.hpp>

#include <array>
#include <cstdio>
#include <memory>

namespace chillbox::backup {
namespace {

using control::Json;

constexpr std::string_view k_schema = "chillbox/data/1";
constexpr std::string_view k_files = ",\n\"files\":[";
constexpr std::array<std::string_view, 5> k_kinds{"file", "sqlite", "rdb", "directory", "link"};

std::string octal(uint32_t mode) {
  std::string text = "0000";
  for (size_t i = 0; i < 4; ++i)
    text[3 - i] = static_cast<char>('0' + (mode >> (3 * i) & 7));
  return text;
}

std::unexpected<Error> bad_manifest(std::string_view what) {
  return fail(Code::corrupt, cat("manifest.json: ", what));
}

// A text that may have any bytes, under KEY or as KEY_hex.
void put(Json& json, const std::string& key, const std::string& bytes) {
  const std::string plain = printable(bytes, bytes.size() * 4 + 4);
  json[key] = plain;
  if (plain != bytes)
    json[key + "_hex"] = hex(bytes_of(bytes));
}

Result<std::string> get(const Json& json, const std::string& key) {
  if (!json.contains(key + "_hex"))
    return control::string_at(json, key);
  const auto bytes = TRY(unhex(TRY(control::string_at(json, key + "_hex"))));
  return std::string(bytes.begin(), bytes.end());
}

Result<ManifestEntry> parse_entry(std::string_view line) {
  const Json json = TRY(parse_json(std::string(line), k_max_manifest_line));
  ManifestEntry entry;
  entry.path = TRY(get(json, "path"));
  entry.sha256 = control::string_or(json, "sha256", "");
  entry.damaged = control::string_or(json, "damaged", "");
  entry.member = control::string_or(json, "member", entry.path);
  const auto kind = TRY(control::string_at(json, "kind"));
  size_t at = 0;
  while (at < k_kinds.size() && k_kinds[at] != kind)
    ++at;
  if (at == k_kinds.size())
    return bad_manifest(cat("unknown kind '", printable(kind, 20), "'"));
  entry.kind = static_cast<Kind>(at);
  entry.size = control::u64_or(json, "size", 0);
  entry.mtime = static_cast<int64_t>(control::u64_or(json, "mtime", 0));
  const auto mode = TRY(control::string_at(json, "mode"));
  for (const char c : mode) {
    if (c < '0' || c > '7' || mode.size() != 4)
      return bad_manifest("a mode is not four octal digits");
    entry.mode = entry.mode * 8 + static_cast<uint32_t>(c - '0');
  }
  if (entry.kind == Kind::link)
    entry.target = TRY(get(json, "target"));
  return entry;
}

Result<ManifestHead> parse_head(std::string_view line) {
  if (!line.ends_with(','))
    return bad_manifest("its first line is not the beginning of an object");
  const Json json = TRY(parse_json(cat(line.substr(0, line.size() - 1), "}"), k_max_manifest_line));
  if (TRY(control::string_at(json, "schema")) != k_schema)
    return bad_manifest("it has another schema; a newer chillbox reads it");
  auto site = TRY(SiteName::parse(TRY(control::string_at(json, "site"))));
  ManifestHead head{.site = std::move(site), .release = {}};
  head.serial = TRY(control::u64_at(json, "serial"));
  head.release = TRY(control::string_at(json, "release"));
  head.taken_ms = static_cast<int64_t>(TRY(control::u64_at(json, "taken_ms")));
  return head;
}

class Lines {
public:
  explicit Lines(const std::string& path) : m_file(std::fopen(path.c_str(), "re"), std::fclose) {}
  bool open() const { return m_file != nullptr; }
  // Without its end; false: there is none.
  Result<bool> next(std::string& line) {
    line.clear();
    for (int c; (c = std::fgetc(m_file.get())) != EOF && c != '\n';) {
      line += static_cast<char>(c);
      if (line.size() > k_max_manifest_line)
        return bad_manifest("a line is too long");
    }
    if (std::ferror(m_file.get()) != 0)
      return bad_manifest("it cannot be read");
    return !line.empty() || std::feof(m_file.get()) == 0;
  }

private:
  std::unique_ptr<FILE, int (*)(FILE*)> m_file;
};

} // namespace

std::string head_line(const ManifestHead& head) {
  const std::string text = dump(Json{{"schema", k_schema}, {"site", head.site.str()},
      {"serial", head.serial}, {"release", head.release}, {"taken_ms", head.taken_ms}});
  return cat(text.substr(0, text.size() - 1), k_files);
}

std::string entry_line(const ManifestEntry& entry, bool first) {
  Json json = Json::object();
  put(json, "path", entry.path);
  if (entry.member != entry.path)
    json["member"] = entry.member;
  json["kind"] = k_kinds[static_cast<size_t>(entry.kind)];
  json["mode"] = octal(entry.mode);
  json["mtime"] = entry.mtime < 0 ? 0 : entry.mtime;
  if (entry.kind == Kind::link)
    put(json, "target", entry.target);
  if (!entry.sha256.empty()) {
    json["size"] = entry.size;
    json["sha256"] = entry.sha256;
  }
  if (!entry.damaged.empty())
    json["damaged"] = printable(entry.damaged, 500);
  return cat(first ? "\n" : ",\n", dump(json));
}

Result<ManifestHead> read_manifest(
    const std::string& path, const std::function<Result<void>(const ManifestEntry&)>& take) {
  Lines lines(path);
  if (!lines.open())
    return fail(Code::corrupt, "there is no manifest.json in it");
  std::string line;
  (void)TRY(lines.next(line));
  auto head = TRY(parse_head(line));
  if (!TRY(lines.next(line)) || line != "\"files\":[")
    return bad_manifest("it has no list of files");
  while (TRY(lines.next(line))) {
    if (line == "]}")
      return TRY(lines.next(line)) ? bad_manifest("something follows its end")
                                   : Result<ManifestHead>(head);
    if (line.ends_with(','))
      line.pop_back();
    TRY(take(TRY(parse_entry(line))));
  }
  return bad_manifest("its end is missing");
}

} // namespace chillbox::backup
