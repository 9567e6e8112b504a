// The secrets of a project: the text that a service reads, and the document that is encrypted.
#include "catch.hpp"

#include "base/text.hpp"
#include "cli/laptop/secret_doc.hpp"
#include "cli/laptop/secret_file.hpp"
#include "report.hpp"

using namespace chillbox;
using namespace chillbox::cli;

namespace {

SecretString secret(std::string_view text) {
  return {text.data(), text.size()};
}

const std::vector<std::string> k_awkward{"plain", "a b", "it's", "say \"hi\"",
    "$HOME ${X} `id` $(id)", "back\\slash\\n", "two\nlines\n", "tab\there", "#no comment",
    " spaces ", "=", "ünïcode €", "'\"\\$#\n", "\\u0041", "\r\n end", "%s {x}"};

} // namespace

TEST_CASE("what is written for a service reads back as the same values, whatever they are [fault-454]") {
  for (const auto format : {SecretFormat::dotenv, SecretFormat::json, SecretFormat::cfg}) {
    SecretValues values;
    for (size_t i = 0; i < k_awkward.size(); ++i)
      values[cat("KEY_", i)] = secret(k_awkward[i]);
    const auto text = render_secrets(format, values);
    const auto read = parse_secrets(format, text);
    INFO(format_name(format));
    REQUIRE(read);
    for (const auto& [key, value] : values)
      CHECK(std::string_view(read->at(key)) == std::string_view(value));
  }
}

TEST_CASE("what is no value and no key is refused, without what it was [fault-455]") {
  for (const std::string_view bad :
      {std::string_view(""), std::string_view("a\0b", 3), std::string_view("\xff\xfe")}) {
    const auto done = check_secret_value(bad);
    REQUIRE_FALSE(done);
  }
  for (const char* bad : {"", "1A", "A B", "A-B", "A=hunter2", "A\nB", "ä"})
    CHECK_FALSE(check_secret_key(bad, SecretFormat::cfg));
  for (const auto& [format, text] :
      std::initializer_list<std::pair<SecretFormat, std::string_view>>{
          {SecretFormat::cfg, "A = 'x'\nB = \"hunter2\n"}, {SecretFormat::cfg, "A = hunter2"},
          {SecretFormat::cfg, "A = 'x' + hunter2"}, {SecretFormat::json, "{\"A\": \"hunter2\""},
          {SecretFormat::json, "[\"hunter2\"]"}, {SecretFormat::json, "{\"A\": {\"hunter2\": 1}}"},
          {SecretFormat::dotenv, "A='hunter2\n"}, {SecretFormat::dotenv, "hunter2"}}) {
    const auto read = parse_secrets(format, text);
    REQUIRE_FALSE(read);
    CHECK_FALSE(read.error().message.contains("hunter2\""));
    CHECK_FALSE(read.error().message.contains("= hunter2"));
  }
}

TEST_CASE("[fault-1086] an environment has the names that a host takes, and other files any") {
  const std::string longest(64, 'A');
  CHECK(check_secret_key(longest, SecretFormat::dotenv));
  for (const std::string& bad : {longest + "A", std::string("PATH"), std::string("LD_PRELOAD"),
           std::string("CHILLBOX_X"), std::string("PORT")}) {
    CHECK_FALSE(check_secret_key(bad, SecretFormat::dotenv));
    CHECK(check_secret_key(bad, SecretFormat::json));
  }
}

TEST_CASE("[fault-1087] a character by its number is that character, and half of one is none") {
  const auto read = parse_secrets(SecretFormat::cfg,
      R"(A = "\u00e9\x41\u20ac \u00c3\u00a9"
B = 'é'
)");
  REQUIRE(read);
  CHECK(std::string_view(read->at("A")) == "éA€ Ã©");
  CHECK(std::string_view(read->at("B")) == "é");
  for (const char* bad : {R"(A = "\ud83d")", R"(A = "\u12")", R"(A = "\xg0")", R"(A = "\x")"})
    CHECK_FALSE(parse_secrets(SecretFormat::cfg, bad));
}

TEST_CASE("the document keeps files, keys, who and when, and refuses what it does not understand") {
  SecretDoc doc;
  doc.salt = "00ff";
  doc.people = {"age1x"};
  doc.files["web/web.env"] = {SecretFormat::dotenv, {{"A", {secret("one\ntwo"), 5, "jo"}}}};
  doc.files["tls/x.pem"] = {SecretFormat::text, {{"", {secret("PEM\n"), 6, "kim"}}}};
  const auto text = secret_doc_text(doc);
  const auto read = parse_secret_doc(text);
  REQUIRE(read);
  CHECK(read->people == doc.people);
  CHECK(read->files.at("web/web.env").keys.at("A").value == secret("one\ntwo"));
  CHECK(read->files.at("tls/x.pem").keys.at("").by == "kim");
  CHECK(read->digest("web/web.env", "A") == doc.digest("web/web.env", "A"));
  doc.salt = "01ff";
  CHECK(read->digest("web/web.env", "A") != doc.digest("web/web.env", "A"));
  for (const char* bad :
      {"", "chillbox secrets v2 00\n", "chillbox secrets v1 00\nkey A 1 jo YQ==\n",
          "chillbox secrets v1 00\nfile a/b dotenv\nkey A 1 jo !\n",
          "chillbox secrets v1 00\nmore\n"})
    CHECK_FALSE(parse_secret_doc(bad));
}

TEST_CASE("the name of a file says its format") {
  CHECK(secret_format_of("web/web.env") == SecretFormat::dotenv);
  CHECK(secret_format_of("web/.env") == SecretFormat::dotenv);
  CHECK(secret_format_of("web/web.cfg") == SecretFormat::cfg);
  CHECK(secret_format_of("web/x.json") == SecretFormat::json);
  CHECK(secret_format_of("tls/hello.pem") == SecretFormat::text);
}
