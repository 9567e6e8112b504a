#pragma once

#include "cli/core/verb.hpp"

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace chillbox::cli {

// What a verb's arguments are read into, by their key.
struct Slots {
  std::map<std::string, std::vector<std::string>> values;
  std::map<std::string, bool> flags;
};

// chillboxctl and its verbs as CLI11's subcommands: "trust add" is `add` below `trust`, and
// "trust:add" is another name of it. Options that a verb does not have fall through to those of
// chillboxctl.
// Only verbs that one of the words begins are in it: all of them take milliseconds.
class CommandTree {
public:
  explicit CommandTree(const std::vector<std::string>& words);
  ~CommandTree();
  CommandTree(const CommandTree&) = delete;
  CommandTree& operator=(const CommandTree&) = delete;

  // Why CLI11 refuses the words; "" when it accepts them.
  std::string read(const std::vector<std::string>& words);
  bool has(const std::string& flag) const;
  std::string name() const; // the verb, or the part of one that was given
  const Verb* verb() const;
  std::vector<std::string> left_over() const; // words that belong to nothing
  const Slots& common() const { return m_common; }
  const Slots& own() const { return m_own.at(verb()); }

private:
  CLI::App& child(const std::string& name);
  void add(CLI::App& app, const Verb& verb);
  const CLI::App& last() const;

  std::unique_ptr<CLI::App> m_app;
  Slots m_common;
  std::map<const CLI::App*, const Verb*> m_verbs;
  std::map<const Verb*, Slots> m_own;
};

} // namespace chillbox::cli
