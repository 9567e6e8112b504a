#include "cli/core/period.hpp"

#include "base/text.hpp"
#include "cli/core/duration.hpp"
#include "cli/logs/line_time.hpp"
#include "control/selection.hpp"
#include "os/clock.hpp"

#include <algorithm>

namespace chillbox::cli {
namespace {

Result<int64_t> moment(std::string_view text, int64_t now_ms, bool end_of_day) {
  if (const auto ago = parse_duration(text))
    return now_ms - ago->count();
  constexpr size_t k_date = 10;
  const bool date = text.size() == k_date;
  const std::string whole = date ? cat(text, end_of_day ? " 23:59:59.999" : " 00:00:00") : "";
  const bool begins = !text.empty() && text.front() >= '0' && text.front() <= '9';
  if (const auto ms = time_of_line(date ? whole : text, now_ms); begins && ms)
    return *ms;
  return fail(Code::usage,
      cat("'", printable(text, 40),
          "' is no time: write 42m (ago), 2026-11-29, \"2026-11-29 17:33:34\" or ",
          "2026-11-29T17:33:34Z"));
}

} // namespace

Result<Period> period_from(const Args& args, int64_t now_ms) {
  Period period;
  if (args.has("since"))
    period.since_ms = TRY_IN("-s", moment(args.text("since"), now_ms, false));
  if (args.has("until"))
    period.until_ms = TRY_IN("-u", moment(args.text("until"), now_ms, true));
  if (period.since_ms > period.until_ms)
    return fail(Code::usage, "-s is later than -u");
  return period;
}

uint64_t lines_or_all(const Args& args) {
  constexpr uint64_t k_few = 20, k_most = 1000;
  return args.number("lines", args.has("since") || args.has("until") ? k_most : k_few);
}

Result<std::optional<std::vector<std::string>>> period_words(const Args& args) {
  const Period period = TRY(period_from(args, os::real_clock().wall_ms()));
  control::Selection selection;
  if (args.has("since"))
    selection.since_ms = std::max<int64_t>(period.since_ms, 0);
  if (args.has("until"))
    selection.until_ms = std::max<int64_t>(period.until_ms, 0);
  return selection.any_time() ? std::optional(control::words_of(selection)) : std::nullopt;
}

} // namespace chillbox::cli
