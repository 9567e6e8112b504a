// The engine of a fleet in memory, as its header promises it; and what its owner can do.
#pragma once

#include "base/text.hpp"
#include "control/engine.hpp"

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace chillbox::test {

class MemoryEngine : public control::Engine {
public:
  Result<control::EngineChange> change(const std::vector<control::EngineCondition>& conditions,
      const std::vector<control::EngineWrite>& writes, std::chrono::milliseconds) override {
    uint64_t made = 0;
    {
      const std::lock_guard lock(m_mutex);
      if (m_down)
        return fail(Code::unreachable, "no majority of the engine answers");
      for (const auto& one : conditions)
        if (!holds(one)) {
          const auto found = m_values.find(conditions.front().key);
          return control::EngineChange{false, 0, found == m_values.end() ? "" : found->second.text};
        }
      made = ++m_revision;
      for (const auto& one : writes)
        write(one);
    }
    tell();
    if (m_on_made)
      m_on_made(writes.front().key);
    {
      const std::lock_guard lock(m_mutex);
      if (!m_lost.empty() && writes.front().key.starts_with(m_lost)) {
        m_lost.clear();
        return fail(Code::unreachable, "no answer");
      }
    }
    return control::EngineChange{true, made, ""};
  }
  Result<std::vector<control::EngineValue>> read(
      std::string_view prefix, std::chrono::milliseconds) override {
    const std::lock_guard lock(m_mutex);
    ++m_reads;
    if (m_down)
      return fail(Code::unreachable, "no majority of the engine answers");
    std::vector<control::EngineValue> found;
    for (const auto& [key, value] : m_values)
      if (key.starts_with(prefix))
        found.push_back(value);
    return found;
  }
  void follow(std::string, std::function<void()> changed) override {
    const std::lock_guard lock(m_mutex);
    m_followers.push_back(std::move(changed));
  }
  void release() override {
    {
      const std::lock_guard lock(m_mutex);
      ++m_released;
      for (const auto& key : m_leased)
        m_values.erase(key);
      m_leased.clear();
    }
    tell();
  }

  control::EngineStatus status() const override { return {.ahead_s = m_ahead_s}; }

  // --- its owner
  void put(const std::string& key, const std::string& text) {
    {
      const std::lock_guard lock(m_mutex);
      ++m_revision;
      write({.key = key, .text = text});
    }
    tell();
  }
  void put_new(const std::string& key, const std::string& text) { // by another holder
    {
      const std::lock_guard lock(m_mutex);
      m_values.erase(key);
      ++m_revision;
      write({.key = key, .text = text});
    }
    tell();
  }
  void remove(const std::string& key) {
    {
      const std::lock_guard lock(m_mutex);
      m_values.erase(key);
    }
    tell();
  }
  void down(bool is_down) {
    {
      const std::lock_guard lock(m_mutex);
      m_down = is_down;
    }
    tell();
  }
  // The next change that first writes such a key is made, and its answer gets lost.
  void lose_answer(const std::string& prefix) {
    const std::lock_guard lock(m_mutex);
    m_lost = prefix;
  }
  // With the first key of each change that was made, before its answer. Set before anybody asks.
  void on_made(std::function<void(const std::string&)> made) { m_on_made = std::move(made); }
  // As etcd does when the time has come of what was written with one.
  void expire(const std::string& prefix) {
    {
      const std::lock_guard lock(m_mutex);
      std::erase_if(m_values, [&](const auto& one) {
        return one.first.starts_with(prefix) && m_kept[one.first].count() > 0;
      });
    }
    tell();
  }
  std::chrono::seconds kept(const std::string& key) {
    const std::lock_guard lock(m_mutex);
    return m_kept[key];
  }
  std::vector<std::string> keys() {
    const std::lock_guard lock(m_mutex);
    std::vector<std::string> all;
    for (const auto& [key, _] : m_values)
      all.push_back(key);
    return all;
  }
  void clock(int64_t ahead_s) { m_ahead_s = ahead_s; }
  std::string text(const std::string& key) {
    const std::lock_guard lock(m_mutex);
    const auto found = m_values.find(key);
    return found == m_values.end() ? "" : found->second.text;
  }
  size_t reads() {
    const std::lock_guard lock(m_mutex);
    return m_reads;
  }
  size_t released() {
    const std::lock_guard lock(m_mutex);
    return m_released;
  }
  void forget() { // before who follows is gone
    const std::lock_guard lock(m_mutex);
    m_followers.clear();
  }

private:
  bool holds(const control::EngineCondition& one) const {
    using Kind = control::EngineCondition::Kind;
    const auto found = m_values.find(one.key);
    const bool there = found != m_values.end();
    switch (one.kind) {
    case Kind::absent: return !there;
    case Kind::present: return there;
    case Kind::held: return there && found->second.fence == one.fence;
    case Kind::less: return there && found->second.text < one.text;
    }
    return false;
  }
  void write(const control::EngineWrite& one) {
    m_leased.erase(one.key);
    m_kept[one.key] = one.kept;
    if (one.leased)
      m_leased.insert(one.key);
    if (one.removes) {
      m_values.erase(one.key);
      return;
    }
    auto& value = m_values[one.key];
    if (value.fence == 0)
      value.fence = m_revision;
    value.key = one.key;
    value.text = one.text;
  }
  void tell() {
    std::vector<std::function<void()>> all;
    {
      const std::lock_guard lock(m_mutex);
      all = m_followers;
    }
    for (const auto& one : all)
      one();
  }

  std::mutex m_mutex;
  std::map<std::string, control::EngineValue> m_values;
  std::vector<std::function<void()>> m_followers;
  uint64_t m_revision = 0;
  size_t m_released = 0, m_reads = 0;
  std::set<std::string> m_leased;
  std::map<std::string, std::chrono::seconds> m_kept;
  std::function<void(const std::string&)> m_on_made;
  std::atomic<int64_t> m_ahead_s{0};
  bool m_down = false;
  std::string m_lost;
};

} // namespace chillbox::test
