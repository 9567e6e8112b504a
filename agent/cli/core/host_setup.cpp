#include "cli/core/host_setup.hpp"
#include "cli/core/answers.hpp"

#include "base/names.hpp"
#include "base/text.hpp"
#include "cli/core/terminal.hpp"
#include "crypto/age.hpp"
#include "os/runner.hpp"

#include <unistd.h>

#include <algorithm>
#include <filesystem>

namespace chillbox::cli {

Result<void> require_root(const os::Paths& paths, std::string_view verb) {
  if (paths.testing() || ::geteuid() == 0)
    return {};
  return fail(Code::denied, cat(verb, " changes ", paths.etc(), " and must be run as root"));
}

Result<std::vector<std::string>> sites_of(const Args& args) {
  auto sites = args.list("sites");
  for (const std::string& site : sites)
    if (const auto name = SiteName::parse(site); !name)
      return fail(Code::usage, cat("--sites: ", name.error().message));
  return sites;
}

void print_change(Call& call, std::string_view schema, const std::string& name, bool changed,
    std::string_view text) {
  call.terminal.print(call.terminal.json()
          ? answer_text(schema, Changed{.name = name, .changed = changed, .format = {}, .key = {}})
          : std::string(text));
}

std::unexpected<Error> no_such(
    std::string_view what, const std::string& name, const std::vector<std::string>& known) {
  return fail(Code::not_found,
      cat("no ", what, " '", printable(name, 80),
          "': ", known.empty() ? "there are none" : cat("there is ", join(known, ", "))));
}

int work_factor_of(ByteView file) {
  constexpr uint64_t k_least = 10, k_most = 22;
  const auto header = crypto::parse_age_header(file);
  const bool scrypt = header && header->stanzas.size() == 1 && header->stanzas[0].args.size() == 3;
  const auto factor = scrypt ? parse_u64(header->stanzas[0].args[2]).value_or(0) : 0;
  return factor >= k_least && factor <= k_most ? static_cast<int>(factor)
                                               : crypto::k_default_scrypt_cap;
}

Result<std::vector<std::string>> names_in(const std::string& dir, std::string_view suffix) {
  std::vector<std::string> names;
  for (const std::string& name : TRY(os::real_disk().list(dir)))
    if (name.ends_with(suffix) && !name.starts_with('.'))
      names.push_back(name.substr(0, name.size() - suffix.size()));
  return names;
}

void print_faults(Call& call, const std::vector<std::string>& faults) {
  for (const std::string& fault : faults)
    call.terminal.print_error(cat("chillboxctl: ", printable(fault, 2000)));
  if (!faults.empty())
    call.exit = exit_code(Code::invalid);
}

std::string key_name_of(std::string text) {
  for (char& c : text)
    if (!parse_key_name(cat("a", c)))
      c = '-';
  return text.substr(std::min(text.find_first_not_of("-._"), text.size()));
}

std::string name_of_key_file(const std::string& path) {
  return key_name_of(std::filesystem::path(path).stem());
}

} // namespace chillbox::cli
