// The processes of chillbox besides the monitor: one row each. chillboxd starts itself in a role
// (os/process.hpp) and finds the role's main by its flag (daemon/main.cpp); what a role may do
// comes from here. DESIGN.md's table of processes is checked against it
// (tests/os/host_layout_test.cpp).
#pragma once

#include "os/host_layout.hpp"
#include "os/process.hpp"
#include "os/sandbox.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace chillbox::os {

struct Role {
  std::string_view flag;  // chillboxd's first argument
  std::string_view title; // in the list of processes
  // That it becomes: one of host_layout.hpp, or whose work it does.
  std::string_view user;
  std::optional<Profile> profile; // nullopt: it is not confined, because it starts programs
  uint64_t memory_limit = 0;      // address space in bytes, 0: none
  uint64_t open_files = 0;        // 0: as they are
};

// An address sanitizer wants terabytes.
#ifdef CHILLBOX_SANITIZED
inline constexpr uint64_t k_stager_memory = 0;
#else
// The widest zstd window (128 MiB), the names of 50,000 entries at their longest, libraries.
inline constexpr uint64_t k_stager_memory = 512ULL << 20;
#endif
// Of the edge's gigabyte a few megabytes are used; stacks and libraries are only reserved. The
// stager's files are three of ours, three standard ones and one for each level.
inline constexpr Role k_edge_role{
    "--edge", "chillboxd: edge", k_edge_user, Profile::edge, 1ULL << 30, 1024};
inline constexpr Role k_vault_role{
    "--vault", "chillboxd: vault", k_vault_user, Profile::vault, 0, 0};
inline constexpr Role k_stager_role{
    "--stager", "chillboxd: stager", "a job's", Profile::stager, k_stager_memory, 64};
inline constexpr Role k_task_role{"--task", "chillboxd: task", "root", std::nullopt, 0, 0};
inline constexpr Role k_launcher_role{
    "--slot", "chillboxd: launcher", "the site's", std::nullopt, 0, 0};
// These four are started by os::Runner, contained, with a view of what they read and nothing else.
inline constexpr Role k_snapshot_role{
    "--snapshot", "chillboxd: snapshot", "the site's", std::nullopt, 0, 0};
inline constexpr Role k_proof_role{"--proof", "chillboxd: proof", "a job's", std::nullopt, 0, 0};
inline constexpr Role k_restore_role{
    "--restore", "chillboxd: restore", "the site's", std::nullopt, 0, 0};
inline constexpr Role k_copier_role{
    "--copier", "chillboxd: copier", "the site's", std::nullopt, 0, 0};
// These two are chillboxctl's, which has TLS (courier/courier.hpp). Of a quarter of a gigabyte a
// few megabytes are used.
inline constexpr Role k_courier_role{
    "courier", "chillboxd: courier", k_courier_user, Profile::courier, 256ULL << 20, 64};
inline constexpr Role k_dialer_role{
    "dialer", "chillboxd: dialer", k_courier_user, Profile::dialer, 64ULL << 20, 64};
inline constexpr std::array k_roles{&k_edge_role, &k_vault_role, &k_stager_role, &k_task_role,
    &k_launcher_role, &k_snapshot_role, &k_proof_role, &k_restore_role, &k_copier_role,
    &k_courier_role, &k_dialer_role};
// Those that chillboxd has a main for: the first ones.
inline constexpr size_t k_own_roles = k_roles.size() - 2;

// For Child::start; the caller adds descriptors.
RoleCommand role_command(const Role& role, std::vector<std::string> arguments = {});
// Of a role with a profile; the caller adds user and root directory.
Confinement confinement_of(const Role& role);

} // namespace chillbox::os
