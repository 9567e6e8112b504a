// Looks at a folder without a site file and says what it is: a Flask or Django application, ASGI,
// Node, Chill, one program, a folder of pages. Only names and the beginnings of files are looked
// at; nothing is run.
#pragma once

#include "base/error.hpp"
#include "cli/core/verb.hpp"
#include "cli/laptop/project.hpp"

#include <optional>
#include <string>

namespace chillbox::cli {

struct SiteGuess {
  std::string what;         // for people: "a Flask application (app.py: app)"
  std::string lang;         // the kind of its service
  std::string handler;      // folder of the service, below the project's: "." is not possible
  std::string entry;        // Python: "app:app"; a program: its file
  std::string worker_class; // "": gunicorn's own
};
// nullopt: nothing that it knows.
std::optional<SiteGuess> guess_site(const std::string& dir);
// A site's name from a folder's: "My Shop" is "my-shop"; "site" when nothing is left of it.
std::string site_name_of(const std::string& folder);
// The text of SITE.site.json.
std::string site_text(
    const SiteGuess& guess, const std::string& site, const std::string& server_name);

// On a terminal: says what the folder seems to be, asks for name and host name, and writes the site
// file. Without one, or when nothing is known of the folder: not_found, with what to do.
Result<Project> offer_site_file(Call& call, const Project& project);

} // namespace chillbox::cli
