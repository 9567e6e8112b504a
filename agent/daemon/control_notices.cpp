// The verbs for notices and for their targets.
#include "base/text.hpp"
#include "daemon/control_verbs.hpp"
#include "store/notices.hpp"

namespace chillbox::daemon {
namespace {

using control::Role;

const NoticeRequests& notice_requests(const Call& call) {
  return call.state.monitor.notices;
}

Result<control::NoticeList> notices(const Call& call) {
  if (notice_requests(call).look)
    notice_requests(call).look();
  const std::string only = call.args.site.value_or("");
  return store::Notices(call.host().store).list(limit_of(call), [&](const std::string& site) {
    return (only.empty() || site == only) && may_see(call, site);
  });
}

Result<control::NotifyTargets> notify_list(const Call& call) {
  control::NotifyTargets all;
  all.targets = TRY(notice_requests(call).targets());
  return all;
}

Result<control::NotifyTested> notify_test(const Call& call) {
  return notice_requests(call).test(TRY(required(call.args.name, "name")));
}

Result<control::NotifyRetried> notify_retry(const Call& call) {
  return notice_requests(call).retry(call.args.name.value_or(""));
}

constexpr ControlVerb k_notices_verbs[] = {
    {"notices", answer<notices>, false, Role::look, Reach::filtered},
    {"notify_list", answer<notify_list>},
    {"notify_test", answer<notify_test>, true},
    {"notify_retry", answer<notify_retry>, true},
};

} // namespace

std::span<const ControlVerb> notice_verbs() {
  return k_notices_verbs;
}

} // namespace chillbox::daemon
