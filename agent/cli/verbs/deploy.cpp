// deploy: of a project's folder, by ssh (laptop/deploy_project.hpp); or of an artifact, by a signed
// webhook: announces it, uploads it and follows the job. Several hosts are taken one after the
// other.
#include "cli/core/answers.hpp"
#include "cli/core/file_input.hpp"
#include "cli/core/interrupt.hpp"
#include "cli/core/options.hpp"
#include "cli/core/progress.hpp"
#include "cli/core/terminal.hpp"
#include "cli/fleet/deploy_client.hpp"
#include "cli/fleet/inventory.hpp"
#include "cli/fleet/ssh.hpp"
#include "cli/http/url.hpp"
#include "cli/laptop/bucket.hpp"
#include "cli/laptop/ci_deploy.hpp"
#include "cli/laptop/deploy_project.hpp"
#include "cli/laptop/deploy_roll.hpp"
#include "cli/laptop/deploy_stream.hpp"

#include "base/encoding.hpp"
#include "base/text.hpp"
#include "os/clock.hpp"

#include <algorithm>
#include <filesystem>
#include <map>

namespace chillbox::cli {
namespace {

constexpr std::array k_deploy_options{
    Option{"[DIR|ARTIFACT]", ArgKind::text, "",
        "a folder in the project (default: .), or what `pack` made, with its .minisig next to it"},
    k_to_host,
    k_env,
    Option{"--version", ArgKind::text, "V",
        "its version (default: what the site file, VERSION or git says)"},
    Option{"--commit", ArgKind::text, "REV",
        "exactly what is in this commit, whatever the folder has"},
    k_yes,
    Option{"--no-wait", ArgKind::flag, "", "do not follow the deploy to its end"},
    Option{"--refresh", ArgKind::flag, "",
        "collect packages again, and deploy although nothing has changed"},
    Option{
        "--no-commands", ArgKind::flag, "", "run no command that the site names: env[].cmd, make"},
    Option{"-k,--key", ArgKind::text, "KEY", "sign with this minisign secret key, not your own"},
    Option{"--expires", ArgKind::text, "TIME",
        "hosts refuse it after this: 30d, 2026-11-20, 2026-11-20T17:33:34Z"},
    Option{"--via", ArgKind::text, "s3://BUCKET[/PREFIX]",
        "put it into this bucket, from where hosts fetch it (chillboxd.toml, [fetch])"},
    k_passphrase_fd,
    Option{"--ci-key", ArgKind::text, "FILE",
        "the line that `ci add` printed: to its host, and nobody is asked; - reads standard input"},
    Option{
        "--site", ArgKind::text, "SITE", "with '-', which is what runs on the host: for this site"},
    Option{"--to", ArgKind::list, "URL[,..]",
        "of an artifact: https://HOST of the chillbox host; several are taken one after the other"},
    Option{"--webhook-key", ArgKind::list, "FILE[,..]",
        "file with the sender's whsec_ key, one for all hosts or one for each; - reads standard input"},
    Option{"--hosts", ArgKind::text, "INVENTORY",
        "the hosts of an Ansible inventory, its chillbox_url and chillbox_webhook_key"},
    Option{"--limit", ArgKind::list, "PATTERN[,..]", "only these hosts or groups of --hosts"},
    Option{"--keep-going", ArgKind::flag, "", "try the remaining hosts after one fails"},
    Option{"-w,--wait", ArgKind::flag, "",
        "of an artifact to one URL: follow the job to its end; the exit code says how it went"},
    Option{"--timeout", ArgKind::duration, "TIME",
        "give up waiting after this (default: 120s, by ssh 30m); the job keeps running"},
    Option{"--cacert", ArgKind::text, "FILE",
        "trust these certificate authorities (PEM) instead of the system's"},
    k_no_watch,
};

using std::chrono::milliseconds;

constexpr milliseconds k_webhook_timeout{120'000};
constexpr size_t k_max_webhook_key = 16 * 1024;

struct WebhookHost {
  std::string name;
  std::string url;
  std::string key_file;
};

// The hosts of --to with --webhook-key, one for all or one for each, or those of the inventory,
// where --webhook-key is for the hosts that have none.
Result<std::vector<WebhookHost>> targets_of(const Args& args) {
  const auto urls = args.list("to");
  const auto keys = args.list("webhook-key");
  std::vector<WebhookHost> targets;
  if (urls.empty() == !args.has("hosts"))
    return fail(Code::usage,
        urls.empty() ? "no host was named: give --to URL or --hosts INVENTORY"
                     : "--to and --hosts exclude each other: give one of them");
  if (args.has("hosts")) {
    for (const Host& host : TRY(read_inventory(args.text("hosts"), args.list("limit"))))
      targets.push_back({host.name, host.url,
          host.webhook_key.empty() && !keys.empty() ? keys.front() : host.webhook_key});
  } else {
    for (size_t i = 0; i < urls.size(); ++i)
      targets.push_back({urls[i], urls[i],
          keys.empty()           ? ""
              : keys.size() == 1 ? keys.front()
              : i < keys.size()  ? keys[i]
                                 : ""});
    if (keys.size() > urls.size())
      return fail(Code::usage,
          cat(keys.size(), " --webhook-key for ", urls.size(),
              " --to: give one for all, or one for each"));
    if (args.has("limit"))
      return fail(Code::usage,
          "--limit selects from the hosts of --hosts: with --to, name the hosts themselves");
  }
  for (WebhookHost& target : targets) {
    target.url = TRY(parse_base_url(target.url));
    if (target.key_file.empty())
      return fail(Code::usage,
          cat("no webhook key for ", printable(target.name),
              ": give --webhook-key FILE for each host",
              args.has("hosts") ? ", or chillbox_webhook_key in the inventory" : ""));
  }
  return targets;
}

void tell(Call& call, const std::string& host, const control::Job& job, const ArtifactFile& file,
    bool uploaded) {
  if (call.terminal.json()) {
    call.terminal.print(answer_text("deploy",
        Deployed{.host = host,
            .site = file.statement.site.str(),
            .version = file.statement.version,
            .code = job.code,
            .message = job.message,
            .job = job.id,
            .state = std::string(name(job.state)),
            .release = job.release,
            .uploaded = uploaded}));
    return;
  }
  const std::string what = cat(file.statement.site.str(),
      file.statement.secrets ? " secrets" : cat(" ", file.statement.version));
  if (!is_open(job.state))
    call.terminal.print(
        cat(what, ": ", job.message.empty() ? "done" : printable(job.message, 500)));
  else
    call.terminal.print(cat(what, ": ", uploaded ? "uploaded" : "the host has it already", ", job ",
        printable(job.id, 40), " keeps running"));
}

Result<SecretBytes> read_key(const std::string& path) {
  const SecretBytes text = TRY(read_secret_input(path, k_max_webhook_key));
  return TRY_IN(printable(path, 1024), parse_key_file(text.text()));
}

Result<void> deploy_to(Call& call, const WebhookHost& target, const SecretBytes& key,
    const ArtifactFile& file, bool wait) {
  Progress progress(call.terminal);
  const auto timeout = call.args.duration("timeout", k_webhook_timeout);
  Http http = TRY(Http::create(call.args.text("cacert")));
  DeployClient client(
      std::move(http), target.url, std::chrono::steady_clock::now() + timeout, progress);
  const Delivery delivery = make_delivery(
      file, cat("msg_", random_token(16)), os::real_clock().wall(), !call.args.has("no-watch"));
  const control::Accepted accepted = TRY(client.announce(delivery, key));
  const std::string id = printable(accepted.job, 40);
  call.terminal.print_status(cat(
      call.terminal.err(Style::bold, cat(file.statement.site.str(), " ", file.statement.version)),
      "  job ", id));
  print_on_interrupt(cat("interrupted before the upload finished: job ", id,
      " waits for it; run the same command again"));
  const bool uploaded = TRY_IN(cat("job ", id), client.upload(accepted, file));
  print_on_interrupt(cat("interrupted: job ", id, " keeps running; on the host `chillboxctl job ",
      id, " -f` follows it"));
  const auto seen = wait ? client.follow(accepted) : client.job_now(accepted);
  progress.end_line();
  if (!seen) {
    call.hint = cat("on the host: chillboxctl job ", id, " -f");
    return std::unexpected(seen.error());
  }
  if (const auto verdict = !is_open(seen->state) ? verdict_of(*seen) : Result<void>{}; !verdict) {
    progress.tell_logs(verdict.error().message);
    call.error_data = {.available = {},
        .job = seen->id,
        .state = std::string(name(seen->state)),
        .step = seen->step};
    return verdict;
  }
  print_on_interrupt("");
  tell(call, target.name, *seen, file, uploaded);
  return {};
}

Result<void> roll(Call& call, const std::vector<WebhookHost>& targets,
    const std::vector<SecretBytes>& keys, const ArtifactFile& file) {
  std::vector<RollPart> parts;
  for (size_t i = 0; i < targets.size(); ++i)
    parts.push_back({targets[i].name, [&, i] {
                       call.terminal.print_status(
                           call.terminal.err(Style::bold, cat("== ", printable(targets[i].name))));
                       return deploy_to(call, targets[i], keys[i], file, true);
                     }});
  return roll_deploy(
      call, parts, Deployed{.site = file.statement.site.str(), .version = file.statement.version});
}

// Without TLS the webhook key and the artifact are still safe, but a job's capability and its
// output are not. Not every host has TLS, so this is a warning.
void warn_of_plain_http(Call& call, const std::vector<WebhookHost>& targets) {
  const auto plain = std::ranges::find_if(
      targets, [](const WebhookHost& target) { return is_readable_on_the_way(target.url); });
  if (plain != targets.end())
    call.terminal.print_status(cat(call.terminal.err(Style::warn, "warning:"), " ",
        printable(plain->url),
        " is not encrypted: anyone between here and there can read this job and upload for it (never other bytes than were "
        "signed); use https:// where the host has a certificate"));
}

Result<void> deploy_artifact(Call& call) {
  const auto targets = TRY(targets_of(call.args));
  const ArtifactFile file = TRY(open_artifact(call.args.text("DIR|ARTIFACT")));
  std::vector<SecretBytes> keys; // all are read before the first host is touched
  std::map<std::string, size_t> read;
  for (const WebhookHost& target : targets)
    if (const auto known = read.find(target.key_file); known != read.end()) {
      keys.push_back(keys[known->second].copy());
    } else {
      read[target.key_file] = keys.size();
      keys.push_back(TRY(read_key(target.key_file)));
    }
  warn_of_plain_http(call, targets);
  if (call.args.has("via")) {
    const Bucket bucket = TRY(Bucket::find(Places::find(), call.args.text("via")));
    TRY(bucket.put(file.path, file.statement.sha256, file.minisig));
  }
  if (targets.size() == 1)
    return deploy_to(call, targets.front(), keys.front(), file, call.args.has("wait"));
  return roll(call, targets, keys, file);
}

// A folder goes by ssh, a file by a webhook.
Result<void> run_deploy(Call& call) {
  const std::string what = call.args.text("DIR|ARTIFACT");
  if (what == "-")
    return serve_deploy(call);
  if (call.args.has("ci-key"))
    return deploy_from_ci(call);
  std::error_code error;
  if (what.empty() || std::filesystem::is_directory(what, error)) {
    for (const char* webhook : {"to", "webhook-key", "hosts", "limit", "cacert"})
      if (call.args.has(webhook))
        return fail(Code::usage,
            cat("--", webhook, " is for an artifact that `pack` made: ",
                what.empty() ? "name it" : cat(printable(what, 200), " is a folder"),
                ", or deploy the folder by ssh with -H USER@HOST"));
    return deploy_project(call);
  }
  if (!std::filesystem::exists(what, error))
    return fail(Code::not_found, cat("no file or folder '", printable(what, 200), "' here"));
  if (call.args.has("host") || call.args.has("env"))
    return fail(Code::usage,
        cat(printable(what, 200),
            " is an artifact: it goes by --to URL; -H and -e are for a folder"));
  return deploy_artifact(call);
}

} // namespace

extern constinit const Verb k_deploy{"deploy", Group::laptop, Where::laptop,
    "make what is in this folder live", k_deploy_options, run_deploy};

} // namespace chillbox::cli
