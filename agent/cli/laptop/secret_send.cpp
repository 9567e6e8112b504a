#include "artifact/pack.hpp"
#include "base/text.hpp"
#include "cli/core/host_setup.hpp"
#include "cli/core/prompt.hpp"
#include "cli/core/temporary_dir.hpp"
#include "cli/core/terminal.hpp"
#include "cli/laptop/host_session.hpp"
#include "cli/laptop/locked_host.hpp"
#include "cli/laptop/secret_change.hpp"
#include "cli/laptop/secret_sent.hpp"
#include "cli/laptop/signer.hpp"
#include "cli/laptop/ssh_signer.hpp"
#include "cli/laptop/target.hpp"
#include "os/clock.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <thread>
#include <utility>

namespace chillbox::cli {
namespace {

struct PackedSet {
  artifact::Packed what;
  Fd file;
};

// The set as a file that only the host can read. It loses its name in the cache at once.
Result<PackedSet> pack_set(
    const Places& places, const SecretPlace& place, const SecretDoc& doc, std::string recipient) {
  TRY(make_private_dir(places.cache));
  const std::string name = cat(place.site, ".secrets.");
  for (const std::string& left : {name, cat(".", name)})
    remove_left(places.cache, left);
  const std::string path = cat(places.cache, "/", name, ::getpid());
  artifact::PackRequest request{{}, {std::move(recipient)}, 0, path, false, {}};
  for (const auto& [file, text] : secret_set_of(doc))
    request.entries.push_back(
        {.name = file, .source = {}, .content = std::string(text), .link_target = {}});
  auto packed = artifact::pack(request);
  for (auto& entry : request.entries)
    wipe(entry.content.data(), entry.content.size());
  if (!packed)
    return std::unexpected(packed.error());
  PackedSet set{std::move(*packed), Fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC))};
  if (!set.file || ::unlink(path.c_str()) != 0)
    return fail_errno(cat("open ", path), errno);
  return set;
}

// With the person's own key; with that of ssh, where the host takes only that one.
Result<std::string> signature_for(Call& call, const Places& places, const PersonKey& key,
    const control::Facts& facts, const std::array<uint8_t, 64>& blake2b,
    const artifact::Statement& statement) {
  if (!is_trusted(facts, statement.site.str(), key.half.key))
    if (const auto ssh = trusted_ssh_key(facts, statement.site.str()))
      return sign_by_ssh(places, *ssh, blake2b, statement);
  return sign_artifact(call, places, key, blake2b, statement);
}

Result<HostSession> unlocked_session(Call& call, const Host& host, const std::string& site) {
  auto session = std::optional(TRY_IN(host.name, HostSession::open(host, site)));
  if (session->facts().sealed) {
    const control::Facts facts = session->facts();
    session.reset();
    TRY(unlock_before_sending(call, host, facts));
    session.emplace(TRY_IN(host.name, HostSession::open(host, site)));
  }
  return std::move(*session);
}

// What is sent, and heard of it, whatever becomes of the connection. A host that is locked
// meanwhile keeps the set and takes it at the next unlock.
Result<control::Job> bring(Call& call, const Target& target, HostSession& session,
    const control::Arguments& order, int file) {
  constexpr std::chrono::minutes k_wait{30};
  const std::string& host = target.host.name;
  std::string id, said;
  const HostSession::Heard heard{.begins = [&](const std::string& begun) { id = begun; },
      .event =
          [&](const control::JobEvent& event) {
            if (event.step == "unseal" && event.kind == control::EventKind::info &&
                std::exchange(said, event.text) != event.text)
              call.terminal.print_status(cat(host, ": ", printable(event.text, 300)));
          },
      .deadline = std::chrono::steady_clock::now() + k_wait};
  const auto once = [&]() -> Result<control::Job> {
    const uint64_t size = order.number.value_or(0);
    const uint64_t from = TRY(session.announce("deploy_secrets", order));
    TRY(session.send(file, from, size, [](uint64_t) {}));
    return session.follow(heard);
  };
  auto job = once();
  const auto lost = [&] { return !job && job.error().code == Code::unreachable; };
  for (int tried = 1; lost() && id.empty() && tried < HostSession::k_tries; ++tried) {
    std::this_thread::sleep_for(HostSession::k_pause);
    if (auto again = HostSession::open(target.host, order.site.value_or("")))
      session = std::move(*again);
    job = once();
  }
  if (lost() && !id.empty())
    job = HostSession::follow_again(target.host, id, heard);
  if (job || id.empty() || (!lost() && job.error().code != Code::timed_out))
    return job;
  call.hint = cat("chillboxctl job ", id, " -f -H ", host);
  return lost()
      ? job
      : fail(Code::timed_out, "gave up waiting after 30 minutes; the job continues there");
}

Result<control::Job> send_to(Call& call, const Places& places, const PersonKey& key,
    const SecretPlace& place, const SecretDoc& doc, const Target& target, HostSession& session) {
  const SiteName site = TRY(SiteName::parse(place.site));
  const auto& facts = session.facts();
  if (has_another_key(target, facts.recipient))
    TRY(must_agree(call,
        cat(target.host.name,
            " has another host key than the one that is remembered of it: it was set up again or "
            "recovered, or it is another machine. Send it the secrets?"),
        false));
  const PackedSet packed = TRY(pack_set(places, place, doc, facts.recipient));
  const uint64_t newest = facts.site ? facts.site->secrets_serial : 0;
  const auto minutes = static_cast<uint64_t>(os::real_clock().wall()) / 60;
  const artifact::Statement statement{.site = site,
      .secrets = true,
      .version = "",
      .serial = std::max(minutes, newest + 1),
      .sha256 = packed.what.sha256,
      .expires = {}};
  control::Arguments order;
  order.site = place.site;
  order.sha256 = packed.what.sha256.str();
  order.number = packed.what.size;
  order.signature = TRY(signature_for(call, places, key, facts, packed.what.blake2b, statement));
  auto job = bring(call, target, session, order, packed.file.get());
  if (job && !job->code && target.record && target.record->recipient != facts.recipient)
    (void)change_host( // else it is asked again
        places, target.record->name,
        [&](HostRecord& record) -> Result<void> {
          record.recipient = facts.recipient;
          return {};
        },
        Missing::is_an_error);
  return job;
}

} // namespace

Result<void> send_secrets(Call& call, const Places& places, const PersonKey& key,
    const Project& project, const SecretPlace& place, const SecretDoc& doc) {
  if (doc.files.empty())
    return fail(Code::invalid, "there are no secrets to send");
  TargetQuestion question{.flag = call.args.list("host"),
      .env_name = place.env,
      .project = &project,
      .example = "chillboxctl secrets push",
      .choose = choose_host};
  for (const Target& target : TRY(find_targets(places, question))) {
    auto session = TRY(unlocked_session(call, target.host, place.site));
    const auto job =
        TRY_IN(target.host.name, send_to(call, places, key, place, doc, target, session));
    if (job.code)
      return fail(*job.code, cat(target.host.name, ": ", job.message));
    if (const auto kept = remember_sent(places, target.host.name, place, digests_of(doc)); !kept)
      call.terminal.print_status(cat(call.terminal.err(Style::warn, "warning:"),
          " not remembered, so that `secrets diff` does not know of it: ", kept.error().message));
    print_change(call, "secrets-push", target.host.name, true,
        cat(target.host.name, ": ",
            job.message.empty() ? cat("the secrets of ", place.site, " are in use") : job.message));
  }
  return {};
}

} // namespace chillbox::cli
