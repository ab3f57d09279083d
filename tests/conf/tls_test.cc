#include <catch2/catch.hpp>

#include "tests/conf/yaml.h"
#include "tests/support/tls_files.h"

using namespace regrow;
using namespace regrow::conf;
using namespace regrow::conf::test;
using regrow::test::TlsFiles;

namespace {

// The keys of `tls` begin in line 4, column 6.
std::string listening(const std::string& tls) {
    return "listeners:\n  - listen: 127.0.0.1:8443\n    routes: [{pool: app}]\n    tls: " + tls +
           "\npools:\n  app:\n    backends: [{name: a, address: 127.0.0.1:9001}]\n";
}

std::string pair(const TlsFiles::Pair& p) {
    return "certificate: " + p.certificate + ", key: " + p.key;
}

std::string found(const std::string& yaml) {
    const auto config = parse(yaml, "f", Depth::files);
    std::string out;
    if (!config)
        for (const auto& problem : config.error()) out += problem.text().substr(2) + "\n";
    return out;
}

bool has(const std::string& text, const std::string& part) {
    INFO(text);
    const bool there = text.find(part) != std::string::npos;
    CHECK(there);
    return there;
}

}  // namespace

TEST_CASE("a listener's tls: one certificate, or several and what holds for all of them") {
    const auto one = parse(listening("{certificate: /c, key: /k, ocsp: /o}"), "f");
    REQUIRE(one.has_value());
    const ListenerTls& tls = one->listeners[0].tls;
    REQUIRE(tls.on());
    CHECK(tls.certificates == std::vector<TlsCertificate>{{"/c", "/k", "/o"}});
    CHECK(tls.client_certificate == ClientCertificate::off);
    CHECK(tls.min_version == TlsVersion::tls12);

    const auto two = parse(listening("[{certificate: /a, key: /b, client_ca: /ca, min_version: "
                                     "1.3}, {certificate: /c, key: /d}]"),
                           "f");
    REQUIRE(two.has_value());
    CHECK(two->listeners[0].tls.certificates.size() == 2);
    CHECK(two->listeners[0].tls.client_ca == "/ca");
    CHECK(two->listeners[0].tls.client_certificate == ClientCertificate::required);
    CHECK(two->listeners[0].tls.min_version == TlsVersion::tls13);

    const auto optional = parse(
        listening("{certificate: /a, key: /b, client_ca: /ca, client_certificate: optional}"), "f");
    REQUIRE(optional.has_value());
    CHECK(optional->listeners[0].tls.client_certificate == ClientCertificate::optional);
}

TEST_CASE("what contradicts itself in a listener's tls is refused with its place") {
    const auto [tls, said] = GENERATE(table<std::string, std::string>({
        {"{certificate: /c}", "4:10: listeners[0].tls.key is missing"},
        {"{certificate: c.pem, key: /k}", "4:24: listeners[0].tls.certificate"},
        {"{certificate: /c, key: /k, client_certificate: optional}",
         "client_certificate needs to know whose certificates are good; add 'client_ca: /path'"},
        {"[{certificate: /c, key: /k}, {certificate: /d, key: /l, client_ca: /x}]",
         "listeners[0].tls[1].client_ca holds for the whole listener; write it once"},
        {"{certificate: /c, key: /k, min_version: 1.1}", "listeners[0].tls.min_version"},
        {"", "listeners[0].tls"},
        {"[]", "listeners[0].tls is empty"},
        {"off", "listeners[0].tls"},
    }));
    has(complaints(listening(tls)), said);
}

TEST_CASE("a pool's tls: empty is on with all defaults") {
    const auto on = parse(withPool(kBackend + "tls: {}"), "f");
    REQUIRE(on.has_value());
    PoolTls expected;
    expected.on = true;
    CHECK(on->pools.at("app").tls == expected);
    const auto all = parse(
        withPool(kBackend + "tls: {ca: /ca, name: app.internal, certificate: /c, key: /k}"), "f");
    REQUIRE(all.has_value());
    CHECK(all->pools.at("app").tls == PoolTls{true, "/ca", "app.internal", "/c", "/k", true});
}

