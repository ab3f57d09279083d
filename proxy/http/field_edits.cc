#include "proxy/http/field_edits.h"

#include <algorithm>

#include "base/http/chars.h"

namespace regrow::proxy {

using http::Field;
using http::FieldId;

FieldEdits::FieldEdits(const conf::FieldEdits& edits) : gone_(edits.remove) {
    for (const auto& [name, value] : edits.set) gone_.push_back(name);
    addAll(edits.set);
    addAll(edits.add);
}

void FieldEdits::addAll(const conf::Fields& fields) {
    for (const auto& [name, value] : fields)
        if (http::fieldIdOf(name) != FieldId::host) fresh_.push_back({name, value});
}

bool FieldEdits::takesAway(const Field& field) const {
    return std::ranges::any_of(gone_, [&](const std::string& name) {
        return http::equalsIgnoringCase(field.name(), name);
    });
}

bool FieldEdits::apply(http::FieldList& fields) const {
    for (Field& f : fields)
        if (!f.drop && takesAway(f)) f.drop = true;
    return std::ranges::all_of(
        fresh_, [&](const Fresh& f) { return fields.add(makeField(f.name, f.value)); });
}

// X-Forwarded-Prefix and the like are dropped when an untrusted client sends them; from the
// operator they are as good as any.
Field makeField(std::string_view name, std::string_view value) {
    const FieldId id = http::fieldIdOf(name);
    const bool vouched = id == FieldId::x_forwarded_other || id == FieldId::x_real_ip;
    return {.name_data = name.data(),
            .value_data = value.data(),
            .value_size = static_cast<uint32_t>(value.size()),
            .name_size = static_cast<uint16_t>(name.size()),
            .id = vouched ? FieldId::other : id};
}

}  // namespace regrow::proxy
