// 24 words for paper: what is written reads back, what is misread does not.
#include "catch.hpp"

#include "base/text.hpp"
#include "crypto/age.hpp"
#include "crypto/recovery_words.hpp"
#include "report.hpp"

#include <algorithm>

using namespace chillbox;
using namespace chillbox::crypto;

namespace {

std::string joined(const std::vector<SecretString>& words, std::string_view between = " ") {
  std::vector<std::string> texts;
  for (const auto& word : words)
    texts.emplace_back(word.data(), word.size());
  return join(texts, between);
}

} // namespace

TEST_CASE("recovery words read back as the same bytes, however they are typed") {
  for (int i = 0; i < 50; ++i) {
    const auto scalar = AgeIdentity::generate().scalar();
    const auto words = recovery_words(scalar.view());
    REQUIRE(words.size() == k_recovery_words);
    for (const std::string& text : {joined(words), joined(words, "-"), joined(words, "\n  "),
             " " + joined(words, ", ") + "\n"}) {
      const auto read = read_recovery_words(text);
      REQUIRE(read);
      CHECK(same(read->view(), scalar.view()));
    }
    std::string upper = joined(words);
    std::ranges::transform(
        upper, upper.begin(), [](char c) { return static_cast<char>(std::toupper(c)); });
    CHECK(read_recovery_words(upper));
  }
  const SecretBytes zero(k_recovery_bytes);
  CHECK(joined(recovery_words(zero.view())).starts_with("baba baba "));
}

TEST_CASE("recovery words that were misread, swapped, left out or doubled are refused [fault-460]") {
  const auto scalar = AgeIdentity::generate().scalar();
  const auto words = recovery_words(scalar.view());
  CHECK_FALSE(read_recovery_words(""));
  CHECK_FALSE(read_recovery_words(joined({words.begin(), words.end() - 1})));
  auto more = words;
  more.push_back(words.front());
  CHECK_FALSE(read_recovery_words(joined(more)));
  for (size_t i = 0; i < words.size(); ++i) {
    auto other = words;
    other[i][0] = other[i][0] == 'b' ? 'd' : 'b';
    CHECK_FALSE(read_recovery_words(joined(other)));
    other[i] = SecretString("xxxx");
    const auto read = read_recovery_words(joined(other));
    REQUIRE_FALSE(read);
    CHECK(read.error().message.starts_with(cat("word ", i + 1, " ")));
    auto swapped = words;
    std::swap(swapped[i], swapped[(i + 1) % words.size()]);
    CHECK((swapped == words || !read_recovery_words(joined(swapped))));
  }
}
