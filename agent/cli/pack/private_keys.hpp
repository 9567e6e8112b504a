// Private keys and tokens in what would be packed, found by content: a release is readable for the
// site's user, and what a static service has for every visitor. Public keys and certificates are
// not meant. It looks at the beginning of a file: a key is short, and a text in which one is quoted
// far down is not its place.
#pragma once

#include <cstddef>
#include <string_view>

namespace chillbox::cli {

inline constexpr size_t k_key_bytes = 64 * 1024; // how much of a file is looked at

// What a file is or contains, such as "a private key (PEM)"; "": nothing of the kind.
// head: its first k_key_bytes; size: of the whole file.
std::string_view private_key_in(std::string_view head, size_t size);
// What a file may well be that is no secret for certain: "a database (SQLite)", "secrets, by its
// name"; "": nothing of the kind. name: without folders.
std::string_view likely_private(std::string_view name, std::string_view head);

} // namespace chillbox::cli
