// The rows of the store as values.
#pragma once

#include "base/error.hpp"
#include "base/names.hpp"
#include "control/messages.hpp"
#include "control/period.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace chillbox::store {

using control::AuditEntry;
using control::CronRun;
using control::CronState;
using control::EventKind;
using control::is_open;
using control::Job;
using control::JobEvent;
using control::JobKind;
using control::JobOptions;
using control::JobState;
using control::name;
using control::ReleaseState;

// Eleven digits of the time, five of a counter that begins anywhere: ids grow, so that the jobs of
// one transaction lie side by side in the index, and a commit writes a few pages of it instead of
// one for each job. They need not be secret: who may see a job holds its capability.
std::string new_job_id(int64_t now_ms);

inline constexpr std::string_view k_webhook_actor = "webhook:";
inline constexpr std::string_view k_agent_actor = "chillboxd"; // nobody asked for it

// With what only this host knows of it.
struct Release : control::Release {
  SiteName site;
  std::string sha256;     // of the artifact
  std::string secrets;    // sha256 of the secret set that it was started with, "" : none
  std::string digest;     // of the release directory, once it is frozen
  std::string nginx;      // the text of its NGINX file
  std::string signer_key; // fingerprint of the key that signed it (artifact/verify.hpp); "" : from
                          // before they were recorded
  std::string kept_by;    // an administrator for whom it stays good without that key, "" : nobody
};

struct SiteRow {
  SiteName site;
  std::string live;          // release id, "" : none
  std::string previous_good; // where a rollback without a version goes
  bool stopped = false;      // an operator stopped it
  std::string ports;         // JSON: ports by service and slot
};

// What was made for a site in a place that is not the agent's alone. It outlives the site's row, as
// the thing outlives the site.
struct Asset {
  SiteName site;
  std::string kind; // "user", "group", "directory"
  std::string name; // of a directory: its path
  std::string id;   // uid or gid; "" of a user or group that is being made, and of directories
};

struct SecretSet {
  SiteName site;
  std::string sha256;
  uint64_t serial = 0;
  int64_t received_ms = 0;
  std::string signer, signer_key, kept_by; // as a release's
};

// A release that is never good again. It outlives the release, and the site.
struct Withdrawn {
  SiteName site;
  std::string sha256; // of the artifact
  std::string version;
  uint64_t serial = 0;
  std::string actor, why;
  int64_t time_ms = 0;
};

// Of a site, or of the host's own name (site ""). The room tls knows what pending and facts say.
struct Certificate {
  std::string id; // the name of its file: "SITE", "SITE.wildcard", "_host"
  std::string site;
  std::string state = "off";       // control::CertificateState
  int64_t next_ms = 0;             // when it is looked at again; 0: only when something changes
  std::vector<std::string> wanted; // host names
  std::string chain, key;          // PEM: what is served; key "": it may not reach a disk
  std::string pending, facts;      // JSON
  bool operator==(const Certificate&) const = default;
};
// What a CA was asked for.
struct CertificateOrder {
  uint64_t seq = 0; // given by the store
  std::string certificate;
  std::vector<std::string> names;
  int64_t time_ms = 0;
  std::string outcome; // "begun", "issued", "failed", "refused": as the room tls says
};

struct Hold : control::Hold {
  SiteName site;
};

// The newest entry's number and hash. Whoever kept one elsewhere can prove later that nobody wrote
// another trail up to there, root included.
struct AuditHead {
  uint64_t entries = 0, number = 0;
  std::string hash; // hex
  std::string text() const { return std::to_string(number) + ":" + hash; }
};

} // namespace chillbox::store
