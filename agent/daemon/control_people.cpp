// Verbs about people: who comes in by ssh and may what. One name is all that somebody has here: a
// key of ssh that opens the gate, and a key whose signatures this host takes, which may be the
// same.
#include "artifact/trusted_keys.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "crypto/ssh_key.hpp"
#include "daemon/control_verbs.hpp"
#include "daemon/people.hpp"
#include "os/host_layout.hpp"
#include "os/socket.hpp"
#include "rollout/trust.hpp"

#include <algorithm>
#include <mutex>

namespace chillbox::daemon {

using control::Person;
using control::Role;

namespace {

constexpr size_t k_most_keys = 20, k_most_sites = 100, k_most_people = 500;

std::mutex s_changing; // one at a time: authorized_keys is written from all of them

std::string trusted_file(const Call& call, const std::string& name) {
  return cat(call.host().paths.trusted(), "/", name, ".pub");
}

// One of minisign takes the place of one of ssh. One of ssh is taken where there is none yet, for
// an ssh key more is how a second laptop comes in.
Result<void> take_signing_key(Person& person, const crypto::SigningKey& key) {
  const bool by_ssh = person.key.empty() || crypto::is_ssh_line(person.key);
  if (key.ssh() == nullptr && !by_ssh && person.key != key.to_line())
    return fail(Code::conflict,
        cat("'", person.name, "' signs with another key already: chillboxctl people remove ",
            person.name, " first"));
  if (key.ssh() == nullptr || person.key.empty())
    person.key = key.to_line();
  return {};
}

// What was asked for, on top of what is so.
Result<Person> wanted_of(const Call& call, Person person) {
  const auto& args = call.args;
  if (args.role) {
    person.role = control::named<Role>(*args.role);
    if (person.role == Role::unknown)
      return fail(Code::invalid, "role: must be look, deploy or admin");
  }
  if (args.sites)
    person.sites = *args.sites;
  if (person.role == Role::admin && args.sites && !args.sites->empty())
    return fail(Code::invalid, "an admin is one of the whole host: leave --sites out");
  if (person.role == Role::admin)
    person.sites.clear();
  for (const auto& site : person.sites)
    (void)TRY_IN("sites", SiteName::parse(site));
  for (const auto& key : args.ssh.value_or(std::vector<std::string>{}))
    if (const auto line = TRY(crypto::SshPublicKey::parse(key)).to_line();
        std::ranges::find(person.ssh, line) == person.ssh.end())
      person.ssh.push_back(line);
  if (args.key && !args.key->empty())
    TRY(take_signing_key(person, TRY_IN("key", crypto::SigningKey::parse(*args.key))));
  if (person.ssh.size() > k_most_keys || person.sites.size() > k_most_sites)
    return fail(Code::too_large,
        cat("a person has at most ", k_most_keys, " ssh keys and ", k_most_sites, " sites"));
  return person;
}

// Of what he had, something is not his any more: a role, or a site.
bool is_less(const Person& now, const Person& before) {
  return now.role < before.role ||
      (before.sites.empty()
              ? !now.sites.empty()
              : std::ranges::any_of(
                    before.sites, [&](const auto& site) { return !may_touch(now, site); }));
}

// A key is one person's, and a name one key's.
Result<void> check_keys(const Call& call, const Person& wanted, const std::string& former_key) {
  const auto people = load_people(call.host().paths, nullptr);
  if (people.size() >= k_most_people &&
      std::ranges::find(people, wanted.name, &Person::name) == people.end())
    return fail(Code::too_large, cat("there are ", people.size(), " people already"));
  for (const auto& other : people) {
    if (other.name == wanted.name)
      continue;
    for (const auto& key : wanted.ssh)
      if (std::ranges::find(other.ssh, key) != other.ssh.end())
        return fail(Code::conflict, cat("this ssh key is already ", other.name, "'s"));
    if (!wanted.key.empty() && other.key == wanted.key)
      return fail(Code::conflict, cat("this key is already ", other.name, "'s"));
  }
  if (wanted.key.empty())
    return {};
  const auto trusted = artifact::read_trusted_keys(call.host().paths.trusted());
  for (const auto& key : trusted.keys)
    if ((key.name == wanted.name) != (key.key.to_line() == wanted.key) &&
        key.key.to_line() != former_key)
      return fail(Code::conflict,
          key.name == wanted.name
              ? cat("'", key.name, "' is trusted with another key: chillboxctl trust remove ",
                    key.name, " first, or choose another name")
              : cat("this key is already trusted, as '", key.name, "': take that name, or ",
                    "chillboxctl trust remove ", key.name));
  return {};
}

struct Settled {
  std::vector<std::string> kept, lost; // "SITE VERSION"
};

// What is live and signed in that name stays good where its signer may no longer sign, unless it
// was withdrawn or is revoked.
Result<Settled> settle_releases(
    const Call& call, const std::string& name, bool revoke, const Person* still = nullptr) {
  auto& host = call.host();
  const auto trusted = artifact::read_trusted_keys(host.paths.trusted());
  const auto key = std::ranges::find(trusted.keys, name, &artifact::TrustedKey::name);
  Settled settled;
  if (!host.disk.exists(trusted_file(call, name)))
    return settled;
  const rollout::Signer who{name, key == trusted.keys.end() ? "" : artifact::fingerprint(key->key)};
  for (const auto& use : TRY(rollout::uses_of_key(host, who))) {
    if (still != nullptr && still->role != Role::look && may_touch(*still, use.site.str()))
      continue;
    const bool keeps = !revoke && rollout::keep_live(host, use.site, call.actor, who);
    (keeps ? settled.kept : settled.lost)
        .push_back(cat(use.site.str(), use.version.empty() ? " secrets" : " ", use.version));
  }
  return settled;
}

// Who only looks signs nothing.
Result<void> write_trusted(const Call& call, const Person& person) {
  auto& host = call.host();
  const std::string path = trusted_file(call, person.name);
  if (person.key.empty())
    return {};
  const auto key = TRY(crypto::SigningKey::parse(person.key));
  const auto there = artifact::read_trusted_keys(host.paths.trusted());
  const auto former = std::ranges::find(there.keys, person.name, &artifact::TrustedKey::name);
  const bool replaced = former != there.keys.end() && !(former->key == key);
  (void)TRY(settle_releases(call, person.name, false, replaced ? nullptr : &person));
  if (person.role == Role::look)
    return host.disk.remove(path);
  return host.disk.write(path, artifact::trusted_key_text({person.name, key, person.sites}), 0644,
      os::root_owner(host.paths));
}

Result<control::PersonAdded> people_add(const Call& call) {
  auto& host = call.host();
  TRY(require_admin(call, "people add"));
  const std::lock_guard one(s_changing);
  const auto name = TRY(parse_key_name(TRY(required(call.args.name, "name"))));
  auto known = load_person(host.paths, name);
  if (!known && known.error().code != Code::not_found)
    return std::unexpected(known.error());
  const auto wanted =
      TRY(wanted_of(call, known ? *known : Person{.name = name, .role = Role::deploy}));
  if (wanted.ssh.empty())
    return fail(Code::invalid,
        "a person needs an ssh key, to come in with: --key FILE.pub, --key github:USER");
  TRY(check_keys(call, wanted, known ? known->key : ""));
  const bool changed = !known || control::to_text(*known) != control::to_text(wanted);
  if (changed)
    TRY(save_person(host.paths, wanted));
  if (known && is_less(wanted, *known))
    call.state.hang_up_person(name, call.fd());
  const auto trusted = write_trusted(call, wanted);
  const auto served = call.state.monitor.traffic(); // the roster's signer may have lost the key
  TRY(trusted);
  TRY(write_authorized_keys(host.paths));
  call.state.record_keys(call.actor);
  TRY_IN("the person is written; the fleet's traffic is as before", served);
  if (changed)
    log::info(cat("people: ", call.actor, " let ", name, " in: ", control::name(wanted.role)));
  return control::PersonAdded{.person = wanted, .changed = changed};
}

Result<control::People> people_list(const Call& call) {
  TRY(require_admin(call, "people list"));
  return control::People{.people = load_people(call.host().paths, nullptr)};
}

Result<void> list_what_remains(
    const Call& call, const Person& person, control::PersonRemoved& gone) {
  auto& store = call.host().store;
  for (const auto& job : TRY(store.unfinished()))
    if (job.actor == cat("person:", person.name))
      gone.jobs.push_back(job.id);
  if (person.role == Role::look)
    return {};
  for (const auto& row : TRY(store.sites()))
    if (may_touch(person, row.site.str()) && TRY(store.serial(row.site, "secrets")) > 0)
      gone.secrets.push_back(row.site.str());
  return {};
}

std::unexpected<Error> nobody(const Call& call, const std::string& name) {
  std::vector<std::string> names;
  for (const auto& other : load_people(call.host().paths, nullptr))
    names.push_back(other.name);
  return fail(Code::not_found,
      cat("there is nobody called '", name, "' on this host",
          names.empty() ? "" : cat(": there is ", join(names, ", ")),
          call.host().disk.exists(trusted_file(call, name))
              ? cat("; but a key of that name is trusted: chillboxctl trust remove ", name)
              : ""));
}

// The way in first; and whatever fails, all the others are taken away. Who removes himself hears
// how it went.
Result<control::PersonRemoved> people_remove(const Call& call) {
  auto& host = call.host();
  TRY(require_admin(call, "people remove"));
  const std::lock_guard one(s_changing);
  const auto name = TRY(parse_key_name(TRY(required(call.args.name, "name"))));
  const std::string file = cat(host.paths.people(), "/", name, ".json");
  const auto person = load_person(host.paths, name);
  if (!host.disk.exists(file))
    return nobody(call, name);
  TRY(host.disk.remove(file));
  const auto closed = write_authorized_keys(host.paths);
  call.state.hang_up_person(name, call.fd());
  const auto peer = os::peer_of(call.fd());
  end_sessions(host.paths, name, peer ? peer->pid : 0);
  auto settled = settle_releases(call, name, call.args.revoke.value_or(false));
  const auto untrusted = host.disk.remove(trusted_file(call, name));
  const auto served = call.state.monitor.traffic(); // a roster that they signed is served no more
  call.state.record_keys(call.actor);
  log::info(cat("people: ", call.actor, " removed ", name));
  TRY(closed);
  TRY(untrusted);
  TRY_IN("they are removed; the fleet's traffic is as before", served);
  auto [kept, lost] = TRY(std::move(settled));
  control::PersonRemoved gone{
      .name = name, .jobs = {}, .kept = std::move(kept), .revoked = std::move(lost), .secrets = {}};
  TRY(list_what_remains(call, person ? *person : Person{.name = name, .role = Role::admin}, gone));
  return gone;
}

constexpr ControlVerb k_people_verbs[] = {
    {"people_add", answer<people_add>, true, Role::admin, Reach::filtered},
    {"people_list", answer<people_list>, false, Role::admin, Reach::filtered},
    {"people_remove", answer<people_remove>, true, Role::admin, Reach::filtered},
};

} // namespace

std::span<const ControlVerb> people_verbs() {
  return k_people_verbs;
}

} // namespace chillbox::daemon
