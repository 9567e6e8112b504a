#include "catch.hpp"

#include "artifact/encrypted.hpp"
#include "artifact/raw_tar.hpp"

using namespace chillbox;
using namespace chillbox::test;
using artifact::StageLimits;

namespace {
const std::string& good_stream() {
  static const std::string tar =
      dir("b") + file("b/a", std::string(3000, 'a')) + file("b/c", "c") + end();
  return tar;
}
} // namespace

TEST_CASE("[fault-59] an archive without its end, or with something after it, is refused") {
  const std::string body = good_stream().substr(0, good_stream().size() - 1024);
  const std::string zero(512, '\0');
  CHECK_SAYS(Unpacked(body).error(),
      "corrupt: tar, byte 5120: cut off: the end of the archive is missing");
  CHECK_SAYS(Unpacked(body + zero).error(), "the end of the archive is missing");
  CHECK_SAYS(Unpacked(body + zero + file("b/d") + end()).error(), "a lone zero block");
  CHECK_SAYS(Unpacked(good_stream() + file("b/d")).error(), "data after the end of the archive");
  CHECK_SAYS(
      Unpacked(good_stream() + zero + good_stream()).error(), "data after the end of the archive");
  CHECK_SAYS(Unpacked(good_stream() + std::string(100, '\0')).error(), "cut off");
  CHECK_SAYS(Unpacked(good_stream() + std::string(2 << 20, '\0')).error(), "endless padding");
  CHECK(Unpacked(good_stream() + std::string(9 * 1024, '\0')).error() == ""); // GNU tar's record
  // Cut within data, padding and headers.
  for (const size_t cut : {size_t{700}, size_t{1500}, size_t{4100}, body.size() - 3})
    CHECK_SAYS(Unpacked(good_stream().substr(0, cut)).error(), "corrupt: ");
}

TEST_CASE("[fault-59] [fault-61] a second frame or member of compression is refused") {
  const std::string half = good_stream().substr(0, 2048), rest = good_stream().substr(2048);
  CHECK_SAYS(Unpacked(zstd(half) + zstd(rest)).error(), "corrupt: data after the zstd frame");
  CHECK_SAYS(Unpacked(gzip(half) + gzip(rest)).error(), "corrupt: data after the gzip member");
  CHECK_SAYS(
      Unpacked(zstd(good_stream()) + zstd(good_stream())).error(), "data after the zstd frame");
  CHECK_SAYS(
      Unpacked(gzip(good_stream()) + gzip(good_stream())).error(), "data after the gzip member");
  CHECK_SAYS(Unpacked(zstd(good_stream()) + "x").error(), "data after the zstd frame");
  CHECK_SAYS(
      Unpacked(gzip(good_stream()) + std::string(10, '\0')).error(), "data after the gzip member");
  const std::string skippable("\x50\x2a\x4d\x18\x04\0\0\0abcd", 12);
  CHECK_SAYS(Unpacked(zstd(good_stream()) + skippable).error(), "data after the zstd frame");
  CHECK_FALSE(Unpacked(skippable + zstd(good_stream())).ok());
}

TEST_CASE("[fault-61] a wrong checksum and a cut of the compression are refused") {
  std::string crc = gzip(good_stream());
  crc[crc.size() - 6] = static_cast<char>(crc[crc.size() - 6] ^ 1);
  CHECK_SAYS(Unpacked(crc).error(), "gzip: incorrect data check");
  std::string length = gzip(good_stream());
  length.back() = static_cast<char>(length.back() ^ 1);
  CHECK_SAYS(Unpacked(length).error(), "gzip: incorrect length check");
  CHECK_SAYS(Unpacked(gzip(good_stream()).substr(0, 60)).error(), "corrupt: ");
  const std::string frame = zstd(good_stream());
  CHECK_SAYS(
      Unpacked(frame.substr(0, frame.size() - 1)).error(), "cut off: the zstd frame does not end");
  std::string damaged = frame;
  damaged[8] = static_cast<char>(damaged[8] ^ 0x10);
  CHECK_FALSE(Unpacked(damaged).ok());
}

TEST_CASE("[fault-1171] what is compressed twice, too short or followed by something is not said to be cut off") {
  CHECK_SAYS(Unpacked(gzip(gzip(good_stream()))).error(),
      "corrupt: compressed twice: the gzip member holds gzip, not a tar");
  CHECK_SAYS(Unpacked(zstd(gzip(good_stream()))).error(),
      "corrupt: compressed twice: the zstd frame holds gzip, not a tar");
  CHECK_SAYS(Unpacked("hello, I am a text").error(),
      "tar, byte 0: not a tar archive: it is shorter than a header");
  CHECK_SAYS(Unpacked(good_stream() + "more").error(), "data after the end of the archive");
}

TEST_CASE("other compressions are named with those that are taken [fault-271]") {
  const std::pair<std::string, std::string> others[] = {{std::string("\xFD\x37zXZ\0", 6), "xz"},
      {"BZh91AY", "bzip2"}, {"\x04\x22\x4D\x18", "lz4"}, {"PK\x03\x04", "zip"},
      {"7z\xBC\xAF\x27\x1C", "7-Zip"}, {"\x1F\x9D\x90", "compress"},
      {std::string("\x5D\0\0\x80\0", 5), "lzma"}, {"x\x9C\xED", "zlib"}};
  for (const auto& [magic, name] : others)
    CHECK_SAYS(Unpacked(magic + std::string(600, 'x')).error(),
        "corrupt: compressed with " + name + ": zstd, gzip and plain tar are taken");
  // A frame whose header asks for 2^31 bytes.
  const std::string window("\x28\xB5\x2F\xFD\x00\xA8\x01\0\0", 9);
  CHECK_SAYS(Unpacked(window + std::string(20, 'x')).error(),
      "corrupt: zstd: its window is larger than 2^27 bytes: compress with --long=27 at most");
}

