// A change of a project's secrets: found, read, changed in memory, written and sent.
#pragma once

#include "cli/core/verb.hpp"
#include "cli/laptop/secret_doc.hpp"

#include <string>
#include <vector>

namespace chillbox::cli {

// FILE and KEY of "web/web.env:DB_URL" or "DB_URL".
struct SecretName {
  std::string file; // "": not said
  std::string key;
};

// usage: no SERVICE/FILE, or no name of a variable. What can be said without the secrets, before a
// person is asked for a passphrase.
Result<void> check_secret_path(const std::string& path);
Result<SecretName> parse_secret_name(const std::string& text);

class SecretChange {
public:
  // Of the project that this is run in. usage: there is none, or it has several sites; not_found: a
  // reader has no key, which is made only for a change.
  enum class Whose { writer, reader };
  static Result<SecretChange> open(Call& call, Whose whose = Whose::writer);

  SecretDoc& doc() { return m_doc; }
  const std::string& site() const { return m_place.site; }
  // The file: what was said, the one that has the key, the only one, or the one that the site file
  // names. not_found: no such service; usage: several are possible.
  Result<SecretName> resolve(const std::string& text) const;
  // Checks SERVICE/FILE.
  Result<void> check_file(const std::string& path) const;
  // Asks before a key is added that looks like one that is there.
  Result<void> agree_to_key(const SecretName& name) const;
  // True: it is another value than before.
  bool put(const SecretName& name, SecretString value);
  bool put_text(const std::string& path, SecretString text);
  // As it was read, or last saved.
  void begin_again();
  // Writes. What others changed in the file meanwhile stays. conflict: it is the same value; and
  // then this is as it was before.
  Result<void> save();
  // Prints `what` for the person, and sends what is saved unless --stage.
  Result<void> send(const std::string& what);
  // Both. conflict: nothing would be left to send.
  Result<void> finish(const std::string& what);
  Result<void> check_not_empty() const;
  // Sends what is there; before that it is encrypted again when people.txt has changed.
  Result<void> push();
  // The hosts of the environment, with what differs from what this laptop last sent to each.
  Result<void> print_differences();
  void as_it_is(const std::string& what) const;

private:
  SecretChange(Call& call, Places places, PersonKey key, Project project, SecretPlace place)
      : m_call(&call), m_places(std::move(places)), m_key(std::move(key)),
        m_project(std::move(project)), m_place(std::move(place)) {}
  std::vector<std::string> folders() const;
  Result<std::string> file_by_site() const;

  Call* m_call;
  Places m_places;
  PersonKey m_key;
  Project m_project;
  SecretPlace m_place;
  SecretDoc m_base, m_doc; // as it was read, and with what was changed
};

// The files of a set as they are packed.
std::vector<std::pair<std::string, SecretString>> secret_set_of(const SecretDoc& doc);
// Packs, signs and sends it to the hosts of the project's environment.
Result<void> send_secrets(Call& call, const Places& places, const PersonKey& key,
    const Project& project, const SecretPlace& place, const SecretDoc& doc);

} // namespace chillbox::cli
