#include "backup/snapshot.hpp"

#include "artifact/policy.hpp"
#include "artifact/seal_stream.hpp"
#include "artifact/tar_writer.hpp"
#include "base/text.hpp"
#include "crypto/hash.hpp"
#include "os/io.hpp"
#include "os/runner.hpp"
#include "os/tree_walk.hpp"
#include "store/site_database.hpp"

#include <fcntl.h>
#include <fnmatch.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace chillbox::backup {
namespace {

constexpr size_t k_snapshot_piece = 64 * 1024;
constexpr std::string_view k_redis = "redis"; // no service has this name

using artifact::EntryKind;

// One archive from its beginning to its end.
class Snapshot {
public:
  Snapshot(const SnapshotOrder& order, artifact::SealStream& seal)
      : m_order(order), m_tar([&seal](ByteView bytes) { return seal.write(bytes); },
                            static_cast<uint64_t>(order.head.taken_ms / 1000)),
        m_manifest(std::fopen((order.work + "/manifest").c_str(), "w+e"), std::fclose) {}
  Result<SnapshotReport> run();

private:
  Result<void> write_manifest(std::string_view text);
  Result<void> note(ManifestEntry entry);
  // Counts what is to come, and says under which name it goes into the archive.
  Result<std::string> place(const std::string& path, EntryKind kind, uint64_t size);
  Result<void> add_bytes(const std::string& path, int fd, const struct stat& st, Kind kind,
      const std::string& damaged);
  Result<std::string> copy_contents(int fd, uint64_t size, const std::string& path);
  Result<void> add_database(
      const std::string& path, const std::string& file, int fd, const struct stat& st);
  Result<bool> add_redis();
  Result<void> add_manifest();
  Result<void> walk(const os::At& at, const std::string& path);
  Result<void> visit(const os::At& at, const std::string& name, const std::string& path);
  Result<void> visit_file(const os::At& at, const std::string& name, const std::string& path,
      const struct stat& seen, bool& is_database);
  bool left_out(const std::string& path) const;
  void warn(std::string text) { m_report.warnings.push_back(std::move(text)); }
  std::string top() const { return m_order.head.site.str(); }

