#include "cli/core/http.hpp"

#include "base/text.hpp"

#include <curl/curl.h>
#include <unistd.h>

#include <array>
#include <optional>

namespace chillbox::cli {
namespace {

constexpr size_t k_max_body = 1 << 20;
constexpr long k_connect_timeout_ms = 10'000;
constexpr long k_stalled_seconds = 60;

// One transfer, as the callbacks of libcurl see it.
struct Transfer {
  const HttpRequest& request;
  CURL* curl;
  uint64_t offset = 0; // in the file
  std::string body;
  std::optional<Error> error;
};

size_t take_body(char* data, size_t, size_t size, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  long status = 0;
  curl_easy_getinfo(transfer.curl, CURLINFO_RESPONSE_CODE, &status);
  if (status == 200 && transfer.request.on_bytes) {
    if (auto taken = transfer.request.on_bytes({data, size}); !taken) {
      transfer.error = taken.error();
      return CURL_WRITEFUNC_ERROR;
    }
    return size;
  }
  if (transfer.body.size() + size > k_max_body) {
    transfer.error =
        Error{Code::too_large, cat("the host's answer is over ", k_max_body, " bytes")};
    return CURL_WRITEFUNC_ERROR;
  }
  transfer.body.append(data, size);
  return size;
}

size_t give_file(char* data, size_t, size_t size, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const ssize_t n = ::pread(transfer.request.file, data, size, static_cast<off_t>(transfer.offset));
  if (n < 0)
    return CURL_READFUNC_ABORT;
  transfer.offset += static_cast<uint64_t>(n);
  if (transfer.request.sent)
    transfer.request.sent(transfer.offset, transfer.request.file_size);
  return static_cast<size_t>(n);
}

int seek_file(void* user, curl_off_t offset, int origin) {
  if (origin != SEEK_SET)
    return CURL_SEEKFUNC_CANTSEEK;
  static_cast<Transfer*>(user)->offset = static_cast<uint64_t>(offset);
  return CURL_SEEKFUNC_OK;
}

struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using List = std::unique_ptr<curl_slist, FreeList>;

List list_of(const std::vector<std::string>& headers) {
  curl_slist* list = curl_slist_append(nullptr, "Expect:"); // the edge takes no 100-continue
  for (const std::string& header : headers)
    list = curl_slist_append(list, header.c_str());
  return List(list);
}

void set_body(CURL* curl, const HttpRequest& request, Transfer& transfer) {
  if (request.file >= 0) {
    curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(curl, CURLOPT_READFUNCTION, give_file);
    curl_easy_setopt(curl, CURLOPT_READDATA, &transfer);
    curl_easy_setopt(curl, CURLOPT_SEEKFUNCTION, seek_file);
    curl_easy_setopt(curl, CURLOPT_SEEKDATA, &transfer);
    curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(request.file_size));
  } else if (!request.body.empty()) {
    curl_easy_setopt(
        curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request.body.data());
  }
  curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request.method.c_str());
}

Error error_of(CURLcode code, const char* details, const HttpRequest& request) {
  std::string reason = *details != '\0' ? details : curl_easy_strerror(code);
  const std::string host = request.url.substr(
      0, request.url.find('/', request.url.find("//") + 2)); // the rest may be a capability
  const Code kind = code == CURLE_OPERATION_TIMEDOUT ? Code::timed_out : Code::unreachable;
  return {kind, cat(host, ": ", printable(trim(reason), 300))};
}

} // namespace

struct Http::State {
  CURL* curl = nullptr;
  std::string certificates;
  ~State() { curl_easy_cleanup(curl); }
};

Http::Http(std::unique_ptr<State> state) : m_state(std::move(state)) {}
Http::Http(Http&&) noexcept = default;
Http::~Http() = default;

Result<Http> Http::create(const std::string& certificates) {
  auto state = std::make_unique<State>();
  if (curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK)
    state->curl = curl_easy_init();
  if (state->curl == nullptr)
    return fail(Code::failure, "libcurl does not start");
  state->certificates = certificates;
  return Http(std::move(state));
}

Result<HttpReply> Http::send(const HttpRequest& request) {
  CURL* curl = m_state->curl;
  Transfer transfer{request, curl, 0, {}, {}};
  std::array<char, CURL_ERROR_SIZE> details{};
  const List headers = list_of(request.headers);
  curl_easy_reset(curl); // keeps the connection
  curl_easy_setopt(curl, CURLOPT_URL, request.url.c_str());
#if LIBCURL_VERSION_NUM >= 0x075500
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
#else
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS, CURLPROTO_HTTP | CURLPROTO_HTTPS);
#endif
  curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_USERAGENT, "chillboxctl/" CHILLBOX_VERSION);
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, k_connect_timeout_ms);
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, static_cast<long>(request.timeout.count()));
  if (!request.on_bytes) { // a stream may be silent for long
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, k_stalled_seconds);
  }
  if (!m_state->certificates.empty())
    curl_easy_setopt(curl, CURLOPT_CAINFO, m_state->certificates.c_str());
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, details.data());
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &transfer);
  set_body(curl, request, transfer);
  const CURLcode code = curl_easy_perform(curl);
  if (transfer.error)
    return std::unexpected(*transfer.error);
  HttpReply reply;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &reply.status);
  // A host that refuses an upload may answer and close before it read all: the answer counts.
  if (code != CURLE_OK && !(code == CURLE_SEND_ERROR && reply.status >= 400))
    return std::unexpected(error_of(code, details.data(), request));
  reply.body = std::move(transfer.body);
  return reply;
}

Result<std::string> parse_base_url(std::string_view text) {
  auto wrong = [&](std::string_view why) {
    return fail(Code::usage,
        cat("--to '", printable(text, 200), "': ", why, ": write https://HOST[:PORT]"));
  };
  size_t scheme = 0;
  for (const std::string_view known : {"https://", "http://"})
    if (text.starts_with(known))
      scheme = known.size();
  if (scheme == 0)
    return wrong("is not an http or https address");
  while (text.ends_with('/') && text.size() > scheme)
    text.remove_suffix(1);
  const auto rest = text.substr(scheme);
  if (rest.empty() || rest.starts_with('/'))
    return wrong("has no host");
  if (rest.find('@') != std::string_view::npos)
    return wrong("must not have a user in it");
  if (rest.find_first_of("?# \"<>\\^`{|}") != std::string_view::npos ||
      rest != printable(rest, 2000) || rest.size() > 1000)
    return wrong("has characters that do not belong there");
  return std::string(text);
}

bool is_readable_on_the_way(std::string_view url) {
  if (!url.starts_with("http://"))
    return false;
  const auto rest = url.substr(7);
  const auto host =
      rest.substr(0, rest.starts_with('[') ? rest.find(']') + 1 : rest.find_first_of(":/"));
  return host != "localhost" && host != "[::1]" && !host.starts_with("127.");
}

} // namespace chillbox::cli
