// The vault as a process of its own: this program again, in that role (tests/catch_main.cpp).
#include "catch.hpp"

#include "artifact/encrypted.hpp"
#include "artifact/secret_packet.hpp"
#include "os/process.hpp"
#include "os/roles.hpp"
#include "os/socket.hpp"
#include "secrets/vault.hpp"

#include <fcntl.h>
#include <grp.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <thread>

using namespace chillbox;
using namespace chillbox::test;
using secrets::Vault;

int run_role(const std::string& role, const std::string& argument);

int run_role(const std::string& role, const std::string& argument) {
  if (role == "--stager")
    return artifact::stager_main();
  if (argument == "dies") // a broken vault, by the name of its user
    return 3;
  if (argument == "junk") {
    (void)os::receive_packet(3, control::k_max_packet);
    (void)os::send_packet(3, control::make_packet(control::PacketVerb::stage_done, 0, {"x"}));
    return 0;
  }
  return secrets::vault_main(argument);
}

namespace {

SecretBytes secret(std::string_view text) {
  return SecretBytes(bytes_of(text));
}

struct VaultHost {
  crypto::AgeIdentity identity = crypto::AgeIdentity::generate();
  std::string file;
  std::string user = geteuid() == 0 ? "nobody" : "-";

  VaultHost() : file(sealed_identity(identity.to_text().text())) {}
  static std::string sealed_identity(std::string_view text) {
    return std::string(text_of(
        must(crypto::encrypt_with_passphrase(bytes_of(text), secret("correct horse"), 10))));
  }
  Result<std::string> unlock(
      Vault& vault, std::string_view passphrase = "correct horse", int cap = 18) const {
    return vault.unlock(file, secret(passphrase), cap);
  }
};

template <class T> std::string says(const Result<T>& r) {
  return r ? "" : cat(code_name(r.error().code), ": ", r.error().message);
}

std::string header_of(const Encrypted& sealed) {
  return sealed.bytes.substr(0, must(crypto::parse_age_header(bytes_of(sealed.bytes))).size);
}

std::string proc(pid_t pid, const char* file) {
  return read_file(cat("/proc/", pid, "/", file));
}

// The line of /proc/PID/status that begins with this.
std::string status(pid_t pid, std::string_view key) {
  const std::string text = proc(pid, "status");
  for (auto line : split(text, '\n'))
    if (line.starts_with(key))
      return std::string(line);
  return "";
}

} // namespace

