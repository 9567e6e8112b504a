// What comes after a problem: one table, and the budgets within which a CA is asked at all. Pure.
#pragma once

#include "store/types.hpp"
#include "tls/acme.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace chillbox::tls {

enum class Next {
  retry,            // 1, 10, 100 min, then daily: as Let's Encrypt asks
  later,            // in an hour
  soon,             // 1 min, doubling to 6 h: it is the CA's, or the way to it
  without_replaces, // at once
  without_profile,  // at once
  register_again,   // at once, and once
  new_order,        // the order that was kept is of no use any more
  attention,        // a person is needed; daily
};

Next next_of(const Problem& problem);
// What a person can do about it; "" : nothing, or it is in the CA's own words.
std::string_view remedy_of(const Problem& problem);
// Milliseconds to wait after so many failures in a row (1: the first). Spread by up to a tenth, by
// `spread`, so that many certificates do not come at once.
int64_t delay_ms(Next next, uint64_t failures, std::string_view spread);
// When nothing answers as ourselves: 1, 5, 15, 60 min.
int64_t waiting_ms(uint64_t rounds);

// The times of a certificate's renewal by our own rule: 2/3 of its life, 1/2 of one of less than
// ten days.
int64_t renewal_ms(int64_t not_before_ms, int64_t not_after_ms);

struct Budget {
  int64_t until_ms;
  std::string why;
};
// Whether a CA may be asked now. exempt: a renewal with `replaces`, which no limit holds for.
// orders: of the last eight days.
std::optional<Budget> over_budget(const std::vector<store::CertificateOrder>& orders,
    const std::string& id, const std::vector<std::string>& names, bool exempt, int64_t now_ms);
// The same for one that a boot without its key asks for: three a week.
std::optional<Budget> over_boot_budget(
    const std::vector<store::CertificateOrder>& orders, const std::string& id, int64_t now_ms);

} // namespace chillbox::tls
