// Rows of the store as the JSON that chillboxctl and the edge show.
#pragma once

#include "control/json.hpp"
#include "store/types.hpp"

#include <nlohmann/json.hpp>

namespace chillbox::daemon {

control::Json view(const store::Job& job);
control::Json view(const store::JobEvent& event);
control::Json view(const store::Release& release, const std::string& live);
control::Json view(const store::AuditEntry& entry);
control::Json view(const store::CronRun& run);

} // namespace chillbox::daemon
