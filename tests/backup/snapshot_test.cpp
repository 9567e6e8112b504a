// What goes into an archive of a site's data, opened again as a laptop would.
#include "backup/data.hpp"

#include "backup/proof.hpp"

#include <memory>

using namespace chillbox;
using namespace chillbox::backup;
using namespace chillbox::test;

namespace {

bool warned(const SnapshotReport& report, std::string_view part) {
  for (const auto& warning : report.warnings)
    if (warning.find(part) != std::string::npos)
      return true;
  return false;
}

} // namespace

TEST_CASE("a file is in it as it is, with its size, mode, time and digest in the manifest") {
  Data data;
  write_file(data.file("a.txt"), "hello");
  ::chmod(data.file("a.txt").c_str(), 0640);
  ::mkdir(data.file("empty").c_str(), 0700);
  const auto report = must(data.take());
  CHECK(report.files == 1);
  CHECK(report.bytes == 5);
  CHECK(report.warnings.empty());
  data.unpack();
  const auto& entry = data.entries.at("data/web/a.txt");
  CHECK(entry.kind == Kind::file);
  CHECK(entry.size == 5);
  CHECK(entry.mode == 0640);
  CHECK(entry.mtime > 1'000'000'000);
  CHECK(entry.sha256 == "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
  CHECK(data.unpacked("data/web/a.txt") == "hello");
  CHECK(data.entries.at("data/web/empty").kind == Kind::directory);
  CHECK(data.entries.at("data/web/empty").mode == 0700);
  CHECK(read_file(data.tree + "/blog/site.json") == "{}");
}

TEST_CASE("a database in the middle of a transaction is in it as of its last commit, its log is not") {
  for (const std::string mode : {"WAL", "DELETE"}) {
    INFO(mode);
    Data data;
    const Sqlite writer(data.file("a.db"));
    writer.run("PRAGMA journal_mode = " + mode);
    writer.run("CREATE TABLE t(x); INSERT INTO t VALUES(1), (2)");
    writer.run("BEGIN IMMEDIATE; INSERT INTO t VALUES(3)");
    const auto report = must(data.take());
    CHECK(report.warnings.empty());
    writer.run("COMMIT");
    data.unpack();
    CHECK(data.entries.at("data/web/a.db").kind == Kind::sqlite);
    CHECK(data.entries.size() == 2); // the folder, the database
    const std::string copy = data.tree + "/blog/data/web/a.db";
    const auto found = must(store::examine_site_database(copy, true));
    CHECK(found.damage.empty());
    CHECK(read_file(copy).find("SQLite format 3") == 0);
  }
}

TEST_CASE("a database that somebody keeps locked fails the backup in its limit, and says which [fault-636]") {
  Data data;
  data.order.patience = std::chrono::milliseconds(200);
  const Sqlite writer(data.file("a.db"));
  writer.run("CREATE TABLE t(x); BEGIN EXCLUSIVE; INSERT INTO t VALUES(3)");
  const auto taken = data.take();
  REQUIRE_FALSE(taken);
  CHECK(taken.error().code == Code::busy);
  CHECK_SAYS(taken.error().message, "a.db: it was locked");
}

TEST_CASE("a database that is damaged at its source is stored as it is, and named at once [fault-637]") {
  Data data;
  {
    const Sqlite writer(data.file("a.db"));
    writer.run(
        "CREATE TABLE t(x); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)"
        " INSERT INTO t SELECT randomblob(20) FROM n; CREATE INDEX i ON t(x)");
  }
  std::string bytes = read_file(data.file("a.db"));
  for (size_t at = 5 * 4096; at < 9 * 4096; ++at)
    bytes[at] = 'x';
  write_file(data.file("a.db"), bytes);
  write_file(data.file("b.db"), std::string("SQLite format 3\0", 16) + std::string(2000, 'y'));
  const auto report = must(data.take());
  CHECK(warned(report, "source damaged: data/web/a.db"));
  CHECK(warned(report, "source damaged: data/web/b.db"));
  data.unpack();
  CHECK_FALSE(data.entries.at("data/web/a.db").damaged.empty());
  CHECK(data.unpacked("data/web/b.db").size() == 2016);
}

TEST_CASE("[attack-Z1] a link, a FIFO, a socket and odd names are what they are, and none is followed [fault-638]") {
  Data data;
  write_file(data.scratch / "secret", "shadow");
  ::symlink((data.scratch / "secret").c_str(), data.file("out").c_str());
  ::symlink("b", data.file("in").c_str());
  ::mkfifo(data.file("fifo").c_str(), 0644);
  write_file(data.file("b"), "b");
  write_file(data.file("B"), "twin");
  write_file(data.file("a\nb"), "newline");
  write_file(data.file("\xff"), "not UTF-8");
  ::link(data.file("b").c_str(), data.file("hard").c_str());
  const auto report = must(data.take());
  CHECK(warned(report, "left out: data/web/fifo"));
  data.unpack();
  CHECK(read_file(data.scratch / "out.age").find("shadow") == std::string::npos);
  CHECK(data.entries.at("data/web/out").kind == Kind::link);
  CHECK(data.entries.at("data/web/out").target == data.scratch / "secret");
  CHECK(data.entries.at("data/web/out").member.empty());
  CHECK(data.entries.at("data/web/in").target == "b");
  CHECK(data.unpacked("data/web/a\nb") == "newline");
  CHECK(data.unpacked("data/web/\xff") == "not UTF-8");
  CHECK(data.unpacked("data/web/B") == "twin");
  CHECK(data.unpacked("data/web/b") == "b");
  CHECK(data.unpacked("data/web/hard") == "b");
  CHECK_FALSE(data.entries.contains("data/web/fifo"));
}

TEST_CASE("[attack-Z1] more data than data_max, and a sparse terabyte, end the backup with their name") {
  Data data;
  data.order.data_max = 1 << 20;
  write_file(data.file("a"), std::string(600'000, 'x'));
  write_file(data.file("b"), std::string(600'000, 'x'));
  auto taken = data.take();
  REQUIRE_FALSE(taken);
  CHECK(taken.error().code == Code::too_large);
  CHECK_SAYS(
      taken.error().message, "data/web/b: with it the data are more than backup.data_max, 1.0 MB");
  ::unlink(data.file("b").c_str());
  const Fd sparse(::open(data.file("huge").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  REQUIRE(::ftruncate(sparse.get(), off_t{1} << 40) == 0);
  taken = data.take();
  REQUIRE_FALSE(taken);
  CHECK_SAYS(taken.error().message, "data/web/huge: with it");
}

TEST_CASE("what is excluded is left out, a folder with all that is in it") {
  Data data;
  data.order.exclude = {"web/cache/", "web/*.tmp"};
  ::mkdir(data.file("cache").c_str(), 0755);
  write_file(data.file("cache/x"), "x");
  write_file(data.file("a.tmp"), "x");
  write_file(data.file("a.txt"), "x");
  CHECK(must(data.take()).files == 1);
  data.unpack();
  CHECK(data.entries.size() == 2);
  CHECK(data.entries.contains("data/web/a.txt"));
}

TEST_CASE("a site without data has an archive all the same") {
  Data data;
  data.order.data += "/nowhere";
  CHECK(must(data.take()).files == 0);
  data.unpack();
  CHECK(data.entries.empty());
}

TEST_CASE("an order and a report come through as they were") {
  Data data;
  data.order.exclude = {"a", "b"};
  data.order.redis_socket = "/x";
  const auto order = must(parse_order(order_text(data.order)));
  CHECK(order_text(order) == order_text(data.order));
  const auto report = must(parse_report(report_text(SnapshotReport{3, 4, {"one", "two\nlines"}})));
  CHECK(report.files == 3);
  CHECK(report.bytes == 4);
  REQUIRE(report.warnings.size() == 2);
  CHECK(report.warnings[1].find('\n') == std::string::npos);
  CHECK_FALSE(parse_report("files 3\n"));
  const auto error = reported_error("error busy a.db: locked\n");
  REQUIRE(error);
  CHECK(error->code == Code::busy);
  CHECK(error->message == "a.db: locked");
}

namespace {

bool found(const ProofReport& report, std::string_view part) {
  for (const auto& line : report.damaged)
    if (line.find(part) != std::string::npos)
      return true;
  return false;
}

} // namespace

TEST_CASE("a proof finds what is missing, changed, added or no database in an unpacked archive [fault-640]") {
  Data data;
  {
    const Sqlite writer(data.file("a.db"));
    writer.run("CREATE TABLE p(i INTEGER PRIMARY KEY); CREATE TABLE c(p REFERENCES p(i));"
               "INSERT INTO c VALUES(7)");
  }
  write_file(data.file("a.txt"), "hello");
  write_file(data.file("b.txt"), "hello");
  write_file(data.file("a\nb"), "odd");
  ::symlink("a.txt", data.file("link").c_str());
  must(data.take());
  data.unpack();
  const std::string dir = data.tree + "/blog";
  auto report = must(examine(dir));
  CHECK(report.head == "blog 7");
  CHECK(report.files == 4);
  CHECK(report.databases == 1);
  CHECK(report.damaged.empty());
  REQUIRE(report.remarks.size() == 1); // the application's own doing, and no damage
  CHECK_SAYS(report.remarks[0], "data/web/a.db: rows that refer to rows that are missing, in: c");
  write_file(dir + "/data/web/a.txt", "hallo");
  ::unlink((dir + "/data/web/b.txt").c_str());
  ::unlink((dir + "/data/web/link").c_str());
  report = must(parse_proof(report_text(must(examine(dir)))));
  CHECK(found(report, "data/web/a.txt: its digest is not the manifest's"));
  CHECK(found(report, "data/web/b.txt: it is missing"));
  CHECK(found(report, "data/web/link: it is not the link that it was"));
  write_file(dir + "/data/web/b.txt", "hello");
  write_file(dir + "/data/web/c.txt", "planted");
  CHECK(found(must(examine(dir)), "archive: it has 7 files, its manifest names 4"));
  write_file(dir + "/manifest.json", "{}");
  CHECK(examine(dir).error().code == Code::corrupt);
}

TEST_CASE("[attack-Z5] a database with a schema that was made to do harm is looked at and runs nothing") {
  Data data;
  {
    const Sqlite writer(data.file("a.db"));
    writer.run(
        "CREATE TABLE t(x CHECK(x < 9)); INSERT INTO t VALUES(1); CREATE VIEW v AS SELECT load_extension('/tmp/x') AS y;"
        "CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT load_extension('/tmp/x'); END;"
        "CREATE INDEX i ON t(abs(x)); PRAGMA writable_schema = ON;"
        "UPDATE sqlite_schema SET sql = 'CREATE TABLE t(x CHECK(load_extension(x)))' WHERE name = 't'");
  }
  const auto report = must(data.take());
  data.unpack();
  const auto proof = examine(data.tree + "/blog");
  REQUIRE(proof); // whatever it says of the database, it ends and has a verdict
  CHECK(proof->files == 1);
  CHECK((proof->databases == 1 || warned(report, "source damaged")));
}
