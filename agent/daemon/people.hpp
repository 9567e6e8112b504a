// People who come in by ssh: /etc/chillbox/people/NAME.json says who may what, and is read at each
// request, so that what is taken away is gone at once. From these files authorized_keys of the
// account chillbox-ssh is written: each key opens nothing but the gate, in its owner's name.
#pragma once

#include "base/error.hpp"
#include "control/people.hpp"
#include "os/paths.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace chillbox::daemon {

// not_found: there is nobody of that name. denied: others than root may write the file; invalid:
// it is none, or its name is another's.
Result<control::Person> load_person(const os::Paths& paths, std::string_view name);
// By name. A file that cannot be used gives its owner nothing, and keeps nobody else out; `faults`
// names it.
std::vector<control::Person> load_people(const os::Paths& paths, std::vector<Error>* faults);
Result<void> save_person(const os::Paths& paths, const control::Person& person);
// authorized_keys, of everybody; nothing is written when it is right.
Result<void> write_authorized_keys(const os::Paths& paths);
// The line of one key there.
std::string authorized_line(const std::string& name, const std::string& key);

bool may_touch(const control::Person& person, std::string_view site);
// Ends the gates of this person, but for that process, and the connections of sshd that they belong
// to. One that runs no gate at the moment does not say whose it is, and would open the gate again
// without a key: those end, too.
void end_sessions(const os::Paths& paths, const std::string& name, pid_t but);

} // namespace chillbox::daemon
