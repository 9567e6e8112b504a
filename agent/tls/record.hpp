// A certificate as this room knows it: a row of the store with its JSON read. The state machine:
//
//   off ── waiting ──(all probes good, or 3 x unsure)── ordering ── verifying ── installing ──
//   valid
//            ^ 1, 5, 15, 60 min; a deploy: now             │ fails: problem.hpp      │ not proven │
//            └───────────── backing-off <──────────────────┘                         └─> attention
//            │
//                                ordering, with `replaces` <── ARI, 2/3 of its life, other names
//                                ────┘
//
// ordering: a CA is or was being asked, `pending` has the key and what is known of the order.
// verifying, installing: `pending` has the chain, so that nothing is ordered twice. In every other
// state with a chain in the row, that one is served.
#pragma once

#include "control/certificate.hpp"
#include "store/types.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace chillbox::tls {

using control::AlertLevel;
using State = control::CertificateState;

// A name for which a CA refused orders: on so many days, and it is left out.
inline constexpr size_t k_bad_days = 3;
struct BadName {
  std::vector<int64_t> days; // the newest on which it did, since 1970
  std::string why;
  bool ours = false; // it did not answer as ourselves: no CA was asked
  bool dropped() const { return days.size() >= k_bad_days; }
  // A CA is asked again after a week: what it refused may have been mended.
  bool left_out(int64_t today) const { return !ours && dropped() && today < days.back() + 7; }
  bool operator==(const BadName&) const = default;
};

struct Pending {
  std::vector<std::string> names;
  std::string key, chain, order_url; // PEM; key "": in memory (files.hpp)
  std::string profile;
  std::string by; // the host of the fleet that ordered it, "": this one
};

struct Facts {
  // As it was planned.
  std::string mode = "auto", challenge = "http-01", dns, profile;
  bool memory = false; // the key may not reach a disk
  // Of what is served.
  std::vector<std::string> names;
  int64_t not_before_ms = 0, not_after_ms = 0, https_ms = 0; // https_ms: served since
  std::string issuer, sha256, sealed_key; // sealed_key: age, base64; of a key in memory
  int64_t renew_ms = 0, ari_ms = 0;       // when the CA wants it renewed, and is asked again
  std::string explanation;
  // Of a fleet of which one host orders (share.hpp).
  bool shared = false;   // as it was planned
  std::string by;        // who ordered what is served, "": this host
  std::string claim;     // the text of this host's claim, "": it has none
  int64_t alone_ms = 0;  // since when it cannot agree with the others, 0: it can
  bool unshared = false; // this host ordered it, and the others cannot know
  // Of what failed.
  int64_t failing_ms = 0;
  uint64_t failures = 0, unsure = 0;
  std::string problem, problem_type, link;
  bool no_replaces = false, no_profile = false;
  std::map<std::string, BadName> bad;
  std::map<std::string, std::string> plain; // names that it does not cover, and why
  std::vector<control::CertificateProbe> probes;
  AlertLevel alert = AlertLevel::none;
  int64_t off_until_ms = 0; // off, and served until HSTS is forgotten
};

struct Record {
  std::string id, site;
  State state = State::off;
  int64_t next_ms = 0;
  std::vector<std::string> wanted;
  std::string chain, key;
  Pending pending = {};
  Facts facts = {};

  bool served() const { return !chain.empty(); }
  bool is_host() const { return id == control::k_host_certificate; }
};

Record read_record(const store::Certificate& row);
store::Certificate row_of(const Record& record);
// Renewals have failed for a thirtieth of its life, and a third of it is left, or a sixth; or it is
// over.
AlertLevel alert_of(const Record& record, int64_t now_ms);

} // namespace chillbox::tls
