#include "cli/laptop/host_batches.hpp"

#include <algorithm>

namespace chillbox::cli {

Result<size_t> in_batches(size_t hosts, const Batches& batches, const BatchSteps& steps) {
  size_t taken = 0;
  for (size_t size = batches.first; taken < hosts; size = batches.others) {
    const size_t begin = taken, end = std::min(taken + size, hosts);
    while (taken < end) {
      const size_t count = std::min(batches.at_once, end - taken);
      TRY(steps.take(taken, count));
      taken += count;
      if (!steps.goes_on())
        return taken;
    }
    if (!steps.after_batch)
      continue;
    TRY(steps.after_batch(begin, end - begin));
    if (!steps.goes_on())
      return taken;
  }
  return taken;
}

} // namespace chillbox::cli
