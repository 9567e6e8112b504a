// webhook add, list, rotate, remove: manage /etc/chillbox/webhooks/NAME.key, which
// config::parse_sender reads. A key is printed once, when it is made, and is alone on standard
// output.
#include "crypto/webhook.hpp"
#include "cli/core/answers.hpp"
#include "cli/core/daemon.hpp"
#include "cli/core/duration.hpp"
#include "cli/core/host_setup.hpp"
#include "cli/core/options.hpp"
#include "cli/core/secret_output.hpp"
#include "cli/core/table.hpp"
#include "cli/core/terminal.hpp"
#include "config/host.hpp"
#include "os/clock.hpp"

#include "base/encoding.hpp"
#include "base/text.hpp"

namespace chillbox::cli {
namespace {

constexpr Option k_name{"NAME", ArgKind::text, "", "its name"};
constexpr std::array k_webhook_add_options{
    k_name,
    Option{"--sites", ArgKind::list, "SITE[,..]", "the sites that it may deploy (default: all)"},
    Option{"--all-sites", ArgKind::flag, "", "all sites, including future ones"},
    Option{
        "--types", ArgKind::list, "TYPE[,..]", "what it may send (default: site.deploy,host.ping)"},
    Option{"--all-types", ArgKind::flag, "",
        "everything: also secrets.update, site.rollback, site.restart"},
    Option{"--format", ArgKind::choice, "standard|github",
        "how its deliveries are signed (default: standard)"},
    k_key_output,
};
constexpr Option k_sender{"NAME", ArgKind::sender, "", "its name"};
constexpr std::array k_webhook_rotate_options{
    k_sender,
    Option{"--grace", ArgKind::duration, "TIME", "the old key expires after this time (24h)"},
    Option{"--finish", ArgKind::flag, "", "make no new key: end the old one now"},
    k_key_output,
};
constexpr std::array k_webhook_by_sender_options{k_sender};

constexpr std::string_view k_secret_suffix = ".key";
constexpr size_t k_max_sender = 16 * 1024;

std::string secret_file(const os::Paths& paths, const std::string& name) {
  return cat(paths.webhooks(), "/", name, k_secret_suffix);
}

Result<config::Sender> read_sender(const os::Paths& paths, const std::string& name) {
  const std::string path = secret_file(paths, name);
  if (!os::real_disk().exists(path))
    return no_such("webhook sender", name, TRY(names_in(paths.webhooks(), k_secret_suffix)));
  return TRY_IN(path, config::parse_sender(TRY(os::real_disk().read(path, k_max_sender)), name));
}

std::string sender_text(const config::Sender& sender) {
  std::string text = cat("# webhook sender ", sender.name, ": its keys, the newest first\n");
  if (!sender.sites.empty())
    text += cat("sites: ", join(sender.sites, ","), "\n");
  if (!sender.types.empty())
    text += cat("types: ", join(sender.types, ","), "\n");
  if (sender.format != "standard")
    text += cat("format: ", sender.format, "\n");
  for (const config::SenderKey& key : sender.keys)
    text += cat(config::key_line(key), "\n");
  return text;
}

Result<void> write_sender(const os::Paths& paths, const config::Sender& sender) {
  const std::string text = sender_text(sender);
  TRY(config::parse_sender(
      text, sender.name)); // never write a file with which the daemon would not start
  os::Disk& disk = os::real_disk();
  TRY(disk.make_dir(paths.webhooks(), 0700, os::root_owner(paths)));
  return disk.write(secret_file(paths, sender.name), text, 0600, os::root_owner(paths));
}

config::SenderKey new_key(const config::Sender& sender) {
  return {.text = sender.format == "github" ? random_token(32) : crypto::new_webhook_key(),
      .until = {}};
}

// How many keys are valid now, and when the next of them expires.
struct Validity {
  uint64_t keys = 0;
  std::optional<int64_t> until;
};

Validity validity_of(const config::Sender& sender, int64_t now) {
  Validity v;
  for (const config::SenderKey& key : sender.keys) {
    if (key.ended(now))
      continue;
    ++v.keys;
    if (key.until && (!v.until || *key.until < *v.until))
      v.until = key.until;
  }
  return v;
}

// Where the key goes: the file of -o, made before anything is changed; else standard output.
Result<std::optional<SecretOutput>> output_of(const Call& call) {
  if (!call.args.has("output"))
    return std::nullopt;
  if (call.terminal.json())
    return fail(Code::usage, "--json prints the key, and -o keeps it from being printed");
  return TRY(SecretOutput::create(call.args.text("output")));
}

Result<void> tell_key(Call& call, std::string_view verb, const config::Sender& sender,
    std::optional<SecretOutput> output) {
  const std::string& key = sender.keys.front().text;
  if (output) {
    TRY(output->write(cat(key, "\n")));
    TRY(output->commit());
  } else if (call.terminal.json()) {
    call.terminal.print(answer_text(
        verb, Changed{.name = sender.name, .changed = true, .format = sender.format, .key = key}));
  } else {
    call.terminal.print(key);
  }
  call.terminal.print_status(cat("sender ", sender.name, ": this is its key, ",
      output ? "kept nowhere else" : "shown only now",
      ": give it to the sender and keep it secret"));
  return ask_reload(call.paths);
}

// When the old key expires, in Unix seconds.
Result<int64_t> end_of_grace(const Args& args) {
  const auto grace = std::chrono::duration_cast<std::chrono::seconds>(args.duration("grace", {}));
  if (grace.count() < 1)
    return fail(
        Code::usage, "--grace: must be 1s or more; without a grace the old key ends by `--finish`");
  return os::real_clock().wall() + grace.count();
}

// A new sender of all sites may announce what a deployer signed, and no more unless that was asked
// for. In the file an empty list means everything.
Result<void> set_limits(config::Sender& sender, const Args& args) {
  sender.sites = TRY(sites_of(args));
  sender.types = args.list("types");
  if (!sender.sites.empty() && args.has("all-sites"))
    return fail(Code::usage, "--sites and --all-sites exclude each other: give one of them");
  if (!sender.types.empty() && args.has("all-types"))
    return fail(Code::usage, "--types and --all-types exclude each other: give one of them");
  if (sender.types.empty() && !args.has("all-types"))
    sender.types = {"site.deploy", "host.ping"};
  return {};
}

// The new sender, with a key, checked as the daemon will check it.
Result<config::Sender> sender_of(const Args& args) {
  config::Sender sender;
  sender.name = TRY(parse_key_name(args.text("NAME")));
  TRY(set_limits(sender, args));
  sender.format = args.text("format", "standard");
  sender.keys = {new_key(sender)};
  if (const auto parsed = config::parse_sender(sender_text(sender), sender.name); !parsed)
    return fail(Code::usage, parsed.error().message);
  return sender;
}

Result<void> run_webhook_add(Call& call) {
  TRY(require_root(call.paths, "webhook add"));
  const config::Sender sender = TRY(sender_of(call.args));
  if (os::real_disk().exists(secret_file(call.paths, sender.name))) {
    const config::Sender there = TRY(read_sender(call.paths, sender.name));
    if (there.sites != sender.sites || there.types != sender.types || there.format != sender.format)
      return fail(Code::conflict,
          cat("sender '", sender.name,
              "' already exists with other limits: remove it first, or edit the lines sites: and types: of ",
              secret_file(call.paths, sender.name), ", then `chillboxctl reload`"));
    if (call.terminal.json())
      call.terminal.print(answer_text("webhook-add",
          Changed{.name = sender.name, .changed = false, .format = sender.format, .key = {}}));
    call.terminal.print_status(cat("unchanged: sender ", sender.name,
        " (its key is not shown again; `webhook rotate ", sender.name, "` makes a new one)"));
    return {};
  }
  auto output = TRY(output_of(call));
  TRY(write_sender(call.paths, sender));
  call.terminal.print_status(cat("sender ", sender.name, " may send ",
      sender.types.empty() ? "everything" : join(sender.types, ", "), " for ",
      sender.sites.empty() ? "all sites, including future ones" : join(sender.sites, ", ")));
  return tell_key(call, "webhook-add", sender, std::move(output));
}

Result<void> run_webhook_list(Call& call) {
  TRY(require_root(call.paths, "webhook list"));
  Senders all;
  Table table{{"NAME", "FORMAT", "KEYS", "SITES", "TYPES"}, {}};
  for (const std::string& name : TRY(names_in(call.paths.webhooks(), k_secret_suffix))) {
    const auto sender = read_sender(call.paths, name);
    if (!sender) {
      all.faults.push_back(sender.error().message);
      continue;
    }
    const config::Sender& s = *sender;
    const Validity v = validity_of(s, os::real_clock().wall());
    all.senders.push_back(
        {s.name, s.format, v.keys, v.until ? rfc3339(*v.until) : "", s.sites, s.types});
    table.rows.push_back({s.name, s.format,
        v.until ? cat(v.keys, ", one until ", format_time(*v.until * 1000))
                : std::to_string(v.keys),
        s.sites.empty() ? "all" : join(s.sites, ","),
        s.types.empty() ? "all" : join(s.types, ",")});
  }
  if (call.terminal.json())
    call.terminal.print(answer_text("webhook", all));
  else if (!table.rows.empty() || all.faults.empty())
    print_table(call.terminal, table, "no sender: chillboxctl webhook add NAME --sites SITE");
  print_faults(call, all.faults);
  return {};
}

Result<void> run_webhook_rotate(Call& call) {
  TRY(require_root(call.paths, "webhook rotate"));
  config::Sender sender = TRY(read_sender(call.paths, TRY(parse_key_name(call.args.text("NAME")))));
  if (call.args.has("finish")) {
    if (call.args.has("grace"))
      return fail(Code::usage, "--finish ends the old key now, --grace later: give one of them");
    if (sender.keys.size() == 1) {
      print_change(call, "webhook-rotate", sender.name, false,
          cat("unchanged: sender ", sender.name, " has one key"));
      return {};
    }
    sender.keys.resize(1);
    TRY(write_sender(call.paths, sender));
    print_change(call, "webhook-rotate", sender.name, true,
        cat("finished: only the newest key of sender ", sender.name, " is good now"));
    return ask_reload(call.paths);
  }
  auto output = TRY(output_of(call));
  // The newest of the old keys stays valid until --finish, or until its time is over.
  config::SenderKey old = sender.keys.front();
  if (call.args.has("grace"))
    old.until = TRY(end_of_grace(call.args));
  sender.keys = {new_key(sender), old};
  TRY(write_sender(call.paths, sender));
  call.terminal.print_status(cat("the previous key is good until ",
      old.until ? cat(format_time(*old.until * 1000), ", or ") : "", "`chillboxctl webhook rotate ",
      sender.name, " --finish`"));
  return tell_key(call, "webhook-rotate", sender, std::move(output));
}

Result<void> run_webhook_remove(Call& call) {
  TRY(require_root(call.paths, "webhook remove"));
  const std::string name = TRY(parse_key_name(call.args.text("NAME")));
  if (!os::real_disk().exists(secret_file(call.paths, name)))
    return no_such("webhook sender", name, TRY(names_in(call.paths.webhooks(), k_secret_suffix)));
  TRY(os::real_disk().remove(secret_file(call.paths, name)));
  print_change(call, "webhook-remove", name, true,
      cat("removed: sender ", name, " is refused from now on, and the jobs that it announced end"));
  return ask_reload(call.paths);
}

} // namespace

extern constinit const Verb k_webhook_add{"webhook add", Group::setup, Where::host,
    "make the key of a webhook sender, and print it once", k_webhook_add_options, run_webhook_add};
extern constinit const Verb k_webhook_list{
    "webhook list", Group::setup, Where::host, "show the senders", {}, run_webhook_list};
extern constinit const Verb k_webhook_rotate{"webhook rotate", Group::setup, Where::host,
    "make a new key; the old one stays good for --grace, or until --finish",
    k_webhook_rotate_options, run_webhook_rotate};
extern constinit const Verb k_webhook_remove{"webhook remove", Group::setup, Where::host,
    "refuse a sender from now on, and end the jobs that it announced", k_webhook_by_sender_options,
    run_webhook_remove};

} // namespace chillbox::cli
