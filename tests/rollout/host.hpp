// A whole host below one directory: the real disk, store, vault and stager, with OpenRC, NGINX and
// the services played (fake_runner.hpp). What the daemon holds can be thrown away and begun again,
// as a restart or a reboot does.
#pragma once

#include "catch.hpp"
#include "crypto/age.hpp"
#include "os/probe.hpp"
#include "rollout/bring_up.hpp"
#include "rollout/deployer.hpp"
#include "rollout/fake_runner.hpp"
#include "rollout/fakes.hpp"
#include "rollout/job_context.hpp"
#include "rollout/prune.hpp"

#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>

namespace chillbox::test {

inline constexpr std::string_view k_passphrase = "correct horse";

// What a test does when a job has changed. It is replaced while jobs run.
class Watcher {
public:
  using Call = std::function<void(const std::string& job)>;
  Watcher& operator=(Call call) {
    const std::lock_guard lock(m_mutex);
    m_call = std::move(call);
    return *this;
  }
  void operator()(const std::string& job) {
    if (const Call call = current())
      call(job);
  }

private:
  Call current() {
    const std::lock_guard lock(m_mutex);
    return m_call;
  }
  std::mutex m_mutex;
  Call m_call;
};

struct TempDir {
  TempDir() {
    // Memory where there is some: a deploy syncs the whole file system.
    std::string pattern = (std::filesystem::is_directory("/dev/shm")
                                  ? "/dev/shm"
                                  : std::filesystem::temp_directory_path().string()) +
        "/cb-XXXXXX";
    path = ::mkdtemp(pattern.data());
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  std::string path;
};

// What a start of the daemon makes.
struct Daemon {
  Daemon(os::Disk& disk, os::Runner& runner, os::Clock& clock, const os::Paths& paths,
      const config::HostConfig& config, std::function<void(const std::string&)> changed)
      : store(must(store::Store::open(paths.database(), clock.wall_ms()))),
        nginx(disk, runner, clock, paths, config), slots(disk, runner, clock, paths),
        context{disk, runner, clock, paths, config, store, vault, nginx, slots, false,
            std::move(changed)} {}
  store::Store store;
  secrets::Vault vault{"-"};
  nginx::Nginx nginx;
  openrc::Slots slots;
  rollout::HostContext context;
};

class Host {
public:
  Host() {
    for (const char* dir : {"/etc/init.d", "/etc/conf.d", "/etc/nginx/http.d",
             "/etc/chillbox/trusted", "/etc/chillbox/webhooks", "/var/lib/chillbox/artifacts",
             "/var/lib/chillbox/secrets", "/var/lib/chillbox/inbox", "/srv/chillbox", "/desk"})
      std::filesystem::create_directories(paths.root + dir);
    make_run();
    handler("python", R"({"listens":"unix","build":true})");
    handler("static", R"({"listens":"no","public":["."]})");
    handler("x-port", R"({"listens":"tcp"})");
    write(paths.trusted() + "/anna.pub", laptop.public_key());
    const auto sealed = must(crypto::encrypt_with_passphrase(
        identity.to_text().view(), SecretBytes(bytes_of(k_passphrase)), 2));
    write(paths.identity(), text_of(sealed));
    write(paths.recipient(), identity.recipient() + "\n");
    config.nginx_dir = paths.root + "/etc/nginx/http.d";
    config.http_port = runner.nginx_port();
    config.watch = os::Millis{20};
    config.reserve_percent = 0;
    begin();
  }
  ~Host() { daemon.reset(); }

