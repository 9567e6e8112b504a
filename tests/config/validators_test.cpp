#include "catch.hpp"

#include "config/crontab.hpp"
#include "config/site.hpp"
#include "config/validators.hpp"

using namespace chillbox;
using namespace chillbox::config;
using namespace std::chrono_literals;

TEST_CASE("[fault-68] a host name is labels of lower-case letters, digits and hyphens, and nothing else") {
  for (const char* good :
      {"a", "a.b", "blog.example.test", "1a.test", "a-1.test", "xn--p1ai", "3com.test", "a.b1"})
    CHECK(is_host_name(good));
  for (const char* bad : {"", ".", "a.", ".a", "a..b", "-a", "a-", "a.-b", "A.test", "a_b", "a b",
           "a;", "a{", "a}", "a#", "$host", "a\nb", "*.a", "a:80", "1.2.3.4", "12", "a.1", "a/b",
           "\xc3\xa9.test", "a\"b", "~^a"})
    CHECK_FALSE(is_host_name(bad));
  CHECK(is_host_name(std::string(63, 'a')));
  CHECK_FALSE(is_host_name(std::string(64, 'a')));
  CHECK_FALSE(is_host_name(std::string_view("a\0b", 3)));
}

TEST_CASE("[fault-64] a variable's name is a word of at most 64 characters") {
  for (const char* good : {"A", "_", "a1", "FOO_BAR", "freeze", "API_HOST__chillbox"})
    CHECK_FALSE(variable_name_problem(good));
  for (const char* bad : {"", "1A", "A B", "X;touch p;", "A=B", "A-B", "$A", "A\n", "\xc3\x84"})
    CHECK(variable_name_problem(bad));
  CHECK_FALSE(variable_name_problem(std::string(64, 'A')));
  CHECK(variable_name_problem(std::string(65, 'A')));
  CHECK(variable_name_problem(std::string_view("A\0", 2)));
}

TEST_CASE("[fault-67][fault-1249] names that change which code runs are denied, their neighbours are not") {
  for (const char* bad :
      {"LD_PRELOAD", "LD_LIBRARY_PATH", "PATH", "PYTHONHOME", "BASH_ENV", "ENV", "IFS",
          "PIP_INDEX_URL", "NODE_OPTIONS", "CHILLBOX_WORKER", "GCONV_PATH", "OPENSSL_CONF"}) {
    REQUIRE(variable_name_problem(bad));
    CHECK(variable_name_problem(bad)->find("choose another") != std::string::npos);
  }
  // what takes their place is said
  CHECK(
      variable_name_problem("GUNICORN_CMD_ARGS")->ends_with("options go into the service's args"));
  CHECK(variable_name_problem("PYTHONPATH")->ends_with("its src/ are on the path"));
  for (const char* good : {"API_PATH", "PATHS", "PYTHONUNBUFFERED", "ENVIRONMENT", "LD",
           "FLASK_ENV", "VIRTUAL_ENV_BIN", "path"})
    CHECK_FALSE(variable_name_problem(good));
}

TEST_CASE("times have a unit and a limited number of digits") {
  CHECK(parse_duration("500ms", false) == 500ms);
  CHECK(parse_duration("10s", false) == 10s);
  CHECK(parse_duration("2m", false) == 2min);
  CHECK(parse_duration("12h", false) == 12h);
  CHECK(parse_duration("540m", false) == 9h);
  CHECK(parse_duration("32400s", false) == 9h);
  CHECK(parse_duration("999999ms", false) == 999999ms);
  CHECK(parse_duration("0s", true) == 0ms);
  for (const char* bad : {"", "s", "10", "10 s", "-1s", "+1s", "1.5s", "01s", "1d", "1S", "0s",
           "1000000ms", "100000s", "10000m", "100h", "1s ", "1s1s", "99999999999999999999s"})
    CHECK_FALSE(parse_duration(bad, false));
}

TEST_CASE("sizes have a unit, of 1024, and a limited number of digits") {
  CHECK(parse_size("4096K") == 4096ULL << 10);
  CHECK(parse_size("256M") == 256ULL << 20);
  CHECK(parse_size("2g") == 2ULL << 30);
  for (const char* bad : {"", "M", "256", "256MB", "256 M", "0M", "-1M", "1.5G", "01G", "999K",
           "1000000M", "1000G", "1T", "M256", "9999999999K"})
    CHECK_FALSE(parse_size(bad));
}

TEST_CASE("[fault-71] a schedule is five fields and a command") {
  for (const char* good : {"* * * * * x", "*/5 0-23/2 1,15 jan-DEC Mon,wed x y", "0 22-4 * * 7 a@b",
           "00 00 01 01 00 x", "\t1 2\t3  4 5 x ", "59 23 31 12 6 x", "* * * * * root",
           "* * * * * roots x", "* * * * * a b=c", "* * * * * 1a=b"})
    CHECK(parse_cron_line(good));
  for (const char* bad : {"", " ", "*", "* * * * *", "* * * * * ", "@daily x", "@reboot x",
           "60 * * * * x", "* 24 * * * x", "* * 0 * * x", "* * 32 * * x", "* * * 0 * x",
           "* * * 13 * x", "* * * * 8 x", "-1 * * * * x", "1- * * * * x", "1-2-3 * * * * x",
           "1/2 * * * * x", "*/0 * * * * x", "*/100 * * * * x", "*/05 * * * * x", "100 * * * * x",
           "a * * * * x", "* * mon * * x", "* * * monday * x", ", * * * * x", "1, * * * * x",
           "** * * * * x", "* * * * * root /bin/x", "* * * * * nobody x", "A=b", "* * * * * A=b x",
           "* * * * * x %", "* * * * * x\ny", "* * * * * x\ry", "* * * * * x\x7f"})
    CHECK_FALSE(parse_cron_line(bad));
  CHECK_FALSE(parse_cron_line(std::string_view("* * * * * x\0y", 13)));
  CHECK(parse_cron_line("* * * * * " + std::string(990, 'x')));
  CHECK_FALSE(parse_cron_line("* * * * * " + std::string(991, 'x')));
}

TEST_CASE("a site's Redis cannot be told to listen, to load or to read elsewhere") {
  for (const char* good : {"maxmemory", "maxmemory-policy", "save", "appendonly", "appendfsync",
           "databases", "hash-max-listpack-entries", "user-data"})
    CHECK_FALSE(redis_option_problem(good));
  for (const char* bad :
      {"port", "bind", "bind-source-addr", "unixsocket", "unixsocketperm", "tls-port", "aclfile",
          "user", "requirepass", "dir", "dbfilename", "appendfilename", "appenddirname", "include",
          "loadmodule", "enable-module-command", "replicaof", "slaveof", "masterauth", "daemonize",
          "cluster-enabled", "logfile", "", "Port", "a b", "-a", "a\n", "1a"})
    CHECK(redis_option_problem(bad));
}
