// One job of one site is a list of steps from a table (steps.cpp), driven by one loop
// (job_run.cpp). Each step is recorded before it begins; each can be repeated; each has an undo
// that also copes with a step that never began. A failing step is undone together with all steps
// before it, in reverse order; what of that fails is in the job's verdict. After a crash the same
// undo brings the site back to what the store says is live, and the job starts again from its first
// step; unless the store says already that the job's release is live: then it continues with the
// first step after the commit.
//
// A step is a `Step` that the file which does it defines, and a place in the lists of steps.cpp.
#pragma once

#include "base/error.hpp"
#include "store/types.hpp"

#include <optional>
#include <span>
#include <string_view>

namespace chillbox::rollout {

struct JobContext;

// How a step ended well.
enum class Next { proceed, finished, wait_upload, wait_unlock, again };

struct Step {
  // commit: when it has ended, the store says that the job's release is live; visitors may get it
  // from the moment when it begins.
  enum class Phase { before_commit, commit, after_commit };
  std::string_view name; // in the journal, the history and every transcript
  Result<Next> (*run)(JobContext&);
  Result<void> (*undo)(JobContext&) = nullptr; // null: nothing to undo
  Phase phase = Phase::before_commit;
  bool touches_site = true; // its slots, links or secrets; else it may run next to a watch
  bool ends_watch =
      false; // of the live release: this job's copies are healthy, or it ends them all
  bool recorded_first = false; // on disk before it begins: a power cut in it is not mended by what
                               // the store says is live; else a crash alone must find the record
  bool checks_signers = true;  // of what is to run, before the step (permit.hpp)
  std::string_view old_name = {}; // as earlier versions recorded it
  bool is(std::string_view recorded) const;
};

using Steps = std::span<const Step* const>;
Steps steps_of(store::JobKind kind);
// Where a step that was recorded under this name, or its earlier one, is in the list.
std::optional<size_t> find_step(Steps steps, std::string_view recorded);

} // namespace chillbox::rollout
