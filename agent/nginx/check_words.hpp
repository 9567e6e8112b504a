// The words of directives that a site brings: what they may name, and the names that become the
// site's own. For check.cpp only.
#pragma once

#include "nginx/bounds.hpp"
#include "nginx/names.hpp"
#include "nginx/pattern.hpp"
#include "nginx/rules.hpp"
#include "nginx/syntax.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace chillbox::nginx {

// What speaks against the templates, in their order.
struct Findings {
  std::string file; // the template that is looked at
  std::vector<std::string> problems;
  void refuse(const Node& node, std::string_view text);
};

class WordChecker {
public:
  WordChecker(const SiteInput& input, Findings& findings);
  // Takes note of what a template defines: a name may be used before that.
  void collect(const std::vector<Node>& nodes) { m_names.collect(nodes); }
  const Bounds& bounds() const { return m_bounds; }
  // In the location that is looked at, "/x" also begins "/x../y": NGINX appends "../y" to the
  // alias.
  bool open_prefix = false;

  // Checks the words of a directive; `copy` gets them with the site's own names.
  void check(const Node& node, Kind kind, Node& copy);
  // The same of an entry in a block of pairs, such as `map`.
  void check_pair(const Node& block, Kind kind, Node& pair);
  // Every variable must be NGINX's, the site's own or one that the host allows: another site's is
  // not to be read.
  std::string with_variables(const Node& node, std::string_view word);

private:
  void problem(const Node& node, const Problem& found);
  void check_name(const Node& node, Kind kind, Node& copy);
  void check_value(const Node& node, Kind kind);
  std::string with_pattern(const Node& node, std::string_view word, size_t start);
  std::string with_upstream(const std::string& word) const;
  void defines(const Node& node, std::string_view name);
  void path(const Node& node, Node& copy);
  void access_log(const Node& node, Node& copy);
  void condition(const Node& node, Node& copy);
  void tested(const Node& node, const std::string& word);
  void variable(const Node& node, Kind kind, Node& copy);
  void zone(const Node& node, Kind kind, Node& copy);
  std::string zone_with_size(const Node& node, const std::string& text);
  std::string renamed_zone(const Node& node, const std::string& name);
  void takes_memory(const Node& node, std::string_view text);
  void target(const Node& node, std::string& out, const std::string& word);
  void server_of_upstream(const Node& node, Node& copy);
  void uris(const Node& node);
  void uri(const Node& node, const std::string& word, bool with_query,
      const std::vector<Group>* groups = nullptr);
  void rewrite(const Node& node);

  Findings& m_findings;
  Bounds m_bounds;
  Names m_names;
  uint64_t m_zones = 0; // bytes of all zones so far
};

} // namespace chillbox::nginx
