#include "config/expand.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <optional>
#include <vector>

namespace chillbox::config {
namespace {

constexpr size_t k_max_depth = 32;

bool name_start(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
}
bool name_char(char c) {
  return name_start(c) || (c >= '0' && c <= '9');
}

// What follows one '$'.
struct Reference {
  enum class Kind { literal, dollar, variable, malformed };
  Kind kind = Kind::literal;
  std::string_view text; // all of it, with the '$'
  std::string_view name;
};

// text[at] is a '$'. "$$", "$NAME", "${NAME}"; anything else is a '$' that means itself, as in
// "$(date)" or "$5".
Reference reference_at(std::string_view text, size_t at) {
  const auto rest = text.substr(at);
  if (rest.size() < 2)
    return {Reference::Kind::literal, rest, {}};
  if (rest[1] == '$')
    return {Reference::Kind::dollar, rest.substr(0, 2), {}};
  const bool braces = rest[1] == '{';
  const size_t start = braces ? 2 : 1;
  size_t end = start;
  while (end < rest.size() && name_char(rest[end]))
    ++end;
  const auto name = rest.substr(start, end - start);
  const bool named = !name.empty() && name_start(name[0]);
  if (!braces && !named)
    return {Reference::Kind::literal, rest.substr(0, 1), {}};
  if (!braces)
    return {Reference::Kind::variable, rest.substr(0, end), name};
  if (named && end < rest.size() && rest[end] == '}')
    return {Reference::Kind::variable, rest.substr(0, end + 1), name};
  const auto close = rest.find('}');
  return {Reference::Kind::malformed,
      rest.substr(0, close == std::string_view::npos ? 40 : close + 1), {}};
}

class Expander {
public:
  // named: the caller's error names the variable already.
  explicit Expander(const Variables& variables, bool named = false)
      : m_variables(variables), m_named(named ? 1 : 0) {}

  Result<std::string> text(std::string_view text) {
    std::string out;
    for (size_t at = 0; at < text.size();) {
      const auto dollar = text.find('$', at);
      TRY(append(out, text.substr(at, dollar - at)));
      if (dollar == std::string_view::npos)
        break;
      const auto reference = reference_at(text, dollar);
      switch (reference.kind) {
      case Reference::Kind::malformed:
        return fail(Code::invalid,
            cat("'", printable(reference.text, 60),
                "': a variable is written $NAME or ${NAME}, a literal '$' as $$"));
      case Reference::Kind::variable: TRY(append(out, TRY(variable(reference.name)))); break;
      default: TRY(append(out, "$"));
      }
      at = dollar + reference.text.size();
    }
    return out;
  }

  // The expanded value, worked out once: what is used a thousand times costs its length, not its
  // tree.
  Result<std::string_view> variable(std::string_view wanted) {
    const std::string name(wanted);
    if (const auto done = m_done.find(name); done != m_done.end())
      return std::string_view(done->second);
    const auto found = m_variables.find(name);
    if (found == m_variables.end())
      return unknown(name);
    if (std::ranges::find(m_open, name) != m_open.end())
      return fail(Code::invalid, cat("variables form a circle: ", chain(name)));
    if (m_open.size() >= k_max_depth)
      return fail(
          Code::invalid, cat("variables nest deeper than ", k_max_depth, ": ", chain(name)));
    m_open.push_back(name);
    std::string value = TRY(text(found->second));
    m_open.pop_back();
    return std::string_view(m_done.emplace(name, std::move(value)).first->second);
  }

  void forget_failure() { m_open.clear(); }

private:
  static Result<void> append(std::string& out, std::string_view more) {
    if (out.size() + more.size() > k_max_expanded)
      return fail(Code::too_large, cat("expands to more than ", k_max_expanded, " bytes"));
    out += more;
    return {};
  }

  std::unexpected<Error> unknown(const std::string& name) const {
    std::vector<std::string> names;
    for (const auto& [known, value] : m_variables)
      names.push_back(known);
    const auto near = nearest(name, names);
    const std::string user =
        m_open.size() <= m_named ? "" : cat(", which '", m_open.back(), "' uses");
    return fail(Code::invalid,
        cat("variable '", printable(name, 70), "' is not defined", user,
            near ? cat(": did you mean '", *near, "'?") : ""));
  }

