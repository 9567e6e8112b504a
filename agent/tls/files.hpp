// The file of a certificate: key and chain in one, root's alone. It appears by one rename, so that
// no moment has the key of one certificate and the chain of another, with which NGINX would not
// start. The one before stays as ".old" until NGINX is proven to serve the new one. A key that may
// not reach a disk has its file in /run/chillbox/tls, in memory.
#pragma once

#include "crypto/certificate.hpp"
#include "os/disk.hpp"
#include "os/paths.hpp"
#include "tls/record.hpp"

#include <optional>
#include <string>

namespace chillbox::tls {

class Files {
public:
  Files(os::Disk& disk, os::Paths paths) : m_disk(disk), m_paths(std::move(paths)) {}

  std::string path(const Record& record) const;
  // What the file has, if that is a key with its chain; nullopt: it does not exist, or is damaged.
  std::optional<crypto::CheckedChain> read(const Record& record) const;
  bool exists(const Record& record) const { return m_disk.exists(path(record)); }

  // Next to its place, for NGINX to look at.
  Result<std::string> write_candidate(const Record& record, std::string_view pem);
  // The candidate becomes the file.
  Result<void> put(const Record& record);
  // In place of the certificate with this digest; none was there before: the file goes.
  Result<void> put_back(const Record& record, const std::string& sha256);
  void proven(const Record& record);         // ".old" and the key of the order go
  Result<void> remove(const Record& record); // all of them

  // The key of an order that is under way, of a key that may not reach a disk.
  Result<void> write_key(const Record& record, std::string_view key);
  Result<SecretString> read_key(const Record& record) const;

  // Makes the file good again: from ".old", else from the row. True: it is good now; false: there
  // is nothing left of it, and NGINX must not be told of it.
  Result<bool> repair(const Record& record);

private:
  std::string dir(bool in_memory) const;
  os::Disk& m_disk;
  os::Paths m_paths;
};

// The administrator's own certs/SITE/{fullchain,privkey}.pem.
std::string own_folder(const os::Paths& paths, const std::string& site);
bool has_own_files(os::Disk& disk, const os::Paths& paths, const std::string& site);

} // namespace chillbox::tls
