#include "catch.hpp"
#include "support.hpp"

#include "os/memory.hpp"

#include <link.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

using namespace chillbox;

namespace {

#ifdef __GLIBC__
constexpr bool k_keeps_free_memory = true;
#else
constexpr bool k_keeps_free_memory = false; // musl gives it back when it becomes free
#endif

// kB of this process, of one line of /proc/self/status
long held(const std::string& name) {
  std::ifstream in("/proc/self/status");
  for (std::string line; std::getline(in, line);)
    if (line.starts_with(name + ":"))
      return std::atol(line.c_str() + name.size() + 1);
  return -1;
}

// A fork begins without the pages that lie in files.
int touch(dl_phdr_info* object, size_t, void*) {
  for (int i = 0; i < object->dlpi_phnum; ++i)
    if (const auto& part = object->dlpi_phdr[i]; part.p_type == PT_LOAD && part.p_flags != PF_X)
      for (size_t at = 0; at < part.p_memsz; at += 4096)
        (void)*reinterpret_cast<const volatile char*>(object->dlpi_addr + part.p_vaddr + at);
  return 0;
}

} // namespace

TEST_CASE("what a process gives back comes again when it is used, and nothing that was written is lost") {
  CHECK(os_test::exit_of([] {
    const std::string text(200'000, 'x');
    std::vector<std::string> many;
    for (int i = 0; i < 20'000; ++i)
      many.emplace_back(200, 'y');
    const std::string last = std::move(many.back()); // above all that is free then
    many.clear();
    ::dl_iterate_phdr(touch, nullptr);
    const long files = held("RssFile");
    const long heap = held("RssAnon");
    os::trim_memory();
    if (held("RssFile") > files / 2)
      return 1;
    if (k_keeps_free_memory && held("RssAnon") > heap - 3'000)
      return 2;
    return text == std::string(200'000, 'x') && std::getenv("PATH") != nullptr ? 0 : 3;
  }) == 0);
}

TEST_CASE("threads that are busy at once have one heap, which is given back when they are done") {
  CHECK(os_test::exit_of([] {
    os::keep_one_heap();
    os::trim_memory();
    const long before = held("RssAnon");
    const auto work = [] {
      for (int round = 0; round < 50; ++round) {
        std::vector<std::string> many(1'000, std::string(500, 'z'));
        std::this_thread::yield();
      }
    };
    std::vector<std::thread> threads;
    for (int i = 0; i < 16; ++i)
      threads.emplace_back(work);
    for (auto& thread : threads)
      thread.join();
    os::trim_memory();
    return held("RssAnon") < before + 1'500 ? 0 : 1; // each of 16 heaps keeps a hundred kB and more
  }) == 0);
}
