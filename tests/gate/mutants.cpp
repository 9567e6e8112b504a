// mutants TO KEY_FILE COUNT: webhooks with one change each, 16 at a time. Prints how each status
// was answered how often; fails when one was accepted, answered 5xx or not answered, or when one
// without a change is not accepted afterwards.
#include "client.hpp"

#include <array>
#include <atomic>
#include <thread>
#include <vector>

using namespace chillbox;
using namespace chillbox::gate;

int main(int argc, char** argv) {
  if (argc != 4)
    give_up("mutants TO KEY_FILE COUNT");
  init_crypto();
  const std::string to = argv[1];
  const SecretBytes key = read_key(argv[2]);
  const auto count = static_cast<size_t>(std::atol(argv[3]));
  std::atomic<size_t> next = 0;
  std::array<std::atomic<size_t>, 600> answers{};
  const auto attack = [&](size_t seed) {
    Dice dice{seed * 7919 + static_cast<size_t>(std::time(nullptr))};
    for (size_t i = next++; i < count; i = next++) {
      const std::string id = cat("gate-", i, "-", dice.state);
      const auto right = signed_webhook(
          key, id, order("host.ping", cat(R"("pad":")", std::string(dice.below(400), 'x'), '"')));
      ++answers.at(static_cast<size_t>(ask(to, i, request(test::mutant(right, dice)))));
    }
  };
  std::vector<std::thread> threads;
  for (size_t t = 0; t < 16; ++t)
    threads.emplace_back(attack, t);
  for (auto& thread : threads)
    thread.join();
  bool good = true;
  for (size_t status = 0; status < answers.size(); ++status)
    if (answers[status] > 0) {
      std::printf("mutations: %zu answered %zu\n", answers[status].load(), status);
      good = good && status >= 400 && status < 500;
    }
  for (size_t i = 0; i < 20; ++i)
    good = ask(to, i,
               request(signed_webhook(key,
                   cat("gate-right-", i, "-", Clock::now().time_since_epoch().count()),
                   order("host.ping", "")))) == 202 &&
        good;
  std::printf("mutations: %zu in all, %s\n", count,
      good ? "none accepted, none 5xx, the unchanged accepted" : "FAILED");
  return good ? 0 : 1;
}
