// An archive through the whole of the stager's reading: age payload, zstd, gzip or none, the guard,
// libarchive, the tree; and then the walk of the monitor, which must not find anything that the
// stager should have refused.
#include "artifact/locale.hpp"
#include "artifact/raw_tar.hpp"
#include "artifact/stager.hpp"
#include "artifact/tar_reader.hpp"
#include "base/fd.hpp"
#include "crypto/age.hpp"
#include "crypto/age_stream.hpp"
#include "fuzz.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

using namespace chillbox;
using fuzz::claim;
using fuzz::must;

namespace {

constexpr artifact::StageLimits k_limits{.bytes = 1 << 20, .entries = 100, .ratio = 200};

struct Place {
  SecretBytes key;
  std::string header; // of an age file
  std::string dir;
  artifact::Utf8Locale locale;

  static Place make() {
    init_crypto();
    ::umask(022);
    const auto identity = crypto::AgeIdentity::generate();
    std::string file;
    auto writer = must(crypto::AgeWriter::to_recipients({identity.recipient()},
                           [&](ByteView b) -> Result<void> {
                             file += text_of(b);
                             return {};
                           }),
        "a writer");
    must(writer.finish(), "an empty file");
    const auto header = must(crypto::parse_age_header(bytes_of(file)), "a header");
    std::string pattern =
        (std::filesystem::temp_directory_path() / "chillbox-fuzz.XXXXXX").string();
    claim(::mkdtemp(pattern.data()) != nullptr, "a directory");
    return {must(identity.file_key(header), "a key"), file.substr(0, header.size), pattern,
        must(artifact::Utf8Locale::enter(), "UTF-8")};
  }
};

const Place& place() {
  static const auto* one = [] {
    auto* made = new Place(Place::make());
    std::atexit([] { std::filesystem::remove_all(place().dir); });
    return made;
  }();
  return *one;
}

// The input as the payload of an age file, in memory.
Fd sealed(ByteView plain) {
  std::string file = place().header;
  const Bytes nonce(crypto::k_age_nonce, 7);
  file += text_of(nonce);
  crypto::ChunkCipher cipher(crypto::Direction::encrypt, place().key, nonce);
  do {
    const size_t n = std::min(crypto::k_age_chunk, plain.size());
    const size_t before = file.size();
    file.resize(before + n + crypto::k_age_tag);
    cipher.encrypt(
        plain.first(n), n == plain.size(), reinterpret_cast<uint8_t*>(file.data()) + before);
    cipher.advance();
    plain = plain.subspan(n);
  } while (!plain.empty());
  Fd fd(::memfd_create("artifact", MFD_CLOEXEC));
  claim(::write(fd.get(), file.data(), file.size()) == static_cast<ssize_t>(file.size()),
      "a file in memory");
  return fd;
}

void try_guard(ByteView bytes, size_t step) {
  artifact::TarReader whole(1 << 20, 100);
  artifact::TarReader pieces(1 << 20, 100);
  const bool good = whole.feed(bytes).has_value();
  bool same = true;
  for (size_t at = 0; at < bytes.size() && same; at += step)
    same = pieces.feed(bytes.subspan(at, std::min(step, bytes.size() - at))).has_value();
  claim(good == same, "an archive is the same in pieces of any size");
  if (good)
    claim(std::ranges::equal(whole.members(), pieces.members()), "and has the same members");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const Place& p = place();
  const ByteView bytes(data, size);
  try_guard(bytes, 1 + size % 700);
  const std::string tree = p.dir + "/tree";
  claim(::mkdir(tree.c_str(), 0755) == 0, "an empty tree");
  const Fd dir(::open(tree.c_str(), O_DIRECTORY | O_RDONLY | O_CLOEXEC));
  const Fd file = sealed(bytes);
  const auto stats = artifact::unpack(file.get(), p.key, dir.get(), k_limits);
  if (stats) {
    const auto seen = must(
        artifact::verify_tree(tree, ::geteuid(), k_limits), "what the stager takes the walk takes");
    claim(seen.files == stats->files && seen.directories == stats->directories &&
            seen.links == stats->links && seen.bytes == stats->bytes,
        "and both count the same");
  } else {
    fuzz::claim_printable(stats.error());
  }
  std::filesystem::remove_all(tree);
  claim(std::filesystem::is_empty(p.dir), "nothing beside the tree");
  return 0;
}

// Checksums are made right again for most mutants: else nothing gets past the first header.
extern "C" size_t LLVMFuzzerCustomMutator(
    uint8_t* data, size_t size, size_t max_size, unsigned seed) {
  size = LLVMFuzzerMutate(data, size, max_size);
  if (seed % 4 == 0)
    return size;
  for (size_t at = 0; at + 512 <= size; at += 512) {
    std::string block(fuzz::text(data + at, 512));
    if (block.compare(257, 5, "ustar") != 0)
      continue;
    test::Header::seal(block);
    std::copy(block.begin(), block.end(), data + at);
  }
  return size;
}
