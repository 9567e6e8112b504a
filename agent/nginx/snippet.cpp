#include "nginx/snippet.hpp"

#include "base/text.hpp"
#include "config/expand.hpp"
#include "nginx/check.hpp"
#include "nginx/ready.hpp"
#include "nginx/site_locations.hpp"
#include "nginx/visitor_headers.hpp"

#include <algorithm>
#include <array>

namespace chillbox::nginx {
namespace {

constexpr std::string_view k_file = "nginx/server.conf";

// What may be said more than once, and adds to what the default says.
constexpr std::array<std::string_view, 13> k_adds{"location", "if", "set", "rewrite", "return",
    "break", "add_header", "add_trailer", "error_page", "allow", "deny", "set_real_ip_from",
    "auth_request_set"};
// What is the default's to say: where it listens, for whom, and where its logs are.
constexpr std::array<std::string_view, 5> k_defaults{
    "listen", "server_name", "include", "access_log", "error_log"};

template <size_t N>
bool begins_with_one_of(const Node& node, const std::array<std::string_view, N>& names) {
  return std::ranges::find(names, node.words[0]) != names.end();
}

Result<void> check_owner(const std::vector<Node>& nodes) {
  for (const auto& node : nodes)
    if (begins_with_one_of(node, k_defaults) || node.words[0].starts_with("ssl_"))
      return fail(Code::denied,
          cat(k_file, ": line ", node.line, ": '", node.words[0],
              "' is chillbox's here: a site that says it itself brings nginx/templates/"));
  return {};
}

// Its words are those of a server.
Result<std::vector<Node>> checked_inside(const SiteInput& in, std::vector<Node> nodes) {
  Node server{.words = {"server"}, .line = 1, .block = true, .inside = std::move(nodes)};
  const auto checked_text = TRY(checked({{std::string(k_file), {std::move(server)}}}, in, {}));
  auto inside = checked_text.at(0).nodes.at(0).inside;
  std::erase_if(inside, [](const Node& node) { return node.line == 0; }); // what a template gets
  return inside;
}

void put_into(Node& server, const std::vector<Node>& own) {
  auto& nodes = server.inside;
  for (const auto& node : own)
    std::erase_if(nodes, [&](const Node& other) {
      return node.words[0] == "location"
          ? other.words == node.words
          : !begins_with_one_of(node, k_adds) && other.words[0] == node.words[0];
    });
  nodes.insert(nodes.begin() + k_preamble, own.begin(), own.end());
}

} // namespace

Result<std::string> with_snippet(const SiteInput& in, const std::string& text) {
  const auto expanded =
      TRY_IN(std::string(k_file), config::expand_template(in.snippet, in.variables));
  auto own = TRY_IN(std::string(k_file), parse(expanded));
  TRY(check_owner(own));
  own = TRY(checked_inside(in, std::move(own)));
  own_visitor_headers(own);
  const auto maintenance = TRY(parse(maintenance_check(in)));
  for (auto& node : own)
    if (node.words[0] == "location")
      node.inside.insert(node.inside.begin(), maintenance.begin(), maintenance.end());
  auto nodes = TRY(parse(text));
  for (auto& node : nodes) // not the one that only sends visitors on
    if (node.words[0] == "server" && std::ranges::any_of(node.inside, [](const Node& inside) {
          return inside.words[0] == "error_page";
        }))
      put_into(node, own);
  return cat("# Site '", in.site->slug.str(), "', the default of chillboxd with its own ", k_file,
      "; changes are overwritten.\n", ready_comment(in), write(nodes));
}

} // namespace chillbox::nginx
