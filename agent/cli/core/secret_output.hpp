// A new file for a secret, readable for its owner alone from the start. What exists under its name,
// also a link, is neither overwritten nor followed. Destroyed without commit(): it is removed.
#pragma once

#include "base/error.hpp"
#include "base/fd.hpp"

#include <string>
#include <string_view>
#include <utility>

namespace chillbox::cli {

class SecretOutput {
public:
  static Result<SecretOutput> create(const std::string& path); // conflict: it exists
  SecretOutput(SecretOutput&& other) noexcept
      : m_path(std::exchange(other.m_path, {})), m_file(std::move(other.m_file)) {}
  SecretOutput& operator=(SecretOutput&&) = delete;
  ~SecretOutput();

  int fd() const { return m_file.get(); }
  Result<void> write(std::string_view text);
  Result<void> commit();
  Result<bool> empty() const;

private:
  SecretOutput(std::string path, Fd file) : m_path(std::move(path)), m_file(std::move(file)) {}
  std::string m_path; // "" once it stays
  Fd m_file;
};

} // namespace chillbox::cli
