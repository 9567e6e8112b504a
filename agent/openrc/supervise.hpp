// What /etc/init.d/NAME start and stop do for a slot, without their shells (each of them starts ten
// programs, 27 to 80 ms): the control group, its limits, supervise-daemon with the same words, and
// the files in /run/openrc by which rc-status and rc-service say and do the same afterwards. The
// lock of openrc-run is held meanwhile, so that neither disturbs the other.
//
// Only where all that openrc-run would do is known: chillboxd is itself in a group that OpenRC made
// (a slot's lies next to it), the script is the shipped one, /etc/conf.d/chillbox sets nothing, and
// rc.conf nothing but what is known to concern the boot only. Else Slots runs the script. For this
// room only.
#pragma once

#include "base/fd.hpp"
#include "openrc/slots.hpp"

#include <string_view>

namespace chillbox::openrc {

// supervise-daemon marks every number up to its soft limit of open files in each child, before that
// is the program: with 20,000 of them it takes 10 ms, with a million half a second. It gets a low
// limit; the launcher finds that of the program in this variable.
inline constexpr const char* k_files_variable = "CHILLBOX_FILES";
inline constexpr uint64_t k_supervisor_files = 64;

// Of the shipped init script what is no comment. tests/openrc/supervise_test.cpp compares them.
extern const std::string_view k_shipped_script;
// Without comments and blank lines.
std::string settings_in(std::string_view shell_text);
// Each line is a plain setting that is known not to change how a service is started or stopped.
bool leaves_services_alone(std::string_view rc_conf);

struct Seams {
  os::Disk& disk;
  os::Runner& runner;
  os::Clock& clock;
  const os::Paths& paths;
};

// Does the supervisor of the service run?
bool supervisor_lives(os::Disk& disk, const os::Paths& paths, const std::string& name);
// The same by the text of its pid file.
bool supervisor_lives(
    os::Disk& disk, const os::Paths& paths, const std::string& name, std::string_view pid);

class Supervise {
public:
  Supervise(Seams seams, std::string name) : m_s(seams), m_name(std::move(name)) {}
  // The group for the slot, whether it exists or not; "": the script is run instead.
  std::string group() const;
  // Until the descriptor is closed. busy: openrc-run is running.
  Result<Fd> lock() const;
  // Of a slot that is stopped. busy: openrc-run is running.
  Result<os::Exit> start(const SlotSpec& spec, const std::string& group) const;
  // The lock is held for the next two, and in between.
  // TERM to the supervisor, which ends the program, and after its stop_timeout and 5 s kills it; a
  // second one changes nothing. Its pidfd: none, if there is no supervisor.
  Fd ask_to_stop() const;
  // The same; returns when it has ended, or after `most`. `leave` is called at least every 200 ms;
  // false: it said yes.
  bool stop(os::Millis most, const std::function<bool()>& leave) const;
  // OpenRC knows nothing of it any more.
  Result<void> forget() const;

private:
  std::string in_openrc(std::string_view what) const;
  Seams m_s;
  std::string m_name;
};

} // namespace chillbox::openrc
