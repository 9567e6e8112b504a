// Uploads that broke off, kept so that their sender can go on where they stopped. A part is a file
// of the upload directory that nobody writes to: who continues it takes it out first, so there are
// never two. It belongs to the sender who announced it and to one digest, which is checked over the
// whole at the end, whatever the parts were.
//
// Bounded: so many of one sender, for so long after their last byte; their bytes count as uploads
// do (limits.uploads_max), and they are the first to go when others need the room. They do not
// outlive the daemon. Any thread.
#pragma once

#include "os/clock.hpp"
#include "os/disk.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

namespace chillbox::daemon {

struct PartialUpload {
  std::string path;
  std::string job; // whose capability sent it
  uint64_t size = 0;
  os::Millis until{}; // monotonic
};

class PartialUploads {
public:
  explicit PartialUploads(os::Disk& disk) : m_disk(disk) {}

  // The longer of two of the same digest stays.
  void keep(const std::string& sender, const std::string& digest, PartialUpload part);
  std::optional<PartialUpload> take(const std::string& sender, const std::string& digest);
  uint64_t size(const std::string& sender, const std::string& digest) const; // 0: none
  uint64_t bytes(const std::string& sender) const;                           // "": of all
  void drop(const std::function<bool(const std::string& sender, const PartialUpload&)>& which);
  // Drops what is over. The time until the next is; negative: there is none.
  os::Millis expire(os::Millis now);

private:
  using Key = std::pair<std::string, std::string>; // sender, digest
  os::Disk& m_disk;
  std::optional<PartialUpload> take_out(const Key& key);

  mutable std::mutex m_mutex;
  std::map<Key, PartialUpload> m_parts;
};

} // namespace chillbox::daemon
