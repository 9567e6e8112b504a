#include "tls/acme.hpp"

#include "base/text.hpp"
#include "os/host_layout.hpp"
#include "os/root_owned.hpp"
#include "tls/json.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdlib>

namespace chillbox::tls {
namespace {

constexpr int k_key_compromise = 1; // RFC 5280: `tls revoke` is for a key that was stolen
constexpr size_t k_max_answer = 256 * 1024;
constexpr size_t k_max_text = 1'000; // of a problem's detail
constexpr size_t k_max_items = 100;
constexpr os::Millis k_probe_deadline{15'000}, k_short_deadline{60'000};
constexpr os::Millis k_grace{10'000}; // to say that the deadline has passed
constexpr uint64_t k_memory = 512ULL << 20;
constexpr std::string_view k_staging = "https://acme-staging-v02.api.letsencrypt.org/directory";
constexpr std::string_view k_urn = "urn:ietf:params:acme:error:";

std::unexpected<Problem> local(std::string detail) {
  return std::unexpected(Problem{.type = "local", .detail = std::move(detail)});
}

std::string type_of(const std::string& urn) {
  return printable(urn.starts_with(k_urn) ? urn.substr(k_urn.size()) : urn, 60);
}

// A link is shown to people: an address and nothing else.
std::string link_in(const std::string& text) {
  const bool plain = std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f; });
  return plain && text.size() <= 500 && text.starts_with("https://") ? text : std::string();
}

Problem problem_in(const Json& answer) {
  const Json& said = member(answer, "problem");
  Problem problem{.type = type_of(text_in(said, "type")),
      .status = number_in(said, "status"),
      .detail = printable(text_in(said, "detail"), k_max_text),
      .identifier = printable(text_in(said, "identifier"), 253),
      .link = link_in(text_in(said, "link")),
      .retry_ms = time_in(answer, "retry_at"),
      .ca_ms = time_in(answer, "ca_date"),
      .order_url = link_in(text_in(answer, "order_url"))};
  const Json& parts = member(said, "subproblems");
  for (size_t i = 0; parts.is_array() && i < std::min(parts.size(), k_max_items); ++i)
    problem.parts.push_back({.type = type_of(text_in(parts[i], "type")),
        .detail = printable(text_in(parts[i], "detail"), k_max_text),
        .identifier = printable(text_in(parts[i], "identifier"), 253)});
  if (problem.type.empty())
    problem.type = "local";
  if (problem.detail.empty())
    problem.detail = cat("the engine reports a problem of type ", problem.type);
  return problem;
}

std::optional<Ari> ari_in(const Json& answer) {
  const Json& ari = member(answer, "ari");
  const auto start = time_in(ari, "start"), end = time_in(ari, "end");
  if (!start || !end || *end < *start) // a CA's nonsense is none: the local rule holds
    return std::nullopt;
  return Ari{.selected_ms = std::clamp(time_in(ari, "selected").value_or(*start), *start, *end),
      .retry_after = number_in(ari, "retry_after"),
      .explanation = link_in(text_in(ari, "explanation"))};
}

// The last line that says something, as a person would quote it.
std::string last_line(std::string_view err) {
  std::string_view last;
  for (const auto line : split(err, '\n'))
    if (!trim(line).empty())
      last = trim(line);
  return printable(last, 300);
}

Answer<Json> read_answer(const std::string& engine, const os::Exit& exit) {
  const auto json = parse_json(exit.out, k_max_answer);
  if (json && json->is_object() && member(*json, "ok").is_boolean()) {
    if (json->at("ok").get<bool>())
      return *json;
    return std::unexpected(problem_in(*json));
  }
  const std::string line = last_line(exit.err);
  const std::string what = exit.signal != 0 ? cat("was ended by signal ", exit.signal)
      : exit.code != 0                      ? cat("ended with code ", exit.code)
      : exit.out.size() >= k_max_answer     ? cat("printed more than ", k_max_answer, " bytes")
                                            : "printed something else than one JSON object";
  return local(cat("the ACME engine '", engine, "' ", what, line.empty() ? "" : ": ", line));
}

} // namespace

std::string challenge_dir(const os::Paths& paths) {
  return paths.acme() + "/.well-known/acme-challenge";
}

Result<std::string> Acme::program() const {
  const std::string path = cat("acme/", m_host.config.tls.engine, "/engine");
  if (os::is_program(cat(m_host.paths.admin_hooks(), "/", path))) {
    TRY(os::check_root_owned(m_host.paths.admin_hooks(), path));
    return cat(m_host.paths.admin_hooks(), "/", path);
  }
  if (const std::string shipped = cat(m_host.paths.shipped_hooks(), "/", path);
      os::is_program(shipped))
    return shipped;
  return fail(Code::not_found,
      cat("the ACME engine '", m_host.config.tls.engine,
          "' is not installed: it comes with the package, and with `make install` if Go was there; or set tls.engine in chillboxd.toml to another"));
}

Json Acme::common(bool staging) const {
  const auto& tls = m_host.config.tls;
  return Json{{"directory", staging ? std::string(k_staging) : tls.directory()},
      {"ca_file", staging || tls.ca_file.empty() ? Json() : Json(tls.ca_file)},
      {"account", m_host.paths.acme() + "/account"}};
}

