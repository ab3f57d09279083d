#pragma once

#include <catch2/catch.hpp>
#include <memory>
#include <string>

#include "base/clock.h"
#include "proxy/control/registry.h"
#include "tests/support/temp_dir.h"

namespace regrow::test {

inline conf::Server server(const std::string& name, uint16_t port) {
    conf::Server made;
    made.name = name;
    made.address = Address::loopback(port);
    made.data = "/srv/" + name;
    made.service.run = {"/usr/bin/app", name};
    return made;
}

inline conf::Backend backend(const std::string& name, uint16_t port) {
    conf::Backend made;
    made.name = name;
    made.server = server(name, port);
    return made;
}

// A pool "wiki" of the places wiki-1 and wiki-2 with the spares spare-1 and spare-2.
inline conf::Config wikiConfig() {
    conf::Pool pool;
    pool.name = "wiki";
    pool.backends = {backend("wiki-1", 8001), backend("wiki-2", 8002)};
    pool.spares = {server("spare-1", 8003), server("spare-2", 8004)};
    conf::Config config;
    config.pools["wiki"] = pool;
    return config;
}

// A registry on a real journal in a directory of its own. Time moves by hand.
struct ControlFixture {
    TempDir dir;
    ManualClock clock;
    std::unique_ptr<recovery::Journal> journal;
    std::unique_ptr<control::Registry> registry;

    explicit ControlFixture(const conf::Config& config = wikiConfig()) {
        open();
        take(config);
    }
    // As a new process does.
    void restart(const conf::Config& config = wikiConfig()) {
        registry.reset();
        journal.reset();
        open();
        take(config);
    }
    std::vector<std::unique_ptr<control::Place>> take(const conf::Config& config) {
        return registry->take(std::make_shared<const conf::Config>(config));
    }
    control::Place& place(const std::string& name = "wiki-1") {
        return *registry->place({"wiki", name});
    }
    control::PoolState& pool() { return *registry->pool("wiki"); }

  private:
    void open() {
        auto opened = recovery::Journal::open(dir / "state", clock,
                                              {.reserve_bytes = 4096, .compact_bytes = 1 << 20});
        if (!opened) FAIL(opened.error().message);
        journal = std::move(*opened);
        registry = std::make_unique<control::Registry>(*journal, 2);
    }
};

}  // namespace regrow::test
