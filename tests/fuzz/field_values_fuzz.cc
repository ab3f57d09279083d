#include <cstdlib>
#include <string>

#include "proxy/http/basic_credentials.h"
#include "proxy/http/client_address.h"
#include "proxy/http/compression.h"
#include "tests/support/http_reference.h"
#include "tests/support/http_text.h"

// Values that mean something to us beyond framing: who the client is, what it takes encoded, its
// password, as they come out of a head.
namespace {

using namespace regrow;

void require(bool condition) {
    if (!condition) std::abort();
}

void checkForwarded(const http::FieldList& fields) {
    static const auto near = proxy::ProxyTrust::parse({"10.0.0.0/8", "fd00::/8"});
    static const auto nobody = proxy::ProxyTrust::parse({});
    const auto client = proxy::forwardedClient(fields, *near);
    const auto last = proxy::forwardedClient(fields, *nobody);
    // Whoever is last is nobody's word but the sender's; it is read first either way.
    require(!client || last);
    if (client && last && !near->trusts(*last)) require(client->text() == last->text());
    if (client) (void)proxy::clientKey(*client);
}

void checkNode(std::string_view text) {
    const auto node = proxy::parseNode(text);
    if (!node) return;
    require(node->family() == AF_INET || node->family() == AF_INET6);
    const auto again = proxy::parseNode(node->text());
    require(again && again->text() == node->text());
}

void checkCoding(std::string_view text) {
    static const conf::Compression how = [] {
        conf::Compression c;
        c.on = true;
        return c;
    }();
    const conf::Coding coding = proxy::chooseCoding(text, how);
    const std::string lower = reference::lowered(std::string(text));
    const std::string name(proxy::textOf(coding));
    require(coding == conf::Coding::identity || lower.find(name) != std::string::npos ||
            lower.find('*') != std::string::npos);
}

void checkCredentials(const http::FieldList& fields) {
    const std::string_view token = proxy::basicToken(fields);
    const auto credentials = proxy::decodeBasic(token);
    if (credentials) require(credentials->user.find(':') == std::string::npos);
    if (credentials)
        require(credentials->user.size() + credentials->password.size() < token.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size > 4096) return 0;
    const std::string_view fields(reinterpret_cast<const char*>(data), size);
    checkNode(fields);
    checkCoding(fields);
    const std::string text = "GET / HTTP/1.1\r\nHost: a\r\n" + std::string(fields) + "\r\n\r\n";
    http::RequestHead head;
    if (test::parseWhole(text, head).outcome != http::Outcome::done) return 0;
    checkForwarded(head.fields);
    checkCredentials(head.fields);
    for (const http::Field& f : head.fields) checkCoding(f.value()), checkNode(f.value());
    return 0;
}
