#include "os/socket.hpp"

#include "base/text.hpp"
#include "os/runner.hpp"

#include <grp.h>
#include <pwd.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <vector>

namespace chillbox::os {
namespace {

struct Account {
  std::string name;
  gid_t gid;
};

std::optional<Account> account_of(uid_t uid) {
  std::vector<char> buffer(16384);
  passwd entry{};
  passwd* found = nullptr;
  if (::getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr)
    return std::nullopt;
  return Account{found->pw_name, found->pw_gid};
}

} // namespace

std::string Peer::name() const {
  const std::optional<Account> account = account_of(uid);
  return account ? account->name : cat("uid ", uid);
}

Result<Peer> peer_of(int socket) {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0)
    return fail_errno("ask who is at the other end", errno);
  return Peer{credentials.pid, credentials.uid, credentials.gid};
}

bool peer_in_group(const Peer& peer, const std::string& group) {
  if (peer.uid == 0)
    return true;
  const Result<gid_t> wanted = find_group(group);
  if (!wanted)
    return false;
  if (peer.gid == *wanted)
    return true;
  const std::optional<Account> account = account_of(peer.uid);
  if (!account)
    return false;
  // By what the group file says now, not by what the peer's session was born with: who was removed
  // is out at once.
  std::vector<gid_t> groups(64);
  int count = static_cast<int>(groups.size());
  while (::getgrouplist(account->name.c_str(), account->gid, groups.data(), &count) < 0) {
    if (count <= static_cast<int>(
                     groups.size())) // musl and glibc both say how many; anything else would loop
      return false;
    groups.resize(static_cast<size_t>(count));
  }
  return std::find(groups.begin(), groups.begin() + count, *wanted) != groups.begin() + count;
}

} // namespace chillbox::os
