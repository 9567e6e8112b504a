// The list of verbs, in the order of the help. Each is defined in a file of cli/verbs/.
#include "cli/core/verb.hpp"

#include <array>

namespace chillbox::cli {

extern const Verb k_keygen, k_new, k_validate, k_pack, k_secrets_pack, k_secrets_list,
    k_secrets_set, k_secrets_unset, k_secrets_diff, k_secrets_rotate, k_secrets_import,
    k_secrets_edit, k_secrets_push, k_recover, k_recover_words, k_deploy, k_bootstrap, k_join,
    k_people_add, k_people_list, k_people_remove, k_agent_status, k_agent_lock, k_ci_add, k_ci_list,
    k_ci_remove, k_approve, k_move, k_open, k_completion, k_setup, k_hosts, k_hosts_list,
    k_hosts_remove, k_whoami, k_config_get, k_config_set, k_undo, k_init, k_trust_add, k_trust_list,
    k_trust_remove, k_trust_keep, k_webhook_add, k_webhook_list, k_webhook_rotate, k_webhook_remove,
    k_unlock, k_lock, k_passphrase, k_status, k_sites, k_facts, k_releases, k_jobs, k_job, k_plan,
    k_nginx_show, k_nginx_diff, k_logs, k_cron_list, k_cron_history, k_backup_list, k_backup_create,
    k_backup_get, k_backup_put, k_backup_pull, k_backup_push, k_host_export, k_host_import,
    k_jobs_import, k_backup_verify, k_restore, k_tls, k_tls_check, k_tls_account, k_metrics,
    k_metrics_token, k_audit, k_audit_verify, k_doctor, k_ping, k_rollback, k_restart, k_stop,
    k_start, k_maintenance_on, k_maintenance_off, k_cron_run, k_tls_renew, k_tls_revoke, k_remove,
    k_retry, k_hold, k_release_hold, k_withdraw, k_secrets_withdraw, k_snapshots, k_prune, k_reload,
    k_upgrade, k_drain, k_undrain, k_run, k_runs_list, k_runs_show, k_runs_attach, k_runs_stop,
    k_report_jobs, k_report, k_top, k_notices, k_notify_add, k_notify_list, k_notify_test,
    k_notify_remove, k_notify_retry, k_notify_post, k_rollout_run, k_rollout_resume,
    k_rollout_status, k_rollout_stop, k_fleet_add, k_fleet_remove, k_fleet_balance, k_fleet_dns,
    k_fleet_rotate, k_fleet_push, k_fleet_status, k_fleet_show, k_fleet_take, k_fleet_init,
    k_rollout_take, k_rollout_reports, k_rollout_halt;

namespace {

constexpr std::array k_common{
    Option{"--json", ArgKind::flag, "", "print the result as JSON, with its schema"},
    Option{"-q,--quiet", ArgKind::flag, "", "print only results and errors"},
    Option{"-v,--verbose", ArgKind::flag, "", "print each command and request that it consists of"},
    Option{"--no-color", ArgKind::flag, "", "use no colours (as NO_COLOR does)"},
    Option{"-h,--help", ArgKind::flag, "", "print this help"},
};
constexpr std::array k_remote{
    Option{"-H,--host", ArgKind::list, "USER@HOST[,..]",
        "run it there through ssh (or CHILLBOX_HOST)"},
    Option{"--hosts", ArgKind::text, "INVENTORY", "run it on the hosts of an Ansible inventory"},
    Option{"--limit", ArgKind::list, "PATTERN[,..]",
        "run it only on these hosts or groups of --hosts or -H"},
};

constexpr std::array k_verbs{
    &k_keygen,
    &k_new,
    &k_validate,
    &k_pack,
    &k_secrets_pack,
    &k_secrets_list,
    &k_secrets_set,
    &k_secrets_unset,
    &k_secrets_diff,
    &k_secrets_rotate,
    &k_secrets_import,
    &k_secrets_edit,
    &k_secrets_push,
    &k_deploy,
    &k_rollout_run,
    &k_rollout_resume,
    &k_rollout_status,
    &k_rollout_stop,
    &k_fleet_init,
    &k_fleet_add,
    &k_fleet_remove,
    &k_fleet_balance,
    &k_fleet_dns,
    &k_fleet_rotate,
    &k_fleet_push,
    &k_fleet_status,
    &k_fleet_show,
    &k_ci_add,
    &k_ci_list,
    &k_ci_remove,
    &k_approve,
    &k_move,
    &k_backup_pull,
    &k_backup_push,
    &k_host_export,
    &k_host_import,
    &k_agent_status,
    &k_agent_lock,
    &k_setup,
    &k_hosts,
    &k_hosts_list,
    &k_hosts_remove,
    &k_whoami,
    &k_config_get,
    &k_config_set,
    &k_open,
    &k_join,
    &k_bootstrap,
    &k_completion,

    &k_init,
    &k_trust_add,
    &k_trust_list,
    &k_trust_remove,
    &k_trust_keep,
    &k_people_add,
    &k_people_list,
    &k_people_remove,
    &k_metrics_token,
    &k_webhook_add,
    &k_webhook_list,
    &k_webhook_rotate,
    &k_webhook_remove,
    &k_notify_add,
    &k_notify_remove,

    &k_unlock,
    &k_lock,
    &k_passphrase,
    &k_recover,
    &k_recover_words,

    &k_status,
    &k_sites,
    &k_top,
    &k_notices,
    &k_notify_list,
    &k_facts,
    &k_releases,
    &k_snapshots,
    &k_jobs,
    &k_job,
    &k_plan,
    &k_nginx_show,
    &k_nginx_diff,
    &k_logs,
    &k_cron_list,
    &k_cron_history,
    &k_backup_list,
    &k_runs_list,
    &k_runs_show,
    &k_tls,
    &k_tls_check,
    &k_tls_account,
    &k_metrics,
    &k_audit,
    &k_audit_verify,
    &k_report,
    &k_report_jobs,
    &k_doctor,
    &k_ping,
    &k_rollout_reports,

    &k_rollback,
    &k_undo,
    &k_restart,
    &k_stop,
    &k_start,
    &k_maintenance_on,
    &k_maintenance_off,
    &k_fleet_take,
    &k_rollout_take,
    &k_rollout_halt,
    &k_drain,
    &k_undrain,
    &k_cron_run,
    &k_backup_create,
    &k_backup_verify,
    &k_jobs_import,
    &k_backup_get,
    &k_backup_put,
    &k_restore,
    &k_run,
    &k_runs_attach,
    &k_runs_stop,
    &k_tls_renew,
    &k_tls_revoke,
    &k_remove,
    &k_retry,
    &k_notify_test,
    &k_notify_retry,
    &k_notify_post,
    &k_hold,
    &k_release_hold,
    &k_withdraw,
    &k_secrets_withdraw,
    &k_prune,
    &k_reload,
    &k_upgrade,
};

} // namespace

std::span<const Verb* const> verb_list() {
  return k_verbs;
}
std::span<const Option> common_options() {
  return k_common;
}
std::span<const Option> remote_options() {
  return k_remote;
}

std::string_view heading(Group group) {
  switch (group) {
  case Group::laptop: return "On the laptop: keys, artifacts, deploys";
  case Group::setup: return "On the host, as root: set-up";
  case Group::seal: return "On the host: locked and unlocked";
  case Group::show: return "On the host: state and history";
  case Group::act: return "On the host: change what runs";
  }
  return "";
}

const Verb* find_verb(std::string_view name) {
  for (const Verb* verb : k_verbs)
    if (verb->name == name)
      return verb;
  return nullptr;
}

} // namespace chillbox::cli
