// The laptop's half: a deterministic tar (pax only where needed; sorted by bytes, owner 0:0 without
// names, mtime SOURCE_DATE_EPOCH or 0, modes 0755/0644), zstd, age to the recipients; the caller
// signs the result. Same input, same tar bytes. What the stager would refuse is refused here, with
// the same words.
#pragma once

#include "base/error.hpp"
#include "base/names.hpp"

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace chillbox::artifact {

struct PackEntry {
  std::string name;   // in the archive, with '/' between components
  std::string source; // file on disk; "" : `content`
  std::string content;
  bool executable = false;
  std::string link_target; // a symlink when not empty
  bool directory = false;  // needed only for empty ones
};

struct PackRequest {
  std::vector<PackEntry> entries; // any order
  std::vector<std::string> recipients;
  int64_t mtime = 0;
  std::string output;     // path of the .age file
  bool armor = false;     // text, a third larger
  std::string apart = {}; // name of an entry that is left out of rest_sha256
  std::function<void(uint64_t done, uint64_t total)> progress; // may be empty
};

struct Packed {
  Digest sha256;
  Digest tar_sha256; // of the tar before compression: what "same input, same bytes" is checked with
  Digest rest_sha256; // of names, kinds and contents, without those of one entry
  std::array<uint8_t, 64> blake2b;
  uint64_t size = 0;
  uint64_t unpacked = 0;
  uint64_t files = 0;
};

// True for what stays out, by its path relative to the directory; a folder that stays out is not
// read.
using Skip = std::function<bool(const std::string& path, bool directory)>;

// The files below a directory as entries under `prefix/` ("": none), sorted; empty folders and
// links kept, anything else refused. `skip` may be empty.
Result<std::vector<PackEntry>> folder_entries(
    const std::string& dir, const std::string& prefix, const Skip& skip);
// Writes the encrypted archive (temporary file, rename). No signature yet. A file that changes its
// size meanwhile: conflict.
Result<Packed> pack(const PackRequest& request);

} // namespace chillbox::artifact
