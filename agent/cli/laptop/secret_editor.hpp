// A person's editor on a text that may not reach a disk: a file in a tmpfs, in a folder of its own,
// which goes with all that the editor left there.
#pragma once

#include "base/error.hpp"
#include "base/secret.hpp"
#include "cli/core/verb.hpp"

#include <functional>
#include <string>

namespace chillbox::cli {

// usage: no terminal.
Result<void> check_editor();
// With the editor of config.toml, VISUAL, EDITOR or vi. What `take` fails with is shown, and the
// person may edit the text further; without a yes that is the answer, and what was typed is gone.
// usage: no tmpfs of this user; too_large: over 1 MiB; failure: the editor failed.
Result<void> edit_secret(Call& call, const std::string& name, const SecretString& text,
    const std::function<Result<void>(SecretString)>& take);

} // namespace chillbox::cli
