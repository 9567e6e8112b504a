#include "os/listen_rules.hpp"

#include "os/landlock.hpp"

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <utility>

namespace chillbox::os {
namespace {

// A table of system calls that the kernel answers. Numbers of calls that it does not have are of
// none.
struct Abi {
  uint32_t arch;
  uint32_t mask; // of a number that counts: x86_64 has a second table, with a bit set
  uint32_t socket, socketcall;
};
constexpr uint32_t k_none = 0xffffffff, k_io_uring_setup = 425;
#if defined(__x86_64__)
constexpr std::array<Abi, 2> k_abis{
    {{AUDIT_ARCH_X86_64, ~0x40000000U, 41, k_none}, {AUDIT_ARCH_I386, ~0U, 359, 102}}};
#elif defined(__aarch64__)
constexpr std::array<Abi, 2> k_abis{
    {{AUDIT_ARCH_AARCH64, ~0U, 198, k_none}, {AUDIT_ARCH_ARM, ~0U, 281, 102}}};
#endif
constexpr uint32_t k_mptcp = 262; // IPPROTO_MPTCP
constexpr std::array<uint32_t, 4> k_families{AF_UNIX, AF_INET, AF_INET6, AF_NETLINK};

using Filter = std::vector<sock_filter>;

sock_filter row(int code, uint32_t k, size_t if_true = 0, size_t if_false = 0) {
  return {static_cast<uint16_t>(code), static_cast<uint8_t>(if_true),
      static_cast<uint8_t>(if_false), k};
}
sock_filter load(size_t offset) {
  return row(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(offset));
}
// The low half of an argument: both architectures are little-endian, and the kernel takes these as
// 32 bits.
sock_filter load_argument(size_t index) {
  return load(offsetof(seccomp_data, args) + index * sizeof(uint64_t));
}
sock_filter verdict(uint32_t action) {
  return row(BPF_RET | BPF_K, action);
}
sock_filter refuse(int err) {
  return verdict(SECCOMP_RET_ERRNO | static_cast<uint32_t>(err));
}
sock_filter is(uint32_t value, size_t if_true, size_t if_false) {
  return row(BPF_JMP | BPF_JEQ | BPF_K, value, if_true, if_false);
}

// What one table's calls get; a program that does not find what it asks for has another way, as on
// a kernel that was built without it.
Filter rules_of(const Abi& abi) {
  Filter f{load(offsetof(seccomp_data, nr)), row(BPF_ALU | BPF_AND | BPF_K, abi.mask)};
  for (const uint32_t call : {k_io_uring_setup, abi.socketcall}) {
    f.push_back(is(call, 0, 1));
    f.push_back(refuse(ENOSYS));
  }
  f.push_back(is(abi.socket, 1, 0));
  f.push_back(verdict(SECCOMP_RET_ALLOW));
  f.push_back(load_argument(0));
  for (size_t i = 0; i < k_families.size(); ++i)
    f.push_back(is(k_families[i], k_families.size() - i, 0));
  f.push_back(refuse(EAFNOSUPPORT));
  f.push_back(load_argument(2));
  f.push_back(is(k_mptcp, 0, 1));
  f.push_back(refuse(EPROTONOSUPPORT));
  f.push_back(verdict(SECCOMP_RET_ALLOW));
  return f;
}

Filter whole_filter() {
  Filter all{load(offsetof(seccomp_data, arch))};
  for (const auto& abi : k_abis) {
    const Filter rules = rules_of(abi);
    all.push_back(is(abi.arch, 0, rules.size()));
    all.insert(all.end(), rules.begin(), rules.end());
  }
  all.push_back(verdict(SECCOMP_RET_KILL_PROCESS));
  return all;
}

} // namespace

ListenRules::ListenRules(std::vector<uint16_t> ports)
    : m_ports(std::move(ports)), m_filter(whole_filter()) {}

int ListenRules::apply() const {
  if (const int err = bind_only(m_ports); err != 0)
    return err;
  const sock_fprog program{static_cast<unsigned short>(m_filter.size()),
      const_cast<sock_filter*>(m_filter.data())}; // only read
  return ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0 ? 0 : errno;
}

bool ListenRules::kernel_has_ports() {
  return landlock_knows_ports();
}

} // namespace chillbox::os
