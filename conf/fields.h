#pragma once

#include <cstddef>
#include <string_view>

#include "base/http/field.h"
#include "base/result.h"

// Which fields an operator may change, and how. What frames a message, concerns one connection or
// vouches for the client is written by regrow alone: an edit there could only break it. Pure; any
// thread. Messages follow the key they are about.
namespace regrow::conf {

enum class Side { request, response };

inline constexpr size_t kMostFields = 32;  // set and added by one section

bool belongsToConnection(http::FieldId id);  // and never travels on
Result<> checkFieldEdit(std::string_view name, Side side);
Result<> checkFieldValue(std::string_view value);
// Of a path that we write: no query, no '.' or '..' segments, nothing that is no URL character.
Result<> checkPath(std::string_view path);

}  // namespace regrow::conf
