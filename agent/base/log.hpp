// The log of chillboxd: one line an entry, to standard error (supervise-daemon writes it to the
// file). Never a secret: there is no way to log SecretBytes, and what strangers sent goes through
// printable() first. An error is logged once, where it is handled.
#pragma once

#include <string_view>

namespace chillbox::log {

enum class Level { debug, info, warn, error };

void init(std::string_view process, Level level); // "monitor", "edge", ...
void debug(std::string_view text);
void info(std::string_view text);
void warn(std::string_view text);
void error(std::string_view text);

} // namespace chillbox::log
