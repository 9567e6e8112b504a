// What went into an artifact and how big it is: by part (service, worker, shared folder), and the
// largest files.
#pragma once

#include "artifact/pack.hpp"
#include "cli/core/table.hpp"
#include "config/site.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace chillbox::cli {

struct Part {
  std::string name, kind; // kind: the service's lang, "files" for nginx/ and redis/, "site file"
  uint64_t files = 0, size = 0;
};

struct ArchiveSummary {
  std::vector<Part> parts; // as the site file has them, then the shared folders
  struct File {
    std::string path;
    uint64_t size = 0;
  };
  std::vector<File> largest; // at most five, the largest first
};

ArchiveSummary summarize(const config::Site& site, const std::vector<artifact::PackEntry>& entries);
// The rows, and one with the sums.
Table table_of(const ArchiveSummary& contents);
// As members "contents" and "largest" of a JSON object.
std::string with_summary(const std::string& object, const ArchiveSummary& contents);

} // namespace chillbox::cli
