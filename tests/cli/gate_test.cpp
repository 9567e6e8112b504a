#include "cli/core/gate.hpp"

#include "catch.hpp"

#include "base/text.hpp"
#include "cli/fleet/gate_host.hpp"
#include "cli/fleet/ssh.hpp"
#include "cli/laptop/public_keys.hpp"

using namespace chillbox;
using namespace chillbox::cli;

TEST_CASE("the gate reads each line that a laptop sends, as the words that were meant") {
  const std::vector<std::vector<std::string>> lines{{"status"},
      {"logs", "--lines=5", "--", "hello"},
      {"hold", "--message=it's \"$(id)\" `x`; ok", "--", "hello"}, {"job", "", "'"},
      {"hold", "--message=ä€", "--", "hello"}};
  for (const auto& words : lines) {
    const auto read = parse_remote_line(shell_words(words));
    INFO(shell_words(words));
    REQUIRE(read);
    CHECK(*read == words);
  }
}

TEST_CASE("[attack-Q10] the gate refuses every other line [fault-531]") {
  const std::string good = shell_words({"status"});
  for (const std::string& line :
      {std::string(), std::string("id"), std::string("CHILLBOX_HOST= chillboxctl"),
          cat(good, ";id"), cat(good, " id"), cat(good, "\n'x'"), cat(good, "'x'"), cat(" ", good),
          cat(good, " "), cat(good, "  'x'"), cat(good, " 'x"), cat(good, " \"x\""),
          cat(good, " 'a\tb'"), cat(good, " 'a\x7f'"), cat(good, " '\xff'"), cat("A=1 ", good),
          std::string("CHILLBOX_HOST=x chillboxctl 'status'"),
          std::string("CHILLBOX_HOST= chillboxctl2 'status'"), std::string("scp -t /tmp"),
          std::string("internal-sftp"), cat(good, " '", std::string(70'000, 'a'), "'")}) {
    INFO(printable(line, 80));
    CHECK_FALSE(parse_remote_line(line));
  }
}

TEST_CASE("[attack-Q9] verbs that are no question to chillboxd, and what touches a file, do not go through the gate") {
  const auto asked = [](const std::vector<std::string>& words) {
    bool json = false;
    std::string hint;
    return through_gate(
        {"--", "kim"},
        [&](const char* name) {
          return std::string_view(name) == "SSH_ORIGINAL_COMMAND" ? shell_words(words) : "";
        },
        json, hint);
  };
  using Words = std::vector<std::string>;
  for (const Words& words : {Words{"init"}, {"pack"}, {"keygen"}, {"trust", "list"}, {"setup", "x"},
           {"run", "hello", "--", "id"}, {"upgrade"}, {"doctor"}, {"deploy", "--", "x"}, {"deploy"},
           {"plan", "--", "./x"}, {"plan", "--", "x.age"}, {"status", "--host=root@web1"},
           {"status", "--hosts=x"}, {"unlock", "--all"}, {"unlock", "--passphrase-fd=3"},
           {"completion", "bash"}, {"help"}, {"--version"}, {"rollback"}, {"gate", "x"}, {"hosts"},
           {"whoami"}, {"ci", "list"}, {"report", "--output=/tmp/x"}, {"report", "-o", "x"},
           {"deploy", "--ci-key=x", "--", "-"}, {"deploy", "--cacert=x", "--", "-"}})
    CHECK_FALSE(asked(words));
  CHECK(asked({"report"}));
}

TEST_CASE("the gate says no to a name that is none") {
  for (const std::string& name : {std::string(), std::string("../x"), std::string("a b"),
           std::string("-x"), std::string("kim; id")}) {
    bool json = false;
    std::string hint;
    CHECK_FALSE(through_gate(
        {"--", name}, [](const char*) { return shell_words({"status"}); }, json, hint));
    CHECK_FALSE(
        through_gate({name}, [](const char*) { return shell_words({"status"}); }, json, hint));
  }
}

TEST_CASE("a host is reached through the gate when its user is chillbox-ssh") {
  CHECK(is_gate(Host{.target = "chillbox-ssh@web1"}));
  CHECK(is_gate(Host{.target = "ssh://chillbox-ssh@web1:2222"}));
  CHECK_FALSE(is_gate(Host{.target = "root@chillbox-ssh"}));
  CHECK_FALSE(is_gate(Host{.target = "chillbox-ssh2@web1"}));
}

TEST_CASE("a file of public keys may have both kinds, and a private key is named as one") {
  const std::string ssh =
      "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIM5R9M8XhIw1PlzBafHuI4uqnbmApgjULfMr/qqND/0k";
  const std::string sign = "RWTi9ixbZ4H8RmVkb1H8sY/4fxC1/vbwgf0Q7qggw7cSdNk0X6EErV4H";
  const auto keys =
      public_keys_in(cat("# kim\n", ssh, " kim@laptop\n\nuntrusted comment: kim\n", sign, "\n"));
  REQUIRE(keys);
  CHECK(*keys == std::vector<std::string>{ssh, sign});
  CHECK(is_minisign((*keys)[1]));
  for (const char* text :
      {"", "# nothing\n", "hello", "RWshort", "-----BEGIN OPENSSH PRIVATE KEY-----\nx\n"})
    CHECK_FALSE(public_keys_in(text));
}
