// What a site's own NGINX text may say: each directive with the blocks that it may be in and how
// its words are checked (check.cpp). What is not in the table is refused. For this room only.
#pragma once

#include <string>
#include <string_view>

namespace chillbox::nginx {

enum Where : unsigned {
  k_http = 1,
  k_server = 2,
  k_location = 4,
  k_if_in_server = 8,
  k_if_in_location = 16,
  k_limit_except = 32,
  k_upstream = 64,
  k_pairs = 128, // map, geo, types, ...: any key with its value
};
std::string_view name_of(Where where);

enum class Kind {
  any, // its variables only
  block_server,
  block_location,
  block_if,
  block_limit_except,
  block_upstream,
  block_pairs,    // types, charset_map
  variable_map,   // map SOURCE $NAME, split_clients SOURCE $NAME
  variable_geo,   // geo [$ADDRESS] $NAME
  variable_set,   // set $NAME VALUE, auth_request_set $NAME VALUE
  zone,           // limit_req_zone, limit_conn_zone: "zone=NAME:SIZE"
  use_zone,       // limit_req: "zone=NAME"
  use_zone_first, // limit_conn NAME, proxy_cache NAME
  own_zone,       // upstream { zone NAME SIZE }
  log_format,
  cache_path,
  listen,
  server_name,
  include,
  path,        // root, alias
  file,        // auth_basic_user_file
  certificate, // read when NGINX starts
  access_log,
  error_log,
  pass, // proxy_pass and its like
  server_of_upstream,
  uri, // each word is a path of the site
  error_page,
  rewrite,
  session_cache,
};

struct Rule {
  std::string_view name;
  unsigned where;
  Kind kind;
};

const Rule* rule_of(
    std::string_view directive, Where where); // nullptr: not for a site, or not in such a block
bool is_known_directive(std::string_view directive); // allowed somewhere
// For messages: what may be in such a block, the blocks and names of it when there are few; else
// the nearest to what was written.
std::string what_is_allowed(std::string_view directive, Where where);
// NGINX's own variables, in lower case, without '$'. Not those of modules that a host may or may
// not have.
bool is_builtin_variable(std::string_view name);
// Whether a template may give a variable this name, in lower case, without '$': it becomes the
// site's own by another name.
bool may_define(std::string_view variable);

} // namespace chillbox::nginx
