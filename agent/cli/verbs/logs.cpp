// logs: prints what the services of a site wrote, and what NGINX says of it. chillboxd passes the
// files' descriptors; all that is in them is read, searched and merged here.
#include "cli/core/connection.hpp"
#include "cli/core/duration.hpp"
#include "cli/core/options.hpp"
#include "cli/core/period.hpp"
#include "cli/core/terminal.hpp"
#include "cli/logs/line_time.hpp"
#include "cli/logs/log_set.hpp"
#include "cli/report/all_jobs.hpp"

#include "base/encoding.hpp"
#include "base/text.hpp"
#include "control/log_news.hpp"
#include "os/clock.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <thread>

namespace chillbox::cli {
namespace {

constexpr std::array k_logs_options{
    k_project_target,
    k_follow,
    k_limit,
    k_since,
    k_until,
    Option{"-g,--grep", ArgKind::text, "RE", "only lines that match this extended expression"},
    Option{"-i,--ignore-case", ArgKind::flag, "", "match capitals and small letters alike"},
    Option{"--invert-match", ArgKind::flag, "", "only lines that do not match"},
    Option{"--release", ArgKind::any_release, "VERSION", "only what this release wrote"},
    Option{"--stream", ArgKind::list, "NAME[,..]",
        "app, access, error, cron, job, run (default: app,error,cron)"},
    Option{"-T,--no-times", ArgKind::flag, "", "no times before lines that have none of their own"},
};

constexpr std::chrono::milliseconds k_for_ever{-1};
constexpr uint64_t k_default_log_lines = 100;
constexpr size_t k_most_shown = 70'000; // a longest line

class LogRun {
public:
  LogRun(Call& call, LogWish wish)
      : m_call(call), m_follow(call.args.has("follow")), m_times(!call.args.has("no-times")),
        m_period(wish.period),
        m_jobs(m_period.any() || wish.pattern || wish.releases ? UINT64_MAX
                                                               : wish.lines.value_or(UINT64_MAX)),
        m_set(std::move(wish)) {
    const std::string target = call.args.text("SITE[/SERVICE]");
    const auto slash = target.find('/');
    m_site = target.substr(0, slash);
    if (slash != std::string::npos)
      m_service = target.substr(slash + 1);
    if (call.terminal.json() && !m_follow)
      m_log.lines.emplace();
  }

  Result<void> run();
  const std::string& site() const { return m_site; }

private:
  Result<void> ask_files(const std::vector<std::string>& streams);
  Result<void> on_news(const Json& json);
  Result<void> add_jobs();
  void print(const LogSource& source, const LogText& line);
  void print_notes();
  Result<void> read();

