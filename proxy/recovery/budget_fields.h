#pragma once

#include <type_traits>

#include "proxy/recovery/budget.h"

// The members of budgets and flap histories by name, for journal_fields.h.
namespace regrow::recovery {

template <class V, class R>
    requires std::is_same_v<std::remove_const_t<R>, Budget>
void fields(V& visit, R& b) {
    visit("spent", b.spent);
}

template <class V, class R>
    requires std::is_same_v<std::remove_const_t<R>, FlapHistory>
void fields(V& visit, R& f) {
    visit("restarts", f.restarts);
    visit("returns", f.returns);
    visit("recovered", f.recovered);
    visit("hold_until", f.hold_until);
    visit("holds", f.holds);
}

}  // namespace regrow::recovery
