// SQLite's own file system with a switch: counts writes and syncs, and fails them from a given one
// on. For one test file to include.
#pragma once

#include <sqlite3.h>

#include <climits>
#include <cstring>
#include <string>
#include <vector>

namespace chillbox::store {
namespace faulty {

inline sqlite3_vfs* g_real = nullptr;
inline sqlite3_vfs g_faulty{};
inline int g_operations = 0;
inline int g_healthy = INT_MAX;
inline std::vector<std::string> g_trace; // "write state.db-wal", "sync state.db-wal", ...

struct File {
  sqlite3_file base;
  char name[256];
  sqlite3_file* real() { return reinterpret_cast<sqlite3_file*>(this + 1); }
};

inline sqlite3_file* real(sqlite3_file* file) {
  return reinterpret_cast<File*>(file)->real();
}

inline bool healthy(sqlite3_file* file, const char* what) {
  g_trace.push_back(std::string(what) + reinterpret_cast<File*>(file)->name);
  return g_operations++ < g_healthy;
}

inline int write(sqlite3_file* f, const void* data, int size, sqlite3_int64 at) {
  return healthy(f, "write ") ? real(f)->pMethods->xWrite(real(f), data, size, at) : SQLITE_FULL;
}
inline int sync(sqlite3_file* f, int flags) {
  return healthy(f, "sync ") ? real(f)->pMethods->xSync(real(f), flags) : SQLITE_IOERR_FSYNC;
}

// The rest only passes on.
inline int close(sqlite3_file* f) {
  return real(f)->pMethods->xClose(real(f));
}
inline int read(sqlite3_file* f, void* d, int n, sqlite3_int64 at) {
  return real(f)->pMethods->xRead(real(f), d, n, at);
}
inline int truncate(sqlite3_file* f, sqlite3_int64 n) {
  return real(f)->pMethods->xTruncate(real(f), n);
}
inline int size(sqlite3_file* f, sqlite3_int64* n) {
  return real(f)->pMethods->xFileSize(real(f), n);
}
inline int lock(sqlite3_file* f, int l) {
  return real(f)->pMethods->xLock(real(f), l);
}
inline int unlock(sqlite3_file* f, int l) {
  return real(f)->pMethods->xUnlock(real(f), l);
}
inline int reserved(sqlite3_file* f, int* out) {
  return real(f)->pMethods->xCheckReservedLock(real(f), out);
}
inline int control(sqlite3_file* f, int op, void* arg) {
  return real(f)->pMethods->xFileControl(real(f), op, arg);
}
inline int sector(sqlite3_file* f) {
  return real(f)->pMethods->xSectorSize(real(f));
}
inline int device(sqlite3_file* f) {
  return real(f)->pMethods->xDeviceCharacteristics(real(f));
}
inline int shm_map(sqlite3_file* f, int a, int b, int c, void volatile** d) {
  return real(f)->pMethods->xShmMap(real(f), a, b, c, d);
}
inline int shm_lock(sqlite3_file* f, int a, int b, int c) {
  return real(f)->pMethods->xShmLock(real(f), a, b, c);
}
inline void shm_barrier(sqlite3_file* f) {
  real(f)->pMethods->xShmBarrier(real(f));
}
inline int shm_unmap(sqlite3_file* f, int flag) {
  return real(f)->pMethods->xShmUnmap(real(f), flag);
}

inline const sqlite3_io_methods k_methods{2, close, read, write, truncate, sync, size, lock, unlock,
    reserved, control, sector, device, shm_map, shm_lock, shm_barrier, shm_unmap, nullptr, nullptr};

inline int open(sqlite3_vfs*, const char* name, sqlite3_file* f, int flags, int* out) {
  auto* file = reinterpret_cast<File*>(f);
  const char* slash = name == nullptr ? nullptr : std::strrchr(name, '/');
  std::strncpy(file->name, slash == nullptr ? "temporary" : slash + 1, sizeof file->name - 1);
  const int rc = g_real->xOpen(g_real, name, file->real(), flags, out);
  file->base.pMethods = file->real()->pMethods == nullptr ? nullptr : &k_methods;
  return rc;
}

} // namespace faulty

struct FaultyVfs {
  FaultyVfs() {
    using namespace faulty;
    if (g_real == nullptr) {
      g_real = sqlite3_vfs_find(nullptr);
      g_faulty = *g_real;
      g_faulty.zName = "faulty";
      g_faulty.szOsFile = static_cast<int>(sizeof(File)) + g_real->szOsFile;
      g_faulty.xOpen = open;
    }
    sqlite3_vfs_register(&g_faulty, 1);
    heal();
  }
  ~FaultyVfs() { sqlite3_vfs_unregister(&faulty::g_faulty); }
  // Writes and syncs from now on: the first so many succeed, later ones fail as on a full disk
  // (writes) or a failing one (syncs).
  void fail_after(int healthy_ones) {
    faulty::g_operations = 0;
    faulty::g_trace.clear();
    faulty::g_healthy = healthy_ones;
  }
  void heal() { fail_after(INT_MAX); }
  bool failed() const { return faulty::g_operations > faulty::g_healthy; }
  const std::vector<std::string>& trace() const { return faulty::g_trace; }
};

} // namespace chillbox::store
