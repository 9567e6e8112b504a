// What is in an archive of a site's data. The manifest is its last file, SITE/manifest.json: one
// JSON object, whose `files` has one line for each entry, so that it can be written and read line
// by line, however long it is.
//
//   {"schema":"chillbox/data/1","site":"blog","serial":29384,"release":"1.2.0-3","taken_ms":...,
//   "files":[
//   {"path":"data/web/a.db","kind":"sqlite","size":8192,"mode":"0640","mtime":...,"sha256":"..."},
//   ...
//   ]}
//
// A name that an archive of ours may not have (control characters, not UTF-8, twins in letter
// case, too long) is stored as SITE/odd/N: then `member` says odd/N and `path_hex` is its name in
// hex, and `path` the same made printable.
#pragma once

#include "base/error.hpp"
#include "base/names.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace chillbox::backup {

enum class Kind { file, sqlite, rdb, directory, link };

struct ManifestEntry {
  std::string path;   // as it was on the host: "data/web/a.db"
  std::string member; // below the top folder; "": it has none (a link that leads out of the data)
  Kind kind = Kind::file;
  uint64_t size = 0;
  uint32_t mode = 0; // permission bits
  int64_t mtime = 0;
  std::string sha256;  // of files
  std::string target;  // of links
  std::string damaged; // what was wrong with it when it was read
};

struct ManifestHead {
  SiteName site;
  uint64_t serial = 0;
  std::string release; // that was live
  int64_t taken_ms = 0;
};

std::string head_line(const ManifestHead& head);
std::string entry_line(const ManifestEntry& entry, bool first);
inline constexpr std::string_view k_manifest_end = "\n]}\n";
inline constexpr size_t k_max_manifest_line = 32 * 1024;

// Reads one from `path`, entry by entry. corrupt: it is none.
Result<ManifestHead> read_manifest(
    const std::string& path, const std::function<Result<void>(const ManifestEntry&)>& take);

} // namespace chillbox::backup
