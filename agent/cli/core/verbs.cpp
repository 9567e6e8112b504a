#include "cli/core/verbs.hpp"

#include "cli/core/prompt.hpp"

#include <array>

namespace chillbox::cli {
namespace {

constexpr std::string_view k_laptop = "On the laptop: keys, artifacts, deploys";
constexpr std::string_view k_setup = "On the host, as root: set-up";
constexpr std::string_view k_seal = "On the host: sealed and unsealed";
constexpr std::string_view k_show = "On the host: what is there, what happened";
constexpr std::string_view k_act = "On the host: change what runs";

constexpr Option k_recipients{"-r,--recipient", ArgKind::list, "AGE1..[,..]",
    "encrypt to this host (its recipient.txt); may be repeated"};
constexpr Option k_recipients_file{
    "-R,--recipients-file", ArgKind::text, "FILE", "encrypt to all hosts in FILE, one a line"};
constexpr Option k_key{
    "-k,--key", ArgKind::text, "KEY", "sign with this minisign secret key", true};
constexpr Option k_outdir{
    "-o,--output", ArgKind::text, "OUTDIR", "where the artifact and its .minisig go", true};
constexpr Option k_serial{"--serial", ArgKind::number, "N",
    "serial of the artifact (default: minutes since 1970, and newer than any in OUTDIR)"};
constexpr Option k_expires{"--expires", ArgKind::text, "TIME",
    "hosts refuse it after this: 30d, 2026-11-20, 2026-11-20T17:33:34Z"};
constexpr Option k_armor{
    "-a,--armor", ArgKind::flag, "", "write text, a third larger, instead of bytes"};
constexpr Option k_no_wait{"--no-wait", ArgKind::flag, "", "do not wait for the job's end"};
constexpr Option k_no_watch{"--no-watch", ArgKind::flag, "",
    "do not watch the release behind the switch, and not roll it back by itself"};
constexpr Option k_site{"SITE", ArgKind::site, "", "name of the site"};
constexpr Option k_site_or_all{"[SITE]", ArgKind::site, "", "only of this site"};
constexpr Option k_target{
    "SITE[/SERVICE]", ArgKind::target, "", "the site, or one of its services"};
constexpr Option k_name{"NAME", ArgKind::text, "", "its name"};
constexpr Option k_sender{"NAME", ArgKind::sender, "", "its name"};
constexpr Option k_limit{"-n,--lines", ArgKind::number, "N", "how many, the newest"};
constexpr Option k_follow{"-f,--follow", ArgKind::flag, "", "go on as more comes"};
constexpr Option k_limit_sites{"--sites", ArgKind::list, "SITE[,..]", "only for these sites"};

constexpr std::array k_common{
    Option{"--json", ArgKind::flag, "", "print the result as JSON, with its schema"},
    Option{"-q,--quiet", ArgKind::flag, "", "only results and errors"},
    Option{"--no-color", ArgKind::flag, "", "no colours (as NO_COLOR)"},
    Option{"-h,--help", ArgKind::flag, "", "print this help"},
};
constexpr std::array k_remote{
    Option{"-H,--host", ArgKind::list, "USER@HOST[,..]",
        "run it there through ssh (or CHILLBOX_HOST)"},
    Option{"--hosts", ArgKind::text, "INVENTORY", "run it on the hosts of an Ansible inventory"},
    Option{
        "--limit", ArgKind::list, "PATTERN[,..]", "only on these hosts or groups of --hosts or -H"},
};
constexpr std::array k_bootstrap{
    Option{
        "--trust", ArgKind::list, "KEY.pub[,..]", "deployers that the host trusts from the start"},
    Option{"--package", ArgKind::list, "PACKAGE[,..]",
        "what is installed: names, URLs or paths for apk, or a .tar of `make install` (default: chillbox)"},
    Option{"--apk-key", ArgKind::list, "KEY.rsa.pub[,..]",
        "public keys of those who signed these packages"},
};
constexpr std::array k_completion{
    Option{"SHELL", ArgKind::choice, "bash|zsh|fish", "for which shell"}};
constexpr std::array k_keygen{
    Option{"-o,--output", ArgKind::text, "NAME", "write NAME.key and NAME.pub (default: chillbox)"},
    Option{"--no-password", ArgKind::flag, "", "do not encrypt the secret key"},
    k_passphrase_fd,
};
constexpr std::array k_new{
    k_site,
    Option{"--kind", ArgKind::text, "KIND", "python (the default), static or chill"},
    Option{"--server-name", ArgKind::text, "NAME", "its host name (default: SITE.example)"},
    Option{"-o,--output", ArgKind::text, "DIR", "the folder to make (default: SITE)"},
};
constexpr std::array k_pack{
    Option{"DIR", ArgKind::text, "",
        "folder with SITE.site.json (or .toml) and the services' folders, or that file"},
    Option{"--source", ArgKind::text, "DIR",
        "where the services' folders are, when not beside the site file"},
    Option{"--wheels", ArgKind::flag, "",
        "collect what the Python services need into their dep/, with pip"},
    Option{"--python", ArgKind::text, "VERSION",
        "wheels for this Python, such as 3.12 (default: this machine's)"},
    Option{"--platform", ArgKind::list, "TAG[,..]",
        "wheels for this platform (default with --python: musllinux_1_2_x86_64, which is Alpine)"},
    Option{"--new-hashes", ArgKind::flag, "",
        "collect wheels of which requirements.txt has no hash, where it has those of others"},
    Option{
        "--no-commands", ArgKind::flag, "", "run no command that the site names: env[].cmd, make"},
    k_recipients,
    k_recipients_file,
    k_key,
    k_outdir,
    k_serial,
    k_expires,
    k_armor,
    k_passphrase_fd,
};
constexpr std::array k_secrets_pack{
    Option{"DIR", ArgKind::text, "", "folder with SERVICE/FILE"},
    Option{"-s,--site", ArgKind::site, "SITE", "the site that they are for", true},
    k_recipients,
    k_recipients_file,
    k_key,
    k_outdir,
    k_serial,
    k_expires,
    k_armor,
    k_passphrase_fd,
};
constexpr std::array k_validate{Option{"PATH", ArgKind::text, "",
    "a SITE.site.json or SITE.site.toml, or a folder that `pack` takes"}};
constexpr std::array k_deploy{
    Option{"ARTIFACT", ArgKind::text, "",
        "an artifact or a secret set of `pack`, its .minisig beside it"},
    Option{"--to", ArgKind::list, "URL[,..]",
        "https://HOST of the chillbox host; several are taken one after the other"},
    Option{"--webhook-key", ArgKind::list, "FILE[,..]",
        "file with the sender's whsec_ key, one for all hosts or one for each; - reads standard input"},
    Option{"--hosts", ArgKind::text, "INVENTORY",
        "the hosts of an Ansible inventory, its chillbox_url and chillbox_webhook_key"},
    Option{"--limit", ArgKind::list, "PATTERN[,..]", "only these hosts or groups of --hosts"},
    Option{"--keep-going", ArgKind::flag, "", "a host that fails does not keep the others from it"},
    Option{"-w,--wait", ArgKind::flag, "",
        "follow the job to its end; the exit code says how it went"},
    Option{"--timeout", ArgKind::duration, "TIME",
        "give up waiting after this (default: 120s); the job goes on"},
    Option{"--cacert", ArgKind::text, "FILE",
        "trust these certificate authorities (PEM) instead of the system's"},
    k_no_watch,
};
constexpr std::array k_init{
    k_passphrase_fd,
    Option{"--work-factor", ArgKind::number, "N",
        "log2 of the scrypt work factor (default: what the memory allows, at most 18)"},
};
constexpr std::array k_trust_add{
    Option{"KEY", ArgKind::text, "", "a minisign .pub file, or the key itself (RW...)"},
    Option{"--name", ArgKind::text, "NAME", "name of the deployer (default: the file's name)"},
    k_limit_sites,
};
constexpr std::array k_webhook_add{
    k_name,
    Option{"--sites", ArgKind::list, "SITE[,..]", "the sites that it may deploy"},
    Option{"--all-sites", ArgKind::flag, "", "all sites, also those to come"},
    Option{
        "--types", ArgKind::list, "TYPE[,..]", "what it may send (default: site.deploy,host.ping)"},
    Option{"--all-types", ArgKind::flag, "",
        "everything: also secrets.update, site.rollback, site.restart"},
    Option{"--format", ArgKind::choice, "standard|github",
        "how its deliveries are signed (default: standard)"},
};
constexpr std::array k_webhook_rotate{
    k_sender,
    Option{
        "--grace", ArgKind::duration, "TIME", "the old key ends by itself after this time (24h)"},
    Option{"--finish", ArgKind::flag, "",
        "make no new key: end the time in which the old one is still good"},
};
constexpr std::array k_trust_remove{
    Option{"NAME", ArgKind::deployer, "", "its name"},
    Option{"--keep-live", ArgKind::flag, "",
        "what is live of it stays good: its owner has a new key, or has left"},
    Option{"--revoke", ArgKind::flag, "",
        "nothing of it is started again, what is live neither: the key was stolen"},
};
constexpr std::array k_by_sender{k_sender};
constexpr std::array k_ping{Option{"--wait", ArgKind::duration, "TIME", "try for so long"}};
constexpr std::array k_unlock{k_passphrase_fd};
constexpr std::array k_by_site{k_site};
constexpr std::array k_jobs{k_site_or_all, k_limit};
constexpr std::array k_job{Option{"ID", ArgKind::job, "", "id of the job"}, k_follow};
constexpr Option k_exit_code{
    "--exit-code", ArgKind::flag, "", "exit with 20 when something would change"};
constexpr std::array k_plan{
    Option{"ARTIFACT|SITE", ArgKind::text, "",
        "a file of `pack`, its .minisig beside it; its digest; - ; or the name of a site"},
    k_exit_code,
};
constexpr std::array k_nginx_diff{
    k_site, Option{"ARTIFACT", ArgKind::text, "", "as for plan"}, k_exit_code};
constexpr std::array k_logs{k_target, k_follow, k_limit};
constexpr std::array k_audit{k_limit};
constexpr std::array k_audit_verify{
    Option{"--head", ArgKind::text, "NUMBER:HASH",
        "that this head, which an earlier run printed, is still in the trail"},
};
constexpr std::array k_cron_history{k_site, k_limit};
constexpr std::array k_cron_run{
    k_site,
    Option{"N", ArgKind::number, "", "number of the entry, as `cron list` shows it"},
    Option{"--no-wait", ArgKind::flag, "", "do not wait for its end"},
};
constexpr std::array k_rollback{
    k_site,
    Option{"[VERSION]", ArgKind::release, "",
        "version or release to go to (default: the last good one)"},
    Option{"--during-hold", ArgKind::flag, "", "also while the site is held"},
    k_no_wait,
};
constexpr std::array k_maintenance_on{
    k_site,
    Option{"-m,--message", ArgKind::text, "TEXT",
        "what visitors are told (default: that the site is back soon)"},
};
constexpr std::array k_by_target{k_target, k_no_wait};
constexpr std::array k_restart{k_target, k_no_watch, k_no_wait};
constexpr std::array k_hold{
    k_site, Option{"-m,--message", ArgKind::text, "WHY", "for whoever is refused", true}};
constexpr std::array k_withdraw{
    k_site,
    Option{"VERSION", ArgKind::release, "", "version or release that is never good again"},
    Option{"-m,--message", ArgKind::text, "WHY", "for whoever is refused"},
};
constexpr std::array k_secrets_withdraw{k_site,
    Option{"[SERIAL]", ArgKind::number, "",
        "up to this one (default: all before the set that is in use)"}};
constexpr std::array k_prune{
    k_site_or_all, Option{"--dry-run", ArgKind::flag, "", "only say what would go"}};
constexpr std::array k_doctor{Option{"--clock", ArgKind::number, "SECONDS",
    "compare the host's clock with this one: \"$(date +%s)\""}};
constexpr std::array k_remove{
    k_site,
    Option{"--purge", ArgKind::flag, "", "its data, secrets, logs and user too"},
    Option{"-y,--yes", ArgKind::flag, "", "do not ask"},
    k_no_wait,
};
constexpr std::array k_retry{
    Option{"ID", ArgKind::job, "", "id of the failed or held job"},
    Option{"--allow-downgrade", ArgKind::flag, "",
        "take an artifact that is older than the installed one"},
    Option{"--allow-jump", ArgKind::flag, "", "take a serial that is held because it jumped far"},
    k_no_watch,
    k_no_wait,
};

constexpr std::array k_verbs{
    Verb{"keygen", k_laptop, Where::laptop, "make a minisign key pair for signing artifacts",
        k_keygen, run_keygen},
    Verb{"new", k_laptop, Where::laptop, "make the folder of a small site that deploys", k_new,
        run_new},
    Verb{"validate", k_laptop, Where::both, "check a site file, or a folder as `pack` would",
        k_validate, run_validate},
    Verb{"pack", k_laptop, Where::laptop, "make an encrypted, signed artifact of a site", k_pack,
        run_pack},
    Verb{"secrets pack", k_laptop, Where::laptop,
        "make an encrypted, signed set of a site's secrets", k_secrets_pack, run_secrets_pack},
    Verb{"deploy", k_laptop, Where::laptop,
        "send an artifact to a host and follow what becomes of it", k_deploy, run_deploy},
    Verb{"bootstrap", k_laptop, Where::both, "print user-data that makes a fresh image a host",
        k_bootstrap, run_bootstrap},
    Verb{"completion", k_laptop, Where::both, "print the completion script for a shell",
        k_completion, run_completion},

    Verb{"init", k_setup, Where::host, "make directories, users and the host's identity", k_init,
        run_init},
    Verb{"trust add", k_setup, Where::host, "trust the signatures of a deployer", k_trust_add,
        run_trust_add},
    Verb{"trust list", k_setup, Where::host, "whose signatures are trusted", {}, run_trust_list},
    Verb{"trust remove", k_setup, Where::host, "trust a deployer no more", k_trust_remove,
        run_trust_remove},
    Verb{"trust keep", k_setup, Where::host,
        "keep what is live of a site although its signer is not trusted any more", k_by_site,
        run_trust_keep},
    Verb{"webhook add", k_setup, Where::host, "make the key of a webhook sender, and print it once",
        k_webhook_add, run_webhook_add},
    Verb{"webhook list", k_setup, Where::host, "which senders there are", {}, run_webhook_list},
    Verb{"webhook rotate", k_setup, Where::host,
        "make a new key; the old one stays good for --grace, or until --finish", k_webhook_rotate,
        run_webhook_rotate},
    Verb{"webhook remove", k_setup, Where::host,
        "refuse a sender from now on, and end what it announced", k_by_sender, run_webhook_remove},

    Verb{
        "unlock", k_seal, Where::host, "unseal the host with its passphrase", k_unlock, run_unlock},
    Verb{"lock", k_seal, Where::host, "wipe the identity from memory", {}, run_lock},

    Verb{"status", k_show, Where::host, "the host and its sites", {}, run_status},
    Verb{"sites", k_show, Where::host, "the sites and their services", {}, run_sites},
    Verb{"releases", k_show, Where::host, "the releases of a site", k_by_site, run_releases},
    Verb{"jobs", k_show, Where::host, "what was asked for, the newest first", k_jobs, run_jobs},
    Verb{"job", k_show, Where::host, "one job, step by step", k_job, run_job},
    Verb{"plan", k_show, Where::host, "what a deploy or a restart would change", k_plan, run_plan},
    Verb{"nginx show", k_show, Where::host, "the NGINX text of a site that is in force", k_by_site,
        run_nginx_show},
    Verb{"nginx diff", k_show, Where::host, "what an artifact would change in it", k_nginx_diff,
        run_nginx_diff},
    Verb{"logs", k_show, Where::host, "what the services wrote", k_logs, run_logs},
    Verb{"cron list", k_show, Where::host, "the crontab of a site, and when its entries are due",
        k_by_site, run_cron_list},
    Verb{"cron history", k_show, Where::host, "the runs of a site's crontab, the newest first",
        k_cron_history, run_cron_history},
    Verb{"audit", k_show, Where::host, "who did what", k_audit, run_audit},
    Verb{"audit verify", k_show, Where::host, "prove that the audit trail was not changed",
        k_audit_verify, run_audit_verify},
    Verb{"doctor", k_show, Where::host, "all that this host needs, each with what to do", k_doctor,
        run_doctor},
    Verb{"ping", k_show, Where::host, "does chillboxd answer", k_ping, run_ping},

    Verb{"rollback", k_act, Where::host, "go back to a release that was good", k_rollback,
        run_rollback},
    Verb{"restart", k_act, Where::host, "start anew, without a gap", k_restart, run_restart},
    Verb{"stop", k_act, Where::host, "stop serving", k_by_target, run_stop},
    Verb{"start", k_act, Where::host, "serve again", k_by_target, run_start},
    Verb{"maintenance on", k_act, Where::host, "answer every visitor of a site with 503 and a page",
        k_maintenance_on, run_maintenance_on},
    Verb{"maintenance off", k_act, Where::host, "let visitors in again", k_by_site,
        run_maintenance_off},
    Verb{"cron run", k_act, Where::host, "run an entry of a site's crontab now", k_cron_run,
        run_cron_run},
    Verb{"remove", k_act, Where::host, "take a site off the host", k_remove, run_remove},
    Verb{"retry", k_act, Where::host, "run a failed or held job again", k_retry, run_retry},
    Verb{"hold", k_act, Where::host,
        "refuse deploys of a site, and all that comes by webhook, for a while", k_hold, run_hold},
    Verb{"release-hold", k_act, Where::host, "end a hold", k_by_site, run_release_hold},
    Verb{"withdraw", k_act, Where::host, "mark a release as never good again", k_withdraw,
        run_withdraw},
    Verb{"secrets withdraw", k_act, Where::host, "never use old secret sets again",
        k_secrets_withdraw, run_secrets_withdraw},
    Verb{"prune", k_act, Where::host, "remove now what is old", k_prune, run_prune},
    Verb{"reload", k_act, Where::host, "let chillboxd read the webhook keys again", {}, run_reload},
    Verb{"upgrade", k_act, Where::host,
        "let the chillboxd that is installed now take over, without sealing the host", {},
        run_upgrade},
};

} // namespace

std::span<const Verb> verbs() {
  return k_verbs;
}
std::span<const Option> common_options() {
  return k_common;
}
std::span<const Option> remote_options() {
  return k_remote;
}

const Verb* find_verb(std::string_view name) {
  for (const Verb& verb : k_verbs)
    if (verb.name == name)
      return &verb;
  return nullptr;
}

} // namespace chillbox::cli
