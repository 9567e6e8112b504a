// The entries of a tree, worked on by several threads, and looked at in the order in which they
// were added: reading 20,000 small files is 100,000 system calls, which two processors make in half
// the time. `work` runs in any thread, on several items at once; `done` runs in the caller's, for
// each item after its work and after `done` of all before it. The first error in that order is that
// of the whole, and ends it. A few items make no thread, and without a thread to be had the
// caller's does it all. For this room only.
#pragma once

#include "base/error.hpp"
#include "base/guarded.hpp"
#include "base/thread_group.hpp"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <utility>
#include <vector>

namespace chillbox::os {

// Of the items of one batch, for their bytes: what took() took stays until `done` of all of them.
class Room {
public:
  static constexpr size_t k_size = 256 * 1024;
  std::span<char> rest() { return {m_bytes.get() + m_taken, k_size - m_taken}; }
  void took(size_t size) { m_taken += size; }
  void clear() { m_taken = 0; }

private:
  std::unique_ptr<char[]> m_bytes = std::make_unique_for_overwrite<char[]>(k_size);
  size_t m_taken = 0;
};

template <class Item> class InOrder {
public:
  using Work = std::function<Result<void>(Item&, Room&)>;
  using Done = std::function<Result<void>(Item&)>;

  InOrder(Work work, Done done) : m_work(std::move(work)), m_done(std::move(done)) {}
  InOrder(const InOrder&) = delete;
  InOrder& operator=(const InOrder&) = delete;
  ~InOrder() {
    {
      const std::lock_guard lock(m_mutex);
      m_stop = true;
    }
    m_changed.notify_all();
    m_threads.wait();
  }

  Result<void> add(Item item) {
    if (!m_open)
      m_open = std::make_unique<Batch>();
    m_open->items.push_back(std::move(item));
    if (m_open->items.size() < k_batch)
      return {};
    hand_over();
    return m_waiting.size() < k_waiting ? Result<void>{} : take_first();
  }

  Result<void> finish() {
    if (m_open)
      hand_over();
    while (!m_waiting.empty())
      TRY(take_first());
    return {};
  }

private:
  static constexpr size_t k_batch = 32, k_waiting = 6, k_most_threads = 4;
  enum class State { added, begun, ended };
  struct Batch {
    std::vector<Item> items;
    Room room;
    Result<void> result;
    State state = State::added;
  };

  void hand_over() {
    const bool full = m_open->items.size() == k_batch;
    {
      const std::lock_guard lock(m_mutex);
      m_waiting.push_back(std::move(m_open));
    }
    if (full && m_threads.size() + 1 < m_processors)
      (void)m_threads.start("work on a tree", [this] { help(); });
    m_changed.notify_all();
  }

  // The first whose work nobody has begun.
  Batch* next() {
    for (const auto& batch : m_waiting)
      if (batch->state == State::added) {
        batch->state = State::begun;
        return batch.get();
      }
    return nullptr;
  }

  void work_on(Batch& batch, std::unique_lock<std::mutex>& lock) {
    lock.unlock();
    auto result = guarded("work on a tree", [&]() -> Result<void> {
      for (Item& item : batch.items)
        TRY(m_work(item, batch.room));
      return {};
    });
    lock.lock();
    batch.result = std::move(result);
    batch.state = State::ended;
    m_changed.notify_all();
  }

  void help() {
    std::unique_lock lock(m_mutex);
    while (!m_stop)
      if (Batch* const batch = next())
        work_on(*batch, lock);
      else
        m_changed.wait(lock);
  }

  // While another thread still works on it, this one works on a later one.
  Result<void> take_first() {
    std::unique_ptr<Batch> batch;
    {
      std::unique_lock lock(m_mutex);
      while (m_waiting.front()->state != State::ended)
        if (Batch* const other = next())
          work_on(*other, lock);
        else
          m_changed.wait(lock);
      batch = std::move(m_waiting.front());
      m_waiting.pop_front();
    }
    TRY(std::move(batch->result));
    for (Item& item : batch->items)
      TRY(m_done(item));
    batch->items.clear();
    batch->room.clear();
    batch->state = State::added;
    if (!m_open)
      m_open = std::move(batch);
    return {};
  }

  Work m_work;
  Done m_done;
  std::unique_ptr<Batch> m_open; // the caller's
  std::mutex m_mutex;
  std::condition_variable m_changed;
  std::deque<std::unique_ptr<Batch>> m_waiting;
  bool m_stop = false;
  const size_t m_processors = std::min<size_t>(std::thread::hardware_concurrency(), k_most_threads);
  ThreadGroup m_threads; // gone before the rest
};

} // namespace chillbox::os
