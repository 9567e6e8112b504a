#include "cli/laptop/host_packages.hpp"

#include "base/text.hpp"
#include "cli/laptop/git_facts.hpp"

#include <algorithm>
#include <filesystem>

namespace chillbox::cli {
namespace {

namespace fs = std::filesystem;

bool is_file(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

std::vector<std::string> files_in(const fs::path& folder) {
  std::vector<std::string> files;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored))
    if (is_file(entry.path()))
      files.push_back(entry.path().string());
  std::ranges::sort(files);
  return files;
}

// "0.2.0" of chillbox-0.2.0-r0.apk and chillbox_0.2.0_amd64.deb; "" of anything else.
std::string version_in(const std::string& file) {
  const std::string name = fs::path(file).filename();
  if (!name.starts_with("chillbox") || name.size() < 10 || name[9] < '0' || name[9] > '9')
    return "";
  return name.substr(9, name.find_first_of("-_", 9) - 9);
}

// Several may lie in a folder: only one can be installed.
std::string newest_in(const std::vector<std::string>& files) {
  std::string newest;
  for (const std::string& file : files)
    if (const std::string version = version_in(file);
        newest.empty() || (!version.empty() && compare_versions(version, newest) > 0))
      newest = version;
  return newest;
}

// Of chillbox-0.2.0-r1.apk and chillbox-openrc-0.2.0-r1.apk alike.
bool is_of_version(const std::string& file, const std::string& version) {
  const std::string name = fs::path(file).filename();
  return name.find(cat("-", version, "-")) != name.npos ||
      name.find(cat("_", version, "_")) != name.npos;
}

// What a machine without manual and completions needs.
bool is_wanted(const std::string& file, bool apk) {
  const std::string name = fs::path(file).filename();
  if (apk && name.starts_with("chillbox-openrc-") && name.ends_with(".apk"))
    return true;
  if (apk && name.ends_with(".rsa.pub"))
    return true;
  return (apk ? name.ends_with(".apk") : name.ends_with(".deb") || name.ends_with(".tar")) &&
      !version_in(file).empty();
}

HostPackages chosen(std::vector<std::string> files) {
  HostPackages packages;
  for (const std::string& file : files)
    if (packages.version.empty())
      packages.version = version_in(file);
  packages.files = std::move(files);
  return packages;
}

// The packages in a folder for this kind of machine. `make apk` puts the key one level up.
std::optional<HostPackages> in_folder(fs::path folder, bool apk) {
  folder = folder.lexically_normal();
  if (!folder.has_filename()) // "dist/x86_64/"
    folder = folder.parent_path();
  std::vector<std::string> files;
  for (const std::string& file : files_in(folder))
    if (is_wanted(file, apk))
      files.push_back(file);
  const std::string version = newest_in(files);
  if (version.empty())
    return std::nullopt;
  std::erase_if(files, [&](const std::string& file) {
    return !file.ends_with(".rsa.pub") && !is_of_version(file, version);
  });
  if (apk)
    for (const std::string& file : files_in(folder.parent_path()))
      if (file.ends_with(".rsa.pub"))
        files.push_back(file);
  return chosen(std::move(files));
}

Result<HostPackages> as_given(const std::vector<std::string>& given, bool apk) {
  std::error_code ignored;
  if (given.size() == 1 && fs::is_directory(given.front(), ignored)) {
    if (const auto found = in_folder(fs::absolute(given.front(), ignored), apk))
      return *found;
    return fail(Code::not_found,
        cat("--package ", printable(given.front(), 1024), ": no ",
            apk ? "chillbox-VERSION.apk" : "chillbox_VERSION_ARCH.deb",
            " in that folder. Nothing was changed"));
  }
  for (const std::string& file : given) {
    if (!is_file(file))
      return fail(Code::not_found,
          cat("--package ", printable(file, 1024), ": no such file. Nothing was changed"));
    const bool fits = file.ends_with(".tar") ||
        (apk && (file.ends_with(".apk") || file.ends_with(".rsa.pub"))) ||
        (!apk && file.ends_with(".deb"));
    if (!fits)
      return fail(Code::invalid,
          cat("--package ", printable(file, 1024), ": this machine takes ",
              apk ? "packages for apk with their key (NAME.rsa.pub)" : "a .deb",
              ", or a .tar of `make install`. Nothing was changed"));
  }
  return chosen(given);
}

} // namespace

Result<HostPackages> find_packages(const std::vector<std::string>& given, const HostLook& look,
    const std::string& cache, const std::string& program) {
  const bool apk = look.get("packages") == "apk";
  if (!given.empty())
    return as_given(given, apk);
  const std::string arch = look.get("arch");
  const fs::path beside = fs::path(program).parent_path();
  for (const fs::path& folder : {fs::path(cache) / "packages" / arch, beside / "packages" / arch,
           beside / ".." / "dist" / arch})
    if (auto found = in_folder(folder, apk))
      return *found;
  if (look.has("repository"))
    return HostPackages{};
  return fail(Code::not_found,
      cat("there is no package of chillbox for ", look.get("os"), " on ", arch, " in ", cache,
          "/packages/", arch, ", and the host's own repositories have none: give --package ",
          apk ? "FOLDER, which `make apk` makes as dist/ARCH"
              : "chillbox_VERSION_ARCH.deb, or a .tar of `make install`",
          ". Nothing was changed"));
}

} // namespace chillbox::cli
