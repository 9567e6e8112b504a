// An upload on its way into a file that nobody but the monitor can write: the edge has one end of a
// pipe, and a thread of the monitor takes what comes out of it, digests it and writes it down,
// once. The file is the artifact's then.
#pragma once

#include "artifact/artifact_store.hpp"
#include "base/error.hpp"
#include "base/fd.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

namespace chillbox::daemon {

// A request of one edge process, which waits for an answer. Another edge counts from the start, and
// must not get what was meant for the one before.
struct EdgeRequest {
  uint64_t edge = 0;
  uint64_t sequence = 0;
};

class ArrivingUpload {
public:
  struct Of {
    std::string job;
    std::string sender; // who announced the job
    std::string digest; // "": the host has it
    bool signature = false;
    uint64_t offset = 0; // it continues a part
    uint64_t size = 0;   // bytes, of the whole
  };
  // How the edge ended it. dropped: nobody wants it any more, whatever came.
  enum class End { none, whole, cut_off, dropped };

  // `file` is at `path` and has of.offset bytes. `edge`: the end for it.
  static Result<std::shared_ptr<ArrivingUpload>> open(Of of, Fd file, std::string path, Fd& edge);

  const Of of;
  const std::string path;
  uint64_t received() const { return m_received; } // bytes, of the whole
  // In one thread; the first time counts. What the edge still says is not read. `by` waits for what
  // becomes of it.
  void end(End how, EdgeRequest by = {});
  End ended() const { return m_end; }
  EdgeRequest ended_by() const { return m_by; } // once it has ended

  // In one thread, until end(): takes all that came before it. too_large: more than announced;
  // no_space and what else a write may fail of. The edge's end is closed then.
  Result<artifact::Incoming> receive();

private:
  ArrivingUpload(Of o, Fd file, std::string p)
      : of(std::move(o)), path(std::move(p)), m_file(std::move(file)) {}
  Result<bool> take(artifact::Incoming& to, Bytes& piece); // false: the edge has closed its end

  Fd m_file, m_pipe;
  Fd m_wake; // an eventfd: readable once it has ended
  std::atomic<uint64_t> m_received{0};
  uint64_t m_begun = 0; // bytes that the disk was told to write
  EdgeRequest m_by;
  std::atomic<End> m_end{End::none};
};

} // namespace chillbox::daemon
