// Completes the word at the cursor for bash, zsh and fish: verbs, options and their values. All of
// it comes from the verbs' own tables, so a new verb needs no line here. The scripts for the shells
// (verbs/completion.cpp) only pass the words on and show the answer.
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

// A request for values that only the host knows.
struct Wanted {
  ArgKind kind;                   // site, target, release, job, deployer, sender
  std::string site;               // for releases
  std::vector<std::string> hosts; // -H as typed so far
};
using ValueSource = std::function<std::vector<Candidate>(const Wanted&)>;

struct Completion {
  std::vector<Candidate> candidates; // whole words; each begins with what was typed
  bool files = false;                // a file name is possible too
};

// words: those after the program's name. The last one is at the cursor and may be empty.
Completion complete(const std::vector<std::string>& words, const ValueSource& source);

// `chillboxctl __complete WORD...`: ":files" or ":words", then a line for each candidate,
// "TEXT<tab>HELP". It asks the daemon, or with -H ssh in batch mode, and offers nothing when no
// answer comes within moments. It never fails and never writes to standard error.
int run_complete(const std::vector<std::string>& words);

} // namespace chillbox::cli
