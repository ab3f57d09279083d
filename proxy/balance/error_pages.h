#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "conf/route.h"

namespace regrow {

// What is sent in place of our own short error texts. Read whole when a configuration is taken;
// immutable, shared by all workers.
class ErrorPages {
  public:
    struct Page {
        std::string text;
        std::string_view content_type;
    };
    // Those of a route come before its listener's. Nothing when there are none.
    static Result<std::shared_ptr<const ErrorPages>> load(const conf::ErrorPages& route,
                                                          const conf::ErrorPages& listener);

    const Page* find(uint16_t status) const;  // nullptr: none for it

  private:
    std::map<uint16_t, Page> by_status_;
    std::map<uint16_t, Page> by_class_;  // 4, 5
};

}  // namespace regrow
