#include "tls/readiness.hpp"

#include "base/encoding.hpp"
#include "base/text.hpp"

#include <algorithm>

namespace chillbox::tls {
namespace {

constexpr uint16_t k_http = 80; // where a CA asks, whatever the host itself listens on
constexpr std::string_view k_loopback = "loopback";
constexpr std::string_view k_url_path = "/.well-known/acme-challenge/";

bool is_away(const Problem& problem) {
  return problem.type == "network" || problem.type == "deadline";
}

// "HTTP 404", "HTTP 301 to https://other/", "another text".
std::string answer_text(const HttpAnswer& answer) {
  if (answer.status == 200)
    return cat("another host's text: ", printable(answer.body, 60));
  return cat("HTTP ", answer.status, answer.location.empty() ? "" : " to ", answer.location);
}

// A proxy in front of us that goes to https itself: a CA follows it, and we would have to as well.
bool goes_to_https(const HttpAnswer& answer, const std::string& name, const std::string& path) {
  return answer.status >= 300 && answer.status < 400 &&
      answer.location == cat("https://", name, path);
}

std::string record_of(const std::string& address) {
  return cat(address.find(':') == std::string::npos ? "A " : "AAAA ", address);
}

} // namespace

control::CertificateProbe Prober::probe(const std::string& name, const std::string& address,
    uint16_t port, const std::string& path, const std::string& token, Verdict& verdict) {
  const bool loop = address == k_loopback;
  const auto answer = m_acme.get(name, loop ? "127.0.0.1" : address, port, path);
  control::CertificateProbe probe{
      .name = name, .address = address, .good = false, .time_ms = m_clock.wall_ms()};
  if (answer && answer->status == 200 && trim(answer->body) == token) {
    verdict = Verdict::good;
    probe.good = true;
    probe.text = "the token that was laid out";
  } else if (answer) {
    verdict = goes_to_https(*answer, name, path) && !loop ? Verdict::unsure : Verdict::bad;
    probe.text = answer_text(*answer);
  } else {
    verdict = is_away(answer.error()) && !loop ? Verdict::unsure : Verdict::bad;
    probe.text = answer.error().detail;
  }
  return probe;
}

NameCheck Prober::by_address(
    const std::string& name, const std::string& path, const std::string& token, Readiness& all) {
  const auto found = m_acme.addresses(name);
  if (!found || found->a.size() + found->aaaa.size() == 0) {
    const bool unsure = !found && is_away(found.error());
    const std::string text = !found ? found.error().detail : "no A and no AAAA record";
    all.probes.push_back({name, "", false, text, m_clock.wall_ms()});
    return {name, unsure ? Verdict::unsure : Verdict::bad,
        cat(name, " is not found in DNS: ", text,
            ": add an A (IPv4) or AAAA (IPv6) record with this host's address")};
  }
  std::vector<std::string> addresses = found->a;
  addresses.insert(addresses.end(), found->aaaa.begin(), found->aaaa.end());
  NameCheck check{name, Verdict::good, ""};
  for (const auto& address : addresses) {
    Verdict one{};
    all.probes.push_back(probe(name, address, k_http, path, token, one));
    const std::string& text = all.probes.back().text;
    if (one == Verdict::bad)
      return {name, Verdict::bad,
          cat(name, ": ", record_of(address), " answers ", text,
              ": correct that record, or what answers there")};
    if (one == Verdict::unsure && check.verdict == Verdict::good)
      check = {name, Verdict::unsure,
          cat(name, ": ", record_of(address), " cannot be checked from here: ", text)};
  }
  return check;
}

NameCheck Prober::check_name(const std::string& name, Readiness& all) {
  const std::string file = "chillbox-" + random_token(16), token = random_token(32);
  const std::string at = cat(challenge_dir(m_paths), "/", file), path = cat(k_url_path, file);
  if (auto written = m_disk.write(at, token, 0644); !written)
    return {name, Verdict::bad, written.error().message};
  NameCheck check{name, Verdict::good, ""};
  if (!m_config.tls.proxy_protocol) { // else NGINX believes nobody who does not speak it
    Verdict verdict{};
    all.probes.push_back(
        probe(name, std::string(k_loopback), m_config.http_port, path, token, verdict));
    if (verdict != Verdict::good)
      check = {name, Verdict::bad,
          cat("NGINX on this host answers ", name, path, " with ", all.probes.back().text,
              ": the site's NGINX template must leave /.well-known/acme-challenge/ alone")};
  }
  if (check.verdict == Verdict::good)
    check = by_address(name, path, token, all);
  (void)m_disk.remove(at);
  return check;
}

Readiness Prober::check(const std::vector<std::string>& names) {
  Readiness all;
  for (const auto& name : names)
    all.names.push_back(check_name(name, all));
  return all;
}

} // namespace chillbox::tls
