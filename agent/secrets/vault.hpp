// The vault is one process that holds the decrypted identity. It exists only while the host is
// unlocked. An unlock starts it; it decrypts identity.age with the passphrase (scrypt), locks its
// memory, gives up everything but read, write and exit, and answers one question: "the file key of
// this age header". The identity never leaves it. Locked means that no vault exists, so a vault
// that dies locks the host. One that is slow does not: the caller gets an error after a while, and
// the vault lives on.
#pragma once

#include "base/error.hpp"
#include "base/secret.hpp"
#include "os/process.hpp"
#include "os/runner.hpp"

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

namespace chillbox::secrets {

// The role's main ("chillboxd: vault", argv[1] is --vault, argv[2] the user): descriptor 3 is
// the monitor's packet pair. Started as root, becomes user chillbox-vault ("-": stays who it is).
// One unlock, then any number of file_key, until lock or the pair closes: it wipes and ends.
int vault_main(const std::string& user);

// The monitor's side. Any thread.
class Vault {
public:
  // user: the name of the vault's user; "-" in tests that are not root.
  explicit Vault(std::string user);
  // Starts a vault; the recipient. denied: wrong passphrase; corrupt: the identity file is damaged;
  // timed_out. If the host is unlocked already, the passphrase is checked all the same and the new
  // vault kept; after an error the old one stays, so that a typing error does not lock the host.
  // One at a time; others may ask the old vault meanwhile.
  Result<std::string> unlock(
      std::string_view identity_file, const SecretBytes& passphrase, int scrypt_cap);
  void lock(); // asks it to wipe and end, then makes sure
  bool unsealed();
  // For the program that this process executes next. These two are the vault: after hand_over()
  // this object does nothing with it.
  struct Handed {
    pid_t pid = -1; // -1: locked
    Fd socket;
  };
  Handed hand_over();
  Result<void> take(Handed handed); // not_found: it died on the way
  // For poll: readable when the vault died; -1 when locked. Another one after every unlock: ask
  // again before each poll.
  int pidfd();
  pid_t pid();
  // How the vault that died last ended: "code 137 (killed)"; empty when that is not known.
  std::string last_end();
  // sealed: no vault; not_found: the artifact is not encrypted to this host; corrupt; throttled: it
  // gave no answer in time.
  Result<SecretBytes> file_key(std::string_view age_header);

private:
  struct Started {
    os::Child child;
    Fd socket;
    std::string recipient;
  };
  Result<Started> start(
      std::string_view identity_file, const SecretBytes& passphrase, int scrypt_cap);
  struct Question {
    std::shared_ptr<const Fd> socket;
    uint64_t sequence;
  };
  bool alive(); // under m_mutex; a dead vault is cleared away
  Result<Question> next_question();
  bool is_current(const std::shared_ptr<const Fd>& socket);
  void replace(os::Child child, std::shared_ptr<const Fd> socket); // the one before ends

  std::string m_user;
  std::mutex m_unlocking;
  std::timed_mutex m_asking; // one question at a time, since answers come on one socket
  std::mutex m_mutex;        // of the other members; never held while waiting for the vault
  uint64_t m_sequence;       // of the last question
  os::Child m_child;
  std::shared_ptr<const Fd> m_socket;
  std::string m_last_end;
};

// Waiting time before the next try after so many failures: 1, 2, 4 ... 60 seconds (faults 75).
int64_t unlock_delay_seconds(uint32_t failures);

} // namespace chillbox::secrets
