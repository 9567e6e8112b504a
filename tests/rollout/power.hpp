// Power cuts from a recording. What a rollout does to the files below a directory is recorded call
// by call, SQLite's calls too; then the disk is made as it may be found when the power went between
// two of them. The model, which promises no more than POSIX does:
//   - What was written to a file, its size and its mode are durable once that file was synced; an
//   entry of a directory (a new, a renamed, a removed
//     name) is once that directory was synced, a rename with the directory that it went to. syncfs
//     makes all durable. Nothing else does.
//   - Of what is not durable, any beginning may have reached the disk, in the order in which it was
//   done; the last write of it may be torn in the
//     middle. Also, names may be ahead of bytes: all entries are there, and none of the bytes that
//     were not synced.
//   - What lies in memory (/run, a database's -shm) is gone.
// The recording proves that it missed nothing: played to its end it is the directory as it is
// (`complete`).
#pragma once

#include "base/text.hpp"
#include "crash/calls.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

namespace chillbox::test {

namespace fs = std::filesystem;

struct Inode {
  enum class Type { file, directory, link } type = Type::file;
  std::string bytes; // of a file; where a link points
  mode_t mode = 0600;
  std::map<std::string, size_t> entries;
};

// A disk: inodes by number, 0 is the top directory.
using Image = std::vector<Inode>;

struct Change {
  enum class Kind { bytes, size, mode, name } kind;
  size_t inode = 0; // that is changed; of `name` the directory
  std::string text; // what is written; the name
  int64_t number =
      0; // offset, size, mode; of `name` the inode that it stands for from now on, -1: none
  size_t from = 0; // a rename: the directory and the name that go at the same moment
  std::string from_name = {};
};

inline void play(Image& image, const Change& c) {
  Inode& inode = image[c.inode];
  switch (c.kind) {
  case Change::Kind::bytes:
    if (inode.bytes.size() < static_cast<size_t>(c.number) + c.text.size())
      inode.bytes.resize(static_cast<size_t>(c.number) + c.text.size());
    inode.bytes.replace(static_cast<size_t>(c.number), c.text.size(), c.text);
    break;
  case Change::Kind::size: inode.bytes.resize(static_cast<size_t>(c.number)); break;
  case Change::Kind::mode: inode.mode = static_cast<mode_t>(c.number); break;
  case Change::Kind::name:
    if (!c.from_name.empty())
      image[c.from].entries.erase(c.from_name);
    if (c.number < 0)
      inode.entries.erase(c.text);
    else
      inode.entries[c.text] = static_cast<size_t>(c.number);
  }
}

// The power goes behind the first `changes`; of those that were not synced the first `kept` are on
// the disk.
struct Cut {
  enum class Kind { in_order, torn, names_ahead };
  size_t changes = 0, kept = 0;
  Kind kind = Kind::in_order;
};
inline std::string describe(const Cut& cut) {
  const char* kinds[] = {"", ", the last of them torn", ", names ahead of bytes"};
  return cat("behind ", cut.changes, " changes, of those not synced ", cut.kept, " kept",
      kinds[static_cast<int>(cut.kind)]);
}

class Recording final : public CallHook {
public:
  explicit Recording(std::string top) : m_top(std::move(top)) {
    m_now.push_back({.type = Inode::Type::directory, .bytes = {}, .mode = 0755, .entries = {}});
    scan(m_top, 0);
    m_before = m_now;
    hook_calls(this);
  }
  ~Recording() override { hook_calls(nullptr); }
  void stop() { hook_calls(nullptr); }

