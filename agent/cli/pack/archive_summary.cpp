#include "cli/pack/archive_summary.hpp"

#include "base/text.hpp"

#include <sys/stat.h>

#include <algorithm>

namespace chillbox::cli {
namespace {

constexpr size_t k_largest = 5;

uint64_t size_of(const artifact::PackEntry& entry) {
  struct stat st{};
  if (entry.source.empty() || !entry.link_target.empty() || ::stat(entry.source.c_str(), &st) != 0)
    return entry.content.size();
  return static_cast<uint64_t>(st.st_size);
}

// The second component; for immutable/NAME/HASH/... the third, because that is the service.
std::string part_of(const std::string& path) {
  const auto components = split(path, '/');
  if (components.size() > 3 && components[1] == "immutable")
    return std::string(components[2]);
  return components.size() > 1 ? std::string(components[1]) : path;
}

} // namespace

ArchiveSummary summarize(
    const config::Site& site, const std::vector<artifact::PackEntry>& entries) {
  ArchiveSummary out;
  for (const auto& service : site.services)
    out.parts.push_back({.name = service.name.str(), .kind = service.lang});
  for (const auto& entry : entries) {
    if (entry.directory)
      continue;
    const std::string name = part_of(entry.name);
    auto part = std::ranges::find(out.parts, name, &PartRow::name);
    if (part == out.parts.end())
      part = out.parts.insert(
          part, {.name = name, .kind = name.ends_with(".site.json") ? "site file" : "files"});
    const uint64_t size = size_of(entry);
    ++part->files;
    part->size += size;
    out.largest.push_back({entry.name, size});
  }
  std::ranges::sort(out.largest, [](const auto& a, const auto& b) {
    return a.size != b.size ? a.size > b.size : a.path < b.path;
  });
  out.largest.resize(std::min(out.largest.size(), k_largest));
  return out;
}

Table table_of(const ArchiveSummary& contents) {
  Table table{{"PART", "KIND", "FILES", "SIZE"}, {}};
  PartRow sum{.name = "total", .kind = ""};
  for (const PartRow& part : contents.parts) {
    table.rows.push_back({part.name, part.kind, std::to_string(part.files), human_size(part.size)});
    sum.files += part.files;
    sum.size += part.size;
  }
  table.rows.push_back({sum.name, sum.kind, std::to_string(sum.files), human_size(sum.size)});
  return table;
}

} // namespace chillbox::cli
