#include "nginx/media_types.hpp"

#include "base/text.hpp"

#include <vector>

namespace chillbox::nginx {
namespace {

struct Type {
  std::string_view name, ends;
  bool upload = false; // shown as it is, though a stranger may have made it
  bool page = false;   // visited by its address, not loaded by another
};

constexpr Type k_media_types[]{
    {"text/html", "html htm shtml", false, true},
    {"application/xhtml+xml", "xhtml xht", false, true},
    {"text/css", "css"},
    {"text/javascript", "js mjs cjs"},
    {"application/json", "json map topojson"},
    {"application/x-ndjson", "ndjson jsonl"},
    {"application/geo+json", "geojson"},
    {"application/ld+json", "jsonld"},
    {"application/manifest+json", "webmanifest"},
    {"application/wasm", "wasm"},
    {"application/xml", "xml xsd xsl xslt"},
    {"application/atom+xml", "atom"},
    {"application/rss+xml", "rss"},
    {"application/rdf+xml", "rdf"},
    {"text/turtle", "ttl"},
    {"text/x-opml", "opml"},
    {"application/xspf+xml", "xspf"},
    {"application/mathml+xml", "mml mathml"},
    {"application/gpx+xml", "gpx"},
    {"application/vnd.google-earth.kml+xml", "kml"},
    {"application/vnd.google-earth.kmz", "kmz"},
    {"text/plain", "txt text log conf ini asc diff patch srt", true},
    {"text/markdown", "md markdown"},
    {"text/csv", "csv"},
    {"text/tab-separated-values", "tsv"},
    {"text/vtt", "vtt", true},
    {"text/calendar", "ics"},
    {"text/vcard", "vcf"},
    {"application/yaml", "yaml yml"},
    {"application/toml", "toml"},
    {"image/png", "png", true},
    {"image/apng", "apng", true},
    {"image/jpeg", "jpg jpeg jpe jfif", true},
    {"image/gif", "gif", true},
    {"image/webp", "webp", true},
    {"image/avif", "avif", true},
    {"image/jxl", "jxl", true},
    {"image/heic", "heic", true},
    {"image/heif", "heif", true},
    {"image/svg+xml", "svg", true},
    {"image/x-icon", "ico cur", true},
    {"image/bmp", "bmp", true},
    {"image/tiff", "tif tiff", true},
    {"font/woff", "woff"},
    {"font/woff2", "woff2"},
    {"font/ttf", "ttf"},
    {"font/otf", "otf"},
    {"font/collection", "ttc"},
    {"application/vnd.ms-fontobject", "eot"},
    {"audio/mpeg", "mp3 mpga", true},
    {"audio/mp4", "m4a m4b", true},
    {"audio/aac", "aac", true},
    {"audio/ogg", "oga ogg opus", true},
    {"audio/flac", "flac", true},
    {"audio/wav", "wav", true},
    {"audio/aiff", "aif aiff", true},
    {"audio/webm", "weba", true},
    {"audio/midi", "mid midi kar", true},
    {"video/mp4", "mp4 m4v", true},
    {"video/webm", "webm", true},
    {"video/ogg", "ogv", true},
    {"video/quicktime", "mov", true},
    {"video/mpeg", "mpg mpeg", true},
    {"video/mp2t", "ts", true},
    {"video/3gpp", "3gp 3gpp", true},
    {"video/x-matroska", "mkv", true},
    {"video/x-msvideo", "avi", true},
    {"video/x-ms-wmv", "wmv", true},
    {"video/x-flv", "flv", true},
    {"application/vnd.apple.mpegurl", "m3u8"},
    {"audio/mpegurl", "m3u"},
    {"audio/x-scpls", "pls"},
    {"application/dash+xml", "mpd"},
    {"application/pdf", "pdf", true},
    {"application/epub+zip", "epub"},
    {"application/x-mobipocket-ebook", "mobi"},
    {"application/vnd.comicbook+zip", "cbz"},
    {"application/rtf", "rtf"},
    {"application/postscript", "ps eps"},
    {"application/zip", "zip"},
    {"application/gzip", "gz tgz"},
    {"application/zstd", "zst"},
    {"application/x-7z-compressed", "7z"},
    {"application/x-bzip2", "bz2"},
    {"application/x-xz", "xz"},
    {"application/x-tar", "tar"},
    {"application/vnd.rar", "rar"},
    {"application/x-bittorrent", "torrent"},
    {"application/java-archive", "jar war ear"},
    {"application/x-java-jnlp-file", "jnlp"},
    {"application/x-xpinstall", "xpi"},
    {"application/x-shockwave-flash", "swf"},
    {"application/msword", "doc"},
    {"application/vnd.ms-excel", "xls"},
    {"application/vnd.ms-powerpoint", "ppt"},
    {"application/vnd.openxmlformats-officedocument.wordprocessingml.document", "docx"},
    {"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx"},
    {"application/vnd.openxmlformats-officedocument.presentationml.presentation", "pptx"},
    {"application/vnd.oasis.opendocument.text", "odt"},
    {"application/vnd.oasis.opendocument.spreadsheet", "ods"},
    {"application/vnd.oasis.opendocument.presentation", "odp"},
    {"application/vnd.oasis.opendocument.graphics", "odg"},
    {"application/vnd.android.package-archive", "apk"},
    {"application/vnd.apple.pkpass", "pkpass"},
    {"application/x-apple-aspen-config", "mobileconfig"},
    {"application/x-x509-ca-cert", "der pem crt"},
    {"model/gltf+json", "gltf"},
    {"model/gltf-binary", "glb"},
    {"model/vnd.usdz+zip", "usdz"},
    {"model/stl", "stl"},
    {"application/octet-stream", "bin exe dll deb rpm dmg iso img msi wat"},
};

std::string types(std::string_view indent, bool uploads) {
  std::string out = cat(indent, "types {\n");
  for (const auto& type : k_media_types)
    if (type.upload || !uploads)
      out += cat(indent, "  ", type.name, " ", type.ends, ";\n");
  return cat(out, indent, "}\n", indent, "default_type application/octet-stream;\n");
}

std::string pattern(bool (*wanted)(const Type&)) {
  std::vector<std::string> ends;
  for (const auto& type : k_media_types)
    if (wanted(type))
      for (const auto end : split(type.ends, ' '))
        ends.emplace_back(end);
  return cat("\\.(?:", join(ends, "|"), ")$");
}

} // namespace

std::string site_types(std::string_view indent) {
  return types(indent, false);
}
std::string upload_types(std::string_view indent) {
  return types(indent, true);
}

std::string asset_pattern() {
  return pattern([](const Type& type) { return !type.page; });
}
std::string upload_pattern() {
  return pattern([](const Type& type) { return type.upload; });
}

} // namespace chillbox::nginx
