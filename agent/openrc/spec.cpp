#include "openrc/spec.hpp"

#include "base/fd.hpp"
#include "base/text.hpp"
#include "control/json.hpp"
#include "os/io.hpp"

#include <nlohmann/json.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace chillbox::openrc {
namespace {

constexpr std::array<std::string_view, 17> k_members{"name", "release", "argv", "env", "cwd",
    "user", "umask", "niceness", "limits", "socket", "socket_group", "port", "log", "log_size",
    "log_files", "secrets_env", "stop_timeout"};

constexpr uint64_t k_longest = 86'400'000;

bool has_nul(std::string_view s) {
  return s.find('\0') != std::string_view::npos;
}

Result<void> check(const SlotSpec& s) {
  if (s.argv.empty() || !s.argv[0].starts_with('/'))
    return fail(Code::denied, "argv: the program must be an absolute path");
  if (!s.cwd.starts_with('/') || has_nul(s.cwd))
    return fail(Code::denied, "cwd: must be an absolute path");
  if (s.user.empty() || s.user == "root" || has_nul(s.user))
    return fail(Code::denied, "user: must be the site's user");
  if (s.umask.size() != 3 || s.umask.find_first_not_of("01234567") != std::string::npos)
    return fail(Code::denied, "umask: must be three octal digits");
  if (s.niceness && (*s.niceness < -20 || *s.niceness > 19))
    return fail(Code::denied, "niceness: must be -20 to 19");
  if (!s.socket.empty() && (!s.socket.starts_with('/') || has_nul(s.socket)))
    return fail(Code::denied, "socket: must be an absolute path");
  if (s.log_size != 0 && (!s.log.starts_with('/') || has_nul(s.log)))
    return fail(Code::denied, "log: must be an absolute path");
  if (!s.secrets_env.empty() && (!s.secrets_env.starts_with('/') || has_nul(s.secrets_env)))
    return fail(Code::denied, "secrets_env: must be an absolute path");
  if (std::ranges::any_of(s.argv, has_nul))
    return fail(Code::denied, "argv: a NUL byte");
  for (const auto& [name, value] : s.env)
    if (name.empty() || name.find('=') != std::string::npos || has_nul(name) || has_nul(value))
      return fail(Code::denied, cat("env: '", printable(name, 64), "' cannot be passed on"));
  return {};
}

// "a" or "b" with an optional number that has no leading zero.
bool read_slot(std::string_view text, SlotName& name) {
  name.slot = parse_slot(text.substr(0, 1));
  if (name.slot == Slot::none)
    return false;
  if (text.size() == 1)
    return true;
  const auto index = parse_u64(text.substr(1));
  if (!index || *index == 0 || *index > 9999)
    return false;
  name.index = static_cast<uint32_t>(*index);
  return true;
}

Json json_of(const os::Limits& l) {
  return {{"memory_max", l.memory_max}, {"cpu_max", l.cpu_max}, {"cpus", l.cpus},
      {"tasks_max", l.tasks_max}, {"user_tasks_max", l.user_tasks_max}};
}

Result<os::Limits> read_limits(const Json& json) {
  os::Limits limits;
  limits.memory_max = TRY(control::u64_at(json, "memory_max"));
  limits.cpu_max = static_cast<uint32_t>(TRY(control::u64_at(json, "cpu_max")));
  limits.cpus = TRY(control::string_at(json, "cpus"));
  limits.tasks_max = static_cast<uint32_t>(TRY(control::u64_at(json, "tasks_max")));
  limits.user_tasks_max = static_cast<uint32_t>(TRY(control::u64_at(json, "user_tasks_max")));
  return limits;
}

// Absent in what an older agent wrote.
Result<void> read_sockets(const Json& json, SlotSpec& s) {
  if (json.contains("socket"))
    s.socket = TRY(control::string_at(json, "socket"));
  if (json.contains("socket_group"))
    s.socket_group = static_cast<gid_t>(TRY(control::u64_at(json, "socket_group")));
  const uint64_t port = json.contains("port") ? TRY(control::u64_at(json, "port")) : 0;
  if (port > UINT16_MAX)
    return fail(Code::invalid, "port: must be a port");
  s.port = static_cast<uint16_t>(port);
  return {};
}

Result<void> read_log(const Json& json, SlotSpec& s) {
  if (!json.contains("log"))
    return {};
  s.log = TRY(control::string_at(json, "log"));
  s.log_size = TRY(control::u64_at(json, "log_size"));
  s.log_files = static_cast<uint32_t>(TRY(control::u64_at(json, "log_files")));
  return {};
}

Result<SlotSpec> read_members(const Json& json) {
  SlotName name = TRY(SlotName::parse(TRY(control::string_at(json, "name"))));
  SlotSpec s{std::move(name)};
  s.release = TRY(control::string_at(json, "release"));
  s.cwd = TRY(control::string_at(json, "cwd"));
  s.user = TRY(control::string_at(json, "user"));
  s.umask = TRY(control::string_at(json, "umask"));
  for (const char* list : {"argv", "env"})
    if (!json.contains(list) || !json[list].is_array())
      return fail(Code::invalid, cat(list, ": must be a list"));
  for (const auto& word : json["argv"]) {
    if (!word.is_string())
      return fail(Code::invalid, "argv: must be strings");
    s.argv.push_back(word.get<std::string>());
  }
  for (const auto& pair : json["env"]) {
    if (!pair.is_array() || pair.size() != 2 || !pair[0].is_string() || !pair[1].is_string())
      return fail(Code::invalid, "env: must be pairs of strings");
    s.env.emplace_back(pair[0].get<std::string>(), pair[1].get<std::string>());
  }
  if (json.contains("niceness")) {
    if (!json["niceness"].is_number_integer())
      return fail(Code::invalid, "niceness: must be a whole number");
    s.niceness = json["niceness"].get<int>();
  }
  if (json.contains("limits")) // of an older agent there are none
    s.limits = TRY_IN("limits", read_limits(json["limits"]));
  if (json.contains("secrets_env"))
    s.secrets_env = TRY(control::string_at(json, "secrets_env"));
  if (json.contains("stop_timeout"))
    s.stop_timeout = os::Millis{
        static_cast<int64_t>(std::min(TRY(control::u64_at(json, "stop_timeout")), k_longest))};
  TRY(read_sockets(json, s));
  TRY(read_log(json, s));
  return s;
}

Result<std::string> read_private(const std::string& path) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  struct stat st{};
  if (!fd || ::fstat(fd.get(), &st) != 0)
    return fail_errno(path, errno);
  if (!S_ISREG(st.st_mode) || st.st_uid != ::geteuid() || (st.st_mode & 077) != 0)
    return fail(Code::denied, cat(path, ": must be a regular file of root with mode 0600"));
  if (static_cast<uint64_t>(st.st_size) > k_max_spec)
    return fail(Code::too_large, cat(path, ": over ", k_max_spec, " bytes"));
  std::string text(static_cast<size_t>(st.st_size), '\0');
  if (os::read_fully(fd.get(), text.data(), text.size()) != st.st_size)
    return fail(Code::failure, cat(path, ": changed while it was read"));
  return text;
}

} // namespace

