// The tables of control/notices.hpp, for messages.cpp.
#pragma once

#include "control/members.hpp"
#include "control/notices.hpp"

namespace chillbox::control {

constexpr auto table(const Notice*) {
  using N = Notice;
  return message("notice", "What somebody should know.", Member{"number", &N::number, ""},
      Member{"event", &N::event, "as chillboxd.toml(5) lists them"},
      Member{"site", &N::site, "\"\": the host"},
      Member{"subject", &N::subject, "a service, a line, a target: of what of it"},
      Member{"severity", &N::severity, "info, warning or error"},
      Member{"state", &N::state, "open, resolved, or once: it has no end"},
      Member{"text", &N::text, "what happened"}, Member{"advice", &N::advice, "what to do"},
      Member{"first_ms", &N::first_ms, ""}, Member{"last_ms", &N::last_ms, "or its end"},
      Member{"count", &N::count, "so many times since the first"});
}

constexpr auto table(const NoticeList*) {
  return message("notice_list", "",
      Member{"notices", &NoticeList::notices, "open ones first, then the newest"},
      Member{"dropped", &NoticeList::dropped, "open ones that were left out, of too many"});
}

constexpr auto table(const NotifyTarget*) {
  using T = NotifyTarget;
  return message("notify_target", "Who gets notices.", Member{"name", &T::name, ""},
      Member{"kind", &T::kind, "the hook"},
      Member{"state", &T::state, "ok, failing, exhausted, disabled or refused"},
      Member{"error", &T::error, "of the last try"},
      Member{"waiting", &T::waiting, "messages that are not delivered yet"},
      Member{"next_ms", &T::next_ms, "the next try"},
      Member{"sent_ms", &T::sent_ms, "the last success"});
}

constexpr auto table(const NotifyTargets*) {
  return message("notify_targets", "", Member{"targets", &NotifyTargets::targets, ""});
}

constexpr auto table(const NotifyTested*) {
  return message("notify_tested", "", Member{"name", &NotifyTested::name, ""},
      Member{"sent", &NotifyTested::sent, "the target has taken it"},
      Member{"error", &NotifyTested::error, ""});
}

constexpr auto table(const NotifyRetried*) {
  return message(
      "notify_retried", "", Member{"messages", &NotifyRetried::messages, "that are sent again"});
}

constexpr auto table(const NoticeData*) {
  return message("notice_data", "", Member{"host", &NoticeData::host, ""},
      Member{"notices", &NoticeData::notices, ""},
      Member{"more", &NoticeData::more, "that are not listed"});
}

constexpr auto table(const NoticeMessage*) {
  return message("notice_message", "The body of a webhook of notices.",
      Member{"type", &NoticeMessage::type, "the event of the first of them"},
      Member{"timestamp", &NoticeMessage::timestamp, "RFC 3339"},
      Member{"data", &NoticeMessage::data, ""});
}

} // namespace chillbox::control
