#include "cli/pack/wheels.hpp"

#include "base/text.hpp"
#include "cli/core/file_input.hpp"
#include "cli/fleet/ssh.hpp"
#include "cli/pack/requirements.hpp"
#include "cli/pack/site_commands.hpp"

#include <unistd.h>

#include <filesystem>

namespace chillbox::cli {
namespace {

namespace fs = std::filesystem;

using Words = std::vector<std::string>;

constexpr os::Millis k_timeout{30 * 60'000};
constexpr std::string_view k_missing = "No matching distribution found for ";
constexpr int k_max_rounds = 100; // requirements of one service that have no wheel, or another one
// pip judges conditions such as `python_full_version < "3.11.3"` by the Python that it runs on,
// whatever --python-version says (its issue 11664); what it asks is answered for the host. Without
// the third number it is the laptop's when the first two agree, else the newest.
constexpr const char* k_pip_as_host = R"(import sys
sys.path.pop(0)
import platform, runpy
version, machine = sys.argv[1].split("."), sys.argv[2]
here = platform.python_version_tuple()
version += [] if len(version) == 3 else [here[2] if list(here[:2]) == version else "99"]
platform.python_version_tuple = lambda: tuple(version)
platform.python_version = lambda: ".".join(version)
platform.machine = lambda kept=platform.machine(): machine or kept
sys.argv[:3] = ["pip"]
runpy.run_module("pip", run_name="__main__", alter_sys=True)
)";
constexpr std::string_view k_unpinned = "These do not:";
constexpr std::string_view k_built = "built from its source", k_from_index = "new, from the index";

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
  Result<os::Exit> pip(const Words& words, bool as_host = false) const;
  Result<os::Exit> get(const std::string& to, const Words& requirements, bool from_index) const;
  Result<void> get_all(const std::string& to, bool from_index);
  Result<void> get_or_build(const std::string& to, const Words& requirements, bool from_index);
  Result<void> build_pure(const std::string& requirement);
  Result<Words> own() const;
  bool take_new_hashes(std::string_view pip_says);
  Result<bool> take_unpinned(std::string_view pip_says);
  Result<void> allow_built(const std::string& dir);
  Result<void> keep(const std::string& from) const; // in dep/
  std::string dep() const { return m_dir + "/dep"; }

  std::string m_dir;
  const WheelTarget& m_target;
  os::Runner& m_runner;
  Words m_wanted;                  // beside requirements.txt
  Requirements m_requirements{""}; // requirements.txt, and the hashes that were added
  std::string m_scratch;
  Words m_new; // of these no wheel that fits has a hash of the author's
};

std::string last_error(std::string_view text) {
  std::string found;
  for (const auto line : split(text, '\n'))
    if (line.starts_with("ERROR: "))
      found = line.substr(7);
  if (found == "Exception:") // its last line says which
    found = trim(text).substr(trim(text).rfind('\n') + 1);
  return printable(found.empty() ? trim(text.substr(text.size() > 300 ? text.size() - 300 : 0))
                                 : std::string_view(found),
      300);
}

Result<os::Exit> Collector::pip(const Words& words, bool as_host) const {
  const std::string python = TRY(find_program("python3"));
  os::Command command{.argv = as_host
          ? Words{python, "-c", k_pip_as_host, m_target.python, m_target.machine()}
          : Words{python, "-m", "pip"}};
  command.argv.insert(command.argv.end(), {"--quiet", "--disable-pip-version-check", "--no-input"});
  command.argv.insert(command.argv.end(), words.begin(), words.end());
  command.env = environment_with({});
  command.cwd = m_dir; // requirements.txt says "--find-links ./dep"
  command.timeout = k_timeout;
  command.no_new_privs = false;
  const auto exit = TRY(m_runner.run(command));
  if (exit.err.find("No module named pip") != std::string::npos)
    return fail(Code::not_found,
        "python3 has no pip: install python3-pip, or run in a virtual environment that has it");
  return exit;
}

Result<os::Exit> Collector::get(
    const std::string& to, const Words& requirements, bool from_index) const {
  const bool elsewhere = !m_target.python.empty();
  Words words{elsewhere ? "download" : "wheel", elsewhere ? "--dest" : "--wheel-dir", to,
      "--find-links", dep()};
  if (!from_index)
    words.emplace_back("--no-index");
  if (elsewhere) {
    words.insert(words.end(), {"--only-binary", ":all:", "--python-version", m_target.python});
    for (const auto& platform : m_target.platforms)
      words.insert(words.end(), {"--platform", platform});
  }
  words.insert(words.end(), requirements.begin(), requirements.end());
  return pip(words, elsewhere);
}

Result<void> Collector::keep(const std::string& from) const {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(from, error)) {
    fs::create_directories(dep(), error);
    fs::copy_file(entry.path(), fs::path(dep()) / entry.path().filename(),
        fs::copy_options::overwrite_existing, error);
  }
  return error ? Result<void>(fail_errno(cat("write ", printable(dep(), 1024)), error.value()))
               : Result<void>{};
}

