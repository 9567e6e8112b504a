// What ended of each site for as long as the site is there, whatever history forgets: counted by
// triggers, in the transaction of the end.
#pragma once

#include "base/error.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace chillbox::store {

class Store;

// what: "job" or "run"; kind: of it; result: its state, for a job that failed the name of its code.
struct Total {
  std::string site, what, kind, result;
  uint64_t number = 0, ms = 0; // how many, and how long they took together
};

Result<std::vector<Total>> read_totals(Store& store); // by site

} // namespace chillbox::store
