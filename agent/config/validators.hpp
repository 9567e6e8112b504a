// The grammars of single values, as predicates: what a text must look like to be a host name, a
// schedule, a size. Each is the same as its pattern in docs/site.schema.json, so lengths are
// counted in characters, as JSON Schema does, and limits are in the grammar.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace chillbox::config {

// A text for people or for the laptop: what `allowed` says, and at most `max` characters.
struct TextRule {
  std::string_view allowed; // "must be ..."
  size_t max;
  bool (*ok)(std::string_view);
};
extern const TextRule k_title, k_line, k_value, k_command, k_host_name, k_folder, k_handler,
    k_file_name, k_app, k_health_path, k_cpu_list, k_absolute_path, k_web_path, k_web_folder,
    k_served_name, k_where;

size_t characters(std::string_view utf8);

// 500ms 10s 2m 1h: up to 6, 5, 4, 2 digits. `zero` takes 0 of any unit, and of none, as well.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text, bool zero);
// 4096K 256M 2G, of 1024: 4-9, 1-6, 1-3 digits, either case.
std::optional<uint64_t> parse_size(std::string_view text);

// Why this name cannot be a variable's; nullopt: it can (faults 64, 67).
std::optional<std::string> variable_name_problem(std::string_view name);
// Options of the site's own Redis that the agent sets itself, or that would let it read code or
// other users' files.
std::optional<std::string> redis_option_problem(std::string_view name);

} // namespace chillbox::config
