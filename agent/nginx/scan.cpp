#include "nginx/scan.hpp"

#include "base/text.hpp"
#include "nginx/names.hpp"
#include "nginx/nginx.hpp"
#include "nginx/syntax.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <set>
#include <utility>

namespace chillbox::nginx {
namespace {

constexpr std::string_view k_file_mark = "# configuration file ";

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

// Of a word, whatever stands before it.
bool is_bare(char c) {
  return !is_blank(c) && c != ';' && c != '{' && c != '}' && c != '#' && c != '"' && c != '\'';
}

// By the name or, with '_' at its beginning, the end of it.
constexpr std::array<std::string_view, 13> k_asked{"include", "listen", "server_name",
    "server_names_hash_bucket_size", "client_header_timeout", "real_ip_header",
    "worker_shutdown_timeout", "access_log", "error_log", "pid", "lock_file", "_temp_path",
    "_cache_path"};

using Words = std::vector<std::string>;

bool is_asked(const Words& words) {
  const auto& name = words[0];
  return std::ranges::any_of(k_asked, [&](std::string_view asked) {
    return asked.starts_with('_') ? name.ends_with(asked) : name == asked;
  });
}

bool is_any(const Words&) {
  return true;
}

// It may name a file that NGINX reads for its test.
bool may_name_file(std::string_view word) {
  return word.find_first_of("/.") != std::string_view::npos &&
      word.find('$') == std::string_view::npos;
}

class Scanner {
public:
  Scanner(std::string_view text, std::function<bool(const Words&)> wanted)
      : m_text(text), m_wanted(std::move(wanted)) {}

  std::vector<Directive> all() {
    while (m_at < m_text.size())
      step();
    return std::move(m_out);
  }

private:
  void step() {
    const char c = m_text[m_at];
    if (is_bare(c)) {
      m_word += run(is_bare);
      return;
    }
    if (is_blank(c)) {
      (void)run(is_blank);
      return end_word();
    }
    if (c == '#')
      return comment();
    if (c == '"' || c == '\'')
      return quoted(c);
    ++m_at;
    if (c == '}')
      close();
    else
      end_directive(c == '{');
  }

  // What NGINX prints of a host with many sites is megabytes: not one character at a time.
  std::string_view run(bool (*belongs)(char)) {
    const size_t begin = m_at;
    while (m_at < m_text.size() && belongs(m_text[m_at]))
      ++m_at;
    return m_text.substr(begin, m_at - begin);
  }

  // Up to the end of the line; one of them, at its start, is what nginx says itself: the name of
  // the next file.
  void comment() {
    if (!m_word.empty()) { // as in a#b
      m_word += m_text[m_at++];
      return;
    }
    const auto line = m_text.substr(m_at, m_text.find('\n', m_at) - m_at);
    if (line.starts_with(k_file_mark) && line.ends_with(':') &&
        (m_at == 0 || m_text[m_at - 1] == '\n')) {
      m_file = line.substr(k_file_mark.size(), line.size() - k_file_mark.size() - 1);
      m_blocks.clear();
      m_block.clear();
    }
    m_at += line.size();
  }

  void quoted(char quote) {
    for (++m_at; m_at < m_text.size() && m_text[m_at] != quote; ++m_at) {
      if (m_text[m_at] == '\\' && m_at + 1 < m_text.size())
        ++m_at;
      m_word += m_text[m_at];
    }
    ++m_at;
    end_word();
  }

  void end_word() {
    if (!m_word.empty())
      m_words.push_back(std::exchange(m_word, {}));
  }

  void end_directive(bool opens) {
    end_word();
    if (opens)
      m_blocks.push_back(m_words.empty() ? std::string() : m_words[0]);
    if (!m_words.empty() && m_wanted(m_words))
      m_out.push_back({m_file, m_block, std::move(m_words)});
    m_words.clear();
    if (opens)
      m_block = join(m_blocks, " ");
  }

  void close() {
    end_word();
    m_words.clear();
    if (!m_blocks.empty())
      m_blocks.pop_back();
    m_block = join(m_blocks, " ");
  }

