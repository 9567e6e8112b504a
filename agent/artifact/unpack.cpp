#include "artifact/stager.hpp"

#include "artifact/age_input.hpp"
#include "artifact/policy.hpp"
#include "artifact/read_ahead.hpp"
#include "artifact/tar_reader.hpp"
#include "artifact/tree_writer.hpp"
#include "base/text.hpp"

#include <archive.h>
#include <archive_entry.h>

#include <cerrno>

namespace chillbox::artifact {
namespace {

struct FreeArchive {
  void operator()(archive* a) const { archive_read_free(a); }
};

Result<crypto::PayloadReader> open_payload(int fd, const SecretBytes& file_key) {
  auto input = TRY_IN("artifact", open_age(fd));
  if (!crypto::header_mac_ok(input.header, file_key))
    return fail(Code::corrupt, "artifact: the age header was changed after it was made");
  return crypto::PayloadReader(file_key, std::move(input.payload));
}

class Unpacker {
public:
  Unpacker(crypto::PayloadReader payload, int tree_fd, const StageLimits& limits)
      : m_plain(std::move(payload), limits), m_ahead(m_plain),
        m_guard(limits.bytes, limits.entries), m_names(limits.entries), m_writer(tree_fd) {}

  Result<StageStats> run();

private:
  // What libarchive pulls: nothing reaches it that the guard has not passed.
  Result<ByteView> pull();
  static la_ssize_t on_read(archive* a, void* self, const void** buffer);

  std::unexpected<Error> broken(std::string_view what);
  Result<Member> take_member(archive_entry* entry);
  Result<void> take_entry(archive_entry* entry);
  Result<void> take_file(const Member& member);
  Result<void> finish();

