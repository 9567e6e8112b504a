// What a CA issued: checked, put in place, and proven to be served; else what was there before.
#include "base/encoding.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "crypto/age.hpp"
#include "tls/certificates.hpp"

#include <algorithm>

namespace chillbox::tls {
namespace {

constexpr int k_looks = 10;
constexpr os::Millis k_look_pause{300}; // old workers may answer once more

// For the host's recipient: the public half is enough to write it, no unlock is.
Result<std::string> sealed(os::Disk& disk, const os::Paths& paths, std::string_view key) {
  const auto recipient = TRY(disk.read(paths.recipient(), 4096));
  Bytes out;
  auto writer = TRY(crypto::AgeWriter::to_recipients(
      {std::string(trim(recipient))}, [&](ByteView bytes) -> Result<void> {
        out.insert(out.end(), bytes.begin(), bytes.end());
        return {};
      }));
  TRY(writer.write(bytes_of(key)));
  TRY(writer.finish());
  return base64(out);
}

} // namespace

nginx::SiteTls Certificates::text_of(const Record& record, const std::string& certificate,
    const std::vector<std::string>& names) const {
  const Wanted wanted = wanted_of(record.id);
  const int64_t since = record.facts.https_ms;
  return {.certificate = certificate,
      .names = names,
      .redirect = wanted.tls.redirect,
      .hsts =
          nginx::hsts_age(wanted.tls, since == 0 ? 0 : std::max<int64_t>(0, now() - since) / 1'000),
      .in_memory = record.facts.memory};
}

void Certificates::mend_text(Record& record) {
  if (!record.served() || !m_files.exists(record))
    return;
  const auto installed =
      m_host.parts.install(record.id, text_of(record, m_files.path(record), record.facts.names));
  const auto reloaded = installed && *installed ? m_host.parts.reload() : Result<void>{};
  if (!installed || !reloaded)
    log::warn(cat("certificate '", record.id,
        "': ", installed ? reloaded.error().message : installed.error().message));
}

// From `verifying` or `installing`, now or after a crash: each part may be done twice.
void Certificates::finish(Record record) {
  auto& p = record.pending;
  SecretString key(p.key.begin(), p.key.end());
  if (key.empty())
    if (auto kept = m_files.read_key(record))
      key = std::move(*kept);
  const auto chain = crypto::check_chain(p.chain, key, p.names, now());
  if (!chain && chain.error().code == Code::throttled) // our clock, or theirs
    return refused(record, chain.error().message, Next::soon);
  if (!chain) {
    p = {};
    return refused(
        record, cat("what the CA issued cannot be used: ", chain.error().message), Next::attention);
  }
  record.state = State::installing;
  save(record);
  if (auto installed = install(record, *chain, key); !installed) {
    if (m_stop && installed.error().code == Code::interrupted) { // the next daemon goes on
      record.next_ms = now();
      return save(record);
    }
    take_back(record, chain->leaf_facts.sha256);
    return refused(record,
        cat("the new certificate is not in use: ", installed.error().message,
            "; it is kept, and tried again"),
        Next::soon);
  }
  served(record, *chain, key);
}

Result<void> Certificates::install(
    Record& record, const crypto::CheckedChain& chain, std::string_view key) {
  const auto candidate = TRY(m_files.write_candidate(record, cat(key, chain.pem)));
  TRY(m_host.parts.test(record.id, text_of(record, candidate, chain.leaf_facts.names)));
  TRY(m_files.put(record));
  (void)TRY(m_host.parts.install(
      record.id, text_of(record, m_files.path(record), chain.leaf_facts.names)));
  TRY(m_host.parts.reload());
  return prove(record, chain);
}

// By the handshake that a visitor makes.
Result<void> Certificates::prove(const Record& record, const crypto::CheckedChain& chain) {
  if (m_host.config.tls.proxy_protocol)
    return {}; // nobody but the proxy can ask
  std::string name = chain.leaf_facts.names.front();
  for (const auto& wanted : record.wanted)
    if (std::ranges::find(chain.leaf_facts.names, wanted) != chain.leaf_facts.names.end()) {
      name = wanted;
      break;
    }
  if (name.starts_with("*."))
    name = cat("chillbox", name.substr(1));
  std::string said;
  for (int look = 0; look < k_looks && !m_stop; ++look) {
    const auto served = m_acme.served(name, "127.0.0.1", m_host.config.https_port);
    if (served && *served == chain.leaf_facts.sha256)
      return {};
    if (!served && served.error().type == "local")
      return {}; // the engine cannot look: the reload itself was proven by its generation
    said = served ? cat("serves another certificate for ", name)
                  : cat("does not serve ", name, ": ", served.error().detail);
    m_host.clock.sleep(k_look_pause);
  }
  if (m_stop)
    return fail(Code::interrupted, "the daemon stops");
  return fail(Code::unhealthy, cat("NGINX ", said));
}

// As it was: the old file, or none and no text that names it.
void Certificates::take_back(Record& record, const std::string& sha256) {
  Result<void> done = m_files.put_back(record, sha256);
  if (done) {
    if (!m_files.read(record)) // its key was to move, and stays where it was
      record.facts.memory = !record.facts.memory;
    const bool has_old = m_files.read(record).has_value();
    if (!has_old)
      record.facts.memory = wanted_of(record.id).memory;
    const auto installed = m_host.parts.install(record.id,
        has_old ? text_of(record, m_files.path(record), record.facts.names) : nginx::SiteTls{});
    done = installed ? m_host.parts.reload() : std::unexpected(installed.error());
  }
  if (!done)
    log::error(
        cat("certificate '", record.id, "': the one before is not back: ", done.error().message));
}

void Certificates::refused(Record& record, const std::string& why, Next next) {
  record.state = State::attention;
  note_failure(record, why, "local");
  record.next_ms = now() + delay_ms(next, record.facts.failures, record.id);
  log::error(cat("certificate '", record.id, "': ", why));
  save(record);
}

void Certificates::served(Record& record, const crypto::CheckedChain& chain, std::string_view key) {
  auto& f = record.facts;
  const auto& facts = chain.leaf_facts;
  record.chain = chain.pem;
  record.key = f.memory ? std::string() : std::string(key);
  f.by = record.pending.by;
  record.pending = {};
  f.names = facts.names;
  for (const auto& name : f.names)
    f.bad.erase(name);
  f.not_before_ms = facts.not_before_ms;
  f.not_after_ms = facts.not_after_ms;
  f.issuer = facts.issuer;
  f.sha256 = facts.sha256;
  f.https_ms = f.https_ms == 0 ? now() : f.https_ms;
  f.failures = f.unsure = 0;
  f.no_replaces = false;
  f.link.clear();
  if (f.renew_ms <= now()) // what was wanted has happened
    f.renew_ms = 0;
  f.sealed_key.clear();
  if (f.memory) {
    auto copy = sealed(m_host.disk, m_host.paths, key);
    if (copy)
      f.sealed_key = std::move(*copy);
    else
      log::warn(cat("certificate '", record.id,
          "': no copy of its key for after a boot: ", copy.error().message));
  }
  log::info(cat("certificate '", record.id, "' is served, until ", rfc3339(f.not_after_ms / 1'000),
      ": ", join(f.names, " ")));
  rest(record);
  m_files.proven(record);
  Record elsewhere = record; // where its key was before
  elsewhere.facts.memory = !f.memory;
  if (auto removed = m_files.remove(elsewhere); !removed)
    log::warn(cat("certificate '", record.id, "': ", removed.error().message));
  if (f.unshared)
    share(record, true);
}

} // namespace chillbox::tls
