// setup: makes a machine a host, over ssh. It looks first and says what it would do; it changes
// nothing before it was answered yes, and run again it says what is already so. The passphrase of
// the host goes from the terminal through ssh to `init` and `unlock` there and is kept nowhere.
#include "cli/core/answers.hpp"
#include "cli/core/file_input.hpp"
#include "cli/core/options.hpp"
#include "cli/core/prompt.hpp"
#include "cli/core/table.hpp"
#include "cli/core/terminal.hpp"
#include "cli/laptop/host_look.hpp"
#include "cli/laptop/host_packages.hpp"
#include "cli/laptop/host_record.hpp"
#include "cli/laptop/key_store.hpp"
#include "cli/laptop/places.hpp"
#include "cli/laptop/remote_shell.hpp"

#include "base/json.hpp"
#include "base/text.hpp"
#include "config/site.hpp"
#include "crypto/minisign.hpp"
#include "os/clock.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <filesystem>
#include <optional>

namespace chillbox::cli {
namespace {

constexpr std::array k_options{
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

constexpr size_t k_max_key_file = 8 * 1024;
constexpr size_t k_max_answer = 1 << 20;

struct Plan {
  HostPackages packages;
  bool install = false, new_identity = false, upgrade = false;
  std::vector<std::string> missing; // packages of the distribution
  std::string server_name = "-";    // "-": stays as it is
  std::vector<std::string> words;   // what will be done, for people
};

class Setup {
public:
  Setup(Call& call, RemoteShell& shell, HostRecord record)
      : m_call(call), m_shell(shell), m_record(std::move(record)) {}

  Result<void> look();
  Result<Plan> plan();
  Result<bool> agreed(const Plan& plan);
  Result<void> carry_out(const Plan& plan);
  Result<void> remember();
  Result<void> finish();

private:
  Result<RemoteShell::Ran> ctl(std::vector<std::string> words, const SecretBytes* secret = nullptr);
  void say(std::string_view what, std::string_view text) const;
  Result<void> choose_key();
  Result<void> install(const Plan& plan);
  Result<void> trust();
  Result<void> unlock(const std::optional<SecretBytes>& known);
  std::string_view trusted_as() const;

  Call& m_call;
  RemoteShell& m_shell;
  HostRecord m_record;
  HostLook m_look;
  std::string m_key, m_key_name; // the line of the public half
  std::vector<std::string> m_done;
};

std::string last_line(std::string_view text) {
  const auto lines = split(trim(text), '\n');
  return lines.empty() ? "" : printable(trim(lines.back()), 300);
}

std::unexpected<Error> step_failed(std::string_view step, const RemoteShell::Ran& ran) {
  const Code code = ran.code == exit_code(Code::preflight) ? Code::preflight
      : ran.code == exit_code(Code::denied)                ? Code::denied
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
  const size_t width = terminal.live() ? terminal.width() : std::string::npos;
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
Result<void> Setup::choose_key() {
  if (!m_key.empty())
    return {};
  const Places places = Places::find();
  if (const std::string file = m_call.args.text("trust"); !file.empty()) {
    const std::string text = TRY(read_input(file, k_max_key_file));
    m_key = TRY_IN(printable(file, 1024), crypto::MinisignPublicKey::parse(text)).to_line();
    m_key_name = std::filesystem::path(file).stem();
  } else if (const auto found = TRY(find_key(places)); found) {
    m_key = found->half.key.to_line();
    m_key_name = std::filesystem::path(found->path).stem();
  }
  return {};
}

std::string_view Setup::trusted_as() const {
  for (const auto& [key, name] : m_look.trusted)
    if (key == m_key && !m_key.empty())
      return name;
  return "";
}

Result<Plan> Setup::plan() {
  TRY(can_be_host(m_look, m_record.ssh, os::real_clock().wall()));
  TRY(choose_key());
  Plan plan;
  const auto given = m_call.args.list("package");
  const std::string there = m_look.get("chillbox");
  if (there.empty() || !given.empty()) {
    std::error_code ignored;
    plan.packages = TRY(find_packages(given, m_look, Places::find().cache,
        std::filesystem::read_symlink("/proc/self/exe", ignored).string()));
    plan.install = there.empty() || plan.packages.version != there;
    plan.upgrade = plan.install && !there.empty();
  }
  for (const std::string name : {"nginx", "python3"})
    if (!m_look.has(name == "nginx" ? "nginx" : "python"))
      plan.missing.push_back(name);
  std::vector<std::string> names = plan.missing;
  if (plan.install)
    names.insert(names.begin(),
        cat("chillbox", plan.packages.version.empty() ? "" : " ", plan.packages.version,
            there.empty() ? "" : cat(" in place of ", there)));
  if (!names.empty())
    plan.words.push_back(cat("install ", join(names, ", ")));
  plan.new_identity = !m_look.has("identity");
  if (plan.new_identity)
    plan.words.emplace_back(
        "write /etc/chillbox and make the host key, with a passphrase that you choose");
  const std::string named = m_look.get("server_name"), wanted = m_record.server_name;
  if (!wanted.empty() && (named.empty() || named == "_")) {
    plan.server_name = wanted;
    plan.words.push_back(cat("name it ", wanted));
  }
  if (trusted_as().empty())
    plan.words.push_back(m_key.empty()
            ? cat("make your key '", default_key_name(), "' here and trust it there")
            : cat("trust the key '", m_key_name, "'"));
  if (!m_look.has("daemon"))
    plan.words.emplace_back("start NGINX and chillboxd, now and at each boot");
  if (m_look.get("daemon") != "unlocked")
    plan.words.emplace_back("unlock it");
  return plan;
}

Result<bool> Setup::agreed(const Plan& plan) {
  say(m_record.name, text_of(m_look));
  if (plan.words.empty()) {
    say("as it is",
        cat("chillbox ", m_look.get("chillbox"), ", unlocked; it trusts your key as '",
            trusted_as(), "'"));
    return true;
  }
  for (size_t i = 0; i < plan.words.size(); ++i)
    say(i == 0 ? "will" : "", plan.words[i]);
  say("", "sshd, firewall and other services are left alone");
  if (m_call.args.has("dry-run")) {
    say("dry run", "nothing was changed");
    return false;
  }
  if (m_call.args.has("yes"))
    return true;
  const std::string answer = TRY(
      ask_line("Continue? [Y/n]", "asking before a machine is changed", "use --yes, or --dry-run"));
  const std::string_view word = trim(answer);
  if (word.empty() || word == "y" || word == "Y" || word == "yes")
    return true;
  return fail(Code::failure, "nothing was changed");
}

// All files go into one folder of root's, from which a hook installs them.
Result<void> Setup::install(const Plan& plan) {
  const auto made =
      TRY(m_shell.command({"sh", "-c", "mktemp -d \"$HOME/.chillbox-setup.XXXXXX\""}));
  const std::string folder(trim(made.out));
  if (made.code != 0 || folder.empty())
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
  if (!trusted_as().empty())
    return {};
  std::string name = m_key_name;
  std::ranges::replace_if(
      name,
      [](char c) { return !std::isalnum(static_cast<unsigned char>(c)) && c != '.' && c != '_'; },
      '-');
  const auto ran = TRY(ctl({"trust", "add", "-q", "--name", name, "--", m_key}));
  if (ran.code != 0)
    return step_failed("trust", ran);
  say("trust", cat("signatures of ", name, " are accepted"));
  m_done.push_back(cat("trust ", name));
  return {};
}

// `known`: the passphrase that was just chosen.
Result<void> Setup::unlock(const std::optional<SecretBytes>& known) {
  const auto state = TRY(ctl({"ping"}));
  if (std::string_view(trim(state.out)).ends_with(", unlocked"))
    return {};
  for (int left = known ? 1 : 3;; --left) {
    std::optional<SecretBytes> typed;
    if (!known)
      typed = TRY(ask_passphrase(m_call.args, cat("passphrase of ", m_record.name), Ask::once));
    const auto ran = TRY(ctl({"unlock", "--passphrase-fd", "0"}, known ? &*known : &*typed));
    if (ran.code == 0)
      break;
    if (left == 1 || m_call.args.has("passphrase-fd"))
      return step_failed("unlock", ran);
    m_call.terminal.print_error(last_line(ran.err));
    os::real_clock().sleep(os::Millis(1'100)); // the host asks for it after a wrong one
  }
  say("unlock", "ok");
  m_done.emplace_back("unlock");
  return {};
}

Result<void> Setup::carry_out(const Plan& plan) {
  if (m_key.empty()) {
    const PersonKey key = TRY(ensure_key(m_call, Places::find()));
    m_key = key.half.key.to_line();
    m_key_name = std::filesystem::path(key.path).stem();
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
  m_record.recipient = m_look.get("recipient");
  const std::string name = m_look.get("server_name");
  m_record.server_name = name == "_" ? "" : name;
  if (m_record.url.empty() && !m_record.server_name.empty())
    m_record.url = cat("https://", m_record.server_name);
  m_record.python = m_look.get("python");
  m_record.os = cat(m_look.get("os_name"), " ", m_look.get("os_version"));
  m_record.libc = m_look.get("libc");
  m_record.arch = m_look.get("arch");
  m_record.version = m_look.get("chillbox");
  m_record.role = "admin";
  m_record.seen_ms = os::real_clock().wall() * 1000;
  return save_host(Places::find(), m_record);
}

// doctor has the last word.
Result<void> Setup::finish() {
  const auto ran =
      TRY(ctl({"doctor", "--json", "--clock", std::to_string(os::real_clock().wall())}));
  const auto answer = parse_json(ran.out, k_max_answer);
  if (!answer || !answer->is_object() || !answer->contains("checks"))
    return step_failed("doctor", ran);
  size_t ok = 0, warn = 0, failed = 0;
  for (const auto& check : (*answer)["checks"]) {
    const std::string health = check.value("health", "");
    ++(health == "ok" ? ok : health == "warn" ? warn : failed);
    if (health != "ok")
      say(health,
          printable(cat(check.value("what", ""), ": ", check.value("text", ""), " -> ",
                        check.value("todo", "")),
              400));
  }
  if (m_call.terminal.json())
    m_call.terminal.print(answer_text("setup",
        SetUp{.host = m_record.name,
            .ssh = m_record.ssh,
            .recipient = m_record.recipient,
            .done = m_done,
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

// What is known of the host before anything is asked of it.
Result<HostRecord> record_of(Call& call, const Places& places) {
  const std::string target = ssh_destination(call.args.text("HOST"));
  const std::string address = address_of(target);
  const bool is_name = config::is_host_name(address) && address.find('.') != std::string::npos &&
      address.find_first_not_of("0123456789.") != std::string::npos;
  std::string name =
      call.args.text("name", is_name ? address.substr(0, address.find('.')) : address);
  std::ranges::replace(name, ':', '-');
  HostRecord record;
  if (auto known = load_host(places, name)) {
    record = std::move(*known);
    if (record.ssh != target)
      return fail(Code::conflict,
          cat("'", name, "' is ", record.ssh,
              " already: choose another --name, or chillboxctl hosts remove ", name,
              ". Nothing was changed"));
  } else if (known.error().code != Code::not_found) {
    return std::unexpected(known.error());
  }
  record.name = name;
  record.ssh = target;
  record.server_name = call.args.text("server-name", is_name ? address : "");
  if (!record.server_name.empty() && !config::is_host_name(record.server_name))
    return fail(Code::usage,
        cat("--server-name '", printable(record.server_name, 80), "' is not a host name"));
  return record;
}

Result<void> run(Call& call) {
  const Places places = Places::find();
  HostRecord record = TRY(record_of(call, places));
  TRY(make_private_dir(places.runtime));
  RemoteShell shell = TRY(RemoteShell::create(record.ssh, places.runtime));
  Setup setup(call, shell, std::move(record));
  TRY(setup.look());
  const Plan plan = TRY(setup.plan());
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
    "make a machine a host, over ssh: install, keys, start, unlock", k_options, run};

} // namespace chillbox::cli
