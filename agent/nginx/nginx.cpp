#include "nginx/nginx.hpp"

#include "base/encoding.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "nginx/counts.hpp"
#include "nginx/kept_look.hpp"
#include "nginx/names.hpp"
#include "nginx/ready.hpp"
#include "nginx/scan.hpp"
#include "nginx/site_file.hpp"
#include "nginx/site_tls.hpp"
#include "nginx/status_page.hpp"

#include "base/fd.hpp"
#include "os/probe.hpp"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <utility>

namespace chillbox::nginx {
namespace {

constexpr os::Millis k_reload_deadline{5'000};
// The master waits 100 ms between the start of the new workers and the end of the old ones; only
// then nobody serves the old text any more.
constexpr os::Millis k_settled{150};
constexpr os::Millis k_always{INT64_MAX / 2}; // what is unchanged prints the same
constexpr os::Millis k_poll{10};              // which workers answer is no event
constexpr std::string_view k_error_log = "/var/log/nginx/error.log";
constexpr std::string_view k_generation_before = "location = /generation {\n    return 200 '";

// Somebody else's file may be broken: then it is where our own is already.
std::string where_ours_is(os::Disk& disk, const os::Paths& paths) {
  for (const std::string_view known : {"http.d", "conf.d", "sites-enabled"})
    if (const std::string dir = cat(paths.root, "/etc/nginx/", known);
        disk.exists(cat(dir, "/", k_host_file)))
      return dir;
  return {};
}

std::string generation_of(std::string_view text) {
  const auto at = text.find(k_generation_before);
  if (at == std::string_view::npos)
    return {};
  const auto value = text.substr(at + k_generation_before.size());
  return std::string(value.substr(0, value.find('\'')));
}

os::Probe generation_probe(uint16_t port) {
  return {.port = port,
      .path = "/generation",
      .host = std::string(k_generation_host),
      .timeout = os::Millis{500}};
}

// ".example.org" and "*.example.org" meet "example.org" in NGINX.
std::string without_wildcard(std::string_view name) {
  return lower(name.substr(name.starts_with("*.") ? 2 : name.starts_with('.') ? 1 : 0));
}

constexpr size_t k_max_configuration = 64 * 1024 * 1024; // about 15 KiB for each site

// A new generation goes to the disk before what it names: a daemon that dies before the reload
// leaves NGINX with another one than the file has, and the next start sees it. Returns it.
Result<std::string> mark(os::Disk& disk, const std::string& path) {
  auto text = TRY(disk.read(path, k_max_file));
  const std::string before = generation_of(text), generation = random_token(8);
  if (before.empty())
    return fail(Code::corrupt,
        cat(path, ": was changed since chillboxd wrote it: remove it and restart chillboxd"));
  text.replace(
      text.find(k_generation_before) + k_generation_before.size(), before.size(), generation);
  TRY(disk.write(path, text, 0644));
  return generation;
}

// What a browser or a tool on this machine would call it.
std::vector<std::string> own_names() {
  std::array<char, 256> name{};
  std::vector<std::string> out{"localhost", "127.0.0.1", "[::1]"};
  if (::gethostname(name.data(), name.size() - 1) == 0 && config::is_host_name(name.data()) &&
      name.data() != out[0])
    out.emplace_back(name.data());
  return out;
}

} // namespace

Nginx::Nginx(
    os::Disk& disk, os::Runner& runner, os::Clock& clock, os::Paths paths, config::HostConfig host)
    : m_disk(disk), m_runner(runner), m_clock(clock), m_paths(std::move(paths)),
      m_host(std::move(host)) {}

Result<std::string> Nginx::printed() {
  os::Command c;
  c.argv = {"nginx", "-T"};
  c.timeout = os::Millis{20'000};
  c.output_limit = k_max_configuration;
  auto exit = TRY(m_runner.run(c));
  if (!exit.ok())
    return fail(Code::invalid, cat("nginx -T: ", nginx_line(exit)));
  if (exit.out.size() >= k_max_configuration)
    return fail(Code::too_large,
        cat("nginx -T: NGINX's whole configuration is over ", k_max_configuration >> 20, " MiB"));
  return std::move(exit.out);
}

Result<std::vector<Directive>> Nginx::loaded() {
  return scan_host(TRY(printed()));
}

// NGINX is asked only if something changed since it was asked before.
Result<Look> Nginx::look(os::Millis oldest) {
  const int64_t now_ms = m_clock.wall_ms();
  if (auto kept = kept_look(m_disk, m_paths);
      kept && kept->at_ms <= now_ms && kept->at_ms + oldest.count() >= now_ms)
    return std::move(*kept);
  auto seen = scan_printed(TRY(printed()));
  keep_look(m_disk, m_paths, now_ms, seen);
  return Look{.at_ms = now_ms, .directives = std::move(seen.directives)};
}

Result<int64_t> Nginx::tested() {
  constexpr os::Millis k_hour{3'600'000}; // names are in DNS, too, and addresses in the kernel
  const std::scoped_lock lock(m_directory_mutex);
  auto look = TRY(this->look(k_hour));
  if (m_directory.empty() && m_host.nginx_dir.empty())
    m_directory = include_directory(look.directives);
  remember(std::move(look.directives));
  return look.at_ms;
}

// For loaded_once(), which follows soon.
void Nginx::remember(std::vector<Directive> directives) {
  m_first_look = std::make_shared<std::vector<Directive>>(std::move(directives));
  m_first_at = m_clock.mono();
}

// At the start directory() has just asked NGINX for the whole of it, which takes longer than all
// else.
Result<std::vector<Directive>> Nginx::loaded_once() {
  constexpr os::Millis k_just_now{1'000};
  {
    const std::scoped_lock lock(m_directory_mutex);
    const auto first = std::exchange(m_first_look, nullptr);
    if (first && m_clock.mono() - m_first_at <= k_just_now)
      return std::move(*first);
  }
  return TRY(look(k_always)).directives;
}

Result<bool> Nginx::ends_old_workers() {
  return std::ranges::any_of(TRY(loaded_once()),
      [](const auto& d) { return d.block.empty() && d.words[0] == "worker_shutdown_timeout"; });
}

Result<std::string> Nginx::directory() {
  const std::scoped_lock lock(m_directory_mutex);
  if (!m_directory.empty())
    return m_directory;
  if (m_host.nginx_dir.empty()) {
    auto look = this->look(k_always);
    m_directory = look ? include_directory(look->directives) : where_ours_is(m_disk, m_paths);
    if (!look && m_directory.empty())
      return std::unexpected(look.error());
    if (m_directory.empty())
      return fail(Code::not_found,
          "nginx.conf includes none of http.d/*.conf, conf.d/*.conf, sites-enabled/* in its http block: set "
          "nginx.dir in chillboxd.toml to the one that it does include");
    if (look)
      remember(std::move(look->directives));
    return m_directory;
  }
  if (!m_disk.exists(m_host.nginx_dir))
    return fail(Code::not_found, cat("nginx.dir: ", m_host.nginx_dir, " does not exist"));
  return m_directory = m_host.nginx_dir;
}

Result<gid_t> Nginx::group() {
  if (!m_host.nginx_group.empty())
    return os::find_group(m_host.nginx_group);
  if (auto group = os::find_group("nginx"))
    return group;
  return os::find_group("www-data");
}

Result<std::string> Nginx::installed(const SiteName& site) {
  const std::string path = cat(TRY(directory()), "/", file_of(site));
  if (!m_disk.exists(path))
    return std::string();
  return m_disk.read(path, k_max_file);
}

Result<void> Nginx::mark_host() {
  if (const std::string host = cat(TRY(directory()), "/", k_host_file); m_disk.exists(host))
    if (auto marked = mark(m_disk, host);
        !marked && marked.error().code != Code::corrupt) // the reload reports that one
      return std::unexpected(std::move(marked).error());
  return {};
}

Result<void> Nginx::install(const SiteName& site, const std::string& text) {
  const std::string path = cat(TRY(directory()), "/", file_of(site));
  const std::scoped_lock one(
      m_reload_mutex); // a reload between mark and text would pass for the one that loads the text
  TRY(mark_host());
  TRY(write_upstream()); // another NGINX may have been installed since
  if (text.empty()) {
    TRY(m_disk.remove(path));
    TRY(write_ready(site, text));
    TRY(keep_status_page(m_disk, m_paths, site, text));
    return write_listen(site, text);
  }
  TRY(write_listen(site, text));
  TRY(write_ready(site, text));
  TRY(keep_status_page(m_disk, m_paths, site, text));
  TRY(guard_logs(site));
  TRY(begin_counts(m_disk, m_paths, *this, site, text));
  if (text.find("proxy_cache_path ") != std::string::npos)
    TRY(m_disk.make_dir(m_paths.root + "/var/cache/nginx", 0755));
  return m_disk.write(path, text, 0644);
}

Result<void> Nginx::write_ready(const SiteName& site, std::string_view text) {
  const std::string file = ready_file(m_paths, site);
  TRY(m_disk.make_dir(file.substr(0, file.rfind('/')), 0755));
  TRY(write_if_other(file, host_ready(text)));
  return {};
}

// Before NGINX opens them, because it makes them readable for everybody. Its workers open them
// again by their names when they are rotated.
Result<void> Nginx::guard_logs(const SiteName& site) {
  const std::string dir = log_dir(m_paths, site);
  const auto workers = group();
  return m_disk.make_dir(dir, 0750, {0, workers ? *workers : gid_t{0}});
}

Result<HostFacts> Nginx::host_facts() {
  const auto directives = TRY(loaded_once());
  const auto other = default_server_file(directives, m_host.http_port);
  HostFacts facts;
  facts.default_server = other.empty();
  facts.tls_default_server = default_server_file(directives, m_host.https_port).empty();
  facts.names_hash = !sets(directives, "server_names_hash_bucket_size");
  facts.header_timeout = !sets(directives, "client_header_timeout");
  facts.real_ip = !sets(directives, "real_ip_header");
  facts.other_names = own_names();
  facts.build = build();
  facts.tls = TRY(has_any_certificate());
  auto own = facts.other_names;
  own.push_back(m_host.server_name);
  facts.fleet = served_fleet(directives, own);
  if (has_certificate(std::string(k_host_id)))
    facts.host_name = host_name_of(m_host);
  if (!other.empty())
    log::warn(cat("nginx: ", other, " is the default server of port ", m_host.http_port,
        ": /v1/ answers only as ",
        m_host.server_name == "_" ? std::string() : m_host.server_name + ", ",
        join(facts.other_names, ", "),
        "; set host.server_name in chillboxd.toml, or remove that file"));
  return facts;
}

Result<bool> Nginx::install_host() {
  const std::string path = cat(TRY(directory()), "/", k_host_file);
  TRY(write_upstream());
  const auto facts = TRY(host_facts());
  const auto now = m_disk.exists(path) ? TRY(m_disk.read(path, k_max_file)) : std::string();
  const std::string generation = generation_of(now);
  if (!generation.empty() && now == render_host(m_host, m_paths, generation, facts)) {
    const auto answer = os::probe(generation_probe(m_host.http_port));
    return answer &&
        answer->body != generation; // nobody there: it will load all of it when it starts
  }
  TRY(m_disk.write(path, render_host(m_host, m_paths, random_token(8), facts), 0644));
  return true;
}

// Each caller takes a ticket; the reload that begins after it covers it. Who waited for a running
// one does the next, for all who wait.
Result<void> Nginx::reload() {
  uint64_t mine;
  {
    const std::scoped_lock lock(m_ticket_mutex);
    mine = ++m_wanted;
  }
  const std::scoped_lock one(m_reload_mutex);
  uint64_t covers;
  {
    const std::scoped_lock lock(m_ticket_mutex);
    if (m_done >= mine)
      return m_outcome;
    covers = m_wanted;
  }
  auto outcome = reload_now();
  const std::scoped_lock lock(m_ticket_mutex);
  m_done = covers;
  m_outcome = outcome;
  return outcome;
}

Result<void> Nginx::reload_now() {
  const std::string path = cat(TRY(directory()), "/", k_host_file);
  if (!m_disk.exists(path))
    TRY(install_host());
  const std::string generation = TRY(mark(m_disk, path));
  const uint64_t log_start = m_disk.size(cat(m_paths.root, k_error_log));
  os::Command c;
  c.argv = {"nginx", "-s", "reload"};
  c.timeout = os::Millis{20'000};
  const auto exit = TRY(m_runner.run(c));
  if (!exit.ok()) {
    const std::string line = nginx_line(exit);
    const bool down = line.find(".pid") != std::string::npos ||
        line.find("invalid PID") != std::string::npos || line.find("kill(") != std::string::npos;
    return fail(down ? Code::unreachable : Code::unhealthy,
        cat("nginx -s reload: ", line, down ? ": is it running? rc-service nginx start" : ""));
  }
  return wait_for_generation(generation, log_start);
}

// As `nginx -s reopen`, which would read all of the configuration for it. The number in the file
// may be another process's by now.
Result<void> Nginx::reopen_logs() {
  for (const std::string_view file :
      {"/run/nginx.pid", "/run/nginx/nginx.pid", "/var/run/nginx.pid"}) {
    const auto text = m_disk.read(cat(m_paths.root, file), 32);
    const auto pid = text ? parse_u64(trim(*text)) : std::nullopt;
    if (!pid || *pid < 2 || *pid > INT32_MAX)
      continue;
    const Fd master(static_cast<int>(::syscall(SYS_pidfd_open, static_cast<pid_t>(*pid), 0)));
    const auto name = m_disk.read(cat("/proc/", *pid, "/comm"), 64);
    if (master && name && trim(*name) == "nginx" &&
        ::syscall(SYS_pidfd_send_signal, master.get(), SIGUSR1, nullptr, 0) == 0)
      return {};
  }
  return fail(Code::unreachable,
      "nginx: its pid file names no process, so its logs are not reopened; is it running? rc-service nginx start");
}

std::string Nginx::file_with_name(const SiteName& site, std::string_view host_name) {
  const auto directives = loaded();
  if (!directives)
    return {};
  for (const auto& d : *directives)
    if (d.words[0] == "server_name" && !d.file.ends_with("/" + file_of(site)) &&
        std::ranges::any_of(d.words, [&](const auto& word) {
          return without_wildcard(word) == without_wildcard(host_name);
        }))
      return d.file;
  return {};
}

TextFacts facts_of_text(std::string_view text) {
  return {served_names(text), serves_tls(text)};
}

std::shared_ptr<const TextFacts> Nginx::facts_of(const std::string& text) {
  const std::scoped_lock lock(m_facts_mutex);
  if (!m_facts || m_facts_text != text) {
    m_facts = std::make_shared<TextFacts>(facts_of_text(text));
    m_facts_text = text;
  }
  return m_facts;
}

std::vector<os::Probe> questions_by_name(const TextFacts& facts) {
  std::vector<os::Probe> questions;
  for (const auto& [name, port] : facts.names)
    questions.push_back({.port = port,
        .path = "/.chillbox/site",
        .host = name,
        .timeout = os::Millis{2'000},
        .shared = true});
  return questions;
}

Result<void> Nginx::ask_by_name(const SiteName& site, const std::string& text) {
  const auto facts = facts_of(text);
  return check_by_name(site, *facts, os::probe_all(questions_by_name(*facts)));
}

Result<void> Nginx::check_by_name(const SiteName& site, const TextFacts& facts,
    std::span<const Result<os::ProbeAnswer>> answers) {
  for (size_t i = 0; i < answers.size(); ++i) {
    const auto& [name, port] = facts.names[i];
    const auto& answer = answers[i];
    if (answer && answer->status == 200 && answer->body == site.str())
      continue;
    const std::string file = file_with_name(site, name);
    return fail(Code::unhealthy,
        cat("asked for '", name, "' on port ", port, ", NGINX does not answer as this site but ",
            !answer ? answer.error().message
                    : cat("with ", answer->status,
                          answer->status == 200 ? cat(": ", printable(answer->body, 40))
                                                : std::string()),
            file.empty()
                ? std::string()
                : cat("; ",
                      file.ends_with(cat("/", k_host_file)) ? "host.server_name of chillboxd.toml"
                                                            : file,
                      k_named_twice)));
  }
  return {};
}

// The first error that NGINX logged after this offset: the later ones ("still could not bind()")
// are its consequences.
std::string Nginx::logged_error(uint64_t from) {
  const std::string log = cat(m_paths.root, k_error_log);
  const auto text = m_disk.tail(log, from, 16 * 1024).value_or(std::string());
  for (const auto line : split(text, '\n'))
    if (is_error(line))
      return cat("; ", log, ": ", printable(trim(line), 400));
  return cat("; nothing in ", log);
}

Result<void> Nginx::wait_for_generation(const std::string& generation, uint64_t log_start) {
  const os::Probe ask = generation_probe(m_host.http_port);
  const auto begun = m_clock.mono();
  auto old = begun; // when it last did not exist yet
  std::string last = "no answer";
  while (m_clock.mono() - begun < k_reload_deadline) {
    const auto answer = os::probe(ask);
    if (answer && answer->status == 200 && answer->body == generation) {
      if (m_clock.mono() - old >= k_settled)
        return {};
    } else {
      old = m_clock.mono();
      last = answer ? cat("it still serves generation '", printable(answer->body, 40), "'")
                    : answer.error().message;
    }
    m_clock.sleep(k_poll);
  }
  return fail(Code::unhealthy,
      cat("NGINX did not take the new configuration in ", k_reload_deadline.count(), " ms (", last,
          ")", logged_error(log_start)));
}

} // namespace chillbox::nginx
