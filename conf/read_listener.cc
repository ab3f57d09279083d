#include "conf/sections.h"
#include "conf/values.h"

namespace regrow::conf {
namespace {

void readMode(const Reader& reader, Listener& listener) {
    std::string mode = "http";
    reader.get("mode", mode);
    listener.mode = mode == "tcp" ? ListenerMode::tcp : ListenerMode::http;
    reader.get("pool", listener.pool);
    if (listener.mode == ListenerMode::http) {
        if (reader.has("pool"))
            reader.complain("pool", "belongs to 'mode: tcp'; with HTTP write routes: [{pool: …}]");
        if (!reader.node().find("routes"))
            reader.complain("", "has no 'routes'; add routes: [{pool: NAME}]");
        return;
    }
    if (!reader.node().find("pool"))
        reader.complain("", "has 'mode: tcp' but no 'pool', where its connections go");
    for (const auto* key : {"routes", "error_pages", "h2c", "tls"})
        if (reader.has(key))
            reader.complain(key, "does not go with 'mode: tcp', which passes bytes on as they are");
}

void readUnixMode(const Reader& reader, Listener& listener) {
    std::string text = "0660";
    reader.get("unix_mode", text);
    const auto mode = parseFileMode(text);
    if (!mode) return reader.complain("unix_mode", "is wrong: " + mode.error().message);
    listener.unix_mode = *mode;
}

void readTrust(const Reader& reader, Listener& listener) {
    listener.proxy_protocol = readProxyProtocol(reader);
    reader.get("trusted_proxies", listener.trusted_proxies);
    for (size_t i = 0; i < listener.trusted_proxies.size(); ++i)
        if (const auto ok = checkNetwork(listener.trusted_proxies[i]);
            !ok && listener.trusted_proxies[i] != "unix")
            reader.complain("trusted_proxies", i, "is wrong: " + ok.error().message);
    if (listener.proxy_protocol != ProxyProtocol::off && listener.trusted_proxies.empty())
        reader.complain("proxy_protocol",
                        "is on, but 'trusted_proxies' names nobody whose PROXY header is believed: "
                        "every connection would be closed; add the networks of your proxies");
}

}  // namespace

ProxyProtocol readProxyProtocol(const Reader& reader) {
    std::string text = "off";
    reader.get("proxy_protocol", text);
    if (text == "v1") return ProxyProtocol::v1;
    if (text == "v2") return ProxyProtocol::v2;
    return text == "any" ? ProxyProtocol::any : ProxyProtocol::off;
}

Listener readListener(const Reader& reader) {
    Listener listener;
    reader.get("listen", listener.listen);
    readMode(reader, listener);
    readUnixMode(reader, listener);
    if (const auto timeouts = reader.section("timeouts")) {
        timeouts->get("header", listener.timeouts.header);
        timeouts->get("idle", listener.timeouts.idle);
        timeouts->get("body", listener.timeouts.body);
        timeouts->get("request", listener.timeouts.request);
    }
    reader.get("h2c", listener.h2c);
    readTrust(reader, listener);
    listener.tls = readListenerTls(reader);
    if (const auto accept = reader.section("accept")) listener.accept = readAccept(*accept);
    for (const auto& route : reader.sections("routes")) listener.routes.push_back(readRoute(route));
    listener.error_pages = readErrorPages(reader);
    return listener;
}

}  // namespace regrow::conf
