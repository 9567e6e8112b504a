// What people read of a certificate.
#include "catch.hpp"

#include "cli/core/certificate_text.hpp"

using namespace chillbox;
using namespace chillbox::cli;
using control::AlertLevel;
using control::Certificate;
using control::CertificateState;

namespace {

constexpr int64_t k_now = 1'795'196'014'000, k_day = 86'400'000;

Certificate served(int64_t left_ms) {
  return {.id = "blog",
      .site = "blog",
      .state = CertificateState::valid,
      .names = {"blog.example"},
      .not_before_ms = k_now - 45 * k_day,
      .not_after_ms = k_now + left_ms};
}

} // namespace

TEST_CASE("a text is folded at spaces, and a word that is too long has a line of its own") {
  CHECK(fold("a bb ccc", 4, 0) == std::vector<std::string>{"a bb", "ccc"});
  CHECK(fold("a bb ccc", 80, 2) == std::vector<std::string>{"a bb ccc"});
  CHECK(fold("one two three", 7, 2) == std::vector<std::string>{"one two", "  three"});
  CHECK(fold("a https://ca.example/a/long/one b", 10, 2) ==
      std::vector<std::string>{"a", "  https://ca.example/a/long/one", "  b"});
  CHECK(fold("", 80, 2) == std::vector<std::string>{""});
}

TEST_CASE("the time that is left is in the unit that says most") {
  const auto left = [](int64_t ms) {
    return certificate_table({served(ms)}, k_now).rows.at(0).at(3);
  };
  CHECK(left(44 * k_day + 1) == "44 days");
  CHECK(left(k_day) == "24 hours");
  CHECK(left(7'199'000) == "119 minutes");
  CHECK(left(50'000) == "50 seconds");
  CHECK(left(0) == "expired");
  CHECK(left(-k_day) == "expired");
}

TEST_CASE("what is well has no trouble, and what nobody wants has no row") {
  CHECK(trouble_text(served(k_day), k_now).empty());
  Certificate off{.id = "blog", .site = "blog"};
  CHECK(certificate_table({off}, k_now).rows.empty());
  CHECK(trouble_text(off, k_now).empty());
  CHECK(validity_text(off, k_now) == "no certificate");
}

TEST_CASE("a trouble says how it stands, why, when it is tried next, and what to do") {
  Certificate c = served(2 * k_day);
  c.state = CertificateState::backing_off;
  c.failures = 1;
  c.problem = "the CA is away";
  c.next_ms = k_now + 60'000;
  const auto text = trouble_text(c, k_now);
  CHECK(
      text.starts_with("blog: https ends in 2 days: the renewal fails: the CA is away; next try "));
  CHECK(text.ends_with("; `chillboxctl tls check blog` asks again now"));
  c.not_after_ms = 0;
  CHECK(trouble_text(c, k_now).starts_with("blog: no https yet: the order failed: "));
  c.not_after_ms = k_now - 3 * k_day;
  CHECK(trouble_text(c, k_now).starts_with("blog: its certificate expired 3 days ago"));
}

TEST_CASE("the colour follows the alert") {
  Certificate c = served(k_day);
  CHECK(certificate_style(c) == Style::good);
  c.alert = AlertLevel::warning;
  CHECK(certificate_style(c) == Style::warn);
  c.alert = AlertLevel::error;
  CHECK(certificate_style(c) == Style::bad);
}

TEST_CASE("of one's own that has expired: no CA can be asked, and it is not called valid") {
  Certificate c = served(-3 * k_day);
  c.mode = "provided";
  c.alert = AlertLevel::expired;
  const auto text = trouble_text(c, k_now);
  CHECK(text.starts_with("blog: its certificate expired 3 days ago"));
  CHECK(text.find("put a new one where this one came from") != std::string::npos);
  CHECK(text.find("tls check") == std::string::npos);
  CHECK(certificate_table({c}, k_now).rows.at(0).at(1) == "expired");
  c.not_after_ms = k_now + 3 * k_day;
  c.alert = AlertLevel::warning;
  CHECK(trouble_text(c, k_now).starts_with("blog: https ends in 3 days; no CA is asked"));
  CHECK(certificate_table({c}, k_now).rows.at(0).at(1) == "valid");
}
