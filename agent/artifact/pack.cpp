#include "artifact/pack.hpp"

#include "artifact/policy.hpp"
#include "artifact/seal_stream.hpp"
#include "artifact/tar_writer.hpp"
#include "base/fd.hpp"
#include "base/text.hpp"
#include "crypto/hash.hpp"
#include "os/atomic_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <optional>

namespace chillbox::artifact {
namespace {

constexpr size_t k_packed_piece = 256 * 1024;

// Where the bytes of the tar go: digest, the sealed stream, digests, file.
class Pipeline {
public:
  static Result<std::unique_ptr<Pipeline>> open(const PackRequest& request);
  Result<void> write(ByteView tar);
  Result<void> finish(Packed& packed);

private:
  explicit Pipeline(os::AtomicFile file) : m_file(std::move(file)) {}
  Result<void> store(ByteView encrypted);

  os::AtomicFile m_file;
  std::optional<SealStream> m_seal;
  crypto::Sha256 m_tar_sha256, m_sha256;
  crypto::Blake2b512 m_blake2b;
  uint64_t m_size = 0;
};

Result<std::unique_ptr<Pipeline>> Pipeline::open(const PackRequest& request) {
  auto file = TRY(os::AtomicFile::create(request.output, 0644, {geteuid(), getegid()}));
  std::unique_ptr<Pipeline> p(new Pipeline(std::move(file)));
  p->m_seal.emplace(TRY(SealStream::create(
      request.recipients, [self = p.get()](ByteView bytes) { return self->store(bytes); },
      request.armor)));
  return p;
}

Result<void> Pipeline::store(ByteView encrypted) {
  m_sha256.update(encrypted);
  m_blake2b.update(encrypted);
  m_size += encrypted.size();
  return m_file.write(text_of(encrypted));
}

Result<void> Pipeline::write(ByteView tar) {
  m_tar_sha256.update(tar);
  return m_seal->write(tar);
}

Result<void> Pipeline::finish(Packed& packed) {
  TRY(m_seal->finish());
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
  Result<void> check_entries();
  Result<void> write(TarWriter& tar, ByteView contents);
  Result<void> add(TarWriter& tar, const PackEntry& entry);
  Result<void> add_source(TarWriter& tar, const PackEntry& entry, TarMember member);

  const PackRequest& m_request;
  std::vector<PackEntry> m_entries; // sorted
  uint64_t m_total = 0;
  crypto::Sha256 m_rest;
  bool m_apart = false;
  Packed m_packed{.sha256 = Digest::of({}),
      .tar_sha256 = Digest::of({}),
      .rest_sha256 = Digest::of({}),
      .blake2b = {}};
};

EntryKind kind_of(const PackEntry& entry) {
  return !entry.link_target.empty() ? EntryKind::link
      : entry.directory             ? EntryKind::directory
                                    : EntryKind::file;
}

Result<void> Packer::check_entries() {
  m_entries = m_request.entries;
  std::ranges::sort(m_entries, {}, &PackEntry::name);
  TreeNames names(UINT64_MAX); // the host has its own limits
  for (const auto& entry : m_entries) {
    TRY(check_path(entry.name));
    if (!entry.link_target.empty())
      TRY(check_link(entry.name, entry.link_target));
    TRY(names.add(entry.name, kind_of(entry)));
    struct stat st{};
    m_total += entry.content.size();
    if (!entry.source.empty() && stat(entry.source.c_str(), &st) == 0)
      m_total += static_cast<uint64_t>(st.st_size);
  }
  return m_entries.empty() ? fail(Code::invalid, "pack: nothing to pack") : Result<void>{};
}

Result<void> Packer::write(TarWriter& tar, ByteView contents) {
  TRY(tar.write(contents));
  if (!m_apart)
    m_rest.update(contents);
  m_packed.unpacked += contents.size();
  if (m_request.progress)
    m_request.progress(m_packed.unpacked, m_total);
  return {};
}

Result<void> Packer::add_source(TarWriter& tar, const PackEntry& entry, TarMember member) {
  const Fd fd(::open(entry.source.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  struct stat st{};
  if (!fd || fstat(fd.get(), &st) != 0)
    return fail_errno(entry.source, errno);
  if (!S_ISREG(st.st_mode))
    return fail(Code::denied, cat(entry.source, ": not a regular file"));
  const auto size = member.size = static_cast<uint64_t>(st.st_size);
  TRY(tar.add(member));
  Bytes buffer(static_cast<size_t>(std::min<uint64_t>(size + 1, k_packed_piece)));
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
    TRY(write(tar, ByteView(buffer).first(static_cast<size_t>(n))));
  }
}

Result<void> Packer::add(TarWriter& tar, const PackEntry& entry) {
  const auto kind = kind_of(entry);
  const TarMember member{.kind = kind,
      .path = entry.name,
      .link = entry.link_target,
      .size = entry.content.size(),
      .mode = kind == EntryKind::link                        ? 0777U
          : kind == EntryKind::directory || entry.executable ? 0755U
                                                             : 0644U};
  m_packed.files += kind == EntryKind::file ? 1 : 0;
  m_apart = entry.name == m_request.apart;
  if (!m_apart)
    m_rest.update(bytes_of(cat(static_cast<int>(kind), ' ', member.mode, ' ', entry.name.size(),
        ' ', entry.name, ' ', entry.link_target.size(), ' ', entry.link_target)));
  if (kind == EntryKind::file && !entry.source.empty())
    return add_source(tar, entry, member);
  TRY(tar.add(member));
  return kind == EntryKind::file ? write(tar, bytes_of(entry.content)) : Result<void>{};
}

Result<Packed> Packer::run() {
  TRY(check_entries());
  const auto pipeline = TRY(Pipeline::open(m_request));
  TarWriter tar([&](ByteView bytes) { return pipeline->write(bytes); },
      static_cast<uint64_t>(m_request.mtime));
  for (const auto& entry : m_entries)
    TRY(add(tar, entry));
  TRY(tar.finish());
  TRY(pipeline->finish(m_packed));
  m_packed.rest_sha256 = Digest::of(m_rest.finish());
  return m_packed;
}

} // namespace

Result<Packed> pack(const PackRequest& request) {
  Packer packer(request);
  return packer.run();
}

} // namespace chillbox::artifact
