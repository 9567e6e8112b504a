#include "catch.hpp"

#include "config/expand.hpp"

using namespace chillbox;
using namespace chillbox::config;

namespace {

std::string problem(std::string_view text, const Variables& variables) {
  const auto result = expand(text, variables);
  return result ? "expanded to '" + *result + "'" : result.error().message;
}

} // namespace

TEST_CASE("variables are replaced by their values, which may use others") {
  const Variables v{{"A", "1"}, {"AB", "two"}, {"URL", "http://${HOST}:$PORT/"},
      {"HOST", "$SLUG.test"}, {"SLUG", "blog"}, {"PORT", "80"}, {"EMPTY", ""}};
  CHECK(expand("$A$AB${A}B$EMPTY.", v).value() == "1two1B.");
  CHECK(expand("$URL", v).value() == "http://blog.test:80/");
  CHECK(expand("no variables", v).value() == "no variables");
  CHECK(expand("", v).value().empty());
  CHECK(expand_all(v).value().at("URL") == "http://blog.test:80/");
}

TEST_CASE("[fault-65] what only a shell would expand stays as it is") {
  const Variables v{{"A", "$(id) `id` $$A 'x' \"y\" \\n"}, {"B", "$A"}};
  CHECK(expand("$(id) `id` $5 $- $ $", v).value() == "$(id) `id` $5 $- $ $");
  CHECK(expand("$$A costs $$5", v).value() == "$A costs $5");
  CHECK(expand("$B", v).value() ==
      "$(id) `id` $A 'x' \"y\" \\n"); // the result is not looked at again
}

TEST_CASE("[fault-66] an unknown name is an error that names it, who uses it and what was meant") {
  const Variables v{{"API_PORT", "80"}, {"URL", "http://$API_HOST/"}, {"PAGE", "$URL"}};
  CHECK(problem("$API_PRT", v) == "variable 'API_PRT' is not defined: did you mean 'API_PORT'?");
  CHECK(problem("$PAGE", v) ==
      "variable 'API_HOST' is not defined, which 'URL' uses: did you mean 'API_PORT'?");
  CHECK(problem("$NOTHING_LIKE_IT", v) == "variable 'NOTHING_LIKE_IT' is not defined");
  CHECK(expand_all(v).error().message.find(
            "variable 'PAGE': variable 'API_HOST' is not defined, which 'URL' uses") == 0);
}

TEST_CASE("[fault-66] a circle is an error that shows the whole of it, and only it") {
  const Variables v{{"A", "$B"}, {"B", "$C"}, {"C", "${B}"}, {"SELF", "x$SELF"}};
  CHECK(problem("$A", v) == "variables form a circle: B -> C -> B");
  CHECK(problem("$SELF", v) == "variables form a circle: SELF -> SELF");
}

TEST_CASE("[fault-66] braces without a name or an end are an error") {
  const Variables v{{"A", "1"}};
  for (const char* bad : {"${", "${A", "${}", "${A-x}", "${A:-x}", "${1}", "${ A}", "x${A B}"})
    CHECK(problem(bad, v).find("a variable is written $NAME or ${NAME}, a literal '$' as $$") !=
        std::string::npos);
}

TEST_CASE("[fault-66] depth and size are bounded") {
  Variables chain{{"V0", "x"}};
  for (int i = 1; i <= 40; ++i)
    chain["V" + std::to_string(i)] = "$V" + std::to_string(i - 1);
  CHECK(expand("$V31", chain).value() == "x");
  CHECK(problem("$V40", chain).find("variables nest deeper than 32: V40 -> V39") == 0);

  // Each doubles the one before: 2^31 characters if nobody counted; and 2^31 steps for nothing if
  // each were worked out every time.
  Variables doubling{{"V0", "x"}}, nothing{{"V0", ""}};
  for (int i = 1; i <= 31; ++i) {
    const std::string last = "V" + std::to_string(i - 1);
    doubling["V" + std::to_string(i)] = "$" + last + "$" + last;
    nothing["V" + std::to_string(i)] = "$" + last + "$" + last;
  }
  CHECK(expand("$V31", doubling).error().code == Code::too_large);
  CHECK(expand("$V31", nothing).value().empty());
  CHECK(expand(std::string(k_max_expanded, 'x'), {}).value().size() == k_max_expanded);
  CHECK(expand(std::string(k_max_expanded + 1, 'x'), {}).error().code == Code::too_large);

  Variables many{{"BIG", std::string(k_max_expanded, 'x')}};
  for (int i = 0; i < 20; ++i)
    many["V" + std::to_string(i)] = "$BIG";
  CHECK(expand_all(many).error().code == Code::too_large);
}

