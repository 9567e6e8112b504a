// An archive on its way to another host, or from one.
#include "artifact/artifact_store.hpp"
#include "backup/backups.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "os/host_layout.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace chillbox::backup {
namespace {

using control::Backup;

constexpr uint64_t k_most_serial = uint64_t{1} << 40; // serials are minutes, with room to grow

// The name that it gets here. invalid: what was said could not be in a signature of ours.
Result<ArchiveName> name_of(const Backups::Carried& said, const std::string& host) {
  const ArchiveName name{host, said.site, said.taken_ms, said.serial};
  const auto statement = parse_statement(statement_text(
      {.site = said.site, .serial = said.serial, .sha256 = said.sha256, .release = said.release}));
  if (!statement || said.serial >= k_most_serial || !ArchiveName::parse(name.str()))
    return fail(Code::invalid, "the serial, time or release that were said are none of a backup");
  return name;
}

Result<Fd> new_file(const std::string& path) {
  Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd && errno == EEXIST)
    return fail(Code::busy, "this backup is being brought already");
  return fd ? Result<Fd>(std::move(fd)) : fail_errno(path, errno);
}

} // namespace

Result<Backups::Opened> Backups::open(const Backup& b) {
  const auto name = ArchiveName::parse(b.name);
  if (!name)
    return fail(Code::corrupt, cat("'", printable(b.name), "' is no name of a backup"));
  const Prover host = prover();
  const auto key = TRY(public_key(m_host.disk, m_host.paths));
  const std::string path = archive_path(m_host.paths, *name), got = path + ".carry";
  const os::Owner root = os::root_owner(m_host.paths);
  const std::string dir = backups_dir(m_host.paths);
  for (const auto& folder : {dir, cat(dir, "/", b.site.str())})
    TRY(m_host.disk.make_dir(folder, 0700, root));
  auto archive = b.stored_ms != 0 ? get_archive(host, *name, got) : [&]() -> Result<GotArchive> {
    auto text = TRY(m_host.disk.read(cat(path, k_signature_suffix), k_max_signature));
    Fd file(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    if (!file)
      return fail_errno(path, errno);
    return GotArchive{std::move(text), std::move(file)};
  }();
  (void)m_host.disk.remove(got);
  if (!archive)
    return std::unexpected(std::move(archive).error());
  const auto digests = TRY(artifact::digest_file(archive->file.get()));
  const auto statement = TRY_IN(
      name->str(), verify_archive(key, archive->signature, digests.blake2b, digests.sha256, *name));
  if (statement.sha256.str() != b.sha256)
    return fail(
        Code::denied, cat(b.name, ": it is not the archive that was stored under this name"));
  return Opened{std::move(archive->file), std::move(archive->signature), key.to_line()};
}

// Its work is done in a directory that goes with it whatever happens; the draft becomes the archive
// or is removed by the caller.
Result<Backup> Backups::take_in(const Carried& said, const ArchiveName& name, Fd file) {
  const auto digests = TRY(artifact::digest_file(file.get()));
  if (digests.sha256 != said.sha256)
    return fail(Code::corrupt,
        cat("what came has sha256 ", digests.sha256.str(), ", announced was ", said.sha256.str()));
  const Fetched archive{name,
      {.site = said.site, .serial = said.serial, .sha256 = said.sha256, .release = said.release},
      "", std::move(file)};
  const Prover host = prover();
  const std::string tree = cat(backups_dir(m_host.paths), "/", k_proof_dir, "/", said.site.str());
  uint64_t bytes = 0;
  const auto checked = [&]() -> Result<Checked> {
    const auto key = TRY(unseal(host, archive));
    bytes = TRY(unpack(host, archive, key, tree)).bytes;
    return check(host, archive, tree);
  }();
  (void)m_host.disk.remove_tree(tree);
  if (!checked)
    return std::unexpected(checked.error());
  if (!checked->damaged.empty())
    return fail(Code::corrupt, cat(name.str(), ": ", join(checked->damaged, "; ")));
  const auto signed_one = TRY(sign_archive(
      m_host.disk, m_host.paths, name, said.release, archive_path(m_host.paths, name) + ".part"));
  Backup b{.site = said.site,
      .serial = said.serial,
      .name = name.str(),
      .release = said.release,
      .size = signed_one.size,
      .bytes = bytes,
      .files = checked->files,
      .sha256 = said.sha256.str(),
      .taken_ms = said.taken_ms,
      .warnings = join(checked->remarks, "\n")};
  TRY(m_records.put(b));
  if (m_host.config.target.empty())
    return b;
  if (const auto stored = store_one(b); !stored)
    log::warn(cat("backup of '", said.site.str(), "' from another host: it is on this one, and ",
        "not stored: ", stored.error().message));
  return b;
}

Result<Backup> Backups::take_in(const Carried& said, const Receive& receive) {
  const auto name = TRY(name_of(said, m_host.host_name));
  for (const auto& b : TRY(m_records.of(said.site)).backups)
    if (b.serial == said.serial && b.taken_ms / 1000 != said.taken_ms / 1000)
      return fail(Code::conflict,
          cat("this host has a backup ", b.serial, " of '", said.site.str(), "' of its own, taken ",
              rfc3339(b.taken_ms / 1000)));
    else if (b.serial == said.serial && b.gone_ms == 0)
      return b;
  const std::string dir = backups_dir(m_host.paths);
  for (const auto& folder : {dir, cat(dir, "/", said.site.str())})
    TRY(m_host.disk.make_dir(folder, 0700, os::root_owner(m_host.paths)));
  const std::string draft = archive_path(m_host.paths, name) + ".part";
  Fd file = TRY(new_file(draft));
  auto taken = [&]() -> Result<Backup> {
    TRY(receive(file.get(), most(m_host.config)));
    const std::unique_lock work(m_work, std::try_to_lock);
    if (!work)
      return fail(Code::busy, "another backup is being made or proven on this host");
    return take_in(said, name, std::move(file));
  }();
  (void)m_host.disk.remove(draft);
  if (m_host.changed)
    m_host.changed();
  return taken;
}

} // namespace chillbox::backup
