// The vault: one process that holds the unlocked identity, and exists only while the host is
// unsealed. It is started by an unlock, opens identity.age with the passphrase (scrypt) in itself,
// locks its memory, gives everything up but read, write and exit, and answers one question: "the
// file key of this age header". The identity never leaves it. Sealed means: there is no vault. A
// vault that dies seals the host; one that is slow does not: who asked gets an error after a while,
// and it lives on.
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

// The role's main ("chillboxd: vault", argv[1] is k_vault_role, argv[2] the user): descriptor 3 is
// the monitor's packet pair. Started as root, becomes user chillbox-vault ("-": stays who it is).
// One unlock, then any number of file_key, until lock or the pair closes: it wipes and ends.
inline constexpr const char* k_vault_role = "--vault";
int vault_main(const std::string& user);

// The monitor's side. Any thread.
class Vault {
public:
  // user: the name of the vault's user; "-" in tests that are not root.
  explicit Vault(std::string user);
  // Starts a vault; the recipient. denied: wrong passphrase; corrupt: the identity file is damaged;
  // timed_out. Already unsealed: checks the passphrase all the same and keeps the new vault; after
  // an error the old one stays, so that a typing error does not seal the host. One at a time;
  // others may ask the old vault meanwhile.
  Result<std::string> unlock(
      std::string_view identity_file, const SecretBytes& passphrase, int scrypt_cap);
  void lock(); // asks it to wipe and end, then makes sure
  bool unsealed();
  // For the program that this process executes next. Whoever has these two has the vault: nothing
  // happens to it here any more.
  struct Handed {
    pid_t pid = -1; // -1: sealed
    Fd socket;
  };
  Handed hand_over();
  Result<void> take(Handed handed); // not_found: it died on the way
  // For poll: readable when the vault died; -1 when sealed. Another one after every unlock: ask
  // again before each poll.
  int pidfd();
  pid_t pid();
  // How the one that died last ended: "code 137 (killed)"; empty when nobody saw it.
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
  std::mutex m_mutex;        // of the others; nobody waits for the vault with it
  uint64_t m_sequence;       // of the last question
  os::Child m_child;
  std::shared_ptr<const Fd> m_socket;
  std::string m_last_end;
};

// Waiting time before the next try after so many failures: 1, 2, 4 ... 60 seconds (faults 75).
int64_t unlock_delay_seconds(uint32_t failures);

} // namespace chillbox::secrets
