// Pauses between the starts of what ends again and again: none before the second start and the
// third, then 1, 2, 4 ... 120 seconds, for as long as it takes; a run of a minute begins the count
// again. It is the program that is started that waits, in itself, so that its supervisor needs one
// short delay and no limit, and a stop ends the waiting.
//
//   FILE  "RUNS BEGAN NEXT": short runs in a row; when the last one began; when the next one
//         begins, 0: it has. In milliseconds of the machine's uptime; below /run, so that a boot
//         begins again.
#pragma once

#include "os/clock.hpp"
#include "os/disk.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace chillbox::openrc {

os::Millis pause_before(uint32_t short_runs);
// By what is started, first of all. Writes to FILE and sleeps; at least a second when FILE cannot
// be written, because then nobody counts.
// tell: before it sleeps, unless it is the first start since FILE was removed.
using TellRestart = std::function<void(os::Millis pause)>;
void wait_for_turn(
    os::Disk& disk, os::Clock& clock, const std::string& file, const TellRestart& tell = {});
// Does it end again and again? The time that is left until it begins once more; 0: it has, less
// than a minute ago.
// text: of FILE, "" : there is none.
std::optional<os::Millis> crash_loop(std::string_view text, os::Millis now);
inline constexpr size_t k_max_starts = 256; // of FILE

} // namespace chillbox::openrc
