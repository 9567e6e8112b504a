#include "daemon/key_record.hpp"

#include "artifact/verify.hpp"
#include "base/encoding.hpp"
#include "base/text.hpp"
#include "config/host.hpp"
#include "control/json.hpp"
#include "crypto/webhook.hpp"
#include "os/disk.hpp"

#include <nlohmann/json.hpp>

#include <map>

namespace chillbox::daemon {
namespace {

constexpr size_t k_max_key_file = 16 * 1024;
constexpr size_t k_max_record = 1024 * 1024;
const std::string k_meta = "known_keys";

struct KeyFile {
  std::string mac, words;
};
using KeyFiles = std::map<std::string, KeyFile>; // "trust/NAME", "webhook/NAME"

std::string all_or(const std::vector<std::string>& names) {
  return names.empty() ? "all" : join(names, ",");
}

std::string words_of_deployer(const std::string& text, const std::string& name) {
  const auto key = artifact::parse_trusted_key(text, name);
  return key ? cat("deployer '", name, "', key ", key->key.id(), ", sites: ", all_or(key->sites))
             : cat("deployer '", name, "', not usable");
}

std::string words_of_sender(const std::string& text, const std::string& name) {
  const auto sender = config::parse_sender(text, name);
  if (!sender)
    return cat("sender '", name, "', not usable");
  return cat("sender '", name, "', ", sender->keys.size(),
      sender->keys.size() == 1 ? " key" : " keys", ", sites: ", all_or(sender->sites),
      ", types: ", all_or(sender->types));
}

Result<void> read_files(KeyFiles& files, const std::string& dir, std::string_view kind,
    std::string_view suffix, const std::string& secret,
    std::string (*words)(const std::string&, const std::string&)) {
  for (const auto& file : TRY(os::real_disk().list(dir))) {
    if (!file.ends_with(suffix) || file.starts_with('.'))
      continue;
    const std::string name = printable(file.substr(0, file.size() - suffix.size()), 100);
    std::string text = os::real_disk().read(dir + "/" + file, k_max_key_file).value_or("");
    files[cat(kind, "/", name)] = {
        hex(ByteView(crypto::hmac_sha256(bytes_of(secret), {text})).first(16)), words(text, name)};
    wipe(text.data(), text.size());
  }
  return {};
}

Result<KeyFiles> known_files(store::Store& store) {
  KeyFiles files;
  const auto json = TRY(control::parse_json(TRY(store.meta(k_meta)).value_or("{}"), k_max_record));
  for (const auto& [name, row] : json.items())
    if (row.is_array() && row.size() == 2 && row[0].is_string() && row[1].is_string())
      files[name] = {row[0], row[1]};
  return files;
}

std::string text_of_files(const KeyFiles& files) {
  control::Json json = control::Json::object();
  for (const auto& [name, file] : files)
    json[name] = control::Json::array({file.mac, file.words});
  return control::dump(json);
}

} // namespace

Result<void> record_keys(
    store::Store& store, const os::Paths& paths, int64_t now_ms, const std::string& actor) {
  const auto secret = TRY(store.host_secret());
  KeyFiles now;
  TRY(read_files(now, paths.trusted(), "trust", ".pub", secret, words_of_deployer));
  TRY(read_files(now, paths.webhooks(), "webhook", ".key", secret, words_of_sender));
  const KeyFiles before = TRY(known_files(store));
  bool changed = false;
  const auto tell = [&](const std::string& name, std::string_view what, const std::string& words) {
    changed = true;
    return store.audit(
        {0, now_ms, actor, cat(name.substr(0, name.find('/')), "_", what), "", words, "ok"});
  };
  for (const auto& [name, file] : now)
    if (const auto was = before.find(name); was == before.end())
      TRY(tell(name, "add", file.words));
    else if (was->second.mac != file.mac)
      TRY(tell(name, "change",
          cat(file.words,
              was->second.words == file.words ? "" : cat("; before: ", was->second.words))));
  for (const auto& [name, file] : before)
    if (!now.contains(name))
      TRY(tell(name, "remove", file.words));
  return changed ? store.set_meta(k_meta, text_of_files(now)) : Result<void>{};
}

} // namespace chillbox::daemon
