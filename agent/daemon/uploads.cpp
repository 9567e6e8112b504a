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
constexpr size_t k_max_uploads = 32;
constexpr size_t k_max_uploads_of_sender = 8;
constexpr size_t k_max_waiting = 64;
constexpr os::Millis k_long_poll{15'000}; // then the edge asks again; news ends it at once

bool ended(const store::Job& job) {
  return job.finished_ms != 0;
}

} // namespace

// One text for all reasons, as for a webhook.
Result<store::Job> WebhookIntake::check_capability(std::string_view text) {
  const auto capability = read_capability(m_host_secret, text);
  if (!capability)
    return fail(Code::denied, "capability");
  auto job = TRY(m_host.store.job(capability->job));
  // That of a job that has not ended is never over: neither by a clock that was wrong nor by a wait
  // for an unlock.
  const bool over = job && ended(*job) && m_host.clock.wall() >= capability->until;
  if (!job || over || job->key != capability->key || !m_known->check(*job, m_host.clock.wall()))
    return fail(Code::denied, "capability");
  return std::move(*job);
}

WebhookIntake::Flying WebhookIntake::flying(const std::string& sender) {
  Flying all{.bytes = m_parts.bytes(""), .of_sender = m_parts.bytes(sender)};
  const std::lock_guard lock(m_mutex);
  for (const auto& upload : m_arriving) {
    const bool same = upload->of.sender == sender;
    ++all.count;
    all.bytes += upload->of.size;
    all.count_of_sender += same ? 1 : 0;
    all.of_sender += same ? upload->of.size : 0;
  }
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
  // Parts go first: the sender's own, then those of all, if these are what takes the room.
  for (const bool all : {false, true}) {
    if (fits())
      return {};
    if (all && there.by_actor[sender] + open.of_sender + size > most_of_sender)
      break;
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
  const uint64_t need = all + space.total_bytes / 100 * m_host.config.reserve_percent;
  if (space.free_bytes < need)
    return fail(Code::no_space,
        cat("no space on the disk of ", m_host.paths.state(), ": need ", human_size(need),
            " (the uploads and ", m_host.config.reserve_percent, " % reserve), have ",
            human_size(space.free_bytes)));
  return {};
}

Result<ArrivingUpload::Of> WebhookIntake::open_upload(const control::PacketView& packet) {
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
  ArrivingUpload::Of of{.job = job->id,
      .sender = job->actor,
      .digest = {},
      .signature = signature,
      .offset = *offset,
      .size = *size};
  if (!signature && m_host.disk.exists(m_host.paths.artifact(*digest)))
    return of;
  of.digest = digest->str();
  const Flying open = flying(of.sender);
  if (open.count >= k_max_uploads || open.count_of_sender >= k_max_uploads_of_sender)
    return fail(Code::throttled,
        cat("more than ", k_max_uploads, " uploads at once, or ", k_max_uploads_of_sender,
            " of one sender: try again later"));
  return of;
}

// The part that the sender continues; none if another upload of his has taken it.
Fd WebhookIntake::open_part(const ArrivingUpload::Of& of, std::string& path) {
  auto part = m_parts.take(of.sender, of.digest);
  if (!part)
    return Fd();
  if (part->size != of.offset) {
    m_parts.keep(of.sender, of.digest, std::move(*part));
    return Fd();
  }
  path = part->path;
  Fd file(::open(path.c_str(), O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW));
  if (!file)
    (void)m_host.disk.remove(path);
  return file;
}

// The file for an upload: a new one, or the part that it continues.
Result<Fd> WebhookIntake::place_upload(const ArrivingUpload::Of& of, std::string& path) {
  if (of.offset == 0) {
    TRY(check_room(of.sender, of.size));
    path = cat(m_host.paths.inbox(), "/", random_token(8));
    Fd file(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file)
      return fail_errno(cat("create ", path), errno);
    return file;
  }
  const uint64_t have = m_parts.size(of.sender, of.digest);
  if (of.signature || have != of.offset)
    return fail(Code::conflict,
        cat("the host has ", have, " bytes of it, and not ", of.offset, ": continue from there"));
  TRY(check_room(of.sender, of.size - have)); // which may drop it
  if (auto file = open_part(of, path))
    return file;
  return fail(Code::conflict, "the host has 0 bytes of it: send the whole");
}

// The end of a pipe for the edge, which itself can open nothing.
Result<Fd> WebhookIntake::start_upload(const std::string& name, ArrivingUpload::Of of) {
  std::string path;
  Fd edge;
  Fd file = TRY(place_upload(of, path));
  const auto upload = ArrivingUpload::open(std::move(of), std::move(file), path, edge);
  Result<void> started = upload ? Result<void>{} : std::unexpected(upload.error());
  if (started) {
    const std::lock_guard lock(m_mutex);
    m_arriving.push_back(*upload);
  }
  if (started)
    started = m_threads.start("take an upload", [this, one = *upload] { take_upload(one); });
  if (!started) {
    (void)m_host.disk.remove(path);
    if (upload)
      forget_upload(*upload);
    return std::unexpected(started.error());
  }
  m_tickets.emplace(name, *upload);
  m_engine.upload_begun((*upload)->of.digest);
  return edge;
}

void WebhookIntake::begin_upload(const control::PacketView& packet) {
  const Asker asker = asker_of(packet);
  auto opened = open_upload(packet);
  if (!opened) {
    refused_uploads(1,
        opened.error().code == Code::denied ? "no job that waits for it has this capability"
                                            : opened.error().message);
    return refuse(asker, opened.error());
  }
  if (opened->digest.empty())
    return answer(asker, 200, R"({"stored":true})");
  const std::string name = random_token(8);
  const auto edge = start_upload(name, std::move(*opened));
  if (edge)
    return answer(asker, 200, "{}", name, edge->get());
  const Error& error = edge.error();
  if (error.code == Code::throttled || error.code == Code::no_space ||
      error.code == Code::conflict) {
    refused_uploads(1, error.message);
    return refuse(asker, error);
  }
  log::error(error.message);
  refuse(asker, {Code::throttled, "the host cannot take uploads now: try again later"});
}

void WebhookIntake::end_upload(const control::PacketView& packet) {
  const Asker asker = asker_of(packet);
  const auto it =
      packet.fields.size() == 2 ? m_tickets.find(std::string(packet.fields[0])) : m_tickets.end();
  if (it == m_tickets.end())
    return refuse(asker, {Code::invalid, "packet: no such upload"});
  const Upload upload = std::move(it->second);
  m_tickets.erase(it);
  m_engine.upload_ended(upload->of.digest);
  const auto& word = packet.fields[1];
  using End = ArrivingUpload::End;
  upload->end(word == "ok"                       ? End::whole
          : word.starts_with(control::k_cut_off) ? End::cut_off
                                                 : End::dropped,
      asker);
}

// No answer is sent: the edge finds out when it ends the upload.
void WebhookIntake::drop_upload(ArrivingUpload& upload) {
  (void)m_host.disk.remove(upload.path);
  m_engine.upload_ended(upload.of.digest);
  upload.end(ArrivingUpload::End::dropped);
}

void WebhookIntake::forget_upload(const Upload& upload) {
  const std::lock_guard lock(m_mutex);
  std::erase(m_arriving, upload);
}

// However it ends, the request that waits is answered, and nothing is left.
void WebhookIntake::take_upload(const Upload& upload) {
  using End = ArrivingUpload::End;
  const auto done = guarded("take an upload", [&] {
    auto incoming = upload->receive();
    if (incoming && upload->ended() == End::whole)
      return keep_upload(upload, std::move(*incoming));
    if (incoming && upload->ended() == End::cut_off)
      break_off(*upload);
    else
      (void)m_host.disk.remove(upload->path);
    forget_upload(upload);
    if (!incoming)
      log::warn(cat("upload for job ", upload->of.job, ": ", incoming.error().message));
    refuse(upload->ended_by(),
        incoming ? Error{Code::invalid, "the upload was not ended"} : incoming.error());
  });
  if (done)
    return;
  (void)m_host.disk.remove(upload->path);
  forget_upload(upload);
  refuse(upload->ended_by(), done.error());
}

// What came of it is kept as a part.
void WebhookIntake::break_off(const ArrivingUpload& upload) {
  const auto& of = upload.of;
  const uint64_t came = upload.received();
  if (of.signature || came == 0 || came >= of.size)
    return void(m_host.disk.remove(upload.path));
  m_parts.keep(of.sender, of.digest,
      {.path = upload.path,
          .job = of.job,
          .size = came,
          .until = m_host.clock.mono() + m_host.config.upload_wait});
  m_host.changed(of.job); // its time is to be waited for
}

control::UploadState WebhookIntake::upload_state(const store::Job& job) {
  control::UploadState state{.received = m_parts.size(job.actor, job.sha256)};
  const std::lock_guard lock(m_mutex);
  for (const auto& upload : m_arriving)
    if (upload->of.sender == job.actor && upload->of.digest == job.sha256 &&
        !upload->of.signature) {
      state.running = true;
      state.received = std::max(state.received, upload->received());
    }
  return state;
}

void WebhookIntake::keep_upload(const Upload& upload, artifact::Incoming incoming) {
  const auto& of = upload->of;
  const auto digest = Digest::parse(of.digest);
  const auto asker = upload->ended_by();
  Result<void> kept{};
  if (of.signature) {
    auto text = m_host.disk.read(upload->path, k_max_signature);
    kept = text
        ? m_host.disk.write(rollout::uploaded_signature(m_host, *digest, of.job), *text, 0600)
        : Result<void>(std::unexpected(text.error()));
  } else if (auto stored = incoming.store(m_host.paths.artifact(*digest), *digest); !stored) {
    kept = std::unexpected(stored.error());
  }
  {
    const Unsynced later; // a start of the daemon empties the directory
    (void)m_host.disk.remove(upload->path);
  }
  forget_upload(upload); // before the answer: who has it may send the next at once
  if (!kept) {
    log::warn(cat("upload for job ", of.job, ": ", kept.error().message));
    if (kept.error().code ==
        Code::denied) // the bytes are not what was announced: the sender may know
      answer(asker, 422,
          control::dump({{"error", {{"code", "corrupt"}, {"message", kept.error().message}}}}));
    else
      refuse(asker, kept.error());
    return;
  }
  m_engine.uploaded(of.digest);
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
