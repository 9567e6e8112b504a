#include "nginx/check.hpp"

#include "base/text.hpp"
#include "nginx/bounds.hpp"
#include "nginx/html_page.hpp"
#include "nginx/names.hpp"
#include "nginx/pattern.hpp"
#include "nginx/rules.hpp"

#include <algorithm>
#include <optional>
#include <utility>

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

class Checker {
public:
  Checker(const SiteInput& input, const std::vector<Node>& provided)
      : m_in(input), m_bounds(input), m_names(input.site->slug), m_provided(provided) {}

  Result<std::vector<Template>> run(std::vector<Template> templates) {
    for (const auto& u : m_in.upstreams)
      if (!u.socket.empty() || u.port != 0)
        m_names.add_upstream(cat(m_in.site->slug.str(), "-", u.service.str()));
    for (const auto& t : templates)
      m_names.collect(t.nodes);
    for (auto& t : templates) {
      m_file = t.name;
      t.nodes = block(t.nodes, k_http);
    }
    if (m_problems.empty())
      return templates;
    const size_t more = m_problems.size() - 1;
    return fail(Code::denied,
        cat(m_problems[0], more == 0 ? std::string() : cat(" (and ", more, " more)")));
  }

private:
  void refuse(const Node& node, std::string_view text) {
    m_problems.push_back(cat(m_file, ": line ", node.line, ": ", text));
  }
  void problem(const Node& node, const Problem& found) {
    if (found)
      refuse(node, cat("'", node.words[0], "': ", *found));
  }

  std::vector<Node> block(const std::vector<Node>& nodes, Where where) {
    std::vector<Node> out;
    for (const auto& node : nodes)
      directive(node, where, out);
    return out;
  }

  void directive(const Node& node, Where where, std::vector<Node>& out) {
    const auto& name = node.words[0];
    const Rule* rule = rule_of(name, where);
    if (rule == nullptr && m_bounds.allows_directive(name))
      return out.push_back(allowed_by_host(node, where));
    if (rule == nullptr) {
      const std::string what = is_known_directive(name)
          ? cat("'", name, "' is not for sites ", name_of(where))
          : cat("'", printable(name, 60), "' is not for sites");
      return refuse(node,
          cat(what, ": ", what_is_allowed(name, where),
              "; the host's administrator can allow it: nginx.allow_directives in chillbox.toml"));
    }
    if (rule->kind == Kind::include)
      return include(node, where, out);
    Node copy = node;
    if (takes_block(rule->kind) != node.block)
      return refuse(node, cat("'", name, "' ", node.block ? "has no { }" : "needs { }"));
    if (node.words.size() < 2 && needs_word(rule->kind))
      return refuse(node, cat("'", name, "' needs a value"));
    words(node, rule->kind, copy);
    inside(node, rule->kind, where, copy);
    out.push_back(std::move(copy));
  }

  static bool takes_block(Kind kind) {
    switch (kind) {
    case Kind::block_server:
    case Kind::block_location:
    case Kind::block_if:
    case Kind::block_limit_except:
    case Kind::block_upstream:
    case Kind::block_pairs:
    case Kind::variable_map:
    case Kind::variable_geo: return true;
    default: return false;
    }
  }
  static bool needs_word(Kind kind) {
    return kind != Kind::any && kind != Kind::block_server && kind != Kind::block_pairs;
  }

  // The administrator knows what it does; only its variables are the site's own.
  Node allowed_by_host(const Node& node, Where where) {
    Node copy = node;
    for (size_t at = 1; at < copy.words.size(); ++at)
      copy.words[at] = with_variables(node, node.words[at]);
    copy.inside = block(node.inside, where);
    return copy;
  }

  // Every variable must be NGINX's, the site's own or one that the host allows: another site's is
  // not to be read.
  std::string with_variables(const Node& node, std::string_view word) {
    for (const auto& piece : pieces_of(word))
      if (piece.variable && !m_names.has_variable(piece.text) && !is_builtin_variable(piece.text) &&
          !m_bounds.allows_variable(piece.text) &&
          !(piece.text.size() == 1 && piece.text[0] >= '0' && piece.text[0] <= '9'))
        refuse(node,
            cat("'$", printable(piece.text, 60),
                "' is neither a variable of NGINX nor one to which this template assigns a value"));
    return m_names.with_variables(word);
  }

