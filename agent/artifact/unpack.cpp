#include "artifact/stager.hpp"

#include "artifact/age_input.hpp"
#include "artifact/policy.hpp"
#include "artifact/read_ahead.hpp"
#include "artifact/tar_reader.hpp"
#include "artifact/tree_writer.hpp"
#include "base/text.hpp"

#include <cerrno>

namespace chillbox::artifact {
namespace {

Result<crypto::PayloadReader> open_payload(int fd, const SecretBytes& file_key) {
  auto input = TRY_IN("artifact", open_age(fd));
  if (!crypto::header_mac_ok(input.header, file_key))
    return fail(Code::corrupt, "artifact: the age header was changed after it was made");
  return crypto::PayloadReader(file_key, std::move(input.payload));
}

class Unpacker {
public:
  Unpacker(crypto::PayloadReader payload, int tree_fd, const StageLimits& limits)
      : m_decompressor(std::move(payload), limits), m_ahead(m_decompressor),
        m_tar([this] { return m_ahead.next(); }, limits.bytes, limits.entries),
        m_names(limits.entries), m_writer(tree_fd) {}

  Result<StageStats> run();

private:
  Result<void> take(const TarMember& member);
  Result<void> take_file(const TarMember& member, bool executable);

  Decompressor m_decompressor;
  ReadAhead m_ahead; // gone before what it reads from
  TarReader m_tar;
  TreeNames m_names;
  TreeWriter m_writer;
  // Path and target; made last, so that nothing is ever written through one.
  std::vector<std::pair<std::string, std::string>> m_links;
  StageStats m_stats;
};

Result<void> Unpacker::take(const TarMember& member) {
  TRY(check_path(member.path));
  TRY(m_names.add(member.path, member.kind));
  if (member.kind == EntryKind::link) {
    TRY(check_link(member.path, member.link));
    m_links.emplace_back(member.path, member.link);
    return {};
  }
  const bool executable = member.kind == EntryKind::directory || (member.mode & 0100) != 0;
  m_stats.masked += member.mode != (executable ? 0755 : 0644) ? 1 : 0;
  return member.kind == EntryKind::directory ? m_writer.make_dir(member.path)
                                             : take_file(member, executable);
}

Result<void> Unpacker::take_file(const TarMember& member, bool executable) {
  const Fd fd = TRY(m_writer.create(member.path, executable));
  ++m_stats.files;
  m_stats.bytes += member.size;
  for (;;) {
    const ByteView piece = TRY(m_tar.contents());
    if (piece.empty())
      return {};
    for (ByteView rest = piece; !rest.empty();) {
      const ssize_t n = write(fd.get(), rest.data(), rest.size());
      if (n < 0 && errno != EINTR)
        return fail_errno(cat("write '", member.path, "'"), errno);
      rest = rest.subspan(n < 0 ? 0 : static_cast<size_t>(n));
    }
  }
}

Result<StageStats> Unpacker::run() {
  while (const auto member = TRY(m_tar.next()))
    TRY(take(*member));
  for (const auto& [path, target] : m_links)
    TRY(m_writer.make_link(path, target));
  m_stats.links = m_links.size();
  m_stats.directories = m_writer.directories();
  if (m_stats.files + m_stats.directories + m_stats.links == 0)
    return fail(Code::corrupt, "archive: it is empty");
  return m_stats;
}

} // namespace

Result<StageStats> unpack(
    int artifact_fd, const SecretBytes& file_key, int tree_fd, const StageLimits& limits) {
  Unpacker unpacker(TRY(open_payload(artifact_fd, file_key)), tree_fd, limits);
  return unpacker.run();
}

} // namespace chillbox::artifact
