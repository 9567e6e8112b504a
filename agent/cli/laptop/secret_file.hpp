// A file of a secret set as keys and values, and as the text that a service reads. The quotes are
// written here, so that no value can break its file. What is in no such format stays a text.
#pragma once

#include "base/error.hpp"
#include "base/secret.hpp"

#include <map>
#include <string>
#include <string_view>

namespace chillbox::cli {

enum class SecretFormat { dotenv, json, cfg, text };

void append(SecretString& out, std::string_view text);

using SecretValues = std::map<std::string, SecretString>;

// By its name: .env (or env), .json, .cfg and .py (Flask's); anything else is text.
SecretFormat secret_format_of(std::string_view path);
std::string_view format_name(SecretFormat format);
SecretFormat format_from_name(std::string_view name); // unknown: text

// usage: no name of a variable; denied: one that no environment of a service may have.
Result<void> check_secret_key(std::string_view key, SecretFormat format);
// invalid: empty, no UTF-8, a NUL in it. The message never has the value.
Result<void> check_secret_value(std::string_view value);

// Not for text.
SecretString render_secrets(SecretFormat format, const SecretValues& values);
// What render_secrets() wrote, and what people write in these formats: a dotenv file, one JSON
// object of strings, lines NAME = 'text' with # comments. invalid, with the line and never with
// what is in it.
Result<SecretValues> parse_secrets(SecretFormat format, std::string_view text);

} // namespace chillbox::cli
