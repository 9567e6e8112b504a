// What several sections of chillboxd.toml share. For this room only.
#pragma once

#include "config/fields.hpp"
#include "config/metrics.hpp"

namespace chillbox::config {

extern const TextRule k_network;
const Table<HostMetrics>& metrics_table();

} // namespace chillbox::config