TEST_CASE("a variable may hand on the value that it covers") {
  Variables v{{"API_PATH", "/api/$VERSION/"}, {"VERSION", "1"}};
  set_variable(v, "API_PATH", "${API_PATH}v2/$API_PATH_2$$API_PATH");
  set_variable(v, "API_PATH_2", "x");
  CHECK(expand("$API_PATH", v).value() == "/api/1/v2/x$API_PATH");
  set_variable(v, "NEW", "$NEW"); // nothing to hand on
  CHECK(problem("$NEW", v) == "variables form a circle: NEW -> NEW");
}

TEST_CASE("every variable that does not expand is told, each reason once") {
  const Variables v{{"A", "$X"}, {"B", "$A"}, {"C", "$Y"}, {"D", "ok"}, {"E", "$F"}, {"F", "$E"}};
  const auto broken = broken_variables(
      v, {"A", "B", "C", "D", "E", "F"}); // B for what A uses; F is the circle of E
  std::vector<std::string> names;
  for (const auto& [name, error] : broken)
    names.push_back(name);
  CHECK(names == std::vector<std::string>{"A", "B", "C", "E"});
  CHECK(broken[0].second.message == "variable 'X' is not defined: did you mean 'A'?");
}

TEST_CASE("a template has our variables replaced and NGINX's own left alone") {
  const Variables v{{"API_PORT", "38013"}, {"API_HOST", "localhost"}, {"SERVER_NAME", "a.test"},
      {"Mixed__case", "m"}, {"LAST", "=404"}};
  const std::string text = "server_name ${SERVER_NAME} .${SERVER_NAME};\n"
                           "location ~* ^/(robots|humans).txt$ {\n"
                           "  try_files $uri ${uri}/index.html ${LAST};\n"
                           "  proxy_pass http://${API_HOST}:$API_PORT/$1$is_args$args;\n"
                           "  # once was http://$OLD_HOST:${OLD_PORT};\n"
                           "  set $a $Mixed__case$;\n"
                           "}\n";
  CHECK(expand_template(text, v).value() ==
      "server_name a.test .a.test;\n"
      "location ~* ^/(robots|humans).txt$ {\n"
      "  try_files $uri ${uri}/index.html =404;\n"
      "  proxy_pass http://localhost:38013/$1$is_args$args;\n"
      "  # once was http://$OLD_HOST:${OLD_PORT};\n"
      "  set $a m$;\n"
      "}\n");
}

TEST_CASE("[fault-66] an unknown upper-case name in a template is an error with its line") {
  CHECK(expand_template("a;\nb ${API_PRT};\n", {{"API_PORT", "1"}}).error().message ==
      "line 2: variable 'API_PRT' is not defined: did you mean 'API_PORT'?");
  CHECK(expand_template("\xef\xbb\xbf"
                        "a $A;\n",
            {{"A", "b"}})
            .value() == "a b;\n");
  CHECK(
      expand_template(std::string_view("a\0;\0", 4), {}).error().message.find("it is UTF-16") == 0);
  CHECK(expand_template("$A;", {{"A", "$B"}}).error().message ==
      "line 1: variable 'B' is not defined, which 'A' uses: did you mean 'A'?");
}

