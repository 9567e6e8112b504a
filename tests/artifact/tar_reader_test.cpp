#include "catch.hpp"

#include "artifact/raw_tar.hpp"
#include "artifact/scratch.hpp"
#include "artifact/tar_reader.hpp"

#include <algorithm>

using namespace chillbox;
using namespace chillbox::test;
using namespace chillbox::artifact;

namespace {

// Gives `bytes` in pieces of `step`, so that headers fall over the edges of buffers too.
TarReader::Source in_pieces(ByteView bytes, size_t step) {
  return [rest = bytes, step]() mutable -> Result<ByteView> {
    const auto piece = rest.first(std::min(step, rest.size()));
    rest = rest.subspan(piece.size());
    return piece;
  };
}

std::string said(const std::string& tar, size_t step = 4096) {
  TarReader reader(in_pieces(bytes_of(tar), step), 1 << 20, 100);
  for (;;) {
    const auto member = reader.next();
    if (!member)
      return cat(code_name(member.error().code), ": ", member.error().message);
    if (!*member)
      return "";
  }
}

std::string with(const Header& header) {
  return header.bytes() + padded(std::string(header.size, 'x')) + end();
}

std::string patched(size_t at, std::string_view text, bool gnu = false) {
  return with({.name = "b/a", .size = 3, .gnu = gnu, .patch = [=](std::string& b) {
                 Header::put(b, at, text);
               }});
}

} // namespace

TEST_CASE("an archive is read the same whatever the pieces are") {
  const std::string longer = std::string(150, 'n') + "/x";
  const std::string tar = dir("b") + file("b/a", std::string(1000, 'a')) +
      pax(record("path", longer)) + file("x", "123") + gnu_long(longer + "2") +
      gnu_long("target", 'K') + Header{.name = "x", .type = '2', .gnu = true}.bytes() + end();
  for (const size_t step : {1, 7, 511, 512, 513, 1'000'000}) {
    TarReader reader(in_pieces(bytes_of(tar), step), 1 << 20, 100);
    std::vector<TarMember> members;
    std::string contents;
    while (const auto member = reader.next().value()) {
      members.push_back(*member);
      if (member->path == "b/a")
        continue; // its contents are passed over
      for (auto piece = reader.contents().value(); !piece.empty();
          piece = reader.contents().value())
        contents += text_of(piece);
    }
    CHECK(members ==
        std::vector<TarMember>{{EntryKind::directory, "b", "", 0, 0755},
            {EntryKind::file, "b/a", "", 1000, 0644}, {EntryKind::file, longer, "", 3, 0644},
            {EntryKind::link, longer + "2", "target", 0, 0644}});
    CHECK(contents == "123");
  }
}

TEST_CASE("an error of the stream ends the archive, and a stream without bytes is none") {
  TarReader broken([]() -> Result<ByteView> { return fail(Code::corrupt, "chunk 3"); }, 1, 1);
  CHECK(broken.next().error().message == "chunk 3");
  CHECK(said("") == "corrupt: tar, byte 0: empty: not a tar archive");
  CHECK_SAYS(said(file("b/a") + std::string(512, '\0')), "tar, byte 1536: cut off");
  CHECK_SAYS(said(file("b/a") + std::string(700, '\0')), "tar, byte 1536: cut off");
  CHECK_SAYS(said(file("b/a").substr(0, 700)), "tar, byte 700: cut off");
}

