// The process that makes the data of an unpacked archive: `chillboxd --restore DIR`, as the site's
// user, contained, without a network, with a view of that tree alone. It checks each digest as a
// proof does, and changes nothing while one is wrong; then DIR/data is what the data were: odd
// names, modes, times, links and the dump of Redis are as the manifest says. What was damaged when
// it was backed up is put back as it was, and said.
#pragma once

#include "backup/proof.hpp"

#include <string>

namespace chillbox::backup {

Result<ProofReport> place(const std::string& dir);
int restore_main(const std::string& dir);

} // namespace chillbox::backup
