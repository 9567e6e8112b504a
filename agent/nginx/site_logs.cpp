#include "nginx/site_logs.hpp"

#include "base/text.hpp"
#include "nginx/count_line.hpp"

namespace chillbox::nginx {
namespace {

// What `combined` says, by name, with the host that was asked and the seconds that it took. Each is
// a string or a number that is never without a value; a status may be 000, which is no number of
// JSON. The time is first, by which `chillboxctl logs` knows it.
constexpr std::string_view k_json =
    R"('{"time":"$time_iso8601","remote_addr":"$remote_addr","remote_user":"$remote_user",'
  '"host":"$host","request":"$request","status":"$status","body_bytes_sent":$body_bytes_sent,'
  '"request_time":$request_time,"http_referer":"$http_referer","http_user_agent":"$http_user_agent"}')";

bool as_json(const SiteInput& in) {
  return in.host->access_log == "json";
}

std::string json_format(const SiteInput& in) {
  return in.site->slug.str() + "-access";
}

} // namespace

std::string log_formats(const SiteInput& in) {
  return cat(counts_format(in.site->slug),
      as_json(in) ? cat("log_format ", json_format(in), " escape=json\n  ", k_json, ";\n")
                  : std::string());
}

std::string access_log(const SiteInput& in) {
  return cat("access_log ", log_dir(in.paths, in.site->slug), "/access.log ",
      as_json(in) ? json_format(in) : std::string("combined"), ";\n");
}

} // namespace chillbox::nginx
