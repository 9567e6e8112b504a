#include "config/tls.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace chillbox::config {
namespace {

constexpr int64_t k_two_years = 63'072'000;

const TextRule k_kind_name{
    "a name: a lower-case letter, then lower-case letters, digits or inner '-'", 32, is_kind_name};

// One of the words, as the value next to it.
template <class V> struct OneOf {
  std::vector<std::pair<std::string_view, V>> words;
  std::optional<V> operator()(const Location& at, const Json& json) const {
    std::vector<std::string> allowed;
    for (const auto& [word, value] : words)
      allowed.emplace_back(word);
    const auto text = Choice{allowed}(at, json);
    if (!text)
      return std::nullopt;
    return std::ranges::find(words, *text, &std::pair<std::string_view, V>::first)->second;
  }
};

const Table<Tls>& site_tls_table() {
  using M = Tls::Mode;
  using C = Tls::Challenge;
  static const Table<Tls> k_tls{{"mode",
                                    into(&Tls::mode,
                                        OneOf<M>{{{"auto", M::automatic}, {"off", M::off},
                                            {"provided", M::provided}, {"edge", M::edge}}})},
      {"key", into(&Tls::key_in_memory, OneOf<bool>{{{"disk", false}, {"memory", true}}})},
      {"challenge",
          into(&Tls::challenge, OneOf<C>{{{"http-01", C::http_01}, {"dns-01", C::dns_01}}})},
      {"dns", into(&Tls::dns, Text{k_kind_name})},
      {"hsts", into(&Tls::hsts_seconds, Integer{0, k_two_years})},
      {"redirect", into(&Tls::redirect, Boolean{})},
      {"profile", into(&Tls::profile, Text{k_kind_name})}};
  return k_tls;
}

} // namespace

void read_tls(const Location& at, const Json& json, Site& site) {
  read_object(at, json, site_tls_table(), site.tls);
  if (!json.is_object())
    return;
  const bool by_dns = site.tls.challenge == Tls::Challenge::dns_01;
  if (by_dns && !json.contains("dns"))
    (at / "dns")
        .problem("is missing: dns-01 needs the name of a program in hooks/dns, such as rfc2136");
  if (!by_dns && json.contains("dns"))
    (at / "dns").problem("is for challenge dns-01: add \"challenge\": \"dns-01\", or leave it out");
  if (site.tls.mode == Tls::Mode::automatic)
    return;
  for (const auto* name : {"key", "challenge", "dns", "profile"})
    if (json.contains(name))
      (at / name).problem("is for mode auto: the others ask no CA and make no key");
}

bool is_public_name(std::string_view host_name) {
  constexpr std::array<std::string_view, 12> k_reserved{"home.arpa", "test", "example", "invalid",
      "localhost", "local", "internal", "onion", "alt", "example.com", "example.net",
      "example.org"};
  return host_name.find('.') != std::string_view::npos &&
      std::ranges::none_of(k_reserved, [&](std::string_view last) {
        return host_name == last ||
            (host_name.ends_with(last) && host_name[host_name.size() - last.size() - 1] == '.');
      });
}

std::string profile_of(const Tls& site, const HostTls& host) {
  if (!site.profile.empty())
    return site.profile;
  if (!host.profile.empty())
    return host.profile;
  return host.acme.starts_with("letsencrypt") ? "tlsserver" : "";
}

} // namespace chillbox::config
