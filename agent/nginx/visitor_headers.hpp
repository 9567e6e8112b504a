// What a request says of its own visitor, in text that a site brings: never what a stranger wrote.
// $remote_addr and $chillbox_scheme are the visitor's, or those that a trusted proxy reports. For
// this room only.
#pragma once

#include "nginx/syntax.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace chillbox::nginx {

// "    proxy_set_header NAME VALUE;" lines for the headers that only a proxy may set, each once.
// may_refuse: the value of X-Chillbox-First, by which a balancer lets a host refuse (balance.hpp).
std::string visitor_headers(std::string_view may_refuse = "");
// Replaces variables that repeat such a header, and adds the headers that a block with proxy_pass
// does not set itself.
void own_visitor_headers(std::vector<Node>& nodes);

} // namespace chillbox::nginx
