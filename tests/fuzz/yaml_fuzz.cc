#include <cstddef>
#include <cstdint>
#include <string>

#include "conf/load.h"

// Any bytes at all are either a configuration or a list of problems; never a crash, never a hang.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string yaml(reinterpret_cast<const char*>(data), size);
    const auto config = regrow::conf::parse(yaml, "fuzz.yaml");
    if (!config && config.error().empty()) __builtin_trap();
    return 0;
}
