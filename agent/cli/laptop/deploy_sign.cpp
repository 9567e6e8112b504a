#include "cli/laptop/deploy_sign.hpp"

#include "artifact/verify.hpp"
#include "base/encoding.hpp"
#include "base/text.hpp"
#include "cli/core/duration.hpp"
#include "cli/core/file_input.hpp"
#include "cli/core/prompt.hpp"
#include "cli/laptop/deploy_artifact.hpp"
#include "cli/laptop/signer.hpp"
#include "cli/laptop/ssh_signer.hpp"
#include "crypto/minisign.hpp"
#include "os/clock.hpp"
#include "os/sandbox.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <memory>

namespace chillbox::cli {
namespace {

constexpr size_t k_max_signing_key = 64 * 1024;

using Blake2b = std::array<uint8_t, 64>;
struct Signer {
  std::string name, id, public_line;
  std::function<Result<std::string>(const Blake2b&, const artifact::Statement&)> sign;
};

// The key of -k: a file of its own, whose passphrase is asked for each time.
Result<Signer> signer_of_file(Call& call, const std::string& path) {
  TRY(os::deny_core_and_ptrace());
  const SecretBytes text = TRY(read_secret_input(path, k_max_signing_key));
  SecretBytes passphrase;
  if (TRY_IN(printable(path), crypto::MinisignSecretKey::is_encrypted(text.text())))
    passphrase = TRY(ask_passphrase(call.args, cat("passphrase of ", printable(path)), Ask::once));
  auto key = std::make_shared<crypto::MinisignSecretKey>(
      TRY_IN(printable(path), crypto::MinisignSecretKey::parse(text.text(), passphrase)));
  const auto open = key->public_key();
  return Signer{printable(path), crypto::key_id_text(open.id), open.to_line(),
      [key](const Blake2b& blake2b, const artifact::Statement& statement) -> Result<std::string> {
        return key->sign(blake2b, artifact::statement_text(statement));
      }};
}

Signer ssh_signer(const Places& places, const SshKeyHere& key) {
  return Signer{key.file.empty() ? "in ssh-agent" : printable(key.file, 1024), key.key.id(),
      cat("'", key.key.to_line(), "'"),
      [&places, key](const Blake2b& blake2b, const artifact::Statement& statement) {
        return sign_by_ssh(places, key, blake2b, statement);
      }};
}

// The key of -k; the person's own; that of ssh, where the host takes only that one.
Result<Signer> signer_of(
    Call& call, const Places& places, const control::Facts& facts, const std::string& site) {
  if (const std::string file = call.args.text("key"); !file.empty()) {
    const auto ssh = TRY(ssh_key_of_file(file));
    return ssh ? ssh_signer(places, *ssh) : signer_of_file(call, file);
  }
  const auto own = TRY(find_key(places));
  if (!own || !is_trusted(facts, site, own->half.key))
    if (const auto ssh = trusted_ssh_key(facts, site))
      return ssh_signer(places, *ssh);
  const PersonKey key = TRY(ensure_key(call, places));
  return Signer{key.half.name, crypto::key_id_text(key.half.key.id), key.half.key.to_line(),
      [&call, &places, key](const Blake2b& blake2b, const artifact::Statement& statement) {
        return sign_artifact(call, places, key, blake2b, statement);
      }};
}

// Before anything is signed, and a passphrase typed in vain.
Result<void> check_trust(const control::Facts& facts, const std::string& site,
    const std::string& host, const Signer& signer) {
  const auto found = std::ranges::find(facts.deployers, signer.id, &control::Deployer::id);
  if (found == facts.deployers.end())
    return fail(Code::denied,
        cat(host, " does not trust your key ", signer.name, " (", signer.id,
            "): ask an administrator to run: chillboxctl trust add ", signer.public_line, " -H ",
            host, " --name NAME"));
  if (!found->sites.empty() && std::ranges::find(found->sites, site) == found->sites.end())
    return fail(Code::denied,
        cat("your key ", signer.name, " may deploy ", join(found->sites, ", "), " on ", host,
            ", not ", site));
  return {};
}

} // namespace

Result<ToSign> what_to_sign(Call& call, const DeployPlan& plan, const std::string& version,
    const DeployMemory::Pending& artifact, uint64_t serial) {
  const auto bytes = TRY(unhex(artifact.blake2b));
  Blake2b blake2b{};
  if (bytes.size() != blake2b.size())
    return fail(Code::corrupt, "what was packed is not remembered whole: run it with --refresh");
  std::ranges::copy(bytes, blake2b.begin());
  std::optional<int64_t> expires;
  if (call.args.has("expires"))
    expires = TRY_IN("--expires", parse_moment(call.args.text("expires"), os::real_clock().wall()));
  return ToSign{blake2b,
      artifact::Statement{.site = plan.folder.site.slug,
          .secrets = false,
          .version = version,
          .serial = serial,
          .sha256 = TRY(Digest::parse(artifact.sha256)),
          .expires = expires}};
}

Result<std::string> sign_for(Call& call, const Places& places, const control::Facts& facts,
    const std::string& host, const ToSign& what) {
  const std::string& site = what.statement.site.str();
  const Signer signer = TRY(signer_of(call, places, facts, site));
  TRY(check_trust(facts, site, host, signer));
  return signer.sign(what.blake2b, what.statement);
}

Result<control::Arguments> signed_order(Call& call, const DeployPlan& plan,
    const control::Facts& facts, const std::string& host, const std::string& version,
    const DeployMemory::Pending& artifact, DeployLines& lines) {
  lines.end_line();
  const auto what = TRY(what_to_sign(
      call, plan, version, artifact, serial_for(facts.site->serial, os::real_clock().wall())));
  control::Arguments order;
  order.site = plan.site();
  order.version = version;
  order.sha256 = artifact.sha256;
  order.number = artifact.size;
  order.signature = TRY(sign_for(call, plan.places, facts, host, what));
  if (call.args.has("no-watch"))
    order.no_watch = true;
  if (call.args.has("no-wait"))
    order.wait = false;
  return order;
}

} // namespace chillbox::cli
