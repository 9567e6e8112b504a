// A site's data, an archive of them, and that unpacked.
#pragma once

#include "catch.hpp"

#include "artifact/encrypted.hpp"
#include "backup/snapshot.hpp"
#include "store/site_database.hpp"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <map>
#include <string>

namespace chillbox::test {

using namespace backup;

// A site's data, an archive of it, and the archive unpacked.
struct Data {
  Scratch scratch;
  crypto::AgeIdentity identity = crypto::AgeIdentity::generate();
  SnapshotOrder order{.head = {.site = must(SiteName::parse("blog")),
                          .serial = 7,
                          .release = "1.0.0-1",
                          .taken_ms = 1'700'000'000'000},
      .data = scratch / "data",
      .work = scratch / "work",
      .redis_socket = {},
      .redis_cli = {},
      .exclude = {},
      .recipients = {identity.recipient()},
      .site_json = "{}",
      .data_max = 64ULL << 20};
  std::map<std::string, ManifestEntry> entries;
  std::string tree = scratch / "tree";

  Data() {
    ::mkdir(order.data.c_str(), 0755);
    ::mkdir((order.data + "/web").c_str(), 0755);
    ::mkdir(order.work.c_str(), 0700);
  }
  std::string file(const std::string& name) const { return order.data + "/web/" + name; }

  Result<SnapshotReport> take() {
    const Fd out(
        ::open((scratch / "out.age").c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    return snapshot(order, out.get());
  }
  void unpack() {
    const Fd in(::open((scratch / "out.age").c_str(), O_RDONLY | O_CLOEXEC));
    const std::string all = read_file(scratch / "out.age");
    const auto key = must(identity.file_key(must(crypto::parse_age_header(bytes_of(all)))));
    ::mkdir(tree.c_str(), 0755);
    const Fd dir(::open(tree.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    must(artifact::unpack(in.get(), key, dir.get(), {.ratio = 1'000'000}));
    entries.clear();
    must(read_manifest(tree + "/blog/manifest.json", [&](const ManifestEntry& e) -> Result<void> {
      entries[e.path] = e;
      return {};
    }));
  }
  std::string unpacked(const std::string& path) {
    return read_file(cat(tree, "/blog/", entries.at(path).member));
  }
};

struct Sqlite {
  sqlite3* db = nullptr;
  explicit Sqlite(const std::string& path) { sqlite3_open(path.c_str(), &db); }
  ~Sqlite() { sqlite3_close(db); }
  Sqlite(const Sqlite&) = delete;
  Sqlite& operator=(const Sqlite&) = delete;
  void run(const std::string& sql) const {
    INFO(sql);
    REQUIRE(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK);
  }
};

} // namespace chillbox::test
