// An archive through all that the stager does with it: age payload, zstd, gzip or none, tar, the
// tree; then the monitor verifies that tree, and must find nothing that the stager should have
// refused.
#include "artifact/raw_tar.hpp"
#include "artifact/stager.hpp"
#include "artifact/tar_reader.hpp"
#include "base/fd.hpp"
#include "base/text.hpp"
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
    return {must(identity.file_key(header), "a key"), file.substr(0, header.size), pattern};
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

// All members and their contents, as text, and whether the archive is whole.
std::string read_in_pieces(ByteView bytes, size_t step) {
  const auto source = [&]() -> Result<ByteView> {
    const auto piece = bytes.first(std::min(step, bytes.size()));
    bytes = bytes.subspan(piece.size());
    return piece;
  };
  artifact::TarReader reader(source, 1 << 20, 100);
  std::string all;
  for (;;) {
    const auto member = reader.next();
    if (!member || !*member)
      return cat(all, member ? "" : cat("refused: ", member.error().message));
    const auto& m = **member;
    all += cat(static_cast<int>(m.kind), " ", m.path, " ", m.link, " ", m.size, " ", m.mode, "\n");
    for (uint64_t left = m.size; left > 0;) {
      const auto piece = reader.contents();
      if (!piece)
        return cat(all, "refused: ", piece.error().message);
      claim(!piece->empty() && piece->size() <= left, "contents are as long as the header says");
      left -= piece->size();
      all += text_of(*piece);
    }
    claim(reader.contents().value_or(bytes).empty(), "and end there");
  }
}

void try_reader(ByteView bytes, size_t step) {
  claim(read_in_pieces(bytes, bytes.size() + 1) == read_in_pieces(bytes, step),
      "an archive is the same in pieces of any size");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const Place& p = place();
  const ByteView bytes(data, size);
  try_reader(bytes, 1 + size % 700);
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
  claim(std::filesystem::is_empty(p.dir), "nothing next to the tree");
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
