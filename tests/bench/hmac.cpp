// hmac BYTES ROUNDS: HMAC-SHA256 of a webhook's body of that size, by the function that checks
// webhooks, by libsodium and by libcrypto's one call, turn by turn. Prints the processor's
// microseconds for one of each, the median of the rounds: "ours libsodium libcrypto".
#include "base/log.hpp"
#include "crypto/webhook.hpp"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sodium.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <string>
#include <vector>

using namespace chillbox;

namespace {

double microseconds(const std::function<void()>& work) {
  constexpr int k_times = 20;
  const auto now = [] {
    timespec t{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) * 1e6 + static_cast<double>(t.tv_nsec) / 1e3;
  };
  const double begun = now();
  for (int i = 0; i < k_times; ++i)
    work();
  return (now() - begun) / k_times;
}

} // namespace

int main(int argc, char** argv) {
  if (argc != 3 || sodium_init() < 0) {
    std::fprintf(stderr, "usage: hmac BYTES ROUNDS\n");
    return 2;
  }
  const std::string body(std::strtoul(argv[1], nullptr, 10), 'x');
  const std::array<uint8_t, 32> key{1, 2, 3};
  const auto* bytes = reinterpret_cast<const unsigned char*>(body.data());
  std::array<std::array<uint8_t, 32>, 3> made{};
  const std::array<std::function<void()>, 3> ways{
      [&] { made[0] = crypto::hmac_sha256(key, {body}); },
      [&] {
        crypto_auth_hmacsha256_state state;
        crypto_auth_hmacsha256_init(&state, key.data(), key.size());
        crypto_auth_hmacsha256_update(&state, bytes, body.size());
        crypto_auth_hmacsha256_final(&state, made[1].data());
      },
      [&] {
        HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), bytes, body.size(),
            made[2].data(), nullptr);
      }};
  std::array<std::vector<double>, 3> took;
  for (long round = std::strtol(argv[2], nullptr, 10); round > 0; --round)
    for (size_t i = 0; i < ways.size(); ++i)
      took[i].push_back(microseconds(ways[i]));
  if (took[0].empty() || made[0] != made[1] || made[0] != made[2]) {
    std::fprintf(stderr, "hmac: the three do not agree\n");
    return 1;
  }
  for (auto& all : took) {
    std::ranges::sort(all);
    std::printf("%.2f ", all[all.size() / 2]);
  }
  std::printf("\n");
}
