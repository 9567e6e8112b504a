#include "os/memory.hpp"

#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace chillbox::os {
namespace {

// What is as large as this goes back to the kernel when it is free. It is glibc's own limit as long
// as nothing larger was freed; then it would rise, and a text of a megabyte leave a hole in the
// heap.
[[maybe_unused]] constexpr int k_large = 128 * 1024;

// Only what is never written: the linker's own changes are in the writable parts, and would be
// lost.
int forget_object(dl_phdr_info* object, size_t, void*) {
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  for (int i = 0; i < object->dlpi_phnum; ++i) {
    const auto& part = object->dlpi_phdr[i];
    if (part.p_type != PT_LOAD || (part.p_flags & PF_W) != 0)
      continue;
    const uintptr_t begin = (object->dlpi_addr + part.p_vaddr) & ~(page - 1);
    const uintptr_t end =
        (object->dlpi_addr + part.p_vaddr + part.p_memsz + page - 1) & ~(page - 1);
    ::madvise(reinterpret_cast<void*>(begin), end - begin,
        MADV_DONTNEED); // one that cannot be given back stays
  }
  return 0;
}

} // namespace

void trim_memory() {
#ifdef __GLIBC__
  ::malloc_trim(0);
#endif
  ::dl_iterate_phdr(forget_object, nullptr);
}

void keep_one_heap() {
#ifdef __GLIBC__
  ::mallopt(M_ARENA_MAX, 1);
  ::mallopt(M_MMAP_THRESHOLD, k_large);
#endif
}

} // namespace chillbox::os
