// slow TO KEY_FILE SECONDS: 200 clients that send a byte of a head every 100 ms, and come back when
// they are closed; next to them 32 that send signed webhooks, a connection each, one after the
// other with PAUSE (environment, ms, 20 by default) between. Prints what the 32 had to wait.
#include "client.hpp"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

using namespace chillbox;
using namespace chillbox::gate;

namespace {

struct Drip {
  int fd = -1;
  size_t sent = 0;
};

// Returns how often one was closed by the host.
size_t drip_all(const std::string& to, size_t count, const std::atomic<bool>& over) {
  const std::string head =
      cat("POST /v1/hooks HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ", std::string(2000, 'x'));
  std::vector<Drip> drips(count);
  size_t closed = 0;
  while (!over) {
    for (size_t i = 0; i < count; ++i) {
      Drip& d = drips[i];
      if (d.fd < 0)
        d = {connect_to(to, 3000 + i), 0};
      if (d.fd < 0)
        continue;
      char c = 0;
      const bool gone = ::recv(d.fd, &c, 1, MSG_DONTWAIT) >= 0 ||
          ::send(d.fd, &head[d.sent++ % head.size()], 1, MSG_NOSIGNAL) != 1;
      if (!gone)
        continue;
      ::close(d.fd);
      d.fd = -1;
      ++closed;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds{100});
  }
  for (const Drip& d : drips)
    if (d.fd >= 0)
      ::close(d.fd);
  return closed;
}

} // namespace

int main(int argc, char** argv) {
  if (argc != 4)
    give_up("slow TO KEY_FILE SECONDS");
  init_crypto();
  const std::string to = argv[1];
  const SecretBytes key = read_key(argv[2]);
  const char* pause_text = std::getenv("PAUSE");
  const std::chrono::milliseconds pause{pause_text != nullptr ? std::atoi(pause_text) : 20};
  std::atomic<bool> over = false;
  size_t closed = 0;
  std::thread slow([&] { closed = drip_all(to, 200, over); });
  std::this_thread::sleep_for(std::chrono::seconds{1});
  const auto end = Clock::now() + std::chrono::seconds{std::atoi(argv[3])};
  std::mutex mutex;
  std::vector<double> all;
  std::atomic<size_t> errors = 0, next = 0;
  std::vector<std::thread> valid;
  for (size_t t = 0; t < 32; ++t)
    valid.emplace_back([&, t] {
      for (size_t i = 0; Clock::now() < end; ++i) {
        const std::string bytes = request(
            signed_webhook(key, cat("slow-", t, "-", i, "-", ::getpid()), order("host.ping", "")));
        const auto begun = Clock::now();
        errors += ask(to, next++ % 2900, bytes) == 202 ? 0 : 1;
        const double took = std::chrono::duration<double, std::milli>(Clock::now() - begun).count();
        {
          const std::scoped_lock lock(mutex);
          all.push_back(took);
        }
        std::this_thread::sleep_for(pause);
      }
    });
  for (auto& thread : valid)
    thread.join();
  over = true;
  slow.join();
  std::sort(all.begin(), all.end());
  const auto at = [&](double p) {
    return all[static_cast<size_t>(p * static_cast<double>(all.size() - 1))];
  };
  std::printf(
      "200 slow clients (closed %zu times), 32 valid ones: %zu requests, %zu errors, p50 %.1f ms, p99 %.1f ms, max %.1f ms\n",
      closed, all.size(), errors.load(), at(0.5), at(0.99), at(1));
  return errors == 0 ? 0 : 1;
}
