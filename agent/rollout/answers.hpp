// What the site's own services answered to visitors (nginx::answers_log). Visitors choose what is
// asked, so it proves nothing alone.
#pragma once

#include "os/disk.hpp"

#include <cstdint>
#include <string>

namespace chillbox::rollout {

struct Answers {
  uint64_t all = 0, bad = 0; // bad: 5xx
  uint64_t bad_percent() const { return all == 0 ? 0 : bad * 100 / all; }
};

class AnswerLog {
public:
  explicit AnswerLog(std::string file) : m_file(std::move(file)) {}
  // Reads on from where it was. Answers whose requests began from `since` to `until` (milliseconds
  // since 1970) are counted into `into`.
  void count(os::Disk& disk, int64_t since, int64_t until, Answers& into);

private:
  std::string m_file;
  uint64_t m_at = 0;
};

// More answers than before are bad, by so much that it is worth a warning and a look of our own.
bool is_worse(const Answers& now, const Answers& before);

} // namespace chillbox::rollout