  std::string with_pattern(const Node& node, std::string_view word, size_t start) {
    const auto pattern = word.substr(start);
    const auto groups = groups_of(pattern);
    if (!groups) {
      refuse(node, groups.error().message);
      return {};
    }
    for (const auto& group : *groups)
      defines(node, group.name);
    return cat(word.substr(0, start), m_names.with_groups(pattern));
  }

  void defines(const Node& node, std::string_view name) {
    if (name.starts_with('$'))
      name.remove_prefix(1);
    if (is_builtin_variable(lower(name)))
      refuse(node,
          cat("'$", printable(name, 60), "' is one of NGINX's own variables: choose another name"));
  }

  void words(const Node& node, Kind kind, Node& copy) {
    for (size_t at = 1; at < node.words.size(); ++at) {
      const auto pattern = pattern_at(node, at);
      copy.words[at] = pattern     ? with_pattern(node, node.words[at], *pattern)
          : kind == Kind::block_if ? node.words[at] // condition() does
                                   : with_variables(node, node.words[at]);
    }
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
    case Kind::listen: return problem(node, m_bounds.listen(w));
    case Kind::server_name:
      for (size_t at = 1; at < w.size(); ++at)
        problem(node, m_bounds.server_name(w[at]));
      return;
    case Kind::path:
      for (const auto& value : m_names.expand(m_bounds.real_path(w[1])))
        problem(node,
            m_bounds.path(w[0] == "alias" && m_open_prefix && value.ends_with('/')
                    ? value + k_safe_part
                    : value));
      copy.words[1] = m_bounds.real_path(copy.words[1]);
      return;
    case Kind::file:
      for (const auto& value : m_names.expand(w[1]))
        problem(node, m_bounds.path(value));
      return;
    case Kind::certificate:
      return problem(node, m_bounds.certificate(w[1], w[0].ends_with("trusted_certificate")));
    case Kind::access_log:
      problem(node, m_bounds.log(w[1], false));
      if (w.size() > 2 && m_names.has_format(w[2]))
        copy.words[2] = m_names.other(w[2]);
      else if (w.size() > 2 && w[2].find('.') != std::string::npos)
        refuse(node, cat("log format '", printable(w[2], 60), "' is not this template's"));
      return;
    case Kind::error_log: return problem(node, m_bounds.log(w[1], true));
    case Kind::pass: return target(node, copy.words[1], w[1]);
    case Kind::server_of_upstream:
      target(node, copy.words[1], w[1]);
      if (std::ranges::any_of(w, [](const auto& word) {
            return word == "resolve" || word.starts_with("service=") || word.starts_with("route=");
          }))
        refuse(node, "'server': sites may not use resolve, service= and route=");
      return;
    case Kind::uri: return uris(node);
    case Kind::error_page:
      if (!w.back().starts_with('@') && !is_elsewhere(w.back()))
        uri(node, w.back(), true);
      return;
    case Kind::rewrite: return rewrite(node);
    default: return;
    }
  }

  void inside(const Node& node, Kind kind, Where where, Node& copy) {
    switch (kind) {
    case Kind::block_server: copy.inside = server(node); return;
    case Kind::block_location: {
      const bool before = std::exchange(m_open_prefix, is_open_prefix(node));
      copy.inside = block(node.inside, k_location);
      m_open_prefix = before;
      return;
    }
    case Kind::block_if:
      copy.inside = block(node.inside, where == k_server ? k_if_in_server : k_if_in_location);
      return;
    case Kind::block_limit_except: copy.inside = block(node.inside, k_limit_except); return;
    case Kind::block_upstream: copy.inside = block(node.inside, k_upstream); return;
    case Kind::block_pairs:
    case Kind::variable_map:
    case Kind::variable_geo:
      for (auto& pair : copy.inside)
        this->pair(node, kind, pair);
      return;
    default: return;
    }
  }

  // "/x" also begins "/x../y": NGINX puts "../y" behind the alias.
  static bool is_open_prefix(const Node& node) {
    const auto& last = node.words.back();
    return (node.words.size() == 2 && last.starts_with('/') && !last.ends_with('/')) ||
        (node.words.size() == 3 && node.words[1] == "^~" && !last.ends_with('/')) ||
        (last.starts_with("^~/") && !last.ends_with('/'));
  }

  std::vector<Node> server(const Node& node) {
    auto out = block(node.inside, k_server);
    const auto has = [&](std::string_view name) {
      return std::ranges::any_of(out, [&](const Node& n) { return n.words[0] == name; });
    };
    std::string first = server_preamble("", m_in.site->slug);
    if (!has("listen"))
      first += nginx::listen(m_in.host->http_port, m_in.ipv6);
    if (!has("server_name") && !m_in.site->domains.empty())
      first += cat("server_name ", join(m_in.site->domains, " "), ";\n");
    first += answers_directive("", m_in.paths, m_in.site->slug);
    if (!has("access_log")) // ours ends those that it would have inherited
      first += cat("access_log ", m_in.paths.root, "/var/log/nginx/", m_in.site->slug.str(),
          "/access.log combined;\n");
    auto nodes = parse(first).value_or(std::vector<Node>{});
    out.insert(
        out.begin(), std::make_move_iterator(nodes.begin()), std::make_move_iterator(nodes.end()));
    return out;
  }

  // The one that chillboxd provides, wherever the original had it; or a file that the administrator
  // allows.
  void include(const Node& node, Where where, std::vector<Node>& out) {
    const std::string file = node.words.size() == 2 ? node.words[1] : std::string();
    const std::string ours = m_in.site->slug.str() + ".ssl_cert.include";
    if (where == k_server && (file == ours || file.ends_with("/" + ours))) {
      out.insert(out.end(), m_provided.begin(), m_provided.end());
      return;
    }
    if (m_bounds.allows_path(file))
      return out.push_back(node);
    refuse(node,
        cat("'include ", printable(file, 100), "': only ", ours,
            ", in a server, is allowed for sites; chillbox.toml may allow more: nginx.allow_paths"));
  }

  void condition(const Node& node, Node& copy) {
    const auto condition = condition_of(node);
    auto words = condition.words;
    const bool is_file =
        !words.empty() && (words[0].starts_with('-') || words[0].starts_with("!-"));
    if (words.empty() || words.size() > 3 ||
        (is_file ? words.size() != 2 : !words[0].starts_with('$')))
      return refuse(
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

  void tested(const Node& node, const std::string& word) {
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

  void variable(const Node& node, Kind kind, Node& copy) {
    const size_t at = kind == Kind::variable_set ? 1 : node.words.size() - 1;
    const std::string_view name = node.words[at];
    if (!name.starts_with('$') || name.size() < 2 || node.words.size() > 3 ||
        (kind == Kind::variable_set && node.words.size() != 3))
      return refuse(node, cat("'", node.words[0], "' needs a variable, such as $name"));
    if (node.words[0] == "set" && is_settable(name))
      copy.words[at] = lower(name);
    else
      defines(node, name);
    if (kind == Kind::variable_set && m_names.is_target(name.substr(1)))
      copy.words[2] = with_upstream(copy.words[2]);
  }

  void pair(const Node& block, Kind kind, Node& pair) {
    if (pair.block)
      return refuse(pair, cat("'", block.words[0], "' holds no other blocks"));
    if (pair.words[0] == "include")
      return refuse(pair, cat("'include' is not for sites in '", block.words[0], "'"));
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
  void zone(const Node& node, Kind kind, Node& copy) {
    if (kind == Kind::cache_path) {
      problem(node, m_bounds.cache(node.words[1]));
      if (std::ranges::none_of(
              node.words, [](const auto& w) { return w.starts_with("max_size="); }))
        refuse(node, "'proxy_cache_path' needs max_size=, else it fills the disk");
    }
    if (kind == Kind::use_zone_first || kind == Kind::own_zone) {
      if (kind == Kind::use_zone_first && node.words[0].ends_with("_cache") &&
          node.words[1] == "off")
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

  std::string zone_with_size(const Node& node, const std::string& text) {
    const auto colon = text.find(':');
    if (colon == std::string::npos)
      return renamed_zone(node, text);
    takes_memory(node, text.substr(colon + 1));
    return renamed_zone(node, text.substr(0, colon)) + text.substr(colon);
  }

  std::string renamed_zone(const Node& node, const std::string& name) {
    if (!m_names.has_zone(name))
      refuse(node,
          cat("'", node.words[0], "': zone '", printable(name, 60),
              "' is not defined in this site's templates"));
    return m_names.other(name);
  }

  void takes_memory(const Node& node, std::string_view text) {
    const auto size = size_of(text);
    m_zones += size.value_or(k_max_zones + 1);
    if (!size || m_zones > k_max_zones)
      refuse(node,
          cat("'", node.words[0], "': zones of a site are at most ", k_max_zones >> 20,
              "m together"));
  }

  void target(const Node& node, std::string& out, const std::string& word) {
    // As the visitor sent it: it may have "..", which is the service's matter, but begins with '/'.
    const auto at = word.find("$request_uri");
    for (const auto& value :
        m_names.expand(at == std::string::npos ? word : cat(word.substr(0, at), "$uri"))) {
      const auto host = host_in(value);
      problem(
          node, m_bounds.target(value, m_names.has_upstream(value.substr(host.at, host.length))));
    }
    out = with_upstream(out);
    // Among processes of one machine without TLS.
    if (const std::string bucket = cat("https://", k_immutable_host, "/"); out.starts_with(bucket))
      out.erase(4, 1);
  }

  std::string with_upstream(const std::string& word) const {
    const auto host = host_in(word);
    return cat(word.substr(0, host.at), m_names.upstream(word.substr(host.at, host.length)),
        word.substr(host.at + host.length));
  }

  // Files that are tried in their order, and a path that NGINX goes on with.
  void uris(const Node& node) {
    const auto& w = node.words;
    for (size_t at = 1; at < w.size(); ++at) {
      const bool last_of_files = w[0] == "try_files" && at + 1 == w.size();
      if ((last_of_files && (w[at].starts_with('@') || w[at].starts_with('='))) ||
          (w[at] == "off" && w.size() == 2 && w[0] != "index"))
        continue;
      uri(node, w[at], last_of_files || w[0] == "auth_request" || w[0] == "mirror");
    }
  }

  // with_query: what is behind a '?' is no part of the path.
  void uri(const Node& node, const std::string& word, bool with_query,
      const std::vector<Group>* groups = nullptr) {
    for (const auto& value : m_names.expand(word, groups))
      problem(node,
          Bounds::clean(
              std::string_view(value).substr(0, with_query ? value.find('?') : std::string::npos)));
  }

  static bool is_elsewhere(std::string_view uri) {
    return uri.starts_with("http://") || uri.starts_with("https://") ||
        uri.starts_with("$scheme://");
  }

  void rewrite(const Node& node) {
    if (node.words.size() < 3)
      return refuse(node, "'rewrite' needs a pattern and a replacement");
    const auto& to = node.words[2];
    if (is_elsewhere(to) ||
        (node.words.size() > 3 && (node.words[3] == "redirect" || node.words[3] == "permanent")))
      return;
    const auto groups = groups_of(node.words[1]).value_or(std::vector<Group>{});
    if (!to.starts_with('/') && !to.starts_with("$uri"))
      return refuse(node, "'rewrite': a replacement begins with '/'");
    uri(node, to, true, &groups);
  }

  const SiteInput& m_in;
  Bounds m_bounds;
  Names m_names;
  const std::vector<Node>& m_provided;
  std::string m_file;
  std::vector<std::string> m_problems;
  uint64_t m_zones = 0;
  bool m_open_prefix = false; // of the location that is looked at
};

} // namespace

std::string server_preamble(std::string_view indent, const SiteName& site) {
  return cat(indent, "disable_symlinks if_not_owner;\n", indent,
      "if ($chillbox_asks) { return 200 ", site.str(), "; }\n");
}

std::string answers_directive(
    std::string_view indent, const os::Paths& paths, const SiteName& site) {
  return cat(indent, "access_log ", answers_log(paths, site), " ", site.str(),
      "-answers buffer=8k flush=1s if=$chillbox_answered;\n");
}

Result<std::vector<Template>> checked(
    std::vector<Template> templates, const SiteInput& input, const std::vector<Node>& provided) {
  return Checker(input, provided).run(std::move(templates));
}

} // namespace chillbox::nginx
