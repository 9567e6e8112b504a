#include "cli/laptop/backup_carry.hpp"

#include "artifact/age_input.hpp"
#include "artifact/artifact_store.hpp"
#include "backup/proof.hpp"
#include "base/text.hpp"
#include "cli/core/file_input.hpp"
#include "cli/fleet/ssh.hpp"
#include "cli/laptop/host_record.hpp"
#include "cli/laptop/key_store.hpp"
#include "control/carried.hpp"
#include "os/disk.hpp"
#include "os/io.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace chillbox::cli {
namespace {

constexpr size_t k_max_carried = 64 * 1024;

std::string place_of(const std::string& folder, const backup::ArchiveName& name) {
  return cat(folder, "/", name.str());
}

// What `backup get` writes: the archive, and after it a line with its signature, which is cut off.
Result<control::BackupArchive> cut_answer(int fd) {
  struct stat st{};
  if (::fstat(fd, &st) != 0)
    return fail_errno("what the host sent", errno);
  std::string tail(std::min<size_t>(k_max_carried, static_cast<size_t>(st.st_size)), '\0');
  const off_t from = st.st_size - static_cast<off_t>(tail.size());
  if (::pread(fd, tail.data(), tail.size(), from) != static_cast<ssize_t>(tail.size()))
    return fail_errno("what the host sent", errno);
  const auto end = tail.rfind('\n');
  const auto begin = end == tail.npos || end == 0 ? tail.npos : tail.rfind('\n', end - 1);
  if (begin == tail.npos)
    return fail(Code::corrupt, "what the host sent ends too early");
  auto answer =
      TRY(control::read_answer<control::BackupArchive>(tail.substr(begin + 1, end - begin - 1)));
  if (::ftruncate(fd, from + static_cast<off_t>(begin)) != 0)
    return fail_errno("what the host sent", errno);
  return answer;
}

Result<CarriedArchive> verified(Fd file, std::string path, const std::string& signature,
    const backup::ArchiveName& name, const crypto::MinisignPublicKey& key) {
  const auto stored = TRY_IN(path, artifact::digest_file(file.get()));
  auto statement = TRY_IN(
      name.str(), backup::verify_archive(key, signature, stored.blake2b, stored.sha256, name));
  return CarriedArchive{name, std::move(statement), std::move(path), std::move(file), stored.size};
}

// Without a name: nothing of it is left, whatever happens.
Result<Fd> nameless_file(const std::string& folder) {
  TRY(make_private_dir(folder));
  std::string path = folder + "/backup.XXXXXX";
  Fd fd(::mkostemp(path.data(), O_CLOEXEC));
  if (!fd || ::unlink(path.c_str()) != 0)
    return fail_errno(cat("make a file in ", folder), errno);
  return fd;
}

} // namespace

Result<CarriedArchive> open_archive(const std::string& folder, const backup::ArchiveName& name,
    const crypto::MinisignPublicKey& key) {
  std::string path = place_of(folder, name);
  const auto signature =
      TRY(os::real_disk().read(cat(path, backup::k_signature_suffix), backup::k_max_signature));
  Fd file(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!file)
    return fail_errno(path, errno);
  return verified(std::move(file), std::move(path), signature, name, key);
}

