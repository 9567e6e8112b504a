// The gate's other half: uploads and what a capability lets its holder see.
#include "daemon/gate.hpp"

#include "artifact/inbox.hpp"
#include "base/encoding.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "daemon/capability.hpp"
#include "daemon/views.hpp"
#include "os/socket.hpp"
#include "rollout/prune.hpp"
#include "rollout/steps.hpp"

#include <fcntl.h>

#include <algorithm>
#include <thread>

namespace chillbox::daemon {

using control::Json;

namespace {

constexpr uint64_t k_max_signature = 4096;
constexpr size_t k_max_tickets = 32;
constexpr size_t k_max_waiting = 64;
constexpr os::Millis k_long_poll{15'000};

bool ended(const store::Job& job) { return job.finished_ms != 0; }

} // namespace

// One text for all reasons, as for a webhook.
Result<store::Job> Gate::check_capability(std::string_view text) {
  const auto capability = read_capability(m_host_secret, text);
  if (!capability || m_world.clock.wall() >= capability->until)
    return fail(Code::denied, "capability");
  auto job = TRY(m_world.store.job(capability->job));
  if (!job || job->key != capability->key || !m_known->check(*job, m_world.clock.wall()))
    return fail(Code::denied, "capability");
  return std::move(*job);
}

// Those that are copied too: each is a thread.
size_t Gate::uploads() {
  const std::lock_guard lock(m_mutex);
  return m_tickets.size() + m_copying;
}

// Who has nothing but a webhook key can have files taken that no deployer signed: they have a quota, and never come into the reserve of the disk.
Result<void> Gate::check_room(uint64_t size) {
  uint64_t flying = size;
  for (const auto& [name, ticket] : m_tickets)
    flying += ticket.size;
  {
    const std::lock_guard lock(m_mutex);
    flying += m_copying_bytes;
  }
  const uint64_t most = m_world.config.uploads_max;
  uint64_t there = TRY(rollout::unproven_bytes(m_world));
  if (there + flying > most) {
    (void)TRY(rollout::prune_artifacts(m_world));
    there = TRY(rollout::unproven_bytes(m_world));
  }
  if (there + flying > most)
    return fail(Code::throttled, cat("uploads that no release was made of may take ", human_size(most), " (limits.uploads_max), ",
                                     human_size(there + flying - size), " are there: try again later"));
  const auto space = TRY(m_world.disk.space(m_world.paths.state()));
  const uint64_t need = 2 * flying + space.total_bytes / 100 * m_world.config.reserve_percent; // each is copied once
  if (space.free_bytes < need)
    return fail(Code::no_space, cat("no space on the disk of ", m_world.paths.state(), ": need ", human_size(need), " (twice the upload and ",
                                    m_world.config.reserve_percent, " % reserve), have ", human_size(space.free_bytes)));
  return {};
}

// The monitor makes the file and lends the edge its descriptor: the edge itself can open nothing.
void Gate::begin_upload(const control::PacketView& packet) {
  if (packet.fields.size() != 4)
    return refuse(packet.sequence, {Code::invalid, "packet: upload_begin has four fields"});
  const auto job = check_capability(packet.fields[2]);
  const auto digest = Digest::parse(packet.fields[0]);
  const auto size = parse_u64(packet.fields[3]);
  if (!digest || !job || job->sha256 != digest->str())
    return refuse(packet.sequence, {Code::denied, "capability"});
  const bool signature = packet.fields[1] == "minisig";
  const uint64_t limit = signature ? k_max_signature : std::min(job->size, m_world.config.artifact_max);
  if (!size || *size > limit)
    return refuse(packet.sequence, {Code::too_large, cat("more than the ", limit, " bytes that were announced or are allowed")});
  if (ended(*job))
    return refuse(packet.sequence, {Code::conflict, cat("the job has ended: ", job->message)});
  const std::string final_path = signature ? m_world.paths.artifact_signature(*digest) : m_world.paths.artifact(*digest);
  if (!signature && m_world.disk.exists(final_path))
    return answer(packet.sequence, 200, R"({"stored":true})");
  if (uploads() >= k_max_tickets)
    return refuse(packet.sequence, {Code::throttled, cat("more than ", k_max_tickets, " uploads at once: try again later")});
  if (auto room = check_room(*size); !room) {
    log::warn(cat("upload for job ", job->id, ": ", room.error().message));
    return refuse(packet.sequence, room.error());
  }
  Ticket ticket{.job = job->id, .digest = digest->str(), .signature = signature, .size = *size};
  const std::string name = random_token(8);
  ticket.path = m_world.paths.inbox() + "/" + name;
  ticket.file = Fd(::open(ticket.path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!ticket.file) {
    log::error(fail_errno(cat("create ", ticket.path), errno).error().message);
    return refuse(packet.sequence, {Code::throttled, "the host cannot take uploads now: try again later"});
  }
  answer(packet.sequence, 200, "{}", name, ticket.file.get());
  m_tickets.emplace(name, std::move(ticket));
}

void Gate::end_upload(const control::PacketView& packet) {
  const auto it = packet.fields.size() == 2 ? m_tickets.find(std::string(packet.fields[0])) : m_tickets.end();
  if (it == m_tickets.end())
    return refuse(packet.sequence, {Code::invalid, "packet: no such upload"});
  Ticket ticket = std::move(it->second);
  m_tickets.erase(it);
  if (packet.fields[1] != "ok") {
    (void)m_world.disk.remove(ticket.path);
    return refuse(packet.sequence, {Code::invalid, printable(packet.fields[1])});
  }
  {
    const std::lock_guard lock(m_mutex);
    ++m_copying;
    m_copying_bytes += ticket.size;
  }
  std::thread([this, sequence = packet.sequence, t = std::move(ticket)]() mutable { keep_upload(sequence, std::move(t)); }).detach();
}

// On a thread of its own, because digesting a large artifact takes seconds. The edge may still hold a descriptor of the inbox file: from
// here on only the private copy counts.
void Gate::keep_upload(uint64_t sequence, Ticket ticket) {
  const auto digest = Digest::parse(ticket.digest);
  Result<void> kept{};
  if (ticket.signature) {
    auto text = m_world.disk.read(ticket.path, k_max_signature);
    kept = text ? m_world.disk.write(rollout::uploaded_signature(m_world, *digest, ticket.job), *text, 0600) : Result<void>(std::unexpected(text.error()));
  } else if (auto stored = artifact::store_copy(ticket.file.get(), m_world.paths.artifact(*digest), *digest, ticket.size); !stored) {
    kept = std::unexpected(stored.error());
  }
  (void)m_world.disk.remove(ticket.path);
  { // before the answer: who has it may send the next at once
    const std::lock_guard lock(m_mutex);
    m_copying_bytes -= ticket.size;
  }
  if (!kept) {
    log::warn(cat("upload for job ", ticket.job, ": ", kept.error().message));
    if (kept.error().code == Code::denied) // the bytes are not what was announced: the sender may know
      answer(sequence, 422, control::dump({{"error", {{"code", "corrupt"}, {"message", kept.error().message}}}}));
    else
      refuse(sequence, kept.error());
  } else {
    m_engine.uploaded(ticket.digest);
    answer(sequence, 201, R"({"stored":true})");
  }
  const std::lock_guard lock(m_mutex);
  --m_copying;
  m_copied.notify_all();
}

void Gate::show_job(const control::PacketView& packet) {
  const auto job = packet.fields.size() == 2 ? check_capability(packet.fields[1]) : Result<store::Job>(fail(Code::invalid, "packet"));
  if (!job || job->id != packet.fields[0])
    return refuse(packet.sequence, {Code::denied, "capability"});
  answer(packet.sequence, 200, control::dump({{"job", view(*job)}}));
}

void Gate::show_events(const control::PacketView& packet) {
  const auto job = packet.fields.size() == 4 ? check_capability(packet.fields[1]) : Result<store::Job>(fail(Code::invalid, "packet"));
  const auto after = packet.fields.size() == 4 ? parse_u64(packet.fields[2]) : std::nullopt;
  if (!job || job->id != packet.fields[0] || !after)
    return refuse(packet.sequence, {Code::denied, "capability"});
  const bool wait = packet.fields[3] == "wait" && m_waiting.size() < k_max_waiting;
  const Waiting waiting{packet.sequence, job->id, *after, m_world.clock.mono() + k_long_poll};
  if (!answer_events(waiting, !wait))
    m_waiting.push_back(waiting);
}

bool Gate::answer_events(const Waiting& waiting, bool at_last) {
  constexpr size_t k_at_once = 25; // of at most 2,000 bytes each, twice that in JSON: below the packet's limit
  const auto job = m_world.store.job(waiting.job);
  const auto events = m_world.store.events(waiting.job, waiting.after, k_at_once);
  if (!job || !*job || !events) {
    refuse(waiting.sequence, {Code::not_found, "no such job"});
    return true;
  }
  const bool is_over = ended(**job) && events->size() < k_at_once;
  if (events->empty() && !is_over && !at_last)
    return false;
  Json list = Json::array();
  for (const auto& event : *events)
    list.push_back(view(event));
  answer(waiting.sequence, 200, control::dump({{"events", std::move(list)}, {"ended", is_over}}));
  return true;
}

os::Millis Gate::answer_waiting() {
  const os::Millis now = m_world.clock.mono();
  std::erase_if(m_waiting, [&](const Waiting& waiting) { return answer_events(waiting, now >= waiting.until); });
  os::Millis next{-1};
  for (const auto& waiting : m_waiting)
    next = next.count() < 0 ? waiting.until - now : std::min(next, waiting.until - now);
  return next;
}

} // namespace chillbox::daemon