  // Played to its end it is the directory as it is. "" or the first difference.
  std::string complete() {
    Image played = m_before;
    played.resize(m_now.size());
    for (size_t i = m_before.size(); i < m_now.size(); ++i)
      played[i] = blank(m_now[i]);
    for (const auto& change : m_changes)
      play(played, change);
    return differs(played, 0, m_top);
  }
  size_t length() const { return m_changes.size(); }
  // Every way in which the power may go: the disks of some are the same.
  std::vector<Cut> cuts() const {
    std::vector<Cut> all;
    for (size_t n = 0; n <= m_changes.size(); ++n) {
      const auto loose = loose_at(n);
      for (size_t kept = 0; kept <= loose.size(); ++kept) {
        all.push_back({n, kept, Cut::Kind::in_order});
        if (kept > 0 && m_changes[loose[kept - 1]].kind == Change::Kind::bytes)
          all.push_back({n, kept, Cut::Kind::torn});
      }
      all.push_back({n, 0, Cut::Kind::names_ahead});
    }
    return all;
  }
  // The disk as it is found then.
  Image image(const Cut& cut) const {
    Image disk = m_before;
    disk.resize(m_now.size());
    for (size_t i = m_before.size(); i < m_now.size(); ++i)
      disk[i] = blank(m_now[i]);
    size_t met = 0; // of those that are loose
    for (size_t i = 0; i < cut.changes; ++i) {
      const bool loose = is_loose(i, cut.changes);
      met += loose ? 1 : 0;
      if (loose &&
          (cut.kind == Cut::Kind::names_ahead ? m_changes[i].kind != Change::Kind::name
                                              : met > cut.kept))
        continue;
      Change change = m_changes[i];
      if (loose && cut.kind == Cut::Kind::torn && met == cut.kept)
        change.text.resize(change.text.size() / 2);
      play(disk, change);
    }
    return disk;
  }

  // The directory becomes this disk. What is in memory stays, it is the caller's to throw away.
  void write(const Image& disk) {
    for (const auto& entry : fs::directory_iterator(m_top))
      if (!is_volatile(entry.path().string()))
        fs::remove_all(entry.path());
    write_below(disk, 0, m_top);
  }

  int before(const Call&) override { return 0; }
  void after(const Call& call) override {
    if (call.kind == Call::Kind::sync_all)
      return make_durable([](const Change&) { return true; });
    if (is_volatile(call.path) || call.kind == Call::Kind::spawn ||
        call.kind == Call::Kind::mount || call.kind == Call::Kind::chown)
      return;
    const auto found = find(call.path);
    switch (call.kind) {
    case Call::Kind::create:
      add_entry(call.path, {.type = Inode::Type::file, .bytes = {}, .mode = 0600, .entries = {}});
      break;
    case Call::Kind::mkdir:
      add_entry(
          call.path, {.type = Inode::Type::directory, .bytes = {}, .mode = 0755, .entries = {}});
      break;
    case Call::Kind::symlink:
      add_entry(
          call.path, {.type = Inode::Type::link, .bytes = call.other, .mode = 0777, .entries = {}});
      break;
    case Call::Kind::write: // one that a library opened by other means
      add({Change::Kind::bytes, found ? *found : add_entry(call.path, {}), std::string(call.bytes),
          call.number, 0, {}});
      break;
    case Call::Kind::link:
      add({Change::Kind::name, directory_of(call.other), base(call.other),
          static_cast<int64_t>(found.value()), 0, {}});
      break;
    case Call::Kind::truncate:
      add({Change::Kind::size, found.value(), {}, call.number, 0, {}});
      break;
    case Call::Kind::chmod: add({Change::Kind::mode, found.value(), {}, call.number, 0, {}}); break;
    case Call::Kind::unlink:
    case Call::Kind::rmdir:
      add({Change::Kind::name, directory_of(call.path), base(call.path), -1, 0, {}});
      break;
    case Call::Kind::rename:
      add({Change::Kind::name, directory_of(call.other), base(call.other),
          static_cast<int64_t>(find(call.path, call.other)), directory_of(call.path),
          base(call.path)});
      break;
    case Call::Kind::sync:
      make_durable([&](const Change& c) { return found && c.inode == *found; });
      break;
    default: throw std::logic_error(cat("not in the model: ", name(call.kind), " ", call.path));
    }
  }

private:
  static std::string base(const std::string& path) { return path.substr(path.rfind('/') + 1); }
  static Inode blank(const Inode& like) {
    return {.type = like.type,
        .bytes = like.type == Inode::Type::link ? like.bytes : "",
        .mode = 0600,
        .entries = {}};
  }
  bool is_volatile(const std::string& path) const {
    if (!path.starts_with(m_top + "/") || path.ends_with("-shm"))
      return true;
    const std::string first =
        path.substr(m_top.size() + 1, path.find('/', m_top.size() + 1) - m_top.size() - 1);
    return first == "run" || first == "desk" || first == "proc";
  }

  std::optional<size_t> find(const std::string& path) const {
    size_t at = 0;
    for (const auto part : split(std::string_view(path).substr(m_top.size()), '/')) {
      if (part.empty())
        continue;
      const auto next = m_now[at].entries.find(std::string(part));
      if (next == m_now[at].entries.end())
        return std::nullopt;
      at = next->second;
    }
    return at;
  }
  // Of a rename: the hook is asked behind it, when the old name is gone from the disk but not from
  // here.
  size_t find(const std::string& from, const std::string&) const { return find(from).value(); }
  size_t directory_of(const std::string& path) const {
    return find(path.substr(0, path.rfind('/'))).value();
  }

