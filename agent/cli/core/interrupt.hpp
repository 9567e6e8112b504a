// Ctrl-C, and TERM, HUP, QUIT: what must happen before the program is gone. The terminal gets its
// echo back (faults 78), the words set by print_on_interrupt() are told, and the program ends with
// 128 + signal. Everything in the handler is async-signal-safe.
#pragma once

#include <termios.h>

#include <string>
#include <string_view>

namespace chillbox::cli {

void catch_interrupts(); // once, in main

// Told on the way out; "" nothing. Cut at 400 bytes.
void print_on_interrupt(std::string_view text);

// While one lives, the signal is only noted; interrupted() tells and the owner cleans up and calls
// leave_interrupted().
class DeferInterrupt {
public:
  DeferInterrupt();
  ~DeferInterrupt(); // a signal that came meanwhile takes effect here
  DeferInterrupt(const DeferInterrupt&) = delete;
  DeferInterrupt& operator=(const DeferInterrupt&) = delete;
};
bool interrupted();
[[noreturn]] void leave_interrupted();

// No echo on this terminal while it lives; what it was before comes back when it goes, also by a
// signal or exit().
class EchoOff {
public:
  explicit EchoOff(int terminal);
  ~EchoOff();
  EchoOff(const EchoOff&) = delete;
  EchoOff& operator=(const EchoOff&) = delete;
};

} // namespace chillbox::cli
