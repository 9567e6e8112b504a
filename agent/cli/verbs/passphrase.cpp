// passphrase: changes the one of a host, or the one of the person's key. What it opens stays the
// same: no artifact, no secret set and no signature is affected.
#include "cli/core/answers.hpp"
#include "cli/core/file_input.hpp"
#include "cli/core/host_setup.hpp"
#include "cli/core/options.hpp"
#include "cli/core/prompt.hpp"
#include "cli/core/terminal.hpp"
#include "cli/laptop/key_store.hpp"
#include "cli/laptop/signer.hpp"
#include "crypto/age.hpp"
#include "os/disk.hpp"
#include "os/root_owned.hpp"
#include "os/sandbox.hpp"

#include "base/text.hpp"

namespace chillbox::cli {
namespace {

constexpr std::array k_passphrase_options{
    Option{"--key", ArgKind::flag, "", "that of your signing key on this machine"},
    Option{"--passphrase-fd", ArgKind::fd, "N",
        "read the passphrase and then the new one from descriptor N, a line each"},
};

void print_done(Call& call, const std::string& name, const std::string& text) {
  print_change(call, "passphrase", name, true, text);
}

Result<void> change_key(Call& call) {
  const auto key = TRY(find_key(Places::find()));
  if (!key)
    return fail(Code::not_found,
        cat("you have no key in ", Places::find().keys(), " yet: chillboxctl setup makes it"));
  const auto secret = TRY(unlock_key(call, *key));
  TRY(write_key(call, *key, secret));
  print_done(call, key->half.name, "changed: the passphrase of your key, which is the same key");
  return {};
}

// The file is replaced as a whole: with a power cut at any moment the host has the old passphrase
// or the new one. The old file is not kept, and who copied it before can still open the copy.
Result<void> change_host(Call& call) {
  TRY(require_root(call.paths, "passphrase"));
  os::Disk& disk = os::real_disk();
  const std::string path = call.paths.identity();
  const std::string file = TRY(disk.read(path, k_max_identity));
  const int factor = work_factor_of(bytes_of(file));
  const auto identity = TRY(with_passphrase<SecretBytes>(
      call.args, "passphrase of this host", [&](const SecretBytes& passphrase) {
        return crypto::decrypt_with_passphrase(
            bytes_of(file), passphrase, crypto::k_most_work_factor);
      }));
  const SecretBytes next =
      TRY(ask_passphrase(call.args, "new passphrase of this host", Ask::twice));
  const Bytes encrypted = TRY(crypto::encrypt_with_passphrase(identity.view(), next, factor));
  TRY(disk.write(path, text_of(encrypted), 0600, os::root_owner(call.paths)));
  print_done(call, "host",
      "changed: the passphrase of this host, which stays as it is now, locked or unlocked");
  return {};
}

Result<void> run_passphrase(Call& call) {
  TRY(os::deny_core_and_ptrace());
  return call.args.has("key") ? change_key(call) : change_host(call);
}

} // namespace

extern constinit const Verb k_passphrase{"passphrase", Group::seal, Where::host,
    "change the passphrase of a host, or with --key of your signing key", k_passphrase_options,
    run_passphrase, "key"};

} // namespace chillbox::cli
