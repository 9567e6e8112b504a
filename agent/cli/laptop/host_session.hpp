// A connection to a host by ssh for one deploy: `chillboxctl deploy -` runs there. One connection
// does all, so that a password or a touch is asked for once. Lines of JSON:
//
//   there: {"schema":"chillbox.facts.v1",...}          what the host is
//   here:  {"site":..,"version":..,"sha256":..,"number":SIZE,"signature":..}
//   there: {"schema":"chillbox.upload.v1","received":N}
//   here:  the artifact from byte N, and the end of the stream
//   there: {"job":ID}, an object for each event, then chillbox.job.v1 or chillbox.error.v1
//
// Before the order may come others, each answered with the plan of that deploy:
//
//   here:  {"verb":"prepare_fetch","args":...}         the host fetches it (chillboxd.toml,
//   [fetch]) there: {"note":TEXT} for each thing that it waits for, chillbox.plan.v1 or
//   chillbox.error.v1
#pragma once

#include "base/error.hpp"
#include "base/fd.hpp"
#include "cli/fleet/inventory.hpp"
#include "control/messages.hpp"

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace chillbox::cli {

class HostSession {
public:
  // Runs chillboxctl with these words there.
  static Result<HostSession> run(const Host& host, const std::vector<std::string>& words);
  // `deploy -`, up to its facts. unreachable: ssh did not get there, and has said why; not_found:
  // there is no chillboxctl; conflict: one that is too old for this.
  static Result<HostSession> open(const Host& host, const std::string& site);
  HostSession(HostSession&& other) noexcept;
  HostSession& operator=(HostSession&& other) noexcept;
  ~HostSession(); // ends ssh, within a second

  const control::Facts& facts() const { return m_facts; }
  // How many bytes of this artifact the host has: not more than there are. The verb is deploy or
  // deploy_secrets.
  Result<uint64_t> announce(std::string_view verb, const control::Arguments& order);
  // The answer of a verb that has nothing to tell but that it was done. The error of the host.
  Result<void> answered();
  // What the host answers after `prepare` and the artifact.
  Result<control::Plan> planned();
  // The host fetches the artifact, and answers with the plan of its deploy. The error of the host.
  Result<control::Plan> prepare_fetch(
      const control::Arguments& order, const std::function<void(const std::string&)>& note);
  // From there to the end. unreachable: the connection broke.
  using Sent = std::function<void(uint64_t sent)>;
  Result<void> send(int file, uint64_t from, uint64_t size, const Sent& sent);
  // The job, with its events as they come. `tick` is called every quarter of a second. The error of
  // the host; unreachable when the connection broke; timed_out at the deadline.
  struct Heard {
    std::function<void(const std::string& job)> begins;
    std::function<void(const control::JobEvent&)> event;
    std::function<void()> tick;
    std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max();
  };
  Result<control::Job> follow(const Heard& heard);
  // The same of a job there whose connection broke, by new ones. unreachable: after some tries.
  static Result<control::Job> follow_again(
      const Host& host, const std::string& job, const Heard& heard);
  // Between two tries of what a connection that broke has ended, and how many there are.
  static constexpr std::chrono::seconds k_pause{2};
  static constexpr int k_tries = 5;

private:
  explicit HostSession(const Host& host) : m_host(host) {}
  Result<std::string> line(
      const std::function<void()>& tick, std::chrono::steady_clock::time_point deadline);
  Result<Json> object(const std::function<void()>& tick = {},
      std::chrono::steady_clock::time_point deadline =
          std::chrono::steady_clock::time_point::max());
  Result<void> write(std::string_view bytes);
  int end(); // waits for ssh: its exit code
  void abandon();
  std::unexpected<Error> broken();

  Host m_host;
  pid_t m_pid = -1;
  Fd m_in, m_out;
  std::string m_read;
  control::Facts m_facts;
};

} // namespace chillbox::cli
