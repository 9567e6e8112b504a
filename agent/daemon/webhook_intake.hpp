// The monitor's side of the edge: what strangers may ask, and nothing else. Signatures are checked
// over the raw bytes before any JSON is parsed; webhooks that came together are accepted in one
// transaction (group commit) by a thread of its own, which waits for the disk while the next are
// checked, and answered only after it is on disk.
#pragma once

#include "base/fd.hpp"
#include "base/thread_group.hpp"
#include "control/exposition.hpp"
#include "control/messages.hpp"
#include "control/packet.hpp"
#include "daemon/arriving_upload.hpp"
#include "daemon/change_notifier.hpp"
#include "daemon/partial_uploads.hpp"
#include "daemon/senders.hpp"
#include "rollout/engine.hpp"
#include "rollout/host_context.hpp"
#include "store/store.hpp"

#include <nlohmann/json.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace chillbox::daemon {

class WebhookIntake {
public:
  // hold: a webhook from nobody we know is answered so long after it came, so that the time does
  // not tell what was found wrong with it (faults 16); 0: at once.
  WebhookIntake(rollout::HostContext& host, rollout::Engine& engine, std::string host_secret,
      std::vector<LoadedSender> senders, std::chrono::microseconds hold);
  // Waits for webhooks that are being accepted and uploads that are being stored; other uploads are
  // dropped.
  ~WebhookIntake();
  WebhookIntake(const WebhookIntake&) = delete;
  WebhookIntake& operator=(const WebhookIntake&) = delete;
  // At once: what a key that is not among them announced ends, unless it has switched, and its
  // capabilities open nothing.
  void set_senders(std::vector<LoadedSender> senders);
  void attach(Fd edge); // a new edge; what the old one had open is forgotten
  void drain(); // the edge accepts no more connections, and ends when it has answered those it has
  int fd() const { return m_edge.get(); }
  // Takes all packets that have arrived. False: the edge is gone, or takes no answers, and must be
  // replaced.
  bool serve();
  void settle(); // until the webhooks that it took are answered
  // Set before serve(). text: the metrics, in any thread. admits: may this address read them?
  struct Metrics {
    std::function<Result<std::shared_ptr<const std::string>>(control::MetricsFormat)> text;
    std::function<bool(std::string_view address)> admits;
  };
  Metrics metrics;
  using SharedText = std::function<Result<std::shared_ptr<const std::string>>()>;
  SharedText report;                                          // as HTML, in any thread
  int refusal_timer() const { return m_refusal_timer.get(); } // readable: refuse_due()
  void refuse_due();
  // Long polls whose job has something new, or whose time is over, are answered, and parts of
  // uploads whose time is over are dropped. The time until the next is over; negative: none waits.
  os::Millis answer_waiting();
  // Since the start, of requests that came as far as the edge.
  struct Refused {
    uint64_t webhooks = 0;
    uint64_t uploads = 0;
  };
  Refused refused() const { return {m_refused_hooks, m_refused_uploads}; } // any thread

private:
  using Asker = EdgeRequest;
  struct Pending { // a webhook between its signature and its transaction
    Asker asker;
    store::Intake intake;
  };
  struct Answer {
    Asker asker;
    Bytes packet;
  };
  struct Checked { // webhooks that wait for their transaction
    std::mutex mutex;
    std::condition_variable changed;
    std::vector<Pending> waiting;
    bool has_thread = false;
    bool committing = false;
    bool closing = false;
  };
  using Steady = std::chrono::steady_clock;
  struct Refusal { // a webhook that waits for its 401
    Asker asker;
    Steady::time_point at;
  };
  struct Waiting { // a long poll
    Asker asker;
    std::string job;
    uint64_t after;
    os::Millis until;
  };
  struct Flying { // uploads that are not in the store yet
    uint64_t bytes = 0;
    uint64_t of_sender = 0; // of these, bytes
    size_t count = 0;
    size_t count_of_sender = 0;
  };
  using Upload = std::shared_ptr<ArrivingUpload>;
  // The job that a capability opens. denied: it is not one of ours, its deadline is over, or the
  // key that announced the job is gone.
  Result<store::Job> check_capability(std::string_view text);
  void end_orphans();  // jobs of keys that are gone
  void shut_orphans(); // their uploads and long polls
  Result<store::Intake> check_hook(const control::PacketView& packet);
  void take(const control::PacketView& packet, std::vector<Pending>& hooks);
  void commit_later(std::vector<Pending>& hooks);
  // In a thread of its own, until none has come for so long.
  void commit_waiting(std::chrono::seconds rest);
  void commit(std::vector<Pending>& hooks);
  Asker asker_of(const control::PacketView& packet) const {
    return {m_edge_number, packet.sequence};
  }
  Flying flying(const std::string& sender);
  Result<void> check_quota(const std::string& sender, uint64_t size); // throttled
  Result<void> check_room(const std::string& sender, uint64_t size);  // throttled, no_space
  Result<ArrivingUpload::Of> open_upload(
      const control::PacketView& packet); // no digest in it: it is stored already
  Result<Fd> place_upload(const ArrivingUpload::Of& of, std::string& path);
  Fd open_part(const ArrivingUpload::Of& of, std::string& path);
  Result<Fd> start_upload(const std::string& name, ArrivingUpload::Of of);
  void begin_upload(const control::PacketView& packet);
  void end_upload(const control::PacketView& packet);
  void drop_upload(ArrivingUpload& upload);
  // In a thread of the upload's own, until it is in the store, a part, or gone.
  void take_upload(const Upload& upload);
  void break_off(const ArrivingUpload& upload);
  void keep_upload(const Upload& upload, artifact::Incoming incoming);
  void forget_upload(const Upload& upload);
  control::UploadState upload_state(const store::Job& job);
  void show_job(const control::PacketView& packet);
  void show_events(const control::PacketView& packet);
  void show_metrics(const control::PacketView& packet);
  void show_report(const control::PacketView& packet);
  void lend(const Asker& asker, std::string_view what, SharedText make);
  bool answer_events(const Waiting& waiting, bool at_last);
  Answer answer_to(const Asker& asker, const store::Job& newer, const store::IntakeAnswer& verdict);
  Answer job_answer(const Asker& asker, int status, const store::Job& job);
  static Answer answer_of(
      const Asker& asker, int status, std::string_view body, std::string_view ticket = "");
  static Answer refusal(const Asker& asker, const Error& error);
  void answer(const Asker& asker, int status, std::string_view body, std::string_view ticket = "",
      int fd = -1);
  void send(std::vector<Answer> answers);        // together
  void send_held(ByteView message, int fd = -1); // with m_mutex held
  void refuse(const Asker& asker, const Error& error);
  void refuse_later(const Asker& asker, const Error& error);
  void arm(Steady::time_point at) const;
  void reject(std::string_view why);
  void count_refused(const control::PacketView& packet);
  static void count(std::atomic<uint64_t>& refused, uint64_t more, std::string_view what);
  void refused_hooks(uint64_t more);
  void refused_uploads(uint64_t more, std::string_view why);

  rollout::HostContext& m_host;
  rollout::Engine& m_engine;
  std::string m_host_secret;
  std::vector<LoadedSender> m_senders;
  std::shared_ptr<KnownKeys> m_known =
      std::make_shared<KnownKeys>(); // the engine's jobs look at it too
  Fd m_edge;
  uint64_t m_edge_number = 0;
  std::mutex m_mutex;   // of m_edge and these three, against the threads that take uploads
  bool m_stuck = false; // an answer could not be sent: no other is tried
  std::vector<Upload> m_arriving; // that are not in the store yet
  uint64_t m_rejected = 0;        // packets of this edge
  std::atomic<uint64_t> m_refused_hooks{0}, m_refused_uploads{0};
  std::vector<Waiting> m_waiting;
  std::chrono::microseconds m_hold;
  Fd m_refusal_timer;
  Steady::time_point m_came; // the packets that are being served
  std::deque<Refusal> m_refusals;
  std::map<std::string, Upload> m_tickets; // that the edge has not ended
  PartialUploads m_parts{m_host.disk};
  Checked m_checked;
  ThreadGroup m_threads; // last: they use all of the others
};

} // namespace chillbox::daemon
