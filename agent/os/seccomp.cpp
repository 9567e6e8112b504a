#include "os/seccomp.hpp"

#include "base/fd.hpp"
#include "os/io.hpp"

#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace chillbox::os {

FilterRules::FilterRules(uint32_t otherwise) : m_rules(::seccomp_init(otherwise)) {
  if (m_rules == nullptr)
    m_error = ENOMEM;
  else
    note(::seccomp_attr_set(m_rules, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS));
}

FilterRules::~FilterRules() {
  ::seccomp_release(m_rules);
}

void FilterRules::add_architecture(uint32_t token) {
  note(::seccomp_arch_add(m_rules, token));
}

void FilterRules::add(uint32_t action, int call, std::initializer_list<scmp_arg_cmp> when) {
  note(::seccomp_rule_add_array(
      m_rules, action, call, static_cast<unsigned>(when.size()), when.begin()));
}

void FilterRules::allow(std::span<const int> calls) {
  for (const int call : calls)
    add(SCMP_ACT_ALLOW, call);
}

void FilterRules::allow_values(
    int call, unsigned argument, std::initializer_list<uint32_t> values) {
  for (const uint32_t value : values)
    add(SCMP_ACT_ALLOW, call, {masked(argument, ~0U, value)});
}

void FilterRules::allow_bits(int call, unsigned argument, uint32_t forbidden, uint32_t needed) {
  add(SCMP_ACT_ALLOW, call, {masked(argument, forbidden | needed, needed)});
}

Result<Filter> FilterRules::done() {
  const Fd file(::memfd_create("filter", MFD_CLOEXEC));
  if (!file)
    return fail_errno("make system call filter", errno);
  if (m_error == 0)
    note(::seccomp_export_bpf(m_rules, file.get()));
  if (m_error != 0)
    return fail_errno("make system call filter", m_error);
  Filter filter(static_cast<size_t>(::lseek(file.get(), 0, SEEK_CUR)) / sizeof(sock_filter));
  ::lseek(file.get(), 0, SEEK_SET);
  const size_t size = filter.size() * sizeof(sock_filter);
  if (read_fully(file.get(), filter.data(), size) != static_cast<ssize_t>(size))
    return fail(Code::failure, "make system call filter: it was not written to the end");
  return filter;
}

void FilterRules::note(int result) {
  if (m_error == 0 && result < 0)
    m_error = -result;
}

scmp_arg_cmp masked(unsigned argument, uint32_t mask, uint32_t value) {
  return {argument, SCMP_CMP_MASKED_EQ, mask, value};
}

int load_filter(const Filter& filter, bool all_threads) {
  const sock_fprog program{static_cast<unsigned short>(filter.size()),
      const_cast<sock_filter*>(filter.data())}; // only read
  const unsigned flags = all_threads ? SECCOMP_FILTER_FLAG_TSYNC : 0;
  const long result = ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
  return result > 0 ? ESRCH : result < 0 ? errno : 0;
}

} // namespace chillbox::os
