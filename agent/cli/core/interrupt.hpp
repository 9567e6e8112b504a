// What happens on Ctrl-C and on TERM, HUP and QUIT. The terminal gets its echo back (faults 78),
// the text of print_on_interrupt() is printed, and the program ends with 128 + signal. Everything
// in the handler is async-signal-safe.
#pragma once

#include <termios.h>

#include <string>
#include <string_view>

namespace chillbox::cli {

void catch_interrupts(); // once, in main

// Printed on the way out; "": nothing. Cut at 400 bytes.
void print_on_interrupt(std::string_view text);

// While one exists, a signal is only recorded: interrupted() returns true, and the owner cleans up
// and calls leave_interrupted().
class DeferInterrupt {
public:
  DeferInterrupt();
  ~DeferInterrupt(); // a recorded signal takes effect here
  DeferInterrupt(const DeferInterrupt&) = delete;
  DeferInterrupt& operator=(const DeferInterrupt&) = delete;
};
bool interrupted();
int take_interrupt(); // the signal since the last call, 0: none; then interrupted() is false
[[noreturn]] void leave_interrupted(int taken = 0); // of a signal that was taken

// Turns the terminal's echo off while it exists; raw: all of its line editing, so that each byte is
// passed on. The old setting comes back afterwards, also after a signal or quick_exit().
class EchoOff {
public:
  explicit EchoOff(int terminal, bool raw = false);
  ~EchoOff();
  EchoOff(const EchoOff&) = delete;
  EchoOff& operator=(const EchoOff&) = delete;
};

} // namespace chillbox::cli
