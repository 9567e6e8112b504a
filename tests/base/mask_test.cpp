#include "base/mask.hpp"

#include "base/secret_values.hpp"
#include "base/text.hpp"
#include "catch.hpp"

#include <algorithm>

using namespace chillbox;

namespace {

std::string masked(std::string_view file, std::string_view text) {
  return Mask(secret_values(file)).apply(text);
}

bool hides(std::string_view file, std::string_view text) {
  return masked(file, text).find(text) == std::string::npos;
}

} // namespace

TEST_CASE("a value is masked wherever it is, the longest one first, and nothing else is") {
  const Mask mask({"hunter3", "hunter3-and-more", "zz", "0123456789"});
  CHECK(mask.apply("a hunter3 b hunter3-and-more,hunter33 zz") ==
      "a [secret] b [secret],[secret]3 zz");
  CHECK(mask.apply("hunte") == "hunte");
  CHECK(mask.apply("cut off: hunter") == "cut off: [secret]");
  CHECK(mask.apply("hunte hunter30123456789") == "hunte [secret][secret]");
  CHECK(mask.apply("") == "");
  CHECK(Mask().apply("hunter3") == "hunter3");
}

TEST_CASE("a value that comes in pieces is masked, whatever the cuts, and a line that is whole does not wait") {
  const std::string long_value = std::string(1500, 'x') + "END" + std::string(700, 'y');
  const Mask mask({"hunter3", "hunter3456789", SecretString(long_value)});
  const std::string text = cat("one hunter3\ntwo hunter345678 ", long_value, " three\nhunt");
  for (size_t piece = 1; piece < 40; ++piece) {
    MaskedStream stream(mask);
    std::string out;
    for (size_t at = 0; at < text.size(); at += piece)
      out += stream.feed(std::string_view(text).substr(at, piece));
    INFO(piece);
    CHECK(out + stream.end() ==
        "one [secret]\ntwo [secret]45678 [secret][secret][secret] three\nhunt");
  }
  MaskedStream stream(mask);
  CHECK(stream.feed("a line\n") == "a line\n");
  CHECK(stream.feed("a prompt: ") == "a prompt: ");
  CHECK(stream.feed("hunter3") == ""); // it may go on
  CHECK(stream.feed("\n") == "[secret]\n");
  CHECK(stream.feed("x hunter3456") == "x ");
  CHECK(stream.end() == "[secret]"); // cut off: more than half of it
}

TEST_CASE("[fault-284] the values of a set are found whatever the format of its files") {
  for (const auto& [file, secret] : {std::pair{"WHISPER = \"hunter3\n", "hunter3"},
           std::pair{"WHISPER = 'hunter3'  # why\n", "hunter3"},
           std::pair{"export DB_PASSWORD=s3cr#t word\r\n", "s3cr#t word"},
           std::pair{"TOKEN=abc12345 # comment\n", "abc12345"},
           std::pair{"\xEF\xBB\xBFTOKEN=abc12345", "abc12345"},
           std::pair{"{\"key\": \"a\\\"b\\nline two\"}", "line two"},
           std::pair{"{\"key\": {\"inner\": [\"first1\", \"second2\"]}}", "second2"},
           std::pair{"[table]\nkey = '''\nin three quotes\n'''\n", "in three quotes"},
           std::pair{"key: yaml-value-1\n", "yaml-value-1"},
           std::pair{"list:\n  - item-value-1\n", "item-value-1"},
           std::pair{"key: |\n  block-line-1\n", "block-line-1"},
           std::pair{"-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBg\nkqhkiG9w0B==\n-----END",
               "kqhkiG9w0B=="},
           std::pair{"URL=postgres://app:p%40ss-w0rd@db.example/app\n", "p@ss-w0rd"},
           std::pair{"postgres://app:p%40ss-w0rd@db.example/app\n", "p%40ss-w0rd"},
           std::pair{"db.example:5432:app:app:pgp4ssword\n", "pgp4ssword"},
           std::pair{"machine x login y password n3trcpass\n", "n3trcpass"},
           std::pair{"#looks-like-a-comment", "#looks-like-a-comment"},
           std::pair{"correct horse battery staple\n", "correct horse battery staple"},
           std::pair{"KEY=\"first line 1\nsecond line 2\"\n", "second line 2"},
           std::pair{"KEY='C:\\\\dir\\\\x1'", "C:\\dir\\x1"},
           std::pair{"K = 'a', 'bbbbbb1', \"ccc\\'ccc1\"", "bbbbbb1"}}) {
    INFO(file);
    CHECK(hides(file, secret));
    CHECK(hides(file, file));
  }
  CHECK(masked("{\"password_of_db\": \"hunter3\"}", "password_of_db is hunter3") ==
      "password_of_db is [secret]");
  CHECK(masked("A = 1\nWHISPER = \"hunter3\n", "    WHISPER = \"hunter3\n              ^\n") ==
      "    WHISPER = \"[secret]\n              ^\n");
}

TEST_CASE("what everybody's settings have is not taken for a secret, and a file that is no text has no values") {
  const std::string_view settings =
      "DEBUG = True\nPORT=5432\nHOST=localhost\nLOG_LEVEL='warning'\nENV: production\n[section]\n"
      "# comment value\nimport os\nTIMEOUT = 3600\n";
  for (const std::string_view text : {"True", "5432", "localhost", "warning", "production",
           "section", "import os", "3600", "comment value", "DEBUG", "LOG_LEVEL"})
    CHECK(masked(settings, text) == text);
  CHECK(secret_values(std::string_view("\0\0PKCS12 hunter3", 16)).empty());
  CHECK(secret_values("").empty());
}