// What pip made of a source whose hash it checked has a hash of its own.
Result<void> Collector::allow_built(const std::string& dir) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(dir, error)) {
    const std::string name = wheel_name(entry.path().filename().string()),
                      sha256 = TRY(sha256_of_file(entry.path()));
    if (!m_requirements.allows(name, sha256))
      m_requirements.allow(name, sha256, k_built);
  }
  return {};
}

// pip checks the hash of what it takes; of each that has another one it says "NAME==VERSION from
// WHERE (..):", "Expected sha256 ..", "Got ..".
bool Collector::take_new_hashes(std::string_view pip_says) {
  bool any = false;
  std::string name;
  for (const auto raw : split(pip_says, '\n')) {
    const auto line = trim(raw);
    if (line.ends_with("):"))
      name = requirement_name(line);
    else if (line.starts_with("Got ") &&
        m_requirements.allow(name, std::string(trim(line.substr(4))), k_from_index)) {
      m_new.push_back(name);
      any = true;
    }
  }
  return any;
}

// What the host's Python needs beside those that the author's needed: "In --require-hashes mode,
// all requirements must have their versions pinned with
// ==. These do not:", then "NAME>=1 from WHERE (from ..)" on a line each.
Result<bool> Collector::take_unpinned(std::string_view pip_says) {
  const auto at = pip_says.find(k_unpinned);
  if (at == std::string_view::npos)
    return false;
  bool any = false;
  for (const auto raw : split(pip_says.substr(at + k_unpinned.size()), '\n')) {
    const auto line = trim(raw);
    const auto from = line.find(" from ");
    if (from == std::string_view::npos || line.find("->") == std::string_view::npos)
      continue; // what the file itself names without a version is for its author to pin
    const auto got = TRY(TemporaryDir::create());
    const auto exit =
        TRY(get(got.path(), {"--no-deps", "--", std::string(line.substr(0, from))}, true));
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(got.path(), error)) {
      const std::string wheel = entry.path().filename();
      const auto parts = split(wheel, '-');
      const std::string name = requirement_name(parts[0]);
      if (!exit.ok() || parts.size() < 5 || !m_requirements.line_of(name).empty())
        continue;
      m_requirements.add(
          cat(name, "==", parts[1]), TRY(sha256_of_file(entry.path())), k_from_index);
      m_new.push_back(name);
      any = true;
    }
  }
  return any;
}

// A requirement that exists as source only is built here, when what comes out is for any machine.
Result<void> Collector::build_pure(const std::string& requirement) {
  const auto built = TRY(TemporaryDir::create());
  Words words{"wheel", "--no-deps", "--wheel-dir", built.path()};
  const std::string line = m_requirements.line_of(requirement), alone = m_scratch + "/one.txt";
  if (line.find("--hash") == std::string::npos) {
    words.insert(words.end(), {"--", requirement});
  } else {
    TRY(write_requirements(alone, line + "\n"));
    words.insert(words.end(), {"-r", alone});
  }
  auto exit = TRY(pip(words));
  if (!exit.ok() && take_new_hashes(exit.err)) {
    TRY(write_requirements(alone, m_requirements.line_of(requirement) + "\n"));
    exit = TRY(pip(words));
  }
  const std::string context =
      cat("no wheel of ", printable(requirement, 100), " for ", m_target.shown());
  if (!exit.ok())
    return fail(Code::failure, cat(context, ": ", last_error(exit.err)));
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(built.path(), error))
    if (const std::string name = entry.path().filename(); !name.ends_with("-none-any.whl"))
      return fail(Code::failure,
          cat(context, ", and its source makes one for this machine only (", printable(name, 150),
              ")"));
  TRY(allow_built(built.path()));
  return keep(built.path());
}

