// The host's configuration, and a webhook sender's file.
#include "config/host.hpp"
#include "fuzz.hpp"

#include <algorithm>

using namespace chillbox;
using namespace chillbox::config;
using fuzz::claim;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const bool ready = (init_crypto(), true);
  claim(ready, "libsodium");
  const std::string_view text = fuzz::text(data, size);
  if (const auto host = parse_host_config(text, "chillboxd.toml")) {
    claim(host->jobs_max >= 1 && host->queue_max >= 1, "limits that let something through");
    claim(host->ratio_max >= 1 && host->entries_max >= 1 && host->artifact_max >= 1,
        "and those of archives");
    claim(host->scrypt_cap >= 1 && host->scrypt_cap <= 22, "scrypt within what a host has");
    claim(host->http_port != 0 && host->https_port != 0, "ports");
    claim(host->reserve_percent < 100, "a reserve that leaves something");
  } else {
    claim(
        host.error().message.find("chillboxd.toml") != std::string::npos, "problems name the file");
  }
  if (const auto sender = parse_sender(text, "ci")) {
    claim(!sender->keys.empty(), "a sender has a key");
    claim(sender->format == "standard" || sender->format == "github", "a format is one of two");
    claim(std::ranges::none_of(sender->keys, [](const auto& k) { return k.text.empty(); }),
        "no key is empty");
  } else {
    fuzz::claim_printable(sender.error());
  }
  return 0;
}
