#include "artifact/verify.hpp"

#include "artifact/signature.hpp"
#include "base/text.hpp"

#include <algorithm>

namespace chillbox::artifact {
namespace {

constexpr size_t k_max_comment = 1024;
constexpr uint64_t k_max_serial = INT64_MAX; // what the store can hold

struct Words {
  std::optional<std::string_view> site, fleet, version, serial, sha256, expires;
  bool chillbox = false, secrets = false, rollout = false;
};

Result<void> take_flag(bool& flag, std::string_view word) {
  if (flag)
    return fail(Code::denied, cat("trusted comment: '", word, "' twice"));
  flag = true;
  return {};
}

Result<void> take_word(Words& words, std::string_view word) {
  if (word == "chillbox")
    return take_flag(words.chillbox, word);
  if (word == "secrets")
    return take_flag(words.secrets, word);
  if (word == "rollout")
    return take_flag(words.rollout, word);
  const auto equals = word.find('=');
  const auto key = word.substr(0, equals);
  std::optional<std::string_view>* slot = key == "site" ? &words.site
      : key == "fleet"                                  ? &words.fleet
      : key == "version"                                ? &words.version
      : key == "serial"                                 ? &words.serial
      : key == "sha256"                                 ? &words.sha256
      : key == "expires"                                ? &words.expires
                                                        : nullptr;
  if (slot == nullptr || equals == std::string_view::npos)
    return fail(Code::denied,
        cat("trusted comment: '", printable(word, 40),
            "' is not one of chillbox, secrets, rollout, site=, fleet=, version=, serial=, ",
            "sha256=, expires= (one space between)"));
  if (*slot)
    return fail(Code::denied, cat("trusted comment: '", key, "=' twice"));
  *slot = word.substr(equals + 1);
  return {};
}

Result<std::string_view> needed(const std::optional<std::string_view>& word, std::string_view key) {
  if (!word)
    return fail(Code::denied, cat("trusted comment: no '", key, "='"));
  return *word;
}

Result<uint64_t> number(std::string_view key, std::string_view text) {
  const auto n = parse_u64(text);
  if (!n || *n == 0 || *n > k_max_serial)
    return fail(Code::denied,
        cat("trusted comment: ", key, " '", printable(text, 40), "' is not a number from 1 to ",
            k_max_serial));
  return *n;
}

template <class T> std::string_view kind_of(const T& of) {
  return of.fleet  ? "a roster"
      : of.rollout ? "the order of a rollout"
      : of.secrets ? "a secret set"
                   : "a release";
}

Result<void> check_what(const Statement& s, const Expected& wanted) {
  if (kind_of(s) != kind_of(wanted))
    return fail(Code::denied, cat("signed as ", kind_of(s), ", wanted ", kind_of(wanted)));
  if (s.site != wanted.site)
    return fail(Code::denied,
        cat("signed for ", s.fleet ? "fleet" : "site", " '", s.site.str(), "', wanted '",
            wanted.site.str(), "'"));
  if (!wanted.version.empty() && s.version != wanted.version)
    return fail(Code::denied, cat("signed for version ", s.version, ", wanted ", wanted.version));
  return {};
}

Result<void> check_digest(const Statement& s, const Digest& actual, const Expected& wanted) {
  if (actual != wanted.sha256)
    return fail(
        Code::denied, cat("sha256 is ", actual.str(), ", announced was ", wanted.sha256.str()));
  if (s.sha256 != actual)
    return fail(
        Code::denied, cat("signed for sha256 ", s.sha256.str(), ", the file has ", actual.str()));
  return {};
}

Result<void> check_fresh(const Statement& s, const Expected& wanted) {
  if (s.expires && wanted.now_unix >= *s.expires)
    return fail(Code::denied, cat("expired ", rfc3339(*s.expires), ": sign it again"));
  const uint64_t installed = wanted.installed_serial;
  if (installed == 0)
    return {};
  if (s.fleet && s.serial <= installed)
    return fail(Code::denied,
        cat("epoch ", s.serial, " is not newer than epoch ", installed,
            " of the roster that this host has: sign it again with `chillboxctl fleet rotate`"));
  if (s.fleet && s.serial - installed > wanted.serial_jump_max)
    return fail(Code::denied,
        cat("epoch ", s.serial, " is ", s.serial - installed, " above ", installed,
            ", the limit is ", wanted.serial_jump_max));
  if (s.rollout && s.serial <= installed)
    return fail(Code::denied,
        cat("serial ", s.serial, " of this order is not newer than ", installed,
            ", the newest that this host has seen: chillboxctl rollout run orders it again"));
  if (s.serial <= installed && !wanted.allow_downgrade)
    return fail(Code::denied,
        s.serial == installed
            ? cat("serial ", s.serial, " is not newer than installed ", installed,
                  ": pack it again in a minute, or now with --serial ", installed + 1)
            : cat("serial ", s.serial, " is older than installed ", installed,
                  ": if it is what shall be live next, pack it again with --for USER@HOST or with --serial ",
                  installed + 1,
                  "; if an older release shall come back: chillboxctl rollback, or on the host chillboxctl retry JOB --allow-downgrade"));
  if (s.serial > installed && s.serial - installed > wanted.serial_jump_max && !wanted.allow_jump)
    return fail(Code::busy,
        cat("held: serial ", s.serial, " is ", s.serial - installed, " above installed ", installed,
            ", the limit is ", wanted.serial_jump_max,
            ": no later release could be older than this one; chillboxctl retry JOB --allow-jump takes it"));
  return {};
}

// The statement under one of the keys that the signature names. Several keys of minisign can share
// an id by chance or by malice: any may hold.
Result<std::pair<const TrustedKey*, std::string>> signed_by(const std::vector<TrustedKey>& trusted,
    const Signature& signature, const std::array<uint8_t, 64>& blake2b) {
  std::optional<Error> last;
  for (const TrustedKey& key : trusted) {
    if (!signature.claims(key.key))
      continue;
    auto statement = signature.verify(key.key, blake2b);
    if (statement)
      return std::pair{&key, std::move(*statement)};
    last = within(cat("key '", key.name, "'"), std::move(statement.error())).error();
  }
  if (last)
    return std::unexpected(std::move(*last));
  return fail(Code::denied,
      cat("no trusted key ", signature.key_id(),
          ": chillboxctl trust add, if you know whose it is"));
}

} // namespace

Result<Statement> parse_statement(std::string_view trusted_comment) {
  if (trusted_comment.size() > k_max_comment)
    return fail(Code::denied,
        cat("trusted comment: ", trusted_comment.size(), " bytes, the limit is ", k_max_comment));
  Words words;
  for (auto word : split(trusted_comment, ' '))
    TRY(take_word(words, word));
  if (!words.chillbox)
    return fail(
        Code::denied, "trusted comment: does not say 'chillbox': signed for another purpose");
  if (words.fleet && (words.site || words.secrets || words.rollout || words.version))
    return fail(Code::denied,
        "trusted comment: a roster has no site=, version=, secrets or rollout next to fleet=");
  if (words.rollout && (words.secrets || words.version))
    return fail(Code::denied,
        "trusted comment: the order of a rollout has no version= or secrets next to it");
  auto site = TRY_IN("trusted comment",
      SiteName::parse(words.fleet ? *words.fleet : TRY(needed(words.site, "site"))));
  const auto serial = TRY(number("serial", TRY(needed(words.serial, "serial"))));
  auto sha256 = TRY_IN("trusted comment", Digest::parse(TRY(needed(words.sha256, "sha256"))));
  Statement statement{.site = std::move(site),
      .secrets = words.secrets,
      .fleet = words.fleet.has_value(),
      .rollout = words.rollout,
      .version = {},
      .serial = serial,
      .sha256 = std::move(sha256),
      .expires = {}};
  if (words.secrets && words.version)
    return fail(Code::denied, "trusted comment: a secret set has no version=");
  if (kind_of(statement) == "a release")
    statement.version =
        TRY_IN("trusted comment", Version::parse(TRY(needed(words.version, "version")))).str();
  if (words.expires)
    statement.expires = static_cast<int64_t>(TRY(number("expires", *words.expires)));
  return statement;
}

Result<Statement> stated(std::string_view signature) {
  const auto words = claimed_statement(signature);
  if (!words)
    return fail(Code::denied, words.error().message);
  return parse_statement(*words);
}

std::string statement_text(const Statement& statement) {
  std::string text = cat("chillbox ", statement.fleet ? "fleet=" : "site=", statement.site.str());
  if (statement.rollout)
    text += " rollout";
  else if (!statement.fleet)
    text += statement.secrets ? " secrets" : cat(" version=", statement.version);
  text += cat(" serial=", statement.serial, " sha256=", statement.sha256.str());
  if (statement.expires)
    text += cat(" expires=", *statement.expires);
  return text;
}

Result<Verified> verify(const std::vector<TrustedKey>& trusted, std::string_view text,
    const std::array<uint8_t, 64>& blake2b, const Digest& actual_sha256, const Expected& wanted) {
  const auto signature = Signature::parse(text);
  if (!signature)
    return fail(Code::denied,
        signature.error().message); // to the deployer it is one thing: this signature is not taken
  auto [key, words] = TRY(signed_by(trusted, *signature, blake2b));
  // Only now is the statement the signer's word and may be read.
  auto statement = TRY(parse_statement(words));
  if (statement.fleet && (!key->sites.empty() || key->only_releases))
    return fail(Code::denied,
        cat("key '", key->name, "' may not sign for all sites, and so signs no roster"));
  if (!key->sites.empty() &&
      std::ranges::find(key->sites, statement.site.str()) == key->sites.end())
    return fail(Code::denied,
        cat("key '", key->name, "' may sign for ", join(key->sites, ", "), ", not for '",
            statement.site.str(), "'"));
  if (key->only_releases && statement.secrets)
    return fail(Code::denied, cat("key '", key->name, "' may sign releases, not a secret set"));
  TRY(check_what(statement, wanted));
  TRY(check_digest(statement, actual_sha256, wanted));
  TRY(check_fresh(statement, wanted));
  return Verified{std::move(statement), key->name, fingerprint(key->key)};
}

} // namespace chillbox::artifact
