#include "daemon/webhook_intake.hpp"

#include "base/encoding.hpp"
#include "base/guarded.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "control/messages.hpp"
#include "crypto/hash.hpp"
#include "daemon/capability.hpp"
#include "daemon/orders.hpp"
#include "daemon/webhook_order.hpp"
#include "os/socket.hpp"
#include "rollout/acquire.hpp"

#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <bit>

namespace chillbox::daemon {

using control::PacketVerb;

namespace {

constexpr size_t k_batch = 256;

} // namespace

WebhookIntake::WebhookIntake(rollout::HostContext& host, rollout::Engine& engine,
    std::string host_secret, std::vector<LoadedSender> senders, std::chrono::microseconds hold)
    : m_host(host), m_engine(engine), m_host_secret(std::move(host_secret)), m_hold(hold),
      m_refusal_timer(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)) {
  m_host.check_sender = [known = m_known, &clock = m_host.clock](
                            const store::Job& job) { return known->check(job, clock.wall()); };
  set_senders(std::move(senders)); // also of what was removed while the daemon was down
}

WebhookIntake::~WebhookIntake() {
  {
    const std::lock_guard lock(m_checked.mutex);
    m_checked.closing = true;
    m_checked.changed.notify_all();
  }
  for (const auto& [name, upload] : m_tickets)
    drop_upload(*upload);
}

void WebhookIntake::set_senders(std::vector<LoadedSender> senders) {
  name_keys(senders, m_host_secret);
  m_senders = std::move(senders);
  m_known->set(m_senders);
  settle(); // of what was checked by the old keys, too
  end_orphans();
  shut_orphans();
}

// One that runs is stopped by the engine before its next step, and finds the reason there.
void WebhookIntake::end_orphans() {
  const auto unfinished = m_host.store.unfinished();
  if (!unfinished)
    return log::error(cat("senders: ", unfinished.error().message));
  for (auto job : *unfinished) {
    const auto known = m_known->check(job, m_host.clock.wall());
    if (known)
      continue;
    log::warn(cat("job ", job.id, " of ", job.actor, " ends: its webhook key is gone"));
    if (job.state != store::JobState::running) {
      job.state = store::JobState::cancelled;
      job.code = known.error().code;
      job.message = known.error().message;
      job.finished_ms = m_host.clock.wall_ms();
      if (auto ended = m_host.store.finish_job(job, job.message); !ended)
        log::error(cat("job ", job.id, ": ", ended.error().message));
    }
    m_engine.cancel(job.id);
    m_host.changed(job.id);
  }
}

void WebhookIntake::shut_orphans() {
  const auto is_orphan = [&](const std::string& id) {
    const auto job = m_host.store.job(id);
    return !job || !*job || !m_known->check(**job, m_host.clock.wall());
  };
  std::erase_if(m_waiting, [&](const Waiting& waiting) {
    const bool orphan = is_orphan(waiting.job);
    if (orphan)
      refuse(waiting.asker, {Code::denied, "capability"});
    return orphan;
  });
  std::erase_if(m_tickets, [&](const auto& entry) { // the edge learns it when its upload ends
    const bool orphan = is_orphan(entry.second->of.job);
    if (orphan)
      drop_upload(*entry.second);
    return orphan;
  });
  m_parts.drop([&](const std::string&, const PartialUpload& part) { return is_orphan(part.job); });
}

void WebhookIntake::attach(Fd edge) {
  {
    const std::lock_guard lock(m_mutex);
    m_edge = std::move(edge);
    ++m_edge_number;
    m_stuck = false;
    m_rejected = 0;
  }
  m_waiting.clear();
  m_refusals.clear();
  for (const auto& [name, upload] : m_tickets)
    drop_upload(*upload);
  m_tickets.clear();
}

void WebhookIntake::drain() {
  const std::lock_guard lock(m_mutex);
  (void)os::send_packet(m_edge.get(), control::make_packet(PacketVerb::drain, 0, {}));
}

bool WebhookIntake::serve() {
  std::vector<Pending> hooks;
  bool open = true;
  m_came = Steady::now();
  for (size_t count = 0; count < k_batch; ++count) {
    auto packet = os::receive_packet(m_edge.get(), control::k_max_packet, os::Millis{0});
    if (!packet) {
      if (packet.error().code != Code::timed_out)
        reject(packet.error().message);
      if (packet.error().code == Code::too_large)
        continue;
      break;
    }
    if (!*packet) {
      open = false;
      break;
    }
    const auto views = control::parse_packets((*packet)->bytes);
    if (!views)
      reject(views.error().message);
    for (const auto& view : views.value_or(std::vector<control::PacketView>{})) {
      ++count;
      if (auto taken = guarded("a request of the edge", [&] { take(view, hooks); }); !taken)
        refuse(asker_of(view), taken.error());
    }
  }
  if (auto later = guarded("webhooks", [&] { commit_later(hooks); }); !later)
    for (const auto& hook : hooks)
      refuse(hook.asker, later.error());
  const std::lock_guard lock(m_mutex);
  return open && !m_stuck;
}

