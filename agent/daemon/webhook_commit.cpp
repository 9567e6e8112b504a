// Webhooks on their way to the disk, and answers on their way to the edge: those of a batch go in
// as few messages as hold them.
#include "base/guarded.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "control/messages.hpp"
#include "daemon/capability.hpp"
#include "daemon/webhook_intake.hpp"
#include "os/socket.hpp"

#include <algorithm>
#include <iterator>

namespace chillbox::daemon {

using control::PacketVerb;
using store::IntakeVerdict;

namespace {

constexpr size_t k_most_waiting = 256;    // more stay in the edge's socket
constexpr std::chrono::seconds k_rest{1}; // until a thread without work ends

std::string error_body(const Error& error) {
  return control::dump({{"error", {{"code", code_name(error.code)}, {"message", error.message}}}});
}

} // namespace

void WebhookIntake::commit_later(std::vector<Pending>& hooks) {
  if (hooks.empty())
    return;
  std::unique_lock lock(m_checked.mutex);
  m_checked.changed.wait(lock, [this] { return m_checked.waiting.size() < k_most_waiting; });
  m_checked.waiting.reserve(m_checked.waiting.size() + hooks.size());
  std::ranges::move(hooks, std::back_inserter(m_checked.waiting));
  hooks.clear();
  m_checked.changed.notify_all();
  if (m_checked.has_thread)
    return;
  m_checked.has_thread = true;
  if (m_threads.start("webhooks", [this] { commit_waiting(k_rest); }))
    return;
  lock.unlock(); // there is none to be had: here, then
  commit_waiting(std::chrono::seconds{0});
}

void WebhookIntake::commit_waiting(std::chrono::seconds rest) {
  std::unique_lock lock(m_checked.mutex);
  const auto has_work = [this] { return m_checked.closing || !m_checked.waiting.empty(); };
  while (m_checked.changed.wait_for(lock, rest, has_work) && !m_checked.waiting.empty()) {
    auto batch = std::exchange(m_checked.waiting, {});
    m_checked.committing = true;
    m_checked.changed.notify_all();
    lock.unlock();
    if (auto committed = guarded("webhooks", [&] { commit(batch); }); !committed)
      for (const auto& hook : batch)
        refuse(hook.asker, committed.error());
    lock.lock();
    m_checked.committing = false;
    m_checked.changed.notify_all();
  }
  m_checked.has_thread = false;
}

void WebhookIntake::settle() {
  std::unique_lock lock(m_checked.mutex);
  m_checked.changed.wait(
      lock, [this] { return m_checked.waiting.empty() && !m_checked.committing; });
}

void WebhookIntake::commit(std::vector<Pending>& hooks) {
  std::vector<store::Intake> batch;
  batch.reserve(hooks.size());
  for (auto& hook : hooks)
    batch.push_back(std::move(hook.intake));
  const auto verdicts = m_host.store.accept(batch, m_host.config.queue_max, m_host.clock.wall_ms());
  if (!verdicts) {
    log::error(cat("webhook not accepted: ", verdicts.error().message));
    refused_hooks(hooks.size());
  }
  std::vector<Answer> answers;
  answers.reserve(hooks.size());
  for (size_t i = 0; i < hooks.size(); ++i)
    answers.push_back(verdicts
            ? answer_to(hooks[i].asker, batch[i].job, (*verdicts)[i])
            : refusal(hooks[i].asker,
                  {Code::throttled, "the host cannot store the job now: try again"}));
  send(std::move(answers));
  for (size_t i = 0; verdicts && i < hooks.size(); ++i) {
    const auto& verdict = (*verdicts)[i];
    if (verdict.verdict == IntakeVerdict::accepted && batch[i].job.kind != store::JobKind::ping)
      m_engine.submit(verdict.job);
    for (const auto& id : verdict.superseded)
      m_host.changed(id);
  }
}

WebhookIntake::Answer WebhookIntake::answer_to(
    const Asker& asker, const store::Job& newer, const store::IntakeAnswer& verdict) {
  switch (verdict.verdict) {
  case IntakeVerdict::accepted: return job_answer(asker, 202, newer);
  case IntakeVerdict::conflict:
    return refusal(asker, {Code::conflict, "this webhook-id was used with another body"});
  case IntakeVerdict::repeated:
    if (const auto job = m_host.store.job(verdict.job); job && *job)
      return job_answer(asker, 200, **job);
    return refusal(asker, {Code::conflict, "the job of this webhook-id is gone"});
  case IntakeVerdict::full:
    refused_hooks(1);
    return refusal(asker,
        {Code::throttled,
            cat("the queue is full (", m_host.config.queue_max, " jobs): try again later")});
  case IntakeVerdict::flooded: break;
  }
  refused_hooks(1);
  return refusal(asker,
      {Code::throttled, "more webhooks came than can be remembered: try again in some minutes"});
}

WebhookIntake::Answer WebhookIntake::job_answer(
    const Asker& asker, int status, const store::Job& job) {
  // For a day; of what is sent again later for half a day more each time, so that the answer is
  // the same at first and the links are never over.
  constexpr int64_t k_half = 43'200; // seconds
  const int64_t created = job.created_ms / 1000;
  const int64_t halves = std::max<int64_t>(0, m_host.clock.wall_ms() / 1000 - created) / k_half;
  const std::string cap =
      "?cap=" + capability_text(m_host_secret, {job.id, job.key, created + (2 + halves) * k_half});
  const std::string place = cat("/v1/jobs/", job.id, cap);
  // control::Accepted as text: nothing in it needs an escape.
  std::string body = cat(R"({"job":")", job.id, R"(","links":{)");
  if (!job.sha256.empty())
    body += cat(R"("artifact":"/v1/artifacts/)", job.sha256, cap, R"(",)");
  body += cat(R"("events":"/v1/jobs/)", job.id, "/events", cap, R"(",)");
  if (!job.sha256.empty())
    body += cat(R"("signature":"/v1/artifacts/)", job.sha256, ".minisig", cap, R"(",)");
  body += cat(R"("status":")", place, R"("}})");
  return answer_of(asker, status, body, place);
}

WebhookIntake::Answer WebhookIntake::answer_of(
    const Asker& asker, int status, std::string_view body, std::string_view ticket) {
  return {asker,
      control::make_packet(
          PacketVerb::answer, asker.sequence, {std::to_string(status), body, ticket})};
}

// An unknown sender gets one text for all reasons (faults 1, 16).
WebhookIntake::Answer WebhookIntake::refusal(const Asker& asker, const Error& error) {
  if (error.code == Code::denied)
    return answer_of(asker, 401, error_body({Code::denied, "not authorized"}));
  return answer_of(asker, http_status(error.code), error_body(error));
}

void WebhookIntake::answer(
    const Asker& asker, int status, std::string_view body, std::string_view ticket, int fd) {
  const auto packet = answer_of(asker, status, body, ticket).packet;
  const std::lock_guard lock(m_mutex);
  if (asker.edge == m_edge_number)
    send_held(packet, fd);
}

void WebhookIntake::refuse(const Asker& asker, const Error& error) {
  send({refusal(asker, error)});
}

void WebhookIntake::send(std::vector<Answer> answers) {
  const std::lock_guard lock(m_mutex);
  std::vector<Bytes> packets;
  packets.reserve(answers.size());
  for (auto& answer : answers)
    if (answer.asker.edge == m_edge_number)
      packets.push_back(std::move(answer.packet));
  for (const auto& message : control::bundled(std::move(packets)))
    send_held(message);
}

void WebhookIntake::send_held(ByteView message, int fd) {
  if (m_stuck || !m_edge)
    return;
  // Each try waits for seconds, in which the monitor does nothing else: there is one only.
  if (auto sent = os::send_packet(m_edge.get(), message, fd); !sent) {
    log::warn(cat("edge: answer not sent: ", sent.error().message));
    m_stuck = sent.error().code == Code::timed_out;
  }
}

} // namespace chillbox::daemon
