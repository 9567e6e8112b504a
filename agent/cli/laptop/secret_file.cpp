#include "cli/laptop/secret_file.hpp"

#include "base/json.hpp"
#include "base/text.hpp"
#include "config/dotenv.hpp"
#include "config/references.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cctype>

namespace chillbox::cli {
void append(SecretString& out, std::string_view text) {
  out.append(text.data(), text.size());
}

namespace {

constexpr size_t k_max_secrets = 1 << 20;
constexpr std::array<std::pair<SecretFormat, std::string_view>, 4> k_names{
    {{SecretFormat::dotenv, "dotenv"}, {SecretFormat::json, "json"}, {SecretFormat::cfg, "cfg"},
        {SecretFormat::text, "text"}}};

// Within double quotes; JSON and Python read \uNNNN, dotenv needs none of the rare ones.
void append_quoted(SecretString& out, SecretFormat format, std::string_view value) {
  constexpr std::string_view k_hex = "0123456789abcdef";
  out += '"';
  for (const char c : value) {
    const auto byte = static_cast<uint8_t>(c);
    if (c == '"' || c == '\\' || (c == '$' && format == SecretFormat::dotenv)) {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      append(out, "\\n");
    } else if (c == '\t') {
      append(out, "\\t");
    } else if ((byte < 0x20 || byte == 0x7f) && format != SecretFormat::dotenv) {
      append(out, "\\u00");
      out += k_hex[byte >> 4];
      out += k_hex[byte & 15];
    } else {
      out += c;
    }
  }
  out += '"';
}

std::unexpected<Error> bad_line(size_t number, std::string_view why) {
  return fail(Code::invalid, cat("line ", number, ": ", why));
}

Result<SecretValues> parse_json_object(std::string_view text) {
  auto json = parse_json(text, k_max_secrets);
  if (!json || !json->is_object())
    return fail(Code::invalid, "is not one JSON object");
  SecretValues values;
  for (auto& [key, value] : json->items()) {
    if (!value.is_string())
      return fail(Code::invalid, cat("'", printable(key, 80), "' is no string"));
    auto& held = value.get_ref<std::string&>();
    values[key] = SecretString(held.data(), held.size());
    wipe(held.data(), held.size());
  }
  return values;
}

// The escapes that render_secrets() writes, and those of one character; nullopt: another one.
bool append_unescaped(SecretString& out, std::string_view& rest) {
  constexpr std::string_view k_from = "\\'\"ntr", k_to = "\\'\"\n\t\r";
  if (rest.size() < 2)
    return false;
  const auto at = k_from.find(rest[1]);
  if (at != std::string_view::npos) {
    out += k_to[at];
    rest.remove_prefix(2);
    return true;
  }
  // A character by its number, \xHH or \uHHHH.
  const size_t digits = rest[1] == 'x' ? 2 : rest[1] == 'u' ? 4 : 0;
  const auto hex = rest.substr(2, digits);
  if (digits == 0 || hex.size() != digits ||
      !std::ranges::all_of(hex, [](char c) { return std::isxdigit(static_cast<uint8_t>(c)) != 0; }))
    return false;
  const int number = std::stoi(std::string(hex), nullptr, 16);
  if (number >= 0xd800 && number <= 0xdfff)
    return false; // half of one
  if (number < 0x80) {
    out += static_cast<char>(number);
  } else if (number < 0x800) {
    out += static_cast<char>(0xc0 | number >> 6);
    out += static_cast<char>(0x80 | (number & 0x3f));
  } else {
    out += static_cast<char>(0xe0 | number >> 12);
    out += static_cast<char>(0x80 | (number >> 6 & 0x3f));
    out += static_cast<char>(0x80 | (number & 0x3f));
  }
  rest.remove_prefix(2 + digits);
  return true;
}

// A string of Python at the beginning; false: there is none, or something follows it.
bool read_literal(std::string_view rest, SecretString& out) {
  if (rest.empty() || (rest[0] != '"' && rest[0] != '\''))
    return false;
  const char quote = rest[0];
  rest.remove_prefix(1);
  while (!rest.empty() && rest[0] != quote) {
    if (rest[0] == '\\') {
      if (!append_unescaped(out, rest))
        return false;
    } else {
      out += rest[0];
      rest.remove_prefix(1);
    }
  }
  if (rest.empty())
    return false;
  rest = trim(rest.substr(1));
  return rest.empty() || rest[0] == '#';
}

Result<SecretValues> parse_cfg(std::string_view text) {
  SecretValues values;
  size_t number = 0;
  for (const auto whole : split(text, '\n')) {
    ++number;
    const auto line = trim(whole);
    if (line.empty() || line[0] == '#')
      continue;
    const auto equals = line.find('=');
    if (equals == std::string_view::npos)
      return bad_line(number, "is no NAME = 'text'");
    const std::string key(trim(line.substr(0, equals)));
    if (!check_secret_key(key, SecretFormat::cfg))
      return bad_line(number, "does not begin with the name of a variable");
    SecretString value;
    if (!read_literal(trim(line.substr(equals + 1)), value))
      return bad_line(number, cat(key, " is not one text in quotes"));
    values[key] = std::move(value);
  }
  return values;
}

} // namespace

SecretFormat secret_format_of(std::string_view path) {
  const auto name = path.substr(path.rfind('/') + 1);
  const auto ends = [&](std::string_view end) { return name.ends_with(end); };
  return ends(".env") || name == "env" ? SecretFormat::dotenv
      : ends(".json")                  ? SecretFormat::json
      : ends(".cfg") || ends(".py")    ? SecretFormat::cfg
                                       : SecretFormat::text;
}

std::string_view format_name(SecretFormat format) {
  return std::ranges::find(k_names, format, [](const auto& row) { return row.first; })->second;
}

SecretFormat format_from_name(std::string_view name) {
  const auto row = std::ranges::find(k_names, name, [](const auto& r) { return r.second; });
  return row == k_names.end() ? SecretFormat::text : row->first;
}

Result<void> check_secret_key(std::string_view key, SecretFormat format) {
  const bool is_environment = format == SecretFormat::dotenv; // as the host reads it
  const size_t longest = is_environment ? 64 : 100;
  const auto fits = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  };
  if (key.empty() || key.size() > longest || !std::ranges::all_of(key, fits) ||
      (key[0] >= '0' && key[0] <= '9'))
    return fail(Code::usage,
        cat("'", printable(key, 40), "' is no name of a variable: at most ", longest,
            " letters, digits and _"));
  if (const auto denied = is_environment ? config::secret_name_problem(key) : std::nullopt)
    return fail(Code::denied, cat("'", key, "' ", *denied));
  return {};
}

