// What of a project's secrets this laptop last sent to a host: the digests, which say nothing to
// someone who does not have the document's salt; and the people to whom it last encrypted them.
// Losing it costs a comparison, and a question.
#pragma once

#include "base/error.hpp"
#include "cli/laptop/places.hpp"
#include "cli/laptop/secret_doc.hpp"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace chillbox::cli {

using SecretDigests = std::map<std::string, std::string>; // "web/web.env:DB_URL"
SecretDigests digests_of(const SecretDoc& doc);

Result<void> remember_sent(const Places& places, const std::string& host, const SecretPlace& place,
    const SecretDigests& digests);
// nullopt: this laptop sent none there.
std::optional<SecretDigests> recall_sent(
    const Places& places, const std::string& host, const SecretPlace& place);

Result<void> remember_readers(
    const Places& places, const SecretPlace& place, const std::vector<std::string>& recipients);
std::set<std::string> recall_readers(const Places& places, const SecretPlace& place);

struct SecretDifference {
  std::string name;
  char how; // '+' not there yet, '~' another value, '-' only there
};
std::vector<SecretDifference> compare(const SecretDigests& here, const SecretDigests& there);

} // namespace chillbox::cli
