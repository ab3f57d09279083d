#pragma once

#include <functional>
#include <memory>

#include "base/result.h"

namespace regrow::recovery {

// Something slow that is under way: a hook, a step, a fence. Destroying the handle cancels it: what
// it started is killed, and its callback is never called. Every operation calls its callback
// exactly once, from the control loop, never from within the function that began it; the callback
// may destroy the handle.
class Operation {
  public:
    virtual ~Operation() = default;
};
using Handle = std::unique_ptr<Operation>;

template <class T>
using OnDone = std::move_only_function<void(Result<T>)>;

}  // namespace regrow::recovery
