// Two commands of one laptop at the same time, and what a killed one left.
#include "base/text.hpp"
#include "cli/core/temporary_dir.hpp"
#include "cli/laptop/artifact_cache.hpp"
#include "cli/laptop/backup_carry.hpp"
#include "cli/laptop/host_record.hpp"
#include "cli/laptop/secret_merge.hpp"
#include "cli/laptop/target.hpp"
#include "crypto/minisign.hpp"

#include "catch.hpp"
#include "cli/temp_dir.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

using namespace chillbox;
using namespace chillbox::cli;

namespace {

namespace fs = std::filesystem;

Places places_in(const TempDir& home) {
  return Places::find(
      [&](const char* name) { return std::string(name) == "HOME" ? home.path() : std::string(); });
}

void put_text(const std::string& path, std::string_view text) {
  std::ofstream(path) << text;
}

std::string text_in(const std::string& path) {
  std::stringstream out;
  out << std::ifstream(path).rdbuf();
  return out.str();
}

pid_t ended_process() {
  const pid_t child = ::fork();
  if (child == 0)
    ::_exit(0);
  ::waitpid(child, nullptr, 0);
  return child;
}

Result<HostRecord> set_ssh(const Places& places, const std::string& name, const std::string& ssh) {
  const auto take = [&](HostRecord& record) -> Result<void> {
    record.ssh = ssh;
    return {};
  };
  return change_host(places, name, take, Missing::is_made);
}

SecretEntry entry_with(std::string_view value, std::string by = "jo") {
  return {SecretString(value.data(), value.size()), 1, std::move(by)};
}

SecretDoc doc_with(std::map<std::string, SecretEntry> keys) {
  SecretDoc doc;
  doc.salt = "00";
  if (!keys.empty())
    doc.files["web/web.env"] = {SecretFormat::dotenv, std::move(keys)};
  return doc;
}

std::string keys_of(const SecretDoc& doc) {
  std::string out;
  for (const auto& [path, file] : doc.files)
    for (const auto& [key, entry] : file.keys)
      out += cat(key, "=", std::string_view(entry.value), " ");
  return out;
}

} // namespace

TEST_CASE("[fault-981] secrets that two changed at the same time are those of both") {
  const auto base = doc_with({{"A", entry_with("1")}, {"B", entry_with("2")}});
  const auto mine =
      doc_with({{"A", entry_with("1")}, {"B", entry_with("3")}, {"C", entry_with("4")}});
  auto theirs = doc_with({{"B", entry_with("2")}, {"D", entry_with("5")}});
  theirs.files["tls/x.pem"] = {SecretFormat::text, {{"", entry_with("PEM")}}};
  const auto both = merge_secrets(base, mine, theirs);
  REQUIRE(both);
  CHECK(keys_of(*both) == "=PEM B=3 C=4 D=5 ");
  CHECK(both->files.at("web/web.env").format == SecretFormat::dotenv);
  // The first ones of a new document, and the last one of an old file.
  CHECK(keys_of(merge_secrets(doc_with({}), doc_with({{"C", entry_with("4")}}), theirs).value()) ==
      "=PEM B=2 C=4 D=5 ");
  CHECK(
      merge_secrets(base, doc_with({}), doc_with({{"A", entry_with("1")}, {"B", entry_with("2")}}))
          .value()
          .files.empty());
}

TEST_CASE("[fault-981] a value that another one changed meanwhile, too, is not written over") {
  const auto base = doc_with({{"A", entry_with("1")}});
  const auto mine = doc_with({{"A", entry_with("2")}});
  const auto changed = merge_secrets(base, mine, doc_with({{"A", entry_with("3", "kim")}}));
  REQUIRE_FALSE(changed);
  CHECK(changed.error().code == Code::conflict);
  CHECK(changed.error().message.starts_with("web/web.env:A was changed by kim meanwhile, too"));
  CHECK(merge_secrets(base, mine, doc_with({})).error().message.contains("was removed meanwhile"));
  CHECK(merge_secrets(base, doc_with({}), doc_with({{"A", entry_with("3")}})).error().code ==
      Code::conflict);
  CHECK(keys_of(merge_secrets(base, mine, doc_with({{"A", entry_with("2", "kim")}})).value()) ==
      "A=2 ");
}

TEST_CASE("[fault-983] a host's record keeps what a person wrote into it") {
  TempDir home;
  const Places places = places_in(home);
  REQUIRE(set_ssh(places, "web1", "root@h"));
  const std::string path = places.host_record("web1");
  put_text(path,
      "# in the cellar\nnote = \"two disks\"\nssh = \"root@h\"  # by the VPN\n"
      "version = \"0.1.0\"\nsites = [\"blog\"]\n[mine]\nversion = \"9\"\n");
  const auto look = [](HostRecord& record) -> Result<void> {
    record.version = "0.2.0";
    record.role = "admin";
    record.sites.clear();
    return {};
  };
  REQUIRE(change_host(places, "web1", look, Missing::is_an_error));
  CHECK(text_in(path) ==
      "# in the cellar\nnote = \"two disks\"\nssh = \"root@h\"  # by the VPN\n"
      "version = \"0.2.0\"  # of chillboxd there\nrole = \"admin\"  # what you may do there\n"
      "[mine]\nversion = \"9\"\n");
  // What is not written in lines is written whole, and nothing that is known of the host is lost.
  put_text(path, "ssh = \"root@h\"\nsites = [\n  \"blog\",\n  \"shop\",\n]\n");
  const auto one = [](HostRecord& record) -> Result<void> {
    record.sites = {"blog"};
    return {};
  };
  REQUIRE(change_host(places, "web1", one, Missing::is_an_error));
  CHECK(load_host(places, "web1").value().sites == std::vector<std::string>{"blog"});
}