// The 1st, 2nd, 4th, 8th ... only: an edge that was taken over must not fill the log.
void WebhookIntake::reject(std::string_view why) {
  if (std::has_single_bit(++m_rejected))
    log::warn(cat("edge: rejected a packet, ", m_rejected, " so far: ", why));
}

// What the edge itself has refused: the fields are webhooks and uploads.
void WebhookIntake::count_refused(const control::PacketView& packet) {
  const auto hooks = packet.fields.size() == 2 ? parse_u64(packet.fields[0]) : std::nullopt;
  const auto uploads = packet.fields.size() == 2 ? parse_u64(packet.fields[1]) : std::nullopt;
  if (!hooks || !uploads)
    return reject("a count that is none");
  if (*hooks > 0)
    refused_hooks(*hooks);
  if (*uploads > 0)
    refused_uploads(*uploads, "no capability, or none that can be ours");
}

// A line for the first, and whenever there are twice as many: strangers must not fill the log.
void WebhookIntake::count(std::atomic<uint64_t>& refused, uint64_t more, std::string_view what) {
  const uint64_t before = refused.fetch_add(more);
  if (std::bit_width(before) != std::bit_width(before + more))
    log::warn(cat("refused ", before + more, " ", what, " so far"));
}

void WebhookIntake::refused_hooks(uint64_t more) {
  count(m_refused_hooks, more, "webhooks");
}
void WebhookIntake::refused_uploads(uint64_t more, std::string_view why) {
  count(m_refused_uploads, more, cat("uploads (the last: ", why, ")"));
}

void WebhookIntake::take(const control::PacketView& packet, std::vector<Pending>& hooks) {
  switch (packet.verb) {
  case PacketVerb::hook:
    if (auto intake = check_hook(packet))
      hooks.push_back({asker_of(packet), std::move(*intake)});
    else
      refuse_later(asker_of(packet), intake.error());
    return;
  case PacketVerb::upload_begin: return begin_upload(packet);
  case PacketVerb::upload_done: return end_upload(packet);
  case PacketVerb::job_get: return show_job(packet);
  case PacketVerb::job_events: return show_events(packet);
  case PacketVerb::refused: return count_refused(packet);
  case PacketVerb::metrics: return show_metrics(packet);
  case PacketVerb::report: return show_report(packet);
  case PacketVerb::health:
    return answer(asker_of(packet), 200,
        control::dump({{"status", "ok"}, {"sealed", !m_host.vault.unsealed()}}));
  default: reject(cat("verb ", static_cast<int>(packet.verb), " is not the edge's to say"));
  }
}

Result<store::Intake> WebhookIntake::check_hook(const control::PacketView& packet) {
  if (packet.fields.size() < 6)
    return fail(Code::invalid, "packet: a hook has six fields");
  const crypto::Delivery delivery{
      packet.fields[0], packet.fields[1], packet.fields[2], packet.fields[5]};
  const std::string_view github = packet.fields[3];
  const std::string_view github_delivery = packet.fields[4];
  if (github.empty())
    (void)TRY(crypto::check_delivery_shape(delivery));
  const auto [sender, key] = TRY(find_sender(m_senders, delivery, github, m_host.clock.wall()));
  const std::string_view content_type =
      packet.fields.size() > 6 ? packet.fields[6] : std::string_view();
  store::Job job = TRY(read_order(delivery.body, content_type, *sender, m_host));
  job.key = key->id;
  store::Intake intake{.sender = sender->name, .job = std::move(job)};
  intake.by_body = sender->github;
  intake.body_hash = crypto::sha256_of(bytes_of(delivery.body)).str();
  intake.id = std::string(sender->github ? github_delivery : delivery.id);
  if (intake.id.empty())
    intake.id = intake.body_hash; // GitHub's delivery header is not signed and may be left out
  return intake;
}

// By an absolute time: a wait that began when the work was done would be as uneven as the work.
void WebhookIntake::arm(Steady::time_point at) const {
  const auto since =
      std::chrono::duration_cast<std::chrono::nanoseconds>(at.time_since_epoch()).count();
  const itimerspec when{
      .it_interval = {}, .it_value = {since / 1'000'000'000, since % 1'000'000'000}};
  ::timerfd_settime(m_refusal_timer.get(), TFD_TIMER_ABSTIME, &when, nullptr);
}

void WebhookIntake::refuse_later(const Asker& asker, const Error& error) {
  refused_hooks(1);
  if (error.code != Code::denied || m_hold.count() == 0 || !m_refusal_timer)
    return refuse(asker, error);
  m_refusals.push_back({asker, m_came + m_hold});
  if (m_refusals.size() == 1)
    arm(m_refusals.front().at);
}

void WebhookIntake::refuse_due() {
  uint64_t fired = 0;
  (void)!::read(m_refusal_timer.get(), &fired, sizeof fired);
  const auto now = Steady::now();
  std::vector<Answer> answers;
  for (; !m_refusals.empty() && m_refusals.front().at <= now; m_refusals.pop_front())
    answers.push_back(refusal(m_refusals.front().asker, {Code::denied, "webhook"}));
  send(std::move(answers));
  if (!m_refusals.empty())
    arm(m_refusals.front().at);
}

} // namespace chillbox::daemon
