#include "proxy/balance/error_pages.h"

#include <charconv>

#include "base/file.h"
#include "base/media_type.h"

namespace regrow {
namespace {

constexpr size_t kPageLimit = size_t{1} << 20;

}  // namespace

Result<std::shared_ptr<const ErrorPages>> ErrorPages::load(const conf::ErrorPages& route,
                                                           const conf::ErrorPages& listener) {
    if (route.empty() && listener.empty()) return nullptr;
    auto pages = std::make_shared<ErrorPages>();
    for (const conf::ErrorPages* const from : {&route, &listener}) {
        for (const auto& [status, file] : *from) {
            uint16_t number = 0;
            const bool whole_class = status.ends_with("xx");
            std::from_chars(status.data(), status.data() + (whole_class ? 1 : 3), number);
            auto& pages_of = whole_class ? pages->by_class_ : pages->by_status_;
            if (pages_of.contains(number)) continue;
            REGROW_TRY(auto text, readFile(file, kPageLimit));
            pages_of[number] = {std::move(text), mediaTypeOf(file)};
        }
    }
    return pages;
}

// A status named by the listener stays before a class named by the route: it says more.
const ErrorPages::Page* ErrorPages::find(uint16_t status) const {
    if (const auto page = by_status_.find(status); page != by_status_.end()) return &page->second;
    const auto page = by_class_.find(status / 100);
    return page == by_class_.end() ? nullptr : &page->second;
}

}  // namespace regrow
