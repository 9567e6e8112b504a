// The laptop: a deployer with a key, who packs, encrypts and signs what the tests send.
#pragma once

#include "artifact/pack.hpp"
#include "artifact/verify.hpp"
#include "base/text.hpp"
#include "catch.hpp"
#include "crypto/minisign.hpp"
#include "os/disk.hpp"

#include <map>
#include <optional>
#include <string>

namespace chillbox::test {

// The value, or the test fails with the error's message.
template <class T> T must(Result<T> result) {
  if (!result)
    FAIL(result.error().message);
  if constexpr (!std::is_void_v<T>)
    return std::move(*result);
}

// "code: message", or "ok".
template <class T> std::string outcome(const Result<T>& result) {
  return result ? "ok" : cat(code_name(result.error().code), ": ", result.error().message);
}

inline SiteName site(const std::string& name = "blog") {
  return SiteName::parse(name).value();
}

// One Python service "app" unless `members` says more.
struct Order {
  std::string slug = "blog";
  std::string version = "1.0.0";
  uint64_t serial = 0; // 0: the next
  std::string domain;  // "" : SLUG.example
  std::string services = R"([{"name":"app","lang":"python","health":{"deadline":"2s"}}])";
  std::string members; // more of site.json: "\"watch\":\"60s\","
  std::map<std::string, std::string> files{{"app/app.py", "print('hello')\n"}}; // below SLUG/
  std::map<std::string, std::string> beside;                                    // SLUG/
  std::optional<int64_t> expires;
  std::string signed_site, signed_version; // when the signature lies
};

inline std::string site_json(const Order& o) {
  return cat(R"({"name":"A site","server_name":")",
      o.domain.empty() ? o.slug + ".example" : o.domain, R"(","version":")", o.version, "\",",
      o.members, R"("services":)", o.services, "}");
}

struct Sent {
  std::string sha256;
  uint64_t size = 0;
  std::string file, signature; // paths on the laptop
};

class Deployer {
public:
  Deployer(std::string desk, std::string recipient)
      : m_desk(std::move(desk)), m_recipient(std::move(recipient)),
        m_key(crypto::MinisignSecretKey::generate()) {}

  std::string public_key() const { return m_key.public_key().to_file(); }
  crypto::MinisignSecretKey& key() { return m_key; }
  void pack_for(std::string recipient) { m_recipient = std::move(recipient); }

  Sent pack(const Order& o) {
    std::vector<artifact::PackEntry> entries{
        {.name = cat(o.slug, "/", o.slug, ".site.json"), .source = "", .content = site_json(o)}};
    for (const auto& [name, content] : o.files)
      entries.push_back({.name = cat(o.slug, "/", name), .source = "", .content = content});
    for (const auto& [name, content] : o.beside)
      entries.push_back({.name = name, .source = "", .content = content});
    return wrap(std::move(entries),
        {.site = site(o.signed_site.empty() ? o.slug : o.signed_site),
            .version = o.signed_version.empty() ? o.version : o.signed_version,
            .serial = o.serial == 0 ? ++m_serial : o.serial,
            .sha256 = crypto_none(),
            .expires = o.expires});
  }
  // files: "SERVICE/FILE" to content
  Sent pack_secrets(const std::string& slug, const std::map<std::string, std::string>& files) {
    std::vector<artifact::PackEntry> entries;
    for (const auto& [name, content] : files)
      entries.push_back({.name = name, .source = "", .content = content});
    return wrap(std::move(entries),
        {.site = site(slug),
            .secrets = true,
            .version = "",
            .serial = ++m_serial,
            .sha256 = crypto_none()});
  }

private:
  static Digest crypto_none() { return Digest::of({}); }
  Sent wrap(std::vector<artifact::PackEntry> entries, artifact::Statement statement) {
    Sent sent{.sha256 = "",
        .size = 0,
        .file = cat(m_desk, "/", ++m_packed, ".age"),
        .signature = cat(m_desk, "/", m_packed, ".minisig")};
    const auto packed = must(artifact::pack(
        {.entries = std::move(entries), .recipients = {m_recipient}, .output = sent.file}));
    statement.sha256 = packed.sha256;
    must(os::real_disk().write(
        sent.signature, m_key.sign(packed.blake2b, artifact::statement_text(statement)), 0600));
    sent.sha256 = packed.sha256.str();
    sent.size = packed.size;
    return sent;
  }

  std::string m_desk, m_recipient;
  crypto::MinisignSecretKey m_key;
  uint64_t m_serial = 0;
  int m_packed = 0;
};

} // namespace chillbox::test
