// How many control connections each user may hold, so that no operator keeps another one out. One
// that works has one of 32 places: a user 8 of them, all but root together 28. One that follows a
// job or a log, which may last for ever, gives that back for one of its own kind: a user 8, all but
// root together 24, root 32.
#pragma once

#include "base/error.hpp"

#include <sys/types.h>

#include <cstddef>
#include <map>
#include <mutex>

namespace chillbox::daemon {

class ControlLimits {
public:
  Result<void> enter(uid_t uid);  // busy, and by whom
  Result<void> follow(uid_t uid); // of one that has entered
  // One that has entered as `uid` is counted as another from now on. busy: that one has too many,
  // and it stays as it is.
  Result<void> become(uid_t uid, uid_t as);
  void leave(uid_t uid, bool follows);

private:
  struct Count {
    size_t all = 0;
    size_t but_root = 0;
    std::map<uid_t, size_t> of;
    void add(uid_t uid);
    void take(uid_t uid);
    size_t of_user(uid_t uid) const;
  };
  std::mutex m_mutex;
  Count m_working, m_following;
};

} // namespace chillbox::daemon
