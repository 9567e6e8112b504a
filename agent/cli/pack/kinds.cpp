#include "cli/pack/kinds.hpp"

#include "base/text.hpp"
#include "cli/core/file_input.hpp"
#include "os/disk.hpp"
#include "os/root_owned.hpp"

#include <unistd.h>

#include <algorithm>
#include <filesystem>

namespace chillbox::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view k_handlers = "handlers/";
constexpr std::string_view k_kind_json = "/kind.json";
constexpr size_t k_max_new_file = 1 << 20; // bytes

} // namespace

Kinds::Kinds() {
  for (const auto& [path, text] : shipped_hooks())
    if (path.ends_with(k_kind_json))
      if (auto kind = config::parse_kind(text)) // a test reads them all
        m_known.emplace(
            path.substr(k_handlers.size(), path.size() - k_handlers.size() - k_kind_json.size()),
            Known{*std::move(kind), ""});
}

Result<Kinds> Kinds::load(const os::Paths& paths) {
  Kinds kinds;
  TRY(kinds.add(paths.shipped_hooks() + "/handlers", false));
  std::error_code error;
  if (fs::is_directory(paths.admin_hooks() + "/handlers", error)) {
    TRY(os::check_root_owned(paths.admin_hooks(), "handlers"));
    TRY(kinds.add(paths.admin_hooks() + "/handlers", true));
  }
  return kinds;
}

Result<void> Kinds::add(const std::string& handlers, bool replaces) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(handlers, error)) {
    const std::string name = entry.path().filename(), folder = entry.path();
    const std::string file = cat(folder, k_kind_json);
    if ((m_known.contains(name) && !replaces) || !fs::exists(file, error))
      continue;
    const std::string text = TRY(read_input(file, config::k_max_kind_json));
    const config::Kind kind = TRY_IN(file, config::parse_kind(text));
    m_known.insert_or_assign(name, Known{kind, folder});
  }
  return {};
}

const config::Kind& Kinds::find(const std::string& name) const {
  static const config::Kind k_unknown;
  const auto found = m_known.find(name);
  return found == m_known.end() ? k_unknown : found->second.kind;
}

config::KnownKinds Kinds::known() const {
  config::KnownKinds kinds;
  for (const auto& [name, known] : m_known)
    kinds.emplace(name, known.kind);
  return kinds;
}

std::string Kinds::default_name() const {
  const auto found =
      std::ranges::find_if(m_known, [](const auto& one) { return one.second.kind.is_default; });
  return found == m_known.end() ? "" : found->first;
}

Result<std::map<std::string, std::string>> Kinds::new_site(const std::string& name) const {
  std::map<std::string, std::string> files;
  const auto found = m_known.find(name);
  if (found == m_known.end())
    return files;
  if (const std::string prefix = cat(k_handlers, name, "/new/"); found->second.folder.empty()) {
    for (const auto& [path, text] : shipped_hooks())
      if (path.starts_with(prefix))
        files.emplace(path.substr(prefix.size()), text);
    return files;
  }
  std::error_code error;
  const fs::path top = found->second.folder + "/new";
  for (const auto& entry : fs::recursive_directory_iterator(top, error))
    if (entry.is_regular_file(error))
      files.emplace(entry.path().lexically_relative(top).string(),
          TRY(read_input(entry.path().string(), k_max_new_file)));
  return files;
}

std::string Kinds::folder(const std::string& name, const std::string& shipped) const {
  const auto found = m_known.find(name);
  return found == m_known.end() || found->second.folder.empty()
      ? cat(shipped, "/", k_handlers, name)
      : found->second.folder;
}

Result<void> write_shipped_hooks(const std::string& dir) {
  std::error_code error;
  for (const auto& [path, text] : shipped_hooks()) {
    const fs::path file = fs::path(dir) / path;
    fs::create_directories(file.parent_path(), error);
    if (error)
      return fail_errno(cat("make ", file.parent_path().string()), error.value());
    TRY(os::real_disk().write(
        file.string(), text, text.starts_with("#!") ? 0700 : 0600, {::geteuid(), ::getegid()}));
  }
  return {};
}

} // namespace chillbox::cli
