#include "cli/laptop/site_move.hpp"

#include "base/text.hpp"
#include "cli/core/interrupt.hpp"
#include "cli/core/progress.hpp"
#include "cli/core/prompt.hpp"
#include "cli/core/terminal.hpp"
#include "cli/fleet/ssh.hpp"
#include "cli/http/client.hpp"
#include "cli/laptop/bring_release.hpp"
#include "cli/laptop/deploy_plan.hpp"
#include "cli/laptop/key_store.hpp"
#include "cli/laptop/remote_ctl.hpp"
#include "cli/laptop/ssh_signer.hpp"
#include "crypto/minisign.hpp"

#include <algorithm>
#include <optional>

namespace chillbox::cli {
namespace {

constexpr std::chrono::milliseconds k_visit_timeout{10'000};
constexpr const char* k_runs = "200";      // so many of the newest are looked at
constexpr uint64_t k_spare_kb = 64 * 1024; // that stay free there

struct Side {
  RemoteCtl ctl;
  control::SiteFacts site;
  control::Facts facts;
  uint64_t used_kb = 0, free_kb = 0;
  const std::string& name() const { return ctl.name(); }
  std::string why() const { return site.hold ? site.hold->why : ""; }
};

class SiteMove {
public:
  SiteMove(Call& call, std::string site, Side from, Side to)
      : m_call(call), m_site(std::move(site)), m_from(std::move(from)), m_to(std::move(to)) {}

  Result<void> run(); // to the second host
  Result<void> back();

private:
  std::string moving(const Side& to) const { return cat("moving to ", to.name()); }
  std::string starting(const Side& to) const { return cat("starting on ", to.name()); }
  std::string moved(const Side& to) const { return cat("moved to ", to.name()); }
  std::string again() const;
  void say(std::string_view what, std::string_view text) const;
  void stands(const std::string& text);
  Result<void> check();
  Result<void> agree_to_it();
  Result<void> bring_release();
  Result<void> bring_data(Side& from, Side& to);
  Result<void> check_runs(Side& side) const;
  Result<void> check_good(Side& side) const;
  Result<void> copy(const Side& from, const Side& to);
  Result<void> serve(Side& side);
  void visit(const Side& side) const;
  void print_end(const Side& to, const Side& from) const;
  Result<void> on(Side& side, std::vector<std::string> words);

  Call& m_call;
  std::string m_site;
  Side m_from, m_to;
};

bool is_of_move(const std::string& why) {
  return why.starts_with("moved to ") || why.starts_with("moving to ") ||
      why.starts_with("starting on ");
}

Result<Side> look(Target target, const std::string& site) {
  auto ctl = TRY(RemoteCtl::open(Places::find(), std::move(target)));
  Side side{std::move(ctl), {}, {}};
  side.facts = TRY(side.ctl.ask<control::Facts>({"facts", site}));
  side.site = side.facts.site.value_or(control::SiteFacts{.site = site});
  const auto ran = TRY(side.ctl.shell().hook("move/data", {"size", site}));
  const auto words = split(answer_in(ran.out), ' ');
  if (ran.code != 0 || words.size() != 3)
    return fail(Code::failure, cat(side.name(), ": ", printable(trim(ran.err), 300)));
  if (words[0] != "0")
    return fail(Code::denied,
        cat(side.name(),
            ": the data of a site are read and written by root: its address has to be "
            "root@HOST"));
  side.used_kb = parse_u64(words[1]).value_or(0);
  side.free_kb = parse_u64(words[2]).value_or(0);
  return side;
}

void SiteMove::say(std::string_view what, std::string_view text) const {
  const Terminal& terminal = m_call.terminal;
  m_call.terminal.print_status(cat(terminal.err(Style::bold, what),
      std::string(what.size() < 12 ? 12 - what.size() : 1, ' '), text));
}

std::string SiteMove::again() const {
  return cat("run the same command again to continue, or with --back to return to ", m_from.name());
}

// Says what is where, after a failure or Ctrl-C.
void SiteMove::stands(const std::string& text) {
  m_call.hint = text;
  print_on_interrupt(text.empty() ? "" : cat("interrupted: ", text));
}

Result<void> SiteMove::on(Side& side, std::vector<std::string> words) {
  words.insert(words.end(), {"--", m_site});
  (void)TRY(side.ctl.run(std::move(words)));
  return {};
}

Result<void> SiteMove::check() {
  if (m_from.site.version.empty())
    return fail(Code::not_found, cat(m_site, " is not live on ", m_from.name()));
  if (m_to.facts.sealed)
    return fail(Code::sealed,
        cat(m_to.name(), " is locked: chillboxctl unlock -H ", m_to.name(),
            ". Nothing was changed"));
  if (m_from.why() == starting(m_to))
    return {}; // nothing of the first host is needed any more
  if (!m_from.why().empty() && m_from.why() != moving(m_to))
    return fail(Code::busy,
        cat(m_site, " is held on ", m_from.name(), ": ", printable(m_from.why(), 300),
            ". Nothing was changed"));
  if (const auto key = TRY(find_key(Places::find()))) {
    if (!is_trusted(m_to.facts, m_site, key->half.key) && !trusted_ssh_key(m_to.facts, m_site))
      return fail(Code::denied,
          cat(m_to.name(), " does not take ", m_site, " from your key ",
              crypto::key_id_text(key->half.key.id), ": chillboxctl trust add ",
              key->half.key.to_line(), " -H ", m_to.name(), " --name NAME. Nothing was changed"));
  }
  if (m_to.free_kb < m_from.used_kb + k_spare_kb)
    return fail(Code::preflight,
        cat(m_to.name(), " has ", human_size(m_to.free_kb * 1024), " free, and the data of ",
            m_site, " are ", human_size(m_from.used_kb * 1024), ". Nothing was changed"));
  if (m_to.site.version == m_from.site.version) // else another one is brought
    TRY(check_good(m_to));
  return check_runs(m_from);
}

Result<void> SiteMove::agree_to_it() {
  if (m_from.why() == moving(m_to) || m_from.why() == starting(m_to))
    return {};
  return must_agree(m_call,
      cat("Move ", m_site, " ", m_from.site.version, " from ", m_from.name(), " to ", m_to.name(),
          "? While its data (", human_size(m_from.used_kb * 1024),
          ") are copied, visitors see a maintenance page.",
          m_to.site.version.empty() ? ""
                                    : cat(" What ", m_to.name(), " has of it, ",
                                          human_size(m_to.used_kb * 1024), ", is deleted.")),
      false);
}

// What was withdrawn there would not start, after its data have come.
Result<void> SiteMove::check_good(Side& side) const {
  const auto list = TRY(side.ctl.ask<control::ReleaseList>({"releases", "--", m_site}));
  for (const auto& release : list.releases)
    if (release.live && release.withdrawn)
      return fail(Code::preflight,
          cat(side.name(), ": ", release.id, " of ", m_site,
              " was withdrawn there, and is never started again: give it another version"));
  return {};
}

Result<void> SiteMove::bring_release() {
  if (is_of_move(m_to.why()))
    TRY(on(m_to, {"release-hold"}));
  return cli::bring_release(m_call, m_site, m_to.name(), environment_name(m_call.args.text("env")),
      m_call.args.has("yes"));
}

Result<void> SiteMove::copy(const Side& from, const Side& to) {
  Progress progress(m_call.terminal);
  const uint64_t about = std::max<uint64_t>(from.used_kb, 1) * 1024;
  TRY_IN("data",
      from.ctl.shell().pipe(to.ctl.shell(), "move/data", {{"send", m_site}, {"receive", m_site}},
          [&](uint64_t bytes) { progress.percent("data", std::min(bytes, about), about); }));
  progress.end_line();
  const auto here = TRY(from.ctl.shell().hook("move/data", {"digest", m_site})),
             there = TRY(to.ctl.shell().hook("move/data", {"digest", m_site}));
  if (here.code != 0 || answer_in(here.out) != answer_in(there.out))
    return fail(Code::corrupt,
        cat("the data of ", m_site,
            " are not the same on both hosts after they were copied: "
            "names, owners, modes or contents differ",
            here.code != 0 ? cat(" (", printable(trim(here.err), 200), ")") : ""));
  say("data", cat(human_size(from.used_kb * 1024), ", the same on both hosts"));
  return {};
}

// A command of its crontab, or an operator's, outlives the stop of its site.
Result<void> SiteMove::check_runs(Side& side) const {
  auto runs =
      TRY(side.ctl.ask<control::RunList>({"runs", "list", "-n", k_runs, "--", m_site})).runs;
  for (auto& run :
      TRY(side.ctl.ask<control::CronHistory>({"cron", "history", "-n", k_runs, "--", m_site})).runs)
    runs.push_back(std::move(run));
  for (const auto& run : runs)
    if (run.ended_ms == 0)
      return fail(Code::busy,
          cat(side.name(), ": run ", run.id, " of ", m_site, " (", printable(run.line, 80),
              ") may still write data: wait for its end (chillboxctl runs list ", m_site, " -H ",
              side.name(), ", chillboxctl cron history ", m_site, " -H ", side.name(), ")"));
  return {};
}

// One stops, the other gets its data.
Result<void> SiteMove::bring_data(Side& from, Side& to) {
  TRY(on(from, {"maintenance", "on", "-q"}));
  TRY(on(from, {"stop", "-q"}));
  say("stop", cat(from.name(), " shows its maintenance page"));
  TRY(on(to, {"stop", "-q"}));
  TRY(check_runs(from));
  TRY(check_runs(to));
  return copy(from, to);
}

Result<void> SiteMove::serve(Side& side) {
  TRY(on(side, {"start", "-q"}));
  TRY(on(side, {"maintenance", "off", "-q"}));
  const auto sites = TRY(side.ctl.ask<control::SiteList>({"sites"}));
  const auto site = std::ranges::find(sites.sites, m_site, &control::SiteStatus::site);
  if (site == sites.sites.end() || site->state != control::SiteState::live || !site->down.empty())
    return fail(Code::failure,
        cat(side.name(), " does not serve ", m_site, ": ",
            site == sites.sites.end() ? "it has no such site"
                : site->down.empty()  ? std::string(control::name(site->state))
                                      : printable(site->down, 300)));
  say("start", cat(side.name(), " serves ", m_site, " ", site->version));
  visit(side);
  return {};
}

// By its address, since the name still leads to the other one.
void SiteMove::visit(const Side& side) const {
  const std::string address = address_of(side.ctl.target().host.target);
  const std::string name = side.site.names.empty() ? "" : side.site.names.front();
  const std::string url =
      cat("http://", address.find(':') == address.npos ? address : cat("[", address, "]"),
          side.facts.http_port == 80 ? "" : cat(":", side.facts.http_port), "/");
  const auto http = Http::create("");
  const auto reply = http && !name.empty()
      ? http->send({.url = url, .headers = {cat("Host: ", name)}, .timeout = k_visit_timeout})
      : Result<HttpReply>(fail(Code::unreachable, "it has no name"));
  if (!reply)
    say("visit", cat("not possible from here: ", reply.error().message));
  else
    say("visit",
        cat(url, " as ", name, ": ", reply->status,
            reply->status < 500
                ? ""
                : cat(" (look: chillboxctl logs ", m_site, " -H ", side.name(), ")")));
}

void SiteMove::print_end(const Side& to, const Side& from) const {
  const std::string address = address_of(to.ctl.target().host.target);
  m_call.terminal.print(cat(m_site, " is on ", to.name(), ". In DNS, point ",
      join(to.site.names, ", "), " to ", address));
  m_call.terminal.print_status(cat("until then visitors come to ", from.name(),
      ", which shows a maintenance page; when they do not any more: chillboxctl remove ", m_site,
      " -H ", from.name()));
}

Result<void> SiteMove::run() {
  const bool done = m_from.why() == moved(m_to), copied = m_from.why() == starting(m_to);
  if ((done || copied) && (m_to.why() == moving(m_from) || m_to.why() == moved(m_from)))
    return fail(Code::busy,
        cat("the way back to ", m_from.name(),
            " was begun: run the same command with --back to finish it"));
  if (done) {
    m_call.terminal.print_status(cat("unchanged: ", m_site, " was moved to ", m_to.name()));
    print_end(m_to, m_from);
    return {};
  }
  TRY(check());
  TRY(agree_to_it());
  if (!copied) {
    TRY(on(m_from, {"hold", "-q", "-m", moving(m_to)}));
    stands(cat(m_from.name(), " still serves ", m_site, ", and ", m_to.name(),
        " has not all of it: ", again()));
    TRY(bring_release());
    m_to.site = TRY(m_to.ctl.ask<control::Facts>({"facts", m_site}))
                    .site.value_or(control::SiteFacts{.site = m_site});
    TRY(check_good(m_to));
    stands(cat(
        m_site, " is in maintenance on ", m_from.name(), ", where its data are whole: ", again()));
    TRY(bring_data(m_from, m_to));
    TRY(on(m_from, {"hold", "-q", "-m", starting(m_to)}));
  }
  stands(cat(m_to.name(), " has all of ", m_site,
      ", and its data are the ones that count from here on: ", again(), " with them"));
  TRY(serve(m_to));
  TRY(on(m_from, {"hold", "-q", "-m", moved(m_to)}));
  stands("");
  print_end(m_to, m_from);
  return {};
}

Result<void> SiteMove::back() {
  const bool whole = m_from.why() == moved(m_to) || m_from.why() == starting(m_to);
  const bool copied = whole && m_to.why() == moved(m_from); // and may have been written to since
  if (!whole && m_from.why() != moving(m_to))
    return fail(Code::not_found,
        cat("no move of ", m_site, " from ", m_from.name(), " to ", m_to.name(), " was begun"));
  if (whole && !m_to.why().empty() && !is_of_move(m_to.why()))
    return fail(Code::busy,
        cat(m_site, " is held on ", m_to.name(), ": ", printable(m_to.why(), 300),
            ". Nothing was changed"));
  TRY(must_agree(m_call,
      whole && !copied
          ? cat("Back to ", m_from.name(), ", with the data that ", m_to.name(), " has now?")
          : cat("Back to ", m_from.name(), ", as it ", copied ? "is?" : "was?"),
      false));
  constexpr std::string_view not_done =
      "the way back is not done: run the same command again; the data are whole on ";
  if (whole && !copied) {
    stands(cat(not_done, m_to.name()));
    TRY(on(m_to, {"hold", "-q", "-m", moving(m_from)}));
    TRY(bring_data(m_to, m_from));
    TRY(on(m_to, {"hold", "-q", "-m", moved(m_from)}));
  }
  stands(cat(not_done, m_from.name()));
  TRY(serve(m_from));
  if (!whole && !m_to.site.version.empty())
    TRY(on(m_to, {"stop", "-q"}));
  TRY(on(m_from, {"release-hold", "-q"}));
  stands("");
  m_call.terminal.print(cat(m_site, " is on ", m_from.name(), " again",
      whole ? cat(". In DNS, point ", join(m_from.site.names, ", "), " to ",
                  address_of(m_from.ctl.target().host.target))
            : ""));
  return {};
}

} // namespace

Result<void> move_site(Call& call) {
  const Places places = Places::find();
  const std::string site = call.args.text("SITE");
  auto from = TRY(target_named(places, call.args.text("from"))),
       to = TRY(target_named(places, call.args.text("to")));
  if (from.host.target == to.host.target)
    return fail(Code::usage, "--from and --to are the same host");
  const auto project = TRY(find_project());
  if (!call.args.has("back") && (!project || TRY(project->site()) != site))
    return fail(
        Code::usage, cat("move deploys ", site, " from its project: run it in that folder"));
  SiteMove move(call, site, TRY(look(std::move(from), site)), TRY(look(std::move(to), site)));
  return call.args.has("back") ? move.back() : move.run();
}

} // namespace chillbox::cli
