#include "catch.hpp"

#include "base/text.hpp"
#include "os/disk.hpp"
#include "os/job_user.hpp"
#include "os/support.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <set>

using namespace chillbox;
using namespace chillbox::os;
using namespace os_test;

TEST_CASE("each job has a user that no other job has, and a number comes again only after all others [attack-A3]") {
  if (!as_root())
    return;
  std::set<uid_t> seen;
  for (int i = 0; i < 300; ++i) {
    auto one = JobUser::take(), two = JobUser::take();
    REQUIRE((one && two));
    CHECK(one->user().uid != two->user().uid);
    CHECK((one->user().uid >= k_first_job_user && one->user().uid <= k_last_job_user));
    CHECK(one->user().gid == one->user().uid);
    if (i < 100) { // what else runs on this machine may have some, too
      CHECK(seen.insert(one->user().uid).second);
      CHECK(seen.insert(two->user().uid).second);
    }
  }
  std::vector<JobUser> all;
  for (;;) {
    auto one = JobUser::take();
    if (!one)
      break;
    all.push_back(std::move(*one));
  }
  CHECK((all.size() > 200 && all.size() <= k_last_job_user - k_first_job_user + 1));
  CHECK(JobUser::take().error().code == Code::busy);
}

TEST_CASE("a number that still runs something is not given out, whatever it should have ended with [attack-A3]") {
  if (!as_root())
    return;
  const uid_t next =
      JobUser::take()->user().uid + 1; // of the two behind it one at least is inside the range
  const uid_t uid = next + 1 <= k_last_job_user ? next + 1 : k_first_job_user + 1;
  std::array<int, 2> ready;
  REQUIRE(::pipe(ready.data()) == 0);
  const pid_t left = ::fork();
  if (left == 0) {
    if (::setresuid(uid, uid, uid) == 0 && ::write(ready[1], "", 1) == 1)
      ::pause();
    ::_exit(1);
  }
  char byte;
  REQUIRE(::read(ready[0], &byte, 1) == 1);
  for (size_t i = 0; i < 300; ++i)
    CHECK(JobUser::take()->user().uid != uid);
  ::kill(left, SIGKILL);
  ::waitpid(left, nullptr, 0);
  bool again = false;
  for (size_t i = 0; i < 300; ++i)
    again = again || JobUser::take()->user().uid == uid;
  CHECK(again);
}

TEST_CASE("an account with a number of the jobs is named, and what to do about it") {
  const TempDir dir;
  spit(dir / "passwd", "root:x:0:0:root:/root:/bin/sh\n");
  spit(dir / "group", cat("root:x:0:\nold:x:", k_last_job_user, ":\n"));
  const auto checked = check_job_users(dir.path());
  REQUIRE_FALSE(checked);
  CHECK(checked.error().code == Code::conflict);
  CHECK(checked.error().message.starts_with(
      cat("'old' in ", dir.path(), "/group has number ", k_last_job_user)));
  spit(dir / "group", "root:x:0:\n");
  CHECK(check_job_users(dir.path()));
}
