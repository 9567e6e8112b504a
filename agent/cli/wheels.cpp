#include "cli/wheels.hpp"

#include "base/text.hpp"
#include "cli/input.hpp"
#include "cli/remote.hpp"
#include "cli/site_commands.hpp"

#include <unistd.h>

#include <algorithm>
#include <filesystem>

namespace chillbox::cli {
namespace {

namespace fs = std::filesystem;

using Words = std::vector<std::string>;

constexpr os::Millis k_timeout{30 * 60'000};
constexpr std::string_view k_missing = "No matching distribution found for ";
constexpr int k_max_built = 50; // requirements of one service that have no wheel

class TemporaryDir {
public:
  static Result<TemporaryDir> create() {
    std::error_code error;
    std::string path = (fs::temp_directory_path(error) / "chillbox-wheels-XXXXXX").string();
    if (::mkdtemp(path.data()) == nullptr)
      return fail_errno(cat("make ", path), errno);
    return TemporaryDir(std::move(path));
  }
  explicit TemporaryDir(std::string path) : m_path(std::move(path)) {}
  TemporaryDir(TemporaryDir&& other) noexcept : m_path(std::exchange(other.m_path, {})) {}
  TemporaryDir(const TemporaryDir&) = delete;
  TemporaryDir& operator=(const TemporaryDir&) = delete;
  TemporaryDir& operator=(TemporaryDir&&) = delete;
  ~TemporaryDir() {
    std::error_code error;
    if (!m_path.empty())
      fs::remove_all(m_path, error);
  }
  const std::string& path() const { return m_path; }

private:
  std::string m_path;
};

// The wheels of one service.
class Collector {
public:
  Collector(std::string dir, const WheelTarget& target, os::Runner& runner, Words wanted)
      : m_dir(std::move(dir)), m_target(target), m_runner(runner), m_wanted(std::move(wanted)) {}
  Result<std::string> collect(); // what to tell

private:
  Result<os::Exit> pip(const Words& words) const;
  Result<os::Exit> get(const std::string& to, const Words& requirements, bool from_index) const;
  Result<void> get_all(const std::string& to, bool from_index);
  Result<void> get_or_build(const std::string& to, const Words& requirements, bool from_index);
  Result<void> build_pure(const std::string& requirement) const;
  std::string dep() const { return m_dir + "/dep"; }

  std::string m_dir;
  const WheelTarget& m_target;
  os::Runner& m_runner;
  Words m_wanted; // beside requirements.txt
};

std::string last_error(std::string_view text) {
  std::string found;
  for (const auto line : split(text, '\n'))
    if (line.starts_with("ERROR: "))
      found = line.substr(7);
  return printable(found.empty() ? trim(text.substr(text.size() > 300 ? text.size() - 300 : 0)) : std::string_view(found), 300);
}

Result<os::Exit> Collector::pip(const Words& words) const {
  const std::string python = TRY(find_program("python3"));
  os::Command command{.argv = {python, "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input"}};
  command.argv.insert(command.argv.end(), words.begin(), words.end());
  command.env = environment_with({});
  command.cwd = m_dir; // requirements.txt says "--find-links ./dep"
  command.timeout = k_timeout;
  command.no_new_privs = false;
  const auto exit = TRY(m_runner.run(command));
  if (exit.err.find("No module named pip") != std::string::npos)
    return fail(Code::not_found, "python3 has no pip: install python3-pip, or run in a virtual environment that has it");
  return exit;
}

Result<os::Exit> Collector::get(const std::string& to, const Words& requirements, bool from_index) const {
  Words words{m_target.python.empty() ? "wheel" : "download", m_target.python.empty() ? "--wheel-dir" : "--dest", to, "--find-links", dep()};
  if (!from_index)
    words.emplace_back("--no-index");
  if (!m_target.python.empty()) {
    words.insert(words.end(), {"--only-binary", ":all:", "--python-version", m_target.python});
    for (const auto& platform : m_target.platforms)
      words.insert(words.end(), {"--platform", platform});
  }
  words.insert(words.end(), requirements.begin(), requirements.end());
  return pip(words);
}

// A requirement that exists as source only is built here, when what comes out is for any machine.
Result<void> Collector::build_pure(const std::string& requirement) const {
  const auto built = TRY(TemporaryDir::create());
  const Words words{"wheel", "--no-deps", "--wheel-dir", built.path(), "--", requirement};
  const auto exit = TRY(pip(words));
  const std::string context = cat("no wheel of ", printable(requirement, 100), " for ", m_target.shown());
  if (!exit.ok())
    return fail(Code::failure, cat(context, ": ", last_error(exit.err)));
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(built.path(), error)) {
    const std::string name = entry.path().filename();
    if (!name.ends_with("-none-any.whl"))
      return fail(Code::failure, cat(context, ", and its source makes one for this machine only (", printable(name, 150), ")"));
    fs::create_directories(dep(), error);
    fs::copy_file(entry.path(), fs::path(dep()) / name, fs::copy_options::overwrite_existing, error);
  }
  if (error)
    return fail_errno(cat("write ", printable(dep(), 1024)), error.value());
  return {};
}

Result<void> Collector::get_or_build(const std::string& to, const Words& requirements, bool from_index) {
  for (int built = 0;; ++built) {
    const auto exit = TRY(get(to, requirements, from_index));
    if (exit.ok())
      return {};
    const auto at = exit.err.rfind(k_missing);
    if (!from_index || m_target.python.empty() || at == std::string::npos || built == k_max_built)
      return fail(Code::failure, last_error(exit.err));
    const std::string rest = exit.err.substr(at + k_missing.size());
    TRY(build_pure(std::string(trim(rest.substr(0, rest.find_first_of("\n("))))));
  }
}

// With hashes in requirements.txt pip wants one for everything of the same call.
Result<void> Collector::get_all(const std::string& to, bool from_index) {
  const std::string file = m_dir + "/requirements.txt";
  Words own;
  bool hashes = false;
  if (::access(file.c_str(), R_OK) == 0) {
    own = {"-r", "requirements.txt"};
    hashes = TRY(read_input(file, 4 << 20)).find("--hash") != std::string::npos;
  }
  if (!hashes) {
    own.insert(own.end(), m_wanted.begin(), m_wanted.end());
    return own.empty() ? Result<void>() : get_or_build(to, own, from_index);
  }
  TRY(get_or_build(to, own, from_index));
  return m_wanted.empty() ? Result<void>() : get_or_build(to, m_wanted, from_index);
}

Result<std::string> Collector::collect() {
  const auto to = TRY(TemporaryDir::create());
  const bool there = get_all(to.path(), false).has_value();
  if (!there)
    TRY(get_all(to.path(), true));
  std::error_code error;
  uint64_t count = 0, size = 0;
  for (const auto& entry : fs::directory_iterator(to.path(), error)) {
    ++count;
    size += entry.file_size(error);
    fs::create_directories(dep(), error);
    if (!there)
      fs::copy_file(entry.path(), fs::path(dep()) / entry.path().filename(), fs::copy_options::overwrite_existing, error);
  }
  if (error)
    return fail_errno(cat("write ", printable(dep(), 1024)), error.value());
  return cat(count, " wheels, ", human_size(size), there ? ", all in dep/ already" : "");
}

bool is_python_version(std::string_view text) {
  const auto parts = split(text, '.');
  return parts.size() == 2 && parts[0] == "3" && parse_u64(parts[1]).has_value();
}

bool is_platform(std::string_view text) {
  return !text.empty() && text.size() <= 64 && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

std::string machine() {
#if defined(__x86_64__)
  return "x86_64";
#elif defined(__aarch64__)
  return "aarch64";
#else
  return "";
#endif
}

} // namespace

std::string WheelTarget::shown() const {
  return python.empty() ? "this machine" : cat("Python ", python, " on ", platforms.empty() ? "" : platforms.front());
}

std::vector<std::string> older_platforms(const std::string& platform) {
  std::vector<std::string> all{platform};
  const auto parts = split(platform, '_');
  if (parts.size() < 4 || (parts[0] != "musllinux" && parts[0] != "manylinux"))
    return all;
  const auto minor = parse_u64(parts[2]);
  const std::string arch = platform.substr(parts[0].size() + parts[1].size() + parts[2].size() + 3);
  const bool musl = parts[0] == "musllinux";
  for (uint64_t m = minor.value_or(0); m-- > (musl ? 1U : 5U);)
    all.push_back(cat(parts[0], "_", parts[1], "_", m, "_", arch));
  for (const auto& [since, name] : {std::pair{17U, "manylinux2014_"}, std::pair{12U, "manylinux2010_"}, std::pair{5U, "manylinux1_"}})
    if (!musl && minor.value_or(0) >= since)
      all.push_back(cat(name, arch));
  return all;
}

Result<std::optional<WheelTarget>> wheel_target(const Args& args) {
  const bool python = args.has("python"), platform = args.has("platform");
  if (!args.has("wheels") && !python && !platform)
    return std::optional<WheelTarget>();
  WheelTarget target{args.text("python"), {}};
  if (!python && platform)
    return fail(Code::usage, "--platform: for which Python? give --python 3.12, as `python3 --version` on the host says");
  if (python && !is_python_version(target.python))
    return fail(Code::usage, cat("--python '", printable(target.python, 40), "': such as 3.12"));
  auto wanted = args.list("platform");
  if (python && wanted.empty())
    wanted.push_back("musllinux_1_2_" + machine());
  for (const auto& one : wanted) {
    if (!is_platform(one))
      return fail(Code::usage, cat("--platform '", printable(one, 80), "': such as musllinux_1_2_x86_64 (Alpine), manylinux_2_28_x86_64 (Debian)"));
    for (auto& older : older_platforms(one))
      target.platforms.push_back(std::move(older));
  }
  return std::optional(std::move(target));
}

std::vector<std::string> handler_requirements(const config::Service& service) {
  if (service.lang == "chill")
    return {"chill[cli]"};
  if (service.lang != "python")
    return {};
  if (service.worker_class == "gevent")
    return {"gunicorn[gevent]"};
  if (service.worker_class.starts_with("uvicorn."))
    return {"gunicorn", "uvicorn"};
  return {"gunicorn"};
}

Result<void> fetch_wheels(const SiteFolder& folder, const WheelTarget& target, os::Runner& runner, Progress& progress) {
  for (const config::Service& service : folder.site.services) {
    const std::string dir = cat(folder.dir, "/", service.handler);
    if (!runs_python(service) || ::access(dir.c_str(), R_OK) != 0)
      continue;
    std::error_code error;
    progress.begin("wheels", cat(service.name.str(), " for ", target.shown()));
    Collector collector(fs::absolute(dir, error).string(), target, runner, handler_requirements(service));
    auto told = collector.collect();
    progress.end_line();
    if (!told)
      return within(cat("service ", service.name.str(), ": wheels for ", target.shown()), std::move(told.error()));
    progress.done("wheels", cat(service.name.str(), ": ", *told));
  }
  return {};
}

} // namespace chillbox::cli
