// Verbs that look ahead.
#include "artifact/verify.hpp"
#include "base/guarded.hpp"
#include "base/text.hpp"
#include "daemon/control_verbs.hpp"
#include "os/io.hpp"
#include "rollout/plan.hpp"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>

namespace chillbox::daemon {

using control::Role;

namespace {

constexpr std::chrono::milliseconds k_plan_frame_wait{60'000};
constexpr os::Millis k_body_wait{15 * 60'000};
constexpr os::Millis k_planning_wait{20'000};
constexpr size_t k_max_plan_signature = 10 * 1024;

// Without a name from the first moment: nobody can change it between the check and the use, and
// nothing is left of it whatever happens.
Result<Fd> nameless_file(const std::string& dir) {
  std::string path = dir + "/.plan.tmp.XXXXXX";
  Fd fd(::mkostemp(path.data(), O_CLOEXEC));
  if (!fd || ::unlink(path.c_str()) != 0)
    return fail_errno(cat("make a temporary file in ", dir), errno);
  return fd;
}

Result<Fd> receive_artifact(int from, const rollout::HostContext& host) {
  Fd file = TRY(nameless_file(host.paths.artifacts()));
  const os::Millis end = host.clock.mono() + k_body_wait;
  for (uint64_t size = 0;;) {
    if (host.clock.mono() >= end)
      return fail(Code::timed_out,
          cat("the artifact did not come within ", k_body_wait.count() / 60'000, " minutes"));
    const auto frame = TRY_IN("artifact", control::read_frame(from, k_plan_frame_wait));
    if (frame.empty())
      return file;
    size += frame.size();
    if (size > host.config.artifact_max)
      return fail(Code::too_large,
          cat("the artifact has more than ", human_size(host.config.artifact_max),
              " (limits.artifact_max)"));
    TRY(append(file.get(), frame, host.config.reserve_percent));
  }
}

// One at a time of a user: it lies on the disk before anything of it is known.
Result<Fd> receive_body(const Call& call) {
  {
    const std::lock_guard lock(call.state.mutex);
    if (!call.state.sending.insert(call.visit.uid).second)
      return fail(Code::busy,
          "you are sending an artifact to look at already: try again when that is done");
  }
  auto file =
      guarded("receive an artifact", [&] { return receive_artifact(call.fd(), call.host()); });
  const std::lock_guard lock(call.state.mutex);
  call.state.sending.erase(call.visit.uid);
  return file;
}

// Plans a site, an artifact that the store has, or an artifact that follows the request.
Result<control::Plan> plan(const Call& call) {
  auto& host = call.host();
  if (call.args.site)
    return rollout::plan_site(host, TRY(site_of(call)));
  Fd file;
  std::string signature;
  // As it says of itself, before anything of it is taken in or unpacked; that it says the truth is
  // found out before anything is answered.
  const auto is_theirs = [&] {
    if (!call.person)
      return true;
    const auto said = artifact::stated(signature);
    return said && may_see(call, said->site.str());
  };
  if (call.args.sha256) {
    const Digest digest = TRY(Digest::parse(*call.args.sha256));
    file = Fd(::open(host.paths.artifact(digest).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!file)
      return fail(Code::not_found, cat("no artifact ", digest.str(), " on this host"));
    signature = TRY(host.disk.read(host.paths.artifact_signature(digest), k_max_plan_signature));
    if (!is_theirs()) // as if it were not there
      return fail(Code::not_found, cat("no artifact ", digest.str(), " on this host"));
  } else {
    signature = TRY(required(call.args.signature, "signature"));
    if (!is_theirs())
      return fail(Code::denied,
          cat(call.person->name, " may plan only what is signed for ",
              call.person->sites.empty() ? "a site" : join(call.person->sites, ", ")));
    file = TRY(receive_body(call));
  }
  const std::unique_lock one(
      call.state.planning, k_planning_wait); // they share the staging memory with deploys
  if (!one)
    return fail(Code::busy, "another plan is being made: try again");
  return rollout::plan_artifact(host, file.get(), signature);
}

Result<control::NginxText> nginx_show(const Call& call) {
  const auto site = TRY(site_of(call));
  auto text = TRY(rollout::nginx_in_force(call.host(), site));
  return control::NginxText{.site = site.str(), .text = std::move(text)};
}

constexpr ControlVerb k_plan_verbs[] = {
    {"plan", answer<plan>, true, Role::deploy,
        Reach::filtered}, // changes nothing, but unpacks what somebody brought
    {"nginx_show", answer<nginx_show>},
};

} // namespace

Result<void> append(int fd, std::string_view bytes, uint32_t reserve_percent) {
  struct statvfs fs{};
  if (::fstatvfs(fd, &fs) == 0 &&
      uint64_t{fs.f_bavail} < uint64_t{fs.f_blocks} / 100 * reserve_percent)
    return fail(Code::no_space,
        cat("no space for the artifact: ", reserve_percent,
            " % of the disk stay free (limits.reserve_percent)"));
  if (const int err = os::write_fully(fd, bytes); err != 0)
    return fail_errno("write the artifact", err);
  return {};
}

std::span<const ControlVerb> plan_verbs() {
  return k_plan_verbs;
}

} // namespace chillbox::daemon
