#include "cli/laptop/secret_doc.hpp"

#include "base/encoding.hpp"
#include "base/text.hpp"
#include "cli/core/file_input.hpp"
#include "cli/core/prompt.hpp"
#include "cli/core/terminal.hpp"
#include "cli/laptop/secret_sent.hpp"
#include "cli/laptop/signer.hpp"
#include "crypto/age.hpp"
#include "crypto/hash.hpp"
#include "os/atomic_file.hpp"
#include "os/disk.hpp"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <set>

namespace chillbox::cli {
namespace {

constexpr std::string_view k_doc_head = "chillbox secrets v1 ";
constexpr size_t k_max_doc = 16 << 20, k_max_people = 64 * 1024, k_salt = 16;
constexpr size_t k_max_read_doc =
    4 * k_max_doc; // older versions wrote more: it can be made smaller

void append_base64(SecretString& out, std::string_view value) {
  std::string text = base64(bytes_of(value));
  append(out, text);
  wipe(text.data(), text.size());
}

std::unexpected<Error> damaged(size_t line) {
  return fail(Code::corrupt, cat("line ", line, " of what it holds is not understood"));
}

Result<SecretEntry> entry_of(const std::vector<std::string_view>& words, size_t at, size_t line) {
  const auto seconds = parse_u64(words[at]);
  const auto value = unbase64_secret(words[at + 2]);
  if (!seconds || !value)
    return damaged(line);
  return SecretEntry{SecretString(value->text().data(), value->size()),
      static_cast<int64_t>(*seconds), std::string(words[at + 1])};
}

// Anyone may have written the name.
std::string name_of(const Reader& reader) {
  const std::string recipient = cat(reader.recipient.substr(0, 12), "..");
  return reader.name.empty() ? recipient : cat(reader.name, " (", recipient, ")");
}

// Somebody else may have put a line into people.txt, and removed or replaced the document: a person
// decides who reads from now on, and only what this laptop remembers of that counts.
Result<void> agree_to_new(Call& call, const Places& places, const PersonKey& key,
    const SecretPlace& place, const std::vector<Reader>& readers) {
  const auto agreed = recall_readers(places, place);
  std::vector<std::string> added;
  for (const Reader& reader : readers)
    if (reader.recipient != key.half.recipient && !agreed.contains(reader.recipient))
      added.push_back(name_of(reader));
  if (added.empty())
    return {};
  const std::string who = printable(join(added, ", "), 500);
  if (call.args.has("yes")) {
    call.terminal.print_status(cat(who, " can read these secrets from now on"));
    return {};
  }
  return must_agree(call,
      cat("nobody has agreed on this machine that ", who,
          " can read these secrets. Let them from now on?"),
      false);
}

std::string digest_of_text(std::string_view text) {
  return crypto::sha256_of(bytes_of(text)).str();
}

// SecretDoc::stored of what is there now.
Result<std::string> stored_at(const SecretPlace& place) {
  if (!os::real_disk().exists(place.path))
    return "";
  return digest_of_text(TRY(os::real_disk().read(place.path, k_max_read_doc)));
}

Result<std::string> encrypted(const SecretDoc& doc) {
  const SecretString text = secret_doc_text(doc);
  std::string file;
  crypto::ArmorWriter armor([&](ByteView bytes) {
    file += text_of(bytes);
    return Result<void>();
  });
  auto writer = TRY(crypto::AgeWriter::to_recipients(
      doc.people, [&](ByteView bytes) { return armor.write(bytes); }));
  TRY(writer.write(bytes_of(text)));
  TRY(writer.finish());
  TRY(armor.finish());
  return file;
}

} // namespace

std::string SecretDoc::digest(const std::string& file, const std::string& key) const {
  const auto& value = files.at(file).keys.at(key).value;
  SecretString text;
  append(text, cat(salt, "\n", file, "\n", key, "\n"));
  append(text, value);
  return crypto::sha256_of(bytes_of(text)).str();
}

SecretString secret_doc_text(const SecretDoc& doc) {
  SecretString out;
  append(out, cat(k_doc_head, doc.salt, "\n"));
  for (const auto& recipient : doc.people)
    append(out, cat("people ", recipient, "\n"));
  for (const auto& [path, file] : doc.files) {
    append(out, cat("file ", path, " ", format_name(file.format), "\n"));
    for (const auto& [key, entry] : file.keys) {
      append(out, key.empty() ? "text" : cat("key ", key));
      append(out, cat(" ", entry.changed, " ", entry.by, " "));
      append_base64(out, entry.value);
      append(out, "\n");
    }
  }
  return out;
}

Result<SecretDoc> parse_secret_doc(std::string_view text) {
  SecretDoc doc;
  SecretFile* file = nullptr;
  size_t number = 0;
  for (const auto line : split(text, '\n')) {
    ++number;
    const auto words = split(line, ' ');
    if (number == 1) {
      if (!line.starts_with(k_doc_head))
        return fail(Code::invalid, "holds no secrets of chillbox, or those of a newer version");
      doc.salt = std::string(line.substr(k_doc_head.size()));
    } else if (line.empty()) {
      continue;
    } else if (words[0] == "people" && words.size() == 2) {
      doc.people.emplace_back(words[1]);
    } else if (words[0] == "file" && words.size() == 3) {
      file = &doc.files[std::string(words[1])];
      file->format = format_from_name(words[2]);
    } else if (words[0] == "key" && words.size() == 5 && file != nullptr) {
      file->keys[std::string(words[1])] = TRY(entry_of(words, 2, number));
    } else if (words[0] == "text" && words.size() == 4 && file != nullptr) {
      file->keys[""] = TRY(entry_of(words, 1, number));
    } else {
      return damaged(number);
    }
  }
  return doc;
}

SecretPlace secret_place(const Project& project, const std::string& site, const std::string& env) {
  const std::string dir = cat(project.root, "/secrets");
  return {site, env, cat(dir, "/", site, env.empty() ? "" : cat(".", env), ".age"),
      cat(dir, "/people.txt")};
}

Result<std::vector<Reader>> read_people(const SecretPlace& place) {
  std::vector<Reader> readers;
  if (!os::real_disk().exists(place.people_path))
    return readers;
  const std::string text = TRY(read_text(place.people_path, k_max_people));
  for (const auto whole : split(text, '\n')) {
    const auto hash = whole.find('#');
    const auto line = trim(whole.substr(0, hash));
    if (line.empty())
      continue;
    TRY_IN(printable(place.people_path, 1024), crypto::parse_age_recipient(line));
    readers.push_back({std::string(line),
        hash == std::string_view::npos ? "" : std::string(trim(whole.substr(hash + 1)))});
  }
  return readers;
}

Result<SecretDoc> load_secrets_of(
    Call& call, const Places& places, const PersonKey& key, const SecretPlace& place) {
  if (!os::real_disk().exists(place.path)) {
    SecretDoc doc;
    doc.salt = random_token(k_salt);
    return doc;
  }
  const std::string file = TRY(os::real_disk().read(place.path, k_max_read_doc));
  auto text = open_age_file(call, places, key, bytes_of(file));
  if (!text && text.error().code == Code::not_found)
    return fail(Code::denied,
        cat(printable(place.path, 1024),
            " is not encrypted to you: someone who can read it adds the line \"",
            key.half.recipient.value_or(""), " # ", key.half.name, "\" to ",
            printable(place.people_path, 1024),
            " and runs chillboxctl secrets push. If nobody can any more, remove both files, and set each secret "
            "again with chillboxctl secrets set"));
  if (!text)
    return within(printable(place.path, 1024), text.error());
  auto doc = TRY_IN(printable(place.path, 1024), parse_secret_doc(text->text()));
  doc.stored = digest_of_text(file);
  return doc;
}

bool is_encrypted_to(const SecretDoc& doc, const std::vector<Reader>& readers) {
  std::set<std::string> wanted;
  for (const Reader& reader : readers)
    wanted.insert(reader.recipient);
  return wanted == std::set<std::string>(doc.people.begin(), doc.people.end());
}

Result<std::vector<Reader>> agreed_readers(
    Call& call, const Places& places, const PersonKey& key, const SecretPlace& place) {
  auto readers = TRY(read_people(place));
  if (readers.empty() && key.half.recipient) {
    readers.push_back({*key.half.recipient, key.half.name});
    std::error_code error;
    std::filesystem::create_directories(
        std::filesystem::path(place.people_path).parent_path(), error);
    TRY(os::real_disk().write(place.people_path,
        cat("# who can read the secrets here: an age key and a name a line, from the .pub file of each\n",
            *key.half.recipient, " # ", key.half.name, "\n"),
        0644, {::geteuid(), ::getegid()}));
  }
  TRY(agree_to_new(call, places, key, place, readers));
  if (!key.half.recipient ||
      std::ranges::find(readers, *key.half.recipient, &Reader::recipient) == readers.end())
    return fail(Code::invalid,
        cat(printable(place.people_path, 1024),
            " does not have you: you could not read them again"));
  return readers;
}

Result<bool> save_secrets_of(const Places& places, const SecretPlace& place,
    const std::vector<Reader>& readers, SecretDoc& doc) {
  doc.people.clear();
  for (const Reader& reader : readers)
    doc.people.push_back(reader.recipient);
  const std::string file = TRY(encrypted(doc));
  if (file.size() > k_max_doc)
    return fail(Code::too_large,
        cat(printable(place.path, 1024), " would have ", file.size(),
            " bytes, more than the limit of ", k_max_doc, ": nothing was changed"));
  const os::LockFile lock = TRY(
      lock_own(places, "secrets-" + crypto::sha256_of(bytes_of(place.path)).str().substr(0, 32)));
  if (TRY(stored_at(place)) != doc.stored)
    return false;
  TRY(os::real_disk().write(place.path, file, 0644, {::geteuid(), ::getegid()}));
  doc.stored = digest_of_text(file);
  (void)remember_readers(places, place, doc.people); // else it is asked again
  return true;
}

} // namespace chillbox::cli
