// Verbs for a laptop that connects by ssh: what it must know before it packs, and its artifact or
// secret set, which is handled as an upload of a webhook is: copied into the store under its
// digest; then a job verifies its signature. `prepare` and `prepare_fetch` end before there is a
// job: the artifact is in the store, and the answer is the plan of its deploy.
//
// An upload that broke off stays in the upload directory as ssh-ACTOR-DIGEST, so that it can be
// continued. An actor has one such part. It goes when the same actor sends something else, when
// upload_wait has passed since its last byte, and when the daemon starts.
#include "artifact/artifact_store.hpp"
#include "artifact/trusted_keys.hpp"
#include "artifact/verify.hpp"
#include "backup/archive.hpp"
#include "base/guarded.hpp"
#include "base/text.hpp"
#include "crypto/hash.hpp"
#include "crypto/minisign.hpp"
#include "daemon/control_verbs.hpp"
#include "daemon/orders.hpp"
#include "rollout/acquire.hpp"
#include "rollout/fetch.hpp"
#include "rollout/loaded_release.hpp"
#include "rollout/order.hpp"
#include "rollout/plan.hpp"
#include "rollout/roster.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

namespace chillbox::daemon {

using control::Role;

namespace {

constexpr std::chrono::milliseconds k_deploy_frame_wait{60'000};
constexpr size_t k_max_deploy_signature = 4096;
constexpr os::Millis k_plan_turn{20'000};
constexpr std::string_view k_prefix = "ssh-";

// "ssh-ACTOR-". ACTOR is a hash, because a name may contain any character.
std::string prefix_of(const Call& call) {
  return cat(k_prefix, crypto::sha256_of(bytes_of(call.actor)).str().substr(0, 16), "-");
}

std::string part_of(const Call& call, const Digest& digest) {
  return cat(call.host().paths.inbox(), "/", prefix_of(call), digest.str());
}

// Removes every part that is too old, and those of this actor except `but`.
void drop_parts(const Call& call, const std::string& but) {
  auto& host = call.host();
  const std::string dir = host.paths.inbox();
  const auto wait = std::chrono::duration_cast<std::chrono::seconds>(host.config.upload_wait);
  for (const auto& name : host.disk.list(dir).value_or(std::vector<std::string>{})) {
    const std::string path = cat(dir, "/", name);
    struct stat info{};
    if (!name.starts_with(k_prefix) || path == but || ::lstat(path.c_str(), &info) != 0)
      continue;
    const bool over = info.st_mtime + wait.count() < host.clock.wall();
    const bool open = [&] {
      const std::lock_guard lock(call.state.mutex);
      return call.state.bringing.contains(name.substr(0, prefix_of(call).size()));
    }();
    if (name.starts_with(prefix_of(call)) || (over && !open))
      (void)host.disk.remove(path);
  }
}

control::UploadState upload_of(const Call& call, const Digest& digest) {
  auto& host = call.host();
  const std::string stored = host.paths.artifact(digest);
  return {.received = host.disk.size(host.disk.exists(stored) ? stored : part_of(call, digest))};
}

std::string url_of(const Call& call, const SiteName& site, const std::string& name) {
  const int64_t now = call.host().clock.wall_ms();
  for (const auto& certificate :
      call.state.monitor.certificates.all().value_or(std::vector<control::Certificate>{}))
    if (certificate.site == site.str() && certificate.not_after_ms > now &&
        std::ranges::find(certificate.names, name) != certificate.names.end())
      return cat("https://", name);
  const auto port = call.host().config.http_port;
  return cat("http://", name, port == 80 ? "" : cat(":", port));
}

// The last one who made that release live.
std::string brought_by(const Call& call, const SiteName& site, const std::string& release) {
  constexpr size_t k_newest = 50;
  for (const auto& job :
      call.host().store.jobs(site.str(), k_newest).value_or(std::vector<store::Job>{}))
    if (job.kind == store::JobKind::deploy && job.release == release)
      return job.actor;
  return "";
}

Result<control::SiteFacts> facts_of(const Call& call, const SiteName& site) {
  auto& host = call.host();
  control::SiteFacts facts{.site = site.str()};
  facts.serial = TRY(host.store.serial(site, "site"));
  facts.secrets_serial = TRY(host.store.serial(site, "secrets"));
  facts.hold = TRY(host.store.hold(site));
  if (const auto newest = rollout::newest_order(host, site)) // a deploy needs none
    facts.order_serial = *newest;
  const auto row = TRY(host.store.site(site));
  const auto live = row ? TRY(host.store.release(site, row->live)) : std::nullopt;
  if (!live)
    return facts;
  facts.version = live->version;
  facts.release = live->id;
  facts.sha256 = live->sha256;
  facts.signer = live->signer;
  facts.live_ms = live->live_ms;
  facts.actor = brought_by(call, site, live->id);
  if (const auto loaded = rollout::load(host, *live))
    for (const auto& domain : loaded->site.domains)
      facts.names.push_back(domain);
  if (!facts.names.empty())
    facts.url = url_of(call, site, facts.names.front());
  return facts;
}

Result<control::Facts> facts(const Call& call) {
  auto& host = call.host();
  control::Facts facts{.version = CHILLBOX_VERSION,
      .server_name = host.config.server_name,
      .actor = call.actor,
      .sealed = !host.vault.unsealed(),
      .artifact_max = host.config.artifact_max,
      .http_port = host.config.http_port};
  facts.recipient = trim(host.disk.read(host.paths.recipient(), 256).value_or(""));
  facts.started_ms = host.clock.wall_ms() - (host.clock.mono() - call.state.started).count();
  facts.role = call.person ? call.person->role : control::Role::admin;
  if (call.person)
    facts.may = call.person->sites;
  const auto concerns = [&](const artifact::TrustedKey& key) { // for a site that they may see
    return key.sites.empty() ||
        std::ranges::any_of(key.sites, [&](const auto& site) { return may_see(call, site); });
  };
  const auto trusted = artifact::read_trusted_keys(host.paths.trusted());
  for (const auto& key : trusted.keys)
    if (concerns(key)) {
      std::vector<std::string> seen = key.sites;
      std::erase_if(seen, [&](const auto& site) { return !may_see(call, site); });
      facts.deployers.push_back({key.name, key.key.id(), std::move(seen)});
    }
  for (const auto& row : TRY(host.store.sites()))
    if (may_see(call, row.site.str()))
      facts.sites.push_back(row.site.str());
  facts.fleet = rollout::seat_of(host);
  facts.engine = call.state.monitor.rollouts.has_engine();
  if (const auto key = backup::public_key(host.disk, host.paths))
    facts.report_key = key->to_line();
  if (call.args.site)
    facts.site = TRY(facts_of(call, TRY(site_of(call))));
  if (call.args.sha256)
    facts.upload = upload_of(call, TRY(Digest::parse(*call.args.sha256)));
  return facts;
}

// The part as it is: it ends where it broke off.
Result<Fd> open_part(const Call& call, const Digest& digest, uint64_t offset) {
  const std::string path = part_of(call, digest);
  Fd file(::open(path.c_str(),
      O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | (offset ? 0 : O_TRUNC), 0600));
  struct stat info{};
  if (!file || ::fstat(file.get(), &info) != 0)
    return fail_errno(cat("create ", path), errno);
  if (static_cast<uint64_t>(info.st_size) != offset)
    return fail(Code::conflict,
        cat("the host has ", info.st_size, " bytes of it, and not ", offset,
            ": run the same command again"));
  return file;
}

Result<void> receive(const Call& call, artifact::Incoming& to, uint64_t size) {
  for (uint64_t offset = to.size();;) {
    const auto frame = control::read_frame(call.fd(), k_deploy_frame_wait);
    if (!frame || (frame->empty() && offset < size))
      return fail(Code::unreachable,
          cat("the upload stopped after ", offset, " of ", size,
              " bytes: run the same command again to continue from there"));
    if (frame->empty())
      return {};
    offset += frame->size();
    if (offset > size)
      return fail(Code::too_large, cat("more than the ", size, " bytes that were announced"));
    TRY(append(to.fd(), *frame, call.host().config.reserve_percent));
    to.add(bytes_of(*frame));
  }
}

Result<void> bring(const Call& call, const Digest& digest, uint64_t size) {
  auto& host = call.host();
  const uint64_t offset = call.args.after.value_or(0);
  if (size > host.config.artifact_max || offset > size)
    return fail(Code::too_large,
        cat(size, " bytes, the limit is ", host.config.artifact_max, " (limits.artifact_max)"));
  drop_parts(call, offset == 0 ? "" : part_of(call, digest));
  TRY(rollout::check_upload_room(host, call.actor, size - offset));
  auto part =
      TRY(artifact::Incoming::open(TRY(open_part(call, digest, offset)), part_of(call, digest)));
  TRY(receive(call, part, size));
  const auto stored = part.store(host.paths.artifact(digest), digest);
  if (stored || stored.error().code == Code::denied) // other bytes than were announced
    (void)host.disk.remove(part_of(call, digest));
  if (!stored)
    return within("upload", stored.error());
  return {};
}

// Marks the actor as sending something, for as long as it exists.
class Place {
public:
  Place(ControlState& state, std::string name) : m_state(state), m_name(std::move(name)) {
    const std::lock_guard lock(m_state.mutex);
    m_taken = m_state.bringing.insert(m_name).second;
  }
  ~Place() {
    const std::lock_guard lock(m_state.mutex);
    if (m_taken)
      m_state.bringing.erase(m_name);
  }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
  bool taken() const { return m_taken; }

private:
  ControlState& m_state;
  std::string m_name;
  bool m_taken = false;
};

Result<void> bring_once(const Call& call, const Digest& digest, uint64_t size) {
  const Place place(call.state, prefix_of(call));
  if (!place.taken())
    return fail(Code::busy, "another upload of yours is on its way: try again when it is through");
  if (call.host().disk.exists(call.host().paths.artifact(digest)))
    return {};
  return guarded("receive an artifact", [&] { return bring(call, digest, size); });
}

// The job is in the store when this returns.
Result<store::Job> take(const Call& call, store::JobKind kind, const std::string& version) {
  auto& host = call.host();
  const auto site = TRY(site_of(call));
  const auto digest = TRY_IN("sha256", Digest::parse(TRY(required(call.args.sha256, "sha256"))));
  const std::string signature = TRY(required(call.args.signature, "signature"));
  if (signature.size() > k_max_deploy_signature)
    return fail(Code::too_large, cat("signature: more than ", k_max_deploy_signature, " bytes"));
  TRY(rollout::check_hold(host, site));
  const rollout::ArtifactHolds::Hold kept(host.artifact_holds, digest.str());
  TRY(bring_once(call, digest, call.args.number.value_or(0)));
  auto job = new_job(host, kind, site, call.actor);
  job.version = version;
  job.sha256 = digest.str();
  job.size = call.args.number.value_or(0);
  job.options.no_watch = call.args.no_watch.value_or(false);
  TRY(host.disk.write(rollout::uploaded_signature(host, digest, job.id), signature, 0600));
  TRY(name_job(call, job));
  TRY(host.store.add_job(job));
  return job;
}

// Fetches from the sources that this host names, and says what it is waiting for.
Result<void> fetch_once(const Call& call, const Digest& digest, uint64_t size) {
  const Place place(call.state, prefix_of(call));
  if (!place.taken())
    return fail(Code::busy, "another upload of yours is on its way: try again when it is through");
  bool gone = false;
  const auto note = [&](const std::string& line) { gone |= !send_event(call, {{"note", line}}); };
  const rollout::FetchOrder order{digest, size, call.actor,
      [&] { return gone || call.state.stopping || !may_wait(call, "a fetch"); }};
  return guarded("fetch an artifact", [&] { return rollout::fetch(call.host(), order, note); });
}

// The artifact alone; a job asks for its secret set's.
template <bool fetched> Result<control::Plan> prepare(const Call& call) {
  auto& host = call.host();
  const auto site = TRY(site_of(call));
  const auto digest = TRY_IN("sha256", Digest::parse(TRY(required(call.args.sha256, "sha256"))));
  const std::string signature = TRY(required(call.args.signature, "signature"));
  if (signature.size() > k_max_deploy_signature)
    return fail(Code::too_large, cat("signature: more than ", k_max_deploy_signature, " bytes"));
  const auto said = TRY_IN("signature", artifact::stated(signature));
  if (said.site != site || said.sha256 != digest)
    return fail(Code::denied, "signature: it is of another site or another artifact");
  TRY(rollout::check_hold(host, site));
  const rollout::ArtifactHolds::Hold kept(host.artifact_holds, digest.str());
  const uint64_t size = call.args.number.value_or(0);
  TRY(fetched ? fetch_once(call, digest, size) : bring_once(call, digest, size));
  const Fd file(::open(host.paths.artifact(digest).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file)
    return fail_errno("open the artifact", errno);
  const std::unique_lock one(call.state.planning, k_plan_turn);
  if (!one)
    return fail(Code::busy, "another plan is being made: try again");
  return rollout::plan_artifact(host, file.get(), signature);
}

Result<control::JobAnswer> deploy(const Call& call) {
  const std::string version = TRY(required(call.args.version, "version"));
  (void)TRY_IN("version", Version::parse(version));
  return submit(call, TRY(take(call, store::JobKind::deploy, version)));
}

Result<control::JobAnswer> deploy_secrets(const Call& call) {
  return submit(call, TRY(take(call, store::JobKind::secrets, "")));
}

constexpr ControlVerb k_deploy_verbs[] = {
    {"facts", answer<facts>, false, Role::look, Reach::filtered},
    {"prepare", answer<prepare<false>>, true, Role::deploy},
    {"prepare_fetch", answer<prepare<true>>, true, Role::deploy},
    {"deploy", answer<deploy>, false, Role::deploy},
    {"deploy_secrets", answer<deploy_secrets>, false, Role::deploy},
};

} // namespace

std::span<const ControlVerb> deploy_verbs() {
  return k_deploy_verbs;
}

} // namespace chillbox::daemon
