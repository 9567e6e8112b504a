// A person's editor on a text that may not reach a disk: a file in a tmpfs, in a folder of its own,
// which goes with all that the editor left there.
#pragma once

#include "base/error.hpp"
#include "base/secret.hpp"

#include <string>

namespace chillbox::cli {

// That of config.toml, VISUAL, EDITOR or vi. usage: no terminal, or no tmpfs of this user; failure:
// the editor failed.
Result<SecretString> edit_secret(const std::string& name, const SecretString& text);

} // namespace chillbox::cli
