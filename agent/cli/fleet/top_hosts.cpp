#include "cli/fleet/top_hosts.hpp"

#include "base/json.hpp"
#include "base/text.hpp"
#include "cli/fleet/ssh.hpp"
#include "cli/top/top_screen.hpp"
#include "os/io.hpp"

#include <nlohmann/json.hpp>

#include <chrono>
#include <thread>

namespace chillbox::cli {
namespace {

void sample(const Host& host, int fd) {
  constexpr std::chrono::seconds k_again{5}; // a host that is away is asked no oftener
  bool closed = false;
  const auto write_line = [&](std::string line) {
    line += '\n';
    std::string_view rest = line;
    closed = closed || os::write_fully(fd, rest) != 0;
  };
  std::string why;
  ParallelSsh command{{"top", "--json"}};
  command.on_out = [&](const Host&, const std::string& line) {
    if (line.starts_with("{\"error\""))
      why = line;
    else
      write_line(line);
  };
  command.on_error = [&](const Host&, const std::string& line) { why = line; };
  while (!closed) {
    const auto ended = run_in_parallel({host}, command);
    if (!ended)
      why = ended.error().message;
    write_line(dump(Json{{"trouble", cat("lost: ", why.empty() ? "it ended" : why)}}));
    std::this_thread::sleep_for(k_again);
  }
}

} // namespace

Result<int> top_of_hosts(const std::vector<Host>& hosts, const Terminal& terminal, bool once) {
  std::vector<TopSource> sources;
  for (const auto& host : hosts)
    sources.push_back({.name = host.name, .sample = [host](int fd) { sample(host, fd); }});
  TRY(run_top(sources, terminal, once));
  return 0;
}

} // namespace chillbox::cli
