#include "catch.hpp"

#include "base/encoding.hpp"
#include "base/text.hpp"
#include "cli/laptop/ci_bundle.hpp"
#include "cli/laptop/git_remote.hpp"

using namespace chillbox;
using namespace chillbox::cli;

namespace {

CiBundle bundle() {
  CiBundle bundle;
  bundle.host = "web1";
  bundle.site = "hello";
  bundle.url = "https://web1.example";
  bundle.facts.recipient = "age1x";
  bundle.facts.python = "3.12.1";
  bundle.facts.deployers.push_back({"kim", "AB", {}});
  bundle.key = SecretBytes(bytes_of("comment\nRWQ\n"));
  bundle.hook = SecretBytes(bytes_of("whsec_x"));
  return bundle;
}

} // namespace

TEST_CASE("the line of a CI is one line that reads back, without what else the host said of itself") {
  const std::string text = ci_bundle_text(bundle());
  CHECK(text.starts_with("cbci1_"));
  CHECK(text.find_first_of(" \n") == std::string::npos);
  const auto again = parse_ci_bundle(text + "\n");
  REQUIRE(again);
  CHECK(again->host == "web1");
  CHECK(again->site == "hello");
  CHECK(again->url == "https://web1.example");
  CHECK(again->facts.python == "3.12.1");
  CHECK(again->facts.deployers.empty());
  CHECK(again->key.text() == "comment\nRWQ\n");
  CHECK(again->hook.text() == "whsec_x");
}

TEST_CASE("a line of a CI that lacks something is refused, and one without both keys is none with half") {
  const std::string text = ci_bundle_text(bundle());
  for (size_t size = 0; size < text.size(); ++size)
    CHECK_FALSE(parse_ci_bundle(std::string_view(text).substr(0, size)));
  CiBundle half = bundle();
  half.hook = SecretBytes();
  CHECK_FALSE(parse_ci_bundle(ci_bundle_text(half)));
  half.key = SecretBytes();
  CHECK(parse_ci_bundle(ci_bundle_text(half)));
  half.facts.recipient = "";
  CHECK_FALSE(parse_ci_bundle(ci_bundle_text(half)));
  CiBundle odd = bundle();
  odd.site = "../etc";
  CHECK_FALSE(parse_ci_bundle(ci_bundle_text(odd)));
  CHECK_FALSE(parse_ci_bundle(cat("cbci1_", base64(bytes_of("[]")))));
  CHECK_FALSE(parse_ci_bundle(cat("cbci1_", base64(bytes_of("{\"facts\": 1}")))));
}

TEST_CASE("what git asks to push, and the commit that a version names") {
  const auto push = parse_git_push("+HEAD:refs/heads/main");
  CHECK(push.forced);
  CHECK(push.from == "HEAD");
  CHECK(push.to == "refs/heads/main");
  CHECK_FALSE(parse_git_push("refs/heads/a:refs/heads/b").forced);
  CHECK(parse_git_push(":refs/heads/b").from.empty());
  CHECK(commit_in_version("1.4.1-dev.2+g3f2a1c9.dirty") == "3f2a1c9");
  CHECK(commit_in_version("0.0.17+g3f2a1c9") == "3f2a1c9");
  for (const char* none : {"", "1.4.0", "1.4.0+build", "1.4.0+g12", "1.0.0+green-fields"})
    CHECK(commit_in_version(none).empty());
}
