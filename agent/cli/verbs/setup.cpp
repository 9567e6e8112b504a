// setup: makes a machine a host, over ssh. It looks first and says what it would do; it changes
// nothing before it was answered yes, and run again it says what is already so. The passphrase of
// the host goes from the terminal through ssh to `init` and `unlock` there and is kept nowhere.
#include "cli/core/answers.hpp"
#include "cli/core/file_input.hpp"
#include "cli/core/options.hpp"
#include "cli/core/prompt.hpp"
#include "cli/core/table.hpp"
#include "cli/core/terminal.hpp"
#include "cli/laptop/key_store.hpp"
#include "cli/laptop/places.hpp"
#include "cli/laptop/remote_shell.hpp"
#include "cli/laptop/setup_plan.hpp"
#include "control/json.hpp"

#include "base/json.hpp"
#include "base/text.hpp"
#include "crypto/signing_key.hpp"
#include "os/clock.hpp"

#include <nlohmann/json.hpp>

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <optional>

namespace chillbox::cli {
namespace {

constexpr std::array k_setup_options{
    Option{"HOST", ArgKind::text, "", "how ssh reaches it: root@HOST, or ssh://root@HOST:PORT"},
    Option{
        "--name", ArgKind::text, "NAME", "how you will call it (default: the first part of HOST)"},
    Option{"--server-name", ArgKind::text, "NAME",
        "the host name under which it answers (default: HOST, where that is one)"},
    Option{"--package", ArgKind::list, "FILE[,..]",
        "install these, or what is in this folder (default: packages/ARCH in the cache, or next to this program)"},
    Option{"--trust", ArgKind::text, "KEY.pub",
        "trust this key instead of yours, which is made when you have none"},
    Option{"--dry-run", ArgKind::flag, "", "say what would be done, and do nothing"},
    Option{"-y,--yes", ArgKind::flag, "", "do not ask"},
    k_passphrase_fd,
};

constexpr size_t k_max_setup_answer = 1 << 20;

class Setup {
public:
  Setup(Call& call, RemoteShell& shell, HostRecord record)
      : m_call(call), m_shell(shell), m_record(std::move(record)) {}

  Result<void> look();
  Result<SetupPlan> plan();
  Result<bool> agreed(const SetupPlan& plan);
  Result<void> carry_out(const SetupPlan& plan);
  Result<void> remember();
  Result<void> finish();

private:
  Result<RemoteShell::Ran> ctl(std::vector<std::string> words, const SecretBytes* secret = nullptr);
  void say(std::string_view what, std::string_view text) const;
  Result<SetupKey> choose_key() const;
  Result<void> wait_after_wrong(const RemoteShell::Ran& ran);
  Result<void> install(const SetupPlan& plan);
  Result<void> trust();
  Result<void> unlock(const std::optional<SecretBytes>& known);

