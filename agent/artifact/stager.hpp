// The stager decrypts, decompresses and unpacks an untrusted archive in one streaming pass, from a
// descriptor into the directory that is its whole file system (chroot). It is one process for each
// artifact, with a user of its own (os/job_user.hpp), without network or exec.
//
// Policy (faults 48-63). The archive is refused as a whole, nothing is skipped or repaired:
// absolute names, "..", "." or empty components, control characters or bad UTF-8, names over 255 or
// paths over 1024 bytes, depth over 32, doubles and case-only twins, hard links, devices, fifos,
// sockets, sparse and multi-volume members, pax records that change meaning, symlinks that are
// absolute or leave the tree (created last), sizes that contradict, missing end, trailing data,
// several members of compression, totals over the limits. Modes become 0755 or 0644 and are counted
// when that changed them; owners, times, xattrs, ACLs are ignored.
#pragma once

#include "base/error.hpp"
#include "base/secret.hpp"
#include "os/runner.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace chillbox::artifact {

struct StageLimits {
  uint64_t bytes = 2ULL << 30;
  uint64_t entries = 50'000;
  uint64_t ratio = 200;
};

struct StageStats {
  uint64_t files = 0, directories = 0, links = 0, bytes = 0, masked = 0;
  std::string stamp = {}; // stage() only: of the last top folder, by os::Disk::take_tree
};

// The work of the stager process: reads the age file from `artifact_fd` (at offset 0), writes
// below the empty directory `tree_fd`. The process has umask 022. denied: against the policy;
// too_large: over a limit; corrupt: damaged or not such an archive. After an error part of the tree
// exists, and the caller removes it.
Result<StageStats> unpack(
    int artifact_fd, const SecretBytes& file_key, int tree_fd, const StageLimits& limits);

// The role's main ("chillboxd: stager", argv[1] is --stager): descriptor 3 is the monitor's
// packet pair, 4 the artifact, 5 the directory, whose owner it becomes and which becomes its root
// when it was started as root. The first packet is file_key with the key and the limits: bytes,
// entries, ratio (decimal). It answers stage_done or stage_error and ends.
int stager_main();

// The monitor's side.
struct StageJob {
  int artifact_fd; // stays open until the stager has run
  std::string tree;
  StageLimits limits;
  bool own_user; // the stager gets a user of its own; false only in tests that are not root
  os::Millis timeout{600'000};
  std::function<bool()> cancelled = {}; // looked at every 200 ms
};

// A stager over `artifact_fd` into `tree`, which is made fresh. It reads nothing before it has its
// order, so that it can start while the artifact is still verified.
class Stager {
public:
  static Result<std::unique_ptr<Stager>> start(StageJob job);
  ~Stager(); // ends the process, and removes the tree unless run() has succeeded
  // Once: gives it the key and verifies what it made. Afterwards the tree is the caller's (root's),
  // mode 0700. Errors are those of unpack(), and no_space with the size of the file system,
  // timed_out, interrupted (cancelled), failure when the stager died.
  Result<StageStats> run(const SecretBytes& file_key);

private:
  struct State;
  explicit Stager(std::unique_ptr<State> state);
  std::unique_ptr<State> m_state;
};

// Both at once.
Result<StageStats> stage(StageJob job, const SecretBytes& file_key);

// Walks the tree by descriptor after the stager has ended, and refuses everything that the policy
// does not allow (hard links, devices, setuid, foreign owners, links out of the tree), however it
// came there. denied names the first thing found.
Result<StageStats> verify_tree(
    const std::string& tree, std::optional<uid_t> owner, const StageLimits& limits);

} // namespace chillbox::artifact