  const SnapshotOrder& m_order;
  artifact::TarWriter m_tar;
  std::unique_ptr<FILE, int (*)(FILE*)> m_manifest;
  artifact::TreeNames m_names{UINT64_MAX};
  SnapshotReport m_report;
  uint64_t m_entries = 0, m_odd = 0;
  bool m_first = true, m_has_redis = false;
  Bytes m_bytes = Bytes(k_snapshot_piece);
};

Result<void> Snapshot::write_manifest(std::string_view text) {
  if (!m_manifest || std::fwrite(text.data(), 1, text.size(), m_manifest.get()) != text.size())
    return fail_errno(m_order.work + "/manifest", errno);
  return {};
}

Result<void> Snapshot::note(ManifestEntry entry) {
  return write_manifest(entry_line(entry, std::exchange(m_first, false)));
}

Result<std::string> Snapshot::place(const std::string& path, EntryKind kind, uint64_t size) {
  if (++m_entries > k_max_entries)
    return fail(Code::too_large, cat("the data are more than ", k_max_entries, " files"));
  if (size > m_order.data_max || m_report.bytes > m_order.data_max - size)
    return fail(Code::too_large,
        cat(printable(path), ": with it the data are more than backup.data_max, ",
            human_size(m_order.data_max), ": exclude something, or raise it in chillboxd.toml"));
  m_report.bytes += size;
  const std::string name = cat(top(), "/", path);
  if (artifact::check_path(name) && m_names.add(name, kind))
    return path;
  const std::string odd = cat("odd/", ++m_odd);
  TRY(m_names.add(cat(top(), "/", odd), kind));
  return odd;
}

bool Snapshot::left_out(const std::string& path) const {
  return std::ranges::any_of(m_order.exclude, [&](const std::string& pattern) {
    const std::string plain =
        pattern.ends_with('/') ? pattern.substr(0, pattern.size() - 1) : pattern;
    return ::fnmatch(plain.c_str(), path.c_str(), FNM_PATHNAME) == 0;
  });
}

// Exactly `size` bytes, whatever becomes of the file meanwhile; their digest.
Result<std::string> Snapshot::copy_contents(int fd, uint64_t size, const std::string& path) {
  crypto::Sha256 digest;
  bool shrunk = false;
  for (uint64_t left = size; left > 0;) {
    const size_t want = static_cast<size_t>(std::min<uint64_t>(left, m_bytes.size()));
    const ssize_t n = shrunk ? 0 : os::read_some(fd, m_bytes.data(), want);
    if (n < 0)
      return fail_errno(printable(path), errno);
    if (n == 0 && !std::exchange(shrunk, true))
      warn(cat(printable(path), ": it became shorter while it was read: the rest is zeros"));
    if (n == 0)
      std::fill_n(m_bytes.begin(), want, uint8_t{0});
    const auto piece = ByteView(m_bytes).first(n == 0 ? want : static_cast<size_t>(n));
    digest.update(piece);
    TRY(m_tar.write(piece));
    left -= piece.size();
  }
  return hex(digest.finish());
}

Result<void> Snapshot::add_bytes(
    const std::string& path, int fd, const struct stat& st, Kind kind, const std::string& damaged) {
  const auto size = static_cast<uint64_t>(st.st_size);
  ManifestEntry entry{.path = path, .member = {}, .kind = kind, .size = size};
  entry.member = TRY(place(path, EntryKind::file, size));
  entry.mode = st.st_mode & 07777;
  entry.mtime = st.st_mtime;
  entry.damaged = damaged;
  TRY(m_tar.add({.kind = EntryKind::file,
      .path = cat(top(), "/", entry.member),
      .link = {},
      .size = size,
      .mode = 0644}));
  entry.sha256 = TRY(copy_contents(fd, size, path));
  ++m_report.files;
  return note(std::move(entry));
}

// A copy of one moment; if there can be none, its bytes as they are, and a warning.
Result<void> Snapshot::add_database(
    const std::string& path, const std::string& file, int fd, const struct stat& st) {
  const std::string copy = m_order.work + "/copy.db";
  if (::unlink(copy.c_str()) != 0 && errno != ENOENT)
    return fail_errno(cat("remove ", copy), errno);
  std::string damage;
  if (const auto copied = store::copy_site_database(file, copy, m_order.patience); !copied) {
    if (copied.error().code != Code::corrupt)
      return std::unexpected(copied.error());
    damage = copied.error().message;
  }
  if (damage.empty()) {
    const Fd copied(::open(copy.c_str(), O_RDONLY | O_CLOEXEC));
    struct stat now{};
    if (!copied || ::fstat(copied.get(), &now) != 0)
      return fail_errno(copy, errno);
    damage = TRY(store::examine_site_database(copy, false)).damage;
    if (!damage.empty())
      warn(cat("source damaged: ", printable(path), ": ", damage));
    now.st_mode = st.st_mode;
    now.st_mtime = st.st_mtime;
    TRY(add_bytes(path, copied.get(), now, Kind::sqlite, damage));
    (void)::unlink(copy.c_str());
    return {};
  }
  warn(cat("source damaged: ", printable(path), ": ", damage));
  return add_bytes(path, fd, st, Kind::sqlite, damage);
}

Result<void> Snapshot::visit_file(const os::At& at, const std::string& name,
    const std::string& path, const struct stat& seen, bool& is_database) {
  auto open = os::open_file(at, name, seen);
  if (!open && open.error().code == Code::denied) {
    warn(cat("left out: ", printable(path), ": ", open.error().message));
    return {};
  }
  if (!open) // it went while we came
    return open.error().code == Code::not_found ? Result<void>{} : std::unexpected(open.error());
  is_database = store::is_sqlite(open->fd.get());
  return is_database
      ? add_database(path, cat(m_order.data, path.substr(4), ""), open->fd.get(), open->st)
      : add_bytes(path, open->fd.get(), open->st, Kind::file, "");
}

Result<void> Snapshot::visit(const os::At& at, const std::string& name, const std::string& path) {
  const auto st = os::stat_at(at, name);
  if (!st)
    return st.error().code == Code::not_found ? Result<void>{} : std::unexpected(st.error());
  ManifestEntry entry{
      .path = path, .member = {}, .mode = st->st_mode & 07777, .mtime = st->st_mtime};
  if (S_ISLNK(st->st_mode)) {
    entry.kind = Kind::link;
    entry.target = TRY(os::link_target(at, name));
    const bool inside = artifact::check_link(cat(top(), "/", path), entry.target).has_value();
    if (inside && (entry.member = TRY(place(path, EntryKind::link, 0))) == path)
      TRY(m_tar.add({.kind = EntryKind::link,
          .path = cat(top(), "/", path),
          .link = entry.target,
          .mode = 0777}));
    else
      entry.member.clear();
    return note(std::move(entry));
  }
  if (!S_ISDIR(st->st_mode)) {
    warn(cat("left out: ", printable(path), ": not a file, folder or link"));
    return {};
  }
  const auto inner = os::enter(at, name);
  if (!inner) {
    warn(cat("left out: ", printable(path), ": ", inner.error().message));
    return {};
  }
  entry.kind = Kind::directory;
  entry.member = TRY(place(path, EntryKind::directory, 0));
  TRY(m_tar.add({.kind = EntryKind::directory,
      .path = cat(top(), "/", entry.member),
      .link = {},
      .mode = 0755}));
  TRY(note(std::move(entry)));
  return walk({inner->get(), at.below(name), at.depth + 1}, path);
}

Result<void> Snapshot::walk(const os::At& at, const std::string& path) {
  std::vector<std::string> of_database; // names that belong to one
  for (const auto& name : TRY(os::names_in(at))) {
    const std::string inner = cat(path, "/", name);
    if (left_out(inner.substr(5)) || std::ranges::find(of_database, name) != of_database.end() ||
        (m_has_redis && inner == cat("data/", k_redis)))
      continue;
    const auto st = os::stat_at(at, name);
    bool is_database = false;
    if (st && S_ISREG(st->st_mode))
      TRY(visit_file(at, name, inner, *st, is_database));
    else
      TRY(visit(at, name, inner));
    for (const auto ending : store::k_sqlite_companions)
      if (is_database)
        of_database.push_back(cat(name, ending));
  }
  return {};
}

// False: it does not run, so its files are files as others are.
Result<bool> Snapshot::add_redis() {
  if (m_order.redis_socket.empty() || ::access(m_order.redis_socket.c_str(), F_OK) != 0)
    return false;
  const std::string dump = m_order.work + "/dump.rdb";
  os::Command command;
  command.argv = {m_order.redis_cli, "-s", m_order.redis_socket, "--rdb", dump};
  command.timeout = os::Millis{600'000};
  const auto exit = TRY_IN("redis", os::real_runner().run(command));
  if (exit.err.find("Could not connect") != std::string::npos)
    return false;
  const Fd fd(::open(dump.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  struct stat st{};
  if (!exit.ok() || !fd || ::fstat(fd.get(), &st) != 0 || st.st_size == 0)
    return fail(Code::failure,
        cat("redis: redis-cli --rdb ended with ", exit.code, ": ",
            printable(trim(exit.err.empty() ? exit.out : exit.err), 300)));
  st.st_mode = 0640;
  TRY(add_bytes(cat(k_redis, "/dump.rdb"), fd.get(), st, Kind::rdb, ""));
  (void)::unlink(dump.c_str());
  return true;
}

Result<void> Snapshot::add_manifest() {
  TRY(write_manifest(k_manifest_end));
  FILE* file = m_manifest.get();
  struct stat st{};
  if (std::fflush(file) != 0 || ::fstat(::fileno(file), &st) != 0 ||
      ::lseek(::fileno(file), 0, SEEK_SET) != 0)
    return fail_errno("manifest", errno);
  const auto size = static_cast<uint64_t>(st.st_size);
  TRY(m_tar.add({.kind = EntryKind::file,
      .path = top() + "/manifest.json",
      .link = {},
      .size = size,
      .mode = 0644}));
  (void)TRY(copy_contents(::fileno(file), size, "manifest"));
  return {};
}

Result<SnapshotReport> Snapshot::run() {
  TRY(write_manifest(head_line(m_order.head)));
  for (const char* ours : {"manifest.json", "site.json"})
    TRY(m_names.add(cat(top(), "/", ours), EntryKind::file));
  TRY(m_tar.add({.kind = EntryKind::file,
      .path = top() + "/site.json",
      .link = {},
      .size = m_order.site_json.size(),
      .mode = 0644}));
  TRY(m_tar.write(bytes_of(m_order.site_json)));
  m_has_redis = TRY(add_redis());
  const Fd data(::open(m_order.data.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (data)
    TRY(walk({data.get(), m_order.data}, "data"));
  else if (errno != ENOENT) // a site without data has no folder of them
    return fail_errno(m_order.data, errno);
  TRY(add_manifest());
  TRY(m_tar.finish());
  return std::move(m_report);
}

} // namespace

Result<SnapshotReport> snapshot(const SnapshotOrder& order, int out) {
  auto seal =
      TRY(artifact::SealStream::create(order.recipients, [out](ByteView bytes) -> Result<void> {
        std::string_view rest = text_of(bytes);
        if (const int err = os::write_fully(out, rest); err != 0)
          return fail_errno("write the archive", err);
        return {};
      }));
  Snapshot one(order, seal);
  auto report = TRY(one.run());
  TRY(seal.finish());
  return report;
}

int snapshot_main(const std::string& fd) {
  constexpr size_t k_max_order = 1024 * 1024;
  ::signal(SIGXFSZ, SIG_IGN); // then it is an error of a call
  const auto made = [&]() -> Result<SnapshotReport> {
    const auto out = parse_u64(fd);
    if (!out || *out < 3 || *out > 1'000'000)
      return fail(Code::usage, "not a descriptor");
    const auto order = TRY(parse_order(TRY(os::read_all(0, k_max_order, "read the order"))));
    return snapshot(order, static_cast<int>(*out));
  }();
  const auto text = made
      ? report_text(*made)
      : cat("error ", code_name(made.error().code), " ", made.error().message, "\n");
  const bool said = std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
  return said && made ? 0 : 1;
}

} // namespace chillbox::backup
