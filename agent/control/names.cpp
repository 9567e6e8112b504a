#include "control/names.hpp"

#include "base/error.hpp"

#include <algorithm>
#include <array>

namespace chillbox::control {
namespace {

// In the order of the enum: a value is its place in the table, and `unknown` the one after it.
template <class E> struct Names;
template <> struct Names<JobKind> {
  static constexpr std::array<std::string_view, 10> names{"deploy", "rollback", "restart", "start",
      "stop", "secrets", "remove", "ping", "watch", "restore"};
};
template <> struct Names<JobState> {
  static constexpr std::array<std::string_view, 8> names{"queued", "running", "waiting-upload",
      "waiting-unlock", "done", "failed", "superseded", "cancelled"};
};
template <> struct Names<EventKind> {
  static constexpr std::array<std::string_view, 6> names{
      "begin", "done", "undo", "info", "log", "end"};
};
template <> struct Names<ReleaseState> {
  static constexpr std::array<std::string_view, 5> names{
      "staged", "good", "unproven", "failed", "removed"};
};
template <> struct Names<CronState> {
  static constexpr std::array<std::string_view, 5> names{
      "running", "done", "failed", "lost", "skipped"};
};
template <> struct Names<RunKind> {
  static constexpr std::array<std::string_view, 2> names{"cron", "command"};
};
template <> struct Names<SiteState> {
  static constexpr std::array<std::string_view, 6> names{
      "none", "live", "stopped", "refused", "degraded", "sealed"};
};
template <> struct Names<ServiceState> {
  static constexpr std::array<std::string_view, 7> names{
      "files", "starting", "started", "stopped", "crashed", "crashing", "displaced"};
};
template <> struct Names<CertificateState> {
  static constexpr std::array<std::string_view, 8> names{
      "off", "waiting", "ordering", "verifying", "installing", "valid", "backing-off", "attention"};
};
template <> struct Names<AlertLevel> {
  static constexpr std::array<std::string_view, 4> names{"none", "warning", "error", "expired"};
};
template <> struct Names<Change> {
  static constexpr std::array<std::string_view, 4> names{"none", "added", "changed", "removed"};
};

template <> struct Names<Role> {
  static constexpr std::array<std::string_view, 3> names{"look", "deploy", "admin"};
};
template <> struct Names<HostTurn> {
  static constexpr std::array<std::string_view, 10> names{"waiting", "staged", "begun", "live",
      "done", "failed", "rolled_back", "stuck", "skipped-sealed", "outside"};
};

template <class E> std::string_view name_of(E value) {
  constexpr auto& names = Names<E>::names;
  static_assert(names.size() == static_cast<size_t>(E::unknown));
  return value == E::unknown ? "unknown" : names[static_cast<size_t>(value)];
}

} // namespace

std::string_view name(JobKind kind) {
  return name_of(kind);
}
std::string_view name(JobState state) {
  return name_of(state);
}
std::string_view name(EventKind kind) {
  return name_of(kind);
}
std::string_view name(ReleaseState state) {
  return name_of(state);
}
std::string_view name(CronState state) {
  return name_of(state);
}
std::string_view name(RunKind kind) {
  return name_of(kind);
}
std::string_view name(SiteState state) {
  return name_of(state);
}
std::string_view name(ServiceState state) {
  return name_of(state);
}
std::string_view name(CertificateState state) {
  return name_of(state);
}
std::string_view name(AlertLevel level) {
  return name_of(level);
}
std::string_view name(Change change) {
  return name_of(change);
}
std::string_view name(Role role) {
  return name_of(role);
}
std::string_view name(HostTurn turn) {
  return name_of(turn);
}

template <class E> E named(std::string_view name) {
  const auto& names = Names<E>::names;
  return static_cast<E>(std::ranges::find(names, name) - names.begin()); // not found: E::unknown
}
template <class E> std::span<const std::string_view> names_of() {
  return Names<E>::names;
}

template JobKind named(std::string_view);
template JobState named(std::string_view);
template EventKind named(std::string_view);
template ReleaseState named(std::string_view);
template CronState named(std::string_view);
template RunKind named(std::string_view);
template SiteState named(std::string_view);
template ServiceState named(std::string_view);
template CertificateState named(std::string_view);
template AlertLevel named(std::string_view);
template Change named(std::string_view);
template Role named(std::string_view);
template HostTurn named(std::string_view);
template std::span<const std::string_view> names_of<JobKind>();
template std::span<const std::string_view> names_of<JobState>();
template std::span<const std::string_view> names_of<EventKind>();
template std::span<const std::string_view> names_of<ReleaseState>();
template std::span<const std::string_view> names_of<CronState>();
template std::span<const std::string_view> names_of<RunKind>();
template std::span<const std::string_view> names_of<SiteState>();
template std::span<const std::string_view> names_of<ServiceState>();
template std::span<const std::string_view> names_of<CertificateState>();
template std::span<const std::string_view> names_of<AlertLevel>();
template std::span<const std::string_view> names_of<Change>();
template std::span<const std::string_view> names_of<Role>();
template std::span<const std::string_view> names_of<HostTurn>();

// Names that other headers have.
template <> Slot named(std::string_view name) {
  return parse_slot(name);
}
template <> std::span<const std::string_view> names_of<Slot>() {
  static constexpr std::array<std::string_view, 3> letters{"", "a", "b"};
  return letters;
}
template <> Code named(std::string_view name) {
  return code_from_name(name);
}
template <> std::span<const std::string_view> names_of<Code>() {
  static const auto names = [] {
    std::array<std::string_view, static_cast<size_t>(Code::changed) + 1> all; // the last of them
    for (size_t i = 0; i < all.size(); ++i)
      all[i] = code_name(static_cast<Code>(i));
    return all;
  }();
  return names;
}

} // namespace chillbox::control
