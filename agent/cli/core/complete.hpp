// What may stand where the cursor is, for the completions of bash, zsh and fish: verbs, options and
// their values, all from the verb table, so that a new verb is completed without a line here. The
// shells' scripts (completion.cpp) only pass the words on and show the answer.
#pragma once

#include "cli/core/verb.hpp"

#include <functional>
#include <string>
#include <vector>

namespace chillbox::cli {

struct Candidate {
  std::string text;
  std::string help; // may be empty
};

// Where values come from that only the host knows.
struct Wanted {
  ArgKind kind;                   // site, target, release, job, deployer, sender
  std::string site;               // of a release
  std::vector<std::string> hosts; // -H as far as it was typed
};
using ValueSource = std::function<std::vector<Candidate>(const Wanted&)>;

struct Completion {
  std::vector<Candidate> candidates; // whole words, each begins with what was typed
  bool files = false;                // a file name may stand here too
};

// words: behind the program's name, the last one is the one at the cursor and may be empty.
Completion complete(const std::vector<std::string>& words, const ValueSource& source);

// `chillboxctl __complete WORD...`: ":files" or ":words", then a line for each candidate,
// "TEXT<tab>HELP". Asks the daemon, or with -H through ssh without a question; what does not answer
// within a moment has nothing to say. Never an error, never a word on standard error.
int run_complete(const std::vector<std::string>& words);

} // namespace chillbox::cli
