#include "cli/pack/collect.hpp"

#include "base/json.hpp"
#include "base/text.hpp"
#include "cli/core/file_input.hpp"
#include "cli/core/temporary_dir.hpp"
#include "cli/pack/site_commands.hpp"

#include <nlohmann/json.hpp>

#include <filesystem>

namespace chillbox::cli {
namespace {

namespace fs = std::filesystem;

constexpr os::Millis k_build_timeout{30 * 60'000};
constexpr size_t k_max_collected = 8 << 20; // bytes
constexpr int k_not_found = 127;            // of env and sh: the interpreter

Code code_of(int exit) {
  return exit == 2 ? Code::usage
      : exit == 3  ? Code::not_found
      : exit == 4  ? Code::denied
                   : Code::failure;
}

class Collector {
public:
  Collector(const SiteFolder& folder, const CollectOptions& options, os::Runner& runner,
      const std::string& hooks)
      : m_folder(folder), m_options(options), m_runner(runner), m_hooks(hooks) {}

  // What the hook prints; null: it cannot be run here, and nothing was asked of it.
  Result<Json> run(const config::Service& service) const;

private:
  // The hook with the interpreter that its first line names, for a /tmp from which nothing is run.
  Result<std::vector<std::string>> argv(const config::Service& service) const;

  const SiteFolder& m_folder;
  const CollectOptions& m_options;
  os::Runner& m_runner;
  const std::string& m_hooks;
};

Result<std::vector<std::string>> Collector::argv(const config::Service& service) const {
  const Kinds& kinds = m_folder.kinds;
  const std::string hook = kinds.folder(kinds.find(service.lang).language, m_hooks) + "/collect";
  const std::string text = TRY(read_input(hook, 1 << 20));
  const std::string_view script = text;
  const auto line = script.substr(0, script.find('\n'));
  auto argv = TRY(config::split_argv(line.starts_with("#!") ? line.substr(2) : "/bin/sh"));
  argv.push_back(hook);
  argv.push_back(cat("--extras=", kinds.folder(service.lang, m_hooks), "/extras"));
  if (!m_options.collects)
    argv.emplace_back("--look");
  if (m_options.none)
    argv.emplace_back("--no-wheels");
  if (!m_options.python.empty())
    argv.push_back("--python=" + m_options.python);
  for (const auto& platform : m_options.platforms)
    argv.push_back("--platform=" + platform);
  if (m_options.new_hashes)
    argv.emplace_back("--new-hashes");
  return argv;
}

Result<Json> Collector::run(const config::Service& service) const {
  std::error_code error;
  const std::string dir = fs::absolute(cat(m_folder.dir, "/", service.handler), error).string();
  os::Command command;
  command.argv = TRY(argv(service));
  command.env = environment_with(
      {{"CHILLBOX_WORKER_CLASS", service.worker_class}, {"CHILLBOX_SERVICE_DIR", dir}});
  command.cwd = fs::current_path(error).string();
  command.timeout = k_build_timeout;
  command.output_limit = k_max_collected;
  command.no_new_privs = false;
  const auto exit = TRY(m_runner.run(command));
  if (exit.code == k_not_found && !m_options.collects)
    return Json();
  if (!exit.ok())
    return fail(code_of(exit.code), printable(trim(exit.err), 1000));
  return parse_json(exit.out, k_max_collected);
}

CollectAnswer answer_of(const Json& json) {
  CollectAnswer answer;
  const auto object = [&](const char* key) { return json.value(key, Json::object()); };
  const Json messages = object("messages"), replace = object("replace");
  for (const auto& [what, text] : messages.items())
    answer.messages[what] = text.is_string() ? text.get<std::string>() : dump(text);
  for (const auto& [path, text] : replace.items())
    answer.replaced[path] =
        text.is_string() ? std::optional(text.get<std::string>()) : std::nullopt;
  if (const auto depends = json.find("depends"); depends != json.end() && depends->is_array()) {
    answer.depends.emplace();
    for (const Json& file : *depends)
      answer.depends->push_back(file.is_string() ? file.get<std::string>() : dump(file));
  }
  return answer;
}

} // namespace

Result<CollectOptions> collect_options(const Args& args) {
  CollectOptions options{.collects = args.has("wheels") || args.has("python"),
      .none = args.has("no-wheels"),
      .python = args.text("python"),
      .platforms = args.list("platform"),
      .new_hashes = args.has("new-hashes")};
  if (options.python.empty() && !options.platforms.empty())
    return fail(Code::usage,
        "--platform: for which Python? give --python with what `python3 --version` prints on the host");
  if (options.none && options.collects)
    return fail(Code::usage, "--no-wheels: nothing is collected, and --wheels collects");
  if (options.new_hashes && !options.collects)
    return fail(Code::usage, "--new-hashes: for which wheels? give --wheels or --python, too");
  return options;
}

Result<std::optional<CollectAnswer>> collect_service(const SiteFolder& folder,
    const config::Service& service, const CollectOptions& options, os::Runner& runner,
    const std::string& hooks) {
  const Json json = TRY(Collector(folder, options, runner, hooks).run(service));
  return json.is_object() ? std::optional(answer_of(json)) : std::nullopt;
}

Result<std::map<std::string, Replacements>> collect(const SiteFolder& folder,
    const CollectOptions& options, os::Runner& runner, Progress& progress) {
  std::map<std::string, Replacements> all;
  std::optional<TemporaryDir> hooks;
  for (const config::Service& service : folder.site.services) {
    const std::string& name = service.name.str();
    const std::string dir = cat(folder.dir, "/", service.handler);
    std::error_code error;
    if (!is_collected(folder, service) || !fs::is_directory(dir, error))
      continue;
    if (!hooks) {
      hooks.emplace(TRY(TemporaryDir::for_hooks()));
      TRY(write_shipped_hooks(hooks->path()));
    }
    if (options.collects)
      progress.begin("wheels", name);
    auto answer = collect_service(folder, service, options, runner, hooks->path());
    progress.end_line();
    if (!answer)
      return within(cat("service ", name), Error(answer.error()));
    if (!*answer)
      continue;
    for (const auto& [what, text] : (*answer)->messages)
      progress.done(what, cat(name, ": ", text));
    all[name] = std::move((*answer)->replaced);
  }
  return all;
}

} // namespace chillbox::cli
