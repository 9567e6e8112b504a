// Two changes of one document at the same time: in another terminal, by `git pull` while an editor
// is open. Both stay, unless they are about one value.
#pragma once

#include "base/error.hpp"
#include "cli/laptop/secret_doc.hpp"

namespace chillbox::cli {

// `theirs`, with what `mine` changed of `base`. conflict: a value that was changed here is another
// one there now, too; the message names it and who set it.
Result<SecretDoc> merge_secrets(const SecretDoc& base, const SecretDoc& mine, SecretDoc theirs);

} // namespace chillbox::cli
