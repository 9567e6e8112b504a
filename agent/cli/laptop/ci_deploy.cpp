#include "cli/laptop/ci_deploy.hpp"

#include "base/encoding.hpp"
#include "base/text.hpp"
#include "cli/core/answers.hpp"
#include "cli/core/file_input.hpp"
#include "cli/core/interrupt.hpp"
#include "cli/core/progress.hpp"
#include "cli/fleet/deploy_client.hpp"
#include "cli/http/url.hpp"
#include "cli/laptop/bucket.hpp"
#include "cli/laptop/ci_bundle.hpp"
#include "cli/laptop/deploy_artifact.hpp"
#include "cli/laptop/deploy_plan.hpp"
#include "cli/laptop/deploy_questions.hpp"
#include "cli/laptop/deploy_sign.hpp"
#include "crypto/minisign.hpp"
#include "crypto/webhook.hpp"
#include "os/clock.hpp"
#include "os/sandbox.hpp"

#include <chrono>
#include <optional>

namespace chillbox::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds k_ci_timeout{30 * 60'000};
constexpr size_t k_max_bundle = 64 * 1024;

Result<CiBundle> read_bundle(const std::string& from) {
  if (from.starts_with("cbci1_"))
    return fail(Code::usage,
        "--ci-key takes a file, or - for standard input: on the command line everyone on this "
        "machine could read the key");
  const SecretBytes text = TRY(read_secret_input(from, k_max_bundle));
  return TRY_IN("--ci-key", parse_ci_bundle(text.text()));
}

// One site, from a folder, to the host of the bundle.
class CiDeploy {
public:
  CiDeploy(Call& call, CiBundle bundle, DeployPlan plan)
      : m_call(call), m_bundle(std::move(bundle)), m_plan(std::move(plan)),
        m_target{Host{}, std::nullopt}, m_lines(call.terminal) {
    m_target.host.name = m_bundle.host;
    m_bundle.facts.site = control::SiteFacts{.site = m_bundle.site};
  }

  bool signs() const { return !m_bundle.key.empty(); }
  Result<void> pack();
  Result<void> announce_to_person();
  Result<void> send();

private:
  Result<ArtifactFile> sign(uint64_t serial);
  Result<control::Job> send_once(const ArtifactFile& file);
  Result<control::Job> deliver();
  void print(const control::Job& job);

