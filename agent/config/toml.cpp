#include "config/toml.hpp"

#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#define TOML_HEADER_ONLY 1 // the library that some distributions build has exceptions
#include <toml++/toml.h>

#include <cmath>

namespace chillbox::config {
namespace {

class Converter {
public:
  Converter(std::string_view file, Lines& lines) : m_problems(file, &lines), m_lines(lines) {}

  Json convert(const toml::node& node, const std::string& path, size_t depth) {
    const At at{m_problems, path};
    m_lines[path] = static_cast<int>(node.source().begin.line);
    if (depth > k_max_json_depth) {
      at.problem(cat("nested deeper than ", k_max_json_depth, " levels"));
      return nullptr;
    }
    if (const auto* table = node.as_table()) {
      Json object = Json::object();
      for (const auto& [key, value] : *table)
        object[std::string(key.str())] = convert(value, (at / key.str()).path, depth + 1);
      return object;
    }
    if (const auto* array = node.as_array()) {
      Json list = Json::array();
      for (size_t i = 0; i < array->size(); ++i)
        list.push_back(convert(*array->get(i), at[i].path, depth + 1));
      return list;
    }
    return scalar(node, at);
  }

  const Problems& problems() const { return m_problems; }

private:
  static Json scalar(const toml::node& node, const At& at) {
    if (const auto* text = node.as_string())
      return text->get();
    if (const auto* number = node.as_integer())
      return number->get();
    if (const auto* truth = node.as_boolean())
      return truth->get();
    if (const auto* real = node.as_floating_point(); real && std::isfinite(real->get()))
      return real->get();
    at.problem("dates, times, inf and nan are not taken here: write a string or a number");
    return nullptr;
  }

  Problems m_problems;
  Lines& m_lines;
};

} // namespace

Result<Json> parse_toml(std::string_view text, std::string_view file, Lines& lines) {
  if (text.size() > k_max_toml)
    return fail(Code::too_large, cat(file, ": ", text.size(), " bytes, the limit is ", k_max_toml));
  const toml::parse_result result = toml::parse(text);
  if (!result)
    return fail(Code::invalid, cat(file, ":", result.error().source().begin.line, ": ", printable(result.error().description())));
  Converter converter(file, lines);
  Json json = converter.convert(result.table(), "", 1);
  if (!converter.problems().empty())
    return converter.problems().error();
  return json;
}

} // namespace chillbox::config
