#include "crypto/recovery_words.hpp"

#include "base/encoding.hpp"
#include "base/text.hpp"
#include "crypto/hash.hpp"

#include <algorithm>
#include <array>
#include <optional>

namespace chillbox::crypto {
namespace {

// The letters of proquints (arXiv 0901.4016): none sounds or looks like another.
constexpr std::string_view k_consonants = "bdfghjklmnprstvz", k_vowels = "aiou";
constexpr size_t k_words_checksum = 4, k_bits = 12;
static_assert((k_recovery_bytes + k_words_checksum) * 8 == k_recovery_words * k_bits);
static_assert(k_consonants.size() == 16 && k_vowels.size() == 4);

std::array<uint8_t, k_words_checksum> checksum_of(ByteView bytes) {
  SecretString text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  text.insert(0, "chillbox recovery ");
  const std::string digest = sha256_of(bytes_of(text)).str();
  std::array<uint8_t, k_words_checksum> out{};
  const auto raw = unhex(digest.substr(0, 2 * k_words_checksum));
  std::ranges::copy(*raw, out.begin());
  return out;
}

SecretString word_of(unsigned value) {
  SecretString word(4, ' ');
  word[0] = k_consonants[value >> 8 & 15];
  word[1] = k_vowels[value >> 6 & 3];
  word[2] = k_consonants[value >> 2 & 15];
  word[3] = k_vowels[value & 3];
  return word;
}

// nullopt: no such word.
std::optional<unsigned> value_of(std::string_view word) {
  if (word.size() != 4)
    return std::nullopt;
  const auto a = k_consonants.find(word[0]), b = k_vowels.find(word[1]),
             c = k_consonants.find(word[2]), d = k_vowels.find(word[3]);
  if (std::max({a, b, c, d}) == std::string_view::npos)
    return std::nullopt;
  return static_cast<unsigned>(a << 8 | b << 6 | c << 2 | d);
}

// The letters in lower case, with one space between words.
SecretString normal(std::string_view text) {
  SecretString out;
  for (const char c : text)
    if (c >= 'A' && c <= 'Z')
      out += static_cast<char>(c - 'A' + 'a');
    else if (c != ' ' && c != '\t' && c != '\n' && c != '\r' && c != '-' && c != ',')
      out += c;
    else if (!out.empty() && out.back() != ' ')
      out += ' ';
  if (!out.empty() && out.back() == ' ')
    out.pop_back();
  return out;
}

} // namespace

std::vector<SecretString> recovery_words(ByteView bytes) {
  SecretBytes all(k_recovery_bytes + k_words_checksum);
  std::ranges::copy(bytes.first(k_recovery_bytes), all.data());
  std::ranges::copy(checksum_of(bytes), all.data() + k_recovery_bytes);
  std::vector<SecretString> words;
  for (size_t i = 0; i < all.size(); i += 3) { // three bytes are two words
    const unsigned three =
        static_cast<unsigned>(all.data()[i] << 16 | all.data()[i + 1] << 8) | all.data()[i + 2];
    words.push_back(word_of(three >> k_bits));
    words.push_back(word_of(three & 0xfff));
  }
  return words;
}

Result<SecretBytes> read_recovery_words(std::string_view text) {
  const SecretString line = normal(text);
  const auto words = split(line, ' ');
  if (words.size() != k_recovery_words)
    return fail(Code::invalid,
        cat("the recovery words are ", k_recovery_words, ", and these are ", words.size()));
  SecretBytes all(k_recovery_bytes + k_words_checksum);
  for (size_t i = 0; i < words.size(); i += 2) {
    const auto first = value_of(words[i]), second = value_of(words[i + 1]);
    if (!first || !second)
      return fail(Code::invalid,
          cat("word ", i + (first ? 2 : 1), " is not a recovery word: check its letters"));
    const unsigned three = *first << k_bits | *second;
    for (size_t byte = 0; byte < 3; ++byte)
      all.data()[i / 2 * 3 + byte] = static_cast<uint8_t>(three >> (16 - 8 * byte));
  }
  const auto sum = checksum_of(all.view().first(k_recovery_bytes));
  if (!same(sum, all.view().subspan(k_recovery_bytes)))
    return fail(
        Code::invalid, "these words do not belong together: one is misread, or in another place");
  all.truncate(k_recovery_bytes);
  return all;
}

} // namespace chillbox::crypto
