#include "courier/etcd.hpp"

#include "base/encoding.hpp"
#include "base/json.hpp"
#include "base/text.hpp"
#include "control/engine_link.hpp"
#include "courier/answer.hpp"

#include <nlohmann/json.hpp>

namespace chillbox::courier {
namespace {

std::string encoded(std::string_view root, std::string_view key) {
  return base64(bytes_of(cat(root, key)));
}

// Where the keys that begin so end.
std::string end_of(std::string_view root, std::string_view prefix) {
  std::string end = cat(root, prefix);
  ++end.back(); // of checked letters, none of which is the last byte
  return base64(bytes_of(end));
}

Json compare_of(std::string_view root, const EngineCondition& condition) {
  using Kind = EngineCondition::Kind;
  Json out{{"key", encoded(root, condition.key)}};
  if (condition.kind == Kind::less) {
    out["target"] = "VALUE";
    out["result"] = "LESS";
    out["value"] = base64(bytes_of(condition.text));
    return out;
  }
  out["target"] = "CREATE";
  out["result"] = condition.kind == Kind::present ? "GREATER" : "EQUAL";
  out["create_revision"] =
      std::to_string(condition.kind == Kind::held ? condition.fence : uint64_t{0});
  return out;
}

Json request_of(std::string_view root, const EngineWrite& write, const Leases& leases) {
  const std::string key = encoded(root, write.key);
  if (write.removes)
    return {{"requestDeleteRange", {{"key", key}}}};
  Json put{{"key", key}, {"value", base64(bytes_of(write.text))}};
  const auto lease = leases.find(write.kept);
  if ((write.leased || write.kept.count() > 0) && lease != leases.end())
    put["lease"] = lease->second;
  return {{"requestPut", std::move(put)}};
}

Json look_at(std::string_view root, std::string_view key) {
  return {{"requestRange", {{"key", encoded(root, key)}}}};
}

// A member of an object; nullptr: it has none of that name.
const Json* member(const Json& json, const char* name) {
  if (!json.is_object())
    return nullptr;
  const auto found = json.find(name);
  return found == json.end() ? nullptr : &*found;
}

std::string text_member(const Json& json, const char* name) {
  const Json* found = member(json, name);
  return found != nullptr && found->is_string() ? found->get<std::string>() : std::string();
}

uint64_t number_member(const Json& json, const char* name) {
  return parse_u64(text_member(json, name)).value_or(0);
}

Result<std::string> decoded(const Json& json, const char* name) {
  const Bytes bytes = TRY(unbase64(text_member(json, name)));
  return std::string(bytes.begin(), bytes.end());
}

Result<Json> parse(std::string_view text) {
  return TRY_IN("the member's answer", parse_json(text, k_max_answer));
}

Result<uint64_t> revision_of(const Json& json) {
  const Json* header = member(json, "header");
  const uint64_t revision = header == nullptr ? 0 : number_member(*header, "revision");
  if (revision == 0)
    return fail(Code::corrupt, "the member's answer has no revision");
  return revision;
}

Result<EngineValue> value_of(std::string_view root, const Json& json) {
  EngineValue out;
  out.key = TRY_IN("a key", decoded(json, "key"));
  if (!out.key.starts_with(root))
    return fail(Code::corrupt, "the member's answer has a key that nobody asked for");
  out.key.erase(0, root.size());
  out.text = TRY_IN("a value", decoded(json, "value"));
  out.fence = number_member(json, "create_revision");
  if (!control::is_engine_key(out.key) || out.text.size() > control::k_max_engine_text ||
      out.fence == 0)
    return fail(Code::corrupt, "the member's answer has a value that chillbox did not write");
  return out;
}

Result<std::vector<EngineValue>> values_of(std::string_view root, const Json& range) {
  std::vector<EngineValue> out;
  const Json* all = member(range, "kvs");
  if (all == nullptr)
    return out;
  if (!all->is_array())
    return fail(Code::corrupt, "the member's answer: kvs is no list");
  if (all->size() > control::k_max_engine_values)
    return fail(Code::too_large,
        cat("the member's answer has more than ", control::k_max_engine_values, " values"));
  for (const Json& one : *all)
    out.push_back(TRY(value_of(root, one)));
  return out;
}

} // namespace

SecretString authenticate_body(std::string_view user, std::string_view password) {
  const std::string plain = dump(Json{{"name", user}});
  SecretString out(plain.begin(), plain.end() - 1);
  out += ",\"password\":\"";
  out += password; // checked: letters and digits
  out += "\"}";
  return out;
}

std::string change_body(std::string_view root, const std::vector<EngineCondition>& conditions,
    const std::vector<EngineWrite>& writes, const Leases& leases) {
  Json compare = Json::array(), success = Json::array(), failure = Json::array();
  for (const auto& condition : conditions)
    compare.push_back(compare_of(root, condition));
  for (const auto& write : writes)
    success.push_back(request_of(root, write, leases));
  if (!conditions.empty())
    failure.push_back(look_at(root, conditions.front().key));
  if (!writes.empty())
    failure.push_back(look_at(root, writes.front().key));
  return dump(Json{{"compare", std::move(compare)}, {"success", std::move(success)},
      {"failure", std::move(failure)}});
}

std::string range_body(std::string_view root, std::string_view prefix) {
  return dump(Json{{"key", encoded(root, prefix)}, {"range_end", end_of(root, prefix)},
      {"limit", std::to_string(control::k_max_engine_values + 1)}});
}

std::string watch_body(std::string_view root, std::string_view prefix) {
  return dump(Json{
      {"create_request", {{"key", encoded(root, prefix)}, {"range_end", end_of(root, prefix)}}}});
}

std::string lease_body(std::chrono::seconds ttl) {
  return dump(Json{{"TTL", std::to_string(ttl.count())}});
}

std::string lease_body(std::string_view id) {
  return dump(Json{{"ID", id}});
}

Refusal parse_refusal(std::string_view text) {
  const auto json = parse_json(text, k_max_answer);
  if (!json)
    return {0, printable(text, 120)};
  // A watch has it within "error" or "result".
  const Json* inner = member(*json, "error");
  const Json& at = inner != nullptr && inner->is_object() ? *inner : *json;
  Refusal out{0, text_member(at, "message")};
  for (const char* name : {"code", "grpc_code"})
    if (const Json* code = member(at, name);
        code != nullptr && code->is_number_integer() && out.code == 0)
      out.code = code->get<int>();
  if (out.message.empty())
    out.message = text_member(*json, "error");
  out.message = printable(out.message, 200);
  return out;
}

Result<std::string> parse_token(std::string_view text) {
  const Json json = TRY(parse(text));
  std::string token = text_member(json, "token");
  const bool plain = !token.empty() && token.size() <= 4096 &&
      token.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                              "._-+/=") == std::string::npos;
  if (!plain)
    return fail(Code::corrupt, "the member's answer has no token");
  return token;
}

