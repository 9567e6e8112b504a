// The functions of the verb table (verbs.cpp), one file a verb or a family of small ones.
#pragma once

#include "cli/core/verb.hpp"

namespace chillbox::cli {

// keygen.cpp, pack.cpp, secrets_pack.cpp, validate.cpp, deploy.cpp: on the laptop
Result<void> run_keygen(Call& call);
Result<void> run_new(Call& call);
Result<void> run_pack(Call& call);
Result<void> run_secrets_pack(Call& call);
Result<void> run_validate(Call& call);
Result<void> run_deploy(Call& call);
// bootstrap.cpp, completion.cpp
Result<void> run_bootstrap(Call& call);
Result<void> run_completion(Call& call);
// init.cpp, trust.cpp, webhook.cpp: root on the host, also without a daemon
Result<void> run_init(Call& call);
Result<void> run_trust_add(Call& call);
Result<void> run_trust_list(Call& call);
Result<void> run_trust_remove(Call& call);
Result<void> run_trust_keep(Call& call);
Result<void> run_webhook_add(Call& call);
Result<void> run_webhook_list(Call& call);
Result<void> run_webhook_rotate(Call& call);
Result<void> run_webhook_remove(Call& call);
// unlock.cpp
Result<void> run_ping(Call& call);
Result<void> run_unlock(Call& call);
Result<void> run_lock(Call& call);
Result<void> run_reload(Call& call);
Result<void> run_upgrade(Call& call);
// show.cpp, history.cpp
Result<void> run_status(Call& call);
Result<void> run_sites(Call& call);
Result<void> run_releases(Call& call);
Result<void> run_jobs(Call& call);
Result<void> run_audit(Call& call);
Result<void> run_audit_verify(Call& call);
// plan.cpp
Result<void> run_plan(Call& call);
Result<void> run_nginx_show(Call& call);
Result<void> run_nginx_diff(Call& call);
// keep.cpp
Result<void> run_hold(Call& call);
Result<void> run_release_hold(Call& call);
Result<void> run_withdraw(Call& call);
Result<void> run_secrets_withdraw(Call& call);
Result<void> run_prune(Call& call);
// doctor.cpp
Result<void> run_doctor(Call& call);
// cron.cpp
Result<void> run_cron_list(Call& call);
Result<void> run_cron_history(Call& call);
Result<void> run_cron_run(Call& call);
// follow.cpp
Result<void> run_job(Call& call);
Result<void> run_logs(Call& call);
// operate.cpp
Result<void> run_rollback(Call& call);
Result<void> run_restart(Call& call);
Result<void> run_stop(Call& call);
Result<void> run_start(Call& call);
Result<void> run_remove(Call& call);
Result<void> run_retry(Call& call);
Result<void> run_maintenance_on(Call& call);
Result<void> run_maintenance_off(Call& call);

} // namespace chillbox::cli