TEST_CASE("[fault-983] what another command did to a host's record meanwhile stays") {
  TempDir home;
  const Places places = places_in(home);
  REQUIRE(set_ssh(places, "web1", "root@h"));
  const auto seen = [](HostRecord& record) -> Result<void> {
    record.version = "0.2.0";
    return {};
  };
  REQUIRE(forget_host(places, "web1"));
  CHECK(change_host(places, "web1", seen, Missing::is_an_error).error().code == Code::not_found);
  CHECK_FALSE(fs::exists(places.host_record("web1")));
  REQUIRE(set_ssh(places, "web1", "root@other"));
  REQUIRE(change_host(places, "web1", seen, Missing::is_an_error));
  CHECK(load_host(places, "web1").value().ssh == "root@other");
  const auto refuse = [](HostRecord& record) -> Result<void> {
    record.ssh = "";
    return fail(Code::conflict, "no");
  };
  CHECK(change_host(places, "web1", refuse, Missing::is_made).error().code == Code::conflict);
  CHECK(load_host(places, "web1").value().ssh == "root@other");
}

TEST_CASE("[attack-Z26] a backup's key that another command pinned meanwhile is the one that counts") {
  TempDir home;
  const Places places = places_in(home);
  REQUIRE(set_ssh(places, "web1", "root@h"));
  const Target before = target_named(places, "web1").value(); // as `hosts` or a second pull has it
  const auto first = crypto::MinisignSecretKey::generate().public_key().to_line();
  const auto second = crypto::MinisignSecretKey::generate().public_key().to_line();
  REQUIRE(pin_backup_key(places, before, first));
  CHECK(pin_backup_key(places, before, second).error().code == Code::denied);
  const auto seen = [](HostRecord& record) -> Result<void> {
    record.version = "0.2.0";
    return {};
  };
  REQUIRE(change_host(places, "web1", seen, Missing::is_an_error));
  CHECK(load_host(places, "web1").value().backup_key == first);
  CHECK(pin_backup_key(places, before, first));
}

TEST_CASE("[fault-984] two deploys of one site to one host pack two files, and neither removes what the other sends") {
  TempDir home;
  const Places places = places_in(home);
  const auto cache = ArtifactCache::open(places, "web1", "hello").value();
  const std::string one = cache.kept(std::string(64, 'a')), two = cache.kept(std::string(64, 'b'));
  CHECK(cache.fresh().find(std::to_string(::getpid())) != std::string::npos);
  CHECK(one != two);
  put_text(one, "1");
  put_text(two, "2");
  put_text(places.cache + "/artifacts/web1.hello.tar.zst.age", "of an older version");
  const std::string other =
      ArtifactCache::open(places, "web1", "shop").value().kept(std::string(64, 'a'));
  put_text(other, "3");
  {
    const Fd sending = ArtifactCache::hold(one);
    REQUIRE(sending);
    cache.remove_others(two);
    CHECK(text_in(one) == "1");
  }
  cache.remove_others(two);
  CHECK_FALSE(fs::exists(one));
  CHECK_FALSE(ArtifactCache::hold(one));
  CHECK_FALSE(fs::exists(places.cache + "/artifacts/web1.hello.tar.zst.age"));
  CHECK(text_in(two) == "2");
  CHECK(text_in(other) == "3");
}

TEST_CASE("[fault-985] what a killed command left is removed by the next one, and what a running one has is not") {
  TempDir dir;
  const std::string gone = std::to_string(ended_process()), me = std::to_string(::getpid());
  for (const auto& name : {cat("x-", gone, "-abc"), cat("x-", me, "-abc"), cat("y-", gone, "-abc"),
           std::string("x-abc"), cat("x-", gone, "9abc"), std::string("x--1-abc"),
           std::string("x-0-a")})
    fs::create_directories(dir.path() + "/" + name + "/deep");
  put_text(cat(dir.path(), "/.x-", gone, ".tmp.AAAA"), "");
  {
    const auto made = TemporaryDir::create(dir.path(), "x");
    REQUIRE(made);
    CHECK(fs::is_directory(made->path()));
    CHECK_FALSE(fs::exists(cat(dir.path(), "/x-", gone, "-abc")));
    for (const auto& name : {cat("x-", me, "-abc"), cat("y-", gone, "-abc"), std::string("x-abc"),
             cat("x-", gone, "9abc"), std::string("x--1-abc"), std::string("x-0-a")})
      CHECK(fs::exists(dir.path() + "/" + name));
    remove_left(dir.path(), ".x-");
    CHECK_FALSE(fs::exists(cat(dir.path(), "/.x-", gone, ".tmp.AAAA")));
    remove_left(dir.path(), "x-"); // its own
    CHECK(fs::is_directory(made->path()));
  }
  if (::geteuid() == 0) { // another user's
    const std::string theirs = cat(dir.path(), "/x-", gone, "-abc");
    fs::create_directory(theirs);
    REQUIRE(::chown(theirs.c_str(), 12345, 12345) == 0);
    remove_left(dir.path(), "x-");
    CHECK(fs::exists(theirs));
  }
}

TEST_CASE("[fault-980] a file of this laptop that could not be read again is not written") {
  TempDir home;
  const Places places = places_in(home);
  const std::string path = places.state + "/file";
  REQUIRE(write_own_file(path, "1234", 4));
  CHECK(write_own_file(path, "12345", 4).error().code == Code::too_large);
  CHECK(read_own_file(path, 4).value() == "1234");
}