TEST_CASE("[fault-69] a value that could end or open a directive is denied where a template uses it") {
  for (const char* bad : {"a; include /etc/shadow", "}", "{", "#", "\"", "'", "\\", "$$host",
           "a\nb", "a\rb", "`", "a\tb", "\x7f"}) {
    const auto result = expand_template("x $V;", {{"V", bad}});
    REQUIRE_FALSE(result);
    CHECK(result.error().code == Code::denied);
    CHECK(expand_template("x $W;", {{"V", bad}, {"W", "fine"}}).value() ==
        "x fine;"); // unused: no harm
  }
  CHECK(expand_template("x $V;", {{"V", "a; b"}}).error().message ==
      "line 1: variable 'V': its value 'a; b' holds ';', which means something to NGINX: take it out of the value");
  CHECK(expand_template("x $V;", {{"V", "$W"}, {"W", "a}b"}}).error().code ==
      Code::denied); // also from further down
  CHECK(expand_template("x $V;", {{"V", "@named /p-a_t.h?q=1&r=2 =404 *:80 [::1]:80 (a|b)"}}));
}

TEST_CASE("a template cannot expand without limit") {
  std::string text;
  for (int i = 0; i < 20; ++i)
    text += "$BIG\n";
  CHECK(expand_template(text, {{"BIG", std::string(k_max_expanded, 'x')}}).error().code ==
      Code::too_large);
}

TEST_CASE("a command line has our variables replaced in every kind of quotes, and $$ is left for the shell") {
  const Variables v{
      {"HOST", "a.test"}, {"PORT", "80"}, {"BIN", "/opt/venv/bin"}, {"TWO", "two words"}};
  CHECK(expand_command("wget -q --header 'Host: $HOST:${PORT}' -O - http://$HOST/", v).value() ==
      "wget -q --header 'Host: a.test:80' -O - http://a.test/");
  CHECK(expand_command("$BIN/python x.py >\"$TWO\" && echo $$HOME \\$HOST '\\' $(id) $1", v)
            .value() ==
      "/opt/venv/bin/python x.py >\"two words\" && echo $HOME \\$HOST '\\' $(id) $1");
  CHECK(expand_command("x $NOWHERE", v).error().message == "variable 'NOWHERE' is not defined");
  CHECK(expand_command("x ${HOST", v).error().code == Code::invalid);
  CHECK(expand_command("$BIG$BIG", {{"BIG", std::string(k_max_expanded, 'x')}}).error().code ==
      Code::too_large);
}

TEST_CASE("[fault-65] a value that a shell would read as more than a part of one word is denied where a command uses it") {
  for (const char* bad : {"a; touch p", "$$(id)", "`id`", "a b", "a|b", "a&b", "a>b", "(a)", "*",
           "?", "[a]", "~", "#", "!", "{a,b}", "\\", "'", "\"", "a\nb"}) {
    INFO(bad);
    CHECK(expand_command("x $V", {{"V", bad}}).error().code == Code::denied);
  }
  for (const char* bad : {"\"", "$$(id)", "`id`", "\\", "a\nb"})
    CHECK(expand_command("x \"$V\"", {{"V", bad}}).error().code == Code::denied);
  for (const char* bad : {"'", "a\nb"})
    CHECK(expand_command("x '$V'", {{"V", bad}}).error().code == Code::denied);
  CHECK(expand_command("x '$V'", {{"V", "$$(id); a b \"c\" `d`"}}).value() ==
      "x '$(id); a b \"c\" `d`'");
  CHECK(expand_command("x \"$V\"", {{"V", "it's; a|b"}}).value() == "x \"it's; a|b\"");
  CHECK(expand_command("x '\\'$V", {{"V", "a b"}}).error().message ==
      "variable 'V': its value 'a b' holds ' ', which means something to a shell there"); // a
                                                                                          // \\ quotes
                                                                                          // nothing
                                                                                          // in
                                                                                          // single
                                                                                          // quotes
}
