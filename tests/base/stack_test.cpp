#include "catch.hpp"

#include <link.h>
#include <pthread.h>

#include <cstddef>
#include <thread>

namespace {

constexpr size_t k_stack = 1024 * 1024; // STACK of the Makefile

// What the program itself asks for: musl gives threads 128 KiB without it, glibc follows the limits
// of the process.
size_t asked_for() {
  size_t bytes = 0;
  ::dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void* out) {
        for (size_t i = 0; i < info->dlpi_phnum; ++i)
          if (info->dlpi_phdr[i].p_type == PT_GNU_STACK)
            *static_cast<size_t*>(out) = info->dlpi_phdr[i].p_memsz;
        return 1; // the program is the first
      },
      &bytes);
  return bytes;
}

size_t of_this_thread() {
  pthread_attr_t attributes;
  void* start = nullptr;
  size_t bytes = 0;
  if (::pthread_getattr_np(::pthread_self(), &attributes) == 0) {
    ::pthread_attr_getstack(&attributes, &start, &bytes);
    ::pthread_attr_destroy(&attributes);
  }
  return bytes;
}

} // namespace

TEST_CASE("a thread has a stack of a mebibyte, by a mark in the program") {
  CHECK(asked_for() == k_stack);
  size_t bytes = 0;
  std::thread([&] { bytes = of_this_thread(); }).join();
  CHECK(bytes >= k_stack * 9 / 10);
}
