// The names that a site's NGINX text gives: variables, upstreams, zones, log formats. NGINX has one
// set of them for all sites, so each becomes another that no other site can have:
//   $origin        -> $cb_SITE__origin                 '-' in SITE is written "_d"; a name over 32
//                                                      bytes, PCRE's limit, becomes "cb__" and a
//                                                      part of its SHA-256
//   blog-web       -> blog-web.SITE.chillbox.invalid   an upstream: no host name of the world's
//   zone, format   -> SITE.zone
// Also knows which values a variable may have, so that a path or an upstream in it can be checked.
// For this room only.
#pragma once

#include "base/names.hpp"
#include "nginx/pattern.hpp"
#include "nginx/syntax.hpp"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace chillbox::nginx {

// "a${b}c$1": literal, variable "b", literal, variable "1".
struct Piece {
  bool variable = false;
  std::string text;
};
std::vector<Piece> pieces_of(std::string_view word);

// In an expanded word, for what is known only when a visitor asks:
inline constexpr char k_normal_uri = '\1';   // $uri: NGINX took ".." out of it; begins with '/'
inline constexpr char k_safe_part = '\2';    // $host, a whole or a plain group: no segment ".."
inline constexpr char k_visitors_own = '\3'; // anything

struct If { // the words of "if (...)" without the parentheses
  std::vector<std::string> words;
  bool is_match() const; // "$x ~ pattern"
};
If condition_of(const Node& node);
// Where a word of this directive is a pattern that NGINX takes variables out of: its offset in that
// word after "~" or "~*".
std::optional<size_t> pattern_at(const Node& node, size_t word);

class Names {
public:
  explicit Names(const SiteName& site);
  void collect(const std::vector<Node>& nodes); // every name that these give
  void add_upstream(const std::string& name);

  // Names as NGINX gets them; upstream() as it is when it is not the site's own.
  std::string variable(std::string_view name) const; // of one that is defined
  std::string upstream(std::string_view name) const;
  std::string own_upstream(std::string_view name) const; // of one that surely is
  std::string other(std::string_view name) const;
  std::string with_variables(std::string_view word) const;
  std::string with_groups(std::string_view pattern) const;

  bool has_variable(std::string_view name) const;
  bool has_upstream(std::string_view name) const;
  bool has_zone(const std::string& name) const { return m_zones.contains(name); }
  bool has_format(const std::string& name) const { return m_formats.contains(name); }
  // It is where a request is passed on to: values of it that are an upstream's name are renamed
  // with it.
  bool is_target(std::string_view variable) const;

  // Every value that a word may have, with the marks above in it. groups: what $1, $2 ... are;
  // nullptr: anything.
  std::vector<std::string> expand(
      std::string_view word, const std::vector<Group>* groups = nullptr) const;

private:
  struct Variable {
    std::vector<std::string> values;
    bool open = false;  // it may have any other, too
    bool whole = false; // or a group's of whole segments, or a plain one's
  };
  void collect_pairs(const Node& node);
  void collect_pattern(std::string_view pattern, bool of_path);
  void collect_target(std::string_view word);
  Variable& define(std::string_view name);
  void expand_into(std::set<std::string>& out, const std::vector<Piece>& pieces, size_t at,
      const std::string& before, const std::vector<Group>* groups) const;
  std::set<std::string> values_of(const Piece& piece, const std::vector<Group>* groups) const;

  std::string m_site, m_prefix;
  std::map<std::string, Variable>
      m_variables; // by name in lower case: NGINX does not distinguish them
  mutable std::map<std::string, std::set<std::string>> m_values; // what was expanded, each once
  std::set<std::string> m_upstreams, m_zones, m_formats, m_targets;
};

std::string lower(std::string_view text);
bool is_settable(std::string_view
        variable); // "$args", "$limit_rate": NGINX's own, which `set` may change in its request

} // namespace chillbox::nginx
