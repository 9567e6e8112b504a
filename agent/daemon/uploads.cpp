// The other half of WebhookIntake: uploads and what a capability lets its holder see.
#include "daemon/webhook_intake.hpp"

#include "artifact/artifact_store.hpp"
#include "base/encoding.hpp"
#include "base/guarded.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "base/unsynced.hpp"
#include "control/messages.hpp"
#include "daemon/capability.hpp"
#include "os/socket.hpp"
#include "rollout/acquire.hpp"
#include "rollout/prune.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

namespace chillbox::daemon {

using control::Json;

namespace {

constexpr uint64_t k_max_signature = 4096;
constexpr size_t k_max_tickets = 32;
constexpr size_t k_max_tickets_of_sender = 8;
constexpr size_t k_max_waiting = 64;
constexpr os::Millis k_long_poll{15'000}; // then the edge asks again; news ends it at once

bool ended(const store::Job& job) {
  return job.finished_ms != 0;
}

} // namespace

// One text for all reasons, as for a webhook.
Result<store::Job> WebhookIntake::check_capability(std::string_view text) {
  const auto capability = read_capability(m_host_secret, text);
  if (!capability || m_host.clock.wall() >= capability->until)
    return fail(Code::denied, "capability");
  auto job = TRY(m_host.store.job(capability->job));
  if (!job || job->key != capability->key || !m_known->check(*job, m_host.clock.wall()))
    return fail(Code::denied, "capability");
  return std::move(*job);
}

// Those that are copied too: each is a thread.
WebhookIntake::Flying WebhookIntake::flying(const std::string& sender) {
  Flying all;
  const auto add = [&](const std::string& whose, uint64_t size) {
    const bool same = whose == sender;
    ++all.count;
    all.bytes += size;
    all.count_of_sender += same ? 1 : 0;
    all.of_sender += same ? size : 0;
  };
  for (const auto& [name, ticket] : m_tickets)
    add(ticket.sender, ticket.size);
  all.bytes += m_parts.bytes("");
  all.of_sender += m_parts.bytes(sender);
  const std::lock_guard lock(m_mutex);
  for (const auto& [whose, size] : m_copying)
    add(whose, size);
  return all;
}

// Who has nothing but a webhook key can have files taken that no deployer signed: all of them
// together have a quota, and where there are several one alone has half of it, so that the others
// are never kept out by him.
Result<void> WebhookIntake::check_quota(const std::string& sender, uint64_t size) {
  const uint64_t most = m_host.config.uploads_max;
  const uint64_t most_of_sender = m_senders.size() > 1 ? most / 2 : most;
  Flying open = flying(sender);
  auto there = TRY(rollout::unproven_artifacts(m_host));
  const auto fits = [&] {
    return there.bytes + open.bytes + size <= most &&
        there.by_actor[sender] + open.of_sender + size <= most_of_sender;
  };
  for (const bool all : {false, true}) { // parts go first: his own, then all
    if (fits())
      return {};
    m_parts.drop(
        [&](const std::string& whose, const PartialUpload&) { return all || whose == sender; });
    open = flying(sender);
  }
  if (fits())
    return {};
  (void)TRY(rollout::prune_artifacts(m_host));
  there = TRY(rollout::unproven_artifacts(m_host));
  if (fits())
    return {};
  return fail(Code::throttled,
      cat("uploads without a release may take ", human_size(most),
          " (limits.uploads_max), and those of one sender ", human_size(most_of_sender), "; ",
          human_size(there.bytes + open.bytes), " are in use, ",
          human_size(there.by_actor[sender] + open.of_sender), " of it yours: try again later"));
}

// They never come into the reserve of the disk.
Result<void> WebhookIntake::check_room(const std::string& sender, uint64_t size) {
  TRY(check_quota(sender, size));
  const uint64_t all = flying(sender).bytes + size;
  const auto space = TRY(m_host.disk.space(m_host.paths.state()));
  const uint64_t need =
      2 * all + space.total_bytes / 100 * m_host.config.reserve_percent; // each is copied once
  if (space.free_bytes < need)
    return fail(Code::no_space,
        cat("no space on the disk of ", m_host.paths.state(), ": need ", human_size(need),
            " (twice the upload and ", m_host.config.reserve_percent, " % reserve), have ",
            human_size(space.free_bytes)));
  return {};
}

Result<WebhookIntake::Ticket> WebhookIntake::open_upload(const control::PacketView& packet) {
  if (packet.fields.size() != 5)
    return fail(Code::invalid, "packet: upload_begin has five fields");
  const auto job = check_capability(packet.fields[2]);
  const auto digest = Digest::parse(packet.fields[0]);
  const auto size = parse_u64(packet.fields[3]);
  const auto offset = parse_u64(packet.fields[4]);
  if (!digest || !job || job->sha256 != digest->str())
    return fail(Code::denied, "capability");
  const bool signature = packet.fields[1] == "minisig";
  const uint64_t limit =
      signature ? k_max_signature : std::min(job->size, m_host.config.artifact_max);
  if (!size || !offset || *size > limit || *offset > *size)
    return fail(
        Code::too_large, cat("more than the ", limit, " bytes that were announced or are allowed"));
  if (ended(*job))
    return fail(Code::conflict, cat("the job has ended: ", job->message));
  const std::string final_path =
      signature ? m_host.paths.artifact_signature(*digest) : m_host.paths.artifact(*digest);
  Ticket ticket{.job = job->id,
      .sender = job->actor,
      .digest = {},
      .signature = signature,
      .path = {},
      .offset = *offset,
      .size = *size};
  if (!signature && m_host.disk.exists(final_path))
    return ticket;
  ticket.digest = digest->str();
  const Flying open = flying(ticket.sender);
  if (open.count >= k_max_tickets || open.count_of_sender >= k_max_tickets_of_sender)
    return fail(Code::throttled,
        cat("more than ", k_max_tickets, " uploads at once, or ", k_max_tickets_of_sender,
            " of one sender: try again later"));
  return ticket;
}

// The part that the sender continues; invalid if another upload of his has taken it.
Fd WebhookIntake::open_part(Ticket& ticket) {
  auto part = m_parts.take(ticket.sender, ticket.digest);
  if (!part)
    return Fd();
  if (part->size != ticket.offset) {
    m_parts.keep(ticket.sender, ticket.digest, std::move(*part));
    return Fd();
  }
  // Opened again, because the process that wrote the part may still move the first descriptor.
  Fd file(::open(part->path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  if (file && ::lseek(file.get(), static_cast<off_t>(ticket.offset), SEEK_SET) < 0)
    file.reset();
  if (!file)
    (void)m_host.disk.remove(part->path);
  ticket.path = part->path;
  return file;
}

// The file for an upload: a new one, or the part that it continues.
Result<void> WebhookIntake::place_upload(const std::string& name, Ticket& ticket) {
  if (ticket.offset == 0) {
    TRY(check_room(ticket.sender, ticket.size));
    ticket.path = m_host.paths.inbox() + "/" + name;
    ticket.file =
        Fd(::open(ticket.path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    return ticket.file ? Result<void>{} : fail_errno(cat("create ", ticket.path), errno);
  }
  const uint64_t have = m_parts.size(ticket.sender, ticket.digest);
  if (ticket.signature || have != ticket.offset)
    return fail(Code::conflict,
        cat("the host has ", have, " bytes of it, and not ", ticket.offset,
            ": continue from there"));
  TRY(check_room(ticket.sender, ticket.size - have)); // which may drop it
  ticket.file = open_part(ticket);
  return ticket.file ? Result<void>{}
                     : fail(Code::conflict, "the host has 0 bytes of it: send the whole");
}

// The monitor makes the file and lends the edge its descriptor: the edge itself can open nothing.
void WebhookIntake::begin_upload(const control::PacketView& packet) {
  const Asker asker = asker_of(packet);
  auto opened = open_upload(packet);
  if (!opened) {
    refused_uploads(1,
        opened.error().code == Code::denied ? "no job that waits for it has this capability"
                                            : opened.error().message);
    return refuse(asker, opened.error());
  }
  Ticket& ticket = *opened;
  if (ticket.digest.empty())
    return answer(asker, 200, R"({"stored":true})");
  const std::string name = random_token(8);
  if (const auto placed = place_upload(name, ticket); !placed) {
    const Error& error = placed.error();
    if (error.code == Code::throttled || error.code == Code::no_space ||
        error.code == Code::conflict) {
      refused_uploads(1, error.message);
      return refuse(asker, error);
    }
    log::error(error.message);
    return refuse(asker, {Code::throttled, "the host cannot take uploads now: try again later"});
  }
  m_engine.upload_begun(ticket.digest);
  const int file = ticket.file.get();
  m_tickets.emplace(name, std::move(ticket));
  answer(asker, 200, "{}", name, file);
}

void WebhookIntake::end_upload(const control::PacketView& packet) {
  const Asker asker = asker_of(packet);
  const auto it =
      packet.fields.size() == 2 ? m_tickets.find(std::string(packet.fields[0])) : m_tickets.end();
  if (it == m_tickets.end())
    return refuse(asker, {Code::invalid, "packet: no such upload"});
  Ticket ticket = std::move(it->second);
  m_tickets.erase(it);
  m_engine.upload_ended(ticket.digest);
  if (packet.fields[1] != "ok") {
    if (packet.fields[1].starts_with(control::k_cut_off))
      break_off(ticket);
    else
      (void)m_host.disk.remove(ticket.path);
    return refuse(asker, {Code::invalid, printable(packet.fields[1])});
  }
  Copying::iterator place;
  {
    const std::lock_guard lock(m_mutex);
    place = m_copying.emplace(ticket.sender, ticket.size);
  }
  const std::string path = ticket.path;
  const auto shared =
      std::make_shared<Ticket>(std::move(ticket)); // a task of a thread must be copyable
  const auto started = m_copies.start(
      "copy an upload", [this, asker, shared, place] { copy_upload(asker, *shared, place); });
  if (started)
    return;
  (void)m_host.disk.remove(path);
  copied(place);
  refuse(asker, started.error());
}

// What came of it is kept as a part.
void WebhookIntake::break_off(const Ticket& ticket) {
  struct stat st{};
  const bool some = !ticket.signature && ::fstat(ticket.file.get(), &st) == 0 && st.st_size > 0 &&
      static_cast<uint64_t>(st.st_size) < ticket.size;
  if (!some)
    return void(m_host.disk.remove(ticket.path));
  m_parts.keep(ticket.sender, ticket.digest,
      {.path = ticket.path,
          .job = ticket.job,
          .size = static_cast<uint64_t>(st.st_size),
          .until = m_host.clock.mono() + m_host.config.upload_wait});
}

control::UploadState WebhookIntake::upload_state(const store::Job& job) const {
  control::UploadState state{.received = m_parts.size(job.actor, job.sha256)};
  for (const auto& [name, ticket] : m_tickets)
    if (struct stat st{}; ticket.sender == job.actor && ticket.digest == job.sha256 &&
        !ticket.signature && ::fstat(ticket.file.get(), &st) == 0) {
      state.running = true;
      state.received = std::max(state.received, static_cast<uint64_t>(st.st_size));
    }
  return state;
}

void WebhookIntake::copied(Copying::iterator place) {
  const std::lock_guard lock(m_mutex);
  m_copying.erase(place);
}

// On a thread of its own, because digesting a large artifact takes seconds. However it ends,
// every request that waits is answered, and nothing is left.
void WebhookIntake::copy_upload(const Asker& asker, const Ticket& ticket, Copying::iterator place) {
  if (auto kept = guarded("keep an upload", [&] { keep_upload(asker, ticket, place->second); });
      !kept)
    refuse(asker, kept.error());
  copied(place);
}

// The edge may still hold a descriptor of the inbox file: from here on only the private copy
// counts. `flying`: its bytes, until they are in the store or gone.
void WebhookIntake::keep_upload(const Asker& asker, const Ticket& ticket, uint64_t& flying) {
  const auto digest = Digest::parse(ticket.digest);
  Result<void> kept{};
  if (ticket.signature) {
    auto text = m_host.disk.read(ticket.path, k_max_signature);
    kept = text
        ? m_host.disk.write(rollout::uploaded_signature(m_host, *digest, ticket.job), *text, 0600)
        : Result<void>(std::unexpected(text.error()));
  } else if (auto stored = artifact::store_copy(
                 ticket.file.get(), m_host.paths.artifact(*digest), *digest, ticket.size);
      !stored) {
    kept = std::unexpected(stored.error());
  }
  {
    const Unsynced later; // a start of the daemon empties the directory
    (void)m_host.disk.remove(ticket.path);
  }
  { // before the answer: who has it may send the next at once
    const std::lock_guard lock(m_mutex);
    flying = 0;
  }
  if (!kept) {
    log::warn(cat("upload for job ", ticket.job, ": ", kept.error().message));
    if (kept.error().code ==
        Code::denied) // the bytes are not what was announced: the sender may know
      answer(asker, 422,
          control::dump({{"error", {{"code", "corrupt"}, {"message", kept.error().message}}}}));
    else
      refuse(asker, kept.error());
    return;
  }
  m_engine.uploaded(ticket.digest);
  answer(asker, 201, R"({"stored":true})");
}

void WebhookIntake::show_job(const control::PacketView& packet) {
  const auto job = packet.fields.size() == 2 ? check_capability(packet.fields[1])
                                             : Result<store::Job>(fail(Code::invalid, "packet"));
  if (!job || job->id != packet.fields[0])
    return refuse(asker_of(packet), {Code::denied, "capability"});
  control::JobAnswer shown{.job = *job, .events = {}, .upload = {}};
  if (job->state == store::JobState::waiting_upload)
    shown.upload = upload_state(*job);
  answer(asker_of(packet), 200, control::dump(control::to_json(shown)));
}

void WebhookIntake::show_events(const control::PacketView& packet) {
  const auto job = packet.fields.size() == 4 ? check_capability(packet.fields[1])
                                             : Result<store::Job>(fail(Code::invalid, "packet"));
  const auto after = packet.fields.size() == 4 ? parse_u64(packet.fields[2]) : std::nullopt;
  if (!job || job->id != packet.fields[0] || !after)
    return refuse(asker_of(packet), {Code::denied, "capability"});
  const bool wait = packet.fields[3] == "wait" && m_waiting.size() < k_max_waiting;
  const Waiting waiting{asker_of(packet), job->id, *after, m_host.clock.mono() + k_long_poll};
  if (!answer_events(waiting, !wait))
    m_waiting.push_back(waiting);
}

bool WebhookIntake::answer_events(const Waiting& waiting, bool at_last) {
  constexpr size_t k_at_once =
      25; // of at most 2,000 bytes each, twice that in JSON: below the packet's limit
  const auto job = m_host.store.job(waiting.job);
  const auto events = m_host.store.events(waiting.job, waiting.after, k_at_once);
  if (!job || !*job || !events) {
    refuse(waiting.asker, {Code::not_found, "no such job"});
    return true;
  }
  const bool is_over = ended(**job) && events->size() < k_at_once;
  if (events->empty() && !is_over && !at_last)
    return false;
  answer(waiting.asker, 200,
      control::dump(control::to_json(control::EventBatch{.events = *events, .ended = is_over})));
  return true;
}

os::Millis WebhookIntake::answer_waiting() {
  const os::Millis now = m_host.clock.mono();
  std::erase_if(m_waiting,
      [&](const Waiting& waiting) { return answer_events(waiting, now >= waiting.until); });
  os::Millis next = m_parts.expire(now);
  for (const auto& waiting : m_waiting)
    next = next.count() < 0 ? waiting.until - now : std::min(next, waiting.until - now);
  return next;
}

} // namespace chillbox::daemon
