// 32 secret bytes as 24 words that a person writes on paper: each is four letters, consonant and
// vowel twice ("baku"), which is 12 bits; the last 32 bits are a checksum. No list of words is
// needed, and a letter that was misread is noticed.
#pragma once

#include "base/error.hpp"
#include "base/secret.hpp"

#include <cstddef>
#include <string_view>
#include <vector>

namespace chillbox::crypto {

inline constexpr size_t k_recovery_bytes = 32, k_recovery_words = 24;

// bytes: k_recovery_bytes.
std::vector<SecretString> recovery_words(ByteView bytes);
// In any case, with any space or dashes between. invalid, with the number of the word and never
// with what it was: no such word, too few, too many; a checksum that is wrong.
Result<SecretBytes> read_recovery_words(std::string_view text);

} // namespace chillbox::crypto
