// The tables of what crosses HTTP, from and to the edge. For messages.cpp.
#pragma once

#include "control/members.hpp"
#include "control/messages.hpp"

namespace chillbox::control {

constexpr auto table(const JobLinks*) {
  return message("job_links", "Paths on this host, with the job's capability.",
      Member{"status", &JobLinks::status, ""}, Member{"events", &JobLinks::events, ""},
      Member{"artifact", &JobLinks::artifact, ""}, Member{"signature", &JobLinks::signature, ""});
}

constexpr auto table(const Accepted*) {
  return message("accepted", "", Member{"job", &Accepted::job, "its id"},
      Member{"links", &Accepted::links, ""});
}

constexpr auto table(const Order*) {
  return message("order", "", Member{"site", &Order::site, ""},
      Member{"version", &Order::version, ""}, Member{"sha256", &Order::sha256, ""},
      Member{"size", &Order::size, "bytes"}, Member{"watch", &Order::watch, ""});
}

constexpr auto table(const Announcement*) {
  return message("announcement", "The body of a webhook.", Member{"type", &Announcement::type, ""},
      Member{"timestamp", &Announcement::timestamp, ""}, Member{"data", &Announcement::data, ""});
}

constexpr auto table(const EventBatch*) {
  return message("event_batch", "", Member{"events", &EventBatch::events, ""},
      Member{"ended", &EventBatch::ended, "no more will come"});
}

} // namespace chillbox::control
