#include "notices/deliver.hpp"

#include "base/text.hpp"
#include "crypto/webhook.hpp"
#include "notices/message.hpp"
#include "os/host_layout.hpp"
#include "os/network_view.hpp"
#include "os/root_owned.hpp"

#include <algorithm>
#include <cstdlib>

namespace chillbox::notices {
namespace {

constexpr int k_exit_gone = 10; // hooks/lib/notify
constexpr uint64_t k_memory = 128ULL << 20;
constexpr size_t k_output = 16 * 1024;
constexpr int64_t k_longest_wait_s = 24 * 3600;
constexpr std::string_view k_retry_after = "retry-after ";

Outcome failed(std::string error) {
  return {.kind = Outcome::Kind::failed, .error = printable(error, 300), .retry_after_s = {}};
}

std::string last_line(std::string_view text) {
  std::string_view last;
  for (const auto line : split(text, '\n'))
    if (!trim(line).empty())
      last = trim(line);
  return std::string(last);
}

// Seconds, or a date, of which curl and the hook made seconds.
std::optional<int64_t> retry_after(std::string_view out) {
  for (const auto line : split(out, '\n'))
    if (line.starts_with(k_retry_after))
      if (const auto seconds = parse_u64(trim(line.substr(k_retry_after.size()))))
        return std::min(
            static_cast<int64_t>(std::min<uint64_t>(*seconds, k_longest_wait_s)), k_longest_wait_s);
  return std::nullopt;
}

// "NAME=VALUE", one a line. The key of a webhook stays here.
Result<std::string> settings_text(
    const Courier& courier, const Target& target, const std::string& id, const std::string& body) {
  std::string text;
  for (const auto& [name, value] : target.settings)
    if (name != "key")
      text += cat(name, "=", value, "\n");
  text += cat("id=", id, "\n");
  const auto key = target.settings.find("key");
  if (key == target.settings.end())
    return text;
  const auto secret = TRY_IN("setting key", crypto::parse_webhook_key(key->second));
  const std::string now = std::to_string(courier.clock.wall()); // another one for each try
  return cat(
      text, "timestamp=", now, "\nsignature=", crypto::sign_webhook(secret, id, now, body), "\n");
}

Result<os::Command> command_of(
    const Courier& courier, const Target& target, const std::string& id, const std::string& body) {
  os::Command c;
  const std::string hook = TRY(find_notify_hook(courier.disk, courier.paths, target.kind));
  c.argv = {hook, "send"};
  const auto text = TRY(text_of(body));
  c.input = target.json() ? body : cat(text.title, "\n", text.text);
  c.secrets = TRY(settings_text(courier, target, id, body));
  c.env = {{"CHILLBOX_HOST", courier.host}, {"CHILLBOX_NOTICE_SEVERITY", text.severity},
      {"CHILLBOX_NOTICE_TYPE", text.type}, {"HOME", "/"}};
  for (const char* name : {"HTTPS_PROXY", "NO_PROXY"})
    if (const char* value = std::getenv(name))
      c.env.emplace_back(name, value);
  c.timeout = k_delivery_deadline;
  c.output_limit = k_output;
  if (!courier.as_root)
    return c;
  c.user = TRY(os::find_user(std::string(os::k_notify_user)));
  c.contained = true;
  c.limits.memory_max = k_memory;
  c.limits.tasks_max = 32;
  c.view = os::network_view();
  return c;
}

} // namespace

Result<std::string> find_notify_hook(
    os::Disk& disk, const os::Paths& paths, const std::string& kind) {
  const std::string name = cat("notify/", kind);
  if (disk.exists(cat(paths.admin_hooks(), "/", name))) {
    TRY(os::check_root_owned(paths.admin_hooks(), name));
    return cat(paths.admin_hooks(), "/", name);
  }
  std::string shipped = cat(paths.shipped_hooks(), "/", name);
  if (os::is_program(shipped))
    return shipped;
  return fail(Code::not_found,
      cat("no hook '", kind, "' of notices on this host: there are ",
          join(disk.list(paths.shipped_hooks() + "/notify").value_or(std::vector<std::string>{}),
              ", ")));
}

Outcome deliver(const Courier& courier, const Target& target, const std::string& id,
    const std::string& body, const std::function<bool()>& cancelled) {
  auto command = command_of(courier, target, id, body);
  if (!command)
    return failed(command.error().message);
  command->cancelled = cancelled;
  const auto exit = courier.runner.run(*command);
  wipe(command->secrets.data(), command->secrets.size());
  if (!exit && exit.error().code == Code::interrupted)
    return {.kind = Outcome::Kind::interrupted, .error = "interrupted", .retry_after_s = {}};
  if (!exit)
    return failed(exit.error().message);
  if (exit->ok())
    return {.kind = Outcome::Kind::sent, .error = {}, .retry_after_s = {}};
  const std::string line = last_line(exit->err);
  auto outcome = failed(line.empty() ? cat(target.kind, " ended with code ", exit->code) : line);
  outcome.retry_after_s = retry_after(exit->out);
  if (exit->code == k_exit_gone)
    outcome.kind = Outcome::Kind::gone;
  return outcome;
}

} // namespace chillbox::notices
