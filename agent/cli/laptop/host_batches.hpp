// The order in which several hosts are taken: in batches, and of a batch so many at the same time.
#pragma once

#include "base/error.hpp"

#include <cstddef>
#include <functional>

namespace chillbox::cli {

struct Batches {
  size_t first = 1, others = 1; // hosts of the first batch, and of each other one
  size_t at_once = 1;
};
struct BatchSteps {
  std::function<Result<void>(size_t at, size_t count)> take;
  std::function<bool()> goes_on; // asked after each of these two
  std::function<Result<void>(size_t at, size_t count)> after_batch = {};
};
// How many were taken: all, unless it did not go on. An error of a step ends it at once.
Result<size_t> in_batches(size_t hosts, const Batches& batches, const BatchSteps& steps);

} // namespace chillbox::cli
