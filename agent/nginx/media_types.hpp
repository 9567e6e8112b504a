// Which media type a file of a site has by the end of its name. NGINX's own mime.types differs from
// one version to the next (.mjs, .avif and .wasm are missing in many), and with `nosniff` a browser
// refuses what has no right type. For this room only.
#pragma once

#include <string>
#include <string_view>

namespace chillbox::nginx {

// "types { ... }" of what a site's author made.
std::string site_types(std::string_view indent);
// The same of what visitors may have uploaded: only what a browser shows without running any of it.
// All else is application/octet-stream.
std::string upload_types(std::string_view indent);
// Patterns of names, "\.(?:css|js|...)$": of what is no page, and of what upload_types() shows.
std::string asset_pattern();
std::string upload_pattern();

} // namespace chillbox::nginx
