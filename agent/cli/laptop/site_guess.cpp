#include "cli/laptop/site_guess.hpp"

#include "base/names.hpp"
#include "base/text.hpp"
#include "cli/core/prompt.hpp"
#include "cli/core/terminal.hpp"
#include "config/site.hpp"
#include "os/disk.hpp"

#include <nlohmann/json.hpp>

#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <utility>

namespace chillbox::cli {
namespace {

namespace fs = std::filesystem;

constexpr size_t k_looked_at = 64 * 1024; // of a file that is looked into
constexpr std::string_view k_here = ".";

std::string head_of(const std::string& path) {
  std::error_code error;
  if (!fs::is_regular_file(path, error) || fs::file_size(path, error) > (1 << 20))
    return "";
  return os::real_disk().read(path, 1 << 20).value_or("").substr(0, k_looked_at);
}

bool has(const std::string& path) {
  std::error_code error;
  return fs::exists(path, error);
}

// NAME of the first "NAME = Flask(" at the beginning of a line.
std::string assigned(std::string_view text, std::string_view maker) {
  for (const auto line : split(text, '\n')) {
    const auto at = line.find(maker);
    const auto equals = line.find('=');
    if (at == line.npos || equals == line.npos || equals > at || line.starts_with(' ') ||
        line.starts_with('\t') || line.starts_with('#'))
      continue;
    const auto name = trim(line.substr(0, line.find_first_of(":=")));
    if (!name.empty() &&
        name.find_first_not_of("abcdefghijklmnopqrstuvwxyz_"
                               "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == name.npos)
      return std::string(name);
  }
  return "";
}

bool defines(std::string_view text, std::string_view function) {
  for (const auto line : split(text, '\n'))
    if (line.starts_with(function))
      return true;
  return false;
}

constexpr std::array k_asgi{"FastAPI(", "Starlette(", "Quart(", "Litestar("};

std::optional<SiteGuess> python_file(const std::string& path, const std::string& module) {
  const std::string text = head_of(path);
  const auto found = [&](const std::string& what, const std::string& name, bool asgi) {
    const std::string entry = cat(module, ":", name);
    return SiteGuess{.what = cat(what, " (", entry, ")"),
        .lang = "python",
        .handler = "",
        .entry = entry,
        .worker_class = asgi ? "uvicorn.workers.UvicornWorker" : ""};
  };
  if (const auto name = assigned(text, "Flask("); !name.empty())
    return found("a Flask application", name, false);
  for (const char* maker : k_asgi)
    if (const auto name = assigned(text, maker); !name.empty())
      return found("an ASGI application", name, true);
  if (text.find("import flask") != text.npos || text.find("from flask") != text.npos)
    if (defines(text, "def create_app("))
      return found("a Flask application", "create_app()", false);
  if (defines(text, "def application(") || defines(text, "def app(environ"))
    return found(
        "a WSGI application", defines(text, "def application(") ? "application" : "app", false);
  return std::nullopt;
}

std::optional<SiteGuess> python_in(const std::string& dir) {
  std::error_code error;
  if (has(dir + "/manage.py"))
    for (const auto& entry : fs::directory_iterator(dir, error))
      if (has(entry.path().string() + "/wsgi.py")) {
        const std::string name = cat(entry.path().filename().string(), ".wsgi:application");
        return SiteGuess{.what = cat("a Django project (", name, ")"),
            .lang = "python",
            .handler = "",
            .entry = name,
            .worker_class = ""};
      }
  for (const char* name : {"app", "main", "wsgi", "application", "server", "asgi", "__init__"})
    if (auto guess = python_file(cat(dir, "/", name, ".py"), name))
      return guess;
  for (const auto& entry : fs::directory_iterator(dir, error)) // a package with one of these
    for (const char* name : {"app", "main", "wsgi", "__init__"})
      if (entry.is_directory(error) && !entry.path().filename().string().starts_with('.')) {
        const std::string package = entry.path().filename();
        const bool own = std::string_view(name) == "__init__";
        if (auto guess = python_file(cat(entry.path().string(), "/", name, ".py"),
                own ? package : cat(package, ".", name)))
          return guess;
      }
  return std::nullopt;
}

bool is_program(const std::string& path) {
  std::error_code error;
  if (!fs::is_regular_file(path, error) || ::access(path.c_str(), X_OK) != 0)
    return false;
  return os::real_disk()
      .read(path, 1ULL << 30)
      .value_or("")
      .starts_with("\x7f"
                   "ELF");
}

std::string only_program(const std::string& dir) {
  std::error_code error;
  std::vector<std::string> found;
  for (const auto& entry : fs::directory_iterator(dir, error))
    if (is_program(entry.path()))
      found.push_back(entry.path().filename());
  return found.size() == 1 ? found.front() : "";
}

// Of one folder, without its handler.
std::optional<SiteGuess> look(const std::string& dir) {
  if (has(dir + "/chill-data.yaml") || has(dir + "/chill-data.yml"))
    return SiteGuess{"a Chill site", "chill", "", "", ""};
  if (has(dir + "/requirements.txt") || has(dir + "/pyproject.toml") || has(dir + "/manage.py") ||
      has(dir + "/app.py") || has(dir + "/main.py") || has(dir + "/wsgi.py"))
    if (auto guess = python_in(dir))
      return guess;
  if (has(dir + "/package.json") &&
      head_of(dir + "/package.json").find("\"start\"") != std::string::npos)
    return SiteGuess{"a Node application (package.json)", "node", "", "", ""};
  if (has(dir + "/index.html"))
    return SiteGuess{"a folder of pages (index.html)", "static", "", "", ""};
  if (const std::string program = only_program(dir); !program.empty())
    return SiteGuess{cat("a program (", program, ")"), "binary", "", program, ""};
  return std::nullopt;
}

Json service_of(const SiteGuess& guess) {
  Json service{{"name", "web"}, {"lang", guess.lang}};
  if (guess.handler != "web")
    service["handler"] = guess.handler;
  if (!guess.entry.empty())
    service["app"] = guess.entry;
  if (!guess.worker_class.empty())
    service["worker_class"] = guess.worker_class;
  if (guess.lang == "chill")
    service["environment"] = Json::array({{{"name", "freeze"}, {"value", "true"}}});
  return service;
}

} // namespace

std::optional<SiteGuess> guess_site(const std::string& dir) {
  if (auto here = look(dir)) {
    here->handler = k_here;
    return here;
  }
  std::vector<std::string> below;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(dir, error))
    if (const std::string name = entry.path().filename();
        entry.is_directory(error) && !name.starts_with('.') && !name.starts_with('-'))
      below.push_back(name);
  std::ranges::sort(
      below, {}, [](const std::string& name) { return std::pair(name != "web", name); });
  for (const std::string& name : below)
    if (auto guess = look(cat(dir, "/", name))) {
      guess->handler = name;
      guess->what += cat(" in ", name, "/");
      return guess;
    }
  return std::nullopt;
}

std::string site_name_of(const std::string& folder) {
  std::string name;
  for (const char c : folder)
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
      name += c;
    else if (c >= 'A' && c <= 'Z')
      name += static_cast<char>(c - 'A' + 'a');
    else if (!name.empty() && name.back() != '-')
      name += '-';
  while (!name.empty() && (name[0] < 'a' || name[0] > 'z'))
    name.erase(0, 1);
  name.resize(std::min<size_t>(name.size(), 31));
  while (name.ends_with('-'))
    name.pop_back();
  return SiteName::parse(name) ? name : "site";
}

std::string site_text(
    const SiteGuess& guess, const std::string& site, const std::string& server_name) {
  Json json{
      {"name", site}, {"server_name", server_name}, {"services", Json::array({service_of(guess)})}};
  return json.dump(2) + "\n";
}

Result<Project> offer_site_file(Call& call, const Project& project) {
  const std::string folder = printable(project.root, 1024);
  const std::string none = cat(folder, ": no SITE.site.json or SITE.site.toml in it or above");
  const auto guess = guess_site(project.root);
  if (!guess)
    return fail(Code::not_found,
        cat(none, ", and nothing that looks like a site: chillboxctl new SITE makes a small one"));
  const std::string proposed = site_name_of(fs::path(project.root).filename());
  const bool terminal = ::isatty(STDIN_FILENO) == 1;
  if (!terminal || call.args.has("yes"))
    return fail(Code::not_found,
        cat(none, ": it looks like ", guess->what,
            "; run chillboxctl deploy on a terminal to have ", proposed,
            ".site.json written, or chillboxctl new SITE for an example"));
  call.terminal.print_status(cat(folder, " looks like ", guess->what,
      ", and has no site file yet. Its name and host name make one:"));
  const auto ask = [](const std::string& what,
                       const std::string& otherwise) -> Result<std::string> {
    const std::string answer =
        TRY(ask_line(cat(what, " [", otherwise, "]"), "writing a site file", "chillboxctl new"));
    return trim(answer).empty() ? otherwise : std::string(trim(answer));
  };
  const std::string name = TRY(ask("name of the site", proposed));
  TRY(SiteName::parse(name));
  const std::string host = TRY(ask("host name, as visitors type it", name + ".example"));
  if (!config::is_host_name(host))
    return fail(
        Code::usage, cat("'", printable(host, 80), "' is not a host name such as www.example.org"));
  const std::string path = cat(project.root, "/", name, ".site.json");
  TRY(os::real_disk().write(path, site_text(*guess, name, host), 0644, {::geteuid(), ::getegid()}));
  call.terminal.print_status(cat("wrote ", printable(path, 1024)));
  return project_at(project.root);
}

} // namespace chillbox::cli
