// new: a site as small as one can be that pack takes and a host serves.
#include "cli/core/options.hpp"
#include "cli/core/terminal.hpp"

#include "base/names.hpp"
#include "base/text.hpp"
#include "cli/core/json_fields.hpp"
#include "config/site.hpp"
#include "os/disk.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>

namespace chillbox::cli {
namespace {

constexpr std::array k_options{
    k_site,
    Option{"--kind", ArgKind::text, "KIND", "python (the default), static or chill"},
    Option{"--server-name", ArgKind::text, "NAME", "its host name (default: SITE.example)"},
    Option{"-o,--output", ArgKind::text, "DIR", "the folder to make (default: SITE)"},
};

namespace fs = std::filesystem;

// @SITE@ is the site's name, @MODULE@ the same as Python has it, @TITLE@ with a capital, @HOST@ its
// host name.
struct File {
  std::string_view path, text;
};

constexpr std::array k_python{
    File{"@SITE@.site.json", R"({
  "name": "@TITLE@",
  "server_name": "@HOST@",
  "version": "0.1.0",
  "services": [{ "name": "web", "lang": "python", "health": { "path": "/up" } }]
}
)"},
    File{"web/requirements.txt", "flask\n"},
    File{"web/@MODULE@_web/__init__.py", ""},
    File{"web/@MODULE@_web/app.py", R"(import os

from flask import Flask

def create_app():
    app = Flask(__name__)

    @app.get("/")
    def index():
        return "Hello from @SITE@ %s\n" % os.environ.get("VERSION", "at home")

    # The host asks here before it lets visitors in.
    @app.get("/up")
    def up():
        return "ok\n"

    return app
)"},
};

constexpr std::array k_static{
    File{"@SITE@.site.json", R"({
  "name": "@TITLE@",
  "server_name": "@HOST@",
  "version": "0.1.0",
  "services": [{ "name": "web", "lang": "static" }]
}
)"},
    File{"web/index.html", R"(<!doctype html>
<meta charset="utf-8">
<title>@TITLE@</title>
<h1>Hello from @SITE@</h1>
)"},
};

constexpr std::array k_chill{
    File{"@SITE@.site.json", R"({
  "name": "@TITLE@",
  "server_name": "@HOST@",
  "version": "0.1.0",
  "services": [{ "name": "web", "lang": "chill", "environment": [{ "name": "freeze", "value": "true" }] }]
}
)"},
    File{"web/site.cfg",
        "THEME_TEMPLATE_FOLDER = \"templates\"\nFREEZER_DESTINATION = \"frozen\"\nCHILL_DATABASE_URI = \"db\"\n"},
    File{"web/chill-data.yaml",
        "--- !ChillNode\nname: homepage\nroute: /\ntemplate: page.html\nvalue:\n  title: Hello from @SITE@\n"},
    File{"web/templates/page.html",
        "<!doctype html>\n<meta charset=\"utf-8\">\n<title>{{ title }}</title>\n<h1>{{ title }}</h1>\n"},
};

struct SiteKind {
  std::string_view name;
  std::span<const File> files;
  bool wheels; // it needs some
};
constexpr std::array k_kinds{SiteKind{"python", k_python, true},
    SiteKind{"static", k_static, false}, SiteKind{"chill", k_chill, true}};

Result<SiteKind> kind_of(const std::string& name) {
  std::vector<std::string> names;
  for (const SiteKind& kind : k_kinds) {
    if (kind.name == name)
      return kind;
    names.emplace_back(kind.name);
  }
  const auto near = nearest(name, names);
  return fail(Code::usage,
      cat("--kind '", printable(name, 40), "': one of ", join(names, ", "),
          near ? cat("; did you mean '", *near, "'?") : ""));
}

std::string filled(std::string_view text, const SiteName& site, const std::string& host) {
  std::string module = site.str(), title = site.str();
  std::ranges::replace(module, '-', '_');
  title[0] = static_cast<char>(title[0] - 'a' + 'A');
  std::string out(text);
  for (const auto& [mark, value] : {std::pair<std::string_view, std::string>{"@SITE@", site.str()},
           {"@MODULE@", module}, {"@TITLE@", title}, {"@HOST@", host}})
    for (size_t at = out.find(mark); at != std::string::npos;
        at = out.find(mark, at + value.size()))
      out.replace(at, mark.size(), value);
  return out;
}

Result<void> run(Call& call) {
  const SiteName site = TRY(SiteName::parse(call.args.text("SITE")));
  const SiteKind kind = TRY(kind_of(call.args.text("kind", "python")));
  const std::string host = call.args.text("server-name", site.str() + ".example");
  if (!config::is_host_name(host))
    return fail(Code::usage,
        cat("--server-name '", printable(host, 80),
            "' is not a host name such as www.example.org"));
  const std::string dir = call.args.text("output", site.str());
  std::error_code error;
  if (fs::exists(dir, error))
    return fail(
        Code::conflict, cat(printable(dir, 1024), " already exists, and nothing is overwritten"));
  for (const File& file : kind.files) {
    const fs::path path = fs::path(dir) / filled(file.path, site, host);
    fs::create_directories(path.parent_path(), error);
    if (error)
      return fail_errno(cat("make ", printable(path.parent_path().string(), 1024)), error.value());
    TRY(os::real_disk().write(
        path.string(), filled(file.text, site, host), 0644, {::geteuid(), ::getegid()}));
  }
  if (call.terminal.json()) {
    call.terminal.print(result_text("new",
        {{"site", site.str()}, {"path", dir}, {"kind", std::string(kind.name)},
            {"server_name", host}}));
    return {};
  }
  call.terminal.print(dir);
  call.terminal.print_status(cat("next: chillboxctl pack ", printable(dir, 200),
      kind.wheels ? " --wheels --python 3.12" : "", " -R recipient.txt -k deployer.key -o out"));
  return {};
}

} // namespace

extern constinit const Verb k_new{"new", Group::laptop, Where::laptop,
    "make the folder of a small site that can be deployed", k_options, run};

} // namespace chillbox::cli
