// The bucket that a deploy goes by, --via s3://BUCKET[/PREFIX]: the artifact is put there once,
// under its digest, and each host fetches it. What the bucket needs is in
// ~/.config/chillbox/buckets/BUCKET, a file of the person's alone, in lines as hooks/backup/s3
// takes them (chillbox-hooks(7)): url, access_key, secret_key, region, ca_file.
#pragma once

#include "artifact/verify.hpp"
#include "base/error.hpp"
#include "cli/core/verb.hpp"
#include "cli/laptop/places.hpp"

#include <string>
#include <string_view>

namespace chillbox::cli {

class Bucket {
public:
  // usage: not such an address; not_found: nothing is known of the bucket; denied: others can read
  // its file.
  static Result<Bucket> find(const Places& places, std::string_view url);
  // SHA256.age and SHA256.age.minisig. A second time replaces them by the same, or by a newer
  // signature.
  Result<void> put(
      const std::string& artifact, const Digest& sha256, std::string_view signature) const;

private:
  Result<void> put_file(int fd, const std::string& name) const;
  std::string m_name, m_settings;
};

} // namespace chillbox::cli