  std::unique_ptr<archive, FreeArchive> m_archive;
  Decompressor m_plain;
  ReadAhead m_ahead; // gone before what it reads from
  TarReader m_guard;
  TreeNames m_names;
  TreeWriter m_writer;
  std::vector<std::pair<std::string, std::string>>
      m_links;                  // made last, so that nothing is ever written through one
  std::optional<Error> m_error; // of pull(), which libarchive cannot carry
  StageStats m_stats;
};

Result<ByteView> Unpacker::pull() {
  const auto bytes = TRY(m_ahead.next());
  if (bytes.empty())
    TRY(m_guard.finish());
  else
    TRY(m_guard.feed(bytes));
  return bytes;
}

la_ssize_t Unpacker::on_read(archive* a, void* self, const void** buffer) {
  auto& me = *static_cast<Unpacker*>(self);
  auto bytes = me.pull();
  if (!bytes) {
    me.m_error = std::move(bytes.error());
    archive_set_error(a, EINVAL, "refused");
    return -1;
  }
  *buffer = bytes->data();
  return static_cast<la_ssize_t>(bytes->size());
}

std::unexpected<Error> Unpacker::broken(std::string_view what) {
  if (m_error)
    return std::unexpected(*m_error);
  const char* why = archive_error_string(m_archive.get());
  return fail(Code::corrupt,
      cat("archive: ", what, ": ",
          why != nullptr ? printable(why) : "libarchive does not say why"));
}

// The guard and libarchive must mean the same: where two readers differ, an attacker lives.
Result<Member> Unpacker::take_member(archive_entry* entry) {
  if (m_guard.members().empty())
    return fail(Code::corrupt, "archive: an entry that its headers do not show");
  Member expected = std::move(m_guard.members().front());
  m_guard.members().pop_front();
  const auto type = archive_entry_filetype(entry);
  const auto text = [](const char* s) { return std::string(s != nullptr ? s : ""); };
  Member read{.kind = type == AE_IFDIR ? EntryKind::directory
          : type == AE_IFLNK           ? EntryKind::link
                                       : EntryKind::file,
      .path = text(archive_entry_pathname(entry)),
      .link = text(archive_entry_symlink(entry)),
      .size = static_cast<uint64_t>(archive_entry_size(entry)),
      .mode = static_cast<uint32_t>(archive_entry_perm(entry))};
  if (read.kind == EntryKind::directory && read.path.ends_with('/'))
    read.path.pop_back();
  TRY(check_path(expected.path)); // first, because these names say best what is wrong
  expected.mode &= 07777;
  const bool plain = (type == AE_IFREG || type == AE_IFDIR || type == AE_IFLNK) &&
      archive_entry_hardlink(entry) == nullptr && archive_entry_sparse_count(entry) == 0 &&
      archive_entry_xattr_count(entry) == 0;
  if (!plain || read != expected)
    return fail(
        Code::corrupt, cat("archive: '", printable(expected.path), "' can be read in two ways"));
  return read;
}

Result<void> Unpacker::take_entry(archive_entry* entry) {
  const Member member = TRY(take_member(entry));
  TRY(m_names.add(member.path, member.kind));
  if (member.kind == EntryKind::link) {
    TRY(check_link(member.path, member.link));
    m_links.emplace_back(member.path, member.link);
    return {};
  }
  const uint32_t mode =
      member.kind == EntryKind::directory || (member.mode & 0100) != 0 ? 0755 : 0644;
  m_stats.masked += mode != member.mode ? 1 : 0;
  return member.kind == EntryKind::directory ? m_writer.make_dir(member.path) : take_file(member);
}

Result<void> Unpacker::take_file(const Member& member) {
  const Fd fd = TRY(m_writer.create(member.path, (member.mode & 0100) != 0));
  ++m_stats.files;
  uint64_t written = 0;
  while (written < member.size) {
    const void* data = nullptr;
    size_t size = 0;
    la_int64_t offset = 0;
    if (archive_read_data_block(m_archive.get(), &data, &size, &offset) != ARCHIVE_OK)
      return broken(cat("'", member.path, "'"));
    if (static_cast<uint64_t>(offset) != written || size > member.size - written)
      return fail(Code::corrupt, cat("archive: '", member.path, "' has holes"));
    for (ByteView rest(static_cast<const uint8_t*>(data), size); !rest.empty();) {
      const ssize_t n = write(fd.get(), rest.data(), rest.size());
      if (n < 0 && errno != EINTR)
        return fail_errno(cat("write '", member.path, "'"), errno);
      rest = rest.subspan(n < 0 ? 0 : static_cast<size_t>(n));
    }
    written += size;
  }
  m_stats.bytes += written;
  return {};
}

Result<void> Unpacker::finish() {
  // libarchive stops at the end marker; what stands behind it, down to the last chunk of the
  // payload, must pass too.
  while (!TRY(pull()).empty())
    continue;
  if (!m_guard.members().empty())
    return fail(Code::corrupt,
        cat("archive: '", printable(m_guard.members().front().path), "' was not read"));
  for (const auto& [path, target] : m_links)
    TRY(m_writer.make_link(path, target));
  m_stats.links = m_links.size();
  m_stats.directories = m_writer.directories();
  if (m_stats.files + m_stats.directories + m_stats.links == 0)
    return fail(Code::corrupt, "archive: there is nothing in it");
  return {};
}

Result<StageStats> Unpacker::run() {
  m_archive.reset(archive_read_new());
  archive* a = m_archive.get();
  if (a == nullptr || archive_read_support_format_tar(a) != ARCHIVE_OK)
    return fail(Code::no_space, "archive: out of memory");
  if (archive_read_open(a, this, nullptr, on_read, nullptr) != ARCHIVE_OK)
    return broken("open");
  for (;;) {
    archive_entry* entry = nullptr;
    const int code = archive_read_next_header(a, &entry);
    if (code == ARCHIVE_EOF)
      break;
    if (code != ARCHIVE_OK) // also warnings: a reader that makes do is what the policy forbids
      return broken("header");
    TRY(take_entry(entry));
  }
  TRY(finish());
  return m_stats;
}

} // namespace

Result<StageStats> unpack(
    int artifact_fd, const SecretBytes& file_key, int tree_fd, const StageLimits& limits) {
  Unpacker unpacker(TRY(open_payload(artifact_fd, file_key)), tree_fd, limits);
  return unpacker.run();
}

} // namespace chillbox::artifact
