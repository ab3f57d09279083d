#include "proxy/serve/password_checkers.h"

#include <signal.h>
#include <sys/resource.h>

namespace regrow::serve {
namespace {

constexpr int kNice = 10;

// Signals are for the main thread; Linux has a nice value per thread.
void becomeHelper() {
    sigset_t all;
    sigfillset(&all);
    ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
    ::setpriority(PRIO_PROCESS, 0, kNice);
}

}  // namespace

PasswordCheckers::~PasswordCheckers() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    news_.notify_all();
    for (auto& thread : threads_) thread.join();
}

bool PasswordCheckers::ask(Question question) {
    {
        const std::lock_guard lock(mutex_);
        if (stopping_ || waiting_.size() >= most_waiting_) return false;
        waiting_.push_back(std::move(question));
        if (threads_.size() < threads_wanted_) threads_.emplace_back([this] { run(); });
    }
    news_.notify_one();
    return true;
}

void PasswordCheckers::run() {
    becomeHelper();
    while (true) {
        std::unique_lock lock(mutex_);
        news_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
        if (stopping_) return;
        Question question = std::move(waiting_.front());
        waiting_.pop_front();
        lock.unlock();
        question.answer(question.users->verify(question.user, question.password));
    }
}

}  // namespace regrow::serve
