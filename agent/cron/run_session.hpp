// The streams of a run: a terminal or three pipes, who is attached to them, and what is kept of the
// output. It belongs to the task's process (cron/task.hpp), so a command outlives the daemon and
// the client that started it. A thread of its own moves the bytes; it sleeps when there are none.
//
// No byte is lost between the command and the attached client: if the client does not read, the
// command waits, as it would on a pipe. With no client the command continues, and its output is
// kept. A client may be cut off at any moment; that does not end the command's input.
#pragma once

#include "base/error.hpp"
#include "base/fd.hpp"
#include "base/mask.hpp"
#include "base/thread_group.hpp"
#include "control/run_stream.hpp"
#include "os/disk.hpp"
#include "os/log_writer.hpp"
#include "os/runner.hpp"

#include <array>
#include <atomic>
#include <deque>
#include <string>
#include <string_view>

namespace chillbox::cron {

class RunSession {
public:
  struct Options {
    std::string socket; // path of the socket that is listened at
    bool terminal = false;
    bool detached = false;  // nobody is waited for, and there is no input
    uid_t owner = 0;        // of the terminal
    os::Owner clients = {}; // who may connect: this user, and the members of this group
  };
  // log: takes the output, with the values of `mask` taken out.
  RunSession(Options options, const Mask& mask, os::LogWriter log);
  ~RunSession();
  RunSession(const RunSession&) = delete;
  RunSession& operator=(const RunSession&) = delete;

  // Then the thread runs, and the command may be started with streams(). timed_out: nobody came
  // who wanted to be attached.
  Result<void> begin();
  std::array<int, 3> streams() const;
  int stop_asked() const { return m_stop.get(); } // readable once who is attached wants an end
  // The command and all that it started have ended: passes on what is left, says how it ended.
  void finish(int code, std::string_view text);
  std::string last_lines() const; // of the output; after finish()

private:
  struct Source {
    Fd fd;
    control::RunFrame kind;
  };
  Result<void> make_terminal();
  Result<void> make_pipes();
  void loop();
  bool more(); // false: all is passed on
  void take_client();
  void drop_client();
  void read_client();
  void obey(std::string_view frame);
  void write_client();
  void read_source(Source& source);
  void write_input();
  void keep(std::string_view text);
  void end_line();

  Options m_options;
  MaskedStream m_masked;
  os::LogWriter m_log;
  Fd m_listener, m_client, m_input, m_wake, m_stop;
  std::array<Fd, 3> m_theirs; // the command's ends
  std::array<Source, 2> m_sources;
  control::RunFrames m_frames;
  std::string m_to_client, m_to_command, m_line, m_end;
  bool m_input_ends = false, m_end_sent = false;
  std::deque<std::string> m_last;
  std::atomic<bool> m_ended{false};
  ThreadGroup m_thread; // last: it uses all of the others
};

} // namespace chillbox::cron
