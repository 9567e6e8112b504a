// For which Python and platforms `pack --wheels` collects (PEP 425, 600 and 656: the tags).
#include "cli/pack/wheels.hpp"

#include "base/text.hpp"

#include <algorithm>

namespace chillbox::cli {
namespace {

bool is_python_version(std::string_view text) {
  const auto parts = split(text, '.');
  return (parts.size() == 2 || parts.size() == 3) && parts[0] == "3" && parse_u64(parts[1]) &&
      parse_u64(parts.back());
}

bool is_platform(std::string_view text) {
  return !text.empty() && text.size() <= 64 && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

std::string machine() {
#if defined(__x86_64__)
  return "x86_64";
#elif defined(__aarch64__)
  return "aarch64";
#else
  return "";
#endif
}

} // namespace

std::string WheelTarget::shown() const {
  return python.empty()
      ? "this machine"
      : cat("Python ", python, " on ", platforms.empty() ? "" : platforms.front());
}

std::string WheelTarget::machine() const {
  for (const std::string_view one : {"x86_64", "aarch64"})
    if (!platforms.empty() && platforms.front().ends_with(cat("_", one)))
      return std::string(one);
  return "";
}

std::vector<std::string> older_platforms(const std::string& platform) {
  std::vector<std::string> all{platform};
  const auto parts = split(platform, '_');
  if (parts.size() < 4 || (parts[0] != "musllinux" && parts[0] != "manylinux"))
    return all;
  const auto minor = parse_u64(parts[2]);
  const std::string arch = platform.substr(parts[0].size() + parts[1].size() + parts[2].size() + 3);
  const bool musl = parts[0] == "musllinux";
  for (uint64_t m = minor.value_or(0); m-- > (musl ? 1U : 5U);)
    all.push_back(cat(parts[0], "_", parts[1], "_", m, "_", arch));
  for (const auto& [since, name] : {std::pair{17U, "manylinux2014_"},
           std::pair{12U, "manylinux2010_"}, std::pair{5U, "manylinux1_"}})
    if (!musl && minor.value_or(0) >= since)
      all.push_back(cat(name, arch));
  return all;
}

Result<std::optional<WheelTarget>> wheel_target(const Args& args) {
  const bool python = args.has("python"), platform = args.has("platform");
  if (!args.has("wheels") && !python && !platform)
    return args.has("new-hashes")
        ? Result<std::optional<WheelTarget>>(
              fail(Code::usage, "--new-hashes: of which wheels? give --wheels or --python, too"))
        : std::optional<WheelTarget>();
  WheelTarget target{args.text("python"), {}, args.has("new-hashes")};
  if (!python && platform)
    return fail(Code::usage,
        "--platform: for which Python? give --python 3.12, as `python3 --version` on the host says");
  if (python && !is_python_version(target.python))
    return fail(
        Code::usage, cat("--python '", printable(target.python, 40), "': such as 3.12 or 3.12.4"));
  auto wanted = args.list("platform");
  if (python && wanted.empty())
    wanted.push_back("musllinux_1_2_" + machine());
  for (const auto& one : wanted) {
    if (!is_platform(one))
      return fail(Code::usage,
          cat("--platform '", printable(one, 80),
              "': such as musllinux_1_2_x86_64 (Alpine), manylinux_2_28_x86_64 (Debian)"));
    for (auto& older : older_platforms(one))
      target.platforms.push_back(std::move(older));
  }
  return std::optional(std::move(target));
}

} // namespace chillbox::cli
