// One site's walk through the order of a rollout on this host: does what rollout::next_step() says,
// and has it on disk before and after. It ends when nothing is left to do; after a restart it goes
// on from the file.
#pragma once

#include "daemon/rollouts.hpp"

namespace chillbox::daemon {

class RolloutWalk {
public:
  RolloutWalk(Rollouts& all, SiteName site) : m_all(all), m_site(std::move(site)) {}
  void run();

private:
  Result<void> load(); // or the newer order that has come
  Result<void> begin_order(rollout::TakenOrder taken);
  Result<void> still_holds();
  Result<rollout::Seen> see(const Rollouts::Change& now);
  Result<void> act(const rollout::NextStep& next, const Rollouts::Change& seen);
  Result<void> report(control::HostTurn state, std::string message, const std::string& code = "");
  Result<void> save() { return rollout::write_order_file(host(), *m_file); }
  std::string live();
  Result<void> tell();
  Result<void> stage(const Rollouts::Change& seen);
  Result<void> take_slot(uint64_t slots);
  Result<void> give_back_forgotten();
  Result<bool> holds_slot();
  Result<bool> was_told(const std::string& text);
  Result<bool> has_slot(uint64_t slots, bool unless_stopped);
  Result<bool> take_first(uint64_t slots, bool unless_stopped);
  Result<void> carry_on();
  Result<bool> drain(); // false: the slot is lost
  Result<void> undrain();
  Result<store::Job> begin_deploy();
  Result<void> go_back(const std::string& why);
  Result<std::optional<store::Job>> ended(const std::string& job);

  rollout::HostContext& host() { return m_all.host(); }
  const control::RolloutOrder& order() const { return m_file->taken.order; }
  rollout::Walked& walked() { return m_file->walked; }

  Rollouts& m_all;
  SiteName m_site;
  std::optional<rollout::OrderFile> m_file;
  std::optional<uint64_t> m_heard; // how many changes of the engine there had been
  bool m_stopped = false;
  std::string m_waits; // as was logged
  int m_denied = 0;    // times in a row that its order did not hold
};

} // namespace chillbox::daemon
