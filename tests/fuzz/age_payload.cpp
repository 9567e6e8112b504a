// The payload of an age file. Either the input as it is, or a payload made from it and then damaged
// in a way that the input says: only the undamaged one may be read to its end, and nothing else
// than what was put in may come out.
#include "crypto/age.hpp"
#include "crypto/age_stream.hpp"
#include "fuzz.hpp"

#include <algorithm>

using namespace chillbox;
using namespace chillbox::crypto;
using fuzz::claim;

namespace {

constexpr size_t k_sealed = k_age_chunk + k_age_tag;

const SecretBytes& file_key() {
  static const auto* key = [] {
    init_crypto();
    return new SecretBytes(bytes_of("YELLOW SUBMARINE"));
  }();
  return *key;
}

struct Read {
  bool whole = false;
  Bytes plain;
};

// `step`: how many bytes the source gives at most each time.
Read read_payload(const Bytes& payload, size_t step) {
  PayloadReader reader(file_key(),
      [&payload, step, at = size_t{0}](std::span<uint8_t> out) mutable -> Result<size_t> {
        const size_t n = std::min({step, out.size(), payload.size() - at});
        std::copy_n(payload.begin() + static_cast<ptrdiff_t>(at), n, out.begin());
        at += n;
        return n;
      });
  Read read;
  for (;;) {
    const auto piece = reader.next();
    if (!piece)
      return read;
    if (piece->empty())
      break;
    read.plain.insert(read.plain.end(), piece->begin(), piece->end());
  }
  read.whole = true;
  return read;
}

Bytes seal(const Bytes& plain, ByteView nonce) {
  Bytes out(nonce.begin(), nonce.end());
  ChunkCipher cipher(Direction::encrypt, file_key(), nonce);
  size_t at = 0;
  do {
    const size_t n = std::min(k_age_chunk, plain.size() - at);
    const size_t before = out.size();
    out.resize(before + n + k_age_tag);
    cipher.encrypt(ByteView(plain).subspan(at, n), at + n == plain.size(), out.data() + before);
    cipher.advance();
    at += n;
  } while (at < plain.size());
  return out;
}

// Damage of a kind at a place; false when it changed nothing.
bool damage(Bytes& payload, uint64_t kind, uint64_t place, uint8_t with) {
  const size_t at = static_cast<size_t>(place % payload.size());
  const Bytes before = payload;
  const auto chunk = [&](size_t i) {
    return payload.begin() +
        static_cast<ptrdiff_t>(std::min(payload.size(), k_age_nonce + i * k_sealed));
  };
  const size_t chunks = (payload.size() - k_age_nonce + k_sealed - 1) / k_sealed;
  switch (kind % 6) {
  case 1: // a byte
    payload[at] ^= with;
    break;
  case 2: // cut
    payload.resize(at);
    break;
  case 3: // more after the end
    payload.insert(payload.end(), 1 + at % 70'000, with);
    break;
  case 4: // a chunk is gone
    payload.erase(chunk(at % chunks), chunk(at % chunks + 1));
    break;
  case 5: { // a chunk twice
    const Bytes copy(chunk(at % chunks), chunk(at % chunks + 1));
    payload.insert(chunk(at % chunks), copy.begin(), copy.end());
    break;
  }
  default: break;
  }
  return payload != before;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input in{data, size};
  const uint64_t kind = in.number(1);
  const size_t step = 1 + static_cast<size_t>(in.number(2));
  if (kind >= 128) {
    (void)read_payload(Bytes(in.data, in.data + in.size), step);
    return 0;
  }
  const uint64_t place = in.number(3);
  const auto with = static_cast<uint8_t>(in.number(1));
  const size_t length = static_cast<size_t>(in.number(3)) % (3 * k_age_chunk + 2);
  Bytes nonce(k_age_nonce, with);
  Bytes plain(length);
  for (size_t i = 0; i < length; ++i)
    plain[i] = in.size == 0 ? static_cast<uint8_t>(i) : in.data[i % in.size];
  Bytes payload = seal(plain, nonce);
  const bool damaged = damage(payload, kind, place, with);
  const Read read = read_payload(payload, step);
  claim(read.whole == !damaged, "what is damaged is not read to its end, what is not is");
  claim(read.plain.size() <= plain.size() &&
          std::equal(read.plain.begin(), read.plain.end(), plain.begin()),
      "nothing comes out that was not put in");
  claim(!read.whole || read.plain.size() == plain.size(), "the whole is the whole");
  return 0;
}
