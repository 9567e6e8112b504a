// The artifacts that this laptop packed of one site for one host. Each is called by what is in it,
// so that two deploys at once send each its own bytes; and each that is being sent is held, so that
// another deploy, which removes older ones, leaves it there.
#pragma once

#include "base/error.hpp"
#include "base/fd.hpp"
#include "cli/laptop/places.hpp"

#include <string>
#include <string_view>

namespace chillbox::cli {

class ArtifactCache {
public:
  // Removes what a deploy left that was killed while it packed.
  static Result<ArtifactCache> open(
      const Places& places, const std::string& host, const std::string& site);
  std::string fresh() const;                         // where this process packs
  std::string kept(const std::string& sha256) const; // its name from then on
  // As long as the descriptor is open. None: the file is gone.
  static Fd hold(const std::string& path);
  void remove_others(const std::string& path) const; // but not those that are held

private:
  ArtifactCache(std::string dir, std::string name)
      : m_dir(std::move(dir)), m_name(std::move(name)) {}
  bool is_ours(std::string_view file) const;
  std::string m_dir, m_name;
};

} // namespace chillbox::cli
