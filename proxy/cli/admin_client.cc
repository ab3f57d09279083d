#include "proxy/cli/admin_client.h"

#include <curl/curl.h>
#include <fmt/core.h>
#include <pwd.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>

#include "base/json.h"
#include "conf/load.h"
#include "proxy/admin/access.h"

namespace regrow::cli {
namespace {

constexpr long kConnectMs = 5000;
constexpr long kTotalMs = 15000;
constexpr size_t kMaxAnswer = size_t{256} << 20;

struct FreeCurl {
    void operator()(CURL* c) const { curl_easy_cleanup(c); }
};
struct FreeList {
    void operator()(curl_slist* l) const { curl_slist_free_all(l); }
};
using Headers = std::unique_ptr<curl_slist, FreeList>;

size_t receive(char* data, size_t size, size_t count, void* body) {
    auto& text = *static_cast<std::string*>(body);
    if (text.size() + size * count > kMaxAnswer) return 0;
    text.append(data, size * count);
    return size * count;
}

void addHeader(Headers& headers, const std::string& line) {
    headers.reset(curl_slist_append(headers.release(), line.c_str()));
}

std::string environment(const char* name, const char* otherwise) {
    const char* value = std::getenv(name);
    return value && *value ? value : otherwise;
}

std::string userName() {
    const passwd* entry = ::getpwuid(::getuid());
    return entry ? entry->pw_name : fmt::format("uid {}", ::getuid());
}

std::unexpected<Error> noAnswer(const std::string& address, CURLcode code, const char* detail) {
    const char* why = *detail ? detail : curl_easy_strerror(code);
    if (code == CURLE_COULDNT_CONNECT)
        return fail(Code::unavailable, Source::upstream,
                    fmt::format("nothing answers on {}: is `regrow run` running? Name its "
                                "admin.listen with -a ADDR, or its "
                                "configuration with -c FILE ({})",
                                address, why));
    if (code == CURLE_OPERATION_TIMEDOUT)
        return fail(Code::timeout, Source::upstream,
                    fmt::format("{} accepted but did not answer in time ({})", address, why));
    return fail(Code::unavailable, Source::upstream,
                fmt::format("{}: {}; is that regrow's admin endpoint?", address, why));
}

// The proxy's own words, in the code that decides our exit.
std::unexpected<Error> refused(const std::string& address, const Answer& answer) {
    const auto document = json::parse(answer.body);
    const auto said = document ? json::getString(*document, "error") : std::nullopt;
    if (!said)
        return fail(Code::unavailable, Source::upstream,
                    fmt::format("{} answered HTTP {}; is that regrow's admin endpoint?", address,
                                answer.status));
    const auto code = json::getString(*document, "code").value_or("");
    const std::string hint =
        answer.status == 401 ? " (--token-file FILE, or -c with the proxy's configuration)" : "";
    return fail(code == name(Code::refused) ? Code::refused : Code::unavailable, Source::upstream,
                *said + hint);
}

// Where a listen address is reached from here: 0.0.0.0 means this machine.
std::string reachable(const Address& listen) {
    std::string text = listen.text();
    if (text.starts_with("0.0.0.0:")) return "127.0.0.1:" + text.substr(8);
    if (text.starts_with("[::]:")) return "[::1]:" + text.substr(5);
    return text;
}

Result<> fillFromConfig(AdminOptions& options) {
    const auto config = conf::load(options.config);
    if (!config)
        return fail(Code::invalid, Source::config,
                    fmt::format("{} (regrow check -c {} shows everything)",
                                config.error().front().text(), options.config));
    if (options.address.empty() && !config->admin.listen)
        return fail(
            Code::invalid, Source::config,
            fmt::format(
                "{} has no admin.listen, so its proxy cannot be asked; add `admin: {{listen: {}}}`",
                options.config, kDefaultAdmin));
    if (options.address.empty()) options.address = reachable(*config->admin.listen);
    if (options.token_file.empty()) options.token_file = config->admin.token_file;
    return {};
}

}  // namespace

void addAdminAddress(CLI::App& verb, AdminOptions& options) {
    verb.add_option(
            "-a,--admin", options.address,
            fmt::format("admin endpoint of the running proxy: HOST:PORT or unix:/path (default {})",
                        kDefaultAdmin))
        ->type_name("ADDR");
    verb.add_option("-c,--config", options.config,
                    "the proxy's configuration: its admin.listen and token are used")
        ->type_name("FILE");
    verb.add_option("--token-file", options.token_file, "file with the admin token")
        ->type_name("FILE");
}

void addAdminOptions(CLI::App& verb, AdminOptions& options) {
    addAdminAddress(verb, options);
    verb.add_flag("--json", options.json, "print the proxy's answer as JSON");
}

Result<AdminClient> AdminClient::open(const AdminOptions& given) {
    AdminOptions options = given;
    if (!options.config.empty()) REGROW_CHECK(fillFromConfig(options));
    if (options.address.empty()) options.address = environment("REGROW_ADMIN", kDefaultAdmin);
    if (options.token_file.empty()) options.token_file = environment("REGROW_TOKEN_FILE", "");
    AdminClient client;
    if (!options.token_file.empty()) {
        REGROW_TRY(client.token_, admin::readToken(options.token_file));
    }
    client.address_ = options.address;
    if (options.address.starts_with("unix:")) {
        client.unix_path_ = options.address.substr(5);
        client.url_ = "http://localhost";
        return client;
    }
    if (options.address.starts_with("http://"))
        client.address_ = options.address = options.address.substr(7);
    if (options.address.find(':') == std::string::npos ||
        options.address.find_first_of("/ @?#") != std::string::npos)
        return fail(Code::invalid, Source::client,
                    fmt::format("'{}' is no admin address; write HOST:PORT or unix:/path",
                                options.address));
    client.url_ = "http://" + options.address;
    return client;
}

Result<std::string> AdminClient::get(const std::string& path) const {
    return ask(path, false);
}
Result<std::string> AdminClient::post(const std::string& path) const {
    return ask(path, true);
}

Result<std::string> AdminClient::ask(const std::string& path, bool change) const {
    const std::unique_ptr<CURL, FreeCurl> curl(curl_easy_init());
    if (!curl) return fail(Code::internal, Source::us, "libcurl has no memory");
    Headers headers;
    addHeader(headers, fmt::format("{}: 1", admin::kCsrfHeader));
    addHeader(headers, "X-Regrow-Actor: " + userName());
    if (!token_.empty()) addHeader(headers, "Authorization: Bearer " + token_);
    Answer answer;
    char detail[CURL_ERROR_SIZE] = "";
    const std::string url = url_ + path;
    curl_easy_setopt(curl.get(), CURLOPT_URL, url.c_str());
    curl_easy_setopt(curl.get(), CURLOPT_PROTOCOLS_STR, "http");
    curl_easy_setopt(curl.get(), CURLOPT_PROXY,
                     "");  // never through http_proxy: this is our own machine, and the token
    curl_easy_setopt(curl.get(), CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl.get(), CURLOPT_CONNECTTIMEOUT_MS, kConnectMs);
    curl_easy_setopt(curl.get(), CURLOPT_TIMEOUT_MS, kTotalMs);
    curl_easy_setopt(curl.get(), CURLOPT_HTTPHEADER, headers.get());
    curl_easy_setopt(curl.get(), CURLOPT_ERRORBUFFER, detail);
    curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, receive);
    curl_easy_setopt(curl.get(), CURLOPT_WRITEDATA, &answer.body);
    if (!unix_path_.empty())
        curl_easy_setopt(curl.get(), CURLOPT_UNIX_SOCKET_PATH, unix_path_.c_str());
    if (change) curl_easy_setopt(curl.get(), CURLOPT_POSTFIELDS, "");
    const CURLcode code = curl_easy_perform(curl.get());
    if (code != CURLE_OK) return noAnswer(address_, code, detail);
    curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &answer.status);
    if (answer.status / 100 != 2) return refused(address_, answer);
    return std::move(answer.body);
}

std::string escaped(std::string_view text) {
    std::string out;
    for (const char c : text) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                           (c >= '0' && c <= '9') ||
                           std::string_view("-._~").find(c) != std::string_view::npos;
        out += plain ? std::string(1, c)
                     : fmt::format("%{:02X}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    }
    return out;
}

Result<std::pair<std::string, std::string>> splitTarget(const std::string& target) {
    const auto slash = target.find('/');
    if (slash == std::string::npos || slash == 0 || slash + 1 == target.size() ||
        target.find('/', slash + 1) != std::string::npos)
        return fail(
            Code::invalid, Source::client,
            fmt::format("'{}' is not POOL/NAME, as in wiki/wiki-1; `regrow status` lists them",
                        target));
    return std::pair(target.substr(0, slash), target.substr(slash + 1));
}

}  // namespace regrow::cli
