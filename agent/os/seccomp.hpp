// A system call filter, made with libseccomp and loaded by the kernel. For this room only.
#pragma once

#include "base/error.hpp"

#include <linux/filter.h>
#include <seccomp.h>

#include <cstdint>
#include <initializer_list>
#include <span>
#include <vector>

namespace chillbox::os {

using Filter = std::vector<sock_filter>; // a program for the kernel

// A filter in the making. The first error is kept, and done() returns it.
class FilterRules {
public:
  // `otherwise`: what a call without a rule gets (SCMP_ACT_*). Calls of another architecture end
  // the process: its table would read our numbers differently.
  explicit FilterRules(uint32_t otherwise);
  FilterRules(const FilterRules&) = delete;
  FilterRules& operator=(const FilterRules&) = delete;
  ~FilterRules();

  void add_architecture(uint32_t token);
  // `call` is SCMP_SYS(name). One that an architecture does not have is left out there.
  void add(uint32_t action, int call, std::initializer_list<scmp_arg_cmp> when = {});
  void allow(std::span<const int> calls);
  // Allowed when the argument is one of `values`.
  void allow_values(int call, unsigned argument, std::initializer_list<uint32_t> values);
  // Allowed when none of `forbidden` is set in the argument and all of `needed` are.
  void allow_bits(int call, unsigned argument, uint32_t forbidden, uint32_t needed);
  Result<Filter> done();

private:
  void note(int result);
  scmp_filter_ctx m_rules;
  int m_error = 0;
};

// True when the argument, less the bits that are not in `mask`, is `value`. The kernel takes every
// argument that is compared here as 32 bits, so no more are looked at.
scmp_arg_cmp masked(unsigned argument, uint32_t mask, uint32_t value);

// Needs no_new_privs. 0, or errno; asks for no memory. For all threads: ESRCH when one has another
// filter.
int load_filter(const Filter& filter, bool all_threads);

} // namespace chillbox::os
