#include "cli/core/certificate_text.hpp"

#include "base/text.hpp"
#include "base/time.hpp"
#include "cli/core/duration.hpp"

namespace chillbox::cli {
namespace {

using control::AlertLevel;
using control::Certificate;
using control::CertificateState;

// "44 days", "30 hours", "5 minutes"
std::string span_text(int64_t ms) {
  if (ms >= 2 * k_day_ms)
    return cat(ms / k_day_ms, " days");
  if (ms >= 2 * k_hour_ms)
    return cat(ms / k_hour_ms, " hours");
  return ms >= 2 * k_minute_ms ? cat(ms / k_minute_ms, " minutes") : cat(ms / 1000, " seconds");
}

// The day, and the minute of what is near.
std::string short_time(int64_t ms, int64_t now_ms) {
  const bool near = ms - now_ms < 2 * k_day_ms && now_ms - ms < 2 * k_day_ms;
  return format_time(ms).substr(0, near ? 16 : 10);
}

std::string names_text(const Certificate& c) {
  if (c.names.empty())
    return c.plain.empty() ? "" : cat("http only: ", c.plain.size());
  return cat(c.names.front(), c.names.size() > 1 ? cat(" +", c.names.size() - 1) : "");
}

bool is_provided(const Certificate& c) {
  return c.mode == "provided";
}

bool is_over(const Certificate& c, int64_t now_ms) {
  return c.not_after_ms != 0 && c.not_after_ms <= now_ms;
}

bool is_failing(const Certificate& c) {
  return c.failures > 0 || c.state == CertificateState::attention ||
      c.state == CertificateState::backing_off || c.alert != AlertLevel::none;
}

// What state it is in, as the beginning of a sentence.
std::string verdict(const Certificate& c, int64_t now_ms) {
  if (is_over(c, now_ms))
    return cat("its certificate expired ", span_text(now_ms - c.not_after_ms),
        " ago, and browsers refuse ", join(c.names, ", "));
  const std::string still = c.not_after_ms == 0
      ? "no https yet"
      : cat("https ends in ", span_text(c.not_after_ms - now_ms));
  if (c.state == CertificateState::waiting)
    return cat(still,
        c.by_fleet ? ": this host asked no CA"
                   : ": this host is not reached under its name, and no CA was asked");
  if (c.state == CertificateState::attention)
    return cat(still, ": a person is needed");
  if (is_provided(c))
    return still;
  return cat(still, c.not_after_ms == 0 ? ": the order failed" : ": the renewal fails");
}

std::string remedy(const Certificate& c) {
  if (is_provided(c))
    return "; no CA is asked for it: put a new one where this one came from, the site's secret set "
           "or /var/lib/chillbox/certs (then `chillboxctl reload`)";
  return cat("; `chillboxctl tls check ", c.site, "` asks again now");
}

} // namespace

std::string state_text(const Certificate& c, int64_t now_ms) {
  return c.state == CertificateState::valid && is_over(c, now_ms) ? "expired"
                                                                  : std::string(name(c.state));
}

Style certificate_style(const Certificate& c) {
  if (c.alert == AlertLevel::expired || c.alert == AlertLevel::error)
    return Style::bad;
  return c.state == CertificateState::valid && c.alert == AlertLevel::none ? Style::good
                                                                           : Style::warn;
}

Table certificate_table(const std::vector<Certificate>& certificates, int64_t now_ms) {
  Table table{{"CERTIFICATE", "STATE", "VALID UNTIL", "LEFT", "NEXT", "NAMES"}, {}};
  for (const auto& c : certificates) {
    if (c.state == CertificateState::off && c.not_after_ms == 0)
      continue;
    const bool over = c.not_after_ms <= now_ms;
    table.rows.push_back({c.id, state_text(c, now_ms), short_time(c.not_after_ms, now_ms),
        c.not_after_ms == 0 ? ""
            : over          ? "expired"
                            : span_text(c.not_after_ms - now_ms),
        short_time(c.next_ms, now_ms), names_text(c)});
  }
  return table;
}

std::string validity_text(const Certificate& c, int64_t now_ms) {
  if (c.not_after_ms == 0)
    return c.state == CertificateState::off ? "no certificate" : "no certificate yet";
  return c.not_after_ms <= now_ms ? cat("expired ", span_text(now_ms - c.not_after_ms), " ago")
                                  : cat("valid until ", format_time(c.not_after_ms), ", ",
                                        span_text(c.not_after_ms - now_ms), " left");
}

std::string trouble_text(const Certificate& c, int64_t now_ms) {
  if (c.state != CertificateState::waiting && !is_failing(c))
    return {};
  std::string text = cat(c.site, ": ", verdict(c, now_ms));
  if (!c.problem.empty())
    text += cat(": ", c.problem);
  if (!c.link.empty())
    text += cat(" (", c.link, ")");
  if (c.failing_ms != 0 && c.failures > 1)
    text += cat("; it has failed ", c.failures, " times since ", format_time(c.failing_ms));
  if (c.next_ms > now_ms)
    text += cat("; next try ", format_time(c.next_ms));
  return cat(text, remedy(c));
}

std::vector<std::string> plain_texts(const Certificate& c) {
  std::vector<std::string> texts;
  for (const auto& plain : c.plain)
    texts.push_back(cat(c.site, ": ", plain.name, " answers on http only: ", plain.why));
  return texts;
}

} // namespace chillbox::cli
