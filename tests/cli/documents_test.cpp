// What is written twice must say the same: the manual, the exit codes, the table of verbs, the
// shipped configuration.
#include "catch.hpp"

#include "base/text.hpp"
#include "cli/core/arguments.hpp"
#include "cli/core/host_toml.hpp"
#include "cli/core/verb.hpp"
#include "config/host.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <sstream>

using namespace chillbox;
using namespace chillbox::cli;

namespace {

std::string manual(std::string_view page = "chillboxctl.1") {
  std::string here = __FILE__;
  here.erase(here.rfind("tests/cli/"));
  std::ifstream file(cat(here, "agent/man/", page, ".scd"));
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// The rows of the table of exit codes: the names in JSON by their number.
std::map<int, std::set<std::string>> documented() {
  std::map<int, std::set<std::string>> rows;
  const std::string text = manual();
  const auto begin = text.find("# EXIT STATUS");
  REQUIRE(begin != std::string::npos);
  const auto lines = split(std::string_view(text).substr(begin), '\n');
  for (size_t i = 0; i + 1 < lines.size(); ++i) {
    const auto number = lines[i].starts_with("|[ ") ? parse_u64(lines[i].substr(3)) : std::nullopt;
    if (!number || !lines[i + 1].starts_with(":["))
      continue;
    auto& names = rows[static_cast<int>(*number)];
    for (const auto name : split(lines[i + 1].substr(2), ','))
      if (!trim(name).empty())
        names.insert(std::string(trim(name)));
  }
  return rows;
}

} // namespace

TEST_CASE("the exit codes in chillboxctl(1) are those of the program, all and no others") {
  std::map<int, std::set<std::string>> ours{{0, {}}};
  for (int i = 0; i <= static_cast<int>(Code::changed); ++i) {
    const auto code = static_cast<Code>(i);
    ours[exit_code(code)].insert(std::string(code_name(code)));
  }
  CHECK(documented() == ours);
}

namespace {

// A paragraph of chillboxctl(1): the lines that name verbs, what is said below them, and what its
// section says before the first of them.
struct Paragraph {
  std::string heads, text, section;
  bool names(std::string_view verb) const {
    return heads.find(cat("*", verb, "*")) != std::string::npos ||
        heads.find(cat("*", verb, " ")) != std::string::npos;
  }
};

std::vector<Paragraph> paragraphs() {
  std::vector<Paragraph> out;
  std::string section;
  const std::string text = manual();
  for (const auto line : split(text, '\n')) {
    if (line.starts_with("# ") ||
        (!line.starts_with('*') && !line.starts_with('\t') && !line.empty())) {
      section = line.starts_with("# ") ? "" : cat(section, line, "\n");
      out.emplace_back().section = section;
    } else if (line.starts_with('*')) {
      if (out.empty() || !out.back().text.empty() || out.back().heads.empty())
        out.emplace_back().section = section;
      out.back().heads += cat(line, "\n");
    } else if (!out.empty()) {
      out.back().text += line;
    }
  }
  return out;
}

bool stands_in(const Paragraph& p, std::string_view name) {
  const std::string bold = cat("*", name, "*");
  return cat(p.heads, p.text, p.section).find(bold) != std::string::npos;
}

} // namespace

TEST_CASE("chillboxctl(1) tells of every option where it tells of the verb, and has its short and its long name") {
  const auto all = paragraphs();
  const std::string text = manual();
  for (const Verb& verb : verbs()) {
    std::vector<Paragraph> of_verb;
    std::ranges::copy_if(
        all, std::back_inserter(of_verb), [&](const Paragraph& p) { return p.names(verb.name); });
    INFO(verb.name);
    CHECK_FALSE(of_verb.empty());
    for (const Option& option : verb.options) {
      if (is_position(option))
        continue;
      INFO(option.names);
      const auto names = split(option.names, ',');
      CHECK(std::ranges::any_of(of_verb, [&](const Paragraph& p) {
        return std::ranges::any_of(
            names, [&](std::string_view name) { return stands_in(p, name); });
      }));
      for (const auto name : names)
        CHECK((text.find(cat("*", name, "*")) != std::string::npos));
    }
  }
}

TEST_CASE("chillboxctl(1) tells of no option that is not there") {
  std::set<std::string> known{"--version", "--help"};
  auto add = [&](std::span<const Option> options) {
    for (const Option& option : options)
      for (const auto name : split(option.names, ','))
        known.emplace(name);
  };
  add(common_options());
  add(remote_options());
  for (const Verb& verb : verbs())
    add(verb.options);
  const std::string text = manual();
  for (auto at = text.find("*-"); at != std::string::npos; at = text.find("*-", at + 1)) {
    const auto end = text.find_first_of("* \n=", at + 1);
    const std::string name = text.substr(at + 1, end - at - 1);
    if (name == "-") // standard input
      continue;
    INFO(name);
    CHECK(known.contains(name));
  }
}

TEST_CASE("the shipped configuration changes nothing, and every key in it is a real one at its default") {
  const auto as_shipped = config::parse_host_config(default_host_toml(), "chillboxd.toml");
  REQUIRE(as_shipped);
  // "# key = value" becomes "key = value"; prose stays a comment.
  std::string active;
  size_t keys = 0;
  for (const auto line : split(default_host_toml(), '\n')) {
    const bool is_key = line.starts_with("# ") && line.find(" = ") != std::string_view::npos &&
        line.substr(2, line.find(" = ") - 2)
                .find_first_not_of("abcdefghijklmnopqrstuvwxyz_0123456789") ==
            std::string_view::npos;
    keys += is_key ? 1 : 0;
    active += cat(is_key ? line.substr(2) : line, "\n");
  }
  CHECK(keys == 71);
  const auto parsed = config::parse_host_config(active, "chillboxd.toml");
  REQUIRE(parsed);
  const config::HostConfig standard;
  CHECK(parsed->server_name == standard.server_name);
  CHECK(parsed->log_level == standard.log_level);
  CHECK(parsed->stage_size == standard.stage_size);
  CHECK(parsed->secrets_size == standard.secrets_size);
  CHECK(parsed->allow_swap == standard.allow_swap);
  CHECK(parsed->artifact_max == standard.artifact_max);
  CHECK(parsed->unpacked_max == standard.unpacked_max);
  CHECK(parsed->entries_max == standard.entries_max);
  CHECK(parsed->ratio_max == standard.ratio_max);
  CHECK(parsed->jobs_max == standard.jobs_max);
  CHECK(parsed->queue_max == standard.queue_max);
  CHECK(parsed->upload_wait == standard.upload_wait);
  CHECK(parsed->build_timeout == standard.build_timeout);
  CHECK(parsed->tasks_default == standard.tasks_default);
  CHECK(parsed->serial_jump_max == standard.serial_jump_max);
  CHECK(parsed->reserve_percent == standard.reserve_percent);
  CHECK(parsed->scrypt_cap == standard.scrypt_cap);
  CHECK(parsed->snapshots == standard.snapshots);
  CHECK(parsed->snapshot_max == standard.snapshot_max);
  CHECK(parsed->nginx_dir == standard.nginx_dir);
  CHECK(parsed->nginx_group == standard.nginx_group);
  CHECK(parsed->http_port == standard.http_port);
  CHECK(parsed->https_port == standard.https_port);
  CHECK(parsed->trusted_proxies == standard.trusted_proxies);
  CHECK(parsed->nginx_allow_directives == standard.nginx_allow_directives);
  CHECK(parsed->nginx_allow_variables == standard.nginx_allow_variables);
  CHECK(parsed->nginx_allow_upstreams == standard.nginx_allow_upstreams);
  CHECK(parsed->nginx_allow_paths == standard.nginx_allow_paths);
  CHECK(parsed->tls == standard.tls);
  CHECK(parsed->notify.gather == standard.notify.gather);
  CHECK(parsed->notify.heartbeat == standard.notify.heartbeat);
  CHECK(parsed->notify.every == standard.notify.every);
  CHECK(parsed->watch == standard.watch);
  CHECK(parsed->keep_releases == standard.keep_releases);
}

TEST_CASE("chillboxd.toml(5) has every key at the default that the shipped configuration shows") {
  std::string text = manual("chillboxd.toml.5");
  std::erase(text, '\\'); // scdoc's, before "_"
  std::string_view section;
  for (const auto line : split(default_host_toml(), '\n')) {
    if (line.starts_with('['))
      section = line;
    const auto equals = line.find(" = ");
    if (!line.starts_with("# ") || equals == std::string_view::npos ||
        line.substr(2, equals - 2).find(' ') != std::string_view::npos)
      continue;
    const std::string key = cat("*", line.substr(2, equals - 2), "*");
    INFO(line);
    CHECK((text.find(section == "[variables]" ? key : cat(key, line.substr(equals), "")) !=
        std::string::npos));
  }
}
