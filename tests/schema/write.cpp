// Prints docs/control.schema.json from the tables of the messages.
#include "cli/core/answers.hpp"

#include <cstdio>

int main() {
  return std::fputs(chillbox::cli::schema_document().c_str(), stdout) < 0 ? 1 : 0;
}
