#include "cli/laptop/secret_change.hpp"

#include "base/text.hpp"
#include "cli/core/answers.hpp"
#include "cli/core/host_setup.hpp"
#include "cli/core/prompt.hpp"
#include "cli/core/terminal.hpp"
#include "cli/laptop/secret_merge.hpp"
#include "cli/laptop/secret_sent.hpp"
#include "cli/laptop/target.hpp"
#include "cli/pack/site_folder.hpp"
#include "config/service.hpp"
#include "os/clock.hpp"
#include "os/sandbox.hpp"

#include <algorithm>

namespace chillbox::cli {
namespace {

constexpr int k_save_tries = 100; // each one that fails, another process has saved its own

Result<Project> project_here() {
  auto project = TRY(find_project());
  if (!project)
    return fail(Code::usage,
        "there is no site file here or in a folder above: secrets are kept in the project's folder");
  return std::move(*project);
}

Result<SiteFolder> site_of_project(const Project& project) {
  return read_site_folder(
      TRY(project.site_file()), "", TRY(Kinds::load(os::Paths::from_environment())));
}

} // namespace

Result<SecretChange> SecretChange::open(Call& call, Whose whose) {
  TRY(os::deny_core_and_ptrace());
  Project project = TRY(project_here());
  const std::string site = TRY(project.site());
  const std::string env = environment_name(call.args.text("env"));
  (void)TRY(project.table(env));
  Places places = Places::find();
  auto found = TRY(find_key(places));
  if (!found && whose == Whose::reader)
    return fail(Code::not_found,
        cat("you have no key in ", places.keys(),
            " yet, so that there is nothing that you can "
            "read: chillboxctl secrets set makes one"));
  PersonKey key = found ? std::move(*found) : TRY(ensure_key(call, places));
  SecretPlace place = secret_place(project, site, env);
  SecretDoc doc = TRY(load_secrets_of(call, places, key, place));
  SecretChange change(
      call, std::move(places), std::move(key), std::move(project), std::move(place));
  change.m_base = doc;
  change.m_doc = std::move(doc);
  return change;
}

void SecretChange::begin_again() {
  m_doc = m_base;
}

std::vector<std::string> SecretChange::folders() const {
  std::vector<std::string> names;
  if (const auto folder = site_of_project(m_project))
    for (const auto& service : folder->site.services)
      names.push_back(service.folder());
  names.emplace_back(config::k_tls_secrets);
  return names;
}

// What the site file says that its one service reads.
Result<std::string> SecretChange::file_by_site() const {
  std::vector<std::string> named;
  const auto folder = TRY(site_of_project(m_project));
  for (const auto& service : folder.site.services)
    for (const auto& file : {service.secrets_env, service.secrets_config})
      if (file)
        named.push_back(cat(service.folder(), "/", *file));
  if (named.empty())
    return fail(Code::usage,
        "no service in the site file has secrets_env or secrets_config: say which file, as in web/web.env:KEY");
  std::ranges::sort(named);
  named.erase(std::ranges::unique(named).begin(), named.end());
  if (named.size() > 1)
    return fail(
        Code::usage, cat("which file? ", join(named, ", "), ": say it as ", named.front(), ":KEY"));
  return named.front();
}

Result<void> check_secret_path(const std::string& path) {
  const auto slash = path.find('/');
  const std::string name = slash == std::string::npos ? "" : path.substr(slash + 1);
  if (name.empty() || name.contains('/') || name.starts_with('.') || path != printable(path) ||
      path.contains(' '))
    return fail(
        Code::usage, cat("'", printable(path, 80), "' is no SERVICE/FILE, such as web/web.env"));
  return {};
}

Result<SecretName> parse_secret_name(const std::string& text) {
  const auto colon = text.rfind(':');
  SecretName name{colon == std::string::npos ? "" : text.substr(0, colon),
      colon == std::string::npos ? text : text.substr(colon + 1)};
  TRY(check_secret_key(name.key, SecretFormat::json));
  if (!name.file.empty())
    TRY(check_secret_path(name.file));
  return name;
}

Result<void> SecretChange::check_file(const std::string& path) const {
  TRY(check_secret_path(path));
  const std::string service = path.substr(0, path.find('/'));
  const auto known = folders();
  if (std::ranges::find(known, service) != known.end())
    return {};
  const auto near = nearest(service, known);
  return fail(Code::not_found,
      cat("no service '", printable(service, 40), "' in ", m_place.site,
          " (there is: ", join({known.begin(), known.end() - 1}, ", "), ")",
          near ? cat("; did you mean ", *near, "?") : ""));
}

Result<SecretName> SecretChange::resolve(const std::string& text) const {
  SecretName name = TRY(parse_secret_name(text));
  std::vector<std::string> having, all;
  for (const auto& [path, file] : m_doc.files) {
    if (file.format != SecretFormat::text)
      all.push_back(path);
    if (file.keys.contains(name.key))
      having.push_back(path);
  }
  if (name.file.empty() && having.size() > 1)
    return fail(Code::usage,
        cat("which file? ", name.key, " is in ", join(having, ", "), ": say it as ", having.front(),
            ":", name.key));
  if (name.file.empty())
    name.file = having.size() == 1 ? having.front()
        : all.size() == 1          ? all.front()
                                   : TRY(file_by_site());
  TRY(check_file(name.file));
  const auto known = m_doc.files.find(name.file);
  const auto format =
      known == m_doc.files.end() ? secret_format_of(name.file) : known->second.format;
  if (format == SecretFormat::text)
    return fail(Code::usage,
        cat(printable(name.file, 80),
            " has no keys, which .env, .json, .cfg and .py have: `chillboxctl secrets edit` or `import` it as a whole"));
  if (known == m_doc.files.end() || !known->second.keys.contains(name.key))
    TRY(check_secret_key(name.key, format));
  return name;
}

Result<void> SecretChange::agree_to_key(const SecretName& name) const {
  const auto file = m_doc.files.find(name.file);
  if (file == m_doc.files.end() || file->second.keys.contains(name.key) || m_call->args.has("yes"))
    return {};
  std::vector<std::string> keys;
  for (const auto& [key, entry] : file->second.keys)
    keys.push_back(key);
  constexpr size_t k_short = 3; // any two of them are close
  const auto near = nearest(name.key, keys);
  if (!near || name.key.size() <= k_short)
    return {};
  return must_agree(
      *m_call, cat("'", name.key, "' is new and close to ", *near, ". Add it?"), false);
}

bool SecretChange::put(const SecretName& name, SecretString value) {
  if (!m_doc.files.contains(name.file))
    m_doc.files[name.file].format = secret_format_of(name.file);
  auto& keys = m_doc.files[name.file].keys;
  const auto old = keys.find(name.key);
  if (old != keys.end() && old->second.value == value)
    return false;
  const std::string& by = m_key.half.name;
  keys[name.key] = {std::move(value), os::real_clock().wall(), by.substr(0, by.find('@'))};
  return true;
}

bool SecretChange::put_text(const std::string& path, SecretString text) {
  auto& file = m_doc.files[path];
  if (file.format != SecretFormat::text)
    file = {};
  return put({path, ""}, std::move(text));
}

void SecretChange::as_it_is(const std::string& what) const {
  print_change(*m_call, "secrets-change", m_place.site, false, cat("unchanged: ", what));
}

// What another process saved meanwhile is read again, and both changes are kept.
Result<void> SecretChange::save() {
  std::erase_if(m_doc.files, [](const auto& file) { return file.second.keys.empty(); });
  const auto readers = TRY(agreed_readers(*m_call, m_places, m_key, m_place));
  SecretDoc base = m_base, doc = m_doc;
  for (int tried = 0; !TRY(save_secrets_of(m_places, m_place, readers, doc)); ++tried) {
    if (tried == k_save_tries)
      return fail(Code::busy, cat(printable(m_place.path, 1024), " is changed all the time"));
    SecretDoc theirs = TRY(load_secrets_of(*m_call, m_places, m_key, m_place));
    doc = TRY(merge_secrets(base, doc, theirs));
    base = std::move(theirs);
  }
  m_base = doc;
  m_doc = std::move(doc);
  return {};
}

Result<void> SecretChange::finish(const std::string& what) {
  TRY(check_not_empty());
  TRY(save());
  return send(what);
}

Result<void> SecretChange::check_not_empty() const {
  const bool empty =
      std::ranges::all_of(m_doc.files, [](const auto& file) { return file.second.keys.empty(); });
  if (empty && !m_call->args.has("stage"))
    return fail(Code::conflict,
        cat("no secret of ", m_place.site,
            " would be left, and a host takes no empty set: nothing was changed. With --stage they "
            "are removed from the project only, and the hosts keep what they have"));
  return {};
}

Result<void> SecretChange::send(const std::string& what) {
  print_change(*m_call, "secrets-change", m_place.site, true, what);
  if (m_call->args.has("stage")) {
    m_call->terminal.print_status("not sent yet: chillboxctl secrets push");
    return {};
  }
  const auto sent = send_secrets(*m_call, m_places, m_key, m_project, m_place, m_doc);
  if (!sent)
    m_call->terminal.print_status(
        cat("saved in ", m_place.path, ", and not sent: chillboxctl secrets push"));
  return sent;
}

Result<void> SecretChange::push() {
  const auto readers = TRY(read_people(m_place));
  if (!m_doc.files.empty() && !readers.empty() && !is_encrypted_to(m_doc, readers)) {
    TRY(save());
    m_call->terminal.print_status(
        cat("encrypted again to the people in ", printable(m_place.people_path, 1024)));
  }
  return send_secrets(*m_call, m_places, m_key, m_project, m_place, m_doc);
}

Result<void> SecretChange::print_differences() {
  const TargetQuestion question{.flag = m_call->args.list("host"),
      .env_name = m_place.env,
      .project = &m_project,
      .example = "chillboxctl secrets diff",
      .choose = choose_host};
  for (const Target& target : TRY(find_targets(m_places, question))) {
    const std::string& host = target.host.name;
    const auto there = recall_sent(m_places, host, m_place);
    const auto rows = compare(digests_of(m_doc), there.value_or(SecretDigests{}));
    if (!there)
      m_call->terminal.print_status(cat(host, ": this machine has sent it no secrets of ",
          m_place.site, " yet: chillboxctl secrets push"));
    if (m_call->terminal.json()) {
      SecretDiff answer{.host = host, .sent = there.has_value(), .differs = {}};
      for (const auto& [name, how] : rows)
        answer.differs.push_back(cat(how, " ", name));
      m_call->terminal.print(answer_text("secrets-diff", answer));
      continue;
    }
    if (there && rows.empty())
      m_call->terminal.print(cat(host, ": as it is here"));
    for (const auto& [name, how] : rows)
      m_call->terminal.print(cat(host, ": ", how, " ", name));
  }
  return {};
}

std::vector<std::pair<std::string, SecretString>> secret_set_of(const SecretDoc& doc) {
  std::vector<std::pair<std::string, SecretString>> files;
  for (const auto& [path, file] : doc.files) {
    SecretValues values;
    for (const auto& [key, entry] : file.keys)
      values[key] = entry.value;
    files.emplace_back(path,
        file.format == SecretFormat::text ? file.keys.begin()->second.value
                                          : render_secrets(file.format, values));
  }
  return files;
}

} // namespace chillbox::cli
