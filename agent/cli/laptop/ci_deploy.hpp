// `deploy --ci-key`: a deploy without a person. It asks nobody and no host anything: the bundle
// says what the host is, and the release is announced by a webhook. With a bundle without keys it
// packs, and prints what a person has to type (`approve`).
#pragma once

#include "cli/core/verb.hpp"

namespace chillbox::cli {

Result<void> deploy_from_ci(Call& call);

} // namespace chillbox::cli
