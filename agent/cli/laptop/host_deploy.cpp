#include "cli/laptop/host_deploy.hpp"

#include "base/encoding.hpp"
#include "base/text.hpp"
#include "cli/core/answers.hpp"
#include "cli/core/duration.hpp"
#include "cli/core/interrupt.hpp"
#include "cli/core/progress.hpp"
#include "cli/core/prompt.hpp"
#include "cli/laptop/deploy_artifact.hpp"
#include "cli/laptop/deploy_bucket.hpp"
#include "cli/laptop/deploy_lines.hpp"
#include "cli/laptop/deploy_questions.hpp"
#include "cli/laptop/deploy_sign.hpp"
#include "cli/laptop/host_session.hpp"
#include "cli/laptop/locked_host.hpp"
#include "os/clock.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

namespace chillbox::cli {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr milliseconds k_deploy_timeout{30 * 60'000};

// One host's deploy.
class HostDeploy {
public:
  HostDeploy(Call& call, DeployPlan& plan, Target& target)
      : m_call(call), m_plan(plan), m_target(target), m_lines(call.terminal),
        m_memory(recall(plan.places, target.host.name, plan.site())) {}

  Result<void> run();

private:
  Result<void> meet();
  Result<void> prepare();
  Result<void> check_digest();
  bool is_live_already() const;
  Result<control::Job> bring();
  Result<control::Job> send_and_follow(HostSession& session, const control::Arguments& order);
  HostSession::Heard ears();
  void title();
  void remember_host();
  Result<void> finish(const control::Job& job);
  void already_live();
  void print_json(const control::Job* job, const Error* error, bool uploaded);
  std::string url() const;
  std::string at_host() const; // " -H NAME", unless it would be found without

  const control::SiteFacts& there() const { return *m_facts.site; }
  const std::string& host() const { return m_target.host.name; }

