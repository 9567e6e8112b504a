#include "cli/laptop/engine_files.hpp"

#include "base/encoding.hpp"
#include "base/names.hpp"
#include "base/text.hpp"
#include "crypto/authority.hpp"

#include <arpa/inet.h>
#include <unistd.h>

#include <algorithm>
#include <array>

namespace chillbox::cli {
namespace {

constexpr int64_t k_day = 24 * 3600;
constexpr int64_t k_engine_validity = 3650 * k_day;
constexpr size_t k_password_bytes = 24;

bool is_address(int family, const std::string& text) {
  std::array<unsigned char, 16> bytes{};
  return ::inet_pton(family, text.c_str(), bytes.data()) == 1;
}

bool is_ip6(const std::string& address) {
  return is_address(AF_INET6, address);
}

std::string authority_of(const EngineMember& member) {
  return is_ip6(member.address) ? cat("[", member.address, "]") : member.address;
}

std::string url_of(const EngineMember& member, int port) {
  return cat("https://", authority_of(member), ":", port);
}

std::string name_in_certificate(const EngineMember& member) {
  const bool address = is_address(AF_INET, member.address) || is_ip6(member.address);
  return cat(address ? "IP:" : "DNS:", member.address);
}

bool is_address_word(std::string_view text) {
  return !text.empty() && text.size() <= 253 && text.front() != '-' &&
      text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789.:-") == std::string_view::npos;
}

// What etcd reads as --config-file. A file, unlike its options, leaves the JSON gateway off.
std::string conf_of(
    const EngineMember& me, const std::vector<EngineMember>& all, const std::string& token) {
  std::vector<std::string> peers;
  for (const auto& member : all)
    peers.push_back(cat(member.name, "=", url_of(member, 2380)));
  const std::string tls = "  cert-file: /etc/etcd/member.crt\n"
                          "  key-file: /etc/etcd/member.key\n"
                          "  client-cert-auth: true\n"
                          "  trusted-ca-file: /etc/etcd/ca.crt\n";
  return cat("name: ", me.name, "\ndata-dir: /var/lib/etcd\n",
      "listen-peer-urls: ", url_of(me, 2380), "\nlisten-client-urls: ", url_of(me, 2379),
      "\ninitial-advertise-peer-urls: ", url_of(me, 2380),
      "\nadvertise-client-urls: ", url_of(me, 2379), "\ninitial-cluster: ", join(peers, ","),
      "\ninitial-cluster-state: new\ninitial-cluster-token: ", token,
      "\nenable-grpc-gateway: true\nauto-compaction-mode: periodic\n"
      "auto-compaction-retention: \"24h\"\nclient-transport-security:\n",
      tls, "peer-transport-security:\n", tls);
}

std::vector<std::string> section_of(
    const std::string& fleet, const std::vector<EngineMember>& members) {
  std::vector<std::string> urls;
  for (const auto& member : members)
    urls.push_back(cat("\"", url_of(member, 2379), "\""));
  return {"[fleet]", "engine = \"etcd\"", cat("endpoints = [", join(urls, ", "), "]"),
      "ca_file = \"/etc/chillbox/fleet/ca.crt\"",
      "certificate_file = \"/etc/chillbox/fleet/host.crt\"",
      "key_file = \"/etc/chillbox/fleet/host.key\"", cat("user = \"", fleet, "\""),
      "password_file = \"/etc/chillbox/fleet/password\""};
}

std::string setup_of(
    const std::string& dir, const std::string& fleet, const std::vector<EngineMember>& members) {
  std::string out = "set -eu\n";
  std::vector<std::string> urls;
  for (const auto& member : members) {
    const std::string machine = cat("root@", member.address);
    const std::string copy_to = cat("root@", authority_of(member));
    out += cat("# the machine of member ", member.name, "\nssh ", machine,
        " 'apk add etcd etcd-ctl etcd-openrc && mkdir -p /etc/etcd'\nscp ", dir, "/members/",
        member.name, "/* ", copy_to, ":/etc/etcd/\nssh ", machine,
        " 'chown etcd:etcd /etc/etcd/member.key && rc-update add etcd && rc-service etcd start'\n");
    urls.push_back(url_of(member, 2379));
  }
  out += cat("# once, when all of them run, from a machine that reaches them: etcd's users\n",
      "export ETCDCTL_API=3 ETCDCTL_ENDPOINTS=", join(urls, ","), " ETCDCTL_CACERT=", dir,
      "/ca.crt ETCDCTL_CERT=", dir, "/host/host.crt ETCDCTL_KEY=", dir, "/host/host.key\n");
  out += cat("etcdctl user add root --interactive=false <", dir, "/root.password\n",
      "etcdctl user grant-role root root\netcdctl role add ", fleet,
      "\netcdctl role grant-permission ", fleet, " --prefix=true readwrite /chillbox/", fleet,
      "/\netcdctl user add ", fleet, " --interactive=false <", dir,
      "/host/password\netcdctl user grant-role ", fleet, " ", fleet, "\netcdctl auth enable\n");
  return out;
}

class Writer {
public:
  Writer(os::Disk& disk, std::string dir) : m_disk(disk), m_dir(std::move(dir)) {}
  Result<void> folder(const std::string& name) {
    return m_disk.make_new_dir(name.empty() ? m_dir : cat(m_dir, "/", name));
  }
  Result<void> file(const std::string& name, std::string_view text, mode_t mode) {
    return m_disk.write(cat(m_dir, "/", name), text, mode, {::geteuid(), ::getegid()});
  }
  Result<void> leaf(const std::string& folder_name, std::string_view stem,
      const crypto::IssuedCertificate& authority, const std::string& name,
      const crypto::Validity& validity) {
    TRY(folder(folder_name));
    const auto one = TRY(crypto::issue_certificate(authority, name, validity));
    TRY(file(folder_name + "/ca.crt", authority.pem, 0644));
    TRY(file(cat(folder_name, "/", stem, ".crt"), one.pem, 0644));
    return file(cat(folder_name, "/", stem, ".key"), one.key, 0600);
  }

private:
  os::Disk& m_disk;
  std::string m_dir;
};

} // namespace

Result<std::vector<EngineMember>> parse_members(const std::vector<std::string>& words) {
  std::vector<EngineMember> out;
  for (const auto& word : words) {
    const auto equals = word.find('=');
    EngineMember member{word.substr(0, equals),
        equals == std::string::npos ? std::string() : word.substr(equals + 1)};
    if (!SiteName::parse(member.name) || !is_address_word(member.address))
      return fail(Code::usage,
          cat("--members: '", printable(word, 80), "': must be NAME=ADDRESS, such as a=10.0.0.1"));
    if (std::ranges::any_of(out, [&](const EngineMember& other) {
          return other.name == member.name || other.address == member.address;
        }))
      return fail(Code::usage, cat("--members: '", word, "': that name or address is given twice"));
    out.push_back(std::move(member));
  }
  if (out.size() > 7 || out.size() % 2 == 0)
    return fail(Code::usage,
        cat("--members: ", out.size(),
            " members: an engine has 1, 3, 5 or 7, because more than half of them must answer"));
  return out;
}

Result<EngineFiles> make_engine_files(os::Disk& disk, const std::string& dir,
    const std::string& fleet, const std::vector<EngineMember>& members, int64_t now) {
  Writer write(disk, dir);
  if (const auto made = write.folder(""); !made)
    return within("the engine's files", made.error());
  const crypto::Validity validity{now - k_day, now + k_engine_validity};
  const auto authority = crypto::make_authority(cat("chillbox fleet ", fleet), validity);
  TRY(write.file("ca.key", authority.key, 0600));
  TRY(write.file("ca.crt", authority.pem, 0644));
  TRY(write.file("root.password", random_token(k_password_bytes) + "\n", 0600));
  TRY(write.folder("members"));
  const std::string token = cat(fleet, "-", random_token(8));
  for (const auto& member : members) {
    const std::string folder = cat("members/", member.name);
    TRY(write.leaf(folder, "member", authority, name_in_certificate(member), validity));
    TRY(write.file(folder + "/conf.yml", conf_of(member, members, token), 0644));
  }
  TRY(write.leaf("host", "host", authority, cat("URI:chillbox:", fleet), validity));
  TRY(write.file("host/password", random_token(k_password_bytes) + "\n", 0600));
  EngineFiles out{setup_of(dir, fleet, members), section_of(fleet, members)};
  TRY(write.file("setup", out.setup, 0644));
  TRY(write.file("chillboxd.toml", join(out.sections, "\n") + "\n", 0644));
  return out;
}

} // namespace chillbox::cli