  // Only the cycle, beginning with its alphabetically first name, so that it reads the same
  // wherever it was entered; or the whole path.
  std::string chain(const std::string& name) const {
    const auto first = std::ranges::find(m_open, name);
    const bool circle = first != m_open.end();
    std::vector<std::string> way(circle ? first : m_open.begin(), m_open.end());
    if (circle)
      std::ranges::rotate(way, std::ranges::min_element(way));
    way.push_back(circle ? way.front() : name);
    return join(way, " -> ");
  }

  const Variables& m_variables;
  size_t m_named;
  Variables m_done;
  std::vector<std::string> m_open; // being expanded, outermost first
};

// The first character that NGINX would read as more than a part of one word or a list of words.
std::optional<char> unsafe_in_nginx(std::string_view value) {
  for (const char c : value)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f ||
        std::string_view(";{}#\"'\\$`").find(c) != std::string_view::npos)
      return c;
  return std::nullopt;
}

// The first character that a shell would read as more than a part of one word, in the quotes that
// are open ('\0': none).
std::optional<char> unsafe_in_shell(std::string_view value, char quote) {
  const auto unsafe = [quote](char c) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      return true;
    if (quote != '\0')
      return c == quote ||
          (quote == '"' && std::string_view("$`\\").find(c) != std::string_view::npos);
    return static_cast<unsigned char>(c) < 0x80 && !name_char(c) &&
        std::string_view("@%+=:,./-").find(c) == std::string_view::npos;
  };
  const auto found = std::ranges::find_if(value, unsafe);
  return found == value.end() ? std::nullopt : std::optional(*found);
}

// A name that NGINX itself cannot have: its variables are in lower case.
bool upper_case(std::string_view name) {
  return std::ranges::none_of(name, [](char c) { return c >= 'a' && c <= 'z'; }) &&
      std::ranges::any_of(name, [](char c) { return c >= 'A' && c <= 'Z'; });
}

Result<std::string> expand_line(
    std::string_view line, const Variables& variables, Expander& expander) {
  if (trim(line).starts_with('#')) // a comment may name what is no more
    return std::string(line);
  std::string out;
  for (size_t at = 0; at < line.size();) {
    const auto dollar = line.find('$', at);
    out += line.substr(at, dollar - at);
    if (dollar == std::string_view::npos)
      break;
    auto reference = reference_at(line, dollar);
    const bool ours = reference.kind == Reference::Kind::variable &&
        (variables.contains(std::string(reference.name)) || upper_case(reference.name));
    if (!ours) { // NGINX's own, or the end of a regular expression; "$$NAME" is a '$' and a
                 // variable
      out += '$';
      at = dollar + 1;
      continue;
    }
    const auto value = TRY(expander.variable(reference.name));
    if (const auto c = unsafe_in_nginx(value))
      return fail(Code::denied,
          cat("variable '", reference.name, "': its value '", printable(value, 60), "' holds '",
              printable(std::string_view(&*c, 1)),
              "', which means something to NGINX: take it out of the value"));
    out += value;
    at = dollar + reference.text.size();
  }
  return out;
}

} // namespace

void set_variable(Variables& variables, const std::string& name, std::string_view value) {
  const auto outer = variables.find(name);
  std::string out;
  for (size_t at = 0; at < value.size();) {
    const auto dollar = value.find('$', at);
    out += value.substr(at, dollar - at);
    if (dollar == std::string_view::npos)
      break;
    const auto reference = reference_at(value, dollar);
    const bool itself = reference.kind == Reference::Kind::variable && reference.name == name &&
        outer != variables.end();
    out += itself ? std::string_view(outer->second) : reference.text;
    at = dollar + reference.text.size();
  }
  variables[name] = std::move(out);
}

Result<std::string> expand(std::string_view text, const Variables& variables) {
  return Expander(variables).text(text);
}

