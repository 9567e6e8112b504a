#include "artifact/policy.hpp"

#include "base/text.hpp"

#include <algorithm>

namespace chillbox::artifact {
namespace {

std::unexpected<Error> refused(std::string_view path, std::string_view why) {
  return fail(Code::denied, cat("'", printable(path), "': ", why));
}

bool has_control(std::string_view s) {
  for (size_t i = 0; i < s.size(); ++i) {
    const auto c = static_cast<unsigned char>(s[i]);
    // U+0080 to U+009F are controls too; in UTF-8 they begin with C2.
    if (c < 0x20 || c == 0x7F ||
        (c == 0xC2 && i + 1 < s.size() && static_cast<unsigned char>(s[i + 1]) < 0xA0))
      return true;
  }
  return false;
}

// What holds for names and for link targets alike.
Result<void> check_text(std::string_view path, std::string_view text, std::string_view what) {
  if (text.empty())
    return refused(path, cat("empty ", what));
  if (text.size() > k_max_path)
    return refused(path, cat(what, " of ", text.size(), " bytes, the limit is ", k_max_path));
  if (text.front() == '/')
    return refused(path, cat("absolute ", what));
  if (has_control(text))
    return refused(path, cat("control character in the ", what));
  if (!is_utf8(text))
    return refused(path, cat(what, " is not UTF-8"));
  return {};
}

std::string lower(std::string_view s) {
  std::string out(s);
  std::ranges::transform(out, out.begin(),
      [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; });
  return out;
}

std::string_view parent_of(std::string_view path) {
  const auto slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view{} : path.substr(0, slash);
}

} // namespace

Result<void> check_path(std::string_view path) {
  TRY(check_text(path, path, "name"));
  size_t depth = 0;
  for (auto part : split(path, '/')) {
    if (part.empty())
      return refused(path, "empty component");
    if (part == ".." || part == ".")
      return refused(path,
          cat("'", part, "' component",
              part == "." ? ": pack the folder by its name, not as ." : ""));
    if (part.size() > k_max_component)
      return refused(
          path, cat("component of ", part.size(), " bytes, the limit is ", k_max_component));
    ++depth;
  }
  if (depth > k_max_depth)
    return refused(path, cat(depth, " levels deep, the limit is ", k_max_depth));
  return {};
}

Result<void> check_link(std::string_view path, std::string_view target) {
  TRY(check_text(path, target, "link target"));
  const auto parents = static_cast<size_t>(std::ranges::count(path, '/'));
  size_t up = 0;
  bool down = false;
  for (auto part : split(target, '/')) {
    if (part.empty())
      return refused(path, "empty component in the link target");
    if (part.size() > k_max_component)
      return refused(path, "overlong component in the link target");
    if (part == "..") {
      if (down)
        return refused(path, cat("link to '", printable(target), "': '..' only in front"));
      ++up;
    } else if (part != ".") {
      down = true;
    }
  }
  // The top folder becomes the release: what climbs out of it would end among the releases.
  if (up > 0 && up >= parents)
    return refused(path, cat("link to '", printable(target), "' leaves the tree"));
  return {};
}

Result<void> TreeNames::add_parents(std::string_view path) {
  const auto parent = parent_of(path);
  if (parent.empty() || parent == m_last_parent)
    return {};
  const auto [at, fresh] =
      m_nodes.try_emplace(lower(parent), Node{std::string(parent), EntryKind::directory, false});
  if (!fresh && at->second.name != parent)
    return refused(path,
        cat("lies in a folder that differs from '", printable(at->second.name), "' only in case"));
  if (!fresh && at->second.kind != EntryKind::directory)
    return refused(path,
        cat("lies in '", printable(parent), "', which is a ",
            at->second.kind == EntryKind::link ? "link" : "file"));
  if (fresh)
    TRY(add_parents(parent));
  m_last_parent = parent;
  return {};
}

Result<void> TreeNames::add(std::string_view path, EntryKind kind) {
  TRY(add_parents(path));
  const auto [at, fresh] = m_nodes.try_emplace(lower(path), Node{std::string(path), kind, true});
  if (m_nodes.size() > m_max)
    return fail(Code::too_large, cat("more than ", m_max, " files, folders and links"));
  if (fresh)
    return {};
  Node& there = at->second;
  if (there.name != path)
    return refused(path, cat("differs from '", printable(there.name), "' only in case"));
  if (there.named || kind != EntryKind::directory)
    return refused(path, "appears twice");
  there.named = true;
  return {};
}

} // namespace chillbox::artifact
