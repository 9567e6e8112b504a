// Seam: every durable change of the file system that a rollout makes goes through here, so that
// tests can fail, count and record it. Paths are absolute; parents are owned by root (or by the
// test), so that nobody swaps them meanwhile. Each call either did all or nothing that a reader
// could see; what is said to be durable was synced, the file before the name, the name before the
// return. Errors: "OPERATION PATH: reason", no_space for ENOSPC and EDQUOT.
#pragma once

#include "base/encoding.hpp"
#include "base/error.hpp"

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace chillbox::os {

struct Owner {
  uid_t uid = 0;
  gid_t gid = 0;
};

struct Space {
  uint64_t free_bytes = 0; // for root's reserve left alone: f_bavail
  uint64_t total_bytes = 0;
  uint64_t free_inodes = 0;
  uint64_t total_inodes = 0; // 0: this file system does not count them
};
struct FileSystem {
  std::string path; // a directory of it
  Space space;
};

// What is short of it for people, of which this percentage is kept free; "": nothing is.
std::string shortage_of(const FileSystem& disk, uint32_t reserve_percent);

struct TreeLink {
  std::string path; // relative
  std::string target;
};

struct TreeSize {
  uint64_t bytes = 0; // that a copy of it takes, each name of a file for itself
  uint64_t entries = 0;
  // What its removal frees at least: a file with another name, there or elsewhere, is not counted.
  uint64_t freed_bytes = 0;
  uint64_t freed_entries = 0;
};

// How a tree is copied.
struct TreeCopy {
  // A frozen tree: what is the same there, with its owner and mode, is not copied but gets one more
  // name, if it is on the same file system.
  std::string like = {};
  std::vector<std::string> published = {}; // folders that are readable for everybody, relative
};

struct Found {
  bool directory = false;
  Owner owner;
};

class Disk {
public:
  virtual ~Disk() = default;
  // Reads
  virtual Result<std::string> read(
      const std::string& path, size_t limit) = 0; // not_found; too_large over the limit
  virtual Result<std::optional<std::string>> read_link(
      const std::string& path) = 0; // nullopt: no such link
  virtual Result<std::vector<std::string>> list(
      const std::string& dir) = 0; // names, sorted; empty when there is no such directory
  virtual bool exists(const std::string& path) = 0; // anything, links not followed
  virtual Result<std::optional<Found>> find(
      const std::string& path) = 0; // nullopt: it does not exist; links are not followed
  virtual uint64_t size(const std::string& file) = 0; // 0 when it does not exist
  virtual Result<std::string> tail(const std::string& file, uint64_t from,
      size_t limit) = 0; // the last `limit` bytes after offset `from`
  virtual Result<Space> space(const std::string& path) = 0;
  virtual Result<TreeSize> measure(const std::string& dir) = 0;
  // Changes
  virtual Result<void> make_dir(const std::string& path, mode_t mode,
      Owner owner = {}) = 0; // with parents (0755 root); sets mode and owner also when it exists
  virtual Result<void> make_new_dir(
      const std::string& path) = 0; // 0700, ours, with parents; conflict when anything exists
                                    // there, which stays as it is
  // Temporary file, sync, rename, sync of the directory.
  virtual Result<void> write(
      const std::string& path, std::string_view bytes, mode_t mode, Owner owner = {}) = 0;
  // The link at `path` points to `target` from one moment to the next: symlink under a temporary
  // name, rename, sync of the directory.
  virtual Result<void> set_link(const std::string& target, const std::string& path) = 0;
  virtual Result<void> rename(
      const std::string& from, const std::string& to) = 0;  // and sync of both directories
  virtual Result<void> remove(const std::string& path) = 0; // file or link; gone already is fine
  virtual Result<void> remove_tree(
      const std::string& path) = 0; // never follows links; gone already is fine
  // Makes all of it `owner`'s; modes stay. Returns its stamp, which is another one after any change
  // of a name, mode, owner, content or link.
  virtual Result<std::string> take_tree(const std::string& dir, Owner owner) = 0;
  // Regular files, directories and symlinks only; everything owned by `owner`, directories 0750,
  // files 0640 or 0750 when executable, and o+rX in what is published; synced. `to` must not exist,
  // or be an empty directory. Anything else in `from`: denied. Returns the stamp of what it read:
  // that of take_tree(from) when nobody changed anything since.
  virtual Result<std::string> copy_tree(
      const std::string& from, const std::string& to, Owner owner, const TreeCopy& how = {}) = 0;
  // After a build by the site's user: walks by descriptor, gives all to `owner`, takes write from
  // group and others, refuses special files, and hard links to what is not frozen yet, strips
  // setuid; syncs. Returns a digest over names, modes and contents (the release's manifest).
  virtual Result<std::string> freeze_tree(const std::string& dir, Owner owner) = 0;
  // For what was changed without a sync: the file system of `tree`, and `directory`, whose names
  // were changed, if that is on another one.
  virtual Result<void> sync_with(const std::string& tree, const std::string& directory) = 0;
  // Readable for everybody (o+rX), below and including `dir`, without following links: what NGINX
  // serves on its own.
  virtual Result<void> make_world_readable(const std::string& dir) = 0;
  // Makes `below` ("web/uploads") in `top`, both of `owner`, whose group may read what is in it and
  // pass through all above it. No link is followed. denied: something on the way is another's.
  virtual Result<void> share_dir(const std::string& top, const std::string& below, Owner owner) = 0;
  // The same digest of the tree as it is now. denied: something in it is not `owner`'s, when there
  // is one. What is root's is read once as long as no entry's time of change is another one.
  virtual Result<std::string> tree_digest(
      const std::string& dir, std::optional<uid_t> owner = std::nullopt) = 0;
  // Every symbolic link below `dir`, without following one.
  virtual Result<std::vector<TreeLink>> tree_links(const std::string& dir) = 0;
  virtual Result<void> append(
      const std::string& path, std::string_view bytes, mode_t mode) = 0; // not synced: logs
};

Disk& real_disk();

// Writes the file unless it has this text already: each write is a sync of the disk.
Result<void> write_if_changed(
    Disk& disk, const std::string& path, std::string_view text, mode_t mode, Owner owner = {});

// Removes what write, set_link and copy_tree left in `dir` after a power cut or a kill
// (".NAME.tmp.XXXXXXXX", NAME beginning with `beginning`), and logs each name. At the start of the
// daemon only: it cannot tell a temporary file that somebody is still writing. A file that cannot
// be removed is logged and left.
void sweep_temporaries(const std::string& dir, std::string_view beginning = "");

} // namespace chillbox::os