std::string SlotName::str() const {
  return cat("chillbox.", site.str(), ".", service.str(), ".", letter(slot),
      index == 0 ? std::string() : std::to_string(index));
}

Result<SlotName> SlotName::parse(std::string_view text) {
  const auto parts = split(text, '.');
  if (parts.size() == 4 && parts[0] == "chillbox") {
    SiteName site = TRY(SiteName::parse(parts[1]));
    ServiceName service = TRY(ServiceName::parse(parts[2]));
    SlotName name{std::move(site), std::move(service), {}, 0};
    if (read_slot(parts[3], name))
      return name;
  }
  return fail(Code::invalid,
      cat("'", printable(text, 100),
          "' is no slot: they are called chillbox.SITE.SERVICE.a, ....b1"));
}

std::string spec_path(const os::Paths& paths, const std::string& slot_name) {
  return cat(paths.slots(), "/", slot_name, ".json");
}

std::string restarts_path(const os::Paths& paths, const std::string& slot_name) {
  return cat(paths.slots(), "/", slot_name, ".starts");
}

Result<std::string> spec_text(const SlotSpec& s) {
  TRY(check(s));
  Json json{{"name", s.name.str()}, {"release", s.release}, {"argv", s.argv},
      {"env", Json::array()}, {"cwd", s.cwd}, {"user", s.user}, {"umask", s.umask}};
  for (const auto& [name, value] : s.env)
    json["env"].push_back({name, value});
  if (s.niceness)
    json["niceness"] = *s.niceness;
  json["limits"] = json_of(s.limits);
  if (!s.socket.empty()) {
    json["socket"] = s.socket;
    json["socket_group"] = s.socket_group;
  }
  if (!s.secrets_env.empty())
    json["secrets_env"] = s.secrets_env;
  if (s.port != 0)
    json["port"] = s.port;
  if (s.stop_timeout != k_stop_timeout) // milliseconds
    json["stop_timeout"] = s.stop_timeout.count();
  if (s.log_size != 0) {
    json["log"] = s.log;
    json["log_size"] = s.log_size;
    json["log_files"] = s.log_files;
  }
  return dump(json);
}

Result<SlotSpec> read_spec(const std::string& path) {
  const auto text = TRY(read_private(path));
  return TRY_IN(path, parse_spec(text));
}

Result<SlotSpec> parse_spec(std::string_view text) {
  const Json json = TRY(parse_json(text, k_max_spec));
  if (!json.is_object())
    return fail(Code::invalid, "must be an object");
  for (const auto& item : json.items())
    if (std::ranges::find(k_members, item.key()) == k_members.end())
      return fail(Code::invalid, cat("unknown member '", printable(item.key(), 64), "'"));
  SlotSpec s = TRY(read_members(json));
  TRY(check(s));
  return s;
}

} // namespace chillbox::openrc