  Call& m_call;
  DeployPlan& m_plan;
  Target& m_target;
  DeployLines m_lines;
  DeployMemory m_memory;
  std::optional<HostSession> m_session;
  control::Facts m_facts;
  DeployVersion m_version;
  std::string m_job;
  bool m_uploaded = false;
  Clock::time_point m_deadline;
};

std::string HostDeploy::at_host() const {
  return m_call.args.has("host") || m_plan.targets.size() > 1 ? cat(" -H ", printable(host(), 200))
                                                              : "";
}

std::string HostDeploy::url() const {
  const std::string& name = m_plan.folder.site.server_name;
  if (!there().url.empty() && !there().names.empty() && there().names.front() == name)
    return there().url;
  return cat(
      "http://", name, m_facts.http_port == 80 ? "" : cat(":", std::to_string(m_facts.http_port)));
}

// Opens the connection and looks at what the host says of itself.
Result<void> HostDeploy::meet() {
  m_session.emplace(TRY(HostSession::open(m_target.host, m_plan.site())));
  m_facts = m_session->facts();
  if (!m_facts.site)
    m_facts.site = control::SiteFacts{.site = m_plan.site()};
  return {};
}

void HostDeploy::title() {
  const auto& live = there();
  std::string was = "nothing is live there yet";
  if (!live.version.empty())
    was = cat("live there: ", printable(live.version, 80),
        live.signer.empty() ? "" : cat(", by ", printable(live.signer, 60)),
        live.live_ms == 0
            ? ""
            : cat(", ",
                  format_duration(std::chrono::floor<std::chrono::seconds>(milliseconds(
                      std::max<int64_t>(0, os::real_clock().wall_ms() - live.live_ms)))),
                  " ago"));
  m_lines.title(cat(m_call.terminal.err(Style::bold,
                        cat(m_plan.site(), " ", m_version.text, " -> ", printable(host(), 200))),
      "   ", was));
}

// What it said is kept for the next time; that it cannot be written costs only that.
void HostDeploy::remember_host() {
  const bool known = m_target.record.has_value();
  const std::string name = known
      ? m_target.record->name
      : free_name(m_plan.places, m_facts.server_name, m_target.host.target);
  if (name.empty())
    return;
  const auto take = [&](HostRecord& record) -> Result<void> {
    if (!known && !record.ssh.empty())
      return fail(Code::conflict, "another one has this name by now");
    if (!known)
      record.ssh = m_target.host.target;
    record.server_name = m_facts.server_name;
    record.recipient = m_facts.recipient;
    record.python = m_facts.python;
    record.os = m_facts.os;
    record.libc = m_facts.libc;
    record.arch = m_facts.arch;
    record.version = m_facts.version;
    record.seen_ms = os::real_clock().wall_ms();
    record.sites = m_facts.sites;
    if (std::ranges::find(record.sites, m_plan.site()) == record.sites.end())
      record.sites.push_back(m_plan.site());
    return {};
  };
  const auto saved =
      change_host(m_plan.places, name, take, known ? Missing::is_an_error : Missing::is_made);
  if (!saved || known)
    return;
  m_call.terminal.print_status(
      cat(printable(m_target.host.target, 200), " is remembered as ", name));
  m_target.host.name = name; // for what is remembered of the deploy
}

Result<void> HostDeploy::prepare() {
  TRY(meet());
  TRY(check_facts(m_facts, m_plan.site(), host()));
  m_version = TRY(deploy_version(m_call, m_plan, there(), m_memory));
  title();
  if (has_another_key(m_target, m_facts.recipient))
    m_call.terminal.print_status(cat(m_call.terminal.err(Style::warn, "warning:"), " ", host(),
        " has another host key than at the last deploy: it was set up again, or recovered"));
  TRY(ask_before(m_call, {m_plan, m_facts, m_memory, m_version, host()}));
  if (m_facts.sealed) {
    m_session.reset();
    TRY(unlock_before_sending(m_call, m_target.host, m_facts));
    TRY(meet());
  }
  TRY(pack_for(m_call, m_plan, m_target, m_facts, m_version, m_memory, m_lines));
  return check_digest();
}

// What a CI packed of the same commit is the same, byte for byte.
Result<void> HostDeploy::check_digest() {
  if (!m_call.args.has("digest") || m_call.args.text("digest") == m_memory.pending.tree)
    return {};
  m_lines.end_line();
  return fail(Code::denied,
      cat("this commit, packed here, has the digest ", m_memory.pending.tree,
          ", and the CI said another one. Either what the CI packed is not this commit, or its "
          "packages differ: `--refresh` collects those here again. Nothing was signed"));
}

bool HostDeploy::is_live_already() const {
  return !there().sha256.empty() && there().sha256 == m_memory.sha256 &&
      m_memory.tree == m_memory.pending.tree;
}

void HostDeploy::already_live() {
  m_lines.end_line();
  if (m_call.terminal.json()) {
    m_call.terminal.print(answer_text("deploy",
        Deployed{.host = host(),
            .site = m_plan.site(),
            .version = there().version,
            .code = std::nullopt,
            .message = "already live",
            .job = std::nullopt,
            .state = "done",
            .release = there().release,
            .uploaded = false}));
    return;
  }
  m_call.terminal.print(cat("already live: ", url(), " is ", printable(there().version, 80),
      ", and nothing here has changed since"));
}

HostSession::Heard HostDeploy::ears() {
  return {.begins =
              [this](const std::string& id) {
                m_job = id;
                print_on_interrupt(cat("interrupted: the deploy continues on ", host(),
                    "; chillboxctl job ", id, " -f -H ", host(), " follows it"));
              },
      .event = [this](const control::JobEvent& event) { m_lines.event(event); },
      .tick = [this] { m_lines.tick(); },
      .deadline = m_deadline};
}

Result<control::Job> HostDeploy::send_and_follow(
    HostSession& session, const control::Arguments& order) {
  const auto& file = m_memory.pending;
  if (m_plan.bucket)
    TRY(put_and_fetch(m_plan, session, order, file, host(), m_lines));
  const Fd artifact(::open(file.path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!artifact)
    return fail_errno(cat("open ", file.path), errno);
  const uint64_t from = TRY(session.announce("deploy", order));
  m_uploaded |= from < file.size;
  if (from > 0 && from < file.size)
    m_lines.line("send", cat("continues at ", human_size(from)));
  if (from < file.size)
    m_lines.percent("send", from, file.size);
  print_on_interrupt("interrupted: nothing is deployed yet; run the same command again to "
                     "continue the upload");
  TRY(session.send(artifact.get(), from, file.size,
      [&](uint64_t sent) { m_lines.percent("send", sent, file.size); }));
  if (from < file.size)
    m_lines.sent(file.size - from);
  m_deadline = Clock::now() + m_call.args.duration("timeout", k_deploy_timeout);
  return session.follow(ears());
}

Result<control::Job> HostDeploy::bring() {
  const auto& file = m_memory.pending;
  const auto order =
      TRY(signed_order(m_call, m_plan, m_facts, host(), m_version.text, file, m_lines));
  for (int i = 0;; ++i) {
    auto job = m_session ? send_and_follow(*m_session, order)
                         : Result<control::Job>(fail(Code::unreachable, ""));
    if (job || job.error().code != Code::unreachable)
      return job;
    m_session.reset();
    if (!m_job.empty()) {
      auto heard = ears();
      heard.event = {}; // they were told
      m_call.hint = cat("chillboxctl job ", m_job, " -f -H ", host());
      job = HostSession::follow_again(m_target.host, m_job, heard);
      if (job || job.error().code != Code::unreachable)
        m_call.hint.clear();
      return job;
    }
    if (i >= HostSession::k_tries)
      return fail(Code::unreachable,
          cat("the connection to ", host(), " broke ", HostSession::k_tries,
              " times: run the same command again to continue the upload"));
    m_lines.line("send", "the connection broke, trying again");
    std::this_thread::sleep_for(HostSession::k_pause);
    if (auto again = HostSession::open(m_target.host, m_plan.site()))
      m_session.emplace(std::move(*again));
  }
}

void HostDeploy::print_json(const control::Job* job, const Error* error, bool uploaded) {
  Deployed answer{.host = host(), .site = m_plan.site(), .version = m_version.text};
  if (error != nullptr) {
    answer.code = error->code;
    answer.message = error->message;
  }
  if (job != nullptr) {
    answer.code = job->code;
    answer.message = job->message;
    answer.job = job->id;
    answer.state = std::string(name(job->state));
    answer.release = job->release;
    answer.uploaded = uploaded;
  }
  m_call.terminal.print(answer_text("deploy", answer));
}

Result<void> HostDeploy::finish(const control::Job& job) {
  m_lines.done();
  print_on_interrupt("");
  if (m_call.terminal.json())
    print_json(&job, nullptr, m_uploaded);
  if (is_open(job.state)) {
    m_call.terminal.print_status(cat("the deploy continues on ", host(), "; chillboxctl job ",
        printable(job.id, 40), " -f -H ", host(), " follows it"));
    return {};
  }
  m_memory.sha256 = m_memory.pending.sha256;
  m_memory.tree = m_memory.pending.tree;
  m_memory.version = m_version.text;
  m_memory.root = m_plan.project.root;
  m_memory.origin = m_plan.git ? m_plan.git->origin : "";
  if (const auto kept = remember(m_plan.places, host(), m_plan.site(), m_memory); !kept)
    m_call.terminal.print_status(cat(
        m_call.terminal.err(Style::warn, "warning:"), " not remembered: ", kept.error().message));
  if (!m_call.terminal.json())
    m_call.terminal.print(cat(url(), " is ", m_version.text,
        job.previous.empty() // there is nothing to go back to
            ? ""
            : cat("        undo: chillboxctl rollback",
                  m_call.args.has("DIR|ARTIFACT") ? cat(" ", m_plan.site()) : "", at_host())));
  return {};
}

Result<void> HostDeploy::run() {
  TRY(prepare());
  if (is_live_already() && !m_call.args.has("refresh")) {
    already_live();
    return {};
  }
  (void)remember(m_plan.places, host(), m_plan.site(), m_memory); // for an upload that breaks off
  auto job = bring();
  m_lines.end_line();
  if (m_session)
    m_session.reset();
  const auto verdict = job && !is_open(job->state) ? verdict_of(*job)
      : job                                        ? Result<void>{}
                                                   : Result<void>(std::unexpected(job.error()));
  if (job && verdict) {
    remember_host();
    return finish(*job);
  }
  print_on_interrupt("");
  const Error& error = verdict.error();
  if (!m_job.empty())
    m_call.error_data = {.available = {}, .job = m_job, .state = {}, .step = {}};
  if (!job && !m_job.empty() && error.code == Code::timed_out) {
    m_call.hint = cat("chillboxctl job ", m_job, " -f -H ", host());
    return fail(error.code,
        cat("gave up waiting after ",
            format_duration(m_call.args.duration("timeout", k_deploy_timeout)),
            "; the deploy continues on ", host()));
  }
  if (m_job.empty() || (!job && error.code == Code::unreachable))
    return std::unexpected(error);
  m_lines.failed(plain_reason(error.message, m_plan.site()));
  m_call.terminal.print_error(still_live(there(), error, m_job, host()));
  if (m_call.terminal.json())
    print_json(job ? &*job : nullptr, &error, m_uploaded);
  m_call.error_printed = true;
  return std::unexpected(error);
}

} // namespace

Result<void> deploy_to_host(Call& call, DeployPlan& plan, Target& target) {
  return HostDeploy(call, plan, target).run();
}

} // namespace chillbox::cli
