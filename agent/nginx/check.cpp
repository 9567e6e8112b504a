#include "nginx/check.hpp"

#include "base/text.hpp"
#include "nginx/check_words.hpp"
#include "nginx/counts.hpp"
#include "nginx/html_page.hpp"
#include "nginx/names.hpp"
#include "nginx/ready.hpp"
#include "nginx/servers.hpp"
#include "nginx/site_logs.hpp"
#include "nginx/site_pages.hpp"
#include "nginx/site_tls.hpp"

#include <algorithm>
#include <utility>

namespace chillbox::nginx {
namespace {

class Checker {
public:
  Checker(const SiteInput& input, const Provided& provided)
      : m_in(input), m_words(input, m_findings), m_servers(input), m_provided(provided) {}

  Result<std::vector<Template>> run(std::vector<Template> templates) {
    for (const auto& t : templates) {
      m_words.collect(t.nodes);
      m_servers.collect(t.nodes);
    }
    for (auto& t : templates) {
      m_findings.file = t.name;
      t.nodes = block(t.nodes, k_http);
    }
    const auto& problems = m_findings.problems;
    if (problems.empty())
      return templates;
    const size_t more = problems.size() - 1;
    return fail(
        Code::denied, cat(problems[0], more == 0 ? std::string() : cat(" (and ", more, " more)")));
  }

private:
  std::vector<Node> block(const std::vector<Node>& nodes, Where where) {
    std::vector<Node> out;
    for (const auto& node : nodes)
      directive(node, where, out);
    return out;
  }

  void directive(const Node& node, Where where, std::vector<Node>& out) {
    const auto& name = node.words[0];
    const Rule* rule = rule_of(name, where);
    if (rule == nullptr && m_words.bounds().allows_directive(name))
      return out.push_back(allowed_by_host(node, where));
    if (rule == nullptr) {
      const std::string what = is_known_directive(name)
          ? cat("'", name, "' is not for sites ", name_of(where))
          : cat("'", printable(name, 60), "' is not for sites");
      return m_findings.refuse(node,
          cat(what, ": ", what_is_allowed(name, where),
              "; the host's administrator can allow it: nginx.allow_directives in chillboxd.toml"));
    }
    if (rule->kind == Kind::include)
      return include(node, where, out);
    Node copy = node;
    if (takes_block(rule->kind) != node.block)
      return m_findings.refuse(node, cat("'", name, "' ", node.block ? "has no { }" : "needs { }"));
    if (node.words.size() < 2 && needs_word(rule->kind))
      return m_findings.refuse(node, cat("'", name, "' needs a value"));
    m_words.check(node, rule->kind, copy);
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
      copy.words[at] = m_words.with_variables(node, node.words[at]);
    copy.inside = block(node.inside, where);
    return copy;
  }

  void inside(const Node& node, Kind kind, Where where, Node& copy) {
    switch (kind) {
    case Kind::block_server: copy.inside = server(node); return;
    case Kind::block_location: {
      const bool before = std::exchange(m_words.open_prefix, is_open_prefix(node));
      copy.inside = block(node.inside, k_location);
      m_words.open_prefix = before;
      return;
    }
    case Kind::block_if:
      copy.inside = block(node.inside, where == k_server ? k_if_in_server : k_if_in_location);
      return;
    case Kind::block_limit_except: copy.inside = block(node.inside, k_limit_except); return;
    case Kind::block_upstream: copy.inside = upstream(node); return;
    case Kind::block_pairs:
    case Kind::variable_map:
    case Kind::variable_geo:
      for (auto& pair : copy.inside)
        m_words.check_pair(node, kind, pair);
      return;
    default: return;
    }
  }

  // (WordChecker::open_prefix)
  static bool is_open_prefix(const Node& node) {
    const auto& last = node.words.back();
    return (node.words.size() == 2 && last.starts_with('/') && !last.ends_with('/')) ||
        (node.words.size() == 3 && node.words[1] == "^~" && !last.ends_with('/')) ||
        (last.starts_with("^~/") && !last.ends_with('/'));
  }

  // A connection that is kept leads to the old release after a switch: one to a socket is not kept,
  // whatever the template says, and one to a port only when it says so, because then the text
  // changes with each release.
  std::vector<Node> upstream(const Node& node) {
    auto out = block(node.inside, k_upstream);
    const auto keeps = [](const Node& n) { return n.words[0] == "keepalive"; };
    if (std::ranges::any_of(out, [](const Node& n) {
          return n.words[0] == "server" && n.words.size() > 1 && n.words[1].starts_with("unix:");
        }))
      std::erase_if(out, keeps);
    if (std::ranges::none_of(out, keeps))
      std::ranges::move(parse(upstream_include(m_in.paths)).value_or(std::vector<Node>{}),
          std::back_inserter(out));
    return out;
  }

