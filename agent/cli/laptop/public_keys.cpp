#include "cli/laptop/public_keys.hpp"

#include "base/text.hpp"
#include "cli/core/file_input.hpp"
#include "cli/http/client.hpp"
#include "crypto/minisign.hpp"
#include "crypto/ssh_key.hpp"
#include "os/disk.hpp"

#include <algorithm>

namespace chillbox::cli {
namespace {

constexpr size_t k_max_list = 256 * 1024;
constexpr std::string_view k_github = "github:";

// Their rule for the name of a user.
bool is_github_user(std::string_view name) {
  return !name.empty() && name.size() <= 39 && !name.starts_with('-') &&
      std::ranges::all_of(name, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
            c == '-';
      });
}

Result<std::vector<std::string>> fetch_github(const std::string& user) {
  if (!is_github_user(user))
    return fail(Code::usage, cat("'", printable(user, 60), "' is no name of a GitHub user"));
  const Http http = TRY(Http::create(""));
  const auto reply =
      TRY_IN("GitHub", http.send({.url = cat("https://github.com/", user, ".keys")}));
  if (reply.status == 404)
    return fail(Code::not_found, cat("GitHub has no user '", user, "'"));
  if (reply.status != 200)
    return fail(Code::unreachable,
        cat("GitHub did not give the keys of '", user, "': it answered ", reply.status,
            ": try again later"));
  auto keys = TRY_IN(cat(k_github, user), public_keys_in(reply.body));
  std::erase_if(keys, is_minisign); // a forge says who may come in, not whose signatures count
  return keys;
}

} // namespace

bool is_github(std::string_view text) {
  return text.starts_with(k_github);
}

bool is_minisign(std::string_view key) {
  return key.starts_with("RW");
}

Result<std::vector<std::string>> public_keys_in(std::string_view lines) {
  std::vector<std::string> keys;
  for (auto line : split(lines, '\n')) {
    line = trim(line);
    if (line.empty() || line.starts_with('#') || line.starts_with("untrusted comment:"))
      continue;
    if (line.find("PRIVATE KEY") != std::string_view::npos)
      return fail(Code::invalid, "this is a private key: give the .pub file that goes with it");
    keys.push_back(is_minisign(line) ? TRY(crypto::MinisignPublicKey::parse(line)).to_line()
                                     : TRY(crypto::SshPublicKey::parse(line)).to_line());
  }
  if (keys.empty())
    return fail(Code::invalid, "there is no public key in it");
  return keys;
}

Result<std::vector<std::string>> public_keys_of(const std::string& text) {
  if (is_github(text))
    return fetch_github(text.substr(k_github.size()));
  if (!os::real_disk().exists(text))
    return public_keys_in(text);
  const std::string content = TRY(read_input(text, k_max_list));
  return TRY_IN(printable(text, 1024), public_keys_in(content));
}

std::vector<std::string> own_ssh_keys(const std::string& home) {
  std::vector<std::string> keys;
  for (const char* kind : {"ed25519", "ed25519_sk", "ecdsa", "ecdsa_sk", "rsa"})
    if (const auto text = os::real_disk().read(cat(home, "/.ssh/id_", kind, ".pub"), k_max_list);
        text && !home.empty())
      if (const auto key = crypto::SshPublicKey::parse(trim(*text)))
        keys.push_back(key->to_line());
  return keys;
}

} // namespace chillbox::cli
