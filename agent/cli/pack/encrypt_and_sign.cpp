#include "cli/pack/encrypt_and_sign.hpp"

#include "base/text.hpp"
#include "cli/core/answers.hpp"
#include "cli/core/duration.hpp"
#include "cli/core/file_input.hpp"
#include "cli/core/interrupt.hpp"
#include "cli/core/progress.hpp"
#include "cli/core/prompt.hpp"
#include "cli/core/terminal.hpp"
#include "cli/fleet/installed_serial.hpp"
#include "cli/laptop/signer.hpp"
#include "cli/laptop/ssh_signer.hpp"
#include "crypto/age.hpp"
#include "os/clock.hpp"
#include "os/disk.hpp"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <memory>

namespace chillbox::cli {
namespace {

namespace fs = std::filesystem;

constexpr size_t k_max_small_file = 64 * 1024;
constexpr int64_t k_year_2020 = 1'577'836'800; // Unix seconds
// What hosts refuse, unless their limits.ratio_max says otherwise (chillboxd.toml(5)).
constexpr uint64_t k_ratio = 200, k_ratio_from = 64 << 20;

Result<std::vector<std::string>> recipients_of(const Args& args) {
  std::vector<std::string> recipients;
  for (const std::string& recipient : args.list("recipient")) {
    if (const auto parsed = crypto::parse_age_recipient(recipient); !parsed)
      return fail(Code::usage,
          cat("--recipient: ", parsed.error().message,
              os::real_disk().exists(recipient) ? ": -R takes a file of recipients" : ""));
    recipients.emplace_back(trim(recipient));
  }
  if (args.has("recipients-file")) {
    const std::string path = args.text("recipients-file");
    const std::string text = TRY(read_text(path, k_max_small_file));
    for (const auto line : content_lines(text)) {
      TRY_IN(printable(path), crypto::parse_age_recipient(line));
      recipients.emplace_back(line);
    }
  }
  if (recipients.empty())
    return fail(
        Code::usage, "for which host? give -r AGE1... (the recipient.txt of the host) or -R FILE");
  return recipients;
}

Result<crypto::MinisignSecretKey> key_of_args(const Args& args) {
  const std::string path = args.text("key");
  const SecretBytes text = TRY(read_secret_input(path, k_max_small_file));
  SecretBytes passphrase;
  if (TRY_IN(printable(path), crypto::MinisignSecretKey::is_encrypted(text.text())))
    passphrase = TRY(ask_passphrase(args, cat("passphrase of ", printable(path)), Ask::once));
  return TRY_IN(printable(path), crypto::MinisignSecretKey::parse(text.text(), passphrase));
}

// With the key of -k, else with the person's own.
Result<Sign> sign_of(Call& call) {
  const Places places = Places::find();
  const std::string file = call.args.text("key");
  if (const auto ssh = file.empty() ? std::nullopt : TRY(ssh_key_of_file(file)); ssh)
    return [places, key = *ssh](const auto& blake2b, const auto& statement) {
      return sign_by_ssh(places, key, blake2b, statement);
    };
  if (!file.empty()) {
    const auto key = std::make_shared<crypto::MinisignSecretKey>(TRY(key_of_args(call.args)));
    return [key](const auto& blake2b, const auto& statement) -> Result<std::string> {
      return key->sign(blake2b, artifact::statement_text(statement));
    };
  }
  const auto key = TRY(find_key(places));
  if (!key)
    return fail(Code::usage, "which key signs? give -k KEY");
  return [&call, places, key = *key](const auto& blake2b, const auto& statement) {
    return sign_artifact(call, places, key, blake2b, statement);
  };
}

Result<int64_t> source_date() {
  const std::string text = environment("SOURCE_DATE_EPOCH");
  if (text.empty())
    return 0;
  const auto seconds = parse_u64(text);
  if (!seconds || *seconds > 0x7FFFFFFFFFFF)
    return fail(Code::usage,
        cat("SOURCE_DATE_EPOCH '", printable(text, 40), "' is not a number of seconds"));
  return static_cast<int64_t>(*seconds);
}

// Ctrl-C: an unfinished file has a hidden name next to its final one (os/atomic_file.hpp).
void remove_begun(const std::string& path) {
  const fs::path place(path);
  std::error_code error;
  const std::string begun = cat(".", place.filename().string(), ".tmp.");
  for (const auto& entry : fs::directory_iterator(place.parent_path(), error))
    if (entry.path().filename().string().starts_with(begun))
      fs::remove(entry.path(), error);
}

} // namespace

Result<void> check_signer_args(const Args& args, std::string_view example) {
  if (args.has("serial") && args.has("for"))
    return fail(Code::usage, "--serial and --for exclude each other: give one of them");
  std::vector<std::string> missing;
  if (!args.has("recipient") && !args.has("recipients-file"))
    missing.emplace_back("for which host (-R FILE, its recipient.txt, or -r AGE1..)");
  if (!args.has("key") && !TRY(find_key(Places::find())))
    missing.emplace_back("which key signs (-k KEY, of `chillboxctl keygen`)");
  if (!args.has("output"))
    missing.emplace_back("where it goes (-o OUTDIR)");
  if (missing.empty())
    return {};
  return fail(Code::usage, cat("not said: ", join(missing, ", "), "; for example: ", example));
}

Result<ArtifactSigner> prepare_signer(Call& call) {
  const Args& args = call.args;
  auto recipients = TRY(recipients_of(args));
  const int64_t mtime = TRY(source_date());
  std::optional<int64_t> expires;
  if (args.has("expires"))
    expires = TRY_IN("--expires", parse_moment(args.text("expires"), os::real_clock().wall()));
  if (expires && *expires <= os::real_clock().wall())
    return fail(Code::usage,
        cat("--expires ", printable(args.text("expires"), 40), ": that time has passed"));
  auto sign = TRY(sign_of(call));
  const std::string outdir = args.text("output");
  std::error_code error;
  fs::create_directories(outdir, error);
  if (error)
    return fail_errno(cat("make ", printable(outdir, 1024)), error.value());
  return ArtifactSigner{std::move(recipients), std::move(sign), outdir, mtime, expires};
}

Result<artifact::Statement> read_statement(const std::string& minisig_path) {
  const std::string text = TRY(read_input(minisig_path, k_max_small_file));
  return artifact::stated(text);
}

uint64_t next_serial(const std::string& outdir, const SiteName& site, bool secrets, int64_t now) {
  uint64_t serial = static_cast<uint64_t>(now) / 60;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(outdir, error))
    if (entry.path().extension() == ".minisig")
      if (const auto statement = read_statement(entry.path());
          statement && statement->site == site && statement->secrets == secrets)
        serial = std::max(serial, statement->serial + 1);
  return serial;
}

