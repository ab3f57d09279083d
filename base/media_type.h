#pragma once

#include <string_view>

namespace regrow {

// "text/html; charset=utf-8" of "/etc/regrow/503.html"; empty when the ending is not one of those
// that an error page may have.
std::string_view mediaTypeOf(std::string_view path);
inline constexpr std::string_view kMediaEndings = ".html, .txt, .json, .xml, .svg or .css";

}  // namespace regrow
