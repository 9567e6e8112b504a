#include "cli/report/report_html.hpp"

#include "base/text.hpp"
#include "base/time.hpp"
#include "cli/core/certificate_text.hpp"
#include "cli/core/duration.hpp"
#include "cli/report/job_report.hpp"
#include "cli/report/report_chart.hpp"
#include "cli/top/rates.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>

namespace chillbox::cli {
namespace {

constexpr size_t k_detailed_sites = 40; // so many have charts of processor and memory

constexpr std::string_view k_style = R"css(
:root{color-scheme:light dark;--bg:#fff;--fg:#1b1f24;--dim:#656d76;--line:#d8dee4;--card:#f6f8fa;--req:#539bf5;--err:#cf222e;--ok:#1a7f37;--warn:#9a6700}
@media(prefers-color-scheme:dark){:root{--bg:#0d1117;--fg:#e6edf3;--dim:#8d96a0;--line:#30363d;--card:#161b22;--req:#316dca;--err:#f47067;--ok:#57ab5a;--warn:#c69026}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1.5rem;max-width:70rem;background:var(--bg);color:var(--fg);font:15px/1.5 system-ui,sans-serif}
h1{font-size:1.4rem;margin:0}h2{font-size:1.1rem;margin:2rem 0 .5rem}h3{font-size:1rem;margin:0}
p{margin:.25rem 0}.dim,figcaption,th{color:var(--dim)}.ok{color:var(--ok)}.warn{color:var(--warn)}.bad{color:var(--err)}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(20rem,100%),1fr));gap:1rem}
.card{border:1px solid var(--line);border-radius:.5rem;background:var(--card);padding:.75rem 1rem;min-width:0;overflow-wrap:anywhere}
figure{margin:.5rem 0 0}figcaption{font-size:.8rem;display:flex;justify-content:space-between}figcaption b{font-weight:400}
svg{display:block;width:100%;height:3rem;border-bottom:1px solid var(--line)}
path{fill:none;stroke-width:1;vector-effect:non-scaling-stroke}.req{fill:var(--req)}.err{fill:var(--err)}.l{stroke:var(--req)}
.mark{stroke:var(--ok);stroke-dasharray:3 2}.mark.bad{stroke:var(--err)}
.bar{height:.5rem;background:var(--line);border-radius:.25rem;overflow:hidden}.bar i{display:block;height:100%;background:var(--req)}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:.9rem}th,td{text-align:left;padding:.25rem .75rem .25rem 0;border-bottom:1px solid var(--line);vertical-align:top}
th{font-weight:400}td.n,th.n{text-align:right;white-space:nowrap}
)css";

// What somebody else chose, cut and escaped.
std::string shown(std::string_view text, size_t limit = 300) {
  return html_escaped(printable(text, limit));
}

std::string percent(double part, double all) {
  if (all <= 0)
    return "0 %";
  const auto tenths = std::lround(part * 1000 / all);
  return tenths >= 100 ? cat((tenths + 5) / 10, " %") : cat(tenths / 10, ".", tenths % 10, " %");
}

