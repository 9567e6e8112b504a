#include "os/listen_rules.hpp"

#include "os/landlock.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace chillbox::os {
namespace {

constexpr uint32_t k_mptcp = 262; // IPPROTO_MPTCP
constexpr std::array<uint32_t, 4> k_families{AF_UNIX, AF_INET, AF_INET6, AF_NETLINK};

// A program that does not find what it asks for has another way, as on a kernel that was built
// without it. Of the other tables of the machine's processor, that with 32 bits is one more way to
// the same.
Result<Filter> make_filter() {
  FilterRules rules(SCMP_ACT_ALLOW);
#if defined(__x86_64__)
  rules.add_architecture(SCMP_ARCH_X86);
  rules.add_architecture(SCMP_ARCH_X32);
#elif defined(__aarch64__)
  rules.add_architecture(SCMP_ARCH_ARM);
#endif
  rules.add(SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(io_uring_setup));
  rules.add(SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(socketcall)); // no filter sees its arguments
  for (uint32_t family = 0; family <= k_families.back(); ++family)
    if (std::ranges::find(k_families, family) == k_families.end())
      rules.add(SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), {masked(0, ~0U, family)});
  rules.add(
      SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), {{0, SCMP_CMP_GT, k_families.back(), 0}});
  rules.add(SCMP_ACT_ERRNO(EPROTONOSUPPORT), SCMP_SYS(socket), {masked(2, ~0U, k_mptcp)});
  return rules.done();
}

} // namespace

Result<ListenRules> ListenRules::create(std::vector<uint16_t> ports) {
  static const Result<Filter> filter = make_filter();
  if (!filter)
    return std::unexpected(filter.error());
  return ListenRules(std::move(ports), &*filter);
}

int ListenRules::apply() const {
  if (const int err = bind_only(m_ports); err != 0)
    return err;
  return load_filter(*m_filter, false);
}

bool ListenRules::kernel_has_ports() {
  return landlock_knows_ports();
}

} // namespace chillbox::os
