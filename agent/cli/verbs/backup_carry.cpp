// backup get, backup put, backup pull, backup push: a backup's archive from one host to another, by
// way of a laptop.
#include "cli/laptop/backup_carry.hpp"
#include "cli/core/answer_table.hpp"
#include "cli/core/connection.hpp"
#include "cli/core/duration.hpp"
#include "cli/core/options.hpp"

#include "base/text.hpp"
#include "control/carried.hpp"
#include "control/log_news.hpp"
#include "os/clock.hpp"
#include "os/io.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

namespace chillbox::cli {
namespace {

namespace fs = std::filesystem;

constexpr Option k_id{"[ID]", ArgKind::number, "",
    "serial of the backup, as `backup list` shows it (default: the newest)"};
constexpr Option k_identity{"-i,--identity", ArgKind::text, "FILE",
    "age identity of one of backup.recipients (default: your own key)"};
constexpr std::array k_backup_get_options{k_site, k_id};
constexpr std::array k_backup_put_options{
    k_site,
    Option{"--serial", ArgKind::number, "N", "its serial", true},
    Option{"--taken", ArgKind::number, "MS", "when it was taken, milliseconds since 1970", true},
    Option{"--release", ArgKind::text, "ID", "the release that was live then", true},
    Option{"--sha256", ArgKind::text, "HEX", "of the archive", true},
};
constexpr std::array k_backup_pull_options{
    k_project_site,
    k_id,
    k_to_host,
    Option{"-o,--output", ArgKind::text, "DIR",
        "the folder for it, in which it gets its name at the target (default: this one)"},
};
constexpr std::array k_backup_push_options{
    Option{"FILE", ArgKind::text, "", "the archive, with its .minisig next to it"},
    k_to_host,
    Option{"--from", ArgKind::text, "NAME", "the host that made it: a name of `hosts`"},
    Option{"--key", ArgKind::text, "KEY", "the minisign key of that host, instead of --from"},
    k_identity,
};

std::optional<uint64_t> serial_of(const Call& call) {
  return call.args.has("ID") ? std::optional(call.args.number("ID", 0)) : std::nullopt;
}

Result<void> write_out(std::string_view bytes) {
  const int error = os::write_fully(STDOUT_FILENO, bytes);
  return error == 0 ? Result<void>{} : fail_errno("standard output", error);
}

// After the archive, a line about it: who reads it does not need to know its length.
Result<void> run_backup_get(Call& call) {
  if (call.terminal.out_is_terminal())
    return fail(Code::usage, "backup get writes an archive, which is nothing for a terminal");
  int connection = -1;
  Result<Fd> file = fail(Code::corrupt, "answer of chillboxd: no archive came");
  const Question question{.verb = "backup_get",
      .args = {.site = call.args.text("SITE"), .serial = serial_of(call)},
      .on_event = [&](const Json&) { file = control::receive_descriptor(connection); },
      .timeout = std::chrono::milliseconds(-1)};
  const auto answer = TRY(control::read_answer<control::BackupArchive>(
      TRY(ask_connected(call.paths, question, connection, &call.error_data))));
  const Fd archive = TRY(std::move(file));
  std::string chunk(256 * 1024, '\0');
  for (off_t at = 0;;) {
    const ssize_t n = ::pread(archive.get(), chunk.data(), chunk.size(), at);
    if (n < 0 && errno != EINTR)
      return fail_errno("read the archive", errno);
    if (n == 0)
      break;
    TRY(write_out(std::string_view(chunk).substr(0, static_cast<size_t>(std::max<ssize_t>(n, 0)))));
    at += std::max<ssize_t>(n, 0);
  }
  return write_out(cat("\n", control::to_text(answer), "\n"));
}

void print_backup(Call& call, std::string_view what, const control::Backup& b) {
  call.terminal.print(cat(what, "  backup ", b.serial, " of '", b.site.str(), "', taken ",
      format_when(b.taken_ms, os::real_clock().wall_ms()), ": ", b.files, " files, ",
      human_size(b.bytes)));
}

Result<void> run_put(Call& call) {
  const Question question{.verb = "backup_put",
      .args = {.site = call.args.text("SITE"),
          .version = call.args.text("release"),
          .sha256 = call.args.text("sha256"),
          .serial = call.args.number("serial", 0),
          .after = call.args.number("taken", 0)},
      .timeout = std::chrono::milliseconds(-1),
      .body = STDIN_FILENO};
  const auto answer = TRY(ask_or_print<control::BackupAnswer>(call, question));
  if (answer)
    print_backup(call, "taken in  ", answer->backup);
  return {};
}

Result<Target> one_host(Call& call) {
  const auto names = call.args.list("host");
  if (names.size() != 1)
    return fail(Code::usage, "name one host with -H");
  return target_named(Places::find(), names.front());
}

Result<void> run_pull(Call& call) {
  auto host = TRY(RemoteCtl::open(Places::find(), TRY(one_host(call))));
  const std::string site = call.args.text("SITE");
  const auto list = TRY(host.ask<control::BackupList>({"backup", "list", "--", site}));
  const auto pulled =
      TRY(pull_backup(host, list, site, serial_of(call), call.args.text("output", ".")));
  if (call.terminal.json()) {
    call.terminal.print(answer_text("backup-pull", control::BackupAnswer{pulled.backup}));
    return {};
  }
  print_backup(call, "pulled    ", pulled.backup);
  call.terminal.print(cat("            ", pulled.archive.path, ", and its .minisig by ",
      host.name(), "'s key ", list.key));
  return {};
}

// HOST/SITE/FILE, as at a target.
Result<std::pair<std::string, backup::ArchiveName>> named_archive(const std::string& file) {
  const fs::path path = fs::absolute(file).lexically_normal();
  const fs::path site = path.parent_path(), host = site.parent_path();
  const auto name = backup::ArchiveName::parse(
      cat(host.filename().string(), "/", site.filename().string(), "/", path.filename().string()));
  if (!name)
    return fail(Code::usage,
        cat("'", printable(file, 500),
            "' is no HOST/SITE/TIME-SERIAL.data.tar.zst.age, as `backup pull` writes it"));
  return std::pair{host.parent_path().string(), *name};
}

Result<crypto::MinisignPublicKey> key_of_maker(Call& call) {
  if (call.args.has("key"))
    return TRY_IN("--key", crypto::MinisignPublicKey::parse(call.args.text("key")));
  if (!call.args.has("from"))
    return fail(Code::usage, "who made it? --from HOST, or the key that signed it: --key KEY");
  const auto record = TRY(load_host(Places::find(), call.args.text("from")));
  if (record.backup_key.empty())
    return fail(Code::not_found,
        cat("this laptop has not seen the key by which ", record.name,
            " signs its backups: name it with --key"));
  return crypto::MinisignPublicKey::parse(record.backup_key);
}

Result<void> run_backup_push(Call& call) {
  const auto [folder, name] = TRY(named_archive(call.args.text("FILE")));
  const auto archive = TRY(open_archive(folder, name, TRY(key_of_maker(call))));
  auto host = TRY(RemoteCtl::open(Places::find(), TRY(one_host(call))));
  const auto facts = TRY(host.ask<control::Facts>({"facts"}));
  if (has_another_key(host.target(), facts.recipient))
    return fail(
        Code::denied, cat(host.name(), " has another key than the one that is remembered of it"));
  const auto identity = TRY(backup_identity(call, call.args.text("identity")));
  const auto backup = TRY(push_archive(host, facts.recipient, archive, identity));
  if (call.terminal.json()) {
    call.terminal.print(answer_text("backup-push", control::BackupAnswer{backup}));
    return {};
  }
  print_backup(call, "taken in  ", backup);
  call.terminal.print_status(cat("            to use it: chillboxctl -H ", host.name(), " restore ",
      backup.site.str(), " ", backup.serial));
  return {};
}

} // namespace

extern constinit const Verb k_backup_get{"backup get", Group::act, Where::host,
    "write a backup to standard output, for `backup pull`", k_backup_get_options, run_backup_get};
extern constinit const Verb k_backup_put{"backup put", Group::act, Where::host,
    "take a backup of another host from standard input, for `backup push`", k_backup_put_options,
    run_put};
extern constinit const Verb k_backup_pull{"backup pull", Group::laptop, Where::laptop,
    "bring a backup of a site from a host to this machine", k_backup_pull_options, run_pull};
extern constinit const Verb k_backup_push{"backup push", Group::laptop, Where::laptop,
    "hand a backup of one host to another one", k_backup_push_options, run_backup_push};

} // namespace chillbox::cli
