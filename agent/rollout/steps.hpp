// The steps (rollout.hpp has the table). Each run_ is safe to repeat; each undo_ copes with a step
// that never began.
#pragma once

#include "os/port.hpp"
#include "rollout/job_context.hpp"
#include "secrets/load.hpp"

#include <cstdint>
#include <set>
#include <string>

namespace chillbox::rollout {

// intake.cpp: from a digest to checked plaintext in tmpfs
Result<Next> run_obtain(JobContext& r);
Result<Next> run_verify(JobContext& r);
Result<Next> run_unseal(JobContext& r);
Result<Next> run_unseal_all(JobContext& r); // and the site's secrets
Result<Next> run_stage(JobContext& r);
void undo_stage(JobContext& r);
Result<void> unpack(JobContext& r); // with the file key, and r.site read
// The signature that a job goes by: what was uploaded for this job, else the one that is kept for
// the artifact, which held when it was kept. "" : none yet. No upload replaces what is kept: it
// takes its place only behind a verification.
std::string signature_of(HostContext& host, const store::Job& job);
std::string uploaded_signature(
    const HostContext& host, const Digest& digest, const std::string& job);
// preflight.cpp
Result<Next> run_preflight(JobContext& r);
// All that speaks against the release that is staged; changes nothing but r.services and r.row.
std::vector<std::string> preflight_problems(JobContext& r);
// capacity.cpp
struct Capacity {
  uint64_t bytes = 0, entries = 0; // of the release
  uint64_t reserve = 0;            // bytes of the disk that stay free
  os::Space space;
  uint64_t memory =
      0; // of the second copies: their limits, else what the first ones take; 0: not known
  std::optional<uint64_t> memory_available;
  uint64_t bytes_needed() const { return bytes * 2 + reserve; }
  uint64_t entries_needed(uint32_t reserve_percent) const;
};
Capacity capacity_of(JobContext& r, const std::string& tree);
std::vector<std::string> capacity_problems(
    const Capacity& capacity, const os::Paths& paths, uint32_t reserve_percent);
// install.cpp: from tmpfs to a sealed release directory
Result<Next> run_install(JobContext& r);
void undo_install(JobContext& r);
Result<void> put_tree(JobContext& r); // from the stage, which is empty then, to its place. corrupt:
                                      // it is not what was unpacked and checked
// build.cpp
Result<Next> run_build(JobContext& r);
Result<void> build_tree(JobContext& r); // and seal it
// What speaks against publishing this folder: a link out of it.
std::optional<std::string> published_problem(HostContext& host, const std::string& dir);
Result<void> migrate(JobContext& r, const PlannedService& p); // its release_command, if it has one
// again.cpp: releases in memory only
Result<void> mount_release(JobContext& r); // of a release in memory: mounted, and empty
Result<void> unmount_release(
    HostContext& host, const SiteName& site, const std::string& id); // of one on the disk: nothing
Result<void> remove_release(HostContext& host, const SiteName& site, const std::string& id);
// It was in memory and the host was started since: its place is empty. One whose place is gone,
// too, was removed by somebody.
bool needs_rebuild(HostContext& host, const store::Release& release);
// When r.release is gone, from its artifact. sealed: the vault is closed; not_found, corrupt: there
// is no such artifact any more.
Result<void> rebuild_release(JobContext& r);
// target.cpp: releases that are there already
Result<Next> run_select(JobContext& r);
Result<Next> run_restore_secrets(JobContext& r);
void undo_restore_secrets(JobContext& r);
Result<Next> run_current(JobContext& r);
Result<Next> run_replace_secrets(JobContext& r);
void undo_replace_secrets(JobContext& r);
// slots.cpp
Result<Next> run_start(JobContext& r);
void undo_start(JobContext& r);
Result<Next> run_check(JobContext& r);
Result<Next> run_stop(JobContext& r);
// handover.cpp
Result<Next> run_stop_first(JobContext& r);
void undo_stop_first(JobContext& r);
// Is this a service that must not run twice, and does its old copy run?
bool must_stop_first(const JobContext& r, const PlannedService& p);
// What is away since the handover is back: the job remembers for how long it was.
void end_downtime(JobContext& r);
// The services of an installed release that must not run twice; none when it cannot be read.
std::set<std::string> stop_first_services(
    HostContext& host, const SiteName& site, const std::string& release);
// Before the live release is brought up: what a crash in a handover left in the other slot.
Result<void> stop_second_copies(
    HostContext& host, const config::Site& site, const store::Release& release);
// traffic.cpp
Result<Next> run_configure(JobContext& r);
Result<Next> run_switch(JobContext& r);
void undo_switch(JobContext& r);
Result<Next> run_reload(JobContext& r);
void undo_reload(JobContext& r);
// immutable.cpp
// SITE/immutable/NAME/HASH links to the files of a release that is on the disk, for all that any of
// them has: pages of an earlier release keep what they name for as long as it is kept. Those in
// `leaving` do not count: they are about to be removed.
Result<void> link_immutable(
    HostContext& host, const SiteName& site, const std::set<std::string>& leaving = {});
// compat.cpp
// Where templates written for the original look for files: /srv/SITE/root and
// /usr/local/src/SITE/NAME/frozen, links into the live release.
Result<void> make_legacy_links(
    HostContext& host, const config::Site& site, const std::vector<PlannedService>& services);
Result<void> remove_legacy_links(HostContext& host, const SiteName& site);
// watch.cpp
Result<Next> run_watch(JobContext& r);
// answers.cpp: what the site's own services answered to visitors (nginx::answers_log). Visitors
// choose what is asked, so it proves nothing alone.
struct Answers {
  uint64_t all = 0, bad = 0; // bad: 5xx
  uint64_t bad_percent() const { return all == 0 ? 0 : bad * 100 / all; }
};
class AnswerLog {
public:
  explicit AnswerLog(std::string file) : m_file(std::move(file)) {}
  // Reads on from where it was. Those whose requests began from `since` to `until` (milliseconds
  // since 1970) are counted into `into`.
  void count(os::Disk& disk, int64_t since, int64_t until, Answers& into);

private:
  std::string m_file;
  uint64_t m_at = 0;
};
// By how much more than before answers are bad: so much that it is worth a word, and a look of our
// own.
bool is_worse(const Answers& now, const Answers& before);
// retire.cpp
Result<Next> run_retire(JobContext& r);
Result<Next> run_remove(JobContext& r);

// permit.cpp: before each step until the switch is behind it. denied: whoever asked for the job may
// not any more.
Result<void> permit(JobContext& r, std::string_view step);

// What several of them need.
// busy, with who, when and why, while the site is held: against deploys, and against all that comes
// by a webhook.
Result<void> check_hold(HostContext& host, const SiteName& site);
// Of a daemon that is gone. True: its release is live, it goes on behind the switch. False: all is
// as before the job, which is queued again.
bool recover_job(HostContext& host, const store::Job& job, const JobControl& whole);
// The site's own user, made when it is not there.
Result<os::User> site_user(HostContext& host, const SiteName& site);
// Puts the secret set of this digest into tmpfs ("" wipes). sealed when the vault is closed.
Result<void> load_secret_set(HostContext& host, const SiteName& site, const std::string& sha256);
// The site's own, when it is not there and the vault is open.
Result<void> load_current_set(HostContext& host, const SiteName& site);
// Reads SITE.site.json of an installed release and finds the handler of each of its services.
Result<void> load_release(JobContext& r);
Result<std::vector<PlannedService>> plan_services(HostContext& host, const config::Site& site);
openrc::SlotName slot_name(
    const config::Site& site, const PlannedService& p, Slot slot, uint32_t index);
std::string slot_socket(
    HostContext& host, const config::Site& site, const PlannedService& p, Slot slot);
// Root's, as all in it; a link that is there is none of the agent's and goes.
Result<void> make_socket_dir(HostContext& host, const SiteName& site);
// The services' live links point to `slot`, `current` to `release`. Links of services that the site
// does not have any more go.
Result<void> point_links(HostContext& host, const config::Site& site,
    const std::vector<PlannedService>& services, const store::Release& release);
Result<std::string> render(HostContext& host, const config::Site& site,
    const std::vector<PlannedService>& services, const store::Release& release);
// The same of a tree that is not installed yet, its templates are read there.
Result<std::string> render_from(HostContext& host, const config::Site& site,
    const std::vector<PlannedService>& services, const std::string& version,
    const std::string& tree);
// Starts every service (and worker) of the release in its slot; those in `skip` not (they wait for
// secrets).
Result<void> start_slots(HostContext& host, const config::Site& site,
    const std::vector<PlannedService>& services, const store::Release& release,
    const os::User& user, const std::vector<std::string>& skip);
void drain(JobContext& r, Slot slot);
inline constexpr os::Millis k_stop_grace{30'000};
// How long a copy of a release that is given up may take to end. It had no visitors before the
// switch, so it has nothing to finish, and with stop-first the site is away until it is gone; a
// worker may have taken something from a queue.
os::Millis grace_of_undone(const JobContext& r, const openrc::SlotName& name);
// Until the new copy answers health.count times in a row. unhealthy: it crashes, or health.deadline
// is over.
Result<void> wait_healthy(JobContext& r, const PlannedService& p);
// What the new slots wrote since they were started, once, into the job's log and the release's row.
void keep_last_lines(JobContext& r);
Result<void> stop_slots(HostContext& host, const SiteName& site, Slot slot); // none: both
// command.cpp
// A command line of the site's own, for a shell that runs as its user in the live release, in the
// environment of its first service that runs (else its first worker). not_found: no live release;
// conflict: the site is stopped; sealed: a secret of any service is missing.
Result<openrc::SlotSpec> site_command(
    HostContext& host, const SiteName& site, const std::string& line);
// redis.cpp
inline constexpr std::string_view k_no_redis =
    "redis: no redis-server and no valkey-server on this host: install the package redis (Alpine: apk add "
    "redis; Debian: apt-get install redis-server)";
std::optional<std::string> redis_program(HostContext& host);
openrc::SlotName redis_slot(const SiteName& site);
bool is_redis(const openrc::SlotName& name);
std::string redis_socket(const os::Paths& paths, const SiteName& site);
bool is_redis_socket(const os::Paths& paths, const SiteName& site,
    const std::string& path); // also where it was once, among the services' sockets
std::string redis_link(
    const os::Paths& paths, const SiteName& site); // to it, where programs look for one
// When the site file has `redis`: it runs with these settings when this returns. Running so
// already: nothing is touched.
Result<void> start_redis(HostContext& host, const config::Site& site, const store::Release& release,
    const os::User& user);
Result<void> stop_redis(HostContext& host, const SiteName& site); // its data stay
// ports.cpp
// The variables of the site that its services' own PORT or CHILL_PORT refer to, with the ports of
// the planned slot. preflight: two services share one.
Result<PortVariables> port_variables(
    const config::Site& site, const std::vector<PlannedService>& services);
// Gives each service that listens on TCP, or has a variable for it, its port in this slot (kept in
// the row). free_only: a slot that is about to be started gets another one when somebody else
// listens there; else NGINX may know it already.
enum class Ports { as_they_are, free_only };
Result<void> assign_ports(HostContext& host, store::SiteRow& row,
    std::vector<PlannedService>& services, Slot slot, Ports kept = Ports::as_they_are);
// The same without a word to the store, for a look ahead.
Result<void> choose_ports(HostContext& host, store::SiteRow& row,
    std::vector<PlannedService>& services, Slot slot, Ports kept = Ports::as_they_are);
// Who listens on the slot's port, when that is none of its own processes.
std::optional<os::PortHolder> stranger_at(
    HostContext& host, uint16_t port, const openrc::SlotName& name);
std::optional<uint16_t> port_of(const store::SiteRow& row, const ServiceName& service, Slot slot);
// Another site that has this port for one of its slots.
std::optional<std::string> site_of_port(HostContext& host, uint16_t port, const SiteName& but);
// Of services whose ports were chosen: PORT or CHILL_PORT that is none or root's, a port that
// somebody else has (faults 73, 108).
std::vector<std::string> port_problems(HostContext& host, const config::Site& site,
    const std::vector<PlannedService>& services, Slot slot);
// Services that declare a secret file which is not staged: "SERVICE/FILE".
std::vector<std::string> missing_secrets(HostContext& host, const config::Site& site);
// Is this good? One probe of one service.
Result<void> probe_service(
    HostContext& host, const config::Site& site, const PlannedService& p, Slot slot);
// Until it is good, at most health.deadline.
Result<void> wait_for_probe(HostContext& host, JobControl& control, const config::Site& site,
    const PlannedService& p, Slot slot);
// The sealed flag that NGINX looks at.
Result<void> set_sealed_flag(HostContext& host, const SiteName& site, bool sealed);

} // namespace chillbox::rollout
