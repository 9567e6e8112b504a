// What went into an artifact and how big it is: by part (service, worker, shared folder), and the
// largest files.
#pragma once

#include "artifact/pack.hpp"
#include "cli/core/answers.hpp"
#include "cli/core/table.hpp"
#include "config/site.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace chillbox::cli {

struct ArchiveSummary {
  std::vector<PartRow> parts;   // as the site file has them, then the shared folders; kind: the
                                // service's lang, "files" for nginx/ and redis/, "site file"
  std::vector<FileRow> largest; // at most five, the largest first
};

ArchiveSummary summarize(const config::Site& site, const std::vector<artifact::PackEntry>& entries);
// The rows, and one with the sums.
Table table_of(const ArchiveSummary& contents);

} // namespace chillbox::cli
