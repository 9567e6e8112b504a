#include "catch.hpp"

#include "base/encoding.hpp"
#include "base/error.hpp"
#include "base/names.hpp"
#include "base/text.hpp"

#include <cerrno>

using namespace chillbox;

template <class Text>
concept CanBeSplit = requires(Text&& text) { chillbox::split(std::forward<Text>(text), ' '); };

TEST_CASE("nothing points into a text that goes with its expression: such a one cannot be split, and is trimmed to a copy") {
  static_assert(
      CanBeSplit<std::string&> && CanBeSplit<std::string_view> && CanBeSplit<const char*>);
  static_assert(!CanBeSplit<std::string>);
  static_assert(std::is_same_v<decltype(chillbox::trim(std::string())), std::string>);
  static_assert(
      std::is_same_v<decltype(chillbox::trim(std::declval<std::string&>())), std::string_view>);
}

TEST_CASE("every code has a name that finds it again, and the documented exit codes hold") {
  for (int i = 0; i <= static_cast<int>(Code::throttled); ++i) {
    const auto code = static_cast<Code>(i);
    CHECK(code_from_name(code_name(code)) == code);
    CHECK(exit_code(code) != 0);
  }
  CHECK(exit_code(Code::usage) == 2);
  CHECK(exit_code(Code::not_found) == 3);
  CHECK(exit_code(Code::denied) == 4);
  CHECK(exit_code(Code::unreachable) == 5);
  CHECK(exit_code(Code::sealed) == 6);
  CHECK(exit_code(Code::busy) == 7);
  CHECK(exit_code(Code::preflight) == 8);
  CHECK(exit_code(Code::unhealthy) == 9);
  CHECK(exit_code(Code::rolled_back) == 10);
  CHECK(exit_code(Code::partial) == 11);
  CHECK(exit_code(Code::timed_out) == 124);
  CHECK(exit_code(Code::interrupted) == 130);
}

TEST_CASE("TRY passes the value on, or returns the error with its context") {
  auto half = [](int n) -> Result<int> {
    if (n % 2 != 0)
      return fail(Code::invalid, "odd");
    return n / 2;
  };
  auto quarter = [&](int n) -> Result<int> { return TRY_IN("second", half(TRY(half(n)))); };
  CHECK(quarter(8).value() == 2);
  CHECK(quarter(7).error().message == "odd");
  CHECK(quarter(6).error().message == "second: odd");
  CHECK(fail_errno("rename a", ENOSPC).error().message == "rename a: no space left on device");
  CHECK(fail_errno("rename a", ENOSPC).error().code == Code::no_space);
}

TEST_CASE("[fault-72] a site is named by a slug that is none of ours; whether the host uses it itself, the host knows") {
  CHECK(SiteName::parse("blog"));
  CHECK(SiteName::parse("a-1"));
  CHECK(SiteName::parse("docker")); // no list of names could be complete
  CHECK(SiteName::parse(std::string(31, 'a')));
  for (const char* bad :
      {"chillbox", "chillboxd", "..", "-a", "", "Blog", "1a", "a_b", "a b", "a/b", "chillbox-x"})
    CHECK_FALSE(SiteName::parse(bad));
  CHECK_FALSE(SiteName::parse(std::string(32, 'a')));
  CHECK_FALSE(SiteName::parse(std::string_view("a\0b", 3)));
}

TEST_CASE("a version is a semantic version, with build metadata allowed") {
  for (const char* good : {"1.0.0", "0.1.0-alpha.1", "1.2.3+build.5", "1.2.3-rc.1+001"})
    CHECK(Version::parse(good));
  for (const char* bad :
      {"1.0", "v1.0.0", "01.0.0", "1.0.0-", "1.0.0+", "1.0.0-01", "1.0.0/..", "1.0.0 ", ""})
    CHECK_FALSE(Version::parse(bad));
}

TEST_CASE("a digest is 64 lower-case hex digits") {
  CHECK(Digest::parse(std::string(64, 'a')));
  CHECK_FALSE(Digest::parse(std::string(64, 'A')));
  CHECK_FALSE(Digest::parse(std::string(63, 'a')));
  CHECK_FALSE(Digest::parse(std::string(64, 'g')));
}

TEST_CASE("base64 accepts only the text that it would write itself") {
  const std::string text = "chillbox!";
  for (size_t n = 0; n <= text.size(); ++n) {
    const auto bytes = bytes_of(std::string_view(text).substr(0, n));
    CHECK(text_of(unbase64(base64(bytes)).value()) == text_of(bytes));
    CHECK(text_of(unbase64_unpadded(base64_unpadded(bytes)).value()) == text_of(bytes));
    CHECK(text_of(unbase64_secret(base64(bytes)).value().view()) == text_of(bytes));
  }
  CHECK_FALSE(unbase64("YQ"));
  CHECK_FALSE(unbase64("YR=="));
  CHECK_FALSE(unbase64("YQ== "));
  CHECK_FALSE(unbase64("Y Q=="));
  CHECK_FALSE(unbase64_unpadded("YQ=="));
}

TEST_CASE("base64 takes none of the bytes outside its alphabet for a digit") {
  const std::string_view alphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (int byte = 0; byte < 256; ++byte)
    for (size_t at = 0; at < 4; ++at) {
      std::string text = "AAAA";
      text[at] = static_cast<char>(byte);
      const bool digit = alphabet.find(static_cast<char>(byte)) != std::string_view::npos;
      CHECK(unbase64_unpadded(text).has_value() == digit);
      CHECK(unbase64_secret(text).has_value() == (digit || (byte == '=' && at == 3)));
    }
}

TEST_CASE("what a stranger sent is shown without its control characters") {
  CHECK(printable("a\x1b[31m\n") == "a\\x1b[31m\\x0a");
  CHECK(printable("\xff\xc2\x85") == "\\xff\\xc2\\x85");
  CHECK(printable("größe") == "größe");
  CHECK(printable("abcdef", 3) == "abc...");
}

TEST_CASE("numbers are decimal without sign, space or leading zero") {
  CHECK(parse_u64("0") == 0U);
  CHECK(parse_u64("18446744073709551615") == UINT64_MAX);
  for (const char* bad : {"", "01", "+1", "-1", " 1", "1 ", "1e9", "18446744073709551616", "0x1"})
    CHECK_FALSE(parse_u64(bad));
}

TEST_CASE("the nearest name is offered only when it is near") {
  CHECK(nearest("sevices", {"services", "workers"}) == "services");
  CHECK_FALSE(nearest("zzz", {"services", "workers"}));
}
