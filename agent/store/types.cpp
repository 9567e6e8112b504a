#include "store/types.hpp"

#include "base/encoding.hpp"
#include "store/store_internal.hpp"

#include <array>
#include <atomic>
#include <string>
#include <utility>

namespace chillbox::store {
namespace {

template <class E> struct Named {
  E value;
  std::string_view name;
};

constexpr std::array k_kinds{Named{JobKind::deploy, "deploy"}, Named{JobKind::rollback, "rollback"},
    Named{JobKind::restart, "restart"}, Named{JobKind::start, "start"},
    Named{JobKind::stop, "stop"}, Named{JobKind::secrets, "secrets"},
    Named{JobKind::remove, "remove"}, Named{JobKind::ping, "ping"}};

constexpr std::array k_states{Named{JobState::queued, "queued"},
    Named{JobState::running, "running"}, Named{JobState::waiting_upload, "waiting-upload"},
    Named{JobState::waiting_unlock, "waiting-unlock"}, Named{JobState::done, "done"},
    Named{JobState::failed, "failed"}, Named{JobState::superseded, "superseded"},
    Named{JobState::cancelled, "cancelled"}};

constexpr std::array k_releases{Named{ReleaseState::staged, "staged"},
    Named{ReleaseState::good, "good"}, Named{ReleaseState::failed, "failed"},
    Named{ReleaseState::removed, "removed"}};

template <class E, size_t N>
std::string_view name_in(const std::array<Named<E>, N>& table, E value) {
  for (const auto& row : table)
    if (row.value == value)
      return row.name;
  return "?";
}

template <class E, size_t N>
std::optional<E> value_in(const std::array<Named<E>, N>& table, std::string_view name) {
  for (const auto& row : table)
    if (row.name == name)
      return row.value;
  return std::nullopt;
}

} // namespace

std::string_view name(JobKind kind) {
  return name_in(k_kinds, kind);
}
std::string_view name(JobState state) {
  return name_in(k_states, state);
}
std::string_view name(ReleaseState state) {
  return name_in(k_releases, state);
}

std::optional<JobKind> job_kind(std::string_view text) {
  return value_in(k_kinds, text);
}
std::optional<JobState> job_state(std::string_view text) {
  return value_in(k_states, text);
}
std::optional<ReleaseState> release_state(std::string_view text) {
  return value_in(k_releases, text);
}

bool is_open(JobState state) {
  return state == JobState::queued || state == JobState::running ||
      state == JobState::waiting_upload || state == JobState::waiting_unlock;
}

std::string new_job_id(int64_t now_ms) {
  constexpr unsigned k_counter_bits = 20;
  static std::atomic<uint64_t> next = std::stoul(random_token(3), nullptr, 16);
  uint64_t value =
      static_cast<uint64_t>(now_ms) << k_counter_bits | (next++ & ((1U << k_counter_bits) - 1));
  std::array<uint8_t, sizeof value> bytes;
  for (auto at = bytes.rbegin(); at != bytes.rend(); ++at, value >>= 8)
    *at = static_cast<uint8_t>(value);
  return hex(bytes);
}

} // namespace chillbox::store
