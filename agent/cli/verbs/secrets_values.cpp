// secrets list, set, unset, rotate, import, edit, push: the values of a project. They are read from
// a person, a pipe or a file, and are in no argument and no output.
#include "cli/core/answers.hpp"
#include "cli/core/duration.hpp"
#include "cli/core/file_input.hpp"
#include "cli/core/options.hpp"
#include "cli/core/prompt.hpp"
#include "cli/core/table.hpp"
#include "cli/core/terminal.hpp"
#include "cli/laptop/secret_change.hpp"
#include "cli/laptop/secret_editor.hpp"

#include "base/encoding.hpp"
#include "base/text.hpp"
#include "os/clock.hpp"

#include <unistd.h>

#include <algorithm>
#include <map>

namespace chillbox::cli {
namespace {

constexpr Option k_stage{
    "--stage", ArgKind::flag, "", "write them to the project only; `secrets push` sends them"};
constexpr Option k_secret_keys{
    "KEY", ArgKind::list, "", "[SERVICE/FILE:]KEY; the file may be left out when it is clear"};
constexpr std::array k_secrets_list_options{k_env};
constexpr std::array k_secrets_change_options{k_secret_keys, k_env, k_to_host, k_stage, k_yes};
constexpr std::array k_secrets_rotate_options{k_secret_keys,
    Option{"--bytes", ArgKind::number, "N", "random bytes of the new value (32)"}, k_env, k_to_host,
    k_stage, k_yes};
constexpr std::array k_secrets_import_options{
    Option{"FILE", ArgKind::text, "", "a file of this machine, or - for standard input"},
    Option{"--as", ArgKind::text, "SERVICE/FILE",
        "what it is called in the set (default: the end of its path)"},
    k_env, k_to_host, k_stage, k_yes};
constexpr std::array k_secrets_edit_options{
    Option{"FILE", ArgKind::text, "", "SERVICE/FILE"}, k_env, k_to_host, k_stage, k_yes};
constexpr std::array k_secrets_diff_options{k_env, k_to_host};
constexpr std::array k_secrets_push_options{k_env, k_to_host, k_yes};

constexpr size_t k_max_value = 1 << 20;
constexpr uint64_t k_least_bytes = 16, k_most_bytes = 1024;

SecretString text_of_secret(const SecretBytes& bytes) {
  return {bytes.text().data(), bytes.size()};
}

// Typed without echo; from a pipe the whole of it, without its last line end.
Result<SecretString> ask_value(const SecretName& name) {
  if (::isatty(STDIN_FILENO) == 1)
    return text_of_secret(TRY(ask_secret(name.key, cat(" for ", name.file, ", not shown"))));
  SecretString value = text_of_secret(TRY(read_secret_input("-", k_max_value)));
  while (value.ends_with('\n') || value.ends_with('\r'))
    value.pop_back();
  return value;
}

std::string others(size_t count) {
  return count == 0 ? ""
      : count == 1  ? ", 1 other as it was"
                    : cat(", ", count, " others as they were");
}

Result<void> run_secrets_list(Call& call) {
  auto change = TRY(SecretChange::open(call, SecretChange::Whose::reader));
  SecretList list{.site = change.site(), .secrets = {}};
  Table table{{"FILE", "KEY", "CHANGED", "BY", "DIGEST"}, {}};
  for (const auto& [path, file] : change.doc().files)
    for (const auto& [key, entry] : file.keys) {
      const std::string digest = change.doc().digest(path, key).substr(0, 4);
      list.secrets.push_back({path, key, entry.by, digest, entry.changed * 1000});
      table.rows.push_back({path, key, format_time(entry.changed * 1000), entry.by, digest});
    }
  if (call.terminal.json())
    call.terminal.print(answer_text("secrets-list", list));
  else
    print_table(call.terminal, table, "no secrets yet: chillboxctl secrets set SERVICE/FILE:KEY");
  return {};
}

// What `unset` takes besides keys: "tls/hello.pem", which has none.
bool is_whole_file(const std::string& word) {
  return word.contains('/') && !word.contains(':');
}

// Before a key's passphrase is asked for.
enum class Takes { keys, files_too };
Result<std::vector<std::string>> checked_keys(Call& call, Takes takes = Takes::keys) {
  auto words = call.args.list("KEY");
  for (const auto& word : words) {
    if (takes == Takes::files_too && is_whole_file(word)) {
      TRY(check_secret_path(word));
      continue;
    }
    if (word.contains('='))
      return fail(Code::usage,
          "a value is never an argument, where everyone could see it: give only the key, and type it when asked");
    TRY(parse_secret_name(word));
  }
  return words;
}

Result<void> run_secrets_set(Call& call) {
  const auto words = TRY(checked_keys(call));
  if (words.size() > 1 && ::isatty(STDIN_FILENO) != 1)
    return fail(Code::usage, "a pipe has the value of one key: set them one after the other");
  auto change = TRY(SecretChange::open(call));
  std::vector<SecretName> names;
  for (const auto& word : words) {
    names.push_back(TRY(change.resolve(word)));
    TRY(change.agree_to_key(names.back()));
  }
  std::map<std::string, std::vector<std::string>> changed; // the keys of each file
  for (const auto& name : names) {
    SecretString value = TRY(ask_value(name));
    TRY_IN(name.key, check_secret_value(value));
    auto& keys = changed[name.file];
    if (change.put(name, std::move(value)) && std::ranges::find(keys, name.key) == keys.end())
      keys.push_back(name.key);
  }
  std::vector<std::string> files, told;
  for (const auto& [file, keys] : changed) {
    files.push_back(file);
    if (!keys.empty())
      told.push_back(cat(file, ": ", join(keys, ", "), " changed",
          others(change.doc().files.at(file).keys.size() - keys.size())));
  }
  if (told.empty()) {
    change.as_it_is(
        cat(join(files, " and "), files.size() == 1 ? " has" : " have", " these values"));
    return {};
  }
  return change.finish(join(told, "\n"));
}

Result<void> run_unset(Call& call) {
  const auto words = TRY(checked_keys(call, Takes::files_too));
  auto change = TRY(SecretChange::open(call));
  std::vector<std::string> gone;
  for (const auto& word : words) {
    if (is_whole_file(word)) {
      if (change.doc().files.erase(word) > 0)
        gone.push_back(word);
      continue;
    }
    const auto name = TRY(change.resolve(word));
    const auto file = change.doc().files.find(name.file);
    if (file != change.doc().files.end() && file->second.keys.erase(name.key) > 0)
      gone.push_back(cat(name.file, ":", name.key));
  }
  if (gone.empty()) {
    change.as_it_is("there is no such key");
    return {};
  }
  return change.finish(cat("removed: ", join(gone, ", ")));
}

Result<void> run_secrets_rotate(Call& call) {
  const uint64_t bytes = call.args.number("bytes", 32);
  if (bytes < k_least_bytes || bytes > k_most_bytes)
    return fail(
        Code::usage, cat("--bytes ", bytes, ": must be ", k_least_bytes, " to ", k_most_bytes));
  const auto words = TRY(checked_keys(call));
  auto change = TRY(SecretChange::open(call));
  std::vector<std::string> changed;
  for (const auto& word : words) {
    const auto name = TRY(change.resolve(word));
    TRY(change.agree_to_key(name));
    std::string value = random_token(bytes);
    change.put(name, SecretString(value.data(), value.size()));
    wipe(value.data(), value.size());
    changed.push_back(cat(name.file, ":", name.key));
  }
  return change.finish(cat("new random values: ", join(changed, ", ")));
}

// A whole file takes the place of what the set has under this name. False: it is the same.
Result<bool> replace(SecretChange& change, const std::string& path, SecretString text) {
  const auto format = secret_format_of(path);
  bool changed = false;
  if (format == SecretFormat::text) {
    TRY_IN(printable(path), check_secret_value(text));
    changed = change.put_text(path, std::move(text));
  } else {
    auto values = TRY_IN(printable(path), parse_secrets(format, text));
    if (values.empty())
      return fail(Code::invalid, cat(printable(path), ": has no keys"));
    auto& file = change.doc().files[path];
    file.format = format;
    changed = std::erase_if(
                  file.keys, [&](const auto& entry) { return !values.contains(entry.first); }) > 0;
    for (auto& [key, value] : values)
      changed |= change.put({path, key}, std::move(value));
  }
  return changed;
}

Result<void> run_secrets_import(Call& call) {
  const std::string file = call.args.text("FILE");
  const auto slash = file.rfind('/');
  const auto before = slash == std::string::npos || slash == 0 ? slash : file.rfind('/', slash - 1);
  const std::string path =
      call.args.text("as", before == std::string::npos ? file : file.substr(before + 1));
  TRY(check_secret_path(path));
  const SecretBytes text = TRY(read_secret_input(file, k_max_value));
  auto change = TRY(SecretChange::open(call));
  TRY(change.check_file(path));
  if (TRY(replace(change, path, text_of_secret(text))))
    TRY(change.finish(cat(path, ": changed")));
  else
    change.as_it_is(path);
  if (file != "-")
    call.terminal.print_status(cat(printable(file, 1024),
        " still has them in plain text: remove it when you need it no more"));
  return {};
}

// Saved while the editor's folder is there, so that nothing that was typed is lost by a mistake.
Result<void> run_edit(Call& call) {
  const std::string path = call.args.text("FILE");
  TRY(check_secret_path(path));
  TRY(check_editor());
  auto change = TRY(SecretChange::open(call));
  TRY(change.check_file(path));
  SecretString before;
  for (auto& [name, text] : secret_set_of(change.doc()))
    if (name == path)
      before = std::move(text);
  bool changed = false;
  const auto take = [&](SecretString after) -> Result<void> {
    change.begin_again();
    changed = after != before && TRY(replace(change, path, std::move(after)));
    return changed ? change.save() : Result<void>{};
  };
  TRY(edit_secret(call, path.substr(path.find('/') + 1), before, take));
  if (!changed) {
    change.as_it_is(path);
    return {};
  }
  return change.send(cat(path, ": changed"));
}

Result<void> run_secrets_push(Call& call) {
  auto change = TRY(SecretChange::open(call));
  return change.push();
}

Result<void> run_diff(Call& call) {
  auto change = TRY(SecretChange::open(call, SecretChange::Whose::reader));
  return change.print_differences();
}

} // namespace

extern constinit const Verb k_secrets_diff{"secrets diff", Group::laptop, Where::laptop,
    "show which secrets differ from those that this machine last sent", k_secrets_diff_options,
    run_diff};
extern constinit const Verb k_secrets_list{"secrets list", Group::laptop, Where::laptop,
    "show the keys of a project's secrets, without their values", k_secrets_list_options,
    run_secrets_list};
extern constinit const Verb k_secrets_set{"secrets set", Group::laptop, Where::laptop,
    "set secrets of a project and send them", k_secrets_change_options, run_secrets_set};
extern constinit const Verb k_secrets_unset{"secrets unset", Group::laptop, Where::laptop,
    "remove secrets of a project and send the rest", k_secrets_change_options, run_unset};
extern constinit const Verb k_secrets_rotate{"secrets rotate", Group::laptop, Where::laptop,
    "set secrets to new random values and send them", k_secrets_rotate_options, run_secrets_rotate};
extern constinit const Verb k_secrets_import{"secrets import", Group::laptop, Where::laptop,
    "take a whole file into a project's secrets and send them", k_secrets_import_options,
    run_secrets_import};
extern constinit const Verb k_secrets_edit{"secrets edit", Group::laptop, Where::laptop,
    "edit a file of a project's secrets in memory and send them", k_secrets_edit_options, run_edit};
extern constinit const Verb k_secrets_push{"secrets push", Group::laptop, Where::laptop,
    "send a project's secrets to its hosts", k_secrets_push_options, run_secrets_push};

} // namespace chillbox::cli
