#pragma once

#include <memory>
#include <utility>

#include "proxy/balance/view.h"

namespace regrow::serve {

// A worker's hold on one view. Exchanges under way keep the view they were chosen from alive by
// counting here, with a plain integer: a shared_ptr copied by every request of every worker would
// make all cores fight over one cache line.
struct LocalView {
    std::shared_ptr<const View> view;
    int users = 0;
};

class ViewRef {
  public:
    ViewRef() = default;
    explicit ViewRef(LocalView* local) : local_(local) {
        if (local_) ++local_->users;
    }
    ViewRef(ViewRef&& other) noexcept : local_(std::exchange(other.local_, nullptr)) {}
    ViewRef& operator=(ViewRef&& other) noexcept {
        std::swap(local_, other.local_);
        return *this;
    }
    ~ViewRef() {
        if (local_ && --local_->users == 0) delete local_;
    }
    const View* operator->() const { return local_->view.get(); }
    explicit operator bool() const { return local_ != nullptr; }
    LocalView* local() const { return local_; }

  private:
    LocalView* local_ = nullptr;
};

}  // namespace regrow::serve
