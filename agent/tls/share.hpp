// A certificate that one host of a fleet orders and the others take, by the fleet's engine
// (control/engine.hpp), which excludes and carries and is no authority:
//
//   certs/SITE/HASH            a control::SignedReport of the host that has ordered it, or keeps it
//                              there: a Bundle, in which key and chain are encrypted (age) to the
//                              hosts that have the site; goes when the certificate ends
//   claims/SITE/certs/HASH     {"host":HOST,"id":NONCE,"problem":""}: who orders now; with a
//                              problem: its order failed; goes after ten minutes, or fifteen
//   claims/SITE/certs/HASH/MS  one was issued at that time; goes after a week
//
// HASH is of the names that are wanted, so each set of them has one certificate and one claim.
// What is found is taken only if a host of the signed roster that may have the site signed it. A
// claim only delays: one of a host that does not have the site does nothing, and one of a host that
// has it does not keep the others from an order of their own for ever (Certificates::own_order_ms).
#pragma once

#include "control/engine.hpp"
#include "control/fleet.hpp"
#include "os/clock.hpp"
#include "tls/record.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace chillbox::tls {

inline constexpr std::string_view k_shared_prefix = "certs/";

struct SharingHost {
  std::string name, recipient;
  bool operator==(const SharingHost&) const = default;
};
// Who shares the certificate of a site, in the order of the roster.
struct SharingHosts {
  std::string me;
  std::vector<SharingHost> all;
  size_t place() const; // of this host
  bool has(std::string_view name) const;
  std::vector<std::string> names() const;
  std::vector<std::string> recipients() const;
};
// Of a balanced site the balancers, else the other hosts. not_found: `me` is none of them; denied:
// the roster has no key with which it could sign.
Result<SharingHosts> sharing_hosts(
    const control::Roster& roster, const std::string& me, std::string_view site);

// What it needs of the rest of the daemon.
struct Sharing {
  control::Engine* engine = nullptr; // null: each host orders its own
  // not_found: this host is none of them, and orders its own; else the roster does not count.
  std::function<Result<SharingHosts>(const std::string& site)> hosts = {};
  std::function<Result<std::string>(std::string text)> sign = {};
  // The text that this host of the roster signed; denied: it did not.
  std::function<Result<std::string>(const std::string& host, const std::string& text)> text_of = {};
};

// What a host says of the certificate that it has put there.
struct Bundle {
  std::string key, host;
  std::vector<std::string> names; // that it has
  std::vector<std::string> to;    // the recipients (age) that can open it
  std::string sha256;             // of the certificate
  int64_t not_before_ms = 0;
  std::string sealed; // age, base64: key and chain in PEM
};
struct IssueClaim {
  std::string text;
  std::string host, problem; // "": it is being ordered
  uint64_t fence = 0;
};
// What a majority of the engine has of one certificate.
struct FleetView {
  std::string problem; // why there is no view: the engine is away, or the roster does not count
  std::string refused; // why what is there is not taken
  SharingHosts hosts = {};
  std::optional<Bundle> bundle = {};
  std::optional<IssueClaim> claim = {};
  std::vector<int64_t> issued_ms = {}; // in the last week, the oldest first
  std::string blocked = {};            // the bundle is newer, and cannot be opened here, because
};

class Share {
public:
  Share(const Sharing& with, os::Clock& clock) : m_with(with), m_clock(clock) {}

  bool is_on() const { return m_with.engine != nullptr; }
  // nullopt: this host orders its own. An engine that did not answer is not asked for the next one
  // within half a minute, unless something came from it (answers_again).
  std::optional<FleetView> look(const Record& record);
  void answers_again() { m_away_ms = 0; }
  // The claim, made or that of another host of `hosts`; text: this host's, which an earlier try may
  // have made.
  Result<IssueClaim> claim(
      const Record& record, const SharingHosts& hosts, const std::string& text) const;
  static std::string claim_text(std::string_view host, std::string_view problem);
  // In place of the claim with this fence.
  Result<void> tell_failure(const Record& record, uint64_t fence, const std::string& text) const;
  // What is served, to all that have the site. fence: of the claim that ends with it, 0: none.
  Result<void> put(const Record& record, const SharingHosts& hosts, uint64_t fence,
      std::optional<int64_t> issued_ms) const;

private:
  Result<FleetView> read(const Record& record, SharingHosts hosts) const;
  Result<Bundle> read_bundle(
      const std::string& key, const std::string& text, const SharingHosts& hosts) const;

  const Sharing& m_with;
  os::Clock& m_clock;
  int64_t m_away_ms = 0; // since when, 0: it is not
  std::string m_away;
};

} // namespace chillbox::tls