  size_t add_entry(const std::string& path, Inode inode) {
    const size_t parent = directory_of(path);
    m_now.push_back(std::move(inode));
    add({Change::Kind::name, parent, base(path), static_cast<int64_t>(m_now.size() - 1), 0, {}});
    return m_now.size() - 1;
  }
  void add(Change change) {
    play(m_now, change);
    m_changes.push_back(std::move(change));
    m_durable_at.push_back(0);
  }
  // A sync behind change n counts for every cut behind n.
  void make_durable(const std::function<bool(const Change&)>& which) {
    for (size_t i = 0; i < m_changes.size(); ++i)
      if (m_durable_at[i] == 0 && which(m_changes[i]))
        m_durable_at[i] = m_changes.size();
  }

  bool is_loose(size_t i, size_t changes) const {
    return m_durable_at[i] == 0 || m_durable_at[i] > changes;
  }
  std::vector<size_t> loose_at(size_t changes) const {
    std::vector<size_t> loose;
    for (size_t i = 0; i < changes; ++i)
      if (is_loose(i, changes))
        loose.push_back(i);
    return loose;
  }

  void scan(const std::string& dir, size_t at) {
    for (const auto& entry : fs::directory_iterator(dir)) {
      const std::string path = entry.path().string();
      if (is_volatile(path))
        continue;
      Inode inode;
      if (entry.is_symlink())
        inode = {.type = Inode::Type::link,
            .bytes = fs::read_symlink(path).string(),
            .mode = 0777,
            .entries = {}};
      else if (entry.is_directory())
        inode.type = Inode::Type::directory;
      else
        inode.bytes = content(path);
      if (!entry.is_symlink())
        inode.mode = mode_of(path);
      m_now.push_back(std::move(inode));
      const size_t number = m_now.size() - 1;
      m_now[at].entries[entry.path().filename().string()] = number;
      if (m_now[number].type == Inode::Type::directory)
        scan(path, number);
    }
  }

  static mode_t mode_of(const std::string& path) {
    struct stat st{};
    return ::lstat(path.c_str(), &st) == 0 ? st.st_mode & 07777 : 0;
  }
  static std::string content(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  std::string differs(const Image& image, size_t at, const std::string& dir) const {
    std::set<std::string> seen;
    for (const auto& entry : fs::directory_iterator(dir)) {
      const std::string path = entry.path().string(), file = entry.path().filename().string();
      if (is_volatile(path) ||
          path.starts_with(m_top + "/var/log")) // made by a library, and nobody's state
        continue;
      const auto found = image[at].entries.find(file);
      if (found == image[at].entries.end())
        return path + " was not recorded";
      seen.insert(file);
      const Inode& inode = image[found->second];
      if (entry.is_symlink() ? fs::read_symlink(path).string() != inode.bytes
                             : entry.is_regular_file() && content(path) != inode.bytes)
        return path + " is another than recorded";
      if (!entry.is_symlink() && entry.is_directory())
        if (std::string below = differs(image, found->second, path); !below.empty())
          return below;
    }
    for (const auto& [file, inode] : image[at].entries)
      if (!seen.contains(file) && !is_volatile(cat(dir, "/", file)) &&
          !cat(dir, "/", file).starts_with(m_top + "/var/log"))
        return cat(dir, "/", file, " was recorded and is not there");
    return {};
  }

  void write_below(const Image& disk, size_t at, const std::string& dir) {
    for (const auto& [file, number] : disk[at].entries) {
      const std::string path = cat(dir, "/", file);
      const Inode& inode = disk[number];
      if (inode.type == Inode::Type::link)
        fs::create_symlink(inode.bytes, path);
      else if (inode.type == Inode::Type::file)
        std::ofstream(path, std::ios::binary) << inode.bytes;
      else
        fs::create_directory(path);
      if (inode.type == Inode::Type::directory)
        write_below(disk, number, path);
      if (inode.type != Inode::Type::link)
        ::chmod(path.c_str(), inode.mode);
    }
  }

  std::string m_top;
  Image m_before, m_now;
  std::vector<Change> m_changes;
  std::vector<size_t>
      m_durable_at; // the number of changes before the sync that made it durable; 0: none did
};

} // namespace chillbox::test
