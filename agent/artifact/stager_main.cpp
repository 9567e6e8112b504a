#include "artifact/stager.hpp"

#include "artifact/secret_packet.hpp"
#include "base/text.hpp"
#include "crypto/preload_libcrypto.hpp"
#include "os/roles.hpp"
#include "os/sandbox.hpp"
#include "os/socket.hpp"

#include <sys/stat.h>

#include <cerrno>

namespace chillbox::artifact {
namespace {

constexpr int k_socket = 3, k_artifact = 4, k_tree = 5;
constexpr os::Millis k_first_packet{600'000}; // meanwhile the artifact is verified

struct Order {
  SecretBytes file_key;
  StageLimits limits;
};

Result<Order> receive_order() {
  const auto packet = TRY(receive_secret_packet(k_socket, 4096, k_first_packet));
  const auto view = TRY(control::parse_packet(packet.view()));
  if (view.verb != control::PacketVerb::file_key || view.fields.size() != 4)
    return fail(Code::invalid, "stager: the first packet is not a file key with limits");
  const auto bytes = parse_u64(view.fields[1]), entries = parse_u64(view.fields[2]),
             ratio = parse_u64(view.fields[3]);
  if (!bytes || !entries || !ratio)
    return fail(Code::invalid, "stager: limits that are no numbers");
  return Order{SecretBytes(bytes_of(view.fields[0])), {*bytes, *entries, *ratio}};
}

// From here on the process is the owner of the tree, and the tree is all that it can reach.
Result<void> give_up_rights(const StageLimits& limits) {
  os::Confinement c = os::confinement_of(os::k_stager_role);
  c.file_limit = limits.bytes;
  struct stat tree{};
  if (fstat(k_tree, &tree) != 0 || fchdir(k_tree) != 0)
    return fail_errno("stager: tree", errno);
  if (geteuid() == 0) {
    c.chroot_to.emplace(1, '.');
    if (tree.st_uid != 0)
      c.user = os::User{cat("uid ", tree.st_uid), tree.st_uid, tree.st_gid, "/"};
  }
  return os::confine(c);
}

Result<StageStats> run() {
  TRY(os::deny_core_and_ptrace());
  // Opens files, so it comes before the filter that forbids them.
  crypto::preload_libcrypto();
  const auto order = TRY(receive_order());
  umask(022);
  TRY(give_up_rights(order.limits));
  return unpack(k_artifact, order.file_key, k_tree, order.limits);
}

Bytes answer(const Result<StageStats>& result) {
  using control::PacketVerb;
  if (!result)
    return control::make_packet(
        PacketVerb::stage_error, 0, {code_name(result.error().code), result.error().message});
  const auto text = [](uint64_t n) { return std::to_string(n); };
  return control::make_packet(PacketVerb::stage_done, 0,
      {text(result->files), text(result->directories), text(result->links), text(result->bytes),
          text(result->masked)});
}

} // namespace

int stager_main() {
  const auto result = run();
  const auto sent = os::send_packet(k_socket, answer(result));
  return result && sent ? 0 : 1;
}

} // namespace chillbox::artifact
