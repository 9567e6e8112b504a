#include "cli/laptop/secret_sent.hpp"

#include "base/text.hpp"
#include "crypto/hash.hpp"

namespace chillbox::cli {
namespace {

constexpr size_t k_max_sent = 16 << 20; // 100,000 keys and more

std::string sent_file(const Places& places, std::string_view folder, const std::string& name) {
  return cat(places.state, folder, crypto::sha256_of(bytes_of(name)).str().substr(0, 32));
}
// Whatever is in the names: a host's may be USER@HOST.
std::string sent_file(const Places& places, const std::string& host, const SecretPlace& place) {
  return sent_file(places, "/secrets/", cat(host, "\n", place.path));
}

} // namespace

SecretDigests digests_of(const SecretDoc& doc) {
  SecretDigests out;
  for (const auto& [path, file] : doc.files)
    for (const auto& [key, entry] : file.keys)
      out[key.empty() ? path : cat(path, ":", key)] = doc.digest(path, key);
  return out;
}

Result<void> remember_sent(const Places& places, const std::string& host, const SecretPlace& place,
    const SecretDigests& digests) {
  std::string text;
  for (const auto& [name, digest] : digests)
    text += cat(digest, " ", name, "\n");
  return write_own_file(sent_file(places, host, place), text, k_max_sent);
}

std::optional<SecretDigests> recall_sent(
    const Places& places, const std::string& host, const SecretPlace& place) {
  const auto text = read_own_file(sent_file(places, host, place), k_max_sent);
  if (!text)
    return std::nullopt;
  SecretDigests out;
  for (const auto line : split(*text, '\n'))
    if (const auto space = line.find(' '); space != std::string_view::npos)
      out[std::string(line.substr(space + 1))] = std::string(line.substr(0, space));
  return out;
}

Result<void> remember_readers(
    const Places& places, const SecretPlace& place, const std::vector<std::string>& recipients) {
  return write_own_file(
      sent_file(places, "/readers/", place.path), join(recipients, "\n"), k_max_sent);
}

std::set<std::string> recall_readers(const Places& places, const SecretPlace& place) {
  const auto text = read_own_file(sent_file(places, "/readers/", place.path), k_max_sent);
  std::set<std::string> out;
  if (text)
    for (const auto line : split(*text, '\n'))
      out.emplace(line);
  return out;
}

std::vector<SecretDifference> compare(const SecretDigests& here, const SecretDigests& there) {
  std::vector<SecretDifference> out;
  for (const auto& [name, digest] : here)
    if (const auto other = there.find(name); other == there.end())
      out.push_back({name, '+'});
    else if (other->second != digest)
      out.push_back({name, '~'});
  for (const auto& [name, digest] : there)
    if (!here.contains(name))
      out.push_back({name, '-'});
  return out;
}

} // namespace chillbox::cli
