// `deploy --ci-key`: a deploy without a person. Nothing is asked, of nobody and of no host: what
// the host is stands in the bundle, and the release goes by a webhook. A bundle without keys packs
// and prints what a person has to type (`approve`).
#pragma once

#include "cli/core/verb.hpp"

namespace chillbox::cli {

Result<void> deploy_from_ci(Call& call);

} // namespace chillbox::cli
