// Preloaded into chillboxd of a box, which has no wall clock of its own: that clock is ahead by the
// seconds (an int64_t) in the file that CHILLBOX_CLOCK names, from one moment to the next. The
// kernel does not tell a timer of it (TFD_TIMER_CANCEL_ON_SET), as it does where a clock is set.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <ctime>

namespace {

constexpr time_t k_wall = 1'000'000'000; // seconds: no monotonic clock has so many

const volatile int64_t* map_file() {
  const char* path = std::getenv("CHILLBOX_CLOCK");
  const int fd = path == nullptr ? -1 : open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return nullptr;
  void* mapped = mmap(nullptr, sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0);
  close(fd);
  return mapped == MAP_FAILED ? nullptr : static_cast<const volatile int64_t*>(mapped);
}

const volatile int64_t* g_ahead = nullptr;

__attribute__((constructor)) void map_at_start() {
  g_ahead = map_file();
}

time_t ahead() {
  return g_ahead == nullptr ? 0 : static_cast<time_t>(*g_ahead);
}

} // namespace

extern "C" int clock_gettime(clockid_t id, timespec* at) noexcept {
  const auto failed = static_cast<int>(syscall(SYS_clock_gettime, id, at));
  if (failed == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
    at->tv_sec += ahead();
  return failed;
}

extern "C" time_t time(time_t* at) noexcept {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  if (at != nullptr)
    *at = now.tv_sec;
  return now.tv_sec;
}

extern "C" int gettimeofday(timeval* __restrict at, void* __restrict) noexcept {
  timespec now{};
  const int failed = clock_gettime(CLOCK_REALTIME, &now);
  at->tv_sec = now.tv_sec;
  at->tv_usec = now.tv_nsec / 1000;
  return failed;
}

extern "C" int timerfd_settime(
    int fd, int flags, const itimerspec* value, itimerspec* old) noexcept {
  itimerspec real = *value;
  if ((flags & TFD_TIMER_ABSTIME) != 0 && real.it_value.tv_sec > k_wall)
    real.it_value.tv_sec -= ahead();
  return static_cast<int>(syscall(SYS_timerfd_settime, fd, flags, &real, old));
}
