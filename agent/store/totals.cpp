#include "store/totals.hpp"

#include "store/store_internal.hpp"

namespace chillbox::store {

Result<std::vector<Total>> read_totals(Store& store) {
  auto& state = store.state();
  const std::scoped_lock lock(state.mutex);
  return state.db.all<Total>(
      "SELECT site, what, kind, result, number, ms FROM totals", [](Stmt& row) -> Result<Total> {
        return Total{row.text(0), row.text(1), row.text(2), row.text(3), row.u64(4), row.u64(5)};
      });
}

} // namespace chillbox::store
