// What the room tls needs of NGINX, of the vault and of events.
#include "base/encoding.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "crypto/age.hpp"
#include "daemon/monitor.hpp"
#include "openrc/cgroup.hpp"
#include "rollout/order.hpp"
#include "rollout/roster.hpp"
#include "rollout/service_kind.hpp"

namespace chillbox::daemon {
namespace {

constexpr size_t k_most_output = 64 * 1024;

// What was encrypted for this host, opened with the file key that the vault gives.
Result<SecretString> open_sealed(secrets::Vault& vault, const std::string& sealed) {
  const auto bytes = TRY(unbase64(sealed));
  const auto header = TRY(crypto::parse_age_header(bytes));
  const std::string head(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(header.size));
  const auto key = TRY(vault.file_key(head));
  crypto::PayloadReader reader(key, crypto::bytes_source(ByteView(bytes).subspan(header.size)));
  SecretString text;
  for (;;) {
    const auto part = TRY(reader.next());
    if (part.empty())
      return text;
    if (text.size() + part.size() > k_most_output)
      return fail(Code::too_large, "a key that is longer than any");
    text.append(reinterpret_cast<const char*>(part.data()), part.size());
  }
}

constexpr std::string_view k_certificate_comment = "chillbox certificate"; // that a host signs

} // namespace

tls::Sharing Monitor::tls_sharing() {
  tls::Sharing sharing;
  if (!m_host.config.tls.by_fleet() || !m_fleet)
    return sharing;
  sharing.engine = m_fleet.get();
  sharing.hosts = [this](const std::string& site) -> Result<tls::SharingHosts> {
    const auto fleet = TRY(rollout::fleet_of(m_host));
    return tls::sharing_hosts(fleet.roster, fleet.me, site);
  };
  sharing.sign = [this](std::string text) {
    return rollout::signed_by_host(m_host, std::move(text), k_certificate_comment);
  };
  sharing.text_of = [this](
                        const std::string& host, const std::string& text) -> Result<std::string> {
    return rollout::text_of_host(
        TRY(rollout::fleet_of(m_host)), host, "certificate", text, k_certificate_comment);
  };
  return sharing;
}

tls::Parts Monitor::tls_parts() {
  tls::Parts parts;
  parts.test = [this](const std::string& id, const nginx::SiteTls& text) {
    return m_nginx.test_tls(id, text);
  };
  parts.install = [this](const std::string& id, const nginx::SiteTls& text) {
    return m_nginx.install_tls(id, text);
  };
  parts.reload = [this] { return m_nginx.reload(); };
  parts.start_nginx = [this]() -> Result<void> {
    if (auto reloaded = m_nginx.reload(); reloaded || reloaded.error().code != Code::unreachable)
      return reloaded;
    os::Command start;
    start.argv = {"rc-service", "nginx", "start"};
    start.leaves_daemon = true;
    start.no_new_privs = false; // it lives as if a person had started it
    const auto exit = TRY(m_host.runner.run(start));
    openrc::move_members(m_host.disk, m_host.paths, "chillboxd", "nginx");
    return exit.ok()
        ? Result<void>{}
        : fail(Code::failure, cat("rc-service nginx start: ", printable(trim(exit.err))));
  };
  parts.fleet = [this] { return m_nginx.fleet(); };
  parts.takes = [this](const std::string& name) {
    const auto site = SiteName::parse(name);
    if (m_nginx.fleet().takes_visitors_of(name))
      return true;
    const auto text = site ? m_nginx.installed(*site) : Result<std::string>("");
    return !site || (text && nginx::takes_certificate(*text));
  };
  parts.open_sealed = [this](const std::string& sealed) { return open_sealed(m_vault, sealed); };
  parts.event = [this](const std::vector<std::pair<std::string, std::string>>& environment) {
    if (auto ran = rollout::run_event(m_host, "tls", environment, [](std::string_view) {}); !ran)
      log::warn(ran.error().message);
  };
  parts.sharing = tls_sharing();
  parts.changed = [this] {
    m_changes.notify();
    m_notifier.refresh(true);
  };
  return parts;
}

} // namespace chillbox::daemon
