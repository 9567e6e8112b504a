#include "nginx/visitor_headers.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

namespace chillbox::nginx {
namespace {

constexpr std::string_view k_may_refuse = "X-Chillbox-First";

// Headers that servers and frameworks believe, of proxies and delivery networks that are not in
// front of this host, too: an address or https, the place below which an application is, another
// path, a user, files to send. With an empty value NGINX sends none.
constexpr std::pair<std::string_view, std::string_view> k_headers[] = {
    {"X-Real-IP", "$remote_addr"}, {"X-Forwarded-For", "$remote_addr"},
    {"X-Forwarded-Proto", "$chillbox_scheme"}, {"X-Forwarded-Host", "$chillbox_name"},
    {"X-Forwarded-Port", "$chillbox_port"}, {"Proxy", ""}, {"Forwarded", ""},
    {"X-Forwarded-Protocol", ""}, {"X-Forwarded-Ssl", ""}, {"X-Forwarded-Scheme", ""},
    {"X-Forwarded-Prefix", ""}, {"X-Forwarded-Server", ""}, {"X-Url-Scheme", ""},
    {"Front-End-Https", ""}, {"X-Client-IP", ""}, {"X-Cluster-Client-IP", ""},
    {"True-Client-IP", ""}, {"X-Forwarded-Https", ""}, {"X-Forwarded-Path", ""},
    {"X-Forwarded-Uri", ""}, {"X-Forwarded-User", ""}, {"X-Forwarded-Email", ""},
    {"X-Forwarded-Groups", ""}, {"X-Forwarded-Preferred-Username", ""},
    {"X-Original-Forwarded-For", ""}, {"X-Original-Host", ""}, {"X-Original-URL", ""},
    {"X-Rewrite-URL", ""}, {"X-Host", ""}, {"X-Scheme", ""}, {"X-Script-Name", ""}, {"Https", ""},
    {"X-Arr-Ssl", ""}, {"CF-Visitor", ""}, {"CF-Connecting-IP", ""},
    {"CloudFront-Forwarded-Proto", ""}, {"Fastly-Client-IP", ""}, {"Fastly-SSL", ""},
    {"Fly-Client-IP", ""}, {"X-Envoy-External-Address", ""}, {"X-Appengine-User-IP", ""},
    {"X-Azure-ClientIP", ""}, {"X-Remote-IP", ""}, {"X-Remote-Addr", ""}, {"Client-IP", ""},
    {"Proxy-Client-IP", ""}, {"WL-Proxy-Client-IP", ""}, {"Remote-User", ""}, {"X-Remote-User", ""},
    {"X-Sendfile-Type", ""}, {"X-Accel-Mapping", ""}, {k_may_refuse, ""}};

// Variables with what the visitor wrote, and what stands for it.
constexpr std::pair<std::string_view, std::string_view> k_variables[] = {
    {"proxy_add_x_forwarded_for", "$remote_addr"}, {"http_x_forwarded_for", "$remote_addr"},
    {"http_x_real_ip", "$remote_addr"}, {"http_x_forwarded_proto", "$chillbox_scheme"},
    {"http_x_forwarded_host", "$chillbox_name"}, {"http_x_forwarded_port", "$chillbox_port"},
    {"http_host", "$chillbox_name"}};

bool is_of_name(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}

void replace_in(std::string& word) {
  for (const auto& [name, ours] : k_variables)
    for (size_t at = 0; (at = word.find('$', at)) != std::string::npos; ++at) {
      const bool braces = word.compare(at + 1, 1, "{") == 0;
      const size_t begin = at + (braces ? 2 : 1), end = begin + name.size();
      if (word.compare(begin, name.size(), name) != 0 ||
          (braces ? word.compare(end, 1, "}") != 0 : end < word.size() && is_of_name(word[end])))
        continue;
      const size_t rest = end + (braces ? 1 : 0);
      const bool plain = rest == word.size() || !is_of_name(word[rest]);
      word.replace(at, rest - at, plain ? std::string(ours) : cat("${", ours.substr(1), "}"));
    }
}

void replace_variables(std::vector<Node>& nodes) {
  for (auto& node : nodes) {
    for (auto& word : node.words)
      replace_in(word);
    replace_variables(node.inside);
  }
}

bool is_same(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) {
    return std::tolower(static_cast<unsigned char>(x)) ==
        std::tolower(static_cast<unsigned char>(y));
  });
}

bool sets(const Node& node) {
  return node.words[0] == "proxy_set_header";
}

// Also in an `if`, which may not set headers itself.
bool passes(const Node& block) {
  return std::ranges::any_of(block.inside, [](const Node& node) {
    return node.words[0] == "proxy_pass" ||
        ((node.words[0] == "if" || node.words[0] == "limit_except") && passes(node));
  });
}

// Then a visitor's headers go nowhere.
bool passes_none(const Node& block) {
  return std::ranges::any_of(block.inside, [](const Node& node) {
    return node.words == std::vector<std::string>{"proxy_pass_request_headers", "off"};
  });
}

// NGINX takes the headers of the innermost block that sets any.
void complete(Node& block, bool inherits) {
  if (passes_none(block))
    return;
  const bool own = std::ranges::any_of(block.inside, sets);
  if (own || (!inherits && block.words[0] == "location" && passes(block)))
    for (const auto& [name, value] : k_headers)
      if (std::ranges::none_of(block.inside, [&](const Node& node) {
            return sets(node) && node.words.size() > 1 && is_same(node.words[1], name);
          }))
        block.inside.push_back(
            {.words = {"proxy_set_header", std::string(name), std::string(value)}});
  for (auto& node : block.inside)
    if (node.block)
      complete(node, inherits || own);
}

} // namespace

std::string visitor_headers(std::string_view may_refuse) {
  std::string out;
  for (const auto& [name, usual] : k_headers) {
    const auto value = name == k_may_refuse ? may_refuse : usual;
    out += cat("    proxy_set_header ", name, " ", value.empty() ? "\"\"" : value, ";\n");
  }
  return out;
}

void own_visitor_headers(std::vector<Node>& nodes) {
  replace_variables(nodes);
  for (auto& node : nodes)
    if (node.block)
      complete(node, false);
}

} // namespace chillbox::nginx