  Call& m_call;
  CiBundle m_bundle;
  DeployPlan m_plan;
  Target m_target;
  DeployLines m_lines;
  DeployMemory m_memory;
  DeployVersion m_version;
};

Result<void> CiDeploy::pack() {
  if (m_plan.site() != m_bundle.site)
    return fail(Code::denied,
        cat("this CI key is for site '", m_bundle.site, "' alone, and what is here is '",
            m_plan.site(), "'"));
  m_version = TRY(deploy_version(m_call, m_plan, *m_bundle.facts.site, m_memory));
  m_lines.title(cat(m_plan.site(), " ", m_version.text, " -> ", printable(m_bundle.host, 200)));
  return pack_for(m_call, m_plan, m_target, m_bundle.facts, m_version, m_memory, m_lines);
}

// Whoever reads it has the commit, and packs it again: what is sent is what he has seen.
Result<void> CiDeploy::announce_to_person() {
  m_lines.end_line();
  if (!m_plan.git || m_plan.git->dirty)
    return fail(Code::preflight,
        "a person can approve only what is in a commit: the folder is in no git repository, or "
        "has files that are not committed (git status)");
  const std::string line = cat("chillboxctl approve ", m_plan.git->hash, " --digest ",
      m_memory.pending.tree, " -H ", printable(m_bundle.host, 80));
  m_call.terminal.print_status("packed, and not sent: this CI key signs nothing. In a clone of "
                               "the repository, a person who may deploy runs:");
  m_call.terminal.print(line);
  return {};
}

Result<ArtifactFile> CiDeploy::sign(uint64_t serial) {
  const auto key = TRY(crypto::MinisignSecretKey::parse(m_bundle.key.text(), SecretBytes()));
  auto what = TRY(what_to_sign(m_call, m_plan, m_version.text, m_memory.pending, serial));
  ArtifactFile file{m_memory.pending.path,
      key.sign(what.blake2b, artifact::statement_text(what.statement)), std::move(what.statement),
      m_memory.pending.size};
  return file;
}

Result<control::Job> CiDeploy::send_once(const ArtifactFile& file) {
  const SecretBytes hook = TRY(parse_key_file(m_bundle.hook.text()));
  DeployClient client(TRY(Http::create(m_call.args.text("cacert"))), m_bundle.url,
      Clock::now() + m_call.args.duration("timeout", k_ci_timeout), m_lines);
  client.stop_when_locked();
  if (m_call.args.has("via")) {
    const Bucket bucket = TRY(Bucket::find(m_plan.places, m_call.args.text("via")));
    TRY(bucket.put(file.path, file.statement.sha256, file.minisig));
  }
  const Delivery delivery = make_delivery(
      file, cat("msg_", random_token(16)), os::real_clock().wall(), !m_call.args.has("no-watch"));
  const auto accepted = client.announce(delivery, hook);
  if (!accepted && accepted.error().code == Code::denied)
    return fail(Code::denied,
        cat(m_bundle.host,
            " refused this CI key: it was removed or replaced (chillboxctl ci list), "
            "or the clocks are over 5 minutes apart"));
  if (!accepted)
    return std::unexpected(accepted.error());
  print_on_interrupt(cat("interrupted: job ", printable(accepted->job, 40), " keeps running"));
  (void)TRY_IN(cat("job ", printable(accepted->job, 40)), client.upload(*accepted, file));
  auto job = m_call.args.has("no-wait") ? client.job_now(*accepted) : client.follow(*accepted);
  m_lines.end_line();
  print_on_interrupt("");
  if (!job && job.error().code == Code::sealed)
    return fail(Code::sealed,
        cat(m_bundle.host,
            " is locked: the deploy waits there until somebody unlocks it "
            "(chillboxctl unlock -H ",
            m_bundle.host, ")"));
  if (job && !is_open(job->state) && !job->code)
    m_lines.done();
  return job;
}

// Nobody asks the host for its newest serial: it says it when it refuses an older one.
std::optional<uint64_t> installed_serial_in(std::string_view message) {
  constexpr std::string_view front = " than installed ";
  const auto at = message.find(front);
  if (at == message.npos)
    return std::nullopt;
  const auto rest = message.substr(at + front.size());
  return parse_u64(rest.substr(0, rest.find_first_not_of("0123456789")));
}

Result<control::Job> CiDeploy::deliver() {
  const auto job = TRY(send_once(TRY(sign(serial_for(0, os::real_clock().wall())))));
  if (job.code != Code::denied)
    return job;
  const auto installed = installed_serial_in(job.message);
  if (!installed)
    return job;
  m_lines.line("sign", cat("again: ", m_bundle.host, " has serial ", *installed, " already"));
  return send_once(TRY(sign(*installed + 1)));
}

void CiDeploy::print(const control::Job& job) {
  if (m_call.terminal.json()) {
    m_call.terminal.print(answer_text("deploy",
        Deployed{.host = m_bundle.host,
            .site = m_plan.site(),
            .version = m_version.text,
            .code = job.code,
            .message = job.message,
            .job = job.id,
            .state = std::string(name(job.state)),
            .release = job.release,
            .uploaded = true}));
    return;
  }
  m_call.terminal.print(is_open(job.state)
          ? cat(m_plan.site(), " ", m_version.text, ": job ", printable(job.id, 40),
                " keeps running on ", m_bundle.host)
          : cat(m_plan.site(), " ", m_version.text, " is live on ", m_bundle.host));
}

Result<void> CiDeploy::send() {
  m_lines.end_line();
  if (is_readable_on_the_way(m_bundle.url))
    m_call.terminal.print_status(cat(m_call.terminal.err(Style::warn, "warning:"), " ",
        m_bundle.url, " is not encrypted: anyone on the way can read what the deploy prints"));
  const auto job = TRY(deliver());
  if (!is_open(job.state))
    if (const auto verdict = verdict_of(job); !verdict) {
      if (!m_call.terminal.json())
        m_lines.failed(plain_reason(verdict.error().message, m_plan.site()));
      m_call.error_data = {
          .available = {}, .job = job.id, .state = std::string(name(job.state)), .step = job.step};
      if (verdict.error().code == Code::preflight)
        m_call.hint = cat("what the CI key says of ", m_bundle.host,
            " is of the day that it was made: after an upgrade there, chillboxctl ci add ",
            m_plan.site(), " --rotate");
      m_call.error_printed = !m_call.terminal.json() && m_call.hint.empty();
      return verdict;
    }
  print(job);
  return {};
}

} // namespace

Result<void> deploy_from_ci(Call& call) {
  TRY(os::deny_core_and_ptrace());
  for (const char* other : {"host", "to", "hosts", "key", "webhook-key"})
    if (call.args.has(other))
      return fail(
          Code::usage, cat("--ci-key says the host and has the keys: --", other, " is not for it"));
  CiBundle bundle = TRY(read_bundle(call.args.text("ci-key")));
  CiDeploy deploy(call, std::move(bundle), TRY(plan_folder(call)));
  TRY(deploy.pack());
  return deploy.signs() ? deploy.send() : deploy.announce_to_person();
}

} // namespace chillbox::cli
