// Notices: what somebody should know of this host without looking. Each event has one row in
// notice_events(): what it is called, how much it matters, how it ends and what to do. A new event
// is a row there, and a line where it happens: Store's own transactions (store/notices.hpp), a rule
// over facts (notices/rules.cpp), or a call of raise().
#pragma once

#include "control/json.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace chillbox::control {

struct NoticeEvent {
  std::string_view name;     // "service.crashed"
  std::string_view resolved; // the event of its end; "": it is reported once and has no end
  std::string_view severity; // "info", "warning", "error"
  std::string_view title;    // what a message begins with, before the site
  std::string_view advice;   // what to do; $SITE and $SUBJECT are replaced
  int64_t calm_ms = 0;       // it has ended after so long without a repeat; 0: when told so
};
std::span<const NoticeEvent> notice_events();
const NoticeEvent* find_notice_event(std::string_view name); // by its name, or that of its end
// 0 info, 1 warning, 2 error; nullopt: no such word.
std::optional<int> severity_rank(std::string_view severity);

struct Notice {
  uint64_t number = 0;
  std::string event, site, subject; // site "" : the host; subject: a service, a disk, a target
  std::string severity;
  std::string state; // "open", "resolved", "once": told, and without an end
  std::string text;  // what happened
  std::string advice;
  int64_t first_ms = 0, last_ms = 0;
  uint64_t count = 1;
};
struct NoticeList {
  std::vector<Notice> notices; // open ones first, then the newest
  uint64_t dropped = 0;        // of too many: open ones that were left out
};

struct NotifyTarget {
  std::string name, kind;
  std::string state;    // "ok", "failing", "exhausted", "disabled", "refused": its file is wrong
  std::string error;    // of the last try
  uint64_t waiting = 0; // messages
  int64_t next_ms = 0, sent_ms = 0;
};
struct NotifyTargets {
  std::vector<NotifyTarget> targets;
};
struct NotifyTested {
  std::string name;
  bool sent = false;
  std::string error;
};
struct NotifyRetried {
  uint64_t messages = 0; // that are sent again
};
// The body of a Standard Webhook, and what the other hooks are told the same of.
struct NoticeData {
  std::string host;
  std::vector<Notice> notices;
  uint64_t more = 0; // that are not listed
};
struct NoticeMessage {
  std::string type, timestamp; // of the first of them: "service.crashed"
  NoticeData data;
};

} // namespace chillbox::control