  std::string_view m_text;
  std::function<bool(const Words&)> m_wanted;
  size_t m_at = 0;
  std::string m_file, m_word, m_block; // the last: m_blocks, joined
  std::vector<std::string> m_words, m_blocks;
  std::vector<Directive> m_out;
};

// "80", "[::]:80", "127.0.0.1:8080", "*:80", "example.org" (that is port 80), "unix:..." (none).
unsigned port_of(std::string_view address) {
  if (address.starts_with("unix:"))
    return 0;
  const auto colon = address.ends_with(']') ? std::string_view::npos : address.rfind(':');
  const auto number =
      parse_u64(colon == std::string_view::npos ? address : address.substr(colon + 1));
  return number ? static_cast<unsigned>(*number) : 80;
}

bool is_ours(const Directive& d) {
  return d.file.ends_with("/chillbox.conf");
}

} // namespace

std::vector<Directive> scan(std::string_view printed) {
  return Scanner(printed, is_any).all();
}

std::vector<Directive> scan_host(std::string_view printed) {
  return Scanner(printed, is_asked).all();
}

Printed scan_printed(std::string_view printed) {
  Printed out;
  out.directives = Scanner(printed, [&](const Words& words) {
    for (size_t i = 1; i < words.size(); ++i)
      if (may_name_file(words[i]))
        out.named.insert(words[i]);
    return is_asked(words);
  }).all();
  for (const auto line : split(printed, '\n'))
    if (line.starts_with(k_file_mark) && line.ends_with(':'))
      out.files.emplace_back(line.substr(k_file_mark.size(), line.size() - k_file_mark.size() - 1));
  return out;
}

std::string include_directory(const std::vector<Directive>& directives) {
  const std::string main = directives.empty() ? std::string() : directives[0].file;
  const std::string home =
      main.substr(0, main.rfind('/') == std::string::npos ? 0 : main.rfind('/'));
  for (const std::string_view known : {"http.d", "conf.d", "sites-enabled"})
    for (const auto& d : directives) {
      if (d.file != main || d.block != "http" || d.words.size() != 2 || d.words[0] != "include")
        continue;
      const std::string pattern =
          d.words[1].starts_with('/') ? d.words[1] : cat(home, "/", d.words[1]);
      for (const std::string_view ending : {"/*", "/*.conf"})
        if (pattern.ends_with(cat("/", known, ending)))
          return pattern.substr(0, pattern.size() - ending.size());
    }
  return {};
}

bool sets(const std::vector<Directive>& directives, std::string_view directive) {
  const auto in_http = [](const Directive& d) {
    return d.block == "http" || d.block.empty();
  }; // the latter in a file that http includes
  return std::ranges::any_of(directives,
      [&](const auto& d) { return d.words[0] == directive && in_http(d) && !is_ours(d); });
}

std::string default_server_file(const std::vector<Directive>& directives, unsigned port) {
  for (const auto& d : directives) {
    if (d.words.size() < 3 || d.words[0] != "listen" || port_of(d.words[1]) != port || is_ours(d))
      continue;
    if (std::ranges::any_of(
            d.words, [](const auto& w) { return w == "default_server" || w == "default"; }))
      return d.file;
  }
  return {};
}

std::vector<uint16_t> listen_ports(std::string_view text) {
  std::vector<uint16_t> ports;
  for (const auto& directive : scan(text)) {
    if (directive.words.size() < 2 || directive.words[0] != "listen" ||
        directive.words[1].starts_with("unix:"))
      continue;
    const std::string_view where = directive.words[1];
    const auto colon = where.rfind(':');
    const bool bare = colon == std::string_view::npos ||
        where.ends_with(']'); // an address without a port is port 80
    const auto number = parse_u64(bare ? where : where.substr(colon + 1));
    const auto port = static_cast<uint16_t>(number && *number <= UINT16_MAX ? *number : 80);
    if (std::ranges::find(ports, port) == ports.end())
      ports.push_back(port);
  }
  return ports;
}

bool serves_tls(std::string_view text) {
  const auto nodes = parse(text).value_or(std::vector<Node>{});
  return std::ranges::any_of(nodes, [](const Node& server) {
    return std::ranges::any_of(server.inside, [](const Node& node) {
      return node.words[0] == "listen" && std::ranges::find(node.words, "ssl") != node.words.end();
    });
  });
}

std::vector<std::string> all_names(std::string_view text) {
  std::set<std::string> names;
  for (const auto& directive : scan(text))
    for (size_t i = 1; directive.words[0] == "server_name" && i < directive.words.size(); ++i) {
      const std::string name = lower(directive.words[i]);
      if (name.starts_with('.'))
        names.insert(cat("*", name));
      names.insert(name.starts_with('.') ? name.substr(1) : name);
    }
  return {names.begin(), names.end()};
}

namespace {

bool answers(std::string_view server_name, std::string_view domain) {
  if (server_name.starts_with('~'))
    return true; // who knows
  const std::string name = lower(server_name);
  if (name.starts_with('.'))
    return domain == name.substr(1) || domain.ends_with(name);
  if (name.starts_with("*."))
    return domain.ends_with(name.substr(1));
  return domain == name ||
      (name.ends_with(".*") && domain.starts_with(name.substr(0, name.size() - 1)));
}

} // namespace

std::vector<std::string> names_on(std::string_view text, std::span<const uint16_t> ports) {
  std::vector<std::string> names;
  for (const auto& server : parse(text).value_or(std::vector<Node>{})) {
    const auto its = listen_ports(write(server.inside));
    if (server.words[0] != "server" || std::ranges::find_first_of(its, ports) == its.end())
      continue;
    for (const auto& node : server.inside)
      if (node.words[0] == "server_name")
        names.insert(names.end(), node.words.begin() + 1, node.words.end());
  }
  return names;
}

std::vector<std::string> unserved(
    const std::vector<std::string>& names, const std::vector<std::string>& domains) {
  std::vector<std::string> left;
  std::ranges::copy_if(domains, std::back_inserter(left), [&](const auto& domain) {
    return std::ranges::none_of(
        names, [&](const auto& name) { return answers(name, lower(domain)); });
  });
  return left;
}

std::vector<ServedName> served_names(std::string_view text) {
  const auto nodes = parse(text).value_or(std::vector<Node>{});
  std::set<ServedName> found;
  for (const auto& server : nodes) {
    if (server.words[0] != "server")
      continue;
    std::vector<std::string> names;
    std::vector<uint16_t> ports;
    for (const auto& node : server.inside) {
      if (node.words[0] == "server_name")
        std::copy(node.words.begin() + 1, node.words.end(), std::back_inserter(names));
      if (node.words[0] == "listen" && std::ranges::find(node.words, "ssl") == node.words.end())
        std::ranges::copy(listen_ports(write({node})), std::back_inserter(ports));
    }
    for (auto& name : names)
      for (const uint16_t port : ports)
        if (!name.starts_with("*.")) // ".example.org" is that name, too
          found.insert(
              {lower(name.starts_with('.') ? std::string_view(name).substr(1) : name), port});
  }
  return {found.begin(), found.end()};
}

} // namespace chillbox::nginx
