#include "os/landlock.hpp"

#include "base/fd.hpp"
#include "base/text.hpp"

#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>

namespace chillbox::os {
namespace {

// The same on every architecture.
constexpr long k_create_ruleset = 444, k_add_rule = 445, k_restrict_self = 446;

// Newer than the headers that we build with: rights by the version of the interface that brought
// them.
struct Ruleset {
  uint64_t files, network, scopes;
};
constexpr uint64_t k_truncate = 1ULL << 14, k_ioctl_device = 1ULL << 15;
constexpr std::array<Ruleset, 7> k_rights{{
    {0, 0, 0}, {(LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1, 0, 0},       // 1: the first thirteen
    {LANDLOCK_ACCESS_FS_REFER, 0, 0}, {k_truncate, 0, 0}, {0, 3, 0}, // 4: bind and connect TCP
    {k_ioctl_device, 0, 0}, {0, 0, 3}, // 6: abstract sockets and signals
}};

constexpr uint64_t k_below = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |
    LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |
    LANDLOCK_ACCESS_FS_MAKE_SYM | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |
    LANDLOCK_ACCESS_FS_REFER | k_truncate;

Ruleset rights_of(long version) {
  Ruleset all{};
  for (size_t i = 0; i < k_rights.size() && i <= static_cast<size_t>(version); ++i) {
    all.files |= k_rights[i].files;
    all.network |= k_rights[i].network;
    all.scopes |= k_rights[i].scopes;
  }
  return all;
}

constexpr int k_rule_port = 2;    // LANDLOCK_RULE_NET_PORT
constexpr uint64_t k_bind = 1;    // LANDLOCK_ACCESS_NET_BIND_TCP
constexpr uint64_t k_connect = 2; // LANDLOCK_ACCESS_NET_CONNECT_TCP
constexpr long k_first_with_ports = 4;
struct PortRule {
  uint64_t access, port;
};

} // namespace

bool landlock_knows_ports() {
  return ::syscall(k_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION) >=
      k_first_with_ports;
}

int bind_only(std::span<const uint16_t> ports) {
  if (!landlock_knows_ports())
    return 0;
  const Ruleset rights{0, k_bind, 0};
  const Fd ruleset(static_cast<int>(::syscall(k_create_ruleset, &rights, sizeof rights, 0)));
  if (!ruleset)
    return errno;
  const PortRule any_free{k_bind, 0};
  if (::syscall(k_add_rule, ruleset.get(), k_rule_port, &any_free, 0) != 0)
    return errno;
  for (const uint16_t port : ports)
    if (const PortRule rule{k_bind, port};
        ::syscall(k_add_rule, ruleset.get(), k_rule_port, &rule, 0) != 0)
      return errno;
  return ::syscall(k_restrict_self, ruleset.get(), 0) == 0 ? 0 : errno;
}

Result<void> restrict_with_landlock(const char* beneath, std::span<const uint16_t> connect_ports) {
  const long version = ::syscall(k_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  if (version < 0 && (errno == ENOSYS || errno == EOPNOTSUPP))
    return {};
  if (version < 0)
    return fail_errno("landlock", errno);
  const Ruleset rights = rights_of(version);
  // An older kernel takes the longer struct as long as what it does not know is zero.
  const Fd ruleset(static_cast<int>(::syscall(k_create_ruleset, &rights, sizeof rights, 0)));
  if (!ruleset)
    return fail_errno("landlock: make rules", errno);
  if (beneath != nullptr) {
    const Fd directory(::open(beneath, O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!directory)
      return fail_errno(cat("landlock: open ", beneath), errno);
    const landlock_path_beneath_attr rule{k_below & rights.files, directory.get()};
    if (::syscall(k_add_rule, ruleset.get(), LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0)
      return fail_errno(cat("landlock: allow ", beneath), errno);
  }
  for (const uint16_t port : connect_ports)
    if (const PortRule rule{k_connect, port}; version >= k_first_with_ports &&
        ::syscall(k_add_rule, ruleset.get(), k_rule_port, &rule, 0) != 0)
      return fail_errno(cat("landlock: allow port ", port), errno);
  if (::syscall(k_restrict_self, ruleset.get(), 0) != 0)
    return fail_errno("landlock: restrict", errno);
  return {};
}

} // namespace chillbox::os
