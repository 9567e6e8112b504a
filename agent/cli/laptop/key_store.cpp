#include "cli/laptop/key_store.hpp"

#include "base/text.hpp"
#include "cli/core/file_input.hpp"
#include "cli/core/host_setup.hpp"
#include "cli/core/prompt.hpp"
#include "cli/core/terminal.hpp"
#include "os/disk.hpp"
#include "os/sandbox.hpp"

#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>

namespace chillbox::cli {
namespace {

constexpr std::string_view k_key_suffix = ".key";
constexpr std::string_view k_comment = "untrusted comment: ";
constexpr std::string_view k_mark = "chillbox ";
constexpr std::string_view k_age_use = "chillbox age identity v1";
constexpr mode_t k_others = 077;

std::string public_path(const std::string& secret_path) {
  return cat(secret_path.substr(0, secret_path.size() - k_key_suffix.size()), ".pub");
}

// What may be a file's name and a word of a comment.
std::string cleaned(std::string_view text) {
  std::string out;
  for (const char c : text)
    out += std::string_view("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
               .contains(c)
        ? c
        : '-';
  return out;
}

// "jo@mba" and what is none
std::string cleaned_name(std::string_view name) {
  const auto at = name.find('@');
  return cat(cleaned(name.substr(0, at)),
      at == std::string_view::npos ? "" : cat("@", cleaned(name.substr(at + 1))));
}

os::Owner mine() {
  return {::geteuid(), ::getegid()};
}

// A key that others can read is one that others have.
Result<void> check_private(const std::string& path) {
  struct stat st{};
  if (::lstat(path.c_str(), &st) != 0)
    return fail_errno(cat("read ", printable(path, 1024)), errno);
  if (!S_ISREG(st.st_mode) || st.st_uid != ::geteuid() || (st.st_mode & k_others) != 0)
    return fail(Code::denied,
        cat(printable(path, 1024),
            " must be a file of yours that nobody else can read: chmod 600 it, or remove it"));
  return {};
}

// The name is a word of the public file and of the secrets document.
Result<PersonKey> load(const Places& places, const std::string& name) {
  const std::string path = places.key(name);
  if (name.empty() || name.starts_with('@') || name != cleaned_name(name))
    return fail(Code::invalid,
        cat(printable(path, 1024),
            ": the name of a key has only letters, digits, '.', '_', '-' and one '@': rename the "
            "two files of it"));
  TRY(check_private(path));
  auto half = TRY_IN(printable(public_path(path), 1024),
      parse_public_file(TRY(read_input(public_path(path), k_max_key_file))));
  half.name = name;
  return PersonKey{path, std::move(half)};
}

} // namespace

std::string default_key_name() {
  const passwd* user = ::getpwuid(::geteuid());
  std::array<char, 256> host{};
  ::gethostname(host.data(), host.size() - 1);
  const std::string_view name(host.data());
  return cat(cleaned(user != nullptr ? user->pw_name : "me"), "@",
      name.empty() ? "laptop" : cleaned(name.substr(0, name.find('.'))));
}

std::string public_file_text(const PublicHalf& half) {
  return cat(k_comment, k_mark, cleaned_name(half.name),
      half.recipient ? cat(" ", *half.recipient) : "", "\n", half.key.to_line(), "\n");
}

Result<PublicHalf> parse_public_file(std::string_view text) {
  text = without_byte_order_mark(text);
  const auto key = TRY(crypto::MinisignPublicKey::parse(text));
  PublicHalf half{"", std::nullopt, key};
  std::string_view line = trim(text.substr(0, text.find('\n')));
  if (!line.starts_with(k_comment))
    return half;
  line.remove_prefix(k_comment.size());
  if (!line.starts_with(k_mark))
    return half;
  const auto words = split(line.substr(k_mark.size()), ' ');
  half.name = cleaned(words[0].substr(0, words[0].find('@')));
  if (words.size() > 1) {
    TRY(crypto::parse_age_recipient(words[1]));
    half.recipient = std::string(words[1]);
  }
  return half;
}

crypto::AgeIdentity age_identity_of(const crypto::MinisignSecretKey& key) {
  return crypto::AgeIdentity::from_scalar(key.derive(k_age_use));
}

Result<std::optional<PersonKey>> find_key(const Places& places) {
  const auto names = TRY(names_in(places.keys(), k_key_suffix));
  if (names.empty())
    return std::optional<PersonKey>();
  const std::string wanted = default_key_name();
  const bool is_there = std::ranges::find(names, wanted) != names.end();
  if (!is_there && names.size() > 1)
    return fail(Code::conflict,
        cat("several keys in ", places.keys(), ": ", join(names, ", "), "; yours must be called ",
            wanted, k_key_suffix, ", or be the only one"));
  return std::optional(TRY(load(places, is_there ? wanted : names.front())));
}

Result<void> write_key(Call& call, const PersonKey& key, const crypto::MinisignSecretKey& secret) {
  const std::string prompt = cat("new passphrase for ", printable(key.path, 1024));
  const SecretBytes passphrase = TRY(ask_passphrase(call.args, prompt, Ask::twice));
  const SecretBytes text = TRY(secret.to_file(passphrase, k_person_scrypt));
  return os::real_disk().write(key.path, text.text(), 0600, mine());
}

Result<PersonKey> ensure_key(Call& call, const Places& places) {
  if (auto found = TRY(find_key(places)))
    return std::move(*found);
  TRY(os::deny_core_and_ptrace());
  const auto secret = crypto::MinisignSecretKey::generate();
  const std::string name = default_key_name();
  const PersonKey key{
      places.key(name), {name, age_identity_of(secret).recipient(), secret.public_key()}};
  TRY(make_private_dir(places.keys()));
  // The public half first: a secret one without it is not found complete by the next run.
  TRY(os::real_disk().write(public_path(key.path), public_file_text(key.half), 0644, mine()));
  TRY(write_key(call, key, secret));
  call.terminal.print_status(cat("your key    ", printable(key.path, 1024)));
  return key;
}

Result<crypto::MinisignSecretKey> unlock_key(Call& call, const PersonKey& key) {
  TRY(os::deny_core_and_ptrace());
  TRY(check_private(key.path));
  const SecretBytes text = TRY(read_secret_input(key.path, k_max_key_file));
  const auto open = [&](const SecretBytes& passphrase) {
    return crypto::MinisignSecretKey::parse(text.text(), passphrase);
  };
  auto secret =
      TRY_IN(printable(key.path, 1024), crypto::MinisignSecretKey::is_encrypted(text.text()))
      ? with_passphrase(call.args, cat("passphrase of ", key.half.name),
            std::function<Result<crypto::MinisignSecretKey>(const SecretBytes&)>(open))
      : open({});
  if (!secret)
    return within(printable(key.path, 1024), secret.error());
  if (secret->public_key().to_line() != key.half.key.to_line())
    return fail(Code::corrupt,
        cat(printable(key.path, 1024), " and ", printable(public_path(key.path), 1024),
            " are not the halves of one key"));
  return secret;
}

} // namespace chillbox::cli
