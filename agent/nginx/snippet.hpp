// nginx/server.conf of a site: a few directives of its own in the server of the default text, so
// that one location does not cost it all that the default has. Checked as a template is. For this
// room only.
#pragma once

#include "nginx/nginx.hpp"

#include <string>

namespace chillbox::nginx {

// The default text with the site's directives in its last server: a location of the same path and a
// directive that may be said once take the place of the default's. A location of its own shows the
// maintenance page as well. invalid, denied: as for a template.
Result<std::string> with_snippet(const SiteInput& input, const std::string& text);

} // namespace chillbox::nginx
