// timing TO KEY_FILE SAMPLES: can somebody tell by the time of an answer why a webhook was refused?
// Three kinds, in random order, one at a time:
//   bad       a wrong signature, of a site that may be there
//   unknown   a wrong signature, of a site that cannot be there
//   signed    a right signature, of a site that is not there (only who has a key gets that far)
// Prints for each pair Welch's t-test of the means, with the slowest hundredth of each kind left
// out, and the two-sided Kolmogorov-Smirnov test of all samples. A p below 0.01 says that they can
// be told apart.
#include "client.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

using namespace chillbox;
using namespace chillbox::gate;

namespace {

using Samples = std::vector<double>; // microseconds, sorted

struct Moments {
  double mean, variance, count;
};

Moments moments(const Samples& all) {
  const size_t n = all.size() - all.size() / 100;
  double sum = 0, squares = 0;
  for (size_t i = 0; i < n; ++i)
    sum += all[i];
  const double mean = sum / static_cast<double>(n);
  for (size_t i = 0; i < n; ++i)
    squares += (all[i] - mean) * (all[i] - mean);
  return {mean, squares / static_cast<double>(n - 1), static_cast<double>(n)};
}

// With thousands of samples Student's distribution is the normal one.
void welch(const Samples& a, const Samples& b) {
  const Moments x = moments(a), y = moments(b);
  const double t = (x.mean - y.mean) / std::sqrt(x.variance / x.count + y.variance / y.count);
  std::printf("  Welch: means differ by %.2f us, t = %.2f, p = %.4f\n", x.mean - y.mean, t,
      std::erfc(std::fabs(t) / std::sqrt(2.0)));
}

void kolmogorov_smirnov(const Samples& a, const Samples& b) {
  double d = 0;
  for (size_t i = 0, j = 0; i < a.size() && j < b.size();) {
    a[i] <= b[j] ? ++i : ++j;
    d = std::max(d,
        std::fabs(static_cast<double>(i) / static_cast<double>(a.size()) -
            static_cast<double>(j) / static_cast<double>(b.size())));
  }
  const double n = std::sqrt(static_cast<double>(a.size()) * static_cast<double>(b.size()) /
      static_cast<double>(a.size() + b.size()));
  const double lambda = (n + 0.12 + 0.11 / n) * d;
  double p = 0;
  for (int k = 1; k <= 100; ++k)
    p += (k % 2 == 1 ? 2 : -2) * std::exp(-2.0 * k * k * lambda * lambda);
  std::printf("  Kolmogorov-Smirnov: D = %.4f, p = %.4f\n", d, std::clamp(p, 0.0, 1.0));
}

} // namespace

int main(int argc, char** argv) {
  if (argc != 4)
    give_up("timing TO KEY_FILE SAMPLES");
  init_crypto();
  const SecretBytes key = read_key(argv[2]);
  const auto samples = static_cast<size_t>(std::atol(argv[3]));
  constexpr std::array<const char*, 3> k_names{"bad", "unknown", "signed"};
  std::array<Samples, 3> all;
  Dice dice{static_cast<uint64_t>(std::time(nullptr))};
  for (size_t i = 0; i < samples + 300; ++i) {
    const size_t kind = dice.below(3);
    auto w = signed_webhook(key, cat("time-", i, "-", dice.state),
        order("site.restart", kind == 0 ? R"("site":"hello")" : R"("site":"nosit")"));
    if (kind != 2)
      w.signature[10] = w.signature[10] == 'A' ? 'B' : 'A';
    const std::string bytes = request(w);
    const int fd = connect_to(argv[1], i);
    const auto begun = Clock::now();
    const int status = fd < 0 ? 0 : talk(fd, bytes);
    const double took = std::chrono::duration<double, std::micro>(Clock::now() - begun).count();
    ::close(fd);
    if (status != 401)
      give_up(cat("a refusal was answered ", status));
    if (i >= 300) // the first ones warm up
      all[kind].push_back(took);
  }
  for (size_t k = 0; k < all.size(); ++k) {
    std::sort(all[k].begin(), all[k].end());
    std::printf("%-8s %zu samples, median %.1f us, 99th percentile %.1f us\n", k_names[k],
        all[k].size(), all[k][all[k].size() / 2], all[k][all[k].size() * 99 / 100]);
  }
  for (const size_t b : {1, 2}) {
    constexpr size_t a = 0;
    std::printf("%s against %s\n", k_names[a], k_names[b]);
    welch(all[a], all[b]);
    kolmogorov_smirnov(all[a], all[b]);
  }
}
