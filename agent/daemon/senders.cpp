#include "daemon/senders.hpp"

#include "base/text.hpp"
#include "config/host.hpp"
#include "os/disk.hpp"

namespace chillbox::daemon {

Result<std::vector<LoadedSender>> load_senders(const std::string& dir) {
  constexpr size_t k_max_key_file = 16 * 1024;
  constexpr size_t k_min_github_secret = 16;
  std::vector<LoadedSender> senders;
  for (const auto& file : TRY(os::real_disk().list(dir))) {
    if (!file.ends_with(".key"))
      continue;
    const std::string path = dir + "/" + file;
    std::string text = TRY(os::real_disk().read(path, k_max_key_file));
    auto sender = TRY_IN(path, config::parse_sender(text, file.substr(0, file.size() - 4)));
    wipe(text.data(), text.size());
    LoadedSender loaded{.name = sender.name, .github = sender.format == "github", .sites = sender.sites, .types = sender.types};
    for (auto& key : sender.keys) {
      if (loaded.github && key.text.size() < k_min_github_secret)
        return fail(Code::invalid, cat(path, ": a github secret must have at least ", k_min_github_secret, " bytes"));
      SecretBytes secret;
      if (loaded.github)
        secret = SecretBytes(bytes_of(key.text));
      else
        secret = TRY_IN(path, crypto::parse_webhook_key(key.text));
      loaded.keys.push_back({std::move(secret), key.until});
      wipe(key.text.data(), key.text.size());
    }
    if (loaded.keys.empty())
      return fail(Code::invalid, cat(path, ": no key in it: `chillboxctl webhook rotate ", loaded.name, "` makes one"));
    senders.push_back(std::move(loaded));
  }
  return senders;
}

namespace {

bool fits(const LoadedSender& sender, const LoadedKey& key, const crypto::Delivery& delivery, std::string_view github_signature, int64_t now_unix) {
  const std::span<const SecretBytes> one(&key.secret, 1);
  return sender.github ? !github_signature.empty() && crypto::verify_github(one, github_signature, delivery.body).has_value()
                       : !delivery.signature.empty() && crypto::verify_webhook(one, delivery, now_unix).has_value();
}

} // namespace

Result<const LoadedSender*> find_sender(const std::vector<LoadedSender>& senders, const crypto::Delivery& delivery,
                                        std::string_view github_signature, int64_t now_unix) {
  const LoadedSender* found = nullptr;
  for (const auto& sender : senders)
    for (const auto& key : sender.keys) {
      const bool good = fits(sender, key, delivery, github_signature, now_unix);
      const bool ended = key.until && now_unix >= *key.until;
      if (good && !ended && found == nullptr)
        found = &sender;
    }
  if (found == nullptr)
    return fail(Code::denied, "signature");
  return found;
}

} // namespace chillbox::daemon
