#include "rollout/service_kind.hpp"
#include "rollout/first_error.hpp"
#include "rollout/service_environment.hpp"

#include "base/text.hpp"
#include "os/root_owned.hpp"
#include "os/secret_mask.hpp"

#include <algorithm>
#include <set>

namespace chillbox::rollout {
namespace {

constexpr uint64_t k_shared_memory = 64ULL << 20;
constexpr std::string_view k_layer_line = "layer "; // of what preflight prints
constexpr int k_missing_inputs =
    3; // of a build: what the artifact should have brought is missing (chillbox-hooks(7))

std::string last_line(std::string_view text) {
  std::string_view rest = trim(text);
  const auto at = rest.rfind('\n');
  return printable(at == std::string_view::npos ? rest : rest.substr(at + 1), 300);
}

// A limit is seldom named by the program that came up against it.
std::string_view reached(const os::Exit& exit) {
  return exit.reached == "memory_max" ? ", because it needed more memory than resources.memory_max"
      : exit.reached == "tasks_max"
      ? ", and was refused a process over resources.tasks_max (limits.tasks_default)"
      : "";
}

} // namespace

std::string_view read_only_hint(std::string_view said) {
  const auto has = [&](std::string_view text) { return said.find(text) != said.npos; };
  const bool denied =
      has("ermission denied") || has("EACCES"); // of Python, Node, Go, libc; of a release only
  if (has("unable to open database file") || has("attempt to write a readonly database") ||
      has("ead-only file system") || has("EROFS") || (denied && has("/releases/")))
    return "the release is read-only: what a service writes goes to $CHILLBOX_DATA_DIR, see site.json(5)";
  return "";
}

namespace {

Result<void> must_succeed(const os::Exit& exit, std::string_view what) {
  if (exit.ok())
    return {};
  const std::string said = last_line(exit.err.empty() ? exit.out : exit.err);
  const auto hint = read_only_hint(said);
  return fail(Code::failure,
      cat(what, " ended with code ", exit.code, reached(exit), said.empty() ? "" : ": ", said,
          hint.empty() ? "" : "; ", hint));
}

void set(Environment& environment, std::string_view name, std::string value) {
  std::ranges::find(environment, name, [](const auto& pair) { return pair.first; })->second =
      std::move(value);
}

os::Command as_site(const HostContext& host, const ServiceContext& place, std::string program,
    Environment environment) {
  os::Command c;
  c.contained = host.as_root;
  c.limits = limits_of(host, *place.site, *place.service);
  c.argv = {std::move(program)};
  c.env = std::move(environment);
  c.user = place.user;
  c.cwd = place.release_dir + "/" + place.service->folder();
  return c;
}

// A run-cmd or args that cannot be expanded is reported by preflight; a hook gets it as it is.
Environment with_run_cmd(HostContext& host, const ServiceKind& kind, ServiceContext place) {
  place.kind = &kind;
  auto environment = hook_environment(host, place);
  const auto& words = place.service->run_cmd;
  environment.emplace_back("CHILLBOX_RUN_CMD",
      join(config::expand_words(words, run_variables(host, place)).value_or(words), "\n"));
  const auto& args = place.service->args;
  environment.emplace_back("CHILLBOX_ARGS",
      join(config::expand_words(args, run_variables(host, place)).value_or(args), "\n"));
  if (const auto& command = place.service->release_command; !command.empty())
    environment.emplace_back("CHILLBOX_RELEASE_COMMAND", command[0]);
  return environment;
}

// Whatever a site runs while it is deployed: the message of what took too long names the limit that
// was in its way, and its code says that it is over (timed_out would say that the job continues).
Result<os::Exit> run_within_limit(HostContext& host, os::Command& c, std::string_view what,
    std::optional<os::Millis> limit = {}) {
  c.timeout = limit.value_or(host.config.build_timeout);
  auto exit = host.runner.run(c);
  if (exit)
    return exit;
  if (exit.error().code == Code::timed_out)
    return fail(Code::failure, cat(what, ": ", exit.error().message, " (limits.build_timeout)"));
  return fail(exit.error().code, cat(what, ": ", exit.error().message));
}

// The same for what can read the site's secrets: of what it says, their values become "[secret]",
// since that goes to the job's log, which is kept.
Result<os::Exit> run_masked(HostContext& host, const ServiceContext& place, os::Command& c,
    std::string_view what, std::optional<os::Millis> limit = {}) {
  const Mask mask = os::mask_of_set(host.paths.secrets_of(place.site->slug));
  if (c.on_line)
    c.on_line = [&mask, tell = std::move(c.on_line)](
                    std::string_view line) { tell(mask.apply(line)); };
  auto exit = run_within_limit(host, c, what, limit);
  if (!exit)
    return fail(exit.error().code, mask.apply(exit.error().message));
  exit->err = mask.apply(exit->err);
  if (!exit->ok())
    exit->out = mask.apply(exit->out);
  return exit;
}

// The administrator's goes before the shipped one. One that others could have written is an error,
// never passed over in silence. "": neither exists.
Result<std::string> find_hook(
    HostContext& host, const std::string& name, const std::string& program = "") {
  if (host.disk.exists(cat(host.paths.admin_hooks(), "/", name, program))) {
    TRY(os::check_root_owned(host.paths.admin_hooks(), name));
    return cat(host.paths.admin_hooks(), "/", name);
  }
  const std::string shipped = cat(host.paths.shipped_hooks(), "/", name);
  return host.disk.exists(shipped + program) ? shipped : "";
}

// The folder of its hooks.
Result<std::string> kind_directory(HostContext& host, const std::string& lang) {
  const std::string name = cat("handlers/", lang), own = cat(host.paths.admin_hooks(), "/", name);
  if (host.disk.exists(own + "/describe") && !host.disk.exists(own + "/kind.json"))
    return fail(Code::preflight,
        cat("handler '", lang, "': ", own,
            "/describe is no longer run: write the JSON that it prints to ", own, "/kind.json"));
  const std::string dir = TRY_IN(cat("handler '", lang, "'"), find_hook(host, name, "/kind.json"));
  if (dir.empty())
    return fail(Code::preflight,
        cat("no handler for lang '", lang, "' on this host: there are ",
            join(known_kinds(host), ", ")));
  return dir;
}

// It reads the release and what its site's releases share, and writes to its own two places.
os::View build_view(HostContext& host, const ServiceContext& place, const BuildDirectories& work) {
  auto view = os::view_of({place.release_dir, host.paths.wheelhouse()});
  if (!place.site->confidential) // else it is in the release
    view.binds.push_back({cache_dir(host, *place.site, place.release_dir),
        cache_dir(host, *place.site, place.release_dir)});
  for (const auto& dir :
      {cat(place.release_dir, "/.chillbox/", place.service->name.str()), work.home})
    view.binds.push_back({dir, dir, true});
  view.scratch.push_back({"/dev/shm", k_shared_memory});
  return view;
}

} // namespace

std::vector<std::string> known_kinds(HostContext& host) {
  std::set<std::string> names;
  for (const auto& base : {host.paths.admin_hooks(), host.paths.shipped_hooks()})
    for (const auto& name : host.disk.list(base + "/handlers").value_or(std::vector<std::string>{}))
      names.insert(name);
  return {names.begin(), names.end()};
}

Result<ServiceKind> find_kind(
    HostContext& host, const config::Site& site, const config::Service& service) {
  const std::string directory = TRY(kind_directory(host, service.lang));
  const std::string path = directory + "/kind.json";
  const std::string text = TRY_IN(path, host.disk.read(path, config::k_max_kind_json));
  const auto variables = service_variables(host, site, service, nullptr);
  const auto value_of = [&](const std::string& name) -> Result<std::optional<std::string>> {
    const auto found = variables.find(name);
    if (found == variables.end())
      return std::nullopt;
    return TRY_IN(cat("variable '", name, "'"), config::expand(found->second, variables));
  };
  auto parsed = TRY_IN(path, config::parse_kind(text, value_of));
  ServiceKind kind{std::move(parsed), directory};
  const auto other = service.worker ? ServiceKind::Role::service : ServiceKind::Role::worker;
  if (!service.of.empty()) { // the programs of that kind, and nothing else of it
    kind.listens = ServiceKind::Listens::no;
    kind.builds = kind.hashed = false;
    kind.preferred_front.reset();
    kind.published.clear();
    kind.built.clear();
    return kind;
  }
  if (kind.role == other)
    return fail(Code::preflight,
        cat("lang '", service.lang, "' is for `", service.worker ? "services" : "workers",
            "` in the site file, not for `", service.worker ? "workers" : "services", "`"));
  if (service.listen == "fd" && kind.listens == ServiceKind::Listens::on_port)
    kind.listens = ServiceKind::Listens::on_socket;
  return kind;
}

Findings preflight(HostContext& host, const ServiceKind& kind, const ServiceContext& place) {
  if (!host.disk.exists(kind.directory + "/preflight"))
    return {};
  auto environment = with_run_cmd(host, kind, place);
  set(environment, "HOME", "/nonexistent");
  const auto layers = host.disk.list(cache_dir(host, *place.site, place.release_dir))
                          .value_or(std::vector<std::string>{});
  environment.emplace_back("CHILLBOX_LAYERS", join(layers, " "));
  environment.emplace_back("CHILLBOX_LAYER", ""); // asks for the one that the build can use
  auto c = as_site(host, place, kind.directory + "/preflight", std::move(environment));
  c.limits = {}; // the sandbox has less
  if (host.as_root)
    os::sandbox(c, {place.release_dir, host.paths.wheelhouse()});
  c.timeout = os::Millis{60'000};
  const auto exit = host.runner.run(c);
  if (!exit)
    return {.problems = {cat("preflight: ", exit.error().message)}};
  Findings found;
  for (const auto whole : split(trim(exit->out), '\n')) {
    const auto line = trim(whole);
    const auto named = line.starts_with(k_layer_line) ? line.substr(k_layer_line.size()) : "";
    if (std::ranges::find(layers, named) != layers.end())
      found.layer = named;
    else if (!line.empty())
      found.problems.push_back(printable(line, 500));
  }
  if (const auto fine = must_succeed(*exit, "preflight"); !fine && found.problems.empty())
    found.problems.push_back(fine.error().message);
  return found;
}

Result<void> build(HostContext& host, const ServiceKind& kind, const ServiceContext& place,
    const BuildDirectories& work, const std::function<void(std::string_view)>& on_line,
    const std::function<bool()>& cancelled) {
  Environment environment = with_run_cmd(host, kind, place);
  set(environment, "HOME", work.home);
  set(environment, "TMPDIR", work.home); // in the release: of one in memory nothing goes to a disk
  environment.emplace_back("CHILLBOX_LAYER_DIR", work.layers);
  environment.emplace_back("CHILLBOX_LAYER", work.layer);
  ServiceContext of_kind = place;
  of_kind.kind = &kind;
  for (auto& [name, value] : TRY(config::expand_all(run_variables(host, of_kind))))
    if (name != "SECRETS_CONFIG" && // a build has no secrets
        std::ranges::none_of(environment, [&](const auto& pair) { return pair.first == name; }))
      environment.emplace_back(name, value);
  auto c = as_site(host, place, kind.directory + "/build", std::move(environment));
  c.no_network = true;
  if (host.as_root) {
    c.groups = {work.readers};
    c.view = build_view(host, place, work);
  }
  c.on_line = on_line;
  c.cancelled = cancelled;
  const auto exit = TRY(run_within_limit(host, c, "build"));
  auto built = must_succeed(exit, "build");
  if (!built && exit.code == k_missing_inputs)
    return fail(Code::preflight, built.error().message);
  return built;
}

namespace {

// What the hook says that runs of the kind.
Result<std::vector<std::string>> command_of_kind(
    HostContext& host, const ServiceKind& kind, const ServiceContext& place) {
  auto c = as_site(host, place, kind.directory + "/command", with_run_cmd(host, kind, place));
  const auto exit = TRY(run_masked(host, place, c, "command", os::Millis{10'000}));
  TRY(must_succeed(exit, "command"));
  std::vector<std::string> argv;
  for (auto line : split(trim(exit.out), '\n'))
    argv.emplace_back(line);
  if (argv[0].empty() || argv[0][0] != '/')
    return fail(Code::failure,
        cat("command: must print the program's absolute path first, not '", printable(argv[0]),
            "'"));
  return argv;
}

} // namespace

Result<std::vector<std::string>> command(
    HostContext& host, const ServiceKind& kind, const ServiceContext& place) {
  const auto& s = *place.service;
  const bool by_hook = s.run_cmd.empty() ||
      (s.worker && s.of.empty() && host.disk.exists(kind.directory + "/command"));
  if (!by_hook)
    return TRY_IN("run-cmd", program_argv(host, place, s.run_cmd));
  auto argv = TRY(command_of_kind(host, kind, place));
  for (auto& word : TRY_IN("args", config::expand_words(s.args, run_variables(host, place))))
    argv.push_back(std::move(word));
  return argv;
}

Result<void> release_command(HostContext& host, const ServiceContext& place,
    Environment environment, const std::function<void(std::string_view)>& on_line,
    const std::function<bool()>& cancelled) {
  auto c = as_site(host, place, "", std::move(environment));
  const std::string what =
      cat("release_command '", printable(place.service->release_command[0]), "'");
  c.argv = TRY_IN(what, program_argv(host, place, place.service->release_command));
  c.on_line = on_line;
  c.cancelled = cancelled;
  const auto exit = TRY(run_masked(host, place, c, what));
  if (exit.ok())
    return {};
  const std::string reason = reason_in(exit.err.empty() ? exit.out : exit.err);
  return fail(Code::failure,
      cat(what, " ended with code ", exit.code, reached(exit), reason.empty() ? "" : ": ", reason));
}

Result<void> run_event(HostContext& host, const std::string& name, const Environment& environment,
    const std::function<void(std::string_view)>& on_line) {
  const std::string program = TRY_IN(cat("event ", name), find_hook(host, cat("events/", name)));
  if (program.empty())
    return {};
  os::Command c;
  c.argv = {program};
  c.env = environment;
  c.on_line = on_line;
  const auto exit = TRY(run_within_limit(host, c, cat("event ", name)));
  return must_succeed(exit, cat("event ", name));
}

} // namespace chillbox::rollout
