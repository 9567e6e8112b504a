// What people read of a certificate: tls, status and doctor say the same. Times are milliseconds
// since 1970, UTC.
#pragma once

#include "cli/core/table.hpp"
#include "cli/core/terminal.hpp"
#include "control/certificate.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace chillbox::cli {

Style certificate_style(const control::Certificate& certificate);
// As in the answer; of a certificate that is served and no longer valid, "expired".
std::string state_text(const control::Certificate& certificate, int64_t now_ms);
// A row for each; one that nobody wants has none.
Table certificate_table(const std::vector<control::Certificate>& certificates, int64_t now_ms);
// "2027-01-12 14:03:22, 44 days left", "expired 3 days ago", "none yet".
std::string validity_text(const control::Certificate& certificate, int64_t now_ms);
// What is wrong with it, when it is tried again, and what to do; "" : nothing.
std::string trouble_text(const control::Certificate& certificate, int64_t now_ms);
// "blog: www.blog.example answers on http only: DNS has no address for it", for each such name.
std::vector<std::string> plain_texts(const control::Certificate& certificate);

} // namespace chillbox::cli
