#include <arpa/inet.h>

#include <algorithm>

#include "conf/sections.h"

namespace regrow::conf {
namespace {

// What a whole listener has only once stands with its first certificate.
constexpr const char* kListenerWide[] = {"client_ca", "client_certificate", "min_version"};

TlsCertificate readCertificate(const Reader& reader) {
    TlsCertificate one;
    reader.get("certificate", one.certificate);
    reader.get("key", one.key);
    reader.get("ocsp", one.ocsp);
    return one;
}

void readClients(const Reader& reader, ListenerTls& tls) {
    reader.get("client_ca", tls.client_ca);
    std::string wanted = "required";
    reader.get("client_certificate", wanted);
    if (reader.has("client_ca"))
        tls.client_certificate =
            wanted == "optional" ? ClientCertificate::optional : ClientCertificate::required;
    else if (reader.has("client_certificate"))
        reader.complain("client_certificate",
                        "needs to know whose certificates are good; add 'client_ca: /path'");
}

bool isHostOrAddress(const std::string& name) {
    unsigned char bytes[16];
    if (::inet_pton(AF_INET, name.c_str(), bytes) == 1 ||
        ::inet_pton(AF_INET6, name.c_str(), bytes) == 1)
        return true;
    const auto allowed = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '_' || c == '.';
    };
    return !name.empty() && name.size() <= 253 && !name.starts_with('.') &&
           std::ranges::all_of(name, allowed);
}

}  // namespace

ListenerTls readListenerTls(const Reader& listener) {
    ListenerTls tls;
    const auto certificates = listener.sections("tls");
    for (size_t i = 0; i < certificates.size(); ++i) {
        const Reader& reader = certificates[i];
        tls.certificates.push_back(readCertificate(reader));
        if (i == 0) {
            readClients(reader, tls);
            std::string version = "1.2";
            reader.get("min_version", version);
            tls.min_version = version == "1.3" ? TlsVersion::tls13 : TlsVersion::tls12;
            continue;
        }
        for (const char* key : kListenerWide)
            if (reader.has(key))
                reader.complain(key,
                                "holds for the whole listener; write it once, with the first "
                                "certificate");
    }
    if (listener.has("tls") && certificates.empty())
        listener.complain("tls",
                          "names no certificate; write {certificate: /path, key: /path}, or "
                          "leave tls out for plain text");
    return tls;
}

PoolTls readPoolTls(const Reader& pool) {
    PoolTls tls;
    const auto reader = pool.section("tls");
    if (!reader) return tls;
    tls.on = true;
    reader->get("ca", tls.ca);
    reader->get("name", tls.name);
    reader->get("certificate", tls.certificate);
    reader->get("key", tls.key);
    reader->get("verify", tls.verify);
    if (reader->has("name") && !isHostOrAddress(tls.name))
        reader->complain("name", "must be a host name or an IP address, without port");
    if (reader->has("certificate") != reader->has("key"))
        reader->complain(reader->has("key") ? "key" : "certificate",
                         "stands alone; a certificate and its key go together");
    if (!tls.verify && reader->has("ca"))
        reader->complain("verify", "is false, so 'ca' would be read for nothing; remove one");
    return tls;
}

}  // namespace regrow::conf
