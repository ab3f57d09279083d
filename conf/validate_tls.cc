#include "conf/validate_tls.h"

#include <fmt/core.h>

#include "base/tls/credentials.h"
#include "base/tls/ocsp.h"

namespace regrow::conf {
namespace {

// `tls` may be one map or a list of them.
const Node& certificateNode(const Node& tls, size_t i) {
    return tls.kind == NodeKind::list ? tls.at(i) : tls;
}

// The first of the pool's servers that has no address a certificate could name.
std::string onUnixSocket(const Pool& pool) {
    const auto named = [](const Server& s) { return s.address.valid() && s.address.isUnix(); };
    for (const auto& backend : pool.backends)
        if (named(backend.server)) return backend.server.name;
    for (const auto& spare : pool.spares)
        if (named(spare)) return spare.name;
    return {};
}

class FileCheck {
  public:
    FileCheck(const Node& node, std::string where, Problems& problems)
        : node_(node), where_(std::move(where)), problems_(problems) {}

    void pair(const std::string& certificate, const std::string& key) const {
        if (certificate.empty() || key.empty()) return;
        const auto chain = tls::loadChain(certificate);
        const auto own = tls::loadKey(key);
        check("certificate", chain);
        check("key", own);
        if (chain && own) check("key", tls::checkPair(*chain, own->get(), certificate, key));
    }
    void authorities(std::string_view name, const std::string& file) const {
        if (!file.empty()) check(name, tls::loadAuthorities(file));
    }
    void staple(const std::string& certificate, const std::string& file) const {
        if (file.empty()) return;
        if (const auto chain = tls::loadChain(certificate))
            check("ocsp", tls::loadOcsp(file, chain->certificates[0].get()));
    }

  private:
    template <class T>
    void check(std::string_view name, const Result<T>& result) const {
        if (!result)
            problems_.add(node_.at(name),
                          fmt::format("{}.{}: {}", where_, name, result.error().message));
    }

    const Node& node_;
    std::string where_;
    Problems& problems_;
};

}  // namespace

void validateTls(const Config& config, const Node& root, Problems& problems) {
    for (const auto& [name, pool] : config.pools) {
        if (!pool.tls.on || !pool.tls.verify || !pool.tls.name.empty()) continue;
        const std::string server = onUnixSocket(pool);
        if (!server.empty())
            problems.add(
                root.at("pools").at(name).at("tls"),
                fmt::format("pools.{}.tls: {} has a unix socket, which no certificate is for; add "
                            "'name: host' that its certificate shows",
                            name, server));
    }
}

void checkTlsFiles(const Config& config, const Node& root, Problems& problems) {
    for (size_t i = 0; i < config.listeners.size(); ++i) {
        const ListenerTls& tls = config.listeners[i].tls;
        const Node& node = root.at("listeners").at(i).at("tls");
        for (size_t c = 0; c < tls.certificates.size(); ++c) {
            const TlsCertificate& one = tls.certificates[c];
            const FileCheck check(certificateNode(node, c),
                                  node.kind == NodeKind::list
                                      ? fmt::format("listeners[{}].tls[{}]", i, c)
                                      : fmt::format("listeners[{}].tls", i),
                                  problems);
            check.pair(one.certificate, one.key);
            check.staple(one.certificate, one.ocsp);
            if (c == 0) check.authorities("client_ca", tls.client_ca);
        }
    }
    for (const auto& [name, pool] : config.pools) {
        const FileCheck check(root.at("pools").at(name).at("tls"),
                              fmt::format("pools.{}.tls", name), problems);
        check.pair(pool.tls.certificate, pool.tls.key);
        check.authorities("ca", pool.tls.ca);
    }
}

}  // namespace regrow::conf
