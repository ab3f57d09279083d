#include "conf/sections.h"

namespace regrow::conf {
namespace {

void readServer(const Reader& reader, Server& server) {
    reader.get("address", server.address, server.lookup);
    reader.get("data", server.data);
    if (const auto service = reader.section("service")) server.service = readService(*service);
}

void checkForm(const Reader& reader) {
    const bool run = reader.has("run");
    const bool start = reader.has("start");
    if (run && start)
        reader.complain("start", "stands beside 'run'; keep one: regrow supervises 'run' itself");
    if (!run && !start)
        reader.complain(
            "", "starts nothing; add 'run' (regrow supervises it) or 'start', 'stop' and 'status'");
    if (run) {
        for (const auto* key : {"stop", "status"})
            if (reader.has(key))
                reader.complain(
                    key,
                    "belongs to 'start'; under 'run' regrow sees and stops the process itself");
        return;
    }
    for (const auto* key : {"user", "directory", "environment", "log", "restart"})
        if (reader.has(key))
            reader.complain(key, "belongs to 'run'; whoever runs 'start' decides it");
    if (start && !reader.has("stop"))
        reader.complain(
            "",
            "has 'start' but no 'stop'; without it a failed server cannot be fenced: add 'stop'");
    if (start && !reader.has("status"))
        reader.complain("",
                        "has 'start' but no 'status'; a 'stop' that exits with 0 does not prove "
                        "that the server is gone: add a "
                        "'status' command that exits with 0 only while it runs");
}

}  // namespace

Service readService(const Reader& reader) {
    Service service;
    reader.get("run", service.run);
    reader.get("user", service.user);
    reader.get("directory", service.directory);
    reader.get("environment", service.environment);
    reader.get("log", service.log);
    reader.get("restart", service.restart);
    if (reader.isWord("restart")) service.restart = 0;
    reader.get("start", service.start);
    reader.get("stop", service.stop);
    reader.get("status", service.status);
    checkForm(reader);
    return service;
}

Backend readBackend(const Reader& reader) {
    Backend backend;
    reader.get("name", backend.name);
    reader.get("weight", backend.weight);
    reader.get("max_connections", backend.max_connections);
    reader.get("priority", backend.priority);
    readServer(reader, backend.server);
    backend.server.name = backend.name;
    reader.get("server", backend.server.name);
    return backend;
}

Server readSpare(const Reader& reader) {
    Server spare;
    reader.get("name", spare.name);
    readServer(reader, spare);
    return spare;
}

}  // namespace regrow::conf
