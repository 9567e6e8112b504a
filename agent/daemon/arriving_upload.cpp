#include "daemon/arriving_upload.hpp"

#include "base/text.hpp"
#include "os/io.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

namespace chillbox::daemon {
namespace {

constexpr int k_pipe = 1024 * 1024; // bytes; fewer if the kernel does not give that
constexpr size_t k_arriving_piece = 256 * 1024;
constexpr uint64_t k_begin_to_write = 8 * 1024 * 1024;

} // namespace

Result<std::shared_ptr<ArrivingUpload>> ArrivingUpload::open(
    Of of, Fd file, std::string path, Fd& edge) {
  const std::shared_ptr<ArrivingUpload> upload(
      new ArrivingUpload(std::move(of), std::move(file), std::move(path)));
  std::array<int, 2> ends;
  if (::pipe2(ends.data(), O_CLOEXEC) != 0)
    return fail_errno("pipe", errno);
  upload->m_pipe = Fd(ends[0]);
  edge = Fd(ends[1]);
  upload->m_wake = Fd(::eventfd(0, EFD_CLOEXEC));
  if (!upload->m_wake || ::fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0)
    return fail_errno("eventfd", errno);
  ::fcntl(ends[0], F_SETPIPE_SZ, k_pipe);
  upload->m_received = upload->of.offset;
  return upload;
}

void ArrivingUpload::end(End how, EdgeRequest by) {
  if (m_end != End::none)
    return;
  m_by = by;
  m_end = how;
  (void)::eventfd_write(m_wake.get(), 1);
}

Result<bool> ArrivingUpload::take(artifact::Incoming& to, Bytes& piece) {
  for (;;) {
    const ssize_t n = os::read_some(m_pipe.get(), piece.data(), piece.size());
    if (n < 0 && errno == EAGAIN)
      return true;
    if (n < 0)
      return fail_errno("read from the edge", errno);
    if (n == 0)
      return false;
    const auto bytes = ByteView(piece).first(static_cast<size_t>(n));
    if (to.size() + bytes.size() > of.size)
      return fail(
          Code::too_large, cat("more than the ", of.size, " bytes that the edge announced"));
    std::string_view rest = text_of(bytes);
    if (const int err = os::write_fully(to.fd(), rest))
      return fail_errno(cat("write ", path), err);
    to.add(bytes);
    m_received = to.size();
    // The disk begins with what is there, so that little is left for the sync at the end.
    if (to.size() - m_begun >= k_begin_to_write) {
      ::sync_file_range(to.fd(), static_cast<off_t>(m_begun),
          static_cast<off_t>(to.size() - m_begun), SYNC_FILE_RANGE_WRITE);
      m_begun = to.size();
    }
  }
}

Result<artifact::Incoming> ArrivingUpload::receive() {
  auto incoming = artifact::Incoming::open(std::move(m_file), path);
  Result<void> good = incoming ? Result<void>{} : std::unexpected(incoming.error());
  Bytes piece(k_arriving_piece);
  for (bool open = good.has_value();;) {
    if (!open)
      m_pipe.reset();
    std::array<pollfd, 2> fds{pollfd{m_wake.get(), POLLIN, 0}, pollfd{m_pipe.get(), POLLIN, 0}};
    if (::poll(fds.data(), fds.size(), -1) < 0 && errno != EINTR)
      return fail_errno("poll", errno);
    const bool last = ended() != End::none; // what came before is in the pipe
    if (open) {
      const auto more = take(*incoming, piece);
      open = more.value_or(false);
      if (!more)
        good = std::unexpected(more.error());
    }
    if (last)
      break;
  }
  m_pipe.reset();
  TRY(good);
  return incoming;
}

} // namespace chillbox::daemon
