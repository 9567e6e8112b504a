#include "cli/pack/requirements.hpp"

#include "base/text.hpp"
#include "cli/core/file_input.hpp"
#include "crypto/hash.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <fstream>

namespace chillbox::cli {
namespace {

namespace fs = std::filesystem;

constexpr size_t k_max_file = 4 << 20;
constexpr std::string_view k_hash = "--hash=sha256:";
constexpr std::string_view k_because = "  # added: ";
constexpr std::string_view k_made_from = "# requirements.txt with sha256 ";
constexpr std::string_view k_and = ", and hashes of what lies here beside its own";

// With the lines that go on behind a backslash as one.
std::vector<std::string> logical_lines(std::string_view text) {
  std::vector<std::string> lines{""};
  for (const auto part : split(text, '\n')) {
    const bool goes_on = part.ends_with('\\');
    const auto words = trim(goes_on ? part.substr(0, part.size() - 1) : part);
    lines.back() += cat(lines.back().empty() || words.empty() ? "" : " ", words);
    if (!goes_on)
      lines.emplace_back();
  }
  std::erase(lines, "");
  return lines;
}

std::string locked_path(const std::string& dir) {
  return cat(dir, "/dep/", k_locked);
}
std::string first_line(const std::string& digest) {
  return cat(k_made_from, digest, k_and, "\n");
}

} // namespace

std::string requirement_name(std::string_view text) {
  std::string name;
  for (const char c : text) {
    if (c == '.' || c == '_' || c == '-')
      name += name.ends_with('-') ? "" : "-";
    else if (std::isalnum(static_cast<unsigned char>(c)) != 0)
      name += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    else
      break;
  }
  return name;
}

std::string wheel_name(std::string_view file) {
  return requirement_name(file.substr(0, file.find('-')));
}

Requirements::Requirements(std::string_view text) {
  for (const auto& line : logical_lines(text)) {
    const auto because = line.find(k_because);
    const auto comment = std::min(line.find(" #"), line.starts_with('#') ? 0 : std::string::npos);
    Line one{.name = "",
        .text = std::string(trim(std::string_view(line).substr(0, comment))),
        .why = ""};
    if (one.text.empty())
      continue;
    if (!one.text.starts_with('-'))
      one.name = requirement_name(one.text);
    if (because != std::string::npos)
      one.why = line.substr(because + k_because.size());
    m_lines.push_back(std::move(one));
  }
}

const Requirements::Line* Requirements::find(std::string_view name) const {
  const auto at = std::ranges::find(m_lines, requirement_name(name), &Line::name);
  return at == m_lines.end() || at->name.empty() ? nullptr : &*at;
}

bool Requirements::hashed() const {
  return std::ranges::any_of(
      m_lines, [](const Line& line) { return line.text.find("--hash") != std::string::npos; });
}

bool Requirements::allow(std::string_view name, const std::string& sha256, std::string_view why) {
  bool found = false;
  for (Line& line : m_lines) // a name may stand twice, with different markers
    if (!line.name.empty() && line.name == requirement_name(name) &&
        line.text.find("--hash") != std::string::npos) {
      line.text += cat(" ", k_hash, sha256);
      line.why = why;
      found = true;
    }
  return found;
}

void Requirements::add(const std::string& pinned, const std::string& sha256, std::string_view why) {
  m_lines.push_back({.name = requirement_name(pinned),
      .text = cat(pinned, " ", k_hash, sha256),
      .why = std::string(why)});
}

bool Requirements::allows(std::string_view name, std::string_view sha256) const {
  const Line* line = find(name);
  return line == nullptr || line->text.find("--hash") == std::string::npos ||
      line->text.find(cat(k_hash, sha256)) != std::string::npos;
}

std::string Requirements::line_of(std::string_view name) const {
  const Line* line = find(name);
  return line == nullptr ? "" : line->text;
}

std::vector<std::pair<std::string, std::string>> Requirements::added() const {
  std::vector<std::pair<std::string, std::string>> all;
  for (const Line& line : m_lines)
    if (!line.why.empty())
      all.emplace_back(line.name, line.why);
  return all;
}

std::string Requirements::text() const {
  std::string out;
  for (const Line& line : m_lines)
    out += cat(line.text, line.why.empty() ? "" : k_because, line.why, "\n");
  return out;
}

Result<std::string> sha256_of_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  crypto::Sha256 sha;
  std::array<char, 65536> bytes;
  while (file.read(bytes.data(), bytes.size()) || file.gcount() > 0)
    sha.update(bytes_of(std::string_view(bytes.data(), static_cast<size_t>(file.gcount()))));
  if (!file.eof())
    return fail(Code::failure, cat("read ", printable(path, 1024), ": it cannot be read"));
  return Digest::of(sha.finish()).str();
}

Result<void> write_requirements(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::trunc);
  file << text;
  file.close();
  return file ? Result<void>{} : fail_errno(cat("write ", printable(path, 1024)), errno);
}

Result<std::optional<Requirements>> read_locked(const std::string& dir) {
  const std::string of = dir + "/requirements.txt", path = locked_path(dir);
  if (::access(of.c_str(), R_OK) != 0 || ::access(path.c_str(), R_OK) != 0)
    return std::optional<Requirements>();
  const std::string text = TRY(read_input(path, k_max_file));
  if (!text.starts_with(first_line(TRY(sha256_of_file(of)))))
    return std::optional<Requirements>();
  return std::optional(Requirements(text));
}

Result<void> write_locked(const std::string& dir, const Requirements& requirements) {
  const std::string path = locked_path(dir);
  std::error_code error;
  if (!requirements.changed()) {
    fs::remove(path, error);
    return {};
  }
  const std::string digest = TRY(sha256_of_file(dir + "/requirements.txt"));
  return write_requirements(path, first_line(digest) + requirements.text());
}

} // namespace chillbox::cli
