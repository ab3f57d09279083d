#pragma once

#include <cstdint>
#include <string_view>

#include "base/http/field.h"

// What of a request its backend may depend on, worked out once when its head is here. Pure; any
// thread; no allocation.
namespace regrow {

struct RequestKey {
    static constexpr uint32_t kNobody = UINT32_MAX;

    uint64_t hash = 0;  // what `balance: hash` goes by; 0: the request has nothing of the kind
    uint32_t sticky_slot = kNobody;  // the place that the affinity cookie names
    uint32_t sticky_index = 0;       // where it stood among the pool's backends
};

// 64 well-mixed bits, never 0. The same in every process, on every machine and for all time: a key
// keeps its backend over restarts, and two proxies agree. Not for secrets, and not proof against
// somebody who looks for keys that meet: whoever does gets the bounded share of one backend.
uint64_t hashOf(std::string_view bytes, uint64_t seed = 0);
uint64_t hashOf(uint64_t number);

// The value of the first cookie of that name that has one, in any Cookie field; empty: there is
// none.
std::string_view cookieValue(const http::FieldList& fields, std::string_view name);

}  // namespace regrow