Result<std::string> parse_lease(std::string_view text) {
  const Json json = TRY(parse(text));
  const uint64_t id = number_member(json, "ID");
  if (id == 0)
    return fail(Code::corrupt, "the member's answer has no lease");
  return std::to_string(id);
}

bool lease_lives(std::string_view text) {
  const auto json = parse_json(text, k_max_answer);
  const Json* result = json ? member(*json, "result") : nullptr;
  return result != nullptr && number_member(*result, "TTL") > 0;
}

Result<ChangeAnswer> parse_change(
    std::string_view root, std::string_view text, bool has_condition) {
  const Json json = TRY(parse(text));
  ChangeAnswer out;
  out.revision = TRY(revision_of(json));
  const Json* succeeded = member(json, "succeeded");
  out.succeeded = succeeded != nullptr && succeeded->is_boolean() && succeeded->get<bool>();
  const Json* responses = member(json, "responses");
  if (out.succeeded || responses == nullptr || !responses->is_array())
    return out;
  for (size_t i = 0; i < responses->size() && i < 2; ++i) {
    const Json* range = member((*responses)[i], "response_range");
    const auto values = TRY(values_of(root, range == nullptr ? Json() : *range));
    if (values.size() > 1)
      return fail(Code::corrupt, "the member's answer has two values of one key");
    if (values.empty())
      continue;
    if (i == 0 && has_condition)
      out.found = values.front().text;
    else
      out.written = values.front();
  }
  return out;
}

Result<RangeAnswer> parse_range(std::string_view root, std::string_view text) {
  const Json json = TRY(parse(text));
  RangeAnswer out;
  out.revision = TRY(revision_of(json));
  out.values = TRY(values_of(root, json));
  return out;
}

WatchLine parse_watch_line(std::string_view text) {
  const auto json = parse_json(text, k_max_answer);
  const Json* result = json ? member(*json, "result") : nullptr;
  if (result == nullptr)
    return WatchLine::over;
  const auto is = [&](const char* name) {
    const Json* found = member(*result, name);
    return found != nullptr && found->is_boolean() && found->get<bool>();
  };
  if (is("canceled") || number_member(*result, "compact_revision") > 0)
    return WatchLine::over;
  if (is("created"))
    return WatchLine::begun;
  return member(*result, "events") != nullptr ? WatchLine::changed : WatchLine::other;
}

} // namespace chillbox::courier
