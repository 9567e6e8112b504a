#include "cli/fleet/fleet_run.hpp"

#include "base/json.hpp"
#include "base/text.hpp"
#include "cli/core/duration.hpp"
#include "cli/core/file_input.hpp"
#include "cli/core/host_setup.hpp"
#include "cli/core/plan_source.hpp"
#include "cli/core/secret_output.hpp"
#include "cli/core/table.hpp"
#include "cli/core/terminal.hpp"
#include "cli/fleet/gate_host.hpp"
#include "cli/fleet/host_answers.hpp"
#include "cli/fleet/inventory.hpp"
#include "cli/fleet/merged_logs.hpp"
#include "cli/fleet/ssh.hpp"
#include "cli/fleet/top_hosts.hpp"
#include "cli/laptop/public_keys.hpp"
#include "cli/laptop/target.hpp"
#include "crypto/signing_key.hpp"
#include "os/disk.hpp"

#include <nlohmann/json.hpp>

#include <unistd.h>

#include <algorithm>

namespace chillbox::cli {
namespace {

constexpr size_t k_max_host_answer = k_most_answer;

Result<std::vector<Host>> hosts_of(const CommandLine& line) {
  if (!line.inventory.empty())
    return read_inventory(line.inventory, line.limit);
  Inventory inventory;
  for (const std::string& host : line.hosts)
    inventory.hosts.push_back(TRY(target_named(Places::find(), host)).host);
  return choose(inventory, line.limit);
}

bool has_option(const Verb& verb, std::string_view key) {
  return std::ranges::any_of(
      verb.options, [&](const Option& option) { return key_of(option) == key; });
}

// Whether the verb will ask a person there.
bool asks(const CommandLine& line) {
  auto open = [&](std::string_view key) {
    return has_option(*line.verb, key) && !line.args.has(key);
  };
  const bool may = has_option(*line.verb, "with-data") ? line.args.has("with-data") // rollback
                                                       : !line.args.has("to");      // restore
  return line.verb->where == Where::host && (open("passphrase-fd") || (may && open("yes")));
}

// The arguments for the other machine. A descriptor and an artifact of this machine become its
// standard input (input), and a key file of this machine becomes the key.
Result<Args> args_for_there(const CommandLine& line, Fd& input) {
  Args there;
  for (const Option& option : line.verb->options) {
    const std::string_view key = key_of(option);
    for (const std::string& value : line.args.list(key)) {
      if (key == "output") {
        continue; // a file of this machine: see to_file()
      } else if (key == "passphrase-fd") {
        there.add(key, "0");
      } else if (line.verb->name == "trust add" && key == "KEY" && os::real_disk().exists(value)) {
        there.add(key,
            TRY_IN(printable(value, 1024),
                crypto::SigningKey::parse(TRY(read_input(value, k_max_key_file))))
                .to_line());
        if (!line.args.has("name"))
          there.add("name", name_of_key_file(value));
      } else if (line.verb->name == "people add" && key == "key") {
        for (const std::string& text : TRY(public_keys_of(value)))
          there.add(key, text);
        if (is_github(value) && !there.has("login-only") && !line.args.has("login-only"))
          there.add("login-only", "");
      } else if (key == "ARTIFACT|SITE" || (line.verb->name == "nginx diff" && key == "ARTIFACT")) {
        auto stream = TRY(plan_stream(value));
        there.add(key, stream ? "-" : value);
        input = stream ? std::move(*stream) : Fd();
      } else {
        there.add(key, value);
      }
    }
  }
  return there;
}

class FleetRun {
public:
  FleetRun(const CommandLine& line, const std::vector<Host>& hosts, std::vector<std::string> words,
      const Questions& questions)
      : m_hosts(hosts), m_words(std::move(words)), m_questions(questions),
        m_terminal(line.terminal) {
    for (const Host& host : hosts)
      m_width = std::max(m_width, columns_of(host.name));
  }

  Result<int> one_after_another();
  Result<int> lines();
  Result<int> objects();
  Result<int> overview(); // of `status`
  Result<int> logs(const Args& args);

private:
  std::string prefix(const Host& host, bool error) const {
    const std::string padded = cat(host.name, std::string(m_width - columns_of(host.name), ' '));
    return cat(
        error ? m_terminal.err(Style::dim, padded) : m_terminal.out(Style::dim, padded), "  ");
  }
  int verdict(const std::vector<int>& codes);

