#include "conf/sections.h"

namespace regrow::conf {
namespace {

AdminConfig readAdmin(const Reader& reader) {
    AdminConfig admin;
    if (reader.isWord("listen")) {
        admin.listen.reset();
    } else if (reader.has("listen")) {
        Address address;
        reader.get("listen", address);
        admin.listen = address;
    }
    reader.get("token_file", admin.token_file);
    return admin;
}

LogConfig readLog(const Reader& reader) {
    LogConfig log;
    reader.get("level", log.level);
    reader.get("format", log.format);
    return log;
}

AccessLogConfig readAccessLog(const Reader& reader) {
    AccessLogConfig log;
    log.on = true;
    reader.get("path", log.path);
    reader.get("format", log.format);
    return log;
}

Repository readRepository(const std::string& name, const Reader& reader) {
    Repository repository;
    repository.name = name;
    reader.get("path", repository.path);
    reader.get("key_file", repository.key_file);
    return repository;
}

}  // namespace

Config readConfig(const Reader& reader) {
    Config config;
    reader.get("workers", config.workers);
    reader.get("state_dir", config.state_dir);
    reader.get("user", config.user);
    if (const auto admin = reader.section("admin")) config.admin = readAdmin(*admin);
    if (const auto log = reader.section("log")) config.log = readLog(*log);
    if (const auto log = reader.section("access_log")) config.access_log = readAccessLog(*log);
    if (const auto log = reader.section("audit_log")) log->get("path", config.audit_log);
    if (const auto limits = reader.section("limits")) config.limits = readLimits(*limits);
    for (const auto& listener : reader.sections("listeners"))
        config.listeners.push_back(readListener(listener));
    for (const auto& [name, pool] : reader.named("pools"))
        config.pools[name] = readPool(name, pool);
    for (const auto& [name, repository] : reader.named("repositories"))
        config.repositories[name] = readRepository(name, repository);
    return config;
}

}  // namespace regrow::conf
