// The secrets of a project: secrets/SITE[.ENV].age, committed, encrypted to the people of
// secrets/people.txt ("age1... # kim", a line each). In memory only it is this text, a line each:
//
//   chillbox secrets v1 SALT
//   people RECIPIENT                        to whom it was encrypted
//   file SERVICE/FILE FORMAT
//   key NAME SECONDS PERSON BASE64          when and by whom it was set
//   text SECONDS PERSON BASE64              a file without keys
//
// The salt makes the short digests that `secrets list` shows: nobody guesses a value by them who
// cannot read it anyway.
#pragma once

#include "base/error.hpp"
#include "base/secret.hpp"
#include "cli/core/verb.hpp"
#include "cli/laptop/key_store.hpp"
#include "cli/laptop/project.hpp"
#include "cli/laptop/secret_file.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace chillbox::cli {

struct SecretEntry {
  SecretString value;
  int64_t changed = 0; // Unix seconds
  std::string by;
};

struct SecretFile {
  SecretFormat format = SecretFormat::text;
  std::map<std::string, SecretEntry> keys; // of a text: one, ""
};

struct SecretDoc {
  std::string salt;                // hex
  std::vector<std::string> people; // recipients
  std::map<std::string, SecretFile> files;
  std::string stored; // the SHA-256 of the file that it was read from; "": there was none

  std::string digest(const std::string& file, const std::string& key) const; // 64 hex digits
};

SecretString secret_doc_text(const SecretDoc& doc);
Result<SecretDoc> parse_secret_doc(std::string_view text);

// Where they are, and whose.
struct SecretPlace {
  std::string site, env, path, people_path;
};
SecretPlace secret_place(const Project& project, const std::string& site, const std::string& env);

struct Reader {
  std::string recipient, name;
};
// secrets/people.txt. Empty: there is none.
Result<std::vector<Reader>> read_people(const SecretPlace& place);

// An empty document when there is none yet. denied: it is not encrypted to this person.
Result<SecretDoc> load_secrets_of(
    Call& call, const Places& places, const PersonKey& key, const SecretPlace& place);
bool is_encrypted_to(const SecretDoc& doc, const std::vector<Reader>& readers);
// The people of today, after a question when someone is among them to whom nobody has agreed on
// this machine. The first one makes people.txt.
Result<std::vector<Reader>> agreed_readers(
    Call& call, const Places& places, const PersonKey& key, const SecretPlace& place);
// Encrypts it to these, and writes it unless the file is another one than it was read from: then
// false, and nothing was written. too_large: it could not be read again.
Result<bool> save_secrets_of(const Places& places, const SecretPlace& place,
    const std::vector<Reader>& readers, SecretDoc& doc);

} // namespace chillbox::cli
