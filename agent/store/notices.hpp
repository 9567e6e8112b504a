// Notices and the outbox that tells of them. What happened and that it is to be told are written in
// one transaction: of a job's end in the store's own (tell_of_job), else in that of the call here.
//
//   notices           one row for each (event, site, subject) that is open, and the newest of those
//                     that have ended. tell: '' or what is not in the outbox yet: open, still,
//                     resolved.
//   outbox            messages. gathering: takes more until next_ms. waiting: its body and its id
//                     never change again, and it is sent at next_ms. sent, exhausted: no more.
//   outbox_notices    which notices a message tells of, and what of them.
#pragma once

#include "control/notices.hpp"
#include "store/store.hpp"

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace chillbox::store {

using control::Notice;

inline constexpr int64_t k_told_again_ms = 24LL * 3'600'000;
inline constexpr int64_t k_messages_an_hour = 20; // to one target
inline constexpr int64_t k_notices_open = 1'000;  // and of one message
inline constexpr int64_t k_messages_waiting = 50; // of one target; then the next one gathers

inline constexpr std::string_view k_deploy_failed = "deploy.failed";

struct Happening {
  std::string_view event; // of control::notice_events()
  std::string site, subject, text;
  int64_t time_ms = 0;
  int64_t pause_ms = 0; // adds to the calm after which it has ended
};

struct Told { // a notice within a message
  Notice notice;
  std::string what; // open, still, resolved
};

struct OutboxMessage {
  std::string id, target, state, body, error;
  uint32_t attempt = 0; // tries that were made
  int64_t next_ms = 0;
};

struct OutboxTarget {
  std::string name;
  std::string file;     // digest of its file when it was disabled
  std::string disabled; // why, "" : it is not
  std::string error;    // of the last try
  int64_t sent_ms = 0;
};

class Notices {
public:
  explicit Notices(Store& store) : m_store(store) {}

  uint64_t changed() const; // grows with each that is to be told: nothing is asked of the disk
  // The same again while it is open only counts; of one without an end, the same text within an
  // hour.
  Result<void> raise(const Happening& happening);
  // Nothing when it is not open. site, subject: of all when nullopt. quietly: another notice tells
  // more.
  Result<void> resolve(std::string_view event, const std::optional<std::string>& site,
      const std::optional<std::string>& subject, int64_t now_ms, bool quietly = false);
  // Of a state that was looked at: these are open, and no others of the event.
  Result<void> set(std::string_view event, const std::vector<Happening>& found, int64_t now_ms);
  Result<bool> is_open(std::string_view event, const SiteName& site);
  // These are the lines of the site's crontab: "cron.failed" of any other has ended.
  Result<void> keep_cron(
      const SiteName& site, const std::vector<std::string>& lines, int64_t now_ms);
  // shows: those of which sites; it must not ask the store.
  Result<control::NoticeList> list(
      size_t limit, const std::function<bool(const std::string& site)>& shows = {});

  // --- the outbox
  // Those that have been calm for long enough have ended.
  Result<std::vector<Notice>> calm(int64_t now_ms);
  // Nobody was told until now: only what is open is worth telling.
  Result<void> forget_untold();
  // What is to be told, into messages of each target that wants it. still: open ones whose time has
  // come are told again.
  struct Recipient {
    std::string name;
    std::function<bool(const Notice&)> wants;
  };
  Result<void> fan_out(const std::vector<Recipient>& targets, int64_t gather_ms, int64_t now_ms);
  // Ready to be sent; gathering ones get the body that `write` makes of what they tell. Of a target
  // at its limit an hour none.
  using WriteBody = std::function<std::string(
      const std::string& target, const std::vector<Told>& told, uint64_t more)>;
  Result<std::vector<OutboxMessage>> due(const WriteBody& write, int64_t now_ms);
  // When due() or fan_out() has something to do next; nullopt: not by itself.
  Result<std::optional<int64_t>> next_ms();
  Result<void> sent(const OutboxMessage& message, int64_t now_ms);
  // next_ms nullopt: given up, which is a notice of its own.
  Result<void> failed(const OutboxMessage& message, const std::string& error,
      std::optional<int64_t> next_ms, int64_t now_ms);
  Result<void> later(const OutboxMessage& message, int64_t next_ms); // nothing was tried
  // Nothing is sent to it until enable(), or until its file is another.
  Result<void> disable(
      const std::string& target, const std::string& file, const std::string& why, int64_t now_ms);
  Result<uint64_t> retry(const std::string& target, int64_t now_ms); // and enables it
  Result<std::vector<OutboxTarget>> targets();
  struct Counts {
    uint64_t waiting = 0, exhausted = 0;
    int64_t next_ms = 0;
    uint32_t attempt = 0; // the most of one that waits
  };
  Result<Counts> counts(const std::string& target);
  struct Totals {
    std::array<uint64_t, 3> open{};      // by rank of their severity
    uint64_t waiting = 0, exhausted = 0; // messages
  };
  Result<Totals> totals();
  Result<void> forget(const std::string& target); // there is no such target any more
  // The wall clock was set by so much.
  Result<void> shift(int64_t by_ms);
  // Of a clock that was set while nobody looked: nothing is later than it could be.
  Result<void> clamp(int64_t now_ms);

private:
  Store& m_store;
};

} // namespace chillbox::store
