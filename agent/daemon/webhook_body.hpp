// What of a webhook's body an order is read from, without a tree of all the rest: 64 KiB of JSON
// are skimmed in a tenth of the time. The event reader of nlohmann's library, which builds no tree
// either, takes twice as long for many small members and 35 times as long for one long string.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace chillbox::daemon {

// The body with those members alone, each with the bytes that it had: `type`, `zen`, `hook_id`, and
// of an object `data` its `site`, `version`, `sha256`, `size` and `watch`. nullopt: it is not
// certain that parse_json() takes the whole, which then says what is wrong.
std::optional<std::string> essential_members(std::string_view body);

} // namespace chillbox::daemon
