#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/password_file.h"

namespace regrow::serve {

// The threads that compute password hashes, which are slow on purpose (a tenth of a second of
// arithmetic and more): no loop may wait for one, and workers that serve come first (the threads
// are niced). Started with the first question; a bounded queue, so that who guesses passwords fills
// only that. All workers share one.
class PasswordCheckers {
  public:
    struct Question {
        std::shared_ptr<const PasswordFile> users;
        std::string user, password;
        std::move_only_function<void(bool right)> answer;  // on the checker's thread
    };
    explicit PasswordCheckers(size_t threads, size_t most_waiting = 64)
        : threads_wanted_(threads), most_waiting_(most_waiting) {}
    ~PasswordCheckers();  // what waits is not answered any more
    PasswordCheckers(const PasswordCheckers&) = delete;
    PasswordCheckers& operator=(const PasswordCheckers&) = delete;

    bool ask(Question question);  // any thread; false: too many wait already

  private:
    void run();

    const size_t threads_wanted_;
    const size_t most_waiting_;
    std::mutex mutex_;
    std::condition_variable news_;
    std::deque<Question> waiting_;
    std::vector<std::thread> threads_;
    bool stopping_ = false;
};

}  // namespace regrow::serve
