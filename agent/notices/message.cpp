#include "notices/message.hpp"

#include "base/text.hpp"
#include "control/messages.hpp"

#include <algorithm>

namespace chillbox::notices {
namespace {

using control::Notice;

std::string about(const Notice& notice) {
  return cat(notice.site, notice.site.empty() || notice.subject.empty() ? "" : "/", notice.subject);
}

// Of a notice within a message, state says what of it is told.
bool has_ended(const Notice& notice) {
  return notice.state == "resolved";
}

std::string headline(const Notice& notice) {
  const auto* event = control::find_notice_event(notice.event);
  const std::string who = about(notice);
  return cat(who, who.empty() ? "" : ": ",
      event == nullptr ? std::string_view(notice.event) : event->title,
      has_ended(notice)             ? ": is over"
          : notice.state == "still" ? ": still so"
                                    : "");
}

std::string paragraph(const Notice& notice) {
  const std::string since = rfc3339(notice.first_ms / 1000);
  std::string out =
      cat(has_ended(notice) ? "OVER" : notice.severity, "  ", headline(notice), "\n  ");
  if (has_ended(notice))
    return cat(
        out, "from ", since, " to ", rfc3339(notice.last_ms / 1000), ": ", notice.text, "\n");
  out += cat("since ", since, notice.count > 1 ? cat(", ", notice.count, " times") : "", ": ",
      notice.text, "\n");
  return notice.advice.empty() ? out : cat(out, "  ", notice.advice, "\n");
}

} // namespace

std::string body_of(
    const std::string& host, const std::vector<store::Told>& told, uint64_t more, int64_t now_s) {
  control::NoticeMessage message{
      .type = "notify.none", .timestamp = rfc3339(now_s), .data = {.host = host, .notices = {}}};
  for (const auto& one : told) {
    if (message.data.notices.size() == k_listed) {
      ++more;
      continue;
    }
    Notice notice = one.notice;
    if (notice.state != "once" && one.what != "open")
      notice.state = one.what;
    message.data.notices.push_back(std::move(notice));
  }
  message.data.more = more;
  if (!message.data.notices.empty()) {
    const auto& first = message.data.notices.front();
    const auto* event = control::find_notice_event(first.event);
    message.type =
        has_ended(first) && event != nullptr ? std::string(event->resolved) : first.event;
  }
  return control::to_text(message);
}

Result<MessageText> text_of(std::string_view body) {
  const auto message = TRY(control::read_answer<control::NoticeMessage>(body));
  const auto& all = message.data.notices;
  MessageText out{.title = {}, .text = {}, .severity = "info", .type = message.type};
  for (const auto& notice : all) {
    out.text += paragraph(notice);
    if (!has_ended(notice) &&
        control::severity_rank(notice.severity) > control::severity_rank(out.severity))
      out.severity = notice.severity;
  }
  if (message.data.more > 0)
    out.text += cat("and ", message.data.more, " more: `chillboxctl notices`\n");
  out.title = printable(
      cat(message.data.host, ": ", all.empty() ? std::string("nothing") : headline(all.front()),
          all.size() + message.data.more > 1
              ? cat(" and ", all.size() + message.data.more - 1, " more")
              : ""),
      150);
  return out;
}

} // namespace chillbox::notices
