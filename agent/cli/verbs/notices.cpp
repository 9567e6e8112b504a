// notices: what somebody should know of this host.
#include "cli/core/answer_table.hpp"
#include "cli/core/duration.hpp"
#include "cli/core/options.hpp"

#include "base/text.hpp"
#include "control/notices.hpp"
#include "os/clock.hpp"

namespace chillbox::cli {
namespace {

constexpr std::array k_notices_options{k_site_or_all, k_limit};

std::string about(const control::Notice& notice) {
  if (notice.site.empty())
    return notice.subject.empty() ? "host" : notice.subject;
  return cat(notice.site, notice.subject.empty() ? "" : "/", notice.subject);
}

Result<void> run_notices(Call& call) {
  control::Arguments args{.limit = call.args.number("lines", k_default_lines)};
  if (call.args.has("SITE"))
    args.site = call.args.text("SITE");
  return show_table<control::NoticeList>(call, {.verb = "notices", .args = args},
      {{"SINCE", "STATE", "EVENT", "OF", "TIMES", "WHAT"}, {}}, "nothing to report",
      [now = os::real_clock().wall_ms()](const control::NoticeList& list, Table& table) {
        for (const auto& notice : list.notices) {
          const bool open = notice.state == "open";
          table.rows.push_back(
              {format_when(notice.first_ms, now), open ? notice.severity : notice.state,
                  notice.event, printable(about(notice), 60), std::to_string(notice.count),
                  printable(open && !notice.advice.empty() ? cat(notice.text, ": ", notice.advice)
                                                           : notice.text,
                      300)});
        }
      });
}

} // namespace

extern constinit const Verb k_notices{"notices", Group::show, Where::host,
    "show what is wrong and what happened, the open ones first", k_notices_options, run_notices};

} // namespace chillbox::cli
