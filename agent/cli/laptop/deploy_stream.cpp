#include "cli/laptop/deploy_stream.hpp"

#include "base/text.hpp"
#include "cli/core/answers.hpp"
#include "cli/core/daemon.hpp"
#include "cli/core/terminal.hpp"
#include "cli/laptop/machine_facts.hpp"
#include "control/json.hpp"
#include "os/io.hpp"

#include <nlohmann/json.hpp>

#include <unistd.h>

namespace chillbox::cli {
namespace {

constexpr size_t k_max_header = 64 * 1024;

// Byte by byte: what follows is for another reader. "": the laptop went away.
Result<std::string> read_header() {
  std::string text;
  for (char c = 0; os::read_some(STDIN_FILENO, &c, 1) > 0;) {
    if (c == '\n')
      return text;
    if (text.size() >= k_max_header)
      return fail(Code::too_large, "the order has more than 64 KiB");
    text += c;
  }
  return text.empty() ? Result<std::string>(text)
                      : fail(Code::invalid, "the order is cut off: there is no line end");
}

Result<control::Facts> ask_facts(Call& call, const control::Arguments& args) {
  const std::string text = TRY(ask(call.paths, {.verb = "facts", .args = args}, &call.error_data));
  return control::read_answer<control::Facts>(text);
}

// The artifact comes from the host's own sources: nothing of it follows.
Result<void> serve_fetch(Call& call, const control::Arguments& order) {
  Question question{
      .verb = "prepare_fetch", .args = order, .timeout = std::chrono::milliseconds(-1)};
  question.on_event = [&](const Json& event) { call.terminal.print(dump(event)); };
  const std::string text = TRY(ask(call.paths, question, &call.error_data));
  call.terminal.print(control::answer_text("plan", TRY(control::read_answer<control::Plan>(text))));
  return {};
}

Result<void> serve_upload(Call& call, const std::string& verb, control::Arguments order) {
  Terminal& terminal = call.terminal;
  const auto now = TRY(ask_facts(call, {.site = order.site, .sha256 = order.sha256}));
  order.after = now.upload ? now.upload->received : 0;
  Json upload{{"schema", "chillbox.upload.v1"}, {"received", *order.after}};
  terminal.print(dump(upload));
  Question question{.verb = verb, .args = order, .timeout = std::chrono::milliseconds(-1)};
  question.body = STDIN_FILENO;
  question.on_event = [&](const Json& event) { terminal.print(dump(event)); };
  const std::string text = TRY(ask(call.paths, question, &call.error_data));
  terminal.print(verb == "prepare"
          ? control::answer_text("plan", TRY(control::read_answer<control::Plan>(text)))
          : control::answer_text("job", TRY(control::read_answer<control::JobAnswer>(text))));
  return {};
}

Result<void> serve(Call& call) {
  const std::string site = call.args.text("site");
  if (site.empty())
    return fail(Code::usage, "deploy -: --site is missing");
  auto facts = TRY(ask_facts(call, {.site = site}));
  add_machine_facts(facts);
  call.terminal.print(control::answer_text("facts", facts));
  for (;;) {
    const std::string header = TRY(read_header());
    if (header.empty())
      return {};
    const Json json = TRY_IN("order", parse_json(header, k_max_header));
    const std::string verb = control::string_or(json, "verb", "");
    const bool uploads = verb == "deploy" || verb == "deploy_secrets" || verb == "prepare";
    if (!json.contains("args") || (!uploads && verb != "prepare_fetch"))
      return fail(Code::invalid, "order: the laptop's chillboxctl is of another version");
    const auto order = TRY_IN("order", control::from_json<control::Arguments>(json["args"]));
    if (order.site != site)
      return fail(Code::invalid, "order: another site than was asked about");
    if (uploads)
      return serve_upload(call, verb, order);
    TRY(serve_fetch(call, order));
  }
}

} // namespace

Result<void> serve_deploy(Call& call) {
  const auto done = serve(call);
  if (done)
    return {};
  // A line of its own, and nothing on standard error: the laptop says it in its own words.
  call.terminal.print(answer_text(
      "error", control::ErrorAnswer{{done.error().code, done.error().message, std::nullopt}}));
  call.error_printed = true;
  return std::unexpected(done.error());
}

} // namespace chillbox::cli
