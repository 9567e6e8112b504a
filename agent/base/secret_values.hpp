// What must not be seen of a file of secrets: its values, whatever its format (dotenv, .cfg, INI,
// JSON, TOML, YAML, PEM, a plain password). Nothing is parsed strictly: a file with a mistake in it
// is the one whose lines a traceback prints.
#pragma once

#include "base/secret.hpp"

#include <string_view>

namespace chillbox {

// As they are written and, where that differs, as they are meant (escapes). None for what anybody
// could guess and every log has: short words, numbers, "localhost", "production".
SecretStrings secret_values(std::string_view file);

} // namespace chillbox
