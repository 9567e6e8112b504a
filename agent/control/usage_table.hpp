// The tables of control/usage.hpp, for messages.cpp.
#pragma once

#include "control/members.hpp"
#include "control/usage.hpp"

namespace chillbox::control {

constexpr auto table(const ServiceUsage*) {
  using S = ServiceUsage;
  return message("service_usage", "", Member{"name", &S::name, ""}, Member{"state", &S::state, ""},
      Member{"starts", &S::starts, "since the release got its slot"},
      Member{"cpu_us", &S::cpu_us, "processor time since it was started"},
      Member{"memory", &S::memory, "bytes"}, Member{"memory_limit", &S::memory_limit, "bytes"},
      Member{"queue", &S::queue, "connections that wait"});
}

constexpr auto table(const SiteUsage*) {
  using S = SiteUsage;
  return message("site_usage", "", Member{"site", &S::site, ""}, Member{"state", &S::state, ""},
      Member{"version", &S::version, ""}, Member{"live_ms", &S::live_ms, ""},
      Member{"requests", &S::requests, "since chillboxd started"},
      Member{"errors", &S::errors, "answers of 500 to 599"}, Member{"sent", &S::sent, "bytes"},
      Member{
          "times", &S::times, "requests by duration, as bounds_ms has them; one more has no bound"},
      Member{"services", &S::services, ""});
}

constexpr auto table(const Usage*) {
  using U = Usage;
  return message("usage", "What a host and its sites use and serve.",
      Member{"time_ms", &U::time_ms, ""}, Member{"started_ms", &U::started_ms, "chillboxd"},
      Member{"name", &U::name, ""}, Member{"version", &U::version, "of chillboxd"},
      Member{"sealed", &U::sealed, ""},
      Member{"load_percent", &U::load_percent, "of one processor, in the last minute"},
      Member{"processors", &U::processors, ""}, Member{"memory_total", &U::memory_total, "bytes"},
      Member{"memory_available", &U::memory_available, "bytes"},
      Member{"disk_total", &U::disk_total, "bytes"},
      Member{"disk_available", &U::disk_available, "bytes"},
      Member{"uptime_s", &U::uptime_s, "of the machine"},
      Member{"jobs_running", &U::jobs_running, ""},
      Member{"jobs_waiting_unlock", &U::jobs_waiting_unlock, ""},
      Member{"bounds_ms", &U::bounds_ms, "upper bounds of the durations"},
      Member{"sites", &U::sites, ""});
}

} // namespace chillbox::control
