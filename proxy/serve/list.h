#pragma once

#include <cassert>

// Intrusive doubly linked lists: an element is in at most one list per tag, linking allocates
// nothing and an element can leave without knowing its list. Owner's thread only.
namespace regrow::serve {

template <class Tag>
class Link {
  public:
    Link() = default;
    Link(const Link&) = delete;
    Link& operator=(const Link&) = delete;
    ~Link() { unlink(); }

    bool linked() const { return next_ != nullptr; }
    void unlink() {
        if (!next_) return;
        prev_->next_ = next_;
        next_->prev_ = prev_;
        prev_ = next_ = nullptr;
    }

  private:
    template <class T, class U>
    friend class List;
    void insertAfter(Link& at) {
        assert(!linked());
        prev_ = &at;
        next_ = at.next_;
        next_->prev_ = this;
        at.next_ = this;
    }

    Link* prev_ = nullptr;
    Link* next_ = nullptr;
};

// T derives from Link<Tag>.
template <class T, class Tag>
class List {
  public:
    List() { head_.prev_ = head_.next_ = &head_; }
    List(const List&) = delete;
    List& operator=(const List&) = delete;
    ~List() {
        while (!empty()) front().Link<Tag>::unlink();
        head_.prev_ = head_.next_ = nullptr;
    }

    bool empty() const { return head_.next_ == &head_; }
    T& front() { return static_cast<T&>(*head_.next_); }
    T& back() { return static_cast<T&>(*head_.prev_); }
    void pushFront(T& t) { static_cast<Link<Tag>&>(t).insertAfter(head_); }
    void pushBack(T& t) { static_cast<Link<Tag>&>(t).insertAfter(*head_.prev_); }
    void insertAfter(T& at, T& t) {
        static_cast<Link<Tag>&>(t).insertAfter(static_cast<Link<Tag>&>(at));
    }
    void insertBefore(T& at, T& t) {
        static_cast<Link<Tag>&>(t).insertAfter(*static_cast<Link<Tag>&>(at).prev_);
    }
    T& popFront() {
        T& t = front();
        static_cast<Link<Tag>&>(t).unlink();
        return t;
    }
    // The neighbour towards the front or back, or nullptr at the end.
    T* before(T& t) { return atOrNull(static_cast<Link<Tag>&>(t).prev_); }
    T* after(T& t) { return atOrNull(static_cast<Link<Tag>&>(t).next_); }
    T* first() { return atOrNull(head_.next_); }
    // Takes all elements of `other`, in order, to this list's back.
    void take(List& other) {
        while (!other.empty()) pushBack(other.popFront());
    }

  private:
    T* atOrNull(Link<Tag>* link) { return link == &head_ ? nullptr : static_cast<T*>(link); }
    Link<Tag> head_;
};

}  // namespace regrow::serve