std::optional<std::string> sole_reference(std::string_view value) {
  if (!value.starts_with('$'))
    return std::nullopt;
  const auto reference = reference_at(value, 0);
  if (reference.kind != Reference::Kind::variable || reference.text.size() != value.size())
    return std::nullopt;
  return std::string(reference.name);
}

Result<Variables> expand_all(const Variables& variables) {
  Expander expander(variables, true);
  Variables out;
  size_t total = 0;
  for (const auto& [name, value] : variables) {
    const auto expanded =
        TRY_IN(cat("variable '", printable(name, 70), "'"), expander.variable(name));
    total += name.size() + expanded.size() + 2;
    if (total > k_max_environment) // what execve(2) takes is not much more
      return fail(Code::too_large,
          cat("the variables expand to more than ", k_max_environment, " bytes together"));
    out.emplace(name, expanded);
  }
  return out;
}

std::vector<std::pair<std::string, Error>> broken_variables(
    const Variables& variables, const std::vector<std::string>& names) {
  Expander expander(variables, true);
  std::vector<std::pair<std::string, Error>> broken;
  for (const auto& name : names) {
    auto value = expander.variable(name);
    if (value)
      continue;
    expander.forget_failure();
    if (std::ranges::none_of(broken,
            [&](const auto& other) { return other.second.message == value.error().message; }))
      broken.emplace_back(name, std::move(value).error());
  }
  return broken;
}

Result<std::vector<std::string>> expand_words(
    const std::vector<std::string>& words, const Variables& variables) {
  Expander expander(variables);
  std::vector<std::string> out;
  size_t total = 0;
  for (const auto& word : words) {
    auto expanded = expander.text(word);
    if (!expanded)
      return fail(expanded.error().code,
          cat("'", printable(word, 60), "': ", expanded.error().message,
              " (a '$' for a shell is written $$)"));
    out.push_back(*std::move(expanded));
    total += out.back().size() + 1;
    if (total > k_max_environment)
      return fail(Code::too_large,
          cat("the words expand to more than ", k_max_environment, " bytes together"));
  }
  return out;
}

Result<std::string> expand_command(std::string_view line, const Variables& variables) {
  Expander expander(variables);
  std::string out;
  char quote = '\0';
  for (size_t at = 0; at < line.size();) {
    const char c = line[at];
    if (c == '\\' && quote != '\'') {
      out += line.substr(at, 2);
      at += 2;
      continue;
    }
    if (c == quote)
      quote = '\0';
    else if (quote == '\0' && (c == '\'' || c == '"'))
      quote = c;
    const auto reference = c == '$' ? reference_at(line, at)
                                    : Reference{Reference::Kind::literal, line.substr(at, 1), {}};
    if (reference.kind == Reference::Kind::variable) {
      const auto value = TRY(expander.variable(reference.name));
      if (const auto bad = unsafe_in_shell(value, quote))
        return fail(Code::denied,
            cat("variable '", reference.name, "': its value '", printable(value, 60), "' holds '",
                printable(std::string_view(&*bad, 1)),
                "', which means something to a shell there"));
      out += value;
    } else {
      out += reference.kind == Reference::Kind::dollar
          ? "$"
          : TRY(expander.text(reference.text)); // the latter says what is malformed
    }
    if (out.size() > k_max_expanded)
      return fail(Code::too_large, cat("expands to more than ", k_max_expanded, " bytes"));
    at += reference.text.size();
  }
  return out;
}

Result<std::string> expand_template(std::string_view text, const Variables& variables) {
  if (const auto why = utf16_problem(text); !why.empty())
    return fail(Code::invalid, std::string(why));
  text = without_byte_order_mark(text);
  Expander expander(variables);
  std::string out;
  size_t number = 0;
  for (const auto line : split(text, '\n')) {
    if (++number > 1)
      out += '\n';
    out += TRY_IN(cat("line ", number), expand_line(line, variables, expander));
    if (out.size() > k_max_template)
      return fail(Code::too_large,
          cat("line ", number, ": the template expands to more than ", k_max_template, " bytes"));
  }
  return out;
}

} // namespace chillbox::config