TEST_CASE("what contradicts itself in a pool's tls is refused") {
    const auto [body, said] = GENERATE(table<std::string, std::string>({
        {kBackend + "tls: {certificate: /c}",
         "pools.app.tls.certificate stands alone; a certificate and its key go together"},
        {kBackend + "tls: {name: 'a b'}",
         "pools.app.tls.name must be a host name or an IP address, without port"},
        {kBackend + "tls: {verify: false, ca: /c}",
         "pools.app.tls.verify is false, so 'ca' would be read for nothing"},
        {"backends: [{name: a, address: 'unix:/a'}]\ntls: {}",
         "pools.app.tls: a has a unix socket, which no certificate is for; add 'name: host'"},
    }));
    has(complaints(withPool(body)), said);
    CHECK(complaints(withPool("backends: [{name: a, address: 'unix:/a'}]\ntls: {name: a.b}"))
              .empty());
    CHECK(complaints(withPool("backends: [{name: a, address: 'unix:/a'}]\ntls: {verify: false}"))
              .empty());
}

TEST_CASE("certificates are read by who runs the configuration, and complained of at their keys") {
    TlsFiles files;
    const auto ca = files.authority("ca");
    const auto good = files.leaf("good", "DNS:good.test", ca);
    const auto other = files.leaf("other", "DNS:other.test", ca);
    CHECK(found(listening("{" + pair(good) + ", client_ca: " + ca.certificate + "}")).empty());
    CHECK(complaints(listening("{certificate: /nowhere, key: /nowhere}")).empty());

    const auto nowhere = found(listening("{certificate: /nowhere, key: " + good.key + "}"));
    has(nowhere, "4:24: listeners[0].tls.certificate: cannot be read: /nowhere: No such file");
    const auto mixed = found(listening("[{" + pair(good) + "}, {certificate: " + good.certificate +
                                       ", key: " + other.key + "}]"));
    has(mixed, "listeners[0].tls[1].key: " + other.key + " does not belong to the certificate in " +
                   good.certificate);
    has(found(listening("{certificate: " + good.key + ", key: " + good.key + "}")),
        good.key + " holds no certificate in PEM form");
    has(found(listening("{certificate: " + good.certificate + ", key: " + good.certificate + "}")),
        good.certificate + " holds no private key in PEM form");
    has(found(listening("{" + pair(good) + ", ocsp: " + good.key + "}")),
        "listeners[0].tls.ocsp: " + good.key + " holds no OCSP response in DER form");
    has(found(listening("{" + pair(good) + ", client_ca: /nowhere}")),
        "listeners[0].tls.client_ca: cannot be read");
    has(found(withPool(kBackend + "tls: {ca: " + good.key + "}")),
        "6:15: pools.app.tls.ca: " + good.key + " holds no certificate");
}

TEST_CASE("a key with a passphrase and a weak key are refused with the remedy") {
    TlsFiles files;
    const auto ca = files.authority("ca");
    const auto good = files.leaf("good", "DNS:good.test", ca);
    files.run("ec -aes128 -passout pass:secret -in " + good.key + " -out " + files.path("locked"));
    has(found(listening("{certificate: " + good.certificate + ", key: " + files.path("locked") +
                        "}")),
        "is locked with a passphrase, which nobody is there to type");
    files.run("req -x509 -nodes -newkey rsa:1024 -days 30 -subj /CN=weak -keyout " +
              files.path("weak.key") + " -out " + files.path("weak.pem"));
    has(found(listening("{certificate: " + files.path("weak.pem") +
                        ", key: " + files.path("weak.key") + "}")),
        "is not to be served: ee key too small; RSA needs at least 2048 bits");
}
