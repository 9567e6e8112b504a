// Rows as the plan says: new ones, those whose names changed, and those that go.
#include "base/log.hpp"
#include "base/text.hpp"
#include "tls/certificates.hpp"

#include <algorithm>

namespace chillbox::tls {
namespace {

constexpr int64_t k_second = 1'000;
constexpr int64_t k_first_pause_ms = 2 * k_second; // after a deploy, before the first certificate
constexpr int64_t k_debounce_ms = 60 * k_second;   // names changed, and one serves meanwhile
constexpr int64_t k_look_again_ms = 24LL * 3'600 * k_second; // at provided ones

bool same_names(std::vector<std::string> a, std::vector<std::string> b) {
  std::ranges::sort(a);
  std::ranges::sort(b);
  return a == b;
}

} // namespace

void Certificates::sync() {
  m_seen = m_host.store.sites_changed();
  const auto plan =
      make_plan(m_host.store, m_host.disk, m_host.paths, m_host.config, m_host.parts.fleet());
  auto rows = m_host.store.certificates();
  if (!plan || !rows)
    return log::error(cat("tls: ", plan ? rows.error().message : plan.error().message));
  const auto before = std::exchange(m_wanted, {});
  for (const auto& [id, wanted] : before)
    if (plan->unknown.contains(wanted.site))
      m_wanted.emplace(id, wanted);
  std::set<std::string> known;
  for (const auto& wanted : plan->wanted) {
    m_wanted.insert_or_assign(wanted.id, wanted);
    known.insert(wanted.id);
    const auto row = std::ranges::find(*rows, wanted.id, &store::Certificate::id);
    Record record = row == rows->end()
        ? Record{.id = wanted.id, .site = wanted.site, .wanted = wanted.names}
        : read_record(*row);
    const auto was = before.find(wanted.id);
    const bool is_new = was == before.end() || was->second.release != wanted.release;
    sync_one(wanted, std::move(record), is_new);
  }
  for (const auto& row : *rows)
    if (!known.contains(row.id) && !plan->unknown.contains(row.site))
      drop(read_record(row), "its site or name is gone");
}

void Certificates::sync_one(const Wanted& wanted, Record record, bool is_new) {
  const Record old = record;
  auto& f = record.facts;
  f.mode = wanted.mode;
  f.challenge = wanted.challenge;
  f.dns = wanted.dns;
  f.profile = wanted.profile;
  f.shared = is_to_share(record, wanted);
  if (wanted.mode == "provided")
    return provided(std::move(record), wanted);
  if (!wanted.orders() && (wanted.mode == "off" || wanted.mode == "edge" || !record.served()))
    return switch_off(std::move(record), wanted);
  if (!wanted.orders()) { // what there is serves on
    f.problem = wanted.why_not;
    f.memory = old.facts.memory;
    record.next_ms = 0;
    record.state = State::valid;
    if (row_of(record) != row_of(old))
      save(record);
    return;
  }
  if (old.facts.mode == "provided" && record.served())
    no_longer_provided(record);
  if (!record.served() && record.state == State::off)
    f.memory = wanted.memory;
  if (is_new)
    deployed(wanted, record);
  if (row_of(record) != row_of(old))
    save(record);
}

// What came with a secret set serves until the host has its own; the administrator's own files are
// gone, and NGINX must not be told of them any longer.
void Certificates::no_longer_provided(Record& record) {
  auto& f = record.facts;
  f.no_replaces = true; // it is another CA's
  f.renew_ms = now();
  record.state = State::valid;
  record.next_ms = now() + k_first_pause_ms;
  if (f.memory)
    return;
  const auto installed = m_host.parts.install(record.id, {});
  if (const auto reloaded = installed ? m_host.parts.reload() : Result<void>{}; !reloaded)
    log::warn(cat("certificate '", record.id, "': ", reloaded.error().message));
  record.chain.clear();
  f.names.clear();
  record.state = State::waiting;
}

// At the daemon's start each site is new, too: its names may have changed meanwhile.
void Certificates::deployed(const Wanted& wanted, Record& record) {
  const bool names_changed = !same_names(record.wanted, wanted.names);
  const bool key_moves = record.facts.memory != wanted.memory && record.served();
  record.wanted = wanted.names;
  record.facts.off_until_ms = 0;
  if (record.state == State::off) {
    record.state = State::waiting;
    if (!adopt(record, wanted))
      record.next_ms = now() + k_first_pause_ms;
  } else if (record.served()) {
    if (names_changed || key_moves) {
      record.facts.unsure = 0;
      record.next_ms = now() + k_debounce_ms;
    }
    if (!record.pending.chain.empty()) // what did not fit into the text before may fit now
      record.next_ms = now() + k_first_pause_ms;
    mend_text(record);
  } else if (!record.pending.chain.empty() || record.state == State::waiting || names_changed) {
    record.facts.failures = record.facts.unsure = 0;
    record.next_ms = now() + k_first_pause_ms;
  }
}

// The store was lost, or the file came with a copy of the host: no CA is asked for what is there.
bool Certificates::adopt(Record& record, const Wanted& wanted) {
  const auto chain = m_files.read(record);
  if (!chain || chain->leaf_facts.not_after_ms <= now())
    return false;
  for (const auto& name : chain->leaf_facts.names)
    if (std::ranges::find(wanted.names, name) == wanted.names.end())
      return false;
  const auto text = m_host.disk.read(m_files.path(record), 1 << 20);
  const auto key = text ? crypto::key_in(*text) : fail(Code::not_found, "");
  if (!key)
    return false;
  log::info(cat("certificate '", record.id, "': ", m_files.path(record), " is taken over"));
  if (auto installed = m_host.parts.install(
          record.id, text_of(record, m_files.path(record), chain->leaf_facts.names));
      !installed || (*installed && !m_host.parts.reload()))
    return false;
  served(record, *chain, *key);
  return true;
}

// NGINX lets go of the file before it goes.
void Certificates::drop(const Record& record, const std::string& why) {
  const auto installed = m_host.parts.install(record.id, {});
  const auto reloaded = installed && *installed ? m_host.parts.reload() : Result<void>{};
  if (!installed || (!reloaded && reloaded.error().code != Code::unreachable))
    return log::error(cat("certificate '", record.id,
        "' stays: ", installed ? reloaded.error().message : installed.error().message));
  if (auto removed = m_files.remove(record); !removed)
    return log::error(cat("certificate '", record.id, "': ", removed.error().message));
  if (auto removed = m_host.store.delete_certificate(record.id); !removed)
    return log::error(cat("certificate '", record.id, "': ", removed.error().message));
  log::info(cat("certificate '", record.id, "' is removed: ", why));
  m_told.erase(record.id);
}

// Browsers that were told to ask by https only are told to forget that first, for as long as they
// would remember it.
void Certificates::switch_off(Record record, const Wanted& wanted) {
  auto& f = record.facts;
  const Record old = record;
  record.wanted = wanted.names;
  record.pending = {};
  f.problem = wanted.why_not;
  f.failures = f.unsure = 0;
  f.failing_ms = 0;
  if (record.served() && f.off_until_ms == 0) {
    const auto age = static_cast<int64_t>(
        nginx::hsts_age(wanted.tls, f.https_ms == 0 ? 0 : (now() - f.https_ms) / k_second));
    f.off_until_ms = std::min(now() + age * k_second, f.not_after_ms);
    nginx::SiteTls text = text_of(record, m_files.path(record), f.names);
    text.redirect = false;
    text.hsts = 0;
    const auto installed = m_host.parts.install(record.id, text);
    if (installed && *installed)
      if (auto reloaded = m_host.parts.reload(); !reloaded)
        log::warn(cat("certificate '", record.id, "': ", reloaded.error().message));
  }
  record.state = State::off;
  record.next_ms = record.served() ? std::max(f.off_until_ms, now() + 1) : 0;
  if (row_of(record) != row_of(old))
    save(record);
}

// The part of the site's secret set that is a certificate, for NGINX's master alone.
void Certificates::copy_provided(const std::string& site, const std::string& file) {
  const auto name = SiteName::parse(site);
  const std::string from =
      name ? cat(m_host.paths.secrets_of(*name), "/tls/", site, ".pem") : std::string();
  if (from.empty() || !m_host.disk.exists(from))
    return; // the host is locked, or the set has none: what NGINX has it keeps
  const auto text = m_host.disk.read(from, 256 * 1024);
  if (text && crypto::check_certificate_file(*text)) // another one must not take its place
    if (auto written = os::write_if_changed(m_host.disk, file, *text, 0600); !written)
      log::warn(cat("site '", site, "': ", written.error().message));
}

// By a secret set or the administrator: looked at once a day, and no CA is ever asked.
void Certificates::provided(Record record, const Wanted& wanted) {
  auto& f = record.facts;
  const bool own = has_own_files(m_host.disk, m_host.paths, wanted.site);
  record.wanted = wanted.names;
  record.pending = {};
  f.memory = !own;
  const std::string folder = own_folder(m_host.paths, wanted.site);
  const std::string file = cat(m_host.paths.tls(), "/", wanted.site, ".pem");
  constexpr size_t k_largest_file = 256 * 1024;
  if (!own)
    copy_provided(wanted.site, file);
  const auto text = own ? m_host.disk.read(folder + "fullchain.pem", k_largest_file)
                        : m_host.disk.read(file, k_largest_file);
  const auto key =
      own ? m_host.disk.read(folder + "privkey.pem", k_largest_file) : Result<std::string>("");
  auto chain = text && key ? crypto::check_certificate_file(cat(*key, "\n", *text))
                           : fail(Code::not_found, "");
  record.next_ms = now() + k_look_again_ms;
  const Record old = record;
  if (!chain) {
    f.problem = text
        ? cat("its certificate cannot be used: ", chain.error().message)
        : "its certificate is not here: it comes with the secret set, once the host is unlocked";
    record.state = State::attention;
    return save(record);
  }
  const auto& facts = chain->leaf_facts;
  record.chain = chain->pem;
  record.key.clear();
  f.names = facts.names;
  f.not_before_ms = facts.not_before_ms;
  f.not_after_ms = facts.not_after_ms;
  f.issuer = facts.issuer;
  f.sha256 = facts.sha256;
  f.https_ms = f.https_ms == 0 ? now() : f.https_ms;
  f.problem.clear();
  f.plain.clear();
  for (const auto& name : wanted.names)
    if (std::ranges::none_of(
            facts.names, [&](const auto& one) { return crypto::covers(one, name); }))
      f.plain[name] = "the certificate that was provided does not have it";
  const int64_t life = f.not_after_ms - f.not_before_ms;
  f.failing_ms =
      f.not_after_ms - now() < life / 3 ? f.not_before_ms : 0; // a person has to renew it
  if (f.failing_ms != 0)
    f.problem = cat("it ends at ", rfc3339(f.not_after_ms / k_second), ": provide a new one");
  const auto installed =
      m_host.parts.install(record.id, text_of(record, own ? folder : file, f.names));
  const auto reloaded = installed && (*installed || old.facts.sha256 != f.sha256)
      ? m_host.parts.reload()
      : Result<void>{};
  record.state = installed && reloaded ? State::valid : State::attention;
  if (record.state != State::valid)
    f.problem = installed ? reloaded.error().message : installed.error().message;
  save(record);
}

} // namespace chillbox::tls
