#include "sample.hpp"

#include "nginx/pattern.hpp"
#include "nginx/syntax.hpp"

using namespace chillbox;
using namespace chillbox::nginx;

namespace {

std::string words(std::string_view text) {
  const auto nodes = parse(text);
  if (!nodes)
    return nodes.error().message;
  std::string out;
  for (const auto& node : *nodes)
    out += cat("[", join(node.words, "|"), node.block ? "]{" : "]",
        node.block ? write(node.inside) : "", node.block ? "}" : "");
  return out;
}

} // namespace

TEST_CASE("words are what NGINX reads: quotes, escapes, comments, variables in braces") {
  CHECK(words("a b  c;") == "[a|b|c]");
  CHECK(words("a \"b c\" 'd \"e';") == "[a|b c|d \"e]");
  CHECK(words("a b#c; # d;\n#e\nf g;") == "[a|b#c][f|g]");
  CHECK(words("a ${b}c \"${d}\";") == "[a|${b}c|${d}]");
  CHECK(words("a \\.b \"\\.\" \"\\\\\" \"\\t\" 'it\\'s';") == "[a|\\.b|\\.|\\|\t|it's]");
  CHECK(words("a \"\";") == "[a|]");
  CHECK(words("a{b c;}") == "[a]{b c;\n}");
  CHECK(words("a ^/x{2}$ { }") ==
      "line 1: '{' is not closed"); // as NGINX: the first brace opens a block
  CHECK(words("if ($x = \"y\") { }") == "[if|($x|=|y|)]{}");
  CHECK(words("a b}c;") == "[a|b}c]");
  CHECK(words("a \"line\nbreak\";") == "[a|line\nbreak]");
}

TEST_CASE("what NGINX would not read is refused with its line") {
  CHECK(words("a b;\nc \"d;") == "line 2: a \" is not closed");
  CHECK(words("a b;\n}") == "line 2: unexpected '}'");
  CHECK(words("a {\n b;") == "line 1: '{' is not closed");
  CHECK(words("a\nb") == "line 1: 'a' has no ';'");
  CHECK(words(";") == "line 1: unexpected ';'");
  CHECK(words("a \"b\"c;") == "line 1: unexpected 'c' after a quoted text");
  CHECK(words(std::string_view("a \0;", 4)) == "line 1: a control character, \\x00");
  std::string deep;
  for (int i = 0; i < 20; ++i)
    deep += "a {";
  CHECK(words(deep) == "line 1: blocks nest deeper than 16");
}

TEST_CASE("what is written is read as the same words") {
  for (const char* word : {"", " ", "a b", ";", "{", "}", "#", "a#b", "\"", "'", "\\", "\\\\",
           "\\n", "\n", "\t", "\r", "${x}", "$x{", "a;b", "\\\"", "~ ^/\\.(?:a|b){2}$", "\\ "}) {
    Node node;
    node.words = {"x", word};
    INFO(word);
    const auto again = parse(write({node}));
    REQUIRE(again);
    CHECK(again->at(0).words == node.words);
  }
}

TEST_CASE("groups of a pattern: their names, and whether they are whole segments of a path or plain [fault-1298]") {
  const auto groups = [](std::string_view pattern) {
    const auto found = groups_of(pattern);
    if (!found)
      return found.error().message;
    std::string out;
    for (const auto& group : *found)
      out += cat(group.name.empty() ? "-" : group.name, group.whole ? "! " : " ");
    return out;
  };
  CHECK(groups("^/a/(.+)$") == "-! ");
  CHECK(groups("^/a/(?<x>[^/]+)/(?P<y>.*)$") == "x! y! ");
  CHECK(groups("^/a/(.*)") == "-! ");
  CHECK(groups("^/a(..)b") == "- ");
  CHECK(groups("^/a/(..)") == "- ");
  CHECK(groups("^/(..)/?x") == "- ");
  CHECK(groups("^/?(..)/x") == "- ");
  CHECK(groups("[/](..)/x") == "- ");
  CHECK(groups("^/(?:x|(..))/") == "- ");
  CHECK(groups("[(](a)\\((b)") == "- - ");
  CHECK(groups("[]()](a)[^](]") == "- ");
  CHECK(groups("[[:alpha:](](a)") == "- ");
  CHECK(groups("(?=x)(?<!y)(?i)(?:a)") == "");
  const auto plain = [](std::string_view inside) {
    return groups_of(cat("(?<x>", inside, ")")).value().at(0).plain;
  };
  for (const char* inside :
      {"en|de", "de-AT", "[a-z]{2}", "\\w+", "[a-z0-9_-]+", "v\\d*", "[\\w-]+?", ""})
    CHECK(plain(inside));
  for (const char* inside :
      {".*", "..", "a.b", "[^/]+", "a/b", "[--9]", "[+--]", "[\\--9]", "\\.", "\\S+", "\\W", "[a.]",
          "[[:punct:]]", "(a)", "\\x2e", "[!-~]", "[]a]", "[a", "\\56", "[\\W]"})
    CHECK_FALSE(plain(inside));
  for (const char* pattern : {"(?x)a", "(?#c)", "(*UTF8)a", "\\Qa\\E", "(?|a)", "(?1)", "\\k<a>",
           "(?(1)a)", "(?&a)", "(?P>a)"})
    CHECK(has(groups(pattern), "which is not supported here"));
  CHECK(with_names("^(?<a>x)[(?<b>]\\(?<c>(?P<d>y)$", [](const std::string& name) {
    return "N" + name;
  }) == "^(?<Na>x)[(?<b>]\\(?<c>(?P<Nd>y)$");
}
