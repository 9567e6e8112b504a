// A folder that goes with the test.
#pragma once

#include "catch.hpp"

#include <filesystem>
#include <string>

class TempDir {
public:
  TempDir() {
    m_path = (std::filesystem::temp_directory_path() / "chillbox-cli-XXXXXX").string();
    REQUIRE(::mkdtemp(m_path.data()) != nullptr);
  }
  ~TempDir() {
    std::error_code error;
    std::filesystem::remove_all(m_path, error);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  const std::string& path() const { return m_path; }

private:
  std::string m_path;
};