  Call& m_call;
  bool m_follow, m_times;
  Period m_period;
  uint64_t m_jobs; // so many of them can have a line that is shown
  LogSet m_set;
  std::string m_site, m_service;
  int m_connection = -1;
  bool m_read_once = false, m_again = false;
  int m_tried = 0; // to reach a chillboxd that stopped
  uint64_t m_printed = 0;
  control::LogEntries m_log;
};

void LogRun::print(const LogSource& source, const LogText& line) {
  ++m_printed;
  Terminal& terminal = m_call.terminal;
  std::string text = printable(line.text, k_most_shown);
  if (terminal.json()) {
    control::LogEntry one;
    one.service = source.service;
    one.line = text;
    one.stream = source.stream;
    one.time_ms = line.ms;
    if (text != line.text)
      one.base64 = base64(bytes_of(line.text));
    if (m_log.lines)
      m_log.lines->push_back(std::move(one));
    else
      terminal.print(control::to_text(one));
    return;
  }
  if (line.cut)
    text += " ... (a line longer than 64 KiB)";
  const std::string time = m_times && !line.own_time && line.ms > 0
      ? cat(terminal.out(Style::dim, format_time_ms(line.ms)), " ")
      : "";
  terminal.print_line_of(cat(time, m_service.empty() ? cat(source.service, ": ") : "", text));
}

Result<void> LogRun::read() {
  const LogSink sink = [&](const LogSource& source, const LogText& line) { print(source, line); };
  return std::exchange(m_read_once, true) ? m_set.read_on(sink) : m_set.read(sink);
}

Result<void> LogRun::on_news(const Json& json) {
  const auto news = TRY(control::from_json<control::LogNews>(json));
  m_tried = 0;
  if (news.look) {
    m_again = false;
    return read();
  }
  Fd text = TRY(control::receive_descriptor(m_connection));
  Fd marks = news.marks ? TRY(control::receive_descriptor(m_connection)) : Fd();
  const LogSource source{news.service, news.stream};
  // What another chillboxd passes again. Older files were read, and one may have been copied since.
  if (m_again && (news.part > 0 || m_set.has(source, text)))
    return {};
  if (news.lost)
    m_call.terminal.print_status(cat(news.service,
        ": more was written than is kept: some lines are missing here (limits.log_files)"));
  m_set.add(source, LogFile(std::move(text), std::move(marks)));
  return {};
}

Result<void> LogRun::ask_files(const std::vector<std::string>& streams) {
  Question question{
      .verb = "log_files", .args = {.site = m_site, .service = m_service, .follow = m_follow}};
  for (const char* searching : {"since", "grep", "release", "until"})
    if (m_call.args.has(searching)) // without -s all that is kept
      question.args.since_ms = static_cast<uint64_t>(std::max<int64_t>(m_period.since_ms, 0));
  question.args.streams = streams;
  Result<void> outcome;
  question.on_event = [&](const Json& json) {
    if (outcome)
      outcome = on_news(json);
    if (!outcome)
      ::shutdown(m_connection, SHUT_RDWR);
  };
  if (m_follow)
    question.timeout = k_for_ever;
  auto answer = ask_connected(m_call.paths, question, m_connection, &m_call.error_data);
  // Whoever follows does so through an upgrade or a restart of chillboxd.
  question.args.since_ms.reset();
  const auto lost = [&] { return !answer && answer.error().code == Code::unreachable; };
  for (m_tried = 0; m_follow && m_read_once && outcome && lost() && m_tried < k_daemon_tries;
      ++m_tried) {
    std::this_thread::sleep_for(k_daemon_pause); // see there
    m_again = true;
    answer = ask_connected(m_call.paths, question, m_connection, &m_call.error_data);
  }
  TRY(outcome);
  return answer ? Result<void>{} : std::unexpected(answer.error());
}

// The lines of the jobs, which are the daemon's own: of all when something is searched for, else of
// as many as could be shown, since each has a line at least.
Result<void> LogRun::add_jobs() {
  const auto jobs = TRY(all_jobs(m_call, m_site, m_period, m_jobs));
  std::deque<LogText> lines;
  for (auto job = jobs.rbegin(); job != jobs.rend(); ++job)
    TRY(ask(m_call.paths,
        {.verb = "job", .args = {.job = job->id}, .on_event = [&](const Json& json) {
           const auto event = control::from_json<control::JobEvent>(json);
           if (event)
             lines.push_back({.text = cat(name(job->kind), " ", job->id, ": ", event->step, " ",
                                  name(event->kind), event->text.empty() ? "" : ": ", event->text),
                 .ms = event->time_ms});
         }}));
  m_set.add({"job", "job"}, std::move(lines));
  return {};
}

void LogRun::print_notes() {
  if (!m_period.any())
    return;
  for (const auto& [source, from] : m_set.partly_known())
    m_call.terminal.print_status(cat(
        source.service, ": when its lines were written is known from ", format_time(from), " on"));
  if (m_printed == 0 && !m_follow)
    m_call.terminal.print_status("nothing that was written then");
}

Result<void> LogRun::run() {
  std::vector<std::string> streams = m_call.args.list("stream");
  constexpr std::array<std::string_view, 6> k_streams{
      "app", "access", "error", "cron", "job", "run"};
  for (const auto& stream : streams)
    if (std::ranges::find(k_streams, stream) == k_streams.end())
      return fail(Code::usage,
          cat("--stream: no '", printable(stream, 40),
              "': there are app, access, error, cron, job and run"));
  if (streams.empty())
    streams = {"app", "error", "cron"};
  if (!m_call.args.has("stream") && !m_service.empty())
    streams.emplace_back("run"); // it was named: SITE/run.NAME
  if (std::erase(streams, "job") > 0) {
    if (m_follow)
      return fail(Code::usage,
          "--stream job: -f follows what is written to files; `chillboxctl job JOB -f` follows a job");
    if (!m_service.empty())
      return fail(Code::usage,
          cat("--stream job: jobs are the site's: chillboxctl logs ", m_site, " --stream job"));
    TRY(add_jobs());
  }
  if (!streams.empty())
    TRY(ask_files(streams));
  if (!m_read_once)
    TRY(read());
  print_notes();
  if (m_call.terminal.json())
    m_call.terminal.print(control::answer_text("logs", m_log));
  return {};
}

// The N of each release with this version or this name.
Result<std::set<uint32_t>> numbers_of(Call& call, const std::string& site) {
  const std::string wanted = call.args.text("release");
  const auto list = TRY(control::read_answer<control::ReleaseList>(
      TRY(ask(call.paths, {.verb = "releases", .args = {.site = site}}, &call.error_data))));
  std::set<uint32_t> numbers;
  for (const auto& release : list.releases)
    if (release.id == wanted || release.version == wanted)
      numbers.insert(os::release_number(release.id));
  if (numbers.empty())
    return fail(Code::not_found,
        cat("no release ", printable(wanted, 60), " of '", site,
            "' on this host: chillboxctl releases ", site));
  return numbers;
}

Result<void> run_logs(Call& call) {
  LogWish wish;
  wish.period = TRY(period_from(call.args, os::real_clock().wall_ms()));
  if (call.args.has("grep"))
    wish.pattern = TRY(LinePattern::create(call.args.text("grep"), call.args.has("ignore-case")));
  else if (call.args.has("ignore-case") || call.args.has("invert-match"))
    return fail(Code::usage, "-i and --invert-match say how -g matches, which is missing");
  wish.invert = call.args.has("invert-match");
  const std::string target = call.args.text("SITE[/SERVICE]");
  if (call.args.has("release"))
    wish.releases = TRY(numbers_of(call, target.substr(0, target.find('/'))));
  if (call.args.has("lines"))
    wish.lines = call.args.number("lines", 0);
  else if (!wish.period.any() && !wish.pattern && !wish.releases)
    wish.lines = k_default_log_lines;
  return LogRun(call, std::move(wish)).run();
}

} // namespace

extern constinit const Verb k_logs{
    "logs", Group::show, Where::host, "show what the services wrote", k_logs_options, run_logs};

} // namespace chillbox::cli
