#include "cli/laptop/secret_merge.hpp"

#include "base/text.hpp"

#include <set>
#include <utility>

namespace chillbox::cli {
namespace {

using Place = std::pair<std::string, std::string>; // file, key

const SecretEntry* find_secret(const SecretDoc& doc, const Place& at) {
  const auto file = doc.files.find(at.first);
  if (file == doc.files.end())
    return nullptr;
  const auto key = file->second.keys.find(at.second);
  return key == file->second.keys.end() ? nullptr : &key->second;
}

bool is_same(const SecretEntry* one, const SecretEntry* other) {
  return one == nullptr || other == nullptr ? one == other : one->value == other->value;
}

std::set<Place> changed_places(const SecretDoc& base, const SecretDoc& mine) {
  std::set<Place> places;
  for (const SecretDoc* doc : {&base, &mine})
    for (const auto& [path, file] : doc->files)
      for (const auto& [key, entry] : file.keys)
        if (!is_same(find_secret(base, {path, key}), find_secret(mine, {path, key})))
          places.emplace(path, key);
  return places;
}

Error conflict_at(const Place& at, const SecretEntry* now) {
  const std::string name = at.second.empty() ? at.first : cat(at.first, ":", at.second);
  return Error(Code::conflict,
      cat(printable(name, 200), " was ",
          now == nullptr ? "removed" : cat("changed by ", printable(now->by, 80)),
          " meanwhile, too: nothing was written here"));
}

} // namespace

Result<SecretDoc> merge_secrets(const SecretDoc& base, const SecretDoc& mine, SecretDoc theirs) {
  for (const Place& at : changed_places(base, mine)) {
    const SecretEntry *is = find_secret(mine, at), *now = find_secret(theirs, at);
    if (is_same(is, now))
      continue;
    if (!is_same(find_secret(base, at), now))
      return std::unexpected(conflict_at(at, now));
    if (is == nullptr) {
      theirs.files[at.first].keys.erase(at.second);
      continue;
    }
    auto& file = theirs.files[at.first];
    file.format = mine.files.at(at.first).format;
    file.keys[at.second] = *is;
  }
  std::erase_if(theirs.files, [](const auto& file) { return file.second.keys.empty(); });
  return theirs;
}

} // namespace chillbox::cli
