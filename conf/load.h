#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "conf/config.h"

namespace regrow::conf {

// One thing wrong with a configuration, at a place a person can jump to.
struct Problem {
    std::string file;
    int line = 0;         // 1-based; 0 when it is about the file as a whole
    int column = 0;       // 1-based
    std::string message;  // what is wrong, what was meant, what to do

    std::string text() const;  // "file:line:column: message"
};

// Everything that is wrong, at once. A Config only when nothing is.
// With `files` it is going to be run: the certificates and keys it names are read as well.
enum class Depth { text, files };
std::expected<Config, std::vector<Problem>> load(const std::string& path,
                                                 Depth depth = Depth::text);
std::expected<Config, std::vector<Problem>> parse(const std::string& yaml,
                                                  const std::string& file_name,
                                                  Depth depth = Depth::text);

// The whole tree of keys with their default values as commented YAML (regrow config defaults).
std::string defaultsText();
// JSON schema of the configuration (regrow config schema), from the same table the loader reads.
std::string schemaText();

}  // namespace regrow::conf
