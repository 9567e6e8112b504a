// deploy: announce, upload, follow.
#include "cli/delivery.hpp"
#include "cli/input.hpp"
#include "cli/interrupt.hpp"
#include "cli/json_fields.hpp"
#include "cli/terminal.hpp"
#include "cli/verbs.hpp"

#include "base/encoding.hpp"
#include "base/text.hpp"
#include "os/clock.hpp"

namespace chillbox::cli {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds k_default_timeout{120'000};
constexpr size_t k_max_key_file = 16 * 1024;

void tell(Call& call, const JobView& job, const Parcel& parcel, bool uploaded) {
  if (call.terminal.json()) {
    call.terminal.print(result_text("deploy", {{"job", job.id}, {"state", job.state}, {"site", parcel.statement.site.str()},
                                               {"version", parcel.statement.version}, {"release", job.release}, {"code", job.code},
                                               {"message", job.message}, {"uploaded", uploaded}}));
    return;
  }
  const std::string what = cat(parcel.statement.site.str(), parcel.statement.secrets ? " secrets" : cat(" ", parcel.statement.version));
  if (job.ended())
    call.terminal.print(cat(what, ": ", job.message.empty() ? "done" : printable(job.message, 500)));
  else
    call.terminal.print(cat(what, ": ", uploaded ? "uploaded" : "the host has it already", ", job ", printable(job.id, 40), " goes on"));
}

} // namespace

Result<void> run_deploy(Call& call) {
  const std::string base = TRY(parse_base_url(call.args.text("to")));
  const std::string key_path = call.args.text("webhook-key");
  const SecretBytes key_text = TRY(read_secret_input(key_path, k_max_key_file));
  const SecretBytes key = TRY_IN(printable(key_path, 1024), parse_key_file(key_text.text()));
  const Parcel parcel = TRY(open_parcel(call.args.text("ARTIFACT")));
  Progress progress(call.terminal);
  const auto timeout = call.args.duration("timeout", k_default_timeout);
  Http http = TRY(Http::create(call.args.text("cacert")));
  Shipment shipment(std::move(http), base, std::chrono::steady_clock::now() + timeout, progress);
  const Delivery delivery = sign_delivery(key, parcel, cat("msg_", random_token(16)), os::real_clock().wall());
  const Accepted accepted = TRY(shipment.announce(delivery));
  const std::string id = printable(accepted.job, 40);
  call.terminal.note(cat(call.terminal.err(Style::bold, cat(parcel.statement.site.str(), " ", parcel.statement.version)), "  job ", id));
  say_on_interrupt(cat("interrupted before the upload was through: job ", id, " waits for it; run the same command again"));
  const bool uploaded = TRY_IN(cat("job ", id), shipment.upload(accepted, parcel));
  say_on_interrupt(cat("interrupted: job ", id, " goes on; on the host `chillboxctl job ", id, " -f` follows it"));
  const auto seen = call.args.has("wait") ? shipment.follow(accepted) : shipment.look(accepted);
  progress.end_line();
  if (!seen) {
    call.hint = cat("on the host: chillboxctl job ", id, " -f");
    return std::unexpected(seen.error());
  }
  if (const auto verdict = seen->ended() ? verdict_of(*seen) : Result<void>{}; !verdict) {
    progress.tell_logs();
    call.error_data = json_text({{"job", seen->id}, {"state", seen->state}, {"step", seen->step}});
    return verdict;
  }
  say_on_interrupt("");
  tell(call, *seen, parcel, uploaded);
  return {};
}

} // namespace chillbox::cli
