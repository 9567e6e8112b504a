// The backups of all sites: makes one, stores it at the target, and knows what there is. One is
// made at a time on a host. What the monitor itself does is to start others and to keep the
// account: its memory does not grow with the data.
//
// Taken, then stored, then proven: each step is in the store before the next begins. An archive
// that could not be stored stays on this host and is stored before the next one. While the target
// does not answer, the newest seven of a site wait so, or fewer if the disk has no room for a new
// one.
#pragma once

#include "backup/proof.hpp"
#include "backup/records.hpp"
#include "backup/restored.hpp"
#include "backup/take.hpp"
#include "backup/target.hpp"
#include "base/thread_group.hpp"
#include "control/backups.hpp"
#include "store/store.hpp"

#include <atomic>
#include <functional>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace chillbox::backup {

class Backups {
public:
  struct Host {
    store::Store& store;
    os::Disk& disk;
    os::Runner& runner;
    os::Clock& clock;
    os::Paths paths;
    config::HostBackup config;
    std::string host_name; // in the names of backups
    bool as_root;
    std::function<Result<openrc::SlotSpec>(const SiteName& site, const std::string& line)> prepare;
    std::function<Result<SecretBytes>(std::string_view age_header)> file_key; // Prover's
    // When the schedule is due next after that second; nullopt: never.
    std::function<std::optional<int64_t>(int64_t after)> next_due;
    std::function<void()> changed; // a row is new; any thread
  };
  explicit Backups(Host host);
  ~Backups() { stop(); }
  Backups(const Backups&) = delete;
  Backups& operator=(const Backups&) = delete;

  // All sites, one after the other, in a thread of its own: makes one of each, deletes what is
  // superfluous, and proves what is due to be proven. Returns at once. What an operator makes or
  // proves meanwhile is waited for.
  void run_all();
  // What failed in run_all() is tried again after ten minutes and after an hour, and then when it
  // is due, by the next daemon too: an archive that is there is stored. What was not tried, because
  // the daemon stopped, the next one makes at once. When that is, in seconds; nullopt: never.
  std::optional<int64_t> retry_at() const;
  void retry();
  void unlocked();                 // proofs that were due meanwhile
  void begin();                    // what a killed daemon left half made is removed
  void wait() { m_thread.wait(); } // for the end of what run_all() and the like began
  void ask_to_stop() { m_stop = true; }
  void stop(); // what runs is ended, within a second

  // Takes one and stores it. preflight: no target, or nobody to encrypt to; busy: another one is
  // being made. When only the storing failed, it is in the list and its archive on this host.
  Result<control::Backup> create(const SiteName& site);
  // How those of each site are, without one of them.
  Result<std::vector<control::BackupState>> states();
  // nullopt: of all sites.
  Result<control::BackupList> list(const std::optional<SiteName>& site);
  // Proves the newest one at the target: fetched, verified, unpacked and checked. sealed: the host
  // is locked, and nothing is said about the backup; not_found: none is stored; busy.
  Result<control::Backup> verify(const SiteName& site);
  // One that is at the target or on this host: by its serial; nullopt: the newest. not_found: names
  // those that there are.
  Result<control::Backup> find(const SiteName& site, std::optional<uint64_t> serial);
  Result<control::Backup> find(const SiteName& site, const std::string& sha256);
  // For another host: its file, which has no name any more, once its signature is verified.
  struct Opened {
    Fd file;
    std::string signature, key;
  };
  Result<Opened> open(const control::Backup& backup);
  // One that another host made and that was encrypted to this one: received, unpacked and checked,
  // signed by this host, and stored at the target if there is one. From then on it is like its own.
  // Of a serial that is there already that one is the answer. sealed: the host is locked; corrupt,
  // denied: it is not what was said, and nothing of it is kept; conflict: another one has its
  // serial; busy.
  struct Carried {
    SiteName site;
    uint64_t serial = 0;
    int64_t taken_ms = 0;
    std::string release; // that was live there
    Digest sha256;
  };
  using Receive = std::function<Result<void>(int to, uint64_t most)>;
  Result<control::Backup> take_in(const Carried& said, const Receive& receive);
  // PutBack's work (restored.hpp). Others may be made or proven meanwhile.
  Result<std::vector<std::string>> put_back(
      const control::Backup& backup, const std::string& tree, const os::User& owner);

private:
  Prover prover() const;
  void unprove(const control::Backup& backup, const std::string& why);
  Result<void> room_for(const control::Backup& backup, const std::string& dir);
  Result<void> room_to_make(const SiteName& site);
  void sweep(const SiteName& site);
  Result<control::Backup> make(const SiteName& site);
  // create() and verify(), with m_work held.
  Result<control::Backup> create_now(const SiteName& site);
  Result<control::Backup> verify_now(const SiteName& site);
  Result<control::Backup> take_in(const Carried& said, const ArchiveName& name, Fd file);
  Result<control::Backup> prove(const SiteName& site);
  Result<Checked> check_stored(const control::Backup& b, const ArchiveName& name, GotArchive got);
  std::string got_path(const ArchiveName& name) const;
  // make: what is due, and what failed; both: proofs that are due.
  enum class Work { make, prove };
  void start(Work work);
  std::optional<Work> next_work();
  void work_through(Work work);
  Result<control::Backup> try_again(const SiteName& site);
  bool is_due(const SiteName& site);
  void change_due(const std::function<void(std::set<SiteName>&)>& change);
  void plan_retry();
  void remember_retry(); // of what failed under the daemon before, or was not tried
  bool proof_due(const SiteRecord& record) const;
  void delete_superfluous(const SiteName& site);
  Result<void> delete_one(const control::Backup& backup);
  Result<std::string> delete_some(const SiteName& site);
  std::string stale(const control::BackupState& state) const;
  Result<void> store_one(control::Backup& backup);
  Result<uint64_t> next_serial(const SiteName& site);
  Result<void> store_waiting(const SiteName& site);
  bool forget_oldest(const SiteName& site, size_t but);
  void note(const SiteName& site, const std::string& problem);

  Host m_host;
  std::atomic<bool> m_stop{false};
  Target m_target;
  Records m_records;
  std::mutex m_work;  // around all that makes or removes one
  std::mutex m_mutex; // of the next three
  bool m_running = false;
  std::set<Work> m_waiting;           // for what runs
  std::set<SiteName> m_due;           // as in the store
  std::atomic<int64_t> m_retry_at{0}; // 0: never
  std::atomic<size_t> m_retries{0};   // since it was due
  ThreadGroup m_thread;               // at most one; last: it uses all of the others
};

// Of the file, which the daemon has checked; what is wrong with it is no target.
config::HostBackup read_settings(os::Disk& disk, const os::Paths& paths);
// server_name of chillboxd.toml, or the machine's own name.
std::string name_of_host(const std::string& server_name);

} // namespace chillbox::backup
