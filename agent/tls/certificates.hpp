// The certificates of this host: which there should be (plan.hpp), what state each is in
// (record.hpp), and the one thread that moves them on. It sleeps until the nearest `next_ms`, and
// without a certificate until something changes. One order runs at a time. Every step is in the
// store before it is begun, so that a daemon that dies anywhere goes on from there.
//
// Never in the way: no deploy waits for anything here, and a CA, an engine or a name that does not
// work changes nothing of what is served. A new certificate is checked before it touches a file,
// and the old file comes back unless NGINX is seen to serve the new one.
#pragma once

#include "base/thread_group.hpp"
#include "nginx/nginx.hpp"
#include "store/store.hpp"
#include "tls/acme.hpp"
#include "tls/files.hpp"
#include "tls/plan.hpp"
#include "tls/problem.hpp"
#include "tls/readiness.hpp"
#include "tls/share.hpp"

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace chillbox::tls {

// What it needs of NGINX, and of the rest of the daemon.
struct Parts {
  std::function<Result<void>(const std::string& id, const nginx::SiteTls&)> test;
  std::function<Result<bool>(const std::string& id, const nginx::SiteTls&)> install;
  std::function<Result<void>()> reload;
  std::function<Result<void>()> start_nginx; // it did not start, because of a file that is good now
  // Whether the site's text takes a certificate: one of an older chillbox does not.
  std::function<bool(const std::string& site)> takes = [](const std::string&) { return true; };
  std::function<nginx::Fleet()> fleet = [] { return nginx::Fleet{}; };
  // Of a key in memory, which an unlocked host opens: age, for the host's recipient.
  std::function<Result<SecretString>(const std::string& sealed)> open_sealed;
  // events/tls of the administrator's
  std::function<void(const std::vector<std::pair<std::string, std::string>>& environment)> event;
  std::function<void()> changed; // a row is new; any thread
  Sharing sharing = {};          // with the other hosts of the fleet
};

class Certificates {
public:
  struct Host {
    store::Store& store;
    os::Disk& disk;
    os::Runner& runner;
    os::Clock& clock;
    os::Paths paths;
    const config::HostConfig& config;
    bool as_root;
    Parts parts;
  };
  explicit Certificates(Host host);
  ~Certificates();
  Certificates(const Certificates&) = delete;
  Certificates& operator=(const Certificates&) = delete;

  // Before NGINX is reloaded or started: files that are damaged are made good again, and NGINX is
  // not told of those that cannot be.
  void repair();
  void begin();         // starts the thread
  void fleet_news();    // the fleet's engine may have another certificate; any thread
  void refresh();       // something was written to the store; cheap, returns at once
  void fleet_changed(); // so is what is balanced here
  void unlocked();      // keys in memory can be opened
  void ask_to_stop();
  void stop(); // what runs is ended, within a second; the next start goes on from there

  // --- what operators ask; site: a name, or control::k_host_certificate
  Result<std::vector<control::Certificate>> all();
  // Whether a CA would reach the host under the names. No CA is asked; may take a minute.
  Result<control::CertificateCheck> check(const std::string& site);
  // throttled: not before the time that it names. preflight: no CA is asked for this one, because.
  // staging: a whole order at the CA's staging service, which ends before this returns and of which
  // nothing is kept. Else it is queued.
  Result<control::CertificateRenewal> renew(const std::string& site, bool staging);
  Result<control::Certificate> revoke(const std::string& site); // and a new order is due
  Result<control::AcmeAccount> account();

  // What the thread does between two sleeps: all that is due. For tests, which have a clock of
  // their own.
  void tick();
  std::optional<int64_t> next_ms(); // the wall time of the next tick

private:
  void loop();
  bool repair_file(Record& record);
  void look_at_clock();
  void sync(); // rows as the plan says
  void sync_one(const Wanted& wanted, Record record, bool is_new);
  void deployed(const Wanted& wanted, Record& record);
  void no_longer_provided(Record& record);
  bool adopt(Record& record, const Wanted& wanted);
  void drop(const Record& record, const std::string& why);
  void switch_off(Record record, const Wanted& wanted);
  void provided(Record record, const Wanted& wanted);
  void copy_provided(const std::string& site, const std::string& file);
  void take_asked();

  // step.cpp: one certificate, from where it is
  void step(Record record);
  bool renewal_due(const Record& record) const;
  void poll_ari(Record& record);
  std::vector<std::string> ready_names(Record& record, bool renews);
  void judge(Record& record, const NameCheck& check, bool& ready) const;
  bool may_drop(const Record& record, const std::string& name, bool renews) const;
  void wait(Record& record, const std::string& why);
  void rest(Record& record);        // valid: until it is looked at again
  bool restore_key(Record& record); // of a key in memory, after a boot
  // fleet_turn.cpp: by one host of the fleet for all
  bool is_to_share(const Record& record, const Wanted& wanted) const;
  void look_at_fleet();
  bool is_time_for(bool news);
  bool take_or_keep(Record& record, FleetView& view); // true: nothing else is to be done now
  // sealed: only an unlocked host can; conflict: another one is to be waited for.
  Result<void> take(Record& record, const FleetView& view);
  std::optional<std::string> lost_name(
      const Record& record, const std::vector<std::string>& names) const;
  std::string not_trusted(const Record& record, const crypto::CheckedChain& other) const;
  bool is_of_removed_host(const Record& record) const;
  bool is_newer(const Record& record, int64_t not_before_ms, const std::string& sha256) const;
  bool keep(Record& record, const FleetView& view); // false: it was to, and could not
  // Who is to order now: another host, or this one for all, or each its own.
  enum class Turn { others, fleet, own };
  struct Obstacle {
    std::string why;
    int64_t again_ms = 0;    // until it is looked at again
    int64_t patience_ms = 0; // 0: as long as with most
    bool is_usual = false;   // for so long: an order that is under way
    bool failed = false;
  };
  Turn turn(Record& record, const FleetView& view, bool renews);
  std::optional<Obstacle> obstacle(const Record& record, const FleetView& view) const;
  static Obstacle of_claim(const IssueClaim& claim);
  Turn held_up(Record& record, const FleetView& view, const Obstacle& by, bool renews);
  void wait_for_fleet(Record& record, const std::string& why, int64_t until_ms, bool failed);
  int64_t own_order_ms(
      const Record& record, const FleetView& view, int64_t patience_ms, bool renews) const;
  bool may_order(Record& record);
  bool share(Record& record, bool is_new);
  void tell_failure(Record& record);
  void note_refused(const Record& record, const std::string& why);
  // order.cpp
  // Renewals that name the one before: no limit of a CA holds for them.
  static bool is_exempt(const Record& record) {
    const auto& f = record.facts;
    return record.served() && !f.no_replaces && f.by.empty();
  }
  void order(Record record, const std::vector<std::string>& names);
  Answer<Issued> ask(Record& record);
  OrderRequest request_of(const Record& record, const std::string& csr) const;
  std::string dns_secret_of(const Record& record) const;
  Result<SecretString> key_of(Record& record, const std::vector<std::string>& names);
  void failed(Record& record, const Problem& problem);
  void note_bad_names(Record& record, const Problem& problem) const;
  // install.cpp
  void finish(Record record);
  Result<void> install(Record& record, const crypto::CheckedChain& chain, std::string_view key);
  Result<void> prove(const Record& record, const crypto::CheckedChain& chain);
  void take_back(Record& record, const std::string& sha256);
  void served(Record& record, const crypto::CheckedChain& chain, std::string_view key);
  void refused(Record& record, const std::string& why, Next next);
  nginx::SiteTls text_of(const Record& record, const std::string& certificate,
      const std::vector<std::string>& names) const;
  void mend_text(Record& record); // HSTS, redirect: as the site says now

  void save(Record& record);
  void note_failure(Record& record, const std::string& why, const std::string& type) const;
  control::Certificate describe(const Record& record) const;
  Result<std::vector<Record>> records_of(const std::string& site);
  int64_t now() const { return m_host.clock.wall_ms(); }
  Wanted wanted_of(const std::string& id) const;

  Host m_host;
  Acme m_acme;
  Files m_files;
  Prober m_prober;
  std::mutex m_work;                      // around all that changes rows
  std::map<std::string, Wanted> m_wanted; // by id; with m_work
  std::map<std::string, int64_t> m_held;  // not before, of what the store would not take
  Share m_share;
  std::map<std::string, uint64_t> m_fences; // of this host's claims, by id; with m_work
  // When it was kept, and a refusal recorded, last, by id; with m_work.
  std::map<std::string, int64_t> m_kept_ms, m_refused_ms;
  // When the engine was read because of news of it, and whether more came since; with m_work.
  std::optional<os::Millis> m_looked;
  bool m_more_news = false;
  std::map<std::string, std::pair<State, AlertLevel>> m_told; // the last event; with m_work
  mutable std::mutex m_mutex;                                 // of what follows
  std::condition_variable m_wake;
  std::vector<std::string> m_asked; // sites, to be renewed
  bool m_refresh = true;
  bool m_fleet_news = false;
  struct Follower; // what the fleet's engine calls, which may outlive this
  std::shared_ptr<Follower> m_follower;
  bool m_unlocked = false;
  std::atomic<uint64_t> m_seen = 0; // of the store's sites
  int64_t m_offset_ms = 0;          // wall clock less monotonic clock
  std::atomic<bool> m_stop{false};
  ThreadGroup m_thread; // one; last: it uses all of the others
};

} // namespace chillbox::tls