  // --- the daemon's life
  void begin() {
    daemon =
        std::make_unique<Daemon>(disk, runner, clock, paths, config, [this](const std::string& id) {
          if (const auto job = store().job(id); job && *job && (*job)->step == "watch")
            runner.watch_begins();
          changed(id);
        });
  }
  void restart() {
    daemon.reset();
    begin();
  }
  void reboot() { // what is in memory is gone
    daemon.reset();
    runner.end_services();
    std::filesystem::remove_all(paths.root + "/run");
    make_run();
    begin();
  }
  void unlock() {
    must(context().vault.unlock(
        must(disk.read(paths.identity(), 65'536)), SecretBytes(bytes_of(k_passphrase)), 18));
  }
  rollout::HostContext& context() { return daemon->context; }
  store::Store& store() { return daemon->store; }

  // --- orders
  void upload(const Sent& sent) { // what the gate does with what comes in
    std::filesystem::copy_file(sent.file, paths.artifact(Digest::parse(sent.sha256).value()));
    std::filesystem::copy_file(
        sent.signature, paths.artifact_signature(Digest::parse(sent.sha256).value()));
  }
  store::Job queue(store::JobKind kind, const std::string& slug = "blog",
      const std::string& version = "", const Sent& sent = {}, const std::string& service = "") {
    store::Job job{.id = cat("job", ++m_jobs),
        .kind = kind,
        .site = site(slug),
        .version = version,
        .sha256 = sent.sha256,
        .size = sent.size};
    job.service = service;
    job.actor = "test";
    job.options = options;
    job.created_ms = clock.wall_ms();
    must(store().add_job(job));
    return job;
  }
  store::Job run(const store::Job& job) {
    rollout::JobControl control;
    rollout::run_job(context(), job.id, control);
    if (look(job.id).finished_ms != 0)
      rollout::prune_after_job(context(), job.site); // as the engine does
    return look(job.id);
  }
  store::Job look(const std::string& id) { return must(store().job(id)).value(); }
  store::Job queue_deploy(const Order& order) {
    const Sent sent = laptop.pack(order);
    const auto job = queue(store::JobKind::deploy, order.slug, order.version, sent);
    upload(sent); // after its job, as on a host: pruning removes what no job names
    return job;
  }
  store::Job deploy(const Order& order) { return run(queue_deploy(order)); }
  store::Job deploy(const std::string& version) { return deploy(Order{.version = version}); }
  store::Job rollback(const std::string& version = "", const std::string& slug = "blog") {
    return run(queue(store::JobKind::rollback, slug, version));
  }
  store::Job secrets(
      const std::map<std::string, std::string>& files, const std::string& slug = "blog") {
    const Sent sent = laptop.pack_secrets(slug, files);
    const auto job = queue(store::JobKind::secrets, slug, "", sent);
    upload(sent);
    return run(job);
  }

  // --- what is there
  store::SiteRow row(const std::string& slug = "blog") {
    return must(store().site(site(slug))).value_or(store::SiteRow{site(slug)});
  }
  store::Release live(const std::string& slug = "blog") {
    return must(store().release(site(slug), row(slug).live)).value();
  }
  store::Release release(const std::string& id, const std::string& slug = "blog") {
    return must(store().release(site(slug), id)).value();
  }
  std::vector<std::string> releases_on_disk(const std::string& slug = "blog") {
    return must(disk.list(paths.releases(site(slug))));
  }
  std::string link(const std::string& path) { return must(disk.read_link(path)).value_or(""); }
  std::string nginx_text(const std::string& slug = "blog") {
    return text(cat(config.nginx_dir, "/chillbox.", slug, ".conf"));
  }
  std::string text(const std::string& path) {
    return disk.exists(path) ? must(disk.read(path, 1 << 20)) : "";
  }
  std::string ask(const std::string& slug = "blog",
      const std::string& service = "app") { // through the link, as NGINX does
    const auto answer = os::probe({.socket = paths.live_socket(site(slug), service)});
    return answer ? (answer->status == 200 ? answer->body : std::to_string(answer->status))
                  : "nobody";
  }
  std::vector<std::string> events(const std::string& job) {
    std::vector<std::string> lines;
    for (const auto& e : must(store().events(job, 0)))
      lines.push_back(cat(e.step, " ", store::name(e.kind), " ", e.text));
    return lines;
  }
  bool told(const std::string& job, std::string_view part) {
    return std::ranges::any_of(
        events(job), [&](const auto& line) { return line.find(part) != std::string::npos; });
  }

  TempDir ground;
  os::Paths paths{ground.path};
  crypto::AgeIdentity identity = crypto::AgeIdentity::generate();
  Deployer laptop{ground.path + "/desk", identity.recipient()};
  FakeClock clock;
  TestDisk disk{ground.path};
  FakeRunner runner{paths};
  config::HostConfig config;
  store::JobOptions options; // of the next jobs
  Watcher changed;           // after each write of the journal
  std::unique_ptr<Daemon> daemon;

  void write(const std::string& path, std::string_view text) {
    must(os::real_disk().write(path, text, 0600));
  }
  void handler(const std::string& lang, std::string_view kind) {
    std::filesystem::create_directories(cat(paths.shipped_hooks(), "/handlers/", lang));
    write(cat(paths.shipped_hooks(), "/handlers/", lang, "/kind.json"), kind);
  }

private:
  void make_run() {
    for (const char* dir : {"/live", "/sealed", "/slots", "/stage", "/secrets"})
      std::filesystem::create_directories(paths.run() + dir);
  }
  int m_jobs = 0;
};

// A host that was unlocked and serves 1.0.0.
struct LiveHost : Host {
  LiveHost() {
    unlock();
    const auto job = deploy("1.0.0");
    INFO(job.message);
    REQUIRE(job.state == store::JobState::done);
    forget();
  }
  void forget() {
    disk.forget();
    runner.forget();
  }
};

// Store, links, files and processes tell the same: `version` is live and nothing of anything else
// is left. Returns what is wrong.
inline std::string disagreement(
    Host& host, const std::string& version, const std::string& slug = "blog") {
  const auto release = host.live(slug);
  const auto& paths = host.paths;
  std::string wrong;
  const auto expect = [&](bool holds, std::string_view what) {
    wrong += holds ? "" : cat(what, "\n");
  };
  expect(release.version == version, cat("the store says ", release.version));
  expect(is_kept(release.state), "the live release is not good");
  expect(host.link(paths.current(site(slug))) == "releases/" + release.id,
      cat("current points to ", host.link(paths.current(site(slug)))));
  expect(host.link(paths.live_socket(site(slug), "app")) ==
          cat(paths.slots_of(site(slug)), "/app.", letter(release.slot), ".sock"),
      cat("the live socket points to ", host.link(paths.live_socket(site(slug), "app"))));
  expect(host.ask(slug) == version, cat("who asks gets ", host.ask(slug)));
  expect(host.nginx_text(slug) == release.nginx, "NGINX has another text");
  const openrc::SlotName slot{site(slug), ServiceName::parse("app").value(), release.slot};
  expect(host.context().slots.release_in(slot) == release.id,
      cat("its slot runs '", host.context().slots.release_in(slot), "'"));
  expect(must(host.disk.list(paths.stage())).empty(), "something is left in the stage");
  for (const auto& id : host.releases_on_disk(slug)) {
    const auto known = must(host.store().release(site(slug), id));
    expect(known && is_kept(known->state), cat("a stray release directory ", id));
  }
  for (const auto& known : must(host.store().releases(site(slug))))
    expect(known.state != store::ReleaseState::staged,
        cat("release ", known.id, " is still being made"));
  return wrong;
}

} // namespace chillbox::test
