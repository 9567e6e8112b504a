// Small files that are asked for again and again and hardly ever change, as they were last read.
#pragma once

#include "base/error.hpp"
#include "os/clock.hpp"
#include "os/file_stamp.hpp"

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>

namespace chillbox::os {

class KnownFiles {
public:
  using Read = std::function<Result<std::string>()>;
  // The file's text, as fresh as `read` has it, which is asked only if the path does not lead to
  // the very file that was read before (file_stamp.hpp). nullopt: it cannot be read.
  std::optional<std::string> text(const std::string& path, const Read& read);

private:
  struct Known {
    FileStamp stamp;
    std::string text;
  };
  std::mutex m_mutex;
  std::map<std::string, Known> m_known; // by path
};

inline std::optional<std::string> KnownFiles::text(const std::string& path, const Read& read) {
  const FileStamp stamp = FileStamp::of(path); // before it is read
  const std::scoped_lock lock(m_mutex);
  if (const auto known = m_known.find(path); known != m_known.end()) {
    if (known->second.stamp == stamp)
      return known->second.text;
    m_known.erase(known);
  }
  auto text = read();
  if (!text)
    return std::nullopt;
  if (stamp != FileStamp{} && stamp.is_settled(real_clock().wall_ms() * 1'000'000))
    m_known[path] = {stamp, *text};
  return std::move(*text);
}

} // namespace chillbox::os
