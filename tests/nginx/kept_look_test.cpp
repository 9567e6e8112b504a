// What NGINX printed counts until something changes that decides about it.
#include "sample.hpp"

#include "nginx/kept_look.hpp"
#include "os/clock.hpp"

#include <sys/stat.h>

using namespace chillbox;
using namespace chillbox::nginx;

namespace {

// A configuration, what NGINX prints of it, and a question in two seconds, when all of it is
// settled.
struct Kept {
  Root root;
  os::Paths paths{root.path};
  std::string home = root.at("/etc/nginx"), logs = root.at("/var/log/nginx"),
              main_file = home + "/nginx.conf", site_file = home + "/http.d/site.conf",
              maybe_file = home + "/certs/site.conf", key_file = home + "/keys/site.key",
              link = home + "/keys/site.pem";
  Kept() {
    put(main_file, "http { include http.d/*.conf; }");
    put(site_file, "server { server_name 'two words'; }");
    put(key_file, "a key");
    put(home + "/keys/first.pem", "a certificate");
    put(home + "/keys/other.pem", "a certificate");
    put(logs + "/access.log", "");
    fs::create_directories(home + "/certs");
    fs::create_directories(paths.run());
    fs::create_symlink(home + "/keys/first.pem", link);
    keep(2'000);
  }
  std::string printed() const {
    return cat("# configuration file ", main_file, ":\nhttp { include http.d/*.conf; }\n\n",
        "# configuration file ", site_file, ":\nserver {\n  server_name 'two words';\n",
        "  include ", home, "/certs/site.con[f];\n  ssl_certificate ", link,
        ";\n  ssl_certificate_key keys/site.key;\n  access_log ", logs, "/access.log;\n}\n");
  }
  void keep(int64_t later_ms) const {
    keep_look(
        os::real_disk(), paths, os::real_clock().wall_ms() + later_ms, scan_printed(printed()));
  }
  std::optional<Look> look() const { return kept_look(os::real_disk(), paths); }
};

} // namespace

TEST_CASE("what NGINX printed is kept, word for word") {
  const Kept kept;
  const auto look = kept.look();
  REQUIRE(look);
  CHECK(look->at_ms > os::real_clock().wall_ms());
  const auto all = scan_host(kept.printed());
  REQUIRE(look->directives.size() == all.size());
  for (size_t i = 0; i < all.size(); ++i) {
    CHECK(look->directives[i].file == all[i].file);
    CHECK(look->directives[i].block == all[i].block);
    CHECK(look->directives[i].words == all[i].words);
  }
  CHECK(include_directory(look->directives) == kept.home + "/http.d");
}

TEST_CASE("what NGINX printed counts no more when something of it changed") {
  const Kept kept;
  const auto changed = [&](const std::function<void()>& change) {
    kept.keep(2'000);
    REQUIRE(kept.look());
    change();
    return !kept.look();
  };
  CHECK(changed([&] { put(kept.main_file, "http { include http.d/*.con; }"); })); // as long
  CHECK(changed([&] { put(kept.site_file, "broken"); }));
  CHECK(changed([&] { put(kept.home + "/http.d/new.conf", ""); }));
  CHECK(changed([&] { fs::remove(kept.home + "/http.d/new.conf"); }));
  CHECK(changed([&] { put(kept.maybe_file, "listen 443 ssl;"); }));
  CHECK(changed([&] { put(kept.maybe_file, "listen 443;"); }));
  CHECK(changed([&] { fs::remove(kept.maybe_file); }));
  CHECK(changed([&] { put(kept.home + "/keys/first.pem", "garbage"); }));
  CHECK(changed([&] { put(kept.key_file, "garbage"); })); // a relative path
  CHECK(changed([&] { fs::permissions(kept.key_file, fs::perms::owner_read); }));
  CHECK(changed([&] {
    fs::remove(kept.link);
    fs::create_symlink(kept.home + "/keys/other.pem", kept.link);
  }));
  CHECK(changed([&] { fs::rename(kept.logs, kept.logs + ".away"); }));
  CHECK(changed([&] { fs::create_directories(kept.logs); }));
  CHECK_FALSE(changed([&] { put(kept.logs + "/access.log", "a visitor\n"); }));
  CHECK_FALSE(changed([&] { put(kept.home + "/certs/another.conf", ""); }));
  CHECK_FALSE(changed([&] {}));
}

TEST_CASE("what was changed a moment before NGINX read it is not kept, nor what nobody can watch") {
  const Kept kept;
  const auto older = kept.look();
  REQUIRE(older);
  kept.keep(0);
  CHECK_FALSE(fs::exists(look_file(kept.paths)));
  const auto forgets = [&](const std::string& printed) {
    kept.keep(2'000);
    REQUIRE(kept.look());
    keep_look(
        os::real_disk(), kept.paths, os::real_clock().wall_ms() + 2'000, scan_printed(printed));
    return !kept.look();
  };
  CHECK(forgets(cat(kept.printed(), "include /srv/*/nginx/*.conf;\n")));
  CHECK(forgets(cat(kept.printed(), "# configuration file ", kept.home, "/gone.conf:\n")));
  CHECK(forgets("http {}")); // of no file
}

TEST_CASE("[W20] what others than root could have written for NGINX's answer is not believed") {
  const Kept kept;
  const std::string file = look_file(kept.paths);
  struct stat info{};
  REQUIRE(::stat(file.c_str(), &info) == 0);
  CHECK((info.st_mode & 07777) == 0600);
  REQUIRE(kept.look());
  fs::permissions(file, fs::perms{0622});
  CHECK_FALSE(kept.look());
  fs::permissions(file, fs::perms{0600});
  REQUIRE(kept.look());
  fs::permissions(kept.paths.run(), fs::perms{0777});
  CHECK_FALSE(kept.look());
  fs::permissions(kept.paths.run(), fs::perms{0755});
  REQUIRE(kept.look());
  fs::rename(file, file + ".other");
  fs::create_symlink(file + ".other", file);
  CHECK_FALSE(kept.look());
}

TEST_CASE("[W20] a part of what was kept, or other bytes, is nothing that was kept") {
  const Kept kept;
  const std::string file = look_file(kept.paths), whole = get(file);
  for (size_t size = 0; size < whole.size(); ++size) {
    put(file, whole.substr(0, size));
    REQUIRE_FALSE(kept.look());
  }
  for (const char* text : {"x", "18446744073709551615:x\n", "22:chillbox nginx look 1\n",
           "22:chillbox nginx look 1\n1:1\n1:9\n1:w\n",
           "22:chillbox nginx look 1\n1:1\n1:0\n9:999999999\n"}) {
    put(file, text);
    CHECK_FALSE(kept.look());
  }
  put(file, whole);
  CHECK(kept.look());
}
