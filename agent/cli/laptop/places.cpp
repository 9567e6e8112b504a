#include "cli/laptop/places.hpp"

#include "base/fd.hpp"
#include "base/text.hpp"
#include "config/toml.hpp"
#include "os/atomic_file.hpp"
#include "os/io.hpp"

#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <optional>

namespace chillbox::cli {
namespace {

constexpr size_t k_max_config_file = 64 * 1024;
constexpr mode_t k_others_write = S_IWGRP | S_IWOTH;
constexpr std::chrono::seconds k_lock_patience{10};

std::optional<struct stat> find(const std::string& path) {
  struct stat info{};
  return ::stat(path.c_str(), &info) == 0 ? std::optional(info) : std::nullopt;
}

bool is_mine(const std::string& dir) {
  const auto info = find(dir);
  return info && S_ISDIR(info->st_mode) && info->st_uid == ::geteuid();
}

std::string home_of_database() {
  const passwd* entry = ::getpwuid(::geteuid());
  const std::string dir = entry != nullptr && entry->pw_dir != nullptr ? entry->pw_dir : "";
  return dir.starts_with('/') ? dir : "/";
}

std::string absolute(const Environment& env, const char* name) {
  std::string value = env(name);
  while (value.size() > 1 && value.ends_with('/'))
    value.pop_back();
  return value.starts_with('/') ? value : "";
}

std::string home(const Environment& env) {
  const std::string given = absolute(env, "HOME");
  const auto info = given.empty() ? std::nullopt : find(given);
  return given.empty() || (info && info->st_uid != ::geteuid()) ? home_of_database() : given;
}

// Nothing is made in a folder of another user, where root would else leave what its owner cannot
// change. Of root's folders only such exist that others cannot write to, or that are sticky.
Result<void> check_parent(const std::string& path) {
  const auto info = find(path);
  if (info && info->st_uid != ::geteuid() && info->st_uid != 0)
    return fail(Code::denied,
        cat(printable(path, 1024), " belongs to another user (uid ", info->st_uid,
            "): run this as that user, or set HOME"));
  return {};
}

} // namespace

Places Places::find(const Environment& env) {
  const std::string base = home(env);
  auto of = [&](const char* name, std::string_view otherwise) {
    const std::string given = absolute(env, name);
    return cat(given.empty() ? cat(base == "/" ? "" : base, otherwise) : given, "/chillbox");
  };
  Places places{of("XDG_CONFIG_HOME", "/.config"), of("XDG_CACHE_HOME", "/.cache"),
      of("XDG_STATE_HOME", "/.local/state"), ""};
  // `su` keeps the former user's.
  const std::string runtime = absolute(env, "XDG_RUNTIME_DIR");
  const bool good = !runtime.empty() && is_mine(runtime);
  places.runtime = good ? runtime + "/chillbox" : places.state + "/run";
  return places;
}

std::string Places::key(std::string_view name) const {
  return cat(keys(), "/", name, ".key");
}
std::string Places::public_key(std::string_view name) const {
  return cat(keys(), "/", name, ".pub");
}
std::string Places::host_record(std::string_view name) const {
  return cat(hosts(), "/", name, ".toml");
}
std::string Places::host_hook(std::string_view name) const {
  return cat(hosts(), "/", name, ".hook");
}

Result<void> make_private_dir(const std::string& path) {
  const auto slash = path.rfind('/');
  const std::string parent = slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
  if (const auto info = find(path)) {
    if (!S_ISDIR(info->st_mode))
      return fail(Code::conflict, cat(printable(path, 1024), " is no folder"));
    return check_parent(path);
  }
  if (parent != "/")
    TRY(make_private_dir(parent));
  TRY(check_parent(parent));
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST)
    return fail_errno(cat("make ", printable(path, 1024)), errno);
  return {};
}

Result<void> make_runtime_dir(const Places& places) {
  TRY(make_private_dir(places.runtime));
  struct stat info{};
  if (::lstat(places.runtime.c_str(), &info) != 0 || !S_ISDIR(info.st_mode) ||
      info.st_uid != ::geteuid() || (info.st_mode & 077) != 0)
    return fail(Code::denied,
        cat(printable(places.runtime, 1024),
            " is not a directory that only you can enter (0700): remove it"));
  return {};
}

Result<std::string> read_own_file(const std::string& path, size_t limit) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file)
    return fail_errno(cat("read ", printable(path, 1024)), errno);
  struct stat info{};
  if (::fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode))
    return fail(Code::invalid, cat(printable(path, 1024), " is no file"));
  if ((info.st_uid != ::geteuid() && info.st_uid != 0) || (info.st_mode & k_others_write) != 0)
    return fail(Code::denied,
        cat(printable(path, 1024),
            " can be changed by others: it must be yours, with mode 0600 (chmod go-w)"));
  return os::read_all(file.get(), limit, cat("read ", printable(path, 1024)));
}

Result<void> write_own_file(const std::string& path, std::string_view text, size_t limit) {
  if (text.size() > limit)
    return fail(Code::too_large,
        cat("write ", printable(path, 1024), ": ", text.size(),
            " bytes are more than the limit of ", limit));
  TRY(make_private_dir(path.substr(0, path.rfind('/'))));
  // A link stays one: people keep such files elsewhere.
  std::error_code error;
  const auto real = std::filesystem::canonical(path, error);
  auto file =
      TRY(os::AtomicFile::create(error ? path : real.string(), 0600, {::geteuid(), ::getegid()}));
  TRY(file.write(text));
  return file.commit();
}

Result<os::LockFile> lock_own(const Places& places, std::string_view name) {
  const std::string dir = places.state + "/locks";
  TRY(make_private_dir(dir));
  return os::LockFile::take(cat(dir, "/", name), "chillboxctl", k_lock_patience);
}

Result<UserConfig> load_user_config(const Places& places) {
  const std::string path = places.config_file();
  const auto text = read_own_file(path, k_max_config_file);
  if (!text && text.error().code == Code::not_found)
    return UserConfig{};
  return text ? parse_user_config(*text, path) : std::unexpected(text.error());
}

Result<UserConfig> parse_user_config(std::string_view text, const std::string& path) {
  static const config::TextRule k_any{
      "one line", 500, [](std::string_view s) { return s == printable(s, 2000); }};
  static const config::Table<UserConfig> k_table{
      {"host", config::into(&UserConfig::host, config::Text{k_any})},
      {"agent_idle",
          [](const config::Location& at, const Json& json, UserConfig& out) {
            if (const auto time = config::Duration{.most = std::chrono::hours(8)}(at, json))
              out.agent_idle = std::chrono::ceil<std::chrono::minutes>(*time);
          }},
      {"editor", config::into(&UserConfig::editor, config::Text{k_any})},
  };
  config::Lines lines;
  const Json json = TRY(config::parse_toml(text, path, lines));
  config::Problems problems(path, &lines);
  UserConfig out;
  config::read_object({problems, ""}, json, k_table, out);
  return problems.empty() ? Result<UserConfig>(std::move(out))
                          : Result<UserConfig>(problems.error());
}

std::string toml_text(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\')
      out += cat("\\", c);
    else if (byte < 0x20 || byte == 0x7f) {
      std::array<char, 8> code{};
      std::snprintf(code.data(), code.size(), "\\u%04X", byte);
      out += code.data();
    } else
      out += c;
  }
  return out + "\"";
}

} // namespace chillbox::cli
