#include "cli/doctor/doctor.hpp"

#include "artifact/verify.hpp"
#include "cli/core/answers.hpp"
#include "cli/core/certificate_text.hpp"
#include "cli/core/daemon.hpp"
#include "cli/core/duration.hpp"
#include "cli/core/host_setup.hpp"
#include "cli/pack/encrypt_and_sign.hpp"

#include "base/text.hpp"
#include "control/full_status.hpp"
#include "nginx/nginx.hpp"
#include "os/clock.hpp"
#include "os/root_owned.hpp"

#include <sys/stat.h>

namespace chillbox::cli {
namespace {

constexpr size_t k_max_look = 1 << 20;

void look_at_config(Doctor& d) {
  const std::string file = d.paths.config_file();
  if (!d.disk.exists(file))
    return d.warn("config", cat(file, " does not exist: the defaults apply"), "chillboxctl init");
  const auto text = d.disk.read(file, k_max_look);
  const auto parsed = text ? config::parse_host_config(*text, file)
                           : Result<config::HostConfig>(std::unexpected(text.error()));
  if (!parsed)
    return d.fail("config", parsed.error().message,
        parsed.error().code == Code::denied ? "run doctor as root"
                                            : cat("edit ", file, "; chillboxd --check"));
  d.config = *parsed;
  const std::string old = d.paths.old_config_file();
  if (file == old)
    return d.warn("config", cat(file, ": this name is old"),
        cat("mv ", old, " ", d.paths.etc(), "/chillboxd.toml"));
  if (d.disk.exists(old))
    return d.warn("config", cat(old, " is not read: there is ", file), cat("rm ", old));
  d.ok("config", file);
}

void look_at_deployers(Doctor& d) {
  const auto files = artifact::read_trusted_keys(d.paths.trusted());
  for (const auto& fault : files.faults)
    d.fail("deployers", fault.message, cat("see the files in ", d.paths.trusted()));
  if (files.keys.empty() && !files.faults.empty())
    return;
  if (files.keys.empty())
    return d.warn("deployers", "nobody is trusted: no artifact will be accepted",
        "chillboxctl trust add DEPLOYER.pub");
  std::vector<std::string> names;
  for (const auto& key : files.keys)
    names.push_back(key.name);
  d.ok("deployers", join(names, ", "));
}

// What is wrong with a sender's file; "": nothing.
std::string fault_of_sender(
    Doctor& d, const std::string& name, std::vector<std::string>& rotating) {
  const std::string path = cat(d.paths.webhooks(), "/", name, ".key");
  if (const auto checked = os::check_root_owned(d.paths.webhooks(), cat(name, ".key"));
      !checked && checked.error().code == Code::denied)
    return checked.error().message;
  struct stat info{};
  if (::lstat(path.c_str(), &info) == 0 && (info.st_mode & 077) != 0)
    return cat(path, ": others may read it: chmod 0600");
  const auto text = d.disk.read(path, k_max_look);
  const auto sender = text ? config::parse_sender(*text, name)
                           : Result<config::Sender>(std::unexpected(text.error()));
  if (!sender)
    return sender.error().message;
  if (sender->keys.size() > 1)
    rotating.push_back(name);
  return "";
}

void look_at_senders(Doctor& d) {
  const auto names = names_in(d.paths.webhooks(), ".key");
  if (!names)
    return d.fail("senders", names.error().message, "run doctor as root");
  std::vector<std::string> rotating, good;
  for (const auto& name : *names)
    if (const auto fault = fault_of_sender(d, name, rotating); !fault.empty())
      d.fail("senders", fault, "chillboxctl webhook rotate, or edit the file");
    else
      good.push_back(name);
  if (good.empty() && !names->empty())
    return;
  if (names->empty())
    return d.ok("senders", "none: deploys come by ssh alone");
  if (!rotating.empty())
    return d.warn("senders", cat("two keys are valid for ", join(rotating, ", ")),
        "chillboxctl webhook rotate NAME --finish");
  d.ok("senders", join(good, ", "));
}

void look_at_identity(Doctor& d) {
  struct stat info{};
  if (::lstat(d.paths.identity().c_str(), &info) != 0)
    return d.fail("identity", cat(d.paths.identity(), " does not exist: nothing can be decrypted"),
        "chillboxctl init, or bring it back from a backup");
  if ((info.st_mode & 077) != 0)
    return d.fail("identity", cat(d.paths.identity(), ": others may read it"),
        cat("chmod 0600 ", d.paths.identity()));
  if (!d.disk.exists(d.paths.recipient()))
    return d.fail("identity", cat(d.paths.recipient(), " does not exist"), "chillboxctl init");
  d.ok("identity", d.paths.identity());
}

// Signatures that expire soon: their artifacts would then be refused.
void look_at_signatures(Doctor& d) {
  constexpr int64_t k_soon = 14 * 86'400;
  const int64_t now = os::real_clock().wall();
  std::vector<std::string> soon;
  for (const auto& name : d.disk.list(d.paths.artifacts()).value_or(std::vector<std::string>{})) {
    if (!name.ends_with(".minisig"))
      continue;
    const auto statement = read_statement(cat(d.paths.artifacts(), "/", name));
    if (statement && statement->expires && *statement->expires < now + k_soon)
      soon.push_back(cat(statement->site.str(), " ", statement->version,
          *statement->expires < now ? " has expired" : " expires", " ",
          rfc3339(*statement->expires)));
  }
  if (soon.empty())
    return d.ok("signatures", "none expires within 14 days");
  d.warn("signatures", join(soon, "; "),
      "pack again with a later --expires before it must be deployed once more");
}

void look_at_damage(Doctor& d) {
  for (const auto& name : d.disk.list(d.paths.state()).value_or(std::vector<std::string>{}))
    if (name.starts_with("state.db.damaged-") && !name.ends_with("-wal") && !name.ends_with("-shm"))
      d.warn("store", cat(d.paths.state(), "/", name, ": the store was damaged and rebuilt"),
          "see chillboxctl audit; remove the file once nobody needs it any more");
}

// What to do about a site that does not run as it should.
std::string todo_of(const control::SiteStatus& site, bool locked) {
  if (site.state == control::SiteState::sealed)
    return locked ? "chillboxctl unlock" : "send its secret set again, for this host's key";
  if (site.down.find(nginx::k_named_twice) != std::string::npos)
    return cat("deploy ", site.site,
        " with another name, or change the other one; chillboxctl upgrade reads chillboxd.toml");
  return site.state == control::SiteState::refused
      ? cat("chillboxctl releases ", site.site)
      : cat("chillboxctl logs ", site.site, "; chillboxctl restart ", site.site);
}

// "" : all of it runs.
std::string trouble_of(const control::SiteStatus& site) {
  if (!site.down.empty())
    return cat("down for visitors: ", site.down);
  std::vector<std::string> crashed;
  for (const auto& service : site.services)
    if (service.state == control::ServiceState::crashed)
      crashed.push_back(service.name);
  if (!crashed.empty())
    return cat("crashed: ", join(crashed, ", "));
  if (site.state != control::SiteState::degraded)
    return {};
  return cat("degraded", site.waiting.empty() ? "" : ": ", site.waiting);
}

void look_at_sites(Doctor& d) {
  size_t well = 0;
  if (d.status->host.drained)
    d.warn("host", "drained: load balancers send visitors elsewhere", "chillboxctl undrain");
  for (const auto& site : d.status->sites) {
    if (site.hold)
      d.warn("site", cat(site.site, ": ", hold_text(*site.hold)),
          cat("chillboxctl release-hold ", site.site));
    if (site.drained)
      d.warn("site", cat(site.site, ": drained: load balancers send visitors elsewhere"),
          cat("chillboxctl undrain ", site.site));
    if (site.distrust && !site.distrust->empty() && site.distrust != site.down)
      d.fail("site", cat(site.site, ": ", *site.distrust), cat("chillboxctl releases ", site.site));
    if (!site.warning.empty())
      d.warn("site", cat(site.site, ": ", site.warning), cat("chillboxctl releases ", site.site));
    if (const auto trouble = trouble_of(site); !trouble.empty())
      d.fail("site", cat(site.site, ": ", trouble), todo_of(site, d.status->host.sealed));
    else
      ++well;
  }
  d.ok("sites", cat(well, " of ", d.status->sites.size(), " are as they should be"));
}

void look_at_certificate(Doctor& d, const control::Certificate& c) {
  const auto trouble = trouble_text(c, os::real_clock().wall_ms());
  const std::string todo = cat("chillboxctl tls ", c.site);
  if (c.alert == control::AlertLevel::error || c.alert == control::AlertLevel::expired)
    d.fail("certificate", trouble, todo);
  else if (!trouble.empty())
    d.warn("certificate", trouble, todo);
  for (const auto& plain : plain_texts(c))
    d.warn("certificate", plain, todo);
}

void look_at_certificates(Doctor& d) {
  size_t served = 0;
  int64_t next_ms = 0;
  for (const auto& c : d.status->certificates) {
    look_at_certificate(d, c);
    served += c.not_after_ms != 0 ? 1 : 0;
    if (c.next_ms != 0 && (next_ms == 0 || c.next_ms < next_ms))
      next_ms = c.next_ms;
  }
  d.ok("certificates",
      cat(served, " of ", d.status->certificates.size(), " are served",
          next_ms == 0 ? "" : cat(", the next is looked at ", format_time(next_ms))));
}

void look_at_seal(Doctor& d) {
  if (d.status->host.unlock_wait_s > 0)
    d.warn("unlock", cat(d.status->host.unlock_failures, " wrong passphrases"),
        cat("the next try is possible in ", d.status->host.unlock_wait_s, " s"));
  if (d.status->host.sealed)
    return d.warn("lock",
        cat("the host is locked",
            d.status->host.waiting_unlock > 0
                ? cat(", ", d.status->host.waiting_unlock, " jobs wait")
                : std::string()),
        "chillboxctl unlock");
  d.ok("lock", "unlocked");
}

void look_at_trail(Doctor& d) {
  const auto proof = ask(d.paths,
      {.verb = "audit_verify",
          .args = {.newer = true}, // than what an earlier doctor has looked at
          .timeout = std::chrono::milliseconds(300'000)});
  if (!proof)
    return d.fail("audit", proof.error().message,
        "someone changed the store: compare it with a copy, and find out who was root");
  const auto read = control::read_answer<control::AuditProof>(*proof);
  d.ok("audit", cat(read ? read->entries : 0, " entries, none changed"));
}

void look_at_backups(Doctor& d, const std::vector<control::BackupState>& backups) {
  size_t proven = 0;
  for (const auto& b : backups) {
    proven += b.proven_ms != 0 ? 1 : 0;
    if (!b.stale.empty())
      d.warn("backup", cat("site '", b.site.str(), "': ", printable(b.stale, 500)),
          "chillboxctl backup create or verify shows what is wrong now");
  }
  if (!backups.empty())
    d.ok("backups", cat(proven, " of ", backups.size(), " sites have one that is proven"));
}

void look_at_fleet(Doctor& d) {
  const auto& engine = d.status->host.engine;
  if (!engine)
    return;
  const auto trouble = control::engine_trouble(*engine, os::real_clock().wall_ms());
  if (!trouble.empty())
    return d.fail("fleet", trouble, "what runs once, and rollouts, wait for it");
  d.ok("fleet", cat("its engine answers since ", rfc3339(engine->since_ms / 1000)));
}

// No reload reads it, so what was written since is not in force.
void look_at_change(Doctor& d) {
  const std::string file = d.paths.config_file();
  const int64_t started = os::real_clock().wall() - static_cast<int64_t>(d.status->host.uptime_s);
  struct stat info{};
  if (::stat(file.c_str(), &info) == 0 && info.st_mtim.tv_sec > started)
    d.warn("config",
        cat(file, " was changed after chillboxd had read it, at ", rfc3339(started),
            ": the change is not in force"),
        "chillboxctl upgrade, which keeps the host unlocked, or rc-service chillboxd restart");
}

void look_at_daemon(Doctor& d) {
  const auto answer = ask(d.paths, {.verb = "status"});
  auto status = answer ? control::read_answer<control::FullStatus>(*answer)
                       : Result<control::FullStatus>(std::unexpected(answer.error()));
  if (!status)
    return d.fail("chillboxd", status.error().message,
        "rc-service chillboxd start; its log is /var/log/chillbox/chillboxd.log");
  d.status = *status;
  const auto& host = d.status->host;
  d.ok("chillboxd", cat("version ", host.version, " answers"));
  look_at_change(d);
  d.ok("refused",
      cat(host.refused_webhooks, " webhooks, ", host.refused_uploads,
          " uploads since chillboxd started"));
  for (const auto& warning : host.warnings)
    if (!warning.starts_with("disk: ")) // looked at in its own line
      d.warn("chillboxd", warning, "this stays until the next start of chillboxd");
  look_at_seal(d);
  look_at_fleet(d);
  look_at_sites(d);
  look_at_certificates(d);
  look_at_backups(d, status->backups);
  look_at_trail(d);
}

} // namespace

void examine_state(Doctor& d) {
  look_at_config(d);
  ask_nginx(d);
  look_at_deployers(d);
  look_at_senders(d);
  look_at_identity(d);
  look_at_signatures(d);
  look_at_damage(d);
  look_at_daemon(d);
}

} // namespace chillbox::cli
