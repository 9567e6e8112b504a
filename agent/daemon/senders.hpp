// Who may send webhooks: /etc/chillbox/webhooks/NAME.key, read at start and at reload. A file with an empty, short or malformed key stops the
// start and names itself (faults 9): a webhook that anybody can forge is worse than none.
#pragma once

#include "base/error.hpp"
#include "base/secret.hpp"
#include "crypto/webhook.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace chillbox::daemon {

struct LoadedKey {
  SecretBytes secret;
  std::optional<int64_t> until; // Unix seconds: from then on it opens nothing
};

struct LoadedSender {
  std::string name;
  bool github = false;
  std::vector<LoadedKey> keys;
  std::vector<std::string> sites; // empty: all
  std::vector<std::string> types; // empty: all
};
Result<std::vector<LoadedSender>> load_senders(const std::string& dir);

// The sender whose key signed this, and nobody: denied. Every key of every sender is tried, whatever fits and also when its time is over, so that
// the time taken says nothing. The clock is looked at for each webhook: a key ends by itself, without a reload.
Result<const LoadedSender*> find_sender(const std::vector<LoadedSender>& senders, const crypto::Delivery& delivery,
                                        std::string_view github_signature, int64_t now_unix);

} // namespace chillbox::daemon
