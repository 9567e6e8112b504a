#include "nginx/check_words.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <optional>

namespace chillbox::nginx {
namespace {

constexpr uint64_t k_max_zones = 64 << 20; // bytes of all zones of a site

// "10m", "512k", "4096"
std::optional<uint64_t> size_of(std::string_view text) {
  const char unit = text.empty() ? ' ' : static_cast<char>(text.back() | 0x20);
  const auto number =
      parse_u64(unit == 'k' || unit == 'm' ? text.substr(0, text.size() - 1) : text);
  if (!number || *number > k_max_zones)
    return std::nullopt;
  return *number << (unit == 'm' ? 20 : unit == 'k' ? 10 : 0);
}

bool is_elsewhere(std::string_view uri) {
  return uri.starts_with("http://") || uri.starts_with("https://") || uri.starts_with("$scheme://");
}

} // namespace

void Findings::refuse(const Node& node, std::string_view text) {
  problems.push_back(cat(file, ": line ", node.line, ": ", text));
}

WordChecker::WordChecker(const SiteInput& input, Findings& findings)
    : m_findings(findings), m_bounds(input), m_names(input.site->slug) {
  for (const auto& u : input.upstreams)
    if (!u.socket.empty() || u.port != 0)
      m_names.add_upstream(cat(input.site->slug.str(), "-", u.service.str()));
}

void WordChecker::problem(const Node& node, const Problem& found) {
  if (found)
    m_findings.refuse(node, cat("'", node.words[0], "': ", *found));
}

std::string WordChecker::with_variables(const Node& node, std::string_view word) {
  for (const auto& piece : pieces_of(word))
    if (piece.variable && !m_names.has_variable(piece.text) && !is_builtin_variable(piece.text) &&
        !m_bounds.allows_variable(piece.text) &&
        !(piece.text.size() == 1 && piece.text[0] >= '0' && piece.text[0] <= '9'))
      m_findings.refuse(node,
          cat("'$", printable(piece.text, 60),
              "' is neither a variable of NGINX nor one to which this template assigns a value"));
  return m_names.with_variables(word);
}

std::string WordChecker::with_pattern(const Node& node, std::string_view word, size_t start) {
  const auto pattern = word.substr(start);
  const auto groups = groups_of(pattern);
  if (!groups) {
    m_findings.refuse(node, groups.error().message);
    return {};
  }
  for (const auto& group : *groups)
    defines(node, group.name);
  return cat(word.substr(0, start), m_names.with_groups(pattern));
}

void WordChecker::defines(const Node& node, std::string_view name) {
  if (name.starts_with('$'))
    name.remove_prefix(1);
  if (!may_define(lower(name)))
    m_findings.refuse(node,
        cat("'$", printable(name, 60), "' is one of NGINX's own variables: choose another name"));
}

void WordChecker::check(const Node& node, Kind kind, Node& copy) {
  for (size_t at = 1; at < node.words.size(); ++at) {
    const auto pattern = pattern_at(node, at);
    if (pattern)
      copy.words[at] = with_pattern(node, node.words[at], *pattern);
    else if (kind != Kind::block_if) // condition() does
      copy.words[at] = with_variables(node, node.words[at]);
  }
  check_name(node, kind, copy);
  check_value(node, kind);
}

// What becomes the site's own.
void WordChecker::check_name(const Node& node, Kind kind, Node& copy) {
  const auto& w = node.words;
  switch (kind) {
  case Kind::block_if: return condition(node, copy);
  case Kind::block_upstream: copy.words[1] = m_names.upstream(w[1]); return;
  case Kind::variable_map:
  case Kind::variable_geo:
  case Kind::variable_set: return variable(node, kind, copy);
  case Kind::zone:
  case Kind::cache_path:
  case Kind::use_zone:
  case Kind::use_zone_first:
  case Kind::own_zone:
  case Kind::session_cache: return zone(node, kind, copy);
  case Kind::log_format: copy.words[1] = m_names.other(w[1]); return;
  case Kind::path: return path(node, copy);
  case Kind::access_log: return access_log(node, copy);
  case Kind::pass: return target(node, copy.words[1], w[1]);
  case Kind::server_of_upstream: return server_of_upstream(node, copy);
  default: return;
  }
}

// What stays as it is.
void WordChecker::check_value(const Node& node, Kind kind) {
  const auto& w = node.words;
  switch (kind) {
  case Kind::listen: return problem(node, m_bounds.listen(w));
  case Kind::server_name:
    for (size_t at = 1; at < w.size(); ++at)
      problem(node, m_bounds.server_name(w[at]));
    return;
  case Kind::file:
    for (const auto& value : m_names.expand(w[1]))
      problem(node, m_bounds.path(value));
    return;
  case Kind::certificate:
    return problem(node, m_bounds.certificate(w[1], w[0].ends_with("trusted_certificate")));
  case Kind::error_log: return problem(node, m_bounds.log(w[1], true));
  case Kind::uri: return uris(node);
  case Kind::error_page:
    if (!w.back().starts_with('@') && !is_elsewhere(w.back()))
      uri(node, w.back(), true);
    return;
  case Kind::rewrite: return rewrite(node);
  default: return;
  }
}

void WordChecker::path(const Node& node, Node& copy) {
  const auto& w = node.words;
  for (const auto& value : m_names.expand(m_bounds.real_path(w[1])))
    problem(node,
        m_bounds.path(
            w[0] == "alias" && open_prefix && value.ends_with('/') ? value + k_safe_part : value));
  copy.words[1] = m_bounds.real_path(copy.words[1]);
}

void WordChecker::access_log(const Node& node, Node& copy) {
  const auto& w = node.words;
  problem(node, m_bounds.log(w[1], false));
  if (w.size() > 2 && m_names.has_format(w[2]))
    copy.words[2] = m_names.other(w[2]);
  else if (w.size() > 2 && w[2].find('.') != std::string::npos)
    m_findings.refuse(node, cat("log format '", printable(w[2], 60), "' is not this template's"));
}

void WordChecker::server_of_upstream(const Node& node, Node& copy) {
  const auto& w = node.words;
  target(node, copy.words[1], w[1]);
  if (std::ranges::any_of(w, [](const auto& word) {
        return word == "resolve" || word.starts_with("service=") || word.starts_with("route=");
      }))
    m_findings.refuse(node, "'server': sites may not use resolve, service= and route=");
}

void WordChecker::condition(const Node& node, Node& copy) {
  const auto condition = condition_of(node);
  auto words = condition.words;
  const bool is_file = !words.empty() && (words[0].starts_with('-') || words[0].starts_with("!-"));
  if (words.empty() || words.size() > 3 ||
      (is_file ? words.size() != 2 : !words[0].starts_with('$')))
    return m_findings.refuse(
        node, "'if': write it as ($name), ($name = value), ($name ~ pattern) or (-f path)");
  if (is_file)
    tested(node, words[1]);
  for (size_t at = 0; at < words.size(); ++at)
    words[at] = at == 2 && condition.is_match() ? with_pattern(node, words[at], 0)
                                                : with_variables(node, words[at]);
  words.front().insert(0, "(");
  if (words.back().empty())
    words.emplace_back();
  words.back() += ')';
  words.insert(words.begin(), "if");
  copy.words = std::move(words);
}

void WordChecker::tested(const Node& node, const std::string& word) {
  auto rest = std::string_view(word);
  std::string before;
  for (const std::string_view checked : {"$request_filename", "$document_root", "$realpath_root"})
    if (rest.starts_with(checked)) {
      rest.remove_prefix(checked.size());
      before = k_normal_uri;
    }
  for (const auto& value : m_names.expand(rest))
    problem(node, m_bounds.tested_path(before + value));
}

void WordChecker::variable(const Node& node, Kind kind, Node& copy) {
  const size_t at = kind == Kind::variable_set ? 1 : node.words.size() - 1;
  const std::string_view name = node.words[at];
  if (!name.starts_with('$') || name.size() < 2 || node.words.size() > 3 ||
      (kind == Kind::variable_set && node.words.size() != 3))
    return m_findings.refuse(node, cat("'", node.words[0], "' needs a variable, such as $name"));
  if (node.words[0] == "set" && is_settable(name))
    copy.words[at] = lower(name);
  else
    defines(node, name);
  if (kind == Kind::variable_set && m_names.is_target(name.substr(1)))
    copy.words[2] = with_upstream(copy.words[2]);
}

void WordChecker::check_pair(const Node& block, Kind kind, Node& pair) {
  if (pair.block)
    return m_findings.refuse(pair, cat("'", block.words[0], "' holds no other blocks"));
  if (pair.words[0] == "include")
    return m_findings.refuse(pair, cat("'include' is not for sites in '", block.words[0], "'"));
  if (kind == Kind::block_pairs)
    return;
  const std::string key = pair.words[0];
  if (kind == Kind::variable_map && key.starts_with('~'))
    pair.words[0] = with_pattern(pair, key, key.starts_with("~*") ? 2 : 1);
  for (size_t at = 1; at < pair.words.size(); ++at)
    pair.words[at] = with_variables(pair, pair.words[at]);
  if (pair.words.size() == 2 &&
      m_names.is_target(std::string_view(block.words.back())
              .substr(std::min<size_t>(1, block.words.back().size()))))
    pair.words[1] = with_upstream(pair.words[1]);
}

// "zone=NAME:SIZE" and its like, or the first word: the name becomes the site's own.
void WordChecker::zone(const Node& node, Kind kind, Node& copy) {
  if (kind == Kind::cache_path) {
    problem(node, m_bounds.cache(node.words[1]));
    if (std::ranges::none_of(node.words, [](const auto& w) { return w.starts_with("max_size="); }))
      m_findings.refuse(node, "'proxy_cache_path' needs max_size=, else it fills the disk");
  }
  if (kind == Kind::use_zone_first || kind == Kind::own_zone) {
    if (kind == Kind::use_zone_first && node.words[0].ends_with("_cache") && node.words[1] == "off")
      return;
    copy.words[1] = renamed_zone(node, node.words[1]);
    if (kind == Kind::own_zone && node.words.size() > 2)
      takes_memory(node, node.words[2]);
    return;
  }
  for (size_t at = 1; at < node.words.size(); ++at)
    for (const std::string_view before : {"zone=", "keys_zone=", "shared:"})
      if (node.words[at].starts_with(before))
        copy.words[at] =
            std::string(before) + zone_with_size(node, node.words[at].substr(before.size()));
}

std::string WordChecker::zone_with_size(const Node& node, const std::string& text) {
  const auto colon = text.find(':');
  if (colon == std::string::npos)
    return renamed_zone(node, text);
  takes_memory(node, text.substr(colon + 1));
  return renamed_zone(node, text.substr(0, colon)) + text.substr(colon);
}

std::string WordChecker::renamed_zone(const Node& node, const std::string& name) {
  if (!m_names.has_zone(name))
    m_findings.refuse(node,
        cat("'", node.words[0], "': zone '", printable(name, 60),
            "' is not defined in this site's templates"));
  return m_names.other(name);
}

void WordChecker::takes_memory(const Node& node, std::string_view text) {
  const auto size = size_of(text);
  m_zones += size.value_or(k_max_zones + 1);
  if (!size || m_zones > k_max_zones)
    m_findings.refuse(node,
        cat("'", node.words[0], "': zones of a site are at most ", k_max_zones >> 20,
            "m together"));
}

void WordChecker::target(const Node& node, std::string& out, const std::string& word) {
  // As the visitor sent it: it may have "..", which is the service's matter, but begins with '/'.
  const auto at = word.find("$request_uri");
  for (const auto& value :
      m_names.expand(at == std::string::npos ? word : cat(word.substr(0, at), "$uri"))) {
    const auto host = host_in(value);
    problem(node, m_bounds.target(value, m_names.has_upstream(value.substr(host.at, host.length))));
  }
  out = with_upstream(out);
  // Among processes of one machine without TLS.
  if (const std::string bucket = cat("https://", k_immutable_host, "/"); out.starts_with(bucket))
    out.erase(4, 1);
}

std::string WordChecker::with_upstream(const std::string& word) const {
  const auto host = host_in(word);
  return cat(word.substr(0, host.at), m_names.upstream(word.substr(host.at, host.length)),
      word.substr(host.at + host.length));
}

// Files that are tried in their order, and a path that NGINX continues with.
void WordChecker::uris(const Node& node) {
  const auto& w = node.words;
  for (size_t at = 1; at < w.size(); ++at) {
    const bool last_of_files = w[0] == "try_files" && at + 1 == w.size();
    if ((last_of_files && (w[at].starts_with('@') || w[at].starts_with('='))) ||
        (w[at] == "off" && w.size() == 2 && w[0] != "index"))
      continue;
    uri(node, w[at], last_of_files || w[0] == "auth_request" || w[0] == "mirror");
  }
}

// with_query: what follows a '?' is no part of the path.
void WordChecker::uri(
    const Node& node, const std::string& word, bool with_query, const std::vector<Group>* groups) {
  for (const auto& value : m_names.expand(word, groups))
    problem(node,
        Bounds::clean(
            std::string_view(value).substr(0, with_query ? value.find('?') : std::string::npos)));
}

void WordChecker::rewrite(const Node& node) {
  if (node.words.size() < 3)
    return m_findings.refuse(node, "'rewrite' needs a pattern and a replacement");
  const auto& to = node.words[2];
  if (is_elsewhere(to) ||
      (node.words.size() > 3 && (node.words[3] == "redirect" || node.words[3] == "permanent")))
    return;
  const auto groups = groups_of(node.words[1]).value_or(std::vector<Group>{});
  if (!to.starts_with('/') && !to.starts_with("$uri"))
    return m_findings.refuse(node, "'rewrite': a replacement begins with '/'");
  uri(node, to, true, &groups);
}

} // namespace chillbox::nginx