std::string count(uint64_t value) {
  if (value < 10'000)
    return std::to_string(value);
  return value < 1'000'000 ? cat(value / 1000, " k")
                           : cat(value / 1'000'000, ".", value / 100'000 % 10, " M");
}

uint64_t sum(const std::vector<uint64_t>& values) {
  return std::accumulate(values.begin(), values.end(), uint64_t{0});
}

// One value an hour of the week that ends now, 0 where there is none.
std::vector<double> week(const control::SiteHours& site,
    const std::vector<uint64_t> control::SiteHours::* column, int64_t now_ms) {
  std::vector<double> values(k_report_hours, 0);
  const int64_t first = now_ms / k_hour_ms - k_report_hours + 1;
  const auto& of = site.*column;
  for (size_t i = 0; i < site.hours.size() && i < of.size(); ++i) {
    const int64_t at = static_cast<int64_t>(site.hours[i]) - first;
    if (at >= 0 && at < k_report_hours)
      values[static_cast<size_t>(at)] = static_cast<double>(of[i]);
  }
  return values;
}

double greatest(const std::vector<double>& values) {
  return values.empty() ? 0 : std::ranges::max(values);
}

std::vector<ChartMark> marks_of(const ReportFacts& facts, const std::string& site) {
  std::vector<ChartMark> marks;
  const int64_t first = facts.now_ms / k_hour_ms - k_report_hours + 1;
  constexpr size_t k_most = 60;
  for (const auto& job : facts.jobs) {
    const int64_t at = (job.finished_ms > 0 ? job.finished_ms : job.created_ms) / k_hour_ms - first;
    const bool releases =
        job.kind == control::JobKind::deploy || job.kind == control::JobKind::rollback;
    if (job.site.str() == site && releases && at >= 0 && at < k_report_hours &&
        marks.size() < k_most)
      marks.push_back({static_cast<size_t>(at),
          cat(name(job.kind), " ", printable(job.version, 60), ": ", name(job.state), ", ",
              format_time(job.created_ms)),
          has_failed(job)});
  }
  return marks;
}

std::string_view css_of(control::SiteState state) {
  if (state == control::SiteState::live)
    return "ok";
  return state == control::SiteState::degraded ? "bad" : "warn";
}

const control::SiteHours* hours_of(const ReportFacts& facts, const std::string& site) {
  const auto found = std::ranges::find(facts.hours.sites, site, &control::SiteHours::site);
  return found == facts.hours.sites.end() ? nullptr : &*found;
}

std::string site_charts(const ReportFacts& facts, const control::SiteHours& hours, bool detailed) {
  using H = control::SiteHours;
  const auto column = [&](const std::vector<uint64_t> H::* of) {
    return week(hours, of, facts.now_ms);
  };
  const auto requests = column(&H::requests), p95 = column(&H::p95_ms);
  const auto marks = marks_of(facts, hours.site);
  std::string out = chart("requests, errors",
      cat("up to ", count(static_cast<uint64_t>(greatest(requests))), " an hour"),
      {{"req", requests, true}, {"err", column(&H::errors), true}}, marks);
  out += chart("95 of 100 within", cat("up to ", static_cast<uint64_t>(greatest(p95)), " ms"),
      {{"l", p95}}, {});
  if (!detailed)
    return out;
  auto cpu = column(&H::cpu_ms);
  for (auto& value : cpu)
    value = value * 100 / k_hour_ms;
  const auto tenths = std::lround(greatest(cpu) * 10);
  out += chart("processor", cat("up to ", tenths / 10, ".", tenths % 10, " %"), {{"l", cpu}}, {});
  const auto memory = column(&H::memory);
  out += chart("memory", cat("up to ", human_size(static_cast<uint64_t>(greatest(memory)))),
      {{"l", memory}}, {});
  return out;
}

std::string site_card(const ReportFacts& facts, const control::SiteStatus& site, bool detailed) {
  std::string out = cat("<section class=\"card\"><h3>", shown(site.site), " <span class=\"",
      css_of(site.state), "\">", name(site.state), "</span></h3><p class=\"dim\">",
      site.version.empty() ? "nothing is live"
                           : cat(shown(site.version, 60), " since ", format_time(site.live_ms)),
      site.maintenance ? ", maintenance page" : "", site.hold ? ", on hold" : "", "</p>");
  for (const auto* text : {&site.down, &site.waiting, &site.warning})
    if (!text->empty())
      out +=
          cat("<p class=\"", text == &site.down ? "bad" : "warn", "\">", shown(*text, 700), "</p>");
  const auto* hours = hours_of(facts, site.site);
  if (hours == nullptr || sum(hours->requests) == 0)
    return out + "<p class=\"dim\">no visitor in this week</p></section>";
  const uint64_t requests = sum(hours->requests), errors = sum(hours->errors);
  out +=
      cat("<p>", count(requests), " requests, <span class=\"", errors * 100 > requests ? "bad" : "",
          "\">", percent(static_cast<double>(errors), static_cast<double>(requests)),
          " errors</span>, ", human_size(sum(hours->sent)), "</p>");
  return out + site_charts(facts, *hours, detailed) + "</section>";
}

std::string meter(std::string_view title, const std::optional<uint64_t>& total,
    const std::optional<uint64_t>& left) {
  if (!total || *total == 0 || !left)
    return "";
  const uint64_t used = *total - std::min(*left, *total);
  return cat("<div class=\"card\"><p>", title, " <span class=\"dim\">", human_size(used), " of ",
      human_size(*total), "</span></p><div class=\"bar\"><i style=\"width:", used * 100 / *total,
      "%\"></i></div></div>");
}

std::string head(const ReportFacts& facts) {
  const auto& host = facts.status.host;
  const std::string who =
      host.server_name.empty() || host.server_name == "_" ? "this host" : shown(host.server_name);
  std::string out = cat("<h1>", who, " <span class=\"", host.sealed ? "warn" : "ok", "\">",
      host.sealed ? "locked" : "unlocked", "</span></h1><p class=\"dim\">chillbox ",
      shown(host.version, 40), ", the week up to ", format_time(facts.now_ms), "</p>");
  if (!host.nginx.empty())
    out += cat("<p class=\"bad\">", shown(host.nginx, 700), "</p>");
  for (const auto& warning : host.warnings)
    out += cat("<p class=\"warn\">", shown(warning, 700), "</p>");
  const auto& usage = facts.usage;
  out += cat("<div class=\"cards\">", meter("disk", usage.disk_total, usage.disk_available),
      meter("memory", usage.memory_total, usage.memory_available));
  if (usage.load_percent)
    out += cat("<div class=\"card\"><p>load <span class=\"dim\">", *usage.load_percent / 100, ".",
        *usage.load_percent % 100 / 10, " of ", usage.processors, "</span></p></div>");
  return out + "</div>";
}

std::string certificates(const ReportFacts& facts) {
  const Table table = certificate_table(facts.status.certificates, facts.now_ms);
  if (table.rows.empty())
    return "";
  std::string out = "<h2>Certificates</h2><div class=\"scroll\"><table><tr>";
  for (const auto& title : table.head)
    out += cat("<th>", html_escaped(title), "</th>");
  for (const auto& row : table.rows) {
    out += "<tr>";
    for (const auto& cell : row)
      out += cat("<td>", shown(cell), "</td>");
  }
  out += "</table></div>";
  for (const auto& one : facts.status.certificates)
    if (const auto text = trouble_text(one, facts.now_ms); !text.empty())
      out += cat("<p class=\"", certificate_style(one) == Style::bad ? "bad" : "warn", "\">",
          shown(text, 700), "</p>");
  return out;
}

std::string backups(const ReportFacts& facts) {
  const auto& all = facts.status.backups;
  if (all.empty())
    return "";
  std::string out = "<h2>Backups</h2><div class=\"scroll\"><table><tr><th>site</th><th>taken</th>"
                    "<th>stored</th><th>proven</th>";
  const auto cell = [](int64_t ms) {
    return cat("<td>", ms == 0 ? std::string("never") : format_time(ms), "</td>");
  };
  for (const auto& one : all)
    out += cat("<tr><td>", shown(one.site.str()), "</td>", cell(one.taken_ms), cell(one.stored_ms),
        cell(one.proven_ms));
  out += "</table></div>";
  for (const auto& one : all)
    if (!one.stale.empty())
      out += cat("<p class=\"warn\">", shown(one.site.str()), ": ", shown(one.stale, 700), "</p>");
  return out;
}

std::string jobs(const ReportFacts& facts) {
  constexpr size_t k_most = 30;
  if (facts.jobs.empty())
    return "";
  std::string out =
      "<h2>Jobs</h2><div class=\"scroll\"><table><tr><th>when</th><th>site</th><th>what</th>"
      "<th>by</th><th>outcome</th><th class=\"n\">took</th></tr>";
  for (size_t i = 0; i < facts.jobs.size() && i < k_most; ++i) {
    const auto& job = facts.jobs[i];
    const int64_t took =
        job.started_ms > 0 ? std::max<int64_t>(job.finished_ms - job.started_ms, 0) : 0;
    out += cat("<tr><td>", format_time(job.created_ms), "</td><td>", shown(job.site.str()),
        "</td><td>", name(job.kind), " ", shown(job.version, 60), "</td><td>", shown(job.actor, 80),
        "</td><td class=\"", has_failed(job) ? "bad" : "", "\">", name(job.state),
        job.message.empty() ? "" : ": ", shown(job.message), "</td><td class=\"n\">",
        format_duration(std::chrono::milliseconds(took)), "</td></tr>");
  }
  out += "</table></div>";
  return facts.jobs.size() > k_most
      ? cat(out, "<p class=\"dim\">and ", facts.jobs.size() - k_most, " more</p>")
      : out;
}

} // namespace

std::string html_escaped(std::string_view text) {
  std::string out;
  for (const char c : text)
    switch (c) {
    case '&': out += "&amp;"; break;
    case '<': out += "&lt;"; break;
    case '>': out += "&gt;"; break;
    case '"': out += "&quot;"; break;
    case '\'': out += "&#39;"; break;
    default: out += c;
    }
  return out;
}

std::string report_html(const ReportFacts& facts) {
  std::string out =
      cat("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">"
          "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
          "style-src 'unsafe-inline'\"><meta name=\"viewport\" "
          "content=\"width=device-width\"><meta name=\"referrer\" content=\"no-referrer\">"
          "<title>",
          shown(facts.status.host.server_name), " ", format_time(facts.now_ms), "</title><style>",
          k_style, "</style></head><body>", head(facts), "<h2>Sites</h2>");
  if (facts.status.sites.empty())
    out += "<p class=\"dim\">no site yet</p>";
  const bool detailed = facts.status.sites.size() <= k_detailed_sites;
  out += "<div class=\"cards\">";
  for (const auto& site : facts.status.sites)
    out += site_card(facts, site, detailed);
  return cat(out, "</div>", certificates(facts), backups(facts), jobs(facts), "</body></html>\n");
}

} // namespace chillbox::cli