Result<CarriedArchive> bring_archive(const std::string& folder, const backup::ArchiveName& name,
    const crypto::MinisignPublicKey& key, const ArchiveFetch& fetch) {
  auto& disk = os::real_disk();
  const os::Owner me{::geteuid(), ::getegid()};
  const std::string path = place_of(folder, name), part = path + ".part";
  TRY(make_private_dir(path.substr(0, path.rfind('/'))));
  TRY(disk.remove(part)); // of a try that was cut
  Fd file(::open(part.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file)
    return fail_errno(part, errno);
  const auto brought = [&]() -> Result<CarriedArchive> {
    TRY(fetch.archive(file.get()));
    const std::string signature = TRY(fetch.signature());
    auto archive = TRY(verified(std::move(file), path, signature, name, key));
    if (::fsync(archive.file.get()) != 0)
      return fail_errno(part, errno);
    TRY(disk.write(cat(path, backup::k_signature_suffix), signature, 0600, me));
    TRY(disk.rename(part, path));
    return archive;
  };
  auto archive = brought();
  if (!archive)
    (void)disk.remove(part);
  return archive;
}

Result<crypto::MinisignPublicKey> pin_backup_key(
    const Places& places, const Target& target, const std::string& said) {
  auto key = TRY_IN(target.host.name, crypto::MinisignPublicKey::parse(said));
  if (!target.record)
    return key;
  const std::string& name = target.record->name;
  const auto pinned = change_host(
      places, name,
      [&](HostRecord& record) -> Result<void> {
        if (record.backup_key.empty())
          record.backup_key = key.to_line();
        return {};
      },
      Missing::is_an_error);
  if (!pinned && pinned.error().code == Code::not_found)
    return key; // it was removed meanwhile
  if (!pinned)
    return std::unexpected(pinned.error());
  if (pinned->backup_key != key.to_line())
    return fail(Code::denied,
        cat(name, " signs its backups by another key than before: ", key.to_line(), ", and ",
            places.host_record(name), " has ", printable(pinned->backup_key, 80),
            " (backup_key). If the host was set up again, remove that line"));
  return key;
}

Result<Pulled> pull_backup(RemoteCtl& from, const control::BackupList& list,
    const std::string& site, std::optional<uint64_t> serial, const std::string& folder) {
  const auto found = std::ranges::find_if(list.backups, [&](const control::Backup& b) {
    return b.site.str() == site && (!serial || b.serial == *serial);
  });
  if (found == list.backups.end())
    return fail(Code::not_found,
        serial ? cat(from.name(), " has no backup ", *serial, " of '", site, "'")
               : cat(from.name(), " has no backup of '", site, "'"));
  const auto name = backup::ArchiveName::parse(found->name);
  if (!name || name->site.str() != site || name->serial != found->serial)
    return fail(Code::denied,
        cat(from.name(), ": '", printable(found->name, 200), "' is no name of a backup of '", site,
            "'"));
  const auto key = TRY(pin_backup_key(Places::find(), from.target(), list.key));
  if (auto here = open_archive(folder, *name, key); here)
    return Pulled{*found, std::move(*here)};
  std::string signature;
  const ArchiveFetch fetch{
      .archive = [&](int to) -> Result<void> {
        const int code = TRY(run_on(from.target().host,
            {.words = {"backup", "get", "--", site, std::to_string(name->serial)}, .output = to}));
        if (code != 0)
          return fail(code_of_exit(code), cat(from.name(), " gave no backup of '", site, "'"));
        signature = TRY_IN(from.name(), cut_answer(to)).signature;
        return {};
      },
      .signature = [&]() -> Result<std::string> { return signature; }};
  auto archive = TRY(bring_archive(folder, *name, key, fetch));
  return Pulled{*found, std::move(archive)};
}

Result<crypto::AgeIdentity> backup_identity(Call& call, const std::string& file) {
  if (!file.empty()) {
    const auto text = TRY(read_secret_input(file, k_max_identity));
    return TRY_IN(printable(file, 1024), crypto::parse_identity_file(text.text()));
  }
  const auto key = TRY(find_key(Places::find()));
  if (!key)
    return fail(Code::usage,
        "which key opens the backups? Name its file with -i: it is one of backup.recipients");
  return age_identity_of(TRY(unlock_key(call, *key)));
}

Result<control::Backup> push_archive(RemoteCtl& to, const std::string& recipient,
    const CarriedArchive& archive, const crypto::AgeIdentity& identity) {
  const Fd file = TRY(nameless_file(Places::find().cache));
  const auto input = TRY_IN(archive.path, artifact::open_age(archive.file.get()));
  const auto file_key = TRY_IN(archive.path, identity.file_key(input.header));
  auto writer = TRY(crypto::AgeWriter::to_recipients(
      {recipient, identity.recipient()}, [&](ByteView bytes) -> Result<void> {
        std::string_view rest(reinterpret_cast<const char*>(bytes.data()), bytes.size());
        if (const int error = os::write_fully(file.get(), rest); error != 0)
          return fail_errno("encrypt a backup again", error);
        return {};
      }));
  crypto::PayloadReader reader(file_key, input.payload);
  for (;;) {
    const ByteView plain = TRY_IN(archive.path, reader.next());
    if (plain.empty())
      break;
    TRY(writer.write(plain));
  }
  TRY(writer.finish());
  const auto stored = TRY(artifact::digest_file(file.get()));
  if (::lseek(file.get(), 0, SEEK_SET) != 0)
    return fail_errno("encrypt a backup again", errno);
  const Fd said = TRY(nameless_file(Places::find().cache));
  const int code = TRY(run_on(to.target().host,
      {.words = {"backup", "put", "--json", "--serial", std::to_string(archive.name.serial),
           "--taken", std::to_string(archive.name.taken_ms), "--release", archive.statement.release,
           "--sha256", stored.sha256.str(), "--", archive.name.site.str()},
          .input = file.get(),
          .output = said.get()}));
  if (code != 0)
    return fail(code_of_exit(code),
        cat(to.name(), " did not take the backup of '", archive.name.site.str(), "', exit ", code));
  if (::lseek(said.get(), 0, SEEK_SET) != 0)
    return fail_errno("answer", errno);
  const auto text = TRY(os::read_all(said.get(), k_max_carried, "answer"));
  return TRY_IN(to.name(), control::read_answer<control::BackupAnswer>(answer_in(text))).backup;
}

} // namespace chillbox::cli
