#pragma once

#include <string>
#include <vector>

#include "base/http/field.h"
#include "conf/route.h"

namespace regrow::proxy {

// What an operator changes about the fields of heads that pass. Works on the parsed head, before it
// is written anew, so that both protocols write the same. Immutable, shared by all workers, and
// must live until the head is written: what it adds are views into it.
class FieldEdits {
  public:
    FieldEdits() = default;
    // `Host` of a request is not among them: it is written apart (RequestForward::host).
    explicit FieldEdits(const conf::FieldEdits& edits);

    bool any() const { return !gone_.empty() || !fresh_.empty(); }
    // False: the head has no room for what is added.
    bool apply(http::FieldList& fields) const;

  private:
    bool takesAway(const http::Field& field) const;
    void addAll(const conf::Fields& fields);

    struct Fresh {
        std::string name, value;
    };
    std::vector<std::string> gone_;  // removed, or set
    std::vector<Fresh> fresh_;
};

// A field that is no part of what was received.
http::Field makeField(std::string_view name, std::string_view value);

}  // namespace regrow::proxy
