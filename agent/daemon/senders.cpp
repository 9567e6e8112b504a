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
      if (loaded.github && key.size() < k_min_github_secret)
        return fail(Code::invalid, cat(path, ": a github secret must have at least ", k_min_github_secret, " bytes"));
      loaded.keys.push_back(loaded.github ? SecretBytes(bytes_of(key)) : TRY_IN(path, crypto::parse_webhook_key(key)));
      wipe(key.data(), key.size());
    }
    if (loaded.keys.empty())
      return fail(Code::invalid, cat(path, ": no key in it: `chillboxctl webhook rotate ", loaded.name, "` makes one"));
    senders.push_back(std::move(loaded));
  }
  return senders;
}

Result<const LoadedSender*> find_sender(const std::vector<LoadedSender>& senders, const crypto::Delivery& delivery,
                                        std::string_view github_signature, int64_t now_unix) {
  const LoadedSender* found = nullptr;
  for (const auto& sender : senders) {
    const bool good = sender.github ? !github_signature.empty() && crypto::verify_github(sender.keys, github_signature, delivery.body).has_value()
                                    : !delivery.signature.empty() && crypto::verify_webhook(sender.keys, delivery, now_unix).has_value();
    if (good && found == nullptr)
      found = &sender;
  }
  if (found == nullptr)
    return fail(Code::denied, "signature");
  return found;
}

} // namespace chillbox::daemon
