// Verbs of backups.
#include "daemon/control_verbs.hpp"

#include "base/text.hpp"
#include "control/carried.hpp"
#include "control/log_news.hpp"

#include <unistd.h>

namespace chillbox::daemon {
namespace {

constexpr std::chrono::milliseconds k_frame_wait{60'000};

Result<std::optional<SiteName>> optional_site(const Call& call) {
  if (!call.args.site || call.args.site->empty())
    return std::optional<SiteName>();
  auto site = TRY(site_of(call));
  (void)TRY(known_site(call, site));
  return std::optional(std::move(site));
}

Result<control::BackupAnswer> backup_create(const Call& call) {
  const auto site = TRY(site_of(call));
  (void)TRY(known_site(call, site));
  auto backup = TRY(call.state.monitor.backups.create(site));
  return control::BackupAnswer{std::move(backup)};
}

Result<control::BackupAnswer> backup_verify(const Call& call) {
  const auto site = TRY(site_of(call));
  (void)TRY(known_site(call, site));
  auto backup = TRY(call.state.monitor.backups.verify(site));
  return control::BackupAnswer{std::move(backup)};
}

Result<control::BackupList> backup_list(const Call& call) {
  return call.state.monitor.backups.list(TRY(optional_site(call)));
}

// An archive is all that a site has written, and one that comes in becomes its data.
Result<void> root_alone(const Call& call) {
  if (call.visit.door == Door::operators && call.visit.uid == ::geteuid())
    return {};
  return fail(Code::denied, "an archive is given to root alone, and taken from root alone");
}

// Its descriptor is sent before the answer.
Result<control::BackupArchive> backup_get(const Call& call) {
  TRY(root_alone(call));
  const auto site = TRY(site_of(call));
  auto backup = TRY(call.state.monitor.backups.find(site, call.args.serial));
  auto archive = TRY(call.state.monitor.backups.open(backup));
  TRY(control::write_frame(
      call.fd(), control::event_text(control::to_json(control::BackupAnswer{backup}))));
  TRY(control::send_descriptor(call.fd(), archive.file.get()));
  return control::BackupArchive{
      std::move(backup), std::move(archive.signature), std::move(archive.key)};
}

Result<void> receive(const Call& call, int to, uint64_t most) {
  for (uint64_t size = 0;;) {
    const auto frame = TRY_IN("archive", control::read_frame(call.fd(), k_frame_wait));
    if (frame.empty())
      return {};
    size += frame.size();
    if (size > most)
      return fail(Code::too_large,
          cat("the archive has more than ", human_size(most), " (backup.data_max)"));
    TRY(append(to, frame, call.host().config.reserve_percent));
  }
}

// The archive follows the request.
Result<control::BackupAnswer> backup_put(const Call& call) {
  TRY(root_alone(call));
  const auto site = TRY(site_of(call));
  (void)TRY(known_site(call, site));
  if (!call.host().vault.unsealed())
    return fail(Code::sealed,
        "the host is locked, and only an unlocked one can open a backup: `chillboxctl unlock`");
  auto digest = TRY(Digest::parse(TRY(required(call.args.sha256, "sha256"))));
  auto backup = TRY(call.state.monitor.backups.take_in(
      {.site = site,
          .serial = call.args.serial.value_or(0),
          .taken_ms = static_cast<int64_t>(call.args.after.value_or(0)),
          .release = TRY(required(call.args.version, "version")),
          .sha256 = std::move(digest)},
      [&](int to, uint64_t most) { return receive(call, to, most); }));
  return control::BackupAnswer{std::move(backup)};
}

constexpr ControlVerb k_backup_verbs[] = {
    {"backup_create", answer<backup_create>, true},
    {"backup_get", answer<backup_get>, true},
    {"backup_put", answer<backup_put>, true},
    {"backup_list", answer<backup_list>},
    {"backup_verify", answer<backup_verify>, true},
};

} // namespace

std::span<const ControlVerb> backup_verbs() {
  return k_backup_verbs;
}

} // namespace chillbox::daemon
