// The verbs of the control socket: functions of a call, in one table a file. A new verb is its
// function, its row in that file's table, and its answer in control/messages.hpp.
#pragma once

#include "backup/backups.hpp"
#include "backup/restored.hpp"
#include "control/backups.hpp"
#include "control/control.hpp"
#include "control/messages.hpp"
#include "control/notices.hpp"
#include "control/period.hpp"
#include "cron/scheduler.hpp"
#include "daemon/change_notifier.hpp"
#include "daemon/control_limits.hpp"
#include "rollout/engine.hpp"
#include "rollout/facts.hpp"
#include "rollout/host_context.hpp"
#include "rollout/known_releases.hpp"
#include "store/hours.hpp"

#include <nlohmann/json.hpp>

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <vector>

namespace chillbox::daemon {

// Certificates, by the name of their site or k_host_certificate.
struct CertificateRequests {
  using Certificate = control::Certificate;
  // Of each live site and of the host's own name.
  std::function<Result<std::vector<Certificate>>()> all = [] { return std::vector<Certificate>{}; };
  std::function<Result<control::CertificateCheck>(const std::string&)> check = {};
  // throttled: not before the time that it names; preflight: the host is not reached under the
  // names. A trial at the CA's staging service has ended when this returns, an order has only
  // begun.
  std::function<Result<control::CertificateRenewal>(const std::string&, bool staging)> renew = {};
  std::function<Result<Certificate>(const std::string&)> revoke = {};
  std::function<Result<control::AcmeAccount>()> account = {};
  std::function<void()> unlocked = {}; // keys in memory can be opened
};

struct BackupRequests {
  std::function<Result<control::Backup>(const SiteName&)> create = {};
  std::function<Result<control::Backup>(const SiteName&)> verify = {};
  std::function<Result<std::vector<control::BackupState>>()> states = {};
  std::function<Result<control::BackupList>(const std::optional<SiteName>&)> list = {};
  std::function<void()> unlocked = {}; // proofs that are due can be made
  std::function<Result<control::Backup>(const SiteName&, std::optional<uint64_t> serial)> find = {};
  backup::PutBack put_back = {};
  std::function<Result<backup::Backups::Opened>(const control::Backup&)> open = {};
  std::function<Result<control::Backup>(
      const backup::Backups::Carried&, const backup::Backups::Receive&)>
      take_in = {};
};
struct RolloutRequests {
  std::function<Result<control::OrderTaken>(const SiteName&, const std::string& text)> take = {};
  std::function<Result<std::vector<control::OrderedRollout>>(
      const std::function<bool(const SiteName&)>& wanted)>
      all = {};
  std::function<Result<void>(const SiteName&, const control::RolloutStop&)> stop = {};
  std::function<Result<void>(const SiteName&)> resume = {};
  std::function<bool()> has_engine = [] { return false; };
};
struct NoticeRequests {
  std::function<void()> look = {}, refresh = {};
  std::function<Result<std::vector<control::NotifyTarget>>()> targets = {};
  std::function<Result<control::NotifyTested>(const std::string&)> test = {};
  std::function<Result<control::NotifyRetried>(const std::string&)> retry = {};
};

// What the monitor does when a verb asks for it.
struct MonitorRequests {
  std::function<Result<void>()> reload, upgrade;
  // NGINX as the roster of the fleet says.
  std::function<Result<void>()> traffic = [] { return Result<void>{}; };
  std::function<uint64_t()> refused_webhooks = {}, refused_uploads = {}; // since the start
  CertificateRequests certificates = {};
  BackupRequests backups = {};
  NoticeRequests notices = {};
  RolloutRequests rollouts = {};
  std::function<Result<std::shared_ptr<const rollout::Facts>>()> facts = {};
  std::function<uint64_t()> series_max = {};                        // of metrics
  std::function<Result<std::vector<store::SiteHour>>()> hours = {}; // of the last week
};

// By which socket: operators, who are users of this host; people, who come in by ssh.
enum class Door { operators, people };

struct Visit { // a connection
  Fd fd;
  uid_t uid; // of a person: one that no user has (control_server.cpp)
  bool follows = false;
  Door door = Door::operators;
};

// What all calls share.
struct ControlState {
  rollout::HostContext& host;
  rollout::Engine& engine;
  cron::Scheduler& scheduler;
  ChangeNotifier& changes;
  rollout::KnownReleases& known;
  MonitorRequests monitor;
  std::function<void(const std::string& actor)> record_keys = {};
  // His connections are cut, but for this one.
  std::function<void(const std::string& name, int but)> hang_up_person = {};
  os::Millis started = host.clock.mono();
  ControlLimits limits = {};
  std::timed_mutex unlocking = {}, planning = {};
  std::mutex mutex = {};               // of the next four
  std::set<uid_t> sending = {};        // an artifact for a plan
  std::set<std::string> bringing = {}; // actors whose artifact comes for a deploy
  std::vector<std::string> warnings = {};
  std::string not_upgraded = {};
  std::atomic<bool> stopping{false}, locked{false};
};

struct Call {
  ControlState& state;
  Visit& visit;
  std::string actor; // "uid:0 root", "person:kim"
  control::Arguments args;
  std::optional<control::Person> person = {}; // nullopt: an operator
  std::string verb = {};