  const std::vector<Host>& m_hosts;
  std::vector<std::string> m_words;
  Questions m_questions;
  Terminal m_terminal;
  size_t m_width = 0;
};

int FleetRun::verdict(const std::vector<int>& codes) {
  std::vector<std::string> failed;
  for (size_t i = 0; i < codes.size(); ++i)
    if (codes[i] != 0)
      failed.push_back(cat(m_hosts[i].name, " (exit ", codes[i], ")"));
  if (!failed.empty())
    m_terminal.print_error(
        cat(m_terminal.err(Style::bad, "chillboxctl:"), " ", failed.size(), " of ", codes.size(),
            codes.size() == 1 ? " host" : " hosts", " failed: ", join(failed, ", ")));
  return joined_exit(codes);
}

Result<int> FleetRun::one_after_another() {
  std::vector<int> codes;
  for (const Host& host : m_hosts) {
    m_terminal.print_status(m_terminal.err(Style::bold, cat("== ", host.name)));
    const auto code = run_asking(host,
        {m_words, ::isatty(STDIN_FILENO) == 1 && ::isatty(STDOUT_FILENO) == 1, -1}, m_questions);
    if (!code)
      m_terminal.print_error(cat(
          m_terminal.err(Style::bad, "chillboxctl:"), " ", printable(code.error().message, 500)));
    codes.push_back(code ? *code : exit_code(code.error().code));
    if (codes.back() == exit_code(Code::interrupted))
      return codes.back();
  }
  return verdict(codes);
}

Result<int> FleetRun::lines() {
  ParallelSsh command{m_words};
  command.on_out = [&](const Host& host, const std::string& line) {
    m_terminal.print_line_of(
        cat(host.name, std::string(m_width - columns_of(host.name) + 2, ' '), line));
  };
  command.on_error = [&](const Host& host, const std::string& line) {
    m_terminal.print_error(cat(prefix(host, true), printable(line, 2000)));
  };
  std::vector<int> codes;
  for (const HostResult& from : TRY(run_in_parallel(m_hosts, command)))
    codes.push_back(from.code);
  return verdict(codes);
}

Result<int> FleetRun::objects() {
  std::map<std::string, std::string> last; // the last line of each host
  auto print = [&](const Host& host, Json object) {
    object["schema"] = "chillbox.host.v1";
    object["host"] = host.name;
    m_terminal.print(dump(object));
  };
  ParallelSsh command{m_words};
  command.on_out = [&](const Host& host, const std::string& line) {
    const auto object = parse_json(line, k_max_host_answer);
    if (object && object->is_object() && object->contains("schema"))
      last[host.name] = line;
    else if (object)
      print(host, {{"event", *object}});
  };
  command.on_end = [&](const Host& host, const HostResult& from) {
    Json object{{"exit", from.code}};
    const auto result = parse_json(last[host.name], k_max_host_answer);
    // An answer may come with another code: `plan --exit-code`, `status` of a site that is down.
    const bool answered = result && result->is_object() && !result->contains("error");
    if (answered)
      object["result"] = *result;
    // Nobody who does not reach the daemon has an answer: then the connection broke after it.
    if (from.code != 0 && (!answered || from.code == exit_code(Code::unreachable)))
      object["error"] = host_error(from, last[host.name]);
    print(host, std::move(object));
  };
  std::vector<int> codes;
  for (const HostResult& from : TRY(run_in_parallel(m_hosts, command)))
    codes.push_back(from.code);
  return joined_exit(codes);
}

Result<int> FleetRun::overview() {
  ParallelSsh command{m_words};
  command.words.emplace_back("--json");
  const auto results = TRY(run_in_parallel(m_hosts, command));
  Table table{{"HOST", "STATE", "SITES", "WAITING", "UP", "VERSION", "WORTH A LOOK"}, {}};
  std::vector<int> codes;
  for (size_t i = 0; i < results.size(); ++i) {
    const HostResult& from = results[i];
    codes.push_back(from.code);
    const auto status = is_answer(from.code, from.out)
        ? control::read_answer<control::Status>(from.out)
        : Result<control::Status>(fail(Code::unreachable, ""));
    if (!status) {
      table.rows.push_back({m_hosts[i].name, cat("exit ", from.code), "", "", "", "",
          host_error(from, std::string(trim(from.out))).value("message", "")});
      codes.back() = from.code == 0 ? exit_code(Code::corrupt) : from.code;
      continue;
    }
    const auto& host = status->host;
    std::vector<std::string> notes = host.warnings;
    for (const auto& site : status->sites)
      if (!site.down.empty())
        notes.push_back(cat(site.site, " is down for visitors: ", site.down));
      else if (site.state != control::SiteState::live)
        notes.push_back(
            cat(site.site, ": ", site.waiting.empty() ? name(site.state) : site.waiting));
    table.rows.push_back({m_hosts[i].name, host.sealed ? "locked" : "unlocked",
        std::to_string(status->sites.size()), std::to_string(host.waiting_unlock),
        format_duration(std::chrono::seconds(host.uptime_s)), host.version, join(notes, "; ")});
  }
  print_table(m_terminal, table, "");
  return joined_exit(codes);
}

// By time. What is followed comes as it comes instead: see lines().
Result<int> FleetRun::logs(const Args& args) {
  constexpr size_t k_most_kept = 8 << 20;
  ParallelSsh command{m_words};
  command.words.insert(command.words.begin() + 1, "--json"); // after the verb, before "--"
  command.on_error = [&](const Host& host, const std::string& line) {
    m_terminal.print_error(cat(prefix(host, true), printable(line, 2000)));
  };
  const auto results = TRY(run_in_parallel(m_hosts, command));
  std::vector<HostLog> there;
  std::vector<int> codes;
  for (size_t i = 0; i < results.size(); ++i) {
    codes.push_back(results[i].code);
    if (results[i].out.size() >= k_most_kept)
      return fail(Code::too_large,
          cat(m_hosts[i].name, ": more than 8 MiB of lines: ask for less, with -n, -s or -g"));
    if (results[i].code == 0)
      there.push_back({m_hosts[i].name, results[i].out});
  }
  const bool one_service = args.text("SITE[/SERVICE]").contains('/');
  TRY(merge_logs(there, !args.has("no-times"), !one_service,
      [&](const std::string& host, const std::string& line) {
        m_terminal.print_line_of(cat(host, std::string(m_width - columns_of(host) + 2, ' '), line));
      }));
  return verdict(codes);
}

// Its standard output, which is a key or a report, becomes a file here that nobody else can read.
Result<int> to_file(const CommandLine& line, const Host& host, std::vector<std::string> words) {
  const std::string what = line.verb->name == "report" ? "report" : "key";
  if (line.terminal.json)
    return fail(Code::usage, cat("--json prints, and -o keeps the ", what, " from being printed"));
  auto output = TRY(SecretOutput::create(line.args.text("output")));
  const int code = TRY(run_on(host, {std::move(words), false, -1, output.fd()}));
  if (TRY(output.empty()))
    return code; // there is none
  TRY(output.commit());
  Terminal(line.terminal)
      .print_status(cat("the ", what, " is in ", printable(line.args.text("output"), 1024)));
  return code;
}

} // namespace

Result<int> run_on_hosts(const CommandLine& line) {
  const auto hosts = TRY(hosts_of(line));
  CommandLine there = line;
  Fd input;
  there.args = TRY(args_for_there(line, input));
  there.terminal.no_color |= !environment("NO_COLOR").empty();
  const bool many = hosts.size() > 1 || !line.inventory.empty();
  if (line.args.has("passphrase-fd") && hosts.size() > 1)
    return fail(
        Code::usage, "--passphrase-fd is for one host at a time: run it once for each host");
  if (line.args.has("output") && hosts.size() > 1)
    return fail(Code::usage, "-o is for one host: run it once for each host");
  if (line.args.has("output"))
    return to_file(line, hosts.front(), words_of(there));
  if (input && hosts.size() > 1)
    return fail(Code::usage, "a file goes to one host at a time: run it once for each host");
  if (input)
    return run_on(hosts.front(), {words_of(there), false, input.get()});
  if (line.args.has("passphrase-fd")) // without a terminal, which would show the passphrase
    return run_on(hosts.front(),
        {words_of(there), false, static_cast<int>(line.args.number("passphrase-fd", 0))});
  const auto open = [&](std::string_view key) {
    return has_option(*line.verb, key) && !line.args.has(key);
  };
  const Questions questions{
      .passphrase = line.verb->name == "unlock" && open("passphrase-fd"), .answer = open("yes")};
  if (!many)
    return run_asking(hosts.front(),
        {words_of(there),
            ::isatty(STDIN_FILENO) == 1 && ::isatty(STDOUT_FILENO) == 1 &&
                !line.args.has("no-terminal"),
            -1},
        questions);
  if (line.verb->name == "top" && !line.terminal.json)
    return top_of_hosts(hosts, Terminal(line.terminal), line.args.has("once"));
  if (line.verb->name == "top" && !line.args.has("once"))
    return fail(Code::usage, "--json of several hosts is for top --once");
  FleetRun fleet(line, hosts, words_of(there), questions);
  if (asks(line))
    return fleet.one_after_another();
  if (line.terminal.json)
    return fleet.objects();
  if (line.verb->name == "logs" && !line.args.has("follow"))
    return fleet.logs(line.args);
  return line.verb->name == "status" ? fleet.overview() : fleet.lines();
}

} // namespace chillbox::cli
