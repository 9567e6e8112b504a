#include "base/json.hpp"

#include "base/text.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <vector>

namespace chillbox {
namespace {

// nlohmann's words after its own place: "[json.exception.parse_error.101] parse error at line 1,
// column 2: REASON".
std::string reason_of(std::string_view what) {
  what = what.substr(0, what.find("; last read: "));
  const auto place = what.find("column ");
  const auto colon = what.find(": ", place == std::string_view::npos ? 0 : place);
  if (colon != std::string_view::npos)
    return printable(what.substr(colon + 2));
  const auto bracket = what.find("] ");
  return printable(bracket == std::string_view::npos ? what : what.substr(bracket + 2));
}

std::string place_of(std::string_view text, size_t position) {
  const auto before = text.substr(0, position == 0 ? 0 : position - 1);
  const auto line = 1 + std::ranges::count(before, '\n');
  const auto start = before.rfind('\n');
  const auto column = 1 + before.size() - (start == std::string_view::npos ? 0 : start + 1);
  return cat("line ", line, ", column ", column);
}

// Builds the value and stops at the first thing that we refuse, which the default builder of
// nlohmann would take.
class Builder final : public nlohmann::json_sax<Json> {
public:
  explicit Builder(std::string_view text) : m_text(text) {}

  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(number_integer_t value) override { return add(value); }
  bool number_unsigned(number_unsigned_t value) override { return add(value); }
  bool number_float(number_float_t value, const string_t&) override { return add(value); }
  bool string(string_t& value) override { return add(std::move(value)); }
  bool binary(binary_t&) override { return refuse("binary values are not JSON"); }
  bool start_object(size_t) override { return open(Json::object()); }
  bool start_array(size_t) override { return open(Json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(string_t& name) override {
    Json& object = *m_open.back();
    if (object.contains(name))
      return refuse(cat(path(), ": key '", printable(name, 60), "' appears twice"));
    m_slot = &object[name];
    m_keys.back() = name;
    return true;
  }

  bool parse_error(
      size_t position, const std::string&, const nlohmann::detail::exception& e) override {
    return refuse(cat(place_of(m_text, position), ": ", reason_of(e.what())));
  }

  Json take() { return std::move(m_root); }
  const std::string& problem() const { return m_problem; }

private:
  bool refuse(std::string problem) {
    m_problem = std::move(problem);
    return false;
  }

  // Where the next value goes: the root, the end of the open array, or the member whose key was
  // just read. An element of an array may move while the array grows, but never while it is open
  // itself.
  Json* place(Json&& value) {
    if (m_open.empty()) {
      m_root = std::move(value);
      return &m_root;
    }
    Json& parent = *m_open.back();
    if (parent.is_array()) {
      parent.push_back(std::move(value));
      return &parent.back();
    }
    *m_slot = std::move(value);
    return m_slot;
  }

  template <class T> bool add(T&& value) {
    place(Json(std::forward<T>(value)));
    return true;
  }

  bool open(Json&& container) {
    if (m_open.size() >= k_max_json_depth)
      return refuse(cat(path(), ": nested deeper than ", k_max_json_depth, " levels"));
    m_open.push_back(place(std::move(container)));
    m_keys.emplace_back();
    return true;
  }

  bool close() {
    m_open.pop_back();
    m_keys.pop_back();
    return true;
  }

  std::string path() const {
    std::string out = "$";
    for (size_t i = 0; i + 1 < m_open.size(); ++i)
      out += m_open[i]->is_array() ? cat("[", m_open[i]->size() - 1, "]")
                                   : cat(".", printable(m_keys[i], 60));
    return out;
  }

  std::string_view m_text;
  Json m_root;
  Json* m_slot = nullptr;
  std::vector<Json*> m_open;       // from the root to the innermost container
  std::vector<std::string> m_keys; // the key last read in each of them
  std::string m_problem;
};

} // namespace

Result<Json> parse_json(std::string_view text, size_t limit) {
  if (text.size() > limit)
    return fail(Code::too_large, cat("JSON of ", text.size(), " bytes: the limit is ", limit));
  if (const auto why = utf16_problem(text); !why.empty())
    return fail(Code::invalid, cat("not JSON as we take it: ", why));
  if (const auto nul = text.find('\0');
      nul != std::string_view::npos) // which nlohmann takes for the end
    return fail(
        Code::invalid, cat("not JSON as we take it: ", place_of(text, nul + 1), ": a NUL byte"));
  if (text.starts_with("\xef\xbb\xbf"))
    return fail(Code::invalid,
        "not JSON as we take it: line 1, column 1: a byte order mark: save the file without it");
  Builder builder(text);
  if (!Json::sax_parse(text, &builder))
    return fail(Code::invalid, cat("not JSON as we take it: ", builder.problem()));
  return builder.take();
}

std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

} // namespace chillbox
