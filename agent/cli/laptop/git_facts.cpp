#include "cli/laptop/git_facts.hpp"

#include "base/names.hpp"
#include "base/text.hpp"
#include "cli/laptop/git.hpp"

#include <algorithm>
#include <array>
#include <filesystem>

namespace chillbox::cli {
namespace {

namespace fs = std::filesystem;

constexpr int k_odd_tags = 20;

std::string without_v(std::string_view tag) {
  return std::string(tag.starts_with('v') ? tag.substr(1) : tag);
}

// "v1.4.0-2-g3f2a1c9". Tags that are no versions are passed over.
void read_tag(Git& git, GitFacts& facts) {
  std::vector<std::string> words{"describe", "--tags", "--long", "--abbrev=7", "--match",
      "v[0-9]*.[0-9]*.[0-9]*", "--match", "[0-9]*.[0-9]*.[0-9]*"};
  for (int i = 0; i < k_odd_tags; ++i) {
    const auto text = git(words);
    if (!text)
      return;
    const auto hash = text->rfind("-g");
    const auto count = hash == std::string::npos ? hash : text->rfind('-', hash - 1);
    if (count == std::string::npos)
      return;
    const std::string tag = text->substr(0, count);
    if (Version::parse(without_v(tag))) {
      facts.tag = without_v(tag);
      facts.commits = parse_u64(text->substr(count + 1, hash - count - 1)).value_or(0);
      return;
    }
    words.insert(words.end(), {"--exclude", tag});
  }
}

std::string without_login(std::string address) {
  const auto scheme = address.find("://");
  const auto at = address.find('@');
  if (scheme != std::string::npos && at != std::string::npos && at < address.find('/', scheme + 3))
    address.erase(scheme + 3, at - scheme - 2);
  if (address.ends_with(".git"))
    address.resize(address.size() - 4);
  return address;
}

std::string origin_of(Git& git) {
  if (const auto address = git({"config", "--get", "remote.origin.url"}))
    return without_login(*address);
  const auto roots = git({"rev-list", "--max-parents=0", "HEAD"});
  return roots ? roots->substr(0, roots->find('\n')) : "";
}

// A clone without --recurse-submodules, and a work tree of its own, have an empty folder for each.
std::vector<std::string> absent_submodules(
    Git& git, const std::string& dir, const std::string& top) {
  std::error_code error;
  std::vector<std::string> absent;
  const std::string file = top + "/.gitmodules";
  if (!fs::exists(file, error))
    return absent;
  const std::string list =
      git({"config", "-z", "--file", file, "--get-regexp", R"(^submodule\..*\.path$)"})
          .value_or("");
  const fs::path here = fs::canonical(dir, error);
  for (const auto entry : split(list, '\0')) {
    const auto end = entry.find('\n');
    if (end == entry.npos)
      continue;
    const fs::path path = fs::path(top) / entry.substr(end + 1);
    const std::string below = path.lexically_relative(here);
    if (!below.starts_with("..") && !fs::exists(path / ".git", error))
      absent.push_back(below);
  }
  return absent;
}

struct VersionParts {
  std::array<uint64_t, 3> numbers{};
  std::vector<std::string_view> pre;
};

VersionParts parts_of(std::string_view version) {
  VersionParts parts;
  version = version.substr(0, version.find('+'));
  const auto dash = version.find('-');
  const auto numbers = split(version.substr(0, dash), '.');
  for (size_t i = 0; i < std::min<size_t>(3, numbers.size()); ++i)
    parts.numbers[i] = parse_u64(numbers[i]).value_or(0);
  if (dash != version.npos)
    parts.pre = split(version.substr(dash + 1), '.');
  return parts;
}

int sign(auto a, auto b) {
  return a < b ? -1 : a > b ? 1 : 0;
}

int compare_words(std::string_view a, std::string_view b) {
  const auto x = parse_u64(a), y = parse_u64(b);
  if (x && y)
    return sign(*x, *y);
  return x ? -1 : y ? 1 : sign(a, b); // numbers are less than words
}

} // namespace

std::optional<GitFacts> git_facts(const std::string& dir, os::Runner& runner, std::string* why) {
  Git git(dir, runner);
  const auto head = git({"rev-parse", "--is-inside-work-tree", "--is-shallow-repository",
      "--show-toplevel", "--short=7", "HEAD"});
  if (!head) {
    if (why != nullptr && git.said.find("dubious ownership") != std::string::npos)
      *why = git.said.substr(0, git.said.find('\n'));
    return std::nullopt;
  }
  const auto lines = split(*head, '\n');
  if (lines.size() < 4 || lines[0] != "true")
    return std::nullopt;
  GitFacts facts{.hash = std::string(lines.back()), .shallow = lines[1] == "true"};
  if (const auto tracked = git({"ls-tree", "--name-only", "HEAD", "./"});
      !tracked || tracked->empty())
    return std::nullopt;
  facts.branch = git({"symbolic-ref", "--quiet", "--short", "HEAD"}).value_or("");
  read_tag(git, facts);
  if (facts.tag.empty())
    facts.commits = parse_u64(git({"rev-list", "--count", "HEAD"}).value_or("0")).value_or(0);
  facts.dirty =
      !git({"status", "--porcelain", "--untracked-files=normal", "--", "."}).value_or("").empty();
  facts.origin = origin_of(git);
  facts.absent = absent_submodules(git, dir, std::string(lines[2]));
  return facts;
}

std::string version_of_git(const GitFacts& git) {
  const std::string build = cat("+g", git.hash, git.dirty ? ".dirty" : "");
  if (git.tag.empty())
    return cat("0.0.", git.commits, build);
  if (git.commits == 0 && !git.dirty)
    return git.tag;
  const std::string tag = git.tag.substr(0, git.tag.find('+'));
  if (tag.find('-') != std::string::npos) // 1.4.0-rc.1: what follows it comes before 1.4.0
    return cat(tag, ".dev.", git.commits, build);
  const auto parts = parts_of(tag);
  return cat(parts.numbers[0], ".", parts.numbers[1], ".", parts.numbers[2] + 1, "-dev.",
      git.commits, build);
}

int compare_versions(std::string_view a, std::string_view b) {
  const VersionParts x = parts_of(a), y = parts_of(b);
  for (size_t i = 0; i < 3; ++i)
    if (x.numbers[i] != y.numbers[i])
      return sign(x.numbers[i], y.numbers[i]);
  if (x.pre.empty() || y.pre.empty())
    return x.pre.empty() && y.pre.empty() ? 0 : x.pre.empty() ? 1 : -1;
  for (size_t i = 0; i < std::min(x.pre.size(), y.pre.size()); ++i)
    if (const int order = compare_words(x.pre[i], y.pre[i]); order != 0)
      return order;
  return sign(x.pre.size(), y.pre.size());
}

std::optional<uint64_t> counted_version(std::string_view version) {
  return version.starts_with("0.0.") ? parse_u64(version.substr(4)) : std::nullopt;
}

} // namespace chillbox::cli
