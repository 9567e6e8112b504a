#include "control/engine_link.hpp"

namespace chillbox::control {

bool is_engine_key(std::string_view key) {
  return !key.empty() && key.size() <= k_max_engine_key && key.front() != '/' &&
      key.find_first_not_of(
          "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:-+/") ==
      std::string_view::npos;
}

} // namespace chillbox::control
