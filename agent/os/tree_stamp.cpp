#include "os/tree_stamp.hpp"

#include "base/text.hpp"
#include "os/disk_tree.hpp"
#include "os/files.hpp"
#include "os/in_order.hpp"
#include "os/tree_walk.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <utility>

namespace chillbox::os {
namespace {

class Stamper {
public:
  explicit Stamper(const Owner* take_for)
      : m_owner(take_for), m_items([this](Item& item, Room&) { return look_at(item); },
                               [this](Item& item) { return stamp(item); }) {}

  Result<std::string> stamp(Fd fd, const std::string& path) {
    TRY(directory(hold(std::move(fd), path)));
    TRY(m_items.finish());
    return m_stamp.done();
  }

private:
  struct Item {
    Held in;
    std::string name; // empty: the directory itself
    struct stat seen;
  };

  Result<void> directory(const Held& in) {
    const At& at = in->at;
    Item self{in, "", {}};
    TRY(look_at(self)); // first, so that nobody else changes what is in it
    TRY(m_items.add(std::move(self)));
    for (auto& [name, kind] : TRY(entries_in(at))) {
      if (!S_ISDIR(kind)) {
        TRY(m_items.add({in, std::move(name), {}}));
        continue;
      }
      TRY(directory(TRY(hold_below(*in, name))));
    }
    return {};
  }

  // In any thread. By the descriptor itself if there is no name.
  Result<void> look_at(Item& item) const {
    const At& at = item.in->at;
    const int by_itself = item.name.empty() ? AT_EMPTY_PATH : 0;
    if (by_itself != 0 && item.seen.st_ino != 0)
      return {}; // before
    const auto path = [&] { return item.name.empty() ? at.path : at.below(item.name); };
    if (m_owner != nullptr && ::geteuid() == 0 &&
        ::fchownat(at.fd, item.name.c_str(), m_owner->uid, m_owner->gid,
            AT_SYMLINK_NOFOLLOW | by_itself) != 0)
      return fail_io("change owner of", path(), errno);
    if (::fstatat(at.fd, item.name.c_str(), &item.seen, AT_SYMLINK_NOFOLLOW | by_itself) != 0)
      return fail_io("look at", path(), errno);
    return {};
  }

  // In the order of the tree.
  Result<void> stamp(const Item& item) {
    m_stamp.add(relative_path(item.in->relative, item.name), item.seen);
    return {};
  }

  const Owner* m_owner;
  TreeStamp m_stamp;
  InOrder<Item> m_items; // gone before what its threads use
};

} // namespace

Result<std::string> stamp_of_tree(const std::string& dir, const Owner* take_for) {
  Fd fd = TRY(open_directory(dir));
  return Stamper(take_for).stamp(std::move(fd), dir);
}

} // namespace chillbox::os
