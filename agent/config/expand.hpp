// $NAME and ${NAME} in values, as site.json(5) says: values may use other variables; a cycle or an
// unknown name is an error that names it (the whole cycle); depth and size bounded. Nothing is ever
// evaluated by a shell. "$$" is a literal "$".
#pragma once

#include "base/error.hpp"

#include <array>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace chillbox::config {

using Variables = std::map<std::string, std::string>; // name to unexpanded value

inline constexpr size_t k_max_expanded = 64 * 1024;      // one value
inline constexpr size_t k_max_environment = 1024 * 1024; // all values together
inline constexpr size_t k_max_template = 1024 * 1024;    // one template

// What the host defines for every site; the site's own `env` comes on top.
inline constexpr std::array<std::string_view, 12> k_host_variables{"SLUGNAME", "VERSION",
    "SERVER_NAME", "SERVER_PORT", "CHILLBOX_SERVER_NAME", "CHILLBOX_SERVER_PORT", "CHILLBOX_SUBNET",
    "TECH_EMAIL", "S3_ENDPOINT_URL", "ARTIFACT_BUCKET_NAME", "IMMUTABLE_BUCKET_NAME",
    "IMMUTABLE_BUCKET_DOMAIN_NAME"};

// Sets a variable in place of an earlier one: a site's over the host's, a service's over the
// site's. A reference to itself in `value` means the value that it covers ("API_PATH": "$API_PATH"
// hands a site's variable on to one service).
void set_variable(Variables& variables, const std::string& name, std::string_view value);
Result<std::string> expand(std::string_view text, const Variables& variables);
// The name, when `value` is nothing but one reference: "$NAME" or "${NAME}".
std::optional<std::string> sole_reference(std::string_view value);
// Every value expanded.
Result<Variables> expand_all(const Variables& variables);
// Those of `names` that do not expand, each reason once: for a report of every problem.
std::vector<std::pair<std::string, Error>> broken_variables(
    const Variables& variables, const std::vector<std::string>& names);
// Each word of an argv, which stays one word whatever its value.
Result<std::vector<std::string>> expand_words(
    const std::vector<std::string>& words, const Variables& variables);
// For a command line that a shell of the site's user will read: replaced in every kind of quotes,
// as envsubst(1) does. denied: a value that a shell would take for more than a part of one word
// (faults 65).
Result<std::string> expand_command(std::string_view line, const Variables& variables);
// For NGINX templates: only names that are in `variables` or written in upper case are ours;
// lower-case $host and the like stay, "$$" too, and comment lines as they are. Errors begin with
// "line N". denied: a value with characters that end or open a directive (; { } # quotes, line
// breaks, \ or $) where the template uses it.
Result<std::string> expand_template(std::string_view text, const Variables& variables);

} // namespace chillbox::config
