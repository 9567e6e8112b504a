#include "config/dotenv.hpp"

#include "base/text.hpp"
#include "catch.hpp"

using namespace chillbox;
using namespace chillbox::config;

namespace {

std::string read(std::string_view text) { // NAME=VALUE|..., or the error
  const auto pairs = parse_dotenv(text);
  if (!pairs)
    return pairs.error().message;
  std::string out;
  for (const auto& [name, value] : *pairs)
    out += cat(out.empty() ? "" : "|", name, "=", value);
  return out;
}

} // namespace

TEST_CASE("[fault-285] a file of variables is read as people have it") {
  CHECK(read("A=1\nB = two words  \n\n# comment\n  export C=3 # why\nexport\tD=#none\n") ==
      "A=1|B=two words|C=3|D=");
  CHECK(read("\xEF\xBB\xBF"
             "A=1\r\nB=\"2\"\r\n") == "A=1|B=2");
  CHECK(read("A=\"x\\n\\t\\\"y\\\\ \\$Z \\q\"  # c\nB='\\n \"$X'\n") ==
      "A=x\n\t\"y\\ $Z \\q|B=\\n \"$X");
  CHECK(
      read("KEY=\"-----BEGIN\r\nabc\n\n-----END\"\nB=2") == "KEY=-----BEGIN\nabc\n\n-----END|B=2");
  CHECK(read("A=it's\nB=a#b\nC=a=b==\nD=\nE=''\n") == "A=it's|B=a#b|C=a=b==|D=|E=");
  CHECK(read("A=$B ${C} `d` $(e)\n") == "A=$B ${C} `d` $(e)"); // nothing is expanded
  CHECK(read("A=1\nB=2\nA=3\n") == "B=2|A=3");
  CHECK(read("") == "");
}

TEST_CASE("[fault-285] a mistake is told by its line, never by what is in it") {
  CHECK(read("A=1\nhunter3\n") == "line 2: is not NAME=VALUE");
  CHECK(read("A: hunter3\n") == "line 1: is not NAME=VALUE");
  CHECK(read("A=\"x\ny\n\nB=2") == "line 1: the double quote that begins here has no end");
  CHECK(read("A=1\nB='x") == "line 2: the single quote that begins here has no end");
  CHECK(read("A=\"x\ny\" hunter3\n") == "line 2: text after the closing quote");
  CHECK(read("A=\"x\ny\"\nhunter3\n") == "line 3: is not NAME=VALUE");
  CHECK(read("hun ter=3\n").starts_with("line 1: what is before '=' is no name of a variable"));
  CHECK(read("=hunter3\n").starts_with("line 1: what is before '=' is no name"));
  CHECK(read(std::string_view("A=1\n\0", 5)) == "has a zero byte: must be text");
  CHECK(read(std::string(k_max_dotenv + 1, 'x')) == "more than 131072 bytes");
}

TEST_CASE("[fault-285] names that would break what runs are refused: code, loader, the agent's own") {
  for (const char* name : {"PATH", "LD_PRELOAD", "PYTHONPATH", "CHILLBOX_DATA_DIR", "PORT", "HOST",
           "SECRETS_CONFIG", "HOME", "LISTEN_FDS", "NODE_OPTIONS", "BASH_ENV"}) {
    const auto pairs = parse_dotenv(cat("A=1\n", name, "=hunter3\n"));
    REQUIRE_FALSE(pairs);
    CHECK(pairs.error().code == Code::denied);
    CHECK(pairs.error().message.starts_with(cat("line 2: '", name, "' ")));
    CHECK(pairs.error().message.find("hunter3") == std::string::npos);
  }
}
