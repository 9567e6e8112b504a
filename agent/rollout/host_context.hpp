// The host that jobs act on: the seams, the store and the parts of the host. Each guards itself, so
// that jobs of several sites run in parallel.
#pragma once

#include "backup/restored.hpp"
#include "base/error.hpp"
#include "config/host.hpp"
#include "control/engine.hpp"
#include "nginx/nginx.hpp"
#include "openrc/slots.hpp"
#include "os/clock.hpp"
#include "os/disk.hpp"
#include "os/paths.hpp"
#include "os/runner.hpp"
#include "rollout/artifact_holds.hpp"
#include "secrets/vault.hpp"
#include "store/store.hpp"

#include <functional>
#include <string>

namespace chillbox::rollout {

// What restores need of the backups; set where there are any.
struct BackupSource {
  // By the digest of its archive.
  std::function<Result<control::Backup>(const SiteName&, const std::string& sha256)> find = {};
  backup::PutBack put_back = {};
};

struct HostContext {
  os::Disk& disk;
  os::Runner& runner;
  os::Clock& clock;
  os::Paths paths;
  config::HostConfig config;
  store::Store& store;
  secrets::Vault& vault;
  nginx::Nginx& nginx;
  openrc::Slots& slots;
  bool as_root; // makes users and runs what is a site's as them; false in tests, where all is ours
  std::function<void(const std::string& job)>
      changed; // something of this job is new: its followers may look
  // denied: the webhook key that announced the job is gone. Set by the intake of webhooks before
  // the first job runs; none: nobody announces.
  std::function<Result<void>(const store::Job& job)> check_sender = {};
  ArtifactHolds artifact_holds = {};
  BackupSource backups = {};
  control::Engine* fleet = nullptr; // without [fleet]
};

} // namespace chillbox::rollout
