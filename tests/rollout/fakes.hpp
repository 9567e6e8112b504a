// Two of the four seams: a clock that runs ahead and a disk that remembers, fails or loses the
// power at the change that a test names.
#pragma once

#include "base/text.hpp"
#include "os/clock.hpp"
#include "os/disk.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace chillbox::test {

// Ten times as fast as real time, because threads do wait for each other in real time; sleep()
// costs nothing. The wall clock stands still until something sleeps or the test moves it.
class FakeClock : public os::Clock {
public:
  int64_t wall() const override { return wall_ms() / 1000; }
  int64_t wall_ms() const override { return k_begin_ms + m_slept.load() + m_moved.load(); }
  os::Millis mono() const override {
    return (os::real_clock().mono() - m_begin) * 10 + os::Millis{m_slept.load()};
  }
  void sleep(os::Millis time) override { m_slept += time.count(); }
  void move(os::Millis time) { m_moved += time.count(); } // the wall clock alone

private:
  static constexpr int64_t k_begin_ms = 1'800'000'000'000;
  os::Millis m_begin = os::real_clock().mono();
  std::atomic<int64_t> m_slept{0}, m_moved{0};
};

// Unwinds like a kill -9: nothing after the change happens, nothing is undone.
struct PowerCut {};

class TestDisk : public os::Disk {
public:
  explicit TestDisk(std::string root) : m_root(std::move(root)) {}

  // The n-th change from now fails with this errno, or the power goes before it. 0: none.
  void fail_at(uint64_t n, int error = ENOSPC) { arm(n, error); }
  void cut_power_at(uint64_t n) { arm(n, 0); }
  std::atomic<uint64_t> looks{0};          // questions, not changes
  bool struck() const { return m_struck; } // the armed change came
  std::vector<std::string> changes() {     // since forget()
    const std::lock_guard lock(m_mutex);
    return m_changes;
  }
  void forget() {
    const std::lock_guard lock(m_mutex);
    m_changes.clear();
  }
  auto digested(const std::string& dir) { // how often its digest was asked for
    const std::lock_guard lock(m_mutex);
    return std::ranges::count(m_digested, dir);
  }

  Result<std::string> read(const std::string& path, size_t limit) override {
    ++looks;
    return real().read(path, limit);
  }
  Result<std::optional<std::string>> read_link(const std::string& path) override {
    ++looks;
    return real().read_link(path);
  }
  Result<std::vector<std::string>> list(const std::string& dir) override {
    ++looks;
    return real().list(dir);
  }
  bool exists(const std::string& path) override {
    ++looks;
    return real().exists(path);
  }
  Result<std::optional<os::Found>> find(const std::string& path) override {
    ++looks;
    return real().find(path);
  }
  uint64_t size(const std::string& file) override {
    ++looks;
    const uint64_t size = real().size(file);
    if (after_size)
      after_size(file);
    return size;
  }
  Result<std::string> tail(const std::string& file, uint64_t from, size_t limit) override {
    ++looks;
    return real().tail(file, from, limit);
  }
  Result<os::Space> space(const std::string& path) override {
    return free_space ? *free_space : real().space(path);
  }
  Result<os::TreeSize> measure(const std::string& dir) override {
    ++looks;
    return real().measure(dir);
  }
  Result<std::string> tree_digest(
      const std::string& dir, std::optional<uid_t> owner = std::nullopt) override {
    {
      const std::lock_guard lock(m_mutex);
      m_digested.push_back(dir);
    }
    return real().tree_digest(dir, owner);
  }
  Result<std::vector<os::TreeLink>> tree_links(const std::string& dir) override {
    return real().tree_links(dir);
  }

  std::function<Result<void>()> syncing; // of a new release, in a thread of its own
  Result<void> sync_with(const std::string& tree, const std::string& directory) override {
    if (syncing)
      TRY(syncing());
    return real().sync_with(tree, directory);
  }
  Result<void> make_dir(const std::string& path, mode_t mode, os::Owner owner) override {
    TRY(change("make_dir", path));
    return real().make_dir(path, mode, owner);
  }
  Result<void> make_new_dir(const std::string& path) override {
    TRY(change("make_new_dir", path));
    return real().make_new_dir(path);
  }
  Result<void> write(
      const std::string& path, std::string_view bytes, mode_t mode, os::Owner owner) override {
    if (before_write)
      before_write();
    TRY(change("write", path));
    return real().write(path, bytes, mode, owner);
  }
  Result<void> set_link(const std::string& target, const std::string& path) override {
    TRY(change("set_link", path));
    return real().set_link(target, path);
  }
  Result<void> rename(const std::string& from, const std::string& to) override {
    TRY(change("rename", from));
    return real().rename(from, to);
  }
  Result<void> remove(const std::string& path) override {
    TRY(change("remove", path));
    return real().remove(path);
  }
  Result<void> remove_tree(const std::string& path) override {
    TRY(change("remove_tree", path));
    return real().remove_tree(path);
  }
  Result<std::string> take_tree(const std::string& dir, os::Owner owner) override {
    TRY(change("take_tree", dir));
    return real().take_tree(dir, owner);
  }
  Result<std::string> copy_tree(const std::string& from, const std::string& to, os::Owner owner,
      const os::TreeCopy& how) override {
    TRY(change("copy_tree", to));
    if (before_copy)
      before_copy(from);
    return real().copy_tree(from, to, owner, how);
  }
  Result<std::string> freeze_tree(const std::string& dir, os::Owner owner) override {
    TRY(change("freeze_tree", dir));
    return real().freeze_tree(dir, owner);
  }
  Result<void> share_dir(
      const std::string& top, const std::string& below, os::Owner owner) override {
    TRY(change("share_dir", top + "/" + below));
    return real().share_dir(top, below, owner);
  }
  Result<void> make_world_readable(const std::string& dir) override {
    TRY(change("make_world_readable", dir));
    return real().make_world_readable(dir);
  }
  Result<void> append(const std::string& path, std::string_view bytes, mode_t mode) override {
    TRY(change("append", path));
    return real().append(path, bytes, mode);
  }

  std::function<void(const std::string& from)> before_copy;
  std::function<void()> before_write; // how long a disk takes
  std::function<void(const std::string& file)>
      after_size;                      // what somebody writes once its size was read
  std::optional<os::Space> free_space; // what space() says, when set

private:
  static os::Disk& real() { return os::real_disk(); }
  void arm(uint64_t n, int error) {
    const std::lock_guard lock(m_mutex);
    m_left = n;
    m_error = error;
    m_struck = false;
  }
  Result<void> change(std::string_view operation, const std::string& path) {
    const std::lock_guard lock(m_mutex);
    m_changes.push_back(
        cat(operation, " ", path.starts_with(m_root) ? path.substr(m_root.size()) : path));
    if (m_left == 0 || --m_left != 0)
      return {};
    m_struck = true;
    if (m_error == 0)
      throw PowerCut();
    return fail_errno(cat(operation, " ", path), m_error);
  }

  std::string m_root;
  std::mutex m_mutex;
  std::vector<std::string> m_changes, m_digested;
  uint64_t m_left = 0;
  int m_error = 0;
  std::atomic<bool> m_struck{false};
};

} // namespace chillbox::test
