#include "artifact/fetch.hpp"

#include "artifact/artifact_store.hpp"
#include "base/encoding.hpp"
#include "base/text.hpp"
#include "os/host_layout.hpp"
#include "os/io.hpp"
#include "os/network_view.hpp"
#include "os/root_owned.hpp"
#include "os/spawn.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <thread>

namespace chillbox::artifact {
namespace {

using std::chrono::seconds;

constexpr size_t k_max_config = 1024 * 1024, k_max_credentials = 64 * 1024, k_max_said = 4096;
constexpr uint64_t k_max_signature = 4096;
constexpr uint64_t k_memory = 256ULL << 20;
constexpr uint32_t k_tasks = 32;
// Of a source that is away or in trouble: nothing tells when it is back.
constexpr os::Millis k_first_pause{1'000}, k_longest_pause{30'000};
constexpr os::Millis k_look{100};     // at cancelled(), which no descriptor tells of
constexpr os::Millis k_grace{10'000}; // to say that the time is over
constexpr int k_in_one_piece = 7;     // hooks/fetch/http: the source knows no Range

// A file without a name that matters, gone with this.
class Part {
public:
  static Result<Part> create(const std::string& dir) {
    Part part;
    part.m_path = cat(dir, "/fetch-", random_token(8));
    part.m_file = Fd(::open(
        part.m_path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!part.m_file)
      return fail_errno(cat("create ", part.m_path), errno);
    return part;
  }
  Part(Part&&) = default;
  Part& operator=(Part&&) = delete;
  ~Part() {
    if (m_file)
      ::unlink(m_path.c_str());
  }
  int fd() const { return m_file.get(); }
  const std::string& path() const { return m_path; }
  uint64_t size() const {
    struct stat st{};
    return ::fstat(fd(), &st) == 0 ? static_cast<uint64_t>(st.st_size) : 0;
  }
  bool cut(uint64_t size) { return ::ftruncate(fd(), static_cast<off_t>(size)) == 0; }

private:
  Part() = default;
  std::string m_path;
  Fd m_file;
};

class Fetch {
public:
  Fetch(const FetchHost& host, const config::HostFetch& fetch, const Note& note)
      : m_host(host), m_fetch(fetch), m_note(note),
        m_end(host.clock.mono() + os::Millis(fetch.timeout)) {}

  // NAME below each source in turn, until `take` likes what came. Each may take its share of the
  // time that is left, so that a slow one does not keep the next one from being asked, which goes
  // on with what came before; if that was wrong, it begins again.
  Result<void> run(
      const std::string& name, uint64_t most, const std::function<Result<void>(Part&)>& take);

private:
  Result<void> from(const std::string& url, Part& part, uint64_t most,
      const std::function<Result<void>(Part&)>& take);
  Result<void> whole(const std::string& url, Part& part, uint64_t most);
  Result<int> once(const std::string& url, Part& part, uint64_t most, std::string& said);
  Result<std::string> program() const;
  Result<std::string> settings(const std::string& url, os::Millis left) const;
  Result<void> check_room(uint64_t more) const;
  bool pause(os::Millis time);

  const FetchHost& m_host;
  const config::HostFetch& m_fetch;
  const Note& m_note;
  os::Millis m_end, m_until{}; // of all; of this source
};

Result<std::string> Fetch::program() const {
  constexpr std::string_view k_name = "fetch/http";
  if (os::is_program(cat(m_host.paths.admin_hooks(), "/", k_name))) {
    TRY(os::check_root_owned(m_host.paths.admin_hooks(), k_name));
    return cat(m_host.paths.admin_hooks(), "/", k_name);
  }
  return cat(m_host.paths.shipped_hooks(), "/", k_name);
}

// Of root's file only the lines that are for this: it is not a way to set others.
Result<std::string> Fetch::settings(const std::string& url, os::Millis left) const {
  std::string text = cat("url=", url,
      "\nlimit=", std::max<int64_t>(1, std::chrono::ceil<seconds>(left).count()), "\n");
  if (m_fetch.private_addresses)
    text += "private=yes\n";
  if (!m_fetch.proxy.empty())
    text += cat("proxy=", m_fetch.proxy, "\n");
  if (!m_fetch.ca_file.empty())
    text += cat("ca_file=", m_fetch.ca_file, "\n");
  if (m_fetch.credentials.empty())
    return text;
  const std::string& path = m_fetch.credentials;
  struct stat st{};
  if (m_host.as_root &&
      (::stat(path.c_str(), &st) != 0 || st.st_uid != 0 || (st.st_mode & 077) != 0))
    return fail(Code::denied,
        cat("fetch.credentials: ", path,
            " must exist and be root's alone: chown root, chmod 0600"));
  const auto lines = TRY_IN("fetch.credentials", m_host.disk.read(path, k_max_credentials));
  for (const auto line : split(lines, '\n'))
    for (const std::string_view word : {"access_key=", "secret_key=", "region="})
      if (line.starts_with(word))
        text += cat(line, "\n");
  return text;
}

Result<void> Fetch::check_room(uint64_t more) const {
  const auto space = TRY(m_host.disk.space(m_host.paths.state()));
  if (space.free_bytes >= more + m_host.keep_free)
    return {};
  return fail(Code::no_space,
      cat("no space on the disk of ", m_host.paths.state(), ": need ",
          human_size(more + m_host.keep_free), " (", human_size(more),
          " are to come, the rest is limits.reserve_percent), have ",
          human_size(space.free_bytes)));
}

// False: it was cancelled, or the time is over.
bool Fetch::pause(os::Millis time) {
  const os::Millis end = m_host.clock.mono() + time;
  while (m_host.clock.mono() < end && m_host.clock.mono() < m_until && !m_host.cancelled())
    std::this_thread::sleep_for(k_look);
  return m_host.clock.mono() < m_until && !m_host.cancelled();
}

// The program's exit code; what it wrote is appended to the part.
Result<int> Fetch::once(const std::string& url, Part& part, uint64_t most, std::string& said) {
  const os::Millis left = m_until - m_host.clock.mono();
  os::Command c;
  const std::string hook = TRY(program());
  c.argv = {hook, std::to_string(part.size())};
  c.secrets = TRY(settings(url, left));
  c.env = {{"HOME", "/"}};
  c.timeout = left + k_grace;
  c.cancelled = m_host.cancelled;
  const Fd null = TRY(os::open_null(O_RDONLY));
  Part words = TRY(Part::create(m_host.paths.inbox()));
  c.streams = {null.get(), part.fd(), words.fd()};
  c.limits.file_size = std::max(most, uint64_t{k_max_said});
  if (m_host.as_root) {
    c.user = TRY_IN("`chillboxctl init` makes it", os::find_user(std::string(os::k_fetch_user)));
    c.contained = true;
    c.limits.memory_max = k_memory;
    c.limits.tasks_max = k_tasks;
    c.view = os::network_view();
  }
  const auto exit = m_host.runner.run(c);
  wipe(c.secrets.data(), c.secrets.size());
  if (!exit)
    return std::unexpected(exit.error());
  std::array<char, k_max_said> text;
  const ssize_t n = ::pread(words.fd(), text.data(), text.size(), 0);
  const std::string_view line =
      trim(std::string_view(text.data(), static_cast<size_t>(std::max<ssize_t>(n, 0))));
  said = printable(line.substr(0, line.find('\n')), 300);
  if (said.empty())
    said = cat("hooks/fetch/http ended with ", exit->code);
  return exit->code;
}

Result<void> Fetch::whole(const std::string& url, Part& part, uint64_t most) {
  for (os::Millis wait = k_first_pause;; wait = std::min(wait * 2, k_longest_pause)) {
    const uint64_t had = part.size();
    TRY(check_room(most - std::min(most, had)));
    std::string said;
    const int code = TRY(once(url, part, most, said));
    if (code == 0)
      return {};
    if (part.size() >= most && os::hook_code(code) == Code::no_space)
      return fail(Code::too_large, cat("more than the ", most, " bytes that were announced"));
    const bool again =
        os::hook_code(code) == Code::unreachable || (code == k_in_one_piece && had > 0);
    if (!again)
      return fail(os::hook_code(code), said);
    if (code == k_in_one_piece && !part.cut(0))
      return fail_errno("empty what was fetched", errno);
    if (!pause(part.size() > had ? k_first_pause : wait))
      return fail(m_host.cancelled() ? Code::interrupted : Code::unreachable, said);
    m_note(cat(url, ": ", said, "; it is tried again",
        part.size() > 0 ? cat(" from byte ", part.size()) : ""));
  }
}

Result<void> Fetch::from(const std::string& url, Part& part, uint64_t most,
    const std::function<Result<void>(Part&)>& take) {
  const bool goes_on = part.size() > 0;
  auto done = whole(url, part, most);
  if (!done && done.error().code != Code::too_large)
    return done;
  if (done)
    done = take(part);
  if (done)
    return done;
  if (!part.cut(0))
    return fail_errno("empty what was fetched", errno);
  return goes_on ? from(url, part, most, take) : done;
}

Result<void> Fetch::run(
    const std::string& name, uint64_t most, const std::function<Result<void>(Part&)>& take) {
  Error worst{Code::not_found, "fetch.from names no source"};
  auto left = static_cast<os::Millis::rep>(m_fetch.from.size());
  Part part = TRY(Part::create(m_host.paths.inbox()));
  for (const auto& source : m_fetch.from) {
    const std::string url = cat(source, "/", name);
    const os::Millis now = m_host.clock.mono();
    m_until = now + (m_end - now) / left--;
    const auto done = from(url, part, most, take);
    if (done || done.error().code == Code::interrupted)
      return done;
    m_note(cat(url, ": ", done.error().message));
    if (worst.code == Code::not_found)
      worst = {done.error().code, cat(url, ": ", done.error().message)};
  }
  return std::unexpected(worst);
}

} // namespace

config::HostFetch read_fetch(os::Disk& disk, const os::Paths& paths) {
  const auto text = disk.read(paths.config_file(), k_max_config);
  auto read = text ? config::parse_host_fetch(*text, "chillboxd.toml") : config::HostFetch{};
  return read ? std::move(*read) : config::HostFetch{};
}

Result<void> fetch_artifact(const FetchHost& host, const config::HostFetch& fetch,
    const Digest& digest, uint64_t size, const Note& note) {
  return Fetch(host, fetch, note)
      .run(cat(digest.str(), ".age"), size, [&](Part& part) -> Result<void> {
        auto file = TRY(Incoming::open(Fd(::dup(part.fd())), part.path()));
        (void)TRY(file.store(host.paths.artifact(digest), digest));
        return {};
      });
}

Result<std::string> fetch_signature(
    const FetchHost& host, const config::HostFetch& fetch, const Digest& digest, const Note& note) {
  std::string text;
  TRY(Fetch(host, fetch, note)
          .run(cat(digest.str(), ".age.minisig"), k_max_signature, [&](Part& part) -> Result<void> {
            text = TRY(host.disk.read(part.path(), k_max_signature));
            return {};
          }));
  return text;
}

} // namespace chillbox::artifact
