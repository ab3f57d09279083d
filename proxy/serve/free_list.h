#pragma once

#include <memory>
#include <vector>

namespace regrow::serve {

// Objects of one kind, used again instead of freed: the most recently used first, because it is
// still in the cache. What is given back keeps its memory and must have been reset by its owner.
// One per worker; no locks.
template <class T>
class FreeList {
  public:
    // Arguments construct a new object when none is free.
    template <class... Args>
    T& take(Args&&... args) {
        if (free_.empty()) {
            all_.push_back(std::make_unique<T>(std::forward<Args>(args)...));
            free_.reserve(all_.capacity());  // so that giving back never allocates
            return *all_.back();
        }
        T& t = *free_.back();
        free_.pop_back();
        return t;
    }
    void giveBack(T& t) { free_.push_back(&t); }
    size_t inUse() const { return all_.size() - free_.size(); }

  private:
    std::vector<std::unique_ptr<T>> all_;
    std::vector<T*> free_;
};

}  // namespace regrow::serve