TEST_CASE("[fault-57] chains of extended headers are refused") {
  const std::string a = pax(record("path", "b/a")), l = gnu_long("b/l"), k = gnu_long("b/k", 'K');
  CHECK_SAYS(
      said(a + a + file("x") + end()), "denied: tar, byte 1024: a chain of extended headers");
  CHECK_SAYS(said(l + l + file("x") + end()), "a chain of extended headers");
  CHECK_SAYS(said(k + k + alias("x", "y") + end()), "a chain of extended headers");
  CHECK_SAYS(said(a + l + file("x") + end()), "a chain of extended headers");
  CHECK_SAYS(said(l + a + file("x") + end()), "a chain of extended headers");
  CHECK_SAYS(said(l + pax(record("comment", "x"), 'g') + file("x") + end()),
      "a chain of extended headers");
  CHECK(said(l + k + alias("x", "y") + end()) == "");
  CHECK(said(k + l + alias("x", "y") + end()) == "");
  CHECK_SAYS(said(a + end()), "an extended header without its entry");
  CHECK_SAYS(said(pax("") + file("x") + end()), "an empty extended header");
  CHECK_SAYS(said(pax(record("comment", std::string(70'000, 'c'))) + file("x") + end()),
      "the limit is 65536");
}

TEST_CASE("[fault-57] malformed pax records are refused, never skipped") {
  const auto of = [](const std::string& records) { return said(pax(records) + file("x") + end()); };
  CHECK_SAYS(
      of(std::string("12 path=a\0b\n", 12)), "corrupt: tar, byte 512: pax path contains NUL");
  CHECK_SAYS(of(record("path", "")), "pax path is empty");
  CHECK_SAYS(of("11 path=a\n"), "pax record"); // one too long
  CHECK_SAYS(of("8 path=a\n"), "malformed pax record");
  CHECK_SAYS(of("09 path=a\n"), "malformed pax record");
  CHECK_SAYS(of("+9 path=a\n"), "malformed pax record");
  CHECK_SAYS(of("-9 path=a\n"), "malformed pax record");
  CHECK_SAYS(of(" 9 path=a\n"), "malformed pax record");
  CHECK_SAYS(of("9  path=a\n"), "pax");
  CHECK_SAYS(of("0 \n"), "malformed pax record");
  CHECK_SAYS(of("3 \n"), "malformed pax record");
  CHECK_SAYS(of("99999999999999999999 path=a\n"), "malformed pax record");
  CHECK_SAYS(of("9 path=abc"), "malformed pax record");
  CHECK_SAYS(of("7 patha\n"), "malformed pax record");
  CHECK_SAYS(of("8 =patha\n"), "malformed pax record");
  CHECK_SAYS(of("path=a\n"), "malformed pax record");
  CHECK_SAYS(of(record("path", "a") + std::string(4, '\0')), "malformed pax record");
  CHECK_SAYS(of(record("path", "a") + record("path", "b")), "pax key 'path' twice");
  CHECK_SAYS(of(record("uname", "\xff")), "pax uname is not UTF-8");
  CHECK_SAYS(of(record("gname", "caf\xe9")), "pax gname is not UTF-8");
  CHECK(of(record("path", "a=b\nc").substr(0)) == ""); // the policy of names speaks later
}

TEST_CASE("[fault-57] pax keys that change what an entry means are refused, and sizes that contradict") {
  const auto of = [](const std::string& records) {
    return said(pax(records) + file("x", "123") + end());
  };
  for (const char* key : {"GNU.sparse.map", "GNU.sparse.name", "GNU.sparse.realsize",
           "SCHILY.xattr.user.a", "SCHILY.realsize", "hdrcharset", "RHT.security.selinux",
           "LIBARCHIVE.symlinktype", "SUN.holesdata", "charset", "PATH", "unknown"})
    CHECK_SAYS(
        of(record(key, "1")), cat("denied: tar, byte 512: pax key '", key, "' is not allowed"));
  CHECK(of(record("size", "3") + record("mtime", "1.5") + record("uname", "me")) == "");
  CHECK_SAYS(of(record("size", "4")), "has size 3 in its header and 4 in its pax record");
  CHECK_SAYS(of(record("size", "0")), "has size 3 in its header and 0");
  CHECK_SAYS(of(record("size", "-3")), "pax size '-3' is not a number");
  CHECK_SAYS(of(record("size", "03")), "is not a number");
  CHECK_SAYS(said(pax(record("path", "b/all"), 'g') + file("x") + end()),
      "pax key 'path' is not allowed for the whole archive");
  CHECK_SAYS(
      said(pax(record("size", "9"), 'g') + file("x") + end()), "not allowed for the whole archive");
  CHECK(said(pax(record("comment", "4b825dc"), 'g') + file("x") + end()) == "");
}

TEST_CASE("[fault-58] sizes that are negative, base-256 or no octal, and wrong checksums, are refused") {
  CHECK(said(patched(124, "00000000003")) == "");
  CHECK(said(patched(124, "0000000003 ")) == "");
  CHECK_SAYS(said(patched(124, "-0000000003")), "corrupt: tar, byte 0: size field '-0000000003");
  CHECK_SAYS(said(patched(124, std::string("\x80\0\0\0\0\0\0\0\0\0\0\x03", 12))), "size field");
  CHECK_SAYS(said(patched(124, std::string(12, '\xff'))), "size field");
  CHECK_SAYS(said(patched(124, "00000000009")), "size field");
  CHECK_SAYS(said(patched(124, "0x000000003")), "size field");
  CHECK_SAYS(said(patched(124, "          3")), "size field");
  CHECK_SAYS(said(patched(124, "3 3        ")), "size field");
  CHECK_SAYS(said(patched(124, std::string(12, '\0'))), "size field");
  CHECK_SAYS(said(patched(124, "777777777777")), "too_large: "); // every digit there is
  CHECK_SAYS(said(patched(100, "000064x")), "mode field");
  CHECK(said(patched(100, "0100644")) == ""); // with the kind of a file, as some write it
  CHECK_SAYS(said(patched(100, "0200644")), "mode field '0200644\\x00' is no file's mode");
  CHECK_SAYS(said(patched(108, "garbage")), "uid field");
  CHECK_SAYS(said(patched(136, "never")), "mtime field");
  std::string tar = with({.name = "b/a"});
  tar[3] = 'X'; // after the checksum was made
  CHECK_SAYS(said(tar), "wrong header checksum");
  tar = with({.name = "b/a"});
  tar.replace(148, 8, "99999999");
  CHECK_SAYS(said(tar), "checksum field");
}

TEST_CASE("[fault-58] headers that readers could read in two ways are refused") {
  CHECK_SAYS(said(patched(257, std::string("ustar\0\0\0", 8))), "not a tar archive");
  CHECK_SAYS(said(patched(257, std::string(8, '\0'))), "not a tar archive"); // before POSIX
  CHECK_SAYS(said(patched(4, "\x01")), "bytes after the end of the name");
  CHECK(said(patched(300, "x")) == ""); // a group's name: nobody reads it
  CHECK_SAYS(said(patched(157, std::string("\0x", 2))), "bytes after the end of the link name");
  CHECK_SAYS(said(patched(157, "elsewhere")), "has a link target but is not a link");
  CHECK_SAYS(said(patched(510, "x")), "fields of sparse or incremental");
  CHECK_SAYS(said(patched(345, "x", true)), "fields of sparse or incremental");
  CHECK_SAYS(said(with({.name = "b/a/"})), "is named like a folder but is not one");
  CHECK_SAYS(said(with({.name = "b/d/", .type = '5', .size = 5})), "is not a file but has a size");
  CHECK_SAYS(said(with({.name = "b/l", .type = '2', .size = 5, .link = "x"})),
      "is not a file but has a size");
}
