#pragma once

#include <fmt/core.h>

#include <string>

#include "conf/load.h"

// The dialogue of these tests: a piece of a configuration, and what the loader says to it.
namespace regrow::conf::test {

inline std::string sourceFile(const std::string& relative) {
    return std::string(REGROW_SOURCE_DIR) + "/" + relative;
}

// All problems, one a line, without the file's name; empty when the configuration is good.
inline std::string complaints(const std::string& yaml) {
    const auto config = parse(yaml, "f");
    std::string out;
    if (config) return out;
    for (const auto& problem : config.error()) out += problem.text().substr(2) + "\n";
    return out;
}

inline std::string indented(const std::string& text, int by) {
    const std::string lead(static_cast<size_t>(by), ' ');
    std::string out = lead;
    for (const char c : text) {
        out += c;
        if (c == '\n') out += lead;
    }
    return out;
}

// A good configuration around one pool's keys (the pool's body, unindented); pool keys begin in
// line 5.
inline std::string withPool(const std::string& body, const std::string& rest = "") {
    return "listeners:\n  - {listen: 127.0.0.1:8080, routes: [{pool: app}]}\npools:\n  app:\n" +
           indented(body, 4) + "\n" + rest;
}

inline const std::string kBackend = "backends: [{name: a, address: 127.0.0.1:9001}]\n";

// A good configuration with more keys at the top, which begin in line 1.
inline std::string withTop(const std::string& keys) {
    return keys + "\n" + withPool(kBackend);
}

}  // namespace regrow::conf::test