  Call& m_call;
  RemoteShell& m_shell;
  HostRecord m_record;
  HostLook m_look;
  SetupKey m_key;
  std::vector<std::string> m_done;
};

// The last line that is an object: a shell there may greet before it.
std::optional<Json> object_in(std::string_view text) {
  auto lines = split(trim(text), '\n');
  std::ranges::reverse(lines);
  for (const auto line : lines)
    if (auto json = parse_json(line, k_max_setup_answer); json && json->is_object())
      return std::move(*json);
  return std::nullopt;
}

std::unexpected<Error> step_failed(std::string_view step, const RemoteShell::Ran& ran) {
  const Code code = ran.code == exit_code(Code::preflight) ? Code::preflight
      : ran.code == exit_code(Code::denied)                ? Code::denied
      : ran.code == exit_code(Code::conflict)              ? Code::conflict
                                                           : Code::failure;
  std::string why = last_line(ran.err);
  for (const std::string_view front : {"chillboxctl: ", "install: ", "start: "})
    if (why.starts_with(front))
      why.erase(0, front.size());
  return fail(code, cat(step, ": ", why.empty() ? cat("exit ", ran.code) : why));
}

void Setup::say(std::string_view what, std::string_view text) const {
  constexpr size_t k_indent = 12;
  const Terminal& terminal = m_call.terminal;
  std::string front =
      cat(what, std::string(what.size() < k_indent ? k_indent - what.size() : 1, ' '));
  const size_t width = ::isatty(STDERR_FILENO) == 1 ? terminal.width() : std::string::npos;
  for (const auto& line : fold(text, std::max(width, 2 * k_indent) - k_indent, 0)) {
    m_call.terminal.print_status(cat(front, line));
    front = std::string(k_indent, ' ');
  }
}

Result<RemoteShell::Ran> Setup::ctl(std::vector<std::string> words, const SecretBytes* secret) {
  words.insert(words.begin(), {"env", "CHILLBOX_HOST=", "chillboxctl"});
  return secret == nullptr ? m_shell.command(words) : m_shell.command(words, *secret);
}

Result<void> Setup::look() {
  const auto ran = TRY(m_shell.hook("setup/look"));
  if (ran.code != 0)
    return fail(Code::preflight,
        cat("it cannot be looked at: ", last_line(ran.err), ". Nothing was changed"));
  m_look = parse_look(ran.out);
  return {};
}

// The key of --trust, or the person's own. One that does not exist yet is made only after the yes.
Result<SetupKey> Setup::choose_key() const {
  if (const std::string file = m_call.args.text("trust"); !file.empty()) {
    const std::string text = TRY(read_input(file, k_max_key_file));
    const auto key = TRY_IN(printable(file, 1024), crypto::SigningKey::parse(text));
    return SetupKey{key.to_line(), std::filesystem::path(file).stem()};
  }
  const Places places = Places::find();
  if (const auto found = TRY(find_key(places)); found)
    return SetupKey{found->half.key.to_line(), std::filesystem::path(found->path).stem()};
  if (m_call.args.has("passphrase-fd"))
    return fail(Code::usage,
        cat("you have no key yet, and --passphrase-fd is for the passphrase of the host: make your "
            "key first (chillboxctl keygen -o ",
            places.keys(), "/", default_key_name(), "), or give --trust KEY.pub"));
  return SetupKey{};
}

Result<SetupPlan> Setup::plan() {
  TRY(can_be_host(m_look, m_record.ssh, os::real_clock().wall()));
  m_key = TRY(choose_key());
  const auto given = m_call.args.list("package");
  std::error_code ignored;
  auto packages = find_packages(given, m_look, Places::find().cache,
      std::filesystem::read_symlink("/proc/self/exe", ignored).string());
  const bool needed = !given.empty() || !m_look.has("chillbox");
  if (!packages && (needed || packages.error().code != Code::not_found))
    return std::unexpected(packages.error());
  return plan_setup(m_look, m_record, packages ? std::optional(std::move(*packages)) : std::nullopt,
      !given.empty(), m_key);
}

Result<bool> Setup::agreed(const SetupPlan& plan) {
  say(m_record.name, look_text(m_look));
  if (plan.words.empty()) {
    say("as it is",
        cat("chillbox ", m_look.get("chillbox"), ", unlocked; it trusts your key as '",
            trusted_as(m_look, m_key), "'"));
    return true;
  }
  for (size_t i = 0; i < plan.words.size(); ++i)
    say(i == 0 ? "will" : "", plan.words[i]);
  say("", "sshd, firewall and other services are left alone");
  if (m_call.args.has("dry-run")) {
    say("dry run", "nothing was changed");
    if (m_call.terminal.json())
      m_call.terminal.print(answer_text("setup",
          SetUp{.host = m_record.name,
              .ssh = m_record.ssh,
              .recipient = m_look.get("recipient"),
              .done = {},
              .will = plan.words,
              .ok = std::nullopt}));
    return false;
  }
  TRY(must_agree(m_call, "Continue?", true));
  return true;
}

// All files go into one folder of root's, from which a hook installs them.
Result<void> Setup::install(const SetupPlan& plan) {
  const auto made =
      TRY(m_shell.command({"sh", "-c", "mktemp -d \"$HOME/.chillbox-setup.XXXXXX\""}));
  const std::string folder = last_line(made.out);
  if (made.code != 0 || !folder.starts_with('/') || folder.find("/.chillbox-setup.") == folder.npos)
    return step_failed("install", made);
  std::vector<std::string> words{folder};
  words.insert(words.end(), plan.missing.begin(), plan.missing.end());
  if (plan.install && plan.packages.files.empty())
    words.emplace_back("chillbox");
  Result<void> sent;
  if (plan.install)
    for (const std::string& file : plan.packages.files)
      if (sent)
        sent =
            m_shell.send(file, cat(folder, "/", std::filesystem::path(file).filename().string()));
  auto ran = sent ? m_shell.hook("setup/install", words)
                  : Result<RemoteShell::Ran>(std::unexpected(sent.error()));
  [[maybe_unused]] const auto removed = m_shell.command({"rm", "-rf", "--", folder});
  if (!ran)
    return std::unexpected(ran.error());
  if (ran->code != 0)
    return step_failed("install", *ran);
  say("install", plan.words.front().substr(8));
  m_done.push_back(plan.words.front());
  return {};
}

Result<void> Setup::trust() {
  if (!trusted_as(m_look, m_key).empty())
    return {};
  const std::string name = name_to_trust(m_look, m_key.name);
  const auto ran = TRY(ctl({"trust", "add", "-q", "--name", name, "--", m_key.line}));
  if (ran.code != 0)
    return step_failed("trust", ran);
  say("trust", cat("signatures of ", name, " are accepted"));
  m_done.push_back(cat("trust ", name));
  return {};
}

// The host takes the next one only after a while.
Result<void> Setup::wait_after_wrong(const RemoteShell::Ran& ran) {
  m_call.terminal.print_error(last_line(ran.err));
  const auto status = object_in(TRY(ctl({"status", "--json"})).out);
  const auto host = status && status->contains("host") ? (*status)["host"] : Json();
  constexpr uint64_t k_longest = 3'600;
  const uint64_t seconds = host.is_object() ? control::u64_or(host, "unlock_wait_s", 1) : 1;
  os::real_clock().sleep(std::chrono::seconds(std::clamp<uint64_t>(seconds, 1, k_longest)));
  return {};
}

// `known`: the passphrase that was just chosen.
Result<void> Setup::unlock(const std::optional<SecretBytes>& known) {
  const auto state = TRY(ctl({"ping"}));
  if (std::string_view(trim(state.out)).ends_with(", unlocked"))
    return {};
  for (int left = known || m_call.args.has("passphrase-fd") ? 1 : 3;; --left) {
    std::optional<SecretBytes> typed;
    if (!known)
      typed = TRY(ask_passphrase(m_call.args, cat("passphrase of ", m_record.name), Ask::once));
    const auto ran = TRY(ctl({"unlock", "--passphrase-fd", "0"}, known ? &*known : &*typed));
    if (ran.code == 0)
      break;
    if (left == 1 || ran.code != exit_code(Code::denied))
      return step_failed("unlock", ran);
    TRY(wait_after_wrong(ran));
  }
  say("unlock", "ok");
  m_done.emplace_back("unlock");
  return {};
}

Result<void> Setup::carry_out(const SetupPlan& plan) {
  if (m_key.line.empty()) {
    const PersonKey key = TRY(ensure_key(m_call, Places::find()));
    m_key = {key.half.key.to_line(), std::filesystem::path(key.path).stem()};
  }
  std::optional<SecretBytes> passphrase;
  if (plan.new_identity)
    passphrase = TRY(ask_passphrase(m_call.args,
        cat("new passphrase for ", m_record.name, ", typed after each of its restarts"),
        Ask::twice));
  if (plan.install || !plan.missing.empty())
    TRY(install(plan));
  if (plan.new_identity) {
    const auto ran = TRY(ctl({"init", "-q", "--passphrase-fd", "0"}, &*passphrase));
    if (ran.code != 0)
      return step_failed("init", ran);
    say("host key", "made: what you send is encrypted to it");
    m_done.emplace_back("host key");
  }
  TRY(trust());
  std::vector<std::string> words{plan.server_name};
  if (plan.upgrade)
    words.emplace_back("upgrade");
  const auto started = TRY(m_shell.hook("setup/start", words));
  if (started.code != 0)
    return step_failed("start", started);
  for (const auto line : split(trim(started.out), '\n'))
    if (!line.empty()) {
      say("start", printable(line, 200));
      m_done.emplace_back(printable(line, 200));
    }
  return unlock(passphrase);
}

Result<void> Setup::remember() {
  TRY(look()); // as it is now
  m_record = TRY(change_host(
      Places::find(), m_record.name,
      [this](HostRecord& record) -> Result<void> {
        record.ssh = m_record.ssh;
        take_look(record, m_look);
        record.seen_ms = os::real_clock().wall() * 1000;
        return {};
      },
      Missing::is_made));
  return {};
}

// doctor has the last word.
Result<void> Setup::finish() {
  const auto ran =
      TRY(ctl({"doctor", "--json", "--clock", std::to_string(os::real_clock().wall())}));
  const auto answer = object_in(ran.out);
  if (!answer || !answer->contains("checks") || !(*answer)["checks"].is_array())
    return step_failed("doctor", ran);
  size_t ok = 0, warn = 0, failed = 0;
  for (const auto& check : (*answer)["checks"]) {
    const auto word = [&check](std::string_view name) {
      return check.is_object() ? control::string_or(check, name, "") : std::string();
    };
    const std::string health = word("health");
    ++(health == "ok" ? ok : health == "warn" ? warn : failed);
    if (health != "ok")
      say(printable(health, 20),
          printable(cat(word("what"), ": ", word("text"), " -> ", word("todo")), 400));
  }
  if (m_call.terminal.json())
    m_call.terminal.print(answer_text("setup",
        SetUp{.host = m_record.name,
            .ssh = m_record.ssh,
            .recipient = m_record.recipient,
            .done = m_done,
            .will = std::nullopt,
            .ok = failed == 0}));
  const std::string sum = cat(ok, " ok, ", warn, warn == 1 ? " warning" : " warnings");
  if (failed > 0)
    return fail(Code::failure,
        cat(m_record.name, " is set up, but ", failed,
            failed == 1 ? " check fails, " : " checks fail, ", sum, ": chillboxctl -H ",
            m_record.name, " doctor"));
  say("ready",
      cat(m_record.name, " is unlocked",
          m_record.server_name.empty() ? "" : cat(", answers as ", m_record.server_name),
          "; doctor: ", sum));
  return {};
}

Result<void> run_setup(Call& call) {
  const Places places = Places::find();
  HostRecord record = TRY(record_for_setup(
      places, call.args.text("HOST"), call.args.text("name"), call.args.text("server-name")));
  TRY(make_runtime_dir(places));
  RemoteShell shell = TRY(RemoteShell::create(record.ssh, places.runtime));
  Setup setup(call, shell, std::move(record));
  TRY(setup.look());
  const SetupPlan plan = TRY(setup.plan());
  if (!TRY(setup.agreed(plan)))
    return {};
  if (!plan.words.empty())
    TRY(setup.carry_out(plan));
  TRY(setup.remember());
  TRY(setup.finish());
  if (!plan.words.empty())
    call.terminal.print_status("next: chillboxctl new hello && cd hello && chillboxctl deploy");
  return {};
}

} // namespace

extern constinit const Verb k_setup{"setup", Group::laptop, Where::laptop,
    "make a machine a host, over ssh: install, keys, start, unlock", k_setup_options, run_setup};

} // namespace chillbox::cli