Result<void> Collector::get_or_build(
    const std::string& to, const Words& requirements, bool from_index) {
  Words words = requirements;
  for (int round = 0;; ++round) {
    const auto exit = TRY(get(to, words, from_index));
    if (exit.ok())
      return {};
    const auto at = exit.err.rfind(k_missing);
    if (!from_index || round == k_max_rounds)
      return fail(Code::failure, last_error(exit.err));
    if (!m_target.python.empty() && at != std::string::npos) {
      const std::string rest = exit.err.substr(at + k_missing.size());
      TRY(build_pure(std::string(trim(rest.substr(0, rest.find_first_of("\n("))))));
    } else if (!take_new_hashes(exit.err) && !TRY(take_unpinned(exit.err))) {
      return fail(Code::failure, last_error(exit.err));
    }
    if (m_requirements.changed() && words.front() == "-r")
      words = TRY(own());
  }
}

// The arguments for pip: the author's file, or with hashes that were added.
Result<Words> Collector::own() const {
  if (!m_requirements.changed())
    return Words{"-r", "requirements.txt"};
  const std::string file = m_scratch + "/requirements.txt";
  TRY(write_requirements(file, m_requirements.text()));
  return Words{"-r", file};
}

// With hashes in requirements.txt pip wants one for everything of the same call.
Result<void> Collector::get_all(const std::string& to, bool from_index) {
  Words words;
  if (::access((m_dir + "/requirements.txt").c_str(), R_OK) == 0)
    words = TRY(own());
  if (!m_requirements.hashed()) {
    words.insert(words.end(), m_wanted.begin(), m_wanted.end());
    return words.empty() ? Result<void>() : get_or_build(to, words, from_index);
  }
  TRY(get_or_build(to, words, from_index));
  TRY(allow_built(to));
  return m_wanted.empty() ? Result<void>() : get_or_build(to, m_wanted, from_index);
}

Result<std::string> Collector::collect() {
  const auto to = TRY(TemporaryDir::create()), scratch = TRY(TemporaryDir::create());
  m_scratch = scratch.path();
  const std::string file = m_dir + "/requirements.txt";
  if (const auto locked = TRY(read_locked(m_dir)))
    m_requirements = *locked;
  else if (::access(file.c_str(), R_OK) == 0)
    m_requirements = Requirements(TRY(read_input(file, 4 << 20)));
  const bool there = get_all(to.path(), false).has_value();
  if (!there)
    TRY(get_all(to.path(), true));
  if (!m_new.empty() && !m_target.new_hashes)
    return fail(Code::denied,
        cat("no hash in requirements.txt is that of what fits of ", join(m_new, ", "),
            ": --new-hashes trusts the index for them, pip-compile --generate-hashes writes new ones"));
  std::error_code error;
  uint64_t count = 0, size = 0;
  for (const auto& entry : fs::directory_iterator(to.path(), error)) {
    ++count;
    size += entry.file_size(error);
  }
  TRY(keep(to.path()));
  TRY(write_locked(m_dir, m_requirements));
  return cat(count, " wheels, ", human_size(size), there ? ", all in dep/ already" : "");
}

} // namespace

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

Result<void> fetch_wheels(
    const SiteFolder& folder, const WheelTarget& target, os::Runner& runner, Progress& progress) {
  for (const config::Service& service : folder.site.services) {
    const std::string dir = cat(folder.dir, "/", service.handler);
    if (!runs_python(service) || ::access(dir.c_str(), R_OK) != 0)
      continue;
    std::error_code error;
    progress.begin("wheels", cat(service.name.str(), " for ", target.shown()));
    Collector collector(
        fs::absolute(dir, error).string(), target, runner, handler_requirements(service));
    auto told = collector.collect();
    progress.end_line();
    if (!told)
      return within(cat("service ", service.name.str(), ": wheels for ", target.shown()),
          std::move(told.error()));
    progress.done("wheels", cat(service.name.str(), ": ", *told));
  }
  return {};
}

Result<void> tell_added_hashes(const SiteFolder& folder, Progress& progress) {
  for (const config::Service& service : folder.site.services) {
    const auto locked = runs_python(service)
        ? TRY(read_locked(cat(folder.dir, "/", service.handler)))
        : std::nullopt;
    if (!locked)
      continue;
    Words all;
    for (const auto& [name, why] : locked->added())
      all.push_back(cat(name, " (", why, ")"));
    progress.done("hashes",
        cat(service.name.str(), ": its requirements.txt goes with more than the author's for ",
            join(all, ", ")));
  }
  return {};
}

} // namespace chillbox::cli
