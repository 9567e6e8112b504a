#include "artifact/pack.hpp"

#include "artifact/locale.hpp"
#include "artifact/policy.hpp"
#include "base/fd.hpp"
#include "base/text.hpp"
#include "crypto/age.hpp"
#include "crypto/hash.hpp"
#include "os/atomic_file.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <zstd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <optional>

namespace chillbox::artifact {
namespace {

constexpr int k_level = 3;
constexpr size_t k_buffer = 256 * 1024;

struct FreeArchive {
  void operator()(archive* a) const { archive_write_free(a); }
};
struct FreeEntry {
  void operator()(archive_entry* e) const { archive_entry_free(e); }
};
struct FreeZstd {
  void operator()(ZSTD_CCtx* p) const { ZSTD_freeCCtx(p); }
};

// The way of the bytes behind the tar: digest, zstd, age, digests, file.
class Pipeline {
public:
  static Result<std::unique_ptr<Pipeline>> open(const PackRequest& request);
  Result<void> write(ByteView tar);
  Result<void> finish(Packed& packed);

private:
  explicit Pipeline(os::AtomicFile file)
      : m_file(std::move(file)), m_buffer(ZSTD_CStreamOutSize()) {}
  Result<void> compress(ByteView tar, ZSTD_EndDirective end);
  Result<void> store(ByteView encrypted);

  os::AtomicFile m_file;
  Bytes m_buffer;
  std::unique_ptr<ZSTD_CCtx, FreeZstd> m_zstd{ZSTD_createCCtx()};
  std::optional<crypto::ArmorWriter> m_armor;
  std::optional<crypto::AgeWriter> m_age;
  crypto::Sha256 m_tar_sha256, m_sha256;
  crypto::Blake2b512 m_blake2b;
  uint64_t m_size = 0;
};

Result<std::unique_ptr<Pipeline>> Pipeline::open(const PackRequest& request) {
  auto file = TRY(os::AtomicFile::create(request.output, 0644, {geteuid(), getegid()}));
  std::unique_ptr<Pipeline> p(new Pipeline(std::move(file)));
  if (!p->m_zstd)
    return fail(Code::no_space, "zstd: out of memory");
  ZSTD_CCtx_setParameter(p->m_zstd.get(), ZSTD_c_compressionLevel, k_level);
  ZSTD_CCtx_setParameter(p->m_zstd.get(), ZSTD_c_checksumFlag, 1);
  if (request.armor)
    p->m_armor.emplace([self = p.get()](ByteView text) { return self->store(text); });
  p->m_age.emplace(
      TRY(crypto::AgeWriter::to_recipients(request.recipients, [self = p.get()](ByteView bytes) {
        return self->m_armor ? self->m_armor->write(bytes) : self->store(bytes);
      })));
  return p;
}

Result<void> Pipeline::store(ByteView encrypted) {
  m_sha256.update(encrypted);
  m_blake2b.update(encrypted);
  m_size += encrypted.size();
  return m_file.write(text_of(encrypted));
}

Result<void> Pipeline::compress(ByteView tar, ZSTD_EndDirective end) {
  ZSTD_inBuffer in{tar.data(), tar.size(), 0};
  for (;;) {
    ZSTD_outBuffer out{m_buffer.data(), m_buffer.size(), 0};
    const size_t left = ZSTD_compressStream2(m_zstd.get(), &out, &in, end);
    if (ZSTD_isError(left))
      return fail(Code::failure, cat("zstd: ", ZSTD_getErrorName(left)));
    if (out.pos > 0)
      TRY(m_age->write(ByteView(m_buffer).first(out.pos)));
    if (end == ZSTD_e_end ? left == 0 : in.pos == in.size)
      return {};
  }
}

Result<void> Pipeline::write(ByteView tar) {
  m_tar_sha256.update(tar);
  return compress(tar, ZSTD_e_continue);
}

Result<void> Pipeline::finish(Packed& packed) {
  TRY(compress({}, ZSTD_e_end));
  TRY(m_age->finish());
  if (m_armor)
    TRY(m_armor->finish());
  TRY(m_file.commit());
  packed.sha256 = Digest::of(m_sha256.finish());
  packed.tar_sha256 = Digest::of(m_tar_sha256.finish());
  packed.blake2b = m_blake2b.finish();
  packed.size = m_size;
  return {};
}

class Packer {
public:
  explicit Packer(const PackRequest& request) : m_request(request) {}
  Result<Packed> run();

private:
  static la_ssize_t on_write(archive* a, void* self, const void* bytes, size_t size);
  std::unexpected<Error> broken(std::string_view what);
  Result<void> header(const PackEntry& entry, EntryKind kind, uint64_t size);
  Result<void> data(ByteView bytes);
  Result<void> add(const PackEntry& entry);
  Result<void> add_file(const PackEntry& entry);

