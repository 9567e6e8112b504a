#include "catch.hpp"

#include "cli/core/complete.hpp"

#include "base/text.hpp"

#include <algorithm>

using namespace chillbox;
using namespace chillbox::cli;

namespace {

using Words = std::vector<std::string>;

Words texts(const Completion& completion) {
  Words out;
  for (const Candidate& candidate : completion.candidates)
    out.push_back(candidate.text);
  return out;
}

std::vector<Candidate> host_values(const Wanted& wanted) {
  switch (wanted.kind) {
  case ArgKind::site: return {{"blog", "1.0.0"}, {"shop", ""}};
  case ArgKind::target: return {{"blog", ""}, {"blog/api", ""}, {"shop", ""}};
  case ArgKind::release: return {{cat("1.0.0-of-", wanted.site), ""}};
  default: return {{wanted.hosts.empty() ? "here" : wanted.hosts.front(), ""}};
  }
}

Words at(const Words& words) {
  return texts(complete(words, host_values));
}

bool has(const Words& words, const std::string& word) {
  return std::ranges::find(words, word) != words.end();
}

} // namespace

TEST_CASE("every word of every verb is completed, its options and nobody else's too") {
  for (const Verb& verb : verbs()) {
    INFO(verb.name);
    Words before;
    for (const auto word : split(verb.name, ' ')) {
      auto words = before;
      words.emplace_back(word.substr(0, 1));
      CHECK(has(at(words), std::string(word)));
      before.emplace_back(word);
    }
    before.emplace_back("--");
    const Words options = at(before);
    size_t expected =
        common_options().size() + (verb.where == Where::host ? remote_options().size() : 0);
    for (const Option& option : verb.options)
      if (!is_position(option)) {
        ++expected;
        CHECK(has(options, cat("--", key_of(option))));
      }
    CHECK(options.size() == expected);
  }
}

TEST_CASE("a verb that is also the first word of another offers both") {
  CHECK(at({"audit", ""}) == Words{"verify"});
  CHECK(at({"help", "audit", ""}) == Words{"verify"});
  CHECK(at({"trust", ""}) == Words{"add", "list", "remove", "keep"});
  CHECK(at({"help", "trus"}) == Words{"trust"});
}

TEST_CASE("values of the host stand where the table says, after the options before them") {
  CHECK(at({"releases", ""}) == Words{"blog", "shop"});
  CHECK(at({"releases", "s"}) == Words{"shop"});
  CHECK(at({"logs", "-f", "-n", "20", "blog/"}) == Words{"blog/api"});
  CHECK(at({"rollback", "blog", ""}) == Words{"1.0.0-of-blog"});
  CHECK(at({"--json", "rollback", "--no-wait", "blog", "1"}) == Words{"1.0.0-of-blog"});
  CHECK(at({"rollback", "blog", "1.0.0", ""}).empty());
  CHECK(at({"rollback", "--", "-"}).empty());
  CHECK(at({"job", ""}) == Words{"here"});
  CHECK(at({"-H", "root@a,root@b", "job", ""}) == Words{"root@a"});
  CHECK(at({"job", "--host=c", ""}) == Words{"c"});
}

TEST_CASE("a list goes on behind its last comma, a choice offers what there is") {
  CHECK(at({"trust", "add", "k.pub", "--sites", "blog,"}) == Words{"blog,blog", "blog,shop"});
  CHECK(at({"trust", "add", "k.pub", "--sites=blog,s"}) == Words{"--sites=blog,shop"});
  CHECK(at({"completion", ""}) == Words{"bash", "zsh", "fish"});
  CHECK(at({"webhook", "add", "ci", "--format", "g"}) == Words{"github"});
}

TEST_CASE("files are for what may be a file, and for nothing else") {
  CHECK(complete({"deploy", ""}, host_values).files);
  CHECK(complete({"deploy", "--webhook-key", ""}, host_values).files);
  CHECK(complete({"plan", ""}, host_values).files);
  CHECK_FALSE(complete({"plan", ""}, host_values).candidates.empty()); // or a site
  CHECK_FALSE(complete({"releases", ""}, host_values).files);
  CHECK_FALSE(complete({""}, host_values).files);
  CHECK_FALSE(complete({"logs", "blog", "-n", ""}, host_values).files);
  CHECK(complete({}, host_values).candidates.size() > 10);
}
