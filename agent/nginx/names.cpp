#include "nginx/names.hpp"

#include "base/text.hpp"
#include "crypto/hash.hpp"

#include <algorithm>
#include <array>

namespace chillbox::nginx {
namespace {

constexpr size_t k_pcre_name = 32;
constexpr size_t k_combinations = 256; // of values; more are as good as any
constexpr size_t k_expanded = 8192;

bool is_variable_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

std::string prefix_of(const SiteName& site) {
  std::string out = "cb_";
  for (const char c : site.str())
    out += c == '-' ? std::string("_d") : std::string(1, c);
  return out + "__";
}

bool is_safe_part(std::string_view variable) {
  constexpr std::array<std::string_view, 6> k_safe{
      "host", "server_name", "server_port", "scheme", "request_method", "status"};
  return std::ranges::find(k_safe, variable) != k_safe.end();
}

// "zone=NAME:10m", "keys_zone=NAME:10m", "shared:NAME:10m" -> NAME
std::optional<std::string> zone_in(std::string_view word) {
  for (const std::string_view before : {"zone=", "keys_zone=", "shared:"})
    if (word.starts_with(before)) {
      const auto name = word.substr(before.size());
      return std::string(name.substr(0, name.find(':')));
    }
  return std::nullopt;
}

} // namespace

bool is_settable(std::string_view variable) {
  return lower(variable) == "$args" || lower(variable) == "$limit_rate";
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(),
      [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
  return out;
}

std::vector<Piece> pieces_of(std::string_view word) {
  std::vector<Piece> out;
  std::string literal;
  for (size_t at = 0; at < word.size();) {
    const bool braces = word[at] == '$' && at + 1 < word.size() && word[at + 1] == '{';
    const size_t start = at + (braces ? 2 : 1);
    size_t end = start;
    if (word[at] == '$' && !braces && start < word.size() && word[start] >= '1' &&
        word[start] <= '9')
      end = start + 1;
    else
      while (word[at] == '$' && end < word.size() && is_variable_name(word[end]))
        ++end;
    if (end == start || (braces && (end >= word.size() || word[end] != '}'))) {
      literal += word[at++];
      continue;
    }
    if (!literal.empty())
      out.push_back({false, std::exchange(literal, {})});
    out.push_back({true, lower(word.substr(start, end - start))});
    at = end + (braces ? 1 : 0);
  }
  if (!literal.empty())
    out.push_back({false, literal});
  return out;
}

bool If::is_match() const {
  return words.size() == 3 &&
      (words[1] == "~" || words[1] == "~*" || words[1] == "!~" || words[1] == "!~*");
}

If condition_of(const Node& node) {
  If out{{node.words.begin() + 1, node.words.end()}};
  if (!out.words.empty() && out.words.front().starts_with('(')) {
    out.words.front().erase(0, 1);
    if (out.words.front().empty())
      out.words.erase(out.words.begin());
  }
  if (!out.words.empty() && out.words.back().ends_with(')')) {
    out.words.back().pop_back();
    if (out.words.back().empty())
      out.words.pop_back();
  }
  return out;
}

std::optional<size_t> pattern_at(const Node& node, size_t word) {
  const auto& name = node.words[0];
  const std::string_view text = node.words[word];
  const size_t marked = text.starts_with("~*") ? 2 : text.starts_with('~') ? 1 : 0;
  if (name == "location")
    return word == 2 && (node.words[1] == "~" || node.words[1] == "~*") ? std::optional<size_t>(0)
        : word == 1 && node.words.size() == 2 && marked != 0 ? std::optional<size_t>(marked)
                                                             : std::nullopt;
  if (name == "rewrite")
    return word == 1 ? std::optional<size_t>(0) : std::nullopt;
  const bool takes = name.ends_with("_redirect") || name.ends_with("_cookie_path") ||
      name.ends_with("_cookie_domain") || name.ends_with("_cookie_flags") ||
      name == "valid_referers";
  return takes && marked != 0 ? std::optional<size_t>(marked) : std::nullopt;
}

Names::Names(const SiteName& site) : m_site(site.str()), m_prefix(prefix_of(site)) {}

Names::Variable& Names::define(std::string_view name) {
  if (name.starts_with('$'))
    name.remove_prefix(1);
  return m_variables[lower(name)];
}

void Names::collect_pattern(std::string_view pattern, bool of_path) {
  const auto groups = groups_of(pattern);
  if (!groups)
    return; // the check reports it
  for (const auto& group : *groups)
    if (!group.name.empty()) {
      auto& variable = define(group.name);
      ((of_path && group.whole) || group.plain ? variable.whole : variable.open) = true;
    }
}

void Names::collect_pairs(const Node& node) {
  auto& variable = define(node.words.back());
  bool has_default = node.words[0] == "split_clients";
  for (const auto& pair : node.inside) {
    has_default = has_default || pair.words[0] == "default";
    if (pair.words.size() == 2 &&
        !(node.words[0] == "geo" && (pair.words[0] == "proxy" || pair.words[0] == "delete")))
      variable.values.push_back(pair.words[1]);
    if (node.words[0] == "map" && pair.words[0].starts_with('~'))
      collect_pattern(
          std::string_view(pair.words[0]).substr(pair.words[0].starts_with("~*") ? 2 : 1), false);
  }
  if (!has_default)
    variable.values.emplace_back();
}

// "$backend", "http://$backend/...": what such a variable holds names an upstream.
void Names::collect_target(std::string_view word) {
  const auto pieces = pieces_of(word);
  for (size_t at = 0; at < pieces.size(); ++at)
    if (pieces[at].variable && (at == 0 || (at == 1 && pieces[0].text.ends_with("://"))))
      m_targets.insert(pieces[at].text);
}

void Names::collect(const std::vector<Node>& nodes) {
  for (const auto& node : nodes) {
    const auto& name = node.words[0];
    const size_t n = node.words.size();
    if ((name == "map" || name == "geo" || name == "split_clients") && node.block && n >= 2) {
      collect_pairs(node);
      continue;
    }
    if (name == "set" && n == 3 && !is_settable(node.words[1]))
      define(node.words[1])
          .values.insert(define(node.words[1]).values.end(),
              {node.words[2], ""}); // "" where it was not come to
    else if (name == "auth_request_set" && n == 3)
      define(node.words[1]).open = true;
    else if (name == "upstream" && n == 2)
      add_upstream(node.words[1]);
    else if (name == "log_format" && n >= 2)
      m_formats.insert(node.words[1]);
    else if (name == "zone" && n >= 2)
      m_zones.insert(node.words[1]);
    else if (name.ends_with("_pass") && n == 2)
      collect_target(node.words[1]);
    else if (name == "if" && condition_of(node).is_match())
      collect_pattern(condition_of(node).words[2], false);
    for (size_t at = 1; at < n; ++at) {
      if (const auto start = pattern_at(node, at))
        collect_pattern(std::string_view(node.words[at]).substr(*start),
            name == "location" || name == "rewrite");
      if (name.ends_with("_zone") || name == "proxy_cache_path" || name == "ssl_session_cache")
        if (auto zone = zone_in(node.words[at]))
          m_zones.insert(*std::move(zone));
    }
    collect(node.inside);
  }
}

void Names::add_upstream(const std::string& name) {
  m_upstreams.insert(lower(name));
}

std::string Names::variable(std::string_view name) const {
  std::string out = m_prefix + lower(name);
  if (out.size() <= k_pcre_name)
    return out;
  return "cb__" +
      crypto::sha256_of(bytes_of(cat(m_site, " ", lower(name)))).str().substr(0, k_pcre_name - 5);
}

bool Names::has_variable(std::string_view name) const {
  return m_variables.contains(lower(name));
}
bool Names::has_upstream(std::string_view name) const {
  return m_upstreams.contains(lower(name));
}
bool Names::is_target(std::string_view variable) const {
  return m_targets.contains(lower(variable));
}

std::string Names::own_upstream(std::string_view name) const {
  return cat(lower(name), ".", m_site, ".chillbox.invalid");
}
std::string Names::upstream(std::string_view name) const {
  return has_upstream(name) ? own_upstream(name) : std::string(name);
}

std::string Names::other(std::string_view name) const {
  return cat(m_site, ".", name);
}

std::string Names::with_variables(std::string_view word) const {
  std::string out;
  const auto pieces = pieces_of(word);
  for (size_t at = 0; at < pieces.size(); ++at) {
    if (!pieces[at].variable) {
      out += pieces[at].text;
      continue;
    }
    const bool goes_on = at + 1 < pieces.size() && !pieces[at + 1].variable &&
        is_variable_name(pieces[at + 1].text[0]);
    const std::string name =
        has_variable(pieces[at].text) ? variable(pieces[at].text) : pieces[at].text;
    out += goes_on ? cat("${", name, "}") : cat("$", name);
  }
  return out;
}

std::string Names::with_groups(std::string_view pattern) const {
  return with_names(pattern, [this](const std::string& name) { return variable(name); });
}

std::set<std::string> Names::values_of(const Piece& piece, const std::vector<Group>* groups) const {
  const std::set<std::string> any{std::string(1, k_visitors_own)};
  const auto& name = piece.text;
  if (name.size() == 1 && name[0] >= '1' && name[0] <= '9') {
    const auto number = static_cast<size_t>(name[0] - '1');
    return groups != nullptr && number < groups->size() &&
            ((*groups)[number].whole || (*groups)[number].plain)
        ? std::set{std::string(1, k_safe_part)}
        : any;
  }
  const auto found = m_variables.find(name);
  if (found == m_variables.end()) {
    if (name == "uri" || name == "document_uri")
      return {std::string(1, k_normal_uri)};
    return is_safe_part(name) ? std::set{std::string(1, k_safe_part)} : any;
  }
  if (found->second.open)
    return any;
  const auto [known, is_new] = m_values.emplace(name, any); // what it is for itself, in a circle
  if (!is_new)
    return known->second;
  std::set<std::string> out;
  if (found->second.whole)
    out.insert(std::string(1, k_safe_part));
  for (const auto& value : found->second.values)
    expand_into(out, pieces_of(value), 0, "", nullptr);
  return known->second = out;
}

void Names::expand_into(std::set<std::string>& out, const std::vector<Piece>& pieces, size_t at,
    const std::string& before, const std::vector<Group>* groups) const {
  if (out.size() >= k_combinations || before.size() > k_expanded) {
    out.insert(std::string(1, k_visitors_own));
    return;
  }
  if (at == pieces.size()) {
    out.insert(before);
    return;
  }
  if (!pieces[at].variable)
    return expand_into(out, pieces, at + 1, before + pieces[at].text, groups);
  // "$is_args$args" is "?" and what follows it, or nothing.
  if (pieces[at].text == "is_args" && at + 2 == pieces.size() &&
      (pieces[at + 1].text == "args" || pieces[at + 1].text == "query_string")) {
    out.insert(before + "?");
    return;
  }
  for (const auto& value : values_of(pieces[at], groups))
    expand_into(out, pieces, at + 1, before + value, groups);
}

std::vector<std::string> Names::expand(
    std::string_view word, const std::vector<Group>* groups) const {
  std::set<std::string> out;
  expand_into(out, pieces_of(word), 0, "", groups);
  return {out.begin(), out.end()};
}

} // namespace chillbox::nginx
