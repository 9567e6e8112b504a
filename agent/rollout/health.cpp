#include "rollout/health.hpp"
#include "rollout/ports.hpp"
#include "rollout/slots.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <array>

namespace chillbox::rollout {
namespace {

constexpr os::Millis k_first_pause{2};   // see wait_healthy
constexpr os::Millis k_patience{10'000}; // with one that says the same, k_same times at least
constexpr uint32_t k_same = 5;
constexpr os::Millis k_second_look{300}; // see check_foreground
constexpr std::array k_not_yet{429, 502, 503, 504};

// A copy that ended once may have been unlucky; one that ends again and again will not become
// healthy.
bool crashed(HostContext& host, const openrc::SlotName& name) {
  constexpr uint32_t k_enough = 2;
  const auto state = host.slots.state(name);
  return (state &&
             (*state == openrc::SlotState::crashed || *state == openrc::SlotState::stopped)) ||
      host.slots.respawns(name) >= k_enough;
}

// Whether visitors may come by TLS: to NGINX itself, or to a proxy before it.
bool has_tls(const HostContext& host, const LoadedRelease& release) {
  return !host.config.trusted_proxies.empty() ||
      (release.text ? release.text : host.nginx.facts_of(release.row.nginx))->tls ||
      host.nginx.has_certificate(release.site.slug.str());
}

bool is_good(const PlannedService& p, int status) {
  return status >= 200 && status < (p.service.health.declared ? 400 : 500);
}

std::string bad_answer(const PlannedService& p, int status) {
  return cat("GET ", printable(p.service.health.path, 80), " answered ", status);
}

// Counts equal bad answers: a service that answers its health check with 404 again and again has
// started, and one that answers with 503 may still be starting.
class SameAnswer {
public:
  // unhealthy: it has been this one for too long.
  Result<void> add(os::Millis now, int status) {
    if (status != m_status)
      *this = SameAnswer(now, status);
    if (++m_times < k_same || now - m_since < k_patience ||
        std::ranges::find(k_not_yet, status) != k_not_yet.end())
      return {};
    return fail(Code::unhealthy,
        cat("the same for ", (now - m_since).count() / 1000,
            " s; a service that is still starting would answer 503"));
  }
  SameAnswer() = default;

private:
  SameAnswer(os::Millis now, int status) : m_status(status), m_since(now) {}
  int m_status = 0;
  os::Millis m_since{};
  uint32_t m_times = 0;
};

std::string lower_ascii(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(),
      [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
  return out;
}

// "https://www.example:8443/x": its scheme and its name. Nothing of a path.
struct Target {
  std::string scheme, host;
};
Target target_of(std::string_view location) {
  const auto slashes = location.find("//");
  const auto colon = location.find(':');
  if (slashes == std::string_view::npos || (slashes != 0 && colon + 1 != slashes) ||
      location.find_first_of("/?#") < slashes) // "//" in a query is no host
    return {};
  const auto rest = location.substr(slashes + 2);
  const auto host = rest.substr(0, rest.find_first_of("/?#"));
  return {slashes == 0 ? "" : lower_ascii(location.substr(0, colon)),
      lower_ascii(host.substr(0, host.find(':')))};
}

// Why visitors would not get the page to which they are sent on; "" : they would.
std::string redirect_trouble(const JobContext& r, const std::string& location) {
  const auto [scheme, host] = target_of(location);
  const auto& site = r.release.site;
  const bool own = host.empty() || host == lower_ascii(site.server_name) ||
      std::ranges::find(site.domains, host) != site.domains.end();
  if (!own)
    return cat("it sends visitors to another host, ", location);
  if (scheme == "https" && !has_tls(r.host, r.release))
    return cat("it sends visitors to ", location,
        ", and neither this host nor a proxy in nginx.trusted_proxies has TLS for the site");
  if (scheme == "http" && has_tls(r.host, r.release))
    return cat("it sends visitors back to ", location, ", without TLS");
  return {};
}

// What is wrong with an answer that may still pass a health check.
std::string answer_trouble(const JobContext& r, const PlannedService& p, const std::string& path,
    const os::ProbeAnswer& answer) {
  if (answer.status >= 300 && answer.status < 400)
    return redirect_trouble(r, answer.location);
  const bool wanted = path == p.service.health.path && !p.service.health.declared &&
      is_front(r.release, p); // nobody said which page must work: then it is this one
  return answer.status >= 500 || (wanted && answer.status >= 400)
      ? cat("visitors get ", answer.status, " at ", path)
      : std::string();
}

// What answers is then no process that is watched, limited to one copy and ended by OpenRC.
Result<void> check_foreground(const JobContext& r, const PlannedService& p) {
  const auto name = slot_name(r.release, p);
  if (!r.host.slots.in_background(name))
    return {};
  r.host.clock.sleep(k_second_look); // a program that is just started again leaves some, too
  return !r.host.slots.in_background(name)
      ? Result<void>{}
      : fail(Code::unhealthy,
            cat("service '", p.service.name.str(),
                "' went into the background: it must stay in the foreground (daemon = True or --daemon of gunicorn, or a fork of its own)"));
}

// A program that goes into the background looks to its supervisor like one that ends at each start.
// If it logged an error it crashed, even if it left processes behind.
Result<void> crashed_on_start(JobContext& r, const PlannedService& p) {
  const std::string error = error_since_start(r, p);
  if (error.empty())
    TRY(check_foreground(r, p));
  return fail(Code::unhealthy,
      cat("service '", p.service.name.str(), "' keeps crashing on start", error,
          "; see its last log lines"));
}

// It is healthy; what it answers may still be of no use to anybody.
Result<void> tell_first_answer(
    JobContext& r, const PlannedService& p, const os::ProbeAnswer& healthy) {
  std::vector<std::string> paths{p.service.health.path};
  if (is_front(r.release, p) && p.service.health.path != "/")
    paths.emplace_back("/");
  const std::string who = cat("service '", p.service.name.str(), "'");
  for (const auto& path : paths) {
    const auto answer = path == p.service.health.path ? Result<os::ProbeAnswer>(healthy)
                                                      : ask_service(r.host, r.release, p, path);
    r.info(answer ? cat(who, ": GET ", printable(path, 80), " answered ", answer->status)
                  : cat(who, ": GET ", printable(path, 80), ": ", answer.error().message));
    if (const auto trouble = answer ? answer_trouble(r, p, path, *answer)
                                    : cat("no answer at ", printable(path, 80));
        !trouble.empty())
      r.warn(cat(who, ": ", trouble));
  }
  return {};
}

} // namespace

namespace {

os::Probe question(HostContext& host, const LoadedRelease& release, const PlannedService& p,
    const std::string& path) {
  os::Probe probe{.path = path,
      .host = release.site.server_name,
      .scheme = has_tls(host, release) ? "https" : "http",
      .timeout = p.service.health.timeout};
  if (p.kind.listens == ServiceKind::Listens::on_socket)
    probe.socket = slot_socket(host, release, p);
  else
    probe.port = p.port;
  return probe;
}

Result<void> check_health(const PlannedService& p, const Result<os::ProbeAnswer>& answer) {
  if (!answer)
    return std::unexpected(answer.error());
  return is_good(p, answer->status) ? Result<void>{}
                                    : fail(Code::unhealthy, bad_answer(p, answer->status));
}

} // namespace

Result<os::ProbeAnswer> ask_service(HostContext& host, const LoadedRelease& release,
    const PlannedService& p, const std::string& path) {
  return os::probe(question(host, release, p, path));
}

Result<void> probe_service(
    HostContext& host, const LoadedRelease& release, const PlannedService& p) {
  return p.listens() ? check_health(p, ask_service(host, release, p, p.service.health.path))
                     : Result<void>{};
}

Result<void> wait_for_probe(
    HostContext& host, JobControl& control, const LoadedRelease& release, const PlannedService& p) {
  const os::Millis end = host.clock.mono() + p.service.health.deadline;
  for (;;) {
    auto answer = probe_service(host, release, p);
    if (answer || control.stopping() || host.clock.mono() >= end ||
        crashed(host, slot_name(release, p)))
      return answer;
    host.clock.sleep(p.service.health.interval); // as often as the site says
  }
}

Result<void> wait_healthy(JobContext& r, const PlannedService& p) {
  const auto& health = p.service.health;
  const os::Millis begun = r.host.clock.mono();
  uint32_t good = 0;
  std::string last = "no answer yet";
  SameAnswer bad;
  for (;;) {
    if (r.control.cancelled())
      return fail(Code::interrupted, "cancelled");
    const auto answer = ask_service(r.host, r.release, p, health.path);
    if (answer && is_good(p, answer->status)) {
      if (++good >= health.count) {
        TRY(check_foreground(r, p));
        return tell_first_answer(r, p, *answer);
      }
    } else if (answer) {
      good = 0;
      last = bad_answer(p, answer->status);
      TRY_IN(cat("service '", p.service.name.str(), "': ", last),
          bad.add(r.host.clock.mono(), answer->status));
    } else {
      good = 0;
      last = answer.error().message;
      bad = {};
    }
    if (crashed(r.host, slot_name(r.release, p)))
      return crashed_on_start(r, p);
    const os::Millis passed = r.host.clock.mono() - begun;
    if (passed >= health.deadline)
      return fail(Code::unhealthy,
          cat("service '", p.service.name.str(), "' is not healthy after ", passed.count(),
              " ms (health.deadline): ", last));
    // The launcher makes a service's socket, where the first request waits until it is answered;
    // that a program listens on a port is no event. A 32nd of what it has taken so far: seen late
    // by that much at most, and seldom asked when it is slow.
    r.control.wait(good > 0 ? health.interval
                            : std::min(std::max(passed / 32, k_first_pause), health.interval));
  }
}

// As nginx/site_locations.cpp has it: who says so, else the first that may, by its kind.
bool is_front(const LoadedRelease& release, const PlannedService& p) {
  const auto at_top = [](const auto& other) { return other.service.web.at == "/"; };
  if (std::ranges::any_of(release.services, at_top))
    return at_top(p);
  const auto first = std::ranges::find_if(release.services, [](const auto& other) {
    return other.kind.front() && !other.service.worker && other.service.web.at.empty();
  });
  return first != release.services.end() && first->service.name == p.service.name;
}

std::vector<os::Probe> visitors_questions(
    HostContext& host, const LoadedRelease& release, const PlannedService& p) {
  std::vector<os::Probe> questions;
  if (p.listens())
    questions.push_back(question(host, release, p, p.service.health.path));
  if (p.listens() && is_front(release, p) && p.service.health.path != "/")
    questions.push_back(question(host, release, p, "/"));
  return questions;
}

std::string visitors_trouble(
    const PlannedService& p, std::span<const Result<os::ProbeAnswer>> answers) {
  const std::string who = cat("service '", p.service.name.str(), "': ");
  if (answers.empty())
    return {};
  if (const auto healthy = check_health(p, answers[0]); !healthy)
    return cat(who, healthy.error().message);
  if (answers.size() < 2)
    return {};
  const auto& page = answers[1];
  if (!page)
    return cat(who, page.error().message);
  return page->status >= 500 ? cat(who, "GET / answered ", page->status) : std::string();
}

} // namespace chillbox::rollout
