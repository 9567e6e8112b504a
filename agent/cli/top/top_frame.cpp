#include "cli/top/top_frame.hpp"

#include "base/text.hpp"
#include "cli/core/duration.hpp"
#include "cli/core/style.hpp"
#include "cli/core/table.hpp"
#include "cli/core/terminal.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>

namespace chillbox::cli {
namespace {

// A piece of a line with its style; what is measured is the text alone.
struct Cell {
  std::string text;
  Style style = Style::plain;
};
using StyledRow = std::vector<Cell>;

// The first `width` characters: all are one column wide, because names are checked and what is not
// ASCII is our own.
std::string cut(std::string_view text, size_t width) {
  size_t at = 0;
  for (size_t columns = 0; at < text.size(); ++at)
    if ((static_cast<unsigned char>(text[at]) & 0xc0) != 0x80 && columns++ == width)
      break;
  return std::string(text.substr(0, at));
}

std::string pad(std::string text, size_t width, bool right) {
  text = cut(text, width);
  const std::string space(width - columns_of(text), ' ');
  return right ? space + text : text + space;
}

std::string line_of(const StyledRow& row, const TopLook& look) {
  std::string line;
  size_t used = 0;
  for (const auto& cell : row) {
    const std::string text = cut(cell.text, look.width - used);
    used += columns_of(text);
    line += styled(look.color && !text.empty(), cell.style, text);
  }
  return line;
}

std::string rounded(double value) {
  const auto tenths = static_cast<int64_t>(std::llround(value * 10));
  return value >= 100 ? std::to_string(std::llround(value)) : cat(tenths / 10, ".", tenths % 10);
}

std::string number(const std::optional<double>& value) {
  return value ? rounded(*value) : "-";
}

// "310M", "4.1G"
std::string bytes_short(const std::optional<uint64_t>& value) {
  if (!value)
    return "-";
  constexpr std::string_view k_units = "KMGT";
  double shown = static_cast<double>(*value) / 1000;
  size_t unit = 0;
  for (; shown >= 1000 && unit + 1 < k_units.size(); ++unit)
    shown /= 1000;
  return cat(shown < 10 ? rounded(shown) : std::to_string(std::llround(shown)), k_units[unit]);
}

std::string time_short(const std::optional<double>& value) {
  if (!value)
    return "-";
  return *value >= 1000 ? cat(rounded(*value / 1000), "s") : cat(std::llround(*value), "ms");
}

Style state_style(control::SiteState state) {
  if (state == control::SiteState::live)
    return Style::good;
  return state == control::SiteState::degraded ? Style::bad : Style::warn;
}

struct Column {
  std::string_view head;
  size_t width;
  bool right;
  size_t from; // shown on terminals of so many columns
};
constexpr std::array k_top_columns{Column{"SITE", 16, false, 0}, Column{"VERSION", 9, false, 60},
    Column{"SERVICE", 10, false, 70}, Column{"STATE", 9, false, 30}, Column{"REQ/S", 6, true, 40},
    Column{"5XX%", 5, true, 50}, Column{"P95", 6, true, 76}, Column{"CPU%", 5, true, 60},
    Column{"MEM", 5, true, 66}, Column{"LIMIT", 5, true, 100}, Column{"QUEUE", 5, true, 110},
    Column{"STARTS", 6, true, 120}};

// Wide terminals have room for whole names.
size_t width_of(const Column& column, size_t width) {
  constexpr size_t k_wide = 140, k_name = 31;
  return column.head == "SITE" && width >= k_wide ? k_name : column.width;
}

StyledRow make_row(const std::vector<Cell>& cells, const std::string& spark, const TopLook& look) {
  StyledRow row;
  for (size_t i = 0; i < k_top_columns.size(); ++i) {
    const Column& column = k_top_columns[i];
    if (look.width < column.from)
      continue;
    row.push_back(
        {cat(pad(i < cells.size() ? cells[i].text : "", width_of(column, look.width), column.right),
             " "),
            i < cells.size() ? cells[i].style : Style::plain});
  }
  row.push_back({spark});
  return row;
}

size_t columns_width(const TopLook& look) {
  size_t sum = 0;
  for (const auto& column : k_top_columns)
    if (look.width >= column.from)
      sum += width_of(column, look.width) + 1;
  return sum;
}

StyledRow head_row(const TopLook& look) {
  std::vector<Cell> cells;
  for (const auto& column : k_top_columns)
    cells.push_back({std::string(column.head), Style::dim});
  return make_row(cells, "", look);
}

std::vector<StyledRow> rows_of(const SiteRates& site, const TopLook& look) {
  std::vector<StyledRow> rows;
  const size_t used = columns_width(look);
  constexpr size_t k_least = 6;
  const std::string spark = look.width >= used + k_least
      ? sparkline(site.history, std::min(look.width - used, HostRates::k_points), look.utf8)
      : "";
  for (size_t i = 0; i < std::max<size_t>(site.services.size(), 1); ++i) {
    const ServiceRates* service = i < site.services.size() ? &site.services[i] : nullptr;
    const bool first = i == 0;
    const double errors = site.error_percent.value_or(0);
    std::vector<Cell> cells{{first ? site.now.site : ""},
        {first ? printable(site.now.version, 40) : ""}, {service ? service->now.name : ""},
        {std::string(first || !service ? name(site.now.state) : name(service->now.state)),
            first ? state_style(site.now.state) : Style::plain},
        {first ? number(site.per_second) : ""},
        {first ? number(site.error_percent) : "", errors > 1 ? Style::bad : Style::plain},
        {first ? time_short(site.p95_ms) : ""},
        {number(service ? service->cpu_percent : site.cpu_percent)},
        {bytes_short(service ? service->now.memory : site.memory)},
        {service && service->now.memory_limit ? bytes_short(service->now.memory_limit) : ""},
        {service && service->now.queue ? std::to_string(*service->now.queue) : ""},
        {service ? std::to_string(service->now.starts) : ""}};
    rows.push_back(make_row(cells, first ? spark : "", look));
  }
  return rows;
}

StyledRow host_row(const TopHost& host, const control::Usage& u) {
  StyledRow row{
      {host.name.empty() ? (u.name.empty() || u.name == "_" ? "this host" : printable(u.name))
                         : host.name,
          Style::bold},
      {"  "}, {u.sealed ? "locked" : "unlocked", u.sealed ? Style::warn : Style::good}};
  const auto part = [](const std::optional<uint64_t>& total, const std::optional<uint64_t>& left) {
    return total && left ? std::optional(*total - std::min(*left, *total)) : std::nullopt;
  };
  if (u.load_percent)
    row.push_back(
        {cat("  load ", rounded(static_cast<double>(*u.load_percent) / 100), "/", u.processors),
            *u.load_percent > u.processors * 100 ? Style::warn : Style::plain});
  if (u.memory_total)
    row.push_back({cat("  mem ", bytes_short(part(u.memory_total, u.memory_available)), "/",
        bytes_short(u.memory_total))});
  if (u.disk_total)
    row.push_back({cat("  disk ", bytes_short(part(u.disk_total, u.disk_available)), "/",
                       bytes_short(u.disk_total)),
        u.disk_available && *u.disk_available < *u.disk_total / 10 ? Style::warn : Style::plain});
  if (u.jobs_running > 0)
    row.push_back({cat("  ", u.jobs_running, " running")});
  if (u.jobs_waiting_unlock > 0)
    row.push_back({cat("  ", u.jobs_waiting_unlock, " wait for an unlock"), Style::warn});
  if (u.uptime_s)
    row.push_back({cat("  up ", format_duration(std::chrono::seconds(*u.uptime_s)))});
  return row;
}

std::vector<const SiteRates*> sorted(const std::vector<SiteRates>& sites, TopSort sort) {
  std::vector<const SiteRates*> all;
  for (const auto& site : sites)
    all.push_back(&site);
  const auto by = [&](auto value) {
    std::ranges::stable_sort(all, std::greater<>(), [&](const auto* s) { return value(*s); });
  };
  switch (sort) {
  case TopSort::name: break;
  case TopSort::requests: by([](const auto& s) { return s.per_second.value_or(0); }); break;
  case TopSort::errors: by([](const auto& s) { return s.error_percent.value_or(0); }); break;
  case TopSort::cpu: by([](const auto& s) { return s.cpu_percent.value_or(0); }); break;
  case TopSort::memory: by([](const auto& s) { return s.memory.value_or(0); }); break;
  }
  return all;
}

} // namespace

TopSort next(TopSort sort) {
  return sort == TopSort::memory ? TopSort::name : static_cast<TopSort>(static_cast<int>(sort) + 1);
}

std::string sparkline(const std::vector<double>& values, size_t width, bool utf8) {
  constexpr std::array<std::string_view, 9> k_blocks{" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  constexpr std::string_view k_ascii = " .:-=+*%#";
  const size_t shown = std::min(width, values.size());
  double most = 0;
  for (const double value : values)
    most = std::max(most, value);
  std::string line;
  for (size_t i = values.size() - shown; i < values.size(); ++i) {
    const auto height = most <= 0 || values[i] <= 0
        ? size_t{0}
        : std::clamp<size_t>(static_cast<size_t>(std::ceil(values[i] / most * 8)), 1, 8);
    line += utf8 ? std::string(k_blocks[height]) : std::string(1, k_ascii[height]);
  }
  return line;
}

std::vector<std::string> top_frame(
    const std::vector<TopHost>& hosts, const TopLook& look, size_t* lines) {
  std::vector<StyledRow> rows;
  for (const auto& host : hosts) {
    if (const auto& usage = host.rates.usage())
      rows.push_back(host_row(host, *usage));
    else
      rows.push_back({{host.name.empty() ? "this host" : host.name, Style::bold}});
    if (!host.rates.trouble().empty())
      rows.push_back({{cat("! ", printable(host.rates.trouble(), 300)), Style::bad}});
    rows.push_back(head_row(look));
    if (host.rates.usage() && host.rates.sites().empty())
      rows.push_back({{"no site yet", Style::dim}});
    for (const auto* site : sorted(host.rates.sites(), look.sort))
      for (auto& row : rows_of(*site, look))
        rows.push_back(std::move(row));
  }
  if (lines != nullptr)
    *lines = rows.size();
  const size_t first = std::min(look.first, rows.size() - std::min(rows.size(), look.height));
  std::vector<std::string> frame;
  for (size_t i = first; i < rows.size() && frame.size() < look.height; ++i)
    frame.push_back(line_of(rows[i], look));
  return frame;
}

} // namespace chillbox::cli