Result<void> check_secret_value(std::string_view value) {
  if (value.empty())
    return fail(Code::invalid, "the value is empty: `secrets unset` takes a key away");
  if (!is_utf8(value) || value.contains('\0'))
    return fail(Code::invalid, "the value is no text (UTF-8, without NUL)");
  if (value.size() > k_max_secrets)
    return fail(Code::too_large, "the value is longer than 1 MiB");
  return {};
}

SecretString render_secrets(SecretFormat format, const SecretValues& values) {
  const bool json = format == SecretFormat::json;
  SecretString out;
  append(out, json ? "{" : "");
  for (const auto& [key, value] : values) {
    if (json) {
      append(out, out.size() == 1 ? "\n  \"" : ",\n  \"");
      append(out, key);
      append(out, "\": ");
    } else {
      append(out, key);
      append(out, format == SecretFormat::cfg ? " = " : "=");
    }
    append_quoted(out, format, value);
    append(out, json ? "" : "\n");
  }
  append(out, json ? "\n}\n" : "");
  return out;
}

Result<SecretValues> parse_secrets(SecretFormat format, std::string_view text) {
  SecretValues values;
  switch (format) {
  case SecretFormat::dotenv:
    for (auto& [key, value] : TRY(config::parse_dotenv(text))) {
      values[key] = SecretString(value.data(), value.size());
      wipe(value.data(), value.size());
    }
    break;
  case SecretFormat::json: values = TRY(parse_json_object(text)); break;
  case SecretFormat::cfg: values = TRY(parse_cfg(text)); break;
  case SecretFormat::text: return fail(Code::invalid, "has no keys");
  }
  for (const auto& [key, value] : values) {
    TRY(check_secret_key(key, format));
    TRY_IN(key, check_secret_value(value));
  }
  return values;
}

} // namespace chillbox::cli