  std::vector<Node> server(const Node& node) {
    const auto place = m_servers.place_of(node);
    m_has_http_server = place == Servers::Place::has_http_server;
    m_has_hsts = std::ranges::any_of(node.inside, [](const Node& n) {
      return n.words[0] == "add_header" && n.words.size() > 1 &&
          lower(n.words[1]) == "strict-transport-security";
    });
    auto out = block(node.inside, k_server);
    if (place != Servers::Place::own)
      std::erase_if(out, is_ours_to_say);
    m_servers.with_proxy_protocol(out);
    for (auto& inside : out)
      if (inside.words[0] == "server_name")
        inside.words = without_doubles(inside.words);
    const auto has = [&](std::string_view name) {
      return std::ranges::any_of(out, [&](const Node& n) { return n.words[0] == name; });
    };
    std::string first = server_preamble("", m_in);
    if (!m_servers.listens(node) && place != Servers::Place::has_http_server)
      first += m_servers.listens_by_default(node);
    if (!has("server_name") && !m_in.site->domains.empty())
      first += cat("server_name ", join(m_in.site->domains, " "), ";\n");
    first += counts_include("", m_in.paths, m_in.site->slug);
    if (!has("access_log")) // ours ends those that it would have inherited
      first += access_log(m_in);
    if (!has("error_log"))
      first += cat("error_log ", log_dir(m_in.paths, m_in.site->slug), "/error.log warn;\n");
    first += pages(out);
    const std::string ready = cat("/", m_in.site->slug.str(), "/ready");
    if (std::ranges::none_of(out, [&](const Node& n) {
          return n.words[0] == "location" && n.words.size() == 3 && n.words[2] == ready;
        }))
      first += ready_location(m_in);
    if (!m_servers.answers_challenge(node))
      first += challenge_location(*m_in.host, m_in.paths);
    auto nodes = parse(first).value_or(std::vector<Node>{});
    for (auto& added : nodes)
      added.line = 0; // of no file
    out.insert(
        out.begin(), std::make_move_iterator(nodes.begin()), std::make_move_iterator(nodes.end()));
    return out;
  }

  // NGINX warns of them: ".example.org" is example.org, too.
  static std::vector<std::string> without_doubles(const std::vector<std::string>& names) {
    std::vector<std::string> out;
    for (const auto& name : names)
      if (std::ranges::find(out, name) == out.end() &&
          std::ranges::find(names, "." + name) == names.end())
        out.push_back(name);
    return out;
  }

  // The site's own pages for 502 and 504, or ours. Without any of ours a locked site would be a
  // bare 502.
  std::string pages(const std::vector<Node>& server) const {
    std::string codes;
    for (const std::string_view code : {"502", "504"})
      if (std::ranges::none_of(server, [&](const Node& n) {
            return n.words[0] == "error_page" && std::ranges::find(n.words, code) != n.words.end();
          }))
        codes += cat(" ", code);
    return codes.empty()
        ? codes
        : cat("error_page", codes, " = @chillbox_unavailable;\n", unavailable_location(m_in));
  }

  // The one that chillboxd provides, wherever the original had it; or a file that the administrator
  // allows.
  void include(const Node& node, Where where, std::vector<Node>& out) {
    const std::string file = node.words.size() == 2 ? node.words[1] : std::string();
    const std::string ours = ssl_cert_include(m_in.site->slug);
    if (where == k_server && includes_certificate(node, m_in.site->slug)) {
      const auto& provided =
          m_has_http_server ? m_provided.has_http_server : m_provided.listens_itself;
      std::ranges::copy_if(provided, std::back_inserter(out),
          [&](const Node& n) { return !(m_has_hsts && n.words[0] == "add_header"); });
      return;
    }
    if (m_words.bounds().allows_path(file))
      return out.push_back(node);
    m_findings.refuse(node,
        cat("'include ", printable(file, 100), "': only ", ours,
            ", in a server, is allowed for sites; chillboxd.toml may allow more: nginx.allow_paths"));
  }

  const SiteInput& m_in;
  Findings m_findings;
  WordChecker m_words;
  Servers m_servers;
  const Provided& m_provided;
  bool m_has_http_server = false, m_has_hsts = false; // the server that is being read
};

} // namespace

// What a balancer of the fleet may send elsewhere (balance.hpp) is not taken while this host or the
// site is drained, locked or in maintenance.
std::string server_preamble(std::string_view indent, const SiteInput& in) {
  const auto& site = in.site->slug;
  std::string out =
      cat(indent, "disable_symlinks if_not_owner;\n", indent, "if ($chillbox_asks) { return 200 ",
          site.str(), "; }\n", indent, "set $chillbox_elsewhere \"\";\n");
  for (const auto& flag : {drain_flag(in.paths), drain_flag(in.paths, site), sealed_flag(in),
           maintenance_flag(in.paths, site)})
    out += cat(indent, "if (-f ", flag, ") { set $chillbox_elsewhere $chillbox_first; }\n");
  return cat(out, indent, "if ($chillbox_elsewhere) { return 444; }\n", indent,
      "if ($chillbox_is_asked) { return 204; }\n");
}

Result<std::vector<Template>> checked(
    std::vector<Template> templates, const SiteInput& input, const Provided& provided) {
  return Checker(input, provided).run(std::move(templates));
}

} // namespace chillbox::nginx
