#include "daemon/control_server.hpp"

#include "base/guarded.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "crypto/hash.hpp"
#include "daemon/key_record.hpp"
#include "daemon/people.hpp"
#include "os/host_layout.hpp"
#include "os/memory.hpp"
#include "os/socket.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <memory>

namespace chillbox::daemon {

using control::Json;

namespace {

constexpr std::chrono::milliseconds k_first_frame{10'000};
constexpr os::Millis k_quiet{1'000};
constexpr os::Millis k_last_words{2'000}; // at the end: for followers to hear of it

// One that went away must not hold its place for as long as nothing happens; what it has sent and
// nobody reads is no sign of life.
bool has_gone(int fd) {
  pollfd one{fd, POLLRDHUP, 0};
  return ::poll(&one, 1, 0) > 0;
}

} // namespace

const ControlVerb* find_verb(std::string_view name) {
  for (const auto verbs : {query_verbs(), job_verbs(), admin_verbs(), plan_verbs(), deploy_verbs(),
           cron_verbs(), tls_verbs(), backup_verbs(), restore_verbs(), people_verbs(),
           drain_verbs(), fleet_verbs(), log_verbs(), notice_verbs(), metrics_verbs(), top_verbs()})
    if (const auto it = std::ranges::find(verbs, name, &ControlVerb::name); it != verbs.end())
      return &*it;
  return nullptr;
}

ControlServer::ControlServer(rollout::HostContext& host, rollout::Engine& engine,
    cron::Scheduler& scheduler, ChangeNotifier& changes, rollout::KnownReleases& known,
    MonitorRequests monitor)
    : m_state{host, engine, scheduler, changes, known, std::move(monitor),
          [this](const std::string& actor) { record_keys(actor); },
          [this](const std::string& name, int but) { hang_up_person(name, but); }} {}

ControlServer::~ControlServer() {
  stop();
  for (const os::Millis end = m_state.host.clock.mono() + k_last_words;
      !idle() && m_state.host.clock.mono() < end;)
    m_state.changes.wait(m_state.changes.count(), os::Millis{20});
  hang_up();
}

void ControlServer::hang_up() {
  const std::lock_guard lock(m_mutex);
  for (const auto& [fd, person] : m_open)
    ::shutdown(fd, SHUT_RDWR);
}

void ControlServer::hang_up_person(const std::string& name, int but) {
  const std::lock_guard lock(m_mutex);
  for (const auto& [fd, person] : m_open)
    if (person == name && fd != but)
      ::shutdown(fd, SHUT_RDWR);
}

void ControlServer::stop() {
  m_state.stopping = true;
  m_state.changes.notify();
}

void ControlServer::not_upgraded(std::string why) {
  warn(cat("the upgrade failed: ", why));
  const std::lock_guard lock(m_state.mutex);
  m_state.not_upgraded = std::move(why);
}

void ControlServer::record_keys(const std::string& actor) {
  const std::lock_guard lock(m_recording);
  if (const auto done = daemon::record_keys(
          m_state.host.store, m_state.host.paths, m_state.host.clock.wall_ms(), actor);
      !done)
    log::warn(cat("changed keys are not in the audit trail: ", done.error().message));
}

// Nobody may push others' entries out of the trail by knocking: one entry an hour for each user,
// and for so many users.
bool ControlServer::is_news(uid_t uid) {
  constexpr os::Millis k_again{3'600'000}; // refused users are named so often at most
  constexpr size_t k_most_users = 256;
  const os::Millis now = m_state.host.clock.mono();
  const std::lock_guard lock(m_recording);
  const auto known = m_refused.find(uid);
  if (known == m_refused.end() ? m_refused.size() >= k_most_users : now - known->second < k_again)
    return false;
  m_refused[uid] = now;
  return true;
}

bool ControlServer::idle() {
  return m_threads.size() == 0;
}

void ControlServer::warn(std::string text) {
  const std::lock_guard lock(m_state.mutex);
  auto& warnings = m_state.warnings;
  if (std::ranges::find(warnings, text) == warnings.end())
    warnings.push_back(std::move(text));
}

void ControlServer::take(Fd connection, Door door) {
  const auto peer = os::peer_of(connection.get());
  if (!peer)
    return;
  auto taken = m_state.limits.enter(peer->uid);
  if (taken) {
    const auto visit =
        std::make_shared<Visit>(Visit{.fd = std::move(connection), .uid = peer->uid, .door = door});
    {
      const std::lock_guard lock(m_mutex);
      m_open[visit->fd.get()] = "";
    }
    taken = m_threads.start("a control connection", [this, visit] {
      (void)guarded("a control connection", [&] { converse(*visit); });
      leave(*visit);
    });
    if (taken)
      return;
    (void)control::write_frame(visit->fd.get(), control::error_text(taken.error()));
    return leave(*visit);
  }
  (void)control::write_frame(connection.get(), control::error_text(taken.error()));
}

void ControlServer::converse(Visit& visit) {
  const auto text = control::read_frame(visit.fd.get(), k_first_frame);
  if (!text)
    return;
  const auto result = guarded("a control verb", [&] { return dispatch(visit, *text); });
  (void)control::write_result(
      visit.fd.get(), result ? control::result_text(*result) : control::error_text(result.error()));
}

void ControlServer::leave(Visit& visit) {
  {
    const std::lock_guard lock(m_mutex);
    m_open.erase(visit.fd.get());
  }
  visit.fd.reset();
  m_state.limits.leave(visit.uid, visit.follows);
  m_trim_at = (m_state.host.clock.mono() + k_quiet).count();
}

std::optional<os::Millis> ControlServer::trim_due() const {
  const int64_t at = m_trim_at;
  return at == 0 ? std::nullopt : std::optional(os::Millis{at});
}

// While a job runs its end does it.
void ControlServer::trim_if_due() {
  const auto due = trim_due();
  if (!due || m_state.host.clock.mono() < *due)
    return;
  m_trim_at = 0;
  if (m_state.engine.running() == 0)
    os::trim_memory();
}

namespace {

// What a verb was asked with, as the command line has it: the site and the reason have a place of
// their own in the trail, and what only says how long to wait or how much to show is not in it.
std::string asked_for(const control::Arguments& args) {
  using A = control::Arguments;
  constexpr std::pair<const char*, std::optional<bool> A::*> k_flags[] = {
      {"--allow-downgrade", &A::allow_downgrade}, {"--allow-jump", &A::allow_jump},
      {"--no-watch", &A::no_watch}, {"--purge", &A::purge}, {"--during-hold", &A::during_hold},
      {"--dry-run", &A::dry_run}, {"--staging", &A::staging}, {"--revoke", &A::revoke}};
  std::vector<std::string> words;
  for (const auto member : {&A::job, &A::service, &A::version, &A::name, &A::message})
    if (const auto& value = args.*member; value && !value->empty())
      words.push_back(printable(*value, 200));
  for (const auto member : {&A::number, &A::serial})
    if (args.*member)
      words.push_back(std::to_string(*(args.*member)));
  if (args.role)
    words.push_back(cat("--role ", printable(*args.role, 20)));
  if (args.sites)
    words.push_back(cat("--sites ", printable(join(*args.sites, ","), 500)));
  for (const auto& [word, member] : k_flags)
    if ((args.*member).value_or(false))
      words.emplace_back(word);
  return join(words, " ");
}

} // namespace

Result<void> ControlServer::admit_operator(const os::Peer& peer, const std::string& actor) {
  if (m_state.host.paths.testing() || os::peer_in_group(peer, std::string(os::k_admin_group)))
    return {};
  log::warn(cat("control: refused ", peer.name(), ": not root and not in group chillbox-admin"));
  if (is_news(peer.uid))
    (void)m_state.host.store.audit({0, m_state.host.clock.wall_ms(), actor, "control", "",
        "not root and not in group chillbox-admin", "denied"});
  return fail(Code::denied,
      cat(peer.name(), " may not control chillbox: root or a member of group chillbox-admin may"));
}

// The connection has the person's name before his file is read: who removes him takes the file away
// first, and then cuts what has the name. For what is counted for each user, he is one that no user
// is.
Result<control::Person> ControlServer::admit_person(
    Visit& visit, const os::Peer& peer, const std::string& name) {
  constexpr uid_t k_people = 0x8000'0000;
  const auto& paths = m_state.host.paths;
  const auto user = os::find_user(std::string(os::k_ssh_user));
  if (!paths.testing() && (!user || peer.uid != user->uid))
    return fail(Code::denied, cat(peer.name(), " is not ", os::k_ssh_user));
  {
    const std::lock_guard lock(m_mutex);
    m_open[visit.fd.get()] = name;
  }
  crypto::Sha256 sha;
  sha.update(bytes_of(name));
  const auto hash = sha.finish();
  const uid_t as = k_people | static_cast<uid_t>(hash[0]) << 16 | static_cast<uid_t>(hash[1]) << 8 |
      static_cast<uid_t>(hash[2]);
  TRY(m_state.limits.become(visit.uid, as));
  visit.uid = as;
  auto person = load_person(paths, name);
  if (person)
    return person;
  log::warn(cat("control: refused person:", printable(name, 64), ": ", person.error().message));
  return fail(Code::denied,
      cat("'", printable(name, 64), "' may not use this host: an admin of it adds people with ",
          "chillboxctl people add"));
}

Result<Call> ControlServer::admit(Visit& visit, control::Arguments args) {
  const auto peer = TRY(os::peer_of(visit.fd.get()));
  if (visit.door == Door::operators) {
    std::string actor = cat("uid:", peer.uid, " ", peer.name());
    return Call{m_state, visit, std::move(actor), std::move(args)};
  }
  const std::string name = TRY(required(args.person, "person"));
  auto person = TRY(admit_person(visit, peer, name));
  return Call{m_state, visit, cat("person:", person.name), std::move(args), std::move(person)};
}

// From the table and the person's file alone.
Result<void> ControlServer::check_right(const Call& call, const ControlVerb& verb) {
  if (!call.person)
    return {};
  const auto refuse = [&](const std::string& why) {
    log::warn(cat("control: refused ", call.actor, ": ", verb.name, ": ", why));
    if (is_news(call.visit.uid))
      (void)m_state.host.store.audit(
          {0, m_state.host.clock.wall_ms(), call.actor, std::string(verb.name), "", why, "denied"});
    return fail(Code::denied, why);
  };
  const control::Person& person = *call.person;
  if (!verb.people)
    return refuse(cat("nobody may ", verb.name, " by ssh as ", os::k_ssh_user, ": root may"));
  if (person.role < *verb.people)
    return refuse(cat(person.name, " may ", control::name(person.role), ", and ", verb.name,
        " needs ", control::name(*verb.people), ": ask an admin of this host"));
  if (person.sites.empty())
    return {};
  const std::string site = call.args.site.value_or("");
  if (call.args.job) { // whatever site is named beside it
    const auto job = TRY(m_state.host.store.job(*call.args.job));
    if (!job || !may_touch(person, job->site.str()))
      return fail(Code::not_found, cat("no job '", printable(*call.args.job, 40), "'"));
  }
  if (site.empty() && (verb.reach == Reach::filtered || call.args.job))
    return {};
  if (!may_touch(person, site))
    return refuse(cat(person.name, " may nothing of '", printable(site, 40), "', only of ",
        join(person.sites, ", "), ": ask an admin of this host"));
  return {};
}

Result<std::string> ControlServer::dispatch(Visit& visit, const std::string& text) {
  const auto peer = TRY(os::peer_of(visit.fd.get()));
  if (visit.door == Door::operators) // before anything is said of what was asked
    TRY(admit_operator(peer, cat("uid:", peer.uid, " ", peer.name())));
  auto request = TRY(control::parse_request(text));
  Call call = TRY(admit(visit, std::move(request.args)));
  call.verb = std::move(request.verb);
  const ControlVerb* row = find_verb(call.verb);
  if (row == nullptr)
    return fail(Code::invalid, cat("request: no verb '", printable(call.verb, 60), "'"));
  TRY(check_right(call, *row));
  auto result = row->run(call);
  if (!result && result.error().code == Code::interrupted && m_state.stopping) // by nobody's Ctrl-C
    result = fail(Code::unreachable, "the daemon stops, and this is not done: run it again");
  if (row->audited)
    record(call, result);
  return result;
}

void ControlServer::record(const Call& call, const Result<std::string>& result) {
  auto& store = m_state.host.store;
  const Json answer = control::parse_json(result.value_or("{}"), control::k_max_control_answer)
                          .value_or(Json::object());
  const auto answered = [&](std::string_view member) {
    return control::string_or(answer, member, "");
  };
  const Json run = answer.contains("run") ? answer["run"] : Json::object();
  std::string site = call.args.site.value_or(answered("site"));
  if (site.empty())
    site = control::string_or(run, "site", "");
  if (const auto job = store.job(call.args.job.value_or("")); site.empty() && job && *job)
    site = (*job)->site.str();
  const std::string asked = asked_for(call.args);
  std::string text = result ? call.args.why.value_or(answered("to")) : result.error().message;
  if (text.empty())
    text = control::string_or(run, "line", "");
  (void)store.audit({0, m_state.host.clock.wall_ms(), call.actor, call.verb, site,
      cat(asked, asked.empty() || text.empty() ? "" : ": ", text),
      std::string(result ? "ok" : code_name(result.error().code))});
}

Result<std::string> required(const std::optional<std::string>& argument, std::string_view name) {
  if (!argument)
    return fail(Code::invalid, cat(name, ": must be a string, and is missing"));
  return *argument;
}

Result<SiteName> site_of(const Call& call) {
  return SiteName::parse(TRY(required(call.args.site, "site")));
}

bool may_see(const Call& call, std::string_view site) {
  return !call.person || may_touch(*call.person, site);
}

Result<void> require_admin(const Call& call, std::string_view what) {
  if (call.person ? call.person->role == control::Role::admin
                  : call.visit.uid == 0 || call.host().paths.testing())
    return {};
  return fail(Code::denied,
      cat(what, " needs an admin of this host, or root: chillboxctl people list names the admins"));
}

size_t limit_of(const Call& call) {
  constexpr size_t k_few = 20, k_most = 1000;
  return std::min<size_t>(call.args.limit.value_or(k_few), k_most);
}

control::Period period_of(const Call& call) {
  constexpr uint64_t k_end = std::numeric_limits<int64_t>::max();
  const auto ms = [&](const std::optional<uint64_t>& asked, uint64_t otherwise) {
    return static_cast<int64_t>(std::min(asked.value_or(otherwise), k_end));
  };
  return {.since_ms = ms(call.args.since_ms, 0), .until_ms = ms(call.args.until_ms, k_end)};
}

Result<store::SiteRow> known_site(const Call& call, const SiteName& site) {
  auto row = TRY(call.host().store.site(site));
  if (!row)
    return fail(Code::not_found, cat("no site '", site.str(), "' on this host"));
  return std::move(*row);
}

Result<void> send_event(const Call& call, const control::Json& event) {
  return control::write_frame(call.fd(), control::event_text(event));
}

Result<void> may_wait(const Call& call, const std::string& what) {
  if (call.state.stopping)
    return fail(Code::unreachable, cat("the daemon stops", what));
  if (has_gone(call.fd()))
    return fail(Code::unreachable, "the caller has closed the connection");
  if (call.visit.follows)
    return {};
  if (auto followed = call.state.limits.follow(call.visit.uid); !followed)
    return fail(followed.error().code, cat(followed.error().message, what));
  call.visit.follows = true;
  return {};
}

} // namespace chillbox::daemon