  rollout::HostContext& host() const { return state.host; }
  int fd() const { return visit.fd.get(); }
};

// How a person who may only a few sites is kept to them: the verb must name one of them, itself or
// by a job of it; or its function looks at may_see().
enum class Reach { named_site, filtered };

struct ControlVerb {
  std::string_view name;
  Result<std::string> (*run)(const Call&); // control::answer_text()
  bool audited = false;                    // jobs write their own entry when they end
  // What a person needs to be for it; nullopt: it is for operators alone.
  std::optional<control::Role> people = {};
  Reach reach = Reach::named_site;
};
// A function that returns a message, as a verb.
template <auto function> Result<std::string> answer(const Call& call) {
  return control::answer_text(call.verb, TRY(function(call)));
}

const ControlVerb* find_verb(std::string_view name); // control_server.cpp; nullptr: there is none
std::span<const ControlVerb> query_verbs();          // control_query.cpp: what they only show
std::span<const ControlVerb> job_verbs();            // control_jobs.cpp: orders, lock and unlock
std::span<const ControlVerb> admin_verbs(); // control_admin.cpp: what keeps the host in order
std::span<const ControlVerb> plan_verbs();
std::span<const ControlVerb> deploy_verbs();
std::span<const ControlVerb> cron_verbs();
std::span<const ControlVerb> tls_verbs();
std::span<const ControlVerb> backup_verbs();
std::span<const ControlVerb> restore_verbs();
std::span<const ControlVerb> people_verbs();
std::span<const ControlVerb> drain_verbs();
std::span<const ControlVerb> fleet_verbs(); // control_fleet.cpp
std::span<const ControlVerb> log_verbs();
std::span<const ControlVerb> notice_verbs();
std::span<const ControlVerb> metrics_verbs();
std::span<const ControlVerb> top_verbs();

// --- what several of them use
Result<std::string> required(const std::optional<std::string>& argument, std::string_view name);
Result<SiteName> site_of(const Call& call);
size_t limit_of(const Call& call); // rows
control::Period period_of(const Call& call);
// Of a site's name; operators see all.
bool may_see(const Call& call, std::string_view site);
// denied: neither root nor an admin.
Result<void> require_admin(const Call& call, std::string_view what);
// not_found: no such site.
Result<store::SiteRow> known_site(const Call& call, const SiteName& site);
// Before it waits for what may take for ever, each time. unreachable: the caller is gone, or the
// daemon stops; busy: he follows too much.
Result<void> may_wait(const Call& call, const std::string& what);
// To who asked, before the answer.
Result<void> send_event(const Call& call, const control::Json& event);
// Before it is in the store: who loses the connection can ask for it by its id.
Result<void> name_job(const Call& call, const store::Job& job);
// Tells the engine of a job that is in the store already; then sends its events, unless the caller
// does not wait for its end.
Result<control::JobAnswer> submit(const Call& call, const store::Job& job);
// Sends the job's events, and waits for more of them until it has ended when asked to. as_error:
// the error of a job that failed is the answer.
Result<control::JobAnswer> follow(
    const Call& call, const std::string& id, bool to_the_end, bool as_error);
// Of an artifact that comes in: never into the reserve of the disk (no_space), whatever else is
// written meanwhile.
Result<void> append(int fd, std::string_view bytes, uint32_t reserve_percent);
// How long a user still has to wait after so many wrong passphrases.
int64_t unlock_wait_ms(const rollout::HostContext& host, const store::Store::Attempts& attempts);

} // namespace chillbox::daemon