TEST_CASE("[fault-60] bombs stop: bytes, entries, ratio") {
  const std::string small = file("b/series.csv", std::string(60 << 20, 'x')) + end();
  CHECK(Unpacked(zstd(small)).error() == ""); // what is small is no bomb (faults 270)
  const std::string zeros(80 << 20, '\0');
  const std::string bomb = file("b/zeros", zeros) + end();
  const Unpacked ratio(zstd(bomb));
  CHECK_SAYS(
      ratio.error(), "too_large: unpacks to more than 200 times its size (limits.ratio_max): ");
  CHECK(ratio.read("b/zeros").size() <
      (65 << 20)); // within a buffer of where a ratio begins to count
  CHECK_SAYS(Unpacked(gzip(bomb)).error(), "too_large: unpacks to more than 200 times its size");
  CHECK(Unpacked(zstd(bomb), StageLimits{.ratio = 1'000'000}).error() == "");
  CHECK(Unpacked(bomb).error() == "");

  const Unpacked bytes(
      file("b/1", std::string(600, 'x')) + file("b/2", std::string(600, 'x')) + end(),
      StageLimits{.bytes = 1000});
  CHECK_SAYS(bytes.error(), "too_large: ");
  // A size that is only said is refused by its header, before a byte of it comes.
  CHECK_SAYS(Unpacked(Header{.name = "b/huge", .size = 077777777777}.bytes()).error(),
      "too_large: tar, byte 0: 'b/huge' takes the archive over the limit of 2147483648 bytes unpacked");

  std::string many;
  for (int i = 0; i < 11; ++i)
    many += file(cat("b", i), "");
  CHECK_SAYS(Unpacked(many + end(), StageLimits{.entries = 10}).error(), "too_large: ");
  CHECK(Unpacked(many + end(), StageLimits{.entries = 11}).error() == "");
  // Folders that only names of files imply count too.
  CHECK_SAYS(Unpacked(file("a/b/c/d/e") + end(), StageLimits{.entries = 4}).error(),
      "more than 4 files, folders and links");
  std::string globals;
  for (int i = 0; i < 11; ++i)
    globals += pax(record("comment", "x"), 'g');
  CHECK_SAYS(
      Unpacked(globals + file("a") + end(), StageLimits{.entries = 10}).error(), "too_large: ");
}

TEST_CASE("[fault-60] a compression window beyond what the stager has memory for is refused") {
  // Frame header: magic, descriptor 0x00, window 2^(10+21) = 2 GiB.
  const std::string frame("\x28\xb5\x2f\xfd\x00\xa8\x01\0\0", 9);
  CHECK_SAYS(Unpacked(frame + std::string(50, '\0')).error(), "zstd: ");
}

TEST_CASE("[fault-45] a file cut at a chunk boundary of age is a payload failure") {
  std::string noise(300'000, '\0');
  uint32_t state = 1;
  for (char& c : noise)
    c = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
  Encrypted encrypted(file("b/noise", noise) + end());
  const std::string whole = encrypted.bytes;
  const size_t payload = must(crypto::parse_age_header(bytes_of(whole))).size + crypto::k_age_nonce;
  const size_t chunk = crypto::k_age_chunk + crypto::k_age_tag;
  for (const size_t chunks : {1, 2, 4}) {
    encrypted.store(whole.substr(0, payload + chunks * chunk));
    CHECK_SAYS(Unpacked(encrypted).error(), "corrupt: age payload");
  }
  encrypted.store(whole + "x");
  CHECK_SAYS(Unpacked(encrypted).error(), "corrupt: age payload");
  std::string flipped = whole;
  flipped[payload + 100] = static_cast<char>(flipped[payload + 100] ^ 1);
  encrypted.store(flipped);
  CHECK_SAYS(Unpacked(encrypted).error(), "corrupt: age payload");
  encrypted.store(whole);
  CHECK(Unpacked(encrypted).error() == "");
}

TEST_CASE("armored artifacts are unpacked, and damaged armor is refused") {
  Encrypted encrypted(good_stream());
  std::string text;
  crypto::ArmorWriter writer([&](ByteView piece) -> Result<void> {
    text += text_of(piece);
    return {};
  });
  must(writer.write(bytes_of(encrypted.bytes)));
  must(writer.finish());
  encrypted.store(text);
  CHECK(Unpacked(encrypted).error() == "");
  encrypted.store(text.substr(0, text.size() - 20));
  CHECK_SAYS(Unpacked(encrypted).error(), "invalid: artifact: age armor line");
  encrypted.store(text + "x");
  CHECK_SAYS(Unpacked(encrypted).error(), "after the end line");
}

TEST_CASE("a header that another key belongs to is refused before anything is read") {
  Encrypted encrypted(good_stream());
  encrypted.key = SecretBytes(16);
  CHECK_SAYS(Unpacked(encrypted).error(), "corrupt: artifact: the age header was changed");
}
