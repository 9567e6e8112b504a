// Where a deploy is shown while it is sent and runs: step by step (progress.hpp), or in a few lines
// under words that a user knows (cli/laptop/deploy_lines.hpp).
#pragma once

#include "control/messages.hpp"

#include <cstdint>
#include <string_view>

namespace chillbox::cli {

class JobView {
public:
  virtual ~JobView() = default;
  virtual void event(const control::JobEvent& event) = 0;
  virtual void uploading(uint64_t done, uint64_t total) = 0;
  virtual void uploaded(uint64_t total) = 0;
  virtual void upload_note(std::string_view text) = 0; // it continues, or broke off
  virtual void end_line() = 0;                         // before anything else is printed
};

} // namespace chillbox::cli