namespace {

// What was given; else by what the hosts have, or what this machine made so far.
Result<uint64_t> serial_of(
    const Args& args, const ArtifactSigner& signer, const SiteName& site, bool secrets) {
  const int64_t now = os::real_clock().wall();
  if (args.has("serial"))
    return args.number("serial", 0);
  if (!args.has("for"))
    return next_serial(signer.outdir, site, secrets, now);
  const uint64_t installed = TRY(installed_serial(args.list("for"), site, secrets));
  return std::max(static_cast<uint64_t>(now) / 60, installed + 1);
}

} // namespace

Result<SignedArtifact> encrypt_and_sign(Call& call, const ArtifactSigner& signer,
    std::vector<artifact::PackEntry> entries, const SiteName& site,
    const std::optional<Version>& version) {
  const std::string name =
      version ? cat(site.str(), "-", version->str()) : cat(site.str(), ".secrets");
  const std::string path = cat(signer.outdir, "/", name, ".tar.zst.age");
  const uint64_t serial = TRY(serial_of(call.args, signer, site, !version));
  if (call.args.has("serial") && serial == 0)
    return fail(Code::usage, "--serial 0: hosts count from 1");
  if (const int64_t now = os::real_clock().wall(); !call.args.has("serial") && now < k_year_2020)
    return fail(Code::invalid,
        cat("this machine's clock says ", rfc3339(now),
            ": set it, because serials are made of the time, or give --serial"));
  os::Disk& disk = os::real_disk();
  Progress progress(call.terminal);
  const DeferInterrupt defer;
  TRY(disk.remove(
      path + ".minisig")); // first: a signature must not lie next to a file that it is not for
  artifact::PackRequest request{
      std::move(entries), signer.recipients, signer.mtime, path, call.args.has("armor"), {}};
  request.progress = [&](uint64_t done, uint64_t total) {
    progress.percent("pack", done, total);
    if (interrupted()) {
      progress.end_line();
      remove_begun(path);
      leave_interrupted();
    }
  };
  const artifact::Packed packed = TRY_IN(name, artifact::pack(request));
  if (call.terminal.live())
    progress.percent_done("pack", packed.unpacked);
  const artifact::Statement statement{.site = site,
      .secrets = !version,
      .version = version ? version->str() : "",
      .serial = serial,
      .sha256 = packed.sha256,
      .expires = signer.expires};
  const std::string signature = TRY(signer.sign(packed.blake2b, statement));
  TRY(disk.write(path + ".minisig", signature, 0644, {::geteuid(), ::getegid()}));
  if (packed.unpacked > k_ratio_from && packed.unpacked / k_ratio > packed.size)
    call.terminal.print_status(cat(call.terminal.err(Style::warn, "warning:"), " it unpacks to ",
        packed.unpacked / std::max<uint64_t>(packed.size, 1), " times its size, and a host takes ",
        k_ratio, " unless limits.ratio_max in its chillboxd.toml is more"));
  return SignedArtifact{path, packed, serial};
}

void print_artifact(Call& call, std::string_view schema, const SiteName& site,
    const std::string& version, const SignedArtifact& sealed, const ArchiveSummary* contents) {
  const artifact::Packed& packed = sealed.packed;
  const std::string name = fs::path(sealed.path).filename();
  const std::string digest = packed.sha256.str();
  if (call.terminal.json()) {
    PackedArtifact answer{.name = name,
        .path = sealed.path,
        .site = site.str(),
        .version = version,
        .size = packed.size,
        .sha256 = digest,
        .serial = sealed.serial,
        .files = packed.files,
        .unpacked = packed.unpacked,
        .tar_sha256 = packed.tar_sha256.str()};
    if (contents != nullptr) {
      answer.contents = contents->parts;
      answer.largest = contents->largest;
    }
    call.terminal.print(answer_text(schema, answer));
    return;
  }
  call.terminal.print(sealed.path);
  if (call.terminal.quiet())
    return;
  call.terminal.print(cat("size    ", packed.size, " (", human_size(packed.size), ", ",
      packed.files, " files of ", human_size(packed.unpacked), ")"));
  call.terminal.print(cat("sha256  ", digest));
  call.terminal.print(cat("serial  ", sealed.serial));
  if (contents == nullptr)
    return;
  call.terminal.print("");
  print_table(call.terminal, table_of(*contents), "");
  call.terminal.print("");
  for (const auto& file : contents->largest)
    call.terminal.print(cat(file.path == contents->largest.front().path ? "largest  " : "         ",
        printable(file.path, 1024), "  ", human_size(file.size)));
}

} // namespace chillbox::cli
