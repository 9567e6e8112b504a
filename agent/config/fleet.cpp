#include "config/fleet.hpp"

#include "base/names.hpp"
#include "base/text.hpp"
#include "config/toml.hpp"
#include "config/validators.hpp"

#include <algorithm>

namespace chillbox::config {
namespace {

bool endpoint(std::string_view s) {
  return parse_endpoint(s).has_value();
}
bool fleet_user(std::string_view s) {
  return SiteName::parse(s).has_value();
}

const TextRule k_endpoint{
    "the address of a member of etcd, such as https://10.0.0.1:2379", 300, endpoint};
const TextRule k_fleet_user{
    "the fleet's name: a lower-case letter, then lower-case letters, digits "
    "or '-', not beginning with chillbox",
    31, fleet_user};

const Table<HostFleet>& fleet_table() {
  using F = HostFleet;
  static const Table<F> k_fleet{{"engine", into(&F::engine, Choice{{"etcd"}})},
      {"endpoints", each(&F::endpoints, 7, Text{k_endpoint})},
      {"ca_file", into(&F::ca_file, Text{k_absolute_path})},
      {"certificate_file", into(&F::certificate_file, Text{k_absolute_path})},
      {"key_file", into(&F::key_file, Text{k_absolute_path})},
      {"user", into(&F::user, Text{k_fleet_user})},
      {"password_file", into(&F::password_file, Text{k_absolute_path})}};
  return k_fleet;
}

} // namespace

Result<EngineEndpoint> parse_endpoint(std::string_view url) {
  constexpr std::string_view k_scheme = "https://";
  const auto refuse = [&] {
    return fail(Code::invalid, cat("'", printable(url, 100), "': not https://HOST:PORT"));
  };
  if (!url.starts_with(k_scheme))
    return refuse();
  const auto rest = url.substr(k_scheme.size());
  const bool brackets = rest.starts_with('[');
  const auto end = brackets ? rest.find("]:") : rest.find(':');
  if (end == std::string_view::npos)
    return refuse();
  EngineEndpoint out{std::string(brackets ? rest.substr(1, end - 1) : rest.substr(0, end))};
  const auto port = parse_u64(rest.substr(end + (brackets ? 2 : 1)));
  const std::string_view allowed =
      brackets ? "abcdef0123456789:" : "abcdefghijklmnopqrstuvwxyz0123456789.-";
  if (out.host.empty() || out.host.starts_with('-') ||
      out.host.find_first_not_of(allowed) != std::string::npos || !port || *port == 0 ||
      *port > 65'535)
    return refuse();
  out.port = static_cast<uint16_t>(*port);
  return out;
}

void read_host_fleet(const Location& at, const Json& json, HostFleet& fleet) {
  read_object(at, json, fleet_table(), fleet);
  if (!at.problems.empty())
    return;
  std::vector<std::string> missing;
  const auto need = [&](bool there, std::string_view name) {
    if (!there)
      missing.emplace_back(name);
  };
  need(fleet.on(), "engine");
  need(!fleet.endpoints.empty(), "endpoints");
  need(!fleet.ca_file.empty(), "ca_file");
  need(!fleet.certificate_file.empty(), "certificate_file");
  need(!fleet.key_file.empty(), "key_file");
  need(!fleet.user.empty(), "user");
  need(!fleet.password_file.empty(), "password_file");
  if (!missing.empty())
    at.problems.add(at.path,
        cat("needs ", join(missing, ", "), ", too: chillboxctl fleet init writes the section"));
}

Result<HostFleet> parse_host_fleet(std::string_view toml, std::string_view file_name) {
  Lines lines;
  const Json json = TRY(parse_toml(toml, file_name, lines));
  HostFleet fleet;
  const auto section = json.find("fleet");
  if (section == json.end())
    return fleet;
  Problems problems(file_name, &lines);
  read_host_fleet({problems, "fleet"}, *section, fleet);
  if (!problems.empty())
    return problems.error();
  return fleet;
}

} // namespace chillbox::config