  const PackRequest& m_request;
  std::unique_ptr<Pipeline> m_pipeline;
  std::optional<Error> m_error;                    // of the pipeline, which libarchive cannot carry
  std::unique_ptr<archive, FreeArchive> m_archive; // first to go: it may still write
  uint64_t m_total = 0;
  Packed m_packed{.sha256 = Digest::of({}), .tar_sha256 = Digest::of({}), .blake2b = {}};
};

la_ssize_t Packer::on_write(archive* a, void* self, const void* bytes, size_t size) {
  auto& me = *static_cast<Packer*>(self);
  if (me.m_error)
    return -1;
  auto written = me.m_pipeline->write({static_cast<const uint8_t*>(bytes), size});
  if (!written) {
    me.m_error = std::move(written.error());
    archive_set_error(a, EIO, "not written");
    return -1;
  }
  return static_cast<la_ssize_t>(size);
}

std::unexpected<Error> Packer::broken(std::string_view what) {
  if (m_error)
    return std::unexpected(*m_error);
  const char* why = archive_error_string(m_archive.get());
  return fail(Code::failure,
      cat("pack ", what, ": ", why != nullptr ? printable(why) : "libarchive does not say why"));
}

Result<void> Packer::header(const PackEntry& entry, EntryKind kind, uint64_t size) {
  const std::unique_ptr<archive_entry, FreeEntry> e(archive_entry_new());
  archive_entry_copy_pathname(e.get(), entry.name.c_str());
  archive_entry_set_filetype(e.get(),
      kind == EntryKind::directory  ? AE_IFDIR
          : kind == EntryKind::link ? AE_IFLNK
                                    : AE_IFREG);
  archive_entry_set_perm(e.get(),
      kind == EntryKind::link                                ? 0777
          : kind == EntryKind::directory || entry.executable ? 0755
                                                             : 0644);
  archive_entry_set_size(e.get(), static_cast<la_int64_t>(size));
  archive_entry_set_mtime(e.get(), m_request.mtime, 0);
  archive_entry_set_uid(e.get(), 0);
  archive_entry_set_gid(e.get(), 0);
  if (kind == EntryKind::link)
    archive_entry_copy_symlink(e.get(), entry.link_target.c_str());
  if (archive_write_header(m_archive.get(), e.get()) != ARCHIVE_OK)
    return broken(entry.name);
  return {};
}

Result<void> Packer::data(ByteView bytes) {
  if (!bytes.empty() &&
      archive_write_data(m_archive.get(), bytes.data(), bytes.size()) !=
          static_cast<la_ssize_t>(bytes.size()))
    return broken("contents");
  m_packed.unpacked += bytes.size();
  if (m_request.progress)
    m_request.progress(m_packed.unpacked, m_total);
  return {};
}

Result<void> Packer::add_file(const PackEntry& entry) {
  ++m_packed.files;
  if (entry.source.empty()) {
    TRY(header(entry, EntryKind::file, entry.content.size()));
    return data(bytes_of(entry.content));
  }
  const Fd fd(::open(entry.source.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  struct stat st{};
  if (!fd || fstat(fd.get(), &st) != 0)
    return fail_errno(entry.source, errno);
  if (!S_ISREG(st.st_mode))
    return fail(Code::denied, cat(entry.source, ": not a regular file"));
  const auto size = static_cast<uint64_t>(st.st_size);
  TRY(header(entry, EntryKind::file, size));
  Bytes buffer(static_cast<size_t>(std::min<uint64_t>(size + 1, k_buffer)));
  uint64_t done = 0;
  for (;;) {
    const ssize_t n = read(fd.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return fail_errno(entry.source, errno);
    done += static_cast<uint64_t>(n);
    if (done > size || (n == 0 && done < size))
      return fail(Code::conflict, cat(entry.source, ": changed while it was packed: pack again"));
    if (n == 0)
      return {};
    TRY(data(ByteView(buffer).first(static_cast<size_t>(n))));
  }
}

Result<void> Packer::add(const PackEntry& entry) {
  if (!entry.link_target.empty())
    return header(entry, EntryKind::link, 0);
  if (entry.directory)
    return header(entry, EntryKind::directory, 0);
  return add_file(entry);
}

Result<Packed> Packer::run() {
  auto entries = m_request.entries;
  std::ranges::sort(entries, {}, &PackEntry::name);
  TreeNames names(UINT64_MAX); // the host has its own limits
  for (const auto& entry : entries) {
    TRY(check_path(entry.name));
    if (!entry.link_target.empty())
      TRY(check_link(entry.name, entry.link_target));
    TRY(names.add(entry.name,
        !entry.link_target.empty() ? EntryKind::link
            : entry.directory      ? EntryKind::directory
                                   : EntryKind::file));
    struct stat st{};
    m_total += entry.content.size();
    if (!entry.source.empty() && stat(entry.source.c_str(), &st) == 0)
      m_total += static_cast<uint64_t>(st.st_size);
  }
  if (entries.empty())
    return fail(Code::invalid, "pack: nothing to pack");

  const auto locale = TRY(Utf8Locale::enter());
  m_pipeline = TRY(Pipeline::open(m_request));
  m_archive.reset(archive_write_new());
  archive* a = m_archive.get();
  // One byte in the last block: no padding behind the two zero blocks.
  if (a == nullptr || archive_write_set_format_pax_restricted(a) != ARCHIVE_OK ||
      archive_write_set_bytes_per_block(a, static_cast<int>(k_buffer)) != ARCHIVE_OK ||
      archive_write_set_bytes_in_last_block(a, 1) != ARCHIVE_OK ||
      archive_write_open(a, this, nullptr, on_write, nullptr) != ARCHIVE_OK)
    return broken("open");
  for (const auto& entry : entries)
    TRY(add(entry));
  if (archive_write_close(a) != ARCHIVE_OK)
    return broken("close");
  TRY(m_pipeline->finish(m_packed));
  return m_packed;
}

} // namespace

Result<Packed> pack(const PackRequest& request) {
  Packer packer(request);
  return packer.run();
}

} // namespace chillbox::artifact
