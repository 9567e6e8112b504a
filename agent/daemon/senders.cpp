#include "daemon/senders.hpp"

#include "base/encoding.hpp"
#include "base/text.hpp"
#include "config/host.hpp"
#include "os/disk.hpp"
#include "os/root_owned.hpp"

#include <algorithm>

namespace chillbox::daemon {

namespace {

Result<LoadedSender> load_sender(const std::string& path, const std::string& name) {
  constexpr size_t k_max_key_file = 16 * 1024;
  constexpr size_t k_min_github_secret = 16;
  TRY(os::check_root_owned(path));
  std::string text = TRY(os::real_disk().read(path, k_max_key_file));
  auto sender = TRY_IN(path, config::parse_sender(text, name));
  wipe(text.data(), text.size());
  LoadedSender loaded{.name = sender.name,
      .github = sender.format == "github",
      .sites = sender.sites,
      .types = sender.types};
  for (auto& key : sender.keys) {
    if (loaded.github && key.text.size() < k_min_github_secret)
      return fail(Code::invalid,
          cat(path, ": a github secret must have at least ", k_min_github_secret, " bytes"));
    SecretBytes secret;
    if (loaded.github)
      secret = SecretBytes(bytes_of(key.text));
    else
      secret = TRY_IN(path, crypto::parse_webhook_key(key.text));
    loaded.keys.push_back({std::move(secret), key.until});
    wipe(key.text.data(), key.text.size());
  }
  if (loaded.keys.empty())
    return fail(Code::invalid,
        cat(path, ": no key in it: `chillboxctl webhook rotate ", loaded.name, "` makes one"));
  return loaded;
}

} // namespace

SenderFiles read_senders(const std::string& dir) {
  constexpr std::string_view k_suffix = ".key";
  SenderFiles files;
  const bool there = os::real_disk().exists(dir);
  const auto roots = there ? os::check_root_owned(dir) : Result<void>{};
  const auto names = roots ? os::real_disk().list(dir)
                           : Result<std::vector<std::string>>(std::unexpected(roots.error()));
  if (!names)
    files.faults.push_back(names.error());
  for (const auto& file : names.value_or(std::vector<std::string>{})) {
    if (!file.ends_with(k_suffix))
      continue;
    if (auto sender = load_sender(dir + "/" + file, file.substr(0, file.size() - k_suffix.size())))
      files.senders.push_back(std::move(*sender));
    else
      files.faults.push_back(std::move(sender).error());
  }
  return files;
}

Result<std::vector<LoadedSender>> load_senders(const std::string& dir) {
  auto files = read_senders(dir);
  if (!files.faults.empty())
    return std::unexpected(std::move(files.faults.front()));
  return std::move(files.senders);
}

void name_keys(std::vector<LoadedSender>& senders, std::string_view host_secret) {
  for (auto& sender : senders)
    for (auto& key : sender.keys) {
      const auto mac = crypto::hmac_sha256(
          bytes_of(host_secret), {"chillbox webhook key ", sender.name, " ", key.secret.text()});
      key.id = hex(ByteView(mac).first(8));
    }
}

namespace {

bool fits(const LoadedSender& sender, const LoadedKey& key, const crypto::Delivery& delivery,
    std::string_view github_signature, int64_t now_unix) {
  const std::span<const SecretBytes> one(&key.secret, 1);
  return sender.github
      ? !github_signature.empty() &&
          crypto::verify_github(one, github_signature, delivery.body).has_value()
      : !delivery.signature.empty() && crypto::verify_webhook(one, delivery, now_unix).has_value();
}

} // namespace

Result<Found> find_sender(const std::vector<LoadedSender>& senders,
    const crypto::Delivery& delivery, std::string_view github_signature, int64_t now_unix) {
  Found found;
  for (const auto& sender : senders)
    for (const auto& key : sender.keys) {
      const bool good = fits(sender, key, delivery, github_signature, now_unix);
      const bool ended = key.until && now_unix >= *key.until;
      if (good && !ended && found.key == nullptr)
        found = {&sender, &key};
    }
  if (found.key == nullptr)
    return fail(Code::denied, "signature");
  return found;
}

void KnownKeys::set(const std::vector<LoadedSender>& senders) {
  const std::lock_guard lock(m_mutex);
  m_keys.clear();
  for (const auto& sender : senders)
    for (const auto& key : sender.keys)
      m_keys[key.id] = {sender.name, key.until};
}

Result<void> KnownKeys::check(const store::Job& job, int64_t now_unix) const {
  if (!job.actor.starts_with(store::k_webhook_actor))
    return {};
  const std::string sender = job.actor.substr(store::k_webhook_actor.size());
  const auto good = [&](const Key& key) {
    return key.sender == sender && (!key.until || now_unix < *key.until);
  };
  const std::lock_guard lock(m_mutex);
  const auto it = m_keys.find(job.key);
  const bool known = job.key.empty()
      ? std::ranges::any_of(m_keys, [&](const auto& key) { return good(key.second); })
      : it != m_keys.end() && good(it->second);
  if (known)
    return {};
  return fail(Code::denied,
      cat("the webhook key of '", sender,
          "' that announced it was removed or has ended: announce it again with another key"));
}

} // namespace chillbox::daemon
