#include "rollout/steps.hpp"
#include "rollout/data_exchange.hpp"

namespace chillbox::rollout {

extern const Step k_obtain, k_verify, k_unseal, k_unseal_all, k_stage; // acquire.cpp
extern const Step k_preflight;                                         // preflight.cpp
extern const Step k_install;                                           // install.cpp
extern const Step k_build;                                             // build.cpp
extern const Step k_current, k_select;                                 // rollback.cpp
extern const Step k_restore_secrets, k_replace_secrets;                // secret_set.cpp
extern const Step k_start, k_check, k_stop;                            // slots.cpp
extern const Step k_configure, k_switch, k_reload;                     // switch_traffic.cpp
extern const Step k_stop_first;                                        // stop_first.cpp
extern const Step k_watch, k_watch_again;                              // watch.cpp
extern const Step k_stop_all, k_exchange, k_keep_data;                 // data_exchange.cpp
extern const Step k_fetch;                                             // restore.cpp
extern const Step k_retire, k_remove;                                  // retire.cpp

namespace {

using store::JobKind;

constexpr const Step* k_deploy_steps[] = {&k_obtain, &k_verify, &k_unseal_all, &k_stage,
    &k_preflight, &k_install, &k_build, &k_start, &k_check, &k_configure, &k_stop_first, &k_switch,
    &k_reload, &k_watch, &k_retire};
constexpr const Step* k_secrets_steps[] = {&k_obtain, &k_verify, &k_unseal, &k_replace_secrets,
    &k_current, &k_start, &k_check, &k_configure, &k_stop_first, &k_switch, &k_reload, &k_watch,
    &k_retire};
constexpr const Step* k_restart_steps[] = {&k_current, &k_start, &k_check, &k_configure,
    &k_stop_first, &k_switch, &k_reload, &k_watch, &k_retire};
// To what was good before: there is nothing to watch for.
constexpr const Step* k_rollback_steps[] = {&k_select, &k_restore_secrets, &k_start, &k_check,
    &k_configure, &k_stop_first, &k_switch, &k_reload, &k_retire};
// With the data. While its data and their snapshot change places nothing of the
// site runs.
constexpr const Step* k_rollback_data_steps[] = {&k_select, &k_restore_secrets, &k_stop_all,
    &k_exchange, &k_start, &k_check, &k_configure, &k_stop_first, &k_switch, &k_reload,
    &k_keep_data, &k_retire};
// What was live before goes on, with other data.
constexpr const Step* k_restore_steps[] = {&k_current, &k_fetch, &k_stop_all, &k_exchange, &k_start,
    &k_check, &k_configure, &k_stop_first, &k_switch, &k_reload, &k_keep_data, &k_retire};
constexpr const Step* k_start_steps[] = {&k_current, &k_start, &k_check, &k_switch};
// What comes after the watch is for a release that does not hold.
constexpr const Step* k_watch_steps[] = {&k_watch_again, &k_select, &k_restore_secrets, &k_start,
    &k_check, &k_configure, &k_stop_first, &k_switch, &k_reload, &k_retire};
constexpr const Step* k_stop_steps[] = {&k_stop};
constexpr const Step* k_remove_steps[] = {&k_remove};

} // namespace

bool Step::is(std::string_view recorded) const {
  return recorded == name || (!old_name.empty() && recorded == old_name);
}

Steps steps_of(const store::Job& job) {
  return job.kind == JobKind::rollback && job.options.with_data ? Steps(k_rollback_data_steps)
                                                                : steps_of(job.kind);
}

Steps steps_of(JobKind kind) {
  switch (kind) {
  case JobKind::deploy: return k_deploy_steps;
  case JobKind::secrets: return k_secrets_steps;
  case JobKind::restart: return k_restart_steps;
  case JobKind::rollback: return k_rollback_steps;
  case JobKind::start: return k_start_steps;
  case JobKind::stop: return k_stop_steps;
  case JobKind::remove: return k_remove_steps;
  case JobKind::watch: return k_watch_steps;
  case JobKind::restore: return k_restore_steps;
  case JobKind::ping: // it ended when it was accepted
  case JobKind::unknown: return {};
  }
  return {};
}

std::optional<size_t> find_step(Steps steps, std::string_view recorded) {
  for (size_t i = 0; i < steps.size(); ++i)
    if (steps[i]->is(recorded))
      return i;
  return std::nullopt;
}

} // namespace chillbox::rollout
