#include "base/media_type.h"

#include <array>

namespace regrow {
namespace {

struct Ending {
    std::string_view ending;
    std::string_view type;
};
constexpr std::array kEndings = {
    Ending{".html", "text/html; charset=utf-8"}, Ending{".htm", "text/html; charset=utf-8"},
    Ending{".txt", "text/plain; charset=utf-8"}, Ending{".json", "application/json"},
    Ending{".xml", "application/xml"},           Ending{".svg", "image/svg+xml"},
    Ending{".css", "text/css; charset=utf-8"},
};

}  // namespace

std::string_view mediaTypeOf(std::string_view path) {
    for (const Ending& e : kEndings)
        if (path.ends_with(e.ending)) return e.type;
    return {};
}

}  // namespace regrow
