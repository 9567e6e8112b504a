// Who may send webhooks: /etc/chillbox/webhooks/NAME.key, read at start and at reload. A file with
// an empty, short or malformed key stops the start and names itself (faults 9): a webhook that
// anybody can forge is worse than none. At a reload such a file opens nothing, its sender's earlier
// keys neither, and keeps no other file from being taken: a key that was removed must not stay good
// because of a fault elsewhere.
#pragma once

#include "base/error.hpp"
#include "base/secret.hpp"
#include "crypto/webhook.hpp"
#include "store/types.hpp"

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace chillbox::daemon {

struct LoadedKey {
  SecretBytes secret;
  std::optional<int64_t> until; // Unix seconds: from then on it opens nothing
  std::string id = {}; // 16 hex digits that name it in jobs and capabilities, of name_keys();
                       // another key never has it
};

struct LoadedSender {
  std::string name;
  bool github = false;
  std::vector<LoadedKey> keys;
  std::vector<std::string> sites; // empty: all
  std::vector<std::string> types; // empty: all
};
// The first fault fails all: for a start.
Result<std::vector<LoadedSender>> load_senders(const std::string& dir);
struct SenderFiles {
  std::vector<LoadedSender> senders;
  std::vector<Error> faults; // each names its file
};
// What can be read; nothing when the directory cannot. For a reload.
SenderFiles read_senders(const std::string& dir);
// A key's id cannot be turned back into a key that is easy to guess, because the host's secret goes
// into it.
void name_keys(std::vector<LoadedSender>& senders, std::string_view host_secret);

// The sender and the key that signed this, or nobody: denied. Every key of every sender is tried,
// whatever fits and also when its time is over, so that the time taken says nothing. The clock is
// looked at for each webhook: a key ends at its time, without a reload.
struct Found {
  const LoadedSender* sender = nullptr;
  const LoadedKey* key = nullptr;
};
Result<Found> find_sender(const std::vector<LoadedSender>& senders,
    const crypto::Delivery& delivery, std::string_view github_signature, int64_t now_unix);

// The keys that are good now, for threads that have jobs of theirs.
class KnownKeys {
public:
  void set(const std::vector<LoadedSender>& senders);
  // denied: a webhook announced the job, and its key is none of ours any more, or has ended. One
  // from before keys were recorded is its sender's.
  Result<void> check(const store::Job& job, int64_t now_unix) const;

private:
  struct Key {
    std::string sender;
    std::optional<int64_t> until;
  };
  mutable std::mutex m_mutex;
  std::map<std::string, Key> m_keys; // by id
};

} // namespace chillbox::daemon
