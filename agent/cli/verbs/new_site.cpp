// new: a site as small as one can be that pack takes and a host serves.
#include "cli/core/options.hpp"
#include "cli/core/terminal.hpp"

#include "base/names.hpp"
#include "base/text.hpp"
#include "cli/core/answers.hpp"
#include "cli/pack/kinds.hpp"
#include "config/site.hpp"
#include "os/disk.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>

namespace chillbox::cli {
namespace {

constexpr std::array k_new_site_options{
    k_site,
    Option{"--kind", ArgKind::text, "KIND",
        "kind of its service; a name that does not exist lists them"},
    Option{"--server-name", ArgKind::text, "NAME", "its host name (default: SITE.example)"},
    Option{"-o,--output", ArgKind::text, "DIR", "the folder to make (default: SITE)"},
};

namespace fs = std::filesystem;

// The template of a kind: its path in the site's folder to its text.
using Files = std::map<std::string, std::string>;

Result<Files> template_of(const Kinds& kinds, const std::string& name) {
  auto files = TRY(kinds.new_site(name));
  if (!files.empty())
    return files;
  std::vector<std::string> names;
  for (const auto& [other, kind] : kinds.known())
    if (!TRY(kinds.new_site(other)).empty())
      names.push_back(other);
  const auto near = nearest(name, names);
  return fail(Code::usage,
      cat("--kind '", printable(name, 40), "': one of ", join(names, ", "),
          near ? cat("; did you mean '", *near, "'?") : ""));
}

// @SITE@ is the site's name, @MODULE@ the same as Python has it, @TITLE@ with a capital, @HOST@ its
// host name.
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

Result<void> run_new_site(Call& call) {
  const SiteName site = TRY(SiteName::parse(call.args.text("SITE")));
  const Kinds kinds = TRY(Kinds::load(call.paths));
  const std::string kind = call.args.text("kind", kinds.default_name());
  const Files files = TRY(template_of(kinds, kind));
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
  for (const auto& [name, text] : files) {
    const fs::path path = fs::path(dir) / filled(name, site, host);
    fs::create_directories(path.parent_path(), error);
    if (error)
      return fail_errno(cat("make ", printable(path.parent_path().string(), 1024)), error.value());
    TRY(os::real_disk().write(
        path.string(), filled(text, site, host), 0644, {::geteuid(), ::getegid()}));
  }
  if (call.terminal.json()) {
    call.terminal.print(answer_text(
        "new", NewSite{.site = site.str(), .path = dir, .kind = kind, .server_name = host}));
    return {};
  }
  call.terminal.print(dir);
  call.terminal.print_status(cat("next: cd ", printable(dir, 200), " && chillboxctl deploy"));
  return {};
}

} // namespace

extern constinit const Verb k_new{"new", Group::laptop, Where::laptop,
    "make the folder of a small site that can be deployed", k_new_site_options, run_new_site};

} // namespace chillbox::cli
