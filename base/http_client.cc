#include "base/http_client.h"

#include <curl/curl.h>

#include <algorithm>

namespace regrow {
namespace {

constexpr size_t kBodyLimit = size_t{256} << 20;

size_t append(char* data, size_t size, size_t count, void* body) {
    auto& text = *static_cast<std::string*>(body);
    if (text.size() + size * count > kBodyLimit) return 0;  // curl reports a write error
    text.append(data, size * count);
    return size * count;
}

Code codeOf(CURLcode code) {
    return code == CURLE_OPERATION_TIMEDOUT ? Code::timeout : Code::unavailable;
}

struct ListDeleter {
    void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

}  // namespace

struct HttpClient::Impl {
    std::string address;
    CURL* curl = curl_easy_init();

    explicit Impl(std::string a) : address(std::move(a)) {}
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;
    ~Impl() { curl_easy_cleanup(curl); }
};

HttpClient::HttpClient(std::string address) : impl_(std::make_unique<Impl>(std::move(address))) {}
HttpClient::~HttpClient() = default;
HttpClient::HttpClient(HttpClient&&) noexcept = default;
HttpClient& HttpClient::operator=(HttpClient&&) noexcept = default;

Result<HttpResponse> HttpClient::call(std::string_view method, std::string_view target,
                                      Duration timeout, const std::vector<std::string>& headers,
                                      std::string_view body) {
    CURL* curl = impl_->curl;
    curl_easy_reset(curl);  // options only; the connection stays
    const bool local = impl_->address.starts_with("unix:");
    const std::string url =
        "http://" + (local ? "localhost" : impl_->address) + std::string(target);
    if (local) curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, impl_->address.c_str() + 5);
    std::unique_ptr<curl_slist, ListDeleter> list;
    for (const auto& header : headers)
        list.reset(curl_slist_append(list.release(), header.c_str()));
    list.reset(curl_slist_append(list.release(), "Expect:"));
    HttpResponse response;
    char message[CURL_ERROR_SIZE] = {};
    const std::string verb(method);
    curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
    curl_easy_setopt(curl, CURLOPT_PROXY, "");  // never through http_proxy
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, verb.c_str());
    if (verb == "HEAD") curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, list.get());
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    // Less than a millisecond would be 0, which means for ever.
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, std::max(1L, static_cast<long>(toMs(timeout))));
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, message);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, append);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &response.body);
    if (!body.empty() || verb == "POST" || verb == "PUT") {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body.empty() ? "" : body.data());
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
    }
    const CURLcode code = curl_easy_perform(curl);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER,
                     nullptr);  // closing the connection later may write there
    if (code != CURLE_OK)
        return fail(codeOf(code), Source::upstream,
                    std::string(method) + " " + url + ": " +
                        (message[0] ? message : curl_easy_strerror(code)));
    long status = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    response.status = static_cast<int>(status);
    return response;
}

}  // namespace regrow
