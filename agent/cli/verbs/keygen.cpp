// keygen: makes a minisign key pair. minisign itself can read both files.
#include "cli/core/answers.hpp"
#include "cli/core/options.hpp"
#include "cli/core/prompt.hpp"
#include "cli/core/terminal.hpp"
#include "cli/laptop/key_store.hpp"

#include "base/text.hpp"
#include "crypto/minisign.hpp"
#include "os/disk.hpp"

#include <unistd.h>

namespace chillbox::cli {
namespace {

constexpr std::array k_keygen_options{
    Option{"-o,--output", ArgKind::text, "NAME", "write NAME.key and NAME.pub (default: chillbox)"},
    Option{"--no-password", ArgKind::flag, "", "do not encrypt the secret key"},
    k_passphrase_fd,
};

constexpr mode_t k_secret_mode = 0600;
constexpr mode_t k_public_mode = 0644;

Result<void> run_keygen(Call& call) {
  const std::string name = call.args.text("output", "chillbox");
  const std::string secret_path = name + ".key", public_path = name + ".pub";
  os::Disk& disk = os::real_disk();
  for (const std::string& path : {secret_path, public_path})
    if (disk.exists(path))
      return fail(Code::conflict,
          cat(printable(path),
              " already exists and is not overwritten: choose another name with -o"));
  if (call.args.has("no-password") && call.args.has("passphrase-fd"))
    return fail(Code::usage, "--no-password and --passphrase-fd contradict each other");
  SecretBytes passphrase;
  if (!call.args.has("no-password"))
    passphrase = TRY(ask_passphrase(call.args, "passphrase for the secret key", Ask::twice));
  const auto key = crypto::MinisignSecretKey::generate();
  const SecretBytes text = TRY(key.to_file(passphrase));
  const crypto::MinisignPublicKey public_key = key.public_key();
  const os::Owner owner{::geteuid(), ::getegid()};
  TRY(disk.write(secret_path, text.text(), k_secret_mode, owner));
  const std::string stem = name.substr(name.rfind('/') + 1);
  const std::string public_text =
      public_file_text({stem, age_identity_of(key).recipient(), public_key});
  TRY(disk.write(public_path, public_text, k_public_mode, owner));
  const std::string id = crypto::key_id_text(public_key.id);
  if (call.terminal.json()) {
    call.terminal.print(answer_text("keygen",
        KeyPair{.secret_key = secret_path,
            .public_key = public_path,
            .id = id,
            .key = public_key.to_line()}));
    return {};
  }
  call.terminal.print(cat("secret key  ", secret_path,
      passphrase.empty() ? "  (not encrypted: keep it off shared disks)" : ""));
  call.terminal.print(cat("public key  ", public_path, "  ", id));
  call.terminal.print_status(
      cat("on each host: chillboxctl trust add ", public_key.to_line(), " --name YOURS"));
  return {};
}

} // namespace

extern constinit const Verb k_keygen{"keygen", Group::laptop, Where::laptop,
    "make a minisign key pair for signing artifacts", k_keygen_options, run_keygen};

} // namespace chillbox::cli