TEST_CASE("a vault answers with the file key of a header that is for this host, and nothing else [attack-V1]") {
  NEEDS_CONFINEMENT();
  const VaultHost host;
  Vault vault(host.user);
  CHECK_FALSE(vault.unsealed());
  const auto recipient = host.unlock(vault);
  REQUIRE(says(recipient) == "");
  CHECK(*recipient == host.identity.recipient());
  CHECK(vault.unsealed());

  std::string ours;
  auto writer = must(crypto::AgeWriter::to_recipients(
      {host.identity.recipient()}, [&](ByteView b) -> Result<void> {
        ours += text_of(b);
        return {};
      }));
  must(writer.finish());
  const auto header = must(crypto::parse_age_header(bytes_of(ours)));
  const auto key = vault.file_key(ours.substr(0, header.size));
  REQUIRE(says(key) == "");
  CHECK(same(key->view(), must(host.identity.file_key(header)).view()));

  CHECK_SAYS(says(vault.file_key(header_of(Encrypted("for another host")))), "not_found: ");
  CHECK_SAYS(says(vault.file_key("age-encryption.org/v1\nnonsense")), "corrupt: ");
  CHECK_SAYS(says(vault.file_key("")), "corrupt: ");
  CHECK_SAYS(says(vault.file_key(std::string(200'000, 'x'))), "corrupt: ");
  std::string damaged = ours.substr(0, header.size);
  damaged[damaged.size() - 5] = damaged[damaged.size() - 5] == 'A' ? 'B' : 'A';
  CHECK_SAYS(says(vault.file_key(damaged)), "corrupt: ");
  CHECK(vault.unsealed()); // no question ends it
}

TEST_CASE("locking ends the vault, and a sealed host says so") {
  NEEDS_CONFINEMENT();
  const VaultHost host;
  Vault vault(host.user);
  CHECK_SAYS(says(vault.file_key("x")), "sealed: the host is locked: chillboxctl unlock");
  REQUIRE(host.unlock(vault));
  const pid_t pid = vault.pid();
  CHECK(::kill(pid, 0) == 0);
  vault.lock();
  CHECK_FALSE(vault.unsealed());
  CHECK(vault.pid() == -1);
  CHECK(vault.pidfd() == -1);
  CHECK(::kill(pid, 0) != 0);
  CHECK_SAYS(says(vault.file_key("x")), "sealed: ");
  vault.lock(); // twice is fine
  CHECK(host.unlock(vault));
}

TEST_CASE("[fault-75] a wrong passphrase is denied and leaves what was as it was") {
  NEEDS_CONFINEMENT();
  const VaultHost host;
  Vault vault(host.user);
  CHECK_SAYS(says(host.unlock(vault, "wrong")), "denied: unlock: ");
  CHECK_FALSE(vault.unsealed());
  CHECK(vault.pid() == -1);
  REQUIRE(host.unlock(vault));
  const pid_t before = vault.pid();
  CHECK_SAYS(says(host.unlock(vault, "wrong")), "denied: ");
  CHECK(vault.unsealed());
  CHECK(vault.pid() == before);
  REQUIRE(host.unlock(vault));
  CHECK(vault.pid() != before);
  CHECK(::kill(before, 0) != 0);
}

TEST_CASE("[fault-75] the waiting time doubles from one second to a minute") {
  const std::vector<int64_t> expected{0, 1, 2, 4, 8, 16, 32, 60, 60};
  for (size_t i = 0; i < expected.size(); ++i)
    CHECK(secrets::unlock_delay_seconds(static_cast<uint32_t>(i)) == expected[i]);
  CHECK(secrets::unlock_delay_seconds(UINT32_MAX) == 60);
}

TEST_CASE("a damaged identity file is another error than a wrong passphrase") {
  NEEDS_CONFINEMENT();
  VaultHost host;
  Vault vault(host.user);
  const std::string good = host.file;
  host.file = good.substr(0, good.size() - 1);
  CHECK_SAYS(says(host.unlock(vault)), "corrupt: unlock: identity.age: ");
  host.file = "nothing of the kind";
  CHECK_SAYS(says(host.unlock(vault)), "corrupt: unlock: identity.age: ");
  host.file = VaultHost::sealed_identity("# a note, and no identity\n");
  CHECK_SAYS(says(host.unlock(vault)), "corrupt: unlock: identity.age: ");
  host.file = std::string(200'000, 'x');
  CHECK_SAYS(says(host.unlock(vault)), "too_large: unlock: ");
  CHECK_FALSE(vault.unsealed());
  // age-keygen's file, with its comments, as `age -p` would encrypt it.
  host.file =
      VaultHost::sealed_identity(cat("# created: today\n# public key: ", host.identity.recipient(),
          "\n", host.identity.to_text().text(), "\n"));
  CHECK(host.unlock(vault).value() == host.identity.recipient());
}

TEST_CASE("[fault-46] a work factor over the cap is refused before any work") {
  NEEDS_CONFINEMENT();
  const VaultHost host; // 2^10
  Vault vault(host.user);
  CHECK_SAYS(says(host.unlock(vault, "correct horse", 9)), "unlock: ");
  CHECK_FALSE(vault.unsealed());
  CHECK(host.unlock(vault, "correct horse", 10));
}

TEST_CASE("a vault that dies locks the host, and its pidfd says so") {
  NEEDS_CONFINEMENT();
  const VaultHost host;
  Vault vault(host.user);
  REQUIRE(host.unlock(vault));
  CHECK_FALSE(os::wait_readable(vault.pidfd(), os::Millis{0}).value());
  REQUIRE(::kill(vault.pid(), SIGKILL) == 0);
  CHECK(os::wait_readable(vault.pidfd(), os::Millis{5000}).value());
  CHECK_SAYS(says(vault.file_key("x")), "sealed: ");
  CHECK_FALSE(vault.unsealed());
}

TEST_CASE("a vault that is slow is waited for, it lives on, and nobody but who asked waits [attack-C14]") {
  NEEDS_CONFINEMENT();
  const VaultHost host;
  Vault vault(host.user);
  REQUIRE(host.unlock(vault));
  REQUIRE(::kill(vault.pid(), SIGSTOP) == 0);
  std::string answer;
  std::thread asker(
      [&] { answer = says(vault.file_key(header_of(Encrypted("for another host")))); });
  os::real_clock().sleep(os::Millis{300});
  const auto begun = os::real_clock().mono();
  CHECK(vault.unsealed());
  CHECK(vault.pidfd() >= 0);
  CHECK(os::real_clock().mono() - begun < os::Millis{200});
  CHECK(answer.empty());
  REQUIRE(::kill(vault.pid(), SIGCONT) == 0);
  asker.join();
  CHECK(answer.starts_with("not_found: "));
  CHECK(vault.unsealed());
}

TEST_CASE("a vault that does not open says how it ended") {
  NEEDS_CONFINEMENT();
  const VaultHost host;
  Vault dies("dies"), junk("junk"), nobody("no-such-user");
  CHECK_SAYS(
      says(host.unlock(dies)), "failure: unlock: the vault ended without an answer, exit code 3");
  CHECK_SAYS(says(host.unlock(junk)), "failure: unlock: the vault gave an answer that is none");
  CHECK_SAYS(says(host.unlock(nobody)), "failure: unlock: vault: no such user: 'no-such-user'");
  CHECK_FALSE(dies.unsealed());
}

TEST_CASE("[fault-83] a vault ends when its monitor is gone") {
  NEEDS_CONFINEMENT();
  const VaultHost host;
  auto [ours, theirs] = os::packet_pair().value();
  auto child =
      must(os::Child::start({.argv = {"vault", std::string(os::k_vault_role.flag), host.user},
          .env = {},
          .fds = {{theirs.get(), 3}}}));
  theirs.reset();
  const auto order = artifact::make_secret_packet(
      control::PacketVerb::unlock, 0, {host.file, "correct horse", "18"});
  REQUIRE(os::send_packet(ours.get(), order.view()));
  REQUIRE(os::receive_packet(ours.get(), 4096, os::Millis{20'000}).value());
  CHECK_FALSE(os::wait_readable(child.pidfd(), os::Millis{50}).value());
  ours.reset();
  CHECK(child.wait(os::Millis{5000}).value() == 0);
}

TEST_CASE("a vault that is handed over is the same process, open, and ends with the one that took it") {
  NEEDS_CONFINEMENT();
  const VaultHost host;
  Vault before(host.user);
  CHECK(before.hand_over().pid == -1); // sealed: there is nothing to hand over
  REQUIRE(host.unlock(before));
  const pid_t pid = before.pid();
  auto handed = before.hand_over();
  CHECK(handed.pid == pid);
  CHECK_FALSE(before.unsealed());
  {
    Vault after(host.user);
    REQUIRE(after.take(std::move(handed)));
    CHECK(after.unsealed());
    CHECK(after.pid() == pid);
    CHECK(
        says(after.file_key(header_of(Encrypted("for another host")))).starts_with("not_found: "));
  }
  CHECK(::kill(pid, 0) != 0);
}

TEST_CASE("a vault that died on the way is not taken") {
  Vault vault("-");
  CHECK(says(vault.take({.pid = ::getppid(), .socket = Fd()})).starts_with("not_found: "));
  CHECK_FALSE(vault.unsealed());
}

TEST_CASE("a vault that is being killed has closed before its end is known: the host is locked") {
  const bool asked = GENERATE(false, true); // before it closes
  auto [ours, theirs] = must(os::packet_pair());
  const pid_t pid = ::fork();
  if (pid == 0) {
    ours.reset();
    if (asked)
      (void)os::receive_packet(theirs.get(), control::k_max_packet);
    theirs.reset();
    ::pause();
  }
  theirs.reset();
  Vault vault("-");
  REQUIRE(vault.take({.pid = pid, .socket = std::move(ours)}));
  const auto key = vault.file_key(header_of(Encrypted("for another host")));
  CHECK(says(key).starts_with("sealed: the vault died ("));
  CHECK(::kill(pid, SIGKILL) == 0);
}

TEST_CASE("several threads may ask at once") {
  NEEDS_CONFINEMENT();
  const VaultHost host;
  Vault vault(host.user);
  REQUIRE(host.unlock(vault));
  const std::string header = header_of(Encrypted("for another host"));
  std::array<int, 4> answers{};
  {
    std::array<std::thread, 4> threads;
    for (size_t i = 0; i < threads.size(); ++i)
      threads[i] = std::thread([&, i] {
        for (int n = 0; n < 20; ++n)
          answers[i] += says(vault.file_key(header)).starts_with("not_found: ") ? 1 : 0;
      });
    CHECK(host.unlock(vault)); // meanwhile
    for (auto& thread : threads)
      thread.join();
  }
  CHECK(answers == std::array<int, 4>{20, 20, 20, 20});
}

TEST_CASE("[fault-79] [fault-80] the vault cannot be dumped, traced or read, and has given its rights away") {
  NEEDS_CONFINEMENT();
  const VaultHost host;
  Vault vault(host.user);
  REQUIRE(host.unlock(vault));
  const pid_t pid = vault.pid();
  CHECK_SAYS(proc(pid, "limits"), "Max core file size        0                    0");
  CHECK(status(pid, "NoNewPrivs:") == "NoNewPrivs:\t1");
  CHECK(status(pid, "Seccomp:") == "Seccomp:\t2");
  if (geteuid() != 0)
    return; // the rest needs two users
  CHECK(status(pid, "CapEff:") == "CapEff:\t0000000000000000");
  const auto nobody = os::find_user("nobody").value();
  CHECK(status(pid, "Uid:") ==
      cat("Uid:\t", nobody.uid, "\t", nobody.uid, "\t", nobody.uid, "\t", nobody.uid));
  CHECK(status(pid, "VmLck:") != "VmLck:\t       0 kB");
  // The same user, who may signal it, still cannot look into it.
  const pid_t other = fork();
  if (other == 0) {
    if (setgroups(0, nullptr) != 0 || setgid(nobody.gid) != 0 || setuid(nobody.uid) != 0)
      _exit(90);
    const bool signals = ::kill(pid, 0) == 0;
    const bool reads = ::open(cat("/proc/", pid, "/mem").c_str(), O_RDONLY) >= 0 ||
        ::open(cat("/proc/", pid, "/environ").c_str(), O_RDONLY) >= 0;
    _exit(signals && !reads ? 0 : 1);
  }
  int result = -1;
  REQUIRE(waitpid(other, &result, 0) == other);
  CHECK(result == 0);
}
