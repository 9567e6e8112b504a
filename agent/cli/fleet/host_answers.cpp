#include "cli/fleet/host_answers.hpp"

#include "base/text.hpp"

#include <nlohmann/json.hpp>

namespace chillbox::cli {

bool is_answer(int code, std::string_view out) {
  const auto object = parse_json(trim(out), k_most_answer);
  return code == 0 ||
      (object && object->is_object() && object->contains("schema") && !object->contains("error"));
}

Json host_error(const HostResult& from, const std::string& last_line) {
  if (const auto object = parse_json(trim(last_line), k_most_answer);
      object && object->is_object() && object->contains("error"))
    return (*object)["error"];
  const Code code = from.code == exit_code(Code::unreachable) ? Code::unreachable : Code::failure;
  return {{"code", code_name(code)}, {"message", printable(from.last_error, 500)}};
}

} // namespace chillbox::cli
