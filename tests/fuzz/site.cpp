// site.json, and the variables that it sets in values and templates: "JSON\0TEMPLATE".
#include "config/site.hpp"
#include "base/text.hpp"
#include "config/expand.hpp"
#include "config/validators.hpp"
#include "fuzz.hpp"

#include <algorithm>

using namespace chillbox;
using namespace chillbox::config;
using fuzz::claim;

namespace {

const SiteName& slug() {
  static const auto* one = new SiteName(fuzz::must(SiteName::parse("blog"), "a name"));
  return *one;
}

void claim_good(const Site& site) {
  const auto host = [](const std::string& d) {
    return is_host_name(d.starts_with("*.") ? d.substr(2) : d); // an alias may be a wildcard
  };
  claim(std::ranges::all_of(site.domains, host), "every domain is a host name");
  claim(!site.domains.empty() && site.domains.front() == site.server_name,
      "the canonical name is first");
  const auto named = [](const Variable& v) { return !variable_name_problem(v.name); };
  claim(std::ranges::all_of(site.env, named), "every variable has a good name");
  for (const Service& s : site.services) {
    claim(std::ranges::all_of(s.environment, named), "and those of services");
    claim(!s.worker || !s.run_cmd.empty(), "a worker has a command");
    claim(s.of.empty() || s.worker, "only a worker is of a service");
    claim(s.count >= 1 && s.health.count >= 1, "at least one");
  }
  for (const auto& line : site.crontab)
    claim(line.find('\n') == std::string::npos && line.find('%') == std::string::npos,
        "a line of a crontab is one");
}

void try_variables(const Variables& variables, std::string_view text) {
  const auto all = expand_all(variables);
  if (all) {
    size_t total = 0;
    for (const auto& [name, value] : *all) {
      claim(value.size() <= k_max_expanded, "a value is bounded");
      total += value.size();
    }
    claim(total <= k_max_environment, "and all of them together");
  } else {
    fuzz::claim_printable(all.error());
  }
  if (const auto value = expand(text, variables))
    claim(value->size() <= k_max_expanded, "a text is bounded");
  if (const auto rendered = expand_template(text, variables))
    claim(rendered->size() <= k_max_template, "a template is bounded");
}

// Values of one line each, as they come: "NAME=VALUE\n..." in front of the text.
Variables plain_variables(fuzz::Input& in) {
  Variables out;
  for (size_t i = 0; i < 20 && in.size > 0; ++i) {
    const std::string_view line = in.until('\n');
    const auto equals = line.find('=');
    if (equals == std::string_view::npos)
      break;
    if (!variable_name_problem(line.substr(0, equals))) // others nobody sets
      set_variable(out, std::string(line.substr(0, equals)), line.substr(equals + 1));
  }
  return out;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input in{data, size};
  const std::string_view json = in.until('\0');
  const auto site = parse_site(json, slug());
  if (site) {
    claim_good(*site);
    Variables variables;
    for (const auto name : k_host_variables)
      set_variable(variables, std::string(name), "host");
    for (const auto& v : site->env)
      set_variable(variables, v.name, v.value);
    try_variables(variables, in.rest());
    for (const Service& s : site->services)
      for (const auto& v : s.environment)
        set_variable(variables, v.name, v.value);
    (void)expand_all(variables);
  } else {
    claim(!site.error().message.empty(), "a reason");
    const Variables variables = plain_variables(in);
    try_variables(variables, in.rest());
  }
  (void)split_argv(in.rest());
  return 0;
}
