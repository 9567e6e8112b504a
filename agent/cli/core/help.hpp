// The texts of help, at most 80 columns wide: of the program (what is used each day first), of a
// verb (with an example), of a word with which several verbs begin, and of topics.
#pragma once

#include "cli/core/verb.hpp"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace chillbox::cli {

std::string help_text();     // what one needs, with all other verbs by their names
std::string help_all_text(); // `help all`: a line for each verb
std::string help_of(const Verb& verb);
// "" when no verb begins with this word.
std::string help_of_family(const std::string& name);

struct Topic {
  std::string_view name, about;
  std::string (*text)();
};
std::span<const Topic> help_topics(); // exit-codes, environment, files, threat-model

// One or more lines "chillboxctl ..." for a verb, one that a reader can copy; "" for none.
std::string_view examples_of(std::string_view verb);

// What people type who know another tool. accepted: it is run; else it is only suggested, because
// it destroys, or means something else here.
struct Synonym {
  std::string_view word, verb;
  bool accepted;
};
std::span<const Synonym> synonyms();

} // namespace chillbox::cli
