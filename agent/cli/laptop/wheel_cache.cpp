#include "cli/laptop/wheel_cache.hpp"

#include "base/encoding.hpp"
#include "base/json.hpp"
#include "base/text.hpp"
#include "cli/core/temporary_dir.hpp"
#include "cli/laptop/machine_facts.hpp"
#include "control/json.hpp"
#include "crypto/hash.hpp"
#include "os/disk.hpp"

#include <unistd.h>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <filesystem>
#include <optional>

namespace chillbox::cli {
namespace {

namespace fs = std::filesystem;

constexpr size_t k_max_index = 16 << 20;
constexpr size_t k_max_cached = 8 << 20;

std::string digest(std::string_view text) {
  return crypto::sha256_of(bytes_of(text)).str();
}

// Names and sizes: what is in a wheel does not change under its name.
std::string state_of_dep(const std::string& dir) {
  std::vector<std::string> files;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(dir + "/dep", error)) {
    std::error_code none;
    files.push_back(cat(entry.path().filename().string(), " ", entry.file_size(none)));
  }
  std::ranges::sort(files);
  return join(files, "\n");
}

class Cache {
public:
  Cache(const Places& places, const SiteFolder& folder, const config::Service& service,
      const control::Facts& facts)
      : m_dir(fs::absolute(cat(folder.dir, "/", service.handler)).string()),
        m_machine(cat(CHILLBOX_VERSION, "|", facts.python, "|", facts.libc, "|", facts.arch, "|",
            service.lang, "|", service.worker_class)),
        m_path(cat(places.cache, "/wheels/",
            digest(cat(m_dir, "|", service.name.str(), "|", m_machine)), ".json")) {}

  std::optional<Replacements> find() const {
    const auto text = read_own_file(m_path, k_max_index);
    const auto json = text ? parse_json(*text, k_max_index) : Result<Json>(fail(Code::invalid, ""));
    if (!json || !json->is_object())
      return std::nullopt;
    std::vector<std::string> depends;
    for (const Json& file : json->value("depends", Json::array()))
      if (file.is_string())
        depends.push_back(file.get<std::string>());
    if (control::string_or(*json, "state", "") != state(depends))
      return std::nullopt;
    Replacements replaced;
    const Json kept = json->value("replace", Json::object());
    for (const auto& [path, content] : kept.items())
      replaced[path] =
          content.is_string() ? std::optional(content.get<std::string>()) : std::nullopt;
    return replaced;
  }

  void keep(const CollectAnswer& answer) const {
    if (!answer.depends)
      return;
    Json json{{"depends", *answer.depends}, {"state", state(*answer.depends)},
        {"replace", Json::object()}};
    for (const auto& [path, content] : answer.replaced)
      json["replace"][path] = content ? Json(*content) : Json();
    (void)write_own_file(m_path, dump(json) + "\n", k_max_index); // else it is resolved again
  }

  const std::string& dir() const { return m_dir; }

private:
  std::string state(const std::vector<std::string>& depends) const {
    std::string all = cat(m_machine, "\n", state_of_dep(m_dir));
    for (const std::string& file : depends) {
      const auto text = os::real_disk().read(cat(m_dir, "/", file), k_max_cached);
      all += cat("\n", file, " ", text ? digest(*text) : "-");
    }
    return digest(all);
  }

  std::string m_dir, m_machine, m_path;
};

// For a machine like this one what is built here fits, too.
CollectOptions options_for(const control::Facts& facts) {
  control::Facts here;
  add_machine_facts(here);
  const auto minor = [](const std::string& version) {
    return version.substr(0, version.find('.', version.find('.') + 1));
  };
  if (facts.python.empty() ||
      (here.libc == facts.libc && here.arch == facts.arch &&
          minor(here.python) == minor(facts.python)))
    return {.collects = true};
  CollectOptions options{.collects = true, .python = facts.python};
  if (const std::string platform = wheel_platform(facts.libc, facts.arch); !platform.empty())
    options.platforms.push_back(platform);
  return options;
}

// Nobody commits it by accident.
void keep_out_of_git(const std::string& dir, bool was_there) {
  std::error_code error;
  const std::string path = dir + "/dep/.gitignore";
  if (!was_there && fs::is_directory(dir + "/dep", error) && !fs::exists(path, error))
    (void)os::real_disk().write(path, "*\n", 0644, {::geteuid(), ::getegid()});
}

} // namespace

Result<Collected> collect_cached(const Places& places, const SiteFolder& folder,
    const control::Facts& facts, bool again, os::Runner& runner, DeployLines& lines) {
  Collected all;
  std::optional<TemporaryDir> hooks;
  std::optional<CollectOptions> options;
  std::vector<std::string> texts;
  for (const config::Service& service : folder.site.services) {
    const Cache cache(places, folder, service, facts);
    std::error_code error;
    if (!is_collected(folder, service) || !fs::is_directory(cache.dir(), error))
      continue;
    const std::string& name = service.name.str();
    if (auto known = again ? std::nullopt : cache.find()) {
      all.replaced[name] = *std::move(known);
      texts.push_back(cat(name, ": packages unchanged"));
      continue;
    }
    if (!hooks) {
      hooks.emplace(TRY(TemporaryDir::for_hooks()));
      TRY(write_shipped_hooks(hooks->path()));
      options = options_for(facts);
    }
    lines.working("pack", cat(name, ": collect its packages"));
    const bool was_there = fs::exists(cache.dir() + "/dep", error);
    const auto answer = TRY_IN(
        cat("service ", name), collect_service(folder, service, *options, runner, hooks->path()));
    if (!answer)
      continue;
    keep_out_of_git(cache.dir(), was_there);
    cache.keep(*answer);
    all.replaced[name] = answer->replaced;
    for (const auto& [what, text] : answer->messages)
      if (what == "wheels" || what == "packages")
        texts.push_back(cat(name, ": ", printable(text, 200)));
      else
        lines.line(what, cat(name, ": ", printable(text, 500)));
  }
  all.text = join(texts, "; ");
  return all;
}

} // namespace chillbox::cli
