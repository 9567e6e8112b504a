// The view of a program that speaks to other machines and reads nothing of this one.
#pragma once

#include "os/mount_view.hpp"

namespace chillbox::os {

// view_of({}), and the file that /etc/resolv.conf leads to.
View network_view();

} // namespace chillbox::os
