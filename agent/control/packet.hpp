// Packets between the monitor and its unprivileged processes: one SOCK_SEQPACKET message each, so a
// frame can neither be split nor joined. Layout, little endian: verb u16, count u16, sequence u64,
// then `count` fields of u32 length and bytes. The maximum holds on both sides; what is left over,
// cut short or too long makes the whole packet invalid. A closed table of verbs; no other is looked
// at.
#pragma once

#include "base/encoding.hpp"
#include "base/error.hpp"

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace chillbox::control {

inline constexpr size_t k_max_packet = 128 * 1024;
inline constexpr size_t k_max_fields = 12;
inline constexpr size_t k_max_bundle = 64; // packets

// Begins the word of an upload that may go on later.
inline constexpr std::string_view k_cut_off = "cut off";

enum class PacketVerb : uint16_t {
  // edge to monitor; the answer has the same sequence
  hook =
      1, // standard id, timestamp, signature, github signature, github delivery, body, content type
  upload_begin, // digest, "artifact" or "minisig", capability, size of the whole, where it goes
                // on (decimal each)
  upload_done,  // ticket, "ok" or what went wrong: k_cut_off ..
  job_get,      // job, capability
  job_events,   // job, capability, after (decimal event number), "wait" or ""
  health,       // -
  metrics,      // token, the reader's address, "openmetrics" or "text"; the ticket of the
                // answer is the number of bytes, and a file that has them rides along
  refused, // webhooks, uploads that the edge itself refused since it last reported them (decimal
           // each); no answer
  report,  // a link (daemon/report_links.hpp); answered as metrics are
  // edge to monitor, and monitor to edge
  bundle = 16, // packets, each with a verb and a sequence of its own; none is a bundle, and none
               // comes with a descriptor
  // monitor to edge
  answer = 32, // http status (decimal), JSON body; for a hook also the Location, for upload_begin
               // the ticket, and the end of a pipe for the bytes rides along
  drain,       // -: accept no more connections, answer those that are open, end
  // monitor to vault
  unlock = 64, // identity.age, passphrase, scrypt cap (decimal)
  file_key,    // the age header, as it came
  lock,        // -
  // vault to monitor
  vault_ok = 96, // unlock: the recipient; file_key: 16 bytes
  vault_error,   // code name, message
  // stager to monitor
  stage_done = 128, // files, directories, links, bytes, masked modes (decimal each)
  stage_error,      // code name, message
  // monitor to courier
  engine_begin = 160, // version, endpoints (control/engine_link.hpp), CA, certificate, key (PEM),
                      // user, password
  engine_if,          // kind (decimal), key, text, fence: a condition of the change that follows
  engine_write,       // key, text, "" or letters: 'l' leased, 'r' removes; seconds that it is kept
  engine_change,      // milliseconds
  engine_read,        // prefix, milliseconds
  engine_follow,      // prefix
  engine_release,     // -
  // courier to monitor
  engine_value = 192, // key, text, fence: of a read
  engine_done,        // code name or "", message, "made" or "", fence, found, revision, the
                      // member's clock (Unix seconds, "" : not told)
  engine_changed,     // prefix
  engine_touch,       // "" : a majority answers; else why not
};

struct PacketView {
  PacketVerb verb{};
  uint64_t sequence = 0;
  std::vector<std::string_view> fields; // into the bytes that were parsed
};

Result<PacketView> parse_packet(ByteView bytes);
// The packets of a bundle, or the one that it is. A bundle with one that is invalid, or a bundle
// itself, is invalid as a whole.
Result<std::vector<PacketView>> parse_packets(ByteView bytes);
// Built in one buffer that never grows. Empty when over the maximum, which every receiver refuses.
Bytes make_packet(
    PacketVerb verb, uint64_t sequence, std::initializer_list<std::string_view> fields);
// What is sent for these packets, in their order: as few messages as the maxima allow.
std::vector<Bytes> bundled(std::vector<Bytes> packets);

} // namespace chillbox::control
