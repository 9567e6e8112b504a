// What `host export` keeps and `host import` says. answers.cpp has the tables of their members.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace chillbox::cli {

struct ExportedSite {
  std::string site, version, release; // live
  std::string root, env;              // its project on this laptop, "": not known
  std::vector<std::string> names;     // host names
  std::string backup;                 // name of its newest backup, "": there is none
  uint64_t serial = 0;                // of that
};
struct HostExport { // host.json of an export
  std::string host, server_name, target, key;
  int64_t time_ms = 0;
  std::vector<ExportedSite> sites;
};
struct ImportedSite {
  std::string site, version;
  uint64_t serial = 0;  // of the backup that its data are from, 0: none
  int64_t taken_ms = 0; // of that
  std::string problem;  // "": it serves
};
struct HostImport {
  std::string host, from;
  uint64_t seconds = 0;
  std::vector<ImportedSite> sites;
};

} // namespace chillbox::cli
