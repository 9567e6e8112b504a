#include "cli/core/period.hpp"

#include "base/text.hpp"
#include "cli/core/duration.hpp"
#include "cli/logs/line_time.hpp"
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

Result<void> add_period(const Args& args, control::Arguments& asked) {
  constexpr uint64_t k_few = 20, k_most = 1000;
  const Period period = TRY(period_from(args, os::real_clock().wall_ms()));
  const auto at = [](int64_t ms) { return static_cast<uint64_t>(std::max<int64_t>(ms, 0)); };
  if (args.has("since"))
    asked.since_ms = at(period.since_ms);
  if (args.has("until"))
    asked.until_ms = at(period.until_ms);
  if (!asked.limit)
    asked.limit = args.number("lines", asked.since_ms || asked.until_ms ? k_most : k_few);
  return {};
}

} // namespace chillbox::cli
