#include "openrc/restarts.hpp"

#include "base/log.hpp"
#include "base/text.hpp"

#include <algorithm>

namespace chillbox::openrc {
namespace {

constexpr os::Millis k_long_run{60'000};
constexpr os::Millis k_longest_pause{120'000}; // the cause of a crash may pass
constexpr os::Millis k_uncounted{1'000};       // when the file cannot be written
constexpr uint32_t k_free = 2;                 // starts again without a pause

struct Starts {
  uint32_t short_runs = 0;
  os::Millis began{0}, next{0};
};

std::optional<Starts> parse(std::string_view text) {
  const auto words = split(trim(text), ' ');
  if (words.size() != 3)
    return std::nullopt;
  Starts starts;
  starts.short_runs =
      static_cast<uint32_t>(std::min<uint64_t>(parse_u64(words[0]).value_or(0), UINT32_MAX - 1));
  starts.began = os::Millis(static_cast<int64_t>(parse_u64(words[1]).value_or(0)));
  starts.next = os::Millis(static_cast<int64_t>(parse_u64(words[2]).value_or(0)));
  return starts;
}

bool write(os::Disk& disk, const std::string& file, const Starts& starts) {
  return disk
      .write(file,
          cat(starts.short_runs, ' ', starts.began.count(), ' ', starts.next.count(), '\n'), 0600)
      .has_value();
}

} // namespace

os::Millis pause_before(uint32_t short_runs) {
  if (short_runs < k_free)
    return os::Millis{0};
  constexpr uint32_t k_enough_doublings = 10;
  return std::min(os::Millis{1'000} * (1 << std::min(short_runs - k_free, k_enough_doublings)),
      k_longest_pause);
}

void wait_for_turn(
    os::Disk& disk, os::Clock& clock, const std::string& file, const TellRestart& tell) {
  const os::Millis now = clock.mono();
  const auto last = parse(disk.read(file, k_max_starts).value_or(std::string()));
  Starts starts;
  if (last && now - last->began < k_long_run)
    starts.short_runs = last->short_runs + 1;
  starts.began = now;
  os::Millis pause = pause_before(starts.short_runs);
  if (pause > os::Millis{0})
    starts.next = now + pause;
  if (!write(disk, file, starts))
    pause = std::max(pause, k_uncounted);
  if (last && tell)
    tell(pause);
  if (pause == os::Millis{0})
    return;
  clock.sleep(pause); // in place of its supervisor, which starts it again at once
  (void)write(disk, file, {starts.short_runs, clock.mono(), os::Millis{0}});
}

std::optional<os::Millis> crash_loop(std::string_view text, os::Millis now) {
  const auto starts = parse(text);
  if (!starts || starts->short_runs < k_free ||
      now - starts->began >= std::max(k_long_run, k_longest_pause))
    return std::nullopt;
  if (starts->next > now)
    return starts->next - now;
  return now - starts->began < k_long_run ? std::optional(os::Millis{0}) : std::nullopt;
}

} // namespace chillbox::openrc
