#include "cli/laptop/deploy_bucket.hpp"

#include "base/text.hpp"

#include <algorithm>

namespace chillbox::cli {

Result<void> share_artifact(DeployPlan& plan) {
  std::vector<std::string> recipients, machines;
  for (const Target& target : plan.targets) {
    const auto session = TRY(HostSession::open(target.host, plan.site()));
    const auto& facts = session.facts();
    recipients.push_back(facts.recipient);
    machines.push_back(cat(facts.python, " ", facts.os, " ", facts.libc, " ", facts.arch));
  }
  if (std::ranges::count(machines, machines.front()) == std::ssize(machines))
    plan.recipients = std::move(recipients);
  return {};
}

Result<void> check_plan(const control::Plan& plan, const std::string& host) {
  if (plan.problems.empty())
    return {};
  return fail(Code::preflight,
      cat(host, ": ", printable(plan.problems.front(), 1000),
          plan.problems.size() == 1 ? "" : cat(" (and ", plan.problems.size() - 1, " more)")));
}

Result<void> put_and_fetch(DeployPlan& plan, HostSession& session, const control::Arguments& order,
    const DeployMemory::Pending& file, const std::string& host, DeployLines& lines) {
  if (plan.in_bucket != file.sha256) {
    lines.working("bucket", cat("put ", human_size(file.size)));
    TRY(plan.bucket->put(file.path, TRY(Digest::parse(file.sha256)), order.signature.value_or("")));
    plan.in_bucket = file.sha256;
    lines.line("bucket", cat(human_size(file.size), " put"));
  }
  lines.working("fetch", cat(host, " fetches it"));
  const auto planned = TRY(
      session.prepare_fetch(order, [&](const std::string& note) { lines.line("fetch", note); }));
  TRY(check_plan(planned, host));
  lines.line("fetch", "ok");
  return {};
}

} // namespace chillbox::cli
