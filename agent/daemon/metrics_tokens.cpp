#include "daemon/metrics_tokens.hpp"

#include "base/encoding.hpp"
#include "base/names.hpp"
#include "base/secret.hpp"
#include "base/text.hpp"
#include "crypto/hash.hpp"

#include <unistd.h>

#include <mutex>

namespace chillbox::daemon {
namespace {

constexpr size_t k_most = 200; // bytes of a file: "SHA256 CREATED_MS\n"
constexpr size_t k_tokens = 100;
constexpr size_t k_bytes = 24;

struct Kept {
  std::string digest;
  int64_t created_ms = 0;
};

Kept parse(std::string_view text) {
  const auto words = split(trim(text), ' ');
  if (words.size() != 2 || words[0].size() != 64)
    return {};
  return {std::string(words[0]), static_cast<int64_t>(parse_u64(words[1]).value_or(0))};
}

} // namespace

Result<std::string> MetricsTokens::path_of(const std::string& name) const {
  return cat(m_dir, "/", TRY(parse_key_name(name)));
}

Result<std::string> MetricsTokens::add(const std::string& name, int64_t now_ms) {
  static std::mutex s_adding; // two of one name: the second one would end the first
  const std::lock_guard one(s_adding);
  const std::string path = TRY(path_of(name));
  if (m_disk.exists(path))
    return fail(Code::conflict,
        cat("there is a token '", name, "': `chillboxctl metrics token remove ", name, "` first"));
  if (TRY(m_disk.list(m_dir)).size() >= k_tokens)
    return fail(Code::conflict, cat("there are ", k_tokens, " tokens: remove one"));
  TRY(m_disk.make_dir(m_dir, 0700, {::geteuid(), ::getegid()}));
  const std::string token = random_token(k_bytes);
  TRY(m_disk.write(path, cat(crypto::sha256_of(bytes_of(token)).str(), " ", now_ms, "\n"), 0600));
  return token;
}

Result<std::vector<control::MetricsToken>> MetricsTokens::list() {
  std::vector<control::MetricsToken> all;
  for (const auto& name : TRY(m_disk.list(m_dir)))
    if (parse_key_name(name))
      all.push_back(
          {name, parse(m_disk.read(cat(m_dir, "/", name), k_most).value_or("")).created_ms});
  return all;
}

Result<void> MetricsTokens::remove(const std::string& name) {
  const std::string path = TRY(path_of(name));
  if (!m_disk.exists(path))
    return fail(Code::not_found, cat("no token '", printable(name, 60), "'"));
  return m_disk.remove(path);
}

bool MetricsTokens::admits(std::string_view token) {
  if (token.empty())
    return false;
  const std::string given = crypto::sha256_of(bytes_of(token)).str();
  bool admitted = false;
  for (const auto& name : m_disk.list(m_dir).value_or(std::vector<std::string>{})) {
    const auto kept = parse(m_disk.read(cat(m_dir, "/", name), k_most).value_or(""));
    admitted = same(bytes_of(given), bytes_of(kept.digest)) || admitted;
  }
  return admitted;
}

} // namespace chillbox::daemon
