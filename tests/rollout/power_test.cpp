// The power goes at every moment of a job, with every state of the disk that it may leave
// (power.hpp has the model): the next boot has the old release or the new one, whole; every job
// that was acknowledged is known and ends; the audit trail verifies; no site is newer in its file
// than in the store, and the signature of what is live is there.
#include "rollout/host.hpp"
#include "rollout/power.hpp"

#include "control/json.hpp"
#include "rollout/acquire.hpp"
#include "rollout/manifest.hpp"
#include "rollout/prune.hpp"
#include "secrets/load.hpp"

#include <nlohmann/json.hpp>

#include <cstdlib>
#include <functional>
#include <unordered_set>

using namespace chillbox;
using namespace chillbox::test;
using store::JobKind;
using store::JobState;

namespace {

const std::string k_job = "job4"; // behind those of PowerHost()
const std::string k_power_services =
    R"([{"name":"app","lang":"python","secrets_config":"app.cfg","health":{"deadline":"2s"}}])";

struct PowerHost : Host {
  PowerHost() {
    config.keep_releases = 1; // so that something is pruned behind the job
    unlock();
    REQUIRE(secrets({{"app/app.cfg", "one"}}).state == JobState::done);
    REQUIRE(
        deploy(Order{.version = "1.0.0", .services = k_power_services}).state == JobState::done);
    REQUIRE(deploy(Order{.version = "2.0.0", .domain = "www.example", .services = k_power_services})
                .state == JobState::done);
  }
  // What the daemon does before it opens its store (daemon/startup.cpp).
  void boot() {
    daemon.reset();
    for (const auto& dir :
        {paths.artifacts(), paths.secret_sets(), paths.site(site()), paths.releases(site())})
      os::sweep_temporaries(dir);
    reboot();
  }
};

size_t hash_of(const Image& image, size_t at = 0, size_t seed = 0) {
  const auto mix = [&seed](size_t value) {
    seed ^= value + 0x9e3779b97f4a7c15 + (seed << 6) + (seed >> 2);
  };
  for (const auto& [file, number] : image[at].entries) {
    mix(std::hash<std::string>()(file));
    mix(std::hash<std::string>()(image[number].bytes));
    mix(hash_of(image, number));
  }
  return seed;
}

struct Plan {
  std::function<Sent(Deployer&)> pack; // what is uploaded before, if anything
  JobKind kind;
  std::string version, secret; // live behind it; no version: the site is gone
};

// What the end of a job leaves beside the site: its file, and the signature of what is live.
std::string trouble_beside(PowerHost& host) {
  const auto live = host.live();
  const auto file =
      control::parse_json(host.text(host.paths.site(site()) + "/state.json"), 1 << 20);
  if (!file || control::string_or(*file, "live", "") != live.id)
    return "state.json has another live release";
  return host.disk.exists(host.paths.artifact_signature(must(Digest::parse(live.sha256))))
      ? ""
      : "the signature is gone";
}

// Boots from the disk that is there, unlocks, lets all jobs end. What is wrong then.
std::string trouble(PowerHost& host, const Plan& plan, const std::string& job, bool acknowledged) {
  host.boot();
  if (const auto newer = rollout::restore_from_manifests(
          host.disk, host.paths, host.store(), host.clock.wall_ms());
      !newer.empty())
    return newer.front();
  if (acknowledged && !must(host.store().job(job)))
    return "the job is not known";
  host.unlock();
  // A site that is half removed may not come up: its removal goes on.
  if (auto up = rollout::bring_up(host.context(), site(), true); !up && !plan.version.empty())
    return cat("bring up: ", up.error().message);
  const bool known = must(host.store().job(job)).has_value(), gone = plan.version.empty();
  if (!gone && host.ask() != "2.0.0" && host.ask() != plan.version)
    return cat("who asks behind the boot gets ", host.ask());
  for (const auto& open : must(host.store().unfinished()))
    if (const auto ended = host.run(open); ended.state != JobState::done)
      return cat("the job ended as ", store::name(ended.state), ": ", ended.message);
  must(host.store().verify_audit());
  if (!gone || !known)
    rollout::prune_after_job(host.context(), site());
  if (known && gone)
    return must(host.store().site(site())) || host.disk.exists(host.paths.site(site())) ||
            !host.nginx_text().empty()
        ? "the site is still there"
        : "";
  if (const auto secret = host.text(host.paths.secrets_of(site()) + "/app/app.cfg");
      secret != (known ? plan.secret : "one"))
    return cat("the secret is ", secret);
  if (const auto wrong = trouble_beside(host); !wrong.empty())
    return wrong;
  return disagreement(host, known ? plan.version : "2.0.0");
}

// At most this many disks of each job, spread over all that there are; CHILLBOX_IMAGES says another
// number (`make power-images`).
size_t images_wanted() {
  const char* wanted = std::getenv("CHILLBOX_IMAGES");
  return wanted == nullptr ? 40 : static_cast<size_t>(std::atol(wanted));
}

void cut_everywhere(const Plan& plan) {
  PowerHost host;
  const Sent sent = plan.pack ? plan.pack(host.laptop) : Sent();
  if (plan.pack) { // its signature came for this job alone
    const auto digest = must(Digest::parse(sent.sha256));
    host.upload(sent);
    std::filesystem::rename(host.paths.artifact_signature(digest),
        rollout::uploaded_signature(host.context(), digest, k_job));
  }
  Recording recording(host.paths.root);
  const auto job =
      host.queue(plan.kind, "blog", plan.kind == JobKind::deploy ? plan.version : "", sent);
  const size_t acknowledged = recording.length();
  REQUIRE(job.id == k_job);
  REQUIRE(host.run(job).state == JobState::done);
  recording.stop();
  REQUIRE(recording.complete() == "");
  const auto cuts = recording.cuts();
  const size_t step = std::max<size_t>(1, cuts.size() / images_wanted());
  std::unordered_set<size_t> seen;
  for (size_t i = step / 2; i < cuts.size(); i += step) {
    const Image disk = recording.image(cuts[i]);
    if (!seen.insert(hash_of(disk)).second)
      continue;
    host.daemon.reset();
    recording.write(disk);
    INFO(describe(cuts[i]) << " of " << recording.length());
    REQUIRE(trouble(host, plan, job.id, cuts[i].changes >= acknowledged) == "");
  }
  if (std::getenv("CHILLBOX_IMAGES") != nullptr)
    WARN(cuts.size() << " cuts behind " << recording.length() << " changes, " << seen.size()
                     << " different disks booted from");
}

} // namespace

TEST_CASE("[fault-92] the power goes at any moment of a deploy, with all that was not synced lost or only some of it") {
  cut_everywhere({[](Deployer& laptop) {
                    return laptop.pack({.version = "3.0.0", .services = k_power_services});
                  },
      JobKind::deploy, "3.0.0", "one"});
}

TEST_CASE("[fault-92] the power goes at any moment of a rollback") {
  cut_everywhere({nullptr, JobKind::rollback, "1.0.0", "one"});
}

TEST_CASE("[fault-92] the power goes at any moment of a secrets update") {
  cut_everywhere(
      {[](Deployer& laptop) { return laptop.pack_secrets("blog", {{"app/app.cfg", "two"}}); },
          JobKind::secrets, "2.0.0", "two"});
}

TEST_CASE("[fault-92] the power goes at any moment of a removal") {
  cut_everywhere({nullptr, JobKind::remove, "", ""});
}
