#pragma once

#include <string_view>

#include "base/http/flaw.h"
#include "base/http/parser.h"

// Reading one line of a head. Each returns Flaw::none or why the line is refused.
namespace regrow::http {

Flaw readRequestLine(std::string_view line, RequestHead& head, const HeadLimits& limits);
Flaw readStatusLine(std::string_view line, ResponseHead& head);
Flaw readFieldLine(std::string_view line, FieldList& fields, const HeadLimits& limits);
// One field whose name and value are known to be well formed.
Flaw addField(std::string_view name, std::string_view value, FieldList& fields,
              const HeadLimits& limits);

// Fills form, path, query and, for absolute- and authority-form, the authority.
Flaw readTarget(RequestHead& head);
// Whether a path could be that of a target.
bool isPath(std::string_view text);
// A host with an optional port, as in Host and in targets.
Flaw readAuthority(std::string_view text, std::string_view& host, uint16_t& port);

}  // namespace regrow::http
