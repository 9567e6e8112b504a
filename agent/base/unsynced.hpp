// While one is alive, what its thread changes through os::Disk and store::Store is not synced. For
// what the next sync of the same place makes durable before anything depends on it, and for what is
// made again before it is read; each use says which. What readers see is whole either way: a file
// is written next to its place and renamed. A transaction keeps its place among the others: one
// that is durable makes all before it durable.
#pragma once

namespace chillbox {

class Unsynced {
public:
  Unsynced() { ++s_depth; }
  Unsynced(const Unsynced&) = delete;
  Unsynced& operator=(const Unsynced&) = delete;
  ~Unsynced() { --s_depth; }
  static bool active() { return s_depth > 0; }

private:
  static inline thread_local int s_depth = 0;
};

// The same of names only: what they name is synced before it gets its name, so that after a power
// cut there is the file or link from before or the new one, whole.
class UnsyncedNames {
public:
  UnsyncedNames() { ++s_depth; }
  UnsyncedNames(const UnsyncedNames&) = delete;
  UnsyncedNames& operator=(const UnsyncedNames&) = delete;
  ~UnsyncedNames() { --s_depth; }
  static bool active() { return s_depth > 0 || Unsynced::active(); }

private:
  static inline thread_local int s_depth = 0;
};

} // namespace chillbox