Answer<Json> Acme::run(
    const std::string& verb, Json input, os::Millis deadline, const std::string& dns_secret) {
  const auto program = this->program();
  if (!program)
    return local(program.error().message);
  input["deadline"] = std::chrono::duration_cast<std::chrono::seconds>(deadline).count();
  os::Command command;
  command.argv = {*program, verb};
  command.input = dump(input);
  command.timeout = deadline + k_grace;
  command.output_limit = k_max_answer;
  command.limits.memory_max = m_host.as_root ? k_memory : 0;
  command.contained = m_host.as_root;
  command.env = {{"HOME", "/"}};
  for (const char* name : {"HTTPS_PROXY", "NO_PROXY"})
    if (const char* value = std::getenv(name))
      command.env.emplace_back(name, value);
  command.cancelled = m_host.cancelled;
  if (!dns_secret.empty())
    command.env.emplace_back("CHILLBOX_DNS_CREDENTIALS", dns_secret);
  if (m_host.as_root) {
    auto user = os::find_user(std::string(os::k_acme_user));
    if (!user)
      return local(cat("no user '", os::k_acme_user, "' on this host: run `chillboxctl init`"));
    command.user = std::move(*user);
  }
  const auto exit = m_host.runner.run(command);
  if (!exit && exit.error().code == Code::timed_out)
    return std::unexpected(Problem{.type = "deadline",
        .detail = cat("the ACME engine '", m_host.config.tls.engine, "' did not end within ",
            deadline.count() / 1000, " s")});
  if (!exit)
    return std::unexpected(
        Problem{.type = exit.error().code == Code::interrupted ? "interrupted" : "local",
            .detail = exit.error().message});
  return read_answer(m_host.config.tls.engine, *exit);
}

Answer<Issued> Acme::order(const OrderRequest& r, bool staging) {
  Json input = common(staging);
  const auto optional = [](const std::string& text) { return text.empty() ? Json() : Json(text); };
  input["csr"] = r.csr;
  input["names"] = r.names;
  input["challenge"] = r.dns.empty() ? "http-01" : "dns-01";
  input["webroot"] = optional(r.dns.empty() ? r.webroot : std::string());
  input["dns"] = optional(r.dns);
  input["profile"] = optional(r.profile);
  input["replaces"] = optional(r.replaces);
  input["order_url"] = optional(r.order_url);
  const auto answer = run("order", std::move(input), r.deadline, r.dns_secret);
  if (!answer)
    return std::unexpected(answer.error());
  Issued issued{.chain = text_in(*answer, "chain"),
      .order_url = link_in(text_in(*answer, "order_url")),
      .profile = printable(text_in(*answer, "profile"), 60),
      .replaced = flag_in(*answer, "replaced"),
      .ari = ari_in(*answer)};
  const Json& warnings = member(*answer, "warnings");
  for (size_t i = 0; warnings.is_array() && i < std::min(warnings.size(), k_max_items); ++i)
    if (warnings[i].is_string())
      issued.warnings.push_back(printable(warnings[i].get<std::string>(), k_max_text));
  return issued;
}

Answer<std::optional<Ari>> Acme::renewal_info(const std::string& leaf) {
  Json input = common(false);
  input["certificate"] = leaf;
  const auto answer = run("renewal-info", std::move(input), k_short_deadline);
  if (!answer)
    return std::unexpected(answer.error());
  return ari_in(*answer);
}

Answer<void> Acme::revoke(const std::string& leaf) {
  Json input = common(false);
  input["certificate"] = leaf;
  input["reason"] = k_key_compromise;
  const auto answer = run("revoke", std::move(input), k_short_deadline);
  return answer ? Answer<void>{} : std::unexpected(answer.error());
}

Answer<Account> Acme::account(const std::string& action, bool staging) {
  const auto& tls = m_host.config.tls;
  Json input = common(staging), eab;
  if (!tls.eab_kid.empty() && !staging) {
    const auto key = m_host.disk.read(tls.eab_key_file, 4096);
    if (!key)
      return local(cat("tls.eab_key_file: ", key.error().message));
    eab = {{"kid", tls.eab_kid}, {"hmac_key", std::string(trim(*key))}};
  }
  std::vector<std::string> contact;
  for (const auto& mail : tls.contact)
    contact.push_back(cat("mailto:", mail));
  input["contact"] = contact;
  input["eab"] = eab;
  input["action"] = action;
  const auto answer = run("account", std::move(input), k_short_deadline);
  if (!answer)
    return std::unexpected(answer.error());
  return Account{.url = link_in(text_in(*answer, "url")),
      .status = printable(text_in(*answer, "status"), 40),
      .thumbprint = printable(text_in(*answer, "thumbprint"), 100)};
}

Answer<Addresses> Acme::addresses(const std::string& name) {
  Json input = common(false);
  input["kind"] = "addresses";
  input["name"] = name;
  const auto answer = run("probe", std::move(input), k_probe_deadline);
  if (!answer)
    return std::unexpected(answer.error());
  return Addresses{.a = texts_in(*answer, "a", 20), .aaaa = texts_in(*answer, "aaaa", 20)};
}

Answer<HttpAnswer> Acme::get(
    const std::string& name, const std::string& address, uint16_t port, const std::string& path) {
  Json input = common(false);
  input["kind"] = "http";
  input["name"] = name;
  input["address"] = address;
  input["port"] = port;
  input["path"] = path;
  const auto answer = run("probe", std::move(input), k_probe_deadline);
  if (!answer)
    return std::unexpected(answer.error());
  return HttpAnswer{.status = number_in(*answer, "status"),
      .body = text_in(*answer, "body").substr(0, 512),
      .location = printable(text_in(*answer, "location"), 200),
      .date = printable(text_in(*answer, "date"), 60)};
}

Answer<std::string> Acme::served(
    const std::string& name, const std::string& address, uint16_t port) {
  Json input = common(false);
  input["kind"] = "tls";
  input["name"] = name;
  input["address"] = address;
  input["port"] = port;
  const auto answer = run("probe", std::move(input), k_probe_deadline);
  if (!answer)
    return std::unexpected(answer.error());
  return printable(text_in(*answer, "sha256"), 64);
}

} // namespace chillbox::tls
