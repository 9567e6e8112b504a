// recover, recover words: 24 words on paper as the second way to the host key, for an owner who
// forgot the passphrase. The words are an age identity, to which a second copy of the host key is
// encrypted, in identity.recovery.age. Who has the paper and the disk has the host key: that is
// what it costs, and why nobody gets the words without asking for them.
#include "cli/core/answers.hpp"
#include "cli/core/file_input.hpp"
#include "cli/core/host_setup.hpp"
#include "cli/core/options.hpp"
#include "cli/core/prompt.hpp"
#include "cli/core/terminal.hpp"
#include "crypto/age.hpp"
#include "crypto/recovery_words.hpp"
#include "os/clock.hpp"
#include "os/disk.hpp"
#include "os/root_owned.hpp"
#include "os/sandbox.hpp"

#include "base/text.hpp"

namespace chillbox::cli {
namespace {

constexpr std::array k_recover_options{
    Option{"--passphrase-fd", ArgKind::fd, "N",
        "read the words, on one line, and then the new passphrase from descriptor N"},
};
constexpr std::array k_recover_words_options{
    Option{"--remove", ArgKind::flag, "", "make the words useless"},
    Option{"--passphrase-fd", ArgKind::fd, "N",
        "read the passphrase of the host from descriptor N, and ask for no word"},
};

std::string recovery_file(const os::Paths& paths) {
  return cat(paths.state(), "/identity.recovery.age");
}

// The one that other hosts' artifacts are encrypted to must stay the same.
Result<void> check_recipient(Call& call, const SecretBytes& identity) {
  const auto parsed = TRY(crypto::parse_identity_file(identity.text()));
  const auto known = os::real_disk().read(call.paths.recipient(), 4096);
  if (known && trim(*known) != parsed.recipient())
    return fail(Code::conflict,
        cat("these words are of another host key than ", call.paths.recipient(), " names"));
  return {};
}

Result<void> print_words(Call& call, const std::vector<SecretString>& words) {
  constexpr size_t k_in_a_line = 6;
  call.terminal.print("Write down, shown only once:");
  for (size_t i = 0; i < words.size(); i += k_in_a_line) {
    std::string line = cat("  ", i + 1 < 10 ? " " : "", i + 1, "  ");
    for (size_t j = i; j < i + k_in_a_line; ++j)
      line += cat(std::string_view(words[j]), j + 1 == i + k_in_a_line ? "" : " ");
    call.terminal.print(line);
    wipe(line.data(), line.size());
  }
  if (call.args.has("passphrase-fd"))
    return {};
  const size_t asked = static_cast<size_t>(os::real_clock().wall_ms()) % words.size();
  const std::string answer =
      TRY(ask_line(cat("Word ", asked + 1, "?"), "asking for a word", "use --passphrase-fd N"));
  if (trim(answer) != std::string_view(words[asked]))
    return fail(Code::invalid, "that is another word: nothing was changed, run it again");
  return {};
}

Result<void> run_words(Call& call) {
  TRY(require_root(call.paths, "recover words"));
  TRY(os::deny_core_and_ptrace());
  os::Disk& disk = os::real_disk();
  if (call.args.has("remove")) {
    const bool had = disk.exists(recovery_file(call.paths));
    TRY(disk.remove(recovery_file(call.paths)));
    print_change(call, "recover-words", "host", had,
        had ? "removed: only the passphrase opens the host key now"
            : "unchanged: there are no recovery words");
    return {};
  }
  if (call.terminal.json())
    return fail(Code::usage, "--json: the words are for paper, not for a program");
  const std::string file = TRY(disk.read(call.paths.identity(), k_max_identity));
  const auto identity = TRY(with_passphrase<SecretBytes>(
      call.args, "passphrase of this host", [&](const SecretBytes& passphrase) {
        return crypto::decrypt_with_passphrase(
            bytes_of(file), passphrase, crypto::k_most_work_factor);
      }));
  TRY(check_recipient(call, identity));
  const auto key = crypto::AgeIdentity::generate();
  const SecretBytes scalar = key.scalar();
  const auto words = crypto::recovery_words(scalar.view());
  std::string out;
  auto writer = TRY(crypto::AgeWriter::to_recipients({key.recipient()}, [&](ByteView bytes) {
    out += text_of(bytes);
    return Result<void>();
  }));
  TRY(writer.write(identity.view()));
  TRY(writer.finish());
  TRY(print_words(call, words));
  TRY(disk.write(recovery_file(call.paths), out, 0600, os::root_owner(call.paths)));
  call.terminal.print_status(
      "anyone with this paper and the disk can read the host's secrets: keep it where you keep a key; "
      "words that were made before are useless now");
  return {};
}

Result<SecretBytes> opened_by_words(const std::string& file, std::string_view text) {
  auto seed = TRY(crypto::read_recovery_words(text));
  const auto key = crypto::AgeIdentity::from_scalar(std::move(seed));
  auto identity = crypto::decrypt_with_identity(bytes_of(file), key);
  if (!identity && identity.error().code == Code::not_found)
    return fail(Code::denied, "these are not the words that were made last for this host");
  return identity;
}

Result<void> run_recover(Call& call) {
  TRY(require_root(call.paths, "recover"));
  TRY(os::deny_core_and_ptrace());
  os::Disk& disk = os::real_disk();
  if (!disk.exists(recovery_file(call.paths)))
    return fail(Code::not_found,
        cat("this host has no recovery words (chillboxctl recover words makes them): without the passphrase its secrets are lost. ",
            "A new host key: remove ", call.paths.identity(), " and ", call.paths.recipient(),
            ", then chillboxctl init; sites that use secrets are down until their secrets are sent again"));
  const std::string file = TRY(disk.read(recovery_file(call.paths), k_max_identity));
  const SecretBytes words = TRY(ask_passphrase(call.args, "the 24 words, not shown", Ask::once));
  const auto identity = TRY(opened_by_words(file, words.text()));
  TRY(check_recipient(call, identity));
  const auto old = disk.read(call.paths.identity(), k_max_identity);
  const int factor = old ? work_factor_of(bytes_of(*old)) : crypto::k_default_scrypt_cap;
  const SecretBytes next =
      TRY(ask_passphrase(call.args, "new passphrase of this host", Ask::twice));
  const Bytes encrypted = TRY(crypto::encrypt_with_passphrase(identity.view(), next, factor));
  TRY(disk.write(call.paths.identity(), text_of(encrypted), 0600, os::root_owner(call.paths)));
  print_change(call, "recover", "host", true,
      "recovered: the host key is the same and has the new passphrase: chillboxctl unlock");
  return {};
}

} // namespace

extern constinit const Verb k_recover{"recover", Group::seal, Where::host,
    "give a host a new passphrase by its recovery words", k_recover_options, run_recover};
extern constinit const Verb k_recover_words{"recover words", Group::seal, Where::host,
    "make the recovery words of a host, and print them once", k_recover_words_options, run_words};

} // namespace chillbox::cli
